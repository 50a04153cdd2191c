"""What the sweep promises: whatever is overdue gets a new message, and what cannot be helped hinders nothing else."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from video_jobs import clock
from video_jobs.aws import queues
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import Look
from video_jobs.jobs.model import StepSucceeded
from video_jobs.notifications.announce import announce
from video_jobs.store import batches, due, jobs
from video_jobs.store.counts import LOOK_SECONDS
from video_jobs.store.items import SWEEP_GRACE_SECONDS

from functions.pipeline.sweep import app
from functions.pipeline.sweep.app import BACKLOG, MOST_OF_A_SHARD, SWEPT_AGAIN_SECONDS, TRUSTED_SECONDS, NotSweptError
from tests import batch as scene
from tests.api.calls import away
from tests.batch import BATCH, FAULT, job, new_batch, put, read, sources
from tests.scripted import ScriptedPlatform, new_job
from tests.stack import Context, Stack

HOUR = 3600


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Have so many seconds go by."""
    real, ahead = clock.now, 0.0

    def go_by(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        monkeypatch.setattr(clock, "now", lambda: clock.after(real(), ahead))

    return go_by


def new(job_id: str = "job-1", **changes: Any) -> None:
    """Put a job that is due at once."""
    jobs.create(new_job(job_id, created_at=clock.now(), **changes))


def sweep() -> int:
    found: int = app.handler({}, Context())["overdue"]
    return found


def sent(stack: Stack, queue: str = "BatchesQueue") -> list[dict[str, Any]]:
    found = [json.loads(message) for message in stack.messages(queue)]
    return sorted(({name: one[name] for name in one if name != "schema_version"} for one in found), key=str)


# --- What it finds ---------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_a_job_whose_message_was_lost_gets_another_one_and_then_one_for_every_quarter_of_an_hour(
    stack: Stack, later: Callable[[float], None]
) -> None:
    new()
    later(SWEEP_GRACE_SECONDS - 5)
    assert sweep() == 0, "it may be on its way"

    later(10)
    assert [sweep(), sweep()] == [1, 0]
    (message,) = sent(stack, "VideoDbQueue")
    assert message["job_id"] == "job-1"
    assert message["due_at"] <= clock.now()

    later(SWEPT_AGAIN_SECONDS)
    assert sweep() == 1


def test_a_worker_does_what_is_due_on_such_a_message(stack: Stack, later: Callable[[float], None]) -> None:
    new(plan=["upload"])
    platform = ScriptedPlatform()
    later(SWEEP_GRACE_SECONDS + 5)
    sweep()

    stack.work("VideoDbQueue", platform.worker)

    assert (job("job-1").status, platform.submissions) == ("running", 1)


@pytest.mark.every_engine
def test_pieces_of_work_and_batches_get_their_messages_too_and_each_one_only(
    stack: Stack, later: Callable[[float], None]
) -> None:
    _, works = batches.create(new_batch(), sources(batches.CHUNK + 1))

    later(SWEEP_GRACE_SECONDS + 5)
    assert [sweep(), sweep()] == [2, 0]
    assert sent(stack) == sorted(({"work_id": work} for work in works), key=str)

    later(LOOK_SECONDS)
    assert [sweep(), sweep()] == [3, 0]
    assert {"batch_id": BATCH} in sent(stack)


@pytest.mark.every_engine
def test_a_batch_is_looked_at_every_hour_until_its_end_is_announced(
    stack: Stack, later: Callable[[float], None]
) -> None:
    (made,) = put(1)
    for _ in range(3):
        later(LOOK_SECONDS + 5)
        sweep()
        assert {"batch_id": BATCH} in sent(stack)

    announce(scene.run(made))

    later(100 * HOUR)
    assert sweep() == 0


@pytest.mark.every_engine
def test_a_piece_of_work_that_went_on_meanwhile_is_overdue_later(stack: Stack, later: Callable[[float], None]) -> None:
    put(2, closed=False)
    found = batches.work(batches.cancel(read()[0]) or "")
    assert found is not None
    later(SWEEP_GRACE_SECONDS - 5)
    batches.advance(read()[0], found, 1)

    later(10)

    assert sweep() == 0


