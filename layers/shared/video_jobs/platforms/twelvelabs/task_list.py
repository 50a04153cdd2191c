"""Lists of tasks, as `GET /tasks` has them: filters, order and numbered pages.

Printed: the parameters, their defaults and limits, `page_info`, and that a filter by date keeps what is of that date,
at or after the given time. Inferred: that all other filters ask for the same value, that the date is one in UTC, that
an empty list has no pages, and that what cannot be read is refused.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from video_jobs import clock
from video_jobs.jobs.model import Job
from video_jobs.platforms.twelvelabs import refusals, task_view

LARGEST_PAGE = 50
SORTS = ("created_at", "updated_at")
ORDERS = ("desc", "asc")
TEXTS = ("index_id", "filename")
MEASURES = ("duration", "width", "height")
PARAMETERS = frozenset({"page", "page_limit", "sort_by", "sort_option", "status", *SORTS, *TEXTS, *MEASURES})

type Query = Mapping[str, Sequence[str]]
type Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller wants to see, and which page of it."""

    page: int = 1
    page_limit: int = 10
    sort_by: str = "created_at"
    descending: bool = True
    statuses: frozenset[str] = frozenset()
    """Any of these; all if there are none."""
    texts: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)
    """By field: of that day in UTC, at or after that time."""

    @property
    def created(self) -> tuple[str, str] | None:
        """From when to when a task was created that is wanted, as times are stored; None if that does not matter."""
        since = self.since.get("created_at")
        if since is None:
            return None
        return _text(since), _text(since.replace(hour=23, minute=59, second=59, microsecond=999_000))


def read(query: Query) -> Wanted:
    """The parameters of a request. Raises RefusedRequestError for what is unknown, or has no meaning."""
    for name in query.keys() - PARAMETERS:
        raise refusals.parameter_unknown(name)
    return Wanted(
        page=_whole(query, "page", default=1, most=10**9),
        page_limit=_whole(query, "page_limit", default=10, most=LARGEST_PAGE),
        sort_by=_choice(query, "sort_by", SORTS),
        descending=_choice(query, "sort_option", ORDERS) == "desc",
        statuses=_statuses(query),
        texts={name: text for name in TEXTS if (text := _single(query, name)) is not None},
        measures={name: _number(name, text) for name in MEASURES if (text := _single(query, name)) is not None},
        since={name: _moment(name, text) for name in SORTS if (text := _single(query, name)) is not None},
    )


def page(tasks: Iterable[Job], wanted: Wanted) -> dict[str, Any]:
    """One page of the tasks that are wanted. Those of the same moment keep one order, by their ids."""
    rows = [row for row in map(task_view.listed, tasks) if _suits(row, wanted)]
    rows.sort(key=lambda row: (row[wanted.sort_by], row["created_at"], row["_id"]), reverse=wanted.descending)
    start = (wanted.page - 1) * wanted.page_limit
    return {
        "data": rows[start : start + wanted.page_limit],
        "page_info": {
            "limit_per_page": wanted.page_limit,
            "page": wanted.page,
            "total_page": math.ceil(len(rows) / wanted.page_limit),
            "total_results": len(rows),
        },
    }


def _suits(row: Row, wanted: Wanted) -> bool:
    about = row["system_metadata"]
    facts = about | {"index_id": row.get("index_id")}
    return (
        (not wanted.statuses or row["status"] in wanted.statuses)
        and all(facts.get(name) == text for name, text in wanted.texts.items())
        and all(about.get(name) == number for name, number in wanted.measures.items())
        and all(_is_of_that_day_since(row[name], moment) for name, moment in wanted.since.items())
    )


def _text(moment: datetime) -> str:
    return clock.iso(int(moment.timestamp() * clock.SECOND))


def _is_of_that_day_since(stored: str, moment: datetime) -> bool:
    found = datetime.fromisoformat(stored)
    return found >= moment and found.date() == moment.date()  # both are in UTC


def _single(query: Query, name: str) -> str | None:
    values = query.get(name, ())
    if not values:
        return None
    if len(values) > 1:
        raise refusals.parameter_invalid(name, "Give it once.")
    if not values[0]:
        raise refusals.parameter_invalid(name, "It is empty.")
    return values[0]


def _whole(query: Query, name: str, *, default: int, most: int) -> int:
    text = _single(query, name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise refusals.parameter_invalid(name, f"It must be a whole number from 1 to {most}.")
    return int(text)


def _choice(query: Query, name: str, choices: Sequence[str]) -> str:
    """The first choice is the default."""
    text = _single(query, name) or choices[0]
    if text not in choices:
        raise refusals.parameter_invalid(name, f"It must be one of {', '.join(choices)}.")
    return text


def _statuses(query: Query) -> frozenset[str]:
    words = frozenset(query.get("status", ()))
    if not words <= set(task_view.WORDS):
        raise refusals.parameter_invalid("status", f"It must be one of {', '.join(task_view.WORDS)}.")
    return words


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise refusals.parameter_invalid(name, "It must be a number.")
    return number


def _moment(name: str, text: str) -> datetime:
    """In UTC. A time without a zone is one in UTC, a date alone its midnight (inferred)."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise refusals.parameter_invalid(name, "It must be a time in the RFC 3339 format.") from None
