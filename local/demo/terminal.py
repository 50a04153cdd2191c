"""The demo on a terminal: what moves there."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from video_jobs.api.views import StepView
from video_jobs.jobs.model import StepStatus

from local.demo.report import BAD, GOOD, NAME_COLUMNS, PLATFORM_COLUMNS, duration, marks
from local.demo.scenario import Platform
from local.demo.scenarios import PLATFORMS, platform_of
from local.demo.verdict import Finding, Run

FRAMES_A_SECOND = 8
ROOM_FOR_WORDS = 120  # columns
LINES_AROUND = 5  # the board's head, the platforms and the progress bar with the line above them, and the cursor's own
STANDING_COLUMNS = 25
STAGE_COLUMNS = 60
DONE = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
WORDS = {
    StepStatus.WAITING: ("waiting", "dim"),
    StepStatus.QUEUED: ("queued", "yellow"),
    StepStatus.SUBMITTING: ("submitting", "magenta"),
    StepStatus.RUNNING: ("running", "cyan"),
    StepStatus.SUCCEEDED: ("done", "green"),
    StepStatus.FAILED: ("failed", "red"),
    StepStatus.SKIPPED: ("skipped", "dim"),
}


# --- Stages --------------------------------------------------------------------------------------------------------


class Stage:
    """Something that is being done, and for how long."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")

    def line(self, mark: RenderableType) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_column(width=1)
        line.add_column(width=STAGE_COLUMNS, no_wrap=True)
        line.add_column(width=7, justify="right")
        line.add_row(mark, self._what, Text(f"{time.monotonic() - self._began:.1f} s", "dim"))
        return line

    def __rich__(self) -> RenderableType:
        return self.line(self._spinner)


@contextmanager
def stages(console: Console) -> Iterator[Callable[[str], None]]:
    """Gives what to call when something begins; what was done before it is over then."""
    done: list[Stage] = []
    with Live(console=console, refresh_per_second=FRAMES_A_SECOND, transient=True) as live:

        def begin(what: str) -> None:
            finish(GOOD)
            done.append(Stage(what))
            live.update(done[-1])

        def finish(mark: RenderableType) -> None:
            if done:
                console.print(done.pop().line(mark))

        try:
            yield begin
        except BaseException:
            finish(BAD)
            raise
        finish(GOOD)
        live.update("")


# --- Jobs ----------------------------------------------------------------------------------------------------------


@contextmanager
def board(console: Console, runs: Sequence[Run], findings: Sequence[Finding]) -> Iterator[Callable[[], None]]:
    """Shows the jobs as they are at each moment; nothing has to be called."""
    console.print()
    with Live(
        Board(runs, findings),
        console=console,
        refresh_per_second=FRAMES_A_SECOND,
        transient=True,
        vertical_overflow="crop",
    ):
        yield lambda: None


class Board:
    """A row for each job, how many of each platform have ended, a progress bar over all."""

    def __init__(self, runs: Sequence[Run], findings: Sequence[Finding] = ()) -> None:
        self._runs = runs
        self._findings = findings
        self._began = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= ROOM_FOR_WORDS
        lines = console.height - LINES_AROUND
        table = self._columns(wide=wide)
        for run in fitting(self._runs, lines):
            table.add_row(*self._row(run, wide=wide))
        yield table
        yield ""
        yield self._platforms()
        yield self._progress()

    def _columns(self, *, wide: bool) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
        table.add_column(width=1)
        table.add_column("platform", width=PLATFORM_COLUMNS, no_wrap=True)
        table.add_column("job", width=NAME_COLUMNS, no_wrap=True)
        table.add_column("how it stands", width=STANDING_COLUMNS, no_wrap=True)
        table.add_column("time", width=6, justify="right", no_wrap=True)
        if wide:
            table.add_column(" what it proves", no_wrap=True)
        return table

    def _row(self, run: Run, *, wide: bool) -> Iterator[RenderableType]:
        platform = platform_of(run.scenario)
        yield self._mark(run)
        yield Text(platform.name, "" if run.job else "dim")
        yield Text(run.scenario.name, "" if run.job else "dim")
        yield standing(platform, run)
        yield Text(duration(run.job, until=datetime.now(UTC)), "" if run.over else "dim")
        if wide:
            yield Text(f" {run.scenario.proves}", "dim")

    def _mark(self, run: Run) -> RenderableType:
        if run.job is None:
            return ""
        if not run.over:
            return self._spinner
        return GOOD if run.verdict.is_good else BAD

    def _platforms(self) -> Text:
        return Text("   ").join(self._ended(platform) for platform in PLATFORMS)

    def _ended(self, platform: Platform) -> Text:
        runs = [run for run in self._runs if run.scenario.provider == platform.provider]
        over = sum(run.over for run in runs)
        return Text(f"{platform.name} {over}/{len(runs)}", "green" if over == len(runs) else "")

    def _progress(self) -> Table:
        over = sum(run.over for run in self._runs)
        done = sum(1.0 if run.over else run.job.progress if run.job else 0.0 for run in self._runs)
        line = Table.grid(padding=(0, 2, 0, 0), expand=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        words = f"{over} of {len(self._runs)} jobs have ended, {time.monotonic() - self._began:.0f} s"
        if over == len(self._runs) and (open_ := [found for found in self._findings if not found.verdict.is_settled]):
            words = f"waiting for {len(open_)} {open_[0].name}"
        bar = ProgressBar(total=len(self._runs), completed=done, complete_style="cyan", finished_style="green")
        line.add_row(bar, words)
        return line


def standing(platform: Platform, run: Run) -> Text:
    """A mark for each step of a job that is over; else the step that it is at, and how that stands."""
    if run.job is None:
        return Text()
    if run.over:
        return marks(run.job)
    if run.job.status.ended:
        return Text("ended; evidence", "dim")
    at = min(run.job.steps, key=lambda step: (step.status in DONE, step.status == StepStatus.WAITING))
    return Text.assemble(f"{platform.steps[at.name]} ", step_words(at))


def step_words(step: StepView) -> Text:
    """How a step stands, with how far it is, and the number of its attempts where there is more than one."""
    cell = Text(*WORDS[step.status])
    if step.status == StepStatus.RUNNING and step.progress:
        cell.append(f" {step.progress:.0%}")
    if step.attempt > 1:
        cell.append(f" x{step.attempt}", "yellow")
    return cell


def fitting(runs: Sequence[Run], lines: int) -> list[Run]:
    """As many as there is room for, in their order: those that run, then those that ended last, then those to come."""
    running = [run for run in runs if run.job and not run.over]
    ended = sorted((run for run in runs if run.over), key=_ended_at, reverse=True)
    kept = [*running, *ended, *(run for run in runs if run.job is None)][: max(lines, 1)]
    return [run for run in runs if run in kept]


def _ended_at(run: Run) -> str:
    return (run.job.ended_at if run.job else None) or ""
