"""What callbacks tell of a platform's own ids: whose they are, before and after we know it ourselves."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from video_jobs import queues, steps, store
from video_jobs.faults import TransientError
from video_jobs.jobs import (
    Found,
    Job,
    JobStatus,
    News,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
)
from video_jobs.queues import StartMessage
from video_jobs.store import Event, Recorded

from tests.orders import in_every_order
from tests.scripted import CREATED_AT, ScriptedPlatform, ScriptedStep, fault, new_job
from tests.stack import Context, Stack

READY = News(ref="p-1", step="upload", part="status", word="ready", good=True)
FAILED = News(ref="p-1", step="upload", part="status", word="failed")
ACCEPTED = Submitted(platform_job_id="p-1", refs=("p-1",))
DONE = Found(end=StepSucceeded(refs=("m-1",), result={"id": "m-1"}), body={"status": "ready"})
NOT_DONE = Found(end=StepFailed(error=fault()), body={"status": "failed"})


def said(body: str = "{}", *, identity: str | None = None) -> Event:
    return Event(
        callback="videodb/upload",
        step="upload",
        attempt=0,
        body=body,
        via="callback",
        headers={},
        received_at=CREATED_AT,
        identity=identity or body,
    )


def tell(news: News = READY, body: str = "{}") -> tuple[Recorded, str]:
    return store.tell(said(body), news)


def found(job_id: str = "job-1") -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def jobs(stack: Stack) -> list[str]:
    return [item["job_id"] for item in stack.items("JOB#") if item["sk"] == "JOB" and "deleted_at" not in item]


def events(stack: Stack) -> list[tuple[str, str]]:
    """Whose each archived event is, and what became of it."""
    items = [item for item in stack.items() if item["sk"].startswith("EVENT#")]
    return sorted((item["pk"].removeprefix("JOB#"), item["outcome"]) for item in items)


def submitting() -> Job:
    job = store.claim(store.create(new_job(plan=["upload"])), "upload", lease_seconds=90)
    assert job is not None
    return job


def submitted(job: Job, accepted: Submitted = ACCEPTED) -> Job:
    running = store.submitted(job, "upload", accepted=accepted, check_in=5, deadline_in=3600)
    assert running is not None
    return running


@pytest.mark.every_engine
class TestWhoseTheyAre:
    def test_news_of_an_id_of_ours_is_noted_with_its_job(self, stack: Stack) -> None:
        submitted(submitting())

        assert tell() == (Recorded.RECORDED, "job-1")

        step = found().steps["upload"]
        assert (step.status, step.told_of("p-1"), step.tellings, step.heard) == ("running", {"status": "ready"}, 1, 0)
        assert events(stack) == [("job-1", "recorded")]

    def test_the_same_callback_is_noted_once(self, stack: Stack) -> None:
        submitted(submitting())

        assert [tell(), tell()] == [(Recorded.RECORDED, "job-1"), (Recorded.REPEATED, "job-1")]

        assert found().steps["upload"].tellings == 1

    def test_repetitions_share_an_identity_whatever_else_they_say(self, stack: Stack) -> None:
        submitted(submitting())
        store.tell(said("first", identity="event-1"), READY)

        outcome, _ = store.tell(said("again, at another time", identity="event-1"), READY)

        assert outcome == Recorded.REPEATED

    def test_what_is_said_of_another_part_stands_beside_it(self, stack: Stack) -> None:
        submitted(submitting())
        for part in ("hls 240p", "mp4 720p", "hls 240p"):
            tell(replace(READY, part=part), body=part)

        assert found().steps["upload"].told_of("p-1") == {"hls 240p": "ready", "mp4 720p": "ready"}
        assert found().steps["upload"].tellings == 2

    def test_an_id_that_nobody_has_makes_a_job_that_runs_until_somebody_has_looked(self, stack: Stack) -> None:
        outcome, job_id = tell()

        job = found(job_id)
        step = job.steps["upload"]
        assert outcome == Recorded.ADOPTED
        assert (job.adopted, job.status, job.refs) == (True, JobStatus.RUNNING, ("p-1",))
        assert (step.status, step.platform_job_id, step.tellings) == (StepStatus.RUNNING, "p-1", 1)
        assert step.deadline_at is not None
        assert {item["job_id"] for item in store.overdue()} == set()  # its message has just been sent
        assert tell(body="more") == (Recorded.RECORDED, job_id)

    def test_what_is_told_before_we_know_the_id_goes_to_the_job_that_gets_it(self, stack: Stack) -> None:
        job = submitting()
        _, stranger = tell()
        tell(replace(READY, part="more"), body="more")

        running = submitted(job)

        assert (running.steps["upload"].status, running.steps["upload"].platform_job_id) == ("running", "p-1")
        assert running.steps["upload"].told_of("p-1") == {"status": "ready", "more": "ready"}
        assert running.steps["upload"].tellings == 2
        assert store.get(stranger) is None
        assert jobs(stack) == ["job-1"]
        assert events(stack) == [("job-1", "adopted"), ("job-1", "recorded")]
        assert tell() == (Recorded.REPEATED, "job-1")

    def test_so_it_does_if_the_answer_to_the_submission_is_the_end_already(self, stack: Stack) -> None:
        job = submitting()
        tell(replace(READY, ref="m-1"))
        event = replace(said("the answer"), attempt=1, via="submit", identity=None)

        assert store.record(job.job_id, event, DONE.end) == Recorded.RECORDED

        assert jobs(stack) == ["job-1"]
        assert found().steps["upload"].status == "succeeded"
        assert found().steps["upload"].told_of("m-1") == {"status": "ready"}

    def test_a_job_that_callbacks_made_and_that_ended_by_a_check_is_taken_over_as_well(self, stack: Stack) -> None:
        job = submitting()
        _, stranger = tell()
        event = replace(said("checked"), attempt=1, via="check", identity=None)
        store.record(stranger, event, DONE.end)
        store.end(found(stranger), JobStatus.SUCCEEDED)

        submitted(job)

        assert jobs(stack) == ["job-1"]
        assert found().steps["upload"].tellings == 1

    def test_a_check_of_a_job_that_was_taken_over_brings_it_back_in_no_way(self, stack: Stack) -> None:
        job = submitting()
        _, stranger = tell()
        submitted(job)
        event = replace(said("checked too late"), attempt=1, via="check", identity=None)

        assert store.record(stranger, event, DONE.end) == Recorded.STALE

        assert jobs(stack) == ["job-1"]

    def test_an_id_that_another_job_of_ours_has_leads_to_the_newer_one(self, stack: Stack) -> None:
        submitted(submitting())
        other = store.claim(store.create(new_job("job-2", plan=["upload"])), "upload", lease_seconds=90)
        assert other is not None

        submitted(other)

        assert tell() == (Recorded.RECORDED, "job-2")
        assert found().steps["upload"].tellings == 0

    def test_news_of_a_deleted_job_makes_no_new_one(self, stack: Stack) -> None:
        submitted(submitting())
        event = replace(said("checked"), attempt=1, via="check", identity=None)
        store.record("job-1", event, DONE.end)
        store.end(found(), JobStatus.SUCCEEDED)
        store.concluded(found())
        store.delete(found())

        assert tell(body="late") == (Recorded.STALE, "job-1")

        assert jobs(stack) == []

    @pytest.mark.parametrize("status", [JobStatus.CANCELED, JobStatus.SUCCEEDED])
    def test_news_of_a_job_that_is_over_is_archived_and_changes_nothing(self, stack: Stack, status: JobStatus) -> None:
        submitted(submitting())
        if status == JobStatus.SUCCEEDED:
            store.record("job-1", replace(said("checked"), attempt=1, via="check", identity=None), DONE.end)
        store.end(found(), status)
        before = found()

        assert tell(body="late") == (Recorded.STALE, "job-1")

        assert found() == before

    def test_good_news_of_a_failed_step_has_it_looked_into_again(self, stack: Stack) -> None:
        submitted(submitting())
        store.record("job-1", replace(said("checked"), attempt=1, via="check", identity=None), NOT_DONE.end)
        store.end(found(), JobStatus.FAILED)

        assert tell(FAILED, body="once more") == (Recorded.STALE, "job-1")
        assert found().status == JobStatus.FAILED
        assert tell(READY, body="taken back") == (Recorded.RECORDED, "job-1")

        job = found()
        assert (job.status, job.doubted, job.ends) == (JobStatus.FAILED, "upload", 1)
        assert job.ended_at is not None

    @pytest.mark.parametrize("told_first", [True, False])
    def test_a_failure_that_is_doubted_is_found_by_a_sweep_until_a_worker_has_looked(
        self, stack: Stack, monkeypatch: pytest.MonkeyPatch, told_first: bool
    ) -> None:
        monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)
        submitted(submitting())
        store.record("job-1", replace(said("checked"), attempt=1, via="check", identity=None), NOT_DONE.end)
        ended = store.end(found(), JobStatus.FAILED)
        assert ended is not None
        if told_first:
            tell(body="taken back")
            assert store.concluded(ended) is None  # it was not doubted yet when it ended
            ended = found()
        assert store.concluded(ended) is not None
        if not told_first:
            tell(body="taken back")
        assert [item["job_id"] for item in store.overdue()] == ["job-1"]
        seen = found()
        tell(body="taken back, again")
        assert store.looked_again(seen, "upload") is None  # not into what came meanwhile

        job = store.looked_again(found(), "upload")

        assert job is not None
        assert (job.doubted, job.status, job.ends, list(store.overdue())) == (None, JobStatus.FAILED, 1, [])

    def test_a_step_that_has_failed_and_goes_on_has_a_new_deadline(self, stack: Stack) -> None:
        submitted(submitting())
        store.record("job-1", replace(said("checked"), attempt=1, via="check", identity=None), NOT_DONE.end)
        store.end(found(), JobStatus.FAILED)
        tell(body="taken back")

        job = store.resumed(found(), "upload")

        assert job is not None
        assert (job.status, job.ended_at, job.error) == (JobStatus.RUNNING, None, None)
        assert (job.steps["upload"].status, job.steps["upload"].error) == (StepStatus.RUNNING, None)
        assert job.steps["upload"].deadline_at is not None
        assert store.resumed(found(), "upload") is None

    def test_good_news_of_an_id_that_a_retry_has_left_behind_reopens_nothing(self, stack: Stack) -> None:
        submitted(submitting())
        store.record("job-1", replace(said("checked"), attempt=1, via="check", identity=None), NOT_DONE.end)
        store.end(found(), JobStatus.FAILED)
        store.retry(found(), "upload")

        assert tell(READY, body="of the first attempt") == (Recorded.RECORDED, "job-1")

        assert found().steps["upload"].status == StepStatus.QUEUED

    @pytest.mark.parametrize("accepted", [True, False])
    def test_a_retry_asks_for_the_same_submission_unless_it_was_accepted(self, stack: Stack, accepted: bool) -> None:
        job = submitting()
        if accepted:
            submitted(job)
        store.record("job-1", replace(said("failed"), attempt=1, via="check", identity=None), NOT_DONE.end)
        before = store.end(found(), JobStatus.FAILED)
        assert before is not None

        store.retry(found(), "upload")
        again = store.claim(found(), "upload", lease_seconds=90)

        assert again is not None
        assert (again.submission_key("upload") == before.submission_key("upload")) is not accepted
        assert again.may_be_submitted_already("upload") is not accepted

    def test_only_a_try_that_the_platform_may_have_taken_is_looked_for(self, stack: Stack) -> None:
        job = submitting()
        looked_for = []
        for rate_limited in (True, True, False, True):
            store.queue_again(job, "upload", error=fault(), delay=0, rate_limited=rate_limited)
            again = store.claim(found(), "upload", lease_seconds=90)
            assert again is not None
            job = again
            looked_for.append(job.may_be_submitted_already("upload"))

        assert looked_for == [False, False, True, True]

    def test_what_no_step_waits_for_is_archived_with_its_medium_or_among_the_strays(self, stack: Stack) -> None:
        submitted(submitting())

        assert store.archive_ignored(said("of ours"), "p-1") == "job-1"
        assert store.archive_ignored(said("of nobody"), "p-2") is None
        assert store.archive_ignored(said("of nobody"), "p-2") is None
        assert store.archive_ignored(said("of nothing"), None) is None

        assert events(stack) == [
            ("STRAYS#videodb#2026-11-01", "ignored"),
            ("STRAYS#videodb#2026-11-01", "ignored"),
            ("job-1", "ignored"),
        ]
        assert found().steps["upload"].tellings == 0

    def test_what_was_heard_is_not_heard_again_and_what_came_meanwhile_is(self, stack: Stack) -> None:
        submitted(submitting())
        tell()
        seen = found()
        tell(body="meanwhile")

        store.heard(seen, "upload", StepRunning(progress=0.5, result={"playable": True}))

        step = found().steps["upload"]
        assert (step.tellings, step.heard, step.progress, step.result) == (2, 1, 0.5, {"playable": True})
        assert store.heard(seen, "upload", StepRunning()) is None


# --- With the worker, in every order ---------------------------------------------------------------------------------


class Stage:
    """A job of one step, a platform that names its own id, and those who act."""

    def __init__(self, stack: Stack, checks: Sequence[StepRunning | Found], submit: Any = ACCEPTED) -> None:
        self._stack = stack
        self.script = ScriptedStep(submits=[submit], checks=checks)
        self.platform = ScriptedPlatform(steps={"upload": self.script})
        stack.clear()
        stack.purge("VideoDbSteps")  # what an earlier order left in somebody's hands
        store.create(new_job(plan=["upload"]))

    def submit(self) -> None:
        body = StartMessage(job_id="job-1").model_dump_json()
        self.platform.worker(self._stack.received("VideoDbSteps", body), Context())

    def call_back(self, news: News, body: str = "{}") -> None:
        _, job_id = tell(news, body)
        queues.send_start("videodb", job_id)

    def settle(self) -> dict[str, Any]:
        self._stack.work("VideoDbSteps", self.platform.worker)
        job = found()
        return {
            "jobs": jobs(self._stack),
            "job": str(job.status),
            "step": str(job.steps["upload"].status),
            "result": job.steps["upload"].result,
            "told": dict(job.steps["upload"].told),
            "owners": {owner for owner, _ in events(self._stack)},
            "asked": self.platform.submissions,
        }


SUCCEEDED = {
    "jobs": ["job-1"],
    "job": "succeeded",
    "step": "succeeded",
    "result": {"id": "m-1"},
    "owners": {"job-1"},
    "asked": 1,
}


@pytest.fixture(autouse=True)
def _only_news_tells_the_end(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "900")


def test_a_callback_that_outruns_our_own_write_ends_on_the_right_job_in_every_order(stack: Stack) -> None:
    orders = in_every_order(lambda: Stage(stack, [DONE]), lambda stage: [stage.submit, lambda: stage.call_back(READY)])

    ends = [stage.settle() for stage in orders]

    assert len(ends) >= 5
    assert all(end == SUCCEEDED | {"told": {"p-1/status": "ready"}} for end in ends)


def test_one_whose_answer_is_the_end_already_leaves_one_job_in_every_order(stack: Stack) -> None:
    orders = in_every_order(
        lambda: Stage(stack, [DONE], submit=DONE),
        lambda stage: [stage.submit, lambda: stage.call_back(replace(READY, ref="m-1"))],
    )

    ends = [stage.settle() for stage in orders]

    assert len(ends) >= 5
    assert all(end["jobs"] == ["job-1"] and end["job"] == "succeeded" for end in ends)
    assert all(end["owners"] == {"job-1"} for end in ends)


def test_what_another_jobs_worker_was_told_is_told_again_to_the_one_that_takes_over(stack: Stack) -> None:
    stage = Stage(stack, [DONE])
    job = store.claim(found(), "upload", lease_seconds=90)
    assert job is not None
    stage.call_back(READY)
    stack.work("VideoDbSteps", stage.platform.worker)  # the job that the callback made ends by a check
    running = store.submitted(job, "upload", accepted=ACCEPTED, check_in=900, deadline_in=3600)
    assert running is not None
    queues.send_start("videodb", "job-1")

    taken = stack.work("VideoDbSteps", stage.platform.worker)

    # the same words are in its archive already: they must not count as a repetition, and turn for ever
    assert found().status == JobStatus.SUCCEEDED
    assert taken <= 3


@pytest.fixture
def no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a platform's status says of a failure is believed at once."""
    monkeypatch.setattr(steps, "LAG_SECONDS", -1)


