"""Which medium of its platform a job has made."""

from collections.abc import Mapping, Sequence

from video_jobs.jobs.model import Job, StepStatus

NAMED_BY: Mapping[str, Sequence[tuple[str, str]]] = {
    "videodb": [("upload", "id")],
    "twelvelabs": [("asset", "asset_id")],  # a task makes a video of an index, and names no asset
    "apivideo": [("upload", "video_id"), ("encoding", "video_id")],  # the latter of a video that we have not uploaded
    "apsaravideo": [("upload_by_url", "media_id")],
}
"""By provider: which step's result names the job's medium, and in which field."""


def medium_of(job: Job) -> str | None:
    """The platform's id of the medium that a step has made; None if none has, or the platform does not say."""
    for name, field in NAMED_BY.get(job.provider, ()):
        step = job.steps.get(name)
        found = step.result.get(field) if step and step.status == StepStatus.SUCCEEDED and step.result else None
        if isinstance(found, str) and found:
            return found
    return None
