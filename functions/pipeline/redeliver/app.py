"""Gives a kept request to its callback function again."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from video_jobs import queues, settings

LONGEST_WAIT_SECONDS = 900

logger = Logger(serialize_stacktrace=False)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


class NotTakenError(Exception):
    """The callback function could not record the request this time either: it stays in the queue."""


def redeliver(record: SQSRecord) -> None:
    """Have the request recorded, or leave it in the queue for longer and longer, and then to its dead letters."""
    callback, event = queues.read_delivery(record.body)
    received = int(record.attributes.approximate_receive_count)
    logger.append_keys(callback=callback, job_id=event["redelivery"]["job_id"], received=received)
    try:
        outcome = _invoke(json.loads(settings.setting("CALLBACK_FUNCTIONS"))[callback], event)
    except Exception:
        logger.exception("not taken")
        settings.sqs().change_message_visibility(
            QueueUrl=settings.setting("DELIVERIES_QUEUE_URL"),
            ReceiptHandle=record.receipt_handle,
            VisibilityTimeout=min(2**received, LONGEST_WAIT_SECONDS),
        )
        raise
    logger.info("redelivered", extra={"outcome": outcome})


def _invoke(function: str, event: dict[str, Any]) -> str:
    """What the callback function made of it. Raises NotTakenError unless it says 200."""
    answer = settings.lambda_().invoke(FunctionName=function, Payload=json.dumps(event))
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer or said["statusCode"] != 200:
        # not the whole answer: an error message of the function may quote the request
        raise NotTakenError(said.get("errorType") or str(said.get("statusCode")))
    return str(json.loads(said["body"])["outcome"])


def handler(event: dict[str, Any], context: Any) -> Any:
    return process_partial_response(event=event, record_handler=redeliver, processor=processor, context=context)
