"""Creates, shows, lists, retries, replays and deletes jobs."""

import json
import re
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader
from video_jobs import jsontext, queues, settings, store
from video_jobs.api import problems, requests
from video_jobs.api.problems import Problem, ProblemError
from video_jobs.api.views import EventPage, EventView, JobPage, JobView, ReplayView
from video_jobs.http import MalformedBodyError, Request
from video_jobs.jobs import Job, JobStatus, StepStatus
from video_jobs.platforms.requests import PROVIDERS, AnyJobRequest

LARGEST_BODY = 256 * 1024
"""Bytes. The table takes 400 KB a job, and what its platform says of it must fit as well."""

# The framework looks for the parameters' kinds in plain aliases, not in `type` statements.
logger = Logger(serialize_stacktrace=False)
app = APIGatewayHttpResolver(enable_validation=True)

Provider = Literal["videodb", "twelvelabs", "apivideo", "apsaravideo"]
JobId = Annotated[str, Path(max_length=128, description="The job's id.")]
EventId = Annotated[str, Path(max_length=64, description="The event's id.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same request gives the same job, however often it is sent.",
    ),
]
Cursor = Annotated[str | None, Query(max_length=300, description="Where to go on: an earlier answer's cursor.")]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]


def _problem(description: str) -> OpenAPIResponse:
    return {"description": description, "content": {problems.CONTENT_TYPE: {"model": Problem}}}


def _gateway(description: str) -> OpenAPIResponse:
    """What API Gateway answers, and not this function."""
    return {"description": description, "content": {"application/json": {"model": problems.GatewayMessage}}}


_ALWAYS: dict[int, OpenAPIResponse] = {
    403: _gateway("Not one of the API keys"),
    500: _gateway("The API keys cannot be read, or the function broke off"),
    503: {
        "description": "AWS did not answer; try again",
        "content": {problems.CONTENT_TYPE: {"model": Problem}, "application/json": {"model": problems.GatewayMessage}},
    },
}
_INVALID: dict[int, OpenAPIResponse] = {422: _problem("The request does not fit")}
_UNKNOWN: dict[int, OpenAPIResponse] = {404: _problem("There is no such job or event")}
_CONFLICT: dict[int, OpenAPIResponse] = {409: _problem("The job is not in a state that allows this")}
_UNREADABLE: dict[int, OpenAPIResponse] = {
    400: _problem("The body is not JSON"),
    413: _problem("The body is larger than 256 KB"),
    415: _problem("The content type is not JSON"),
}
_LOCATION: dict[str, OpenAPIResponseHeader] = {
    "Location": {"description": "Where the job is shown: /jobs/{job_id}", "schema": {"type": "string"}}
}
_EXAMPLES: dict[str, Any] = {
    "source": {
        "summary": "Upload a video, and index it in every way",
        "value": {"provider": "videodb", "source": "https://example.com/lecture.mp4"},
    },
    "twelvelabs": {
        "summary": "Upload a video to TwelveLabs, and index it",
        "value": {
            "provider": "twelvelabs",
            "source": "https://example.com/lecture.mp4",
            "options": {"index_id": "62a0906d47f5678267ec10a6"},
        },
    },
    "apivideo": {
        "summary": "Have api.video encode a video",
        "value": {"provider": "apivideo", "source": "https://example.com/lecture.mp4"},
    },
    "apsaravideo": {
        "summary": "Have ApsaraVideo VOD fetch a video",
        "value": {"provider": "apsaravideo", "source": "https://example.com/lecture.mp4"},
    },
    "media_id": {
        "summary": "Index the speech of a video that VideoDB has already",
        "value": {
            "provider": "videodb",
            "media_id": "m-0a1b2c3d",
            "steps": ["index_spoken_words"],
            "options": {"index_spoken_words": {"language_code": "en_us"}},
            "batch": "autumn-term",
            "retry": {"max_attempts": 5, "base_delay": 2},
        },
    },
}


