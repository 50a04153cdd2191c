"""Every way in which the Jobs table changes, and what each of them promises, in every engine that is there."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from video_jobs import settings, store
from video_jobs.jobs import (
    Job,
    JobStatus,
    RetryPolicy,
    StepEnd,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
    timestamp,
)
from video_jobs.store import ConflictError, Event, Recorded

from tests.patches import change
from tests.scripted import CREATED_AT, STEPS, fault, new_job
from tests.stack import Stack

pytestmark = [pytest.mark.every_engine, pytest.mark.usefixtures("stack")]

SUCCESS = StepSucceeded(result={"id": "m-1", "length": 191.146667}, refs=("m-1",))
FAILURE = StepFailed(error=fault())
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


def about(step: str = "upload", *, attempt: int = 1, body: str = "{}") -> Event:
    return Event(
        callback=f"videodb/{step}",
        step=step,
        attempt=attempt,
        body=body,
        via="callback",
        headers={"content-type": "application/json"},
        received_at=CREATED_AT,
    )


def found(job_id: str = "job-1") -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def certain(job: Job | None) -> Job:
    assert job is not None
    return job


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment at which all of the test happens."""
    now = datetime(2026, 11, 2, 12, tzinfo=UTC)
    monkeypatch.setattr(store.table, "now", lambda: now)
    return now


# --- Jobs at every point of their life -------------------------------------------------------------------------------


def created(job_id: str = "job-1", **changes: Any) -> Job:
    return store.create(new_job(job_id, **changes))


def claim(job: Job, step: str = "upload") -> Job | None:
    return store.claim(job, step, lease_seconds=90)


def submitted(job: Job, step: str = "upload") -> Job | None:
    return store.submitted(
        job,
        step,
        accepted=Submitted(platform_job_id="platform-job", platform_status="processing"),
        check_in=5,
        deadline_in=3600,
    )


def checked(job: Job, *, progress: float | None = None, platform_status: str | None = None) -> Job | None:
    so_far = StepRunning(progress=progress, platform_status=platform_status)
    return store.checked(job, "upload", so_far, next_in=7.5)


def submitting(job_id: str = "job-1", **changes: Any) -> Job:
    return certain(claim(created(job_id, **changes)))


def running(job_id: str = "job-1", **changes: Any) -> Job:
    return certain(submitted(submitting(job_id, **changes)))


def told(job: Job, end: StepEnd, step: str = "upload", *, attempt: int = 1) -> Job:
    """The job after an event, never heard before, that brings the step to this end."""
    event = about(step, attempt=attempt, body=f"{end} {job.version}")
    assert store.record(job.job_id, event, end) == Recorded.RECORDED
    return found(job.job_id)


def ended(job: Job, status: JobStatus) -> Job:
    """A job that has ended, and whose end is told."""
    return certain(store.concluded(certain(store.end(job, status))))


def failed(job_id: str = "job-1", **changes: Any) -> Job:
    """A job that has ended because its upload failed."""
    return ended(told(running(job_id, **changes), FAILURE), JobStatus.FAILED)


def succeeded(job_id: str = "job-1") -> Job:
    """A job of one step, which has ended well."""
    return ended(told(running(job_id, plan=["upload"]), SUCCESS), JobStatus.SUCCEEDED)


def canceled(job_id: str = "job-1") -> Job:
    return ended(running(job_id), JobStatus.CANCELED)


def job_overdue(due_at: str) -> dict[str, str]:
    """The job as a sweep finds it."""
    return {"pk": "JOB#job-1", "sk": "JOB", "due_at": due_at}


def open_jobs() -> list[str]:
    """What the index of open jobs holds, whenever it is due."""
    with patch.object(store.table, "now", lambda: END_OF_TIME):
        return [job["job_id"] for job in store.overdue()]


def listed(status: JobStatus | None = None) -> list[str]:
    return [job["job_id"] for job in store.jobs(providers=["videodb"], status=status, limit=100).items]


def outcomes(stack: Stack, job_id: str = "job-1") -> list[str]:
    """What became of each archived event."""
    return sorted(item["outcome"] for item in stack.items(f"JOB#{job_id}") if "event_id" in item)


def references(stack: Stack) -> dict[str, str]:
    return {item["pk"]: item["job_id"] for item in stack.items("REF#")}


# --- Create ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_delay", [0, 0.0000001, 0.1, 1, 299.9999999, 300])
def test_a_job_is_read_as_it_was_written(base_delay: float) -> None:
    job = created(
        media_id="m-0",
        options={"upload": {"name": "Grüße 🎬", "precise": 1e300, "small": 5e-324, "empty": "", "none": None}},
        retry=RetryPolicy(max_attempts=10, base_delay=base_delay),
        batch="autumn",
        request_digest="0" * 64,
    )

    assert found() == job


