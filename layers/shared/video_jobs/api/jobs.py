"""The routes of jobs and of their events."""

import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader

from video_jobs import clock, logs, settings
from video_jobs.api import problems
from video_jobs.api.middleware import Routes
from video_jobs.api.native import UNREADABLE, json_response, problem_response
from video_jobs.api.parameters import CREATED_CURSOR, Cursor, IdempotencyKey, Limit
from video_jobs.api.problems import ProblemError
from video_jobs.api.sending import look
from video_jobs.api.views import EventPage, JobPage, JobView, ReplayView
from video_jobs.api.waiting import Since, Wait, when_changed
from video_jobs.aws import queues
from video_jobs.callbacks.inbox import replayed
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.notifications.announce import announce
from video_jobs.platforms import job_request
from video_jobs.platforms.requests import PROVIDERS, AnyJobRequest
from video_jobs.store import events, jobs, lists, media
from video_jobs.store.table import ConflictError, Page

_EVENTS_CURSOR = re.compile(r"[0-9]{1,4}\.([0-9a-f]{32})?", re.ASCII)

logger = logs.logger()
routes = Routes()

# The framework looks for the parameters' kinds in plain aliases, not in `type` statements.
if TYPE_CHECKING:
    Provider = str
else:
    Provider = Literal[PROVIDERS]
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
            "label": "autumn-term",
            "retry": {"max_attempts": 5, "base_delay": 2},
        },
    },
}


@routes.post(
    "/jobs",
    operation_id="createJob",
    tags=["jobs"],
    summary="Create a job",
    status_code=201,
    responses={
        201: {"description": "The job; also if its Idempotency-Key had made it before", "headers": _LOCATION},
        409: problem_response("The job that this Idempotency-Key made has been deleted"),
        **UNREADABLE,
    },
)
def create(
    request: Annotated[AnyJobRequest, Body(openapi_examples=_EXAMPLES)], idempotency_key: IdempotencyKey = None
) -> Response[JobView]:
    wanted = request.new_job(job_request.job_id(idempotency_key))
    try:
        job = jobs.create(wanted)
    except ConflictError:
        raise ProblemError(
            HTTPStatus.CONFLICT, "job_deleted", "The job that this Idempotency-Key made has been deleted."
        ) from None
    if job.request.digest != wanted.request.digest:
        raise problems.key_reused()
    media.link(job, job.refs)
    look(job)
    logger.info("created", extra={"job_id": job.job_id, "provider": job.provider, "version": job.version})
    return json_response(HTTPStatus.CREATED, JobView.of(job), headers={"location": f"/jobs/{job.job_id}"})


@routes.get(
    "/jobs",
    operation_id="listJobs",
    tags=["jobs"],
    summary="List jobs, newest first",
    responses={200: {"description": "Jobs"}},
)
def list_jobs(
    provider: Annotated[Provider | None, Query(description="Only this platform's.")] = None,
    status: Annotated[JobStatus | None, Query(description="Only those of this status.")] = None,
    label: Annotated[str | None, Query(min_length=1, max_length=128, description="Only those of this label.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> JobPage:
    if cursor is not None and not CREATED_CURSOR.fullmatch(cursor):
        raise problems.invalid_cursor()
    if label is None:
        providers = (provider,) if provider else PROVIDERS
        return JobPage.of(lists.of_providers(providers, status=status, limit=limit, cursor=cursor))
    found = lists.of_label(label, status=status, limit=limit, cursor=cursor)
    wanted = [job for job in found.items if provider in (None, job.provider)]
    return JobPage.of(Page(items=wanted, cursor=found.cursor))


@routes.get(
    "/jobs/<job_id>",
    operation_id="showJob",
    tags=["jobs"],
    summary="Show a job, or wait until it has changed",
    responses={200: {"description": "The job"}, **_UNKNOWN},
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


@routes.delete(
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
    },
)
def delete(job_id: JobId) -> Response[JobView | None]:
    job = _job(job_id)
    if not job.status.ended:
        return json_response(HTTPStatus.OK, JobView.of(_moved(job, transitions.canceled)))
    if not jobs.delete(_announced(job)):
        raise _job_moved()
    return Response(status_code=HTTPStatus.NO_CONTENT, body=None)


@routes.post(
    "/jobs/<job_id>/retry",
    operation_id="retryJob",
    tags=["jobs"],
    summary="Retry a failed job, from the step that failed",
    responses={200: {"description": "The job"}, **_UNKNOWN, **_CONFLICT},
)
def retry(job_id: JobId) -> JobView:
    job = _job(job_id)
    if job.adopted:
        raise ProblemError(
            HTTPStatus.CONFLICT, "job_adopted", "The work was started elsewhere: only its owner can start it again."
        )
    if job.status != JobStatus.FAILED:
        raise ProblemError(
            HTTPStatus.CONFLICT, "job_not_failed", f"The job is {job.status}; only a failed one can be retried."
        )
    return JobView.of(_moved(_announced(job), transitions.retried))


@routes.get(
    "/jobs/<job_id>/events",
    operation_id="listEvents",
    tags=["events"],
    summary="Show what the platform said, word for word",
    responses={200: {"description": "Events"}, **_UNKNOWN},
)
def list_events(job_id: JobId, limit: Limit = 20, cursor: Cursor = None) -> EventPage:
    if cursor is not None and not _EVENTS_CURSOR.fullmatch(cursor):
        raise problems.invalid_cursor()
    return EventPage.of(events.events(_job(job_id), limit=limit, cursor=cursor))


@routes.post(
    "/jobs/<job_id>/events/<event_id>/replay",
    operation_id="replayEvent",
    tags=["events"],
    summary="Put an archived callback into the Inbox again",
    status_code=202,
    responses={202: {"description": "It is on its way"}, **_UNKNOWN, **_CONFLICT},
)
def replay(job_id: JobId, event_id: EventId) -> Response[ReplayView]:
    job = _job(job_id)
    event = events.event(job, event_id)
    if event is None:
        raise problems.not_found("event")
    if event["via"] != "callback":
        raise ProblemError(
            HTTPStatus.CONFLICT, "not_a_callback", f"The event is not a callback: we learnt it by a {event['via']}."
        )
    queues.send(settings.setting("INBOX_QUEUE_URL"), replayed(event, job).written())
    logger.info("replayed", extra={"job_id": job_id, "event_id": event_id})
    return json_response(HTTPStatus.ACCEPTED, ReplayView(job_id=job_id, event_id=event_id))


def _job(job_id: str) -> Job:
    job = jobs.read(job_id)
    if job is None:
        raise problems.not_found("job")
    return job


def _announced(job: Job) -> Job:
    """An ended job with its end announced: that would be lost if the job were gone, or ran again."""
    if job.is_announced:
        return job
    announce(job)
    return _job(job.job_id)


def _moved(job: Job, transition: Callable[..., Job | None]) -> Job:
    """The job as the transition has it, and what follows sent."""
    change = jobs.change(job.job_id, partial(transition, now=clock.now()), known=job)
    if change is None:
        raise problems.not_found("job")
    if not change.changed:
        raise _job_moved()
    look(change.after)
    return change.after


def _job_moved() -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, "job_moved", "The job changed at the same moment; try again.")
