"""A task of a file that came with a request: it goes on to TwelveLabs in the same request, and is kept nowhere.

So it is claimed, submitted and recorded here as the worker does it, and the worker checks on it from then on.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from video_jobs import logs, queues, settings, store
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.forms import FormFile
from video_jobs.jobs.model import Job, JobError, StepFailed, StepRunning, Submitted, now, timestamp
from video_jobs.platforms.twelvelabs import statuses, task, waiting
from video_jobs.platforms.twelvelabs.client import TwelveLabs
from video_jobs.queues import CheckMessage

LEASE_SECONDS = 90
"""More than a request may take: what breaks off half-way, the sweep finds after that, and the worker ends it."""

logger = logs.logger()


def hand_over(client: TwelveLabs, wanted: Job, file: FormFile) -> str | None:
    """Make the job and pass its file on; the video's id, if TwelveLabs told it.

    Raises what TwelveLabs' client raises: then the job has failed.
    """
    job = store.claim(store.create(wanted), task.STEP, lease_seconds=LEASE_SECONDS)
    if job is None:
        raise store.ConflictError("somebody else has the job")
    try:
        answer = client.upload_task(task.asked(job), file)
        task_id = waiting.named(answer, "_id")
        if task_id is None:
            raise client.unusable("TwelveLabs has made a task, and does not say its id")
    except TransientError as fault:
        _fail(job, fault.error, {"message": str(fault)})
        raise
    except RefusedByPlatformError as refusal:
        _fail(job, refusal.error, {"message": refusal.error.message, "http_status": refusal.status})
        raise
    video_id = waiting.named(answer, "video_id")
    found = StepRunning(
        platform_status=statuses.word(answer),
        result={"task_id": task_id} | ({"video_id": video_id} if video_id else {}),
    )
    accepted = Submitted(platform_job_id=task_id, platform_status=found.platform_status, refs=(task_id,))
    _follow(_submitted(job, accepted), found)
    return video_id


def _fail(job: Job, error: JobError, body: Mapping[str, Any]) -> None:
    """Record that TwelveLabs has not taken it, as the worker does, which then ends the job."""
    event = store.Event(
        callback=f"{job.provider}/{task.STEP}",
        step=task.STEP,
        attempt=job.steps[task.STEP].attempt,
        body=json.dumps(body, ensure_ascii=False),
        via="submit",
        headers={},
        received_at=timestamp(now()),
    )
    try:
        store.record(job.job_id, event, StepFailed(error=error))
        queues.send_start(job.provider, job.job_id)
    except (BotoCoreError, ClientError):  # the caller must hear of the refusal, and not of this
        logger.exception("left to the sweep", extra={"job_id": job.job_id})


def _submitted(job: Job, accepted: Submitted) -> Job | None:
    """Store what TwelveLabs has accepted; insistently, for nobody else knows of it."""
    for wait in (0.2, 0.8, None):
        try:
            return store.submitted(
                job,
                task.STEP,
                accepted=accepted,
                check_in=_interval(),
                deadline_in=settings.number("STEP_DEADLINE_SECONDS"),
            )
        except (BotoCoreError, ClientError):
            if wait is None:
                raise
            logger.warning("tries to store it again", exc_info=True)
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _follow(job: Job | None, found: StepRunning) -> None:
    """Note what TwelveLabs' answer said as a check's finding, and plan the next one; if that breaks off, a sweep does.

    No job: it was canceled, or a callback was faster.
    """
    if job is None:
        return
    try:
        checked = store.checked(job, task.STEP, found, next_in=_interval()) or job
        step = checked.steps[task.STEP]
        message = CheckMessage(job_id=job.job_id, step=task.STEP, attempt=step.attempt, checks=step.checks)
        queues.send_check(job.provider, message, delay=_interval())
        if step.tellings > step.heard:
            queues.send_start(job.provider, job.job_id)
    except (BotoCoreError, ClientError):
        logger.exception("left to the sweep", extra={"job_id": job.job_id})


def _interval() -> float:
    return float(settings.number("CHECK_INTERVAL_SECONDS"))
