"""What the table promises of batches: each job counts once, and a batch ends when all have, once each time."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Self
from unittest.mock import Mock, patch

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video_jobs import ended, notices, store
from video_jobs import settings as deployed
from video_jobs.batches import Batch, BatchStatus, Counts, estimated_end, rate
from video_jobs.batches import job_id as job_id_of
from video_jobs.jobs import Job, JobStatus, StepFailed, StepSucceeded, timestamp
from video_jobs.queues import StartMessage
from video_jobs.store import batches
from video_jobs.store.batches import Post, WorkKind

from tests import batch as scene
from tests.batch import (
    BATCH,
    FAULT,
    OTHER_FAULT,
    fastest,
    finish,
    job,
    kinds,
    new_batch,
    put,
    read,
    run,
    sources,
    take_back,
)
from tests.orders import in_every_order
from tests.scripted import ScriptedPlatform, new_job
from tests.stack import Context, Stack, handler
from tests.state.test_indexes import WRITES

DAY = 86400


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the batch's ends that were handed over to be told."""
    numbers: list[int] = []
    monkeypatch.setattr(notices, "job_ended", lambda _job: None)
    monkeypatch.setattr(notices, "batch_ended", lambda _batch, *, number, **_more: numbers.append(number))
    return numbers


def item(stack: Stack, key: str) -> dict[str, Any]:
    (found,) = (item for item in stack.items("BATCH#") if item["sk"] == key)
    return found


# --- Counting --------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_each_job_is_counted_as_what_it_is_all_its_life(stack: Stack) -> None:
    first, second = put(2)
    assert kinds() == {"pending": 2}

    scene.begin(first)
    assert kinds() == {"pending": 1, "running": 1}

    scene.tell(first, StepFailed(error=FAULT))
    done = store.end(job(first), JobStatus.FAILED)
    assert done is not None
    assert kinds() == {"pending": 1, "running": 1}, "its end is not told yet"
    store.concluded(done)
    assert kinds() == {"pending": 1, "failed/download_failed": 1}

    store.retry(job(first), "upload")
    assert kinds() == {"pending": 1, "running": 1}

    finish(first)
    finish(second, OTHER_FAULT)
    assert kinds() == {"succeeded": 1, "failed/invalid_media_type": 1}


@pytest.mark.every_engine
@pytest.mark.parametrize("repeat", [store.concluded, store.reopened])
def test_what_is_done_again_counts_nothing_again(stack: Stack, repeat: Callable[[Job], Job | None]) -> None:
    first, _ = put(2)
    done = run(first, FAULT)
    store.concluded(done)
    if repeat is store.reopened:
        failed = job(first)
        scene.tell(first, StepSucceeded())
        done = job(first)
        assert done.counted == failed.counted
        store.reopened(done)
    before = read()

    assert repeat(done) is None
    assert repeat(done) is None

    assert read() == before


@pytest.mark.every_engine
def test_a_success_that_follows_a_failure_runs_again_and_is_counted_as_a_success(stack: Stack) -> None:
    first, second = put(2)
    finish(first, FAULT)
    finish(second)
    assert read()[0].status == BatchStatus.ENDED

    take_back(first)
    assert (kinds(), read()[0].status) == ({"running": 1, "succeeded": 1}, BatchStatus.RUNNING)

    done = store.end(job(first), JobStatus.SUCCEEDED)
    assert done is not None
    ended.conclude(done)
    assert (kinds(), read()[0].status, read()[0].ends) == ({"succeeded": 2}, BatchStatus.ENDED, 2)


def its_platform_takes_it_back(found: str) -> None:
    scene.tell(found, StepSucceeded())


def somebody_has_it_tried_again(found: str) -> None:
    store.retry(job(found), "upload")


@pytest.mark.every_engine
@pytest.mark.parametrize("moves_on", [its_platform_takes_it_back, somebody_has_it_tried_again])
def test_an_end_that_is_told_too_late_is_not_counted_and_the_job_is_still_looked_for(
    stack: Stack, moves_on: Callable[[str], None]
) -> None:
    (first,) = put(1)
    done = run(first, FAULT)
    moves_on(first)

    assert store.concluded(done) is None

    (there,) = (each for each in stack.items("JOB#") if each["sk"] == "JOB")
    assert (there["status"], there["counted"], kinds()) == ("running", "running", {"running": 1})
    assert {"open", "due_at"} <= set(there)
    finish_again(first)
    assert (kinds(), read()[0].ends) == ({"succeeded": 1}, 1)


