"""Starts and checks VideoDB's steps."""

from video_jobs.platforms.videodb import extract_scenes, index_scenes, index_spoken_words, upload
from video_jobs.platforms.videodb.client import VideoDb
from video_jobs.platforms.videodb.plan import applies
from video_jobs.steps import Platform, steps_worker, token_url

handler = steps_worker(
    Platform(
        name="videodb",
        steps={
            "upload": upload,
            "index_spoken_words": index_spoken_words,
            "index_scenes": index_scenes,
            "extract_scenes": extract_scenes,
        },
        applies=applies,
        callback_url=token_url,
        client=VideoDb(),
    )
)
