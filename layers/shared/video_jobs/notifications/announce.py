"""The one place where the end of a job, or of a batch, is announced.

Sent first, then counted by its batch, then noted: a crash in between does it again, with the same id, and counts once.
Until it is noted the job is due.
"""

from functools import partial

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from video_jobs import clock, logs
from video_jobs.api.views import BatchView
from video_jobs.aws import queues
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import Job
from video_jobs.notifications import events
from video_jobs.platforms.media import medium_of
from video_jobs.store import batches, jobs, media

logger = logs.logger()


def announce(job: Job) -> None:
    """Announce a job's last end, if nobody has, and have its batch look whether it has ended with it.

    Raises NotSentError, or what AWS raises: then it is still due.
    """
    if job.is_announced:
        return
    number = job.ends
    if job.confirmed:  # nothing is announced of work that its platform does not know
        events.job_ended(job)
    found = medium_of(job)
    if found and found != job.media_id:
        media.link(job, [found])
    if job.in_batch and (counted := _counted(job, number)) is not None:
        job = counted
    change = jobs.change(job.job_id, partial(_announced, number=number, found=found), known=job)
    if change is None or not change.changed:
        logger.info("moved_on", extra={"job_id": job.job_id})
        return
    _count(change.after)
    if change.after.request.batch_id is not None:
        settle(change.after.request.batch_id)
    queues.send_looks(messages(change.after))


def settle(batch_id: str) -> None:
    """End a batch if all of its jobs have ended, and announce its end if that is not done: again is harmless."""
    found = batches.settle(batch_id) or batches.unannounced(batch_id)
    if found is None:
        return
    batch, counts = found
    view = BatchView.of(batch, counts).model_dump(mode="json")
    events.batch_ended(batch_id, number=batch.ends, notify_url=batch.notify_url, data=view)
    batches.announced(batch)
    logger.info("batch_ended", extra={"batch_id": batch_id, "ends": batch.ends})


def _counted(job: Job, number: int) -> Job | None:
    """In a transaction of its own, without the keys of indexes: what is in one costs twice as much."""
    change = jobs.change(job.job_id, partial(transitions.counted, number=number, now=clock.now()), known=job)
    return change.after if change is not None else None


def _announced(job: Job, *, number: int, found: str | None) -> Job | None:
    now = clock.now()
    announced = transitions.announced(job, number, now=now)
    return (announced and found and transitions.medium_noted(announced, found, now=now)) or announced


def _count(job: Job) -> None:
    logger.info(
        "job_ended",
        extra={"job_id": job.job_id, "status": job.status, "error": job.error.code if job.error else None},
    )
    with single_metric(name="JobsEnded", unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension(name="provider", value=job.provider)
        metric.add_dimension(name="status", value=job.status)
