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
from video_jobs.jobs import StepStatus
from video_jobs.platforms.videodb.plan import STEPS

from local.demo import verdict
from local.demo.report import BAD, FILE_COLUMNS, GOOD, TITLES, duration
from local.demo.scenarios import CHAPTERS
from local.demo.verdict import Run

FRAMES_A_SECOND = 8
ROOM_FOR_WORDS = 110  # columns
LINES_AROUND = 4  # the board's head, the progress bar with the line above it, and the cursor's own
STAGE_COLUMNS = 60
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
def board(console: Console, runs: Sequence[Run]) -> Iterator[Callable[[], None]]:
    """Shows the jobs as they are at each moment; nothing has to be called."""
    console.print()
    with Live(
        Board(runs),
        console=console,
        refresh_per_second=FRAMES_A_SECOND,
        transient=True,
        vertical_overflow="crop",
    ):
        yield lambda: None


class Board:
    """A row for each job, a progress bar over all."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._began = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= ROOM_FOR_WORDS
        lines = console.height - LINES_AROUND
        yield self._columns(wide=wide, named=True)
        if len(self._runs) + len(CHAPTERS) <= lines:
            for chapter in CHAPTERS:
                if told := [run for run in self._runs if run.scenario in chapter.scenarios]:
                    yield Text(chapter.title, "bold")
                    yield self._rows(told, wide=wide)
        else:
            yield self._rows(fitting(self._runs, lines), wide=wide)
        yield ""
        yield self._progress()

    def _rows(self, runs: Sequence[Run], *, wide: bool) -> Table:
        table = self._columns(wide=wide, named=False)
        for run in runs:
            table.add_row(*self._row(run, wide=wide))
        return table

    def _columns(self, *, wide: bool, named: bool) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_header=named)
        table.add_column(width=1)
        table.add_column("job", width=FILE_COLUMNS, no_wrap=True)
        for name in STEPS:
            # attempts are counted behind the word, and it is uploads that need more than one
            table.add_column(TITLES[name], width=13 if name == "upload" else 10, no_wrap=True)
        table.add_column("time", width=6, justify="right", no_wrap=True)
        if wide:
            table.add_column(" what it shows", no_wrap=True)
        return table

    def _row(self, run: Run, *, wide: bool) -> Iterator[RenderableType]:
        yield self._mark(run)
        yield Text(run.scenario.file, "" if run.job else "dim")
        by_name = {step.name: step for step in run.job.steps} if run.job else {}
        for name in STEPS:
            yield step_words(by_name.get(name))
        yield Text(duration(run.job, until=datetime.now(UTC)), "" if run.over else "dim")
        if wide:
            yield Text(f" {run.scenario.shows}", "dim")

    def _mark(self, run: Run) -> RenderableType:
        if run.job is None:
            return ""
        if not run.over:
            return self._spinner
        return BAD if verdict.of_job(run) else GOOD

    def _progress(self) -> Table:
        over = sum(run.over for run in self._runs)
        done = sum(1.0 if run.over else run.job.progress if run.job else 0.0 for run in self._runs)
        line = Table.grid(padding=(0, 2, 0, 0), expand=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        words = f"{over} of {len(self._runs)} jobs have ended, {time.monotonic() - self._began:.0f} s"
        bar = ProgressBar(total=len(self._runs), completed=done, complete_style="cyan", finished_style="green")
        line.add_row(bar, words)
        return line


def step_words(step: StepView | None) -> Text:
    """How a step stands, with the number of its attempts where there is more than one."""
    if step is None:
        return Text()
    cell = Text(*WORDS[step.status])
    if step.attempt > 1:
        cell.append(f" x{step.attempt}", "yellow")
    return cell


def fitting(runs: Sequence[Run], lines: int) -> list[Run]:
    """As many as there is room for, in their order: those that have ended go first, then those to come."""
    by_interest = sorted(runs, key=lambda run: (run.over, run.job is None))
    kept = by_interest[: max(lines, 1)]
    return [run for run in runs if run in kept]
