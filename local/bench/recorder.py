"""Counts what AWS would bill for the calls of this process, on their way: it reads each item before and after.

The stand-in for DynamoDB need not count anything itself. A call that the recorder does not know is an error.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from local.bench import units
from local.bench.units import Index, Item

type Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Makes a call, past what is counted: its operation and its parameters."""

CONDITION_FAILED = ("ConditionalCheckFailedException", "TransactionCanceledException")
_WRITES = ("Put", "Update", "Delete", "ConditionCheck")


class Made(NamedTuple):
    """One call to AWS, and what it is billed."""

    name: str
    """ "dynamodb.PutItem"."""
    about: str
    """The keys of its items, or its queue."""
    billed: Mapping[str, float]
    """By the names in `prices.PRICES`."""


@dataclass(frozen=True, slots=True)
class _Table:
    keys: tuple[str, ...]
    indexes: Mapping[str, Index]

    def key(self, item: Item) -> Item:
        return {name: item[name] for name in self.keys}


class Recorder:
    """What is called between `with` and its end, in the order of the calls."""

    def __init__(self) -> None:
        self.calls: list[Made] = []
        self._original: Any = None
        self._paused = False
        self._tables: dict[str, _Table] = {}

    def __enter__(self) -> Self:
        self._original = original = BaseClient._make_api_call  # type: ignore[attr-defined]
        recorder = self

        def counted(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            def call(name: str, given: Mapping[str, Any]) -> Any:
                return original(client, name, dict(given))

            if recorder._paused:
                return call(operation, parameters)
            return recorder._counted(client.meta.service_model.service_name, operation, parameters, call)

        BaseClient._make_api_call = counted  # type: ignore[attr-defined]
        return self

    def __exit__(self, *_: object) -> None:
        BaseClient._make_api_call = self._original  # type: ignore[attr-defined]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Calls that are not the functions'."""
        self._paused, before = True, self._paused
        try:
            yield
        finally:
            self._paused = before

    def since(self, first: int) -> Counter[str]:
        """What was billed from the `first`th call on; "aws_calls" are the calls themselves."""
        found: Counter[str] = Counter()
        for made in self.calls[first:]:
            found.update(made.billed)
            found["aws_calls"] += 1
        return found

    # --- One call ----------------------------------------------------------------------------------------------------

    def _counted(self, service: str, operation: str, given: Mapping[str, Any], call: Call) -> Any:
        name = f"{service}.{operation}"
        if service == "dynamodb" and operation in ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"):
            return self._write(name, _actions(operation, given), call, lambda: call(operation, given))
        answer = call(operation, given)
        match service:
            case "dynamodb":
                billed, about = self._read(operation, given, answer, call)
            case "sqs":
                billed, about = _sqs(given)
            case "secretsmanager":
                billed, about = {"secret_calls": 1.0}, given["SecretId"]
            case "events":
                billed, about = {"bus_events": float(len(given["Entries"]))}, ""
            case _:
                raise NotImplementedError(name)
        self.calls.append(Made(name, about, billed))
        return answer

    def _write(
        self, name: str, actions: Sequence[tuple[str, Mapping[str, Any]]], call: Call, make: Callable[[], Any]
    ) -> Any:
        before = [self._item(action, call) for _, action in actions]
        failed: ClientError | None = None
        answer = None
        try:
            answer = make()
        except ClientError as error:
            if error.response["Error"]["Code"] not in CONDITION_FAILED:
                raise
            failed = error
        billed = 0
        for (kind, action), old in zip(actions, before, strict=True):
            if failed or kind == "ConditionCheck":
                billed += units.attempted(old, action.get("Item"))
            else:
                billed += units.write(old, self._item(action, call), self._table(action, call).indexes.values())
        times = units.TRANSACTED if name.endswith("TransactWriteItems") else 1
        about = " ".join(_text(self._key(action, call)) for _, action in actions) + (" (refused)" if failed else "")
        self.calls.append(Made(name, about, {"write_units": float(billed * times)}))
        if failed:
            raise failed
        return answer

    def _read(
        self, operation: str, given: Mapping[str, Any], answer: Mapping[str, Any], call: Call
    ) -> tuple[dict[str, float], str]:
        match operation:
            case "GetItem":
                items = [answer["Item"]] if "Item" in answer else []
                found = units.read(items, consistent=bool(given.get("ConsistentRead")))
                return {"read_units": found}, _text(given["Key"])
            case "Query":
                if "FilterExpression" in given or "ProjectionExpression" in given:
                    raise NotImplementedError("what was read is not what was answered")
                index = given.get("IndexName")
                at = self._table(given, call).indexes[index] if index else None
                items = [at.entry(item) or {} for item in answer["Items"]] if at else answer["Items"]
                found = units.read(items, consistent=bool(given.get("ConsistentRead")))
                return {"read_units": found}, index or given["KeyConditionExpression"]
            case "BatchGetItem":
                ((table, asked),) = given["RequestItems"].items()
                items = answer["Responses"].get(table, [])
                consistent = bool(asked.get("ConsistentRead"))
                missing = len(asked["Keys"]) - len(items)
                found = sum(units.read([item], consistent=consistent) for item in items)
                return {"read_units": found + missing * units.read([], consistent=consistent)}, ""
        raise NotImplementedError(f"dynamodb.{operation}")

    # --- The table, past what is counted -----------------------------------------------------------------------------

    def _table(self, action: Mapping[str, Any], call: Call) -> _Table:
        name = action["TableName"]
        if name not in self._tables:
            described = call("DescribeTable", {"TableName": name})["Table"]
            keys = tuple(part["AttributeName"] for part in described["KeySchema"])
            indexes = described.get("GlobalSecondaryIndexes", [])
            self._tables[name] = _Table(keys, {each["IndexName"]: units.index(each, keys) for each in indexes})
        return self._tables[name]

    def _key(self, action: Mapping[str, Any], call: Call) -> Item:
        found: Item = action["Key"] if "Key" in action else self._table(action, call).key(action["Item"])
        return found

    def _item(self, action: Mapping[str, Any], call: Call) -> Item | None:
        asked = {"TableName": action["TableName"], "Key": self._key(action, call), "ConsistentRead": True}
        found: Item | None = call("GetItem", asked).get("Item")
        return found


def _actions(operation: str, given: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What a call writes: "Put" and its parameters, and so on."""
    if operation != "TransactWriteItems":
        return [(operation.removesuffix("Item"), given)]
    return [next((kind, action[kind]) for kind in _WRITES if kind in action) for action in given["TransactItems"]]


def _sqs(given: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    messages = given.get("Entries", [given])
    sizes = [len(message.get("MessageBody", "").encode()) for message in messages]
    found = {"sqs_requests": float(units.requests(sizes))}
    if any("MessageGroupId" in message for message in messages):
        found["sqs_fair_requests"] = found["sqs_requests"]
    return found, given["QueueUrl"].rsplit("/", maxsplit=1)[-1]


def _text(key: Item) -> str:
    return "/".join(str(next(iter(value.values()))) for value in key.values())
