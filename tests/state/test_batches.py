"""What the table promises of batches: each job counts once, at its end; a batch ends when all have, once each time."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self
from unittest.mock import patch

import pytest
from video_jobs import clock, settings
from video_jobs.api.batch_requests import new_job
from video_jobs.aws import clients
from video_jobs.jobs import transitions
from video_jobs.jobs.batches import (
    Batch,
    BatchStatus,
    Counts,
    Totals,
    estimated_end,
    is_to_be_retried,
    job_id,
    rate,
    totals,
)
from video_jobs.jobs.model import Job, JobError, JobStatus, StepFailed, StepSucceeded
from video_jobs.notifications import events
from video_jobs.notifications.announce import announce, settle
from video_jobs.store import batches, counts, jobs, table
from video_jobs.store.batches import Post, WorkKind

from tests import batch as scene
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
    take_back,
)
from tests.orders import in_every_order
from tests.scripted import CREATED_AT
from tests.scripted import new_job as a_job
from tests.stack import Stack

DAY = 86400
MINUTE = 60 * clock.SECOND


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the batch's ends that were announced."""
    numbers: list[int] = []
    monkeypatch.setattr(events, "job_ended", lambda _job: None)
    monkeypatch.setattr(events, "batch_ended", lambda _batch, *, number, **_more: numbers.append(number))
    return numbers


def item(stack: Stack, key: str) -> dict[str, Any]:
    (found,) = (item for item in stack.items("BATCH#") if item["sk"] == key)
    return found


def remove(pk: str, sk: str) -> None:
    clients.dynamodb().delete_item(TableName=settings.setting("TABLE_NAME"), Key={"pk": {"S": pk}, "sk": {"S": sk}})


# --- Counting --------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_each_job_is_counted_when_its_end_is_announced(stack: Stack) -> None:
    first, second = put(2)
    assert outcomes() == {}

    failed = run(first, FAULT)
    assert outcomes() == {}, "its end is not announced yet"
    announce(failed)
    assert outcomes() == {"failed/download_failed": 1}

    scene.retry(first)
    assert outcomes() == {}

    finish(first)
    finish(second, OTHER_FAULT)
    assert outcomes() == {"succeeded": 1, "failed/invalid_media_type": 1}


@pytest.mark.every_engine
def test_what_is_announced_again_counts_nothing_again(stack: Stack) -> None:
    first, _ = put(2)
    ended = run(first, FAULT)
    announce(ended)
    before = read()

    announce(ended)
    announce(job(first))

    assert read() == before


@pytest.mark.every_engine
def test_a_count_of_which_the_answer_was_lost_is_known_as_ours(stack: Stack) -> None:
    (only,) = put(1)
    ended = run(only)

    def made_twice(service: str, operation: str, parameters: Any, call: Callable[[], Any]) -> Any:
        """As the SDK makes it when there was no answer; but with another token, so that it counts as another one."""
        if operation == "TransactWriteItems" and len(parameters["TransactItems"]) == 2:
            call()
        return call()

    with each_call(made_twice):
        announce(ended)

    assert (outcomes(), read()[0].status) == ({"succeeded": 1}, BatchStatus.ENDED)


@pytest.mark.every_engine
def test_a_success_that_follows_a_failure_has_the_batch_run_again_and_is_counted_as_a_success(stack: Stack) -> None:
    first, second = put(2)
    finish(first, FAULT)
    finish(second)
    assert read()[0].status == BatchStatus.ENDED

    succeeded = take_back(first)
    assert (outcomes(), read()[0].status, read()[0].ended_at) == ({"succeeded": 1}, BatchStatus.RUNNING, None)

    announce(succeeded)
    assert (outcomes(), read()[0].status, read()[0].ends) == ({"succeeded": 2}, BatchStatus.ENDED, 2)


@pytest.mark.every_engine
def test_an_end_that_is_announced_too_late_is_not_counted(stack: Stack) -> None:
    (first,) = put(1)
    failed = run(first, FAULT)
    succeeded = take_back(first)

    announce(failed)
    assert outcomes() == {}

    announce(succeeded)
    assert (outcomes(), read()[0].ends) == ({"succeeded": 1}, 1)