def test_creating_the_same_id_again_returns_the_first_job_as_it_stands_by_now(stack: Stack) -> None:
    first = running(source="https://example.com/first.mp4")
    before = stack.items()

    again = store.create(new_job(source="https://example.com/second.mp4"))

    assert again == first
    assert stack.items() == before


def test_the_id_of_a_deleted_job_is_not_given_away_again() -> None:
    store.delete(failed())

    with pytest.raises(ConflictError):
        created()
    assert store.get("job-1") is None


def test_a_job_that_nobody_created_does_not_exist() -> None:
    assert store.get("job-1") is None


# --- Claim -----------------------------------------------------------------------------------------------------------


def test_a_claim_begins_the_steps_next_attempt_under_a_lease(moment: datetime) -> None:
    job = certain(claim(created()))

    step = job.steps["upload"]
    assert (job.status, step.status, step.attempt) == (JobStatus.RUNNING, StepStatus.SUBMITTING, 1)
    assert (step.started_at, step.lease_until) == (timestamp(moment), timestamp(moment, plus=90))
    assert found() == job


def test_only_one_of_two_claims_wins() -> None:
    job = created()

    assert [claim(job) is not None, claim(job) is not None] == [True, False]
    assert found().steps["upload"].attempt == 1


def test_a_step_that_moved_since_it_was_read_cannot_be_claimed() -> None:
    job = submitting()
    store.queue_again(job, "upload", error=fault(), delay=0)
    certain(claim(found()))

    assert claim(job) is None
    assert found().steps["upload"].attempt == 2


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_a_step_that_ended_since_it_was_read_cannot_be_claimed(end: StepEnd) -> None:
    job = submitting()
    told(job, end)

    assert claim(job) is None


def test_a_step_whose_lease_was_not_used_can_be_claimed_again_as_the_next_attempt() -> None:
    job = certain(claim(submitting()))

    assert job.steps["upload"].attempt == 2
    assert job.steps["upload"].started_at == found().steps["upload"].started_at


def test_the_next_step_of_a_job_whose_platform_took_its_failure_back_can_be_claimed() -> None:
    assert claim(told(failed(), SUCCESS), "index_spoken_words") is not None


@pytest.mark.parametrize("made", [failed, succeeded, canceled])
def test_a_step_of_a_job_that_has_ended_cannot_be_claimed(made: Callable[[], Job]) -> None:
    job = made()

    assert claim(job) is None
    assert found() == job


# --- Submitted, queued again, checked, skipped -----------------------------------------------------------------------


def test_an_accepted_step_runs_and_knows_when_it_is_checked_and_when_it_is_too_late(moment: datetime) -> None:
    step = running().steps["upload"]

    assert (step.status, step.platform_job_id, step.platform_status) == ("running", "platform-job", "processing")
    assert (step.next_check_at, step.deadline_at) == (timestamp(moment, plus=5), timestamp(moment, plus=3600))
    assert step.lease_until is None


def test_an_answer_without_an_id_runs_as_well() -> None:
    job = store.submitted(
        submitting(), "upload", accepted=Submitted(platform_job_id=None), check_in=5, deadline_in=3600
    )

    assert certain(job) == found()
    assert found().steps["upload"].platform_job_id is None


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_an_answer_that_comes_after_its_callback_changes_nothing(end: StepEnd) -> None:
    job = submitting()
    after_callback = told(job, end)

    assert submitted(job) is None
    assert found() == after_callback


def test_the_answer_to_an_attempt_that_was_given_up_changes_nothing() -> None:
    first = submitting()
    second = certain(claim(first))

    assert submitted(first) is None
    assert found() == second


def test_a_step_that_is_queued_again_says_why_and_until_when(moment: datetime) -> None:
    store.queue_again(submitting(), "upload", error=fault("platform_unavailable"), delay=7)

    job = found()
    step = job.steps["upload"]
    assert (job.status, step.status, step.attempt, step.lease_until) == ("running", "queued", 1, None)
    assert step.error == fault("platform_unavailable")
    assert step.not_before == timestamp(moment, plus=7)


def test_the_next_attempt_forgets_the_wait_and_once_accepted_the_error_before_it() -> None:
    store.queue_again(submitting(), "upload", error=fault(), delay=7)

    second = certain(claim(found()))
    assert second.steps["upload"].not_before is None
    assert certain(submitted(second)).steps["upload"].error is None


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_a_step_whose_callback_came_after_all_is_not_queued_again(end: StepEnd) -> None:
    job = submitting()
    after_callback = told(job, end)

    store.queue_again(job, "upload", error=fault(), delay=0)

    assert found() == after_callback


