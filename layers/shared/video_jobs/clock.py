"""The clock: moments are whole milliseconds since 1970 (UTC) inside, and ISO 8601 wherever people read them."""

import time
from datetime import UTC, datetime

SECOND = 1000
"""Milliseconds."""


def now() -> int:
    """This moment. The only place that asks the machine for it: pure functions are given it."""
    return time.time_ns() // 1_000_000


def iso(moment: int) -> str:
    """A moment as people read it, and as texts sort: `2026-11-28T16:00:00.000Z`."""
    text = datetime.fromtimestamp(moment / SECOND, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """The moment that such a text names. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * SECOND)


def after(moment: int, seconds: float) -> int:
    """The moment that is so many seconds later."""
    return moment + round(seconds * SECOND)
