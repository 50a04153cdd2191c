"""Submits and polls api.video's steps."""

from video_jobs.platforms.apivideo import encoding, upload
from video_jobs.platforms.apivideo.client import ApiVideo
from video_jobs.worker.platform import Platform
from video_jobs.worker.worker import worker

handler = worker(
    Platform(
        name="apivideo",
        steps={"upload": upload, "encoding": encoding},
        client=ApiVideo(),
    )
)
