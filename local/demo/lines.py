"""The demo where nothing can move: a line for each thing that happens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from video_jobs.api.views import StepView
from video_jobs.jobs import StepStatus

from local.demo import verdict
from local.demo.report import NAME_COLUMNS, PLATFORM_COLUMNS, duration
from local.demo.scenarios import platform_of
from local.demo.verdict import Run

ENDED = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED)

type Standing = tuple[StepStatus, int]
"""How a step stands, at which attempt."""


@contextmanager
def stages(console: Console, clock: Callable[[], float]) -> Iterator[Callable[[str], None]]:
    """Gives what to call when something begins."""

    def begin(what: str) -> None:
        console.print(f"{clock():6.1f} s  {what}", soft_wrap=True)

    yield begin


@contextmanager
def board(console: Console, runs: Sequence[Run], clock: Callable[[], float]) -> Iterator[Callable[[], None]]:
    """Gives what to call when something may have changed."""
    told: dict[tuple[str, str], Standing] = {}
    over: set[str] = set()
    console.print()

    def show() -> None:
        for run in runs:
            whose = f"{platform_of(run.scenario).name:{PLATFORM_COLUMNS}}  {run.scenario.name:{NAME_COLUMNS}}"
            for words in news(run, told, over):
                console.print(f"{clock():6.1f} s  {whose}  {words}", soft_wrap=True)

    yield show


def news(run: Run, told: dict[tuple[str, str], Standing], over: set[str]) -> Iterator[str]:
    """What is worth a line and was not told before; what is told is noted in `told` and `over`."""
    scenario = run.scenario
    for step in run.job.steps if run.job else ():
        key, standing = (scenario.key, step.name), (step.status, step.attempt)
        if told.get(key) != standing and (words := _words(step)):
            yield words
        told[key] = standing
    if run.job and run.over and scenario.key not in over:
        over.add(scenario.key)
        well = "" if not verdict.of_job(run) else ", which is not as it should be"
        yield f"{run.job.status} after {duration(run.job)}{well}"


def _words(step: StepView) -> str | None:
    attempt = f" (attempt {step.attempt})" if step.attempt > 1 else ""
    if step.status in ENDED:
        why = f": {step.error.message}" if step.error else ""
        return f"{step.name} {step.status}{attempt}{why}"
    if step.status == StepStatus.QUEUED and step.error:
        return f"{step.name} will be tried again: {step.error.message}"
    return None
