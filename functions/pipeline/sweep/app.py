"""Sends again what overdue jobs and batches call for: their messages were lost, or never sent after a crash."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import batched, islice
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from video_jobs import clock, logs
from video_jobs.aws import queues
from video_jobs.jobs.messages import Look
from video_jobs.platforms.requests import PROVIDERS
from video_jobs.store import due
from video_jobs.store.counts import LOOK_SECONDS
from video_jobs.store.table import SHARDS

BACKLOG = 100
"""Messages: a queue with more of them has not lost a job's, but not come to it yet."""
TRUSTED_SECONDS = 6 * 3600
"""How long a backlog explains that something does not move."""
SWEPT_AGAIN_SECONDS = 900
"""After how long something is swept again that has not moved by then."""
MOST_OF_A_SHARD = 500
"""How much one sweep takes of each index partition. What is left is found by the next one: it is still overdue."""
STOP_BEFORE_TIMEOUT_MS = 10_000
_AT_ONCE = 10


class NotSweptError(Exception):
    """Something overdue could not be given a message: the log says what and why."""


logger = logs.logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    found = failed = 0
    backlog = cache(queues.backlog)
    for shard in _shards():
        if context.get_remaining_time_in_millis() < STOP_BEFORE_TIMEOUT_MS:
            logger.warning("out_of_time")
            break
        swept, not_swept = _sweep(shard, backlog, context.get_remaining_time_in_millis)
        found += swept
        failed += not_swept
    with single_metric(name="JobsOverdue", unit=MetricUnit.Count, value=found + failed):
        if failed:
            raise NotSweptError(f"{failed} of {found + failed}")  # for the alarm on the function's errors
        return {"overdue": found}


def _shards() -> list[str]:
    """In any order: what is always left of one of them must not always be the same ones'."""
    shards = [f"{name}#{shard}" for name in (*PROVIDERS, "batch", "work") for shard in range(SHARDS)]
    return random.sample(shards, len(shards))


def _sweep(shard: str, backlog: Callable[[str], int], remaining: Callable[[], int]) -> tuple[int, int]:
    """Sweep a shard; of how much of it something was sent, and could not be."""
    found = failed = 0
    name = shard.split("#", maxsplit=1)[0]
    try:
        is_long = backlog(_queue_url(name)) > BACKLOG
        before = clock.after(clock.now(), -TRUSTED_SECONDS if is_long else 0)
        for items in batched(islice(due.overdue(shard, before=before), MOST_OF_A_SHARD), _AT_ONCE, strict=False):
            if remaining() < STOP_BEFORE_TIMEOUT_MS:
                break
            failed += len(items)
            # sent before it is noted: a crash between the two sends twice, which is harmless
            _SENDERS.get(name, _send_looks)(items)
            for item in items:
                due.postpone(item, seconds=LOOK_SECONDS if name == "batch" else SWEPT_AGAIN_SECONDS)
                logger.info("overdue", extra={"item": item["pk"], "due_at": item["due_at"]})
            failed -= len(items)
            found += len(items)
    except Exception:  # one shard that cannot be helped must not keep the others from it
        logger.exception("not_swept", extra={"shard": shard})
        failed = max(failed, 1)
    return found, failed


def _queue_url(name: str) -> str:
    return queues.batches_queue_url() if name in _SENDERS else queues.worker_queue_url(name)


def _send_looks(items: Sequence[Mapping[str, Any]]) -> None:
    """What `messages` gives for jobs that are due, from their keys alone."""
    now = clock.now()
    queues.send_looks(
        Look(provider=item["shard"].split("#", maxsplit=1)[0], job_id=item["pk"].removeprefix("JOB#"), due_at=now)
        for item in items
    )


def _send_batches(items: Iterable[Mapping[str, Any]]) -> None:
    for item in items:
        queues.send_batch_message({"batch_id": item["pk"].removeprefix("BATCH#")})


def _send_work(items: Iterable[Mapping[str, Any]]) -> None:
    for item in items:
        queues.send_batch_message({"work_id": item["pk"].removeprefix("WORK#")})


_SENDERS: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], None]] = {"batch": _send_batches, "work": _send_work}
