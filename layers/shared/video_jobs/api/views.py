"""What the API shows of jobs and events."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from video_jobs.jobs.batches import Batch, BatchStatus, Counts, estimated_end, rate
from video_jobs.jobs.model import Job, JobError, JobStatus, MediaType, StepStatus, now
from video_jobs.nesting import Shallow
from video_jobs.platforms import media
from video_jobs.store import Page

_DONE = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


class StepView(BaseModel):
    """How one step stands. Times are UTC, ISO 8601."""

    name: str
    status: StepStatus
    attempt: int
    """How often the platform was asked for it."""
    progress: float | None = None
    """0 to 1, where the platform tells."""
    platform_status: str | None = None
    """The platform's own word."""
    platform_job_id: str | None = None
    """The platform's id of this step."""
    result: Shallow | None = None
    """What came of it; while it runs, what there is already."""
    told: dict[str, str] = {}
    """What callbacks said that end nothing by themselves: "platform's id/part" and the platform's word."""
    error: JobError | None = None
    """Why it failed; while it is queued again, why the last attempt did."""
    checks: int
    """How often the platform was asked how this attempt stands."""
    started_at: str | None = None
    checked_at: str | None = None
    next_check_at: str | None = None
    deadline_at: str | None = None
    """When it fails as timed_out if it has not ended."""
    ended_at: str | None = None


class JobSummary(BaseModel):
    """A job, as a list shows it."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it is read from the table

    job_id: str
    provider: str
    status: JobStatus
    source: str | None = None
    """The URL that the platform fetches."""
    media_id: str | None = None
    """The platform's id of the medium: the one that was given, or else the one that the upload has made. A TwelveLabs
    job of the plan task has none. Lists show an upload's once the job has ended."""
    media_type: MediaType | None = None
    batch: str | None = None
    """The batch's id, or the label that the job was given."""
    created_at: str
    ended_at: str | None = None

    @classmethod
    def brief(cls, job: Job) -> Self:
        """From a whole job."""
        return cls.model_validate(media.known(job).model_dump())


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
        job = media.known(job)
        steps = [StepView(name=name, **job.steps[name].model_dump()) for name in job.plan]
        done = sum(1.0 if step.status in _DONE else step.progress or 0.0 for step in steps)
        return cls(
            **job.model_dump(exclude={"steps"}),
            progress=round(done / len(steps), 4),
            steps=steps,
            error=job.error,
        )


class JobPage(BaseModel):
    """Jobs, newest first; `cursor` asks for those that follow."""

    jobs: list[JobSummary]
    cursor: str | None = None

    @classmethod
    def of(cls, page: Page[dict[str, Any]]) -> Self:
        return cls(jobs=[JobSummary.model_validate(item) for item in page.items], cursor=page.cursor)


class BatchTotals(BaseModel):
    """How many of a batch's sources stand where."""

    waiting: int
    """Not jobs yet."""
    pending: int
    """Jobs of which nothing has been asked of the platform yet."""
    running: int
    """Jobs."""
    succeeded: int
    """Jobs."""
    failed: int
    """Jobs."""
    canceled: int
    """Jobs."""


class BatchSummary(BaseModel):
    """A batch, as a list shows it. Times are UTC, ISO 8601."""

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


class BatchView(BatchSummary):
    """A batch with its counts. Times are UTC, ISO 8601."""

    totals: BatchTotals
    causes: dict[str, int]
    """Of the failed jobs, how many for which cause: their errors' codes, the most frequent first."""
    progress: float
    """0 to 1: how many of its jobs have ended."""
    rate: float | None = None
    """Jobs that end in a minute: over the last ten minutes, or since the first began if none has ended in those."""
    estimated_end_at: str | None = None
    """When the last job of those so far ends, if the rate stays."""
    version: int
    """Grows with each change; `since` takes it."""
    started_at: str | None = None
    """When its first job began."""

    @classmethod
    def of(cls, batch: Batch, counts: Counts) -> Self:
        at = now()
        return cls(
            **batch.model_dump(include={"batch_id", "name", "provider", "status", "closed", "canceled", "total"}),
            totals=BatchTotals(
                waiting=batch.total - counts.made, **{status: counts.of(status) for status in JobStatus}
            ),
            causes=counts.causes,
            progress=round(counts.ended / batch.total, 4) if batch.total else 0.0,
            rate=_rounded(rate(counts, at=datetime.fromisoformat(batch.ended_at) if batch.ended_at else at)),
            estimated_end_at=estimated_end(batch, counts, at=at),
            version=batch.version + counts.changes,
            created_at=batch.created_at,
            started_at=counts.started_at,
            ended_at=batch.ended_at,
        )


class BatchPage(BaseModel):
    """Batches, newest first; `cursor` asks for those that follow."""

    batches: list[BatchSummary]
    cursor: str | None = None

    @classmethod
    def of(cls, page: Page[Batch]) -> Self:
        return cls(
            batches=[BatchSummary.model_validate(batch.model_dump()) for batch in page.items], cursor=page.cursor
        )


def _rounded(found: float | None) -> float | None:
    return None if found is None else round(found, 3)


class EventView(BaseModel):
    """What a platform said about a step, as it said it."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it is read from the table

    event_id: str
    callback: str
    attempt: int
    """Which attempt at its step it is about, from 1."""
    via: str
    """How we learnt it. callback: the platform called back. check: it was asked how the step stands. submit: it was
    asked for the step, and its answer, or that there was none, ended the step at once. start: our function had broken
    off before an answer, and no attempt was left. Only a callback can be replayed."""
    outcome: str
    """What became of it when it came."""
    body: str
    headers: dict[str, str]
    received_at: str


class EventPage(BaseModel):
    """Events, in the order in which they came, of each page."""

    events: list[EventView]
    cursor: str | None = None

    @classmethod
    def of(cls, page: Page[dict[str, Any]]) -> Self:
        events = sorted((EventView.model_validate(item) for item in page.items), key=lambda event: event.received_at)
        return cls(events=events, cursor=page.cursor)


class ReplayView(BaseModel):
    """An event that is on its way to its callback function again."""

    job_id: str
    event_id: str