def test_a_check_notes_the_progress_and_when_the_next_one_is_due(moment: datetime) -> None:
    job = certain(checked(running(), progress=1 / 3, platform_status="pending"))

    step = job.steps["upload"]
    assert (step.checks, step.progress, step.platform_status) == (1, 0.3333, "pending")
    assert (step.checked_at, step.next_check_at) == (timestamp(moment), timestamp(moment, plus=7.5))
    assert found() == job


@pytest.mark.parametrize("progress", [0.0, 0.00001, 0.5, 1.0])
def test_progress_is_kept_when_a_check_does_not_tell_any(progress: float) -> None:
    first = certain(checked(running(), progress=progress, platform_status="processing"))

    second = certain(checked(first))

    assert second.steps["upload"].progress == pytest.approx(progress, abs=0.0001)
    assert second.steps["upload"].platform_status == "processing"


def test_of_two_checks_at_once_only_one_counts() -> None:
    job = running()

    assert [checked(job) is not None, checked(job) is not None] == [True, False]


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_a_check_of_a_step_that_has_ended_meanwhile_changes_nothing(end: StepEnd) -> None:
    job = running()
    after_callback = told(job, end)

    assert checked(job, progress=0.5) is None
    assert found() == after_callback


def test_steps_that_do_not_apply_are_passed_over() -> None:
    job = store.skip(told(running(), SUCCESS), STEPS[1:])

    assert certain(job).current is None
    assert [found().steps[name].status for name in STEPS] == ["succeeded", "skipped", "skipped", "skipped"]


def test_a_step_that_has_begun_is_not_passed_over_and_then_no_other_one_is() -> None:
    job = certain(claim(told(running(), SUCCESS), "index_spoken_words"))

    assert store.skip(job, STEPS[1:]) is None
    assert found() == job


def test_the_word_of_a_platform_about_a_step_that_was_passed_over_is_stale(stack: Stack) -> None:
    store.skip(told(running(), SUCCESS), STEPS[1:])
    before = ended(found(), JobStatus.SUCCEEDED)

    went = [store.record("job-1", about("index_scenes", body=str(end)), end) for end in (SUCCESS, FAILURE)]

    assert went == [Recorded.STALE, Recorded.STALE]
    assert found() == before


# --- End, cancel, retry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED])
def test_an_ended_job_says_when_and_is_kept_for_the_retention(
    stack: Stack, moment: datetime, status: JobStatus
) -> None:
    job = ended(running(), status)

    (item,) = stack.items("JOB#")
    assert (job.status, job.ended_at) == (status, timestamp(moment))
    assert item["expires_at"] == moment.timestamp() + 90 * 86400


def test_a_job_that_moved_since_it_was_read_does_not_end() -> None:
    job = running()
    moved = told(job, SUCCESS)

    assert store.end(job, JobStatus.FAILED) is None
    assert found() == moved


def test_a_job_that_has_ended_does_not_end_again() -> None:
    job = failed()

    assert store.end(job, JobStatus.CANCELED) is None
    assert found() == job


def test_an_open_job_can_be_canceled_and_one_that_has_ended_cannot() -> None:
    assert certain(store.cancel(created("open"))).status == JobStatus.CANCELED
    assert store.cancel(succeeded("ended")) is None


def test_a_retry_queues_the_failed_step_with_as_many_attempts_as_at_first() -> None:
    job = store.retry(failed(), "upload")

    step = job.steps["upload"]
    assert (job.status, job.ended_at, job.error) == (JobStatus.RUNNING, None, None)
    assert (step.status, step.attempt, step.attempt_limit) == (StepStatus.QUEUED, 1, 4)
    assert (step.error, step.ended_at, step.platform_job_id, step.platform_status, step.progress) == (None,) * 5
    assert found() == job


def test_of_two_retries_at_once_only_one_counts() -> None:
    job = failed()
    store.retry(job, "upload")

    with pytest.raises(ConflictError):
        store.retry(job, "upload")


@pytest.mark.parametrize("made", [created, running, succeeded, canceled])
def test_only_a_failed_job_can_be_retried(made: Callable[[], Job]) -> None:
    job = made()

    with pytest.raises(ConflictError):
        store.retry(job, "upload")
    assert found() == job


# --- Delete ----------------------------------------------------------------------------------------------------------


