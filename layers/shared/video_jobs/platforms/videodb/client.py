"""VideoDB's REST API, as far as the steps need it.

Not its SDK: that throws away the id of the asynchronous job, which polls need, and fails on an answer that says
`request_type: async` (see docs/decisions.md).
"""

from collections.abc import Mapping
from typing import Any

from video_jobs.platforms.errors import RefusedByPlatformError
from video_jobs.platforms.rest import Answer, RestClient
from video_jobs.platforms.videodb import errors

_rest = RestClient(
    platform="VideoDB",
    url_setting="VIDEODB_URL",
    secret_setting="VIDEODB_API_KEY_SECRET",  # noqa: S106 (a variable's name)
    authorize=lambda key: {"x-access-token": key},
)


class VideoDb:
    """Calls with our API key.

    Raises TransientError for what passes, and RefusedByPlatformError, with the documented error, for what does not.
    """

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """VideoDB's answer to a submission; one that says `success: false` is a refusal, whatever its status."""
        answer = self._call("POST", path, body)
        if answer.body.get("success") is False:
            raise _refusal(answer)
        return answer.body

    def get(self, path: str) -> dict[str, Any]:
        """VideoDB's answer to a question; `success: false` in it is about what was asked for."""
        return self._call("GET", path, None).body

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        answer = _rest.call(method, path, body=body)
        if not answer.ok:
            raise _refusal(answer)
        return answer


def _refusal(answer: Answer) -> RefusedByPlatformError:
    message = answer.body.get("message")
    error = errors.from_message(message if isinstance(message, str) else None, status=answer.status)
    return RefusedByPlatformError(error, status=answer.status)
