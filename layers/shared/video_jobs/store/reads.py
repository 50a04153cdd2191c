"""What is read from the Jobs table."""

import random
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from video_jobs import settings
from video_jobs.faults import AwsUnavailableError
from video_jobs.jobs import Job, JobStatus, timestamp
from video_jobs.store import table
from video_jobs.store.table import SHARDS, ConflictError, Page, job_key, ref_key, to_job, to_plain, to_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef


_EMPTY_ANSWERS = 5
"""After how many answers without an item a read of many is left for later."""


def get(job_id: str) -> Job | None:
    """The job as it is at this moment (a consistent read)."""
    item = (
        settings.dynamodb()
        .get_item(TableName=settings.setting("TABLE_NAME"), Key=to_wire(job_key(job_id)), ConsistentRead=True)
        .get("Item")
    )
    return to_job(item) if item else None


def get_many(job_ids: Collection[str]) -> dict[str, Job | None]:
    """Jobs by their ids (100 at most), as they are at this moment: None was deleted, what is missing never was."""
    found = get_items([to_wire(job_key(job_id)) for job_id in job_ids], consistent=True)
    return {item["pk"]["S"].removeprefix("JOB#"): to_job(item) for item in found}


def get_items(keys: Sequence[Mapping[str, Any]], *, consistent: bool = False) -> Iterator[dict[str, Any]]:
    """Items by their keys (100 at most), in any order, as DynamoDB has them; those that there are."""
    name = settings.setting("TABLE_NAME")
    asked: Any = {name: {"Keys": keys, "ConsistentRead": consistent}} if keys else {}
    empty = 0
    while asked:
        answer = settings.dynamodb().batch_get_item(RequestItems=asked)
        items = answer["Responses"].get(name, [])
        yield from items
        asked = answer["UnprocessedKeys"]  # more than 16 MB, or throttled
        empty = 0 if items else empty + 1
        if asked and empty == _EMPTY_ANSWERS:
            raise AwsUnavailableError(f"DynamoDB has left out {len(asked[name]['Keys'])} of {len(keys)} items")
        if asked:
            time.sleep(0.1)


def owner(provider: str, ref: str) -> dict[str, Any] | None:
    """Whose a platform's id is: job_id, and the step and attempt that brought it (a consistent read)."""
    key = to_wire(ref_key(provider, ref))
    answer = settings.dynamodb().get_item(TableName=settings.setting("TABLE_NAME"), Key=key, ConsistentRead=True)
    return to_plain(answer["Item"]) if "Item" in answer else None


def jobs(
    *,
    providers: Sequence[str],
    status: JobStatus | None = None,
    batch: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[dict[str, Any]]:
    """Jobs in brief, newest first.

    Reads `limit` items of each index partition at most, however many jobs there are; the cursor is the
    "created_at#job_id" of the last one, at which every partition goes on.
    """
    index, partitions = _partitions(providers, status, batch)
    found = [
        item for partition in partitions for item in newest(index, partition, limit=limit + 1, before=cursor)["Items"]
    ]
    found.sort(key=lambda item: item["listing_order"]["S"], reverse=True)
    page = [to_plain(item) for item in found[:limit]]
    return Page(items=page, cursor=page[-1]["listing_order"] if len(found) > limit else None)


def _partitions(providers: Sequence[str], status: JobStatus | None, batch: str | None) -> tuple[str, list[str]]:
    """An index, and the partitions of it that hold the wanted jobs and no others."""
    if batch is not None:
        statuses = (status,) if status else tuple(JobStatus)
        return "listing_in_batch", [f"{each}#{provider}#{batch}" for each in statuses for provider in providers]
    prefix = f"{status}#" if status else ""
    partitions = [f"{prefix}{provider}#{shard}" for provider in providers for shard in range(SHARDS)]
    return ("listing_by_status" if status else "listing"), partitions


def newest(index: str, value: str, *, limit: int, before: str | None) -> "QueryOutputTypeDef":
    """One index partition, from its newest item, or from below a "created_at#job_id"."""
    return settings.dynamodb().query(
        TableName=settings.setting("TABLE_NAME"),
        IndexName=index,
        KeyConditionExpression="#key = :value" + (" AND listing_order < :before" if before else ""),
        ExpressionAttributeNames={"#key": index},  # each index is named after its key
        ExpressionAttributeValues=to_wire({":value": value} | ({":before": before} if before else {})),
        ScanIndexForward=False,
        Limit=limit,
    )


def overdue() -> Iterator[dict[str, Any]]:
    """What should have moved by now, the longest overdue first in each shard: pk, sk, due_at, and of a job its
    job_id and provider. `sk` says what it is: JOB, BATCH or WORK.

    The shards come in another order each time, so that none is always the one that a time-out leaves out.
    """
    paginator = settings.dynamodb().get_paginator("query")
    for shard in random.sample(range(SHARDS), SHARDS):
        pages = paginator.paginate(
            TableName=settings.setting("TABLE_NAME"),
            IndexName="open",
            KeyConditionExpression="#open = :shard AND due_at < :now",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues=to_wire({":shard": str(shard), ":now": timestamp(table.now())}),
        )
        for page in pages:
            yield from (to_plain(item) for item in page["Items"])


def postpone(item: Mapping[str, Any]) -> bool:
    """Note that what was overdue was given a new message; False if it has moved since it was found."""
    request = {
        "TableName": settings.setting("TABLE_NAME"),
        "Key": to_wire({"pk": item["pk"], "sk": item["sk"]}),
        # no new version: nothing about it has changed, and who is about to end it may
        "UpdateExpression": "SET #due_at = :later",
        "ConditionExpression": "#due_at = :due_at AND attribute_exists(#open)",
        "ExpressionAttributeNames": {"#due_at": "due_at", "#open": "open"},
        "ExpressionAttributeValues": to_wire(
            {":due_at": item["due_at"], ":later": timestamp(table.now(), plus=table.SWEPT_AGAIN_SECONDS)}
        ),
    }
    try:
        table.update(request)
    except ConflictError:
        return False
    return True
