"""The Jobs table: its items, and every way in which they may change."""

from video_jobs.store.archive import Event, Recorded, event, events
from video_jobs.store.ends import record
from video_jobs.store.moves import (
    cancel,
    checked,
    claim,
    create,
    delete,
    end,
    heard,
    postpone,
    queue_again,
    retry,
    skip,
    submitted,
)
from video_jobs.store.news import archive_ignored, tell
from video_jobs.store.reads import get, jobs, jobs_of_batch, overdue
from video_jobs.store.table import SHARDS, ConflictError, Page

__all__ = [
    "SHARDS",
    "ConflictError",
    "Event",
    "Page",
    "Recorded",
    "archive_ignored",
    "cancel",
    "checked",
    "claim",
    "create",
    "delete",
    "end",
    "event",
    "events",
    "get",
    "heard",
    "jobs",
    "jobs_of_batch",
    "overdue",
    "postpone",
    "queue_again",
    "record",
    "retry",
    "skip",
    "submitted",
    "tell",
]
