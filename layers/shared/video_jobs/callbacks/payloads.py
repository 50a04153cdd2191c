"""How a callback's body is read: strictly, for two readers must not understand it differently."""

from typing import Any

from pydantic import BaseModel, ValidationError

from video_jobs.http import MalformedBodyError, Request
from video_jobs.jobs.model import LARGEST_BODY
from video_jobs.jsontext import NotJsonError
from video_jobs.platforms.callback import Callback


class UnreadableError(Exception):
    """Proven, but not a body that we understand: it waits among the dead letters for a fix. The body is not quoted."""


class TooLargeError(UnreadableError):
    """Proven, but more than we take."""


def body_of(request: Request) -> bytes:
    """The body as it was sent. Raises UnreadableError."""
    try:
        return request.body
    except MalformedBodyError as error:
        raise UnreadableError(str(error)) from None


def payload_of[P: BaseModel](callback: Callback[P], body: bytes) -> P:
    """The body as its model, whatever its content type says. Raises UnreadableError, or TooLargeError above 256 KB."""
    if len(body) > LARGEST_BODY:
        raise TooLargeError(f"{len(body)} bytes; {LARGEST_BODY} is the most")
    try:
        return callback.payload.model_validate(callback.read(body))
    except NotJsonError as error:
        raise UnreadableError(str(error)) from None
    except ValidationError as error:
        raise UnreadableError(f"unexpected: {', '.join(map(_place, error.errors()[:5]))}") from None


def _place(error: Any) -> str:
    return ".".join(map(str, error["loc"])) + f" ({error['type']})"
