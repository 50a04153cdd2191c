"""Which jobs follow a platform's id: links in the id's partition, beside the events of callbacks that name it."""

from collections.abc import Iterable

from video_jobs import clock
from video_jobs.jobs.model import Job
from video_jobs.store import table
from video_jobs.store.table import OUTLIVES_DAYS, Page, expiry, medium_key

MOST_FOLLOWERS = 20
"""How many of the newest jobs that follow an id hear of its callbacks."""


def link(job: Job, refs: Iterable[str]) -> None:
    """Have these ids lead to a job. It is done before the job is saved, and may be done again."""
    for ref in dict.fromkeys(refs):
        table.put(
            {
                "pk": medium_key(job.provider, ref),
                "sk": f"JOB#{clock.iso(job.created_at)}#{job.job_id}",
                "job_id": job.job_id,
                **({"adopted": True} if job.adopted else {}),
                "expires_at": expiry(outlives=OUTLIVES_DAYS),
            }
        )


def unlink(job: Job, ref: str) -> None:
    table.delete({"pk": medium_key(job.provider, ref), "sk": f"JOB#{clock.iso(job.created_at)}#{job.job_id}"})


def followers(provider: str, ref: str, *, limit: int = MOST_FOLLOWERS) -> Page[str]:
    """Ids of the jobs that follow an id, the newest first: those that we started, or else those that were adopted.

    They may be of jobs that are gone. The cursor only says that there are more.
    """
    answer = table.query(
        "pk = :pk AND begins_with(sk, :job)",
        {"pk": medium_key(provider, ref), "job": "JOB#"},
        newest_first=True,
        limit=limit + 1,
    )
    found = list(map(table.to_plain, answer["Items"]))
    ours = [item for item in found[:limit] if not item.get("adopted")]
    ids = [str(item["job_id"]) for item in ours or found[:limit]]
    return Page(items=ids, cursor=str(found[limit - 1]["sk"]) if len(found) > limit else None)
