"""The forms of what one function leaves for another, or one release for the next: messages and items."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel
from video_jobs import queues, versions
from video_jobs.batches import Batch, Counts
from video_jobs.jobs import Job
from video_jobs.notices import Notice
from video_jobs.queues import CheckMessage, SettleMessage, StartMessage, WorkMessage
from video_jobs.store import archive, batches, media, table
from video_jobs.store.archive import Event, Recorded
from video_jobs.store.batches import Post, Work, WorkKind

from tests.scripted import new_job

type Contracts = Mapping[str, Mapping[str, Any]]
"""By "messages/<queue>/<name>" or "items/<kind>": {"version": ..., "form": ...}."""

RECORD = "python -m tests.upgrade.record contracts"
MESSAGES: Mapping[str, tuple[type[BaseModel], ...]] = {
    "steps": (StartMessage, CheckMessage),
    "batches": (WorkMessage, SettleMessage),
    "notices": (Notice,),
}
MOMENT = "2026-11-01T00:00:00.000Z"


def current() -> dict[str, dict[str, Any]]:
    """The forms of this code. As JSON would give them back, so that they can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABLE_NAME", "jobs")
        patch.setenv("RETENTION_DAYS", "90")
        found = dict(_messages()) | {
            f"items/{kind}": {"version": versions.ITEMS[kind], "form": form} for kind, form in _items()
        }
    assert {name.split("/")[1] for name in found if name.startswith("messages/")} == set(versions.MESSAGES)
    assert {name.split("/")[1] for name in found if name.startswith("items/")} == set(versions.ITEMS)
    plain: dict[str, dict[str, Any]] = json.loads(json.dumps(found))
    return plain


def _messages() -> Iterator[tuple[str, dict[str, Any]]]:
    for queue, models in MESSAGES.items():
        for model in models:
            version = model.model_fields[versions.FIELD].default
            yield f"messages/{queue}/{model.__name__}", {"version": version, "form": _schema(model)}
    form = {"callback": "provider/callback", "event": "payload format 2.0", "event_gzip": "the same, gzip in base64"}
    yield "messages/deliveries/delivery", {"version": queues.DELIVERY_VERSION, "form": form}


def _items() -> Iterator[tuple[str, Any]]:
    job = new_job(plan=["upload"], media_id="m-1", batch="batch-1")
    yield "job", {"model": _schema(Job), "attributes": _attributes(table.job_item(job))}
    event = Event(
        callback="c/d", step="s", attempt=1, body="b", via="callback", headers={}, received_at=MOMENT, identity="i"
    )
    yield "event", _attributes(archive.event_item("1", event, Recorded.RECORDED))
    yield "ref", _attributes(table.ref_item("1", "videodb", "upload", 1, "m-1"))
    yield "link", _types(media.link_put(job)["Item"])
    batch = Batch(batch_id="1", provider="p", template={}, closed=True, created_at=MOMENT, updated_at=MOMENT)
    yield "batch", {"model": _schema(Batch), "attributes": _attributes(batches._batch_item(batch))}
    # a count has an attribute for each kind of job, and each minute in which some ended
    yield "count", {field.name: str(field.type) for field in fields(Counts)}
    work = Work(
        work_id="1", batch_id="1", kind=WorkKind.RETRY, first=0, last=1, sources=("s",), cause="c", begun_at=MOMENT
    )
    yield "work", _types(batches._work_put(work)["Put"]["Item"])
    yield "post", _types(batches._post_put("1", Post(key="k", digest="d"))["Item"])


def _attributes(item: Mapping[str, Any]) -> dict[str, str]:
    return _types(table.to_wire(item))


def _types(item: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """An item's attributes, and the kind of value of each as DynamoDB has it."""
    return {name: next(iter(value)) for name, value in sorted(item.items()) if name != versions.FIELD}


def _schema(model: type[BaseModel]) -> Any:
    """A model's JSON schema, without what only explains it, and without the number itself."""
    schema = model.model_json_schema()
    schema["properties"].pop(versions.FIELD, None)
    return _told_apart(schema)


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
            "with it, raise its version (in video_jobs/versions.py, and in the message's class); if it can do without "
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
