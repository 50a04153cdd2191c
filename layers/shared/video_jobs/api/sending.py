"""What follows from a change is sent; what cannot be sent, the next sweep sends, for the table says that it is due."""

from video_jobs import logs
from video_jobs.aws import queues
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import Job

logger = logs.logger()


def look(job: Job) -> None:
    """Have the job's worker look at it, if something is due."""
    try:
        queues.send_looks(messages(job))
    except Exception:  # whoever asked has got what it asked for
        logger.exception("left_to_sweep", extra={"job_id": job.job_id})


def batch_message(message: dict[str, str]) -> None:
    """Have somebody work on a batch: see `queues.send_batch_message`."""
    try:
        queues.send_batch_message(message)
    except Exception:  # as above
        logger.exception("left_to_sweep", extra=message)
