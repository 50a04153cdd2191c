"""Starts and checks api.video's steps."""

from video_jobs.platforms.apivideo import encoding, upload
from video_jobs.platforms.apivideo.client import ApiVideo
from video_jobs.platforms.apivideo.plan import applies
from video_jobs.steps import Platform, no_url, steps_worker

handler = steps_worker(
    Platform(
        name="apivideo",
        steps={"upload": upload, "encoding": encoding},
        applies=applies,
        callback_url=no_url,
        client=ApiVideo(),
    )
)
