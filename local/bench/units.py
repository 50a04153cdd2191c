"""What AWS bills for a call: DynamoDB's units, SQS's requests.

From AWS's developer guide of DynamoDB:

- Item sizes (CapacityUnitCalculations.html): names and values in bytes; a number is 1 byte per two digits, and 1.
- Writes (read-write-operations.html): a unit a KB of the larger of the old and the new item, at least 1; a condition
  that does not hold is billed like a write. Reads: a unit per 4 KB, half of one where it need not be consistent, at
  least for one item, also where there is none; a query by the sum of its items, BatchGetItem by each item.
- Indexes (GSI.html, section "Write capacity units"): a unit a KB of an entry that appears or goes, or whose other
  attributes change; both where its key changes; nothing where it stays as it is. Measured on DynamoDB itself on
  2026-08-12 (github.com/nubo-db/dynoxide/issues/176, github.com/paritysuite/dynamodb-conformance/issues/149): the same.
- Transactions (transaction-apis.html, section "Capacity management"): each item is written twice, and billed so. The
  guide does not say whether index entries are. Measured on DynamoDB itself they are not
  (github.com/nubo-db/dynoxide/pull/188). As that is others' measurement alone, they are doubled here.

Of SQS (aws.amazon.com/sqs/pricing): each 64 KB of a request's messages is a request.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KB = 1024
type Item = Mapping[str, Mapping[str, Any]]
"""As DynamoDB's client takes it: {"pk": {"S": "…"}}."""

TRANSACTED = 2
"""How many times an item in a transaction is billed."""
TRANSACTED_ENTRY = 2
"""How many times an index entry is that changes with one: 1 as measured, 2 so that the figure is never too low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A global secondary index: its keys, and what else its entries have (None: all)."""

    keys: tuple[str, ...]
    projected: frozenset[str] | None

    def entry(self, item: Item | None) -> Item | None:
        """What the index stores of an item; None if it is not in the index."""
        if item is None or not all(key in item for key in self.keys):
            return None
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}


def index(description: Mapping[str, Any], table_keys: Iterable[str]) -> Index:
    """An index as DescribeTable describes it."""
    keys = tuple(part["AttributeName"] for part in description["KeySchema"])
    projection = description["Projection"]
    if projection["ProjectionType"] == "ALL":
        return Index(keys=keys, projected=None)
    return Index(keys=keys, projected=frozenset((*keys, *table_keys, *projection.get("NonKeyAttributes", ()))))


def size(item: Item) -> int:
    """Bytes of an item."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    found: dict[str, Callable[[], int]] = {
        "S": lambda: len(content.encode()),
        "N": lambda: _number(content),
        "B": lambda: len(content),
        "BOOL": lambda: 1,
        "NULL": lambda: 1,
        "L": lambda: 3 + sum(1 + _size(part) for part in content),
        "M": lambda: 3 + sum(1 + len(name.encode()) + _size(part) for name, part in content.items()),
    }
    if kind in ("SS", "NS", "BS"):
        return sum(_size({kind[0]: part}) for part in content)
    return found[kind]()


def _number(text: str) -> int:
    digits = text.lower().split("e")[0].lstrip("+-").replace(".", "").strip("0")
    return 1 + math.ceil(len(digits) / 2) + text.startswith("-")


def write(before: Item | None, after: Item | None, indexes: Iterable[Index], *, transacted: bool = False) -> int:
    """Units of a write, with those of the indexes."""
    entries = sum(_entry(each, before, after) for each in indexes)
    return attempted(before, after, transacted=transacted) + entries * (TRANSACTED_ENTRY if transacted else 1)


def attempted(before: Item | None, after: Item | None, *, transacted: bool = False) -> int:
    """Units of a write without its indexes: also of one whose condition does not hold."""
    return _kilobytes(max(size(before or {}), size(after or {}))) * (TRANSACTED if transacted else 1)


def _entry(found: Index, before: Item | None, after: Item | None) -> int:
    old, new = found.entry(before), found.entry(after)
    if old == new:
        return 0
    if old is None or new is None:
        return _kilobytes(size(old or new or {}))
    if all(old[key] == new[key] for key in found.keys):
        return _kilobytes(max(size(old), size(new)))
    return _kilobytes(size(old)) + _kilobytes(size(new))


def read(items: Sequence[Item], *, consistent: bool) -> float:
    """Units of one read that found these items: of an item, or of a query."""
    return max(1, math.ceil(sum(map(size, items)) / (4 * KB))) * (1.0 if consistent else 0.5)


def _kilobytes(found: int) -> int:
    return max(1, math.ceil(found / KB))


def requests(sizes: Iterable[int]) -> int:
    """SQS requests of a call with messages of so many bytes."""
    return max(1, math.ceil(sum(sizes) / (64 * KB)))
