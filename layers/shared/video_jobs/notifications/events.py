"""Events that tell of ends and checks: what they say, and how they get on their way.

An event is made once, as text, and its id follows from what it is about: so whatever is told again is known by its id.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, TypeAdapter

from video_jobs import queues, settings
from video_jobs.api.views import JobView
from video_jobs.jobs.model import Frozen, Job, now, timestamp
from video_jobs.platforms import media
from video_jobs.queues import NotSentError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

LARGEST_EVENT = 240_000
"""Bytes. Event buses took 256 KB, and by now 1 MB; what their rules lead to often takes less. And two messages that
quote an event of this size fit into one call to SQS, which takes 1 MiB."""
_WHOLE_NUMBERS = range(-(2**63), 2**63)
"""Those that event buses take. (They also take a thousand levels of nesting; we show fewer.)"""


class Notice(Frozen):
    """An event on its way to one receiver."""

    model_config = ConfigDict(hide_input_in_errors=True)  # there may be a secret in the URL

    schema_version: int = 1
    to: Literal["bus", "url"]
    url: str | None = None
    event_id: str
    event: str
    """As JSON in ASCII: its type, its timestamp and its data, as Standard Webhooks recommends."""


_NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)


def read(body: str) -> Notice:
    """A message of the notices' queue. Raises NewerVersionError, or ValueError if it is none."""
    return queues.read(body, _NOTICE, queue="notices")


def job_ended(job: Job) -> None:
    """Have a job's last end told. Raises NotSentError if not all was sent: again is harmless, the id is the same."""
    event_id = _event_id("job.ended", job.job_id, job.ends)
    _send(event_id, _job_event(f"job.{job.status}", job.ended_at, job), job.request.notify_url)


def job_checked(job: Job, step: str) -> None:
    """Have it told that a check has left a step running. Raises NotSentError."""
    checked = job.steps[step]
    event_id = _event_id("job.checked", job.job_id, step, checked.attempt, checked.checks)
    _send(event_id, _job_event("job.checked", checked.checked_at, job, checked_step=step), job.request.notify_url)


def batch_ended(batch_id: str, *, number: int, notify_url: str | None, data: Mapping[str, Any]) -> None:
    """Have the `number`th end of a batch told, with its totals in `data`. Raises NotSentError, as `job_ended` does."""
    event_id = _event_id("batch.ended", batch_id, number)
    _send(event_id, _text("batch.ended", data.get("ended_at"), data), notify_url)


def _job_event(kind: str, moment: str | None, job: Job, **more: str) -> str:
    """The event, without what a bus would not take: `omitted` names it."""
    for number in range(len(_LEFT_OUT)):
        omitted = _LEFT_OUT[:number]
        data = _data(job, omitted) | more
        text = _text(kind, moment or job.updated_at, data)
        if len(text) <= LARGEST_EVENT and _is_taken(data):
            return text
    return _text(kind, moment or job.updated_at, _data(job, _LEFT_OUT) | more)


_LEFT_OUT = ("steps.result", "options", "steps.told")
"""What may be large, or may hold what others wrote, in the order in which it is left out. All the rest is bounded."""


def _data(job: Job, omitted: Sequence[str]) -> dict[str, Any]:
    """What `GET /jobs/{id}` shows."""
    of_steps: dict[str, Any] = {"steps.result": {"result": None}, "steps.told": {"told": {}}}
    without = {field: value for name in omitted for field, value in of_steps.get(name, {}).items()}
    shown = media.known(job).model_copy(
        update={
            "steps": {name: step.model_copy(update=without) for name, step in job.steps.items()},
            "options": {} if "options" in omitted else job.request.options,
        }
    )
    data = JobView.of(shown).model_dump(mode="json")
    return data | {"omitted": list(omitted)} if omitted else data


def _text(kind: str, moment: str | None, data: Mapping[str, Any]) -> str:
    return json.dumps({"type": kind, "timestamp": moment or timestamp(now()), "data": data}, separators=(",", ":"))


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
    notices = [Notice(to="bus", event_id=event_id, event=event)]
    if url is not None:
        notices.append(Notice(to="url", url=url, event_id=event_id, event=event))
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": notice.to, "MessageBody": notice.model_dump_json(exclude_none=True), "MessageGroupId": _group(notice)}
        for notice in notices
    ]
    answer = settings.sqs().send_message_batch(QueueUrl=settings.setting("NOTICES_QUEUE_URL"), Entries=entries)
    if failed := answer.get("Failed"):
        raise NotSentError(f"{len(failed)} of {len(entries)} notices: {failed[0].get('Code')}")


def _group(notice: Notice) -> str:
    """Whose message it is: SQS has no group wait for another one that takes long (fair queues)."""
    host = urlsplit(notice.url or "").netloc.lower()
    return f"url:{hashlib.sha256(host.encode()).hexdigest()[:32]}" if notice.to == "url" else "bus"
