"""The first step: api.video makes a video that it fetches from a URL. It has ended when the video has an id."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from video_jobs.jobs.model import Job, PollResult, Step, StepRunning, StepSucceeded
from video_jobs.platforms import titles
from video_jobs.platforms.apivideo.payloads import Id

if TYPE_CHECKING:
    from video_jobs.platforms.apivideo.client import ApiVideo

STEP = "upload"
JOB_KEY = "video_jobs_job"
SUBMISSION_KEY = "video_jobs_submission"
CALLBACK_EXPECTED = False

_LONGEST_TITLE = 1024
_LONGEST_ASSET = 4096
_video_id: TypeAdapter[str] = TypeAdapter(Id)


class _AsApiVideo(BaseModel):
    """In api.video's own names, or in ours."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Metadatum(_AsApiVideo):
    key: str = Field(min_length=1, max_length=256)
    value: str = Field(max_length=1024)


class UploadOptions(_AsApiVideo):
    """What `POST /videos` takes besides the source (OpenAPI file). What is left out is api.video's own default."""

    title: str | None = Field(default=None, min_length=1, max_length=_LONGEST_TITLE)
    """The name of the source's file if there is none."""
    description: str | None = Field(default=None, max_length=8192)
    public: bool | None = None
    panoramic: bool | None = None
    mp4_support: bool | None = None
    """Whether an MP4 is made beside the HLS renditions."""
    player_id: str | None = Field(default=None, min_length=1, max_length=256)
    tags: list[str] | None = Field(default=None, max_length=256)
    metadata: list[Metadatum] | None = Field(default=None, max_length=256)
    clip: dict[str, JsonValue] | None = None
    watermark: dict[str, JsonValue] | None = None
    language: str | None = Field(default=None, min_length=2, max_length=16)
    transcript: bool | None = None
    transcript_summary: bool | None = None
    transcript_summary_attributes: list[Literal["abstract", "takeaways"]] | None = None

    @field_validator("metadata")
    @classmethod
    def _ours_are_ours(cls, metadata: list[Metadatum] | None) -> list[Metadatum] | None:
        if any(entry.key in (JOB_KEY, SUBMISSION_KEY) for entry in metadata or ()):
            raise ValueError(f"the keys {JOB_KEY} and {SUBMISSION_KEY} are the stack's own")
        return metadata


def submit(client: "ApiVideo", job: Job, *, callback_url: str) -> PollResult:
    """Make the video, once: it carries the job's id, and a second try first looks for the one that is there.

    That a video which was just made is found by its metadata is inferred; api.video documents no delay.
    """
    before = _submitted_before(client, job) if job.may_be_submitted_already(STEP) else None
    video = before or client.create_video(_fields(job))
    video_id = _id(video)
    if video_id is None:
        raise client.unusable("api.video has made a video, and does not say its id")
    return _made(video, video_id)


def poll(client: "ApiVideo", job: Job, step: Step) -> StepRunning | PollResult:
    """The video, if a try has made it."""
    video = _submitted_before(client, job)
    video_id = _id(video or {})
    return StepRunning() if video is None or video_id is None else _made(video, video_id)


def _submitted_before(client: "ApiVideo", job: Job) -> dict[str, Any] | None:
    """What an earlier try of this round has made."""
    return next(iter(client.videos_with({SUBMISSION_KEY: job.submission_key(STEP)})), None)


def _fields(job: Job) -> dict[str, Any]:
    options = UploadOptions.model_validate(job.request.options.get(STEP, {}))
    asked = options.model_dump(mode="json", by_alias=True, exclude_none=True)
    ours = {JOB_KEY: job.job_id, SUBMISSION_KEY: job.submission_key(STEP)}
    metadata = [*asked.get("metadata", []), *({"key": key, "value": value} for key, value in ours.items())]
    # api.video requires a title
    title = titles.of_source(job.request.source or "", most_bytes=_LONGEST_TITLE, otherwise=job.job_id)
    return {"title": title, **asked, "source": job.request.source, "metadata": metadata}


def _id(video: Mapping[str, Any]) -> str | None:
    try:
        return _video_id.validate_python(video.get("videoId"))
    except ValidationError:
        return None


def _made(video: Mapping[str, Any], video_id: str) -> PollResult:
    assets = video.get("assets")
    result: dict[str, Any] = {"video_id": video_id}
    if isinstance(title := video.get("title"), str):
        result["title"] = title[:_LONGEST_TITLE]
    if isinstance(assets, dict):
        result["assets"] = {
            name: url for name, url in assets.items() if isinstance(url, str) and len(url) <= _LONGEST_ASSET
        }
    return PollResult(end=StepSucceeded(refs=(video_id,), result=result), body=video)
