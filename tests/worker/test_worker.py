"""What a platform's worker promises: each step is asked for, asked after, tried again, and brought to an end."""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError
from video_jobs.aws import clients, secrets
from video_jobs.aws.errors import AwsUnavailableError
from video_jobs.jobs import transitions
from video_jobs.jobs.model import (
    Hint,
    Job,
    JobStatus,
    PollResult,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
)
from video_jobs.platforms.errors import TransientError
from video_jobs.platforms.videodb import plan
from video_jobs.store import events, jobs, media
from video_jobs.worker import backoff, submit

from tests.scripted import CREATED_AT, STEPS, ScriptedPlatform, ScriptedStep, fault, new_job
from tests.stack import handler
from tests.worker.scene import PASSES, REFUSED, SECOND, Scene, no_room

RUNNING = StepRunning()
DONE = PollResult(end=StepSucceeded(result={"id": "m-1"}, refs=("m-1",)), body={"success": True, "data": {"id": "m-1"}})
FAILED = PollResult(end=StepFailed(error=fault("download_failed")), body={"success": False})
ACCEPTED = Submitted(platform_job_id="p", refs=("p",))
HINT = Hint(ref="platform-job", step="upload", part="status", word="success", good=True)


def saved(scene: Scene, fact: Callable[..., Job | None], **about: Any) -> Job:
    """What somebody else does to the job meanwhile."""
    made = jobs.change("job-1", partial(fact, **about, now=scene.now))
    assert made is not None
    assert made.changed
    return made.after


def said(scene: Scene) -> list[tuple[Any, str, int]]:
    """What the archive has."""
    found = events.events(scene.job, limit=100).items
    return [(json.loads(event["body"]), event["via"], event["attempt"]) for event in found]


class Crash(BaseException):
    """The worker's process ends here: nothing can catch it."""


# --- Submit ----------------------------------------------------------------------------------------------------------


def test_a_step_is_asked_for_with_a_url_for_its_callback_and_then_polled(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "5")
    scene.create()

    assert scene.look()

    (url,) = scene.script.submitted
    assert url.startswith("https://jobs.example.com/callbacks/videodb/upload?job=job-1&attempt=1&token=")
    assert (scene.upload.status, scene.upload.platform_job_id) == (StepStatus.RUNNING, "platform-job")
    assert scene.looks == [{"schema_version": 1, "job_id": "job-1", "due_at": CREATED_AT + 5000, "delay": 5}]


@pytest.mark.parametrize(("interval", "expects_callback", "wait"), [(5, False, 5), (5, True, 60), (300, True, 300)])
def test_the_first_poll_waits_a_minute_where_a_callback_is_to_be_expected(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, interval: int, expects_callback: bool, wait: int
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", str(interval))
    scene.script.CALLBACK_EXPECTED = expects_callback
    scene.create()

    scene.look()

    assert scene.upload.wake_at == CREATED_AT + wait * SECOND


def test_who_asks_for_another_interval_gets_it(scene: Scene) -> None:
    scene.script.CALLBACK_EXPECTED = True
    scene.create(check_interval=2.5)

    scene.look()

    assert scene.upload.wake_at == CREATED_AT + 2500


@pytest.mark.parametrize("end", [DONE, FAILED])
def test_an_answer_that_is_the_end_already_is_applied_as_a_callback_would_be(scene: Scene, end: PollResult) -> None:
    scene.script.submits = [end]
    scene.create()

    ended = scene.run()

    assert ended.status == ("succeeded" if end is DONE else "failed")
    assert said(scene) == [(dict(end.body), "submit", 1)]
    assert scene.script.polled == []


def test_the_callback_that_the_url_is_for_is_let_in(scene: Scene) -> None:
    scene.create()
    scene.look()

    (url,) = scene.script.submitted
    answer = scene.stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}', query=url.split("?")[1])

    assert answer == {"status": 200, "outcome": "accepted"}


def test_what_a_platform_refuses_fails_at_once(scene: Scene) -> None:
    scene.script.submits = [REFUSED]
    scene.create()

    ended = scene.run()

    assert (ended.status, ended.error) == (JobStatus.FAILED, REFUSED.error)
    assert len(scene.script.submitted) == 1
    assert said(scene) == [({"message": "Invalid media type", "http_status": 400}, "submit", 1)]


