"""The fields of requests: which there are, and what is wrong with those that came.

Printed: the names, that unknown ones are refused, and what a missing one and one that is no array are answered.
"""

from collections.abc import Iterable, Mapping
from email import message_from_bytes
from typing import Any
from urllib.parse import urlsplit

from local.platforms.apivideo.errors import Problem, invalid, invalid_attributes, required, unknown_attribute
from local.platforms.apivideo.events import EventType

SHAPES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
}

VIDEO_UPDATE: Mapping[str, type] = {
    "title": str,
    "description": str,
    "public": bool,
    "panoramic": bool,
    "mp4Support": bool,
    "playerId": str,
    "tags": list,
    "metadata": list,
    "language": str,
    "transcript": bool,
    "transcriptSummary": bool,
    "transcriptSummaryAttributes": list,
}
VIDEO_CREATION: Mapping[str, type] = {**VIDEO_UPDATE, "source": str, "clip": dict, "watermark": dict}
WEBHOOK: Mapping[str, type] = {"events": list, "url": str}

NULLABLE = frozenset({"language", "playerId"})
SUMMARY_ATTRIBUTES = ("abstract", "takeaways")


def check_video(fields: Mapping[str, Any], known: Mapping[str, type], *, needs: Iterable[str] = ()) -> None:
    """Raises ApiError with every problem at once."""
    problems = [*wrong_shapes(fields, known, needs=needs)]
    wrong = {problem.name for problem in problems}
    if "metadata" not in wrong and not all(map(is_pair, fields.get("metadata", []))):
        problems.append(invalid("metadata", "an array of objects with a key and a value"))
    if "tags" not in wrong and not all(isinstance(tag, str) for tag in fields.get("tags", [])):
        problems.append(invalid("tags", "an array of strings"))
    attributes = fields.get("transcriptSummaryAttributes", [])
    if "transcriptSummaryAttributes" not in wrong and not all(name in SUMMARY_ATTRIBUTES for name in attributes):
        problems.append(invalid("transcriptSummaryAttributes", f"of {', '.join(SUMMARY_ATTRIBUTES)}"))
    if problems:
        raise invalid_attributes(problems)


def check_webhook(fields: Mapping[str, Any]) -> None:
    """Raises ApiError with every problem at once."""
    problems = [*wrong_shapes(fields, WEBHOOK, needs=WEBHOOK)]
    wrong = {problem.name for problem in problems}
    if "events" not in wrong and not (fields["events"] and all(event in list(EventType) for event in fields["events"])):
        problems.append(invalid("events", "an array of event types"))
    if "url" not in wrong and not is_web_address(fields["url"]):
        problems.append(invalid("url", "a valid url"))
    if problems:
        raise invalid_attributes(problems)


def wrong_shapes(fields: Mapping[str, Any], known: Mapping[str, type], *, needs: Iterable[str]) -> Iterable[Problem]:
    yield from (required(name) for name in needs if fields.get(name) in (None, ""))
    for name, value in fields.items():
        if name not in known:
            yield unknown_attribute(name)
        elif value is None and (name in NULLABLE or name in needs):
            continue
        elif not isinstance(value, known[name]):
            yield invalid(name, SHAPES[known[name]])


def is_pair(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("key", "value"))


def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def uploaded_file(content_type: str, body: bytes) -> tuple[str, int] | None:
    """The name and the size in bytes of the `file` in a multipart form; None if there is none."""
    form = message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in form.walk():
        name, filename = part.get_param("name", header="content-disposition"), part.get_filename()
        content = part.get_payload(decode=True)
        if name == "file" and filename and isinstance(content, bytes):
            return filename, len(content)
    return None
