"""Lists: their filters, their order, their pages.

Printed: the parameters, their defaults and limits, and `page_info`. A filter by date keeps what is of that day (here:
of that day in UTC), at or after the given time. Inferred: that a parameter which cannot be read is refused, that an
empty list has no pages, and that other filters ask for the same value.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import QueryParams

from local.platforms.twelvelabs.errors import Body, parameter_invalid

MEASURES = ("duration", "width", "height", "fps", "size")
DATES = ("created_at", "updated_at")
MAX_PAGE_LIMIT = 50

type Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    page: int
    page_limit: int
    sort_by: str
    descending: bool

    def page_of(self, rows: Iterable[Row]) -> Body:
        """`rows`: oldest first, so that those of the same millisecond are in order, too."""
        ordered = list(rows)
        if self.descending:
            ordered.reverse()
        ordered.sort(key=lambda row: str(row.get(self.sort_by, "")), reverse=self.descending)
        start = (self.page - 1) * self.page_limit
        info = {
            "limit_per_page": self.page_limit,
            "page": self.page,
            "total_page": math.ceil(len(ordered) / self.page_limit),
            "total_results": len(ordered),
        }
        return {"data": ordered[start : start + self.page_limit], "page_info": info}


def read_wanted(query: QueryParams) -> Wanted:
    """Raises ApiError."""
    return Wanted(
        page=whole_number(query, "page", default=1),
        page_limit=whole_number(query, "page_limit", default=10, most=MAX_PAGE_LIMIT),
        sort_by=choice(query, "sort_by", "created_at", "updated_at"),
        descending=choice(query, "sort_option", "desc", "asc") == "desc",
    )


def filtered(rows: Iterable[Row], query: QueryParams) -> list[Row]:
    """Raises ApiError if a filter cannot be read."""
    measures = {name: number(query, name) for name in MEASURES if name in query}
    dates = {name: date(query, name) for name in DATES if name in query}
    return [row for row in rows if suits(row, query, measures, dates)]


def suits(row: Row, query: QueryParams, measures: Mapping[str, float], dates: Mapping[str, datetime]) -> bool:
    about = row["system_metadata"]
    statuses = query.getlist("status")
    return (
        (not statuses or row["status"] in statuses)
        and query.get("index_id", row.get("index_id")) == row.get("index_id")
        and query.get("filename", about["filename"]) == about["filename"]
        and all(about.get(name) == value for name, value in measures.items())
        and all(is_same_day_since(datetime.fromisoformat(row[name]), value) for name, value in dates.items())
    )


def is_same_day_since(moment: datetime, asked: datetime) -> bool:
    return moment >= asked and moment.astimezone(UTC).date() == asked.astimezone(UTC).date()


def whole_number(query: QueryParams, name: str, *, default: int, most: float = math.inf) -> int:
    value = query.get(name, str(default))
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= most):
        raise parameter_invalid(name)
    return int(value)


def number(query: QueryParams, name: str) -> float:
    try:
        return float(query[name])
    except ValueError:
        raise parameter_invalid(name) from None


def date(query: QueryParams, name: str) -> datetime:
    """In RFC 3339 format; a date alone is its midnight, in UTC."""
    try:
        moment = datetime.fromisoformat(query[name])
    except ValueError:
        raise parameter_invalid(name) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def choice(query: QueryParams, name: str, *choices: str) -> str:
    """The first is the default."""
    value = query.get(name, choices[0])
    if value not in choices:
        raise parameter_invalid(name)
    return value
