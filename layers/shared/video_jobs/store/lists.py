"""Which jobs there are: ids from an index that never changes or changes once, and the jobs by their ids."""

import heapq
from collections.abc import Iterator, Sequence

from video_jobs import clock
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.store import jobs, table
from video_jobs.store.items import listed_as
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
    shards = [f"{provider}#{shard}" for provider in providers for shard in range(SHARDS)]
    if status is None:
        return _page("by_provider", "shard", shards, status=None, limit=limit, cursor=cursor)
    keys = [f"{listed}#{shard}" for listed in listed_as(status) for shard in shards]
    return _page("by_status", "by_status", keys, status=status, limit=limit, cursor=cursor)


def of_label(label: str, *, status: JobStatus | None = None, limit: int, cursor: str | None = None) -> Page[Job]:
    """Jobs that were given a label, as `of_providers` lists them."""
    keys = [f"{listed}#label#{label}" for listed in _listed(status)]
    return _page("by_group", "by_group", keys, status=status, limit=limit, cursor=cursor)


def of_batch(batch_id: str, *, status: JobStatus | None = None, limit: int, cursor: str | None = None) -> Page[Job]:
    """A batch's jobs, as `of_providers` lists them."""
    keys = [f"{listed}#batch#{batch_id}#{shard}" for listed in _listed(status) for shard in range(SHARDS)]
    return _page("by_group", "by_group", keys, status=status, limit=limit, cursor=cursor)


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


def _listed(status: JobStatus | None) -> tuple[str, ...]:
    return listed_as(status) if status else tuple({name: None for each in JobStatus for name in listed_as(each)})


def _page(
    index: str, key: str, partitions: Sequence[str], *, status: JobStatus | None, limit: int, cursor: str | None
) -> Page[Job]:
    found: list[Job] = []
    size, passed = limit, 0
    while True:
        ids, more = newest(index, key, partitions, limit=size, cursor=cursor)
        there = jobs.read_many(ids, consistent=False)
        found += [job for job_id in ids if (job := there.get(job_id)) and status in (None, job.status)]
        passed += size
        if len(found) > limit or (len(found) == limit and more):
            last = found[limit - 1]
            return Page(items=found[:limit], cursor=f"{clock.iso(last.created_at)}#{last.job_id}")
        if more is None or passed >= MOST_PASSED:
            return Page(items=found, cursor=more)
        cursor, size = more, min(2 * size, _LARGEST_ROUND)


def newest(
    index: str, key: str, partitions: Sequence[str], *, limit: int, cursor: str | None
) -> tuple[list[str], str | None]:
    """The newest ids of some index partitions, and the cursor of what follows."""
    found = heapq.nlargest(
        limit + 1,
        (entry for value in partitions for entry in _entries(index, key, value, limit=limit + 1, before=cursor)),
    )
    ids = [entry.split("#", maxsplit=1)[1] for entry in found[:limit]]
    return ids, found[limit - 1] if len(found) > limit else None


def _entries(index: str, key: str, value: str, *, limit: int, before: str | None) -> list[str]:
    """The newest entries of one index partition, or those below a "created_at#job_id"."""
    values = {"value": value} | ({"before": before} if before else {})
    condition = "#key = :value" + (" AND created < :before" if before else "")
    answer = table.query(condition, values, index=index, names={"#key": key}, limit=limit, newest_first=True)
    return [item["created"]["S"] for item in answer["Items"]]
