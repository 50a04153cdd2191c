"""What batches promise: each source becomes a job once, each job counts once, and a batch ends once."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from video_jobs import ended, queues, settings, steps, store
from video_jobs.api import requests
from video_jobs.batches import BatchStatus
from video_jobs.batches import job_id as job_id_of
from video_jobs.consumers import Handler
from video_jobs.jobs import Found, Job, JobStatus, StepFailed, StepSucceeded
from video_jobs.queues import SettleMessage, WorkMessage
from video_jobs.store import batches
from video_jobs.store.batches import Work

from functions.pipeline.batches import app
from functions.pipeline.batches.app import handler as work_on_batches
from local.platforms.videodb import SimulatedVideoDb
from tests import batch as scene
from tests.api.calls import away, call
from tests.batch import BATCH, FAULT, OTHER_FAULT, fastest, finish, job, kinds, put, read, run, sources, totals
from tests.orders import in_every_order
from tests.patches import change
from tests.scripted import ScriptedPlatform, ScriptedStep
from tests.stack import Context, Stack, handler, sqs_event

DONE = Found(end=StepSucceeded(), body={"success": True})
NOT_DONE = Found(end=StepFailed(error=FAULT), body={"success": False})


def work(stack: Stack, *, rounds: int = 100) -> int:
    """Have the work on batches done, as far as its messages go."""
    return stack.work("BatchWork", work_on_batches, rounds=rounds)


def do(work_id: str) -> bool:
    """Hand a message to the function; whether it is done with it."""
    return take(WorkMessage(work_id=work_id).model_dump_json())


def take(body: str) -> bool:
    url = settings.setting("BATCHES_QUEUE_URL")
    settings.sqs().send_message(QueueUrl=url, MessageBody=body)
    (message,) = settings.sqs().receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    answer = work_on_batches(sqs_event(message), Context())
    if not answer["batchItemFailures"]:
        settings.sqs().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return not answer["batchItemFailures"]


def started(stack: Stack) -> list[str]:
    """The jobs that were given to their worker since it was last asked."""
    return [json.loads(message)["job_id"] for message in stack.messages("VideoDbSteps")]


def new(number: int, **changes: Any) -> list[str]:
    """Put a batch of so many sources, of which nothing is made yet; the ids of the work."""
    _, works = batches.create(scene.new_batch(**changes), sources(number))
    return works


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is open is overdue at once, and what waits for others does not wait."""
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)
    monkeypatch.setattr(store.table, "SWEPT_AGAIN_SECONDS", -1)
    monkeypatch.setattr("functions.pipeline.batches.app._NOT_MADE_YET_SECONDS", 0)


# --- Sources become jobs ---------------------------------------------------------------------------------------------


@fastest
def test_a_batch_makes_a_job_of_every_source(stack: Stack) -> None:
    made = call("POST", "/batches", {"provider": "videodb", "sources": sources(250)})
    assert made.status == 201, made.text
    batch_id = made.json["batch_id"]
    assert made.json["totals"]["waiting"] == 250

    work(stack)

    shown = call("GET", f"/batches/{batch_id}").json
    assert shown["totals"] == totals(pending=250)
    assert len(started(stack)) == 250


@fastest
def test_a_piece_of_work_that_runs_out_of_time_is_gone_on_with_by_another_message(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work_id,) = new(200)
    left = iter([60_000, 19_999, 60_000, 60_000])
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _self: next(left))

    assert do(work_id)
    assert kinds() == {"pending": 96}
    assert read()[0].work == 1

    work(stack)
    assert kinds() == {"pending": 200}
    assert (read()[0].work, sorted(started(stack))) == (0, sorted(ids(200)))


def ids(number: int) -> list[str]:
    return [job_id_of(BATCH, index) for index in range(number)]


def test_the_same_message_twice_makes_and_starts_each_job_once(stack: Stack) -> None:
    (work_id,) = new(3)

    assert do(work_id)
    assert do(work_id)

    assert (kinds(), sorted(started(stack))) == ({"pending": 3}, sorted(ids(3)))


