"""What the API shows of jobs, batches and events. Moments are UTC, ISO 8601."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from video_jobs import clock
from video_jobs.jobs.batches import Batch, BatchStatus, Counts, estimated_end, rate, totals
from video_jobs.jobs.model import Job, JobError, JobStatus, MediaType, Step, StepStatus
from video_jobs.nesting import Shallow
from video_jobs.platforms.media import medium_of
from video_jobs.store.table import Page

LONGEST_LISTED_SOURCE = 200
"""Characters of a source that a list shows."""
_STEP_MOMENTS = frozenset({"started_at", "polled_at", "wake_at", "deadline_at", "ended_at"})


class StepView(BaseModel):
    """How one step stands."""

    name: str
    status: StepStatus
    attempt: int
    """How often the platform was asked for it."""
    progress: float | None = None
    """0 to 1, where the platform says."""
    platform_status: str | None = None
    """The platform's own word."""
    platform_job_id: str | None = None
    """The platform's id of this step."""
    result: Shallow | None = None
    """What came of it; while it runs, what there is already."""
    hints: dict[str, str] = {}
    """What callbacks that end nothing by themselves said of its parts: the part, and the platform's word."""
    error: JobError | None = None
    """Why it failed; while it is queued again, why the last attempt did."""
    polls: int
    """How often the platform was asked how this attempt stands."""
    started_at: str | None = None
    polled_at: str | None = None
    wake_at: str | None = None
    """When it is looked at next: after a backoff, or to poll. A callback may come first."""
    deadline_at: str | None = None
    """When it fails as timed_out if it has not ended."""
    ended_at: str | None = None

    @classmethod
    def of(cls, name: str, step: Step, **more: Any) -> Self:
        shown = step.model_dump(include=set(cls.model_fields) - _STEP_MOMENTS)
        moments = {moment: _iso(getattr(step, moment)) for moment in _STEP_MOMENTS}
        return cls(name=name, **shown, **moments, **more)


class JobSummary(BaseModel):
    """A job, as a list shows it."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it is read from the table

    job_id: str
    provider: str
    status: JobStatus
    source: str | None = None
    """The URL that the platform fetches. Lists show its first 200 characters, without the query string."""
    media_id: str | None = None
    """The platform's id of the medium: the one that was given, or that the upload has made. A TwelveLabs job of the
    plan task has none. Lists show an upload's once the next step has begun, or the job has ended."""
    media_type: MediaType | None = None
    label: str | None = None
    """The one that the job was given."""
    batch_id: str | None = None
    """The batch that made it."""
    created_at: str
    ended_at: str | None = None

    @classmethod
    def brief(cls, job: Job) -> Self:
        return cls(**_summary(job) | {"source": _shortened(job.request.source)})


class JobView(JobSummary):
    """A job, whole."""

    progress: float
    """0 to 1: how much of the plan is done."""
    steps: list[StepView]
    """In the order of the plan."""
    options: Shallow
    error: JobError | None = None
    """Why it failed."""
    adopted: bool
    """Whether a callback made it, about work that was started elsewhere."""
    version: int
    """Grows with each change; `since` takes it."""
    updated_at: str

    @classmethod
    def of(cls, job: Job) -> Self:
        done = sum(1.0 if step.status.done else step.progress or 0.0 for step in job.steps.values())
        return cls(
            **_summary(job) | {"media_id": medium_of(job) or job.media_id},
            progress=round(done / len(job.steps), 4),
            steps=[StepView.of(name, step) for name, step in job.steps.items()],
            options=job.request.options,
            error=job.error,
            adopted=job.adopted,
            version=job.version,
            updated_at=clock.iso(job.updated_at),
        )


class JobPage(BaseModel):
    """Jobs, newest first; `cursor` asks for those that follow."""

    jobs: list[JobSummary]
    cursor: str | None = None

    @classmethod
    def of(cls, page: Page[Job]) -> Self:
        return cls(jobs=[JobSummary.brief(job) for job in page.items], cursor=page.cursor)


class BatchTotals(BaseModel):
    """How many of a batch's sources stand where."""

    waiting: int
    """Sources that are not jobs yet."""
    open: int
    """Jobs that have not ended."""
    succeeded: int
    """Jobs."""
    failed: int
    """Jobs."""
    canceled: int
    """Jobs."""


