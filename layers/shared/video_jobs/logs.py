"""The log: one JSON object a line, and no credentials in it, whoever's words it quotes."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from video_jobs import jsontext
from video_jobs.redaction import redacted


def logger() -> Logger:
    """The function's logger: every module has the same one, so that the keys that one adds are on the others' lines."""
    return Logger(serialize_stacktrace=False, json_serializer=_line)


def _line(entry: Any) -> str:
    # half a surrogate pair would cost the line, and is not written
    return jsontext.write(_clean(entry), separators=(",", ":"), ascii_only=False)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {name: _clean(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float) else redacted(str(value))
