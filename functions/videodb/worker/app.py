"""Submits and polls VideoDB's steps."""

from video_jobs.platforms.videodb import extract_scenes, index_scenes, index_spoken_words, upload
from video_jobs.platforms.videodb.client import VideoDb
from video_jobs.platforms.videodb.plan import applies
from video_jobs.worker.platform import Platform, token_url
from video_jobs.worker.worker import worker

handler = worker(
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
