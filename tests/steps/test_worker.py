"""What a platform's worker promises: each step is asked for, asked after, tried again, and brought to an end."""

import json
import math
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from video_jobs import consumers, queues, settings, steps, store
from video_jobs.consumers import Handler
from video_jobs.faults import RefusedByPlatformError, TransientError
from video_jobs.jobs import Found, Job, Step, StepFailed, StepRunning, StepStatus, StepSucceeded, Submitted, timestamp
from video_jobs.platforms.videodb import plan
from video_jobs.queues import CheckMessage, StartMessage
from video_jobs.store import batches

from functions.pipeline.sweep import app as sweep
from tests.batch import TEMPLATE, new_batch
from tests.patches import change
from tests.scripted import STEPS, ScriptedPlatform, ScriptedStep, fault, new_job
from tests.stack import Context, Stack, handler

RUNNING = StepRunning()
DONE = Found(end=StepSucceeded(result={"id": "m-1"}, refs=("m-1",)), body={"success": True, "data": {"id": "m-1"}})
FAILED = Found(end=StepFailed(error=fault("download_failed")), body={"success": False, "message": "Download failed."})
PASSES = TransientError(fault("platform_unavailable", "VideoDB answered 503"))
REFUSED = RefusedByPlatformError(fault("invalid_media_type", "Invalid media type"), status=400)
QUEUE = "VideoDbSteps"


def job() -> Job:
    found = store.get("job-1")
    assert found is not None
    return found


def upload() -> Step:
    return job().steps["upload"]


@dataclass
class Scene:
    """A job of one step, the platform that it is for, and what its worker sends."""

    stack: Stack
    script: ScriptedStep = field(default_factory=ScriptedStep)
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Parameters of every message that was sent."""
    hidden: list[int] = field(default_factory=list)
    """Seconds after which a message comes again, each time that was set."""

    @property
    def platform(self) -> ScriptedPlatform:
        return ScriptedPlatform(steps={"upload": self.script})

    def another(self, *, max_attempts: int = 3, base_delay: float = 1) -> None:
        """Put another job in its place."""
        self.stack.clear()
        retry = {"max_attempts": max_attempts, "base_delay": base_delay}
        waiting = Step(status=StepStatus.WAITING, attempt_limit=max_attempts)
        store.create(new_job(plan=["upload"], retry=retry, steps={"upload": waiting}))

    def start(self) -> bool:
        """Hand a start message to the worker; whether it is done with it."""
        return self._take(StartMessage(job_id="job-1"))

    def start_with(self, worker: Handler) -> None:
        worker(self.stack.received(QUEUE, StartMessage(job_id="job-1").model_dump_json()), Context())

    def check(self, *, attempt: int = 1, checks: int = 0) -> bool:
        return self._take(CheckMessage(job_id="job-1", step="upload", attempt=attempt, checks=checks))

    def work(self) -> None:
        """Take every message that there is."""
        self.stack.work(QUEUE, self.platform.worker)

    def sweep(self) -> int:
        overdue: int = sweep.handler({}, Context())["overdue"]
        return overdue

    def run(self) -> Job:
        """Start the job and take every message."""
        self.start()
        self.work()
        return job()

    def _take(self, message: StartMessage | CheckMessage) -> bool:
        answer = self.platform.worker(self.stack.received(QUEUE, message.model_dump_json()), Context())
        return not answer["batchItemFailures"]


@pytest.fixture
def scene(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene(stack)
    store.create(new_job(plan=["upload"]))
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "SendMessage":
            scene.sent.append(parameters)
        if operation == "ChangeMessageVisibility":
            scene.hidden.append(parameters["VisibilityTimeout"])
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", noted):
        yield scene


@pytest.fixture
def late_checks(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """No check comes by itself: the first one is due in a quarter of an hour."""
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "900")


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message comes again at once, every lease is over at once, and every job is overdue at once."""
    for module in (steps, consumers):
        change(monkeypatch, module, random, uniform=lambda _low, _high: 0.0)
    monkeypatch.setattr(steps, "LEASE_SECONDS", 0)
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)
    monkeypatch.setattr(store.table, "SWEPT_AGAIN_SECONDS", -1)


