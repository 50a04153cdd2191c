"""The jobs API, as a caller of it: with a time limit on every call."""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import urllib3
from video_jobs.api.views import EventPage, EventView, JobPage, JobSummary, JobView

TIMEOUT_SECONDS = 20
PATIENT = urllib3.Retry(
    total=2, allowed_methods=None, status_forcelist=[502, 503, 504], backoff_factor=0.2, raise_on_status=False
)


class ApiError(Exception):
    """The API did not answer, or not as it should: the message says which call, and what it said."""


class JobsApi:
    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"x-api-key": key, "content-type": "application/json"}
        self._connections = urllib3.PoolManager(timeout=TIMEOUT_SECONDS)

    def probe(self) -> None:
        """Raises ApiError if it does not list jobs."""
        self._call("GET", "/jobs?limit=1", expected=HTTPStatus.OK)

    def create(self, request: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """The same key makes no second job, so a call without an answer is sent again."""
        body = self._call(
            "POST", "/jobs", expected=HTTPStatus.CREATED, request=request, headers={"idempotency-key": idempotency_key}
        )
        return JobView.model_validate_json(body)

    def job(self, job_id: str) -> JobView:
        return JobView.model_validate_json(self._call("GET", f"/jobs/{job_id}", expected=HTTPStatus.OK))

    def ended(self, batch: str) -> set[str]:
        """The ids of the jobs of a batch that have ended. Like every list this one may be a moment behind."""
        return {job.job_id for job in self._list(f"batch={quote(batch)}") if job.status.ended}

    def job_ids(self, provider: str) -> set[str]:
        """Of all its jobs."""
        return {job.job_id for job in self._list(f"provider={provider}")}

    def events(self, job_id: str) -> list[EventView]:
        """The first hundred."""
        body = self._call("GET", f"/jobs/{job_id}/events?limit=100", expected=HTTPStatus.OK)
        return EventPage.model_validate_json(body).events

    def retry(self, job_id: str) -> JobView:
        """Sent once: a second one would find a job that has not failed."""
        answer = self._call("POST", f"/jobs/{job_id}/retry", expected=HTTPStatus.OK, retries=urllib3.Retry(0))
        return JobView.model_validate_json(answer)

    def cancel(self, job_id: str) -> JobView:
        """Of an open job: an ended one would be deleted."""
        return JobView.model_validate_json(self._call("DELETE", f"/jobs/{job_id}", expected=HTTPStatus.OK))

    def _list(self, query: str) -> Iterator[JobSummary]:
        cursor: str | None = ""
        while cursor is not None:
            path = f"/jobs?limit=100&{query}" + (f"&cursor={quote(cursor)}" if cursor else "")
            page = JobPage.model_validate_json(self._call("GET", path, expected=HTTPStatus.OK))
            yield from page.jobs
            cursor = page.cursor

    def _call(self, method: str, path: str, *, expected: HTTPStatus, **details: Any) -> bytes:
        answer = self._send(method, path, **details)
        if answer.status != expected:
            said = answer.data[:200].decode(errors="replace")
            raise ApiError(f"{method} {path} was answered {answer.status}, not {expected.value}: {said}")
        return answer.data

    def _send(
        self,
        method: str,
        path: str,
        *,
        request: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retries: urllib3.Retry = PATIENT,
    ) -> urllib3.BaseHTTPResponse:
        body = None if request is None else json.dumps(request)
        try:
            return self._connections.request(
                method, self._url + path, body=body, headers=self._headers | dict(headers or {}), retries=retries
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(f"{method} {path} was not answered: {type(error).__name__}") from error
