"""The second step: an index takes an asset.

Whether webhooks are called at its end is not documented. If they are, the event finds this step by the indexed asset's
id; polls find out the same.
"""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from video_jobs.jobs.model import Job, PollResult, Step, StepRunning, Submitted
from video_jobs.platforms.errors import RefusedByPlatformError
from video_jobs.platforms.twelvelabs import errors, statuses, waiting
from video_jobs.platforms.twelvelabs.asset import UserMetadata
from video_jobs.platforms.twelvelabs.payloads import Id
from video_jobs.platforms.twelvelabs.waiting import Awaited

if TYPE_CHECKING:
    from video_jobs.platforms.twelvelabs.client import TwelveLabs

STEP = "indexed_asset"
CALLBACK_EXPECTED = False

INDEXED_ASSET = Awaited(
    name="indexed_asset_id",
    fields=("asset_id", "system_metadata", "hls", "indexed_at", "user_metadata"),
    refs=("indexed_asset_id",),
    reason="error",  # no field is documented; other resources have this one (inferred)
    failed=errors.INDEXING_FAILED,
)


class IndexedAssetOptions(BaseModel):
    """What `POST /indexes/{index_id}/indexed-assets` takes (SDK 1.3.6)."""

    model_config = ConfigDict(extra="forbid")

    enable_video_stream: bool | None = None
    """Whether TwelveLabs keeps the video for streaming."""
    user_metadata: UserMetadata | None = Field(default=None, max_length=256)


class _Asked(IndexedAssetOptions):
    """The step's options in a job: the index is there as well."""

    index_id: Id


def submit(client: "TwelveLabs", job: Job, *, callback_url: str) -> Submitted:
    """Ask an index to take the asset. A second try first looks whether the index has it."""
    asked = _Asked.model_validate(job.request.options.get(STEP, {}))
    body = {"asset_id": _asset_id(job), **asked.model_dump(mode="json", exclude_none=True, exclude={"index_id"})}
    before = _indexed_before(client, job, asked.index_id) if job.may_be_submitted_already(STEP) else None
    answer = before or client.index_asset(asked.index_id, body)
    indexed_asset_id = waiting.named(answer, "_id")
    if indexed_asset_id is None:
        raise client.unusable("TwelveLabs has taken the asset, and does not say the indexed asset's id")
    return Submitted(platform_job_id=indexed_asset_id, platform_status=statuses.word(answer), refs=(indexed_asset_id,))


def _indexed_before(client: "TwelveLabs", job: Job, index_id: str) -> dict[str, Any] | None:
    """The asset in this index, but for what the job knows to have failed."""
    try:
        listed = client.indexed_assets_of(_asset_id(job))
    except RefusedByPlatformError:
        return None  # then it is asked for anew
    found = ((one, one.get("index")) for one in listed if one.get("_id") not in job.refs)
    return next((one for one, index in found if isinstance(index, dict) and index.get("_id") == index_id), None)


def poll(client: "TwelveLabs", job: Job, step: Step) -> StepRunning | PollResult:
    """How the indexed asset stands."""
    index_id = _Asked.model_validate(job.request.options.get(STEP, {})).index_id
    return waiting.poll(INDEXED_ASSET, step, lambda ours: client.indexed_asset(index_id, ours))


def _asset_id(job: Job) -> str:
    """The asset that the job has made, or that it was given."""
    asset = job.steps.get("asset")
    found = asset.result.get("asset_id") if asset and asset.result else job.request.media_id
    if not found:
        raise ValueError(f"job {job.job_id} has no asset yet")
    return str(found)