# --- Start -----------------------------------------------------------------------------------------------------------


def test_a_started_step_is_asked_for_with_a_url_for_its_callback_and_then_checked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "5")

    assert scene.start()

    (url,) = scene.script.submitted
    assert url.startswith("https://jobs.example.com/callbacks/videodb/upload?job=job-1&attempt=1&token=")
    assert (upload().status, upload().platform_job_id) == ("running", "platform-job")
    check = scene.sent[-1]
    assert json.loads(check["MessageBody"]) == {
        "schema_version": 1,
        "action": "check",
        "job_id": "job-1",
        "step": "upload",
        "attempt": 1,
        "checks": 0,
    }
    assert check["DelaySeconds"] == 5


@pytest.mark.parametrize("end", [DONE, FAILED])
def test_an_answer_that_is_the_end_already_is_recorded_as_a_callback_would_be(scene: Scene, end: Found) -> None:
    scene.script.submits = [end]

    ended = scene.run()

    assert ended.status == ("succeeded" if end is DONE else "failed")
    (event,) = store.events("job-1", limit=10).items
    assert (json.loads(event["body"]), event["via"], event["attempt"]) == (dict(end.body), "submit", 1)
    assert scene.script.checked == []


def test_the_callback_that_the_url_is_for_is_let_in(scene: Scene) -> None:
    scene.start()

    body = '{"success": true, "data": {"id": "m-1"}}'
    (url,) = scene.script.submitted
    answer = scene.stack.callback("videodb/upload", body, query=url.split("?")[1])

    assert answer == {"status": 200, "outcome": "recorded"}


@pytest.mark.usefixtures("late_checks")
def test_duplicate_start_messages_submit_once(scene: Scene) -> None:
    for _ in range(3):
        scene.start()

    assert len(scene.script.submitted) == 1


def test_a_second_worker_looks_again_when_the_first_ones_lease_is_over(scene: Scene) -> None:
    store.claim(job(), "upload", lease_seconds=90)

    assert not scene.start()
    assert scene.hidden == [90]
    assert scene.script.submitted == []


def test_a_callback_that_is_faster_than_the_answer_moves_the_job_on(scene: Scene) -> None:
    def answer() -> Submitted:
        scene.stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}')
        return Submitted(platform_job_id="platform-job")

    scene.script.submits = [answer]

    assert scene.run().status == "succeeded"
    assert scene.script.checked == []


def test_a_job_that_is_canceled_while_its_step_is_asked_for_stays_canceled(scene: Scene) -> None:
    def answer() -> Submitted:
        assert store.cancel(job()) is not None
        return Submitted(platform_job_id="platform-job")

    scene.script.submits = [answer]

    assert scene.run().status == "canceled"
    assert scene.script.checked == []


def test_a_job_that_is_canceled_while_its_step_runs_is_neither_checked_nor_started_again(scene: Scene) -> None:
    scene.start()
    store.cancel(job())

    scene.work()
    scene.start()

    assert job().status == "canceled"
    assert (len(scene.script.submitted), scene.script.checked) == (1, [])


def test_a_message_about_a_job_that_does_not_exist_is_dropped(stack: Stack) -> None:
    scene = Scene(stack)

    assert scene.start()
    assert scene.check()


def test_a_message_that_nobody_understands_comes_back_and_so_ends_among_the_dead_letters(scene: Scene) -> None:
    event = scene.stack.received(QUEUE, '{"action": "dance"}')

    answer = scene.platform.worker(event, Context())

    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}


# --- Steps after steps -----------------------------------------------------------------------------------------------


def test_steps_run_one_after_the_other_in_the_order_of_the_plan(stack: Stack) -> None:
    asked: list[str] = []

    def done(name: str) -> Callable[[], Found]:
        def answer() -> Found:
            asked.append(name)
            return DONE

        return answer

    platform = ScriptedPlatform(steps={name: ScriptedStep(submits=[done(name)]) for name in STEPS})
    store.create(new_job())

    platform.worker(stack.received(QUEUE, StartMessage(job_id="job-1").model_dump_json()), Context())
    stack.work(QUEUE, platform.worker)

    assert asked == list(STEPS)
    assert job().status == "succeeded"


