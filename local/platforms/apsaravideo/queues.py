"""MNS queues: messages that are hidden while somebody works on them, and come back if he does not delete them."""

import asyncio
import base64
import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random


@dataclass(eq=False, kw_only=True)
class Message:
    """Times are in milliseconds since 1970, as MNS writes them."""

    id: str
    body: str
    enqueued: int
    visible: int
    first_dequeued: int = 0
    dequeued: int = 0  # how often
    receipt_handle: str = ""  # of the last time that it was received

    @property
    def body_md5(self) -> str:
        return hashlib.md5(self.body.encode()).hexdigest().upper()  # noqa: S324 (the platform's choice)


@dataclass(eq=False, kw_only=True)
class Queue:
    """`visibility` and `polling_wait` are the queue's attributes, in seconds."""

    name: str
    is_base64: bool
    visibility: float
    polling_wait: float
    chance: Random
    messages: list[Message] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    def put(self, body: bytes, *, ahead: bool = False) -> None:
        """`ahead`: before all others, as an MNS queue does not promise an order."""
        text = base64.b64encode(body).decode() if self.is_base64 else body.decode(errors="replace")
        now = milliseconds()
        message = Message(id=f"{self.chance.getrandbits(128):032X}", body=text, enqueued=now, visible=now)
        self.messages.insert(0 if ahead else len(self.messages), message)
        self._changed.set()

    async def receive(self, count: int, wait: float) -> list[Message]:
        """Up to `count` messages, as soon as there is one; empty after `wait` seconds."""
        end = time.monotonic() + wait
        while not (found := self._take(count)):
            left = min(end - time.monotonic(), self._next_return())
            if self._closed or end <= time.monotonic():
                return []
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(left, 0.001))
        return found

    def close(self) -> None:
        """Whoever waits gets nothing, at once."""
        self._closed = True
        self._changed.set()

    def delete(self, receipt_handle: str) -> bool:
        message = self._held(receipt_handle)
        if message is not None:
            self.messages.remove(message)
        return message is not None

    def change_visibility(self, receipt_handle: str, seconds: float) -> Message | None:
        """The message has a new handle then."""
        message = self._held(receipt_handle)
        if message is not None:
            message.visible = milliseconds() + int(seconds * 1000)
            message.receipt_handle = self._new_handle()
            self._changed.set()
        return message

    def _held(self, receipt_handle: str) -> Message | None:
        """A handle is good until its message is visible again."""
        now = milliseconds()
        held = (message for message in self.messages if message.visible > now)
        return next((message for message in held if message.receipt_handle == receipt_handle), None)

    def _take(self, count: int) -> list[Message]:
        now = milliseconds()
        found = [message for message in self.messages if message.visible <= now][:count]
        for message in found:
            message.dequeued += 1
            message.first_dequeued = message.first_dequeued or now
            message.visible = now + int(self.visibility * 1000)
            message.receipt_handle = self._new_handle()
        return found

    def _next_return(self) -> float:
        """Seconds until a hidden message is visible; endless if there is none."""
        return min((message.visible - milliseconds() for message in self.messages), default=float("inf")) / 1000

    def _new_handle(self) -> str:
        return f"8-{base64.b32encode(self.chance.randbytes(20)).decode()}"


def milliseconds() -> int:
    return int(time.time() * 1000)
