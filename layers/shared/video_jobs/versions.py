"""Which forms of messages and items this code knows, so that it leaves newer ones to the code that does.

While a release is deployed, and after one was rolled back, older code meets what newer code has written. It must not
break off over that, and not change it: a worker leaves the message in its queue, the API answers 503.

A form that older code cannot work with gets the next number here, in the release that begins to write it.
`tests/upgrade/contracts.json` records the forms; a changed form with an old number fails its test.
"""

from collections.abc import Mapping
from typing import Any

FIELD = "schema_version"
"""Where messages and items carry their number. What has none is of version 1."""

MESSAGES: Mapping[str, int] = {"inbox": 1, "look": 1, "batches": 1, "notifications": 1}
"""The newest form of the messages of each kind of queue."""

ITEMS: Mapping[str, int] = {
    "job": 1,
    "request": 1,
    "result": 1,
    "event": 1,
    "link": 1,
    "batch": 1,
    "count": 1,
    "work": 1,
    "sources": 1,
    "post": 1,
    "signature": 1,
}
"""The newest form of each kind of item."""


class NewerVersionError(Exception):
    """Code of a newer release has written it. Nothing may be done with it here, and nothing to it."""


def require(found: object, known: int, what: str) -> None:
    """Raise NewerVersionError if this number is newer than the one that is known, ValueError if it is no number."""
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"the {FIELD} of {what} is not a whole number from 1 on")
    if found > known:
        raise NewerVersionError(f"{what} is of version {found}; this code knows those up to {known}")


def item_kind(pk: str, sk: str) -> str:
    """What an item is, by its key."""
    return "link" if pk.startswith("MEDIUM#") and sk.startswith("JOB#") else sk.split("#")[0].lower()


def stamped(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item with the number of the form that this code writes."""
    return {**item, FIELD: ITEMS[item_kind(item["pk"], item["sk"])]}


def require_item(item: Mapping[str, Any]) -> None:
    """Raise NewerVersionError if this item is newer than what is known. Parts of an item without its key pass."""
    if FIELD in item and "sk" in item:
        kind = item_kind(item["pk"], item["sk"])
        require(item[FIELD], ITEMS.get(kind, 0), f"{kind} {item['pk']}")
