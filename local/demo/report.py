"""What the demo found out in the end, and how that looks on paper: at 80 columns, and better at 100."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from video_jobs.api.views import JobView
from video_jobs.jobs.model import StepStatus

from local.commands import LOGS
from local.demo import logs
from local.demo.scenario import Platform
from local.demo.scenarios import PLATFORMS, platform_of
from local.demo.verdict import Finding, Run, Verdict

WIDE = 100
PLATFORM_COLUMNS = 15
NAME_COLUMNS = 19
PROOF_COLUMNS = 46
MOST_DIFFERENCES = 12
"""That the last lines name: more would not fit on a screen."""
GOOD = Text("✓", "green")
BAD = Text("✗", "bold red")
MARKS = {
    StepStatus.SUCCEEDED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.SKIPPED: ("-", "dim"),
    StepStatus.WAITING: ("·", "dim"),
}
UNFINISHED = ("?", "yellow")
LEGEND = "In front ✓: as it should be. Steps: ✓ succeeded, ✗ failed, · not reached."


@dataclass(frozen=True, kw_only=True)
class Report:
    runs: Sequence[Run]
    findings: Sequence[Finding]
    differences: Sequence[str]
    """About no platform."""
    remarks: Sequence[str]
    """About what does no harm."""
    announced: int
    """How many ends."""
    announced_again: int
    """How many of them more than once."""
    seconds: float

    @property
    def is_good(self) -> bool:
        found = [*(run.verdict for run in self.runs), *(finding.verdict for finding in self.findings)]
        return not self.differences and all(verdict.is_good for verdict in found)


def print_report(console: Console, report: Report) -> None:
    """What each platform's jobs and callbacks prove, what a failed job says, and what was announced."""
    for part in _parts(report):
        console.print(part, width=min(console.width, WIDE))


def print_conclusion(console: Console, report: Report) -> None:
    """Whether all is well, and what to do next; if it is not, what to look at."""
    good = sum(run.verdict.is_good for run in report.runs)
    words = f"{good} of {len(report.runs)} jobs ended as they should, after {report.seconds:.0f} s in all"
    if report.is_good:
        console.print(Text(f"{words}.", "bold green"))
        console.print("Next: `make local` keeps this stack up to play with; README.md says how to deploy it to AWS.")
        return
    console.print(Text(f"{words}. Not as it should be:", "bold red"))
    differences = list(_differences(report))
    for difference in differences[:MOST_DIFFERENCES]:
        console.print(Text(f"  {difference}", "red"), soft_wrap=True)
    if len(differences) > MOST_DIFFERENCES:
        console.print(f"  and {len(differences) - MOST_DIFFERENCES} more")
    job_id = next((run.job.job_id for run in report.runs if run.job and not run.verdict.is_good), "ERROR")
    console.print(f"What the functions logged of it: grep {job_id} {os.path.relpath(logs.FILE)}", soft_wrap=True)
    console.print(f"All logs: {os.path.relpath(LOGS)}/demo-*.log. Once more: make demo", soft_wrap=True)


def duration(job: JobView | None, *, until: datetime | None = None) -> str:
    """From when the job was made to its end, or to `until` if it has none yet, in at most 6 columns."""
    ended = datetime.fromisoformat(job.ended_at) if job and job.ended_at else until
    if job is None or ended is None:
        return ""
    seconds = max((ended - datetime.fromisoformat(job.created_at)).total_seconds(), 0)
    return f"{seconds:.1f} s" if seconds < 99.95 else f"{seconds:.0f} s"


def marks(job: JobView | None) -> Text:
    """A mark for each step."""
    return Text("").join(Text(*MARKS.get(step.status, UNFINISHED)) for step in (job.steps if job else ()))


def _parts(report: Report) -> Iterator[RenderableType]:
    for platform in PLATFORMS:
        yield Text.assemble((platform.name, "bold"), (f": {', '.join(platform.steps.values())}", "dim"))
        yield _of_platform(report, platform)
    yield Text(LEGEND, "dim")
    if failed := [run for run in report.runs if run.job and run.job.error]:
        yield Padding(Text("What a failed job says", "bold"), (1, 0, 0, 0))
        yield _errors(failed)
    yield Padding(_announced(report), (1, 0, 0, 0))
    for remark in report.remarks:
        yield Text(remark, "yellow")


def _of_platform(report: Report, platform: Platform) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1)
    table.add_column(width=NAME_COLUMNS, no_wrap=True)
    table.add_column(width=4, no_wrap=True)
    table.add_column(width=6, justify="right", no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")  # what is too long is among the last lines, too
    for run in report.runs:
        scenario = run.scenario
        if scenario.provider == platform.provider:
            proof = _proof(scenario.proves, run.verdict)
            table.add_row(_mark(run.verdict), scenario.name, marks(run.job), duration(run.job), proof)
    for found in report.findings:
        if found.provider == platform.provider:
            table.add_row(_mark(found.verdict), found.name, "", "", _proof(found.proves, found.verdict))
    return table


def _mark(verdict: Verdict) -> Text:
    return GOOD if verdict.is_good else BAD


def _proof(words: str, verdict: Verdict) -> Text:
    return Text(words, "dim") if verdict.is_good else Text(verdict.differences[0], "red")


def _errors(failed: Iterable[Run]) -> Table:
    """Each error of each platform once: what it says, and below that the cause, and what to do."""
    table = Table.grid()
    said: set[tuple[str, str]] = set()
    for run in failed:
        job, scenario = run.job, run.scenario
        if job is None or job.error is None or (job.provider, job.error.code) in said:
            continue
        said.add((job.provider, job.error.code))
        name = (f"{platform_of(scenario).name} ", (scenario.name, "cyan"))
        table.add_row(Text.assemble(*name, ": ", (job.error.message, "red")))
        table.add_row(Padding(Text(f"{job.error.cause}. {job.error.action}.", "dim"), (0, 0, 0, 2)))
    return table


def _announced(report: Report) -> Text:
    """No end is among them twice with another id: that is a difference of its job."""
    again = f"; {report.announced_again} had to be sent again, with the same id" if report.announced_again else ""
    return Text(f"{report.announced} ends announced, their signatures verified with Standard Webhooks' library{again}")


def _differences(report: Report) -> Iterator[str]:
    for run in report.runs:
        job = f" (job {run.job.job_id})" if run.job else ""
        for difference in run.verdict.differences:
            yield f"{platform_of(run.scenario).name} {run.scenario.name}{job}: {difference}"
    names = {platform.provider: platform.name for platform in PLATFORMS}
    for finding in report.findings:
        for difference in finding.verdict.differences:
            yield f"{names[finding.provider]}, {finding.name}: {difference}"
    yield from report.differences