def finish_again(found: str) -> None:
    if job(found).current:
        finish(found)
        return
    done = store.end(job(found), JobStatus.SUCCEEDED)
    assert done is not None
    ended.conclude(done)


@pytest.mark.every_engine
def test_a_job_that_is_read_before_its_end_is_counted_cannot_be_retried_behind_the_counts_back(stack: Stack) -> None:
    (first,) = put(1)
    done = run(first, FAULT)
    store.concluded(done)

    with pytest.raises(store.ConflictError):
        store.retry(done, "upload")  # it was read when it was counted as running

    assert (job(first).status, kinds()) == ("failed", {"failed/download_failed": 1})


@pytest.mark.every_engine
def test_a_job_that_was_canceled_between_its_failure_and_its_success_is_counted_as_canceled(stack: Stack) -> None:
    (first,) = put(1)
    finish(first, FAULT)
    scene.tell(first, StepSucceeded())

    canceled = store.cancel(job(first))
    assert canceled is not None
    ended.conclude(canceled)

    assert kinds() == {"canceled": 1}


@pytest.mark.every_engine
def test_a_deleted_job_stays_counted(stack: Stack) -> None:
    first, _ = put(2)
    finish(first)
    store.delete(job(first))

    assert (store.get(first), kinds()) == (None, {"succeeded": 1, "pending": 1})


@pytest.mark.every_engine
def test_a_job_whose_end_is_not_counted_yet_is_not_deleted(stack: Stack) -> None:
    (first,) = put(1)
    done = run(first)

    with pytest.raises(store.ConflictError):
        store.delete(done)


@pytest.mark.every_engine
def test_a_job_whose_batch_has_expired_can_still_be_tried_again(stack: Stack) -> None:
    (first,) = put(1)
    finish(first, FAULT)
    for key in [*(f"COUNT#{n}" for n in range(batches.COUNT_SHARDS)), "BATCH"]:
        _remove(f"BATCH#{BATCH}", key)

    retried = store.retry(job(first), "upload")
    finish(first)

    assert (retried.batch_index, job(first).status, job(first).batch) == (None, "succeeded", BATCH)
    assert stack.items("BATCH#") == [], "nothing is counted for a batch that is gone"


@pytest.mark.every_engine
def test_jobs_of_an_earlier_release_end_and_are_deleted(stack: Stack) -> None:
    ids = [store.create(new_job(f"job-{n}", plan=["upload"], batch="a label")).job_id for n in range(2)]
    for found in ids:
        _remove_fields(found, "counted", "ends", "announced", "listing_in_batch")

    finish(ids[0], FAULT)
    store.retry(job(ids[0]), "upload")
    finish(ids[0])
    ended_then = run(ids[1])
    _remove_fields(ids[1], "ends")
    assert ended_then.ended_at

    for found in ids:
        assert (job(found).status, job(found).is_told) == ("succeeded", True)
        store.delete(job(found))
        assert store.get(found) is None


def _remove(pk: str, sk: str) -> None:
    deployed.dynamodb().delete_item(TableName=deployed.setting("TABLE_NAME"), Key={"pk": {"S": pk}, "sk": {"S": sk}})


def _remove_fields(found: str, *names: str) -> None:
    deployed.dynamodb().update_item(
        TableName=deployed.setting("TABLE_NAME"),
        Key={"pk": {"S": f"JOB#{found}"}, "sk": {"S": "JOB"}},
        UpdateExpression=f"REMOVE {', '.join(f'#{name}' for name in names)}",
        ExpressionAttributeNames={f"#{name}": name for name in names},
    )


MOVES = sorted(WRITES.keys() - {"postpone", "skip"})

histories = st.lists(
    st.tuples(
        st.sampled_from([*MOVES, *MOVES, "delete", "settle", "settle", "skip"]),
        st.sampled_from(range(3)),
        st.booleans(),
    ),
    min_size=6,
    max_size=14,
)


