"""The routes of batches."""

import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader

from video_jobs import logs
from video_jobs.api import problems, sending
from video_jobs.api.batch_requests import AnyBatchRequest, RetryRequest, SourcesRequest
from video_jobs.api.middleware import Routes
from video_jobs.api.native import UNREADABLE, json_response, problem_response
from video_jobs.api.parameters import CREATED_CURSOR, Cursor, IdempotencyKey, Limit
from video_jobs.api.problems import ProblemError
from video_jobs.api.views import BatchPage, BatchView, JobPage
from video_jobs.api.waiting import Since, Wait, when_changed
from video_jobs.jobs.batches import Batch, BatchStatus, Counts
from video_jobs.jobs.model import JobStatus
from video_jobs.notifications.announce import settle
from video_jobs.platforms.job_request import digest, job_id
from video_jobs.store import batches, lists
from video_jobs.store.table import ConflictError

_TRIES = 5

logger = logs.logger()
routes = Routes()

BatchId = Annotated[str, Path(max_length=128, description="The batch's id.")]

_UNKNOWN: dict[int, OpenAPIResponse] = {404: problem_response("There is no such batch")}
_CONFLICT: dict[int, OpenAPIResponse] = {409: problem_response("The batch is not in a state that allows this")}
_LOCATION: dict[str, OpenAPIResponseHeader] = {
    "Location": {"description": "Where the batch is shown: /batches/{batch_id}", "schema": {"type": "string"}}
}
_EXAMPLES: dict[str, Any] = {
    "sources": {
        "summary": "Upload and index two videos",
        "value": {
            "provider": "videodb",
            "sources": ["https://example.com/lecture-1.mp4", "https://example.com/lecture-2.mp4"],
            "name": "autumn term",
        },
    },
    "open": {
        "summary": "More sources come, to TwelveLabs",
        "value": {
            "provider": "twelvelabs",
            "options": {"index_id": "62a0906d47f5678267ec10a6"},
            "sources": ["https://example.com/lecture-1.mp4"],
            "open": True,
        },
    },
}


@routes.post(
    "/batches",
    operation_id="createBatch",
    tags=["batches"],
    summary="Create a batch: many sources for one plan",
    status_code=201,
    responses={
        201: {"description": "The batch; also if its Idempotency-Key had made it before", "headers": _LOCATION},
        **UNREADABLE,
    },
)
def create(
    request: Annotated[AnyBatchRequest, Body(openapi_examples=_EXAMPLES)], idempotency_key: IdempotencyKey = None
) -> Response[BatchView]:
    wanted = request.new_batch(job_id(idempotency_key))
    batch, work = batches.create(wanted, request.sources)
    if batch.request_digest != wanted.request_digest:
        raise problems.key_reused()
    _start(work)
    logger.info("created", extra={"batch_id": batch.batch_id, "sources": batch.total})
    view = _view(batch.batch_id)
    return json_response(HTTPStatus.CREATED, view, headers={"location": f"/batches/{batch.batch_id}"})


@routes.get(
    "/batches",
    operation_id="listBatches",
    tags=["batches"],
    summary="List batches, newest first",
    responses={200: {"description": "Batches, without their counts"}},
)
def list_all(limit: Limit = 20, cursor: Cursor = None) -> BatchPage:
    if cursor is not None and not CREATED_CURSOR.fullmatch(cursor):
        raise problems.invalid_cursor()
    return BatchPage.of(batches.listed(limit=limit, cursor=cursor))


@routes.get(
    "/batches/<batch_id>",
    operation_id="showBatch",
    tags=["batches"],
    summary="Show a batch, or wait until it has changed",
    responses={200: {"description": "The batch"}, **_UNKNOWN},
)
def show(batch_id: BatchId, wait: Wait = 0, since: Since = None) -> BatchView:
    return when_changed(
        lambda: _view(batch_id),
        version=lambda view: view.version,
        ended=lambda view: view.status == BatchStatus.ENDED,
        wait=wait,
        since=since,
    )


