"""Which medium the steps of a job are about, and what kind of medium it is."""

from video_jobs.jobs.model import Job, MediaType

_KINDS: dict[str, MediaType] = {"m": "video", "a": "audio", "img": "image"}


def media_id(job: Job) -> str:
    """VideoDB's id of the job's medium: the one that its upload made, or that it was given."""
    upload = job.steps.get("upload")
    found = upload.result.get("id") if upload and upload.result else job.media_id
    if not found:
        raise ValueError(f"job {job.job_id} has no medium yet")
    return str(found)


def kind(media_id: str) -> MediaType | None:
    """`m-…` is a video, `a-…` an audio file, `img-…` an image; None if VideoDB has a new one."""
    return _KINDS.get(media_id.split("-", maxsplit=1)[0])
