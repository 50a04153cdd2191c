"""The table that `make faults` prints, and the file that it writes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from local.faults.runs import Result
from local.faults.verdict import Broken

COLUMNS = tuple(Broken)


def figures(results: Iterable[Result]) -> dict[str, Any]:
    """The columns of one row: how many runs, and how many of them broke what."""
    runs = list(results)
    counted = Counter(one for result in runs for one in result.broken)
    return {
        "points": len(runs),
        **{column.value.replace(" ", "_"): counted[column] for column in COLUMNS},
        "excepted": dict(Counter(result.excepted for result in runs if result.excepted)),
    }


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """By scenario: its columns, and those of each fault."""
    return {
        scenario: {**figures(of_it), "by_fault": {row: figures(some) for row, some in _grouped(of_it, _row).items()}}
        for scenario, of_it in _grouped(results, lambda result: result.scenario).items()
    }


def printed(results: Sequence[Result]) -> None:
    """The table, by scenario and fault."""
    table = Table(box=None, pad_edge=False)
    for title in ("scenario", "fault"):
        table.add_column(title, no_wrap=True)
    for title in ("points", *COLUMNS, "excepted"):
        table.add_column(title, justify="right")
    for scenario, of_it in _grouped(results, lambda result: result.scenario).items():
        table.add_row(scenario, "", *_cells(of_it), style="bold")
        for row, some in _grouped(of_it, _row).items():
            table.add_row("", row, *_cells(some))
    Console(width=190, soft_wrap=True).print(table)
    print("\nExcepted, by what the documents say (no promise is broken):")
    for name, number in Counter(result.excepted for result in results if result.excepted).most_common():
        print(f"{number:8,}  {name}")


def _row(result: Result) -> str:
    return result.happening.row


def _cells(results: Sequence[Result]) -> list[str]:
    found = figures(results)
    excepted = sum(found.pop("excepted").values())
    return [str(number) if number else "." for number in (*found.values(), excepted)]


def _grouped(results: Iterable[Result], key: Any) -> dict[str, list[Result]]:
    found: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        found[key(result)].append(result)
    return dict(found)
