"""What api.video's webhooks are called with: the six events, and how they are signed.

Printed: the fields of every event, the two headers, the three shapes of `emittedAt`, and the signature (HMAC-SHA256
of the body as it is sent, in lower-case hex; that the key is the whole secret with its `sig_sec_` was measured with a
printed body). There is no event for a failure.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from itertools import cycle

PARIS = timezone(timedelta(hours=1))


class EventType(StrEnum):
    BROADCAST_STARTED = "live-stream.broadcast.started"
    BROADCAST_ENDED = "live-stream.broadcast.ended"
    RECORDED = "video.source.recorded"
    QUALITY_COMPLETED = "video.encoding.quality.completed"
    CAPTION_GENERATED = "video.caption.generated"
    SUMMARY_GENERATED = "video.summary.generated"


# what each event says, with printed values where nobody gives others
SAMPLES: Mapping[EventType, Mapping[str, str]] = {
    EventType.BROADCAST_STARTED: {"liveStreamId": "li400mYKSgQ6xs7taUeSaEap"},
    EventType.BROADCAST_ENDED: {"liveStreamId": "li400mYKSgQ6xs7taUeSaEap"},
    EventType.RECORDED: {"liveStreamId": "li400mYKSgQ6xs7taUeSaEap", "videoId": "vi4blUQJFrYWbaG44NChkH11"},
    EventType.QUALITY_COMPLETED: {"videoId": "vi4blUQJFrYWbaG44NChkH11", "encoding": "hls", "quality": "1080p"},
    EventType.CAPTION_GENERATED: {
        "videoId": "vi4blUQJFrYWbaG44NCh1234",
        "captionId": "caption_1CHAfLFHT5B5EV4vzT1234",
        "generationMode": "transcript",
        "language": "en",
    },
    EventType.SUMMARY_GENERATED: {
        "videoId": "vi4blUQJFrYWbaG44NCh1234",
        "summaryId": "summary_1CGyYoB9XCgBk4iQna8ocT",
    },
}


@dataclass(frozen=True)
class Event:
    type: EventType
    fields: Mapping[str, str]


class Clock:
    """Writes down the time in the three shapes that the documents print, by turns."""

    def __init__(self) -> None:
        self._shapes = cycle((with_fraction_and_offset, with_fraction_in_utc, in_whole_seconds))

    def emitted_at(self) -> str:
        return next(self._shapes)(datetime.now(UTC))


def with_fraction_and_offset(moment: datetime) -> str:
    """As in 2021-01-29T16:46:25.217+01:00."""
    return moment.astimezone(PARIS).isoformat(timespec="milliseconds")


def with_fraction_in_utc(moment: datetime) -> str:
    """As in 2021-01-29T15:46:25.217Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_whole_seconds(moment: datetime) -> str:
    """As in 2024-08-15T10:18:47+00:00."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def body_of(event: Event, emitted_at: str) -> bytes:
    """Flat and without spaces, as the signed sample is."""
    body = {"type": event.type, "emittedAt": emitted_at, **event.fields}
    return json.dumps(body, separators=(",", ":")).encode()


def signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
