"""The jobs API, as a caller of it: with a time limit on every call."""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import urllib3
from video_jobs.api.views import EventPage, EventView, JobPage, JobSummary, JobView

TIMEOUT_SECONDS = 30
"""As an API Gateway has it, times how slow the machine is."""
FIRST_TIMEOUT_SECONDS = 120
"""Before that is known."""
# every call may come twice: those that make something have an Idempotency-Key
RETRY = urllib3.Retry(
    total=6,
    allowed_methods=None,
    status_forcelist=[502, 503, 504],
    backoff_factor=0.2,
    backoff_max=5,
    raise_on_status=False,
)


class ApiError(Exception):
    """The API did not answer, or not as it should: the message says which call, and what it said."""


class JobsApi:
    """`slowness`: how many times longer than usual this machine takes."""

    def __init__(self, url: str, key: str) -> None:
        self.slowness: float | None = None
        self._url = url
        self._headers = {"x-api-key": key, "content-type": "application/json"}
        self._connections = urllib3.PoolManager()

    def probe(self) -> None:
        """Raises ApiError if it does not list jobs."""
        self._call("GET", "/jobs?limit=1", expected=HTTPStatus.OK)

    def create(self, request: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """The same key makes no second job, so a call without an answer is sent again."""
        body = self._call(
            "POST", "/jobs", expected=HTTPStatus.CREATED, request=request, headers={"idempotency-key": idempotency_key}
        )
        return JobView.model_validate_json(body)

    def job(self, job_id: str) -> JobView | None:
        """None: there is none, or no more."""
        answer = self._send("GET", f"/jobs/{job_id}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return JobView.model_validate_json(_expected(answer, HTTPStatus.OK, f"GET /jobs/{job_id}"))

    def jobs(self) -> dict[str, JobSummary]:
        """All jobs, by their ids. Like every list this one may be a moment behind."""
        return {job.job_id: job for job in self._list()}

    def events(self, job_id: str) -> list[EventView]:
        """The first hundred."""
        body = self._call("GET", f"/jobs/{job_id}/events?limit=100", expected=HTTPStatus.OK)
        return EventPage.model_validate_json(body).events

    def _list(self) -> Iterator[JobSummary]:
        cursor: str | None = ""
        while cursor is not None:
            path = "/jobs?limit=100" + (f"&cursor={quote(cursor)}" if cursor else "")
            page = JobPage.model_validate_json(self._call("GET", path, expected=HTTPStatus.OK))
            yield from page.jobs
            cursor = page.cursor

    def _call(self, method: str, path: str, *, expected: HTTPStatus, **details: Any) -> bytes:
        return _expected(self._send(method, path, **details), expected, f"{method} {path}")

    def _send(
        self,
        method: str,
        path: str,
        *,
        request: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._connections.request(
                method,
                self._url + path,
                body=None if request is None else json.dumps(request),
                headers=self._headers | dict(headers or {}),
                timeout=TIMEOUT_SECONDS * self.slowness if self.slowness else FIRST_TIMEOUT_SECONDS,
                retries=RETRY,
            )
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise ApiError(f"{method} {path} was not answered: {type(reason).__name__}") from error


def _expected(answer: urllib3.BaseHTTPResponse, status: HTTPStatus, call: str) -> bytes:
    if answer.status != status:
        said = answer.data[:200].decode(errors="replace")
        raise ApiError(f"{call} was answered {answer.status}, not {status.value}: {said}")
    return answer.data
