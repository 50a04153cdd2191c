"""The step that makes a video searchable by what is seen in it."""

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from video_jobs.jobs.model import Job, PollResult, Step, StepEnd, StepFailed, StepRunning, StepSucceeded, Submitted
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.lenient import Lenient
from video_jobs.platforms.videodb import asynchronous, existing
from video_jobs.platforms.videodb.media import media_id
from video_jobs.platforms.videodb.payloads import Id, Payload, Report

if TYPE_CHECKING:
    from video_jobs.platforms.videodb.client import VideoDb


class IndexScenesOptions(BaseModel):
    """What VideoDB takes (SDK 0.5.1, `Video.index_scenes`)."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    extraction_type: Literal["shot", "time", "transcript"] = "shot"
    extraction_config: dict[str, JsonValue] = {}
    """For shot: threshold, frame_count; for time: time (seconds), frame_count or select_frames."""
    prompt: str | None = Field(default=None, max_length=20_000)
    """What to describe in each scene."""
    metadata: dict[str, JsonValue] | None = None
    model_name: str | None = Field(default=None, max_length=256)
    ai_model_config: dict[str, JsonValue] | None = Field(default=None, alias="model_config")
    name: str | None = Field(default=None, max_length=256)
    """The index's name; by default one that names the job, so that a poll can find it."""
    scenes: list[JsonValue] | None = None
    """Scenes of an earlier extraction, instead of extracting them."""
    sandbox_id: str | None = Field(default=None, max_length=256)


class SceneIndex(Payload):
    scene_index_id: Lenient[Id] = None


class IndexScenesCallback(Report):
    """No copy of the documented payload exists; the synchronous result has `data.scene_index_id`.

    VideoDB SDK 0.5.1, `Video.index_scenes`; shape inferred (providers' facts, A1.4).
    """

    data: Lenient[SceneIndex] = None


def decide(report: IndexScenesCallback) -> StepEnd:
    """What the callback means. A message that an index exists already names the one that was asked for."""
    exists = existing.id_of(report.message)
    if not report.success and not exists:
        return StepFailed(error=report.error)
    scene_index_id = exists or (report.data and report.data.scene_index_id)
    return StepSucceeded(result={"scene_index_id": scene_index_id} if scene_index_id else {})


CALLBACK = Callback(name="videodb/index_scenes", payload=IndexScenesCallback, decide=decide)
CALLBACK_EXPECTED = True


def submit(client: "VideoDb", job: Job, *, callback_url: str) -> Submitted | PollResult:
    """Ask VideoDB to describe and index the video's scenes."""
    options = _options(job)
    body = options.model_dump(by_alias=True) | {"name": _name(job, options), "callback_url": callback_url}
    return asynchronous.submit(client, _path(job), body, IndexScenesCallback, decide)


def poll(client: "VideoDb", job: Job, step: Step) -> StepRunning | PollResult:
    """How the index stands: the job's answer, or else the index that bears the job's name."""
    found = asynchronous.poll(client, step.platform_job_id, IndexScenesCallback, decide)
    if found is not None:
        return found
    options = _options(job)
    if options.name:
        return StepRunning()  # an older index may have the caller's name
    data = client.get(_path(job)).get("data")
    listed = data.get("scene_indexes") if isinstance(data, dict) else None
    name = _name(job, options)
    indexes = listed if isinstance(listed, list) else []
    ours = [index for index in indexes if isinstance(index, dict) and index.get("name") == name]
    return _stands(ours[-1]) if ours else StepRunning()


def _stands(index: dict[str, Any]) -> StepRunning | PollResult:
    """What a listed index's status means; VideoDB does not document its words."""
    status = index.get("status")
    good = asynchronous.succeeded(status)
    if good is None:
        return StepRunning(platform_status=status if isinstance(status, str) else None)
    said = {"success": good, "data": index, "message": index.get("message")}
    return PollResult(end=decide(IndexScenesCallback.model_validate(said)), body=index)


def _options(job: Job) -> IndexScenesOptions:
    return IndexScenesOptions.model_validate(job.request.options.get("index_scenes", {}))


def _name(job: Job, options: IndexScenesOptions) -> str:
    return options.name or f"video-jobs {job.job_id}"


def _path(job: Job) -> str:
    return f"/video/{quote(media_id(job), safe='')}/index/scene"
