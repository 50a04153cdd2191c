"""JSON, as others send it and as we print it.

What is sent to us unasked is read strictly: what two readers could understand differently is refused. An answer that we
asked for is read as far as it can be: refusing it would not make it better, and asking again may cost money. What we
print, every reader understands.
"""

import json
import math
import re
import sys
from typing import Any

from video_jobs.nesting import DEEPEST, OMITTED

_LONGEST_INTEGER = 400
"""Digits: more than the largest number has, and fewer than Python refuses to read."""
_WRITTEN_LEVELS = 255  # what pydantic writes, too
_LARGEST = sys.float_info.max
_HALF = re.compile("[\ud800-\udfff]")


class NotJsonError(Exception):
    """The text is not JSON that has one meaning."""


# --- Strictly --------------------------------------------------------------------------------------------------------


def read(body: bytes) -> Any:
    """Any JSON value from UTF-8 text.

    Raises NotJsonError, also for NaN, numbers that others could only read as infinity, keys that repeat, bottomless
    nesting, and half a surrogate pair (a text that nobody could store or send on).
    """
    try:
        text = body.decode("utf-8-sig")
        found = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer, parse_float=_fraction
        )
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except ValueError as error:
        raise NotJsonError(f"not JSON: {error}"[:200]) from None
    except RecursionError:
        raise NotJsonError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJsonError("an object has the same key twice")
    return found


def _no_constant(name: str) -> None:
    raise NotJsonError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    _fraction(digits)
    return int(digits)


def _fraction(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise NotJsonError(f"a number is too large: {digits[:32]}")
    return found


# --- As far as it can be read ----------------------------------------------------------------------------------------


def read_answer(body: bytes) -> Any:
    """Any JSON value from the answer to a request of ours; what is wrong in it is mended (see `mended`).

    Of keys that repeat the last one counts, and texts may have line breaks in them. Raises NotJsonError for what is no
    JSON for the most tolerant reader either.
    """
    try:
        return mended(json.loads(body.decode("utf-8-sig", "replace"), strict=False, parse_int=_integer_or_infinity))
    except ValueError as error:
        raise NotJsonError(f"not JSON: {error}"[:200]) from None
    except RecursionError:
        raise NotJsonError("nested too deeply") from None


def mended(value: Any, *, levels: int = DEEPEST) -> Any:
    """A value that can be stored, sent on and shown: null for what is no number that others could read, a replacement
    character for half a surrogate pair, and a note for what is nested too deeply."""
    match value:
        case dict() | list() | tuple() if not levels:
            return OMITTED
        case dict():
            return {mended(name): mended(each, levels=levels - 1) for name, each in value.items()}
        case list() | tuple():
            return [mended(each, levels=levels - 1) for each in value]
        case str():
            return _HALF.sub("\ufffd", value)
        case int() | float() if not -_LARGEST <= value <= _LARGEST:
            return None
    return value


def _integer_or_infinity(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else math.inf


# --- Ours ------------------------------------------------------------------------------------------------------------


def write(
    value: Any, *, ascii_only: bool = True, separators: tuple[str, str] | None = None, sort_keys: bool = False
) -> str:
    """JSON that every reader understands. All that we print, send and store is written here.

    Both readers keep out what is no JSON. Should something have come in by another way, it is mended rather than
    refused: one bad number must not hide a whole list.
    """

    def text(of: Any, *, ascii_only: bool = ascii_only) -> str:
        return json.dumps(of, ensure_ascii=ascii_only, separators=separators, sort_keys=sort_keys, allow_nan=False)

    try:
        found = text(value)
        # an escaped half stands out where nothing is escaped
        half = bool(_HALF.search(text(value, ascii_only=False) if "\\ud" in found else found))
    except ValueError:
        half = True
    return text(mended(value, levels=_WRITTEN_LEVELS)) if half else found
