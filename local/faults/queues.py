"""Queues in memory, as SQS keeps them: delays, visibility, receive counts, dead letters."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

_ids = itertools.count(1)


@dataclass(eq=False, kw_only=True)
class Message:
    message_id: str
    body: str
    group: str | None
    sent_at: int
    visible_at: int
    received: int = 0
    receipt: str = ""


@dataclass(eq=False, kw_only=True)
class Queue:
    """Moments are milliseconds since 1970."""

    name: str
    visibility: int
    """Seconds."""
    most_receives: int | None = None
    dead_letters: "Queue | None" = None
    retention: int = 345_600
    """Seconds."""
    messages: list[Message] = field(default_factory=list)
    last: str | None = None
    """What was sent last."""

    def send(self, body: str, *, now: int, delay: int = 0, group: str | None = None) -> str:
        message = Message(
            message_id=f"message-{next(_ids)}",
            body=body,
            group=group,
            sent_at=now,
            visible_at=now + delay * 1000,
        )
        self.messages.append(message)
        self.last = body
        return message.message_id

    @property
    def next_at(self) -> int | None:
        """When the next message can be received."""
        return min((message.visible_at for message in self.messages), default=None)

    def receive(self, *, now: int, most: int) -> list[Message]:
        """Those that are visible, hidden from now on; what was received too often goes to the dead letters."""
        self.messages = [one for one in self.messages if one.sent_at + self.retention * 1000 > now]
        visible = sorted((one for one in self.messages if one.visible_at <= now), key=lambda one: one.visible_at)
        taken: list[Message] = []
        for message in visible[:most]:
            if self.most_receives is not None and message.received >= self.most_receives and self.dead_letters:
                self.messages.remove(message)
                self.dead_letters.messages.append(message)
                continue
            message.received += 1
            message.receipt = f"{message.message_id}/{message.received}"
            message.visible_at = now + self.visibility * 1000
            taken.append(message)
        return taken

    def delete(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message in self.messages:
                self.messages.remove(message)

    def hide(self, receipt: str, *, now: int, seconds: int) -> bool:
        """Set when a message comes again; False if nobody has it with this receipt."""
        for message in self.messages:
            if message.receipt == receipt:
                message.visible_at = now + seconds * 1000
                return True
        return False

    def purge(self) -> None:
        self.messages.clear()
