"""What work on batches promises: each source becomes a job once, none waits for another, and no message multiplies."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from video_jobs import clock, settings
from video_jobs.aws import clients, queues
from video_jobs.jobs import transitions
from video_jobs.jobs.batches import Batch, BatchStatus, job_id, totals
from video_jobs.jobs.model import JobStatus, PollResult, StepFailed, StepSucceeded
from video_jobs.notifications.announce import announce
from video_jobs.store import batches, jobs
from video_jobs.store.batches import Work
from video_jobs.store.table import ConflictError

from functions.pipeline.batches import app
from functions.pipeline.batches.app import handler as work_on_batches
from tests import batch as scene
from tests.api.calls import away
from tests.batch import (
    BATCH,
    FAULT,
    OTHER_FAULT,
    each_call,
    fastest,
    finish,
    job,
    new_batch,
    outcomes,
    put,
    read,
    run,
    sources,
)
from tests.orders import in_every_order
from tests.scripted import ScriptedPlatform, ScriptedStep
from tests.stack import Context, Stack, handler, sqs_event

DONE = PollResult(end=StepSucceeded(), body={"success": True})
NOT_DONE = PollResult(end=StepFailed(error=FAULT), body={"success": False})
NO_SOURCE = "ftp://example.com/lecture.mp4"
"""What a batch of an earlier release may have taken, and no job of this one can be made of."""


def work(stack: Stack, *, rounds: int = 100) -> int:
    """Have the work on batches done, as far as its messages go; how many there were."""
    return stack.work("BatchesQueue", work_on_batches, rounds=rounds)


def take(message: dict[str, Any], *, received: int = 1) -> bool:
    """Hand a message to the function; whether it is done with it."""
    record = {
        "MessageId": "1",
        "ReceiptHandle": "1",
        "Body": json.dumps(message),
        "Attributes": {"ApproximateReceiveCount": str(received)},
    }
    with patch.object(clients.sqs(), "change_message_visibility"):
        answer = work_on_batches(sqs_event(record), Context())
    return not answer["batchItemFailures"]


def do(work_id: str | None) -> bool:
    assert work_id is not None
    return take({"work_id": work_id})


def started(stack: Stack) -> list[str]:
    """The jobs that their worker was told to look at since it was last asked."""
    return [json.loads(message)["job_id"] for message in stack.messages("VideoDbQueue")]


def new(number: int, **changes: Any) -> list[str]:
    """Put a batch of so many sources, of which nothing is made yet; the ids of the work."""
    _, works = batches.create(new_batch(**changes), sources(number))
    return works


def ids(number: int) -> list[str]:
    return scene.ids(read()[0], number)


def works(stack: Stack) -> list[dict[str, Any]]:
    return [item for item in stack.items("WORK#") if item["sk"] == "WORK"]


# --- Sources become jobs ---------------------------------------------------------------------------------------------


@fastest
def test_a_batch_makes_a_job_of_every_source(stack: Stack) -> None:
    for work_id in new(120):
        queues.send_batch_message({"work_id": work_id})

    work(stack)

    batch, counted = read()
    assert (batch.made, batch.work, totals(batch, counted).open) == (120, 0, 120)
    assert batch.started_at is not None
    assert sorted(started(stack)) == sorted(ids(120))


def test_jobs_that_have_not_begun_let_others_pass_and_no_sweep_looks_for_them(stack: Stack) -> None:
    (work_id,) = new(2)
    sent: list[Any] = []

    def noted(_service: str, operation: str, parameters: Any, call: Callable[[], Any]) -> Any:
        if operation == "SendMessageBatch":
            sent.extend(parameters["Entries"])
        return call()

    with each_call(noted):
        assert do(work_id)

    assert [entry["MessageGroupId"] for entry in sent] == [BATCH] * 2
    assert not any("due_at" in item for item in stack.items("JOB#")), "their batch looks after them"


@fastest
def test_a_piece_of_work_that_runs_out_of_time_is_gone_on_with_by_another_message(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work_id,) = new(120)
    left = iter([60_000, 19_999, 60_000, 60_000])
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _self: next(left))

    assert do(work_id)
    assert (read()[0].made, read()[0].work) == (app.AT_ONCE, 1)

    assert work(stack) == 1
    assert (read()[0].made, read()[0].work, sorted(started(stack))) == (120, 0, sorted(ids(120)))


def test_the_same_message_twice_makes_and_starts_each_job_once(stack: Stack) -> None:
    (work_id,) = new(3)

    assert do(work_id)
    assert do(work_id)

    assert (read()[0].made, sorted(started(stack))) == (3, sorted(ids(3)))


@fastest
@pytest.mark.parametrize(("source", "outcomes"), [(sources(1)[0], {}), (NO_SOURCE, {"failed/not_made": 1})])
def test_two_with_the_same_message_at_once_make_each_job_once_in_every_order(
    stack: Stack, source: str, outcomes: dict[str, int]
) -> None:
    def prepare() -> tuple[Batch, Work]:
        batch, (work_id,) = batches.create(new_batch(scene.another_id()), [source])
        return batch, begun(work_id)

    orders = 0
    for before, _ in in_every_order(prepare, lambda found: [partial(app.expand, *found)] * 2):
        orders += 1
        batch, counted = read(before.batch_id)
        assert (batch.made, batch.work, counted.outcomes) == (1, 0, outcomes)
        assert len(batches.jobs_at(batch, range(1))) == (source != NO_SOURCE)
    assert orders >= 6


def begun(work_id: str | None) -> Work:
    found = batches.work(work_id or "")
    assert found is not None
    return found


def test_work_whose_batch_is_gone_is_dropped_for_good(stack: Stack) -> None:
    (work_id,) = new(3)
    key = {"pk": {"S": f"BATCH#{BATCH}"}, "sk": {"S": "BATCH"}}
    clients.dynamodb().delete_item(TableName=settings.setting("TABLE_NAME"), Key=key)

    assert do(work_id)

    assert (works(stack) + stack.items("JOB#"), started(stack)) == ([], [])


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"job_id": "job-1"}'])
def test_a_message_that_cannot_be_read_goes_back_to_its_queue_for_the_alarm(stack: Stack, body: str) -> None:
    record = {"MessageId": "1", "ReceiptHandle": "1", "Body": body}
    with patch.object(clients.sqs(), "change_message_visibility") as hidden:
        answer = work_on_batches(sqs_event(record), Context())

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert hidden.call_args.kwargs["VisibilityTimeout"] == 2


@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
def test_while_aws_is_away_work_comes_again_and_is_no_dead_letter(stack: Stack, service: str) -> None:
    (work_id,) = new(3)
    with away(service), suppress(EndpointConnectionError):
        assert not take({"work_id": work_id}, received=200)
    assert stack.messages("BatchesDeadLetters") == []

    assert do(work_id)

    assert (read()[0].made, sorted(started(stack))) == (3, sorted(ids(3)))


# --- Too much at once ------------------------------------------------------------------------------------------------


@contextmanager
def throttled(at: int) -> Iterator[Counter[str]]:
    """The write of this number to the table is one too many; how many there were."""
    writes: Counter[str] = Counter()

    def refused(service: str, operation: str, _parameters: Any, call: Callable[[], Any]) -> Any:
        if service == "dynamodb" and operation in ("PutItem", "UpdateItem", "TransactWriteItems"):
            writes["all"] += 1
            if writes["all"] == at:
                raise _throttling(operation)
        return call()

    with each_call(refused):
        yield writes


def _throttling(operation: str) -> ClientError:
    error: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slower"}}
    if operation == "TransactWriteItems":
        error = {
            "Error": {"Code": "TransactionCanceledException", "Message": "slower"},
            "CancellationReasons": [{"Code": "None"}, {"Code": "ThrottlingError"}],
        }
        return clients.dynamodb().exceptions.TransactionCanceledException(error, operation)
    return ClientError(error, operation)


@fastest
def test_wherever_the_table_is_throttled_the_rest_comes_later_and_each_source_is_one_job(stack: Stack) -> None:
    at, writes = 0, Counter(all=0)
    while writes["all"] >= at:
        at += 1
        batch_id = scene.another_id()
        batch, (work_id,) = batches.create(new_batch(batch_id), [*sources(2), NO_SOURCE])
        with throttled(at) as writes:
            done = take({"work_id": work_id}, received=100)
        assert done == (writes["all"] < at)
        assert do(work_id)

        batch, counted = read(batch_id)
        assert (batch.made, batch.work, counted.outcomes) == (3, 0, {"failed/not_made": 1}), at
        assert {item["job_id"] for item in map(json.loads, stack.messages("VideoDbQueue"))} == {
            job_id(batch, 0),
            job_id(batch, 1),
        }
    assert at > 5
    assert stack.messages("BatchesDeadLetters") == []


# --- Sources of which no job can be made -----------------------------------------------------------------------------


def test_a_source_of_which_no_job_can_be_made_fails_alone_and_is_counted(stack: Stack) -> None:
    batch, (work_id,) = batches.create(new_batch(), [*sources(2), NO_SOURCE, *sources(2, start=2)])

    assert do(work_id)
    for index in (0, 1, 3, 4):
        finish(job_id(batch, index))

    batch, counted = read()
    assert (batch.status, batch.made, counted.causes) == (BatchStatus.ENDED, 5, {"not_made": 1})
    assert outcomes() == {"succeeded": 4, "failed/not_made": 1}


def test_a_batch_of_which_no_job_can_be_made_ends_at_once(stack: Stack) -> None:
    _, (work_id,) = batches.create(new_batch(), [NO_SOURCE] * 3)

    assert do(work_id)

    assert (read()[0].status, outcomes(), stack.items("JOB#")[0]["not_made"]) == (
        BatchStatus.ENDED,
        {"failed/not_made": 3},
        True,
    )


def test_a_job_that_was_deleted_before_it_was_noted_that_it_was_made_is_counted_once(stack: Stack) -> None:
    (work_id,) = new(2)
    with patch.object(batches, "advance", side_effect=Crash), pytest.raises(Crash):
        do(work_id)
    first, second = ids(2)
    finish(first)
    jobs.delete(job(first))

    assert do(work_id)
    finish(second)

    assert (read()[0].status, read()[0].made, outcomes()) == (BatchStatus.ENDED, 2, {"succeeded": 2})


def test_a_job_that_a_callback_has_made_of_the_id_is_left_alone(stack: Stack) -> None:
    (work_id,) = new(2)
    first, second = ids(2)
    adopted = transitions.adopted_by_end(first, "videodb", "upload", 1, StepSucceeded(), now=clock.now())
    jobs.create(adopted)

    assert do(work_id)
    finish(second)

    assert (started(stack), job(first).request.batch_id) == ([second], None)
    assert (read()[0].status, outcomes()) == (BatchStatus.ENDED, {"succeeded": 1, "failed/not_made": 1})


@pytest.mark.parametrize("source", [NO_SOURCE, "https://example.com/lecture.mp4"])
def test_canceling_a_batch_multiplies_no_message_whatever_becomes_of_its_sources(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Each message ends, and has one successor at most: those that come twice die out."""
    monkeypatch.setattr(batches, "CHUNK", 5)
    _, found = batches.create(new_batch(), [source] * (batches.CHUNK + 1))
    cancellation = batches.cancel(read()[0])
    for work_id in [*found, cancellation]:
        for _ in range(5):  # sweeps found it waiting
            queues.send_batch_message({"work_id": work_id})

    def broken(_batch: Any, _index: int, _job: Any) -> Any:
        raise RuntimeError("a defect")

    with patch.object(batches, "make", broken), patch.object(clients.sqs(), "change_message_visibility"):
        for work_id in found:
            take({"work_id": str(work_id)})
        assert do(cancellation), "it does not wait for the sources"
    assert len(stack.messages("BatchesQueue")) == 15, "nobody has sent another one"

    for work_id in found:
        assert do(work_id)
        assert do(work_id)
    for found_id in started(stack):
        _announce(found_id)

    assert stack.messages("BatchesQueue") == []
    kind = "failed/not_made" if source == NO_SOURCE else "canceled"
    assert (read()[0].status, outcomes()) == (BatchStatus.ENDED, {kind: batches.CHUNK + 1})


