"""Which steps a TwelveLabs job has: an asset that is indexed, or a task, which does both and will be removed."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from video_jobs.platforms.twelvelabs.asset import AssetOptions
from video_jobs.platforms.twelvelabs.indexed_asset import IndexedAssetOptions
from video_jobs.platforms.twelvelabs.payloads import Id
from video_jobs.platforms.twelvelabs.task import TaskOptions

type StepName = Literal["asset", "indexed_asset", "task"]
type Plan = Literal["asset", "task"]

PLANS: Mapping[Plan, tuple[StepName, ...]] = {"asset": ("asset", "indexed_asset"), "task": ("task",)}
"""In the order in which they run."""


class Options(BaseModel):
    """Which index the video goes into, and what each step is asked for."""

    model_config = ConfigDict(extra="forbid")

    index_id: Id
    asset: AssetOptions = AssetOptions()
    indexed_asset: IndexedAssetOptions = IndexedAssetOptions()
    task: TaskOptions = TaskOptions()


def steps(plan: Plan, *, uploaded: bool) -> tuple[StepName, ...]:
    """The steps of a plan, for a source or for an asset that TwelveLabs has already."""
    return PLANS[plan][1:] if uploaded else PLANS[plan]
