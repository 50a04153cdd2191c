"""What code promises that meets what newer code has written: it waits, says so, and changes nothing."""

import base64
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from video_jobs import notices, queues, settings, store, versions
from video_jobs.consumers import Handler
from video_jobs.jobs import JobError, JobStatus, StepFailed, StepRunning, StepSucceeded, Submitted
from video_jobs.notices import Notice
from video_jobs.queues import CheckMessage, SettleMessage, StartMessage, WorkMessage
from video_jobs.store import batches, reads
from video_jobs.store.table import to_wire
from video_jobs.versions import NewerVersionError

from tests.api import test_tasks_api as tasks
from tests.api.calls import call
from tests.batch import BATCH, FAULT, finish, new_batch, put, read, sources
from tests.events.conftest import Functions
from tests.scripted import ScriptedPlatform, ScriptedStep, fault, new_job
from tests.stack import API_KEY, Context, Stack, handler, http_event

CALLBACK_BODY = '{"success": true, "data": {"id": "m-1"}}'
QUEUES: dict[str, tuple[str, Callable[[], Handler]]] = {
    "steps": ("VideoDbSteps", lambda: ScriptedPlatform(steps={"upload": ScriptedStep()}).worker),
    "batches": ("BatchWork", lambda: handler("pipeline/batches")),
    "deliveries": ("Deliveries", lambda: handler("pipeline/redeliver")),
    "notices": ("Notices", lambda: handler("pipeline/notify")),
}
MESSAGES: dict[str, dict[str, Any]] = {
    "steps": StartMessage(job_id="job-1").model_dump(),
    "batches": WorkMessage(work_id="work-1").model_dump(),
    "deliveries": {
        "schema_version": 1,
        "callback": "videodb/upload",
        "event": {"headers": {}, "body": CALLBACK_BODY, "redelivery": {"job_id": "job-1", "attempt": 1}},
    },
    "notices": Notice(to="bus", event_id="evt_1", event='{"type": "job.succeeded", "data": {}}').model_dump(),
}


def made_newer(stack: Stack, prefix: str, sk: str) -> dict[str, Any]:
    """Have an item be of the next version, and of a form that nobody here understands; the item."""
    (item,) = (item for item in stack.items(prefix) if item["sk"].startswith(sk))
    kind = versions.item_kind(item["pk"], item["sk"])
    newer: dict[str, Any] = {name: item[name] for name in ("pk", "sk", "version", "status") if name in item}
    newer |= {"schema_version": versions.ITEMS[kind] + 1, "parts": ["of", "another", "form"]}
    settings.dynamodb().put_item(TableName=settings.setting("TABLE_NAME"), Item=to_wire(newer))
    return newer


def deliver(stack: Stack, queue: str, worker: Handler, body: str) -> bool:
    """Hand a message to a worker; whether it stays in its queue."""
    return bool(worker(stack.received(queue, body), Context())["batchItemFailures"])


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
def test_a_message_without_a_version_is_of_the_first(stack: Stack, kind: str) -> None:
    body = json.dumps({name: value for name, value in MESSAGES[kind].items() if name != "schema_version"})

    if kind == "deliveries":
        assert queues.read_delivery(body)[0] == "videodb/upload"
    else:
        forms: dict[str, Any] = {"steps": queues.STEPS, "batches": queues.BATCHES}
        found = notices.read(body) if kind == "notices" else queues.read(body, forms[kind], queue=kind)
        assert found.schema_version == 1


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", None, True, [2]], ids=repr)
@pytest.mark.parametrize("kind", QUEUES)
def test_a_version_that_is_no_number_is_a_defect(kind: str, version: Any) -> None:
    body = json.dumps(MESSAGES[kind] | {"schema_version": version})

    with pytest.raises(ValueError, match="schema_version"):
        queues._known(body, kind)


