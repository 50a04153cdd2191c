"""How a message that could not be worked on comes back to its queue: one way for all functions that take messages.

What is AWS's doing comes back as long as SQS keeps it: its queue's `maxReceiveCount`, times the longest wait, outlasts
an incident of a day. What is not, a defect, is tried some times and then moved to the queue's dead letters from here,
because SQS only counts how often a message was received, and not why it came back.

A message that an incident has sent back more often than that is moved at its first defect. What passes by itself, too
much at once included, is no defect, so what remains mostly fails in the same way each time; and among the dead letters
it rings, stays, and comes back with a redrive.
"""

import base64
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from video_jobs import logs, settings
from video_jobs.aws import clients
from video_jobs.aws.errors import is_aws_error
from video_jobs.versions import NewerVersionError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, SendMessageRequestTypeDef

LONGEST_WAIT_SECONDS = 900
"""Between two tries of what waits for AWS, or for newer code."""
LONGEST_WAIT_AFTER_A_DEFECT_SECONDS = 300
SHORTEST_PART = 0.8
"""Of a wait, at random from here to all of it: what failed together comes apart, and 300 tries outlast two days."""

type Handler = Callable[[dict[str, Any], Any], Any]

logger = logs.logger()


class ComesAgainError(Exception):
    """The message is to come again after `delay` seconds: it is too early, or its work is not done. No defect."""

    def __init__(self, reason: str, *, delay: float) -> None:
        super().__init__(reason)
        self.delay = delay


def consumer(
    take: Callable[[SQSRecord, Any], None],
    *,
    queue: str | Sequence[str],
    dead_letters: str | None = None,
    tries: int = 0,
    afterwards: Callable[[], None] | None = None,
) -> Handler:
    """The handler of a function that takes a queue's messages; `take` gets each one, and Lambda's context.

    `queue` (or several: then a message's own is found by its name) and `dead_letters` are the environment variables
    with the queues' URLs. A message that was received `tries` times or more is moved by its next defect. Without dead
    letters only SQS moves messages. `afterwards` is done once for all messages of an invocation; if it fails, all come
    again.
    """
    sources = (queue,) if isinstance(queue, str) else tuple(queue)
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handler(event: dict[str, Any], context: Any) -> Any:
        gone: set[str] = set()

        def one(record: SQSRecord) -> None:
            logger.clear_state()
            try:
                take(record, context)
            except ComesAgainError as later:
                _hide(record, _source(record, sources), later.delay)
                raise
            except Exception as error:
                if not _has_left(record, error, _source(record, sources), dead_letters, tries):
                    raise
                gone.add(record.message_id)

        answer = process_partial_response(event=event, record_handler=one, processor=processor, context=context)
        if afterwards is None:
            return answer
        try:
            afterwards()
        except Exception as error:  # the border: what is not done for all is done for none
            return _all_again(event, error, sources, but=gone)
        return answer

    return handler


def _all_again(
    event: Mapping[str, Any], error: Exception, sources: Sequence[str], *, but: Collection[str]
) -> dict[str, Any]:
    """Report all messages of an invocation as failed, but those that are among the dead letters."""
    records = [found for record in event["Records"] if (found := SQSRecord(record)).message_id not in but]
    for record in records:
        _has_left(record, error, _source(record, sources), None, 0)
    return {"batchItemFailures": [{"itemIdentifier": record.message_id} for record in records]}


def _source(record: SQSRecord, sources: Sequence[str]) -> str:
    """The environment variable with the URL of the queue that a message comes from."""
    own = record.event_source_arn.rsplit(":", maxsplit=1)[-1]
    named = (source for source in sources[:-1] if settings.setting(source).rsplit("/", maxsplit=1)[-1] == own)
    return next(named, sources[-1])


def _has_left(record: SQSRecord, error: Exception, queue: str, dead_letters: str | None, tries: int) -> bool:
    """Have a message come again, or move it to the dead letters; whether it is there now."""
    received = int(record.attributes.approximate_receive_count)
    waits_for = "newer_version" if isinstance(error, NewerVersionError) else "aws_unavailable"
    if waits_for == "newer_version" or is_aws_error(error):
        # a constant text, which the template's metric counts
        logger.warning(waits_for, extra={"reason": _named(error), "received": received})
        _hide(record, queue, _wait(received, LONGEST_WAIT_SECONDS))
        return False
    logger.error("defect", exc_info=error, extra={"received": received})
    if dead_letters is None or received < tries or not _moved(record, dead_letters):
        _hide(record, queue, _wait(received, LONGEST_WAIT_AFTER_A_DEFECT_SECONDS))
        return False
    return True


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _wait(received: int, longest: int) -> float:
    """Seconds until a message comes again that was received so often: ever longer, and not all at the same moment."""
    return min(2.0 ** min(received, 20), longest) * random.uniform(SHORTEST_PART, 1)


def _hide(record: SQSRecord, queue: str, delay: float) -> None:
    """Set when a message comes again that is reported as failed. If that fails, its queue's own time holds."""
    try:
        clients.sqs().change_message_visibility(
            QueueUrl=settings.setting(queue),
            ReceiptHandle=record.receipt_handle,
            VisibilityTimeout=math.ceil(delay),
        )
    except Exception:  # the border: there is nothing else to tell SQS by
        logger.exception("not_hidden")


def _moved(record: SQSRecord, dead_letters: str) -> bool:
    """Send a message to the dead letters as it is; False if that fails, and it must stay."""
    message: SendMessageRequestTypeDef = {"QueueUrl": settings.setting(dead_letters), "MessageBody": record.body}
    if group := record.attributes.message_group_id:
        message["MessageGroupId"] = group
    if attributes := {name: _attribute(value) for name, value in (record.get("messageAttributes") or {}).items()}:
        message["MessageAttributes"] = attributes
    try:
        clients.sqs().send_message(**message)
    except Exception:  # the border: nothing may be lost
        logger.exception("not_moved")
        return False
    logger.error("moved_to_dead_letters")
    return True


def _attribute(value: dict[str, Any]) -> "MessageAttributeValueTypeDef":
    """A message's attribute as SQS takes it, from how Lambda hands it over."""
    if value.get("binaryValue") is not None:
        return {"DataType": value["dataType"], "BinaryValue": base64.b64decode(value["binaryValue"])}
    return {"DataType": value["dataType"], "StringValue": value["stringValue"]}
