"""What a scenario of the demo is: a job, and what must be seen of it in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from video_jobs.jobs import JobStatus, StepStatus

type Provider = Literal["videodb", "twelvelabs", "apivideo", "apsaravideo"]

type Via = Literal["callback", "check", "submit"]
"""How a step's end reached the stack: it was told, it asked, or the answer to its request said so already."""


class Theme(StrEnum):
    """What scenarios show together, on whichever platform."""

    WORKS = "Work as it should be"
    FAILS = "The platform gives up"
    LOST = "Callbacks get lost"
    DISORDER = "Callbacks doubled or early"
    FAULTS = "The platform falters"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A job, and what must be seen of it in the end. What is left out is not looked at."""

    provider: Provider
    theme: Theme
    source: str
    """The file's name, and the simulated platform's knobs as a query."""
    shows: str
    """In a few words: the tables have 26 columns for it."""
    plan: tuple[str, ...]
    """The steps that the job must have."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What POST /jobs is given besides the provider and the source."""
    fails: str | None = None
    """The step that must fail, so that those after it are never reached; None: all succeed."""
    error: str | None = None
    """The code with which it must fail."""
    skips: tuple[str, ...] = ()
    attempts: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, Via] = field(default_factory=dict)
    """How the ends of these steps must have been learnt, and in no other way."""
    callbacks: int | None = None
    """How many different callbacks must be archived. Not said where a check may have said the same before: then they
    are repetitions."""
    ignored: int = 0
    """How many callbacks that no step waits for must be archived with the job."""
    copies: int | None = None
    """How often every callback, one a step unless `callbacks` says otherwise, must have been sent at least, and each
    time answered 200."""
    unreadable: int | None = None
    """How many of its callbacks, repetitions included, must be among the dead letters."""
    asked: tuple[Mapping[str, Any], ...] = ()
    """What the platform must have been asked with, in one request each: fields of its body, query or form."""
    made: int | None = None
    """How many things the platform must have made of the source."""
    recovers: bool = False
    """Whether it may have failed for a while, and must have succeeded in the end, without anybody's doing."""
    stays_at: float | None = None
    """The progress at which its running step stays for ever. Then the job is canceled by hand."""
    fails_first: str | None = None
    """The code with which it must fail at first. Then POST /jobs/{id}/retry is sent."""
    proof: str | None = None
    """The sentence that is true if all of this was seen."""

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
        if self.stays_at is not None:
            return JobStatus.CANCELED
        return JobStatus.FAILED if self.fails else JobStatus.SUCCEEDED

    @property
    def steps(self) -> tuple[StepStatus, ...]:
        """How each step of the plan must end."""
        return tuple(self._end_of(step) for step in self.plan)

    def _end_of(self, step: str) -> StepStatus:
        if step in self.skips:
            return StepStatus.SKIPPED
        if self.stays_at is not None and step == self.plan[-1]:
            return StepStatus.RUNNING
        if self.fails is None or self.plan.index(step) < self.plan.index(self.fails):
            return StepStatus.SUCCEEDED
        return StepStatus.FAILED if step == self.fails else StepStatus.WAITING


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
