"""Who may ask VOD's API: the check of a request's key, signature, time and nonce, in either of its two forms."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from local.platforms.apsaravideo import answers, signatures
from local.platforms.apsaravideo.answers import Refused

VALID_FOR = timedelta(minutes=15)


class Gate:
    """Lets through what one of the access keys (id to secret) has signed, and each nonce once."""

    def __init__(self, access_keys: Mapping[str, str]) -> None:
        self._access_keys = access_keys
        self._nonces: set[str] = set()

    async def check(self, request: Request, asked: Mapping[str, str]) -> None:
        """`asked` are the request's parameters, of query and form. Raises Refused."""
        if "authorization" in request.headers:
            await self._check_acs3(request)
        else:
            self._check_rpc_v1(request, asked)

    async def _check_acs3(self, request: Request) -> None:
        headers = request.headers
        given = signatures.read_acs3(headers["authorization"])
        if given is None or not is_covered(headers, given.signed_headers):
            raise Refused(answers.INCOMPLETE_SIGNATURE)
        secret = self._secret(given.access_key_id)
        expected = signatures.acs3(
            secret,
            method=request.method,
            path=request.url.path,
            query=dict(request.query_params),
            headers={name: headers[name] for name in given.signed_headers},
            content_sha256=hashlib.sha256(await request.body()).hexdigest(),
        )
        if not signatures.same(given.signature, expected):
            raise Refused(answers.WRONG_SIGNATURE)
        self._check_freshness(headers["x-acs-date"], headers["x-acs-signature-nonce"])

    def _check_rpc_v1(self, request: Request, asked: Mapping[str, str]) -> None:
        for name in ("AccessKeyId", "Signature", "Timestamp", "SignatureNonce"):
            if not asked.get(name):
                raise Refused(answers.missing(name))
        secret = self._secret(asked["AccessKeyId"])
        signed = {name: value for name, value in asked.items() if name != "Signature"}
        if not signatures.same(asked["Signature"], signatures.rpc_v1(secret, method=request.method, parameters=signed)):
            raise Refused(answers.WRONG_SIGNATURE)
        self._check_freshness(asked["Timestamp"], asked["SignatureNonce"])

    def _secret(self, access_key_id: str) -> str:
        if access_key_id not in self._access_keys:
            raise Refused(answers.UNKNOWN_KEY)
        return self._access_keys[access_key_id]

    def _check_freshness(self, timestamp: str, nonce: str) -> None:
        try:
            at = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise Refused(answers.MALFORMED_TIME) from error
        if abs(datetime.now(UTC) - at) > VALID_FOR:
            raise Refused(answers.EXPIRED)
        if nonce in self._nonces:
            raise Refused(answers.NONCE_USED)
        self._nonces.add(nonce)


def is_covered(headers: Mapping[str, str], signed: tuple[str, ...]) -> bool:
    """Whether the signature covers the host and everything that is Alibaba's, and names only what was sent."""
    own = {name for name in headers if name.startswith("x-acs-")}
    needed = {"host", "x-acs-date", "x-acs-signature-nonce", "x-acs-action", "x-acs-version"} | own
    return needed <= set(signed) <= set(headers)
