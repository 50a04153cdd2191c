"""The demo where nothing can be drawn over: a line for each thing that happens, when it happens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import shorten

from rich.console import Console
from video_jobs.jobs.model import StepStatus

from local.demo.report import duration
from local.demo.scenarios import PLATFORMS, platform_of
from local.demo.verdict import Finding, Run, Verdict, standing

QUIET_SECONDS = 10.0
"""After so long without a line there is one that says what is being waited for."""
NAMED = 3
"""How many of those that are waited for it names."""
LONGEST_REASON = 50
NAMES = {platform.provider: platform.name for platform in PLATFORMS}


@contextmanager
def stages(console: Console, clock: Callable[[], float]) -> Iterator[Callable[[str], None]]:
    """Gives what to call when something begins."""

    def begin(what: str) -> None:
        console.print(f"{clock():6.1f} s  {what}", soft_wrap=True)

    yield begin


@contextmanager
def board(
    console: Console, runs: Sequence[Run], findings: Sequence[Finding], clock: Callable[[], float]
) -> Iterator[Callable[[], None]]:
    """Gives what to call when something may have changed."""
    changes, last = Changes(runs, findings), clock()
    console.print()

    def show() -> None:
        nonlocal last
        lines = list(changes())
        if not lines and clock() - last > QUIET_SECONDS:
            lines = [waiting(runs, findings)]
        for line in lines:
            console.print(f"{clock():6.1f} s  {line}", soft_wrap=True)
            last = clock()

    yield show


class Changes:
    """What is worth a line and was not said before."""

    def __init__(self, runs: Sequence[Run], findings: Sequence[Finding]) -> None:
        self._runs = runs
        self._findings = findings
        self._settled: set[Run | Finding] = set()
        self._steps: set[tuple[str, str, StepStatus, int]] = set()

    def __call__(self) -> Iterator[str]:
        for found in self._findings:
            if found.verdict.is_settled and found not in self._settled:
                self._settled.add(found)
                yield settled(f"{NAMES[found.provider]}, {found.name}", found.proves, found.verdict)
        for run in self._runs:
            yield from self._of(run)

    def _of(self, run: Run) -> Iterator[str]:
        if run.job is None or run in self._settled:
            return
        if run.over:
            self._settled.add(run)
            proves = f"{run.job.status} in {duration(run.job)}; {run.scenario.proves}"
            yield settled(name(run), proves, run.verdict)
            return
        for step in run.job.steps:
            key = (run.scenario.key, step.name, step.status, step.attempt)
            if key in self._steps:
                continue
            self._steps.add(key)
            if step.status == StepStatus.QUEUED and step.error:
                yield f"… {name(run)}: {step.name} is tried again: {shorten(step.error.message, LONGEST_REASON)}"
            elif step.status == StepStatus.SUCCEEDED and step is not run.job.steps[-1]:
                yield f"… {name(run)}: {step.name} succeeded"


def name(run: Run) -> str:
    return f"{platform_of(run.scenario).name} {run.scenario.name}"


def settled(what: str, proves: str, verdict: Verdict) -> str:
    return f"✓ {what}: {proves}" if verdict.is_good else f"✗ {what}: {'; '.join(verdict.differences)}"


def waiting(runs: Sequence[Run], findings: Sequence[Finding]) -> str:
    """Who keeps the demo waiting, and how the first of them stand."""
    open_ = [
        *(f"{name(run)} ({_what_for(run)})" for run in runs if not run.over),
        *(
            f"{NAMES[found.provider]}, {found.name} ({found.verdict.missing[0]})"
            for found in findings
            if not found.verdict.is_settled
        ),
    ]
    more = ["…"] if len(open_) > NAMED else []
    return f"… waiting for {len(open_)}: {', '.join([*open_[:NAMED], *more])}"


def _what_for(run: Run) -> str:
    if run.job and not run.job.status.ended:
        return standing(run.job)
    return run.verdict.missing[0]