@pytest.mark.parametrize("body", ["", "[]", "7", "null", '"start"'])
@pytest.mark.parametrize("kind", QUEUES)
def test_what_is_no_object_is_a_defect(kind: str, body: str) -> None:
    with pytest.raises(ValueError, match=r"not a JSON object|Expecting value"):
        queues._known(body, kind)


def test_every_message_carries_the_version_of_its_form() -> None:
    for message in (
        StartMessage(job_id="1"),
        CheckMessage(job_id="1", step="upload", attempt=1, checks=0),
        WorkMessage(work_id="1"),
        SettleMessage(batch_id="1"),
        Notice(to="bus", event_id="1", event="{}"),
    ):
        assert json.loads(message.model_dump_json(exclude_none=True))["schema_version"] == 1


def test_every_kept_delivery_carries_the_version_of_its_form(stack: Stack) -> None:
    for body in ("small", base64.b64encode(bytes(200_000)).decode()):
        queues.send_delivery(stack.queue_urls["Deliveries"], "videodb/upload", {"body": body})

    kept = [json.loads(message) for message in stack.messages("Deliveries")]
    assert [message["schema_version"] for message in kept] == [1, 1]
    assert sorted("event_gzip" in message for message in kept) == [False, True]


# --- Items -----------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_every_item_carries_the_version_of_its_form(stack: Stack) -> None:
    put(2, closed=False)
    batches.append(BATCH, sources(1), close=True, post=batches.Post(key="key", digest="digest"))
    store.create(new_job("job-1", plan=["upload"], media_id="m-1"))
    store.create(new_job("job-2", plan=["upload"]))
    claimed = store.claim(store.create(new_job("job-3", plan=["upload"])), "upload", lease_seconds=90)
    assert claimed is not None
    store.submitted(claimed, "upload", accepted=Submitted(platform_job_id="p", refs=("p",)), check_in=5, deadline_in=60)
    store.record("job-3", event(), StepSucceeded(result={}))
    gone = store.cancel(store.create(new_job("job-4", plan=["upload"])))
    assert gone is not None
    store.delete(store.concluded(gone) or gone)

    items = stack.items()
    assert {versions.item_kind(item["pk"], item["sk"]) for item in items} == set(versions.ITEMS)
    assert {item["schema_version"] for item in items} == {1}


def event(job_id: str = "job-1") -> store.Event:
    return store.Event(
        callback="videodb/upload",
        step="upload",
        attempt=1,
        body=job_id,
        via="callback",
        headers={},
        received_at="2026-11-01T00:00:00.000Z",
    )


@pytest.mark.every_engine
def test_an_item_without_a_version_is_of_the_first(stack: Stack) -> None:
    for item in [store.table.job_item(new_job("job-1", plan=["upload"]))]:
        settings.dynamodb().put_item(TableName=settings.setting("TABLE_NAME"), Item=to_wire(item))

    job = store.get("job-1")

    assert job is not None
    assert store.claim(job, "upload", lease_seconds=90)


ERROR = JobError(code="c", message="m", cause="c", action="a", retryable=True)
RUNNING = StepRunning(progress=0.5)
WRITES: dict[str, Callable[[Any], Any]] = {
    "claim": lambda job: store.claim(job, "upload", lease_seconds=90),
    "submitted": lambda job: store.submitted(
        job, "upload", accepted=Submitted(platform_job_id="p"), check_in=5, deadline_in=60
    ),
    "submitted with references": lambda job: store.submitted(
        job, "upload", accepted=Submitted(platform_job_id="p", refs=("r",)), check_in=5, deadline_in=60
    ),
    "queue again": lambda job: store.queue_again(job, "upload", error=ERROR, delay=5),
    "checked": lambda job: store.checked(job, "upload", RUNNING, next_in=5),
    "heard": lambda job: store.heard(job, "upload", RUNNING),
    "skip": lambda job: store.skip(job, ["upload"]),
    "end": lambda job: store.end(job, JobStatus.SUCCEEDED),
    "cancel": store.cancel,
    "concluded": store.concluded,
    "retry": lambda job: store.retry(job, "upload"),
    "resumed": lambda job: store.resumed(job, "upload"),
    "reopened": store.reopened,
    "looked again": lambda job: store.looked_again(job, "upload"),
    "success": lambda job: store.record("job-1", event(), StepSucceeded(result={"id": "m-1"}, refs=("m-1",))),
    "failure": lambda job: store.record("job-1", event(), StepFailed(error=ERROR)),
    "get": lambda job: store.get("job-1"),
    "get many": lambda job: reads.get_many(["job-1"]),
    "create": lambda job: store.create(new_job("job-1", plan=["upload"])),
    "create for a medium": lambda job: store.create(new_job("job-1", plan=["upload"], media_id="m-1")),
}


