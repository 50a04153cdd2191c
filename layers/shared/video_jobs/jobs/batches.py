"""What a batch is: many sources for one platform's plan, and how many of its jobs stand where."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from video_jobs.jobs.model import Frozen, Job, JobStatus, timestamp

RATE_MINUTES = 10
"""Over how long the rate is taken: the current minute, and so many before it."""
_IDS = uuid.UUID("0f0c6d8c-2d7c-4c39-9d7d-64a4f9e1c2b0")


ALL_CAUSES = "*"


class BatchStatus(StrEnum):
    RUNNING = "running"  # takes sources, or has jobs that have not ended
    ENDED = "ended"  # closed, and every job has ended


class Batch(Frozen):
    """Sources that go the same way. It ends when it is closed and all of its jobs have ended. Times as in jobs."""

    batch_id: str
    name: str | None = None
    provider: str
    template: dict[str, Any]
    """What its callers asked for, but for the sources: a job's request."""
    status: BatchStatus = BatchStatus.RUNNING
    closed: bool
    """Whether no more sources come."""
    canceled: bool = False
    """Whether what was open was canceled, and nothing has been tried again since."""
    total: int = 0
    """How many sources it was given."""
    work: int = 0
    """How many pieces of work on the batch itself are not done: sources to make jobs of, a retry, a cancellation."""
    notify_url: str | None = None
    """Where its end is told, as Standard Webhooks says."""
    retrying: str | None = None
    """Which failed jobs the last retry is for, from when it is asked for until the batch ends: those of one cause, or
    ALL_CAUSES."""
    ends: int = 0
    """How often it has ended: more than once if a job of it was tried again, or a platform took a failure back."""
    announced: int = 0
    """How many of its ends have been handed over to be told."""
    request_digest: str | None = None
    version: int = 0
    created_at: str
    updated_at: str
    ended_at: str | None = None

    def is_retrying(self, cause: str | None) -> bool:
        """Whether a retry of jobs that failed for this cause (None: for any) is under way."""
        return self.retrying is not None and (cause is None or self.retrying in (cause, ALL_CAUSES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many jobs of a batch are counted as what, and when they ended of late."""

    kinds: Mapping[str, int] = field(default_factory=dict)
    """Jobs, by what they are counted as (see `counted_as`)."""
    ended_in: Mapping[int, int] = field(default_factory=dict)
    """How many jobs ended in which minute (since 1970), of the last few minutes at least."""
    started_at: str | None = None
    changes: int = 0
    """How many jobs have moved from one kind to another so far."""

    def of(self, status: JobStatus) -> int:
        if status == JobStatus.FAILED:
            return sum(self.causes.values())
        return self.kinds.get(status, 0)

    @property
    def causes(self) -> dict[str, int]:
        """Failed jobs, by the code of their error; the most frequent first."""
        prefix = f"{JobStatus.FAILED}/"
        found = {kind.removeprefix(prefix): number for kind, number in self.kinds.items() if kind.startswith(prefix)}
        return dict(sorted(((cause, number) for cause, number in found.items() if number), key=lambda c: (-c[1], c[0])))

    @property
    def made(self) -> int:
        """Sources that have become jobs."""
        return sum(self.of(status) for status in JobStatus)

    @property
    def ended(self) -> int:
        return sum(self.of(status) for status in JobStatus if status.ended)


def counted_as(job: Job) -> str:
    """What a batch counts a job as: its status; if it failed, with the error's code."""
    if job.status != JobStatus.FAILED:
        return job.status
    return f"{JobStatus.FAILED}/{job.error.code if job.error else 'unknown'}"


def is_end(kind: str) -> bool:
    """Whether jobs that are counted so have ended."""
    return JobStatus(kind.split("/")[0]).ended


def job_id(batch_id: str, index: int) -> str:
    """The id of a batch's job: always the same one for the same source."""
    return str(uuid.uuid5(_IDS, f"{batch_id}\n{index}"))


def rate(counts: Counts, *, at: datetime) -> float | None:
    """How many jobs end in a minute: of late, or since the first one began if none has ended of late; None before.

    The current minute and the ten before it count, but nothing before the first job began.
    """
    if counts.started_at is None or not counts.ended:
        return None
    began = datetime.fromisoformat(counts.started_at)
    this_minute = int(at.timestamp()) // 60
    window = datetime.fromtimestamp((this_minute - RATE_MINUTES) * 60, UTC)
    recent = sum(number for minute, number in counts.ended_in.items() if minute >= this_minute - RATE_MINUTES)
    ended, since = (recent, max(began, window)) if recent else (counts.ended, began)
    return ended / max((at - since).total_seconds(), 1.0) * 60


def estimated_end(batch: Batch, counts: Counts, *, at: datetime) -> str | None:
    """When the last job ends if the rate stays; None before one has ended, and when all have."""
    left = batch.total - counts.ended
    found = rate(counts, at=at)
    if not found or left <= 0:
        return None
    minutes = left / found
    if not math.isfinite(minutes) or minutes > 10 * 365 * 24 * 60:
        return None
    return timestamp(at + timedelta(minutes=minutes))
