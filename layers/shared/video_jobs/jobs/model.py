"""What a job is: what was asked for, a plan of steps, and how each of them stands.

All values are frozen. Moments are milliseconds since 1970 (`video_jobs.clock`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
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

    @property
    def done(self) -> bool:
        """Whether the next step may begin."""
        return self in (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


LARGEST_BODY = 256 * 1024
"""Bytes of a platform's body that we take and archive. Ten thousand scenes are more; a poll learns their id."""

LONGEST_MESSAGE = 2000
"""Characters of a platform's words that an error keeps: a page of HTML is no reason."""

MOST_HINTS = 32
"""Of how many parts of a step a job remembers what callbacks said. api.video has up to seven renditions of a video."""

NOT_FOUND = "not_found"
"""The code of the error that says: the platform does not know what we ask about."""

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
    """How a step is tried again after an error that passes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    max_attempts: int = Field(default=3, ge=1, le=10)
    """How often a step is asked for at most, the first time included."""
    base_delay: Annotated[float, AfterValidator(lambda seconds: round(seconds, 3))] = Field(
        default=1.0, ge=0, le=300, allow_inf_nan=False
    )
    """Seconds, to the millisecond; the n-th wait is a random part of base_delay * 2^(n-1)."""


class Request(Frozen):
    """What a job was asked to do. It never changes."""

    source: str | None = None
    """The URL that the platform fetches."""
    media_id: str | None = None
    """The platform's id of a medium that it has already."""
    media_type: MediaType | None = None
    options: dict[str, dict[str, Any]] = {}
    """For each step, what its caller asked for."""
    retry: RetryPolicy = RetryPolicy()
    check_interval: float | None = None
    """Seconds from a step's start to its first poll, where the caller wants it otherwise than the stack."""
    label: str | None = None
    """What its caller lists it by."""
    batch_id: str | None = None
    batch_index: int | None = None
    """Which of its batch's sources this is, from 0."""
    batch_created_at: int | None = None
    """When its batch was made: by that its jobs are listed, one beside the other."""
    notify_url: str | None = None
    """Where its end is announced, as Standard Webhooks says."""
    notify_polls: bool = False
    """Whether each poll that leaves it running is announced, too."""
    digest: str | None = None
    """What the caller sent with its Idempotency-Key, so that the same key with another request is noticed."""


class Step(Frozen):
    """How one step stands."""

    status: StepStatus = StepStatus.WAITING
    attempt: int = 0
    """How often the platform has been asked for it; callbacks say which one they answer."""
    attempt_limit: int = 3
    """Where attempts end; a retry by a person raises it, and so does each attempt that does not count."""
    spared: int = 0
    """How many attempts do not count: the platform had no room for them, or AWS kept us from asking."""
    attempts_before: int = 0
    """How many attempts there were when a person retried what the platform had accepted and failed."""
    platform_job_id: str | None = None
    """The platform's own id of its asynchronous job."""
    platform_status: str | None = None
    """The platform's own word for the status."""
    progress: float | None = None
    """0 to 1, where the platform says."""
    hints: dict[str, str] = {}
    """What callbacks that end nothing by themselves said of its parts: the part, and the platform's word."""
    hinted_at: int | None = None
    """When the last of them came."""
    hinted: bool = False
    """Whether the platform has yet to be asked about the last one."""
    polls: int = 0
    """How often the platform was asked how this attempt stands."""
    error: JobError | None = None
    """Why it failed; while it is queued again, why the last attempt did."""
    started_at: int | None = None
    polled_at: int | None = None
    ended_at: int | None = None
    wake_at: int | None = None
    """When it is to be looked at next, whatever the reason: a backoff, a lease, the next poll, a hint."""
    deadline_at: int | None = None
    result: dict[str, Any] | None = None
    """What it came to; while it runs, what a poll found so far. Stored as an item of its own."""


