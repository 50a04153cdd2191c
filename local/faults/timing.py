"""A clock that moves only when somebody waits, and the standard library's `time` as modules see it."""

import time
from types import SimpleNamespace

START = 1_796_000_000_000
"""Milliseconds since 1970: every run begins at the same moment."""


class Clock:
    """Milliseconds since 1970."""

    def __init__(self) -> None:
        self.now = START

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1000)

    @property
    def seconds(self) -> float:
        return self.now / 1000

    def as_time(self) -> SimpleNamespace:
        """The module `time`, on this clock."""
        return SimpleNamespace(
            **{
                **vars(time),
                "time": lambda: self.seconds,
                "time_ns": lambda: self.now * 1_000_000,
                "monotonic": lambda: self.seconds,
                "sleep": self.wait,
            }
        )