@routes.get(
    "/batches/<batch_id>/jobs",
    operation_id="listBatchJobs",
    tags=["batches"],
    summary="List the jobs of a batch, newest first",
    responses={200: {"description": "Jobs"}, **_UNKNOWN},
)
def list_jobs(
    batch_id: BatchId,
    status: Annotated[JobStatus | None, Query(description="Only those of this status.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> JobPage:
    if cursor is not None and not CREATED_CURSOR.fullmatch(cursor):
        raise problems.invalid_cursor()
    batch, _ = _batch(batch_id)
    return JobPage.of(lists.of_batch(batch, status=status, limit=limit, cursor=cursor))


@routes.post(
    "/batches/<batch_id>/jobs",
    operation_id="addToBatch",
    tags=["batches"],
    summary="Add sources to an open batch, and close it",
    status_code=202,
    responses={
        202: {"description": "The batch; its jobs are being made"},
        **_UNKNOWN,
        **_CONFLICT,
        **UNREADABLE,
    },
)
def add(batch_id: BatchId, request: SourcesRequest, idempotency_key: IdempotencyKey = None) -> Response[BatchView]:
    post = None
    if idempotency_key is not None:
        post = batches.Post(key=hashlib.sha256(idempotency_key.encode()).hexdigest(), digest=digest(request))
    try:
        work = batches.append(batch_id, request.sources, close=request.close, post=post)
    except KeyError:
        raise problems.not_found("batch") from None
    except batches.PostedOtherwiseError:
        raise problems.key_reused() from None
    except ConflictError:
        if _batch(batch_id)[0].closed:
            raise ProblemError(HTTPStatus.CONFLICT, "batch_closed", "The batch is closed: make another one.") from None
        raise _moved() from None
    _start(work)
    if not work and request.close:
        sending.batch_message({"batch_id": batch_id})  # it may have been all that was missing
    return json_response(HTTPStatus.ACCEPTED, _view(batch_id))


@routes.delete(
    "/batches/<batch_id>",
    operation_id="cancelBatch",
    tags=["batches"],
    summary="Cancel what is open of a batch",
    responses={
        200: {"description": "The batch; its open jobs are being canceled. One that has ended stays as it is"},
        **_UNKNOWN,
        **_CONFLICT,
    },
)
def cancel(batch_id: BatchId) -> BatchView:
    for _ in range(_TRIES):
        batch, _counts = _batch(batch_id)
        if batch.status == BatchStatus.ENDED or batch.is_being_canceled:
            return _view(batch_id)
        work = batches.cancel(batch)
        if work:
            _start([work])
            return _view(batch_id)
    raise _moved()


@routes.post(
    "/batches/<batch_id>/retry",
    operation_id="retryBatch",
    tags=["batches"],
    summary="Retry the failed jobs of a batch, or only those that failed for one cause",
    status_code=202,
    responses={
        202: {"description": "The batch; its failed jobs are being retried, also if this was asked for before"},
        **_UNKNOWN,
        **_CONFLICT,
        **UNREADABLE,
    },
)
def retry(batch_id: BatchId, request: RetryRequest | None = None) -> Response[BatchView]:
    cause = request.cause if request else None
    for _ in range(_TRIES):
        batch, counts = _batch(batch_id)
        if batch.is_being_canceled:
            raise ProblemError(
                HTTPStatus.CONFLICT, "batch_canceled", "The batch is being canceled; try again when it has ended."
            )
        if not (counts.causes.get(cause, 0) if cause else counts.of(JobStatus.FAILED)):
            if batch.is_retrying(cause):  # this was asked for twice, or its first answer was lost
                return json_response(HTTPStatus.ACCEPTED, _view(batch_id))
            raise ProblemError(
                HTTPStatus.CONFLICT,
                "nothing_failed",
                "No job of the batch has failed" + (" for this cause." if cause else "."),
            )
        if batch.status == BatchStatus.ENDED and batch.announced < batch.ends:
            settle(batch_id)  # once it runs again, nobody announces this end
            continue
        work = batches.retry(batch, cause=cause)
        if work:
            _start([work])
            return json_response(HTTPStatus.ACCEPTED, _view(batch_id))
    raise _moved()


def _batch(batch_id: str) -> tuple[Batch, Counts]:
    found = batches.get(batch_id)
    if found is None:
        raise problems.not_found("batch")
    return found


def _view(batch_id: str) -> BatchView:
    return BatchView.of(*_batch(batch_id))


def _start(work: Iterable[str]) -> None:
    """Have it done: it is in the table."""
    for work_id in work:
        sending.batch_message({"work_id": work_id})


def _moved() -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, "batch_moved", "The batch changed at the same moment; try again.")
