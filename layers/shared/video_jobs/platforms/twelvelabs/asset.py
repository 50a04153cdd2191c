"""The first step: TwelveLabs fetches a URL and makes an asset of it, which any index can take."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from video_jobs import jsontext
from video_jobs.jobs.model import Job, PollResult, Step, StepRunning, Submitted
from video_jobs.platforms.twelvelabs import errors, statuses, waiting
from video_jobs.platforms.twelvelabs.waiting import Awaited

if TYPE_CHECKING:
    from video_jobs.platforms.twelvelabs.client import TwelveLabs

STEP = "asset"
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
    user_metadata: UserMetadata | None = Field(default=None, max_length=256)


def submit(client: "TwelveLabs", job: Job, *, callback_url: str) -> Submitted:
    """Ask TwelveLabs to fetch the source. A second try, with the same key, is answered with the first one's asset."""
    options = AssetOptions.model_validate(job.request.options.get(STEP, {}))
    fields = {"method": "url", "url": job.request.source or "", **form(options)}
    answer = client.create_asset(fields, idempotency_key=job.submission_key(STEP))
    asset_id = waiting.named(answer, "_id")
    if asset_id is None:
        raise client.unusable("TwelveLabs has made an asset, and does not say its id")
    return Submitted(platform_job_id=asset_id, platform_status=statuses.word(answer))


def poll(client: "TwelveLabs", job: Job, step: Step) -> StepRunning | PollResult:
    """How the asset stands: since 2026-07-07 one that was made is not ready yet, nor known to be any good."""
    return waiting.poll(ASSET, step, client.asset)


def form(options: BaseModel) -> dict[str, str]:
    """Options as the fields of a form: what is not given is left out."""
    given = options.model_dump(mode="json", exclude_none=True)
    return {name: value if isinstance(value, str) else jsontext.write(value) for name, value in given.items()}
