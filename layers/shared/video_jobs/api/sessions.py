"""Bearer tokens that stand for an API key for a while: nothing is stored, each is signed with the key itself.

So whoever has one has not the key, it ends by itself, and it ends at once when the key is taken away.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum

from video_jobs.aws import secrets

PREFIX = "session."
_PARTS = 5


class Kind(StrEnum):
    ACCESS = "access"  # lets in
    REFRESH = "refresh"  # is good for new tokens, and nothing else


def issue(name: str, kind: Kind, *, until: int) -> str:
    """A token for the API key of this name, good until then (seconds since 1970).

    Needs API_KEYS_SECRET. Raises SecretUnavailableError, and KeyError if the key is gone.
    """
    return _token(name, kind, until, key=secrets.values("API_KEYS_SECRET")[name])


def owner_of(token: str, kind: Kind, *, at: float) -> str | None:
    """The name of the API key that a token stands for; None if it is none of ours, of another kind, or over."""
    keys = secrets.values("API_KEYS_SECRET")
    found = holds(token, kind, keys=keys, at=at)
    if found is None and (newer := secrets.newer_values("API_KEYS_SECRET")):
        found = holds(token, kind, keys=newer, at=at)
    return found


def holds(token: str, kind: Kind, *, keys: Mapping[str, str], at: float) -> str | None:
    """The name of the key in `keys` that has signed this token, if it is good at this moment."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    _, _, encoded, until, _ = parts
    given = token.encode("utf-8", "replace")
    for name, key in keys.items():
        if encoded != _encoded(name) or not (until.isascii() and until.isdecimal() and len(until) < 16):
            continue
        if hmac.compare_digest(given, _token(name, kind, int(until), key=key).encode()) and at < int(until):
            return name
    return None


def _token(name: str, kind: Kind, until: int, *, key: str) -> str:
    said = f"{PREFIX}{kind}.{_encoded(name)}.{until}"
    return f"{said}.{hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()}"


def _encoded(name: str) -> str:
    """A key's name as a header can hold it, without a dot."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
