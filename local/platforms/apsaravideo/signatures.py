"""The four signatures around ApsaraVideo VOD: two of its API, one of MNS, one of its callbacks. All are pure.

- ACS3-HMAC-SHA256, in headers: what `alibabacloud_vod20170321` sends.
- RPC V1 (HMAC-SHA1), in the parameters: what the older SDKs and most hand-written clients send.
- MNS (HMAC-SHA1), in the header `Authorization`: what `aliyun-mns-sdk` sends.
- MD5 of the callback's URL, time and key, in `X-VOD-SIGNATURE`; the body is not covered.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

ACS3 = "ACS3-HMAC-SHA256"
ACS3_AUTHORIZATION = re.compile(rf"{ACS3} Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]+)")
MNS_AUTHORIZATION = re.compile(r"MNS ([^:]+):(.+)")


@dataclass(frozen=True, kw_only=True)
class Acs3Authorization:
    """The header `Authorization` of an ACS3 request, read."""

    access_key_id: str
    signed_headers: tuple[str, ...]
    signature: str


def read_acs3(header: str) -> Acs3Authorization | None:
    match = ACS3_AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        return None
    access_key_id, signed, signature = match.groups()
    return Acs3Authorization(access_key_id=access_key_id, signed_headers=tuple(signed.split(";")), signature=signature)


def acs3(
    secret: str, *, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], content_sha256: str
) -> str:
    """The signature in hex. `headers` are those that are signed, with lower-case names."""
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    names = ";".join(sorted(headers))
    request = "\n".join([method, path, canonical(query), lines, names, content_sha256])
    to_sign = f"{ACS3}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def rpc_v1(secret: str, *, method: str, parameters: Mapping[str, str]) -> str:
    """The signature in base64; `parameters` are all of the request's, without `Signature`."""
    to_sign = f"{method}&%2F&{encoded(canonical(parameters))}"
    return hmac_sha1(f"{secret}&", to_sign)


def read_mns(header: str) -> tuple[str, str] | None:
    """The access key's id and the signature."""
    match = MNS_AUTHORIZATION.fullmatch(header.strip())
    return (match[1], match[2]) if match else None


def mns(secret: str, *, method: str, resource: str, headers: Iterable[tuple[str, str]]) -> str:
    """The signature in base64. `resource` is the path with its query as it was sent; names are lower-case."""
    given = dict(headers)
    first = [method, *(given.get(name, "") for name in ("content-md5", "content-type", "date"))]
    own = [f"{name}:{given[name]}" for name in sorted(given) if name.startswith("x-mns-")]
    return hmac_sha1(secret, "\n".join([*first, *own, resource]))


def callback(url: str, timestamp: int, auth_key: str) -> str:
    """What `X-VOD-SIGNATURE` says."""
    return hashlib.md5(f"{url}|{timestamp}|{auth_key}".encode()).hexdigest()  # noqa: S324 (the platform's choice)


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def canonical(parameters: Mapping[str, str]) -> str:
    return "&".join(f"{encoded(name)}={encoded(parameters[name])}" for name in sorted(parameters))


def encoded(value: str) -> str:
    """RFC 3986: only letters, digits and -_.~ stay."""
    return quote(value, safe="~")


def hmac_sha1(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()
