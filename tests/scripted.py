"""A platform that does what a test has written down, and jobs for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from video_jobs.clock import from_iso
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, JobError, PollResult, Request, Step, StepRunning, Submitted

if TYPE_CHECKING:
    from video_jobs.aws.consumers import Handler
    from video_jobs.worker.platform import Platform

STEPS = ("upload", "index_spoken_words", "index_scenes", "extract_scenes")
CREATED_AT = from_iso("2026-11-01T00:00:00.000Z")


def new_job(
    job_id: str = "job-1",
    *,
    provider: str = "videodb",
    plan: Sequence[str] = STEPS,
    created_at: int = CREATED_AT,
    **changes: Any,
) -> Job:
    """A job that nobody has touched yet. Changes are those of its request, or else of the job itself."""
    asked: dict[str, Any] = {"source": "https://example.com/lecture.mp4", "media_type": "video"}
    asked |= {name: changes.pop(name) for name in list(changes) if name in Request.model_fields}
    job = transitions.created(job_id, provider, plan, Request.model_validate(asked), now=created_at)
    return Job.model_validate({**job.model_dump(), **changes})


def fault(code: str = "something_went_wrong", message: str = "Something went wrong") -> JobError:
    return JobError(code=code, message=message, cause="a cause", action="an action", retryable=True)


type Script[T] = Sequence[T | Exception | Callable[[], T]]
"""One answer after another, the last one for ever. An exception is raised; a function is called for its answer."""


@dataclass
class ScriptedStep:
    """One step of the platform, and what it was asked."""

    submits: Script[Submitted | PollResult] = (Submitted(platform_job_id="platform-job"),)
    polls: Script[StepRunning | PollResult] = (StepRunning(),)
    CALLBACK_EXPECTED: bool = False
    submitted: list[str] = field(default_factory=list)
    """The callback URL of each submission."""
    polled: list[Step] = field(default_factory=list)

    def submit(self, client: None, job: Job, *, callback_url: str) -> Submitted | PollResult:
        self.submitted.append(callback_url)
        answer: Submitted | PollResult = _next(self.submits, len(self.submitted))
        return answer

    def poll(self, client: None, job: Job, step: Step) -> StepRunning | PollResult:
        self.polled.append(step)
        answer: StepRunning | PollResult = _next(self.polls, len(self.polled))
        return answer


def _next(script: Script[Any], number: int) -> Any:
    answer = script[min(number, len(script)) - 1]
    if isinstance(answer, Exception):
        raise answer
    return answer() if callable(answer) else answer


@dataclass
class ScriptedPlatform:
    """The steps by name, and a worker that believes this to be VideoDB, or another platform."""

    steps: dict[str, ScriptedStep] = field(default_factory=lambda: {name: ScriptedStep() for name in STEPS})
    applies: Callable[[Job, str], bool] = lambda _job, _step: True
    name: str = "videodb"

    @property
    def platform(self) -> "Platform[None]":
        from video_jobs.worker.platform import Platform, token_url

        return Platform(name=self.name, steps=self.steps, applies=self.applies, callback_url=token_url, client=None)

    @property
    def worker(self) -> "Handler":
        from video_jobs.worker.worker import worker

        return worker(self.platform)

    @property
    def submissions(self) -> int:
        return sum(len(step.submitted) for step in self.steps.values())
