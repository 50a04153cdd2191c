"""How long others ask us to wait, as their headers have it: in seconds, or until a date.

A header is a stranger's text, so everything has a bound: what is no wait is none, and nobody's wait is without end.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 10**9
"""About thirty years: what asks for more is taken as this. Those who wait have bounds of their own."""
_DIGITS = 15
_LONGEST_DATE = 64


def number(text: str | None) -> float | None:
    """A whole number of something, of whatever length; None for any other text."""
    digits = (text or "").strip()
    if not (digits.isascii() and digits.isdecimal()):
        return None
    # Python itself reads no number of more than 4,300 digits
    significant = digits.lstrip("0")
    return float(digits) if len(significant) <= _DIGITS else float(10**_DIGITS)


def seconds(text: str | None) -> float | None:
    """A whole number of seconds; None for any other text."""
    found = number(text)
    return None if found is None else min(found, float(LONGEST_SECONDS))


def retry_after(text: str | None, *, now: datetime | None = None) -> float | None:
    """What HTTP's `Retry-After` asks for: seconds, or a date, which may be over; None if it is neither."""
    found = seconds(text)
    if found is not None:
        return found
    date = (text or "").strip()
    if len(date) > _LONGEST_DATE:
        return None
    try:
        until = parsedate_to_datetime(date)
        left = ((until if until.tzinfo else until.replace(tzinfo=UTC)) - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, OverflowError):  # no date, or one of a year that there is not
        return None
    return min(max(left, 0.0), float(LONGEST_SECONDS))