@fastest
@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories)
def test_whatever_happens_the_counts_are_what_the_jobs_say_and_the_batch_ends_when_all_have(
    stack: Stack, history: list[tuple[str, int, bool]]
) -> None:
    batch_id = scene.another_id()
    put(3, batch_id)
    before = previous = everything(batch_id)
    deleted: dict[int, Job] = {}
    for write, index, stale in history:
        seen = (previous if stale else before).jobs[index]
        may_end = False
        if write == "settle":
            may_end = before.batch.status == BatchStatus.RUNNING and before.counts.ended == 3
            assert (batches.settle(batch_id) is not None) == may_end
        elif index not in deleted:
            with suppress(store.ConflictError):
                if write == "delete":
                    store.delete(seen)
                    deleted[index] = before.jobs[index]
                else:
                    WRITES[write](seen, "upload")

        now = everything(batch_id, deleted)
        assert now.kinds == scene.said(now.jobs.values())
        assert now.counts.made == 3
        assert now.batch.ends == before.batch.ends + may_end
        assert (now.batch.ended_at is not None) == (now.batch.status == BatchStatus.ENDED)
        if now.batch.status == BatchStatus.ENDED:
            assert now.counts.ended == 3, "it never stands as ended while one of its jobs is counted as open"
        for each in now.jobs.values():
            if each.is_told and each.status.ended:
                assert each.counted == counted(each)
        before, previous = now, before


@dataclass(frozen=True)
class Everything:
    """All that the table holds of a batch."""

    batch: Batch
    counts: Counts
    jobs: Mapping[int, Job]
    """By their indices."""

    @property
    def kinds(self) -> Mapping[str, int]:
        return {kind: number for kind, number in self.counts.kinds.items() if number}


def everything(batch_id: str, deleted: Mapping[int, Job] = MappingProxyType({})) -> Everything:
    """With what was deleted as it was then."""
    batch, counts = read(batch_id)
    jobs = batches.jobs_at(batch_id, range(3))
    return Everything(
        batch=batch, counts=counts, jobs={index: found for index, found in jobs.items() if found} | dict(deleted)
    )


def counted(found: Job) -> str:
    return f"failed/{found.error.code}" if found.error else str(found.status)


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
    ended.settle(BATCH, again=True)
    assert told == [1]


@pytest.mark.every_engine
def test_a_batch_that_is_open_does_not_end_before_it_is_closed(stack: Stack, told: list[int]) -> None:
    (first,) = put(1, closed=False)
    finish(first)
    assert read()[0].status == BatchStatus.RUNNING

    assert batches.append(BATCH, [], close=True, post=None) == []
    ended.settle(BATCH)

    assert (read()[0].status, told) == (BatchStatus.ENDED, [1])


@pytest.mark.every_engine
def test_a_batch_does_not_end_while_sources_wait_to_become_jobs(stack: Stack, told: list[int]) -> None:
    _, works = batches.create(new_batch(), sources(batches.CHUNK + 1))
    scene.expand(works[1])  # the last source
    finish(job_id_of(BATCH, batches.CHUNK))

    ended.settle(BATCH)

    batch, counts = read()
    assert (batch.status, batch.work, counts.made, counts.ended, told) == (BatchStatus.RUNNING, 1, 1, 1, [])


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
    ended.settle(BATCH)
    assert told == [1], "it does not end while there is work"

    store.retry(job(first), "upload")
    work = batches.work(work_id)
    assert work is not None
    batches.advance(work, 2)
    finish(first)

    assert (read()[0].status, told, read()[0].announced) == (BatchStatus.ENDED, [1, 2], 2)


@pytest.mark.every_engine
def test_a_batch_that_changes_while_it_is_about_to_end_does_not_end(stack: Stack) -> None:
    first, second = put(2)
    finish(first, FAULT)
    store.concluded(run(second))

    with between("TransactWriteItems", lambda: take_back(first)):
        assert batches.settle(BATCH) is None

    assert (read()[0].status, kinds()) == (BatchStatus.RUNNING, {"running": 1, "succeeded": 1})


@pytest.mark.every_engine
def test_it_does_not_end_on_counts_that_have_changed_even_if_it_was_read_after_they_did(stack: Stack) -> None:
    """A query may see one item of a transaction and not yet another."""
    first, second = put(2)
    finish(first, FAULT)
    store.concluded(run(second))
    found = batches._read(BATCH)
    assert found is not None
    _, stale = found
    take_back(first)
    torn = iter([(read()[0], stale)])
    original = batches._read

    with patch.object(batches, "_read", lambda batch_id: next(torn, None) or original(batch_id)):
        assert batches.settle(BATCH) is None

    assert read()[0].status == BatchStatus.RUNNING


