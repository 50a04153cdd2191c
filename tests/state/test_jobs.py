"""How jobs are read and saved: whole, by one who was first, and whatever becomes of an answer."""

import time
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from video_jobs import clock
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, JobStatus, StepFailed, StepRunning, StepSucceeded
from video_jobs.store import due, jobs, table
from video_jobs.store import events as archive
from video_jobs.store.events import Event
from video_jobs.store.table import ConflictError

from tests.jobs.facts import (
    EVERY_FACT,
    FAILURE,
    NOW,
    SUCCESS,
    Fact,
    after,
    announced,
    backed_off,
    canceled,
    claimed,
    ended,
    one_step,
    submitted,
)
from tests.patches import change
from tests.scripted import CREATED_AT, fault, new_job
from tests.stack import Stack
from tests.state.faults import on_the_way, sent_twice

pytestmark = pytest.mark.usefixtures("stack")


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (jobs, table):
        change(monkeypatch, module, time, sleep=lambda _seconds: None)


def read(job_id: str = "job-1") -> Job:
    found = jobs.read(job_id)
    assert found is not None
    return found


def saved(job: Job, *facts: Fact) -> Job:
    """The job after these facts, one saved after the other."""
    for fact in facts:
        following = fact(job)
        assert following is not None
        found = jobs.save(job, following)
        assert found is not None
        job = found
    return job


def lived(*facts: Fact, job: Job | None = None) -> Job:
    return saved(jobs.create(job or one_step()), *facts)


SUCCEEDED = (claimed(), submitted(), ended(SUCCESS), announced)
FAILED = (claimed(), submitted(), ended(FAILURE), announced)


# --- Created ---------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_a_job_is_read_as_it_was_created_and_saved() -> None:
    job = jobs.create(new_job(label="autumn", options={"upload": {"name": "Grüße 🎬", "precise": 1e300}}))
    assert read() == job

    job = saved(job, claimed(), submitted(), EVERY_FACT["polled"], ended(SUCCESS))
    assert read() == job
    assert job.version == 4


@pytest.mark.every_engine
def test_creating_the_same_id_again_gives_the_first_job_as_it_stands_by_now(stack: Stack) -> None:
    first = lived(claimed())
    before = stack.items()

    again = jobs.create(one_step(source="https://example.com/second.mp4"))

    assert again == first
    assert stack.items() == before


@pytest.mark.every_engine
def test_the_id_of_a_deleted_job_is_not_given_away_again() -> None:
    jobs.delete(lived(*FAILED))

    with pytest.raises(ConflictError):
        jobs.create(one_step())
    assert jobs.read("job-1") is None


