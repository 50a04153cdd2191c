"""What a person sees of the demo: a terminal on which things move, or plain lines."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from io import TextIOWrapper

from rich.console import Console
from rich.text import Text

from local.demo import lines, terminal
from local.demo.report import WIDE, Report, print_conclusion, print_report
from local.demo.verdict import Finding, Run

INTRODUCTION = """\
The whole stack on this machine: template.yaml, deployed by the real SAM CLI into an emulated AWS, and four simulated
platforms that fail, repeat themselves and keep silent. Callbacks are fast, polling is certain: no job may be lost.
"""


class Screen:
    """`moves`: whether lines can be drawn over."""

    def __init__(self, console: Console, *, moves: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.moves = moves
        self._time = clock
        self._began = clock()

    def introduce(self) -> None:
        self.console.print(Text("video-jobs", "bold"))
        self.console.print(INTRODUCTION.replace("\n", " ").strip(), width=min(self.console.width, WIDE))
        self.console.print()

    def say(self, words: str) -> None:
        self.console.print(words, markup=False, soft_wrap=True)

    def stages(self) -> AbstractContextManager[Callable[[str], None]]:
        """Gives what to call when something begins, with what that is."""
        return terminal.stages(self.console) if self.moves else lines.stages(self.console, self._clock)

    def board(self, runs: Sequence[Run], findings: Sequence[Finding]) -> AbstractContextManager[Callable[[], None]]:
        """Gives what to call when something may have changed."""
        if self.moves:
            return terminal.board(self.console, runs, findings)
        return lines.board(self.console, runs, findings, self._clock)

    def _clock(self) -> float:
        return self._time() - self._began

    def report(self, report: Report) -> None:
        self.console.print()
        print_report(self.console, report)
        self.console.print()

    def conclude(self, report: Report) -> None:
        self.console.print()
        print_conclusion(self.console, report)


def screen() -> Screen:
    """For whatever the standard output is."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # rather no tick than no demo
    if can_move(os.environ, is_terminal=sys.stdout.isatty()):
        return Screen(Console(highlight=False), moves=True)
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE
    return Screen(Console(highlight=False, force_terminal=False, color_system=None, width=width), moves=False)


def can_move(environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """NO_COLOR (no-color.org) is taken as the wish for plain text."""
    return (
        is_terminal and not environment.get("NO_COLOR") and environment.get("TERM", "dumb") not in ("dumb", "unknown")
    )