def test_no_step_runs_after_one_that_failed(stack: Stack) -> None:
    platform = ScriptedPlatform()
    platform.steps["upload"].submits = [DONE]
    platform.steps["index_spoken_words"].submits = [FAILED]
    store.create(new_job())

    platform.worker(stack.received(QUEUE, StartMessage(job_id="job-1").model_dump_json()), Context())
    stack.work(QUEUE, platform.worker)

    assert (job().status, job().error) == ("failed", fault("download_failed"))
    assert [job().steps[name].status for name in STEPS[2:]] == ["waiting", "waiting"]
    assert platform.submissions == 2


@pytest.mark.parametrize(
    ("media_id", "rest"),
    [("m-1", "succeeded"), ("x-1", "succeeded"), ("a-1", "skipped"), ("img-1", "skipped")],
)
def test_only_what_turns_out_to_be_a_video_or_something_new_is_indexed(stack: Stack, media_id: str, rest: str) -> None:
    platform = ScriptedPlatform(applies=plan.applies)
    for step in platform.steps.values():
        step.submits = [Found(end=StepSucceeded(result={"id": media_id}), body={"id": media_id})]
    store.create(new_job())

    platform.worker(stack.received(QUEUE, StartMessage(job_id="job-1").model_dump_json()), Context())
    stack.work(QUEUE, platform.worker)

    assert job().status == "succeeded"
    assert [job().steps[name].status for name in STEPS[1:]] == [rest] * 3


