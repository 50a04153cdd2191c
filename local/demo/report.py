"""What the demo found out in the end, and how that looks on paper: at 80 columns, and better at 100."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from video_jobs.api.views import JobView, StepView
from video_jobs.jobs import StepStatus
from video_jobs.platforms.videodb.plan import STEPS, StepName

from local.demo.scenarios import CHAPTERS
from local.demo.verdict import Finding, Result

WIDE = 100
FILE_COLUMNS = 19
GOOD = Text("✓", "green")
BAD = Text("✗", "bold red")
TITLES: dict[StepName, str] = {
    "upload": "upload",
    "index_spoken_words": "words",
    "index_scenes": "scenes",
    "extract_scenes": "extract",
}
MARKS = {
    StepStatus.SUCCEEDED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.SKIPPED: ("-", "dim"),
    StepStatus.WAITING: ("·", "dim"),
}
UNFINISHED = ("?", "yellow")
LEGEND = (
    "In front: whether the job ended as it should. Steps (upload, index spoken words, index scenes, extract scenes): "
    "✓ done, ✗ failed, - skipped, · not reached. Callbacks, checks: of how many steps they told the end first."
)


@dataclass(frozen=True, kw_only=True)
class Report:
    results: Sequence[Result]
    others: Sequence[Finding]
    seconds: float

    @property
    def is_good(self) -> bool:
        return not (any(result.differences for result in self.results) or any(o.differences for o in self.others))


def print_report(console: Console, report: Report) -> None:
    """Every job, what the failed ones say, what else was seen, and what is not as it should be."""
    width = min(console.width, WIDE)
    for part in _parts(report, wide=width >= WIDE):
        console.print(part, width=width)


def print_conclusion(console: Console, report: Report, *, logs: str) -> None:
    """Whether all is well, and where to go next."""
    total = len(report.results)
    good = sum(not result.differences for result in report.results)
    words = f"{good} of {total} jobs ended as they should, in {report.seconds:.0f} s"
    if report.is_good:
        console.print(Text(f"{words}.", "bold green"))
        console.print("Next: `make local` keeps this stack up to play with; README.md says how to deploy it to AWS.")
        return
    more = ", but not everything else is as it should be" if good == total else ""
    console.print(Text(f"{words}{more}.", "bold red"))
    console.print(logs, markup=False)


def duration(job: JobView | None, *, until: datetime | None = None) -> str:
    """From when the job was made to its end, or to `until` if it has none yet, in at most 6 columns."""
    ended = datetime.fromisoformat(job.ended_at) if job and job.ended_at else until
    if job is None or ended is None:
        return ""
    seconds = max((ended - datetime.fromisoformat(job.created_at)).total_seconds(), 0)
    return f"{seconds:.1f} s" if seconds < 99.95 else f"{seconds:.0f} s"


def _parts(report: Report, *, wide: bool) -> Iterator[RenderableType]:
    yield from _jobs(report.results, wide=wide)
    yield Padding(Text(LEGEND, "dim"), (1, 0, 0, 0))
    if failed := [result.run.job for result in report.results if result.run.job and result.run.job.error]:
        yield _heading("What a failed job says")
        yield _errors(failed)
    yield _heading("What else was seen")
    yield _findings(report)
    if not report.is_good:
        yield _heading("What is not as it should be")
        yield _differences(report)


def _heading(words: str) -> RenderableType:
    return Padding(Text(words, "bold"), (1, 0, 0, 0))


# --- Jobs ----------------------------------------------------------------------------------------------------------


def _jobs(results: Sequence[Result], *, wide: bool) -> Iterator[RenderableType]:
    """The columns' names, and a table for each chapter; all with the same columns."""
    yield _columns(wide=wide, named=True)
    for chapter in CHAPTERS:
        if told := [result for result in results if result.run.scenario in chapter.scenarios]:
            yield Text(chapter.title, "bold")
            table = _columns(wide=wide, named=False)
            for result in told:
                table.add_row(*_job(result, wide=wide))
            yield table


def _columns(*, wide: bool, named: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_header=named)
    table.add_column(width=1)
    table.add_column("\njob", width=FILE_COLUMNS, no_wrap=True)
    for step in TITLES.values() if wide else ("steps",):
        table.add_column(f"\n{step}", width=max(len(step), 4))
    table.add_column("call-\nbacks", width=6, justify="right")
    table.add_column("\nchecks", width=6, justify="right")
    table.add_column("\ntime", width=6, justify="right", no_wrap=True)
    table.add_column("\nwhat it shows")
    return table


def _job(result: Result, *, wide: bool) -> Iterator[RenderableType]:
    job, scenario = result.run.job, result.run.scenario
    yield BAD if result.differences else GOOD
    yield scenario.file
    by_name = {step.name: step for step in job.steps} if job else {}
    cells = [_step(by_name.get(name), wide=wide) for name in STEPS]
    if wide:
        yield from cells
    else:
        yield Text.assemble(*cells)
    yield str(result.ends_told_by("callback") or "")
    yield str(result.ends_told_by("check") or "")
    yield duration(job)
    yield Text(scenario.shows, "dim")


def _step(step: StepView | None, *, wide: bool) -> Text:
    if step is None:
        return Text()
    cell = Text(*MARKS.get(step.status, UNFINISHED))
    if wide and step.attempt > 1:
        cell.append(f" x{step.attempt}", "yellow")
    return cell


# --- What is said of them ------------------------------------------------------------------------------------------


def _errors(jobs: Iterable[JobView]) -> Table:
    table = Table("job", "error", "cause", "what to do", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.header_style = "dim"
    table.columns[0].no_wrap = True
    for job in jobs:
        if job.error:
            file = (job.source or "").rsplit("/", 1)[-1].partition("?")[0]
            table.add_row(file, Text(job.error.message, "red"), job.error.cause, job.error.action)
    return table


def _findings(report: Report) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for result in report.results:
        if proof := result.run.scenario.proof:
            words = Text.assemble((result.run.scenario.file, "cyan"), f": {proof}")
            table.add_row(BAD if result.differences else GOOD, words)
    for finding in report.others:
        table.add_row(BAD if finding.differences else GOOD, finding.what)
    return table


def _differences(report: Report) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for result in report.results:
        for difference in result.differences:
            table.add_row(result.run.scenario.file, Text(difference, "red"))
    for finding in report.others:
        for difference in finding.differences:
            table.add_row("", Text(difference, "red"))
    return table
