"""Which steps a job of ApsaraVideo VOD has: the upload alone. What follows it, its template group or workflow says."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from video_jobs.platforms.apsaravideo.upload_by_url import UploadByUrlOptions

type StepName = Literal["upload_by_url"]

STEPS: tuple[StepName, ...] = ("upload_by_url",)


class Options(BaseModel):
    """What each step is asked for."""

    model_config = ConfigDict(extra="forbid")

    upload_by_url: UploadByUrlOptions = UploadByUrlOptions()
