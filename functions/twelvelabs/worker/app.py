"""Submits and polls TwelveLabs' steps."""

from video_jobs.platforms.twelvelabs import asset, indexed_asset, task
from video_jobs.platforms.twelvelabs.client import TwelveLabs
from video_jobs.worker.platform import Platform
from video_jobs.worker.worker import worker

handler = worker(
    Platform(
        name="twelvelabs",
        steps={"asset": asset, "indexed_asset": indexed_asset, "task": task},
        client=TwelveLabs(),
    )
)
