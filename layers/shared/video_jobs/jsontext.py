"""JSON from strangers, read strictly: what two readers could understand differently is refused."""

import json
from typing import Any


class NotJsonError(Exception):
    """The text is not JSON that has one meaning."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJsonError("an object has the same key twice")
    return found


def _no_constant(name: str) -> None:
    raise NotJsonError(f"{name} is not JSON")


def read(body: bytes) -> Any:
    """Any JSON value from UTF-8 text.

    Raises NotJsonError, also for NaN, keys that repeat, bottomless nesting, and half a surrogate pair (a text that
    nobody could store or send on).
    """
    try:
        text = body.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except ValueError as error:
        raise NotJsonError(f"not JSON: {error}"[:200]) from None
    except RecursionError:
        raise NotJsonError("nested too deeply") from None
