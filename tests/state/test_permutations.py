"""In whatever order things happen, and however often, a job ends in the same state."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from video_jobs import store
from video_jobs.jobs import Found, StepFailed, StepRunning, StepSucceeded
from video_jobs.platforms.videodb.errors import from_message
from video_jobs.queues import CheckMessage, StartMessage

from tests.orders import in_every_order
from tests.scripted import STEPS, ScriptedPlatform, ScriptedStep, new_job
from tests.stack import Context, Stack, sqs_event

type State = Mapping[str, Any]
"""What must not hang on the order: statuses, results and references; not times, versions and attempts."""


def state(job_id: str = "job-1") -> State:
    job = store.get(job_id)
    assert job is not None
    return {
        "job": str(job.status),
        "refs": sorted(set(job.refs)),
        "steps": {
            name: (str(step.status), step.result, step.error and step.error.code) for name, step in job.steps.items()
        },
    }


# --- Callbacks in every order, repeated, with the worker between them or not -----------------------------------------


@dataclass(frozen=True, kw_only=True)
class Callback:
    step: str
    body: str


UPLOADED = Callback(step="upload", body='{"success": true, "data": {"id": "m-1"}}')
NOT_UPLOADED = Callback(step="upload", body='{"success": false, "message": "Download failed."}')
WORDS = Callback(step="index_spoken_words", body='{"success": true, "data": {"id": "m-1"}}')
SCENES = Callback(step="index_scenes", body='{"success": true, "data": {"scene_index_id": "s-1"}}')
NO_SCENES = Callback(step="index_scenes", body='{"success": false, "message": "Something went wrong"}')
EXTRACTED = Callback(step="extract_scenes", body='{"success": true, "data": {"scene_collection_id": "c-1"}}')

SUCCEEDED: State = {
    "job": "succeeded",
    "refs": ["c-1", "m-1", "s-1"],
    "steps": {
        "upload": ("succeeded", {"id": "m-1"}, None),
        "index_spoken_words": ("succeeded", {"id": "m-1"}, None),
        "index_scenes": ("succeeded", {"scene_index_id": "s-1"}, None),
        "extract_scenes": ("succeeded", {"scene_collection_id": "c-1"}, None),
    },
}
FAILED: State = {
    "job": "failed",
    "refs": ["c-1", "m-1"],
    "steps": SUCCEEDED["steps"] | {"index_scenes": ("failed", None, "something_went_wrong")},
}
NEVER_UPLOADED: State = {
    "job": "failed",
    "refs": [],
    "steps": {
        "upload": ("failed", None, "download_failed"),
        **dict.fromkeys(STEPS[1:], ("waiting", None, None)),
    },
}
INDEXED: State = {
    "job": "succeeded",
    "refs": ["m-1"],
    "steps": {name: SUCCEEDED["steps"][name] for name in STEPS[:2]},
}


class World:
    """All that one job can come to by these callbacks and by its worker: every state, reached in every way.

    A state stands for all histories that lead to it: which callbacks have come, and how the job stands. So what is
    true of every state is true of every order, of every number of repeats, and of every moment for the worker.
    """

    def __init__(self, stack: Stack, plan: Sequence[str], callbacks: Sequence[Callback]) -> None:
        self._stack = stack
        self._worker = ScriptedPlatform().worker
        self._callbacks = callbacks
        self._known: set[str] = set()
        self.ends: list[State] = []
        """The states in which every callback has come and the worker has nothing left to do."""
        store.create(new_job(plan=plan))
        self._visit(frozenset())

    def _visit(self, come: frozenset[Callback]) -> None:
        here = state()
        key = json.dumps([here, sorted(map(str, come))])
        if key in self._known:
            return
        self._known.add(key)
        items = self._stack.snapshot()
        for callback in self._callbacks:
            answer = self._stack.callback(f"videodb/{callback.step}", callback.body)
            if callback in come:
                assert answer["outcome"] == "repeated"
                assert state() == here
            else:
                self._visit(come | {callback})
                self._stack.restore(items)
        self._work()
        if come == frozenset(self._callbacks) and state() == here:
            self.ends.append(here)
        self._visit(come)
        self._stack.restore(items)

    def _work(self) -> None:
        body = StartMessage(job_id="job-1").model_dump_json()
        self._worker(sqs_event({"MessageId": "1", "ReceiptHandle": "1", "Body": body}), Context())


@pytest.mark.parametrize(
    ("plan", "callbacks", "end"),
    [
        pytest.param(STEPS, [UPLOADED, WORDS, SCENES, EXTRACTED], SUCCEEDED, id="all succeed"),
        pytest.param(STEPS, [UPLOADED, WORDS, NO_SCENES, EXTRACTED], FAILED, id="one fails"),
        pytest.param(STEPS, [NOT_UPLOADED], NEVER_UPLOADED, id="the first fails"),
        pytest.param(STEPS[:2], [UPLOADED, NOT_UPLOADED, WORDS], INDEXED, id="one fails and succeeds"),
    ],
)
def test_every_order_of_callbacks_and_repeats_and_work_ends_in_the_same_state(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, plan: Sequence[str], callbacks: list[Callback], end: State
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "900")  # only callbacks tell the end

    world = World(stack, plan, callbacks)

    assert world.ends
    assert all(found == end for found in world.ends)


# --- Everything at once: calls to the database in every order --------------------------------------------------------

DONE = Found(end=StepSucceeded(refs=("m-1",), result={"id": "m-1"}), body={"success": True, "data": {"id": "m-1"}})
NOT_DONE = Found(end=StepFailed(error=from_message("Download failed.")), body={"success": False})
ONE_SUCCEEDED: State = {"job": "succeeded", "refs": ["m-1"], "steps": {"upload": SUCCEEDED["steps"]["upload"]}}
ONE_FAILED: State = {"job": "failed", "refs": [], "steps": {"upload": NEVER_UPLOADED["steps"]["upload"]}}


class Stage:
    """A job of one step, and those who act on it."""

    def __init__(self, stack: Stack, checks: Sequence[StepRunning | Found]) -> None:
        self._stack = stack
        self.platform = ScriptedPlatform(steps={"upload": ScriptedStep(checks=checks)})
        stack.clear()  # moto copies the whole table for each transaction
        store.create(new_job(plan=["upload"]))

    def submit(self) -> None:
        """A worker that takes a start message, up to the platform's answer."""
        self._take(StartMessage(job_id="job-1").model_dump_json())

    def check(self, *, attempt: int = 1) -> None:
        self._take(CheckMessage(job_id="job-1", step="upload", attempt=attempt, checks=0).model_dump_json())

    def call_back(self, callback: Callback, *, attempt: int = 1) -> None:
        answer = self._stack.callback(f"videodb/{callback.step}", callback.body, attempt=attempt)
        assert answer["status"] == 200

    def give_up_the_first_attempt(self) -> None:
        """The platform did not answer, so the step waits for its next attempt."""
        first = store.claim(new_job(plan=["upload"]), "upload", lease_seconds=90)
        assert first is not None
        store.queue_again(first, "upload", error=from_message(None), delay=0)

    def settle(self) -> State:
        """What comes of it once every message is taken."""
        self._stack.work("VideoDbSteps", self.platform.worker)
        return state()

    def _take(self, body: str) -> None:
        self.platform.worker(self._stack.received("VideoDbSteps", body), Context())


