"""The services in memory answer as AWS's do to all that the handlers ask, and refuse what nobody taught them."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from video_jobs.aws import clients
from video_jobs.store import table as layer

from local.faults import functions, runs
from local.faults.dynamodb import Table
from local.faults.happenings import Happening, storm
from local.faults.points import NotHonouredError
from local.faults.queues import Queue
from local.faults.scenarios import SCENARIOS
from tests.stack import Stack

OPERATIONS = {
    "get": "get_item",
    "batch_get": "batch_get_item",
    "put": "put_item",
    "update": "update_item",
    "delete": "delete_item",
    "transact": "transact_write_items",
    "query": "query",
}
LIVES = (
    ("videodb", Happening(storm=storm(3, crashes=False))),
    ("videodb: a person retries", Happening()),
    ("twelvelabs: tasks", Happening(storm=storm(5, crashes=True))),
    ("apivideo", Happening(storm=storm(7, crashes=False))),
    ("adopted: our own mark", Happening()),
    ("adopted: unknown to its platform", Happening()),
    ("batch: of two, one fails, a person retries", Happening(storm=storm(9, crashes=True))),
    ("batch: open, appended to, closed", Happening()),
)


@dataclass(frozen=True)
class Call:
    operation: str
    request: Mapping[str, Any]
    answer: Any


@pytest.mark.every_engine
@pytest.mark.parametrize(("scenario", "happening"), LIVES, ids=[name for name, _ in LIVES])
def test_a_table_answers_each_call_of_a_job_s_life_as_dynamodb_does(
    stack: Stack, scenario: str, happening: Happening
) -> None:
    calls = _calls(scenario, happening)

    assert len(calls) > 20
    for number, call in enumerate(calls):
        found = _answered(partial(_asked, call))
        assert found == call.answer, f"call {number}: {call.operation} {call.request}"


def _calls(scenario: str, happening: Happening) -> list[Call]:
    calls: list[Call] = []

    def noted(name: str) -> Callable[[Table, Mapping[str, Any]], Any]:
        original = getattr(Table, name)

        def call(table: Table, request: Mapping[str, Any]) -> Any:
            answer = _answered(lambda: original(table, request))
            calls.append(Call(OPERATIONS[name], request, answer))
            if isinstance(answer, _Refused):
                raise answer.error
            return answer.given

        return call

    with ExitStack() as changed, functions.installed():
        for name in OPERATIONS:
            changed.enter_context(patch.object(Table, name, noted(name)))
        runs.run(SCENARIOS[scenario], happening)
    return calls


class _Given:
    """An answer, in the parts that the layer reads."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and self._parts == other._parts

    def __hash__(self) -> int:
        raise TypeError

    def __repr__(self) -> str:
        return repr(self._parts)

    @property
    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {
            name: self.given[name] for name in ("Item", "Items", "LastEvaluatedKey") if name in self.given
        }
        for rows in self.given.get("Responses", {}).values():  # in any order
            parts["Responses"] = {(row["pk"]["S"], row["sk"]["S"]): row for row in rows}
        return parts


class _Refused:
    """An error, in the parts that the layer reads."""

    def __init__(self, error: ClientError) -> None:
        self.error = error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Refused) and self._parts == other._parts

    def __hash__(self) -> int:
        raise TypeError

    def __repr__(self) -> str:
        return repr(self._parts)

    @property
    def _parts(self) -> dict[str, Any]:
        answer: Any = self.error.response
        reasons = [(reason.get("Code", "None"), reason.get("Item")) for reason in answer.get("CancellationReasons", [])]
        return {"code": answer["Error"]["Code"], "item": answer.get("Item"), "reasons": reasons}


def _answered(call: Callable[[], Any]) -> _Given | _Refused:
    try:
        return _Given(call())
    except ClientError as error:
        return _Refused(error)


def _asked(call: Call) -> Any:
    return getattr(clients.dynamodb(), call.operation)(**_of_this_table(call.request))


def _of_this_table(request: Any) -> Any:
    """The same request, of the test's table."""
    if isinstance(request, Mapping):
        if "RequestItems" in request:
            return {"RequestItems": {layer.name(): _of_this_table(*request["RequestItems"].values())}}
        return {name: layer.name() if name == "TableName" else _of_this_table(part) for name, part in request.items()}
    return [_of_this_table(part) for part in request] if isinstance(request, list) else request


@pytest.mark.parametrize(
    "condition",
    ["size(pk) > :a", "pk = :a OR", "contains(pk, :a)", "pk == :a", "attribute_type(pk, :a)", "list.part = :a"],
)
def test_a_condition_that_nobody_taught_the_table_is_no_condition_that_holds(condition: str) -> None:
    put = {
        "TableName": "jobs",
        "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}},
        "ConditionExpression": condition,
        "ExpressionAttributeValues": {":a": {"S": "a"}},
    }

    with pytest.raises(NotHonouredError):
        Table(name="jobs", indexes={}).put(put)


def test_a_value_that_no_expression_uses_is_refused() -> None:
    put = {
        "TableName": "jobs",
        "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}},
        "ConditionExpression": "attribute_not_exists(pk)",
        "ExpressionAttributeValues": {":a": {"S": "a"}},
    }

    with pytest.raises(ClientError, match="unused"):
        Table(name="jobs", indexes={}).put(put)


def test_a_message_is_hidden_while_somebody_has_it_and_dead_once_it_came_too_often() -> None:
    dead = Queue(name="dead", visibility=30)
    queue = Queue(name="work", visibility=30, most_receives=2, dead_letters=dead)
    queue.send(json.dumps({}), now=0, delay=5)

    assert queue.receive(now=4_999, most=10) == []
    assert len(queue.receive(now=5_000, most=10)) == 1
    assert queue.receive(now=34_999, most=10) == []
    (message,) = queue.receive(now=35_000, most=10)
    assert queue.hide(message.receipt, now=35_000, seconds=1)
    assert queue.receive(now=36_000, most=10) == []
    assert [one.message_id for one in dead.messages] == [message.message_id]


def test_a_receipt_of_an_earlier_time_hides_nothing() -> None:
    queue = Queue(name="work", visibility=30)
    queue.send("{}", now=0)
    first = queue.receive(now=0, most=1)[0].receipt
    queue.receive(now=30_000, most=1)

    assert not queue.hide(first, now=30_000, seconds=1)
