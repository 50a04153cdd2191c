"""What code promises that meets what newer code has written: it waits, says so, and changes nothing."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from video_jobs import versions
from video_jobs.aws import clients, queues
from video_jobs.aws.consumers import Handler
from video_jobs.callbacks.messages import Received
from video_jobs.jobs import transitions
from video_jobs.jobs.model import JobStatus
from video_jobs.notifications.announce import announce
from video_jobs.platforms.callback import Proof
from video_jobs.store import adoptions, batches, due, events, jobs, media, table
from video_jobs.store.events import Event
from video_jobs.versions import NewerVersionError

from tests.api.calls import call
from tests.batch import BATCH, FAULT, finish, new_batch, put, read, sources
from tests.jobs.facts import FAILURE as FAILED
from tests.jobs.facts import canceled, claimed, ended, one_step
from tests.scripted import CREATED_AT, ScriptedPlatform, ScriptedStep, new_job
from tests.stack import Context, Stack, handler

UPLOADED = b'{"success": true, "data": {"id": "m-1"}}'


def callback(job_id: str = "job-1") -> str:
    proof = Proof(job_id=job_id, attempt=1)
    return Received(callback="videodb/upload", body=UPLOADED, headers={}, received_at=1, proof=proof).written()


QUEUES: dict[str, tuple[str, Callable[[], Handler]]] = {
    "look": ("VideoDbQueue", lambda: ScriptedPlatform(steps={"upload": ScriptedStep()}).worker),
    "batches": ("BatchesQueue", lambda: handler("pipeline/batches")),
    "inbox": ("InboxQueue", lambda: handler("pipeline/inbox")),
    "notifications": ("UrlNotifications", lambda: handler("pipeline/notify")),
}


def made_newer(stack: Stack, prefix: str, sk: str) -> dict[str, Any]:
    """Have an item be of the next version, and of a form that nobody here understands; the item."""
    (item,) = (item for item in stack.items(prefix) if item["sk"].startswith(sk))
    kind = versions.item_kind(item["pk"], item["sk"])
    kept = ("pk", "sk", "v", "version", "status", "shard", "created", "due_at", "deleted_at")
    newer: dict[str, Any] = {name: item[name] for name in kept if name in item}
    newer |= {"v": item["v"] + 1} if "v" in item else {}
    newer |= {"schema_version": versions.ITEMS[kind] + 1, "parts": ["of", "another", "form"]}
    clients.dynamodb().put_item(TableName=table.name(), Item=table.to_wire(newer))
    return newer


def deliver(stack: Stack, queue: str, worker: Handler, body: str) -> bool:
    """Hand a message to a worker; whether it stays in its queue."""
    return bool(worker(stack.received(queue, body), Context())["batchItemFailures"])


def look(job_id: str = "job-1") -> str:
    return json.dumps({"job_id": job_id, "due_at": 0})


# --- Messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", QUEUES)
def test_a_message_of_a_newer_version_stays_in_its_queue_and_is_waited_for(
    stack: Stack, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue, worker = QUEUES[kind]
    newer = {"schema_version": versions.MESSAGES[kind] + 1, "action": "dance", "callback": 7, "to": ["nobody"]}
    event = stack.received(queue, json.dumps(newer))
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "99"  # as often as no defect would be tried
    stack.calls.clear()

    answer = worker()(event, Context())

    assert answer["batchItemFailures"]
    assert "newer_version" in caplog.messages
    assert {"defect", "aws_unavailable"} & set(caplog.messages) == set()
    assert stack.calls == ["sqs.ChangeMessageVisibility"]  # it calls nobody, and moves nothing to the dead letters


@pytest.mark.parametrize("kind", QUEUES)
def test_a_message_without_a_version_is_of_the_first(kind: str) -> None:
    assert queues.read('{"job_id": "job-1"}', kind) == {"job_id": "job-1"}


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", None, True, [2]], ids=repr)
@pytest.mark.parametrize("kind", QUEUES)
def test_a_version_that_is_no_number_is_a_defect(kind: str, version: Any) -> None:
    with pytest.raises(ValueError, match="schema_version"):
        queues.read(json.dumps({"schema_version": version}), kind)


@pytest.mark.parametrize("body", ["", "[]", "7", "null", '"look"'])
def test_what_is_no_object_is_a_defect(body: str) -> None:
    with pytest.raises(ValueError, match=r"not a JSON object|Expecting value"):
        queues.read(body, "look")


@pytest.mark.parametrize("length", [10, 2_000_000])
@pytest.mark.parametrize("kind", QUEUES)
def test_every_message_carries_the_version_of_its_form_also_a_packed_one(kind: str, length: int) -> None:
    message = {"text": "x" * length}

    written = queues.written(message, kind)

    assert json.loads(written)["schema_version"] == versions.MESSAGES[kind]
    assert len(written) < 100_000
    assert queues.read(written, kind)["text"] == message["text"]


# --- Items -----------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_every_item_carries_the_version_of_its_form(stack: Stack) -> None:
    from tests.upgrade.contracts import _live

    _live(stack)

    items = stack.items()
    assert {versions.item_kind(item["pk"], item["sk"]) for item in items} == set(versions.ITEMS)
    assert {item["schema_version"] for item in items} == {1}


def test_an_item_without_a_version_is_of_the_first(stack: Stack) -> None:
    jobs.create(one_step())
    for item in stack.items("JOB#"):
        del item["schema_version"]
        clients.dynamodb().put_item(TableName=table.name(), Item=table.to_wire(item))

    made = jobs.change("job-1", claimed())

    assert made is not None
    assert made.changed


SAID: dict[str, Any] = {"callback": "videodb/upload", "via": "callback", "meaning": "failed", "headers": {}}
WRITES: dict[str, Callable[[], Any]] = {
    "read": lambda: jobs.read("job-1"),
    "read many": lambda: jobs.read_many(["job-1"]),
    "change": lambda: jobs.change("job-1", claimed()),
    "save": lambda: jobs.save(one_step(), one_step().model_copy(update={"media_id": "m"})),
    "create": lambda: jobs.create(one_step()),
    "is deleted": lambda: jobs.is_deleted("job-1"),
    "delete": lambda: jobs.delete(one_step().model_copy(update={"version": 7, "status": JobStatus.SUCCEEDED})),
    "announce": lambda: announce(_canceled()),
}


def _canceled() -> Any:
    found = canceled(one_step())
    assert found is not None
    return found


@pytest.mark.every_engine
@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
@pytest.mark.parametrize("part", ["JOB", "REQUEST"])
def test_nothing_is_done_with_a_job_of_a_newer_version_and_nothing_to_it(
    stack: Stack, write: Callable[[], Any], part: str
) -> None:
    jobs.create(one_step())
    made_newer(stack, "JOB#", part)
    before = stack.items()
    if part == "REQUEST" and write not in (WRITES["read"], WRITES["read many"], WRITES["change"], WRITES["create"]):
        return  # whoever does the others has read the job before

    with pytest.raises(NewerVersionError, match=r"JOB#job-1 is of version 2; this code knows those up to 1"):
        write()

    assert stack.items() == before


def test_a_sweep_moves_nothing_that_is_newer(stack: Stack) -> None:
    jobs.create(one_step())
    newer = made_newer(stack, "JOB#", "JOB")

    due.postpone(newer, seconds=900)

    assert newer in stack.items("JOB#")


BATCH_WRITES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "get": ("BATCH", lambda batch: batches.get(BATCH)),
    "append": ("BATCH", lambda batch: batches.append(BATCH, sources(1), close=True, post=None)),
    "cancel": ("BATCH", batches.cancel),
    "retry": ("BATCH", lambda batch: batches.retry(batch, cause=None)),
    "settle": ("BATCH", lambda batch: batches.settle(BATCH)),
    "announced": ("BATCH", batches.announced),
    "create": ("BATCH", lambda batch: batches.create(new_batch(), sources(1))),
    "counts": ("COUNT#3", lambda batch: batches.get(BATCH)),
}


@pytest.mark.every_engine
@pytest.mark.parametrize(("part", "write"), BATCH_WRITES.values(), ids=list(BATCH_WRITES))
def test_nothing_is_done_with_a_batch_of_a_newer_version_and_nothing_to_it(
    stack: Stack, part: str, write: Callable[[Any], Any]
) -> None:
    batches.create(new_batch(closed=False), [])
    batch, _ = read()
    made_newer(stack, "BATCH#", part)
    before = stack.items("BATCH#")

    with pytest.raises(NewerVersionError):
        write(batch)

    assert stack.items("BATCH#") == before


@pytest.mark.every_engine
def test_a_job_is_not_counted_where_its_batchs_counts_are_newer_and_does_not_lose_its_batch(stack: Stack) -> None:
    (job_id,) = put(1, closed=False)
    found = jobs.read(job_id)
    assert found is not None
    end = jobs.save(found, canceled(found) or found)
    assert end is not None
    newer = [made_newer(stack, "BATCH#", f"COUNT#{number}") for number in range(8)]

    with pytest.raises(NewerVersionError):
        jobs.change(job_id, partial(transitions.counted, number=1, now=CREATED_AT))

    assert jobs.read(job_id) == end
    assert [item for item in stack.items("BATCH#") if item["sk"].startswith("COUNT#")] == newer


def test_a_newer_count_of_a_signature_lets_nobody_make_more(stack: Stack) -> None:
    adoptions.is_allowed("s")
    newer = made_newer(stack, "SIGNATURE#", "SIGNATURE")

    with pytest.raises(NewerVersionError):
        adoptions.is_allowed("s")
    assert stack.items("SIGNATURE#") == [newer]


# --- Who meets such items --------------------------------------------------------------------------------------------


def test_a_worker_waits_with_the_message_of_a_newer_job(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    jobs.create(one_step())
    made_newer(stack, "JOB#", "JOB")
    before = stack.items()
    script = ScriptedStep()

    assert deliver(stack, "VideoDbQueue", ScriptedPlatform(steps={"upload": script}).worker, look())

    assert "newer_version" in caplog.messages
    assert (script.submitted, stack.items()) == ([], before)


@pytest.mark.parametrize(("prefix", "part"), [("WORK#", "WORK"), ("BATCH#", "BATCH")])
def test_work_on_a_batch_waits_for_newer_code(
    stack: Stack, caplog: pytest.LogCaptureFixture, prefix: str, part: str
) -> None:
    _, (work,) = batches.create(new_batch(), sources(1))
    made_newer(stack, prefix, part)
    before = stack.items()

    assert deliver(stack, "BatchesQueue", handler("pipeline/batches"), json.dumps({"work_id": work}))

    assert "newer_version" in caplog.messages
    assert stack.items() == before


def test_a_retry_of_a_batch_waits_for_a_newer_job_of_it(stack: Stack) -> None:
    first, second = put(2)
    for job_id in (first, second):
        finish(job_id, FAULT)
    work = batches.retry(read()[0], cause=None)
    assert work is not None
    made_newer(stack, f"JOB#{first}", "JOB")
    before = stack.items()

    assert deliver(stack, "BatchesQueue", handler("pipeline/batches"), json.dumps({"work_id": work}))

    assert stack.items() == before


def test_the_end_of_a_newer_batch_waits(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    batches.create(new_batch(), [])
    made_newer(stack, "BATCH#", "BATCH")

    assert deliver(stack, "BatchesQueue", handler("pipeline/batches"), json.dumps({"batch_id": BATCH}))

    assert "newer_version" in caplog.messages


def test_a_callback_of_a_newer_job_waits_in_the_inbox_until_the_code_that_knows_it_is_there(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.save(jobs.create(one_step()), claimed()(one_step()) or one_step())
    job_item = next(item for item in stack.items("JOB#") if item["sk"] == "JOB")
    newer = made_newer(stack, "JOB#", "JOB")

    assert deliver(stack, "InboxQueue", handler("pipeline/inbox"), callback())
    assert {"newer_version", "defect"} & set(caplog.messages) == {"newer_version"}
    assert newer in stack.items("JOB#")

    clients.dynamodb().put_item(TableName=table.name(), Item=table.to_wire(job_item))
    stack.purge("InboxQueue")
    assert not deliver(stack, "InboxQueue", handler("pipeline/inbox"), callback())
    found = jobs.read("job-1")
    assert found is not None
    assert found.steps["upload"].status == "succeeded"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/jobs/job-1", None),
        ("DELETE", "/jobs/job-1", None),
        ("POST", "/jobs/job-1/retry", None),
        ("GET", "/jobs/job-1/events", None),
        ("POST", f"/jobs/job-1/events/{'0' * 32}/replay", None),
        ("GET", f"/batches/{BATCH}", None),
        ("GET", f"/batches/{BATCH}/jobs", None),
        ("DELETE", f"/batches/{BATCH}", None),
        ("POST", f"/batches/{BATCH}/retry", {}),
        ("POST", f"/batches/{BATCH}/jobs", {"sources": ["https://example.com/1.mp4"]}),
    ],
)
def test_the_api_says_that_newer_code_is_needed(stack: Stack, method: str, path: str, body: Any) -> None:
    jobs.create(one_step())
    batches.create(new_batch(closed=False), [])
    made_newer(stack, "JOB#", "JOB")
    made_newer(stack, "BATCH#", "BATCH")
    before = stack.items()

    answer = call(method, path, body)

    assert (answer.status, answer.code) == (503, "newer_version")
    assert [item for item in stack.items() if item["sk"] != "SOURCES"] == before
    assert stack.messages("VideoDbQueue") == []


def test_the_api_says_so_of_an_event_too(stack: Stack) -> None:
    jobs.create(one_step())
    said = Event(**SAID, body="{}", received_at=1, job_id="job-1", attempt=1)
    events.archive(said)
    made_newer(stack, "JOB#", "EVENT")

    answers = [call("GET", "/jobs/job-1/events"), call("POST", f"/jobs/job-1/events/{said.event_id}/replay")]

    assert [(answer.status, answer.code) for answer in answers] == [(503, "newer_version")] * 2


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_twelvelabs_sdk_is_told_in_its_own_shape(stack: Stack, method: str) -> None:
    jobs.create(new_job("job-1", provider="twelvelabs", plan=["task"]))
    made_newer(stack, "JOB#", "JOB")

    answer = call(method, "/twelvelabs/tasks/job-1")

    assert (answer.status, answer.json["code"]) == (503, "service_unavailable")


def test_api_videos_sdk_is_told_in_its_own_shape(stack: Stack) -> None:
    made = jobs.create(new_job("job-1", provider="apivideo", plan=["upload"], media_id="vi-1"))
    media.link(made, made.refs)
    made_newer(stack, "JOB#", "JOB")

    answer = call("GET", "/apivideo/videos/vi-1/status")

    assert (answer.status, answer.json["title"]) == (503, "Server error")


def test_a_job_that_ends_badly_while_its_event_is_newer_waits_too(stack: Stack) -> None:
    jobs.create(one_step())
    jobs.change("job-1", claimed())
    jobs.change("job-1", ended(FAILED))
    assert not deliver(stack, "InboxQueue", handler("pipeline/inbox"), callback())
    newer = made_newer(stack, "JOB#job-1", "EVENT")

    assert deliver(stack, "InboxQueue", handler("pipeline/inbox"), callback())
    assert newer in stack.items("JOB#")
