"""Lists: their filters, their order, their pages.

Printed: the parameters, and the limits of a page. A title is found by any part of it; of tags and of metadata, a video
must have all. Inferred: that the newest come first, that a part of a title may be written in other cases, and
that a parameter which cannot be read is refused.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from local.platforms.apivideo.errors import Problem, invalid, invalid_attributes
from local.platforms.apivideo.events import EventType
from local.platforms.apivideo.studio import Video
from local.platforms.apivideo.webhooks import Webhook

DEFAULT_SIZE, MAX_SIZE = 25, 100
METADATA = re.compile(r"metadata\[(.+)\]")

ORDERS: dict[str, Callable[[Video], Any]] = {
    "title": lambda video: video.fields["title"],
    "createdAt": lambda video: video.created_at,
    "publishedAt": lambda video: video.created_at,
    "updatedAt": lambda video: video.updated_at,
}


@dataclass(frozen=True, kw_only=True)
class Page:
    current: int
    size: int


def read_page(query: QueryParams) -> Page:
    """Raises ApiError."""
    return Page(
        current=whole_number(query, "currentPage", default=1),
        size=whole_number(query, "pageSize", default=DEFAULT_SIZE, most=MAX_SIZE),
    )


def wanted_videos(videos: Iterable[Video], query: QueryParams) -> list[Video]:
    """`videos`: oldest first, so that those of the same moment are in order, too. Raises ApiError."""
    order, direction = query.get("sortBy", "createdAt"), query.get("sortOrder", "desc")
    check(order in ORDERS, invalid("sortBy", f"one of {', '.join(ORDERS)}"))
    check(direction in ("asc", "desc"), invalid("sortOrder", "one of asc, desc"))
    found = [video for video in videos if suits(video, query)]
    if direction == "desc":
        found.reverse()
    return sorted(found, key=ORDERS[order], reverse=direction == "desc")


def suits(video: Video, query: QueryParams) -> bool:
    asked = video.fields
    metadata = {(entry["key"], entry["value"]) for entry in asked.get("metadata", [])}
    wanted = {(name[1], value) for key, value in query.multi_items() if (name := METADATA.fullmatch(key))}
    return (
        contains(asked["title"], query.get("title", ""))
        and contains(asked.get("description", ""), query.get("description", ""))
        and {*query.getlist("tags[]"), *query.getlist("tags")} <= set(asked.get("tags", []))
        and wanted <= metadata
        and "liveStreamId" not in query  # no video here was recorded from one
    )


def wanted_webhooks(webhooks: Iterable[Webhook], query: QueryParams) -> list[Webhook]:
    """Newest first. Raises ApiError."""
    event = query.get("events")
    check(event is None or event in list(EventType), invalid("events", "an event type"))
    return [webhook for webhook in reversed(list(webhooks)) if event is None or event in webhook.events]


def contains(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()


def whole_number(query: QueryParams, name: str, *, default: int, most: int | None = None) -> int:
    value = query.get(name, str(default))
    problem = invalid(name, f"a number from 1 to {most}" if most else "a number from 1")
    check(value.isascii() and value.isdecimal(), problem)
    check(1 <= int(value) <= (most or int(value)), problem)
    return int(value)


def check(good: bool, problem: Problem) -> None:
    if not good:
        raise invalid_attributes([problem])