def test_ids_that_the_platform_names_lead_to_the_job(scene: Scene) -> None:
    scene.script.submits = [Submitted(platform_job_id="p", refs=("p", "v"))]
    scene.create()

    scene.look()

    assert [media.followers("videodb", ref).items for ref in ("p", "v")] == [["job-1"], ["job-1"]]
    assert scene.job.refs == ("p", "v")


# --- Messages that are late, early, or for nobody ---------------------------------------------------------------------


def test_duplicate_messages_submit_once(scene: Scene) -> None:
    first = scene.create().due_at

    assert [scene.look(sent_for=first) for _ in range(3)] == [True] * 3

    assert len(scene.script.submitted) == 1


@pytest.mark.parametrize("wait", [60, 901, 6 * 3600])
def test_a_message_that_comes_early_goes_back_for_the_rest_of_its_wait_however_long(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, wait: int
) -> None:
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "86400")
    scene.script.polls = [StepRunning(wait=wait)]
    scene.create()
    scene.look()
    scene.look()
    due = scene.job.due_at
    assert due == scene.now + wait * SECOND
    assert scene.looks[-1]["delay"] == min(wait, 900)

    scene.now += 900 * SECOND if wait > 900 else 0
    assert not scene.look(sent_for=due)

    assert scene.hidden == [(due - scene.now) / SECOND]
    assert len(scene.script.polled) == 1


def test_a_message_for_another_moment_than_the_job_is_due_at_is_dropped(scene: Scene) -> None:
    scene.script.polls = [StepRunning(wait=60)]
    scene.create()
    scene.look()
    scene.look()

    assert scene.look(sent_for=scene.now)
    assert (scene.hidden, len(scene.script.polled)) == ([], 1)


def test_a_message_waits_for_the_end_of_a_lease_should_the_other_worker_break_off(scene: Scene) -> None:
    scene.create()
    first = scene.now
    submit.claim(scene.job, "upload")

    assert not scene.look(sent_for=first)

    assert scene.hidden == [submit.LEASE_SECONDS]
    assert scene.script.submitted == []
    scene.now += submit.LEASE_SECONDS * SECOND
    assert scene.look(sent_for=first)
    assert (len(scene.script.submitted), scene.upload.attempt) == (1, 2)


def test_a_message_about_a_job_that_does_not_exist_is_dropped(scene: Scene) -> None:
    assert scene.look()


def test_a_message_about_a_job_with_nothing_due_is_dropped(scene: Scene) -> None:
    scene.script.submits = [DONE]
    scene.create()
    scene.run()

    assert scene.look()
    assert len(scene.notifications()) == 1


def test_a_message_that_nobody_understands_comes_back_and_ends_among_the_dead_letters(scene: Scene) -> None:
    assert not scene.take('{"action": "dance"}')
    assert scene.take('{"action": "dance"}', received=15)

    assert scene.stack.messages("VideoDbDeadLetters") == ['{"action": "dance"}']


# --- Steps after steps ------------------------------------------------------------------------------------------------


def test_steps_run_one_after_the_other_in_the_order_of_the_plan_and_each_sends_for_the_next(scene: Scene) -> None:
    asked: list[str] = []

    def done(name: str) -> Callable[[], PollResult]:
        def answer() -> PollResult:
            asked.append(name)
            return DONE

        return answer

    scene.platform = ScriptedPlatform(steps={name: ScriptedStep(submits=[done(name)]) for name in STEPS})
    scene.create(plan=STEPS)

    assert scene.run().status == JobStatus.SUCCEEDED
    assert asked == list(STEPS)
    assert len(scene.looks) == len(STEPS)


def test_no_step_runs_after_one_that_failed(scene: Scene) -> None:
    scene.platform = ScriptedPlatform()
    scene.platform.steps["upload"].submits = [DONE]
    scene.platform.steps["index_spoken_words"].submits = [FAILED]
    scene.create(plan=STEPS)

    failed = scene.run()

    assert (failed.status, failed.error) == (JobStatus.FAILED, fault("download_failed"))
    assert [failed.steps[name].status for name in STEPS[2:]] == ["waiting", "waiting"]
    assert scene.platform.submissions == 2


