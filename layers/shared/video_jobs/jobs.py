"""What a job is: a source, a plan of steps, and how each of them stands."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from video_jobs.redaction import redacted


class JobStatus(StrEnum):
    PENDING = "pending"  # nothing has been asked of the platform yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def ended(self) -> bool:
        return self not in (JobStatus.PENDING, JobStatus.RUNNING)


class StepStatus(StrEnum):
    WAITING = "waiting"  # not its turn yet
    QUEUED = "queued"  # its turn, or to be tried again
    SUBMITTING = "submitting"  # a worker is asking the platform for it, until its lease is over
    RUNNING = "running"  # the platform has accepted it
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"  # does not apply to this medium


LARGEST_BODY = 256 * 1024
"""Bytes of a platform's body that we take and archive. Ten thousand scenes are more; a check learns their id."""

LONGEST_MESSAGE = 2000
"""Characters of a platform's words that an error keeps: a page of HTML is no reason."""

type MediaType = Literal["video", "audio", "image"]


def safe_words(text: str) -> str:
    """A platform's words as we show them: without credentials, and not endless."""
    return redacted(text)[:LONGEST_MESSAGE]


# A plain alias: a `type` statement would become a part of its own in the API's document.
SafeWords = Annotated[str, AfterValidator(safe_words)]


class Frozen(BaseModel):
    """A value that does not change; unknown fields are dropped. Errors do not quote what does not fit."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class JobError(Frozen):
    """What went wrong, why, and what to do about it."""

    code: str
    """Ours, stable: switch on this."""
    message: SafeWords
    """The platform's own words where it said something."""
    cause: SafeWords
    """Why it happens."""
    action: str
    """What to do about it."""
    retryable: bool
    """Whether the same step may succeed if it is tried again as it is."""


class RetryPolicy(BaseModel):
    """How a step is tried again after a fault that passes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    max_attempts: int = Field(default=3, ge=1, le=10)
    """How often a step is asked for at most, the first time included."""
    base_delay: Annotated[float, AfterValidator(lambda seconds: round(seconds, 3))] = Field(
        default=1.0, ge=0, le=300, allow_inf_nan=False
    )
    """Seconds, to the millisecond; the n-th wait is a random part of base_delay * 2^(n-1)."""


class Step(Frozen):
    """How one step stands. Times are UTC, ISO 8601."""

    status: StepStatus
    attempt: int = 0
    """How often the platform has been asked for it; callbacks say which one they answer."""
    attempt_limit: int
    """Where attempts end; a retry by a person raises it."""
    rate_limits: int = 0
    """How many attempts the platform had no room for: `attempt_limit` was raised for each of them."""
    attempts_before: int = 0
    """How many attempts there were when a person had it tried again that the platform had accepted, and failed."""
    platform_job_id: str | None = None
    """The platform's own id of its asynchronous job."""
    platform_status: str | None = None
    """The platform's own word for the status."""
    progress: float | None = None
    """0 to 1, where the platform tells."""
    result: dict[str, Any] | None = None
    """What came of it; while it runs, what a check found so far."""
    told: dict[str, str] = {}
    """What callbacks that end nothing by themselves said of its parts: "reference/part" and the platform's word."""
    tellings: int = 0
    """How many such callbacks came."""
    told_at: str | None = None
    heard: int = 0
    """How many of them a worker has looked into."""
    error: JobError | None = None
    """Why it failed; while it is queued again, why the last attempt did."""
    checks: int = 0
    started_at: str | None = None
    checked_at: str | None = None
    ended_at: str | None = None
    not_before: str | None = None
    """When it may be tried again."""
    lease_until: str | None = None
    next_check_at: str | None = None
    deadline_at: str | None = None

    def told_of(self, ref: str) -> dict[str, str]:
        """What callbacks said of one of the platform's ids: part and word."""
        prefix = f"{ref}/"
        return {key.removeprefix(prefix): word for key, word in self.told.items() if key.startswith(prefix)}


