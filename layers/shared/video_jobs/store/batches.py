"""A batch's items: the batch itself, its counts, and the pieces of work that are left to do on it.

Who wants to end the batch reads the batch and its counts, and ends it only if none of them has changed since.
"""

import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from video_jobs import clock, versions
from video_jobs.jobs.batches import ALL_CAUSES, Batch, BatchStatus, Counts, job_id
from video_jobs.jobs.model import Job
from video_jobs.store import counts, jobs, lists, table
from video_jobs.store.items import SWEEP_GRACE_SECONDS
from video_jobs.store.table import (
    CONFLICT_TRIES,
    OUTLIVES_DAYS,
    SHARDS,
    ConflictError,
    Page,
    expiry,
    packed,
    shard_of,
    to_wire,
    transact,
    unpacked,
)

CHUNK = 200
"""How many sources one piece of work turns into jobs."""
CHUNK_BYTES = 300_000
"""How long those sources may be together, so that they fit into an item, of 400 KB at most, even if nothing of them can
be compressed."""
MOST_SOURCES = 10_000
"""How many sources come at once: with 3.5 MB of them 62 pieces of work, written in one transaction with the batch."""


class WorkKind(StrEnum):
    EXPAND = "expand"  # make jobs of sources
    RETRY = "retry"  # retry failed jobs
    CANCEL = "cancel"  # cancel open jobs
    RESTART = "restart"  # have workers look at jobs that have not begun


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
    """Of an expansion: all that it was given, up to `last`."""
    cause: str | None = None
    """Of a retry: only jobs that failed with this code."""
    begun_at: int

    @property
    def left(self) -> tuple[str, ...]:
        """The sources from `first` on."""
        return self.sources[len(self.sources) - (self.last - self.first) :]


# --- Items -----------------------------------------------------------------------------------------------------------


def _batch_key(batch_id: str) -> dict[str, str]:
    return {"pk": f"BATCH#{batch_id}", "sk": "BATCH"}


def _work_key(work_id: str) -> dict[str, str]:
    return {"pk": f"WORK#{work_id}", "sk": "WORK"}


def _batch_item(batch: Batch) -> dict[str, Any]:
    return {
        **batch.model_dump(mode="json", exclude_none=True, exclude={"template"}),
        **_batch_key(batch.batch_id),
        **packed(json.dumps(batch.template, ensure_ascii=False)),
        "shard": f"batch#{shard_of(batch.batch_id)}",
        "created": f"{clock.iso(batch.created_at)}#{batch.batch_id}",
        "due_at": _in(counts.LOOK_SECONDS),
    }


def _to_batch(item: Mapping[str, Any]) -> Batch:
    return Batch.model_validate({**item, "template": json.loads(unpacked(item))})


def _work_put(work: Work) -> dict[str, Any]:
    item = _work_key(work.work_id) | {
        "batch_id": work.batch_id,
        "kind": str(work.kind),
        "first": work.first,
        "last": work.last,
        "begun_at": work.begun_at,
        **({"cause": work.cause} if work.cause else {}),
        "shard": f"work#{shard_of(work.work_id)}",
        "due_at": _in(SWEEP_GRACE_SECONDS),
    }
    return {"Put": table.put_request(item, condition="attribute_not_exists(pk)")}


def _put_sources(chunks: Mapping[str, Sequence[str]]) -> None:
    """Put what pieces of work will be given, by their ids: items of their own, because they are large and never change.

    They go by themselves, also those of work that is never begun.
    """
    for work_id, sources in chunks.items():
        text = json.dumps(sources, ensure_ascii=False)
        table.put(_work_key(work_id) | {"sk": "SOURCES", **packed(text), "expires_at": expiry(outlives=OUTLIVES_DAYS)})


def _to_work(item: Mapping[str, Any], sources: Mapping[str, Any] | None) -> Work:
    return Work(
        work_id=item["pk"].removeprefix("WORK#"),
        batch_id=item["batch_id"],
        kind=WorkKind(item["kind"]),
        first=item["first"],
        last=item["last"],
        sources=tuple(json.loads(unpacked(sources))) if sources else (),
        cause=item.get("cause"),
        begun_at=item["begun_at"],
    )


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


def _by_work(sources: Sequence[str]) -> dict[str, list[str]]:
    return {str(uuid.uuid4()): chunk for chunk in _chunks(sources)}


