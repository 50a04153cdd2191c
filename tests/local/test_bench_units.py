"""What the benchmark counts is what AWS bills: by its rules, and by what its own engine says of single writes."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local.bench import prices, units
from local.bench.recorder import Recorder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "billed"
KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


INDEXES: Any = [
    {
        "IndexName": "listed",
        "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    },
    {
        "IndexName": "grouped",
        "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["shown"]},
    },
]


def create(dynamodb: "DynamoDBClient") -> None:
    dynamodb.create_table(
        TableName=TABLE,
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "status", "due", "group")
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=INDEXES,
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture
def dynamodb(engine: "DynamoDBClient | None", monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    if engine is not None:
        create(engine)
        yield engine
        engine.delete_table(TableName=TABLE)
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create(client)
        yield client
        client.close()


@pytest.fixture
def recorder(dynamodb: "DynamoDBClient") -> Recorder:
    def read(key: Any) -> Any:
        return dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")

    indexes = {each["IndexName"]: units.index(each, ("pk", "sk")) for each in INDEXES}
    return Recorder(keys=("pk", "sk"), indexes=indexes, read=read)


@pytest.fixture
def counted(recorder: Recorder, dynamodb: "DynamoDBClient") -> Any:
    """A client whose calls are counted."""
    return recorder.client("dynamodb", dynamodb)


def text(length: int) -> dict[str, str]:
    return {"S": "x" * length}


LISTED: Mapping[str, Any] = {"status": {"S": "open"}, "due": {"S": "1"}}
GROUPED: Mapping[str, Any] = {"group": {"S": "g"}}


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("before", "after", "billed"),
    [
        pytest.param(None, {}, 1, id="a new item in no index"),
        pytest.param(None, {"body": text(1024 - 10)}, 1, id="1,024 bytes are a unit"),
        pytest.param(None, {"body": text(1024 - 9)}, 2, id="one byte more are two"),
        pytest.param({"body": text(3000)}, {}, 3, id="the larger one of both counts"),
        pytest.param(None, LISTED, 2, id="an entry that appears"),
        pytest.param(LISTED, {}, 2, id="an entry that goes"),
        pytest.param(LISTED, {**LISTED, "body": text(1)}, 1, id="an entry that stays as it is"),
        pytest.param(LISTED, {**LISTED, "due": {"S": "2"}}, 3, id="a key that changes goes and appears"),
        pytest.param(GROUPED, {**GROUPED, "shown": text(5)}, 2, id="an entry that is rewritten"),
        pytest.param({**GROUPED, "shown": text(2000)}, {**GROUPED, "shown": text(5)}, 4, id="by its larger one"),
        pytest.param({**GROUPED, "shown": text(2000)}, {}, 4, id="a large entry that goes"),
        pytest.param({**LISTED, **GROUPED}, {"status": {"S": "done"}, "due": {"S": "1"}}, 4, id="of two indexes"),
        pytest.param(LISTED, LISTED, 1, id="nothing changes"),
    ],
)
def test_a_put_is_billed_by_its_larger_item_and_by_what_changes_in_each_index(
    *,
    engine: "DynamoDBClient | None",
    recorder: Recorder,
    counted: Any,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    billed: int,
) -> None:
    if before is not None:
        counted.put_item(TableName=TABLE, Item={**KEY, **before})

    answer = counted.put_item(TableName=TABLE, Item={**KEY, **after}, ReturnConsumedCapacity="TOTAL")

    assert recorder.calls[-1].billed == {"write_units": billed}
    if engine is not None:
        assert answer["ConsumedCapacity"]["CapacityUnits"] == billed


@pytest.mark.every_engine
def test_updates_and_deletes_are_billed_like_puts_of_what_becomes_of_the_item(
    dynamodb: "DynamoDBClient", engine: "DynamoDBClient | None", recorder: Recorder, counted: Any
) -> None:
    dynamodb.put_item(TableName=TABLE, Item={**KEY, **LISTED, "body": text(1500)})

    updated = counted.update_item(
        TableName=TABLE,
        Key=KEY,
        UpdateExpression="SET due = :due REMOVE body",
        ExpressionAttributeValues={":due": {"S": "2"}},
        ReturnConsumedCapacity="TOTAL",
    )
    deleted = counted.delete_item(TableName=TABLE, Key=KEY, ReturnConsumedCapacity="TOTAL")
    absent = counted.delete_item(TableName=TABLE, Key=KEY, ReturnConsumedCapacity="TOTAL")

    billed = [made.billed["write_units"] for made in recorder.calls]
    assert billed == [2 + 2, 1 + 1, 1]
    if engine is not None:
        assert billed == [answer["ConsumedCapacity"]["CapacityUnits"] for answer in (updated, deleted, absent)]


@pytest.mark.every_engine
def test_a_condition_that_does_not_hold_is_billed_without_the_indexes(
    dynamodb: "DynamoDBClient", recorder: Recorder, counted: Any
) -> None:
    dynamodb.put_item(TableName=TABLE, Item={**KEY, **LISTED, "body": text(1500)})

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        counted.put_item(TableName=TABLE, Item=KEY, ConditionExpression="attribute_not_exists(pk)")

    assert recorder.since(0)["write_units"] == 2


@pytest.mark.every_engine
def test_a_transaction_is_billed_as_twice_its_actions(recorder: Recorder, counted: Any) -> None:
    other = {"pk": {"S": "a"}, "sk": {"S": "c"}}
    actions: Any = [
        {"Put": {"TableName": TABLE, "Item": {**KEY, **LISTED}}},
        {"ConditionCheck": {"TableName": TABLE, "Key": other, "ConditionExpression": "attribute_not_exists(pk)"}},
    ]

    counted.transact_write_items(TransactItems=actions)

    assert recorder.since(0)["write_units"] == 2 * ((1 + 1) + 1)


@pytest.mark.every_engine
def test_reads_are_billed_by_4_kb_a_query_by_its_sum_and_a_batch_by_each_item(
    dynamodb: "DynamoDBClient", engine: "DynamoDBClient | None", recorder: Recorder, counted: Any
) -> None:
    for name in ("b", "c", "d"):
        dynamodb.put_item(TableName=TABLE, Item={**KEY, **LISTED, "sk": {"S": name}, "body": text(3000)})
    gone = {**KEY, "sk": {"S": "z"}}
    asked: Any = {"TableName": TABLE, "ReturnConsumedCapacity": "TOTAL", "ExpressionAttributeValues": {":a": KEY["pk"]}}

    answers: list[Any] = [
        counted.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"),
        counted.get_item(TableName=TABLE, Key=gone, ReturnConsumedCapacity="TOTAL"),
        counted.query(**asked, KeyConditionExpression="pk = :a", ConsistentRead=True),
        counted.query(**asked, KeyConditionExpression="pk = :a"),
        counted.query(
            **{**asked, "ExpressionAttributeValues": {":a": {"S": "open"}}},
            KeyConditionExpression="#status = :a",
            ExpressionAttributeNames={"#status": "status"},
            IndexName="listed",
        ),
    ]
    counted.batch_get_item(RequestItems={TABLE: {"Keys": [KEY, {**KEY, "sk": {"S": "c"}}, gone]}})

    billed = [made.billed["read_units"] for made in recorder.calls]
    assert billed == [1, 0.5, 3, 1.5, 0.5, 1.5]
    if engine is not None:
        assert billed[:-1] == [answer["ConsumedCapacity"]["CapacityUnits"] for answer in answers]


@pytest.mark.parametrize(
    ("value", "bytes_"),
    [
        ({"S": "ä"}, 2),
        ({"N": "0"}, 1),
        ({"N": "-12345"}, 5),
        ({"N": "1200"}, 2),
        ({"B": b"123"}, 3),
        ({"BOOL": True}, 1),
        ({"SS": ["ab", "c"]}, 3),
        ({"L": [{"S": "ab"}]}, 6),
        ({"M": {"k": {"S": "ab"}}}, 7),
    ],
)
def test_an_items_size_is_that_of_its_names_and_values(value: Any, bytes_: int) -> None:
    assert units.size({"name": value}) == 4 + bytes_


def test_a_request_to_sqs_is_one_per_64_kb_of_all_its_messages() -> None:
    assert [units.requests(sizes) for sizes in ([], [65536], [65537], [40_000] * 5)] == [1, 1, 2, 4]


def test_what_is_counted_costs_what_the_price_list_says() -> None:
    assert prices.dollars({"write_units": 2_000_000, "sqs_requests": 500_000}) == pytest.approx(1.25 + 0.20)