@pytest.mark.parametrize(
    ("checks", "callback", "end"),
    [
        pytest.param([StepRunning(), DONE], UPLOADED, ONE_SUCCEEDED, id="the check comes too early"),
        pytest.param([DONE], UPLOADED, ONE_SUCCEEDED, id="the check knows it too"),
        pytest.param([NOT_DONE], NOT_UPLOADED, ONE_FAILED, id="it fails"),
    ],
)
def test_submit_callback_and_check_end_in_the_same_state_in_every_order(
    stack: Stack, checks: list[StepRunning | Found], callback: Callback, end: State
) -> None:
    orders = in_every_order(
        lambda: Stage(stack, checks), lambda stage: [stage.submit, lambda: stage.call_back(callback), stage.check]
    )

    ends = [stage.settle() for stage in orders]

    assert len(ends) >= 15
    assert all(found == end for found in ends)


def test_a_success_wins_over_a_failure_in_every_order(stack: Stack) -> None:
    orders = in_every_order(
        lambda: Stage(stack, [StepRunning()]),
        lambda stage: [
            stage.submit,
            lambda: stage.call_back(NOT_UPLOADED),
            lambda: stage.call_back(UPLOADED),
        ],
    )

    ends = [stage.settle() for stage in orders]

    assert len(ends) >= 20
    assert all(found == ONE_SUCCEEDED for found in ends)


def test_two_workers_with_the_same_job_ask_the_platform_once_in_every_order(stack: Stack) -> None:
    orders = in_every_order(lambda: Stage(stack, [DONE]), lambda stage: [stage.submit, stage.submit])

    ends = [(stage.settle(), stage.platform.submissions) for stage in orders]

    assert len(ends) >= 6
    assert all(found == (ONE_SUCCEEDED, 1) for found in ends)


def test_a_failure_of_the_first_attempt_never_fails_the_second_in_every_order(stack: Stack) -> None:
    def prepare() -> Stage:
        stage = Stage(stack, [StepRunning(), DONE])
        stage.give_up_the_first_attempt()
        return stage

    orders = in_every_order(
        prepare,
        lambda stage: [stage.submit, lambda: stage.call_back(NOT_UPLOADED, attempt=1)],
    )

    ends = [(stage.settle(), stage.platform.submissions) for stage in orders]

    assert len(ends) >= 5
    assert all(found == (ONE_SUCCEEDED, 1) for found in ends)
