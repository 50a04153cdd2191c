"""What `POST /jobs` takes for api.video."""

from typing import Literal, Self

from pydantic import Field, model_validator

from video_jobs.jobs.model import Job
from video_jobs.platforms.apivideo.plan import STEPS, Options, StepName, plan
from video_jobs.platforms.job_request import JobRequest


class ApiVideoJobRequest(JobRequest):
    """A video for api.video: fetched from its URL and encoded, or encoded already."""

    provider: Literal["apivideo"]
    steps: list[StepName] | None = Field(default=None, min_length=1)
    """Which steps of the plan; all that fit if there is none. They run in their order."""
    options: Options = Options()

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if self.media_id and "upload" in (self.steps or ()):
            raise ValueError("a video that api.video has already is not uploaded again")
        if self.source and self.steps and "upload" not in self.steps:
            raise ValueError("a source must be uploaded: add the step upload, or give a media_id")
        return self

    def new_job(self, job_id: str) -> Job:
        """The job that this asks for."""
        fitting = plan(uploaded=self.media_id is not None)
        chosen = tuple(step for step in STEPS if step in (self.steps or fitting))
        include = {str(step) for step in chosen}
        options = self.options.model_dump(mode="json", by_alias=True, exclude_none=True, include=include)
        return self.job(provider=self.provider, plan=chosen, options=options, job_id=job_id)
