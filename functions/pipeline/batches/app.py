"""Works on batches: makes jobs of their sources, retries failed ones, cancels open ones, and ends batches."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import ValidationError
from video_jobs import clock, logs
from video_jobs.api.batch_requests import new_job
from video_jobs.aws import queues
from video_jobs.aws.consumers import consumer
from video_jobs.jobs import transitions
from video_jobs.jobs.batches import Batch, BatchStatus, is_to_be_retried, totals
from video_jobs.jobs.messages import Look, messages
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.notifications.announce import announce, settle
from video_jobs.store import batches, jobs
from video_jobs.store.batches import Work, WorkKind

AT_ONCE = 50
"""Of how many jobs it is noted together that their part of the work is done."""
STOP_BEFORE_TIMEOUT_MS = 20_000
"""What one round may take: the rest is left to another message."""
BACKLOG = 100
"""Messages: a queue with fewer of them has lost those of jobs that have not begun for an hour."""
TRIES = 10
"""How often a message is received before a defect of ours sends it to the dead letters."""

logger = logs.logger()


def take(record: SQSRecord, context: Any) -> None:
    message = queues.read(record.body, "batches")
    if "batch_id" in message:
        logger.append_keys(batch_id=message["batch_id"])
        look(message["batch_id"])
    else:
        logger.append_keys(work_id=message["work_id"])
        work_on(message["work_id"], context.get_remaining_time_in_millis)


def look(batch_id: str) -> None:
    """End a batch if all of its jobs have ended; if some have not begun although nothing waits, start those again."""
    settle(batch_id)
    found = batches.get(batch_id)
    if found is None or found[0].status == BatchStatus.ENDED:
        return
    batch, counts = found
    if batch.work or not totals(batch, counts).open:
        return
    if queues.backlog(queues.worker_queue_url(batch.provider)) >= BACKLOG:
        logger.info("backlog")
        return
    work_id = batches.restart(batch)
    if work_id is not None:
        queues.send_batch_message({"work_id": work_id})


def work_on(work_id: str, remaining: Callable[[], int]) -> None:
    """Do a piece of work, as far as the time allows. Where it stands is in the table, whoever goes on.

    Who finds that somebody else has gone on with it stops, so that a message has one successor at most.
    """
    work = batches.work(work_id)
    if work is None:
        logger.info("done_already")
        return
    logger.append_keys(batch_id=work.batch_id, kind=work.kind)
    while True:
        found = batches.get(work.batch_id)
        if found is None:
            logger.error("batch_gone")
            batches.drop(work)
            return
        if remaining() < STOP_BEFORE_TIMEOUT_MS:
            queues.send_batch_message({"work_id": work_id})
            return
        batch, _ = found
        moved = _round(batch, work)(batch, work)
        if moved is None:
            logger.info("superseded")
            return
        if moved is not work and moved.first >= moved.last:
            break
        work = moved
    logger.info("work_done")
    settle(work.batch_id)


def expand(batch: Batch, work: Work) -> Work | None:
    """Make jobs of the next sources, and start them, or cancel them if the batch is canceled.

    A message is sent before it is noted: a crash in between sends it again, which is harmless.
    """
    sources = work.left[:AT_ONCE]
    made = [_make(batch, index, source) for index, source in enumerate(sources, start=work.first)]
    there = [job for job, _ in made if job is not None]
    if batch.canceled:
        queues.send_looks(look for job in there for look in _cancel(job))
    else:
        queues.send_looks(_starts(there))
    return batches.advance(batch, work, len(sources), not_made=sum(not is_made for _, is_made in made))


def _make(batch: Batch, index: int, source: str) -> tuple[Job | None, bool]:
    """As `batches.make`: a source that is none any more must not keep the others from it."""
    try:
        job = new_job(batch, index, source)
    except ValidationError as error:
        logger.error("not_made", extra={"index": index, "reason": str(error)})
        return batches.make(batch, index, None)
    found, is_made = batches.make(batch, index, job)
    if not is_made:
        logger.error("not_made", extra={"index": index, "reason": "its id is taken"})
    return found, is_made


def retry(batch: Batch, work: Work) -> Work | None:
    """Retry the next failed jobs. An end that is not announced yet is announced first: it would be lost."""
    window = _next(work)
    looks: list[Look] = []
    for job in batches.jobs_at(batch, window):
        if not is_to_be_retried(job, cause=work.cause, asked_at=work.begun_at):
            continue
        if not job.is_announced and (whole := jobs.read(job.job_id)):
            announce(whole)
        change = jobs.change(job.job_id, partial(_retried, work=work), known=job if job.is_announced else None)
        if change is not None and change.changed:
            looks.extend(messages(change.after))
    queues.send_looks(looks)  # a crash before here leaves them to the sweep
    return batches.advance(batch, work, len(window))


def _retried(job: Job, *, work: Work) -> Job | None:
    """The job retried, unless it has moved by itself, or another retry was faster."""
    if not is_to_be_retried(job, cause=work.cause, asked_at=work.begun_at):
        return None
    return transitions.retried(job, now=clock.now())


def cancel(batch: Batch, work: Work) -> Work | None:
    """Cancel the next open jobs. Sources that are no jobs yet are canceled by who makes them jobs."""
    window = _next(work)
    queues.send_looks(look for job in batches.jobs_at(batch, window) for look in _cancel(job))
    return batches.advance(batch, work, len(window))


def _cancel(job: Job) -> tuple[Look, ...]:
    """Cancel a job if it is open; what is to be sent for it, also if somebody broke off before that."""
    if job.status.ended and job.is_announced:
        return ()
    change = jobs.change(job.job_id, _canceled, known=job)
    return messages(change.after) if change is not None and not change.after.is_announced else ()


def _canceled(job: Job) -> Job | None:
    return transitions.canceled(job, now=clock.now())


def restart(batch: Batch, work: Work) -> Work | None:
    """Have workers look at the next jobs that have not begun: their messages were lost with a purged queue."""
    window = _next(work)
    queues.send_looks(_starts(batches.jobs_at(batch, window, consistent=False)))
    return batches.advance(batch, work, len(window))


def _starts(found: Iterable[Job]) -> list[Look]:
    return [look for job in found if job.status == JobStatus.PENDING for look in messages(job)]


def _next(work: Work) -> range:
    return range(work.first, min(work.first + AT_ONCE, work.last))


_ROUNDS: Mapping[WorkKind, Callable[[Batch, Work], Work | None]] = {
    WorkKind.EXPAND: expand,
    WorkKind.RETRY: retry,
    WorkKind.CANCEL: cancel,
    WorkKind.RESTART: restart,
}


def _round(batch: Batch, work: Work) -> Callable[[Batch, Work], Work | None]:
    """How to do the next part of some work. What was asked for before the batch was canceled ends with canceling."""
    if batch.canceled and work.kind != WorkKind.EXPAND:
        return cancel
    return _ROUNDS[work.kind]


handler = consumer(take, queue="BATCHES_QUEUE_URL", dead_letters="BATCHES_DEAD_LETTERS_URL", tries=TRIES)
