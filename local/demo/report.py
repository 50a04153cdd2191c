"""What the demo found out in the end, and how that looks on paper: at 80 columns, and better at 100."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from video_jobs.api.views import JobView, StepView
from video_jobs.jobs import StepStatus

from local.demo.scenario import Platform, Theme
from local.demo.scenarios import PLATFORMS, platform_of
from local.demo.verdict import Finding, Notices, Result, Row

WIDE = 100
PLATFORM_COLUMNS = 15
NAME_COLUMNS = 24
GOOD = Text("✓", "green")
BAD = Text("✗", "bold red")
MARKS = {
    StepStatus.SUCCEEDED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.SKIPPED: ("-", "dim"),
    StepStatus.WAITING: ("·", "dim"),
}
UNFINISHED = ("?", "yellow")
LEGEND = (
    "In front: whether the job ended as it should. Steps: ✓ done, ✗ failed, - skipped, · not reached, ? still "
    "running. Callbacks: how many told something new. Checks: of how many steps the end was read from the "
    "platform's own status, as callbacks of the last three platforms only say when to ask for it."
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """`differences` are about no platform."""

    results: Sequence[Result]
    others: Sequence[Finding]
    notices: Notices
    differences: Sequence[str]
    seconds: float

    @property
    def is_good(self) -> bool:
        found = [self.differences, *(r.differences for r in self.results), *(o.differences for o in self.others)]
        return not any(found)


def print_report(console: Console, report: Report) -> None:
    """Every job, what the failed ones say, what else was seen, all platforms side by side, and what is not right."""
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


def marks(job: JobView | None, *, wide: bool = False) -> Text:
    """A mark for each step; `wide`: with the number of its attempts where there is more than one."""
    return Text(" " if wide else "").join(_mark(step, wide=wide) for step in (job.steps if job else ()))


def _mark(step: StepView, *, wide: bool) -> Text:
    mark = Text(*MARKS.get(step.status, UNFINISHED))
    if wide and step.attempt > 1:
        mark.append(f"x{step.attempt}", "yellow")
    return mark


def _parts(report: Report, *, wide: bool) -> Iterator[RenderableType]:
    yield from _jobs(report.results, wide=wide)
    yield Padding(Text(LEGEND, "dim"), (1, 0, 0, 0))
    if failed := [result for result in report.results if result.run.job and result.run.job.error]:
        yield _heading("What a failed job says")
        yield _errors(failed)
    yield _heading("What was seen")
    yield _proofs(report)
    yield _heading("Side by side")
    yield _summary(report)
    if not report.is_good:
        yield _heading("What is not as it should be")
        yield _differences(report)


def _heading(words: str) -> RenderableType:
    return Padding(Text(words, "bold"), (1, 0, 0, 0))


# --- Jobs ----------------------------------------------------------------------------------------------------------


def _jobs(results: Sequence[Result], *, wide: bool) -> Iterator[RenderableType]:
    """The columns' names, and a table for each platform; all with the same columns."""
    yield _columns(wide=wide, named=True)
    for platform in PLATFORMS:
        if told := [result for result in results if result.run.scenario in platform.scenarios]:
            yield Text.assemble((platform.name, "bold"), (f": {', '.join(platform.steps.values())}", "dim"))
            table = _columns(wide=wide, named=False)
            for result in told:
                table.add_row(*_job(result, wide=wide))
            yield table


def _columns(*, wide: bool, named: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_header=named)
    table.add_column(width=1)
    table.add_column("\njob", width=NAME_COLUMNS, no_wrap=True)
    table.add_column("\nsteps", width=11 if wide else 5, no_wrap=True)
    table.add_column("call-\nbacks", width=5, justify="right")
    table.add_column("\nchecks", width=6, justify="right")
    table.add_column("\ntime", width=6, justify="right", no_wrap=True)
    table.add_column("\nwhat it shows")
    return table


def _job(result: Result, *, wide: bool) -> Iterator[RenderableType]:
    run = result.run
    yield BAD if result.differences else GOOD
    yield run.scenario.name
    yield marks(run.job, wide=wide)
    yield str(result.callbacks or "")
    yield str(result.checks or "")
    yield duration(run.job)
    yield Text(run.scenario.shows, "dim")


# --- What is said of them ------------------------------------------------------------------------------------------


def _errors(failed: Iterable[Result]) -> Table:
    """Each error of each platform once: what it says, and below that the cause, and what to do."""
    table = Table.grid(padding=(0, 1, 0, 0))
    told: set[tuple[str, str]] = set()
    for result in failed:
        job, scenario = result.run.job, result.run.scenario
        if job is None or job.error is None or (job.provider, job.error.code) in told:
            continue
        told.add((job.provider, job.error.code))
        name = (f"{platform_of(scenario).name} ", (scenario.name, "cyan"))
        table.add_row(Text.assemble(*name, ": ", (job.error.message, "red")))
        table.add_row(Padding(Text(f"{job.error.cause}. {job.error.action}."), (0, 0, 0, 4)))
    return table


def _proofs(report: Report) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for result in report.results:
        scenario = result.run.scenario
        if scenario.proof:
            words = Text.assemble(f"{platform_of(scenario).name} ", (scenario.name, "cyan"), f": {scenario.proof}")
            table.add_row(BAD if result.differences else GOOD, words)
    table.add_row(BAD if report.notices.refused else GOOD, _notices(report.notices))
    return table


def _notices(notices: Notices) -> Text:
    """No end is among them twice with another id: that is a difference of its job."""
    again = f"; {notices.told_again} came again, with the same id" if notices.told_again else ""
    return Text(f"{notices.told} ends told, verified with Standard Webhooks' own library{again}")


def _summary(report: Report) -> Table:
    """A row for each theme and for each thing that was found besides, a column for each platform."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for platform in PLATFORMS:
        table.add_column(platform.name, no_wrap=True)
    for row in (*Theme, *Row):
        table.add_row(row.value, *(_cell(report, platform, row) for platform in PLATFORMS))
    return table


def _cell(report: Report, platform: Platform, row: StrEnum) -> Text:
    """How many were good, of how many."""
    jobs = [r for r in report.results if r.run.scenario in platform.scenarios and r.run.scenario.theme is row]
    others = [o for o in report.others if o.provider == platform.provider and o.row is row]
    total = len(jobs) + sum(found.count for found in others)
    good = sum(not job.differences for job in jobs) + sum(found.count for found in others if not found.differences)
    if not total:
        return Text("-", "dim")
    return Text(f"✓ {total}", "green") if good == total else Text(f"✗ {good} of {total}", "bold red")


def _differences(report: Report) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    names = {platform.provider: platform.name for platform in PLATFORMS}
    for result in report.results:
        scenario = result.run.scenario
        for difference in result.differences:
            table.add_row(f"{names[scenario.provider]} {scenario.name}", Text(difference, "red"))
    for finding in report.others:
        for difference in finding.differences:
            table.add_row(names[finding.provider], Text(difference, "red"))
    for difference in report.differences:
        table.add_row("", Text(difference, "red"))
    return table
