"""How benchmarks show their figures: plain tables."""

import os
import platform
from collections.abc import Sequence


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain text: the first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (headings, *rows)
    ]
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])


def machine() -> str:
    return (
        f"Measured on {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores "
        f"({platform.machine()}, {platform.system()}), Python {platform.python_version()}."
    )
