"""What TwelveLabs answers instead of what was asked: codes, messages, and the two envelopes.

The codes and the messages with their parameters are printed in https://docs.twelvelabs.io/api-reference/error-codes
and, for videos, on the page "Video indexing tasks". The HTTP status of a code is printed nowhere; that a wrong request
is 400, an unknown key 401, an unknown resource 404 and a rate limit 429 follows from the documented list of statuses.

Two envelopes are in use: the flat one, and a nested one that the SDK knows for 413, 503 and 504.
"""

from collections.abc import Mapping

type Body = dict[str, object]

NESTED = frozenset({413, 503, 504})
DOCS_URL = "https://docs.twelvelabs.io/api-reference/error-codes"

RESOLUTION_LOW, RESOLUTION_HIGH, RESOLUTION_WIDE = "320x180", "7680x4320", "3840x1080"

# printed, with the parameters filled in; for usage_limit_exceeded the page has no text, and this one is older
VIDEO_MESSAGES: Mapping[str, str] = {
    "video_resolution_too_low": (
        "The resolution of the video is too low. Please upload a video with resolution between 360x360 and 5184x2160. "
        f"Current resolution is {RESOLUTION_LOW}."
    ),
    "video_resolution_too_high": (
        "The resolution of the video is too high. Please upload a video with resolution between 360x360 and 5184x2160. "
        f"Current resolution is {RESOLUTION_HIGH}."
    ),
    "video_resolution_invalid_aspect_ratio": (
        "The aspect ratio of the video is invalid. Please upload a video with aspect ratio between 1:1 and 2.4:1. "
        f"Current resolution is {RESOLUTION_WIDE}."
    ),
    "video_duration_too_short": (
        "The video is too short. Please use a video with duration at least 4 seconds. Current duration is 2 seconds."
    ),
    "video_duration_too_long": (
        "The video is too long. Please use a video with duration at most 7200 seconds. "
        "Current duration is 9000 seconds."
    ),
    "video_file_broken": "Cannot read video file. Please check the video file is valid and try again.",
    "video_filesize_too_large": (
        "The video is too large. Please use a video with a size less than 2GB. The current size is 3GB."
    ),
    "usage_limit_exceeded": "Not enough free credit. Please register a payment method or contact sales@twelvelabs.io.",
}


class ApiError(Exception):
    """The request is answered with this, and nothing was begun."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers

    @property
    def body(self) -> Body:
        if self.status in NESTED:
            return {"error": {"code": self.code, "message": self.message}}
        return {"code": self.code, "message": self.message, "docs_url": DOCS_URL}


def parameter_invalid(name: str, why: str = "") -> ApiError:
    """`why` is ours: it helps whoever develops against the simulator."""
    return ApiError(400, "parameter_invalid", f"The {name} parameter is invalid. {why}".strip())


def parameters_invalid() -> ApiError:
    return ApiError(400, "parameter_invalid", "The request contains some invalid parameters.")


def parameter_not_provided(name: str) -> ApiError:
    return ApiError(400, "parameter_not_provided", f"The {name} parameter is required but was not provided.")


def parameter_unknown(name: str) -> ApiError:
    return ApiError(400, "parameter_unknown", f"The {name} parameter is unknown.")


def resource_not_exist(resource_id: str, collection: str) -> ApiError:
    """That `collection` is the resource's name in the path is inferred."""
    message = f"Resource with id {resource_id} does not exist in {collection}."
    return ApiError(404, "resource_not_exist", message)


def api_key_invalid() -> ApiError:
    message = (
        "API Key is either invalid or expired. Please check your API key or generate a new one from the dashboard "
        "and try again."
    )
    return ApiError(401, "api_key_invalid", message)


def task_cannot_be_deleted(why: str) -> ApiError:
    """The page says of the message that it is raw; the words are ours."""
    return ApiError(400, "task_cannot_be_deleted", why)


def asset_referenced(asset_id: str) -> ApiError:
    """The SDK documents the 409; code and words are inferred."""
    message = f"Asset {asset_id} is referenced by indexed assets. Set the force parameter to true to delete it anyway."
    return ApiError(409, "resource_conflict", message)


def video_rejected(code: str) -> ApiError:
    return ApiError(400, code, VIDEO_MESSAGES[code])


def asset_too_large() -> ApiError:
    """Inferred: the SDK documents a limit and has a type for 413, but not this call's answer."""
    return ApiError(413, "video_filesize_too_large", VIDEO_MESSAGES["video_filesize_too_large"])


def too_many_requests(retry_after: int, resets_at: int) -> ApiError:
    """The headers' names were seen in public. Inferred: that Retry-After is sent, because the SDK obeys it, and that
    the reset is in epoch seconds (UTC), as older documents say of a header with nearly the same name."""
    message = f"You have exceeded the rate limit (60req/1minute). Please try again later after {retry_after}s."
    headers = {
        "retry-after": str(retry_after),
        "x-ratelimit-request-remaining": "0",
        "x-ratelimit-request-reset": str(resets_at),
    }
    return ApiError(429, "too_many_requests", message, headers)


def service_unavailable() -> ApiError:
    """The code and the words are ours."""
    return ApiError(503, "service_unavailable", "The service is temporarily unavailable. Please try again later.")
