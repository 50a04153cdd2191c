"""The table: keys, values, and the few calls to DynamoDB that the rest is made of.

Documents that only others understand (options, results, bodies) are stored as JSON text, compressed where they are
long: their numbers may be larger than DynamoDB's.
"""

import json
import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from video_jobs import clock, settings, versions
from video_jobs.aws import clients
from video_jobs.aws.errors import AwsUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef

SHARDS = 4
"""Over how many index partitions the jobs of a provider are spread; one takes about 1,000 writes a second."""
CONFLICT_TRIES = 8
COMPRESS_ABOVE = 1024
"""Bytes: what is shorter costs one write unit either way."""
LARGEST_DOCUMENT = 350_000
"""Bytes of a document, compressed: an item has 400 KB for everything."""
_EMPTY_ANSWERS = 5
"""After how many answers without an item a read of many is left for later."""
_DAY = 86400
OUTLIVES_DAYS = 90
"""How much longer than what ends today the items are kept that belong to a job and never move: it may not end today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[T]:
    """Some of what was asked for; `cursor` asks for what follows, None says that nothing does."""

    items: list[T]
    cursor: str | None


class ConflictError(AwsUnavailableError):
    """The item is not in a state that allows this change, or changes all the time: then it may be done later."""


class _PlainNumbers(TypeDeserializer):
    """Numbers as int and float: all that are stored as such are small."""

    def _deserialize_n(self, value: str) -> int | float:
        return float(value) if "." in value else int(value)

    def _deserialize_b(self, value: bytes) -> bytes:
        return value


_serialize = TypeSerializer().serialize
_deserialize = _PlainNumbers().deserialize


# --- Values ----------------------------------------------------------------------------------------------------------


def to_wire(values: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as DynamoDB takes them: bytes, and what JSON has."""
    return {name: _serialize(_decimal(value)) for name, value in values.items()}


def _decimal(value: Any) -> Any:
    return value if isinstance(value, bytes) else json.loads(json.dumps(value), parse_float=Decimal)


def to_plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item, or a part of one, as Python values. Raises NewerVersionError if code of a newer release wrote it."""
    plain = {name: _deserialize(value) for name, value in item.items()}
    versions.require_item(plain)
    return plain


def packed(text: str, *, above: int = COMPRESS_ABOVE) -> dict[str, Any]:
    """A text as an attribute of an item: as it is, or compressed if it has more bytes than `above`."""
    data = text.encode()
    return {"packed": zlib.compress(data, 9)} if len(data) > above else {"body": text}


def unpacked(item: Mapping[str, Any]) -> str:
    """The text of such an item."""
    return zlib.decompress(item["packed"]).decode() if "packed" in item else str(item["body"])


def expiry(*, outlives: int = 0) -> int:
    """When DynamoDB may remove what ends now, or `outlives` days later: seconds since 1970."""
    return clock.now() // clock.SECOND + (settings.number("RETENTION_DAYS") + outlives) * _DAY


# --- Keys ------------------------------------------------------------------------------------------------------------


def job_key(job_id: str) -> dict[str, str]:
    return {"pk": f"JOB#{job_id}", "sk": "JOB"}


def medium_key(provider: str, ref: str) -> str:
    """The partition of a platform's id: which jobs follow it, and what callbacks said that name it."""
    return f"MEDIUM#{provider}#{ref}"


def shard_of(name: str) -> int:
    return zlib.crc32(name.encode()) % SHARDS


# --- Calls -----------------------------------------------------------------------------------------------------------


def name() -> str:
    return settings.setting("TABLE_NAME")


def get(key: Mapping[str, str]) -> dict[str, Any] | None:
    """One item as it is at this moment, or None (a consistent read)."""
    found = clients.dynamodb().get_item(TableName=name(), Key=to_wire(key), ConsistentRead=True).get("Item")
    return to_plain(found) if found else None


def get_many(keys: Sequence[Mapping[str, str]], *, consistent: bool = False) -> Iterator[dict[str, Any]]:
    """Items by their keys, in any order; those that there are."""
    for start in range(0, len(keys), 100):
        asked: Any = {
            name(): {"Keys": [to_wire(key) for key in keys[start : start + 100]], "ConsistentRead": consistent}
        }
        empty = 0
        while asked:
            answer = clients.dynamodb().batch_get_item(RequestItems=asked)
            items = answer["Responses"].get(name(), [])
            yield from map(to_plain, items)
            asked = answer.get("UnprocessedKeys") or {}  # more than 16 MB, or throttled
            empty = 0 if items else empty + 1
            if asked and empty == _EMPTY_ANSWERS:
                raise AwsUnavailableError(f"DynamoDB has left out {len(asked[name()]['Keys'])} items")
            if asked:
                time.sleep(0.1)