@pytest.mark.every_engine
@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_nothing_is_done_with_a_job_of_a_newer_version_and_nothing_to_it(
    stack: Stack, write: Callable[[Any], Any]
) -> None:
    job = store.create(new_job("job-1", plan=["upload"]))
    newer = made_newer(stack, "JOB#", "JOB")

    with pytest.raises(NewerVersionError, match="job JOB#job-1 is of version 2; this code knows those up to 1"):
        write(job)

    assert stack.items() == [newer]


BATCH_WRITES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "get": ("BATCH", lambda batch: batches.get(BATCH)),
    "append": ("BATCH", lambda batch: batches.append(BATCH, sources(1), close=True, post=None)),
    "cancel": ("BATCH", batches.cancel),
    "retry": ("BATCH", lambda batch: batches.retry(batch, cause=None)),
    "settle": ("BATCH", lambda batch: batches.settle(BATCH)),
    "told": ("BATCH", batches.told),
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
    before = stack.items()

    with pytest.raises(NewerVersionError):
        write(batch)

    assert stack.items() == before


@pytest.mark.every_engine
def test_a_job_is_not_counted_where_its_batchs_counts_are_newer_and_does_not_lose_its_batch(stack: Stack) -> None:
    (job_id,) = put(1, closed=False)
    job = store.get(job_id)
    assert job is not None
    newer = [made_newer(stack, "BATCH#", f"COUNT#{number}") for number in range(batches.COUNT_SHARDS)]

    with pytest.raises(NewerVersionError):
        store.claim(job, "upload", lease_seconds=90)

    assert store.get(job_id) == job
    assert [item for item in stack.items("BATCH#") if item["sk"].startswith("COUNT#")] == newer


# --- Who meets such items --------------------------------------------------------------------------------------------


