"""In whatever order workers, callbacks and people call the table, a job ends in the same state, announced once.

`make faults` plays every platform so; here it is one step, its worker and its inbox, with their calls in every order.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from video_jobs.callbacks.messages import Received
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, PollResult, StepFailed, StepRunning, StepSucceeded
from video_jobs.platforms.callback import Proof
from video_jobs.platforms.videodb.errors import from_message
from video_jobs.store import events, jobs

from tests.orders import Act
from tests.orders import in_every_order as played_in_every_order
from tests.scripted import CREATED_AT, ScriptedPlatform, ScriptedStep, new_job
from tests.stack import Context, Stack, handler, sqs_event

type State = Mapping[str, Any]
"""What must not hang on the order: status, results and references; not times, versions and attempts."""

UPLOADED = b'{"success": true, "data": {"id": "m-1"}}'
NOT_UPLOADED = b'{"success": false, "message": "Download failed."}'
DONE = PollResult(end=StepSucceeded(result={"id": "m-1"}, refs=("m-1",)), body={"success": True})
NOT_DONE = PollResult(end=StepFailed(error=from_message("Download failed.")), body={"success": False})
SUCCEEDED: State = {"job": "succeeded", "step": ("succeeded", {"id": "m-1"}, None), "refs": ["m-1"]}
FAILED: State = {"job": "failed", "step": ("failed", None, "download_failed"), "refs": []}


def in_every_order(prepare: Callable[[], "Stage"], acts: Callable[["Stage"], Sequence[Act]]) -> Iterator["Stage"]:
    return played_in_every_order(prepare, acts, meets_nobody=is_an_event_or_a_link)


def is_an_event_or_a_link(operation: str, parameters: Mapping[str, Any]) -> bool:
    """Each has an item of its own, which nobody reads here before all is over."""
    item = parameters["Item"] if operation == "PutItem" else {}
    return any(str(value.get("S")).startswith(("EVENT#", "MEDIUM#")) for value in item.values())


class Stage:
    """A job of one step, and those who act on it."""

    def __init__(self, stack: Stack, polls: Sequence[StepRunning | PollResult]) -> None:
        self._stack = stack
        self.platform = ScriptedPlatform(steps={"upload": ScriptedStep(polls=polls)})
        stack.clear()  # moto copies the whole table for each transaction
        jobs.create(new_job(plan=["upload"]))

    def look(self) -> None:
        """A worker that is told to look at the job."""
        self._take(self.platform.worker, json.dumps({"job_id": "job-1", "due_at": 0}))

    def call_back(self, said: bytes, *, attempt: int = 1) -> None:
        proof = Proof(job_id="job-1", attempt=attempt)
        message = Received(callback="videodb/upload", body=said, headers={}, received_at=1, proof=proof)
        self._take(handler("pipeline/inbox"), message.written())

    def cancel(self) -> None:
        jobs.change("job-1", partial(transitions.canceled, now=CREATED_AT))

    def give_up_the_first_attempt(self) -> None:
        """The platform did not answer, so the step waits for its next attempt."""
        now = CREATED_AT
        jobs.change("job-1", partial(transitions.claimed, name="upload", now=now, lease=0))
        give_up: Any = partial(
            transitions.backed_off, name="upload", attempt=1, error=from_message(None), wait=0, now=now
        )
        jobs.change("job-1", give_up)

    def settle(self) -> State:
        """What comes of it once the job no longer is due."""
        for _ in range(20):
            if self.job.due_at is None:
                break
            self.look()
        job, step = self.job, self.job.steps["upload"]
        assert job.is_announced
        announced = {json.loads(message)["event_id"] for message in self._stack.messages("BusNotifications")}
        assert 1 <= len(announced) <= job.ends  # a failure that is taken back before it is announced is none
        return {
            "job": str(job.status),
            "refs": sorted(ref for ref in job.refs if ref != "platform-job"),
            "step": (str(step.status), step.result, step.error and step.error.code),
        }

    @property
    def job(self) -> Job:
        found = jobs.read("job-1")
        assert found is not None
        return found

    def _take(self, function: Callable[[dict[str, Any], Any], Any], body: str) -> None:
        function(sqs_event({"MessageId": "1", "ReceiptHandle": "1", "Body": body}), Context())


@pytest.mark.parametrize(
    ("polls", "said", "end"),
    [
        pytest.param([StepRunning(), DONE], UPLOADED, SUCCEEDED, id="the poll comes too early"),
        pytest.param([DONE], UPLOADED, SUCCEEDED, id="the poll knows it too"),
        pytest.param([NOT_DONE], NOT_UPLOADED, FAILED, id="it fails"),
    ],
)
def test_a_poll_and_a_callback_end_in_the_same_state_in_every_order(
    stack: Stack, polls: list[StepRunning | PollResult], said: bytes, end: State
) -> None:
    def prepare() -> Stage:
        stage = Stage(stack, polls)
        stage.look()
        return stage

    orders = in_every_order(prepare, lambda stage: [stage.look, lambda: stage.call_back(said)])

    ends = [stage.settle() for stage in orders]

    assert len(ends) >= 6
    assert all(found == end for found in ends)


def test_a_submit_and_its_callback_end_in_the_same_state_in_every_order(stack: Stack) -> None:
    orders = in_every_order(
        lambda: Stage(stack, [StepRunning(), DONE]), lambda stage: [stage.look, lambda: stage.call_back(UPLOADED)]
    )

    ends = [stage.settle() for stage in orders]

    assert len(ends) >= 15
    assert all(found == SUCCEEDED for found in ends)


def test_a_success_wins_over_a_failure_in_every_order_and_both_are_archived(stack: Stack) -> None:
    def prepare() -> Stage:
        stage = Stage(stack, [StepRunning()])
        stage.look()
        return stage

    orders = in_every_order(
        prepare, lambda stage: [lambda: stage.call_back(NOT_UPLOADED), lambda: stage.call_back(UPLOADED)]
    )

    ends = [(stage.settle(), len(events.events(stage.job, limit=9).items)) for stage in orders]

    assert len(ends) >= 10
    assert all(found == (SUCCEEDED, 2) for found in ends)


def test_two_workers_with_the_same_job_ask_the_platform_once_in_every_order(stack: Stack) -> None:
    orders = in_every_order(lambda: Stage(stack, [DONE]), lambda stage: [stage.look, stage.look])

    ends = [(stage.settle(), stage.platform.submissions) for stage in orders]

    assert len(ends) >= 6
    assert all(found == (SUCCEEDED, 1) for found in ends)


def test_a_failure_of_the_first_attempt_never_fails_the_second_in_every_order(stack: Stack) -> None:
    def prepare() -> Stage:
        stage = Stage(stack, [StepRunning(), DONE])
        stage.give_up_the_first_attempt()
        return stage

    orders = in_every_order(prepare, lambda stage: [stage.look, lambda: stage.call_back(NOT_UPLOADED, attempt=1)])

    ends = [(stage.settle(), stage.platform.submissions) for stage in orders]

    assert len(ends) >= 4
    assert all(found == (SUCCEEDED, 1) for found in ends)


def test_a_cancellation_while_a_platform_is_asked_leaves_its_ids_in_every_order(stack: Stack) -> None:
    orders = in_every_order(lambda: Stage(stack, [DONE]), lambda stage: [stage.look, stage.cancel])

    for stage in orders:
        found = stage.settle()
        assert found["job"] in ("canceled", "succeeded")
        assert stage.platform.submissions == (stage.job.steps["upload"].platform_job_id is not None)
