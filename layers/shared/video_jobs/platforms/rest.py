"""Calls to a platform's REST API: JSON over urllib3, with a key from the platform's secret.

Not the platforms' SDKs: what each lacks stands in docs/decisions.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from video_jobs import jsontext, settings, waits
from video_jobs.aws import secrets
from video_jobs.aws.errors import AwsUnavailableError, is_aws_error
from video_jobs.jobs.model import JobError
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError

if TYPE_CHECKING:
    from video_jobs.forms import FormFile

_TIMEOUT = urllib3.Timeout(connect=5, read=20)
_pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False, maxsize=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a platform answered: below 500, and not 429. `body` is {} where a refusal has no JSON object."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def _undocumented(_body: Mapping[str, Any]) -> JobError | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestClient:
    """A platform's API.

    Nothing is repeated here but what a rotated key had refused: a submission costs money, and the step counts its
    attempts.
    """

    platform: str
    """Its name, for people."""
    url_setting: str
    """The environment variable with its address, without a trailing slash."""
    secret_setting: str
    """The environment variable with the name of its secret, which has the key as "api_key"."""
    authorize: Callable[[str], Mapping[str, str]]
    """The headers that a key is sent in."""
    wait: Callable[[Mapping[str, str]], float | None] = lambda headers: waits.retry_after(headers.get("retry-after"))
    """How many seconds a 429's headers ask to wait."""
    documented: Callable[[Mapping[str, Any]], JobError | None] = _undocumented
    """The documented error that a body names, whatever its status; None if it names none."""
    passing: frozenset[str] = frozenset({"too_many_requests"})
    """Codes of documented errors that pass."""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        fields: "Mapping[str, str | FormFile] | None" = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a JSON body, or a form's fields as multipart/form-data, or neither.

        Raises TransientError for what passes: no connection, no answer in time, 429, 5xx, success that is not JSON;
        RefusedByPlatformError for a 429 or 5xx whose body names an error that does not pass; and AwsUnavailableError
        if AWS keeps us from asking.
        """
        answer = self._send(method, path, body, fields, headers, api_key=self._api_key() or "")
        if answer.status == 401 and (newer := self._api_key(newer=True)):
            answer = self._send(method, path, body, fields, headers, api_key=newer)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        fields: "Mapping[str, str | FormFile] | None",
        headers: Mapping[str, str] | None,
        *,
        api_key: str,
    ) -> Answer:
        sent = {**(headers or {}), **self.authorize(api_key)}
        if fields is None:
            sent |= {"content-type": "application/json"}
        try:
            answer = _pool.request(
                method,
                settings.setting(self.url_setting) + path,
                body=None if body is None else jsontext.write(body),
                fields=None if fields is None else dict(fields),
                headers=sent,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise self.unavailable(f"no answer from {self.platform}: {type(error).__name__}") from None
        if answer.status == 429 or answer.status >= 500:
            raise self.error(Answer(status=answer.status, body=_json_object(answer.data) or {}, headers=answer.headers))
        # what was deleted has nothing to say
        found = {} if method == "DELETE" and not answer.data else _json_object(answer.data)
        if found is None and 200 <= answer.status < 300:
            raise self.unavailable(f"{self.platform} answered {answer.status} with something that is not JSON")
        return Answer(status=answer.status, body=found or {}, headers=answer.headers)

    def error(self, answer: Answer) -> TransientError | RefusedByPlatformError:
        """What a status comes to that means an error that passes: a documented error in its body knows better."""
        wait = self.wait(answer.headers)
        known = self.documented(answer.body)
        if known is None:
            return self.unavailable(f"{self.platform} answered {answer.status}", wait=wait, status=answer.status)
        if known.code not in self.passing:
            return RefusedByPlatformError(known, status=answer.status, body=answer.body)
        rate_limited = answer.status == 429 or known.code == "too_many_requests"
        return TransientError(known, wait_seconds=wait, status=answer.status, rate_limited=rate_limited)

    def unavailable(self, message: str, *, wait: float | None = None, status: int | None = None) -> TransientError:
        """An error that passes, with the error that a step gets once its attempts are used up."""
        error = JobError(
            code="platform_unavailable",
            message=message,
            cause=f"{self.platform} could not be reached, or could not answer, in any attempt",
            action=f"Retry when {self.platform} is available again",
            retryable=True,
        )
        return TransientError(error, wait_seconds=wait, status=status, rate_limited=status == 429)

    def _api_key(self, *, newer: bool = False) -> str | None:
        """The API key; with `newer` as it is now, or None if it was read a moment ago.

        Raises TransientError if there is none that an HTTP header can hold, and AwsUnavailableError if AWS does not
        answer. Nothing of it is ever in a message.
        """
        try:
            read = secrets.newer_values if newer else secrets.values
            values = read(self.secret_setting)
        except secrets.SecretUnavailableError as error:
            if is_aws_error(error):
                raise AwsUnavailableError(str(error)) from error
            raise self._not_configured(str(error)) from None
        if values is None:
            return None
        key = values.get("api_key", "")
        if not key or not (key.isascii() and key.isprintable()):
            raise self._not_configured("the secret has no api_key, or one that is not plain text")
        return key

    def _not_configured(self, message: str) -> TransientError:
        """Worth another attempt, once somebody has put the key there."""
        error = JobError(
            code="not_configured",
            message=message,
            cause=f"The stack has no {self.platform} API key",
            action=f'Put {{"api_key": "…"}} into the stack\'s secret for {self.platform}, then retry',
            retryable=True,
        )
        return TransientError(error)


def _json_object(data: bytes) -> dict[str, Any] | None:
    try:
        found = jsontext.read_answer(data)
    except jsontext.NotJsonError:
        return None
    return found if isinstance(found, dict) else None