@pytest.mark.parametrize(
    ("media_id", "rest"),
    [("m-1", "succeeded"), ("x-1", "succeeded"), ("a-1", "skipped"), ("img-1", "skipped")],
)
def test_only_what_turns_out_to_be_a_video_or_something_new_is_indexed(scene: Scene, media_id: str, rest: str) -> None:
    scene.platform = ScriptedPlatform(applies=plan.applies)
    for step in scene.platform.steps.values():
        step.submits = [PollResult(end=StepSucceeded(result={"id": media_id}), body={"id": media_id})]
    scene.create(plan=STEPS)

    ended = scene.run()

    assert ended.status == JobStatus.SUCCEEDED
    assert [ended.steps[name].status for name in STEPS[1:]] == [rest] * 3
    assert ended.media_id == media_id
    assert media.followers("videodb", media_id).items == ["job-1"]


# --- What passes is tried again ---------------------------------------------------------------------------------------


def test_waits_between_attempts_double_up_to_five_minutes(scene: Scene) -> None:
    scene.script.submits = [PASSES]
    scene.create(max_attempts=10, base_delay=2)
    waits = []
    for _ in range(9):
        scene.wait()
        assert scene.look()
        waits.append(((scene.job.due_at or 0) - scene.now) / SECOND)
        assert scene.looks[-1]["delay"] == waits[-1]

    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300]


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        pytest.param(None, 1, id="nothing"),
        pytest.param(0.5, 1, id="less than we would wait"),
        pytest.param(30.0, 30, id="more than we would wait"),
        pytest.param(3600.0, 3600, id="longer than SQS waits"),
        pytest.param(86400.0, 6 * 3600, id="a day"),
        pytest.param(float("inf"), 6 * 3600, id="for ever"),
    ],
)
def test_the_wait_that_the_platform_asks_for_is_kept_up_to_six_hours(
    scene: Scene, asked: float | None, wait: int
) -> None:
    scene.script.submits = [TransientError(fault(), wait_seconds=asked)]
    scene.create()

    scene.look()

    assert scene.upload.wake_at == scene.now + wait * SECOND
    assert (scene.upload.status, scene.upload.error) == (StepStatus.QUEUED, fault())


def test_a_step_succeeds_with_its_last_attempt(scene: Scene) -> None:
    scene.script.submits = [PASSES, PASSES, DONE]
    scene.create()

    assert scene.run().status == JobStatus.SUCCEEDED
    assert (scene.upload.attempt, scene.upload.error) == (3, None)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_step_fails_with_its_own_error_once_the_attempts_that_the_job_gives_it_are_used_up(
    scene: Scene, attempts: int
) -> None:
    scene.script.submits = [PASSES]
    scene.create(max_attempts=attempts)

    ended = scene.run()

    assert (ended.status, ended.error) == (JobStatus.FAILED, PASSES.error)
    assert len(scene.script.submitted) == len(set(scene.script.submitted)) == attempts, "each has a URL of its own"
    assert said(scene) == [({"message": "VideoDB answered 503"}, "submit", attempts)]


def test_a_retry_by_a_person_gives_a_failed_step_as_many_attempts_again(scene: Scene) -> None:
    scene.script.submits = [PASSES, PASSES, PASSES, PASSES, PASSES, DONE]
    scene.create()
    assert scene.run().status == JobStatus.FAILED

    saved(scene, transitions.retried)

    assert scene.run().status == JobStatus.SUCCEEDED
    assert scene.upload.attempt == 6


# --- Rate limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "spread"), [(None, 1), (7.0, 1), (3600.0, 1)])
def test_a_rate_limit_uses_up_no_attempt_and_waits_as_long_as_it_says_and_a_random_while_more(
    scene: Scene, asked: float | None, spread: float
) -> None:
    scene.script.submits = [no_room(asked)]
    scene.create()

    scene.look()

    assert (scene.upload.attempt_limit - scene.upload.attempt, scene.upload.spared) == (3, 1)
    assert scene.upload.wake_at == scene.now + ((asked or 0) + spread) * SECOND


def test_jobs_that_are_sent_away_together_come_again_ever_further_apart(scene: Scene) -> None:
    scene.script.submits = [no_room()]
    scene.create()
    waits = []
    for _ in range(12):
        scene.wait()
        scene.look()
        waits.append(((scene.job.due_at or 0) - scene.now) / SECOND)

    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == backoff.LONGEST_SPREAD_SECONDS


def test_a_step_that_never_has_room_until_its_deadline_fails_as_rate_limited(scene: Scene) -> None:
    scene.script.submits = [no_room()]
    scene.create()

    ended = scene.run()

    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.retryable) == ("failed", "rate_limited", True)
    assert ended.error.message == "VideoDB answered 429"
    assert scene.now <= CREATED_AT + (3600 + 2 * backoff.LONGEST_SPREAD_SECONDS) * SECOND


