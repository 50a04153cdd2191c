"""The first step: TwelveLabs fetches a URL and makes an asset of it, which any index can take."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from video_jobs import jsontext
from video_jobs.jobs.model import Job, PollResult, Step, StepRunning, Submitted
from video_jobs.platforms import titles
from video_jobs.platforms.errors import RefusedByPlatformError
from video_jobs.platforms.twelvelabs import errors, statuses, waiting
from video_jobs.platforms.twelvelabs.waiting import Awaited

if TYPE_CHECKING:
    from video_jobs.platforms.twelvelabs.client import TwelveLabs

STEP = "asset"
SUBMISSION_KEY = "video_jobs_submission"
CALLBACK_EXPECTED = False

type UserMetadata = dict[str, str | int | FiniteFloat | bool | list[str]]
"""Names and values of one's own (SDK 1.3.6: texts, numbers, booleans and lists of texts)."""

ASSET = Awaited(
    name="asset_id",
    fields=("filename", "file_type", "size", "duration", "technical_metadata", "hls", "thumbnail", "user_metadata"),
    refs=("asset_id",),
    reason="error",
    failed=errors.UPLOAD_FAILED,
)


class AssetOptions(BaseModel):
    """What `POST /assets` takes besides the URL (SDK 1.3.6). What is left out is TwelveLabs' own default."""

    model_config = ConfigDict(extra="forbid")

    filename: str | None = Field(default=None, min_length=1, max_length=1024)
    enable_hls: bool | None = None
    """Whether it is made a stream."""
    enable_thumbnail: bool | None = None
    user_metadata: UserMetadata | None = Field(default=None, max_length=255)

    @field_validator("user_metadata")
    @classmethod
    def _ours_is_ours(cls, metadata: UserMetadata | None) -> UserMetadata | None:
        if SUBMISSION_KEY in (metadata or {}):
            raise ValueError(f"the key {SUBMISSION_KEY} is the stack's own")
        return metadata


def submit(client: "TwelveLabs", job: Job, *, callback_url: str) -> Submitted:
    """Ask TwelveLabs to fetch the source. A second try first looks for the asset that is there, by our mark on it."""
    options = AssetOptions.model_validate(job.request.options.get(STEP, {}))
    mark = {SUBMISSION_KEY: job.submission_key(STEP)}
    before = _made_before(client, job, options, mark) if job.may_be_submitted_already(STEP) else None
    marked = options.model_copy(update={"user_metadata": (options.user_metadata or {}) | mark})
    answer = before or client.create_asset({"method": "url", "url": job.request.source or "", **form(marked)})
    asset_id = waiting.named(answer, "_id")
    if asset_id is None:
        raise client.unusable("TwelveLabs has made an asset, and does not say its id")
    return Submitted(platform_job_id=asset_id, platform_status=statuses.word(answer))


def _made_before(
    client: "TwelveLabs", job: Job, options: AssetOptions, mark: Mapping[str, str]
) -> dict[str, Any] | None:
    """What an earlier try of this round has made, if it is among the newest ones of its name."""
    try:
        listed = client.newest_assets(options.filename or titles.name_of(job.request.source or ""))
    except RefusedByPlatformError:
        return None  # then it is asked for anew
    metadata = ((asset, asset.get("user_metadata")) for asset in listed)
    return next((asset for asset, found in metadata if isinstance(found, dict) and mark.items() <= found.items()), None)


def poll(client: "TwelveLabs", job: Job, step: Step) -> StepRunning | PollResult:
    """How the asset stands: since 2026-07-07 one that was made is not ready yet, nor known to be any good."""
    return waiting.poll(ASSET, step, client.asset)


def form(options: BaseModel) -> dict[str, str]:
    """Options as the fields of a form: what is not given is left out."""
    given = options.model_dump(mode="json", exclude_none=True)
    return {name: value if isinstance(value, str) else jsontext.write(value) for name, value in given.items()}
