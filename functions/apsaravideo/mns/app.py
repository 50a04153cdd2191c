"""Puts what VOD writes into its message queue into the Inbox, if one is configured; it is run every minute."""

from typing import Any

from video_jobs import settings
from video_jobs.callbacks import mns


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """How many messages had which outcome."""
    if not settings.setting("APSARAVIDEO_MNS_QUEUE"):
        return {}
    return mns.drain(remaining=lambda: context.get_remaining_time_in_millis() / 1000)
