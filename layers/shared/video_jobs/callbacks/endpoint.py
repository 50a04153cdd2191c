"""What a callback function does while a platform waits for its answer, for seconds at most: prove, read, send.

It writes nothing and decides nothing: the inbox does. What was answered 200 is in the Inbox.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from video_jobs import clock, logs, settings
from video_jobs.aws import clients, queues
from video_jobs.aws.queues import TooLargeToSendError
from video_jobs.callbacks import proofs
from video_jobs.callbacks.messages import Received
from video_jobs.http import MalformedBodyError, Request, json_answer
from video_jobs.platforms.callback import Callback, RejectedError, TooLargeError, UnreadableError

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

logger = logs.logger()


class Outcome(StrEnum):
    """What became of a callback; the answer's body names it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    UNAVAILABLE = "unavailable"

    @property
    def status(self) -> int:
        """The HTTP status: platforms try again, or not, because of it."""
        return _STATUS[self]


_STATUS = {
    Outcome.ACCEPTED: 200,
    Outcome.REJECTED: 401,
    Outcome.TOO_LARGE: 413,
    Outcome.UNREADABLE: 422,
    Outcome.UNAVAILABLE: 503,
}


def endpoint(callback: Callback[Any]) -> Handler:
    """The handler of a callback's function."""
    clients.make_ready()

    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        _begin(callback)
        outcome = _counted(callback, _taken(callback, Request(event)))
        return json_answer(outcome.status, {"outcome": outcome})

    return handler


def accept(callback: Callback[Any], received: Received) -> Outcome:
    """Take a body that comes by another way than HTTP, from where only the platform can put it."""
    _begin(callback)
    return _counted(callback, _sent(callback, received))


def _begin(callback: Callback[Any]) -> None:
    logger.clear_state()
    logger.append_keys(provider=callback.provider, callback=callback.name)


def _counted(callback: Callback[Any], outcome: Outcome) -> Outcome:
    with single_metric(name="Callbacks", unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension(name="callback", value=callback.name)
        metric.add_dimension(name="outcome", value=outcome)
    return outcome


def _taken(callback: Callback[Any], request: Request) -> Outcome:
    try:
        proof = proofs.prove(callback, request)
    except RejectedError as error:
        logger.warning(Outcome.REJECTED, extra={"reason": str(error)})
        return Outcome.REJECTED
    except Exception:  # the border: without the keys nobody can be judged, and the platform may try again
        logger.exception(Outcome.UNAVAILABLE)
        return Outcome.UNAVAILABLE
    if proof.job_id is not None:
        logger.append_keys(job_id=proof.job_id, attempt=proof.attempt)
    try:
        body = request.body
    except MalformedBodyError as error:  # base64 that is none: there is nothing that a fix could read
        logger.error(Outcome.UNREADABLE, extra={"reason": str(error)})
        return Outcome.UNREADABLE
    received = Received(
        callback=callback.name, body=body, headers=request.kept_headers, received_at=clock.now(), proof=proof
    )
    return _sent(callback, received)


def _sent(callback: Callback[Any], received: Received) -> Outcome:
    """Put it into the Inbox; what cannot be read, among the Inbox's dead letters."""
    try:
        callback.payload_of(received.body)
    except UnreadableError as error:
        outcome = Outcome.TOO_LARGE if isinstance(error, TooLargeError) else Outcome.UNREADABLE
        logger.error(outcome, extra={"reason": str(error)})
        return outcome if _send(received, "INBOX_DEAD_LETTERS_URL") else Outcome.UNAVAILABLE
    if not _send(received, "INBOX_QUEUE_URL"):
        return Outcome.UNAVAILABLE
    logger.debug(Outcome.ACCEPTED)  # the metric and the access log say so, and the inbox what came of it
    return Outcome.ACCEPTED


def _send(received: Received, queue: str) -> bool:
    """Whether the queue has it, or no queue ever will."""
    try:
        queues.send(settings.setting(queue), received.written())
    except TooLargeToSendError as error:
        # the answer is final: polls find out what this callback would have said
        logger.error("too_large_to_keep", extra={"reason": str(error)})
    except Exception:  # the border: then the platform must try again
        logger.exception(Outcome.UNAVAILABLE)
        return False
    return True
