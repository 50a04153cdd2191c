"""Creates, shows, lists, retries, replays and deletes jobs."""

import re
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader
from video_jobs import ended, logs, queues, settings, store
from video_jobs.api import problems, requests
from video_jobs.api.native import ALWAYS, INVALID, UNREADABLE, answer, json_response, native_app, problem_response
from video_jobs.api.parameters import CREATED_CURSOR, Cursor, IdempotencyKey, Limit
from video_jobs.api.problems import ProblemError
from video_jobs.api.views import EventPage, EventView, JobPage, JobView, ReplayView
from video_jobs.api.waiting import Since, Wait, when_changed
from video_jobs.jobs import Job, JobStatus, StepStatus
from video_jobs.platforms import media
from video_jobs.platforms.requests import PROVIDERS, AnyJobRequest

LARGEST_BODY = 256 * 1024
"""Bytes. The table takes 400 KB a job, and what its platform says of it must fit as well."""

# The framework looks for the parameters' kinds in plain aliases, not in `type` statements.
logger = logs.logger()
app = native_app(logger)

Provider = Literal["videodb", "twelvelabs", "apivideo", "apsaravideo"]
JobId = Annotated[str, Path(max_length=128, description="The job's id.")]
EventId = Annotated[str, Path(max_length=64, description="The event's id.")]

_UNKNOWN: dict[int, OpenAPIResponse] = {404: problem_response("There is no such job or event")}
_CONFLICT: dict[int, OpenAPIResponse] = {409: problem_response("The job is not in a state that allows this")}
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
        409: problem_response("The job that this Idempotency-Key made has been deleted"),
        **INVALID,
        **UNREADABLE,
        **ALWAYS,
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
    return json_response(HTTPStatus.CREATED, JobView.of(job), headers={"location": f"/jobs/{job.job_id}"})


@app.get(
    "/jobs",
    operation_id="listJobs",
    tags=["jobs"],
    summary="List jobs, newest first",
    responses={200: {"description": "Jobs"}, **INVALID, **ALWAYS},
)
def list_jobs(
    provider: Annotated[Provider | None, Query(description="Only this platform's.")] = None,
    status: Annotated[JobStatus | None, Query(description="Only those of this status.")] = None,
    batch: Annotated[str | None, Query(min_length=1, max_length=128, description="Only those of this batch.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> JobPage:
    if cursor is not None and not CREATED_CURSOR.fullmatch(cursor):
        raise problems.invalid_cursor()
    providers = (provider,) if provider else PROVIDERS
    return JobPage.of(store.jobs(providers=providers, status=status, batch=batch, limit=limit, cursor=cursor))


@app.get(
    "/jobs/<job_id>",
    operation_id="showJob",
    tags=["jobs"],
    summary="Show a job, or wait until it has changed",
    responses={200: {"description": "The job"}, **_UNKNOWN, **INVALID, **ALWAYS},
)
def show(job_id: JobId, wait: Wait = 0, since: Since = None) -> JobView:
    job = when_changed(
        lambda: _job(job_id),
        version=lambda job: job.version,
        ended=lambda job: job.status.ended,
        wait=wait,
        since=since,
    )
    return JobView.of(job)


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
        **INVALID,
        **ALWAYS,
    },
)
def delete(job_id: JobId) -> Response[JobView | None]:
    job = _job(job_id)
    try:
        if job.status.ended:
            if not job.is_told:
                ended.conclude(job)
            store.delete(job)
            return Response(status_code=HTTPStatus.NO_CONTENT, body=None)
        canceled = store.cancel(media.known(job))
    except store.ConflictError:
        canceled = None
    if canceled is None:
        raise ProblemError(HTTPStatus.CONFLICT, "job_moved", "The job changed at the same moment; try again.")
    _conclude(canceled)
    return json_response(HTTPStatus.OK, JobView.of(canceled))


@app.post(
    "/jobs/<job_id>/retry",
    operation_id="retryJob",
    tags=["jobs"],
    summary="Try a failed job again, from the step that failed",
    responses={200: {"description": "The job"}, **_UNKNOWN, **_CONFLICT, **INVALID, **ALWAYS},
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
        if not job.is_told:  # once it runs again, nobody tells this end
            _conclude(job)
            job = _job(job_id)
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
    responses={200: {"description": "Events"}, **_UNKNOWN, **INVALID, **ALWAYS},
)
def list_events(job_id: JobId, limit: Limit = 20, cursor: Cursor = None) -> EventPage:
    if cursor is not None and not re.fullmatch(r"[0-9a-f]{32}", cursor):
        raise problems.invalid_cursor()
    _job(job_id)
    return EventPage.of(store.events(job_id, limit=limit, cursor=cursor))


@app.post(
    "/jobs/<job_id>/events/<event_id>/replay",
    operation_id="replayEvent",
    tags=["events"],
    summary="Give an archived callback to its function again",
    status_code=202,
    responses={202: {"description": "It is on its way"}, **_UNKNOWN, **_CONFLICT, **INVALID, **ALWAYS},
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
    return json_response(HTTPStatus.ACCEPTED, ReplayView(job_id=job_id, event_id=event_id))


def _job(job_id: str) -> Job:
    job = store.get(job_id)
    if job is None:
        raise problems.not_found("job")
    return job


def _conclude(job: Job) -> None:
    """Have its end told; if that fails, the next sweep has it told."""
    try:
        ended.conclude(job)
    except Exception:
        logger.exception("left to the sweep", extra={"job_id": job.job_id})


def _start(job: Job) -> None:
    """Tell the worker; if that fails, the job is in the table, and the next sweep tells it."""
    try:
        queues.send_start(job.provider, job.job_id)
    except Exception:
        logger.exception("left to the sweep", extra={"job_id": job.job_id})


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    logger.clear_state()
    return answer(app, event, context, largest_body=LARGEST_BODY)