def test_a_deleted_job_leaves_a_mark_and_the_ids_that_lead_to_it(stack: Stack) -> None:
    store.delete(succeeded())

    (mark,) = stack.items("JOB#")
    assert references(stack) == {"REF#videodb#m-1": "job-1"}
    assert set(mark) == {"pk", "sk", "deleted_at", "expires_at", "schema_version"}
    assert store.get("job-1") is None
    assert (open_jobs(), listed()) == ([], [])


def test_every_event_of_a_deleted_job_goes_however_many_there_are(stack: Stack) -> None:
    job = succeeded()
    for number in range(101):  # more than one page
        store.archive.archive("job-1", about(body=f"{number}"), Recorded.STALE)

    store.delete(job)

    assert [item["sk"] for item in stack.items("JOB#")] == ["JOB"]


def test_an_open_job_is_not_deleted() -> None:
    job = running()

    with pytest.raises(ConflictError):
        store.delete(job)
    assert found() == job


def test_a_job_that_moved_since_it_was_read_is_not_deleted() -> None:
    job = failed()
    store.retry(job, "upload")

    with pytest.raises(ConflictError):
        store.delete(job)
    assert found().status == JobStatus.RUNNING


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_a_late_callback_does_not_bring_a_deleted_job_back(stack: Stack, end: StepEnd) -> None:
    store.delete(succeeded())

    assert store.record("job-1", about(body="late"), end) == Recorded.STALE

    assert store.get("job-1") is None
    assert outcomes(stack) == ["stale"]


def test_nothing_that_a_worker_still_has_in_hand_brings_a_deleted_job_back() -> None:
    job = failed()
    store.delete(job)

    assert claim(job) is None
    assert submitted(job) is None
    assert checked(job) is None
    assert store.skip(job, STEPS[1:]) is None
    assert store.end(job, JobStatus.SUCCEEDED) is None
    assert not store.postpone(job_overdue(CREATED_AT))
    store.queue_again(job, "upload", error=fault(), delay=0)
    with pytest.raises(ConflictError):
        store.retry(job, "upload")
    with pytest.raises(ConflictError):
        store.delete(job)
    assert store.get("job-1") is None


# --- Record ----------------------------------------------------------------------------------------------------------


def test_a_success_is_recorded_with_its_event_its_result_and_its_references(stack: Stack) -> None:
    running()

    assert store.record("job-1", about(body='{"success": true}'), SUCCESS) == Recorded.RECORDED

    job = found()
    assert job.steps["upload"].status == StepStatus.SUCCEEDED
    assert job.steps["upload"].result == {"id": "m-1", "length": 191.146667}
    assert job.steps["upload"].ended_at is not None
    assert job.refs == ("m-1",)
    assert references(stack) == {"REF#videodb#m-1": "job-1"}
    (event,) = store.events("job-1", limit=10).items
    assert (event["outcome"], event["body"], event["via"]) == ("recorded", '{"success": true}', "callback")
    assert event["headers"] == {"content-type": "application/json"}


def test_a_failure_is_recorded_with_its_error() -> None:
    job = told(running(), FAILURE)

    assert (job.status, job.steps["upload"].status) == (JobStatus.RUNNING, StepStatus.FAILED)
    assert job.steps["upload"].error == fault()
    assert job.refs == ()


@pytest.mark.parametrize("made", [created, submitting, running, failed])
def test_a_success_is_believed_whenever_it_comes(made: Callable[[], Job]) -> None:
    assert told(made(), SUCCESS).steps["upload"].status == StepStatus.SUCCEEDED


def test_a_success_of_an_earlier_attempt_is_believed() -> None:
    job = certain(claim(submitting()))

    assert told(job, SUCCESS, attempt=1).steps["upload"].status == StepStatus.SUCCEEDED


def test_a_failure_of_an_earlier_attempt_is_stale(stack: Stack) -> None:
    second = certain(submitted(certain(claim(submitting()))))

    assert store.record("job-1", about(attempt=1), FAILURE) == Recorded.STALE
    assert found() == second
    assert outcomes(stack) == ["stale"]


def test_a_failure_of_an_attempt_that_was_given_up_does_not_cost_the_next_one() -> None:
    store.queue_again(submitting(), "upload", error=fault("platform_unavailable"), delay=0)
    job = found()

    assert store.record("job-1", about(attempt=1), FAILURE) == Recorded.STALE
    assert found() == job


def test_the_same_event_again_is_repeated_and_changes_nothing(stack: Stack) -> None:
    running()
    store.record("job-1", about(), SUCCESS)
    before = stack.items()

    assert store.record("job-1", about(), SUCCESS) == Recorded.REPEATED
    assert stack.items() == before


