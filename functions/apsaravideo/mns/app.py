"""Takes the events that VOD writes into its message queue, if one is configured; it is run every minute."""

from typing import Any

from video_jobs import settings
from video_jobs.callbacks import receiver
from video_jobs.platforms.apsaravideo import mns
from video_jobs.platforms.apsaravideo.payloads import Event, read
from video_jobs.platforms.apsaravideo.upload_by_url import decide

receive = receiver("apsaravideo/upload_by_url_complete", Event, decide, read=read)


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """How many messages had which outcome."""
    if not settings.setting("APSARAVIDEO_MNS_QUEUE"):
        return {}
    return mns.drain(receive, remaining=lambda: context.get_remaining_time_in_millis() / 1000)