def _expansions(batch_id: str, chunks: Mapping[str, Sequence[str]], *, first: int) -> list[dict[str, Any]]:
    """The Puts of the work that makes jobs of these sources."""
    puts = []
    for work_id, chunk in chunks.items():
        last = first + len(chunk)
        work = Work(
            work_id=work_id,
            batch_id=batch_id,
            kind=WorkKind.EXPAND,
            first=first,
            last=last,
            begun_at=clock.now(),
        )
        puts.append(_work_put(work))
        first = last
    return puts


def _in(seconds: float) -> str:
    return clock.iso(clock.after(clock.now(), seconds))


def _update(
    key: Mapping[str, str],
    *,
    sets: Mapping[str, Any],
    adds: Mapping[str, int] | None = None,
    removes: Sequence[str] = (),
    where: Mapping[str, Any],
) -> dict[str, Any]:
    """An Update of an item whose attributes are as `where` says."""
    adds = adds or {}
    names = {f"#{name}": name for name in (*sets, *adds, *removes, *where, versions.FIELD)}
    values = {f":{name}": value for name, value in {**sets, **adds}.items()}
    values |= {f":was_{name}": value for name, value in where.items()}
    values[":known"] = versions.ITEMS[versions.item_kind(key["pk"], key["sk"])]
    parts = ["SET " + ", ".join(f"#{name} = :{name}" for name in sets)]
    parts += ["ADD " + ", ".join(f"#{name} :{name}" for name in adds)] if adds else []
    parts += ["REMOVE " + ", ".join(f"#{name}" for name in removes)] if removes else []
    as_read = [f"#{name} = :was_{name}" for name in where]
    return {
        "TableName": table.name(),
        "Key": to_wire(key),
        "UpdateExpression": " ".join(parts),
        "ConditionExpression": " AND ".join([*as_read, f"#{versions.FIELD} <= :known"]),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": to_wire(values),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _change(
    batch: Batch,
    sets: Mapping[str, Any],
    *,
    adds: Mapping[str, int] | None = None,
    removes: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An Update of a batch that is as `where` says; without it, that has not changed since it was read."""
    return {
        "Update": _update(
            _batch_key(batch.batch_id),
            sets={"updated_at": clock.now(), **sets},
            adds={"version": 1, **(adds or {})},
            removes=removes,
            where={"version": batch.version} if where is None else where,
        )
    }


# --- A batch and its sources -----------------------------------------------------------------------------------------


def create(batch: Batch, sources: Sequence[str]) -> tuple[Batch, list[str]]:
    """Put a new batch with its sources, or return the one that has its id already; and the ids of the work to do."""
    if found := get(batch.batch_id):
        return found[0], []
    chunks = _by_work(sources)
    _put_sources(chunks)
    new = batch.model_copy(update={"total": len(sources), "work": len(chunks)})
    put = table.put_request(_batch_item(new), condition="attribute_not_exists(pk)")
    works = _expansions(batch.batch_id, chunks, first=0)
    reasons = transact([{"Put": put}, *works, *counts.new(new)])
    if not reasons:
        return new, list(chunks)
    return _to_batch(reasons[0]["Item"]), []


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
    chunks = _by_work(sources)
    for attempt in range(CONFLICT_TRIES):  # two who add at once both want the next index
        found = get(batch_id)
        if found is None:
            raise KeyError(batch_id)
        batch, _counts = found
        if post and _is_posted(batch, post):
            return []
        if batch.closed:
            raise ConflictError("the batch is closed")
        if not attempt:
            _put_sources(chunks)
        change = _change(
            batch,
            {"closed": close},
            adds={"total": len(sources), "work": len(chunks)},
            where={"created_at": batch.created_at, "total": batch.total, "closed": False},
        )
        posts = [_post_put(batch, post)] if post else []
        if not transact([change, *posts, *_expansions(batch_id, chunks, first=batch.total)]):
            return list(chunks)
        time.sleep(random.uniform(0, 0.02 * 2**attempt))
    raise ConflictError("others add to the batch all the time")


def _post_key(batch: Batch, post: Post) -> dict[str, str]:
    return {"pk": f"POST#{batch.batch_id}#{post.key}", "sk": "POST"}


def _post_put(batch: Batch, post: Post) -> dict[str, Any]:
    item = {**_post_key(batch, post), "digest": post.digest, "created_at": batch.created_at, "expires_at": expiry()}
    # one that was left behind by an earlier batch of this id says nothing
    fresh = "attribute_not_exists(pk) OR created_at < :created"
    return {"Put": table.put_request(item, condition=fresh, created=batch.created_at)}


def _is_posted(batch: Batch, post: Post) -> bool:
    """Whether this was added before. Raises PostedOtherwiseError."""
    found = table.get(_post_key(batch, post))
    if found is None or found["created_at"] != batch.created_at:
        return False
    if found["digest"] != post.digest:
        raise PostedOtherwiseError
    return True


def listed(*, limit: int, cursor: str | None = None) -> Page[Batch]:
    """Batches without their counts, newest first. The cursor is as in `lists.of_providers`."""
    shards = [f"batch#{shard}" for shard in range(SHARDS)]
    ids, more = lists.newest("by_provider", "shard", shards, limit=limit, cursor=cursor)
    there = {item["batch_id"]: _to_batch(item) for item in table.get_many([_batch_key(found) for found in ids])}
    return Page(items=[there[found] for found in ids if found in there], cursor=more)


def get(batch_id: str) -> tuple[Batch, Counts] | None:
    """The batch and its counts as they are at this moment: one consistent query of a few kilobytes."""
    found = _read(batch_id)
    return (found[0], counts.to_counts(found[1])) if found else None


def _read(batch_id: str) -> tuple[Batch, list[dict[str, Any]]] | None:
    """The batch and the items that hold its counts."""
    items = list(table.query_all("pk = :pk", {"pk": f"BATCH#{batch_id}"}))
    if not items or items[0]["sk"] != "BATCH":
        return None
    return _to_batch(items[0]), items[1:]


# --- Its end ---------------------------------------------------------------------------------------------------------


def settle(batch_id: str) -> tuple[Batch, Counts] | None:
    """End a batch whose jobs have all ended; the batch as it has ended if it has by this, and None otherwise."""
    for _ in range(CONFLICT_TRIES):
        found = _read(batch_id)
        if found is None:
            return None
        batch, items = found
        counted = counts.to_counts(items)
        if batch.status == BatchStatus.ENDED or not batch.is_over(counted):
            return None
        now = clock.now()
        end = {"status": str(BatchStatus.ENDED), "ended_at": now, "ends": batch.ends + 1}
        change = _change(
            batch, end | {"due_at": _in(SWEEP_GRACE_SECONDS), "expires_at": expiry()}, removes=["retrying"]
        )
        if not transact([change, *counts.expiries(batch, items, expiry())]):
            ended = {"retrying": None, "version": batch.version + 1, "updated_at": now}
            return Batch.model_validate({**batch.model_dump(), **end, **ended}), counted
    return None  # it changes all the time: whoever changes it settles it


def unannounced(batch_id: str) -> tuple[Batch, Counts] | None:
    """A batch that has ended, if its end is not noted as announced."""
    found = get(batch_id)
    return found if found and not found[0].is_announced else None


def announced(batch: Batch) -> None:
    """The end of a batch is announced: no sweep looks for it any more. One that runs again stays as it is."""
    update = _update(
        _batch_key(batch.batch_id),
        sets={"announced": batch.ends},
        removes=["due_at"],
        where={"ends": batch.ends, "status": str(BatchStatus.ENDED)},
    )
    transact([{"Update": update}])


# --- Work on it ------------------------------------------------------------------------------------------------------


def retry(batch: Batch, *, cause: str | None) -> str | None:
    """Have failed jobs retried, if they failed with this code; the id of the work to do.

    None if the batch changed, is being canceled, or its end is not announced yet: that would be lost. The batch runs
    again at once, and is not a canceled one any more.
    """
    if batch.is_being_canceled or not batch.is_announced:
        return None
    change = {
        "canceled": False,
        "status": str(BatchStatus.RUNNING),
        "retrying": cause or ALL_CAUSES,
        "due_at": _in(counts.LOOK_SECONDS),
    }
    update = _change(batch, change, adds={"work": 1}, removes=["ended_at", "expires_at"])
    return _begun(update, _work(batch, WorkKind.RETRY, cause=cause))


def cancel(batch: Batch) -> str | None:
    """Close a batch and have its open jobs canceled; the id of the work to do, None if it changed, or has ended."""
    as_read = {"created_at": batch.created_at, "total": batch.total, "status": str(BatchStatus.RUNNING)}
    update = _change(batch, {"closed": True, "canceled": True}, adds={"work": 1}, where=as_read)
    return _begun(update, _work(batch, WorkKind.CANCEL))


def restart(batch: Batch) -> str | None:
    """Have workers look at the jobs that have not begun; the id of the work to do, None if the batch changed."""
    return _begun(_change(batch, {}, adds={"work": 1}), _work(batch, WorkKind.RESTART))


def _work(batch: Batch, kind: WorkKind, *, cause: str | None = None) -> Work:
    return Work(
        work_id=str(uuid.uuid4()),
        batch_id=batch.batch_id,
        kind=kind,
        first=0,
        last=batch.total,
        cause=cause,
        begun_at=clock.now(),
    )


def _begun(change: Mapping[str, Any], work: Work) -> str | None:
    return None if transact([change, _work_put(work)]) else work.work_id


def work(work_id: str) -> Work | None:
    """A piece of work that is not done (a consistent read)."""
    found = {item["sk"]: item for item in table.query_all("pk = :pk", {"pk": f"WORK#{work_id}"})}
    return _to_work(found["WORK"], found.get("SOURCES")) if "WORK" in found else None


def drop(work: Work) -> None:
    """Forget a piece of work whose batch is gone."""
    table.delete(_work_key(work.work_id))


def advance(batch: Batch, work: Work, by: int, *, not_made: int = 0) -> Work | None:
    """Note that a piece of work is so many indices further on, and count the sources of which no job can be made.

    None if somebody else has noted it. The same piece if the batch was canceled since it was read, or is not canceled
    any more: then this part of the work is to be done again, in the other way.
    """
    moved = replace(work, first=work.first + by)
    if moved.first < moved.last:
        step = {
            "Update": _update(
                _work_key(work.work_id),
                sets={"first": moved.first, "due_at": _in(SWEEP_GRACE_SECONDS)},
                where={"first": work.first},
            )
        }
    else:
        step = {"Delete": _removed(work)}
    makes = by if work.kind == WorkKind.EXPAND else 0
    change = _change(
        batch,
        {"started_at": clock.now()} if makes and batch.started_at is None else {},
        adds={"made": makes, "work": 0 if moved.first < moved.last else -1},
        where={"created_at": batch.created_at, "canceled": batch.canceled},
    )
    reasons = transact([step, change, *([counts.not_made(batch, not_made)] if not_made else [])])
    if not reasons:
        return moved
    return work if table.held(reasons, 0) else None


def _removed(work: Work) -> dict[str, Any]:
    return {
        "TableName": table.name(),
        "Key": to_wire(_work_key(work.work_id)),
        "ConditionExpression": "#first = :first",
        "ExpressionAttributeNames": {"#first": "first"},
        "ExpressionAttributeValues": to_wire({":first": work.first}),
    }


# --- Its jobs --------------------------------------------------------------------------------------------------------


def jobs_at(batch: Batch, indices: Sequence[int], *, consistent: bool = True) -> list[Job]:
    """A batch's jobs of these indices, without what their steps came to; those that there are."""
    found = jobs.read_many([job_id(batch, index) for index in indices], consistent=consistent)
    ours = (job for job in found.values() if job is not None and job.request.batch_id == batch.batch_id)
    return sorted(ours, key=lambda job: job.request.batch_index or 0)


def make(batch: Batch, index: int, job: Job | None) -> tuple[Job | None, bool]:
    """Put the job of a source, or find the one that is there. None: no job can be made of it.

    The job, if there is one; and whether there is or was one: one that a person has deleted was counted at its end.
    Of a source that is no job there will never be one: whoever comes again finds a mark.
    """
    found_id = job_id(batch, index)
    try:
        there = jobs.create(job) if job is not None else _barred(found_id)
    except ConflictError:
        mark = table.get(table.job_key(found_id)) or {}
        return None, not mark.get("not_made", False)
    is_ours = there is not None and there.request.batch_id == batch.batch_id
    return (there, True) if is_ours else (None, False)


def _barred(found_id: str) -> Job | None:
    """Mark that there is no job of this id; or the job that is there. Raises ConflictError if it was marked before."""
    moment = clock.iso(clock.now())
    mark = {**table.job_key(found_id), "deleted_at": moment, "not_made": True, "v": 1, "expires_at": expiry()}
    found = table.put_new(mark)
    if found is None:
        return None
    if "deleted_at" in found:
        raise ConflictError("it is known what became of this source")
    return jobs.read(found_id)