@contextmanager
def between(operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Have something happen just before the first such call to AWS."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    acts = [act]

    def noted(self: BaseClient, called: str, parameters: dict[str, Any]) -> Any:
        if called == operation and acts:
            acts.pop()()
        return original(self, called, parameters)

    with patch.object(BaseClient, "_make_api_call", noted):
        yield


@fastest
def test_two_jobs_that_end_at_once_end_their_batch_once_in_every_order(stack: Stack) -> None:
    endings: list[Batch] = []

    def prepare() -> list[Job]:
        endings.clear()
        return [run(found) for found in put(2, scene.another_id())]

    def conclude(done: Job) -> None:
        store.concluded(done)
        if found := batches.settle(str(done.batch)):
            endings.append(found[0])

    orders = 0
    for first, _ in in_every_order(prepare, lambda done: [partial(conclude, each) for each in done]):
        orders += 1
        assert kinds(str(first.batch)) == {"succeeded": 2}
        assert [(batch.status, batch.ends) for batch in endings] == [(BatchStatus.ENDED, 1)]
        assert read(str(first.batch))[0].version == endings[0].version
    assert orders >= 20


@fastest
def test_a_failure_that_is_taken_back_while_the_last_job_ends_is_never_lost_in_every_order(
    stack: Stack, told: list[int]
) -> None:
    def prepare() -> tuple[str, Job]:
        told.clear()
        first, second = put(2, scene.another_id())
        finish(first, FAULT)
        scene.tell(first, StepSucceeded())
        return first, run(second)

    orders = in_every_order(
        prepare, lambda found: [lambda: store.reopened(job(found[0])), lambda: ended.conclude(found[1])]
    )
    seen = set()
    for first, second in orders:
        batch_id = str(second.batch)
        batch, _ = read(batch_id)
        assert (batch.status, kinds(batch_id)) == (BatchStatus.RUNNING, {"running": 1, "succeeded": 1})
        seen.add(batch.ends)
        done = store.end(job(first), JobStatus.SUCCEEDED)
        assert done is not None
        ended.conclude(done)
        batch, _ = read(batch_id)
        assert (batch.status, kinds(batch_id)) == (BatchStatus.ENDED, {"succeeded": 2})
        assert told == [*range(1, batch.ends + 1)]

    assert seen == {0, 1}, "it had ended before, or it had not: both come"


@fastest
def test_a_batch_that_is_closed_while_its_last_job_ends_ends_once_in_every_order(stack: Stack, told: list[int]) -> None:
    def prepare() -> Job:
        told.clear()
        (only,) = put(1, scene.another_id(), closed=False)
        return run(only)

    def close(batch_id: str) -> None:
        batches.append(batch_id, [], close=True, post=None)
        ended.settle(batch_id)

    orders = in_every_order(prepare, lambda done: [lambda: close(str(done.batch)), lambda: ended.conclude(done)])
    ends = 0
    for done in orders:
        ends += 1
        assert (read(str(done.batch))[0].status, told) == (BatchStatus.ENDED, [1])
    assert ends >= 20


# --- Sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_the_same_batch_is_made_once(stack: Stack) -> None:
    _, works = batches.create(new_batch(request_digest="one"), sources(2))
    again, more = batches.create(new_batch(request_digest="two"), sources(3))

    assert (len(works), more, again.request_digest, again.total) == (1, [], "one", 2)


@pytest.mark.every_engine
def test_ten_thousand_sources_come_at_once(stack: Stack) -> None:
    batch, works = batches.create(new_batch(), sources(batches.MOST_SOURCES))

    assert (batch.total, batch.work, len(works)) == (10_000, 50, 50)
    assert _sources_of(works) == sources(10_000)


@pytest.mark.every_engine
def test_sources_that_fill_a_request_and_cannot_be_compressed_fit_into_one_transaction(stack: Stack) -> None:
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


@pytest.mark.every_engine
def test_sources_that_are_added_get_the_next_indices(stack: Stack) -> None:
    put(2, closed=False)
    (added,) = batches.append(BATCH, sources(3, start=2), close=True, post=None)
    scene.expand(added)

    made = batches.jobs_at(BATCH, range(6))
    assert {index: found.source for index, found in made.items() if found} == dict(enumerate(sources(5)))
    assert (read()[0].total, read()[0].closed, kinds()) == (5, True, {"pending": 5})
    with pytest.raises(store.ConflictError):
        batches.append(BATCH, sources(1), close=False, post=None)
    with pytest.raises(KeyError):
        batches.append("elsewhere", sources(1), close=False, post=None)


@pytest.mark.every_engine
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
    orders = in_every_order(Adding.prepare, lambda adding: [partial(adding.add, 0), partial(adding.add, 2)])
    ends = 0
    for adding in orders:
        ends += 1
        for each in adding.works:
            scene.expand(each)
        made = batches.jobs_at(adding.batch_id, range(4))
        assert sorted(found.source or "" for found in made.values() if found) == sources(4)
        assert (read(adding.batch_id)[0].total, kinds(adding.batch_id)) == (4, {"pending": 4})
    assert ends >= 6


@fastest
def test_the_same_post_twice_at_once_adds_once_in_every_order(stack: Stack) -> None:
    post = Post(key="k", digest="one")

    orders = in_every_order(Adding.prepare, lambda adding: [partial(adding.add, 0, post=post)] * 2)

    ends = [(len(adding.works), read(adding.batch_id)[0].total) for adding in orders]
    assert len(ends) >= 6
    assert all(found == (1, 2) for found in ends)


@fastest
def test_two_at_the_same_piece_of_work_make_each_job_once_in_every_order(stack: Stack) -> None:
    def prepare() -> tuple[str, str]:
        batch_id = scene.another_id()
        _, works = batches.create(new_batch(batch_id), sources(3))
        return batch_id, works[0]

    orders = in_every_order(prepare, lambda made: [partial(scene.expand, made[1])] * 2)

    ends = [(kinds(batch_id), read(batch_id)[0].work) for batch_id, _ in orders]
    assert len(ends) >= 5
    assert all(found == ({"pending": 3}, 0) for found in ends)


@pytest.mark.every_engine
def test_a_deleted_job_is_known_from_one_that_is_not_made_yet(stack: Stack) -> None:
    first, _ = put(2)
    finish(first)
    store.delete(job(first))

    found = batches.jobs_at(BATCH, range(3))

    assert (found[0], found[1] is not None, 2 in found) == (None, True, False)
    assert batches.jobs_at(BATCH, []) == {}


# --- How fast, and for how long --------------------------------------------------------------------------------------

AT = datetime(2026, 11, 2, 12, 0, 30, tzinfo=UTC)
MINUTE = int(AT.timestamp()) // 60


def began(*, minutes: float) -> str:
    return timestamp(AT, plus=-minutes * 60)


@pytest.mark.parametrize(
    ("kinds", "ended_in", "started_at", "expected"),
    [
        pytest.param({"pending": 5}, {}, None, None, id="nothing began"),
        pytest.param({"running": 5}, {}, began(minutes=3), None, id="nothing has ended"),
        pytest.param({"succeeded": 6}, {MINUTE: 4, MINUTE - 1: 2}, began(minutes=2), 3.0, id="a young batch"),
        pytest.param({"succeeded": 6}, {MINUTE: 6}, AT.isoformat(), 360.0, id="all in its first second"),
        pytest.param(
            {"succeeded": 100, "failed/a": 5, "canceled": 5},
            {MINUTE: 11, MINUTE - 10: 10, MINUTE - 11: 50},
            began(minutes=60),
            2.0,
            id="only the last ten minutes and a half",
        ),
        pytest.param({"failed/a": 30}, {MINUTE - 40: 30}, began(minutes=60), 0.5, id="none of late: since it began"),
    ],
)
def test_the_rate_is_of_the_last_minutes(
    kinds: Mapping[str, int], ended_in: Mapping[int, int], started_at: str | None, expected: float | None
) -> None:
    found = rate(Counts(kinds=kinds, ended_in=ended_in, started_at=started_at), at=AT)

    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("total", "kinds", "minutes", "expected"),
    [
        pytest.param(10, {"running": 10}, 5, None, id="nothing has ended"),
        pytest.param(10, {"succeeded": 10}, 5, None, id="all have ended"),
        pytest.param(10, {"succeeded": 5, "running": 5}, 5, timestamp(AT, plus=300), id="as long again"),
        pytest.param(10, {"succeeded": 1}, 5, timestamp(AT, plus=9 * 300), id="sources that wait count, too"),
        pytest.param(10, {"failed/a": 8, "canceled": 1, "pending": 1}, 9, timestamp(AT, plus=60), id="each end counts"),
        pytest.param(10**9, {"succeeded": 1}, 60, None, id="a date that is no date"),
    ],
)
def test_the_end_is_estimated_from_what_is_left(
    total: int, kinds: Mapping[str, int], minutes: float, expected: str | None
) -> None:
    counts = Counts(kinds=kinds, started_at=began(minutes=minutes))

    assert estimated_end(new_batch(total=total), counts, at=AT) == expected


