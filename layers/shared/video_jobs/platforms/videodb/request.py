"""What `POST /jobs` takes for VideoDB."""

from typing import Literal, Self

from pydantic import Field, model_validator

from video_jobs.jobs.model import Job
from video_jobs.platforms.job_request import JobRequest
from video_jobs.platforms.videodb.media import kind
from video_jobs.platforms.videodb.plan import STEPS, Options, StepName, plan


class VideoDbJobRequest(JobRequest):
    """A video, audio file or image for VideoDB: uploaded and, if it is a video, indexed."""

    provider: Literal["videodb"]
    steps: list[StepName] | None = Field(default=None, min_length=1)
    """Which steps of the plan; all that fit the medium if there is none. They run in VideoDB's order."""
    options: Options = Options()

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        fitting = self._fitting()
        if not fitting:
            raise ValueError("a medium that VideoDB has already can only be indexed, and only a video can be")
        unfit = [step for step in self.steps or () if step not in fitting]
        if unfit:
            raise ValueError(f"these steps do not fit the medium: {', '.join(unfit)}")
        if self.source and self.steps and "upload" not in self.steps:
            raise ValueError("a source must be uploaded: add the step upload, or give a media_id")
        return self

    def _fitting(self) -> tuple[StepName, ...]:
        known = kind(self.media_id) if self.media_id else None
        return plan(self.media_type or known, uploaded=self.media_id is not None)

    def new_job(self, job_id: str) -> Job:
        """The job that this asks for."""
        chosen = tuple(step for step in STEPS if step in (self.steps or self._fitting()))
        options = self.options.model_dump(mode="json", by_alias=True, include={str(step) for step in chosen})
        return self.job(provider=self.provider, plan=chosen, options=options, job_id=job_id)