def test_a_worker_waits_with_the_message_of_a_newer_job(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    store.create(new_job("job-1", plan=["upload"]))
    newer = made_newer(stack, "JOB#", "JOB")
    script = ScriptedStep()
    worker = ScriptedPlatform(steps={"upload": script}).worker

    assert deliver(stack, "VideoDbSteps", worker, StartMessage(job_id="job-1").model_dump_json())

    assert "newer_version" in caplog.messages
    assert (script.submitted, stack.items()) == ([], [newer])


def test_a_worker_waits_with_newer_work_on_a_batch(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    _, (work,) = batches.create(new_batch(), sources(1))
    made_newer(stack, "WORK#", "WORK")
    before = stack.items()

    assert deliver(stack, "BatchWork", handler("pipeline/batches"), WorkMessage(work_id=work).model_dump_json())

    assert "newer_version" in caplog.messages
    assert stack.items() == before


def test_a_worker_waits_with_the_end_of_a_newer_batch(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    batches.create(new_batch(), [])
    made_newer(stack, "BATCH#", "BATCH")

    assert deliver(stack, "BatchWork", handler("pipeline/batches"), SettleMessage(batch_id=BATCH).model_dump_json())

    assert "newer_version" in caplog.messages


def test_a_callback_of_a_newer_job_is_kept_until_the_code_that_knows_it_is_there(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    store.claim(store.create(new_job("job-1", plan=["upload"])), "upload", lease_seconds=90)
    (job_item,) = stack.items("JOB#")
    newer = made_newer(stack, "JOB#", "JOB")

    answer = stack.send("videodb/upload", http_event("videodb/upload", CALLBACK_BODY))
    assert answer == {"status": 200, "outcome": "kept"}
    with patch.object(settings, "lambda_", return_value=Functions()):
        assert stack.work("Deliveries", handler("pipeline/redeliver")) == 1
        assert "newer_version" in caplog.messages
        assert "defect" not in caplog.messages
        assert stack.items() == [newer]

        settings.dynamodb().put_item(TableName=settings.setting("TABLE_NAME"), Item=to_wire(job_item))
        (delivery,) = hidden(stack, "Deliveries")
        assert not deliver(stack, "Deliveries", handler("pipeline/redeliver"), delivery)
    job = store.get("job-1")
    assert job is not None
    assert job.steps["upload"].status == "succeeded"


def hidden(stack: Stack, queue: str) -> list[str]:
    """Take all messages of a queue, also those that are to come again later."""
    from moto.backends import get_backend
    from moto.core.models import DEFAULT_ACCOUNT_ID

    found = get_backend("sqs")[DEFAULT_ACCOUNT_ID]["us-east-1"].queues[queue]
    return [message.body for message in found._messages]


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
        ("GET", "/videodb/videos/m-1", None),
    ],
)
def test_the_api_says_that_newer_code_is_needed(stack: Stack, method: str, path: str, body: Any) -> None:
    store.create(new_job("job-1", plan=["upload"], media_id="m-1"))
    batches.create(new_batch(closed=False), [])
    made_newer(stack, "JOB#", "JOB")
    made_newer(stack, "BATCH#", "BATCH")
    before = stack.items()

    answer = call(method, path, body)

    assert (answer.status, answer.code) == (503, "newer_version")
    assert stack.items() == before
    assert stack.messages("VideoDbSteps") == []


def test_the_api_says_so_of_an_event_too(stack: Stack) -> None:
    store.create(new_job("job-1", plan=["upload"]))
    store.record("job-1", event(), StepFailed(error=fault()))
    made_newer(stack, "JOB#", "EVENT")

    answers = [call("GET", "/jobs/job-1/events"), call("POST", f"/jobs/job-1/events/{event().event_id}/replay")]

    assert [(answer.status, answer.code) for answer in answers] == [(503, "newer_version")] * 2


def test_a_retry_of_a_batch_waits_for_a_newer_job_of_it(stack: Stack) -> None:
    first, _ = put(2)
    for job_id in (first, _):
        finish(job_id, FAULT)
    work = batches.retry(read()[0], cause=None)
    assert work is not None
    made_newer(stack, f"JOB#{first}", "JOB")
    before = stack.items()

    assert deliver(stack, "BatchWork", handler("pipeline/batches"), WorkMessage(work_id=work).model_dump_json())

    assert stack.items() == before


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_twelvelabs_sdk_is_told_in_its_own_shape(stack: Stack, method: str) -> None:
    store.create(new_job("job-1", provider="twelvelabs", plan=["task"]))
    made_newer(stack, "JOB#", "JOB")

    answer = tasks.call(method, "/twelvelabs/tasks/job-1")

    assert (answer.status, answer.code) == (503, "service_unavailable")


def test_api_videos_sdk_is_told_in_its_own_shape(stack: Stack) -> None:
    store.create(new_job("job-1", provider="apivideo", plan=["upload"], media_id="vi-1"))
    made_newer(stack, "JOB#", "JOB")

    answer = call("GET", "/apivideo/videos/vi-1/status", headers={"x-api-key": API_KEY}, function="api/videos")

    assert (answer.status, answer.json["title"]) == (503, "Server error")
