"""A job as TwelveLabs shows a task (TwelveLabs page "Video indexing tasks"): the same fields, from our own table."""

from typing import Any

from video_jobs import clock
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.platforms.twelvelabs.task import STEP

WORDS = ("ready", "uploading", "validating", "pending", "queued", "indexing", "failed")
"""Every status that a list can be filtered by."""
CANCELED = "The task was canceled."
_MEASURES = ("duration", "filename", "height", "width")


def status(job: Job) -> str:
    """TwelveLabs' word for how the task stands.

    Until TwelveLabs has taken it, it is `uploading`, which comes before all other words, so that none goes back; then
    `validating`, which comes next, until a poll has asked (both inferred). It is ready or failed once the job has
    ended, so that what is shown as ready can be deleted.
    """
    match job.status:
        case JobStatus.SUCCEEDED:
            return "ready"
        case JobStatus.FAILED | JobStatus.CANCELED:
            return "failed"
    step = job.steps[STEP]
    if step.platform_job_id is None:
        return "uploading"
    return (step.platform_status or "validating").lower()


def listed(job: Job) -> dict[str, Any]:
    """A task in a list. `_id` is our job's; what nobody knows yet is left out."""
    result = job.steps[STEP].result or {}
    known = {
        "video_id": result.get("video_id"),
        "index_id": job.request.options.get(STEP, {}).get("index_id") or result.get("index_id"),
        "error_reason": _reason(job),
        "estimated_time": result.get("estimated_time"),
    }
    return {
        "_id": job.job_id,
        "created_at": clock.iso(job.created_at),
        "updated_at": clock.iso(job.updated_at),
        "status": status(job),
        **{name: value for name, value in known.items() if value is not None},
        "system_metadata": measures(result),
    }


def shown(job: Job) -> dict[str, Any]:
    """A task by itself: with its stream, where TwelveLabs was asked to keep one."""
    hls = (job.steps[STEP].result or {}).get("hls")
    return listed(job) | ({} if hls is None else {"hls": hls})


def measures(result: dict[str, Any]) -> dict[str, Any]:
    """What TwelveLabs has found out about the video, as far as it has."""
    found = result.get("system_metadata")
    about = found if isinstance(found, dict) else {}
    return {name: about[name] for name in _MEASURES if about.get(name) is not None}


def _reason(job: Job) -> str | None:
    """In no document, but it was seen: github.com/twelvelabs-io/twelvelabs-js/issues/102."""
    if job.status == JobStatus.CANCELED:
        return CANCELED
    return job.error.message if job.error else None