def test_two_with_the_same_message_at_once_make_and_start_each_job_once_in_every_order(stack: Stack) -> None:
    body = ""

    def prepare() -> None:
        nonlocal body
        stack.clear()
        stack.messages("VideoDbSteps")
        stack.purge("BatchWork")
        (work_id,) = new(2)
        body = WorkMessage(work_id=work_id).model_dump_json()

    def act() -> None:
        record = {"MessageId": "1", "ReceiptHandle": "1", "Body": body}
        assert work_on_batches(sqs_event(record), Context()) == {"batchItemFailures": []}

    orders = 0
    for _ in in_every_order(prepare, lambda _none: [act, act]):
        orders += 1
        assert (kinds(), read()[0].work, sorted(started(stack))) == ({"pending": 2}, 0, sorted(ids(2)))
    assert orders >= 10


@pytest.mark.usefixtures("no_grace")
def test_work_whose_batch_is_gone_is_dropped_for_good(stack: Stack) -> None:
    (work_id,) = new(3)
    key = {"pk": {"S": f"BATCH#{BATCH}"}, "sk": {"S": "BATCH"}}
    settings.dynamodb().delete_item(TableName=settings.setting("TABLE_NAME"), Key=key)

    assert do(work_id)

    assert (stack.items("WORK#") + stack.items("JOB#"), started(stack), handler("pipeline/sweep")({}, Context())) == (
        [],
        [],
        {"overdue": 0},
    )


@pytest.mark.parametrize("body", ["", "{}", '{"action": "start", "job_id": "job-1"}', '{"action": "work"}'])
def test_a_message_that_cannot_be_read_goes_back_to_its_queue_for_the_alarm(stack: Stack, body: str) -> None:
    record = {"MessageId": "1", "ReceiptHandle": "1", "Body": body}
    with patch.object(settings.sqs(), "change_message_visibility") as hidden:
        answer = work_on_batches(sqs_event(record), Context())

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert hidden.call_args.kwargs["VisibilityTimeout"] == 2


@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
def test_nothing_is_lost_while_aws_is_away(stack: Stack, service: str) -> None:
    (work_id,) = new(3)
    url = stack.queue_urls["BatchWork"]
    settings.sqs().send_message(QueueUrl=url, MessageBody=WorkMessage(work_id=work_id).model_dump_json())
    (message,) = settings.sqs().receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    with away(service), suppress(EndpointConnectionError):
        answer = work_on_batches(sqs_event(message), Context())
        assert answer["batchItemFailures"]

    recover(stack, ScriptedPlatform(steps={"upload": ScriptedStep(submits=[DONE])}).worker)

    assert (read()[0].status, kinds()) == (BatchStatus.ENDED, {"succeeded": 3})


# --- Retries ---------------------------------------------------------------------------------------------------------


def mixed() -> list[str]:
    """A batch with a job of every kind."""
    made = put(6)
    finish(made[0])
    finish(made[1], FAULT)
    finish(made[2], OTHER_FAULT)
    canceled = store.cancel(job(made[3]))
    assert canceled is not None
    ended.conclude(canceled)
    scene.begin(made[4])
    return made


@pytest.mark.parametrize(
    ("cause", "tried"),
    [(None, {1, 2}), ("download_failed", {1}), ("invalid_media_type", {2}), ("something_else", set())],
)
def test_a_retry_tries_what_failed_for_the_cause_and_leaves_the_rest_alone(
    stack: Stack, cause: str | None, tried: set[int]
) -> None:
    made = mixed()
    before = [job(found) for found in made]
    work_id = batches.retry(read()[0], cause=cause)
    assert work_id is not None

    assert do(work_id)

    assert sorted(started(stack)) == sorted(made[index] for index in tried)
    for index, found in enumerate(made):
        if index in tried:
            assert (job(found).status, job(found).steps["upload"].status) == ("running", "queued")
        else:
            assert job(found) == before[index]
    assert read()[0].work == 0


def test_a_job_that_was_deleted_or_made_by_a_callback_is_not_tried_again(stack: Stack) -> None:
    deleted, adopted = put(2)
    finish(deleted, FAULT)
    store.delete(job(deleted))
    settings.dynamodb().delete_item(
        TableName=settings.setting("TABLE_NAME"), Key={"pk": {"S": f"JOB#{adopted}"}, "sk": {"S": "JOB"}}
    )
    stack.callback("videodb/upload", '{"success": false, "message": "Download failed."}', job=adopted)
    assert job(adopted).adopted
    stack.purge("VideoDbSteps")
    work_id = batches.retry(read()[0], cause=None)
    assert work_id is not None

    assert do(work_id)

    assert (started(stack), job(adopted).status) == ([], "failed")


