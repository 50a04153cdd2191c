"""How our own `tasks` say no: TwelveLabs' codes and words, in TwelveLabs' shape.

The codes, and the messages with a parameter in them, are printed on TwelveLabs' pages "Error codes" and "Video indexing
tasks". Which HTTP status goes with which code is inferred from the documented list of statuses (200, 201, 400, 401,
404, 429), and so is 503, which SDK 1.3.6 knows.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.twelvelabs import errors

DOCS_URL = "https://docs.twelvelabs.io/api-reference/error-codes"


class RefusedRequestError(Exception):
    """The caller is answered this, and nothing else happens."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "docs_url": DOCS_URL}


def api_key_invalid() -> RefusedRequestError:
    return RefusedRequestError(
        HTTPStatus.UNAUTHORIZED,
        "api_key_invalid",
        "API Key is either invalid or expired. Please check your API key or generate a new one from the dashboard "
        "and try again.",
    )


def parameter_not_provided(name: str) -> RefusedRequestError:
    message = f"The {name} parameter is required but was not provided."
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, "parameter_not_provided", message)


def parameter_unknown(name: str) -> RefusedRequestError:
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, "parameter_unknown", f"The {name[:64]} parameter is unknown.")


def parameter_invalid(name: str, why: str) -> RefusedRequestError:
    message = f"The {name} parameter is invalid. {why}"
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, "parameter_invalid", message)


def unreadable(why: str) -> RefusedRequestError:
    message = f"The request contains some invalid parameters. {why}"
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, "parameter_invalid", message)


def task_not_exist(task_id: str) -> RefusedRequestError:
    message = f"Resource with id {task_id} does not exist in tasks."
    return RefusedRequestError(HTTPStatus.NOT_FOUND, "resource_not_exist", message)


def route_not_allowed(method: str, path: str) -> RefusedRequestError:
    return RefusedRequestError(HTTPStatus.NOT_FOUND, "api_not_allowed", f"{method} {path} is not allowed to use.")


def task_cannot_be_deleted(why: str) -> RefusedRequestError:
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, "task_cannot_be_deleted", why)


def file_too_large(size: int, *, most: int) -> RefusedRequestError:
    """The printed sentence, and what to do: TwelveLabs itself takes 2 GB."""
    message = (
        f"The video is too large. Please use a video with a size less than {most / 1e6:.1f} MB. "
        f"The current size is {size / 1e6:.1f} MB. This deployment passes only small files on: "
        "for a larger one put it where TwelveLabs can fetch it, and send its video_url."
    )
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, "video_filesize_too_large", message)


def file_broken() -> RefusedRequestError:
    return RefusedRequestError(
        HTTPStatus.BAD_REQUEST,
        "video_file_broken",
        "Cannot read video file. Please check the video file is valid and try again.",
    )


def unavailable(message: str, *, wait: float | None = None) -> RefusedRequestError:
    """The code is ours: no page has one for this."""
    return RefusedRequestError(
        HTTPStatus.SERVICE_UNAVAILABLE, "service_unavailable", message, headers=_retry_after(wait)
    )


def passed_on(error: RefusedByPlatformError | TransientError) -> RefusedRequestError:
    """What TwelveLabs answered to us, for who asked us. That our key is no good is nothing that they can mend."""
    if isinstance(error, TransientError):
        return _passing(error)
    if error.error.code == errors.API_KEY_INVALID.code:
        return unavailable("TwelveLabs does not accept the API key of this deployment.")
    code = errors.code_of(error.body) or error.error.code
    return RefusedRequestError(error.status, code, errors.message_of(error.body) or error.error.message)


def _passing(error: TransientError) -> RefusedRequestError:
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RefusedRequestError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_requests",
            "TwelveLabs' rate limit is used up. Please try again later.",
            headers=_retry_after(error.wait_seconds),
        )
    return unavailable(f"{error.error.message}. Please try again later.", wait=error.wait_seconds)


def _retry_after(wait: float | None) -> dict[str, str]:
    return {} if wait is None else {"retry-after": str(math.ceil(wait))}