class BatchSummary(BaseModel):
    """A batch, as a list shows it."""

    batch_id: str
    name: str | None = None
    provider: str
    status: BatchStatus
    """running until it is closed and all of its jobs have ended."""
    closed: bool
    """Whether no more sources come."""
    canceled: bool
    """Whether its open jobs were canceled, and nothing has been tried again since."""
    total: int
    """Sources so far."""
    created_at: str
    ended_at: str | None = None

    @classmethod
    def brief(cls, batch: Batch) -> Self:
        return cls(**_batch_summary(batch))


class BatchView(BatchSummary):
    """A batch with its counts."""

    totals: BatchTotals
    causes: dict[str, int]
    """Of the failed jobs, how many for which cause: their errors' codes, the most frequent first."""
    progress: float
    """0 to 1: how many of its jobs have ended."""
    rate: float | None = None
    """Jobs that end in a minute: over the last ten minutes, or since the first was made if none has ended in those."""
    estimated_end_at: str | None = None
    """When the last job of those so far ends, if the rate stays."""
    version: int
    """Grows with each change; `since` takes it."""
    started_at: str | None = None
    """When its first job was made."""

    @classmethod
    def of(cls, batch: Batch, counts: Counts) -> Self:
        at = clock.now()
        return cls(
            **_batch_summary(batch),
            totals=BatchTotals(**asdict(totals(batch, counts))),
            causes=counts.causes,
            progress=round(counts.ended / batch.total, 4) if batch.total else 0.0,
            rate=_rounded(rate(batch, counts, at=batch.ended_at or at)),
            estimated_end_at=_iso(estimated_end(batch, counts, at=at)),
            version=batch.version + counts.changes,
            started_at=_iso(batch.started_at),
        )


class BatchPage(BaseModel):
    """Batches, newest first; `cursor` asks for those that follow."""

    batches: list[BatchSummary]
    cursor: str | None = None

    @classmethod
    def of(cls, page: Page[Batch]) -> Self:
        return cls(batches=[BatchSummary.brief(batch) for batch in page.items], cursor=page.cursor)


class EventView(BaseModel):
    """What a platform said, word for word."""

    event_id: str
    callback: str
    """Which callback it is, or whose words a poll's answer has: provider/callback."""
    ref: str | None = None
    """The platform's id that it names; null if it came to the job's own URL, or answers our asking."""
    attempt: int | None = None
    """Which attempt at the step it is about, from 1; null where it names the platform's id alone."""
    via: str
    """How we learnt it. callback: the platform called back. poll: it was asked how the step stands. submit: it was
    asked for the step, and its answer, or that there was none, ended the step at once. Only a callback can be
    replayed."""
    meaning: str
    """What it says of the step: succeeded, failed, hint (the platform was asked about it) or ignored."""
    body: str
    headers: dict[str, str]
    received_at: str

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """From an archived event, as `store.events` gives it."""
        return cls.model_validate({**event, "received_at": clock.iso(event["received_at"])})


class EventPage(BaseModel):
    """Events, in the order in which they came, of each page."""

    events: list[EventView]
    cursor: str | None = None

    @classmethod
    def of(cls, page: Page[dict[str, Any]]) -> Self:
        return cls(
            events=sorted(map(EventView.of, page.items), key=lambda event: event.received_at), cursor=page.cursor
        )


class ReplayView(BaseModel):
    """An event that is on its way through the Inbox again."""

    job_id: str
    event_id: str


def _summary(job: Job) -> dict[str, Any]:
    request = job.request
    return {
        "job_id": job.job_id,
        "provider": job.provider,
        "status": job.status,
        "source": request.source,
        "media_id": job.media_id,
        "media_type": request.media_type,
        "label": request.label,
        "batch_id": request.batch_id,
        "created_at": clock.iso(job.created_at),
        "ended_at": _iso(job.ended_at),
    }


def _shortened(source: str | None) -> str | None:
    """What a list shows of a source: a query string may hold a signature, and a hundred long ones are no list."""
    if source is None:
        return None
    parts = urlsplit(source)
    host = parts.netloc.rpartition("@")[2]  # a user's name and password are nobody's business
    return f"{parts.scheme}://{host}{parts.path}"[:LONGEST_LISTED_SOURCE]


def _batch_summary(batch: Batch) -> dict[str, Any]:
    plain = batch.model_dump(include={"batch_id", "name", "provider", "status", "closed", "canceled", "total"})
    return plain | {"created_at": clock.iso(batch.created_at), "ended_at": _iso(batch.ended_at)}


def _iso(moment: int | None) -> str | None:
    return None if moment is None else clock.iso(moment)


def _rounded(found: float | None) -> float | None:
    return None if found is None else round(found, 3)
