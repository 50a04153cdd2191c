"""A platform that does what a test has written down, and jobs for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from video_jobs.consumers import Handler
from video_jobs.jobs import Found, Job, JobError, JobStatus, Step, StepRunning, StepStatus, Submitted, timestamp
from video_jobs.steps import Platform, steps_worker, token_url

STEPS = ("upload", "index_spoken_words", "index_scenes", "extract_scenes")
CREATED_AT = timestamp(datetime(2026, 11, 1, tzinfo=UTC))


def new_job(job_id: str = "job-1", *, plan: Sequence[str] = STEPS, **changes: Any) -> Job:
    """A job that nobody has touched yet."""
    values = {
        "job_id": job_id,
        "provider": "videodb",
        "status": JobStatus.PENDING,
        "source": "https://example.com/lecture.mp4",
        "media_type": "video",
        "plan": tuple(plan),
        "steps": {name: Step(status=StepStatus.WAITING, attempt_limit=3) for name in plan},
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
    }
    return Job.model_validate(values | changes)


def fault(code: str = "something_went_wrong", message: str = "Something went wrong") -> JobError:
    return JobError(code=code, message=message, cause="a cause", action="an action", retryable=True)


type Script[T] = Sequence[T | Exception | Callable[[], T]]
"""One answer after another, the last one for ever. An exception is raised; a function is called for its answer."""


@dataclass
class ScriptedStep:
    """One step of the platform, and what it was asked."""

    submits: Script[Submitted | Found] = (Submitted(platform_job_id="platform-job"),)
    checks: Script[StepRunning | Found] = (StepRunning(),)
    submitted: list[str] = field(default_factory=list)
    """The callback URL of each submission."""
    checked: list[Step] = field(default_factory=list)

    def submit(self, client: None, job: Job, *, callback_url: str) -> Submitted | Found:
        self.submitted.append(callback_url)
        answer: Submitted | Found = _next(self.submits, len(self.submitted))
        return answer

    def check(self, client: None, job: Job, step: Step) -> StepRunning | Found:
        self.checked.append(step)
        answer: StepRunning | Found = _next(self.checks, len(self.checked))
        return answer


def _next(script: Script[Any], number: int) -> Any:
    answer = script[min(number, len(script)) - 1]
    if isinstance(answer, Exception):
        raise answer
    return answer() if callable(answer) else answer


@dataclass
class ScriptedPlatform:
    """The steps by name, and a worker that believes this to be VideoDB."""

    steps: dict[str, ScriptedStep] = field(default_factory=lambda: {name: ScriptedStep() for name in STEPS})
    applies: Callable[[Job, str], bool] = lambda _job, _step: True

    @property
    def worker(self) -> Handler:
        return steps_worker(
            Platform(name="videodb", steps=self.steps, applies=self.applies, callback_url=token_url, client=None)
        )

    @property
    def submissions(self) -> int:
        return sum(len(step.submitted) for step in self.steps.values())
