"""What a batch counts: how many of its jobs have ended, and how.

Counts are spread over several items, because every end changes one. A job moves into a count, and out of it, in the
transaction that changes the job.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from video_jobs import clock, versions
from video_jobs.jobs.batches import RATE_MINUTES, Counts
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.store import table
from video_jobs.store.table import to_wire

SHARDS = 8
_MINUTE = "ended/"


def key(batch_id: str, shard: int) -> dict[str, str]:
    return {"pk": f"BATCH#{batch_id}", "sk": f"COUNT#{shard}"}


def moves(before: Job, after: Job) -> list[dict[str, Any]]:
    """The Updates that count a job's end, or take it back: then its batch runs again, too.

    Each fails if the batch is gone.
    """
    batch_id = str(after.request.batch_id)
    where = key(batch_id, _shard(after))
    parts, names, values = ["#changes :one"], {"#changes": "changes"}, {":one": 1}
    for outcome, by in ((before.counted, -1), (after.counted, 1)):
        if outcome is not None:
            names[f"#o{len(parts)}"], values[f":o{len(parts)}"] = outcome, by
            parts.append(f"#o{len(parts)} :o{len(parts)}")
    removed: list[str] = []
    if after.counted is not None:
        minute = clock.now() // (60 * clock.SECOND)
        names["#minute"] = f"{_MINUTE}{minute}"
        parts.append("#minute :one")
        for old in _old_minutes(where, minute):
            names[f"#old{len(removed)}"] = old
            removed.append(f"#old{len(removed)}")
    expression = "ADD " + ", ".join(parts) + (" REMOVE " + ", ".join(removed) if removed else "")
    updates = [_update(where, expression, names, values)]
    if before.counted is not None and after.counted is None:
        updates.append(_reopened(batch_id))
    return [{"Update": update} for update in updates]


def _shard(job: Job) -> int:
    return zlib.crc32(job.job_id.encode()) % SHARDS


def _old_minutes(where: Mapping[str, str], minute: int) -> list[str]:
    """Minutes whose ends no rate asks for any more: they go with each new end, so that the item does not grow."""
    found = table.get(where) or {}
    return [
        name for name in found if name.startswith(_MINUTE) and int(name.removeprefix(_MINUTE)) < minute - RATE_MINUTES
    ]


def _update(
    where: Mapping[str, str], expression: str, names: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Any]:
    kind = versions.item_kind(where["pk"], where["sk"])
    return {
        "TableName": table.name(),
        "Key": to_wire(where),
        "UpdateExpression": expression,
        "ConditionExpression": f"attribute_exists(pk) AND {versions.FIELD} <= :known",
        "ExpressionAttributeNames": dict(names),
        "ExpressionAttributeValues": to_wire({**values, ":known": versions.ITEMS[kind]}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _reopened(batch_id: str) -> dict[str, Any]:
    """A job whose end was counted runs again, and so does its batch; whoever was about to end it finds it changed."""
    names = {"#status": "status", "#due": "due_at", "#version": "version"}
    values = {":running": "running", ":due": clock.iso(clock.now()), ":one": 1}
    return _update(
        {"pk": f"BATCH#{batch_id}", "sk": "BATCH"},
        "SET #status = :running, #due = :due REMOVE ended_at, expires_at ADD #version :one",
        names,
        values,
    )


def to_counts(items: Sequence[Mapping[str, Any]]) -> Counts:
    """The sum of a batch's COUNT items."""
    outcomes: dict[str, int] = {}
    ended_in: dict[int, int] = {}
    for item in items:
        for attribute, value in item.items():
            if attribute.split("/")[0] in JobStatus:
                outcomes[attribute] = outcomes.get(attribute, 0) + value
            elif attribute.startswith(_MINUTE):
                minute = int(attribute.removeprefix(_MINUTE))
                ended_in[minute] = ended_in.get(minute, 0) + value
    return Counts(outcomes=outcomes, ended_in=ended_in, changes=sum(item.get("changes", 0) for item in items))
