"""Requests to somebody's URL, signed as Standard Webhooks says (standardwebhooks.com), with a limit on everything.

On sockets of our own, because the address that was judged must be the one that is connected to, and because a receiver
that sends a byte every few seconds outlasts every other client's time-outs.
"""

import base64
import hmac
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException
from threading import Event, Timer

from video_jobs import destinations
from video_jobs.destinations import Destination, Resolve

CONNECT_SECONDS = 5.0
"""For each address of the receiver, and for what it says at the beginning."""
WHOLE_SECONDS = 15.0
"""For all of it, but the look-up of the name: Standard Webhooks advises 15 to 30."""
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)


class NoAnswerError(Exception):
    """The receiver cannot be reached, breaks off, or takes too long."""


class UnusableKeyError(Exception):
    """Not a key as Standard Webhooks has them. The message does not quote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the receiver answered. Its body is not read: nobody acts on it, and a log is no place for it."""

    status: int
    retry_after: str | None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def signed(event_id: str, moment: int, body: bytes, *, keys: Iterable[bytes]) -> dict[str, str]:
    """The headers that prove a body, with a signature for each key. `moment`: seconds since 1970."""
    content = f"{event_id}.{moment}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def key_of(secret: str) -> bytes:
    """The key that a secret holds: 24 to 64 bytes in base64, with or without `whsec_`. Raises UnusableKeyError."""
    text = secret.strip().removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise UnusableKeyError("not base64") from None
    if len(key) not in _KEY_BYTES:
        raise UnusableKeyError(f"{len(key)} bytes, not {_KEY_BYTES[0]} to {_KEY_BYTES[-1]}")
    return key


def post(
    to: Destination,
    body: bytes,
    headers: Mapping[str, str],
    *,
    private: bool = False,
    resolve: Resolve = destinations.resolve,
) -> Answer:
    """Send a body once. A redirect is an answer like any other.

    Raises ForbiddenError, NoConnectionError and NoAnswerError.
    """
    until = time.monotonic() + WHOLE_SECONDS

    def left() -> float:
        return max(until - time.monotonic(), 0.001)  # no time-out at all would be 0

    with (
        destinations.connect(to, private=private, timeout=lambda: min(left(), CONNECT_SECONDS), resolve=resolve) as raw,
        _cut(raw, after=left()) as is_cut,
    ):
        try:
            answer = _exchange(raw, to, body, headers)
        except (OSError, HTTPException) as error:
            raise NoAnswerError(f"no answer{' in time' if is_cut() else ''}: {type(error).__name__}") from None
        if is_cut():  # then what there was of it was taken for all
            raise NoAnswerError("no answer in time")
        return answer


def _exchange(raw: socket.socket, to: Destination, body: bytes, headers: Mapping[str, str]) -> Answer:
    channel = _tls().wrap_socket(raw, server_hostname=to.host.rstrip(".")) if to.tls else raw
    with channel:
        channel.settimeout(WHOLE_SECONDS + CONNECT_SECONDS)  # the cut comes first
        connection = HTTPConnection(to.host, to.port)
        connection.sock = channel
        sent = {"host": to.authority, "user-agent": "video-jobs", "connection": "close", **headers}
        connection.request("POST", to.target, body, sent)
        with connection.getresponse() as answer:
            return Answer(status=answer.status, retry_after=answer.headers.get("retry-after"))


@contextmanager
def _cut(connection: socket.socket, *, after: float) -> Iterator[Callable[[], bool]]:
    """Break a connection off when its time is over, whatever it is waiting for. Gives what to ask whether it was."""
    # a copy, because encryption takes the socket over; what is shut down is the connection of both
    with connection.dup() as other:
        over = Event()

        def break_off() -> None:
            over.set()
            with suppress(OSError):  # the receiver was faster
                other.shutdown(socket.SHUT_RDWR)

        timer = Timer(after, break_off)
        timer.start()
        try:
            yield over.is_set
        finally:
            timer.cancel()
            timer.join()


@cache
def _tls() -> ssl.SSLContext:
    """With the system's certificates, which take a moment to read."""
    return ssl.create_default_context()


def forget() -> None:
    """Drop the certificates that were read."""
    _tls.cache_clear()