def test_the_same_words_about_another_attempt_are_another_event(stack: Stack) -> None:
    job = submitting()
    store.record("job-1", about(attempt=1), FAILURE)
    store.retry(ended(found(), JobStatus.FAILED), "upload")
    assert claim(found()) is not None

    assert store.record("job-1", about(attempt=2), FAILURE) == Recorded.RECORDED
    assert outcomes(stack) == ["recorded", "recorded"]
    assert found().steps["upload"].attempt == job.steps["upload"].attempt + 1


def test_a_step_that_has_ended_well_stays_so(stack: Stack) -> None:
    job = told(running(), SUCCESS)

    went = [
        store.record("job-1", about(body="failed after all"), FAILURE),
        store.record("job-1", about(body="another one"), StepSucceeded(result={"id": "m-2"}, refs=("m-2",))),
    ]

    assert went == [Recorded.STALE, Recorded.STALE]
    assert found() == job
    assert references(stack) == {"REF#videodb#m-1": "job-1"}


def test_a_failed_step_keeps_its_first_error() -> None:
    job = told(running(), FAILURE)

    assert store.record("job-1", about(body="other words"), StepFailed(error=fault("another"))) == Recorded.STALE
    assert found() == job


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_a_canceled_job_stays_so(stack: Stack, end: StepEnd) -> None:
    job = canceled()

    assert store.record("job-1", about(), end) == Recorded.STALE
    assert found() == job
    assert outcomes(stack) == ["stale"]


def test_an_event_about_a_step_that_the_job_does_not_have_is_stale() -> None:
    job = running(plan=["upload"])

    assert store.record("job-1", about("index_scenes"), SUCCESS) == Recorded.STALE
    assert found() == job


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.FAILED])
def test_a_success_after_a_failure_leaves_the_job_where_a_sweep_finds_it(status: JobStatus) -> None:
    job = told(running(), FAILURE)
    if status == JobStatus.FAILED:
        ended(job, JobStatus.FAILED)

    told(job, SUCCESS)

    assert open_jobs() == ["job-1"]
    assert listed(JobStatus.RUNNING) == ["job-1"]
    assert (found().status, found().ended_at) == (JobStatus.RUNNING, None)


def test_a_stale_event_can_be_replayed_and_then_counts_if_it_fits_by_now(stack: Stack) -> None:
    certain(claim(submitting()))
    assert store.record("job-1", about(attempt=1), FAILURE) == Recorded.STALE

    assert store.record("job-1", about(attempt=1), SUCCESS, replay=True) == Recorded.RECORDED
    assert found().steps["upload"].status == StepStatus.SUCCEEDED
    assert outcomes(stack) == ["recorded"]


def test_a_failure_that_was_forgiven_counts_if_a_person_replays_it() -> None:
    store.queue_again(submitting(), "upload", error=fault("platform_unavailable"), delay=0)
    assert store.record("job-1", about(attempt=1), FAILURE) == Recorded.STALE

    assert store.record("job-1", about(attempt=1), FAILURE, replay=True) == Recorded.RECORDED
    assert found().steps["upload"].status == StepStatus.FAILED


def test_a_replay_that_still_does_not_fit_leaves_the_archive_as_it_was(stack: Stack) -> None:
    running()
    store.record("job-1", about(), SUCCESS)
    before = stack.items()

    assert store.record("job-1", about(), SUCCESS, replay=True) == Recorded.STALE
    assert stack.items() == before


# --- Adopted jobs ----------------------------------------------------------------------------------------------------


def test_an_event_about_work_that_was_started_elsewhere_makes_a_job(stack: Stack) -> None:
    assert store.record("job-1", about(), SUCCESS) == Recorded.ADOPTED

    job = found()
    assert (job.status, job.adopted, job.plan, job.refs) == (JobStatus.SUCCEEDED, True, ("upload",), ("m-1",))
    assert job.steps["upload"].result == {"id": "m-1", "length": 191.146667}
    assert references(stack) == {"REF#videodb#m-1": "job-1"}
    assert outcomes(stack) == ["adopted"]
    assert (open_jobs(), listed(JobStatus.SUCCEEDED)) == (["job-1"], ["job-1"])  # open, until its end is told


def test_a_failure_of_work_that_was_started_elsewhere_makes_a_failed_job() -> None:
    assert store.record("job-1", about(), FAILURE) == Recorded.ADOPTED
    assert (found().status, found().error) == (JobStatus.FAILED, fault())


def test_a_repeated_event_of_an_adopted_job_changes_nothing(stack: Stack) -> None:
    store.record("job-1", about(), SUCCESS)
    before = stack.items()

    assert store.record("job-1", about(), SUCCESS) == Recorded.REPEATED
    assert stack.items() == before


