"""Works on batches: makes jobs of their sources, tries failed ones again, cancels open ones, and ends batches."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from video_jobs import ended, logs, queues, store
from video_jobs.batches import Batch
from video_jobs.consumers import consumer
from video_jobs.jobs import Job, JobStatus, StepStatus
from video_jobs.platforms import media
from video_jobs.platforms.batch_requests import new_job
from video_jobs.queues import SettleMessage, WorkMessage
from video_jobs.store import batches
from video_jobs.store.batches import JOBS_AT_ONCE, Work, WorkKind

STOP_BEFORE_TIMEOUT_MS = 20_000
"""What one round may take: the rest is left to another message."""
_NOT_MADE_YET_SECONDS = 2

TRIES = 10
"""How often a message is received before a defect of ours sends it to the dead letters."""

logger = logs.logger()


def take(record: SQSRecord, context: Any) -> None:
    message = queues.read(record.body, queues.BATCHES, queue="batches")
    if isinstance(message, SettleMessage):
        logger.append_keys(batch_id=message.batch_id)
        ended.settle(message.batch_id, again=True)
    else:
        logger.append_keys(work_id=message.work_id)
        work_on(message.work_id, context.get_remaining_time_in_millis)


def work_on(work_id: str, remaining: Callable[[], int]) -> None:
    """Do a piece of work, as far as the time allows: where it stands is in the table, whoever goes on."""
    work = batches.work(work_id)
    if work is None:
        logger.info("done already")
        return
    found = batches.get(work.batch_id)
    if found is None:
        logger.error("its batch is gone")
        batches.drop(work)
        return
    batch, _ = found
    logger.append_keys(batch_id=batch.batch_id, kind=work.kind)
    left = True
    while left:
        if remaining() < STOP_BEFORE_TIMEOUT_MS:
            queues.send_batch_work(WorkMessage(work_id=work_id))
            return
        moved = _ROUNDS[work.kind](batch, work)
        if moved is None:
            queues.send_batch_work(WorkMessage(work_id=work_id), delay=_NOT_MADE_YET_SECONDS)
            return
        work = moved
        left = work.first < work.last
    logger.info("done")
    ended.settle(batch.batch_id)


def expand(batch: Batch, work: Work) -> Work | None:
    """Make jobs of the next sources, and start them; None if somebody else is at it."""
    sources = work.left[:JOBS_AT_ONCE]
    jobs = [new_job(batch, work.first + number, source) for number, source in enumerate(sources)]
    moved = batches.expand(work, jobs)
    if moved and not batch.canceled:
        # a crash here leaves them to the sweep, which finds jobs that nobody has started
        queues.send_starts(batch.provider, [job.job_id for job in jobs], group=batch.batch_id)
    return moved


def retry(batch: Batch, work: Work) -> Work | None:
    """Try the next failed jobs again; None if somebody else is at it."""
    window = _next(work)
    if _is_canceled(batch.batch_id):
        return cancel(batch, work)  # what an earlier round may have tried again before it broke off
    again = [job for job in batches.jobs_at(batch.batch_id, window).values() if job and _is_wanted(job, work)]
    retried: list[str] = []
    try:
        retried.extend(job.job_id for job in again if _retry(job))
    finally:  # those before a fault are not wanted any more when this comes again
        canceled = _is_canceled(batch.batch_id)
        if retried and not canceled:
            # a crash before here leaves them to the sweep
            queues.send_starts(batch.provider, retried, group=batch.batch_id)
    if canceled:  # meanwhile, and the cancellation may have passed these when they were failed
        return cancel(batch, work)
    return batches.advance(work, len(window))


def _next(work: Work) -> range:
    return range(work.first, min(work.first + JOBS_AT_ONCE, work.last))


def _is_wanted(job: Job, work: Work) -> bool:
    if job.status != JobStatus.FAILED or job.current is None or job.steps[job.current].status != StepStatus.FAILED:
        return False
    if job.adopted or (job.ended_at or "") > work.begun_at:
        return False
    return work.cause is None or (job.error is not None and job.error.code == work.cause)


def _is_canceled(batch_id: str) -> bool:
    found = batches.get(batch_id)
    return found is None or found[0].canceled


def _retry(job: Job) -> bool:
    known: Job | None = job
    if not job.is_told:  # its end would never be told once it runs again
        ended.conclude(job)
        known = store.get(job.job_id)
    try:
        if known is None:
            return False
        store.retry(known, str(known.current))
    except store.ConflictError:
        return False  # it moved by itself, or another retry was faster
    return True


def cancel(batch: Batch, work: Work) -> Work | None:
    """Cancel the next open jobs; None if some of them are not made yet, or somebody else is at it."""
    window = _next(work)
    being_made = _are_being_made(batch.batch_id)  # asked first: what is made in between would be taken for deleted
    found = batches.jobs_at(batch.batch_id, window)
    if len(found) < len(window) and being_made:
        return None
    for job in found.values():
        if job and not job.status.ended and not _cancel(job):
            return None
    return batches.advance(work, len(window))


def _are_being_made(batch_id: str) -> bool:
    """Whether sources are left that are no jobs yet."""
    found = batches.get(batch_id)
    return found is not None and found[1].made < found[0].total


def _cancel(job: Job) -> bool:
    """End it; False if it moved at the same moment, and may still be open."""
    canceled = store.cancel(media.known(job))
    if canceled is None:
        return False
    ended.conclude(canceled)
    return True


_ROUNDS: Mapping[WorkKind, Callable[[Batch, Work], Work | None]] = {
    WorkKind.EXPAND: expand,
    WorkKind.RETRY: retry,
    WorkKind.CANCEL: cancel,
}


handler = consumer(take, queue="BATCHES_QUEUE_URL", dead_letters="BATCHES_DEAD_LETTERS_URL", tries=TRIES)
