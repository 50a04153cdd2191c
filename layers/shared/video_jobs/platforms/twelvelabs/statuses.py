"""TwelveLabs' words for how something stands, in our vocabulary: one list for tasks, assets and indexed assets.

TwelveLabs page "Video indexing tasks" has uploading, validating, pending, queued, indexing, ready and failed; assets
have processing, ready and failed. Its other resources end as canceled, expired and error: taken as failures, too, where
they should come (inferred). Any other word means that there is more to come.
"""

from collections.abc import Mapping
from typing import Any

from video_jobs.jobs.model import StepStatus

OURS: Mapping[str, StepStatus] = {
    **dict.fromkeys(("uploading", "validating", "pending", "queued", "indexing", "processing"), StepStatus.RUNNING),
    "ready": StepStatus.SUCCEEDED,
    **dict.fromkeys(("failed", "canceled", "expired", "error"), StepStatus.FAILED),
}

PROGRESS: Mapping[str, float] = {
    "uploading": 0.1,
    "validating": 0.2,
    "pending": 0.3,
    "queued": 0.4,
    "processing": 0.5,
    "indexing": 0.5,
}
"""How far something is, 0 to 1. Ours, after the order of the words: TwelveLabs has no fraction."""


def word(body: Mapping[str, Any]) -> str | None:
    """TwelveLabs' own word in an answer."""
    found = body.get("status")
    return found[:64] if isinstance(found, str) and found else None


def ours(theirs: str | None) -> StepStatus:
    """Pages write the words with a capital, answers without."""
    return OURS.get((theirs or "").strip().lower(), StepStatus.RUNNING)


def progress(theirs: str | None) -> float | None:
    return PROGRESS.get((theirs or "").strip().lower())