def test_an_adopted_job_gets_a_second_step_from_a_second_callback(stack: Stack) -> None:
    store.record("job-1", about(), SUCCESS)

    second = StepSucceeded(result={"scene_index_id": "s-1"}, refs=("s-1",))
    assert store.record("job-1", about("index_scenes"), second) == Recorded.ADOPTED

    job = found()
    assert (job.status, job.plan, job.refs) == (JobStatus.SUCCEEDED, ("upload", "index_scenes"), ("m-1", "s-1"))
    assert job.steps["index_scenes"].result == {"scene_index_id": "s-1"}
    assert references(stack) == {"REF#videodb#m-1": "job-1", "REF#videodb#s-1": "job-1"}


def test_an_adopted_job_fails_with_a_second_step_that_fails() -> None:
    store.record("job-1", about(), SUCCESS)

    assert store.record("job-1", about("index_scenes"), FAILURE) == Recorded.ADOPTED
    assert (found().status, found().error) == (JobStatus.FAILED, fault())
    assert (listed(JobStatus.FAILED), listed(JobStatus.SUCCEEDED)) == (["job-1"], [])


def test_a_failed_step_of_an_adopted_job_may_succeed_after_all() -> None:
    store.record("job-1", about(), FAILURE)

    assert store.record("job-1", about(body="after all"), SUCCESS) == Recorded.RECORDED
    assert found().steps["upload"].status == StepStatus.SUCCEEDED


def test_two_callbacks_that_adopt_at_once_end_in_one_job_with_both_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    adopt = store.ends._adopt
    waiting = [about("index_scenes")]

    def adopt_late(job_id: str, event: Event, end: StepEnd, *, exists: bool) -> bool:
        if waiting:
            store.record(job_id, waiting.pop(), StepSucceeded())
        return adopt(job_id, event, end, exists=exists)

    monkeypatch.setattr(store.ends, "_adopt", adopt_late)

    assert store.record("job-1", about(), SUCCESS) == Recorded.ADOPTED
    assert set(found().plan) == {"upload", "index_scenes"}


def test_the_same_callback_twice_at_once_adopts_once(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> None:
    adopt = store.ends._adopt
    waiting = [about()]

    def adopt_late(job_id: str, event: Event, end: StepEnd, *, exists: bool) -> bool:
        if waiting:
            store.record(job_id, waiting.pop(), end)
        return adopt(job_id, event, end, exists=exists)

    monkeypatch.setattr(store.ends, "_adopt", adopt_late)

    assert store.record("job-1", about(), SUCCESS) == Recorded.REPEATED
    assert outcomes(stack) == ["adopted"]


# --- Transactions that meet ------------------------------------------------------------------------------------------


def conflicts(monkeypatch: pytest.MonkeyPatch, codes: Sequence[Sequence[str]]) -> list[float]:
    """Cancel the next transactions for these reasons; the waits that follow, instead of waiting them."""
    client, waits, left = settings.dynamodb(), list[float](), list(codes)
    transact = client.transact_write_items

    def canceled(**request: Any) -> Any:
        if not left:
            return transact(**request)
        reasons = [{"Code": code} for code in left.pop(0)]
        error: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise client.exceptions.TransactionCanceledException(error, "TransactWriteItems")

    monkeypatch.setattr(client, "transact_write_items", canceled)
    change(monkeypatch, store.table, time, sleep=waits.append)
    return waits


@pytest.mark.parametrize(
    "codes",
    [
        ["None", "TransactionConflict"],
        ["TransactionConflict", "None"],
        ["ConditionalCheckFailed", "TransactionConflict"],
    ],
)
def test_a_transaction_that_meets_another_one_is_tried_again(monkeypatch: pytest.MonkeyPatch, codes: list[str]) -> None:
    running()
    waits = conflicts(monkeypatch, [codes])

    assert store.record("job-1", about(), SUCCESS) == Recorded.RECORDED
    assert len(waits) == 1
    assert 0 <= waits[0] <= 0.05


def test_a_transaction_that_always_meets_another_one_is_given_up_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    job = running()
    waits = conflicts(monkeypatch, [["None", "TransactionConflict"]] * 10)

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        store.record("job-1", about(), SUCCESS)
    assert len(waits) == 3
    assert found() == job


def test_a_change_that_meets_a_transaction_is_tried_again_and_at_last_given_up_loudly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = created()
    client, waits, conflicts_left = settings.dynamodb(), list[float](), 1
    update = client.update_item

    def conflicting(**request: Any) -> Any:
        nonlocal conflicts_left
        if not conflicts_left:
            return update(**request)
        conflicts_left -= 1
        raise ClientError({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")

    monkeypatch.setattr(client, "update_item", conflicting)
    change(monkeypatch, store.table, time, sleep=waits.append)

    assert claim(job) is not None
    assert len(waits) == 1
    conflicts_left = 10
    with pytest.raises(ClientError, match="TransactionConflictException"):
        store.cancel(found())


def test_a_transaction_that_is_throttled_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    job = running()
    conflicts(monkeypatch, [["None", "ThrottlingError"]])

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        store.record("job-1", about(), SUCCESS)
    assert found() == job


def test_a_job_that_always_changes_under_an_adoption_is_given_up_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.ends, "_adopt", lambda *_args, **_kwargs: False)

    with pytest.raises(ConflictError, match="job-1"):
        store.record("job-1", about(), SUCCESS)


# --- Lists -----------------------------------------------------------------------------------------------------------


def days(*numbers: int) -> list[str]:
    return [f"2026-11-{number:02}T00:00:00.000Z" for number in numbers]


def created_daily(count: int, **changes: Any) -> list[str]:
    """Jobs of one day after another, over all shards; their ids, newest first."""
    for day, created_at in enumerate(days(*range(1, count + 1))):
        created(f"job-{day}", created_at=created_at, **changes)
    assert len({store.table.shard_of(f"job-{day}") for day in range(count)}) == store.SHARDS
    return [f"job-{day}" for day in reversed(range(count))]


def walked(page: Callable[[str | None], store.Page[dict[str, Any]]]) -> list[list[str]]:
    """The ids of one page after another, until there is no cursor."""
    pages, cursor = [], None
    while True:
        found = page(cursor)
        pages.append([job["job_id"] for job in found.items])
        if (cursor := found.cursor) is None:
            return pages


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 12), (5, [5, 5, 2]), (6, [6, 6]), (12, [12]), (100, [12])])
def test_jobs_are_listed_newest_first_across_the_shards_page_by_page(limit: int, sizes: list[int]) -> None:
    ids = created_daily(12)

    pages = walked(lambda cursor: store.jobs(providers=["videodb"], status=None, limit=limit, cursor=cursor))

    assert [job_id for page in pages for job_id in page] == ids
    assert [len(page) for page in pages] == sizes