def _announce(found_id: str) -> None:
    announce(job(found_id))


# --- Retries ---------------------------------------------------------------------------------------------------------


def mixed() -> list[str]:
    """A batch with a job of every kind."""
    made = put(6)
    finish(made[0])
    finish(made[1], FAULT)
    finish(made[2], OTHER_FAULT)
    scene.cancel(made[3])
    _announce(made[3])
    scene.begin(made[4])
    return made


@pytest.mark.parametrize(
    ("cause", "retried"),
    [(None, {1, 2}), ("download_failed", {1}), ("invalid_media_type", {2}), ("something_else", set())],
)
def test_a_retry_is_for_what_failed_for_the_cause_and_leaves_the_rest_alone(
    stack: Stack, cause: str | None, retried: set[int]
) -> None:
    made = mixed()
    before = [job(found) for found in made]
    stack.purge("VideoDbQueue")

    assert do(batches.retry(read()[0], cause=cause))

    assert sorted(started(stack)) == sorted(made[index] for index in retried)
    for index, found in enumerate(made):
        if index in retried:
            assert (job(found).status, job(found).steps["upload"].status) == ("running", "queued")
        else:
            assert job(found) == before[index]
    assert read()[0].work == 0


def test_a_job_that_was_deleted_or_made_by_a_callback_is_not_retried(stack: Stack) -> None:
    batch, _ = batches.create(new_batch(total=2), sources(2))
    deleted, adopted = ids(2)
    jobs.create(transitions.adopted_by_end(adopted, "videodb", "upload", 1, NOT_DONE.end, now=clock.now()))
    (work_id,) = (found["pk"].removeprefix("WORK#") for found in works(stack))
    assert do(work_id)
    finish(deleted, FAULT)
    jobs.delete(job(deleted))
    stack.purge("VideoDbQueue")

    assert do(batches.retry(read(batch.batch_id)[0], cause=None))

    assert (started(stack), job(adopted).status) == ([], "failed")


