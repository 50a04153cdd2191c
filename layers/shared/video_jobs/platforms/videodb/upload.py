"""The first step: VideoDB fetches a URL and makes a video, an audio file or an image of it."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from video_jobs.jobs.model import Job, PollResult, Step, StepEnd, StepFailed, StepRunning, StepSucceeded, Submitted
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.videodb import asynchronous
from video_jobs.platforms.videodb.payloads import Media, Report

if TYPE_CHECKING:
    from video_jobs.platforms.videodb.client import VideoDb


class UploadOptions(BaseModel):
    """What VideoDB's upload takes besides the URL (SDK 0.5.1, `Collection.upload`)."""

    model_config = ConfigDict(extra="forbid")

    collection_id: str = Field(default="default", min_length=1, max_length=256, pattern=r"[^.]")
    """"default" is the account's own first collection."""
    name: str | None = Field(default=None, max_length=1024)
    description: str | None = Field(default=None, max_length=4096)


class UploadCallback(Report):
    """Success names the medium; failure has only a message. VideoDB page "Callback Details", section Upload."""

    data: Media | None = None

    @field_validator("data", mode="before")
    @classmethod
    def _only_success_has_the_medium(cls, value: Any, info: ValidationInfo) -> Any:
        return value if info.data.get("success") else None  # a poll for one that failed has "data": {}

    @model_validator(mode="after")
    def _success_names_the_medium(self) -> "UploadCallback":
        if self.success and self.data is None:
            raise ValueError("a successful upload without its data")
        return self


def decide(report: UploadCallback) -> StepEnd:
    """What an upload's callback means."""
    if not report.success or report.data is None:
        return StepFailed(error=report.error)
    return StepSucceeded(refs=(report.data.id,), result=report.data.model_dump(exclude_none=True))


CALLBACK = Callback(name="videodb/upload", payload=UploadCallback, decide=decide)
CALLBACK_EXPECTED = True


def submit(client: "VideoDb", job: Job, *, callback_url: str) -> Submitted | PollResult:
    """Ask VideoDB to fetch the source. It knows no idempotency key: asked twice, it uploads twice."""
    options = UploadOptions.model_validate(job.request.options.get("upload", {}))
    body = {
        "url": job.request.source,
        "name": options.name,
        "description": options.description,
        "media_type": job.request.media_type,
        "callback_url": callback_url,
    }
    path = f"/collection/{quote(options.collection_id, safe='')}/upload"
    return asynchronous.submit(client, path, body, UploadCallback, decide)


def poll(client: "VideoDb", job: Job, step: Step) -> StepRunning | PollResult:
    """How the upload stands. There is no other way to ask than by its job's id."""
    return asynchronous.poll(client, step.platform_job_id, UploadCallback, decide) or StepRunning()
