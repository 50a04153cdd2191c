"""TwelveLabs' `tasks` in TwelveLabs' own shape, so that its SDK works against this deployment."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from video_jobs import ended, logs, queues, secrets, store
from video_jobs.api import keys
from video_jobs.faults import RefusedByPlatformError, TransientError
from video_jobs.forms import FormFile
from video_jobs.http import MalformedBodyError, Request, json_answer
from video_jobs.jobs import Job
from video_jobs.platforms.twelvelabs import refusals, task_file, task_list, task_request, task_view
from video_jobs.platforms.twelvelabs.client import TwelveLabs
from video_jobs.platforms.twelvelabs.refusals import RefusedRequestError
from video_jobs.platforms.twelvelabs.task import STEP
from video_jobs.platforms.twelvelabs.task_request import TaskRequest
from video_jobs.versions import NewerVersionError

PROVIDER = "twelvelabs"
ROOT = "/twelvelabs/tasks"
LONGEST_ID = 256

logger = logs.logger()
client = TwelveLabs()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    logger.clear_state()
    try:
        return _answer(event)
    except RefusedRequestError as refusal:
        logger.info("refused", extra={"status": refusal.status, "code": refusal.code})
        answered = refusal
    except secrets.SecretUnavailableError:
        logger.exception("nobody is let in")
        answered = refusals.unavailable("The API keys of this deployment cannot be read.")
    except NewerVersionError as error:
        logger.warning("newer_version", extra={"reason": str(error)})
        answered = refusals.unavailable("A newer release of this deployment has written this. Please try again later.")
    except Exception:  # the border: whoever uses TwelveLabs' SDK must get an error that it can read
        logger.exception("fault")
        answered = refusals.unavailable("The request could not be handled. Please try again later.")
    answer = json_answer(answered.status, answered.body)
    return answer | {"headers": answer["headers"] | dict(answered.headers)}


def _answer(event: Mapping[str, Any]) -> dict[str, Any]:
    """What a request is answered, if its sender has one of our API keys."""
    request = Request(event)
    owner = keys.owner(request.headers)
    if owner is None:
        raise refusals.api_key_invalid()
    logger.info("asked", extra={"api_key_name": owner})
    method, path = event["requestContext"]["http"]["method"], event.get("rawPath", "")
    task_id = path.removeprefix(f"{ROOT}/")
    match method, path == ROOT:
        case "POST", True:
            return create(request)
        case "GET", True:
            return list_tasks(parse_qs(event.get("rawQueryString") or "", keep_blank_values=True, errors="replace"))
        case "GET", False if task_id != path:
            return json_answer(HTTPStatus.OK, task_view.shown(_task(task_id)))
        case "DELETE", False if task_id != path:
            return delete(task_id)
    raise refusals.route_not_allowed(method, path)


def create(request: Request) -> dict[str, Any]:
    """A URL becomes a job, which the worker starts; a file goes on to TwelveLabs at once."""
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
    return json_answer(HTTPStatus.CREATED, created)


def _enqueue(asked: TaskRequest, *, idempotency_key: str | None) -> Job:
    """A job for the worker; or the one that the same key with the same parameters has made before."""
    wanted = asked.new_job(task_request.new_id(idempotency_key))
    try:
        job = store.create(wanted)
    except store.ConflictError:
        raise refusals.parameter_invalid("Idempotency-Key", "The task that it made was deleted.") from None
    if job.request_digest != wanted.request_digest:
        raise refusals.parameter_invalid("Idempotency-Key", "It came with other parameters before.")
    if not job.status.ended:
        try:
            queues.send_start(PROVIDER, job.job_id)
        except Exception:  # the job is in the table
            logger.exception("left to the sweep", extra={"job_id": job.job_id})
    return job


def _hand_over(asked: TaskRequest, file: FormFile) -> dict[str, str]:
    job = asked.new_job(task_request.new_id())
    try:
        video_id = task_file.hand_over(client, job, file)
    except (RefusedByPlatformError, TransientError) as fault:
        logger.warning("TwelveLabs has not taken the file", extra={"job_id": job.job_id, "reason": str(fault)})
        raise refusals.passed_on(fault) from None
    return {"_id": job.job_id} | ({"video_id": video_id} if video_id else {})


def list_tasks(query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    wanted = task_list.read(query)
    return json_answer(HTTPStatus.OK, task_list.page(store.tasks(created=wanted.created), wanted))


def delete(task_id: str) -> dict[str, Any]:
    """TwelveLabs' own task is deleted first: if that cannot be, nothing is."""
    job = _task(task_id)
    if not job.status.ended:
        raise refusals.task_cannot_be_deleted(
            f"Task {task_id} is {task_view.status(job)}. Only a task that is ready or failed can be deleted."
        )
    if not job.is_told:
        ended.conclude(job)
    theirs = job.steps[STEP].platform_job_id
    try:
        if theirs is not None:
            client.delete_task(theirs)
    except TransientError as fault:
        raise refusals.passed_on(fault) from None
    except RefusedByPlatformError as refusal:
        if refusal.status != HTTPStatus.NOT_FOUND:
            raise refusals.passed_on(refusal) from None
    try:
        store.delete(job)
    except store.ConflictError:
        raise refusals.task_cannot_be_deleted(f"Task {task_id} changed at the same moment. Try again.") from None
    logger.info("deleted", extra={"job_id": job.job_id, "provider": PROVIDER})
    return {"statusCode": HTTPStatus.NO_CONTENT, "headers": {}, "body": ""}


def _task(task_id: str) -> Job:
    """The task of our id, or of TwelveLabs' own, which callbacks and its console name."""
    if len(task_id) > LONGEST_ID:
        raise refusals.task_not_exist(task_id[:LONGEST_ID])
    job = store.get(task_id)
    if job is None and (owner := store.owner(PROVIDER, task_id)):
        found = store.get(owner["job_id"])
        is_its_task = found is not None and STEP in found.steps and found.steps[STEP].platform_job_id == task_id
        job = found if is_its_task else None
    if job is None or job.provider != PROVIDER or STEP not in job.steps:
        raise refusals.task_not_exist(task_id)
    return job
