"""What a batch is: many sources for one platform's plan, and how many of its jobs stand where.

Moments are milliseconds since 1970 (`video_jobs.clock`).
"""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from video_jobs.clock import SECOND
from video_jobs.jobs.model import Frozen, Job, JobStatus

ALL_CAUSES = "*"
NOT_MADE = f"{JobStatus.FAILED}/not_made"
"""What a source is counted as of which no job can be made."""
RATE_MINUTES = 10
"""Over how long the rate is taken: the current minute, and so many before it."""
_IDS = uuid.UUID("0f0c6d8c-2d7c-4c39-9d7d-64a4f9e1c2b0")
_MINUTE = 60 * SECOND
_LONGEST_ESTIMATE = 10 * 365 * 24 * 60
"""Minutes."""


class BatchStatus(StrEnum):
    RUNNING = "running"  # takes sources, or has jobs that have not ended
    ENDED = "ended"  # closed, and every job has ended


class Batch(Frozen):
    """Sources that go the same way. It ends when it is closed and all of its jobs have ended."""

    batch_id: str
    name: str | None = None
    provider: str
    template: dict[str, Any]
    """What its callers asked for, but for the sources: a job's request."""
    status: BatchStatus = BatchStatus.RUNNING
    closed: bool
    """Whether no more sources come."""
    canceled: bool = False
    """Whether what was open was canceled, and nothing has been retried since."""
    total: int = 0
    """How many sources it was given."""
    made: int = 0
    """Of how many it is known what became of them: a job, or that none can be made."""
    work: int = 0
    """How many pieces of work on the batch itself are not done: sources to make jobs of, a retry, a cancellation."""
    notify_url: str | None = None
    """Where its end is announced, as Standard Webhooks says."""
    retrying: str | None = None
    """Which failed jobs the last retry is for, from when it is asked for until the batch ends: those of one cause, or
    ALL_CAUSES."""
    ends: int = 0
    """How often it has ended: more than once if a job of it was retried, or a platform took a failure back."""
    announced: int = 0
    """Which of its ends was announced last."""
    request_digest: str | None = None
    version: int = 0
    created_at: int
    updated_at: int
    started_at: int | None = None
    """When its first job was made."""
    ended_at: int | None = None

    def is_retrying(self, cause: str | None) -> bool:
        """Whether a retry of jobs that failed for this cause (None: for any) is under way."""
        return self.retrying is not None and (cause is None or self.retrying in (cause, ALL_CAUSES))

    @property
    def is_being_canceled(self) -> bool:
        """Whether a cancellation is under way: until it is done nothing can be retried."""
        return self.canceled and self.work > 0

    @property
    def is_announced(self) -> bool:
        """Whether its end was announced. True of a batch that runs: an end that is taken back before that is none."""
        return self.status == BatchStatus.RUNNING or self.announced >= self.ends

    def is_over(self, counts: "Counts") -> bool:
        """Whether it has ended with these counts."""
        return self.closed and self.work == 0 and counts.ended >= self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many jobs of a batch have ended, how, and when of late."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Jobs by their outcome: see `Job.outcome`."""
    ended_in: Mapping[int, int] = field(default_factory=dict)
    """How many jobs ended in which minute (since 1970), of the last few minutes at least."""
    changes: int = 0
    """How often a job was counted, or its end taken back."""

    def of(self, status: JobStatus) -> int:
        """Jobs that have ended so."""
        if status == JobStatus.FAILED:
            return sum(self.causes.values())
        return self.outcomes.get(status, 0)

    @property
    def causes(self) -> dict[str, int]:
        """Failed jobs, by the code of their error; the most frequent first."""
        prefix = f"{JobStatus.FAILED}/"
        found = {name.removeprefix(prefix): number for name, number in self.outcomes.items() if name.startswith(prefix)}
        return dict(sorted(((cause, number) for cause, number in found.items() if number), key=lambda c: (-c[1], c[0])))

    @property
    def ended(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Where a batch's sources stand; together they are all of them."""

    waiting: int
    """Not jobs yet."""
    open: int
    """Jobs that have not ended."""
    succeeded: int
    failed: int
    canceled: int


def totals(batch: Batch, counts: Counts) -> Totals:
    """The counts may be a moment newer than the batch: a job that has ended was made."""
    made = max(batch.made, counts.ended)
    return Totals(
        waiting=batch.total - made,
        open=made - counts.ended,
        succeeded=counts.of(JobStatus.SUCCEEDED),
        failed=counts.of(JobStatus.FAILED),
        canceled=counts.of(JobStatus.CANCELED),
    )


def job_id(batch: Batch, index: int) -> str:
    """The id of a batch's job: always the same one for the same source.

    A batch that is posted again with its Idempotency-Key after it has expired has the same id, and other jobs.
    """
    return str(uuid.uuid5(_IDS, f"{batch.batch_id}\n{batch.created_at}\n{index}"))


def is_to_be_retried(job: Job, *, cause: str | None, asked_at: int) -> bool:
    """Whether a retry that was asked for then is for a job: one that had failed by then, for this cause (None: any).

    A part of a retry that is done again retries none again that has failed since.
    """
    if job.status != JobStatus.FAILED or job.adopted or (job.ended_at or 0) > asked_at:
        return False
    return cause is None or (job.error is not None and job.error.code == cause)


def rate(batch: Batch, counts: Counts, *, at: int) -> float | None:
    """How many jobs end in a minute: of late, or since the first one began if none has ended of late; None before.

    The current minute and the ten before it count, but nothing before the first job was made.
    """
    if batch.started_at is None or not counts.ended:
        return None
    this_minute = at // _MINUTE
    window = (this_minute - RATE_MINUTES) * _MINUTE
    recent = sum(number for minute, number in counts.ended_in.items() if minute >= this_minute - RATE_MINUTES)
    ended, since = (recent, max(batch.started_at, window)) if recent else (counts.ended, batch.started_at)
    return ended / max(at - since, SECOND) * _MINUTE


def estimated_end(batch: Batch, counts: Counts, *, at: int) -> int | None:
    """When the last job ends if the rate stays; None before one has ended, and when all have."""
    left = batch.total - counts.ended
    found = rate(batch, counts, at=at)
    if not found or left <= 0:
        return None
    minutes = left / found
    if not math.isfinite(minutes) or minutes > _LONGEST_ESTIMATE:
        return None
    return at + round(minutes * _MINUTE)
