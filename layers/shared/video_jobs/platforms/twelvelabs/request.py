"""What `POST /jobs` takes for TwelveLabs."""

from typing import Literal, Self

from pydantic import model_validator

from video_jobs.jobs.model import Job
from video_jobs.platforms.job_request import JobRequest
from video_jobs.platforms.twelvelabs.payloads import Id
from video_jobs.platforms.twelvelabs.plan import Options, Plan, StepName, steps


class TwelveLabsJobRequest(JobRequest):
    """A video for an index of TwelveLabs: from its URL, or an asset that TwelveLabs has already."""

    provider: Literal["twelvelabs"]
    media_id: Id | None = None
    """An asset's id: then it is only indexed."""
    plan: Plan = "asset"
    """`asset`: the steps asset and indexed_asset. `task`: one step that does both, which TwelveLabs will remove."""
    options: Options

    @model_validator(mode="after")
    def _the_plan_fits(self) -> Self:
        if not self._steps:
            raise ValueError("a task fetches a source: for an asset that TwelveLabs has already take the plan asset")
        unused = {"asset", "indexed_asset", "task"} & self.options.model_fields_set - set(self._steps)
        if unused:
            raise ValueError(f"there are options for steps that the job does not have: {', '.join(sorted(unused))}")
        return self

    @property
    def _steps(self) -> tuple[StepName, ...]:
        return steps(self.plan, uploaded=self.media_id is not None)

    def new_job(self, job_id: str) -> Job:
        """The job that this asks for."""
        include = {str(step) for step in self._steps}
        options = self.options.model_dump(mode="json", exclude_none=True, include=include)
        for indexing in options.keys() & {"indexed_asset", "task"}:
            options[indexing]["index_id"] = self.options.index_id
        return self.job(provider=self.provider, plan=self._steps, options=options, job_id=job_id)
