"""What the queues carry."""

import base64
import gzip
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from video_jobs import settings
from video_jobs.jobs import Frozen

LARGEST_DELAY_SECONDS = 900
"""What SQS takes as DelaySeconds."""
_LARGEST_MESSAGE = 1_000_000
"""Bytes; SQS takes 1 MiB, the queues' attributes included."""
_COMPRESS_ABOVE = 100_000


class StartMessage(Frozen):
    """Move a job: start its current step, or end the job. Harmless at any time, and as often as you like."""

    action: Literal["start"] = "start"
    job_id: str


class CheckMessage(Frozen):
    """Ask the platform how a step stands. Dropped if the step is no longer where it was when this was sent."""

    action: Literal["check"] = "check"
    job_id: str
    step: str
    attempt: int
    checks: int


class TooLargeToKeepError(Exception):
    """No queue takes this much."""


def send_start(provider: str, job_id: str) -> None:
    """Have a platform's worker move a job."""
    settings.sqs().send_message(
        QueueUrl=settings.steps_queue_url(provider), MessageBody=StartMessage(job_id=job_id).model_dump_json()
    )


def send_check(provider: str, message: CheckMessage, *, delay: float) -> None:
    """Have a platform's worker check a step, `delay` seconds from now (whole seconds, 900 at most)."""
    settings.sqs().send_message(
        QueueUrl=settings.steps_queue_url(provider),
        MessageBody=message.model_dump_json(),
        DelaySeconds=min(math.ceil(delay), LARGEST_DELAY_SECONDS),
    )


def send_delivery(queue_url: str, callback: str, event: Mapping[str, Any]) -> None:
    """Keep a proven request on the Deliveries queue, or among its dead letters.

    Raises TooLargeToKeepError if even compressed it is more than SQS takes.
    """
    body = json.dumps({"callback": callback, "event": event})
    if len(body) > _COMPRESS_ABOVE:
        packed = base64.b64encode(gzip.compress(json.dumps(event).encode())).decode()
        body = json.dumps({"callback": callback, "event_gzip": packed})
    if len(body) > _LARGEST_MESSAGE:
        raise TooLargeToKeepError(f"{len(body)} bytes, compressed")
    settings.sqs().send_message(QueueUrl=queue_url, MessageBody=body)


def read_delivery(body: str) -> tuple[str, dict[str, Any]]:
    """The callback and the request of a kept delivery."""
    message = json.loads(body)
    if "event_gzip" in message:
        event = json.loads(gzip.decompress(base64.b64decode(message["event_gzip"])))
    else:
        event = message["event"]
    return message["callback"], event