def test_a_retry_by_a_person_gives_a_rate_limited_step_as_much_time_again(scene: Scene) -> None:
    scene.script.submits = [no_room()]
    scene.create()
    scene.run()

    again = saved(scene, transitions.retried).steps["upload"]

    assert (again.started_at, again.spared, again.attempt_limit - again.attempt) == (None, 0, 3)


# --- AWS's faults are not the platform's (F1) -------------------------------------------------------------------------


def throttled() -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "m"}}, "GetSecretValue")


@pytest.mark.parametrize(
    "error",
    [throttled(), EndpointConnectionError(endpoint_url="https://aws.example.com"), AwsUnavailableError()],
    ids=repr,
)
def test_a_fault_of_aws_while_a_platform_is_asked_uses_up_no_attempt_however_often(
    scene: Scene, error: Exception
) -> None:
    unavailable = secrets.SecretUnavailableError("the secret cannot be read")
    unavailable.__cause__ = error
    scene.script.submits = [*[unavailable] * 10, error, DONE]
    scene.create()

    ended = scene.run()

    assert ended.status == JobStatus.SUCCEEDED
    assert ended.steps["upload"].spared == 11
    assert not ended.may_be_submitted_already("upload")


def test_without_a_key_for_its_callbacks_a_job_fails_as_not_configured_and_asks_for_nothing(scene: Scene) -> None:
    clients.secretsmanager().put_secret_value(SecretId="CALLBACK_KEYS_SECRET", SecretString='{"previous": "k"}')
    scene.create()
    error = scene.run().error

    assert error is not None
    assert (error.code, error.retryable, scene.script.submitted) == ("not_configured", True, [])
    assert scene.stack.messages("VideoDbDeadLetters") == []


class VideoDb(ScriptedPlatform):
    """The real one."""

    @property
    def worker(self) -> Any:
        return handler("videodb/worker")


def test_a_job_fails_as_not_configured_without_the_platforms_key(scene: Scene) -> None:
    clients.secretsmanager().put_secret_value(SecretId="VIDEODB_API_KEY_SECRET", SecretString="{}")
    scene.create()
    scene.platform = VideoDb()
    error = scene.run().error

    assert error is not None
    assert (error.code, error.cause, error.retryable) == ("not_configured", "The stack has no VideoDB API key", True)
    assert scene.upload.attempt == 3


# --- What a platform has accepted is stored (F2, F3) ------------------------------------------------------------------