# --- What passes is tried again --------------------------------------------------------------------------------------


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The bounds of each random wait, which is the longest that they allow; whatever is waited for is over at once."""
    bounds: list[tuple[float, float]] = []

    def longest(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    change(monkeypatch, steps, random, uniform=longest)
    monkeypatch.setattr(steps, "_past", lambda moment, *, grace=0.0: True)
    return bounds


def test_waits_between_attempts_double_with_full_jitter_up_to_five_minutes(
    scene: Scene, bounds: list[tuple[float, float]]
) -> None:
    scene.another(max_attempts=10, base_delay=2)
    scene.script.submits = [PASSES]

    assert [scene.start() for _ in range(10)] == [False] * 9 + [True]

    assert bounds == [(0, longest) for longest in (2, 4, 8, 16, 32, 64, 128, 256, 300)]
    assert scene.hidden == [2, 4, 8, 16, 32, 64, 128, 256, 300]


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0), (0.1, 1), (1.0, 1), (1.1, 2)])
def test_a_message_comes_again_not_before_its_step_may_be_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, chance: float, wait: int
) -> None:
    moment = datetime(2026, 11, 2, tzinfo=UTC)
    monkeypatch.setattr(store.table, "now", lambda: moment)
    change(monkeypatch, steps, random, uniform=lambda _low, _high: chance)
    scene.script.submits = [PASSES]

    assert not scene.start()

    assert scene.hidden == [wait]
    assert upload().status == "queued"
    assert upload().not_before == timestamp(moment, plus=chance)
    assert upload().error == PASSES.error


def test_a_step_is_not_tried_again_before_its_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, steps, random, uniform=lambda _low, _high: 60.0)
    scene.script.submits = [PASSES]
    scene.start()

    assert scene.start()
    assert len(scene.script.submitted) == 1


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        pytest.param(None, 1, id="nothing"),
        pytest.param(0.5, 1, id="less than we would wait"),
        pytest.param(30.0, 30, id="more than we would wait"),
        pytest.param(600.0, 600, id="more than we would ever wait"),
        pytest.param(86400.0, 3600, id="a day"),
        pytest.param(float("inf"), 3600, id="for ever"),
    ],
)
@pytest.mark.usefixtures("bounds")
def test_the_wait_that_the_platform_asks_for_is_kept_up_to_an_hour(
    scene: Scene, asked: float | None, wait: int
) -> None:
    scene.script.submits = [TransientError(fault(), wait_seconds=asked)]

    scene.start()

    assert scene.hidden == [wait]


@pytest.mark.usefixtures("no_waiting")
def test_a_step_succeeds_with_its_last_attempt(scene: Scene) -> None:
    scene.script.submits = [PASSES, PASSES, DONE]

    assert scene.run().status == "succeeded"
    assert (upload().attempt, upload().error) == (3, None)


@pytest.mark.usefixtures("no_waiting")
def test_a_step_fails_with_its_faults_own_error_once_the_attempts_are_used_up(scene: Scene) -> None:
    scene.script.submits = [PASSES]

    ended = scene.run()

    assert (ended.status, ended.error) == ("failed", PASSES.error)
    assert len(scene.script.submitted) == 3
    (event,) = store.events("job-1", limit=10).items
    assert json.loads(event["body"]) == {"message": "VideoDB answered 503"}


@pytest.mark.usefixtures("no_waiting")
def test_each_attempt_has_a_callback_url_of_its_own(scene: Scene) -> None:
    scene.script.submits = [PASSES]

    scene.run()

    assert len(set(scene.script.submitted)) == 3


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_job_says_how_many_attempts_its_steps_have(scene: Scene, attempts: int) -> None:
    scene.another(max_attempts=attempts)
    scene.script.submits = [PASSES]

    assert scene.run().status == "failed"
    assert len(scene.script.submitted) == attempts


@pytest.mark.usefixtures("no_waiting")
def test_a_retry_by_a_person_gives_a_failed_step_as_many_attempts_again(scene: Scene) -> None:
    scene.script.submits = [PASSES]
    store.retry(scene.run(), "upload")

    assert scene.run().status == "failed"
    assert len(scene.script.submitted) == 6


def test_what_the_platform_refuses_fails_at_once(scene: Scene) -> None:
    scene.script.submits = [REFUSED]

    ended = scene.run()

    assert (ended.status, ended.error) == ("failed", REFUSED.error)
    assert (len(scene.script.submitted), scene.hidden) == (1, [])
    (event,) = store.events("job-1", limit=10).items
    assert json.loads(event["body"]) == {"message": "Invalid media type", "http_status": 400}


@pytest.mark.parametrize("batch_index", [0, None])
def test_a_job_of_a_batch_whose_failure_is_taken_back_goes_on_with_its_next_step_at_once(
    stack: Stack, batch_index: int | None
) -> None:
    platform = ScriptedPlatform(
        steps={
            "upload": ScriptedStep(submits=[FAILED]),
            "index_spoken_words": ScriptedStep(submits=[DONE]),
        }
    )
    made = new_batch(total=1, template=TEMPLATE)
    batches.create(made, [])
    store.create(new_job(plan=STEPS[:2], batch=made.batch_id, batch_index=batch_index))
    platform.worker(stack.received(QUEUE, StartMessage(job_id="job-1").model_dump_json()), Context())
    stack.work(QUEUE, platform.worker)
    assert job().counted == "failed/download_failed"
    stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}')

    stack.work(QUEUE, platform.worker, rounds=1)

    assert job().steps["index_spoken_words"].attempt == 1
    stack.work(QUEUE, platform.worker)
    assert (job().status, job().counted) == ("succeeded", "succeeded")


# --- Rate limits -----------------------------------------------------------------------------------------------------


def no_room(wait: float | None = None) -> TransientError:
    """The platform's rate limit is reached."""
    return TransientError(fault("platform_unavailable", "VideoDB answered 429"), wait_seconds=wait, rate_limited=True)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The store's clock stands still, and no deadline is near."""
    moment = datetime(2026, 11, 2, tzinfo=UTC)
    monkeypatch.setattr(store.table, "now", lambda: moment)
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", str(10**9))
    return moment


@pytest.mark.usefixtures("no_waiting")
def test_a_rate_limit_uses_up_no_attempt(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "LARGEST_DELAY_SECONDS", 0)
    scene.script.submits = [*[no_room()] * 20, PASSES, *[no_room()] * 5, PASSES, DONE]

    assert scene.run().status == "succeeded"
    assert (upload().attempt, upload().attempt_limit, upload().rate_limits) == (28, 28, 25)


