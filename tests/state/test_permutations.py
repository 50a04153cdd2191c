"""In whatever order things happen, and however often, a job ends in the same state."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from video_jobs import settings, store
from video_jobs.queues import StartMessage

from tests.scripted import STEPS, ScriptedPlatform, new_job
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
        items = self._items()
        for callback in self._callbacks:
            answer = self._stack.callback(f"videodb/{callback.step}", callback.body)
            if callback in come:
                assert answer["outcome"] == "repeated"
                assert state() == here
            else:
                self._visit(come | {callback})
                self._restore(items)
        self._work()
        if come == frozenset(self._callbacks) and state() == here:
            self.ends.append(here)
        self._visit(come)
        self._restore(items)

    def _work(self) -> None:
        body = StartMessage(job_id="job-1").model_dump_json()
        self._worker(sqs_event({"MessageId": "1", "ReceiptHandle": "1", "Body": body}), Context())

    def _items(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = settings.dynamodb().scan(TableName=settings.setting("TABLE_NAME"))["Items"]
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in found}

    def _restore(self, items: Mapping[tuple[str, str], dict[str, Any]]) -> None:
        table, present = settings.setting("TABLE_NAME"), self._items()
        for pk, sk in present.keys() - items.keys():
            settings.dynamodb().delete_item(TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
        for key, item in items.items():
            if present.get(key) != item:
                settings.dynamodb().put_item(TableName=table, Item=item)


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


class Actor(threading.Thread):
    """Somebody at work, who stops before each call to the database until it is their turn."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self._turn = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._error: BaseException | None = None

    def run(self) -> None:
        self._turn.acquire()
        try:
            self._act()
        except BaseException as error:  # the border of a thread: raised where it is waited for
            self._error = error
        self._stopped.release()

    def stop(self) -> None:
        self._stopped.release()
        self._turn.acquire()

    def go(self) -> bool:
        """Go on to the next call, or to the end; whether there is more to come."""
        self._turn.release()
        self._stopped.acquire()
        if self._error:
            raise self._error
        self.join(timeout=0)
        return self.is_alive()


@contextmanager
def stopping() -> Iterator[None]:
    """Within it, actors stop before each call to DynamoDB."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def stopped(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        actor = threading.current_thread()
        if isinstance(actor, Actor) and self.meta.service_model.service_name == "dynamodb":
            actor.stop()
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", stopped):
        yield
