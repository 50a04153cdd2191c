"""A platform, as its worker needs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from video_jobs import settings
from video_jobs.aws import secrets
from video_jobs.callbacks import proofs
from video_jobs.jobs.model import Job, PollResult, Step, StepRunning, Submitted


class PlatformStep[C](Protocol):
    """What a platform's module must say about one of its steps; C is the platform's client.

    It may also have a `hinted`, with the signature of `poll`: called when callbacks have said something about a step
    that they cannot end. Without one, each such callback makes the worker poll.
    """

    CALLBACK_EXPECTED: bool
    """Whether the platform calls back when the step ends: then the first poll waits for longer."""

    def submit(self, client: C, job: Job, *, callback_url: str) -> Submitted | PollResult:
        """Ask for the step. Raises TransientError or RefusedByPlatformError."""
        ...

    def poll(self, client: C, job: Job, step: Step) -> StepRunning | PollResult:
        """Ask how it stands. What it raises is taken as: no answer yet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform[C]:
    """A platform's steps, and what else differs."""

    name: str
    steps: Mapping[str, PlatformStep[C]]
    client: C
    applies: Callable[[Job, str], bool] = lambda _job, _name: True
    """Whether a step makes sense for the job's medium; steps that do not are skipped."""
    callback_url: Callable[[Job, str], str] = lambda _job, _name: ""
    """Where the platform is to call back about the next attempt at a step; "" where its account says so."""


def token_url(job: Job, name: str) -> str:
    """A URL that proves itself, for the step's next attempt: for a platform that signs nothing."""
    try:
        key = secrets.values("CALLBACK_KEYS_SECRET")["current"]
    except KeyError:
        raise secrets.SecretUnavailableError('the callback keys have no "current" one to sign with') from None
    return proofs.callback_url(
        settings.setting("CALLBACK_BASE_URL"),
        f"{job.provider}/{name}",
        job.job_id,
        job.steps[name].attempt + 1,
        key=key,
    )
