"""What the API shows of jobs and events."""

from typing import Any, Self

from pydantic import BaseModel

from video_jobs.jobs import Job, JobError, JobStatus, MediaType, StepStatus
from video_jobs.store import Page

_DONE = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


class StepView(BaseModel):
    """How one step stands. Times are UTC, ISO 8601."""

    name: str
    status: StepStatus
    attempt: int
    progress: float | None = None
    """0 to 1, where the platform tells."""
    platform_status: str | None = None
    """The platform's own word."""
    platform_job_id: str | None = None
    result: dict[str, Any] | None = None
    """What came of it; while it runs, what there is already."""
    told: dict[str, str] = {}
    """What callbacks said that end nothing by themselves: "platform's id/part" and the platform's word."""
    error: JobError | None = None
    checks: int
    started_at: str | None = None
    checked_at: str | None = None
    next_check_at: str | None = None
    deadline_at: str | None = None
    ended_at: str | None = None


class JobSummary(BaseModel):
    """A job, as a list shows it."""

    job_id: str
    provider: str
    status: JobStatus
    source: str | None = None
    media_id: str | None = None
    media_type: MediaType | None = None
    batch: str | None = None
    created_at: str
    ended_at: str | None = None


class JobView(JobSummary):
    """A job, whole."""

    progress: float
    """0 to 1: how much of the plan is done."""
    steps: list[StepView]
    """In the order of the plan."""
    options: dict[str, Any]
    error: JobError | None = None
    """Why it failed."""
    adopted: bool
    """Whether a callback made it, about work that was started elsewhere."""
    updated_at: str

    @classmethod
    def of(cls, job: Job) -> Self:
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


class EventView(BaseModel):
    """What a platform said about a step, as it said it."""

    event_id: str
    callback: str
    attempt: int
    via: str
    """callback; or check or submit, where we asked."""
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
