"""Events that announce ends and polls: what they say, and how they get on their way.

An event is made once, as text, and its id follows from what it is about: so whatever is announced again is known by its
id.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict

from video_jobs import clock, jsontext
from video_jobs.api.views import JobView
from video_jobs.aws import queues
from video_jobs.jobs.model import Frozen, Job
from video_jobs.platforms.media import medium_of
from video_jobs.settings import setting

LARGEST_EVENT = 240_000
"""Bytes. Event buses took 256 KB, and by now 1 MB; what their rules lead to often takes less. And two messages that
quote an event of this size fit into one call to SQS, which takes 1 MiB."""
_WHOLE_NUMBERS = range(-(2**63), 2**63)
"""Those that event buses take. (They also take a thousand levels of nesting; we show fewer.)"""


class Notification(Frozen):
    """An event on its way to one receiver."""

    model_config = ConfigDict(hide_input_in_errors=True)  # there may be a secret in the URL

    to: Literal["bus", "url"]
    url: str | None = None
    event_id: str
    event: str
    """As JSON in ASCII: its type, its timestamp and its data, as Standard Webhooks recommends."""


def read(body: str) -> Notification:
    """A message of the notifications' queues. Raises NewerVersionError, or ValueError if it is none."""
    return Notification.model_validate(queues.read(body, "notifications"))


def job_ended(job: Job) -> None:
    """Have a job's last end announced. Raises what AWS raises: again is harmless, the id is the same."""
    event_id = _event_id("job.ended", job.job_id, job.ends)
    _send(event_id, _job_event(f"job.{job.status}", job.ended_at, job), job.request.notify_url)


def job_polled(job: Job, step: str) -> None:
    """Have it announced that a poll has left a step running. Raises as `job_ended` does."""
    polled = job.steps[step]
    event_id = _event_id("job.polled", job.job_id, step, polled.attempt, polled.polls)
    _send(event_id, _job_event("job.polled", polled.polled_at, job, polled_step=step), job.request.notify_url)


def batch_ended(batch_id: str, *, number: int, notify_url: str | None, data: Mapping[str, Any]) -> None:
    """Have the `number`th end of a batch announced, with its totals in `data`. Raises as `job_ended` does."""
    event_id = _event_id("batch.ended", batch_id, number)
    _send(event_id, _text("batch.ended", data.get("ended_at"), data), notify_url)


def _job_event(kind: str, moment: int | None, job: Job, **more: str) -> str:
    """The event, without what a bus would not take: `omitted` names it."""
    said_at = clock.iso(moment or job.updated_at)
    for number in range(len(_LEFT_OUT)):
        omitted = _LEFT_OUT[:number]
        data = _data(job, omitted) | more
        text = _text(kind, said_at, data)
        if len(text) <= LARGEST_EVENT and _is_taken(data):
            return text
    return _text(kind, said_at, _data(job, _LEFT_OUT) | more)


_LEFT_OUT = ("steps.result", "options", "steps.hints")
"""What may be large, or may hold what others wrote, in the order in which it is left out. All the rest is bounded."""


def _data(job: Job, omitted: Sequence[str]) -> dict[str, Any]:
    """What `GET /jobs/{id}` shows."""
    of_steps: dict[str, Any] = {"steps.result": {"result": None}, "steps.hints": {"hints": {}}}
    without = {field: value for name in omitted for field, value in of_steps.get(name, {}).items()}
    shown = job.model_copy(
        update={
            "media_id": medium_of(job) or job.media_id,  # a result that is left out may be what names it
            "steps": {name: step.model_copy(update=without) for name, step in job.steps.items()},
            "request": job.request.model_copy(update={"options": {}}) if "options" in omitted else job.request,
        }
    )
    data = JobView.of(shown).model_dump(mode="json")
    return data | {"omitted": list(omitted)} if omitted else data


def _text(kind: str, moment: str | None, data: Mapping[str, Any]) -> str:
    return jsontext.write(
        {"type": kind, "timestamp": moment or clock.iso(clock.now()), "data": data}, separators=(",", ":")
    )


def _is_taken(part: Any) -> bool:
    """Whether a bus takes all numbers in it."""
    if isinstance(part, Mapping):
        return all(map(_is_taken, part.values()))
    if isinstance(part, list):
        return all(map(_is_taken, part))
    return not isinstance(part, int) or part in _WHOLE_NUMBERS


def _event_id(*parts: str | int) -> str:
    return f"evt_{hashlib.sha256('\n'.join(map(str, parts)).encode()).hexdigest()[:32]}"


def _send(event_id: str, event: str, url: str | None) -> None:
    """Each receiver has a queue of its kind: who is down holds up nobody else."""
    _put("BUS_NOTIFICATIONS_QUEUE_URL", Notification(to="bus", event_id=event_id, event=event))
    if url is not None:
        _put("URL_NOTIFICATIONS_QUEUE_URL", Notification(to="url", url=url, event_id=event_id, event=event), host=url)


def _put(queue: str, notification: Notification, *, host: str | None = None) -> None:
    """SQS has no group wait for another one that takes long (fair queues): a group for each host."""
    message = queues.written(notification.model_dump(exclude_none=True), "notifications")
    queues.send(setting(queue), message, group=_group(host) if host else None)


def _group(url: str) -> str:
    return hashlib.sha256(urlsplit(url).netloc.lower().encode()).hexdigest()[:32]
