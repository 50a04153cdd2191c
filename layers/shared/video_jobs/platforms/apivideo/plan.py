"""Which steps an api.video job has: a source is uploaded and encoded; a video that is there already is encoded."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from video_jobs.platforms.apivideo.upload import UploadOptions

type StepName = Literal["upload", "encoding"]

STEPS: tuple[StepName, ...] = ("upload", "encoding")
"""In the order in which they run."""


class Options(BaseModel):
    """What each step is asked for: the encoding is asked for nothing, the upload sets it off."""

    model_config = ConfigDict(extra="forbid")

    upload: UploadOptions = UploadOptions()


def plan(*, uploaded: bool) -> tuple[StepName, ...]:
    """The steps for a source, or for a video that api.video has already."""
    return STEPS[1:] if uploaded else STEPS