class Job(Frozen):
    """A source on its way through a platform's steps."""

    job_id: str
    provider: str
    status: JobStatus
    source: str | None = None
    """The URL that the platform fetches."""
    media_id: str | None = None
    """The platform's id of the medium: as the request gave it; of a source, noted when the job ends."""
    media_type: MediaType | None = None
    plan: tuple[str, ...]
    """The names of the steps, in their order."""
    steps: dict[str, Step]
    options: dict[str, dict[str, Any]] = {}
    """For each step, what its caller asked for."""
    retry: RetryPolicy = RetryPolicy()
    check_interval: float | None = None
    """Seconds from a step's start to its first check, where the caller wants it otherwise than the stack."""
    batch: str | None = None
    """A batch's id, or a label that its caller gave it to list it by."""
    batch_index: int | None = None
    """Which of its batch's sources this is, from 0; None if its batch is only a label."""
    counted: str | None = None
    """What its batch counts it as."""
    notify_url: str | None = None
    """Where its end is told, as Standard Webhooks says."""
    notify_checks: bool = False
    """Whether each check that leaves it running is told, too."""
    adopted: bool = False
    """Whether a callback made it: the platform did work that was started elsewhere."""
    refs: tuple[str, ...] = ()
    """The platform's ids that lead to this job."""
    request_digest: str | None = None
    """What the caller sent with its Idempotency-Key, so that the same key with another request is noticed."""
    version: int = 0
    """How often it was changed."""
    ends: int = 0
    """How often it has ended: more than once if it was tried again, or a platform took its failure back."""
    announced: int = 0
    """How many of its ends have been handed over to be told."""
    created_at: str
    updated_at: str
    ended_at: str | None = None

    @property
    def current(self) -> str | None:
        """The first step that has not ended well, or None if all have."""
        done = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
        return next((name for name in self.plan if self.steps[name].status not in done), None)

    @property
    def doubted(self) -> str | None:
        """A failed step that callbacks have told something good of which nobody has looked into; None if none is."""
        name = self.current
        if name is None or self.status == JobStatus.CANCELED:
            return None
        step = self.steps[name]
        return name if step.status == StepStatus.FAILED and step.tellings > step.heard else None

    @property
    def is_told(self) -> bool:
        """Whether all of its ends have been handed over to be told."""
        return self.announced >= self.ends

    @property
    def error(self) -> JobError | None:
        """Why the job failed: the failed step's error."""
        failed = (step.error for step in self.steps.values() if step.status == StepStatus.FAILED)
        return next(failed, None) if self.status == JobStatus.FAILED else None

    def submission_key(self, step: str) -> str:
        """One key for all tries to submit a step, until the platform has accepted and failed it: 64 hexadecimal digits.

        A platform that has seen it before has the step already: the answer to an earlier try was lost.
        """
        return hashlib.sha256(f"{self.job_id}\n{step}\n{self.steps[step].attempts_before}".encode()).hexdigest()

    def may_be_submitted_already(self, step: str) -> bool:
        """Whether this is not the first try with this key, those apart that the platform sent away unread."""
        found = self.steps[step]
        return found.attempt - found.rate_limits > found.attempts_before + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The platform has accepted a step, and says how to ask after it (None: it does not say)."""

    platform_job_id: str | None
    platform_status: str | None = None
    refs: tuple[str, ...] = ()
    """Its ids that callbacks about this step will name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRunning:
    """The platform is still at it."""

    progress: float | None = None
    platform_status: str | None = None
    result: Mapping[str, Any] | None = None
    """What it has come to so far, where there is something to use already."""
    soon: bool = False
    """Whether an end is near, so that the next check must not wait for long."""
    wait: float = 0.0
    """Seconds that the platform asked us to wait before we ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSucceeded:
    """The platform has done it. `refs` are its ids of what came of it."""

    result: Mapping[str, Any] = field(default_factory=dict)
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """The platform has given it up, or we have. `result` is what there is all the same."""

    error: JobError
    result: Mapping[str, Any] = field(default_factory=dict)


type StepEnd = StepSucceeded | StepFailed
"""What a callback says, and what a check may find: both are recorded in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a callback says that ends no step by itself: a worker looks into it at once.

    Because it is about a part of the step only, or leaves out what came of it, or cannot be believed without asking.
    """

    ref: str
    """The platform's id that it is about."""
    step: str
    """Whose it is, where the job of that id has such a step; else it is the step's that brought the id."""
    part: str
    """Of what in the step; what is said of the same part later takes its place."""
    word: str
    """The platform's own."""
    good: bool = False
    """Whether a step that has failed may yet have succeeded."""
    identity: str | None = None
    """The platform's id of this callback, where repetitions share it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A documented callback that no step of ours waits for: it is archived, with its medium's job if there is one."""

    event_type: str
    ref: str | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A step's end that we were told when we asked, and the body that told it."""

    end: StepEnd
    body: Mapping[str, Any]
    platform_status: str | None = None


def now() -> datetime:
    return datetime.now(UTC)


def timestamp(moment: datetime, *, plus: float = 0.0) -> str:
    """A moment, `plus` seconds later, as it is stored: UTC, milliseconds, so that texts sort as times do."""
    return (moment + timedelta(seconds=plus)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