class Job(Frozen):
    """A source on its way through a platform's steps."""

    job_id: str
    provider: str
    status: JobStatus
    steps: dict[str, Step]
    """By name, in the order of the plan."""
    request: Request = Request()
    media_id: str | None = None
    """The platform's id of the medium, once it is noted: that of the request, or what a step made."""
    refs: tuple[str, ...] = ()
    """The platform's ids that this job follows: callbacks that name one of them are about it."""
    adopted: bool = False
    """Whether a callback made it: the platform did work that was started elsewhere."""
    confirmed: bool = True
    """Whether its platform knows the work. False for an adopted job of which it has not been asked yet."""
    counted: str | None = None
    """What its batch counts it as; None while it has not ended, or its end is not counted yet."""
    version: int = 0
    """How often it was changed."""
    ends: int = 0
    """How often it has ended: more than once if it was tried again, or a platform took its failure back."""
    announced: int = 0
    """Which of its ends was announced last."""
    swept_at: int | None = None
    """When a sweep takes it that its message was lost, as it was stored."""
    created_at: int
    updated_at: int
    ended_at: int | None = None

    @property
    def plan(self) -> tuple[str, ...]:
        """The names of the steps, in their order."""
        return tuple(self.steps)

    @property
    def current(self) -> str | None:
        """The first step that has not ended well, or None if all have."""
        return next((name for name, step in self.steps.items() if not step.status.done), None)

    @property
    def is_announced(self) -> bool:
        """Whether its last end was announced. True of a job that has never ended."""
        return self.announced >= self.ends

    @property
    def in_batch(self) -> bool:
        return self.request.batch_id is not None

    @property
    def error(self) -> JobError | None:
        """Why the job failed: the failed step's error."""
        failed = (step.error for step in self.steps.values() if step.status == StepStatus.FAILED)
        return next(failed, None) if self.status == JobStatus.FAILED else None

    @property
    def outcome(self) -> str | None:
        """What a batch counts it as, once it has ended: its status; if it failed, with the error's code."""
        if not self.status.ended:
            return None
        if self.status != JobStatus.FAILED:
            return str(self.status)
        return f"{JobStatus.FAILED}/{self.error.code if self.error else 'unknown'}"

    @property
    def due_at(self) -> int | None:
        """When somebody must look at it next; None if nobody must.

        An end is due until it was announced, and a step as its `wake_at` says: also a failed one, after a hint that it
        may have succeeded all the same.
        """
        if not self.is_announced:
            return self.ended_at or self.updated_at
        name = self.current
        if self.status == JobStatus.CANCELED or name is None:
            return None
        step = self.steps[name]
        if step.status == StepStatus.FAILED and not step.hinted:
            return None
        return step.wake_at if step.wake_at is not None else self.updated_at

    def submission_key(self, step: str) -> str:
        """One key for all tries to submit a step, until the platform has accepted and failed it: 64 hexadecimal digits.

        A platform that has seen it before has the step already: the answer to an earlier try was lost.
        """
        return hashlib.sha256(f"{self.job_id}\n{step}\n{self.steps[step].attempts_before}".encode()).hexdigest()

    def may_be_submitted_already(self, step: str) -> bool:
        """Whether this is not the first try with this key, those apart that never reached the platform."""
        found = self.steps[step]
        return found.attempt - found.spared > found.attempts_before + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The platform has accepted a step, and says how to ask after it (None: it does not say)."""

    platform_job_id: str | None
    platform_status: str | None = None
    refs: tuple[str, ...] = ()
    """Its ids that callbacks about this step will name."""
    result: Mapping[str, Any] | None = None
    """What its answer said already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRunning:
    """The platform is still at it."""

    progress: float | None = None
    platform_status: str | None = None
    result: Mapping[str, Any] | None = None
    """What it has come to so far, where there is something to use already."""
    soon: bool = False
    """Whether an end is near, so that the next poll must not wait for long."""
    wait: float = 0.0
    """Seconds that the platform asked us to wait before we ask again."""
    owner: str | None = None
    """The job that our own mark in the platform's answer names."""


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
"""What a callback says, and what a poll may find: both end a step in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a callback says that ends no step by itself: the platform is asked at once.

    Because it is about a part of the step only, or leaves out what came of it, or cannot be believed without asking.
    """

    ref: str
    """The platform's id that it is about."""
    step: str
    """Whose it is, where the job of that id has such a step; else it is the step's that has the id."""
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
    """A documented callback that no step of ours waits for: it is archived, with its medium if it names one."""

    event_type: str
    ref: str | None = None
    identity: str | None = None


type Meaning = StepEnd | Hint | Ignored
"""What a callback means: the end of the step that its URL names, a hint about an id that its body names, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """A step's end that the platform named when it was asked, and the body that named it."""

    end: StepEnd
    body: Mapping[str, Any]
    platform_status: str | None = None
    owner: str | None = None
    """The job that our own mark in the platform's answer names."""
