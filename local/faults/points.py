"""Where something can go wrong, and what."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong at a point: the columns of the table."""

    CRASH_BEFORE = "crash before"  # whoever calls is stopped, and the call was not made
    CRASH_AFTER = "crash after"  # the call was made, and whoever made it is stopped
    ANSWER_LOST = "answer lost"  # the call was made, and its caller sees a time-out
    SENT_TWICE = "sent twice"  # the SDK made it twice, or what was received came twice
    THROTTLED = "throttled"  # too much at once: nothing was done
    CONFLICT = "conflict"  # a transaction is at the same item
    OVERTAKEN = "overtaken"  # somebody else has saved the item just now
    UNAVAILABLE = "unavailable"  # the platform answers 503, and has done nothing
    DROPPED = "dropped"  # the callback never comes
    LATE = "late"  # the callback comes an hour later


class Kind(StrEnum):
    AWS = "aws"
    PLATFORM = "platform"
    CALLBACK = "callback"
    DELIVERY = "delivery"  # SQS hands messages over


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One call of a run, by its number."""

    number: int
    kind: Kind
    name: str
    """"dynamodb.PutItem JOB", "videodb POST /collection/default/upload", …"""
    actor: str
    """The function that was at work."""
    at: int = 0
    """Milliseconds since the start."""
    writes: bool = False
    conditional: bool = False
    """Whether it saves an item on its version."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What can go wrong here."""
        match self.kind:
            case Kind.PLATFORM:
                return (
                    *(Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ANSWER_LOST),
                    *(Fault.THROTTLED, Fault.UNAVAILABLE),
                )
            case Kind.CALLBACK:
                return (Fault.DROPPED, Fault.SENT_TWICE, Fault.LATE)
            case Kind.DELIVERY:
                return (Fault.SENT_TWICE,)
            case _:
                return _of_aws(self)


def _of_aws(point: Point) -> tuple[Fault, ...]:
    found = [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ANSWER_LOST, Fault.THROTTLED]
    if point.writes:
        found.append(Fault.SENT_TWICE)
    if point.writes and point.name.startswith("dynamodb."):
        found.append(Fault.CONFLICT)
    if point.conditional:
        found.append(Fault.OVERTAKEN)
    return tuple(found)


class Crashed(BaseException):
    """The process has ended here."""


class NotHonouredError(BaseException):
    """A call that nobody has taught to these services: nothing may take it for one of their faults."""
