"""How TwelveLabs proves a callback: an HMAC-SHA256 over a moment and the body as it was sent, with a webhook's secret.

`TL-Signature: t=<seconds since 1970>,v1=<hexadecimal digits>`, made of "<t>.<body>" (TwelveLabs page "Requirements for
processing notifications"). The key is the whole secret, "whs_" included. Inferred, since no page says it: that there
may be several `v1` while a secret is changed, and other schemes beside it.
"""

import hmac
import re
from collections.abc import Collection, Mapping

from video_jobs import settings
from video_jobs.aws import secrets
from video_jobs.http import MalformedBodyError, Request
from video_jobs.platforms.callback import RejectedError

WEBHOOK = "webhook"
"""How the names of webhook secrets begin in the platform's secret: all of them are accepted."""

MOST_SIGNATURES = 8
"""In one header. Whoever has proven nothing yet chooses how many there are."""

_MOMENT = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


def check(header: str | None, body: bytes, *, keys: Collection[str], now: float, tolerance: float) -> str:
    """The signature with which one of the keys has signed this body, in the last, or next, `tolerance` seconds.

    `now`: seconds since 1970. Raises RejectedError.
    """
    if header is None:
        raise RejectedError("the signature's header is missing")
    moment, signatures = _parts(header)
    if abs(now - int(moment)) > tolerance:
        raise RejectedError("the signature is not of this time")
    expected = [made(body, moment, key) for key in keys]  # one for each key, whatever the header holds
    # each with each, so that the time does not give away which one it was
    holding = [ours for ours in expected for given in signatures if hmac.compare_digest(given, ours)]
    if not holding:
        raise RejectedError("the signature does not hold")
    return holding[0]


def made(body: bytes, moment: str, key: str) -> str:
    """The signature that TwelveLabs makes. The moment is signed as it is written."""
    return hmac.digest(key.encode(), f"{moment}.".encode() + body, "sha256").hex()


def _parts(header: str) -> tuple[str, list[str]]:
    """The one moment, and the signatures of the scheme that we know. Their order is not documented."""
    items = [(name.strip(), value.strip()) for name, _, value in (item.partition("=") for item in header.split(","))]
    moments = [value for name, value in items if name == "t"]
    signatures = [value for name, value in items if name == "v1" and _SIGNATURE.fullmatch(value)]
    # two moments: two headers, which API Gateway has joined
    if len(moments) != 1 or not _MOMENT.fullmatch(moments[0]) or not 1 <= len(signatures) <= MOST_SIGNATURES:
        raise RejectedError("the signature's header is malformed")
    return moments[0], signatures


def verify(request: Request, values: Mapping[str, str]) -> str:
    """The signature of a request that holds, with the values of the platform's secret.

    Raises RejectedError, or SecretUnavailableError if no webhook's secret is among the values.
    """
    keys = secrets.chosen(values, WEBHOOK, of="TwelveLabs").values()
    try:
        body = request.body
    except MalformedBodyError as error:
        raise RejectedError(str(error)) from None
    return check(
        request.headers.get("tl-signature"),
        body,
        keys=keys,
        now=request.received_at_seconds,
        tolerance=settings.number("SIGNATURE_TOLERANCE_SECONDS"),
    )
