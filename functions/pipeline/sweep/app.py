"""Gives everything overdue a new message: its own was lost, with a purged queue or a crash between write and send."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from video_jobs import logs, queues, store
from video_jobs.jobs import JobStatus
from video_jobs.queues import SettleMessage, WorkMessage

BACKLOG = 100
"""Messages: a queue with more of them has not lost a job's, but not come to it yet."""
TRUSTED_FOR = timedelta(hours=6)
"""How long a backlog explains that a job does not move."""


class NotSweptError(Exception):
    """Some overdue jobs could not be given a message: the log says which and why."""


logger = logs.logger()

# What is left is found by the next sweep: it is still overdue.
_STOP_BEFORE_TIMEOUT_MS = 10_000


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    found = failed = 0
    backlog = cache(queues.backlog)
    for item in store.overdue():
        if context.get_remaining_time_in_millis() < _STOP_BEFORE_TIMEOUT_MS:
            logger.warning("out of time")
            break
        logger.append_keys(provider=item.get("provider"), job_id=item.get("job_id"), item=item["pk"])
        try:
            if _is_waiting(item) and backlog(item["provider"]) > BACKLOG:
                continue
            # sent before it is noted: a crash between the two sends twice, which is harmless
            _send(item)
            store.postpone(item)
        except Exception:  # one that cannot be helped must not keep the others from it
            logger.exception("not swept")
            failed += 1
        else:
            logger.info("overdue")
            found += 1
    with single_metric(name="JobsOverdue", unit=MetricUnit.Count, value=found + failed):
        if failed:
            raise NotSweptError(f"{failed} of {found + failed} overdue jobs")  # for the alarm on the function's errors
        return {"overdue": found}


def _is_waiting(item: Mapping[str, Any]) -> bool:
    """Whether this is a job that may only be waiting for its turn in a long queue: one that has not begun."""
    overdue_for = datetime.now(UTC) - datetime.fromisoformat(item["due_at"])
    return item.get("status") == JobStatus.PENDING and overdue_for < TRUSTED_FOR


def _send(item: Mapping[str, Any]) -> None:
    match item["sk"]:
        case "BATCH":
            queues.send_batch_work(SettleMessage(batch_id=item["pk"].removeprefix("BATCH#")))
        case "WORK":
            queues.send_batch_work(WorkMessage(work_id=item["pk"].removeprefix("WORK#")))
        case _:
            queues.send_start(item["provider"], item["job_id"])
