"""Which medium of its platform a job is about."""

from collections.abc import Mapping, Sequence

from video_jobs.jobs.model import Job, StepStatus

NAMED_BY: Mapping[str, Sequence[tuple[str, str]]] = {
    "videodb": [("upload", "id")],
    "twelvelabs": [("asset", "asset_id")],  # a task makes a video of an index, and tells of no asset
    "apivideo": [("upload", "video_id"), ("encoding", "video_id")],  # the latter of a video that we have not uploaded
    "apsaravideo": [("upload_by_url", "media_id")],
}
"""By provider: which step's result names the job's medium, and in which field."""


def known(job: Job) -> Job:
    """The job with its `media_id`: the one that it was given, or that a step of it has told."""
    if job.request.media_id is not None:
        return job
    for name, field in NAMED_BY.get(job.provider, ()):
        step = job.steps.get(name)
        found = step.result.get(field) if step and step.status == StepStatus.SUCCEEDED and step.result else None
        if isinstance(found, str) and found:
            return job.model_copy(update={"media_id": found})
    return job
