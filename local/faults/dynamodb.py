"""A table in memory, as DynamoDB keeps it: conditions, transactions and sparse indexes, as far as the layer asks."""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from local.faults import expressions
from local.faults.expressions import Item, Scope
from local.faults.points import NotHonouredError

LARGEST_ITEM = 400 * 1024
MOST_ACTIONS = 100

type Key = tuple[str, str]


class ConditionalCheckFailedException(ClientError):  # noqa: N818 (botocore's name)
    """As botocore makes it."""


class TransactionCanceledException(ClientError):  # noqa: N818 (botocore's name)
    """As botocore makes it."""


class Exceptions:
    """A client's `exceptions`."""

    ConditionalCheckFailedException = ConditionalCheckFailedException
    TransactionCanceledException = TransactionCanceledException


def invalid(message: str, operation: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": "ValidationException", "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(answer, operation)


@dataclass
class Table:
    """Items by their key, and what indexes say of them. Values in it are never changed, only replaced."""

    name: str
    indexes: Mapping[str, Key]
    """By name: its hash and its range attribute."""
    items: dict[Key, Item] = field(default_factory=dict)
    _partitions: dict[str, list[str]] = field(default_factory=dict)

    # --- Single items ---

    def get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        _known(request, "TableName", "Key", "ConsistentRead")
        found = self.items.get(_key(request["Key"]))
        return {"Item": dict(found)} if found is not None else {}

    def batch_get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        _known(request, "RequestItems")
        (asked,) = request["RequestItems"].values()
        _known(asked, "Keys", "ConsistentRead")
        keys = [_key(key) for key in asked["Keys"]]
        if len(set(keys)) != len(keys) or not 1 <= len(keys) <= MOST_ACTIONS:
            raise invalid("Provided list of item keys contains duplicates, or too many", "BatchGetItem")
        found = [dict(self.items[key]) for key in keys if key in self.items]
        return {"Responses": {self.name: found}, "UnprocessedKeys": {}}

    def put(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._require(request, self._of_put(request), "PutItem")
        self._store(request["Item"])
        return {}

    def update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._require(request, self._of_update(request), "UpdateItem")
        self._store(self._updated(request))
        return {}

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._require(request, self._of_delete(request), "DeleteItem")
        self._drop(_key(request["Key"]))
        return {}

    def transact(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """All or nothing; no two actions on the same item."""
        _known(request, "TransactItems", "ClientRequestToken")
        actions = [_only(action) for action in request["TransactItems"]]
        if not 1 <= len(actions) <= MOST_ACTIONS:
            raise invalid("1 to 100 actions", "TransactWriteItems")
        keys = [_key(asked["Item"] if kind == "Put" else asked["Key"]) for kind, asked in actions]
        if len(set(keys)) != len(keys):
            raise invalid("Transaction request cannot include multiple operations on one item", "TransactWriteItems")
        reasons = [self._reason(kind, asked) for kind, asked in actions]
        if any(reason["Code"] != "None" for reason in reasons):
            raise canceled(reasons)
        for kind, asked in actions:
            if kind == "Put":
                self._store(asked["Item"])
            elif kind == "Update":
                self._store(self._updated(asked))
            elif kind == "Delete":
                self._drop(_key(asked["Key"]))
        return {}

    def _reason(self, kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        scopes = {
            "Put": self._of_put,
            "Update": self._of_update,
            "Delete": self._of_delete,
            "ConditionCheck": self._of_delete,
        }
        try:
            self._require(asked, scopes[kind](asked), "TransactWriteItems")
        except ConditionalCheckFailedException as error:
            item = {"Item": error.response["Item"]} if "Item" in error.response else {}  # type: ignore[typeddict-item]
            return {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", **item}
        return {"Code": "None"}

    def _of_put(self, request: Mapping[str, Any]) -> Key:
        _known(request, "TableName", "Item", *_OF_CONDITIONS)
        return _key({name: request["Item"][name] for name in ("pk", "sk")})

    def _of_update(self, request: Mapping[str, Any]) -> Key:
        _known(request, "TableName", "Key", "UpdateExpression", *_OF_CONDITIONS)
        return _key(request["Key"])

    def _of_delete(self, request: Mapping[str, Any]) -> Key:
        _known(request, "TableName", "Key", *_OF_CONDITIONS)
        return _key(request["Key"])

    def _require(self, request: Mapping[str, Any], key: Key, operation: str) -> None:
        """The request's condition holds for the item; else ConditionalCheckFailedException."""
        scope, found = _scope(request), self.items.get(key)
        text = request.get("ConditionExpression")
        holds = text is None or expressions.condition(text)(found or {}, scope)
        if "UpdateExpression" in request:
            self._updated(request, scope)
        _all_used(scope, operation)
        if holds:
            return
        shown = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        answer: Any = {
            "Error": {"Code": "ConditionalCheckFailedException", "Message": "The conditional request failed"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
            **({"Item": dict(found)} if shown and found is not None else {}),
        }
        raise ConditionalCheckFailedException(answer, operation)

    def _updated(self, request: Mapping[str, Any], scope: Scope | None = None) -> Item:
        before = self.items.get(_key(request["Key"]), dict(request["Key"]))
        item = dict(before)
        expressions.update(request["UpdateExpression"])(item, before, scope or _scope(request))
        return item

    def _store(self, item: Mapping[str, Any]) -> None:
        if _size(item) > LARGEST_ITEM:
            raise invalid("Item size has exceeded the maximum allowed size", "PutItem")
        for name in {name for index in self.indexes.values() for name in index} & item.keys():
            if not item[name].get("S"):
                raise invalid(f"The key {name} of an index must be a text, and not empty", "PutItem")
        key = _key({name: item[name] for name in ("pk", "sk")})
        if key not in self.items:
            bisect.insort(self._partitions.setdefault(key[0], []), key[1])
        self.items[key] = dict(item)

    def _drop(self, key: Key) -> None:
        if self.items.pop(key, None) is not None:
            self._partitions[key[0]].remove(key[1])

    # --- Queries ---

    def query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One partition of the table or of an index, in the order of its range key; an index shows keys alone."""
        _known(
            request,
            *("TableName", "IndexName", "KeyConditionExpression", "ExpressionAttributeNames", "Limit"),
            *("ExpressionAttributeValues", "ScanIndexForward", "ExclusiveStartKey", "ConsistentRead", "Select"),
        )
        index = request.get("IndexName")
        if index and request.get("ConsistentRead"):
            raise invalid("Consistent reads are not supported on global secondary indexes", "Query")
        hashed, ranged = self.indexes[index] if index else ("pk", "sk")
        scope = _scope(request)
        holds = expressions.condition(request["KeyConditionExpression"])
        candidates = self._of_index(hashed, ranged) if index else self._of_partition(scope)
        found = [item for item in candidates if holds(item, scope)]
        if not found:
            holds({}, scope)  # for the sake of its names
        _all_used(scope, "Query")
        order = [(item[ranged]["S"], *_key(item), item) for item in found]
        order.sort(key=lambda one: one[:3], reverse=not request.get("ScanIndexForward", True))
        return self._page(request, order, (hashed, ranged))

    def _of_index(self, hashed: str, ranged: str) -> list[Item]:
        return [item for item in self.items.values() if hashed in item and ranged in item]

    def _of_partition(self, scope: Scope) -> list[Item]:
        values = [value["S"] for value in scope.values.values() if "S" in value]
        partitions = [value for value in values if value in self._partitions]
        return [self.items[pk, sk] for pk in partitions for sk in self._partitions[pk]]

    def _page(self, request: Mapping[str, Any], order: Sequence[tuple[Any, ...]], keys: Key) -> dict[str, Any]:
        start = request.get("ExclusiveStartKey")
        if start is not None:
            after = (start[keys[1]]["S"], *_key(start))
            forward = request.get("ScanIndexForward", True)
            order = [one for one in order if (one[:3] > after if forward else one[:3] < after)]
        limit = request.get("Limit", len(order))
        shown = [one[3] for one in order[:limit]]
        names = {"pk", "sk", *keys}
        if request.get("IndexName"):
            shown = [{name: item[name] for name in item if name in names} for item in shown]
        answer: dict[str, Any] = {"Items": [dict(item) for item in shown], "Count": len(shown)}
        if len(order) >= limit and shown and "Limit" in request:
            answer["LastEvaluatedKey"] = {name: value for name, value in order[limit - 1][3].items() if name in names}
        return answer


_OF_CONDITIONS = (
    *("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"),
    "ReturnValuesOnConditionCheckFailure",
)


def canceled(reasons: Sequence[Mapping[str, Any]]) -> TransactionCanceledException:
    codes = ", ".join(reason["Code"] for reason in reasons)
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": f"Transaction cancelled [{codes}]"},
        "CancellationReasons": list(reasons),
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return TransactionCanceledException(answer, "TransactWriteItems")


def _only(action: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    ((kind, asked),) = action.items()
    return kind, asked


def _known(request: Mapping[str, Any], *names: str) -> None:
    """Every part of the request is one that is honoured here."""
    if unknown := request.keys() - set(names):
        raise NotHonouredError(f"nothing here honours {', '.join(sorted(unknown))}")


def _key(item: Mapping[str, Any]) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def _scope(request: Mapping[str, Any]) -> Scope:
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    return Scope(names, values, set())


def _all_used(scope: Scope, operation: str) -> None:
    if unused := (scope.names.keys() | scope.values.keys()) - scope.used:
        raise invalid(f"Value unused in expressions: {', '.join(sorted(unused))}", operation)


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, plain),) = value.items()
    match kind:
        case "S":
            return len(plain.encode())
        case "B" | "N":
            return len(plain)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(part) for name, part in plain.items())
        case "L":
            return 3 + sum(1 + _value_size(part) for part in plain)
        case "SS" | "NS":
            return sum(map(len, plain))
        case "BOOL" | "NULL":
            return 1
        case _:
            raise NotHonouredError(f"a value of type {kind}")