def test_a_retry_that_is_done_again_after_it_broke_off_tries_none_again_that_has_failed_since(stack: Stack) -> None:
    (made,) = put(1)
    finish(made, FAULT)
    work_id = batches.retry(read()[0], cause=None)
    assert work_id is not None
    with patch.object(batches, "advance", side_effect=Crash), pytest.raises(Crash):
        do(work_id)
    finish(made, OTHER_FAULT)

    assert do(work_id)

    assert (job(made).status, kinds()) == ("failed", {"failed/invalid_media_type": 1})
    assert (read()[0].status, read()[0].ends) == (BatchStatus.ENDED, 2)


def test_a_retry_of_nothing_ends_the_batch_again(stack: Stack) -> None:
    (made,) = put(1)
    finish(made, FAULT)
    work_id = batches.retry(read()[0], cause="something_else")
    assert work_id is not None
    assert read()[0].status == BatchStatus.RUNNING

    assert do(work_id)

    assert (read()[0].status, read()[0].ends) == (BatchStatus.ENDED, 2)


# --- Cancellation ----------------------------------------------------------------------------------------------------


def test_a_cancellation_ends_what_is_open_and_nothing_else(stack: Stack) -> None:
    made = mixed()
    work_id = batches.cancel(read()[0])
    assert work_id is not None

    assert do(work_id)

    assert kinds() == {"succeeded": 1, "failed/download_failed": 1, "failed/invalid_media_type": 1, "canceled": 3}
    assert [job(found).status for found in made] == [
        "succeeded",
        "failed",
        "failed",
        "canceled",
        "canceled",
        "canceled",
    ]
    assert (read()[0].status, read()[0].canceled, read()[0].closed) == (BatchStatus.ENDED, True, True)


def test_a_batch_without_sources_can_be_canceled(stack: Stack) -> None:
    put(0, closed=False)
    work_id = batches.cancel(read()[0])
    assert work_id is not None

    assert do(work_id)

    assert (read()[0].status, read()[0].work) == (BatchStatus.ENDED, 0)


