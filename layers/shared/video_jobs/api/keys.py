"""API keys: who may use the API for people."""

import hmac
from collections.abc import Mapping

from video_jobs.aws import secrets


def owner(headers: Mapping[str, str]) -> str | None:
    """The name of the API key in `x-api-key`, or in `authorization` as a bearer token; None if it is not one of ours.

    `headers` have lower-case names. Needs API_KEYS_SECRET. Raises SecretUnavailableError: then nobody is let in.
    """
    return owner_of(headers.get("x-api-key") or _bearer(headers.get("authorization", "")))


def owner_of(key: str) -> str | None:
    """The name of an API key; all of ours are compared with it, in constant time each."""
    if not key:
        return None
    keys = secrets.values("API_KEYS_SECRET")
    found = _match(key, keys)
    if found is None and (newer := secrets.newer_values("API_KEYS_SECRET")):
        found = _match(key, newer)
    return found


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _match(given: str, keys: Mapping[str, str]) -> str | None:
    offered = given.encode("utf-8", "replace")
    owners = [name for name, key in keys.items() if hmac.compare_digest(offered, key.encode())]
    return owners[0] if owners else None
