"""A batch's items: the batch itself, its counts, and the pieces of work that are left to do on it.

Counts are spread over several items, because every job that begins or ends changes one, and a single item would make
their transactions wait for each other. A job moves from one count to another in the transaction that changes it. Who
wants to end the batch reads the batch first and the counts after it, and ends it only if neither has changed since.
"""

import json
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from video_jobs import settings, versions
from video_jobs.batches import ALL_CAUSES, RATE_MINUTES, Batch, BatchStatus, Counts, is_end, job_id
from video_jobs.jobs import Job, JobStatus, timestamp
from video_jobs.store import table
from video_jobs.store.reads import get_items, get_many, newest
from video_jobs.store.table import (
    CONFLICT_TRIES,
    SHARDS,
    ConflictError,
    Page,
    expiry,
    job_item,
    not_newer,
    put_request,
    to_plain,
    to_wire,
    transact,
)

COUNT_SHARDS = 8
CHUNK = 200
"""How many sources one piece of work turns into jobs."""
CHUNK_BYTES = 300_000
"""How long those sources may be together, so that they fit into an item, of 400 KB at most, even if nothing of them can
be compressed."""
JOBS_AT_ONCE = 96
"""How many of them in one transaction, which takes 100 writes of 4 MB at most."""
LISTING = "batches"
"""The partition of the index `listing` that holds all batches: one, as few are made in a second."""
MOST_SOURCES = 10_000
"""How many sources come at once: with 3.5 MB of them 62 pieces of work, written in one transaction with the batch."""
_COUNTS_OUTLIVE_SECONDS = 30 * 86400
"""How much longer than an ended batch its counts are kept: should a job of it run again, they must not go meanwhile."""
_FORGOTTEN_MINUTES = 10
"""How many older minutes' ends are removed with each new one."""


class WorkKind(StrEnum):
    EXPAND = "expand"  # make jobs of sources
    RETRY = "retry"  # try failed jobs again
    CANCEL = "cancel"  # cancel open jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work on a batch, and how far it is. It is gone when it is done."""

    work_id: str
    batch_id: str
    kind: WorkKind
    first: int
    """The batch's index at which it goes on."""
    last: int
    """The index before which it ends."""
    sources: tuple[str, ...] = ()
    """Of an expansion: all that it was given, from `last - len(sources)` on."""
    cause: str | None = None
    """Of a retry: only jobs that failed with this code."""
    begun_at: str
    """Of a retry: only jobs that had ended by then, so that a part that is done again retries none again."""

    @property
    def left(self) -> tuple[str, ...]:
        return self.sources[len(self.sources) - (self.last - self.first) :]


# --- Items -----------------------------------------------------------------------------------------------------------


def _batch_key(batch_id: str) -> dict[str, str]:
    return {"pk": f"BATCH#{batch_id}", "sk": "BATCH"}


def _work_key(work_id: str) -> dict[str, str]:
    return {"pk": f"WORK#{work_id}", "sk": "WORK"}


def _batch_item(batch: Batch) -> dict[str, Any]:
    item = batch.model_dump(mode="json", exclude_none=True) | _batch_key(batch.batch_id)
    item["template"] = json.dumps(batch.template, ensure_ascii=False)
    item |= {"listing": LISTING, "listing_order": f"{batch.created_at}#{batch.batch_id}"}
    if batch.closed:
        item |= _open(batch.batch_id)
    return item


def _open(name: str) -> dict[str, str]:
    """What has a sweep look for an item, should its message be lost."""
    shard = zlib.crc32(name.encode()) % SHARDS
    return {"open": str(shard), "due_at": timestamp(table.now(), plus=table.SWEEP_GRACE_SECONDS)}


def _to_batch(item: Mapping[str, Any]) -> Batch:
    return Batch.model_validate({**item, "template": json.loads(item["template"])})


def _work_put(work: Work) -> dict[str, Any]:
    item = _work_key(work.work_id) | {
        "batch_id": work.batch_id,
        "kind": work.kind,
        "first": work.first,
        "last": work.last,
        "begun_at": work.begun_at,
        **({"cause": work.cause} if work.cause else {}),
        **_open(work.work_id),
    }
    put = put_request(item, condition="attribute_not_exists(pk)")
    if work.sources:
        put["Item"]["sources"] = {"B": zlib.compress(json.dumps(work.sources, ensure_ascii=False).encode())}
    return {"Put": put}