@pytest.mark.every_engine
def test_a_job_whose_end_is_not_announced_yet_gets_a_message_and_one_whose_end_is_gets_none(
    stack: Stack, later: Callable[[float], None]
) -> None:
    announced, not_announced = put(2, closed=False)
    scene.finish(announced)
    scene.run(not_announced, FAULT)
    stack.purge("VideoDbQueue")
    later(SWEEP_GRACE_SECONDS + 95)  # when it was due is not moved to an earlier moment for a step's end

    assert sweep() == 1

    assert [message["job_id"] for message in sent(stack, "VideoDbQueue")] == [not_announced]


def test_jobs_of_a_batch_that_have_not_begun_are_not_looked_through(
    stack: Stack, later: Callable[[float], None]
) -> None:
    """There may be a million of them: their batch looks after them."""
    put(3)
    later(24 * HOUR)

    with patch.object(due, "postpone", wraps=due.postpone) as postponed:
        assert sweep() == 1

    assert [call.args[0]["pk"] for call in postponed.call_args_list] == [f"BATCH#{BATCH}"]


# --- What it leaves alone --------------------------------------------------------------------------------------------


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have queues be so long, by their names; the URLs that were asked about."""

    def set_to(**numbers: int) -> list[str]:
        asked: list[str] = []

        def noted(url: str) -> int:
            asked.append(url)
            return numbers.get(url.rsplit("/", maxsplit=1)[-1], 0)

        monkeypatch.setattr(queues, "backlog", noted)
        return asked

    return set_to


@pytest.mark.parametrize(
    ("waiting", "since", "found"),
    [
        pytest.param(BACKLOG, 5, 1, id="a queue that is not long"),
        pytest.param(BACKLOG + 1, 5, 0, id="a long queue"),
        pytest.param(BACKLOG + 1, TRUSTED_SECONDS - 60, 0, id="for hours"),
        pytest.param(BACKLOG + 1, TRUSTED_SECONDS + 60, 1, id="for longer than a queue explains"),
    ],
)
def test_a_long_queue_explains_for_some_hours_why_a_job_does_not_move(
    stack: Stack,
    later: Callable[[float], None],
    backlog: Callable[..., list[str]],
    *,
    waiting: int,
    since: int,
    found: int,
) -> None:
    backlog(VideoDbQueue=waiting)
    new()
    later(SWEEP_GRACE_SECONDS + since)

    assert sweep() == found
    assert len(stack.messages("VideoDbQueue")) == found


@pytest.mark.parametrize(("waiting", "found"), [(BACKLOG, 2), (BACKLOG + 1, 0)])
def test_a_long_queue_explains_the_same_of_work_on_batches(
    stack: Stack, later: Callable[[float], None], backlog: Callable[..., list[str]], waiting: int, found: int
) -> None:
    """A million sources are five thousand pieces of work: each one of them would get message upon message."""
    backlog(BatchesQueue=waiting)
    batches.create(new_batch(), sources(batches.CHUNK + 1))
    later(SWEEP_GRACE_SECONDS + 5)

    assert sweep() == found


def test_each_queue_is_asked_once_how_long_it_is_and_explains_its_own_jobs_only(
    stack: Stack, later: Callable[[float], None], backlog: Callable[..., list[str]]
) -> None:
    asked = backlog(VideoDbQueue=BACKLOG + 1)
    for number in range(4):
        new(f"v-{number}")
        new(f"a-{number}", provider="apivideo", plan=["upload"])
    later(SWEEP_GRACE_SECONDS + 5)

    assert sweep() == 4

    assert (len(asked), len(set(asked)), len(stack.messages("ApiVideoQueue"))) == (5, 5, 4)


def test_a_job_that_waits_in_a_long_queue_is_found_once_the_queue_is_short(
    stack: Stack, later: Callable[[float], None], backlog: Callable[..., list[str]]
) -> None:
    new()
    later(SWEEP_GRACE_SECONDS + 5)
    backlog(VideoDbQueue=BACKLOG + 1)
    assert sweep() == 0

    backlog(VideoDbQueue=0)
    assert sweep() == 1


def test_messages_that_are_planned_for_later_are_no_backlog(stack: Stack) -> None:
    now = clock.now()
    queues.send_looks([Look(provider="videodb", job_id="job-1", due_at=now)])
    queues.send_looks([Look(provider="videodb", job_id="job-2", due_at=now + 600_000)])

    assert queues.backlog(queues.worker_queue_url("videodb")) == 1


# --- How much it does ------------------------------------------------------------------------------------------------


def test_one_sweep_takes_so_many_of_each_shard_and_the_next_one_takes_the_others(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    monkeypatch.setattr(app, "MOST_OF_A_SHARD", 3)
    for number in range(30):
        new(f"job-{number}")
    later(SWEEP_GRACE_SECONDS + 5)

    found = [sweep() for _ in range(5)]

    assert max(found) <= 12
    assert sum(found) == len({message["job_id"] for message in sent(stack, "VideoDbQueue")}) == 30


def test_a_sweep_that_runs_out_of_time_leaves_the_rest_and_not_always_the_same_shards(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    for number in range(40):
        new(f"job-{number}")
    later(SWEEP_GRACE_SECONDS + 5)
    left = iter([60_000] * 20)
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _self: next(left, 9_999))

    found = sweep()

    assert found < 40
    assert len({tuple(app._shards()) for _ in range(20)}) > 1
    assert MOST_OF_A_SHARD >= 100


# --- What breaks off -------------------------------------------------------------------------------------------------


def test_jobs_of_one_platform_that_cannot_be_helped_do_not_keep_the_others_from_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    new("job-1")
    new("job-2", provider="apivideo", plan=["upload"])
    later(SWEEP_GRACE_SECONDS + 5)
    monkeypatch.delenv("VIDEODB_QUEUE_URL")

    with pytest.raises(NotSweptError, match="4 of 5"):  # for the alarm on the function's errors: each of its shards
        sweep()

    assert len(stack.messages("ApiVideoQueue")) == 1


@pytest.mark.parametrize("service", ["sqs", "dynamodb"])
def test_what_could_not_be_sent_is_still_overdue_at_the_next_sweep(
    stack: Stack, later: Callable[[float], None], service: str
) -> None:
    new()
    batches.create(new_batch(), sources(1))
    later(LOOK_SECONDS + 5)
    with away(service), pytest.raises(NotSweptError):
        sweep()

    assert sweep() == 3


def test_a_sweep_that_stops_between_sending_and_noting_sends_once_more(
    stack: Stack, later: Callable[[float], None]
) -> None:
    new()
    later(SWEEP_GRACE_SECONDS + 5)
    with patch.object(due, "postpone", side_effect=OSError), pytest.raises(NotSweptError, match="1 of 1"):
        sweep()

    assert sweep() == 1
    assert len(sent(stack, "VideoDbQueue")) == 2


@pytest.mark.every_engine
def test_what_moves_while_it_is_swept_is_not_made_overdue_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    (made,) = put(1)
    scene.note(scene.run(made))
    later(LOOK_SECONDS + 5)
    send = app._send_batches

    def send_and_end(items: Any) -> None:
        send(items)
        found = batches.settle(BATCH)
        assert found is not None
        batches.announced(found[0])

    monkeypatch.setattr(app, "_SENDERS", {**app._SENDERS, "batch": send_and_end})

    assert sweep() == 1

    (batch,) = (item for item in stack.items("BATCH#") if item["sk"] == "BATCH")
    assert "due_at" not in batch


@pytest.mark.every_engine
def test_a_job_that_was_swept_moves_on_as_it_would_have(stack: Stack, later: Callable[[float], None]) -> None:
    new(plan=["upload"])
    before = job("job-1")
    later(SWEEP_GRACE_SECONDS + 5)
    assert sweep() == 1

    ended = partial(transitions.claimed, name="upload", now=clock.now(), lease=90)
    found = jobs.change("job-1", ended, known=before)
    assert found is not None
    assert found.changed, "a sweep is no change of the job"
    scene._end(found.after, StepSucceeded())
    announce(job("job-1"))

    later(100 * HOUR)
    assert sweep() == 0