def test_jobs_of_the_same_moment_are_all_listed_once() -> None:
    for number in range(12):
        created(f"job-{number}")

    pages = walked(lambda cursor: store.jobs(providers=["videodb"], status=None, limit=5, cursor=cursor))

    assert sorted(job_id for page in pages for job_id in page) == sorted(f"job-{number}" for number in range(12))


def test_jobs_are_listed_by_status() -> None:
    created("pending")
    running("running")
    succeeded("succeeded")
    failed("failed")
    canceled("canceled")

    assert {status: listed(status) for status in JobStatus} == {status: [status] for status in JobStatus}


def test_jobs_are_listed_by_platform() -> None:
    created("ours")
    created("theirs", provider="other")

    def by(*providers: str) -> set[str]:
        return {job["job_id"] for job in store.jobs(providers=providers, status=None, limit=10).items}

    assert (by("videodb"), by("other"), by("videodb", "other")) == ({"ours"}, {"theirs"}, {"ours", "theirs"})


def test_a_list_shows_a_job_in_brief() -> None:
    job = succeeded()

    (brief,) = store.jobs(providers=["videodb"], status=None, limit=1).items
    (by_status,) = store.jobs(providers=["videodb"], status=JobStatus.SUCCEEDED, limit=1).items
    shown = {name: brief[name] for name in ("job_id", "provider", "source", "media_type", "status", "created_at")}
    assert shown == job.model_dump(mode="json", include=set(shown))
    assert brief["ended_at"] == job.ended_at
    assert "steps" not in brief
    assert {name: by_status[name] for name in shown} == shown


def batch(
    *, status: JobStatus | None = None, providers: Sequence[str] = ("videodb",), limit: int = 100
) -> list[list[str]]:
    return walked(
        lambda cursor: store.jobs(providers=providers, status=status, batch="autumn", limit=limit, cursor=cursor)
    )


def test_a_batch_has_its_jobs_newest_first_page_by_page() -> None:
    ids = created_daily(7, batch="autumn")
    created("other", batch="spring")
    created("none")

    assert batch() == [ids]
    assert batch(limit=7) == [ids]
    assert batch(limit=3) == [ids[:3], ids[3:6], ids[6:]]


