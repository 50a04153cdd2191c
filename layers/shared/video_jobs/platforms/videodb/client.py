"""VideoDB's REST API, as far as the steps need it: JSON over urllib3.

Not its SDK: that throws away the id of the asynchronous job, which checks need, and fails on an answer that says
`request_type: async` (see docs/decisions.md).
"""

import json
from collections.abc import Mapping
from typing import Any

import urllib3

from video_jobs import jsontext, secrets, settings
from video_jobs.faults import RefusedByPlatformError, TransientError
from video_jobs.jobs import JobError
from video_jobs.platforms.videodb import errors

_TIMEOUT = urllib3.Timeout(connect=5, read=20)
_pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False, maxsize=2)


class VideoDb:
    """Calls with our API key.

    Raises TransientError for what passes (no connection, no answer in time, 429, 5xx, an answer that is not JSON) and
    RefusedByPlatformError, with the documented error, for what does not.
    """

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """VideoDB's answer to a submission; one that says `success: false` is a refusal, whatever its status.

        Nothing is repeated here: a submission costs money, and the step counts its attempts.
        """
        answer = self._call("POST", path, body)
        if answer.get("success") is False:
            raise _refusal(answer, status=200)
        return answer

    def get(self, path: str) -> dict[str, Any]:
        """VideoDB's answer to a question; `success: false` in it is about what was asked for."""
        return self._call("GET", path, None)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        status, answer = self._send(method, path, body, api_key=_api_key() or "")
        if status == 401 and (newer := _api_key(newer=True)):
            status, answer = self._send(method, path, body, api_key=newer)
        if not 200 <= status < 300:
            raise _refusal(answer, status=status)
        return answer

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, api_key: str
    ) -> tuple[int, dict[str, Any]]:
        """The HTTP status, below 500 and not 429, and the answer's JSON object."""
        try:
            answer = _pool.request(
                method,
                settings.setting("VIDEODB_URL") + path,
                body=None if body is None else json.dumps(body),
                headers={"x-access-token": api_key, "content-type": "application/json"},
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(unavailable(f"no answer from VideoDB: {type(error).__name__}")) from None
        if answer.status == 429 or answer.status >= 500:
            raise TransientError(
                unavailable(f"VideoDB answered {answer.status}"), wait_seconds=_retry_after(answer.headers)
            )
        try:
            parsed = jsontext.read(answer.data)
        except jsontext.NotJsonError:
            parsed = None
        if not 200 <= answer.status < 300:
            return answer.status, parsed if isinstance(parsed, dict) else {}
        if not isinstance(parsed, dict):
            raise TransientError(unavailable(f"VideoDB answered {answer.status} with something that is not JSON"))
        return answer.status, parsed


def _refusal(answer: Mapping[str, Any], *, status: int) -> RefusedByPlatformError:
    message = answer.get("message")
    error = errors.from_message(message if isinstance(message, str) else None, status=status)
    return RefusedByPlatformError(error, status=status)


def unavailable(message: str) -> JobError:
    """The error of a fault that passes, once its attempts are used up."""
    return JobError(
        code="platform_unavailable",
        message=message,
        cause="VideoDB could not be reached, or could not answer, in any attempt",
        action="Retry when VideoDB is available again",
        retryable=True,
    )


def _api_key(*, newer: bool = False) -> str | None:
    """The API key; with `newer` as it is now, or None if it was read a moment ago.

    Raises TransientError if there is none that an HTTP header can hold. Nothing of it is ever in a message.
    """
    try:
        read = secrets.newer_values if newer else secrets.values
        values = read("VIDEODB_API_KEY_SECRET")
    except secrets.SecretUnavailableError as error:
        raise _not_configured(str(error)) from None
    if values is None:
        return None
    key = values.get("api_key", "").strip()  # a line break comes with many a copied key
    if not key or not (key.isascii() and key.isprintable()):
        raise _not_configured("the secret has no api_key, or one that is not plain text")
    return key


def _not_configured(message: str) -> TransientError:
    return TransientError(
        JobError(
            code="not_configured",
            message=message,
            cause="The stack has no VideoDB API key",
            action='Put {"api_key": "sk-…"} into the stack\'s VideoDbApiKey secret, then retry',
            retryable=True,
        )
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, if the answer says so. (VideoDB documents no rate limit: the header is HTTP's own.)"""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdecimal() else None
