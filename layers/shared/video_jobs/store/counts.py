"""What a batch counts: how many of its jobs have ended, and how.

Counts are spread over several items, because every end changes one. A job moves into a count, and out of it, in the
transaction that changes the job.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from video_jobs import clock, versions
from video_jobs.jobs.batches import NOT_MADE, RATE_MINUTES, Batch, BatchStatus, Counts
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.store import table
from video_jobs.store.table import to_wire

SHARDS = 8
LOOK_SECONDS = 3600
"""How long after somebody looked at a running batch a sweep has it looked at again."""
_OUTLIVE_SECONDS = 30 * 86400
"""How much longer than an ended batch its counts are kept: should a job of it run again, they must not go meanwhile."""
_MINUTE = "ended/"


def key(batch_id: str, shard: int) -> dict[str, str]:
    return {"pk": f"BATCH#{batch_id}", "sk": f"COUNT#{shard}"}


def new(batch: Batch) -> list[dict[str, Any]]:
    """The Puts of a batch's counts, in the place of those that an earlier batch of its id may have left behind."""
    items = ({**key(batch.batch_id, shard), "created_at": batch.created_at} for shard in range(SHARDS))
    return [{"Put": table.put_request(item)} for item in items]


def moves(before: Job, after: Job) -> list[dict[str, Any]]:
    """The Updates that count a job's end, or take it back: then its batch runs again, too.

    Each fails if the batch is gone, or another one has its id by now.
    """
    batch_id = str(after.request.batch_id)
    where = key(batch_id, zlib.crc32(after.job_id.encode()) % SHARDS)
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
    updates = [_update(where, expression, names, values, born=after.created_at)]
    if before.counted is not None and after.counted is None:
        updates.append(_reopened(batch_id, born=after.created_at))
    return [{"Update": update} for update in updates]


def not_made(batch: Batch, number: int) -> dict[str, Any]:
    """The Update that counts sources of which no jobs can be made."""
    names = {"#changes": "changes", "#kind": NOT_MADE}
    values = {":one": 1, ":number": number}
    expression = "ADD #changes :one, #kind :number"
    return {"Update": _update(key(batch.batch_id, 0), expression, names, values, born=batch.created_at)}


def expiries(batch: Batch, items: Sequence[Mapping[str, Any]], moment: int) -> list[dict[str, Any]]:
    """Updates that say when the counts go; each fails if its count has changed since it was read.

    `moment`: when the batch goes, in seconds since 1970.
    """
    known = {item["sk"]: item.get("changes") for item in items}
    updates = []
    for shard in range(SHARDS):
        where = key(batch.batch_id, shard)
        changes = known.get(where["sk"])
        values = {":expiry": moment + _OUTLIVE_SECONDS} | ({} if changes is None else {":changes": changes})
        update = _update(where, "SET #expiry = :expiry", {"#expiry": "expires_at"}, values, born=batch.created_at)
        unchanged = "attribute_not_exists(changes)" if changes is None else "changes = :changes"
        update["ConditionExpression"] += f" AND {unchanged}"
        updates.append({"Update": update})
    return updates


def _old_minutes(where: Mapping[str, str], minute: int) -> list[str]:
    """Minutes whose ends no rate asks for any more: they go with each new end, so that the item does not grow.

    The item is read for it, because a slow batch's last ends may have been in any minute.
    """
    found = table.get(where) or {}
    return [
        name for name in found if name.startswith(_MINUTE) and int(name.removeprefix(_MINUTE)) < minute - RATE_MINUTES
    ]


def _update(
    where: Mapping[str, str], expression: str, names: Mapping[str, str], values: Mapping[str, Any], *, born: int
) -> dict[str, Any]:
    """An Update for what was made at `born`: a batch that is younger has only the same id."""
    kind = versions.item_kind(where["pk"], where["sk"])
    return {
        "TableName": table.name(),
        "Key": to_wire(where),
        "UpdateExpression": expression,
        "ConditionExpression": f"created_at <= :born AND {versions.FIELD} <= :known",
        "ExpressionAttributeNames": dict(names),
        "ExpressionAttributeValues": to_wire({**values, ":born": born, ":known": versions.ITEMS[kind]}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _reopened(batch_id: str, *, born: int) -> dict[str, Any]:
    """A job whose end was counted runs again, and so does its batch; whoever was about to end it finds it changed."""
    names = {"#status": "status", "#due": "due_at", "#version": "version"}
    values = {
        ":running": str(BatchStatus.RUNNING),
        ":due": clock.iso(clock.after(clock.now(), LOOK_SECONDS)),
        ":one": 1,
    }
    return _update(
        {"pk": f"BATCH#{batch_id}", "sk": "BATCH"},
        "SET #status = :running, #due = if_not_exists(#due, :due) REMOVE ended_at, expires_at ADD #version :one",
        names,
        values,
        born=born,
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