@fastest
def test_a_cancellation_waits_for_sources_that_are_being_made_into_jobs_and_cancels_those_too(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.pipeline.batches.app._NOT_MADE_YET_SECONDS", 0)
    first, second = new(batches.CHUNK + 5)
    assert do(first)
    assert len(started(stack)) == batches.CHUNK
    cancellation = batches.cancel(read()[0])
    assert cancellation is not None

    assert do(cancellation)
    assert kinds() == {"canceled": 192, "pending": 8}, "the last window is not whole"
    assert do(second)
    work(stack)

    assert kinds() == {"canceled": batches.CHUNK + 5}
    assert started(stack) == [], "nothing of a canceled batch is started"
    assert (read()[0].status, read()[0].ends) == (BatchStatus.ENDED, 1)


def test_a_cancellation_does_not_take_for_deleted_what_is_made_while_it_looks(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.pipeline.batches.app._NOT_MADE_YET_SECONDS", 0)
    (only,) = new(3)
    cancellation = batches.cancel(read()[0])
    assert cancellation is not None
    look = batches.jobs_at

    def made_meanwhile(*asked: Any) -> Any:
        found = look(*asked)
        if batches.work(only):
            assert do(only)
        return found

    monkeypatch.setattr(batches, "jobs_at", made_meanwhile)
    assert do(cancellation)
    work(stack)

    assert (kinds(), read()[0].status) == ({"canceled": 3}, BatchStatus.ENDED)


@fastest
def test_a_cancellation_and_a_job_that_ends_at_the_same_moment_count_it_once_in_every_order(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "settle", lambda _batch: None)  # there are thousands of orders with it

    def prepare() -> tuple[Job, Work]:
        (made,) = put(1, scene.another_id())
        scene.begin(made)
        scene.tell(made, StepSucceeded())
        begun = batches.cancel(read(str(job(made).batch))[0])
        found = batches.work(begun or "")
        assert found is not None
        return job(made), found

    def cancel(found: Work) -> None:
        app.cancel(read(found.batch_id)[0], found)

    def end(running: Job) -> None:
        done = store.end(running, JobStatus.SUCCEEDED)
        if done:
            ended.conclude(done)

    orders, ways = 0, set()
    for running, found in in_every_order(prepare, lambda two: [partial(cancel, two[1]), partial(end, two[0])]):
        orders += 1
        do(found.work_id)
        assert batches.settle(found.batch_id) is not None
        batch, _ = read(found.batch_id)
        status = job(running.job_id).status
        ways.add(status)
        assert kinds(found.batch_id) == {status: 1}
        assert (batch.status, batch.ends, batch.work) == (BatchStatus.ENDED, 1, 0)
    assert orders >= 20
    assert ways == {JobStatus.SUCCEEDED, JobStatus.CANCELED}


@pytest.mark.parametrize("when", ["before", "amidst"])
def test_a_retry_stops_when_its_batch_is_canceled(stack: Stack, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Else it might try jobs again that the cancellation has passed already."""
    (made,) = put(1)
    finish(made, FAULT)
    retry = batches.retry(read()[0], cause=None)
    assert retry is not None

    def cancel() -> None:
        cancellation = batches.cancel(read()[0])
        assert cancellation is not None
        assert do(cancellation)

    if when == "before":
        cancel()
    else:
        original = store.retry

        def retried_after_the_cancellation_has_passed(*arguments: Any) -> Any:
            cancel()
            return original(*arguments)

        monkeypatch.setattr(store, "retry", retried_after_the_cancellation_has_passed)

    assert do(retry)

    assert (started(stack), read()[0].status, read()[0].work) == ([], BatchStatus.ENDED, 0)
    assert kinds() == ({"failed/download_failed": 1} if when == "before" else {"canceled": 1})


def test_a_retry_after_a_cancellation_tries_again_what_had_failed(stack: Stack) -> None:
    made = mixed()
    cancellation = batches.cancel(read()[0])
    assert cancellation is not None
    assert do(cancellation)
    retry = batches.retry(read()[0], cause=None)
    assert retry is not None

    assert do(retry)

    assert sorted(started(stack)) == sorted(made[1:3])
    assert (read()[0].canceled, kinds()) == (False, {"succeeded": 1, "running": 2, "canceled": 3})


# --- Its whole life --------------------------------------------------------------------------------------------------


@dataclass
class Life:
    """A batch's life, from a request to its end, with scripted answers of the platform, and what was told of it."""

    stack: Stack
    key: str
    platform: ScriptedPlatform = field(
        default_factory=lambda: ScriptedPlatform(steps={"upload": ScriptedStep(submits=[DONE, NOT_DONE, DONE])})
    )

    def create(self) -> None:
        call("POST", "/batches", {"sources": sources(3), **scene.TEMPLATE}, headers={"idempotency-key": self.key})

    def retry(self) -> None:
        call("POST", f"/batches/{self.batch_id}/retry")

    def cancel(self) -> None:
        call("DELETE", f"/batches/{self.batch_id}")

    def go_on(self) -> None:
        work(self.stack)
        self.stack.work("VideoDbSteps", self.platform.worker)

    @property
    def batch_id(self) -> str:
        return requests.job_id(self.key)


class Crash(BaseException):
    """The process ends here: nothing can catch it."""


@contextmanager
def stopped_at(point: int) -> Iterator[Counter[str]]:
    """Whoever makes the call of this number to AWS is stopped before it; how many calls there were."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    calls: Counter[str] = Counter()

    def counted(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        calls["all"] += operation not in ("ReceiveMessage", "DeleteMessage", "Scan")  # the event source's, and ours
        if calls["all"] == point:
            raise Crash
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", counted), suppress(Crash):
        yield calls


def recover(stack: Stack, worker: Handler) -> None:
    """All messages are lost; what remains is the table, and sweeps."""
    for queue in ("BatchWork", "VideoDbSteps"):
        stack.purge(queue)
    while handler("pipeline/sweep")({}, Context())["overdue"]:
        while stack.work("BatchWork", work_on_batches) or stack.work("VideoDbSteps", worker):
            pass


def notices(stack: Stack) -> dict[str, set[str]]:
    """The ids of the events on their way to be told, by their types."""
    found: dict[str, set[str]] = {}
    for message in stack.messages("Notices"):
        notice = json.loads(message)
        found.setdefault(json.loads(notice["event"])["type"], set()).add(notice["event_id"])
    return found


def ran(life: Life) -> None:
    life.create()
    life.go_on()


def ran_and_was_tried_again(life: Life) -> None:
    life.platform.steps["upload"].submits = [DONE, NOT_DONE, DONE, DONE]
    ran(life)
    life.retry()
    life.go_on()


def was_canceled(life: Life) -> None:
    life.create()
    work(life.stack)
    life.stack.work("VideoDbSteps", life.platform.worker, rounds=2)
    life.cancel()
    life.go_on()


@fastest
@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize(
    "live",
    [
        pytest.param(ran, id="made and run"),
        pytest.param(ran_and_was_tried_again, id="tried again"),
        pytest.param(was_canceled, id="canceled"),
    ],
)
def test_everybody_may_be_stopped_at_every_call_and_the_batch_still_ends_once_with_true_counts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, live: Callable[[Life], None]
) -> None:
    monkeypatch.setattr(steps, "LEASE_SECONDS", 0)
    change(monkeypatch, steps, random, uniform=lambda _low, _high: 0.0)
    point, calls = 0, Counter(all=0)
    while calls["all"] >= point:
        point += 1
        life = Life(stack, key=f"stopped at {point}")
        with stopped_at(point) as calls:
            live(life)
        if batches.get(life.batch_id) is None:
            continue  # nobody was told that there is a batch

        recover(stack, life.platform.worker)

        batch_id = life.batch_id
        batch, counts = read(batch_id)
        jobs = [job(job_id_of(batch_id, index)) for index in range(3)]
        assert (batch.status, batch.work, batch.announced) == (BatchStatus.ENDED, 0, batch.ends), point
        assert kinds(batch_id) == scene.said(jobs), point
        assert counts.ended == counts.made == 3, point
        assert all(found.is_told and found.status.ended for found in jobs), point
        told = notices(stack)
        assert len(told.pop("batch.ended")) == batch.ends, point
        assert sum(map(len, told.values())) <= sum(found.ends for found in jobs), point
        assert stack.items("WORK#") == [], point
    assert point > 30


@pytest.mark.parametrize("number", [30])
def test_a_batch_at_videodb_ends_once_with_its_totals_and_causes_and_a_notice_of_every_end(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    change(monkeypatch, steps, random, uniform=lambda _low, _high: 0.0)
    files = ["lecture.mp4", "private.mp4", "refused.mp4"]
    request = {
        "provider": "videodb",
        "sources": [f"https://example.com/{index}/{files[index % 3]}" for index in range(number)],
        "steps": ["upload"],
        "notify_url": "https://hooks.example.com/batch",
        "notify_jobs": True,
    }
    batch_id = call("POST", "/batches", request).json["batch_id"]
    with SimulatedVideoDb(port=0, seed=7, pace=0.01) as videodb:
        monkeypatch.setenv("VIDEODB_URL", videodb.url)
        work(stack)
        stack.work("VideoDbSteps", handler("videodb/steps"), rounds=10_000)

    shown = call("GET", f"/batches/{batch_id}").json
    assert (shown["status"], shown["progress"], shown["total"]) == ("ended", 1.0, number)
    assert shown["totals"] == totals(succeeded=10, failed=20)
    assert sum(shown["causes"].values()) == 20
    assert len(shown["causes"]) == 2
    assert shown["started_at"] <= shown["ended_at"]
    sent = [json.loads(message) for message in stack.messages("Notices")]
    assert Counter(json.loads(notice["event"])["type"] for notice in sent) == {
        "job.succeeded": 20,  # on the bus, and to the URL
        "job.failed": 40,
        "batch.ended": 2,
    }
    assert len({notice["event_id"] for notice in sent}) == 31
    (told,) = (
        json.loads(notice["event"])["data"] for notice in sent if "url" in notice and "batch" in notice["event"][:30]
    )
    assert (told["totals"], told["causes"]) == (shown["totals"], shown["causes"])


def test_a_settle_message_ends_what_is_to_end_and_is_harmless_else(stack: Stack) -> None:
    first, second = put(2)
    store.concluded(run(first))
    assert take(SettleMessage(batch_id=BATCH).model_dump_json())
    assert read()[0].status == BatchStatus.RUNNING

    store.concluded(run(second))
    for _ in range(3):
        assert take(SettleMessage(batch_id=BATCH).model_dump_json())

    assert (read()[0].status, read()[0].ends) == (BatchStatus.ENDED, 1)
    assert len(notices(stack)["batch.ended"]) == 1
    assert take(SettleMessage(batch_id="elsewhere").model_dump_json())


def test_start_messages_that_sqs_does_not_take_are_known_as_such(stack: Stack) -> None:
    refused = {"Successful": [], "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}
    with (
        patch.object(settings.sqs(), "send_message_batch", return_value=refused),
        pytest.raises(queues.NotSentError, match="1 of 1 messages: InternalError"),
    ):
        queues.send_starts("videodb", ["job-1"], group=BATCH)
