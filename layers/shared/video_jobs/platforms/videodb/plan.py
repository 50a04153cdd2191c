"""Which steps a VideoDB job has: video, all of them; audio and image, the upload alone."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from video_jobs.jobs.model import Job, MediaType
from video_jobs.platforms.videodb.extract_scenes import ExtractScenesOptions
from video_jobs.platforms.videodb.index_scenes import IndexScenesOptions
from video_jobs.platforms.videodb.index_spoken_words import IndexSpokenWordsOptions
from video_jobs.platforms.videodb.media import kind, media_id
from video_jobs.platforms.videodb.upload import UploadOptions

type StepName = Literal["upload", "index_spoken_words", "index_scenes", "extract_scenes"]

STEPS: tuple[StepName, ...] = ("upload", "index_spoken_words", "index_scenes", "extract_scenes")
"""In the order in which they run. VideoDB indexes videos only."""


class Options(BaseModel):
    """What each step is asked for."""

    model_config = ConfigDict(extra="forbid")

    upload: UploadOptions = UploadOptions()
    index_spoken_words: IndexSpokenWordsOptions = IndexSpokenWordsOptions()
    index_scenes: IndexScenesOptions = IndexScenesOptions()
    extract_scenes: ExtractScenesOptions = ExtractScenesOptions()


def plan(media_type: MediaType | None, *, uploaded: bool) -> tuple[StepName, ...]:
    """The steps for a medium of this type (None: not known, so as for a video), without the upload if it is done."""
    steps: tuple[StepName, ...] = STEPS if media_type in ("video", None) else ("upload",)
    return steps[1:] if uploaded else steps


def applies(job: Job, step: str) -> bool:
    """Whether a step makes sense for what the upload turned out to be: only a video is indexed."""
    return step == "upload" or kind(media_id(job)) in ("video", None)