@pytest.mark.usefixtures("no_waiting")
def test_a_rate_limit_gives_no_attempt_away_either(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "LARGEST_DELAY_SECONDS", 0)
    scene.script.submits = [no_room(), PASSES, no_room(), PASSES]

    assert (scene.run().status, job().error) == ("failed", PASSES.error)
    assert len(scene.script.submitted) == 3 + 2


@pytest.mark.usefixtures("no_waiting")
def test_each_attempt_that_had_no_room_has_a_callback_url_of_its_own_which_is_let_in(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "LARGEST_DELAY_SECONDS", 0)
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "900")
    scene.script.submits = [no_room(), no_room(), Submitted(platform_job_id="p")]
    scene.run()
    assert len(set(scene.script.submitted)) == 3

    query = scene.script.submitted[-1].split("?")[1]
    body = '{"success": false, "message": "Download failed."}'
    assert scene.stack.callback("videodb/upload", body, query=query)["outcome"] == "recorded"
    assert upload().status == "failed"


@pytest.fixture
def halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance takes the middle of what it may."""
    change(monkeypatch, steps, random, uniform=lambda low, high: (low + high) / 2)


@pytest.mark.parametrize(
    ("asked", "before", "delay"),
    [
        pytest.param(None, 0, 0.5, id="nothing asked: a part of a second"),
        pytest.param(30.0, 0, 30.5, id="what was asked, and a part of a second"),
        pytest.param(30.0, 5, 46.0, id="spread ever more widely"),
        pytest.param(30.0, 500, 430.0, id="but not for ever"),
    ],
)
@pytest.mark.usefixtures("halfway")
def test_jobs_that_a_rate_limit_sent_away_wait_as_long_as_asked_and_come_again_spread_out_by_another_message(
    *, scene: Scene, moment: datetime, asked: float | None, before: int, delay: float
) -> None:
    waiting = Step(status=StepStatus.WAITING, attempt_limit=3 + before, attempt=before, rate_limits=before)
    scene.stack.clear()
    store.create(new_job(plan=["upload"], steps={"upload": waiting}))
    scene.script.submits = [no_room(asked)]

    assert scene.start(), "this message has done its work"

    assert (upload().status, upload().rate_limits) == ("queued", before + 1)
    assert upload().not_before == timestamp(moment, plus=delay)
    assert json.loads(scene.sent[-1]["MessageBody"]) == {"schema_version": 1, "action": "start", "job_id": "job-1"}
    assert scene.sent[-1]["DelaySeconds"] == math.ceil(delay + 1), "a second more, for clocks that differ"
    assert scene.hidden == []


@pytest.mark.usefixtures("halfway")
def test_a_wait_that_no_queue_keeps_is_left_to_the_sweep(scene: Scene, moment: datetime) -> None:
    scene.script.submits = [no_room(86_400.0)]

    scene.start()

    assert upload().not_before == timestamp(moment, plus=3600.5)
    assert scene.sent[-1]["DelaySeconds"] == 900
    (item,) = (item for item in scene.stack.items("JOB#job-1") if item["sk"] == "JOB")
    assert item["due_at"] == timestamp(moment, plus=3600.5 + store.table.SWEEP_GRACE_SECONDS)


def test_a_step_that_never_has_room_until_its_deadline_fails_as_rate_limited(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.script.submits = [no_room()]
    change(monkeypatch, steps, random, uniform=lambda _low, _high: 0.0)
    monkeypatch.setattr(queues, "LARGEST_DELAY_SECONDS", 0)
    scene.start()
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")

    ended = scene.run()

    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.retryable) == ("failed", "rate_limited", True)
    assert ended.error.message == "VideoDB answered 429"
    assert "in 2 attempts" in ended.error.cause
    (event,) = store.events("job-1", limit=10).items
    assert json.loads(event["body"]) == {"message": "VideoDB answered 429"}


@pytest.mark.usefixtures("no_waiting")
def test_a_retry_by_a_person_gives_a_rate_limited_step_as_much_time_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "LARGEST_DELAY_SECONDS", 0)
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")
    scene.script.submits = [no_room(), PASSES, PASSES, DONE]
    failed = scene.run()
    assert (failed.status, upload().rate_limits) == ("failed", 0)

    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "3600")
    retried = store.retry(failed, "upload").steps["upload"]

    assert (retried.started_at, retried.rate_limits, retried.attempt_limit - retried.attempt) == (None, 0, 3)
    assert scene.run().status == "succeeded"


def test_a_callback_that_is_faster_than_a_rate_limits_answer_is_not_undone(scene: Scene) -> None:
    def answer() -> Submitted:
        scene.stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}')
        raise no_room()

    scene.script.submits = [answer]

    assert scene.run().status == "succeeded"


@pytest.mark.usefixtures("no_waiting")
def test_a_job_that_a_rate_limit_sent_away_is_found_by_a_sweep_if_its_message_is_lost(scene: Scene) -> None:
    scene.script.submits = [no_room(), DONE]
    scene.start()
    scene.stack.purge(QUEUE)

    assert scene.sweep() == 1
    scene.work()
    assert job().status == "succeeded"


@pytest.mark.usefixtures("no_waiting")
def test_a_job_that_a_rate_limit_sent_away_goes_on_if_its_message_cannot_be_sent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.script.submits = [no_room(), DONE]
    event = scene.stack.received(QUEUE, StartMessage(job_id="job-1").model_dump_json())
    with patch.object(queues, "send_start", side_effect=queues.NotSentError):
        assert scene.platform.worker(event, Context())["batchItemFailures"]

    scene.work()

    assert job().status == "succeeded"


# --- What breaks off -------------------------------------------------------------------------------------------------


def test_a_step_whose_worker_broke_off_is_tried_again_only_after_its_lease(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.script.submits = [RuntimeError("a mistake of ours"), DONE]

    assert not scene.start()
    assert (upload().status, upload().attempt) == ("submitting", 1)
    assert not scene.start()
    assert len(scene.script.submitted) == 1

    monkeypatch.setattr(steps, "_past", lambda moment, *, grace=0.0: True)
    assert scene.start()
    assert (upload().status, upload().attempt) == ("succeeded", 2)


@pytest.mark.usefixtures("no_waiting")
def test_a_step_that_always_breaks_off_fails_when_its_attempts_are_used_up(scene: Scene) -> None:
    scene.script.submits = [RuntimeError("a mistake of ours")]

    ended = scene.run()

    assert ended.status == "failed"
    assert ended.error is not None
    assert (ended.error.code, ended.error.retryable) == ("broke_off", True)
    assert len(scene.script.submitted) == 3


@pytest.mark.usefixtures("no_waiting")
def test_a_step_that_broke_off_at_last_fails_with_what_the_platform_said_before(scene: Scene) -> None:
    scene.script.submits = [PASSES, RuntimeError("a mistake of ours")]

    assert scene.run().error == PASSES.error


@pytest.mark.usefixtures("no_waiting")
def test_without_its_callback_key_a_worker_uses_up_no_attempt(scene: Scene) -> None:
    settings.secretsmanager().put_secret_value(SecretId="CALLBACK_KEYS_SECRET", SecretString='{"previous": "k"}')

    assert not scene.start()
    assert (upload().status, upload().attempt, scene.script.submitted) == ("waiting", 0, [])


@pytest.mark.usefixtures("no_waiting")
def test_a_job_fails_as_not_configured_without_the_platforms_key(scene: Scene) -> None:
    settings.secretsmanager().put_secret_value(SecretId="VIDEODB_API_KEY_SECRET", SecretString="{}")
    scene.start_with(handler("videodb/steps"))

    scene.stack.work(QUEUE, handler("videodb/steps"))

    error = job().error
    assert error is not None
    assert (error.code, error.cause, error.retryable) == ("not_configured", "The stack has no VideoDB API key", True)
    assert upload().attempt == 3


# --- Check -----------------------------------------------------------------------------------------------------------


def test_checks_come_ever_more_slowly_and_at_last_every_quarter_of_an_hour(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "5")
    scene.start()

    for checks in range(15):
        assert scene.check(checks=checks)

    delays = [message["DelaySeconds"] for message in scene.sent if "DelaySeconds" in message]
    assert delays == [5, 8, 12, 17, 26, 38, 57, 86, 129, 193, 289, 433, 649, 900, 900, 900]
    assert upload().checks == 15


@pytest.mark.usefixtures("late_checks")
def test_a_check_stores_how_far_the_platform_is(scene: Scene) -> None:
    scene.script.checks = [StepRunning(progress=0.25, platform_status="pending"), StepRunning()]
    scene.start()

    scene.check(checks=0)
    first = upload()
    scene.check(checks=1)

    assert (first.progress, first.platform_status) == (0.25, "pending")
    assert (upload().progress, upload().platform_status) == (0.25, "pending")


@pytest.mark.parametrize("end", [DONE, FAILED])
def test_what_a_check_finds_is_recorded_as_a_callback_would_be(scene: Scene, end: Found) -> None:
    scene.script.checks = [RUNNING, end]

    ended = scene.run()

    assert (ended.status, ended.error) == (("succeeded", None) if end is DONE else ("failed", fault("download_failed")))
    (event,) = store.events("job-1", limit=10).items
    assert (json.loads(event["body"]), event["via"], event["attempt"]) == (dict(end.body), "check", 1)


@pytest.mark.parametrize("problem", [PASSES, REFUSED, RuntimeError("a mistake of ours")])
def test_a_check_that_gets_no_answer_is_followed_by_another_one(scene: Scene, problem: Exception) -> None:
    scene.script.checks = [problem, problem, DONE]

    assert scene.run().status == "succeeded"
    assert upload().checks == 3


@pytest.mark.parametrize("answer", [RUNNING, PASSES, REFUSED, RuntimeError("a mistake of ours")])
def test_a_step_that_is_not_known_to_have_ended_by_its_deadline_has_timed_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")
    scene.script.submits = [Submitted(platform_job_id="p", platform_status="processing")]
    scene.script.checks = [answer]

    error = scene.run().error

    assert error is not None
    assert (error.code, error.retryable) == ("timed_out", True)
    assert error.message.startswith("still processing at its deadline, 20")


def test_a_step_that_ends_at_its_deadline_has_not_timed_out(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")
    scene.script.checks = [DONE]

    assert scene.run().status == "succeeded"


@pytest.mark.usefixtures("late_checks")
@pytest.mark.parametrize("moved", [{"attempt": 2}, {"checks": 1}, {"attempt": 0}])
def test_a_check_of_a_step_that_has_moved_is_dropped(scene: Scene, moved: dict[str, int]) -> None:
    scene.start()

    assert scene.check(**moved)
    assert scene.script.checked == []


@pytest.mark.usefixtures("late_checks")
def test_a_check_of_a_step_that_has_ended_is_dropped(scene: Scene) -> None:
    scene.start()
    scene.stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}')
    scene.stack.purge(QUEUE)

    assert scene.check()
    assert scene.script.checked == []


@pytest.mark.usefixtures("late_checks")
def test_a_start_message_does_not_check_a_step_whose_check_is_not_overdue(scene: Scene) -> None:
    scene.start()
    scene.start()

    assert scene.script.checked == []


def test_an_answer_that_is_too_large_for_the_archive_still_ends_the_step(scene: Scene) -> None:
    scenes = {"success": True, "data": {"scenes": ["é" * 100] * 5000}}
    scene.script.checks = [Found(end=DONE.end, body=scenes)]

    assert scene.run().status == "succeeded"
    (event,) = store.events("job-1", limit=10).items
    assert (json.loads(event["body"])["omitted"], len(event["body"]) < 1000) == ("too large", True)


# --- Sweep -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_waiting")
def test_a_job_whose_check_was_lost_is_found_and_checked(scene: Scene) -> None:
    scene.script.checks = [DONE]
    scene.start()
    scene.stack.purge(QUEUE)

    assert scene.sweep() == 1
    scene.work()
    assert job().status == "succeeded"


@pytest.mark.usefixtures("no_waiting")
def test_a_job_whose_callback_could_not_be_chained_is_found_and_goes_on(scene: Scene) -> None:
    scene.start()
    scene.stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}')
    scene.stack.purge(QUEUE)

    assert scene.sweep() == 1
    scene.work()
    assert job().status == "succeeded"


@pytest.mark.usefixtures("no_waiting")
def test_a_failed_job_whose_platform_takes_it_back_is_found_and_goes_on(scene: Scene) -> None:
    scene.script.submits = [FAILED]
    assert scene.run().status == "failed"
    scene.stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}')
    scene.stack.purge(QUEUE)

    assert scene.sweep() == 1
    scene.work()
    assert job().status == "succeeded"


@pytest.mark.usefixtures("late_checks")
def test_a_sweep_leaves_jobs_alone_that_are_not_overdue(scene: Scene) -> None:
    scene.start()

    assert scene.sweep() == 0
    assert scene.stack.messages(QUEUE) == []


def test_a_sweep_gives_an_overdue_job_one_message_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)
    scene.another()

    assert [scene.sweep(), scene.sweep()] == [1, 0]
    assert scene.stack.messages(QUEUE) == [StartMessage(job_id="job-1").model_dump_json()]


def test_a_sweep_that_runs_out_of_time_leaves_the_rest_to_the_next_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)
    scene.another()
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _self: 9_999)
    assert scene.sweep() == 0

    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _self: 60_000)
    assert scene.sweep() == 1


@pytest.mark.usefixtures("late_checks")
def test_a_job_that_ends_while_it_is_swept_ends(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)
    scene.start()
    scene.stack.callback("videodb/upload", '{"success": true, "data": {"id": "m-1"}}')
    end = store.end

    def swept_before(*arguments: Any) -> Job | None:
        scene.sweep()
        return end(*arguments)

    monkeypatch.setattr(store, "end", swept_before)

    assert scene.start()
    assert job().status == "succeeded"


# --- What may happen at every point of a job's life ------------------------------------------------------------------


class Crash(BaseException):
    """The worker's process ends here: nothing can catch it."""


