"""What the sweep promises: whatever is overdue gets a new message, and one that cannot be helped hinders no other."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from video_jobs import queues, store
from video_jobs.queues import SettleMessage, WorkMessage
from video_jobs.store import batches

from functions.pipeline.sweep import app
from functions.pipeline.sweep.app import BACKLOG, TRUSTED_FOR, NotSweptError
from tests.api.calls import away
from tests.batch import BATCH, FAULT, finish, job, new_batch, put, read, run, sources
from tests.scripted import new_job
from tests.stack import Context, Stack, handler


@pytest.fixture
def overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is overdue at once."""
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)


def sweep() -> int:
    found: int = handler("pipeline/sweep")({}, Context())["overdue"]
    return found


def sent(stack: Stack, queue: str = "BatchWork") -> list[str]:
    return sorted(stack.messages(queue))


# --- What it finds ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("overdue")
def test_one_job_that_cannot_be_helped_does_not_keep_the_others_from_it(stack: Stack) -> None:
    for number in range(8):
        store.create(new_job(f"job-{number}"))
    store.create(new_job("of-a-platform-that-was-removed", provider="gone"))

    with pytest.raises(NotSweptError, match="1 of 9"):  # and so the alarm on the function's errors
        handler("pipeline/sweep")({}, Context())

    assert len(stack.messages("VideoDbSteps")) == 8


@pytest.mark.every_engine
@pytest.mark.usefixtures("overdue")
def test_pieces_of_work_and_batches_get_their_messages_too_and_each_one_only(stack: Stack) -> None:
    _, works = batches.create(new_batch(), sources(batches.CHUNK + 1))

    assert [sweep(), sweep()] == [3, 0]

    expected = [WorkMessage(work_id=work).model_dump_json() for work in works]
    assert sent(stack) == sorted([*expected, SettleMessage(batch_id=BATCH).model_dump_json()])


@pytest.mark.every_engine
@pytest.mark.usefixtures("overdue")
def test_a_batch_that_is_open_is_left_alone(stack: Stack) -> None:
    put(0, closed=False)

    assert sweep() == 0


@pytest.mark.every_engine
@pytest.mark.usefixtures("overdue")
def test_a_piece_of_work_that_went_on_meanwhile_is_overdue_later(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    made = put(batches.JOBS_AT_ONCE + 1, closed=False)
    finish(made[0], FAULT)
    work_id = batches.retry(read()[0], cause=None)
    found = batches.work(work_id or "")
    assert found is not None
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", 120)
    batches.advance(found, batches.JOBS_AT_ONCE)

    sweep()

    assert sent(stack) == []


@pytest.mark.every_engine
@pytest.mark.usefixtures("overdue")
def test_a_job_whose_end_is_not_told_yet_gets_a_message_and_one_whose_end_is_told_gets_none(stack: Stack) -> None:
    told, untold = put(2, closed=False)
    finish(told)
    run(untold)

    assert sweep() == 1

    assert [json.loads(message)["job_id"] for message in stack.messages("VideoDbSteps")] == [untold]


# --- What it leaves alone --------------------------------------------------------------------------------------------


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Have queues be so long; the platforms that were asked about."""

    def set_to(number: int) -> list[str]:
        asked: list[str] = []

        def noted(provider: str) -> int:
            asked.append(provider)
            return number

        monkeypatch.setattr(queues, "backlog", noted)
        return asked

    return set_to


@pytest.mark.parametrize(
    ("waits", "found"),
    [
        pytest.param((BACKLOG, timedelta(seconds=1)), 1, id="a queue that is not long"),
        pytest.param((BACKLOG + 1, timedelta(seconds=1)), 0, id="a long queue"),
        pytest.param((BACKLOG + 1, TRUSTED_FOR - timedelta(minutes=1)), 0, id="for hours"),
        pytest.param((BACKLOG + 1, TRUSTED_FOR + timedelta(minutes=1)), 1, id="for longer than a queue explains"),
    ],
)
def test_a_long_queue_explains_for_some_hours_why_a_job_does_not_move(
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    backlog: Callable[[int], list[str]],
    waits: tuple[int, timedelta],
    found: int,
) -> None:
    messages, since = waits
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -since.total_seconds())
    backlog(messages)
    store.create(new_job())

    assert sweep() == found
    assert len(stack.messages("VideoDbSteps")) == found


@pytest.mark.usefixtures("overdue")
def test_a_long_queue_explains_nothing_about_jobs_that_have_begun_or_whose_end_is_not_told(
    stack: Stack, backlog: Callable[[int], list[str]]
) -> None:
    asked = backlog(10_000)
    begun = store.claim(store.create(new_job("job-1")), "upload", lease_seconds=-1)
    canceled = store.cancel(store.create(new_job("job-2")))

    assert begun is not None
    assert canceled is not None
    assert (sweep(), asked) == (2, [])


@pytest.mark.usefixtures("overdue")
def test_a_long_queue_of_jobs_explains_nothing_about_batches(stack: Stack, backlog: Callable[[int], list[str]]) -> None:
    asked = backlog(10_000)
    batches.create(new_batch(), sources(1))

    assert (sweep(), asked) == (2, [])


@pytest.mark.usefixtures("overdue")
def test_each_queue_is_asked_once_how_long_it_is_and_explains_its_own_jobs_only(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def backlog(provider: str) -> int:
        asked.append(provider)
        return BACKLOG + 1 if provider == "videodb" else 0

    monkeypatch.setattr(queues, "backlog", backlog)
    for number in range(4):
        store.create(new_job(f"v-{number}"))
        store.create(new_job(f"a-{number}", provider="apivideo"))

    assert sweep() == 4

    assert (sorted(asked), len(stack.messages("ApiVideoSteps"))) == (["apivideo", "videodb"], 4)


@pytest.mark.usefixtures("overdue")
def test_a_job_that_waits_in_a_long_queue_is_found_once_the_queue_is_short(
    stack: Stack, backlog: Callable[[int], list[str]]
) -> None:
    store.create(new_job())
    backlog(BACKLOG + 1)
    assert sweep() == 0

    backlog(0)
    assert sweep() == 1


def test_messages_that_are_planned_for_later_are_no_backlog(stack: Stack) -> None:
    queues.send_start("videodb", "job-1")
    queues.send_start("videodb", "job-2", delay=600)

    assert queues.backlog("videodb") == 1


# --- What breaks off -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("overdue")
def test_what_could_not_be_sent_is_still_overdue_at_the_next_sweep(stack: Stack) -> None:
    store.create(new_job())
    batches.create(new_batch(), sources(1))
    with away("sqs"), pytest.raises(NotSweptError, match="3 of 3"):
        sweep()

    assert sweep() == 3


@pytest.mark.usefixtures("overdue")
def test_a_batch_that_ends_while_it_is_swept_is_not_made_overdue_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = put(1)
    store.concluded(run(made))
    send = app._send

    def send_and_end(item: dict[str, str]) -> None:
        send(item)
        found = batches.settle(BATCH)
        assert found is not None
        batches.told(found[0])

    monkeypatch.setattr(app, "_send", send_and_end)

    assert sweep() == 1

    (batch,) = (item for item in stack.items("BATCH#") if item["sk"] == "BATCH")
    assert not {"open", "due_at"} & set(batch)
    assert job(made).status == "succeeded"


def test_what_is_due_is_told_by_the_stores_clock(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(new_job())
    assert sweep() == 0

    later = datetime.now(UTC) + timedelta(seconds=store.table.SWEEP_GRACE_SECONDS + 1)
    monkeypatch.setattr(store.table, "now", lambda: later)
    assert sweep() == 1