def test_an_end_that_is_not_announced_yet_is_announced_before_the_job_is_retried(stack: Stack) -> None:
    first, _ = put(2)
    run(first, FAULT)
    stack.purge("VideoDbQueue")
    stack.messages("BusNotifications")
    work_id = batches.retry(read()[0], cause=None)

    with patch.object(app, "announce", side_effect=EndpointConnectionError(endpoint_url="sqs")):
        assert not do(work_id), "while that is not possible it comes again"
    assert job(first).status == "failed"
    assert do(work_id)

    assert (started(stack), job(first).status) == ([first], "running")
    assert [json.loads(json.loads(message)["event"])["type"] for message in stack.messages("BusNotifications")] == [
        "job.failed"
    ]


def test_a_retry_that_is_done_again_after_it_broke_off_retries_none_that_has_failed_since(stack: Stack) -> None:
    (made,) = put(1)
    finish(made, FAULT)
    work_id = batches.retry(read()[0], cause=None)
    with patch.object(batches, "advance", side_effect=Crash), pytest.raises(Crash):
        do(work_id)
    finish(made, OTHER_FAULT)

    assert do(work_id)

    assert (job(made).status, outcomes()) == ("failed", {"failed/invalid_media_type": 1})
    assert (read()[0].status, read()[0].ends) == (BatchStatus.ENDED, 2)


