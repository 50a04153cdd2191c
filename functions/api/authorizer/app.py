"""Lets those in who have an API key, in `x-api-key` or as a bearer token."""

from typing import Any

from video_jobs import logs
from video_jobs.api import keys

logger = logs.logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A simple response (payload format 2.0). A secret that cannot be read lets nobody in: API Gateway answers 500."""
    name = keys.owner({name.lower(): value for name, value in (event.get("headers") or {}).items()})
    if name is None:
        logger.warning("refused", extra={"path": event.get("rawPath")})
        return {"isAuthorized": False}
    return {"isAuthorized": True, "context": {"api_key_name": name}}
