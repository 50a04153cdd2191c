"""The Jobs table: its items, and every way in which they may change."""

from video_jobs.store.archive import Event, Recorded, event, events
from video_jobs.store.ends import Look, record
from video_jobs.store.moves import (
    cancel,
    checked,
    claim,
    concluded,
    create,
    delete,
    end,
    heard,
    looked_again,
    queue_again,
    reopened,
    resumed,
    retry,
    skip,
    submitted,
)
from video_jobs.store.news import archive_ignored, tell
from video_jobs.store.reads import get, jobs, overdue, owner, postpone
from video_jobs.store.table import SHARDS, ConflictError, Page
from video_jobs.store.tasks import tasks

__all__ = [
    "SHARDS",
    "ConflictError",
    "Event",
    "Look",
    "Page",
    "Recorded",
    "archive_ignored",
    "cancel",
    "checked",
    "claim",
    "concluded",
    "create",
    "delete",
    "end",
    "event",
    "events",
    "get",
    "heard",
    "jobs",
    "looked_again",
    "overdue",
    "owner",
    "postpone",
    "queue_again",
    "record",
    "reopened",
    "resumed",
    "retry",
    "skip",
    "submitted",
    "tasks",
    "tell",
]
