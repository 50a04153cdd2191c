"""How deeply JSON may be nested: what is taken in must be possible to store and to show, whoever wrote it.

DynamoDB takes 32 levels of maps and lists, pydantic writes 255.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

DEEPEST = 32
"""Levels of objects and lists, the outermost included."""
OMITTED = "(nested too deeply)"


def too_deep(value: Any) -> Sequence[str | int] | None:
    """Where something is nested more deeply than that: the keys and indexes that lead there; None if nothing is."""
    level: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    for _ in range(DEEPEST):
        level = [((*place, key), part) for place, found in level for key, part in _parts(found)]
    return next((place for place, found in level if isinstance(found, dict | list)), None)


def _parts(found: Any) -> Sequence[tuple[str | int, Any]]:
    if isinstance(found, dict):
        return list(found.items())
    return list(enumerate(found)) if isinstance(found, list) else []


def shallow(value: Any, levels: int = DEEPEST) -> Any:
    """The same, with a note in the place of what is nested more deeply."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return OMITTED
    if isinstance(value, dict):
        return {key: shallow(part, levels - 1) for key, part in value.items()}
    return [shallow(part, levels - 1) for part in value]


# A plain alias: a `type` statement would become a part of its own in the API's document.
Shallow = Annotated[dict[str, Any], AfterValidator(shallow)]
