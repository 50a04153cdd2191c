"""What `POST /jobs` takes for ApsaraVideo VOD."""

from typing import Literal, Self

from pydantic import Field, model_validator

from video_jobs.jobs.model import Job
from video_jobs.platforms.apsaravideo.plan import STEPS, Options, StepName
from video_jobs.platforms.job_request import JobRequest


class ApsaraVideoJobRequest(JobRequest):
    """A video or audio file for ApsaraVideo VOD, fetched from its URL."""

    provider: Literal["apsaravideo"]
    steps: list[StepName] | None = Field(default=None, min_length=1)
    """There is only one."""
    options: Options = Options()

    @model_validator(mode="after")
    def _there_is_something_to_fetch(self) -> Self:
        if self.source is None:
            raise ValueError("ApsaraVideo VOD fetches a source: a medium that it has already needs no upload")
        return self

    def new_job(self, job_id: str) -> Job:
        """The job that this asks for."""
        options = self.options.model_dump(mode="json")
        return self.job(provider=self.provider, plan=STEPS, options=options, job_id=job_id)