@pytest.mark.every_engine
def test_a_job_that_was_canceled_between_its_failure_and_its_success_is_counted_as_canceled(stack: Stack) -> None:
    (first,) = put(1)
    finish(first, FAULT)
    scene.retry(first)

    announce(scene.cancel(first))

    assert outcomes() == {"canceled": 1}


@pytest.mark.every_engine
def test_a_deleted_job_stays_counted(stack: Stack) -> None:
    first, _ = put(2)
    finish(first)
    assert jobs.delete(job(first))

    assert (jobs.read(first), outcomes()) == (None, {"succeeded": 1})


@pytest.mark.every_engine
@pytest.mark.parametrize("left", [[], [f"COUNT#{n}" for n in range(counts.SHARDS)]])
def test_a_job_whose_batch_has_expired_can_still_be_retried(stack: Stack, left: list[str]) -> None:
    (first,) = put(1)
    finish(first, FAULT)
    for key in {"BATCH", *(f"COUNT#{n}" for n in range(counts.SHARDS))} - set(left):
        remove(f"BATCH#{BATCH}", key)

    scene.retry(first)
    finish(first)

    assert (job(first).status, job(first).request.batch_id) == ("succeeded", BATCH)
    assert [found for found in stack.items("BATCH#") if found["sk"] == "BATCH"] == []


@pytest.mark.every_engine
def test_a_retry_leaves_when_its_batch_is_looked_at_where_it_is(stack: Stack) -> None:
    """Moving it would cost two write units for each of its jobs."""
    first, _ = put(2)
    finish(first, FAULT)
    before = item(stack, "BATCH")["due_at"]

    scene.retry(first)

    assert item(stack, "BATCH")["due_at"] == before


