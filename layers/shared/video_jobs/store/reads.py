"""What is read from the Jobs table."""

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from video_jobs import settings
from video_jobs.jobs import Job, JobStatus, timestamp
from video_jobs.store import table
from video_jobs.store.table import SHARDS, Page, job_key, to_job, to_plain, to_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef

_LOOKED_THROUGH = 1000


def get(job_id: str) -> Job | None:
    """The job as it is at this moment (a consistent read)."""
    item = (
        settings.dynamodb()
        .get_item(TableName=settings.setting("TABLE_NAME"), Key=to_wire(job_key(job_id)), ConsistentRead=True)
        .get("Item")
    )
    return to_job(item) if item else None


def jobs(
    *, providers: Sequence[str], status: JobStatus | None, limit: int, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Jobs in brief, newest first.

    Reads `limit` items of each index partition at most, however many jobs there are; the cursor is the
    "created_at#job_id" of the last one, at which every partition goes on.
    """
    index = "listing_by_status" if status else "listing"
    prefix = f"{status}#" if status else ""
    found = [
        item
        for provider in providers
        for shard in range(SHARDS)
        for item in _newest(index, f"{prefix}{provider}#{shard}", limit=limit + 1, before=cursor)["Items"]
    ]
    found.sort(key=lambda item: item["listing_order"]["S"], reverse=True)
    page = [to_plain(item) for item in found[:limit]]
    return Page(items=page, cursor=page[-1]["listing_order"] if len(found) > limit else None)


def jobs_of_batch(
    batch: str, *, providers: Sequence[str], status: JobStatus | None, limit: int, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Jobs of a batch in brief, newest first.

    Where the newest `limit` are not what is wanted, it looks through a thousand jobs at most: then a page may be short,
    or empty, while its cursor says that more follow.
    """
    for size in (limit + 1, _LOOKED_THROUGH):
        answer = _newest("batch", batch, limit=size, before=cursor)
        found = [to_plain(item) for item in answer["Items"]]
        wanted = [job for job in found if job["provider"] in providers and status in (None, job["status"])]
        if len(wanted) > limit:
            return Page(items=wanted[:limit], cursor=wanted[limit - 1]["listing_order"])
        if "LastEvaluatedKey" not in answer:
            return Page(items=wanted, cursor=None)
    return Page(items=wanted, cursor=found[-1]["listing_order"])


def _newest(index: str, value: str, *, limit: int, before: str | None) -> "QueryOutputTypeDef":
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
    """Open jobs that should have moved by now, the longest overdue first in each shard: job_id, provider, due_at.

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