@pytest.mark.every_engine
def test_ends_are_noted_by_the_minute_and_old_minutes_forgotten(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(8)

    for minute, found in enumerate(ids):
        moment = datetime.fromtimestamp((MINUTE + 4 * minute) * 60, UTC)
        monkeypatch.setattr(store.table, "now", lambda moment=moment: moment)
        with patch.object(batches, "COUNT_SHARDS", 1):
            finish(found)

    with patch.object(batches, "COUNT_SHARDS", 1):
        minutes = sorted(number - MINUTE for number, jobs in read()[1].ended_in.items() if jobs)
    assert minutes == [20, 24, 28]


# --- How long it is kept ---------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_a_batch_is_kept_for_the_retention_after_its_end_and_its_counts_a_month_longer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.table, "now", lambda: AT)
    first, second = put(2)
    finish(first, FAULT)
    assert not any("expires_at" in found for found in stack.items("BATCH#"))

    finish(second)

    end = int(AT.timestamp()) + 90 * DAY
    assert item(stack, "BATCH")["expires_at"] == end
    counts = [found for found in stack.items("BATCH#") if found["sk"] != "BATCH"]
    assert {found["expires_at"] for found in counts} == {end + 30 * DAY}

    take_back(first)
    assert "expires_at" not in item(stack, "BATCH")


@pytest.mark.every_engine
def test_a_sweep_looks_for_a_batch_from_its_close_until_its_end_is_told(stack: Stack) -> None:
    put(1, closed=False)
    assert "open" not in item(stack, "BATCH")

    batches.append(BATCH, [], close=True, post=None)
    assert {"open", "due_at"} <= set(item(stack, "BATCH"))

    store.concluded(run(job_id_of(BATCH, 0)))
    settled = batches.settle(BATCH)
    assert settled is not None
    assert {"open", "due_at"} <= set(item(stack, "BATCH"))

    batches.told(settled[0])
    assert not {"open", "due_at"} & set(item(stack, "BATCH"))
    assert batches.untold(BATCH) is None


@pytest.mark.every_engine
def test_an_open_batch_that_is_retried_is_looked_for_only_once_it_is_closed(stack: Stack) -> None:
    (first,) = put(1, closed=False)
    finish(first, FAULT)

    assert batches.retry(read()[0], cause=None)

    assert "open" not in item(stack, "BATCH")


@pytest.mark.every_engine
def test_a_batch_that_runs_again_before_its_end_was_told_is_not_noted_as_told(stack: Stack) -> None:
    (first,) = put(1)
    store.concluded(run(first, FAULT))
    settled = batches.settle(BATCH)
    assert settled is not None
    take_back(first)

    batches.told(settled[0])

    assert (read()[0].announced, "open" in item(stack, "BATCH")) == (0, True)


@pytest.mark.every_engine
def test_work_that_was_begun_on_an_older_reading_is_not_begun(stack: Stack) -> None:
    (first,) = put(1)
    before, _ = read()
    finish(first, FAULT)

    assert batches.retry(before, cause=None) is None
    assert batches.cancel(before) is None
    assert stack.items("WORK#") == []


@pytest.mark.every_engine
@pytest.mark.parametrize("kind", list(WorkKind))
def test_a_piece_of_work_is_done_once(stack: Stack, kind: WorkKind) -> None:
    if kind == WorkKind.EXPAND:
        _, (work_id,) = batches.create(new_batch(), sources(1))
    else:
        (first,) = put(1)
        finish(first, FAULT)
        begin = batches.cancel if kind == WorkKind.CANCEL else lambda batch: batches.retry(batch, cause="a")
        work_id = begin(read()[0]) or ""
    work = batches.work(work_id)
    assert work is not None
    assert (work.kind, work.first, work.last, read()[0].work) == (kind, 0, 1, 1)

    assert batches.advance(work, 1) is not None
    assert batches.advance(work, 1) is None

    assert (batches.work(work_id), read()[0].work) == (None, 0)


# --- What breaks off -------------------------------------------------------------------------------------------------


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is open is overdue at once."""
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)
    monkeypatch.setattr(store.table, "SWEPT_AGAIN_SECONDS", -1)


def sweep(stack: Stack) -> int:
    """Have a sweep look, and its messages worked off; how many things it found."""
    overdue: int = handler("pipeline/sweep")({}, Context())["overdue"]
    stack.work("BatchWork", handler("pipeline/batches"))
    stack.work("VideoDbSteps", ScriptedPlatform().worker)
    return overdue


def break_off_before_its_end_is_told(found: str) -> None:
    run(found)


def break_off_before_the_batch_is_settled(found: str) -> None:
    store.concluded(run(found))


def break_off_before_the_batchs_end_is_told(found: str) -> None:
    store.concluded(run(found))
    assert batches.settle(BATCH) is not None


@pytest.mark.every_engine
@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize(
    "break_off",
    [
        break_off_before_its_end_is_told,
        break_off_before_the_batch_is_settled,
        break_off_before_the_batchs_end_is_told,
    ],
)
def test_a_batch_whose_last_job_broke_off_at_its_end_is_ended_and_told_by_a_sweep(
    stack: Stack, told: list[int], break_off: Callable[[str], None]
) -> None:
    first, second = put(2)
    finish(first)
    break_off(second)
    assert told == []

    assert sweep(stack) > 0

    assert (read()[0].status, read()[0].ends, told, kinds()) == (BatchStatus.ENDED, 1, [1], {"succeeded": 2})
    assert sweep(stack) == 0


@pytest.mark.every_engine
@pytest.mark.usefixtures("no_grace")
def test_a_failure_that_was_taken_back_unnoticed_is_noticed_by_a_sweep(stack: Stack, told: list[int]) -> None:
    (first,) = put(1)
    finish(first, FAULT)
    scene.tell(first, StepSucceeded())

    sweep(stack)

    assert (job(first).status, kinds(), told) == ("succeeded", {"succeeded": 1}, [1, 2])


# --- What broke off, or comes from before ----------------------------------------------------------------------------


def test_a_new_batch_of_an_old_id_has_counts_of_its_own(stack: Stack) -> None:
    for only in put(2):  # as an Idempotency-Key makes it
        finish(only)
    for part in ("BATCH", *(f"JOB#{job_id_of(BATCH, number)}" for number in range(2))):  # all of it but the counts
        of_batch = part == "BATCH"
        key = {"pk": {"S": f"BATCH#{BATCH}" if of_batch else part}, "sk": {"S": "BATCH" if of_batch else "JOB"}}
        deployed.dynamodb().delete_item(TableName=deployed.setting("TABLE_NAME"), Key=key)

    put(3)
    ended.settle(BATCH)

    batch, counts = read(BATCH)
    assert (batch.status, dict(counts.kinds), counts.ended) == (BatchStatus.RUNNING, {"pending": 3}, 0)


@pytest.mark.usefixtures("stack")
def test_a_job_that_is_there_although_nobody_made_it_is_a_fault_and_no_reason_to_come_again_for_ever() -> None:
    store.create(new_job(job_id_of(BATCH, 0)))
    _, (work_id,) = batches.create(new_batch(), sources(2))

    with pytest.raises(store.ConflictError, match="nobody has made it"):
        scene.expand(work_id)


def test_an_end_of_which_the_answer_was_lost_is_known_as_ours(stack: Stack, told: list[int]) -> None:
    (only,) = put(1)
    scene.begin(only)
    before = scene.job(only)
    first = store.cancel(before)

    again = store.cancel(before)  # as the SDK sends it again

    assert first is not None
    assert again == first
    ended.conclude(again)
    assert (kinds(), told) == ({"canceled": 1}, [1])


def test_a_batch_whose_settling_broke_off_is_settled_when_the_message_comes_again(
    stack: Stack, told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (only,) = put(1)
    done = run(only)
    with monkeypatch.context() as broken:
        broken.setattr(batches, "settle", Mock(side_effect=OSError("away")))
        with pytest.raises(OSError, match="away"):
            ended.conclude(done)

    message = stack.received("VideoDbSteps", StartMessage(job_id=only).model_dump_json())
    assert handler("videodb/steps")(message, Context()) == {"batchItemFailures": []}

    assert (read()[0].status, told) == (BatchStatus.ENDED, [1])
