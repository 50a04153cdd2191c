"""Alibaba Cloud's message queue (MNS, now Simple Message Queue), which VOD can write its events into.

Only VOD and the account can write there, so what comes from it needs no signature. A message is hidden while we have
it, and comes back if it is not deleted: first it is in the Inbox, then it goes.
"""

import base64
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from video_jobs import clock, logs, settings
from video_jobs.aws import secrets
from video_jobs.callbacks.endpoint import Outcome, accept
from video_jobs.callbacks.messages import Received
from video_jobs.jobs.model import safe_words
from video_jobs.platforms.apsaravideo.upload_by_url import CALLBACK
from video_jobs.platforms.callback import Proof

MOST_MESSAGES = 16
"""What MNS gives at once."""
LONGEST_WAIT_SECONDS = 30
"""What MNS takes as `waitseconds`."""
ANSWER_SECONDS = 5
"""How long MNS may take to answer, beside what it was asked to wait."""
BATCH_SECONDS = 8
"""What is kept free for the messages of an answer; what is not in the Inbox in time comes back."""
MESSAGE_SECONDS = 4
"""What one message may take while AWS is slow."""

_SECRET = "APSARAVIDEO_SECRET"  # noqa: S105 (a variable's name)
_WRONG_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}

logger = logs.logger()


class QueueUnavailableError(Exception):
    """The queue cannot be read: somebody must look at its name, its endpoint or the access key."""


class NotAllTakenError(Exception):
    """Messages could not be put into the Inbox; they come again."""


def drain(*, remaining: Callable[[], float]) -> dict[str, int]:
    """Take messages until there are none, or until no time is left; how many had which outcome.

    `remaining` says how many seconds there are. Raises QueueUnavailableError, or NotAllTakenError at the end.
    """
    counts: Counter[str] = Counter()
    try:
        _drain(secrets.values(_SECRET), remaining, counts)
    except _WrongKeyError as error:
        newer = secrets.newer_values(_SECRET)  # it may have been rotated
        if newer is None:
            raise QueueUnavailableError(str(error)) from None
        try:
            _drain(newer, remaining, counts)
        except _WrongKeyError as again:
            raise QueueUnavailableError(str(again)) from None
    logger.info("drained", extra={"outcomes": dict(counts)})
    if counts[Outcome.UNAVAILABLE]:
        raise NotAllTakenError(f"{counts[Outcome.UNAVAILABLE]} messages could not be put into the Inbox")
    return dict(counts)


class _WrongKeyError(Exception):
    """MNS does not accept the access key."""


def _drain(values: dict[str, str], remaining: Callable[[], float], counts: Counter[str]) -> None:
    with _understood(), _queue(values) as queue:
        while (wait := _wait(remaining())) is not None:
            messages = _received(queue, wait)
            if not messages:
                return
            for message in messages:
                if remaining() < MESSAGE_SECONDS:
                    return
                outcome = accept(CALLBACK, _received_now(decoded(message.message_body)))
                counts[outcome] += 1
                if outcome is not Outcome.UNAVAILABLE:
                    _delete(queue, message.receipt_handle)
            if counts[Outcome.UNAVAILABLE]:
                return  # AWS is away: the others would fare the same


def _received_now(body: bytes) -> Received:
    return Received(callback=CALLBACK.name, body=body, headers={}, received_at=clock.now(), proof=Proof())


def _wait(remaining: float) -> int | None:
    """How many seconds MNS may wait for a message; None if there is no time for an answer any more."""
    free = math.floor(remaining - ANSWER_SECONDS - BATCH_SECONDS)
    return min(free, LONGEST_WAIT_SECONDS) if free >= 0 else None


def decoded(body: str) -> bytes:
    """An event from a message, whether or not it is in base64: VOD does not document which.

    What is neither stays as it is; whoever reads it will say that it is no event.
    """
    text = body.strip()
    if not text.startswith("{"):
        try:
            found = base64.b64decode(text, validate=True)
        except ValueError:
            return text.encode()
        if found.lstrip().startswith(b"{"):
            return found
    return text.encode()


@contextmanager
def _queue(values: dict[str, str]) -> Iterator[Any]:
    """The queue that is configured. The SDK is imported here: only this function has it."""
    from mns.account import Account  # type: ignore[import-untyped]  # noqa: PLC0415

    key_id, key_secret = (values.get(name, "") for name in ("access_key_id", "access_key_secret"))
    if not (key_id and key_secret):
        raise secrets.SecretUnavailableError("the secret of ApsaraVideo VOD has no access_key_id and access_key_secret")
    account = Account(settings.setting("APSARAVIDEO_MNS_ENDPOINT"), key_id, key_secret)
    queue = account.get_queue(settings.setting("APSARAVIDEO_MNS_QUEUE"))
    queue.set_encoding(False)  # it would fail on what is not in base64
    with closing(account.mns_client.http.conn):
        yield queue


def _limit(queue: Any, seconds: float) -> None:
    """How long the next answer may take: the SDK lets an https connection wait for ever."""
    connection = queue.mns_client.http.conn
    connection.timeout = connection.connection_timeout = seconds  # one is https', one is http's, for a new connection
    if connection.sock:
        connection.sock.settimeout(seconds)


@contextmanager
def _understood() -> Iterator[None]:
    """What goes wrong with the queue, as somebody can act on it."""
    from mns.mns_exception import MNSExceptionBase, MNSServerException  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        yield
    except MNSExceptionBase as error:
        name, endpoint = settings.setting("APSARAVIDEO_MNS_QUEUE"), settings.setting("APSARAVIDEO_MNS_ENDPOINT")
        said = "" if error.type == "RespDataDamaged" else error.message  # that would be the messages themselves
        text = safe_words(f"the queue {name} at {endpoint}: {error.type}: {said}")
        if isinstance(error, MNSServerException) and error.type in _WRONG_KEY:
            raise _WrongKeyError(text) from None
        raise QueueUnavailableError(text) from None


def _received(queue: Any, wait: int) -> list[Any]:
    """Messages, or none: an empty queue is an error to MNS."""
    from mns.mns_exception import MNSServerException  # noqa: PLC0415

    _limit(queue, wait + ANSWER_SECONDS)
    try:
        found: list[Any] = queue.batch_receive_message(MOST_MESSAGES, wait)
    except MNSServerException as error:
        if error.type == "MessageNotExist":
            return []
        raise
    return found


def _delete(queue: Any, receipt_handle: str) -> None:
    """What has come back meanwhile is under another handle: then it is taken again, which changes nothing."""
    from mns.mns_exception import MNSServerException  # noqa: PLC0415

    _limit(queue, ANSWER_SECONDS)
    try:
        queue.delete_message(receipt_handle)
    except MNSServerException as error:
        if error.type != "MessageNotExist":
            raise
        logger.warning("came_back")
