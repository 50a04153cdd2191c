"""The forms of what one function leaves for another, or one release for the next: messages and items.

They are those of what functions write in a short life of a job and a batch, in memory, and of the models behind them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from video_jobs import versions
from video_jobs.aws import clients, queues
from video_jobs.callbacks.messages import Received
from video_jobs.jobs import transitions
from video_jobs.jobs.batches import Batch
from video_jobs.jobs.messages import Look
from video_jobs.jobs.model import Hint, Job, JobError, RetryPolicy, Step, StepFailed, StepRunning, Submitted
from video_jobs.jobs.model import Request as JobRequest
from video_jobs.notifications import events as notifications
from video_jobs.notifications.events import Notification
from video_jobs.platforms.callback import Proof
from video_jobs.store import adoptions, batches, events, items, jobs, media, table
from video_jobs.store.batches import Post
from video_jobs.store.events import Event

from tests import stack as stacks
from tests.scripted import CREATED_AT, fault, new_job

type Contracts = Mapping[str, Mapping[str, Any]]
"""By "messages/<queue>/<name>" or "items/<kind>": {"version": ..., "form": ...}."""

RECORD = "python -m tests.upgrade.record contracts"
QUEUES = {
    "InboxQueue": "inbox",
    "VideoDbQueue": "look",
    "BatchesQueue": "batches",
    "BusNotifications": "notifications",
    "UrlNotifications": "notifications",
}
MODELS: Mapping[str, tuple[type[BaseModel], ...]] = {"job": (Job, Step, JobError), "batch": (Batch,)}
MODELS_OF_REQUESTS = (JobRequest, RetryPolicy)


def current() -> dict[str, dict[str, Any]]:
    """The forms of this code. As JSON would give them back, so that they can be compared."""
    with pytest.MonkeyPatch.context() as patch:

        def environment(variables: dict[str, str]) -> None:
            for name, value in variables.items():
                patch.setenv(name, value)

        with stacks.deployed(environment) as stack:
            _live(stack)
            found = _messages(stack) | _items(stack)
    assert {name.split("/")[1] for name in found if name.startswith("messages/")} == set(versions.MESSAGES)
    assert {name.split("/")[1] for name in found if name.startswith("items/")} == set(versions.ITEMS)
    plain: dict[str, dict[str, Any]] = json.loads(json.dumps(found))
    return plain


# --- A life ----------------------------------------------------------------------------------------------------------


def _live(stack: stacks.Stack) -> None:
    """Have everything written that functions write, with every attribute."""
    _job()
    _batch()
    for body in (b"{}", b"\xff"):
        proof = Proof(job_id="job-1", attempt=1, signature="s")
        callback = Received(callback="videodb/upload", body=body, headers={}, received_at=1, proof=proof)
        clients.sqs().send_message(QueueUrl=stack.queue_urls["InboxQueue"], MessageBody=callback.written())


def _job() -> None:
    refs = {"refs": ("m-1",), "adopted": True, "confirmed": False, "media_id": "m-1"}
    request: dict[str, Any] = {
        "label": "l",
        "options": {"upload": {"name": "x" * 2000}},
        "notify_url": "https://example.com/",
    }
    job = jobs.create(new_job(plan=["upload"], **request))
    job = jobs.save(job, job.model_copy(update=refs)) or job
    media.link(job, job.refs)
    hint = Hint(ref="p", step="upload", part="status", word="w", good=True)
    running = StepRunning(progress=0.5, platform_status="s", result={"text": "x" * 2000})
    now = CREATED_AT
    facts: list[Callable[[Job], Job | None]] = [
        partial(transitions.claimed, name="upload", now=now, lease=0),
        partial(transitions.backed_off, name="upload", attempt=1, error=fault(), now=now, wait=0, counts=False),
        partial(transitions.claimed, name="upload", now=now, lease=0),
        partial(
            transitions.submitted,
            name="upload",
            attempt=2,
            accepted=Submitted(platform_job_id="p"),
            now=now,
            poll_in=1,
            deadline_in=9,
        ),
        lambda job: transitions.polled(job, "upload", job.steps["upload"], running, now=now, wake_in=1),
        partial(transitions.hinted, hint=hint, now=now),
        partial(transitions.step_ended, name="upload", attempt=2, end=StepFailed(error=fault()), now=now),
        partial(transitions.announced, number=1, now=now),
    ]
    for fact in facts:
        _saved("job-1", fact)
    queues.send_looks([Look(provider="videodb", job_id="job-1", due_at=1)])
    notifications.job_ended(_saved("job-1", partial(transitions.confirmed, now=now)))
    for body in ("{}", "x" * 2000):
        said: dict[str, Any] = {
            "headers": {},
            "received_at": now,
            "job_id": "job-1",
            "attempt": 1,
            "identity": body,
            "ref": "m-1",
        }
        events.archive(Event(callback="videodb/upload", via="callback", meaning="failed", body=body, **said))
    jobs.delete(jobs.create(new_job("job-2", plan=["upload"])))
    jobs.create(new_job("job-3", plan=["upload"]))
    adoptions.is_allowed("s")


def _batch() -> None:
    times = {"created_at": CREATED_AT, "updated_at": CREATED_AT, "closed": False, "notify_url": "https://example.com/"}
    template = {"provider": "videodb", "steps": ["upload"]}
    batch = Batch(batch_id="b", name="n", provider="videodb", template=template, request_digest="d", **times)
    batch, _ = batches.create(batch, ["https://example.com/1.mp4"])
    work = batches.append("b", ["https://example.com/2.mp4"], close=True, post=Post(key="k", digest="d"))
    batches.retry(batch.model_copy(update={"version": 1}), cause="c")
    for message in ({"work_id": work[0]}, {"batch_id": "b"}):
        queues.send_batch_message(message)
    job = jobs.create(new_job("of-batch", plan=["upload"], batch_id="b", batch_index=0))
    for fact in (
        transitions.canceled,
        partial(transitions.counted, number=1),
        partial(transitions.announced, number=1),
    ):
        _saved(job.job_id, partial(fact, now=CREATED_AT))


def _saved(job_id: str, fact: Callable[[Job], Job | None]) -> Job:
    made = jobs.change(job_id, fact)
    assert made is not None
    assert made.changed
    return made.after


# --- Its forms -------------------------------------------------------------------------------------------------------


def _messages(stack: stacks.Stack) -> dict[str, dict[str, Any]]:
    forms: dict[str, Any] = {}
    for queue, kind in QUEUES.items():
        for body in stack.messages(queue):
            message = json.loads(body)
            assert message.pop(versions.FIELD) == versions.MESSAGES[kind]
            name = f"messages/{kind}/{_name(kind, message)}"
            forms[name] = {**forms.get(name, {}), **{field: _shape(value) for field, value in message.items()}}
    forms["messages/notifications/notification"] = _schema(Notification)
    return {name: {"version": versions.MESSAGES[name.split("/")[1]], "form": form} for name, form in forms.items()}


def _name(kind: str, message: Mapping[str, Any]) -> str:
    """What a message is; those about batches are told apart by what they name."""
    names = {"inbox": "callback", "notifications": "notification", "look": "look"}
    return names.get(kind) or next(iter(message)).removesuffix("_id")


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    return type(value).__name__


def _items(stack: stacks.Stack) -> dict[str, dict[str, Any]]:
    forms: dict[str, dict[str, str]] = {}
    for item in _stored():
        kind = versions.item_kind(item["pk"]["S"], item["sk"]["S"])
        forms.setdefault(kind, {}).update(_attributes(item))
    found: dict[str, dict[str, Any]] = {}
    for kind, attributes in forms.items():
        form: dict[str, Any] = {"attributes": dict(sorted(attributes.items()))}
        for model in MODELS.get(kind, ()):
            form[model.__name__] = _schema(model)
        if kind == "request":
            form |= {model.__name__: _schema(model) for model in MODELS_OF_REQUESTS}
        if kind == "job":
            form["names of a step's fields"] = dict(items._STEP_NAMES)
        found[f"items/{kind}"] = {"version": versions.ITEMS[kind], "form": form}
    return found


def _stored() -> Iterable[dict[str, Any]]:
    found: list[dict[str, Any]] = clients.dynamodb().scan(TableName=table.name())["Items"]
    return found


def _attributes(item: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """An item's attributes, and the kind of value of each as DynamoDB has it. What is counted has a name of its own."""
    return {
        f"{name.split('/')[0]}/…" if "/" in name else name: next(iter(value))
        for name, value in item.items()
        if name != versions.FIELD
    }