@pytest.mark.every_engine
def test_the_items_with_the_counts_do_not_grow_however_slow_the_batch_is(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = put(8)
    monkeypatch.setattr(counts, "SHARDS", 1)
    start = clock.now()

    for number, found in enumerate(ids):
        monkeypatch.setattr(clock, "now", lambda number=number: start + (number // 2) * 40 * MINUTE + number)
        finish(found)

    assert [name for name in item(stack, "COUNT#0") if name.startswith("ended/")] == [
        f"ended/{(start + 120 * MINUTE) // MINUTE}"
    ]
    assert sum(read()[1].ended_in.values()) == 2


# --- Its end ---------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_a_batch_ends_with_the_last_of_its_jobs_and_not_before(stack: Stack, told: list[int]) -> None:
    ids = put(3)

    for found in random.Random(4).sample(ids, 3):
        assert (read()[0].status, told) == (BatchStatus.RUNNING, [])
        assert batches.settle(BATCH) is None
        finish(found)

    batch, _ = read()
    assert (batch.status, batch.ends, batch.announced, told) == (BatchStatus.ENDED, 1, 1, [1])
    assert batches.settle(BATCH) is None
    settle(BATCH)
    assert told == [1]


@pytest.mark.every_engine
def test_a_batch_that_is_open_does_not_end_before_it_is_closed(stack: Stack, told: list[int]) -> None:
    (first,) = put(1, closed=False)
    finish(first)
    assert read()[0].status == BatchStatus.RUNNING

    assert batches.append(BATCH, [], close=True, post=None) == []
    settle(BATCH)

    assert (read()[0].status, told) == (BatchStatus.ENDED, [1])


@pytest.mark.every_engine
def test_a_batch_does_not_end_while_sources_wait_to_become_jobs(stack: Stack, told: list[int]) -> None:
    batch, works = batches.create(new_batch(), sources(batches.CHUNK + 1))
    scene.do(works[1])  # the last source
    finish(job_id(batch, batches.CHUNK))

    batch, counted = read()
    assert (batch.status, batch.work, told) == (BatchStatus.RUNNING, 1, [])
    assert totals(batch, counted) == Totals(waiting=batches.CHUNK, open=0, succeeded=1, failed=0, canceled=0)


@pytest.mark.every_engine
def test_a_retry_has_the_batch_run_again_at_once_and_it_ends_again_with_the_next_number(
    stack: Stack, told: list[int]
) -> None:
    first, second = put(2)
    finish(first, FAULT)
    finish(second)
    work_id = batches.retry(read()[0], cause=None)
    assert work_id is not None
    batch, _ = read()
    assert (batch.status, batch.ended_at, batch.work) == (BatchStatus.RUNNING, None, 1)
    assert batch.is_retrying(None)
    assert batch.is_retrying("download_failed")
    settle(BATCH)
    assert told == [1], "it does not end while there is work"

    scene.do(work_id)
    finish(first)

    batch, _ = read()
    assert (batch.status, told, batch.announced, batch.retrying) == (BatchStatus.ENDED, [1, 2], 2, None)


@pytest.mark.every_engine
def test_a_batch_that_changes_while_it_is_about_to_end_does_not_end(stack: Stack) -> None:
    first, second = put(2)
    finish(first, FAULT)
    scene.count_end(run(second))

    with before_the_first("TransactWriteItems", lambda: take_back(first)):
        assert batches.settle(BATCH) is None

    assert (read()[0].status, outcomes()) == (BatchStatus.RUNNING, {"succeeded": 1})


@pytest.mark.every_engine
def test_it_does_not_end_on_counts_that_have_changed_even_if_it_was_read_after_they_did(stack: Stack) -> None:
    """A query may see one item of a transaction and not yet another."""
    first, second = put(2)
    finish(first, FAULT)
    scene.count_end(run(second))
    found = batches._read(BATCH)
    assert found is not None
    _, stale = found
    take_back(first)
    torn = iter([(read()[0], stale)])
    original = batches._read

    with patch.object(batches, "_read", lambda batch_id: next(torn, None) or original(batch_id)):
        assert batches.settle(BATCH) is None

    assert read()[0].status == BatchStatus.RUNNING


def end(ended: Job) -> None:
    """Count it, and end its batch if it was the last."""
    scene.count_end(ended)
    batches.settle(str(ended.request.batch_id))


@contextmanager
def before_the_first(operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Have something happen just before the first such call to AWS."""
    acts = [act]

    def noted(_service: str, called: str, _parameters: Any, call: Callable[[], Any]) -> Any:
        if called == operation and acts:
            acts.pop()()
        return call()

    with each_call(noted):
        yield


@fastest
def test_two_jobs_that_end_at_once_end_their_batch_once_in_every_order(stack: Stack) -> None:
    def prepare() -> list[Job]:
        return [run(found) for found in put(2, scene.another_id())]

    orders = 0
    for first, _ in in_every_order(prepare, lambda ended: [partial(end, each) for each in ended]):
        orders += 1
        batch, counted = read(str(first.request.batch_id))
        assert (batch.status, batch.ends, counted.ended) == (BatchStatus.ENDED, 1, 2)
    assert orders >= 20


@fastest
def test_a_failure_that_is_taken_back_while_the_last_job_ends_is_never_lost_in_every_order(
    stack: Stack, told: list[int]
) -> None:
    def prepare() -> tuple[str, Job]:
        told.clear()
        first, second = put(2, scene.another_id())
        finish(first, FAULT)
        return first, run(second)

    seen = set()
    for first, second in in_every_order(prepare, lambda found: [lambda: take_back(found[0]), lambda: end(found[1])]):
        batch_id = str(second.request.batch_id)
        batch, _ = read(batch_id)
        assert (batch.status, outcomes(batch_id)) == (BatchStatus.RUNNING, {"succeeded": 1})
        seen.add(batch.ends)
        announce(job(first))
        batch, _ = read(batch_id)
        assert (batch.status, outcomes(batch_id)) == (BatchStatus.ENDED, {"succeeded": 2})
        assert told == [batch.ends]
        assert batch.is_announced

    assert seen == {0, 1}, "it had ended before, or it had not: both come"


@fastest
def test_a_batch_that_is_closed_while_its_last_job_ends_ends_once_in_every_order(stack: Stack) -> None:
    def prepare() -> Job:
        (only,) = put(1, scene.another_id(), closed=False)
        return run(only)

    def close(batch_id: str) -> None:
        batches.append(batch_id, [], close=True, post=None)
        batches.settle(batch_id)

    ends = 0
    for ended in in_every_order(
        prepare, lambda ended: [lambda: close(str(ended.request.batch_id)), lambda: end(ended)]
    ):
        ends += 1
        batch, _ = read(str(ended.request.batch_id))
        assert (batch.status, batch.ends) == (BatchStatus.ENDED, 1)
    assert ends >= 20


def test_a_batch_that_runs_again_before_its_end_was_announced_is_not_noted_as_announced(stack: Stack) -> None:
    (first,) = put(1)
    scene.count_end(run(first, FAULT))
    settled = batches.settle(BATCH)
    assert settled is not None
    take_back(first)

    batches.announced(settled[0])

    assert (read()[0].announced, "due_at" in item(stack, "BATCH")) == (0, True)


# --- Sources ---------------------------------------------------------------------------------------------------------


def test_the_same_batch_is_made_once(stack: Stack) -> None:
    _, works = batches.create(new_batch(request_digest="one"), sources(2))
    again, more = batches.create(new_batch(request_digest="two"), sources(3))

    assert (len(works), more, again.request_digest, again.total) == (1, [], "one", 2)
    assert len(stack.items("WORK#")) == 2


@fastest
def test_the_same_batch_twice_at_once_is_made_once_in_every_order(stack: Stack) -> None:
    made: list[list[str]] = []

    def prepare() -> str:
        made.clear()
        return scene.another_id()

    def create(batch_id: str) -> None:
        made.append(batches.create(new_batch(batch_id), sources(2))[1])

    for batch_id in in_every_order(prepare, lambda batch_id: [partial(create, batch_id)] * 2):
        assert sorted(map(len, made)) == [0, 1]
        assert (read(batch_id)[0].total, read(batch_id)[0].work) == (2, 1)


def test_ten_thousand_sources_come_at_once(stack: Stack) -> None:
    batch, works = batches.create(new_batch(), sources(batches.MOST_SOURCES))

    assert (batch.total, batch.work, len(works)) == (10_000, 50, 50)
    assert _sources_of(works) == sources(10_000)


def test_sources_that_fill_a_request_and_cannot_be_compressed_fit(stack: Stack) -> None:
    letters = [chr(code) for code in range(0xC0, 0x700) if chr(code).isprintable()]
    chance = random.Random(1)
    long = [f"https://example.com/{number}/{''.join(chance.choices(letters, k=4000))}" for number in range(430)]
    assert 3_400_000 < len(json.dumps(long, ensure_ascii=False).encode()) < 3_500_000

    batch, works = batches.create(new_batch(), long)

    assert batch.work == len(works) <= 62
    assert _sources_of(works) == long


def _sources_of(works: list[str]) -> list[str]:
    found = [batches.work(each) for each in works]
    assert [work.first for work in found if work] == sorted(work.first for work in found if work)
    return [source for work in found if work for source in work.left]


def test_what_moves_of_a_piece_of_work_is_small(stack: Stack) -> None:
    """Its progress is written often, and its sources once."""
    batches.create(new_batch(), [f"https://example.com/{random.Random(n).randbytes(500).hex()}" for n in range(200)])

    (work,) = (found for found in stack.items("WORK#") if found["sk"] == "WORK")
    assert len(json.dumps(work)) < 500
    (given,) = (found for found in stack.items("WORK#") if found["sk"] == "SOURCES")
    assert given["expires_at"] > clock.now() // clock.SECOND + 90 * DAY


def test_sources_that_are_added_get_the_next_indices(stack: Stack) -> None:
    put(2, closed=False)
    (added,) = batches.append(BATCH, sources(3, start=2), close=True, post=None)
    scene.do(added)

    batch, counted = read()
    assert [found.request.source for found in batches.jobs_at(batch, range(6))] == sources(5)
    assert [found.request.batch_index for found in batches.jobs_at(batch, range(6))] == [*range(5)]
    assert (batch.total, batch.closed, totals(batch, counted).open) == (5, True, 5)
    with pytest.raises(table.ConflictError):
        batches.append(BATCH, sources(1), close=False, post=None)
    with pytest.raises(KeyError):
        batches.append("elsewhere", sources(1), close=False, post=None)


@pytest.mark.parametrize("close", [False, True])
def test_the_same_post_adds_once_and_another_one_of_its_key_is_refused(stack: Stack, close: bool) -> None:
    put(0, closed=False)
    post = Post(key="k", digest="one")
    assert len(batches.append(BATCH, sources(2), close=close, post=post)) == 1

    assert batches.append(BATCH, sources(2), close=close, post=post) == []
    with pytest.raises(batches.PostedOtherwiseError):
        batches.append(BATCH, sources(3), close=close, post=Post(key="k", digest="two"))

    assert (read()[0].total, read()[0].work) == (2, 1)


@dataclass
class Adding:
    """An open batch, to which some add."""

    batch_id: str
    works: list[str] = field(default_factory=list)

    @classmethod
    def prepare(cls) -> Self:
        batch_id = scene.another_id()
        put(0, batch_id, closed=False)
        return cls(batch_id)

    def add(self, start: int, *, post: Post | None = None) -> None:
        self.works += batches.append(self.batch_id, sources(2, start=start), close=post is not None, post=post)


@fastest
def test_two_who_add_at_once_both_do_in_every_order(stack: Stack) -> None:
    ends = 0
    for adding in in_every_order(Adding.prepare, lambda adding: [partial(adding.add, 0), partial(adding.add, 2)]):
        ends += 1
        for each in adding.works:
            scene.do(each)
        batch, _ = read(adding.batch_id)
        made = batches.jobs_at(batch, range(4))
        assert sorted(found.request.source or "" for found in made) == sources(4)
        assert (batch.total, batch.made, batch.work) == (4, 4, 0)
    assert ends >= 6


@fastest
def test_the_same_post_twice_at_once_adds_once_in_every_order(stack: Stack) -> None:
    post = Post(key="k", digest="one")

    orders = in_every_order(Adding.prepare, lambda adding: [partial(adding.add, 0, post=post)] * 2)

    ends = [(len(adding.works), read(adding.batch_id)[0].total) for adding in orders]
    assert len(ends) >= 6
    assert all(found == (1, 2) for found in ends)


# --- Sources of which no job can be made -----------------------------------------------------------------------------


@pytest.fixture
def one_by_one(stack: Stack) -> Batch:
    """A batch of two sources, of which nothing is made yet."""
    batch, _ = batches.create(new_batch(), sources(2))
    return batch


def test_a_source_becomes_the_same_job_whoever_comes_again(one_by_one: Batch) -> None:
    wanted = new_job(one_by_one, 0, sources(1)[0])

    first, is_made = batches.make(one_by_one, 0, wanted)
    assert is_made
    assert first is not None
    assert (first.job_id, first.request.label, first.request.digest) == (job_id(one_by_one, 0), None, None)
    scene.begin(first.job_id)

    there, is_made = batches.make(one_by_one, 0, wanted)
    assert is_made
    assert there is not None
    assert there.status == JobStatus.RUNNING


def test_what_is_no_job_at_first_never_becomes_one(one_by_one: Batch) -> None:
    """Else one who comes again with newer code would make it, and it would be counted twice."""
    assert batches.make(one_by_one, 0, None) == (None, False)

    assert batches.make(one_by_one, 0, None) == (None, False)
    assert batches.make(one_by_one, 0, new_job(one_by_one, 0, sources(1)[0])) == (None, False)

    assert jobs.read(job_id(one_by_one, 0)) is None


def test_what_is_a_job_already_stays_one(one_by_one: Batch) -> None:
    batches.make(one_by_one, 0, new_job(one_by_one, 0, sources(1)[0]))

    there, is_made = batches.make(one_by_one, 0, None)

    assert is_made
    assert there == job(job_id(one_by_one, 0))


@pytest.mark.parametrize("again", [True, False])
def test_a_job_that_was_deleted_was_counted_at_its_end(one_by_one: Batch, again: bool) -> None:
    wanted = new_job(one_by_one, 0, sources(1)[0])
    batches.make(one_by_one, 0, wanted)
    finish(wanted.job_id)
    assert jobs.delete(job(wanted.job_id))

    assert batches.make(one_by_one, 0, wanted if again else None) == (None, True)


def test_a_job_that_a_callback_has_made_is_none_of_the_batch(one_by_one: Batch) -> None:
    adopted = transitions.adopted_by_end(
        job_id(one_by_one, 0), "videodb", "upload", 1, StepSucceeded(), now=clock.now()
    )
    jobs.create(adopted)

    assert batches.make(one_by_one, 0, new_job(one_by_one, 0, sources(1)[0])) == (None, False)


# --- An id that comes again ------------------------------------------------------------------------------------------


def test_a_batch_that_is_posted_again_after_it_has_expired_is_made_whatever_is_left_of_the_first(stack: Stack) -> None:
    old = put(3, closed=False)
    post = Post(key="k", digest="one")
    batches.append(BATCH, [], close=True, post=post)
    finish(old[0])
    finish(old[1], FAULT)
    finish(old[2])
    jobs.delete(job(old[2]))
    remove(f"BATCH#{BATCH}", "BATCH")

    new = put(3, closed=False, created_at=clock.now())
    assert batches.append(BATCH, sources(1), close=True, post=post) != [], "another batch's post"
    batch, counted = read()
    assert (batch.status, batch.made, batch.total, counted) == (BatchStatus.RUNNING, 3, 4, Counts())
    assert not set(new) & set(old)

    scene.retry(old[1])
    assert (read()[0].version, read()[1].outcomes) == (batch.version, {}), "the first one's jobs are not this one's"
    finish(old[1])
    finish(new[0])
    assert outcomes() == {"succeeded": 1}


def test_jobs_of_another_batch_of_the_id_are_not_this_ones(stack: Stack) -> None:
    first, second = new_batch(), new_batch(created_at=CREATED_AT + 1)

    assert job_id(first, 0) == job_id(first, 0)
    assert len({job_id(first, 0), job_id(first, 1), job_id(second, 0)}) == 3


# --- How long it is kept ---------------------------------------------------------------------------------------------


def test_a_batch_is_kept_for_the_retention_after_its_end_and_its_counts_a_month_longer(stack: Stack) -> None:
    first, second = put(2)
    finish(first, FAULT)
    assert not any("expires_at" in found for found in stack.items("BATCH#"))

    finish(second)

    end = item(stack, "BATCH")["expires_at"]
    assert 0 <= end - (read()[0].ended_at or 0) // clock.SECOND - 90 * DAY <= 2
    counted = [found for found in stack.items("BATCH#") if found["sk"] != "BATCH"]
    assert {found["expires_at"] for found in counted} <= {end + 30 * DAY, end + 30 * DAY + 1}

    take_back(first)
    assert "expires_at" not in item(stack, "BATCH")


def test_a_sweep_looks_for_a_batch_until_its_end_is_announced(stack: Stack) -> None:
    (first,) = put(1, closed=False)
    hour = clock.iso(clock.after(clock.now(), counts.LOOK_SECONDS))
    assert clock.iso(clock.now()) < item(stack, "BATCH")["due_at"] <= hour

    batches.append(BATCH, [], close=True, post=None)
    scene.count_end(run(first))
    settled = batches.settle(BATCH)
    assert settled is not None
    assert item(stack, "BATCH")["due_at"] < clock.iso(clock.after(clock.now(), 600))
    assert batches.unannounced(BATCH) == (read()[0], settled[1])

    batches.announced(settled[0])
    assert "due_at" not in item(stack, "BATCH")
    assert batches.unannounced(BATCH) is None


# --- Work on it ------------------------------------------------------------------------------------------------------


def test_work_that_was_begun_on_an_older_reading_is_not_begun(stack: Stack) -> None:
    first, second = put(2)
    before, _ = read()
    finish(first, FAULT)
    finish(second)

    assert batches.retry(before, cause=None) is None
    assert batches.cancel(before) is None, "it has ended"
    assert batches.restart(before) is None
    assert [found for found in stack.items("WORK#") if found["sk"] == "WORK"] == []


def test_a_batch_can_be_canceled_while_work_on_it_goes_on_but_not_while_sources_come(stack: Stack) -> None:
    _, (work_id,) = batches.create(new_batch(closed=False), sources(2))
    before, _ = read()
    scene.do(work_id)
    assert batches.cancel(before) is not None

    put(0, "another", closed=False)
    before, _ = read("another")
    batches.append("another", sources(1), close=False, post=None)
    assert batches.cancel(before) is None, "it would leave the last one out"


def test_a_retry_waits_for_a_cancellation_and_for_the_announcement_of_the_end(stack: Stack) -> None:
    (first,) = put(1)
    assert batches.cancel(read()[0])
    assert read()[0].is_being_canceled
    assert batches.retry(read()[0], cause=None) is None

    (first,) = put(1, "another")
    scene.count_end(run(first, FAULT))
    batches.settle("another")
    assert batches.retry(read("another")[0], cause=None) is None
    settle("another")
    assert batches.retry(read("another")[0], cause=None) is not None


def _expansion() -> str:
    _, (work_id,) = batches.create(new_batch(), sources(1))
    return work_id


def _retry() -> str:
    (first,) = put(1)
    finish(first, FAULT)
    return batches.retry(read()[0], cause="a") or ""


def _cancellation() -> str:
    put(1)
    return batches.cancel(read()[0]) or ""


def _restart() -> str:
    put(1)
    return batches.restart(read()[0]) or ""


@pytest.mark.parametrize(
    ("kind", "begin"),
    [
        (WorkKind.EXPAND, _expansion),
        (WorkKind.RETRY, _retry),
        (WorkKind.CANCEL, _cancellation),
        (WorkKind.RESTART, _restart),
    ],
)
def test_a_piece_of_work_is_done_once(stack: Stack, kind: WorkKind, begin: Callable[[], str]) -> None:
    work = batches.work(begin())
    assert work is not None
    batch, _ = read()
    assert (work.kind, work.first, work.last, batch.work) == (kind, 0, 1, 1)

    assert batches.advance(batch, work, 1) is not None
    assert batches.advance(batch, work, 1) is None

    batch, _ = read()
    assert (batches.work(work.work_id), batch.work, batch.made) == (None, 0, 1)


def test_a_part_of_an_expansion_during_which_the_batch_was_canceled_is_to_be_done_again(stack: Stack) -> None:
    _, (work_id,) = batches.create(new_batch(), sources(1))
    before, _ = read()
    work = batches.work(work_id)
    assert work is not None
    assert batches.cancel(before)

    assert batches.advance(before, work, 1) is work
    assert batches.work(work_id) == work

    assert batches.advance(read()[0], work, 1) is not None


def test_batches_are_listed_newest_first(stack: Stack) -> None:
    for number in range(7):
        batches.create(new_batch(f"batch-{number}", created_at=CREATED_AT + number), [])

    first = batches.listed(limit=5)
    rest = batches.listed(limit=5, cursor=first.cursor)

    assert [batch.batch_id for batch in first.items + rest.items] == [f"batch-{number}" for number in range(6, -1, -1)]
    assert (len(first.items), rest.cursor) == (5, None)
    assert first.items[0] == read("batch-6")[0]


# --- Pure ------------------------------------------------------------------------------------------------------------

AT = clock.from_iso("2026-11-02T12:00:30.000Z")
THIS = AT // MINUTE


@pytest.mark.parametrize(
    ("outcomes", "ended_in", "began", "expected"),
    [
        pytest.param({}, {}, None, None, id="nothing began"),
        pytest.param({}, {}, 3, None, id="nothing has ended"),
        pytest.param({"succeeded": 6}, {THIS: 4, THIS - 1: 2}, 2, 3.0, id="a young batch"),
        pytest.param({"succeeded": 6}, {THIS: 6}, 0, 360.0, id="all in its first second"),
        pytest.param(
            {"succeeded": 100, "failed/a": 5, "canceled": 5},
            {THIS: 11, THIS - 10: 10, THIS - 11: 50},
            60,
            2.0,
            id="only the last ten minutes and a half",
        ),
        pytest.param({"failed/a": 30}, {THIS - 40: 30}, 60, 0.5, id="none of late: since it began"),
    ],
)
def test_the_rate_is_of_the_last_minutes(
    outcomes: Mapping[str, int], ended_in: Mapping[int, int], began: int | None, expected: float | None
) -> None:
    """`began`: so many minutes before."""
    batch = new_batch(started_at=None if began is None else AT - began * MINUTE)

    found = rate(batch, Counts(outcomes=outcomes, ended_in=ended_in), at=AT)

    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("total", "outcomes", "began", "expected"),
    [
        pytest.param(10, {}, 5, None, id="nothing has ended"),
        pytest.param(10, {"succeeded": 10}, 5, None, id="all have ended"),
        pytest.param(10, {"succeeded": 5}, 5, 5, id="as long again"),
        pytest.param(10, {"succeeded": 1}, 5, 45, id="sources that wait count, too"),
        pytest.param(10, {"failed/a": 8, "canceled": 1}, 9, 1, id="each end counts"),
        pytest.param(10**9, {"succeeded": 1}, 60, None, id="a date that is no date"),
    ],
)
def test_the_end_is_estimated_from_what_is_left(
    total: int, outcomes: Mapping[str, int], began: int, expected: int | None
) -> None:
    """In minutes."""
    batch = new_batch(total=total, started_at=AT - began * MINUTE)

    found = estimated_end(batch, Counts(outcomes=outcomes), at=AT)

    assert found == (None if expected is None else AT + expected * MINUTE)


@pytest.mark.parametrize(
    ("made", "outcomes", "expected"),
    [
        (0, {}, Totals(waiting=10, open=0, succeeded=0, failed=0, canceled=0)),
        (4, {"succeeded": 1}, Totals(waiting=6, open=3, succeeded=1, failed=0, canceled=0)),
        (1, {"failed/a": 2, "failed/b": 1}, Totals(waiting=7, open=0, succeeded=0, failed=3, canceled=0)),
        (10, {"succeeded": 8, "canceled": 2}, Totals(waiting=0, open=0, succeeded=8, failed=0, canceled=2)),
    ],
)
def test_every_source_stands_somewhere(made: int, outcomes: Mapping[str, int], expected: Totals) -> None:
    """Also if a job has ended before it is noted that it was made."""
    found = totals(new_batch(total=10, made=made), Counts(outcomes=outcomes))

    assert found == expected
    assert found.waiting + found.open + found.succeeded + found.failed + found.canceled == 10


def failed(error: JobError = FAULT, **changes: Any) -> Job:
    begun = transitions.claimed(a_job(plan=["upload"]), "upload", now=CREATED_AT, lease=90)
    assert begun is not None
    ended = transitions.step_ended(begun, "upload", 1, StepFailed(error=error), now=CREATED_AT)
    assert ended is not None
    return ended.model_copy(update=changes)


@pytest.mark.parametrize(
    ("found", "cause", "expected"),
    [
        pytest.param(failed(), None, True, id="whatever failed"),
        pytest.param(failed(), "download_failed", True, id="for this cause"),
        pytest.param(failed(OTHER_FAULT), "download_failed", False, id="for another"),
        pytest.param(failed(ended_at=AT + 1), None, False, id="failed since"),
        pytest.param(failed(adopted=True), None, False, id="started elsewhere"),
        pytest.param(a_job(), None, False, id="open"),
    ],
)
def test_a_retry_is_for_what_had_failed_for_its_cause_when_it_was_asked_for(
    found: Job, cause: str | None, expected: bool
) -> None:
    assert is_to_be_retried(found, cause=cause, asked_at=AT) is expected
