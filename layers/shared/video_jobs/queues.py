"""What the queues carry."""

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from video_jobs import settings, versions
from video_jobs.faults import AwsUnavailableError
from video_jobs.jobs import Frozen

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

LARGEST_DELAY_SECONDS = 900
"""What SQS takes as DelaySeconds."""
_LARGEST_MESSAGE = 1_000_000
"""Bytes; SQS takes 1 MiB, the queues' attributes included."""
_COMPRESS_ABOVE = 100_000
_ENTRIES = 10
"""How many messages SQS takes at once."""


class StartMessage(Frozen):
    """Move a job: start its current step, or end the job. Harmless at any time, and as often as you like."""

    schema_version: int = 1
    action: Literal["start"] = "start"
    job_id: str


class CheckMessage(Frozen):
    """Ask the platform how a step stands. Dropped if the step is no longer where it was when this was sent."""

    schema_version: int = 1
    action: Literal["check"] = "check"
    job_id: str
    step: str
    attempt: int
    checks: int


class WorkMessage(Frozen):
    """Go on with a piece of work on a batch. Dropped if it is done."""

    schema_version: int = 1
    action: Literal["work"] = "work"
    work_id: str


class SettleMessage(Frozen):
    """End a batch, if all of its jobs have ended, and tell it. Harmless at any time."""

    schema_version: int = 1
    action: Literal["settle"] = "settle"
    batch_id: str


DELIVERY_VERSION = 1
"""The form of a kept delivery: {"callback", "event" or "event_gzip"}."""

STEPS: TypeAdapter[StartMessage | CheckMessage] = TypeAdapter(
    Annotated[StartMessage | CheckMessage, Field(discriminator="action")]
)
BATCHES: TypeAdapter[WorkMessage | SettleMessage] = TypeAdapter(
    Annotated[WorkMessage | SettleMessage, Field(discriminator="action")]
)


def read[M](body: str, form: TypeAdapter[M], *, queue: str) -> M:
    """A message of a kind of queue (see `versions.MESSAGES`). Raises NewerVersionError, or ValueError if it is none."""
    return form.validate_python(_known(body, queue))


def _known(body: str, queue: str) -> dict[str, Any]:
    """A message as a JSON object with its version, which is one that this code knows."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("the message is not a JSON object")
    versioned = {versions.FIELD: 1, **found}
    versions.require(versioned[versions.FIELD], versions.MESSAGES[queue], f"a message of {queue}")
    return versioned


class TooLargeToKeepError(Exception):
    """No queue takes this much."""


class NotSentError(AwsUnavailableError):
    """SQS has taken some messages, and others not."""


def send_start(provider: str, job_id: str, *, delay: float = 0) -> None:
    """Have a platform's worker move a job, `delay` seconds from now (whole seconds, 900 at most)."""
    settings.sqs().send_message(
        QueueUrl=settings.steps_queue_url(provider),
        MessageBody=StartMessage(job_id=job_id).model_dump_json(),
        DelaySeconds=min(math.ceil(delay), LARGEST_DELAY_SECONDS),
    )


def backlog(provider: str) -> int:
    """About how many messages wait for a platform's worker, without those that are planned for later."""
    answer = settings.sqs().get_queue_attributes(
        QueueUrl=settings.steps_queue_url(provider), AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def send_check(provider: str, message: CheckMessage, *, delay: float) -> None:
    """Have a platform's worker check a step, `delay` seconds from now (whole seconds, 900 at most)."""
    settings.sqs().send_message(
        QueueUrl=settings.steps_queue_url(provider),
        MessageBody=message.model_dump_json(),
        DelaySeconds=min(math.ceil(delay), LARGEST_DELAY_SECONDS),
    )


def send_starts(provider: str, job_ids: Sequence[str], *, group: str) -> None:
    """Have a platform's worker move many jobs. Raises NotSentError if not all were sent; sending again is harmless.

    A `group` that keeps the worker busy lets other messages pass (SQS's fair queues), which have none: a job of today
    does not wait for all of yesterday's batch, and a job that has begun not for those that have not.
    """
    for some in batched(job_ids, _ENTRIES, strict=False):
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "MessageBody": StartMessage(job_id=job_id).model_dump_json(), "MessageGroupId": group}
            for number, job_id in enumerate(some)
        ]
        answer = settings.sqs().send_message_batch(QueueUrl=settings.steps_queue_url(provider), Entries=entries)
        if failed := answer.get("Failed"):
            raise NotSentError(f"{len(failed)} of {len(some)} messages: {failed[0].get('Code')}")


def send_batch_work(message: WorkMessage | SettleMessage, *, delay: int = 0) -> None:
    """Have somebody work on a batch."""
    settings.sqs().send_message(
        QueueUrl=settings.setting("BATCHES_QUEUE_URL"), MessageBody=message.model_dump_json(), DelaySeconds=delay
    )


def send_delivery(queue_url: str, callback: str, event: Mapping[str, Any]) -> None:
    """Keep a proven request on the Deliveries queue, or among its dead letters.

    Raises TooLargeToKeepError if even compressed it is more than SQS takes.
    """
    about = {versions.FIELD: DELIVERY_VERSION, "callback": callback}
    body = json.dumps({**about, "event": event})
    if len(body) > _COMPRESS_ABOVE:
        packed = base64.b64encode(gzip.compress(json.dumps(event).encode())).decode()
        body = json.dumps({**about, "event_gzip": packed})
    if len(body) > _LARGEST_MESSAGE:
        raise TooLargeToKeepError(f"{len(body)} bytes, compressed")
    settings.sqs().send_message(QueueUrl=queue_url, MessageBody=body)


def read_delivery(body: str) -> tuple[str, dict[str, Any]]:
    """The callback and the request of a kept delivery. Raises NewerVersionError."""
    message = _known(body, "deliveries")
    if "event_gzip" in message:
        event = json.loads(gzip.decompress(base64.b64decode(message["event_gzip"])))
    else:
        event = message["event"]
    return message["callback"], event