def test_a_retry_of_nothing_ends_the_batch_again(stack: Stack) -> None:
    (made,) = put(1)
    finish(made, FAULT)
    work_id = batches.retry(read()[0], cause="something_else")
    assert read()[0].status == BatchStatus.RUNNING

    assert do(work_id)

    assert (read()[0].status, read()[0].ends) == (BatchStatus.ENDED, 2)


# --- Cancellation ----------------------------------------------------------------------------------------------------


def test_a_cancellation_ends_what_is_open_and_nothing_else(stack: Stack) -> None:
    made = mixed()
    stack.purge("VideoDbQueue")

    assert do(batches.cancel(read()[0]))

    assert [job(found).status for found in made] == [
        "succeeded",
        "failed",
        "failed",
        "canceled",
        "canceled",
        "canceled",
    ]
    assert sorted(started(stack)) == sorted(made[4:]), "their workers announce it"
    _announce(made[4])
    _announce(made[5])
    assert outcomes() == {"succeeded": 1, "failed/download_failed": 1, "failed/invalid_media_type": 1, "canceled": 3}
    assert (read()[0].status, read()[0].canceled, read()[0].closed) == (BatchStatus.ENDED, True, True)


def test_a_batch_without_sources_can_be_canceled(stack: Stack) -> None:
    put(0, closed=False)

    assert do(batches.cancel(read()[0]))

    assert (read()[0].status, read()[0].work) == (BatchStatus.ENDED, 0)


