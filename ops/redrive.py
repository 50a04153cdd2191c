"""Moves dead letters back to their queue: `make redrive QUEUE=Inbox [STACK=video-jobs]`."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.commands import StackError
from ops import target

SUFFIX = "DeadLettersQueue"  # of the template's outputs; beside each is the one of the queue itself
BATCH = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="make redrive", description=__doc__)
    parser.add_argument("--queue", default="")
    parser.add_argument("--stack", default="")
    options = parser.parse_args()
    try:
        redrive(options.queue, options.stack)
    except (StackError, BotoCoreError, ClientError) as error:  # no credentials, no such stack, not allowed
        sys.exit(str(error))


def redrive(queue: str, stack_name: str) -> None:
    stack = target.find(stack_name)
    sqs, outputs = stack.client("sqs"), stack.outputs()
    queues = [name.removesuffix(SUFFIX) for name in outputs if name.endswith(SUFFIX)]
    if queue not in queues:
        counts = [f"  {name}: {count(sqs, outputs[name + SUFFIX])} dead letters" for name in queues]
        raise StackError("\n".join([f"QUEUE is one of these, in {stack.where}:", *counts]))
    moved = move(sqs, source=outputs[queue + SUFFIX], to=outputs[queue + "Queue"])
    print(f"{moved} moved from the dead letters of {queue} back to its queue, in {stack.where}")


def count(sqs: Any, queue_url: str) -> int:
    name = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])["Attributes"][name])


def move(sqs: Any, *, source: str, to: str) -> int:
    """Returns how many. No more than were there at the start: one that fails again comes back while this still runs.

    Each is sent before it is deleted, so that none is lost; one that is moved twice does no harm.
    """
    left = total = count(sqs, source)
    while left > 0:
        messages = sqs.receive_message(
            QueueUrl=source,
            MaxNumberOfMessages=min(left, BATCH),
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId"],
        ).get("Messages", [])
        if not messages:
            break
        for message in messages:  # one by one: a batch may hold no more than a single message may
            sqs.send_message(QueueUrl=to, MessageBody=message["Body"], **_as_it_was(message))
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
        left -= len(messages)
    return total - left


def _as_it_was(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a message has besides its body: its attributes, and the group whose turn it takes."""
    group = message.get("Attributes", {}).get("MessageGroupId")
    attributes = message.get("MessageAttributes", {})
    return {"MessageAttributes": attributes} | ({"MessageGroupId": group} if group else {})


if __name__ == "__main__":
    main()
