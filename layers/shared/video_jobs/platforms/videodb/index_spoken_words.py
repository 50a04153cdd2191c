"""The step that makes a video searchable by what is said in it."""

from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from video_jobs.jobs.model import Job, PollResult, Step, StepEnd, StepFailed, StepRunning, StepSucceeded, Submitted
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.lenient import Lenient
from video_jobs.platforms.videodb import asynchronous, existing
from video_jobs.platforms.videodb.media import media_id
from video_jobs.platforms.videodb.payloads import Payload, Report

if TYPE_CHECKING:
    from video_jobs.platforms.videodb.client import VideoDb


class IndexSpokenWordsOptions(BaseModel):
    """What VideoDB takes (SDK 0.5.1, `Video.index_spoken_words`)."""

    model_config = ConfigDict(extra="forbid")

    language_code: str | None = Field(default=None, max_length=32)
    """For example "en_us"; VideoDB finds out by itself if there is none."""
    segmentation_type: Literal["sentence", "llm"] = "sentence"
    force: bool = False
    """Index anew if there is an index already."""


class Indexed(Payload):
    """What the docs' handler reads of the callback: which video is ready."""

    id: Lenient[str] = None


class IndexSpokenWordsCallback(Report):
    """No copy of the documented payload exists; the docs' handler reads `data.id`, others send only a message.

    VideoDB page "Async patterns", section Indexing Callbacks; shapes inferred (providers' facts, A1.3).
    """

    data: Lenient[Indexed] = None


def decide(report: IndexSpokenWordsCallback) -> StepEnd:
    """What the callback means. An index that exists already is what was asked for."""
    if report.success or existing.says_so(report.message):
        return StepSucceeded(result=report.data.model_dump(exclude_none=True) if report.data else {})
    return StepFailed(error=report.error)


CALLBACK = Callback(name="videodb/index_spoken_words", payload=IndexSpokenWordsCallback, decide=decide)
CALLBACK_EXPECTED = True


def submit(client: "VideoDb", job: Job, *, callback_url: str) -> Submitted | PollResult:
    """Ask VideoDB to index the video's speech. Asked twice, it answers that the index exists."""
    body = {"index_type": "spoken_word", **_options(job).model_dump(), "callback_url": callback_url}
    path = f"/video/{quote(media_id(job), safe='')}/index"
    return asynchronous.submit(client, path, body, IndexSpokenWordsCallback, decide)


def poll(client: "VideoDb", job: Job, step: Step) -> StepRunning | PollResult:
    """How the index stands: the job's answer, or else the index's own status (OpenAPI `GET /video/{id}/index/`)."""
    found = asynchronous.poll(client, step.platform_job_id, IndexSpokenWordsCallback, decide)
    if found is not None:
        return found
    if _options(job).force:
        return StepRunning()  # the status may be that of the index that is being replaced
    answer = client.get(f"/video/{quote(media_id(job), safe='')}/index/?index_type=spoken_word&engine=default")
    status = answer.get("status")
    good = asynchronous.succeeded(status)
    if good is None:
        return StepRunning(platform_status=status if isinstance(status, str) else None)
    return PollResult(end=decide(IndexSpokenWordsCallback.model_validate(answer | {"success": good})), body=answer)


def _options(job: Job) -> IndexSpokenWordsOptions:
    return IndexSpokenWordsOptions.model_validate(job.request.options.get("index_spoken_words", {}))
