"""How a notification reaches its receiver, the stack's event bus or somebody's URL, and when it is tried again."""

import json
import random
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from video_jobs import destinations, jsontext, logs, settings, waits
from video_jobs.aws import clients, secrets
from video_jobs.aws.consumers import ComesAgainError
from video_jobs.destinations import ForbiddenError
from video_jobs.notifications import events, signing
from video_jobs.notifications.events import Notification
from video_jobs.versions import NewerVersionError

SOURCE = "video-jobs"
WAITS = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 12 * 3600, 12 * 3600, 12 * 3600)
"""Seconds after each attempt but the last: Standard Webhooks' schedule, as far as a message can wait."""
LONGEST_WAIT = 12 * 3600 - 120
"""Seconds: SQS counts its 12 hours from when the message was received."""
JITTER = 0.1
"""So that receivers that were away are not called by all at the same moment."""

logger = logs.logger()


class Outcome(StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    GONE = "gone"  # the receiver wants no more of it: 410
    FORBIDDEN = "forbidden"  # nobody may have us send there
    FAILED = "failed"


class NotTakenError(Exception):
    """The receiver did not take it this time."""

    def __init__(self, message: str, *, wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds
        """How long it asked us to wait."""


def take(record: SQSRecord, _context: Any) -> None:
    """Deliver it, or leave it in the queue for longer and longer, and then to its dead letters.

    Whatever goes wrong, the schedule is the receivers': it outlasts an incident of AWS, too.
    """
    received = int(record.attributes.approximate_receive_count)
    logger.append_keys(attempt=received)
    to = "unknown"
    try:
        notification = events.read(record.body)
        to = notification.to
        logger.append_keys(to=to, event_id=notification.event_id, **_about(notification))
        outcome = _WAYS[notification.to](notification)
    except Exception as error:
        said = "newer_version" if isinstance(error, NewerVersionError) else "not_taken"
        logger.warning(said, exc_info=not isinstance(error, NotTakenError), extra={"reason": str(error)})
        _count(to, Outcome.FAILED)
        asked = error.wait_seconds if isinstance(error, NotTakenError) else 0.0
        raise ComesAgainError("not_taken", delay=_wait(received, asked=asked)) from error
    logger.info(outcome)
    _count(to, outcome)


def _about(notification: Notification) -> dict[str, str]:
    """Which job or batch it is about, for the log."""
    event = json.loads(notification.event)
    data = event.get("data", {})
    return {"type": event["type"]} | {name: data[name] for name in ("job_id", "batch_id") if name in data}


def put_on_bus(notification: Notification) -> Outcome:
    event = json.loads(notification.event)
    detail = jsontext.write({"id": notification.event_id, **event}, separators=(",", ":"))
    answer = clients.events().put_events(
        Entries=[
            {
                "EventBusName": settings.setting("EVENT_BUS"),
                "Source": SOURCE,
                "DetailType": event["type"],
                "Detail": detail,
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise NotTakenError(f"the event bus did not take it: {answer['Entries'][0].get('ErrorCode')}")
    return Outcome.DELIVERED


def post(notification: Notification) -> Outcome:
    """Send it once. Of the URL only the host is logged: there may be a secret in the rest."""
    private = settings.may_notify_private()
    body = notification.event.encode()
    try:
        to = destinations.destination(notification.url or "", private=private)
        logger.append_keys(host=to.host)
        headers = signing.signed(notification.event_id, int(time.time()), body, keys=_keys().values())
        answer = signing.post(to, body, {"content-type": "application/json", **headers}, private=private)
    except ForbiddenError as error:
        # not among the dead letters: nothing that we can mend would make it go
        logger.error("forbidden", extra={"reason": str(error)})
        return Outcome.FORBIDDEN
    except (destinations.NoConnectionError, signing.NoAnswerError) as error:
        raise NotTakenError(str(error)) from None
    if answer.ok:
        return Outcome.DELIVERED
    if answer.status == 410:
        return Outcome.GONE
    wait = waits.retry_after(answer.retry_after) or 0.0
    raise NotTakenError(f"answered {answer.status}", wait_seconds=wait)


_WAYS: Mapping[str, Callable[[Notification], Outcome]] = {"bus": put_on_bus, "url": post}


def _keys() -> dict[str, bytes]:
    """All keys, by name: receivers know one of them or another. One that is none is left out, and logged."""
    keys: dict[str, bytes] = {}
    for name, secret in secrets.values("NOTIFY_SECRETS").items():
        try:
            keys[name] = signing.key_of(secret)
        except signing.UnusableKeyError as error:
            logger.error("unusable_key", extra={"key_name": name, "reason": str(error)})
    if not keys:
        raise secrets.SecretUnavailableError("the secret of notifications has no key: base64 of 24 to 64 bytes")
    return keys


def _wait(received: int, *, asked: float) -> float:
    """Seconds until the message comes again; after the last attempt at once, and to the dead letters."""
    if received > len(WAITS):
        return 0.0
    return min(max(WAITS[received - 1] * random.uniform(1 - JITTER, 1 + JITTER), asked), LONGEST_WAIT)


def _count(to: str, outcome: Outcome) -> None:
    with single_metric(name="Notifications", unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension(name="to", value=to)
        metric.add_dimension(name="outcome", value=outcome)