def test_a_cancellation_that_broke_off_before_it_sent_anything_sends_it_when_it_comes_again(stack: Stack) -> None:
    (made,) = put(1)
    stack.purge("VideoDbQueue")
    work_id = batches.cancel(read()[0])
    with patch.object(queues, "send_looks", side_effect=lambda looks: _crash(list(looks))), pytest.raises(Crash):
        do(work_id)
    assert job(made).status == "canceled"

    assert do(work_id)

    assert started(stack) == [made]


def _crash(_looks: Any) -> None:
    raise Crash


@fastest
def test_sources_that_become_jobs_while_their_batch_is_canceled_are_canceled_in_every_order(stack: Stack) -> None:
    def prepare() -> tuple[Batch, Work]:
        batch, (work_id,) = batches.create(new_batch(scene.another_id()), sources(1))
        return batch, begun(work_id)

    def cancel(batch: Batch) -> None:
        work_id = batches.cancel(batch)
        app.cancel(batch.model_copy(update={"canceled": True}), begun(work_id))

    ways = set()
    for before, expansion in in_every_order(
        prepare, lambda both: [partial(app.expand, *both), partial(cancel, both[0])]
    ):
        ways.add(batches.work(expansion.work_id) is None)
        scene.do(expansion.work_id)
        batch, _ = read(before.batch_id)
        (made,) = batches.jobs_at(batch, range(1))
        assert (made.status, batch.work, batch.made) == (JobStatus.CANCELED, 0, 1)
        _announce(made.job_id)
        assert (read(before.batch_id)[0].status, outcomes(before.batch_id)) == (BatchStatus.ENDED, {"canceled": 1})
    assert ways == {True, False}, "one that saw no cancellation must do its part again"


@fastest
def test_a_cancellation_and_a_job_that_ends_at_the_same_moment_count_it_once_in_every_order(stack: Stack) -> None:
    def prepare() -> tuple[Batch, str, Work]:
        batch_id = scene.another_id()
        (made,) = put(1, batch_id)
        scene.begin(made)
        work_id = batches.cancel(read(batch_id)[0])
        return read(batch_id)[0], made, begun(work_id)

    def end(made: str) -> None:
        found = transitions.step_ended
        jobs.change(made, partial(found, name="upload", attempt=1, end=StepSucceeded(), now=clock.now()))

    ways = set()
    for before, made, _ in in_every_order(
        prepare, lambda one: [partial(app.cancel, one[0], one[2]), partial(end, one[1])]
    ):
        _announce(made)
        batch, _ = read(before.batch_id)
        status = job(made).status
        ways.add(status)
        assert (outcomes(batch.batch_id), batch.status, batch.ends) == ({status: 1}, BatchStatus.ENDED, 1)
    assert ways == {JobStatus.SUCCEEDED, JobStatus.CANCELED}