def live(stack: Stack) -> ScriptedPlatform:
    """A job of two steps, the first of which is tried and checked twice; and its platform."""
    store.create(new_job(plan=STEPS[:2]))
    return ScriptedPlatform(
        steps={
            "upload": ScriptedStep(submits=[PASSES, Submitted(platform_job_id="p")], checks=[RUNNING, DONE]),
            "index_spoken_words": ScriptedStep(submits=[DONE]),
        }
    )


def recover(stack: Stack, platform: ScriptedPlatform) -> None:
    """All messages are lost; what remains is the table, and a sweep."""
    stack.purge(QUEUE)
    sweep.handler({}, Context())
    stack.work(QUEUE, platform.worker)


@pytest.mark.usefixtures("no_waiting")
def test_all_messages_may_be_lost_at_every_point_of_a_jobs_life_and_it_still_succeeds(stack: Stack) -> None:
    point = taken = -1
    while taken == point:
        point += 1
        platform = live(stack)
        sweep.handler({}, Context())
        taken = stack.work(QUEUE, platform.worker, rounds=point)

        recover(stack, platform)

        assert job().status == "succeeded", point
        stack.clear()
    assert point > 6


@pytest.mark.usefixtures("no_waiting")
def test_a_worker_may_be_stopped_at_every_call_that_it_makes_and_the_job_still_succeeds(stack: Stack) -> None:
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    calls = point = 0

    def stopped(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        nonlocal calls
        calls += operation not in ("ReceiveMessage", "DeleteMessage")  # the event source's
        if calls == point:
            raise Crash
        return original(self, operation, parameters)

    while calls >= point:
        platform, calls, point = live(stack), 0, point + 1
        sweep.handler({}, Context())
        with patch.object(BaseClient, "_make_api_call", stopped), suppress(Crash):
            stack.work(QUEUE, platform.worker)

        recover(stack, platform)

        assert job().status == "succeeded", point
        stack.clear()
    assert point > 15
