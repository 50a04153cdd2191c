"""TwelveLabs' tasks: its lists have numbered pages and totals, so whoever wants a page reads all of them."""

from collections.abc import Iterator
from typing import Any

from video_jobs import settings
from video_jobs.jobs import Job
from video_jobs.store.table import SHARDS, to_job, to_wire

INDEX = "tasks"


def tasks(*, created: tuple[str, str] | None = None) -> Iterator[Job]:
    """Jobs that have the step `task`, with what is shown of a task; or those of them created between two times.

    From an index of them alone, which is behind the table by a moment.
    """
    paginator = settings.dynamodb().get_paginator("query")
    table = settings.setting("TABLE_NAME")
    for shard in range(SHARDS):
        for page in paginator.paginate(TableName=table, IndexName=INDEX, **_of(str(shard), created)):
            yield from (job for job in map(to_job, page["Items"]) if job is not None)


def _of(shard: str, created: tuple[str, str] | None) -> dict[str, Any]:
    if created is None:
        return {"KeyConditionExpression": "tasks = :shard", "ExpressionAttributeValues": to_wire({":shard": shard})}
    first, last = created
    return {
        "KeyConditionExpression": "tasks = :shard AND listing_order BETWEEN :first AND :last",
        # behind the time stands "#" and the job's id; "$" is the next character
        "ExpressionAttributeValues": to_wire({":shard": shard, ":first": first, ":last": f"{last}$"}),
    }