def query(
    condition: str,
    values: Mapping[str, Any],
    *,
    index: str | None = None,
    names: Mapping[str, str] | None = None,
    limit: int | None = None,
    newest_first: bool = False,
    after: Mapping[str, Any] | None = None,
) -> "QueryOutputTypeDef":
    """One page of a query: consistent, unless it asks an index. In the condition :name is the value of that name."""
    request: dict[str, Any] = {
        "TableName": name(),
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": to_wire({f":{key}": value for key, value in values.items()}),
        "ScanIndexForward": not newest_first,
    }
    request |= {"IndexName": index} if index else {"ConsistentRead": True}
    if names:
        request["ExpressionAttributeNames"] = dict(names)
    if limit is not None:
        request["Limit"] = limit
    if after is not None:
        request["ExclusiveStartKey"] = to_wire(after)
    return clients.dynamodb().query(**request)


def query_all(condition: str, values: Mapping[str, Any], **more: Any) -> Iterator[dict[str, Any]]:
    """All that a query finds, page after page."""
    after: Mapping[str, Any] | None = None
    while True:
        answer = query(condition, values, after=after, **more)
        yield from map(to_plain, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        after = {key: _deserialize(value) for key, value in answer["LastEvaluatedKey"].items()}


def put_request(
    item: Mapping[str, Any], *, condition: str | None = None, names: Mapping[str, str] | None = None, **values: Any
) -> dict[str, Any]:
    """A Put of an item that has the version of the form that this code writes."""
    request: dict[str, Any] = {"TableName": name(), "Item": to_wire(versions.stamped(item))}
    if condition:
        request |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if names:
        request["ExpressionAttributeNames"] = dict(names)
    if values:
        request["ExpressionAttributeValues"] = to_wire({f":{key}": value for key, value in values.items()})
    return request


def put(item: Mapping[str, Any], *, condition: str | None = None, **more: Any) -> dict[str, Any] | None:
    """Put an item; None, or the item for which the condition does not hold ({} if there is none)."""
    request = put_request(item, condition=condition, **more)
    try:
        insisting(lambda: clients.dynamodb().put_item(**request))
    except clients.dynamodb().exceptions.ConditionalCheckFailedException as error:
        return to_plain(error.response.get("Item", {}))  # type: ignore[arg-type]
    return None


def put_new(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """Put an item that is not there yet; None, or the one that is."""
    return put(item, condition="attribute_not_exists(pk)")


def delete(key: Mapping[str, str]) -> None:
    insisting(lambda: clients.dynamodb().delete_item(TableName=name(), Key=to_wire(key)))


def delete_if(key: Mapping[str, str], *, version: int) -> bool:
    """Delete an item that nobody has changed since it had this version; False if somebody has. True if it is gone."""
    request: dict[str, Any] = {
        "TableName": name(),
        "Key": to_wire(key),
        "ConditionExpression": "v = :version",
        "ExpressionAttributeValues": to_wire({":version": version}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    try:
        insisting(lambda: clients.dynamodb().delete_item(**request))
    except clients.dynamodb().exceptions.ConditionalCheckFailedException as error:
        return "Item" not in error.response  # the SDK sends it again if the answer was lost
    return True


def insisting[T](write: Callable[[], T]) -> T:
    """Write one item, again if a transaction is at it at the same moment: that is no answer to what we asked."""
    for remaining in reversed(range(CONFLICT_TRIES)):
        try:
            return write()
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionConflictException" or not remaining:
                raise
            time.sleep(random.uniform(0, 0.05))
    raise AssertionError("the last try returns or raises")


def transact(actions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write all or nothing; on nothing, the reasons, one for each action (see TransactWriteItems), their items plain.

    Another transaction on the same item at the same moment is no answer to what we asked: it is asked again.
    """
    for remaining in reversed(range(CONFLICT_TRIES)):
        try:
            clients.dynamodb().transact_write_items(TransactItems=list(actions))  # type: ignore[arg-type]
        except clients.dynamodb().exceptions.TransactionCanceledException as error:
            reasons: list[dict[str, Any]] = error.response["CancellationReasons"]  # type: ignore[assignment]
            codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
            if codes <= {"ConditionalCheckFailed"}:
                return [reason | {"Item": to_plain(reason.get("Item", {}))} for reason in reasons]
            if not codes & {"TransactionConflict"} or not remaining:
                raise
            time.sleep(random.uniform(0, 0.05))
        else:
            return []
    raise AssertionError("the last try returns or raises")


def held(reasons: Sequence[Mapping[str, Any]], position: int) -> bool:
    """Whether the condition of that action of a canceled transaction held."""
    return bool(reasons[position].get("Code", "None") == "None")
