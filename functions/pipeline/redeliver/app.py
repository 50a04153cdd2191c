"""Gives a kept request to its callback function again."""

import json
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from video_jobs import logs, queues, settings
from video_jobs.callbacks import Outcome
from video_jobs.consumers import consumer
from video_jobs.faults import AwsUnavailableError
from video_jobs.versions import NewerVersionError

TRIES = 10
"""How often a request is received before a defect of ours sends it to the dead letters."""

logger = logs.logger()


class NotTakenError(Exception):
    """The callback function could not record the request this time either: it stays in the queue."""


def redeliver(record: SQSRecord, _context: Any) -> None:
    """Have the request recorded, or leave it in the queue for longer and longer, and then to its dead letters."""
    callback, event = queues.read_delivery(record.body)
    logger.append_keys(callback=callback, job_id=event["redelivery"]["job_id"])
    outcome = _invoke(json.loads(settings.setting("CALLBACK_FUNCTIONS"))[callback], event)
    logger.info("redelivered", extra={"outcome": outcome})


def _invoke(function: str, event: dict[str, Any]) -> str:
    """What the callback function made of it. Raises what says why it made nothing of it, as the function found it."""
    answer = settings.lambda_().invoke(FunctionName=function, Payload=json.dumps(event))
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        if "Task timed out" in said.get("errorMessage", ""):
            # it calls AWS and nobody else, and gives up sooner where there is no answer at all
            raise AwsUnavailableError("the callback function was not done in time")
        # not the message: it may quote the request
        raise NotTakenError(str(said.get("errorType")))
    outcome = str(json.loads(said["body"])["outcome"])
    if said["statusCode"] == HTTPStatus.SERVICE_UNAVAILABLE:
        if outcome == Outcome.NEWER_VERSION:
            raise NewerVersionError("the callback function met what newer code has written")
        raise AwsUnavailableError("the callback function has not reached AWS")
    if said["statusCode"] != HTTPStatus.OK:
        raise NotTakenError(outcome)
    return outcome


handler = consumer(redeliver, queue="DELIVERIES_QUEUE_URL", dead_letters="DELIVERIES_DEAD_LETTERS_URL", tries=TRIES)
