"""What follows when a job has ended: it is told, its batch counts it, and the batch may end with it.

Each part may be done again after a crash: what is told has the same event id, and a job is counted once.
"""

from video_jobs import logs, notices, store
from video_jobs.api.views import BatchView
from video_jobs.jobs import Job
from video_jobs.store import batches

logger = logs.logger()


def conclude(job: Job) -> None:
    """Hand the end of a job over to be told, and count it. Told first: what is counted is not looked for any more."""
    notices.job_ended(job)
    if store.concluded(job) is None:
        logger.info("was told, or runs again", extra={"job_id": job.job_id})
    elif job.batch is not None and job.batch_index is not None:
        settle(job.batch)


def settle(batch_id: str, *, again: bool = False) -> None:
    """End a batch if all of its jobs have ended, and hand its end over to be told.

    With `again` also one that had ended, if it is not noted that its end was told.
    """
    found = batches.settle(batch_id) or (batches.untold(batch_id) if again else None)
    if found is None:
        return
    batch, counts = found
    view = BatchView.of(batch, counts)
    notices.batch_ended(batch_id, number=batch.ends, notify_url=batch.notify_url, data=view.model_dump(mode="json"))
    batches.told(batch)
    logger.info("batch ended", extra={"batch_id": batch_id, "ends": batch.ends})
