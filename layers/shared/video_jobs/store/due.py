"""What should have moved by now, and has not: jobs, batches and pieces of work, by the shards of the index `due`."""

from collections.abc import Iterator, Mapping
from typing import Any

from video_jobs import clock, versions
from video_jobs.aws import clients
from video_jobs.store import table


def overdue(shard: str, *, before: int) -> Iterator[dict[str, Any]]:
    """What of a shard should have moved before then, the longest overdue first: pk, sk, shard and due_at."""
    values = {"shard": shard, "before": clock.iso(before)}
    # "shard" is a reserved word
    yield from table.query_all("#shard = :shard AND due_at < :before", values, index="due", names={"#shard": "shard"})


def postpone(item: Mapping[str, Any], *, seconds: float) -> None:
    """Have what was found overdue be due later; nothing happens if it has moved since then."""
    request: dict[str, Any] = {
        "TableName": table.name(),
        "Key": table.to_wire({"pk": item["pk"], "sk": item["sk"]}),
        "UpdateExpression": "SET due_at = :later",
        "ConditionExpression": f"due_at = :found AND {versions.FIELD} <= :known",
        "ExpressionAttributeValues": table.to_wire(
            {
                ":found": item["due_at"],
                ":later": clock.iso(clock.after(clock.now(), seconds)),
                ":known": versions.ITEMS[versions.item_kind(item["pk"], item["sk"])],
            }
        ),
    }
    try:
        table.insisting(lambda: clients.dynamodb().update_item(**request))
    except clients.dynamodb().exceptions.ConditionalCheckFailedException:
        return
