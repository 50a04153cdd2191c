"""Which jobs a platform's medium has: the one that brought it, and those that were made for it.

A medium has a partition. In it are its REF item, which leads to the job that callbacks about it are for, and a link to
each job that names the medium in its request, the newest last.
"""

import time
from collections.abc import Sequence
from typing import Any

from video_jobs import settings
from video_jobs.jobs import Job
from video_jobs.store import table
from video_jobs.store.table import Page, expiry, job_key, put_request, ref_key, to_job, to_plain, to_wire


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
    jobs = sorted(_get(found.items), key=lambda job: (job.created_at, job.job_id), reverse=True)
    return Page(items=jobs, cursor=found.cursor)


def _get(ids: Sequence[str]) -> list[Job]:
    """Jobs by their ids (100 at most), in any order, as they are at this moment."""
    name = settings.setting("TABLE_NAME")
    asked: Any = {name: {"Keys": [to_wire(job_key(job_id)) for job_id in ids], "ConsistentRead": True}} if ids else {}
    found: list[Job] = []
    while asked:
        answer = settings.dynamodb().batch_get_item(RequestItems=asked)
        found += [job for item in answer["Responses"].get(name, []) if (job := to_job(item))]
        asked = answer["UnprocessedKeys"]  # more than 16 MB, or throttled
        if asked:
            time.sleep(0.1)
    return found
