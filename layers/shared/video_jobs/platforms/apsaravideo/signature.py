"""How VOD proves an HTTP callback: an MD5 over the callback's URL, a time and a key, and not over the body.

`X-VOD-SIGNATURE` is the hexadecimal digits of `md5("<URL>|<X-VOD-TIMESTAMP>|<AuthKey>")` (VOD page "HTTP callback").
Whoever has seen one callback can send another body with its headers while they are fresh, so a body is only a hint.
"""

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping

from video_jobs import settings
from video_jobs.aws import secrets
from video_jobs.http import MalformedBodyError, Request
from video_jobs.platforms.callback import RejectedError

KEYS = "auth_key"
"""How the names of VOD's callback keys begin in the platform's secret: all of them are accepted."""
PATH = "/callbacks/apsaravideo/upload-by-url-complete"

_TIMESTAMP = re.compile(r"[0-9]{10}")
_SIGNATURE = re.compile(r"[0-9a-f]{32}")


def check(
    timestamp: str | None, signature: str | None, *, url: str, keys: Collection[str], now: float, tolerance: float
) -> str:
    """The signature with which one of the keys has signed for this URL, in the last, or next, `tolerance` seconds.

    `now`: seconds since 1970. Raises RejectedError.
    """
    if timestamp is None or signature is None:
        raise RejectedError("the signature's headers are missing")
    if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        raise RejectedError("the signature's headers are malformed")
    if abs(now - int(timestamp)) > tolerance:
        raise RejectedError("the signature is not of this time")
    # each of them, so that the time does not give away which one it was
    holds = [hmac.compare_digest(signature, made(url, timestamp, key)) for key in keys]
    if not any(holds):
        raise RejectedError("the signature does not hold")
    return signature


def made(url: str, timestamp: str, key: str) -> str:
    """The signature that VOD makes. MD5 is its choice."""
    return hashlib.md5(f"{url}|{timestamp}|{key}".encode(), usedforsecurity=False).hexdigest()


def verify(request: Request, values: Mapping[str, str]) -> str:
    """The signature of a request that holds, with the values of the platform's secret.

    Raises RejectedError, or SecretUnavailableError if there is no key among the values.
    """
    keys = secrets.chosen(values, KEYS, of="ApsaraVideo VOD").values()
    try:
        _ = request.body  # not covered, but what cannot be read cannot be recorded either
    except MalformedBodyError as error:
        raise RejectedError(str(error)) from None
    return check(
        request.headers.get("x-vod-timestamp"),
        request.headers.get("x-vod-signature"),
        url=_configured_url(request),
        keys=keys,
        now=request.received_at_seconds,
        tolerance=settings.number("SIGNATURE_TOLERANCE_SECONDS"),
    )


def _configured_url(request: Request) -> str:
    """The URL that VOD was given.

    With no domain of one's own it is the API's address, as API Gateway itself names it.
    """
    return settings.setting("APSARAVIDEO_CALLBACK_URL") or f"https://{request.domain}{PATH}"
