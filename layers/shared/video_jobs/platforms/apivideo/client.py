"""api.video's REST API, as far as the steps need it.

Not its SDK: that fails on words of a video's status which api.video's own guide documents (see docs/decisions.md).
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from video_jobs import waits
from video_jobs.platforms.apivideo import errors
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.rest import Answer, RestClient


def basic(api_key: str) -> dict[str, str]:
    """The key is the user's name, and there is no password."""
    return {"authorization": f"Basic {base64.b64encode(f'{api_key}:'.encode()).decode()}"}


def wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until the minute is over whose requests are used up.

    Every answer has the header, a server error's too: it means something only where no request is left.
    """
    seconds = waits.seconds(headers.get("x-ratelimit-retry-after"))
    if headers.get("x-ratelimit-remaining", "0").strip() != "0" or seconds is None:
        return waits.retry_after(headers.get("retry-after"))
    return seconds


_rest = RestClient(
    platform="api.video",
    url_setting="APIVIDEO_URL",
    secret_setting="APIVIDEO_SECRET",  # noqa: S106 (a variable's name)
    authorize=basic,
    wait=wait,
    documented=errors.documented,
)


class ApiVideo:
    """Calls with our API key.

    Raises TransientError for what passes, and RefusedByPlatformError, with the documented error, for what does not.
    """

    def create_video(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Make a video, of a URL if `fields` has a `source`. It knows no idempotency key."""
        return self._call("POST", "/videos", fields)

    def videos_with(self, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
        """Videos that have all of these metadata, the oldest first."""
        query = {f"metadata[{key}]": value for key, value in metadata.items()}
        query |= {"sortBy": "createdAt", "sortOrder": "asc"}
        listed = self._call("GET", f"/videos?{urlencode(query)}", None).get("data")
        videos = [video for video in listed if isinstance(video, dict)] if isinstance(listed, list) else []
        return [video for video in videos if _has(video, metadata)]

    def video(self, video_id: str) -> dict[str, Any]:
        """A video, with its metadata."""
        return self._call("GET", f"/videos/{quote(video_id, safe='')}", None)

    def status(self, video_id: str) -> dict[str, Any]:
        """How a video's source and its encoding stand."""
        return self._call("GET", f"/videos/{quote(video_id, safe='')}/status", None)

    def unusable(self, message: str) -> TransientError:
        """A success that nothing can be done with: the next try looks whether there is something all the same."""
        return _rest.unavailable(message)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        answer = _rest.call(method, path, body=body)
        if not answer.ok:
            raise _refusal(answer)
        return answer.body


def _has(video: Mapping[str, Any], metadata: Mapping[str, str]) -> bool:
    """Whether a video has these metadata: a list that is not filtered would be full of other people's."""
    own = video.get("metadata")
    pairs = [pair for pair in own if isinstance(pair, dict)] if isinstance(own, list) else []
    return all(any((pair.get("key"), pair.get("value")) == ours for pair in pairs) for ours in metadata.items())


def _refusal(answer: Answer) -> RefusedByPlatformError:
    return RefusedByPlatformError(errors.of_refusal(answer.body, status=answer.status), status=answer.status)
