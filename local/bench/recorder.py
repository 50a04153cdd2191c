"""Counts what AWS would bill for calls, on their way: clients that read each item before and after it is written.

The stand-in for DynamoDB need not count anything itself. A call that the recorder does not know is an error.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from botocore import xform_name
from botocore.exceptions import ClientError

from local.bench import units
from local.bench.units import Index, Item

CONDITION_FAILED = ("ConditionalCheckFailedException", "TransactionCanceledException")
WRITES = {xform_name(name): name for name in ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")}
_ACTIONS = ("Put", "Update", "Delete", "ConditionCheck")


class Made(NamedTuple):
    """One call to AWS, and what it is billed."""

    name: str
    """"dynamodb.put_item"."""
    about: str
    """The keys of its items, or its queue."""
    billed: Mapping[str, float]
    """By the names in `prices.PRICES`."""


@dataclass(eq=False, kw_only=True)
class Recorder:
    """What is called by way of its clients, in the order of the calls."""

    keys: tuple[str, ...]
    """Of the table."""
    indexes: Mapping[str, Index]
    read: Callable[[Item], Item | None]
    """The item of a key, read past what is counted."""
    calls: list[Made] = field(default_factory=list)

    def client(self, service: str, client: Any) -> "Client":
        """This client, whose calls are counted."""
        return Client(self, service, client)

    def since(self, first: int) -> Counter[str]:
        """What was billed from the `first`th call on; "aws_calls" are the calls themselves."""
        found: Counter[str] = Counter()
        for made in self.calls[first:]:
            found.update(made.billed)
            found["aws_calls"] += 1
        return found

    def note(self, name: str, about: str, **billed: float) -> None:
        self.calls.append(Made(name, about, billed))

    # --- Writes ------------------------------------------------------------------------------------------------------

    def write(self, operation: str, given: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """Make a call that writes, and note it; also one that is refused because of its condition."""
        actions = _actions(operation, given)
        transacted = operation == "transact_write_items"
        before = [self.read(self._key(action)) for _, action in actions]
        try:
            answer = make()
        except ClientError as error:
            if error.response["Error"]["Code"] in CONDITION_FAILED:
                refused = sum(
                    units.attempted(old, action.get("Item"), transacted=transacted)
                    for (_, action), old in zip(actions, before, strict=True)
                )
                self._note_write(operation, actions, refused, said=" refused")
            raise
        written = sum(
            self._units(kind, old, self._key(action), transacted=transacted)
            for (kind, action), old in zip(actions, before, strict=True)
        )
        self._note_write(operation, actions, written)
        return answer

    def _units(self, kind: str, before: Item | None, key: Item, *, transacted: bool) -> int:
        if kind == "ConditionCheck":
            return units.attempted(before, None, transacted=transacted)
        return units.write(before, self.read(key), self.indexes.values(), transacted=transacted)

    def _note_write(
        self, operation: str, actions: Sequence[tuple[str, Mapping[str, Any]]], billed: int, *, said: str = ""
    ) -> None:
        about = " ".join(_text(self._key(action)) for _, action in actions)
        self.note(f"dynamodb.{operation}", about + said, write_units=billed)

    def _key(self, action: Mapping[str, Any]) -> Item:
        found: Item = action.get("Key") or {name: action["Item"][name] for name in self.keys}
        return found

    # --- Reads -------------------------------------------------------------------------------------------------------

    def note_read(self, operation: str, given: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        consistent = bool(given.get("ConsistentRead"))
        about = ""
        if operation == "get_item":
            about = _text(given["Key"])
            billed = units.read([answer["Item"]] if "Item" in answer else [], consistent=consistent)
        elif operation == "query":
            if "FilterExpression" in given or "ProjectionExpression" in given:
                raise NotImplementedError("what was read is not what was answered")
            about = given.get("IndexName", "table")
            index = self.indexes.get(about)
            items = [(index.entry(item) or {}) if index else item for item in answer["Items"]]
            billed = units.read(items, consistent=consistent)
        elif operation == "batch_get_item":
            ((table, asked),) = given["RequestItems"].items()
            consistent = bool(asked.get("ConsistentRead"))
            found = answer["Responses"].get(table, [])
            missing = len(asked["Keys"]) - len(found)
            billed = sum(units.read([item], consistent=consistent) for item in found)
            billed += missing * units.read([], consistent=consistent)
        else:
            raise NotImplementedError(f"dynamodb.{operation}")
        self.note(f"dynamodb.{operation}", about, read_units=billed)


class Client:
    """A client whose calls are counted; else it is the one that it stands for."""

    def __init__(self, recorder: Recorder, service: str, client: Any) -> None:
        self._recorder = recorder
        self._service = service
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return found if name in ("exceptions", "meta") else lambda **given: self._call(name, found, given)

    def _call(self, operation: str, make: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        if self._service == "dynamodb" and operation in WRITES:
            return self._recorder.write(operation, given, lambda: make(**given))
        answer = make(**given)
        name = f"{self._service}.{operation}"
        match self._service:
            case "dynamodb":
                self._recorder.note_read(operation, given, answer)
            case "sqs":
                self._recorder.note(name, given["QueueUrl"].rsplit("/", maxsplit=1)[-1], **_sqs(given))
            case "secretsmanager":
                self._recorder.note(name, given["SecretId"], secret_calls=1)
            case "events":
                self._recorder.note(name, "", bus_events=len(given["Entries"]))
            case _:
                raise NotImplementedError(name)
        return answer


def _actions(operation: str, given: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What a call writes: "Put" and its parameters, and so on."""
    if operation != "transact_write_items":
        return [(WRITES[operation].removesuffix("Item"), given)]
    return [next((kind, action[kind]) for kind in _ACTIONS if kind in action) for action in given["TransactItems"]]


def _sqs(given: Mapping[str, Any]) -> dict[str, float]:
    messages = given.get("Entries", [given])
    requests = float(units.requests(len(message.get("MessageBody", "").encode()) for message in messages))
    fair = any("MessageGroupId" in message for message in messages)
    return {"sqs_requests": requests, **({"sqs_fair_requests": requests} if fair else {})}


def _text(key: Item) -> str:
    return "/".join(str(next(iter(value.values()))) for value in key.values())
