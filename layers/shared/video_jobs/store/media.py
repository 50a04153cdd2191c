"""Which jobs a platform's medium has: the one that brought it, and those that were made for it.

A medium has a partition. In it are its REF item, which leads to the job that callbacks about it are for, and a link to
each job that names the medium in its request, the newest last.
"""

from typing import Any

from video_jobs import settings
from video_jobs.jobs import Job
from video_jobs.store import table
from video_jobs.store.reads import get_many
from video_jobs.store.table import Page, expiry, put_request, ref_key, to_plain, to_wire


def link_put(job: Job) -> dict[str, Any]:
    """The Put of the link from a medium to a job that was made for it. It is kept as long as a REF item."""
    medium = ref_key(job.provider, job.media_id or "")["pk"]
    link = {"pk": medium, "sk": f"JOB#{job.created_at}#{job.job_id}", "job_id": job.job_id}
    return put_request(link | {"expires_at": expiry(table.now())})


def job_ids(provider: str, medium: str, *, limit: int) -> Page[str]:
    """Ids of a medium's jobs: first the one that callbacks are for, then the newest (a consistent read).

    They may be of jobs that are gone. The cursor only says that there are more.
    """
    answer = settings.dynamodb().query(
        TableName=settings.setting("TABLE_NAME"),
        KeyConditionExpression="pk = :medium",
        ExpressionAttributeValues=to_wire({":medium": ref_key(provider, medium)["pk"]}),
        ConsistentRead=True,
        ScanIndexForward=False,  # "REF" comes after every "JOB#..."
        Limit=limit + 1,
    )
    found = [to_plain(item) for item in answer["Items"]]
    ids = dict.fromkeys(str(item["job_id"]) for item in found[:limit])
    return Page(items=list(ids), cursor=found[limit - 1]["sk"] if len(found) > limit else None)


def jobs_of(provider: str, medium: str, *, limit: int) -> Page[Job]:
    """A medium's jobs that are still there, the newest first; the cursor as in `job_ids`."""
    found = job_ids(provider, medium, limit=limit)
    there = [job for job in get_many(found.items).values() if job]
    there.sort(key=lambda job: (job.created_at, job.job_id), reverse=True)
    return Page(items=there, cursor=found.cursor)
