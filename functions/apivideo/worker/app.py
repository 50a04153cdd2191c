"""Submits and polls api.video's steps."""

from video_jobs.platforms.apivideo import encoding, upload
from video_jobs.platforms.apivideo.client import ApiVideo
from video_jobs.platforms.apivideo.plan import applies
from video_jobs.worker.platform import Platform, no_url
from video_jobs.worker.worker import worker

handler = worker(
    Platform(
        name="apivideo",
        steps={"upload": upload, "encoding": encoding},
        applies=applies,
        callback_url=no_url,
        client=ApiVideo(),
    )
)