def failed(stack: Stack, *more_checks: Any) -> Stage:
    """A job that has failed, and what the platform says when it is asked again."""
    stage = Stage(stack, [NOT_DONE, *more_checks])
    stage.submit()
    stage.call_back(FAILED, "failed")
    stage.settle()
    assert (found().status, found().ends, len(stack.messages("Notices"))) == (JobStatus.FAILED, 1, 1)
    stack.purge("Notices")
    return stage


@pytest.mark.usefixtures("no_lag")
def test_a_failure_that_stands_is_not_told_again_however_much_good_news_comes(stack: Stack) -> None:
    stage = failed(stack, NOT_DONE)
    ended_at = found().ended_at

    for number in range(4):
        stage.call_back(READY, f"late {number}")
        assert stage.settle()["job"] == "failed"

    assert (found().ends, found().ended_at, found().doubted) == (1, ended_at, None)
    assert stack.messages("Notices") == []


def test_a_failure_that_the_platform_takes_back_is_a_success_and_told_once_more(stack: Stack) -> None:
    stage = failed(stack, DONE)

    stage.call_back(READY, "taken back")

    assert stage.settle()["job"] == "succeeded"
    assert (found().ends, len(stack.messages("Notices"))) == (2, 1)


def test_a_failure_is_asked_after_once_more_because_a_status_may_lag_behind_its_callback(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = failed(stack, NOT_DONE, DONE)

    stage.call_back(READY, "taken back")

    assert stage.settle()["job"] == "failed"
    assert found().doubted == "upload"
    monkeypatch.setattr(store.table, "now", lambda: datetime.now(UTC) + timedelta(seconds=150))
    assert [item["job_id"] for item in store.overdue()] == ["job-1"]
    assert steps.LAG_SECONDS < store.table.SWEEP_GRACE_SECONDS
    queues.send_start("videodb", "job-1")
    assert stage.settle()["job"] == "succeeded"


def test_a_step_that_had_failed_and_is_under_way_again_goes_on(stack: Stack) -> None:
    stage = failed(stack, StepRunning(platform_status="processing"), DONE)

    stage.call_back(READY, "taken back")

    assert stage.settle()["job"] == "succeeded"
    assert found().ends == 2


@pytest.mark.parametrize("problem", [TransientError(fault()), RuntimeError("a mistake of ours"), StepRunning()])
def test_a_doubt_that_the_platform_does_not_answer_stays_until_it_does(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, problem: Any
) -> None:
    stage = failed(stack, problem, DONE)

    stage.call_back(READY, "taken back")

    assert stage.settle()["job"] == "failed"
    assert found().doubted == "upload"
    monkeypatch.setattr(store.table, "now", lambda: datetime.now(UTC) + timedelta(hours=1))
    assert [item["job_id"] for item in store.overdue()] == ["job-1"]
    queues.send_start("videodb", "job-1")
    assert stage.settle()["job"] == "succeeded"


def test_a_doubt_that_is_never_answered_ends_with_the_steps_deadline(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = failed(stack, TransientError(fault()))
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")

    stage.call_back(READY, "taken back")

    assert stage.settle()["job"] == "failed"
    assert (found().doubted, found().ends) == (None, 1)


def test_a_failure_is_taken_back_in_whatever_order_it_ends_and_is_taken_back(stack: Stack) -> None:
    def prepare() -> Stage:
        stage = Stage(stack, [NOT_DONE])
        stage.submit()
        stage.call_back(FAILED, "failed")
        return stage

    def take_back(stage: Stage) -> None:
        stage.script.checks = [DONE]
        stage.call_back(READY, "taken back")

    orders = in_every_order(
        prepare,
        lambda stage: [
            lambda: stack.work("VideoDbSteps", stage.platform.worker),
            lambda: take_back(stage),
        ],
    )

    ends = [stage.settle() for stage in orders]

    assert len(ends) >= 10
    assert {end["job"] for end in ends} == {"succeeded"}
