"""What a scenario of the demo is: a job, what must have become of it in the end, and what that proves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from video_jobs.jobs.model import JobStatus, StepStatus

type Provider = Literal["videodb", "twelvelabs", "apivideo", "apsaravideo"]


class Kind(StrEnum):
    """What scenarios show, on whichever platform."""

    WORKS = "everything works"
    FAILS = "the platform gives up"
    LOST = "callbacks are lost"
    DISORDER = "callbacks are doubled or early"
    HEALED = "a retry heals an error"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A job, and what must have become of it in the end, however fast the machine is. What is left out may be any."""

    provider: Provider
    kind: Kind
    source: str
    """The file's name, and the simulated platform's knobs as a query."""
    proves: str
    """What is true if all of this was seen, in a few words: there are 46 columns for it."""
    plan: tuple[str, ...]
    """The steps that the job must have."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What POST /jobs is given besides the provider and the source."""
    fails: str | None = None
    """The step that must fail, so that those after it are never reached; None: all succeed."""
    error: str | None = None
    """The code with which it must fail."""
    attempts: Mapping[str, int] = field(default_factory=dict)
    """How many attempts a step must have needed, at least: a machine that is too slow for one needs more."""
    callbacks: bool = True
    """Whether any may be archived."""
    doubled: bool = False
    """Whether the platform must have sent one of its callbacks twice."""
    unreadable: bool = False
    """Whether a callback of it must be among the dead letters. Of others none may be there."""
    asked: tuple[Mapping[str, Any], ...] = ()
    """What the platform must have been asked with, in one request each: fields of its body, query or form."""
    made: int | None = None
    """How many things the platform must have made of the source."""

    @property
    def file(self) -> str:
        return self.source.partition("?")[0]

    @property
    def name(self) -> str:
        """The file's name, as `make platforms` lists it; with its extension where it is no video."""
        return self.file.removesuffix(".mp4")

    @property
    def key(self) -> str:
        return f"{self.provider}/{self.file}"

    @property
    def url(self) -> str:
        return f"https://media.example.com/{self.source}"

    @property
    def ends(self) -> JobStatus:
        return JobStatus.FAILED if self.fails else JobStatus.SUCCEEDED

    @property
    def steps(self) -> tuple[StepStatus, ...]:
        """How each step of the plan must end."""
        if self.fails is None:
            return (StepStatus.SUCCEEDED,) * len(self.plan)
        before = self.plan.index(self.fails)
        after = len(self.plan) - before - 1
        return (StepStatus.SUCCEEDED,) * before + (StepStatus.FAILED,) + (StepStatus.WAITING,) * after


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A platform, and what the demo shows of it."""

    provider: Provider
    name: str
    """For people, in at most 15 columns."""
    steps: Mapping[str, str]
    """Every step that its plans have, with a title of at most 12 columns."""
    signs: bool
    """Whether its callbacks are signed. Then they end no step by themselves: they have the stack ask the platform."""
    scenarios: tuple[Scenario, ...]