def failing(operations: dict[str, int], error: Exception, *, queue: str | None = None) -> Any:
    """Within it, so many calls of each operation fail, or only those to one queue."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    left = dict(operations)

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if left.get(operation, 0) > 0 and queue in (None, parameters.get("QueueUrl")):
            left[operation] -= 1
            raise error
        return original(client, operation, parameters)

    return patch.object(BaseClient, "_make_api_call", call)


@pytest.mark.parametrize(
    "answer", [Submitted(platform_job_id="p", refs=("p",)), DONE, FAILED], ids=["runs", "ok", "ko"]
)
@pytest.mark.parametrize("operation", ["PutItem", "SendMessage"])
def test_what_it_has_accepted_is_stored_although_the_table_is_throttled_for_seconds(
    scene: Scene, answer: Any, operation: str
) -> None:
    patches: list[Any] = []

    def accepted() -> Any:
        patches.append(failing({operation: 5}, throttled()))
        patches[-1].start()
        return answer

    scene.script.submits = [accepted]
    scene.script.polls = [DONE]
    scene.create()

    try:
        assert scene.look()
    finally:
        patches[-1].stop()

    assert scene.looks[-1]["due_at"] == scene.job.due_at
    assert scene.run().status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
    assert len(scene.script.submitted) == 1


@pytest.mark.parametrize("answer", [Submitted(platform_job_id="p", refs=("p",)), DONE], ids=["runs", "ok"])
def test_what_it_has_accepted_of_a_job_that_is_canceled_meanwhile_leads_to_the_job(scene: Scene, answer: Any) -> None:
    def accepted() -> Any:
        saved(scene, transitions.canceled)
        return answer

    scene.script.submits = [accepted]
    scene.create()

    canceled = scene.run()

    assert canceled.status == JobStatus.CANCELED
    ref = "p" if isinstance(answer, Submitted) else "m-1"
    assert ref in canceled.refs
    assert media.followers("videodb", ref).items == ["job-1"]
    assert scene.script.polled == []
    assert [json.loads(each["event"])["type"] for each in scene.notifications()] == ["job.canceled"]


def test_an_answer_that_cannot_be_stored_at_all_is_left_to_the_end_of_the_lease(scene: Scene) -> None:
    patches: list[Any] = []

    def accepted() -> Any:
        patches.append(failing({"PutItem": 100}, throttled()))
        patches[-1].start()
        return Submitted(platform_job_id="p")

    scene.script.submits = [accepted, DONE]
    scene.create()
    try:
        assert not scene.look()
    finally:
        patches[-1].stop()

    assert scene.upload.status == StepStatus.SUBMITTING
    assert scene.run().status == JobStatus.SUCCEEDED


def test_a_callback_that_is_faster_than_the_answer_is_not_undone(scene: Scene) -> None:
    def answer(given: Any) -> Callable[[], Any]:
        def faster() -> Any:
            saved(scene, transitions.step_ended, name="upload", attempt=1, end=DONE.end)
            if isinstance(given, Exception):
                raise given
            return given

        return faster

    for given in (Submitted(platform_job_id="p"), no_room(), PASSES, FAILED):
        scene.stack.clear()
        scene.script.submits = [answer(given)]
        scene.script.submitted.clear()
        scene.create()
        assert scene.run().status == JobStatus.SUCCEEDED
        assert scene.script.polled == []


# --- What breaks off --------------------------------------------------------------------------------------------------


def test_a_step_whose_worker_broke_off_is_tried_again_only_after_its_lease(scene: Scene) -> None:
    scene.script.submits = [RuntimeError("a mistake of ours"), DONE]
    scene.create()

    assert not scene.look()
    assert (scene.upload.status, scene.upload.attempt) == (StepStatus.SUBMITTING, 1)
    assert not scene.look()
    assert len(scene.script.submitted) == 1

    scene.wait()
    assert scene.now == CREATED_AT + submit.LEASE_SECONDS * SECOND
    assert scene.run().status == JobStatus.SUCCEEDED
    assert scene.upload.attempt == 2


def test_a_step_that_always_breaks_off_fails_when_its_attempts_are_used_up(scene: Scene) -> None:
    scene.script.submits = [RuntimeError("a mistake of ours")]
    scene.create()

    error = scene.run().error

    assert error is not None
    assert (error.code, error.retryable) == ("broke_off", True)
    assert len(scene.script.submitted) == 3


def test_a_step_that_broke_off_at_last_fails_with_what_the_platform_said_before(scene: Scene) -> None:
    scene.script.submits = [PASSES, RuntimeError("a mistake of ours")]
    scene.create()

    assert scene.run().error == PASSES.error


# --- Poll -------------------------------------------------------------------------------------------------------------


def test_polls_come_ever_more_slowly_and_at_last_every_quarter_of_an_hour(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "5")
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "86400")
    scene.create()
    scene.look()
    moments = [scene.now]
    for _ in range(16):
        scene.wait()
        scene.look()
        moments.append(scene.now)

    waits = [round((later - before) / SECOND) for before, later in pairwise(moments)]
    assert waits == [5, 8, 11, 17, 25, 38, 57, 85, 128, 192, 288, 432, 649, 900, 900, 900]
    assert scene.upload.polls == 16


def test_a_poll_stores_how_far_the_platform_is(scene: Scene) -> None:
    scene.script.polls = [StepRunning(progress=0.25, platform_status="pending", result={"playable": True}), RUNNING]
    scene.create()
    scene.look()

    for _ in range(2):
        scene.wait()
        scene.look()
        found = scene.upload
        assert (found.progress, found.platform_status, found.result) == (0.25, "pending", {"playable": True})


@pytest.mark.parametrize("end", [DONE, FAILED])
def test_what_a_poll_finds_is_applied_as_a_callback_would_be(scene: Scene, end: PollResult) -> None:
    scene.script.polls = [RUNNING, end]
    scene.create()

    ended = scene.run()

    assert (ended.status, ended.error) == (("succeeded", None) if end is DONE else ("failed", fault("download_failed")))
    assert said(scene) == [(dict(end.body), "poll", 1)]
    assert ended.refs == (("m-1",) if end is DONE else ())


@pytest.mark.parametrize("problem", [PASSES, REFUSED, RuntimeError("a mistake of ours")], ids=repr)
def test_a_poll_that_gets_no_answer_is_followed_by_another_one(scene: Scene, problem: Exception) -> None:
    scene.script.polls = [problem, problem, DONE]
    scene.create()

    assert scene.run().status == JobStatus.SUCCEEDED
    assert scene.upload.polls == 3


@pytest.mark.parametrize("asked", [1000.0, 3600.0 * 3, 10.0**9])
def test_a_platforms_wait_is_kept_by_polls_too_as_far_as_the_deadline_lets_it(scene: Scene, asked: float) -> None:
    scene.script.polls = [TransientError(fault(), wait_seconds=asked)]
    scene.create()
    scene.look()

    scene.look()

    assert scene.upload.wake_at == scene.now + min(asked, 3601) * SECOND


@pytest.mark.parametrize("answer", [RUNNING, PASSES, REFUSED, RuntimeError("a mistake of ours")], ids=repr)
def test_a_step_that_is_not_known_to_have_ended_by_its_deadline_has_timed_out(scene: Scene, answer: Any) -> None:
    scene.script.submits = [Submitted(platform_job_id="p", platform_status="processing")]
    scene.script.polls = [answer]
    scene.create(check_interval=60)

    error = scene.run().error

    assert error is not None
    assert (error.code, error.retryable) == ("timed_out", True)
    assert error.message.startswith("still processing at its deadline, 2026-11-01T01:00")
    assert scene.now <= CREATED_AT + 3602 * SECOND, "the last poll is at the deadline"


def test_a_step_that_ends_at_its_deadline_has_not_timed_out(scene: Scene) -> None:
    scene.script.polls = [DONE]
    scene.create(check_interval=3600)

    assert scene.run().status == JobStatus.SUCCEEDED


def test_a_job_that_is_canceled_while_its_step_runs_is_neither_polled_nor_submitted_again(scene: Scene) -> None:
    scene.create()
    scene.look()
    saved(scene, transitions.canceled)

    assert scene.run().status == JobStatus.CANCELED
    assert (len(scene.script.submitted), scene.script.polled) == (1, [])


def test_a_poll_whose_job_has_moved_meanwhile_changes_nothing(scene: Scene) -> None:
    def answer() -> StepRunning:
        saved(scene, transitions.step_ended, name="upload", attempt=1, end=DONE.end)
        return RUNNING

    scene.script.polls = [answer]
    scene.create()

    assert scene.run().status == JobStatus.SUCCEEDED
    assert scene.upload.polls == 0


@pytest.mark.parametrize("large", ["a result", "a body"])
def test_what_cannot_be_stored_does_not_keep_a_step_from_its_end(scene: Scene, large: str) -> None:
    noise = {"text": Random(1).randbytes(500_000).hex(), "half": "\ud83d"}
    result, body = ({"id": "m-1", **noise}, {"id": "m-1"}) if large == "a result" else ({"id": "m-1"}, noise)
    scene.script.polls = [PollResult(end=StepSucceeded(result=result), body=body)]
    scene.create()

    ended = scene.run()

    assert ended.status == JobStatus.SUCCEEDED
    assert {via for _body, via, _attempt in said(scene)} == {"poll"}
    assert all(len(json.dumps(shown)) < 1000 for shown, _via, _attempt in said(scene))
    assert len(scene.script.polled) == 1


def test_a_poll_is_announced_to_who_wants_it_and_the_step_goes_on_if_that_fails(scene: Scene) -> None:
    scene.script.polls = [RUNNING, RUNNING, DONE]
    scene.create(notify_polls=True)
    scene.look()
    scene.look()
    bus = scene.stack.queue_urls["BusNotifications"]
    with failing({"SendMessage": 1}, throttled(), queue=bus):
        scene.look()

    assert scene.run().status == JobStatus.SUCCEEDED
    assert [json.loads(each["event"])["type"] for each in scene.notifications()] == ["job.polled", "job.succeeded"]


# --- Hints ------------------------------------------------------------------------------------------------------------


def test_a_hint_has_the_platform_asked_at_once(scene: Scene) -> None:
    scene.script.CALLBACK_EXPECTED = True
    scene.script.polls = [DONE]
    scene.create()
    scene.look()

    hinted = saved(scene, transitions.hinted, hint=HINT)

    assert hinted.due_at == scene.now == CREATED_AT
    assert scene.run().status == JobStatus.SUCCEEDED
    assert scene.now == CREATED_AT


def test_a_failed_step_that_the_platform_says_has_succeeded_ends_anew(scene: Scene) -> None:
    scene.script.polls = [FAILED, DONE]
    scene.create()
    assert scene.run().status == JobStatus.FAILED

    saved(scene, transitions.hinted, hint=HINT)

    ended = scene.run()
    assert (ended.status, ended.ends, ended.announced) == (JobStatus.SUCCEEDED, 2, 2)
    kinds = [json.loads(each["event"])["type"] for each in scene.notifications()]
    assert kinds == ["job.failed", "job.succeeded"]


def test_a_failed_step_that_the_platform_is_still_at_runs_again(scene: Scene) -> None:
    going_on = StepRunning(progress=0.5, platform_status="encoding")
    scene.script.polls = [FAILED, going_on, DONE]
    scene.create()
    scene.run()
    saved(scene, transitions.hinted, hint=HINT)

    scene.look()
    assert (scene.job.status, scene.upload.status, scene.job.ended_at) == ("running", "running", None)

    assert scene.run().status == JobStatus.SUCCEEDED


def test_a_failure_that_stands_is_asked_after_once_more_and_announces_nothing(scene: Scene) -> None:
    scene.script.polls = [FAILED]
    scene.create()
    before = scene.run()
    saved(scene, transitions.hinted, hint=HINT)

    after = scene.run()

    assert (after.status, after.ends, after.due_at) == (JobStatus.FAILED, before.ends, None)
    assert 2 <= len(scene.script.polled) - 1 <= 4
    assert len(scene.notifications()) == 1


# --- The end ----------------------------------------------------------------------------------------------------------


def test_an_end_is_announced_once_and_then_nothing_is_due(scene: Scene) -> None:
    scene.script.submits = [DONE]
    scene.create(notify_url="https://example.com/hook")

    ended = scene.run()

    assert (ended.ends, ended.announced, ended.due_at) == (1, 1, None)
    (event,) = scene.notifications()
    assert json.loads(event["event"])["data"]["media_id"] is not None
    assert len(scene.stack.messages("UrlNotifications")) == 1


def test_an_end_that_cannot_be_announced_stays_due_and_has_the_same_id_when_it_is(scene: Scene) -> None:
    scene.script.submits = [DONE]
    scene.create(notify_url="https://example.com/hook")
    scene.look()
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    url = scene.stack.queue_urls["UrlNotifications"]

    def half(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "SendMessage" and parameters["QueueUrl"] == url:
            raise throttled()
        return original(client, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", half):
        assert not scene.look()
    assert scene.job.announced == 0

    assert scene.run().announced == 1
    ids = {event["event_id"] for event in scene.notifications()}
    assert ids == {json.loads(message)["event_id"] for message in scene.stack.messages("UrlNotifications")}
    assert len(ids) == 1


def test_a_worker_may_be_stopped_at_every_call_that_it_makes_and_the_job_still_succeeds(scene: Scene) -> None:
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    calls = point = 0

    def stopped(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls == point:
            raise Crash
        return original(client, operation, parameters)

    while calls >= point:
        scene.stack.clear()
        scene.notifications()
        scene.platform = ScriptedPlatform(
            steps={
                "upload": ScriptedStep(submits=[PASSES, Submitted(platform_job_id="p")], polls=[RUNNING, DONE]),
            }
        )
        scene.create()
        calls, point = 0, point + 1
        with patch.object(BaseClient, "_make_api_call", stopped), suppress(Crash):
            scene.run()

        ended = scene.run()

        assert (ended.status, ended.announced) == (JobStatus.SUCCEEDED, 1), point
        assert len({event["event_id"] for event in scene.notifications()}) == 1, point
    assert point > 12


# --- Work that was started elsewhere ----------------------------------------------------------------------------------


def adopt(scene: Scene) -> Job:
    """A job that a callback made, about an id that nobody has."""
    job = transitions.adopted_by_hint("job-1", "videodb", HINT, now=scene.now, deadline_in=3600)
    media.link(job, job.refs)
    return jobs.create(job)


NOT_FOUND = PollResult(end=StepFailed(error=fault("not_found")), body={})


@pytest.mark.parametrize("answer", [DONE, FAILED, StepRunning(platform_status="encoding")], ids=["ok", "ko", "runs"])
def test_nothing_is_announced_of_adopted_work_before_its_platform_has_confirmed_it(scene: Scene, answer: Any) -> None:
    scene.script.polls = [answer, DONE]
    adopt(scene)

    scene.look()

    assert scene.job.confirmed
    assert scene.run().status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
    assert len(scene.notifications()) == 1


def test_work_that_the_platform_does_not_know_is_removed_and_nobody_hears_of_it(scene: Scene) -> None:
    scene.script.polls = [NOT_FOUND]
    adopt(scene)

    assert scene.look()

    assert jobs.read("job-1") is None
    assert not jobs.is_deleted("job-1")  # as if it had never been: it may be adopted later
    assert [item["sk"] for item in scene.stack.items("JOB#")] == ["REQUEST"]  # until it expires
    assert scene.stack.items("MEDIUM#") == []
    assert scene.notifications() == []


@pytest.mark.parametrize("answer", [RUNNING, PASSES, RuntimeError("a mistake of ours")], ids=repr)
def test_while_the_platform_says_nothing_it_is_asked_again_until_the_deadline_and_then_the_job_is_removed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "60")
    scene.script.polls = [answer]
    adopt(scene)
    while jobs.read("job-1") is not None:
        assert scene.now <= CREATED_AT + 3602 * SECOND
        scene.wait()
        scene.look()

    assert jobs.read("job-1") is None
    assert scene.now >= CREATED_AT + 3600 * SECOND
    assert scene.notifications() == []


@pytest.mark.parametrize("answer", [StepRunning(owner="job-2"), PollResult(end=DONE.end, body={}, owner="job-2")])
def test_what_has_our_own_mark_belongs_to_that_job_and_the_adopted_one_is_removed(scene: Scene, answer: Any) -> None:
    owner = jobs.create(new_job("job-2", plan=["upload"]))
    claimed = transitions.claimed(owner, "upload", now=scene.now, lease=90)
    assert claimed is not None
    jobs.save(owner, claimed)
    scene.script.polls = [answer]
    adopt(scene)

    scene.look()

    assert jobs.read("job-1") is None
    assert not jobs.is_deleted("job-1")
    found = jobs.read("job-2")
    assert found is not None
    assert (found.steps["upload"].hinted, found.steps["upload"].hints) == (True, {"status": "success"})
    assert media.followers("videodb", "platform-job").items == ["job-2"]
    assert scene.notifications() == []


def test_a_mark_of_a_job_that_a_person_has_deleted_removes_the_adopted_one(scene: Scene) -> None:
    gone = jobs.create(new_job("job-2", plan=["upload"]))
    jobs.delete(gone)
    scene.script.polls = [StepRunning(owner="job-2")]
    adopt(scene)

    scene.look()

    assert jobs.read("job-1") is None
    assert scene.notifications() == []


def test_a_mark_that_names_nobody_is_none(scene: Scene) -> None:
    scene.script.polls = [PollResult(end=DONE.end, body={}, owner="a-job-of-another-stack")]
    adopt(scene)

    assert scene.run().status == JobStatus.SUCCEEDED


def test_our_own_submit_that_was_slower_takes_what_the_callback_said(scene: Scene) -> None:
    adopt(scene)
    ours = jobs.create(new_job("job-2", plan=["upload"]))
    media.link(ours, ["platform-job"])

    scene.look()

    assert jobs.read("job-1") is None
    found = jobs.read("job-2")
    assert found is not None
    assert found.steps["upload"].hints == {"status": "success"}
    assert scene.script.polled == []


def test_an_adopted_job_that_is_canceled_unconfirmed_is_announced_to_nobody(scene: Scene) -> None:
    adopt(scene)
    saved(scene, transitions.canceled)

    assert scene.run().status == JobStatus.CANCELED
    assert scene.notifications() == []


def test_a_message_that_comes_again_and_was_overtaken_sends_what_its_first_time_may_not_have_sent(scene: Scene) -> None:
    scene.create(check_interval=60)
    assert scene.look()

    scene.stack.calls.clear()
    assert scene.look(sent_for=scene.now)
    assert "sqs.SendMessage" not in scene.stack.calls

    assert scene.look(sent_for=scene.now, received=2)
    assert scene.stack.calls.count("sqs.SendMessage") == 1
