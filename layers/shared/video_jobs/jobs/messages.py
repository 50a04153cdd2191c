"""What a job in this state needs sent.

One message: look at this job. The table says what there is to do, so a message may be lost, late or doubled; and
whoever has saved a job, and the sweep, send the same ones.
"""

from dataclasses import dataclass

from video_jobs.jobs.model import Job, JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Have a platform's worker look at a job, at `due_at` (milliseconds since 1970)."""

    provider: str
    job_id: str
    due_at: int
    group: str | None = None
    """Whose turn it takes: jobs of a batch that have not begun let the others pass (SQS's fair queues)."""


def messages(job: Job) -> tuple[Look, ...]:
    """What to send for a job as it stands: nothing if nothing is due."""
    if job.due_at is None:
        return ()
    group = job.request.batch_id if job.status == JobStatus.PENDING else None
    return (Look(provider=job.provider, job_id=job.job_id, due_at=job.due_at, group=group),)
