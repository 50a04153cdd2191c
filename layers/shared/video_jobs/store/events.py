"""The archive: what platforms said, word for word, in the partition of the job or of the id that they named."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from video_jobs import clock, jsontext
from video_jobs.jobs.model import LARGEST_BODY, Job, PollResult, StepSucceeded
from video_jobs.store import table
from video_jobs.store.table import Page, expiry, medium_key, packed, to_plain, unpacked

_COMPRESS = 600
"""Bytes of body and headers: with its keys, an event costs one write unit where it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a platform said, as it said it."""

    callback: str
    """"provider/callback" in snake case: whose words these are, and which module understands them."""
    via: str
    """How it reached us: callback, poll or submit."""
    meaning: str
    """What it means: succeeded, failed, hint or ignored."""
    body: str
    headers: Mapping[str, str]
    received_at: int
    """Milliseconds since 1970."""
    job_id: str | None = None
    """The job that a URL's token names, or that asked."""
    attempt: int | None = None
    ref: str | None = None
    """The platform's id that its body names."""
    identity: str | None = None
    """The platform's own id of this callback, where it sends one: repetitions share it."""

    @property
    def event_id(self) -> str:
        """The same for what was said once: the same callback, or the same words about the same attempt."""
        said = self.identity or f"{self.attempt or 0}\n{self.body}"
        return hashlib.sha256(f"{self.callback}\n{said}".encode()).hexdigest()[:32]

    @property
    def provider(self) -> str:
        return self.callback.split("/", maxsplit=1)[0]

    @property
    def partition(self) -> str:
        if self.job_id is not None:
            return f"JOB#{self.job_id}"
        # one that names nothing is found by its day
        return medium_key(self.provider, self.ref or f"unnamed {clock.iso(self.received_at)[:10]}")


def archive(event: Event) -> bool:
    """Keep an event; False if it is there already."""
    item = {
        "pk": event.partition,
        "sk": f"EVENT#{event.event_id}",
        "callback": event.callback,
        "via": event.via,
        "meaning": event.meaning,
        **packed(json.dumps({"headers": dict(event.headers), "body": event.body}, ensure_ascii=False), above=_COMPRESS),
        "received_at": event.received_at,
        "expires_at": expiry(),
        **({"attempt": event.attempt} if event.attempt is not None else {}),
        **({"identity": event.identity} if event.identity is not None else {}),
    }
    return table.put_new(item) is None


def archive_answer(job: Job, name: str, result: PollResult, *, via: str) -> None:
    """Keep the answer that has ended a step, when its platform was asked. What is too large can be asked for again."""
    text = jsontext.write(dict(result.body), ascii_only=False)
    size = len(text.encode())
    if size > LARGEST_BODY:
        digest = hashlib.sha256(text.encode()).hexdigest()
        text = jsontext.write({"omitted": "too large", "bytes": size, "sha256": digest})
    step = job.steps[name]
    archive(
        Event(
            callback=f"{job.provider}/{name}",
            via=via,
            meaning="succeeded" if isinstance(result.end, StepSucceeded) else "failed",
            body=text,
            headers={},
            received_at=clock.now(),
            job_id=job.job_id,
            attempt=step.attempt,
            identity=f"{name}\n{step.attempt}\n{via}\n{text}",
        )
    )


def events(job: Job, *, limit: int, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Archived events of a job and of the ids that it follows, with `event_id` and `body`, partition by partition.

    The cursor is "<number of the partition>.<last event's id>".
    """
    partitions = _partitions(job)
    number, _, last = (cursor or "0.").partition(".")
    found: list[dict[str, Any]] = []
    for position in range(int(number), len(partitions)):
        pk = partitions[position]
        after = {"pk": pk, "sk": f"EVENT#{last}"} if last else None
        answer = table.query(
            "pk = :pk AND begins_with(sk, :event)",
            {"pk": pk, "event": "EVENT#"},
            limit=limit - len(found),
            after=after,
        )
        found += [_plain(to_plain(item)) for item in answer["Items"]]
        if len(found) >= limit:
            more = "LastEvaluatedKey" in answer or position + 1 < len(partitions)
            ended = f"{position}.{found[-1]['event_id']}" if "LastEvaluatedKey" in answer else f"{position + 1}."
            return Page(items=found, cursor=ended if more else None)
        last = ""
    return Page(items=found, cursor=None)


def event(job: Job, event_id: str) -> dict[str, Any] | None:
    """One archived event of a job, or of an id that it follows."""
    for pk in _partitions(job):
        if (item := table.get({"pk": pk, "sk": f"EVENT#{event_id}"})) is not None:
            return _plain(item)
    return None


def _partitions(job: Job) -> list[str]:
    return [f"JOB#{job.job_id}", *(medium_key(job.provider, ref) for ref in job.refs)]


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    ref = None if item["pk"].startswith("JOB#") else item["pk"].split("#", maxsplit=2)[2]
    said = json.loads(unpacked(item))
    about = {"event_id": item["sk"].removeprefix("EVENT#"), "ref": ref, "attempt": item.get("attempt")}
    return {**item, **about, "headers": said["headers"], "body": said["body"]}