@pytest.mark.parametrize("when", ["before", "amidst"])
def test_a_retry_stops_when_its_batch_is_canceled(stack: Stack, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Else it might retry jobs that the cancellation has passed already."""
    first, _ = put(2)
    finish(first, FAULT)
    retry = batches.retry(read()[0], cause=None)

    def cancel() -> None:
        assert do(batches.cancel(read()[0]))

    if when == "before":
        cancel()
    else:
        original = jobs.change
        acts = [cancel]

        def changed_after_the_cancellation_has_passed(*arguments: Any, **more: Any) -> Any:
            if acts:
                acts.pop()()
            return original(*arguments, **more)

        monkeypatch.setattr(jobs, "change", changed_after_the_cancellation_has_passed)

    assert do(retry)
    for found in set(started(stack)):
        _announce(found)

    assert (read()[0].status, read()[0].work) == (BatchStatus.ENDED, 0)
    before: dict[str, int] = {"failed/download_failed": 1, "canceled": 1}
    assert outcomes() == (before if when == "before" else {"canceled": 2})


def test_a_retry_after_a_cancellation_is_for_what_had_failed(stack: Stack) -> None:
    made = mixed()
    assert do(batches.cancel(read()[0]))
    for found in made[4:]:
        _announce(found)
    stack.purge("VideoDbQueue")

    assert do(batches.retry(read()[0], cause=None))

    assert sorted(started(stack)) == sorted(made[1:3])
    assert (read()[0].canceled, outcomes()) == (False, {"succeeded": 1, "canceled": 3})


# --- Looks at a batch ------------------------------------------------------------------------------------------------


def test_a_look_at_a_batch_ends_what_is_to_end_and_is_harmless_else(stack: Stack) -> None:
    (first,) = put(1)
    assert take({"batch_id": BATCH})
    assert work(stack) == 1
    assert read()[0].status == BatchStatus.RUNNING

    scene.note(run(first))
    for _ in range(3):
        assert take({"batch_id": BATCH})

    assert (read()[0].status, read()[0].ends) == (BatchStatus.ENDED, 1)
    assert len(announcements(stack)["batch.ended"]) == 1
    assert take({"batch_id": "elsewhere"})


@fastest
def test_jobs_whose_messages_were_lost_before_they_began_are_started_again_by_their_batch(stack: Stack) -> None:
    made = put(app.AT_ONCE + 3)
    scene.begin(made[0])
    finish(made[1])
    stack.purge("VideoDbQueue")

    assert take({"batch_id": BATCH})
    assert work(stack) == 1

    assert sorted(started(stack)) == sorted(made[2:])
    assert read()[0].work == 0


def test_jobs_that_wait_in_a_long_queue_are_not_started_again(stack: Stack) -> None:
    put(app.BACKLOG)

    assert take({"batch_id": BATCH})

    assert (stack.messages("BatchesQueue"), works(stack)) == ([], [])


def test_a_batch_whose_sources_are_being_made_into_jobs_is_not_started_again(stack: Stack) -> None:
    first, _ = new(batches.CHUNK + 1)
    assert do(first)
    stack.purge("VideoDbQueue")

    assert take({"batch_id": BATCH})

    assert (stack.messages("BatchesQueue"), len(works(stack))) == ([], 1)


def test_a_batch_whose_jobs_are_not_there_to_be_started_is_left_alone(stack: Stack) -> None:
    put(0, closed=False)

    assert take({"batch_id": BATCH})

    assert stack.messages("BatchesQueue") == []


# --- Its whole life --------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """Runs on when a test says so."""

    real: Callable[[], int] = clock.now
    ahead: int = 0

    def now(self) -> int:
        return self.real() + self.ahead


@dataclass
class Life:
    """A batch's life, from its sources to its end, with scripted answers of the platform."""

    stack: Stack
    batch_id: str = field(default_factory=scene.another_id)
    platform: ScriptedPlatform = field(
        default_factory=lambda: ScriptedPlatform(steps={"upload": ScriptedStep(submits=[DONE, NOT_DONE, DONE])})
    )

    def create(self) -> None:
        _, found = batches.create(new_batch(self.batch_id), [*sources(2), NO_SOURCE])
        for work_id in found:
            queues.send_batch_message({"work_id": work_id})

    def ask(self, begin: Callable[[Any], str | None]) -> None:
        work_id = begin(read(self.batch_id)[0])
        if work_id:
            queues.send_batch_message({"work_id": work_id})

    def go_on(self, *, rounds: int = 100) -> None:
        work(self.stack)
        self.stack.work("VideoDbQueue", self.platform.worker, rounds=rounds)

    def recover(self, time: Clock) -> None:
        """All messages are lost; what remains is the table, and sweeps."""
        for queue in ("BatchesQueue", "VideoDbQueue"):
            self.stack.purge(queue)
        for _ in range(8):
            time.ahead += 2 * 3600 * clock.SECOND
            if not handler("pipeline/sweep")({}, Context())["overdue"]:
                return
            while work(self.stack) or self.stack.work("VideoDbQueue", self.platform.worker):
                pass
        raise AssertionError("it never ends")


def ran(life: Life) -> None:
    life.create()
    life.go_on()


def ran_and_was_retried(life: Life) -> None:
    ran(life)
    life.ask(partial(batches.retry, cause=None))
    life.go_on()


def was_canceled(life: Life) -> None:
    life.create()
    life.go_on(rounds=1)
    life.ask(batches.cancel)
    life.go_on()


class Crash(BaseException):
    """The process ends here: nothing can catch it."""


@contextmanager
def stopped_at(point: int) -> Iterator[Counter[str]]:
    """Whoever makes the call of this number to AWS is stopped before it; how many calls there were."""
    calls: Counter[str] = Counter()

    def counted(_service: str, operation: str, _parameters: Any, call: Callable[[], Any]) -> Any:
        calls["all"] += operation not in ("ReceiveMessage", "DeleteMessage", "Scan")  # the event source's, and ours
        if calls["all"] == point:
            raise Crash
        return call()

    with each_call(counted), suppress(Crash):
        yield calls


def announcements(stack: Stack) -> dict[str, set[str]]:
    """The ids of the events on their way to the bus, by their types."""
    found: dict[str, set[str]] = {}
    for message in map(json.loads, stack.messages("BusNotifications")):
        found.setdefault(json.loads(message["event"])["type"], set()).add(message["event_id"])
    return found


@fastest
@pytest.mark.parametrize(
    "live",
    [
        pytest.param(ran_and_was_retried, id="retried"),
        pytest.param(was_canceled, id="canceled"),
    ],
)
def test_everybody_may_be_stopped_at_any_call_and_the_batch_still_ends_with_true_counts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, live: Callable[[Life], None]
) -> None:
    time = Clock()
    monkeypatch.setattr(clock, "now", time.now)
    point, calls = -1, Counter(all=0)
    while calls["all"] >= point:
        point += 4  # `make faults` plays a crash at each
        life = Life(stack)
        with stopped_at(point) as calls:
            live(life)
        if batches.get(life.batch_id) is None:
            continue  # nobody was answered that there is a batch

        life.recover(time)

        batch, counted = read(life.batch_id)
        made = batches.jobs_at(batch, range(3))
        assert (batch.status, batch.work, batch.made) == (BatchStatus.ENDED, 0, 3), point
        assert batch.announced == batch.ends, point
        assert outcomes(life.batch_id) == Counter([*(str(found.counted) for found in made), "failed/not_made"]), point
        assert counted.ended == 3, point
        assert all(found.is_announced and found.counted == found.outcome for found in made), point
        said = announcements(stack)
        assert len(said.pop("batch.ended")) == batch.ends, point
        assert sum(map(len, said.values())) == sum(found.ends for found in made), point
        assert works(stack) == [], point
    assert point > 25


def test_a_change_that_is_always_overtaken_is_a_defect_that_comes_again(stack: Stack) -> None:
    (made,) = put(1)
    work_id = batches.cancel(read()[0])
    with patch.object(jobs, "change", side_effect=ConflictError("always")):
        assert not do(work_id)

    assert do(work_id)
    assert job(made).status == "canceled"


def test_looks_that_sqs_does_not_take_are_known_as_such(stack: Stack) -> None:
    refused = {"Successful": [], "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}
    (work_id,) = new(1)
    with patch.object(clients.sqs(), "send_message_batch", return_value=refused):
        assert not take({"work_id": work_id}, received=100)
    assert stack.messages("BatchesDeadLetters") == []

    assert do(work_id)
    assert started(stack) == ids(1)