@pytest.mark.parametrize("operations", range(3))
def test_a_job_that_was_half_created_can_be_created(stack: Stack, operations: int) -> None:
    left = operations

    def crash(call: Any, _parameters: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return call()

    with on_the_way("PutItem", crash):
        try:
            jobs.create(one_step())
        except KeyboardInterrupt:
            assert operations < 2
    assert (jobs.read("job-1") is None) == (operations < 2), "half a job is none"

    assert jobs.create(one_step()) == read()


def test_a_creation_whose_answer_is_lost_is_one(stack: Stack) -> None:
    with sent_twice("PutItem"):
        job = jobs.create(one_step())

    assert read() == job
    assert len(stack.items()) == 2


# --- Saved by one -----------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_of_two_who_save_what_they_read_at_the_same_moment_one_is_told_that_he_was_not_first() -> None:
    job = lived()
    first, second = claimed()(job), canceled(job)
    assert first is not None
    assert second is not None

    assert jobs.save(job, first) is not None
    assert jobs.save(job, second) is None
    assert read().status == JobStatus.RUNNING


@pytest.mark.every_engine
def test_a_save_whose_answer_is_lost_was_ours_when_the_sdk_sends_it_again() -> None:
    job = lived()
    with sent_twice("PutItem"):
        claim = jobs.save(job, after(job, claimed()))

    assert claim is not None
    assert claim == read()


def test_a_save_that_somebody_has_built_on_before_it_was_sent_again_is_not_taken_for_ours() -> None:
    job = lived()

    def somebody() -> None:
        now = read()
        jobs.save(now, after(now, canceled))

    with sent_twice("PutItem", between=somebody):
        assert jobs.save(job, after(job, claimed())) is None
    assert read().status == JobStatus.CANCELED


def test_who_was_not_first_reads_again_and_applies_his_fact_to_what_he_finds() -> None:
    job = lived(claimed(), submitted())
    seen: list[int] = []

    def ends(found: Job) -> Job | None:
        seen.append(found.version)
        if len(seen) == 1:
            saved(found, EVERY_FACT["polled"])
        return ended(SUCCESS)(found)

    made = jobs.change("job-1", ends, known=job)

    assert made is not None
    assert (made.changed, made.after) == (True, read())
    assert seen == [2, 3]
    assert (made.after.steps["upload"].polls, made.after.status) == (1, JobStatus.SUCCEEDED)


def test_a_fact_that_changes_nothing_writes_nothing(stack: Stack) -> None:
    job = lived(claimed())
    stack.calls.clear()

    made = jobs.change("job-1", lambda found: None)

    assert made is not None
    assert (made.changed, made.after) == (False, job)
    assert stack.calls == ["dynamodb.Query"]


def test_a_fact_about_a_job_that_is_not_there_or_was_deleted_is_none() -> None:
    assert jobs.change("job-1", claimed()) is None
    assert not jobs.is_deleted("job-1")

    jobs.delete(lived(*FAILED))

    assert jobs.change("job-1", claimed()) is None
    assert jobs.is_deleted("job-1")


def test_who_is_never_first_says_so_in_the_end() -> None:
    lived(claimed(), submitted())

    def polled(found: Job) -> Job | None:
        saved(found, EVERY_FACT["polled"])
        return EVERY_FACT["polled"](found)

    with pytest.raises(ConflictError):
        jobs.change("job-1", polled)
    assert read().steps["upload"].polls == table.CONFLICT_TRIES


def test_a_transaction_on_the_same_item_at_the_same_moment_is_no_answer(stack: Stack) -> None:
    job = lived()
    left = 3

    def conflict(call: Any, _parameters: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            error: Any = {"Error": {"Code": "TransactionConflictException", "Message": "m"}}
            raise ClientError(error, "PutItem")
        return call()

    with on_the_way("PutItem", conflict):
        assert jobs.save(job, after(job, claimed())) is not None


# --- How much it costs ------------------------------------------------------------------------------------------------


def test_a_job_is_read_by_one_query_and_saved_by_one_put(stack: Stack) -> None:
    job = lived()
    stack.calls.clear()

    jobs.change("job-1", claimed())
    assert stack.calls == ["dynamodb.Query", "dynamodb.PutItem"]

    stack.calls.clear()
    saved(read(), submitted())
    assert stack.calls == ["dynamodb.Query", "dynamodb.PutItem"]
    assert job.version == 0


def test_what_never_changes_is_written_once_and_a_result_when_there_is_one(stack: Stack) -> None:
    written: list[str] = []

    def noted(call: Any, parameters: Any) -> Any:
        written.append(parameters["Item"]["sk"]["S"])
        return call()

    with on_the_way("PutItem", noted):
        lived(*SUCCEEDED)

    assert written == ["REQUEST", "JOB", "JOB", "JOB", "RESULT#upload", "JOB", "JOB"]


def test_reading_a_job_leaves_out_its_events(stack: Stack) -> None:
    lived(*SUCCEEDED)
    archive.archive(event("x" * 500))

    sizes: list[int] = []

    def noted(call: Any, _parameters: Any) -> Any:
        answer = call()
        sizes.append(len(answer["Items"]))
        return answer

    with on_the_way("Query", noted):
        read()

    assert sizes == [3]


def event(body: str = "{}") -> Event:
    return Event(
        callback="videodb/upload",
        via="callback",
        meaning="succeeded",
        body=body,
        headers={},
        received_at=NOW,
        job_id="job-1",
        attempt=1,
    )


# --- What steps came to ----------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_who_finds_a_step_ended_finds_its_result() -> None:
    job = lived(claimed(), submitted())
    with on_the_way("PutItem", result_only), pytest.raises(KeyboardInterrupt):
        jobs.save(job, after(job, ended(SUCCESS)))

    assert read().status == JobStatus.RUNNING  # the result is there, and nobody takes the step for ended
    assert saved(job, ended(SUCCESS)) == read()
    assert read().steps["upload"].result == {"id": "m-1"}


def result_only(call: Any, parameters: Any) -> Any:
    if not parameters["Item"]["sk"]["S"].startswith("RESULT"):
        raise KeyboardInterrupt
    return call()


@pytest.mark.every_engine
def test_a_late_interim_result_never_takes_the_place_of_what_a_step_came_to() -> None:
    running = lived(claimed(), submitted())
    saved(running, ended(SUCCESS))

    # a poll that was asked before: its result is written, then its save is refused
    assert jobs.save(running, after(running, EVERY_FACT["polled"])) is None

    assert read().steps["upload"].result == {"id": "m-1"}


@pytest.mark.every_engine
def test_a_failures_own_result_stays_when_a_poll_comes_late_and_goes_when_success_comes() -> None:
    running = lived(claimed(), submitted())
    failed = saved(running, ended(StepFailed(error=fault(), result={"part": 1})))
    assert jobs.save(running, after(running, EVERY_FACT["polled"])) is None
    assert read().steps["upload"].result == {"part": 1}

    saved(failed, ended(SUCCESS))
    assert read().steps["upload"].result == {"id": "m-1"}


@pytest.mark.every_engine
def test_the_next_attempts_result_takes_the_place_of_the_last_ones() -> None:
    job = lived(claimed(), submitted(), ended(StepFailed(error=fault(), result={"part": 1})), announced)
    job = saved(job, EVERY_FACT["retried"], claimed())
    assert read().steps["upload"].result is None

    saved(job, submitted(2), EVERY_FACT["polled"])
    assert read().steps["upload"].result == {"playable": True}


@pytest.mark.every_engine
def test_a_result_that_does_not_fit_into_the_table_does_not_keep_a_job_open() -> None:
    from random import Random

    noise = {"text": Random(1).randbytes(500_000).hex()}

    job = lived(claimed(), submitted(), ended(StepSucceeded(result=noise)))

    assert job.status == read().status == JobStatus.SUCCEEDED
    assert (read().steps["upload"].result or {})["omitted"] == "too large"


# --- Deleted ----------------------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_a_deleted_job_leaves_a_mark_and_nothing_else_however_many_events_it_has(stack: Stack) -> None:
    job = lived(*SUCCEEDED)
    for number in range(101):  # more than one page of some calls
        archive.archive(event(str(number)))

    assert jobs.delete(job)

    (mark,) = stack.items("JOB#")
    assert set(mark) == {"pk", "sk", "v", "nonce", "deleted_at", "expires_at", "schema_version"}
    assert jobs.read("job-1") is None
    assert jobs.read_many(["job-1", "job-2"]) == {"job-1": None}


def test_a_job_that_has_moved_is_not_deleted_and_not_discarded(stack: Stack) -> None:
    job = lived(*FAILED)
    moved = saved(job, EVERY_FACT["retried"])
    before = stack.items()

    assert not jobs.delete(job)
    assert not jobs.discard(job)
    assert stack.items() == before
    assert read() == moved


@pytest.mark.every_engine
def test_a_discarded_job_is_gone_and_can_be_made_again_at_the_same_moment(stack: Stack) -> None:
    job = lived(claimed())

    assert jobs.discard(job)

    assert jobs.read("job-1") is None
    assert not jobs.is_deleted("job-1")
    # what never changes stays for a while: a callback may make the job anew while this one goes
    assert [item["sk"] for item in stack.items("JOB#")] == ["REQUEST"]
    assert jobs.create(one_step()) == read()


def test_a_deletion_that_broke_off_shows_no_job() -> None:
    job = lived(*FAILED)

    def crash(call: Any, parameters: Any) -> Any:
        raise KeyboardInterrupt

    with on_the_way("DeleteItem", crash), pytest.raises(KeyboardInterrupt):
        jobs.delete(job)

    assert jobs.read("job-1") is None
    assert jobs.is_deleted("job-1")


# --- What is due ------------------------------------------------------------------------------------------------------


def overdue(at: int) -> set[str]:
    return {item["pk"] for shard in range(table.SHARDS) for item in due.overdue(f"videodb#{shard}", before=at)}


@pytest.mark.every_engine
def test_what_should_have_moved_is_found_until_it_has_and_what_has_ended_is_not() -> None:
    running = lived(claimed(), submitted())  # polled in a minute; its lease would have been longer
    assert overdue(NOW + 210_000) == set()
    assert overdue(NOW + 210_001) == {"JOB#job-1"}

    end = saved(running, ended(FAILURE))
    assert overdue(NOW + 1_000_000) == {"JOB#job-1"}  # it is not announced yet

    saved(end, announced)
    assert overdue(NOW + 10**9) == set()


@pytest.mark.every_engine
def test_a_failed_job_is_found_again_after_a_hint_that_it_may_have_succeeded() -> None:
    job = lived(*FAILED)

    saved(job, EVERY_FACT["hinted"])

    assert overdue(NOW + 10**9) == {"JOB#job-1"}


def test_a_batchs_jobs_that_have_not_begun_are_not_among_them() -> None:
    jobs.create(one_step(batch_id="batch-1"))

    assert overdue(NOW + 10**9) == set()


def test_more_than_a_page_is_found_the_longest_overdue_first() -> None:
    for number in range(30):
        waiting = new_job(f"job-{number:02}", created_at=CREATED_AT - 60_000 * number)
        jobs.create(waiting)

    for shard in range(table.SHARDS):
        moments = [item["due_at"] for item in due.overdue(f"videodb#{shard}", before=NOW + 10**9)]
        assert moments == sorted(moments)


# --- How long it is kept ----------------------------------------------------------------------------------------------


def test_a_job_is_kept_for_the_retention_from_its_announced_end_on_and_an_open_one_for_ever(stack: Stack) -> None:
    def expiry() -> Any:
        (item,) = (item for item in stack.items("JOB#") if item["sk"] == "JOB")
        return item.get("expires_at")

    job = lived(claimed())
    assert expiry() is None

    job = saved(job, ended(FAILURE))
    assert expiry() is None
    job = saved(job, announced)
    assert expiry() == pytest.approx(clock.now() / 1000 + 90 * 86400, abs=60)

    saved(job, EVERY_FACT["retried"])
    assert expiry() is None


def test_what_belongs_to_a_job_outlives_one_that_ends_today(stack: Stack) -> None:
    lived(*SUCCEEDED)

    kept = {item["sk"]: item["expires_at"] for item in stack.items("JOB#")}

    assert kept["REQUEST"] > kept["JOB"]
    assert kept["RESULT#upload"] > kept["JOB"]


def test_a_poll_that_was_overtaken_is_not_applied() -> None:
    running = lived(claimed(), submitted())
    seen = running.steps["upload"]
    poll = partial(transitions.polled, name="upload", seen=seen, running=StepRunning(), now=NOW, wake_in=60)

    jobs.change("job-1", poll)
    again = jobs.change("job-1", poll)

    assert again is not None
    assert not again.changed
    assert read().steps["upload"].polls == 1


def test_a_lost_backoff_is_made_once() -> None:
    job = lived(claimed())
    with sent_twice("PutItem"):
        jobs.change("job-1", backed_off(counts=False), known=job)

    assert read().steps["upload"].spared == 1


# --- What is left of others -------------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_an_id_whose_job_has_expired_is_free_whatever_is_left_of_it(stack: Stack) -> None:
    lived(*SUCCEEDED)
    table.delete(table.job_key("job-1"))  # as DynamoDB does after the retention; its request and results outlive it

    made = jobs.create(new_job(plan=["upload"], source="https://example.com/another.mp4"))

    assert made.status == JobStatus.PENDING
    assert read().request.source == "https://example.com/another.mp4"
    assert read().steps["upload"].result is None


@pytest.mark.every_engine
def test_a_job_that_somebody_makes_at_the_same_moment_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    look = table.get

    def too_early(key: Any) -> Any:
        """No job is there yet; right after this look there is, and it has been claimed."""
        monkeypatch.setattr(table, "get", look)
        found = look(key)
        table.delete({"pk": "JOB#job-1", "sk": "REQUEST"})
        saved(jobs.create(one_step()), claimed())
        return found

    jobs.create(one_step())
    table.delete(table.job_key("job-1"))
    monkeypatch.setattr(table, "get", too_early)

    made = jobs.create(one_step())

    assert made.steps["upload"].attempt == read().steps["upload"].attempt == 1


@pytest.mark.every_engine
def test_a_job_whose_last_end_is_not_announced_is_not_deleted(stack: Stack) -> None:
    assert not jobs.delete(lived(claimed(), ended(FAILURE)))
    assert read().status == JobStatus.FAILED


@pytest.mark.every_engine
def test_a_deletion_whose_answer_is_lost_is_finished_when_the_sdk_sends_it_again(stack: Stack) -> None:
    job = lived(*SUCCEEDED)

    with sent_twice("PutItem"):
        assert jobs.delete(job)

    assert [item["sk"] for item in stack.items("JOB#")] == ["JOB"]
