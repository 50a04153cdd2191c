"""Which jobs there are: ids from an index that never changes or changes once, and the jobs by their ids."""

import heapq
from collections.abc import Callable, Iterator, Sequence

from video_jobs import clock
from video_jobs.jobs.batches import Batch
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.store import jobs, table
from video_jobs.store.items import listed_as, listing_key
from video_jobs.store.table import SHARDS, Page

MOST_PASSED = 1000
"""How many jobs are looked at for a page of those of a status: an open one may be pending or running, and an ended one
is listed as open until its end is announced."""
_LARGEST_ROUND = 100


def of_providers(
    providers: Sequence[str], *, status: JobStatus | None = None, limit: int, cursor: str | None = None
) -> Page[Job]:
    """Jobs of these platforms, newest first, without what their steps came to.

    Reads `limit` entries of each index partition, however many jobs there are; with a status more, as far as jobs of
    another one are listed with them, and there may be fewer than `limit` although more follow. The cursor is the
    "created_at#job_id" of the last one.
    """
    index, key, partitions = _partitions(providers, status)
    return _page(index, key, partitions, _of_status(status), limit=limit, cursor=cursor)


def of_label(label: str, *, status: JobStatus | None = None, limit: int, cursor: str | None = None) -> Page[Job]:
    """Jobs that were given a label, as `of_providers` lists them."""
    keys = [f"{listed}#{label}" for listed in _listed(status)]
    return _page("by_label", "by_label", keys, _of_status(status), limit=limit, cursor=cursor)


def of_batch(batch: Batch, *, status: JobStatus | None = None, limit: int, cursor: str | None = None) -> Page[Job]:
    """A batch's jobs, as `of_providers` lists them: they stand together, because they are listed as of its making."""

    def wanted(job: Job) -> bool:
        return job.request.batch_id == batch.batch_id and status in (None, job.status)

    made = clock.iso(batch.created_at)
    # behind the time stands "#" and the job's id; "$" is the next character
    before = min(cursor, f"{made}$") if cursor else f"{made}$"
    index, key, partitions = _partitions((batch.provider,), status)
    return _page(index, key, partitions, wanted, limit=limit, cursor=before, since=f"{made}#")


def ids_of_provider(provider: str, *, created: tuple[str, str] | None = None) -> Iterator[str]:
    """Ids of all jobs of a platform, or of those that were created between two times (as texts, both included)."""
    for shard in range(SHARDS):
        condition, values = "#shard = :shard", {"shard": f"{provider}#{shard}"}
        if created is not None:
            # behind the time stands "#" and the job's id; "$" is the next character
            condition += " AND created BETWEEN :first AND :last"
            values |= {"first": created[0], "last": f"{created[1]}$"}
        for item in table.query_all(condition, values, index="by_provider", names={"#shard": "shard"}):
            if item["pk"].startswith("JOB#"):
                yield item["pk"].removeprefix("JOB#")


def _partitions(providers: Sequence[str], status: JobStatus | None) -> tuple[str, str, list[str]]:
    """An index, its key, and those of its partitions that hold the jobs of a status."""
    shards = [f"{provider}#{shard}" for provider in providers for shard in range(SHARDS)]
    if status is None:
        return "by_provider", "shard", shards
    return "by_status", "by_status", [f"{listed}#{shard}" for listed in listed_as(status) for shard in shards]


def _of_status(status: JobStatus | None) -> Callable[[Job], bool]:
    return lambda job: status in (None, job.status)


def _listed(status: JobStatus | None) -> tuple[str, ...]:
    return listed_as(status) if status else tuple({name: None for each in JobStatus for name in listed_as(each)})


def _page(
    index: str,
    key: str,
    partitions: Sequence[str],
    wanted: Callable[[Job], bool],
    *,
    limit: int,
    cursor: str | None,
    since: str | None = None,
) -> Page[Job]:
    found: list[Job] = []
    size, passed = limit, 0
    while True:
        ids, more = newest(index, key, partitions, limit=size, cursor=cursor, since=since)
        there = jobs.read_many(ids, consistent=False)
        found += [job for job_id in ids if (job := there.get(job_id)) and wanted(job)]
        passed += size
        if len(found) > limit or (len(found) == limit and more):
            return Page(items=found[:limit], cursor=listing_key(found[limit - 1]))
        if more is None or passed >= MOST_PASSED:
            return Page(items=found, cursor=more)
        cursor, size = more, min(2 * size, _LARGEST_ROUND)


def newest(
    index: str, key: str, partitions: Sequence[str], *, limit: int, cursor: str | None, since: str | None = None
) -> tuple[list[str], str | None]:
    """The newest ids of some index partitions, and the cursor of what follows."""
    found = heapq.nlargest(
        limit + 1,
        # in a set: one that moves from one partition to another meanwhile may be in both
        {
            entry
            for value in partitions
            for entry in _entries(index, key, value, limit=limit + 1, before=cursor, since=since)
        },
    )
    ids = [entry.split("#", maxsplit=1)[1] for entry in found[:limit]]
    return ids, found[limit - 1] if len(found) > limit else None


def _entries(index: str, key: str, value: str, *, limit: int, before: str | None, since: str | None) -> list[str]:
    """The newest entries of one index partition, or those below a "created_at#job_id", and not below another."""
    values = {"value": value} | ({"before": before} if before else {}) | ({"since": since} if since else {})
    if before and since and before < since:
        return []  # a cursor of another list
    condition = "#key = :value"
    if before and since:
        condition += " AND created BETWEEN :since AND :before"
        limit += 1  # it may be that one
    elif before:
        condition += " AND created < :before"
    answer = table.query(condition, values, index=index, names={"#key": key}, limit=limit, newest_first=True)
    return [found for item in answer["Items"] if (found := item["created"]["S"]) != before]
