"""What the queues carry: an Inbox's callbacks, looks at jobs, work on batches, notifications.

Every message has a version, so that code of an older release leaves newer ones to the code that knows them.
"""

import base64
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from video_jobs import clock, settings, versions
from video_jobs.aws import clients
from video_jobs.aws.errors import AwsUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from video_jobs.jobs.messages import Look

LARGEST_DELAY_SECONDS = 900
"""What SQS takes as DelaySeconds. Who has to wait longer goes back to the queue when the message comes."""
_LARGEST_MESSAGE = 1_000_000
"""Bytes; SQS takes 1 MiB, a message's attributes included."""
_COMPRESS_ABOVE = 100_000
_ENTRIES = 10
"""How many messages SQS takes at once."""


class TooLargeToSendError(Exception):
    """No queue takes this much."""


class NotSentError(AwsUnavailableError):
    """SQS has taken some messages, and others not."""


def worker_queue_url(provider: str) -> str:
    """The queue of a platform's worker; each platform has its own."""
    return settings.setting(f"{provider.upper()}_QUEUE_URL")


def read(body: str, queue: str) -> dict[str, Any]:
    """A message of a kind of queue (see `versions.MESSAGES`) as a JSON object, unpacked.

    Raises NewerVersionError, or ValueError if it is none.
    """
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("the message is not a JSON object")
    versions.require(found.get(versions.FIELD, 1), versions.MESSAGES[queue], f"a message of {queue}")
    if "packed" in found:
        found |= json.loads(zlib.decompress(base64.b64decode(found.pop("packed"))))
    return found


def written(message: Mapping[str, Any], queue: str) -> str:
    """A message as text, its version in it; packed if it is long. Raises TooLargeToSendError."""
    version = {versions.FIELD: versions.MESSAGES[queue]}
    text = json.dumps({**version, **message}, separators=(",", ":"))
    if len(text) > _COMPRESS_ABOVE:
        packed = base64.b64encode(zlib.compress(json.dumps(message).encode())).decode()
        text = json.dumps({**version, "packed": packed})
    if len(text) > _LARGEST_MESSAGE:
        raise TooLargeToSendError(f"{len(text)} bytes, compressed")
    return text


def send(queue_url: str, text: str, *, delay: int = 0, group: str | None = None) -> None:
    """Send one message, as `written` gives it. A group that keeps a queue busy lets other messages pass."""
    more: dict[str, Any] = {"DelaySeconds": delay} if delay else {}
    if group is not None:
        more["MessageGroupId"] = group
    clients.sqs().send_message(QueueUrl=queue_url, MessageBody=text, **more)


def send_many(queue_url: str, entries: Sequence["SendMessageBatchRequestEntryTypeDef"]) -> None:
    """Send messages, ten at once. Raises NotSentError if not all were taken; sending again must be harmless."""
    for some in batched(entries, _ENTRIES, strict=False):
        answer = clients.sqs().send_message_batch(QueueUrl=queue_url, Entries=list(some))
        if failed := answer.get("Failed"):
            raise NotSentError(f"{len(failed)} of {len(some)} messages: {failed[0].get('Code')}")


def send_looks(looks: Iterable["Look"]) -> None:
    """Have workers look at jobs, each when it is due (after 900 s at the latest: then the message goes back).

    A `group` that keeps a worker busy lets other messages pass (SQS's fair queues), which have none: a job of today
    does not wait for all of yesterday's batch. Raises NotSentError.
    """
    by_provider: dict[str, list[Look]] = {}
    for look in looks:
        by_provider.setdefault(look.provider, []).append(look)
    for provider, some in by_provider.items():
        if len(some) == 1 and some[0].group is None:  # one request without a batch's overhead, and its own errors
            delay = _delay(some[0].due_at)
            send(worker_queue_url(provider), written(_look(some[0]), "look"), delay=delay)
            continue
        entries: list[Any] = [
            {
                "Id": str(number % _ENTRIES),
                "MessageBody": written(_look(look), "look"),
                "DelaySeconds": _delay(look.due_at),
                **({"MessageGroupId": look.group} if look.group else {}),
            }
            for number, look in enumerate(some)
        ]
        send_many(worker_queue_url(provider), entries)


def _look(look: "Look") -> dict[str, Any]:
    return {"job_id": look.job_id, "due_at": look.due_at}


def _delay(due_at: int) -> int:
    """Whole seconds until then, as far as SQS takes them."""
    return min(max(math.ceil((due_at - clock.now()) / clock.SECOND), 0), LARGEST_DELAY_SECONDS)


def batches_queue_url() -> str:
    return settings.setting("BATCHES_QUEUE_URL")


def backlog(queue_url: str) -> int:
    """About how many messages wait in a queue, without those that are planned for later."""
    answer = clients.sqs().get_queue_attributes(QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def send_batch_message(message: Mapping[str, Any], *, delay: int = 0) -> None:
    """Have somebody work on a batch: {"work_id": …}, or look at one: {"batch_id": …}."""
    send(batches_queue_url(), written(message, "batches"), delay=delay)
