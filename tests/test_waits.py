"""How long others ask us to wait: whatever their headers have in them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_jobs import waits

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
WITHOUT_END = "9" * 5000  # Python itself reads no number of more than 4,300 digits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 7 ", 7),
        ("0" * 5000 + "7", 7),
        (WITHOUT_END, waits.LONGEST_SECONDS),
        ("Sun, 01 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 01 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 31 Dec 9999 23:59:59 GMT", waits.LONGEST_SECONDS),
        ("Sun, 31 Dec 9999 23:59:59 -2359", waits.LONGEST_SECONDS),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        # no wait at all
        ("Mon, 20 Nov 9999999999 12:00:00 +0000", None),
        ("Mon, 20 Nov 2026 12:00:00 +9999999999", None),
        ("Mon, 20 Nov 2026 9999999999:00:00 GMT", None),
        (f"Mon, 20 Nov {WITHOUT_END} 12:00:00 GMT", None),
        ("nan", None),
        ("inf", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("²", None),
        ("٣", None),
        ("soon", None),
    ],
)
def test_a_wait_has_a_bound_and_what_is_none_is_none(text: str | None, seconds: float | None) -> None:
    assert waits.retry_after(text, now=NOON) == seconds


DATES = st.lists(
    st.sampled_from(
        ["Mon,", "20", "Nov", "2026", "12:00:00", "GMT", "+0000", "9999999999", "-", ":", "(", '"', "0", " "]
    )
)


@given(st.text() | DATES.map(" ".join) | DATES.map("".join))
def test_no_header_makes_it_fail(text: str) -> None:
    found = waits.retry_after(text, now=NOON)

    assert found is None or 0 <= found <= waits.LONGEST_SECONDS