def test_a_batch_is_filtered_by_status_and_platform() -> None:
    created("pending", batch="autumn")
    running("running", batch="autumn")
    created("theirs", batch="autumn", provider="other")

    assert batch(status=JobStatus.RUNNING) == [["running"]]
    assert batch(providers=["other"]) == [["theirs"]]
    assert batch(providers=["other"], status=JobStatus.RUNNING) == [[]]


# --- Sweeps ----------------------------------------------------------------------------------------------------------


def later(moment: datetime, seconds: float) -> Any:
    """Within it, it is so much later."""
    return patch.object(store.table, "now", lambda: moment + timedelta(seconds=seconds))


def overdue(moment: datetime, seconds: float) -> set[str]:
    """What a sweep finds so long after the moment."""
    with later(moment, seconds):
        return {job["job_id"] for job in store.overdue()}


def test_a_job_is_overdue_two_minutes_after_it_should_have_moved(moment: datetime) -> None:
    created("created")
    submitting("submitting")  # may take 90 s
    running("running")  # is checked after 5 s
    told(running("ended-step"), SUCCESS)

    assert overdue(moment, 120) == set()
    assert overdue(moment, 121) == {"created", "ended-step"}
    assert overdue(moment, 126) == {"created", "ended-step", "running"}
    assert overdue(moment, 211) == {"created", "ended-step", "running", "submitting"}


def test_a_job_that_waits_for_its_next_try_or_check_is_overdue_two_minutes_later(moment: datetime) -> None:
    store.queue_again(submitting("queued"), "upload", error=fault(), delay=300)
    store.checked(running("checked"), "upload", StepRunning(), next_in=900)

    assert overdue(moment, 420) == set()
    assert overdue(moment, 421) == {"queued"}
    assert overdue(moment, 1021) == {"queued", "checked"}


def test_a_job_that_has_ended_is_never_overdue() -> None:
    failed("failed")
    succeeded("succeeded")
    canceled("canceled")

    assert open_jobs() == []


def test_a_retried_job_can_be_overdue_again() -> None:
    store.retry(failed(), "upload")

    assert open_jobs() == ["job-1"]


def test_every_overdue_job_is_found_however_many_there_are() -> None:
    ids = created_daily(20)

    assert sorted(open_jobs()) == sorted(ids)


def due_at(stack: Stack) -> str:
    (item,) = stack.items("JOB#")
    due: str = item["due_at"]
    return due


def test_a_job_that_was_given_a_new_message_is_overdue_again_a_quarter_of_an_hour_later(
    stack: Stack, moment: datetime
) -> None:
    created()

    with later(moment, 130):
        assert store.postpone(job_overdue(due_at(stack)))

    assert overdue(moment, 1030) == set()
    assert overdue(moment, 1031) == {"job-1"}


def test_who_read_a_job_before_it_was_given_a_new_message_can_still_end_it(stack: Stack) -> None:
    job = created()

    assert store.postpone(job_overdue(due_at(stack)))
    assert store.cancel(job) is not None


def test_a_job_that_moved_since_it_was_found_overdue_is_not_postponed(stack: Stack) -> None:
    job = created()
    due = due_at(stack)
    moved = certain(claim(job))

    assert not store.postpone(job_overdue(due))
    assert found() == moved


def test_a_job_that_ended_since_it_was_found_overdue_is_not_opened_again(stack: Stack) -> None:
    job = created()
    due = due_at(stack)
    ended(job, JobStatus.CANCELED)

    assert not store.postpone(job_overdue(due))
    assert open_jobs() == []


# --- Events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "pages"), [(1, 5), (2, 3), (100, 1)])
def test_events_come_page_by_page_each_once(limit: int, pages: int) -> None:
    running()
    created("another")
    store.record("another", about(), SUCCESS)
    sent = {about(body=str(number)).event_id for number in range(5)}
    for number in range(5):
        store.record("job-1", about(body=str(number)), SUCCESS)

    ids, cursor, read = list[str](), None, 0
    while read == 0 or cursor:
        page = store.events("job-1", limit=limit, cursor=cursor)
        ids += [event["event_id"] for event in page.items]
        cursor, read = page.cursor, read + 1

    assert (len(ids), set(ids)) == (5, sent)
    assert pages <= read <= pages + 1  # a full last page may have an empty one behind it


def test_one_event_is_read_by_its_id() -> None:
    running()
    store.record("job-1", about(body="word for word"), SUCCESS)

    event = store.event("job-1", about(body="word for word").event_id)
    assert event is not None
    assert (event["body"], event["callback"], event["attempt"]) == ("word for word", "videodb/upload", 1)
    assert store.event("job-1", about(body="never said").event_id) is None
