"""The step that cuts a video into scenes and takes frames of them."""

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, JsonValue

from video_jobs.jobs.model import Job, PollResult, Step, StepEnd, StepFailed, StepRunning, StepSucceeded, Submitted
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.lenient import Lenient
from video_jobs.platforms.videodb import asynchronous, existing
from video_jobs.platforms.videodb.media import media_id
from video_jobs.platforms.videodb.payloads import Id, Payload, Report

if TYPE_CHECKING:
    from video_jobs.platforms.videodb.client import VideoDb


class ExtractScenesOptions(BaseModel):
    """What VideoDB takes (SDK 0.5.1, `Video.extract_scenes`)."""

    model_config = ConfigDict(extra="forbid")

    extraction_type: Literal["shot", "time", "transcript"] = "shot"
    extraction_config: dict[str, JsonValue] = {}
    force: bool = False
    """Extract anew if such a collection exists already."""


class SceneCollection(Payload):
    scene_collection_id: Lenient[Id] = None
    scenes: Lenient[list[Any]] = None


class Extracted(Payload):
    """The collection, or only its id."""

    scene_collection: Lenient[SceneCollection] = None
    scene_collection_id: Lenient[Id] = None


class ExtractScenesCallback(Report):
    """No copy of the documented payload exists; the synchronous result has `data.scene_collection`.

    VideoDB SDK 0.5.1, `Video.extract_scenes`; shape inferred (providers' facts, A1.5).
    """

    data: Lenient[Extracted] = None


def decide(report: ExtractScenesCallback) -> StepEnd:
    """What the callback means. A message that a collection exists already names the one that was asked for.

    The scenes themselves stay in the archived body: they may be many, and VideoDB has them.
    """
    exists = existing.id_of(report.message)
    if not report.success and not exists:
        return StepFailed(error=report.error)
    if exists:
        return StepSucceeded(result={"scene_collection_id": exists})
    data = report.data or Extracted()
    collection = data.scene_collection or SceneCollection()
    found = collection.scene_collection_id or data.scene_collection_id
    result: dict[str, Any] = {"scene_collection_id": found} if found else {}
    if collection.scenes is not None:
        result["scenes"] = len(collection.scenes)
    return StepSucceeded(result=result)


CALLBACK = Callback(name="videodb/extract_scenes", payload=ExtractScenesCallback, decide=decide)
CALLBACK_EXPECTED = True


def submit(client: "VideoDb", job: Job, *, callback_url: str) -> Submitted | PollResult:
    """Ask VideoDB to extract the video's scenes."""
    options = ExtractScenesOptions.model_validate(job.request.options.get("extract_scenes", {}))
    body = options.model_dump() | {"callback_url": callback_url}
    return asynchronous.submit(client, _path(job), body, ExtractScenesCallback, decide)


def poll(client: "VideoDb", job: Job, step: Step) -> StepRunning | PollResult:
    """How the extraction stands: the job's answer, or else the only collection of a video that the job uploaded.

    Of a video that was there before, nobody knows which collection is ours: the callback, or the deadline, decides.
    """
    found = asynchronous.poll(client, step.platform_job_id, ExtractScenesCallback, decide)
    if found is not None:
        return found
    if "upload" not in job.steps:
        return StepRunning()
    data = client.get(_path(job)).get("data")
    match data.get("scene_collections") if isinstance(data, dict) else None:
        case [dict(collection)]:
            said = {"success": True, "data": {"scene_collection": collection}}
            return PollResult(end=decide(ExtractScenesCallback.model_validate(said)), body=said)
        case _:
            return StepRunning()


def _path(job: Job) -> str:
    return f"/video/{quote(media_id(job), safe='')}/scenes"