@app.post(
    "/jobs",
    operation_id="createJob",
    tags=["jobs"],
    summary="Create a job",
    status_code=201,
    responses={
        201: {"description": "The job; also if its Idempotency-Key had made it before", "headers": _LOCATION},
        409: _problem("The job that this Idempotency-Key made has been deleted"),
        **_INVALID,
        **_UNREADABLE,
        **_ALWAYS,
    },
)
def create(
    request: Annotated[AnyJobRequest, Body(openapi_examples=_EXAMPLES)], idempotency_key: IdempotencyKey = None
) -> Response[JobView]:
    wanted = request.new_job(requests.job_id(idempotency_key))
    try:
        job = store.create(wanted)
    except store.ConflictError:
        raise ProblemError(
            HTTPStatus.CONFLICT, "job_deleted", "The job that this Idempotency-Key made has been deleted."
        ) from None
    if job.request_digest != wanted.request_digest:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "This Idempotency-Key came with another request before.",
        )
    if not job.status.ended:
        _start(job)
    logger.info("created", extra={"job_id": job.job_id, "provider": job.provider, "replayed": job is not wanted})
    return _answer(HTTPStatus.CREATED, JobView.of(job), headers={"location": f"/jobs/{job.job_id}"})


@app.get(
    "/jobs",
    operation_id="listJobs",
    tags=["jobs"],
    summary="List jobs, newest first",
    responses={200: {"description": "Jobs"}, **_INVALID, **_ALWAYS},
)
def list_jobs(
    provider: Annotated[Provider | None, Query(description="Only this platform's.")] = None,
    status: Annotated[JobStatus | None, Query(description="Only those of this status.")] = None,
    batch: Annotated[str | None, Query(min_length=1, max_length=128, description="Only those of this batch.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> JobPage:
    if cursor is not None and not re.fullmatch(r"[0-9T:.Z-]{20,30}#[\w.-]{1,128}", cursor, re.ASCII):
        raise _not_a_cursor()
    providers = (provider,) if provider else PROVIDERS
    if batch is not None:
        page = store.jobs_of_batch(batch, providers=providers, status=status, limit=limit, cursor=cursor)
    else:
        page = store.jobs(providers=providers, status=status, limit=limit, cursor=cursor)
    return JobPage.of(page)


@app.get(
    "/jobs/<job_id>",
    operation_id="showJob",
    tags=["jobs"],
    summary="Show a job",
    responses={200: {"description": "The job"}, **_UNKNOWN, **_INVALID, **_ALWAYS},
)
def show(job_id: JobId) -> JobView:
    return JobView.of(_job(job_id))


@app.delete(
    "/jobs/<job_id>",
    operation_id="deleteJob",
    tags=["jobs"],
    summary="Cancel a job, or delete one that has ended",
    responses={
        200: {
            "description": "It was open and is canceled; what the platform still does is not recorded any more",
            "content": {"application/json": {"model": JobView}},
        },
        204: {"description": "It had ended and is deleted, with its events", "content": {}},
        **_UNKNOWN,
        **_CONFLICT,
        **_INVALID,
        **_ALWAYS,
    },
)
def delete(job_id: JobId) -> Response[JobView | None]:
    job = _job(job_id)
    try:
        if job.status.ended:
            store.delete(job)
            return Response(status_code=HTTPStatus.NO_CONTENT, body=None)
        canceled = store.cancel(job)
    except store.ConflictError:
        canceled = None
    if canceled is None:
        raise ProblemError(HTTPStatus.CONFLICT, "job_moved", "The job changed at the same moment; try again.")
    return _answer(HTTPStatus.OK, JobView.of(canceled))


@app.post(
    "/jobs/<job_id>/retry",
    operation_id="retryJob",
    tags=["jobs"],
    summary="Try a failed job again, from the step that failed",
    responses={200: {"description": "The job"}, **_UNKNOWN, **_CONFLICT, **_INVALID, **_ALWAYS},
)
def retry(job_id: JobId) -> JobView:
    job = _job(job_id)
    step = job.current
    if job.adopted:
        raise ProblemError(
            HTTPStatus.CONFLICT, "job_adopted", "The work was started elsewhere: only its owner can start it again."
        )
    if job.status != JobStatus.FAILED or step is None or job.steps[step].status != StepStatus.FAILED:
        raise ProblemError(
            HTTPStatus.CONFLICT, "job_not_failed", f"The job is {job.status}; only a failed one can be retried."
        )
    try:
        queued = store.retry(job, step)
    except store.ConflictError:
        raise ProblemError(
            HTTPStatus.CONFLICT, "job_moved", "The job changed at the same moment; look at it and try again."
        ) from None
    _start(queued)
    return JobView.of(queued)


@app.get(
    "/jobs/<job_id>/events",
    operation_id="listEvents",
    tags=["events"],
    summary="Show what the platform said, word for word",
    responses={200: {"description": "Events"}, **_UNKNOWN, **_INVALID, **_ALWAYS},
)
def list_events(job_id: JobId, limit: Limit = 20, cursor: Cursor = None) -> EventPage:
    if cursor is not None and not re.fullmatch(r"[0-9a-f]{32}", cursor):
        raise _not_a_cursor()
    _job(job_id)
    return EventPage.of(store.events(job_id, limit=limit, cursor=cursor))


@app.post(
    "/jobs/<job_id>/events/<event_id>/replay",
    operation_id="replayEvent",
    tags=["events"],
    summary="Give an archived callback to its function again",
    status_code=202,
    responses={202: {"description": "It is on its way"}, **_UNKNOWN, **_CONFLICT, **_INVALID, **_ALWAYS},
)
def replay(job_id: JobId, event_id: EventId) -> Response[ReplayView]:
    _job(job_id)
    item = store.event(job_id, event_id)
    if item is None:
        raise problems.not_found("event")
    event = EventView.model_validate(item)
    if event.via != "callback":
        raise ProblemError(
            HTTPStatus.CONFLICT, "not_a_callback", f"The event is not a callback: we learnt it by a {event.via}."
        )
    again = {
        "headers": event.headers,
        "body": event.body,
        "redelivery": {"job_id": job_id, "attempt": event.attempt, "replay": True},
    }
    queues.send_delivery(settings.setting("DELIVERIES_QUEUE_URL"), event.callback, again)
    return _answer(HTTPStatus.ACCEPTED, ReplayView(job_id=job_id, event_id=event_id))


def _job(job_id: str) -> Job:
    job = store.get(job_id)
    if job is None:
        raise problems.not_found("job")
    return job


def _start(job: Job) -> None:
    """Tell the worker; if that fails, the job is in the table, and the next sweep tells it."""
    try:
        queues.send_start(job.provider, job.job_id)
    except Exception:
        logger.exception("left to the sweep", extra={"job_id": job.job_id})


def _not_a_cursor() -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_cursor", "The cursor is not one that we gave out.")


def _answer[T](status: HTTPStatus, body: T, *, headers: dict[str, Any] | None = None) -> Response[T]:
    return Response(status_code=status, content_type="application/json", body=body, headers=headers)


# --- How it says no --------------------------------------------------------------------------------------------------


def _say_no(error: ProblemError) -> Response[str]:
    return Response(
        status_code=error.problem.status,
        content_type=problems.CONTENT_TYPE,
        body=error.problem.model_dump_json(exclude_defaults=False),
    )


@app.exception_handler(ProblemError)  # type: ignore[untyped-decorator]
def _on_problem(error: ProblemError) -> Response[str]:
    return _say_no(error)


@app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
def _on_invalid(error: RequestValidationError) -> Response[str]:
    return _say_no(problems.invalid(error.errors(), tags=PROVIDERS))


@app.not_found
def _on_unknown_route(error: NotFoundError) -> Response[str]:
    return _say_no(problems.not_found("route"))


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def _on_fault(error: Exception) -> Response[str]:
    """Nothing that a caller can do leads here; what did is in the log."""
    logger.exception("fault")
    return _say_no(
        ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "The request could not be handled; try again.")
    )


def _strictly_read(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its body as we read it: the framework reads JSON, and content types, otherwise than we do."""
    request = Request(event)
    plain = event | {"headers": request.headers | {"content-type": "application/json"}, "isBase64Encoded": False}
    try:
        body = request.body
        if not body:
            return plain | {"body": None}
        _require_json(request.headers.get("content-type", "application/json"))
        text = json.dumps(jsontext.read(body), ensure_ascii=False, allow_nan=False)
        size = max(len(body), len(text.encode()))
    except (MalformedBodyError, jsontext.NotJsonError, ValueError, RecursionError) as error:
        # the last two: a number that only infinity holds (1e999), and more nesting than can be written down again
        raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed_json", f"The body cannot be read: {error}.") from None
    if size > LARGEST_BODY:
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"The body has {size} bytes; {LARGEST_BODY} is the most."
        )
    return plain | {"body": text}


def _require_json(content_type: str) -> None:
    kind = content_type.split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "Send JSON, with content-type: application/json."
        )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    logger.clear_state()
    try:
        plain = _strictly_read(event)
    except ProblemError as error:
        return {
            "statusCode": error.problem.status,
            "headers": {"content-type": problems.CONTENT_TYPE},
            "body": error.problem.model_dump_json(),
        }
    answer = app.resolve(plain, context)
    return answer | {"body": answer.get("body") or ""}  # payload format 2.0 knows no null body
