"""How large an item is, and what writing it costs, as AWS's developer guide counts ("DynamoDB item sizes")."""

import math
from collections.abc import Mapping
from typing import Any


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item of plain values: names and values, in UTF-8."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def write_units(item: Mapping[str, Any]) -> int:
    return math.ceil(item_size(item) / 1024)


def _size(value: Any) -> int:
    match value:
        case bool() | None:
            return 1
        case int():
            # a byte for every two significant digits, and one more; one more for a sign
            digits = str(abs(value)).rstrip("0") or "0"
            return math.ceil(len(digits) / 2) + 1 + (value < 0)
        case str():
            return len(value.encode())
        case bytes():
            return len(value)
        case list():
            return 3 + sum(1 + _size(each) for each in value)
        case dict():
            return 3 + sum(1 + len(name.encode()) + _size(each) for name, each in value.items())
    raise TypeError(type(value))
