"""TwelveLabs' `tasks` in TwelveLabs' own shape, so that its SDK works against this deployment."""

from collections.abc import Iterator
from http import HTTPStatus
from itertools import batched
from typing import Any
from urllib.parse import parse_qs

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from video_jobs import jsontext, logs
from video_jobs.api import keys
from video_jobs.api.middleware import Api, Routes
from video_jobs.api.sending import look
from video_jobs.aws.secrets import SecretUnavailableError
from video_jobs.forms import FormFile
from video_jobs.http import MalformedBodyError, Request
from video_jobs.jobs.model import Job
from video_jobs.notifications.announce import announce
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.twelvelabs import refusals, task, task_list, task_request, task_view
from video_jobs.platforms.twelvelabs.client import TwelveLabs
from video_jobs.platforms.twelvelabs.refusals import RefusedRequestError
from video_jobs.platforms.twelvelabs.task_request import TaskRequest
from video_jobs.store import jobs, lists, media
from video_jobs.store.table import ConflictError
from video_jobs.versions import NewerVersionError
from video_jobs.worker import submit

PROVIDER = "twelvelabs"
LONGEST_ID = 256
JOBS_AT_ONCE = 33
"""How many jobs are read in one call, which takes a hundred keys: three of each."""

logger = logs.logger()
client = TwelveLabs()
routes = Routes()


@routes.post("/twelvelabs/tasks")
def create() -> Response[str]:
    """A URL becomes a job, which the worker starts; a file goes on to TwelveLabs at once."""
    request = Request(routes.current_event.raw_event)
    try:
        body = request.body
    except MalformedBodyError:
        raise refusals.unreadable("The body cannot be decoded.") from None
    asked = task_request.read(request.headers.get("content-type", ""), body)
    if asked.file:
        created = _hand_over(asked, asked.file)
    else:
        created = {"_id": _enqueue(asked, idempotency_key=request.headers.get("idempotency-key")).job_id}
    logger.info("created", extra={"job_id": created["_id"], "provider": PROVIDER, "file": asked.file is not None})
    return _json(HTTPStatus.CREATED, created)


@routes.get("/twelvelabs/tasks")
def list_tasks() -> Response[str]:
    """A page of all tasks that fit: all of them are read for it."""
    query = routes.current_event.raw_event.get("rawQueryString") or ""
    wanted = task_list.read(parse_qs(query, keep_blank_values=True, errors="replace"))
    return _json(HTTPStatus.OK, task_list.page(_tasks(wanted.created), wanted))


@routes.get("/twelvelabs/tasks/<task_id>")
def show(task_id: str) -> Response[str]:
    return _json(HTTPStatus.OK, task_view.shown(_task(task_id)))


@routes.delete("/twelvelabs/tasks/<task_id>")
def delete(task_id: str) -> Response[str]:
    """TwelveLabs' own task is deleted first: if that cannot be, nothing is."""
    job = _task(task_id)
    if not job.status.ended:
        raise refusals.task_cannot_be_deleted(
            f"Task {task_id} is {task_view.status(job)}. Only a task that is ready or failed can be deleted."
        )
    announce(job)  # it would never be
    job = _task(job.job_id)
    moved = refusals.task_cannot_be_deleted(f"Task {task_id} changed at the same moment. Try again.")
    if not job.is_announced:
        raise moved
    _delete_theirs(job)
    if not jobs.delete(job):
        raise moved
    logger.info("deleted", extra={"job_id": job.job_id, "provider": PROVIDER})
    return Response(status_code=HTTPStatus.NO_CONTENT, body="")


def _delete_theirs(job: Job) -> None:
    theirs = job.steps[task.STEP].platform_job_id
    try:
        if theirs is not None:
            client.delete_task(theirs)
    except TransientError as error:
        raise refusals.passed_on(error) from None
    except RefusedByPlatformError as refusal:
        if refusal.status != HTTPStatus.NOT_FOUND:
            raise refusals.passed_on(refusal) from None