def _to_work(item: Mapping[str, Any]) -> Work:
    plain = to_plain({name: value for name, value in item.items() if name != "sources"})
    packed = item.get("sources")
    return Work(
        work_id=plain["pk"].removeprefix("WORK#"),
        batch_id=plain["batch_id"],
        kind=WorkKind(plain["kind"]),
        first=plain["first"],
        last=plain["last"],
        sources=tuple(json.loads(zlib.decompress(packed["B"]))) if packed else (),
        cause=plain.get("cause"),
        begun_at=plain["begun_at"],
    )


def _expansions(batch_id: str, sources: Sequence[str], *, first: int) -> list[Work]:
    works: list[Work] = []
    for chunk in _chunks(sources):
        works.append(
            Work(
                work_id=str(uuid.uuid4()),
                batch_id=batch_id,
                kind=WorkKind.EXPAND,
                first=first,
                last=first + len(chunk),
                sources=tuple(chunk),
                begun_at=timestamp(table.now()),
            )
        )
        first += len(chunk)
    return works


def _chunks(sources: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for source in sources:
        length = len(source.encode())
        if chunk and (len(chunk) == CHUNK or size + length > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(source)
        size += length
    if chunk:
        yield chunk


def _update(key: Mapping[str, str], update: str, *, condition: str | None = None, **values: Any) -> dict[str, Any]:
    """An Update. In the expressions #name is the attribute of that name."""
    request: dict[str, Any] = {
        "TableName": settings.setting("TABLE_NAME"),
        "Key": to_wire(key),
        "UpdateExpression": update,
        "ExpressionAttributeNames": {f"#{part}": part for text in (update, condition or "") for part in _names(text)},
        "ExpressionAttributeValues": to_wire({f":{name}": value for name, value in values.items()}),
    }
    if condition:
        request["ConditionExpression"] = condition
    return not_newer(request, versions.item_kind(key["pk"], key["sk"]))


def _names(expression: str) -> Iterator[str]:
    for part in expression.replace(",", " ").replace("(", " ").replace(")", " ").split():
        if part.startswith("#"):
            yield part[1:]


def _change(batch: Batch, update: str, condition: str = "#version = :version", **values: Any) -> dict[str, Any]:
    """An Update of a batch that has not changed since it was read."""
    return _update(
        _batch_key(batch.batch_id),
        f"SET #updated_at = :now, #version = #version + :one, {update}",
        condition=condition,
        now=timestamp(table.now()),
        one=1,
        version=batch.version,
        **values,
    )


# --- Counting --------------------------------------------------------------------------------------------------------


def recount(batch_id: str, job: str, *, before: str, after: str) -> list[dict[str, Any]]:
    """The Updates that move a job from one count to another."""
    moves = [_move(batch_id, job, before=before, after=after)]
    if is_end(before) and not is_end(after):
        moves.append(_reopen(batch_id))
    return moves


def _move(batch_id: str, job: str, *, before: str, after: str) -> dict[str, Any]:
    update = "ADD #before :minus, #after :one, #changes :one"
    values: dict[str, Any] = {"one": 1, "minus": -1}
    aliases = {"#before": before, "#after": after}
    minute = int(table.now().timestamp()) // 60
    if is_end(after) and not is_end(before):
        update += ", #ended_in :one"
        aliases["#ended_in"] = f"ended/{minute}"
        old = range(minute - RATE_MINUTES - _FORGOTTEN_MINUTES, minute - RATE_MINUTES)
        aliases |= {f"#old{number}": f"ended/{then}" for number, then in enumerate(old)}
        update += " REMOVE " + ", ".join(f"#old{number}" for number in range(len(old)))
    if after == JobStatus.RUNNING:
        update = f"SET #started_at = if_not_exists(#started_at, :now) {update}"
        values["now"] = timestamp(table.now())
    request = _update(_count_key(batch_id, job), update, **values)
    return request | {"ExpressionAttributeNames": request["ExpressionAttributeNames"] | aliases}


def _count_key(batch_id: str, job: str) -> dict[str, str]:
    return {"pk": f"BATCH#{batch_id}", "sk": f"COUNT#{zlib.crc32(job.encode()) % COUNT_SHARDS}"}


def _reopen(batch_id: str) -> dict[str, Any]:
    """A job that had ended runs again, and so does its batch; whoever was about to end it finds it changed."""
    return _update(
        _batch_key(batch_id),
        "SET #status = :running, #updated_at = :now, #open = :open, #due_at = :due "
        "REMOVE #ended_at, #expires_at ADD #version :one",
        condition="attribute_exists(#pk)",
        running=BatchStatus.RUNNING,
        now=timestamp(table.now()),
        one=1,
        open=_open(batch_id)["open"],
        due=_open(batch_id)["due_at"],
    )


def _to_counts(items: Sequence[Mapping[str, Any]]) -> Counts:
    kinds: dict[str, int] = {}
    ended_in: dict[int, int] = {}
    for item in items:
        for name, value in item.items():
            if name.split("/")[0] in JobStatus:
                kinds[name] = kinds.get(name, 0) + value
            elif name.startswith("ended/"):
                minute = int(name.removeprefix("ended/"))
                ended_in[minute] = ended_in.get(minute, 0) + value
    started = [item["started_at"] for item in items if "started_at" in item]
    return Counts(
        kinds=kinds,
        ended_in=ended_in,
        started_at=min(started, default=None),
        changes=sum(item.get("changes", 0) for item in items),
    )


# --- A batch and its sources -----------------------------------------------------------------------------------------


def create(batch: Batch, sources: Sequence[str]) -> tuple[Batch, list[str]]:
    """Put a new batch with its sources, or return the one that has its id already; and the ids of the work to do."""
    works = _expansions(batch.batch_id, sources, first=0)
    new = batch.model_copy(update={"total": len(sources), "work": len(works)})
    put = put_request(_batch_item(new), condition="attribute_not_exists(pk)")
    # counts of their own: those of an earlier batch, which the same Idempotency-Key has made, outlive it
    counts = [{"Put": put_request({**_batch_key(batch.batch_id), "sk": f"COUNT#{n}"})} for n in range(COUNT_SHARDS)]
    reasons = transact([{"Put": put}, *map(_work_put, works), *counts])
    if not reasons:
        return new, [work.work_id for work in works]
    return _to_batch(to_plain(reasons[0]["Item"])), []


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Sources that are added to a batch under an Idempotency-Key, so that they are added once."""

    key: str
    digest: str


class PostedOtherwiseError(Exception):
    """This Idempotency-Key has added other sources to the batch."""


def append(batch_id: str, sources: Sequence[str], *, close: bool, post: Post | None) -> list[str]:
    """Add sources to an open batch, and close it if that is asked for; the ids of the work to do.

    Raises ConflictError if it is closed, KeyError if there is none, PostedOtherwiseError.
    """
    for _ in range(CONFLICT_TRIES * 2):  # two who add at once both want the next index
        found = get(batch_id)
        if found is None:
            raise KeyError(batch_id)
        batch, _counts = found
        works = _expansions(batch_id, sources, first=batch.total)
        change = _change(
            batch,
            "#total = #total + :added, #work = #work + :works, #closed = :closed"
            + (", #open = :open, #due_at = :due" if close else ""),
            "#version = :version AND #closed = :false",
            added=len(sources),
            works=len(works),
            closed=close,
            false=False,
            **({"open": _open(batch_id)["open"], "due": _open(batch_id)["due_at"]} if close else {}),
        )
        posts = [{"Put": _post_put(batch_id, post)}] if post else []
        reasons = transact([{"Update": change}, *posts, *map(_work_put, works)])
        if not reasons:
            return [work.work_id for work in works]
        if post and "Item" in reasons[1]:
            if to_plain(reasons[1]["Item"])["digest"] != post.digest:
                raise PostedOtherwiseError
            return []
        if batch.closed:
            raise ConflictError("the batch is closed")
    raise ConflictError("others add to the batch all the time")


def _post_put(batch_id: str, post: Post) -> dict[str, Any]:
    item = {"pk": f"POST#{batch_id}#{post.key}", "sk": "POST", "digest": post.digest, "expires_at": expiry(table.now())}
    return put_request(item, condition="attribute_not_exists(pk)")


def listed(*, limit: int, cursor: str | None = None) -> Page[Batch]:
    """Batches without their counts, newest first; those of release 0.3 and before are not among them.

    The index says which ones they are, and what is not in it is read of each. The cursor is as in `reads.jobs`.
    """
    found = newest("listing", LISTING, limit=limit + 1, before=cursor)["Items"]
    keys = [{"pk": item["pk"], "sk": item["sk"]} for item in found[:limit]]
    there = {item["pk"]["S"]: _to_batch(to_plain(item)) for item in get_items(keys)}
    page = [there[key["pk"]["S"]] for key in keys if key["pk"]["S"] in there]
    last = found[limit - 1]["listing_order"]["S"] if len(found) > limit else None
    return Page(items=page, cursor=last)


def get(batch_id: str) -> tuple[Batch, Counts] | None:
    """The batch and its counts as they are at this moment: one consistent query of a few kilobytes."""
    found = _read(batch_id)
    return (found[0], _to_counts(found[1])) if found else None


def _read(batch_id: str) -> tuple[Batch, list[dict[str, Any]]] | None:
    """The batch and the items that hold its counts."""
    items = settings.dynamodb().query(
        TableName=settings.setting("TABLE_NAME"),
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues=to_wire({":pk": f"BATCH#{batch_id}"}),
        ConsistentRead=True,
    )["Items"]
    if not items or items[0]["sk"]["S"] != "BATCH":
        return None
    batch, *counts = map(to_plain, items)
    return _to_batch(batch), counts


# --- Its end ---------------------------------------------------------------------------------------------------------


def settle(batch_id: str) -> tuple[Batch, Counts] | None:
    """End a batch whose jobs have all ended; the batch if it has ended by this, and None otherwise."""
    for _ in range(CONFLICT_TRIES):
        found = _read(batch_id)
        if found is None:
            return None
        batch, items = found
        counts = _to_counts(items)
        done = batch.closed and not batch.work and counts.ended >= batch.total
        if batch.status == BatchStatus.ENDED or not done:
            return None
        moment = table.now()
        change = _change(
            batch,
            "#status = :ended, #ended_at = :ended_at, #ends = #ends + :one, #due_at = :due, #expires_at = :expiry "
            "REMOVE #retrying",
            ended=BatchStatus.ENDED,
            ended_at=timestamp(moment),
            due=timestamp(moment, plus=table.SWEEP_GRACE_SECONDS),
            expiry=expiry(moment),
        )
        if not transact([{"Update": change}, *_expiries(batch_id, items, expiry(moment))]):
            # as it has ended: by now a job of it may have been tried again
            end = {"retrying": None, "status": BatchStatus.ENDED, "ended_at": timestamp(moment), "ends": batch.ends + 1}
            return batch.model_copy(update=end | {"version": batch.version + 1}), counts
    return None  # it changes all the time: whoever changes it settles it


def _expiries(batch_id: str, items: Sequence[Mapping[str, Any]], moment: int) -> list[dict[str, Any]]:
    """Updates that say when the counts go; each fails if its count has changed since it was read."""
    changes = {item["sk"]: item["changes"] for item in items if "changes" in item}
    updates = []
    for number in range(COUNT_SHARDS):
        key = f"COUNT#{number}"
        known = {"changes": changes[key]} if key in changes else {}
        update = _update(
            {"pk": f"BATCH#{batch_id}", "sk": key},
            "SET #expires_at = :expiry",
            condition="#changes = :changes" if known else "attribute_not_exists(#changes)",
            expiry=moment + _COUNTS_OUTLIVE_SECONDS,
            **known,
        )
        updates.append({"Update": update})
    return updates


def untold(batch_id: str) -> tuple[Batch, Counts] | None:
    """A batch that has ended, if it is not noted that its end was handed over to be told."""
    found = get(batch_id)
    if found is None or found[0].status != BatchStatus.ENDED or found[0].announced >= found[0].ends:
        return None
    return found


def told(batch: Batch) -> None:
    """The end of a batch is handed over to be told: no sweep looks for it any more."""
    request = _update(
        _batch_key(batch.batch_id),
        "SET #announced = :ends REMOVE #open, #due_at",
        condition="#ends = :ends AND #status = :ended",
        ends=batch.ends,
        ended=BatchStatus.ENDED,
    )
    try:
        table.update(request)
    except ConflictError:
        return  # it runs again


# --- Work on it ------------------------------------------------------------------------------------------------------


def retry(batch: Batch, *, cause: str | None) -> str | None:
    """Have failed jobs tried again, if they failed with this code; the id of the work to do, None if it changed.

    The batch runs again at once, and is not a canceled one any more.
    """
    return _begin(batch, WorkKind.RETRY, cause=cause)


def cancel(batch: Batch) -> str | None:
    """Close a batch and have its open jobs canceled; the id of the work to do, None if it changed."""
    return _begin(batch, WorkKind.CANCEL)


def _begin(batch: Batch, kind: WorkKind, *, cause: str | None = None) -> str | None:
    work = Work(
        work_id=str(uuid.uuid4()),
        batch_id=batch.batch_id,
        kind=kind,
        first=0,
        last=batch.total,
        cause=cause,
        begun_at=timestamp(table.now()),
    )
    if kind == WorkKind.CANCEL:
        begin: dict[str, Any] = {"closed": True, "canceled": True}
    else:
        begin = {"canceled": False, "status": BatchStatus.RUNNING, "retrying": cause or ALL_CAUSES}
    if batch.closed or kind == WorkKind.CANCEL:
        begin |= {"open": _open(batch.batch_id)["open"], "due_at": _open(batch.batch_id)["due_at"]}
    change = _change(
        batch,
        ", ".join(["#work = #work + :one", *(f"#{name} = :{name}" for name in begin)])
        + ("" if kind == WorkKind.CANCEL else " REMOVE #ended_at, #expires_at"),
        **begin,
    )
    return None if transact([{"Update": change}, _work_put(work)]) else work.work_id


def drop(work: Work) -> None:
    """Forget a piece of work whose batch is gone."""
    settings.dynamodb().delete_item(TableName=settings.setting("TABLE_NAME"), Key=to_wire(_work_key(work.work_id)))


def work(work_id: str) -> Work | None:
    """A piece of work that is not done (a consistent read)."""
    item = (
        settings.dynamodb()
        .get_item(TableName=settings.setting("TABLE_NAME"), Key=to_wire(_work_key(work_id)), ConsistentRead=True)
        .get("Item")
    )
    return _to_work(item) if item else None


def expand(work: Work, jobs: Sequence[Job]) -> Work | None:
    """Put the jobs of the next sources and note how far the work is; None if that was done before.

    One transaction: a source becomes a job once, and is counted once.
    """
    count = _update(
        _count_key(work.batch_id, jobs[0].job_id),
        "ADD #pending :made, #changes :made",
        made=len(jobs),
    )
    puts = [{"Put": put_request(job_item(job), condition="attribute_not_exists(pk)")} for job in jobs]
    moved = _moved(work, len(jobs))
    progress = _progress(work, moved)
    reasons = transact([*progress, {"Update": count}, *puts])
    if not reasons:
        return moved
    if all(reason["Code"] == "None" for reason in reasons[: len(progress)]):
        raise ConflictError(f"a job of batch {work.batch_id} is there although nobody has made it")
    return None


def advance(work: Work, by: int) -> Work | None:
    """Note that a retry or a cancellation is so many indices further on; None if it was before."""
    moved = _moved(work, by)
    return None if transact(_progress(work, moved)) else moved


def _moved(work: Work, by: int) -> Work:
    return replace(work, first=work.first + by)


def _progress(work: Work, moved: Work) -> list[dict[str, Any]]:
    """Note how far the work is; if it is done, remove it, and the batch has one less."""
    if moved.first < moved.last:
        update = _update(
            _work_key(work.work_id),
            "SET #first = :to, #due_at = :due",
            condition="#first = :at",
            at=work.first,
            to=moved.first,
            due=timestamp(table.now(), plus=table.SWEEP_GRACE_SECONDS),
        )
        return [{"Update": update}]
    delete = {
        "TableName": settings.setting("TABLE_NAME"),
        "Key": to_wire(_work_key(work.work_id)),
        "ConditionExpression": "#first = :at",
        "ExpressionAttributeNames": {"#first": "first"},
        "ExpressionAttributeValues": to_wire({":at": work.first}),
    }
    less = _update(
        _batch_key(work.batch_id),
        "SET #work = #work - :one, #updated_at = :now ADD #version :one",
        one=1,
        now=timestamp(table.now()),
    )
    return [{"Delete": delete}, {"Update": less}]


def jobs_at(batch_id: str, indices: Sequence[int]) -> dict[int, Job | None]:
    """A batch's jobs by their index, as they are at this moment: None was deleted, what is missing is not made yet."""
    ids = {job_id(batch_id, index): index for index in indices}
    return {ids[found_id]: job for found_id, job in get_many(ids).items()}
