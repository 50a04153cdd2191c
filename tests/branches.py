"""What `make branches` says: how many of the functions' and their layer's are taken, and where only few."""

from collections.abc import Iterator, Mapping
from typing import Any

FEW = 90
"""Percent. A file of which less is taken has a line of its own."""
SHOWN = 8
"""Branches that such a line names. `.coverage.json` has all."""


def summary(coverage: Mapping[str, Any]) -> Iterator[str]:
    """Of what slipcover has measured, in the form that it writes."""
    files = {name: file["summary"] for name, file in coverage["files"].items()}
    branches = sum(_counted(file, "branches") for file in files.values())
    taken = sum(file["covered_branches"] for file in files.values())
    lines = sum(_counted(file, "lines") for file in files.values())
    run = sum(file["covered_lines"] for file in files.values())
    yield f"{_percent(taken, branches)} % of {branches} branches, {_percent(run, lines)} % of {lines} lines"
    few = {
        name: percent
        for name, file in files.items()
        if (percent := _percent(file["covered_branches"], _counted(file, "branches"))) < FEW
    }
    for name, percent in sorted(few.items(), key=lambda item: (item[1], item[0])):
        yield f"{percent:4} %  {name}: {', '.join(_missing(coverage['files'][name]))}"


def _counted(file: Mapping[str, int], what: str) -> int:
    return file[f"covered_{what}"] + file[f"missing_{what}"]


def _percent(part: int, whole: int) -> int:
    """Rounded down, so that 100 is all of them."""
    return 100 * part // whole if whole else 100


def _missing(file: Mapping[str, Any]) -> list[str]:
    """`12->15` for a branch from one line to another; to line 0 or below it is the function's end."""
    missing = sorted(map(tuple, file["missing_branches"]))
    named = [f"{start}->{end if end > 0 else 'end'}" for start, end in missing[:SHOWN]]
    return [*named, "..."] if len(missing) > SHOWN else named