# --- A task by its URL -----------------------------------------------------------------------------------------------


def _enqueue(asked: TaskRequest, *, idempotency_key: str | None) -> Job:
    """A job for the worker; or the one that the same key with the same parameters has made before."""
    wanted = asked.new_job(task_request.new_id(idempotency_key))
    try:
        job = jobs.create(wanted)
    except ConflictError:
        raise refusals.parameter_invalid("Idempotency-Key", "The task that it made was deleted.") from None
    if job.request.digest != wanted.request.digest:
        raise refusals.parameter_invalid("Idempotency-Key", "It came with other parameters before.")
    look(job)
    return job


# --- A task of a file ------------------------------------------------------------------------------------------------


def _hand_over(asked: TaskRequest, file: FormFile) -> dict[str, str]:
    """Submit it here, as the worker does; the worker looks after it from then on."""
    job = submit.claim(jobs.create(asked.new_job(task_request.new_id())), task.STEP)
    if job is None:
        raise ConflictError("somebody else has the job")
    step = task.TaskOfFile(file=file)
    try:
        submit.submit(step, client, job, task.STEP, url="")
    except Exception:  # what was stored, and could not be sent on, the next sweep sends
        logger.exception("left_to_sweep", extra={"job_id": job.job_id})
    if step.error is not None:
        logger.warning("not_taken", extra={"job_id": job.job_id, "reason": str(step.error)})
        raise refusals.passed_on(step.error)
    taken = _task(job.job_id).steps[task.STEP]
    if taken.platform_job_id is None:
        raise refusals.unavailable("The file could not be handed over. Please try again later.")
    video_id = (taken.result or {}).get("video_id")
    return {"_id": job.job_id} | ({"video_id": video_id} if video_id else {})


# --- Which tasks there are -------------------------------------------------------------------------------------------


def _tasks(created: tuple[str, str] | None) -> Iterator[Job]:
    """All tasks, or those that were created between two times."""
    for ids in batched(lists.ids_of_provider(PROVIDER, created=created), JOBS_AT_ONCE, strict=False):
        for job in jobs.read_many(ids, results=[task.STEP], consistent=False).values():
            if job and task.STEP in job.steps:
                yield job


def _task(task_id: str) -> Job:
    """The task of our id, or of TwelveLabs' own, which callbacks and its console name."""
    if len(task_id) > LONGEST_ID:
        raise refusals.task_not_exist(task_id[:LONGEST_ID])
    job = jobs.read(task_id) or _followed(task_id)
    if job is None or job.provider != PROVIDER or task.STEP not in job.steps:
        raise refusals.task_not_exist(task_id)
    return job


def _followed(theirs: str) -> Job | None:
    for job_id in media.followers(PROVIDER, theirs).items:
        job = jobs.read(job_id)
        if job and task.STEP in job.steps and job.steps[task.STEP].platform_job_id == theirs:
            return job
    return None


# --- Who asks, and what is answered ----------------------------------------------------------------------------------


def _owner(request: Request) -> str:
    name = keys.owner(request.headers)
    if name is None:
        raise refusals.api_key_invalid()
    return name


def _refusal(error: Exception) -> Response[str]:
    said = _said(error)
    return _json(said.status, said.body, headers=dict(said.headers))


def _said(error: Exception) -> RefusedRequestError:
    match error:
        case RefusedRequestError():
            return error
        case NotFoundError():
            asked = routes.current_event
            return refusals.route_not_allowed(asked.http_method, asked.path)
        case SecretUnavailableError():
            return refusals.unavailable("The API keys of this deployment cannot be read.")
        case NewerVersionError():
            return refusals.unavailable("A newer release of this deployment has written this. Please try again later.")
    return refusals.unavailable("The request could not be handled. Please try again later.")


def _json(status: int, body: Any, *, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(status_code=status, content_type="application/json", body=jsontext.write(body), headers=headers)


handler = Api(routes, owner=_owner, refusal=_refusal)
