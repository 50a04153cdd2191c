"""Lets those in who have an API key, in `x-api-key` or as a bearer token."""

import hmac
from typing import Any

from aws_lambda_powertools import Logger
from video_jobs import secrets

logger = Logger(serialize_stacktrace=False)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A simple response (payload format 2.0). A secret that cannot be read lets nobody in: API Gateway answers 500."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    name = _owner(headers.get("x-api-key") or _bearer(headers.get("authorization", "")))
    if name is None:
        logger.warning("refused", extra={"path": event.get("rawPath")})
        return {"isAuthorized": False}
    return {"isAuthorized": True, "context": {"api_key_name": name}}


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _owner(given: str) -> str | None:
    """The name of the key that was given; every key is compared, in constant time each."""
    if not given:
        return None
    keys = secrets.values("API_KEYS_SECRET")
    owner = _match(given, keys)
    if owner is None and (newer := secrets.newer_values("API_KEYS_SECRET")):
        owner = _match(given, newer)
    return owner


def _match(given: str, keys: dict[str, str]) -> str | None:
    offered = given.encode("utf-8", "replace")
    owners = [name for name, key in keys.items() if hmac.compare_digest(offered, key.encode())]
    return owners[0] if owners else None
