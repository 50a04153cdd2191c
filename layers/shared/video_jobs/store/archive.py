"""The archive: what platforms said, word for word."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from video_jobs import settings
from video_jobs.store import table
from video_jobs.store.table import Page, expiry, put_once, to_plain, to_wire


class Recorded(StrEnum):
    """How the recording of a step's end went."""

    RECORDED = "recorded"
    REPEATED = "repeated"  # this event is in the archive already
    STALE = "stale"  # the job is further on, or gone: archived, nothing changed
    ADOPTED = "adopted"  # about work that we did not start: a job was made for it
    IGNORED = "ignored"  # documented, but nothing that a step waits for: archived


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a platform said about a step, as it said it."""

    callback: str
    """"provider/callback" in snake case: whose words these are, and which function understands them."""
    step: str
    """Which step they are about."""
    attempt: int
    body: str
    via: str
    """How it reached us: callback, check, submit or start."""
    headers: Mapping[str, str]
    received_at: str
    identity: str | None = None
    """The platform's own id of this callback, where it sends one: repetitions share it."""

    @property
    def event_id(self) -> str:
        """The same for what was said once: the same callback, or the same words about the same attempt."""
        said = self.identity or f"{self.attempt}\n{self.body}"
        return hashlib.sha256(f"{self.callback}\n{said}".encode()).hexdigest()[:32]

    @property
    def provider(self) -> str:
        return self.callback.split("/")[0]


def event_key(job_id: str, event_id: str) -> dict[str, str]:
    return {"pk": f"JOB#{job_id}", "sk": f"EVENT#{event_id}"}


def event_item(job_id: str, event: Event, outcome: Recorded) -> dict[str, Any]:
    return event_key(job_id, event.event_id) | {
        "event_id": event.event_id,
        "callback": event.callback,
        "step": event.step,
        "attempt": event.attempt,
        "via": event.via,
        "outcome": outcome,
        "headers": dict(event.headers),
        "body": event.body,
        "received_at": event.received_at,
        "expires_at": expiry(table.now()),
    }


def archive(job_id: str, event: Event, outcome: Recorded) -> None:
    put_once(event_item(job_id, event, outcome))


def events(job_id: str, *, limit: int, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Archived events of a job, in the order of their ids; the cursor is the last one's."""
    start = {"ExclusiveStartKey": to_wire({"pk": f"JOB#{job_id}", "sk": f"EVENT#{cursor}"})} if cursor else {}
    answer = settings.dynamodb().query(
        TableName=settings.setting("TABLE_NAME"),
        KeyConditionExpression="pk = :pk AND begins_with(sk, :event)",
        ExpressionAttributeValues=to_wire({":pk": f"JOB#{job_id}", ":event": "EVENT#"}),
        ConsistentRead=True,  # what is taken over must not miss the callback of a moment ago
        Limit=limit,
        **start,  # type: ignore[arg-type]
    )
    last = answer.get("LastEvaluatedKey")
    return Page(
        items=[to_plain(item) for item in answer["Items"]],
        cursor=to_plain(last)["sk"].removeprefix("EVENT#") if last else None,
    )


def event_ids(job_id: str) -> Iterator[str]:
    cursor = None
    while True:
        page = events(job_id, limit=100, cursor=cursor)
        yield from (event["event_id"] for event in page.items)
        cursor = page.cursor
        if cursor is None:
            return


def event(job_id: str, event_id: str) -> dict[str, Any] | None:
    """One archived event."""
    key = to_wire(event_key(job_id, event_id))
    table = settings.setting("TABLE_NAME")
    item = settings.dynamodb().get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return to_plain(item) if item else None


def copy_event(job_id: str, to: str, event_id: str) -> None:
    """An archived event, in another job's archive too; what is there already stays."""
    item = event(job_id, event_id)
    if item is not None:
        put_once(item | event_key(to, event_id))