def _schema(model: type[BaseModel]) -> Any:
    """A model's JSON schema, without what only explains it."""
    return _told_apart(model.model_json_schema())


def _told_apart(part: Any) -> Any:
    if isinstance(part, dict):
        # a property may have such a name as well, and then its value is a schema, and no text
        return {
            name: _told_apart(value)
            for name, value in part.items()
            if not (name in ("title", "description") and isinstance(value, str))
        }
    return [_told_apart(each) for each in part] if isinstance(part, list) else part


def breaches(recorded: Contracts, now: Contracts) -> list[str]:
    """What is wrong with today's forms, if these were recorded: in sentences; nothing, if they are the same."""
    return [
        *(
            _sentence(name, recorded.get(name), now.get(name))
            for name in sorted(recorded.keys() | now.keys())
            if recorded.get(name) != now.get(name)
        ),
        *_unannounced(recorded, now),
    ]


def _sentence(name: str, was: Mapping[str, Any] | None, is_now: Mapping[str, Any] | None) -> str:
    if was is None:
        return f"{name} is new and not recorded. Record it: {RECORD}"
    if is_now is None:
        return (
            f"{name} is gone, but what the last release has written of it may still be there. Read it for one release "
            f"more; then record that it is gone: {RECORD}"
        )
    if is_now["version"] < was["version"]:
        return f"{name} has version {is_now['version']} after {was['version']}: numbers only grow. Take a greater one."
    if is_now["version"] == was["version"]:
        return (
            f"{name} has another form, and still version {was['version']}. If code of the last release would go wrong "
            "with it, raise its version (in video_jobs/versions.py); if it can do without "
            f"what is new, leave the version. Then record the form: {RECORD}"
        )
    return f"{name} has version {is_now['version']} now, and {was['version']} is recorded. Record it: {RECORD}"


def _unannounced(recorded: Contracts, now: Contracts) -> Iterator[str]:
    """New kinds of messages that older code would take for defects, as it knows no such action."""
    known: dict[str, int] = {}
    for name, form in recorded.items():
        queue = name.rpartition("/")[0]
        known[queue] = max(known.get(queue, 0), form["version"])
    for name in sorted(now.keys() - recorded):
        queue = name.rpartition("/")[0]
        if queue != "items" and now[name]["version"] <= known.get(queue, 0):
            yield (
                f"{name} is a new kind of message with version {now[name]['version']}, which code of the last release "
                f"takes for one that it knows. Give it version {known[queue] + 1}."
            )
