"""Requests as an HTTP API hands them over (payload format 2.0), and answers as it takes them."""

import base64
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from video_jobs import jsontext

# What a platform's sender says of itself is worth keeping; what may hold a secret is not (Authorization, cookies).
_KEPT_HEADERS = (
    "content-type",
    "content-length",
    "user-agent",
    "x-forwarded-for",
    "x-amzn-trace-id",
    "x-api-video-webhookid",
)


class MalformedBodyError(Exception):
    """The body is not what the event says that it is: base64 that cannot be decoded."""


class Request:
    """One HTTP request, as an event of an HTTP API."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        # a header that came more than once arrives as one, joined by a comma
        self.headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        self._query = parse_qs(event.get("rawQueryString") or "", errors="replace")

    @property
    def path(self) -> str:
        return str(self._event.get("rawPath", ""))

    @cached_property
    def body(self) -> bytes:
        """The body as it was sent: nothing if there was none. Raises MalformedBodyError."""
        text = self._event.get("body") or ""
        if not self._event.get("isBase64Encoded"):
            return text.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(text, validate=True)
        except ValueError as error:  # or its subclass binascii.Error
            raise MalformedBodyError(f"the body is not base64: {error}") from None

    @property
    def received_at_seconds(self) -> float:
        """When API Gateway received it, in seconds since 1970: no sender can set it."""
        context = self._event.get("requestContext")
        epoch = context.get("timeEpoch") if isinstance(context, dict) else None
        return epoch / 1000 if isinstance(epoch, int | float) else time.time()

    @property
    def domain(self) -> str:
        """The API's domain that was called, as API Gateway knows it: no sender can set it."""
        context = self._event.get("requestContext")
        return str(context.get("domainName", "")) if isinstance(context, dict) else ""

    @property
    def kept_headers(self) -> dict[str, str]:
        """The headers to archive."""
        return {name: self.headers[name] for name in _KEPT_HEADERS if name in self.headers}

    def parameter(self, name: str) -> str | None:
        """A parameter of the query that came exactly once."""
        found = self._query.get(name, [])
        return found[0] if len(found) == 1 else None


def json_answer(status: int, body: Mapping[str, Any], *, content_type: str = "application/json") -> dict[str, Any]:
    """An answer in payload format 2.0."""
    return {"statusCode": status, "headers": {"content-type": content_type}, "body": jsontext.write(body)}
