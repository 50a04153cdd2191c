"""What every request to api.video meets first: it is noted, its credentials are checked, it is counted.

Keys that begin with `revoked` are not known, every other is good, and all belong to one account. Printed: both ways to
log in, the body for a bad key at `/auth/api-key`, the names of the rate limit's headers, and production's limits.
Inferred: that a minute begins with its first request, that logging in counts as writing, and what a 401 looks like.
"""

import base64
import binascii
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Literal

from starlette.requests import Request

from local.platforms.apivideo.errors import Body, missing_credentials, wrong_credentials

SECRET_HEADERS = frozenset({"authorization", "cookie"})
SECRET_FIELDS = frozenset({"apiKey", "refreshToken"})

type Kind = Literal["uploads", "writes", "reads"]


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """What api.video was asked, without keys and tokens; the headers' names are in lower case. `body` is empty where
    there was none, or none that is a JSON object."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Requests a minute: production's. `window` is how many seconds such a minute has."""

    uploads: int = 100
    writes: int = 200
    reads: int = 500
    window: float = 60.0


@dataclass(eq=False)
class RateLimit:
    rates: Rates
    _windows: dict[Kind, tuple[float, int]] = field(default_factory=dict)

    def spend(self, kind: Kind) -> bool:
        """Whether the request is still within the limit."""
        began, used = self._window(kind)
        self._windows[kind] = (began, used + 1)
        limit: int = getattr(self.rates, kind)
        return used < limit

    def headers(self, kind: Kind) -> Mapping[str, str]:
        began, used = self._window(kind)
        limit: int = getattr(self.rates, kind)
        left = began + self.rates.window - time.monotonic()
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - used)),
            "X-RateLimit-Retry-After": str(max(0, math.ceil(left))),
        }

    def _window(self, kind: Kind) -> tuple[float, int]:
        now = time.monotonic()
        began, used = self._windows.get(kind, (now, 0))
        return (began, used) if now < began + self.rates.window else (now, 0)


def kind_of(request: Request) -> Kind:
    if request.method in ("GET", "HEAD"):
        return "reads"
    return "uploads" if request.url.path.endswith("/source") else "writes"


class Credentials:
    """The tokens that were given out. They live as long as their `seconds`, their refresh tokens for ever."""

    def __init__(self, *, seed: int, seconds: int) -> None:
        self._random = Random(f"{seed} tokens")
        self._seconds = seconds
        self._access: dict[str, float] = {}  # until when
        self._refresh: set[str] = set()

    def log_in(self, key: object) -> Body:
        if not is_known_key(key):
            raise wrong_credentials(400)
        return self._tokens()

    def refresh(self, token: object) -> Body:
        """A refresh token works once (inferred)."""
        if not isinstance(token, str) or token not in self._refresh:
            raise wrong_credentials(400)
        self._refresh.discard(token)
        return self._tokens()

    def check(self, authorization: str) -> None:
        """Raises ApiError."""
        if not authorization.strip():
            raise missing_credentials()
        scheme, _, value = authorization.partition(" ")
        good = {"basic": self._is_basic, "bearer": self._is_bearer}.get(scheme.lower())
        if good is None or not good(value.strip()):
            raise wrong_credentials(401)

    def _tokens(self) -> Body:
        access, refresh = self._json_web_token(), f"def502{self._random.getrandbits(512):0128x}"
        self._access[access] = time.monotonic() + self._seconds
        self._refresh.add(refresh)
        return {
            "token_type": "Bearer",
            "expires_in": self._seconds,
            "access_token": access,
            "refresh_token": refresh,
        }

    def _json_web_token(self) -> str:
        """It looks like one; nobody has signed it."""
        now = time.time()
        header = {"typ": "JWT", "alg": "RS256"}
        claims = {"iat": now, "nbf": now, "exp": now + self._seconds, "projectId": "prSimulated"}
        return ".".join([*(url_safe(json.dumps(part).encode()) for part in (header, claims)), self._signature()])

    def _signature(self) -> str:
        return url_safe(self._random.randbytes(256))

    def _is_basic(self, value: str) -> bool:
        """The key is the name, the password is empty."""
        try:
            key, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return is_known_key(key) and colon == ":" and not password

    def _is_bearer(self, token: str) -> bool:
        return time.monotonic() < self._access.get(token, -math.inf)


def is_known_key(key: object) -> bool:
    return isinstance(key, str) and key.strip() != "" and not key.startswith("revoked")


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def as_fields(body: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def without_secrets(request: Request, body: bytes, at: datetime) -> ReceivedRequest:
    fields = as_fields(body) or {}
    return ReceivedRequest(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers={name: value for name, value in request.headers.items() if name not in SECRET_HEADERS},
        body={name: value for name, value in fields.items() if name not in SECRET_FIELDS},
        at=at,
    )
