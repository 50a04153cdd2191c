"""Gives every overdue job a new message: its own was lost, with a purged queue or a crash between write and send."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from video_jobs import queues, store


class NotSweptError(Exception):
    """Some overdue jobs could not be given a message: the log says which and why."""


logger = Logger(serialize_stacktrace=False)

# What is left is found by the next sweep: it is still overdue.
_STOP_BEFORE_TIMEOUT_MS = 10_000


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    found = failed = 0
    for job in store.overdue():
        if context.get_remaining_time_in_millis() < _STOP_BEFORE_TIMEOUT_MS:
            logger.warning("out of time")
            break
        logger.append_keys(provider=job["provider"], job_id=job["job_id"])
        try:
            # sent before it is noted: a crash between the two sends twice, which is harmless
            queues.send_start(job["provider"], job["job_id"])
            store.postpone(job["job_id"], due_at=job["due_at"])
        except Exception:  # one job that cannot be helped must not keep the others from it
            logger.exception("not swept")
            failed += 1
        else:
            logger.info("overdue")
            found += 1
    with single_metric(name="JobsOverdue", unit=MetricUnit.Count, value=found + failed):
        if failed:
            raise NotSweptError(f"{failed} of {found + failed} overdue jobs")  # for the alarm on the function's errors
        return {"overdue": found}
