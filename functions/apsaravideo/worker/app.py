"""Submits and polls ApsaraVideo VOD's step."""

from video_jobs import settings
from video_jobs.jobs.model import Job
from video_jobs.platforms.apsaravideo import upload_by_url
from video_jobs.platforms.apsaravideo.client import Vod
from video_jobs.worker.platform import Platform
from video_jobs.worker.worker import worker


def configured_url(_job: Job, _name: str) -> str:
    """VOD signs the URL that it was given, so it is always the same one.

    None with a message queue: an upload's own URL would go before the account's setting (VOD's page "Specify multiple
    callback URLs"), past the queue, and nothing would say that it must be signed.
    """
    return "" if settings.setting("APSARAVIDEO_MNS_QUEUE") else settings.setting("APSARAVIDEO_CALLBACK_URL")


handler = worker(
    Platform(
        name="apsaravideo",
        steps={"upload_by_url": upload_by_url},
        callback_url=configured_url,
        client=Vod(),
    )
)
