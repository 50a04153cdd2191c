"""TwelveLabs' official SDK against the deployed stack: the address and the key are changed, and nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import urllib3
from twelvelabs import BadRequestError, TwelveLabs
from twelvelabs.core.api_error import ApiError
from twelvelabs.wrapper.task_client_wrapper import TaskClientWrapper

from tests.e2e.deployment import PATIENCE_SECONDS, Deployment

INDEX = "62a0906d47f5678267ec10a6"
VIDEO = bytes(range(256)) * 4096  # a megabyte of all there is


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """The SDK does not close the client that it makes itself."""
    with httpx.Client(timeout=PATIENCE_SECONDS) as http:
        yield http


@pytest.fixture(scope="module")
def tasks(deployment: Deployment, http: httpx.Client) -> TaskClientWrapper:
    return tasks_of(deployment, http, key=deployment.stack.api_key)


def tasks_of(deployment: Deployment, http: httpx.Client, *, key: str) -> TaskClientWrapper:
    found = TwelveLabs(api_key=key, base_url=f"{deployment.stack.api_url}/twelvelabs", httpx_client=http).tasks
    assert isinstance(found, TaskClientWrapper)
    return found


def url(file: str) -> str:
    return f"https://media.example.com/{file}"


def ended(tasks: TaskClientWrapper, task_id: str | None, *, statuses: list[str] | None = None) -> Any:
    assert task_id
    seen = statuses if statuses is not None else []
    return tasks.wait_for_done(task_id, sleep_interval=0.2, callback=lambda task: seen.append(str(task.status)))


def refused(ask: Callable[[], Any]) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        ask()
    assert set(refusal.value.body) == {"code", "message", "docs_url"}, refusal.value.body
    return refusal.value


def test_a_task_of_a_url_is_made_waited_for_listed_and_deleted(
    deployment: Deployment, tasks: TaskClientWrapper
) -> None:
    index, statuses = "e2e-url", list[str]()
    created = tasks.create(index_id=index, video_url=url("lecture.mp4"), enable_video_stream=True)

    done = ended(tasks, created.id, statuses=statuses)

    assert (done.id, done.index_id, done.status) == (created.id, index, "ready")
    assert (done.system_metadata.filename, done.hls.status) == ("lecture.mp4", "COMPLETE")
    assert statuses[-1] == "ready"
    assert set(statuses) <= {"uploading", "validating", "pending", "queued", "indexing", "ready"}
    assert [task.id for task in tasks.list(index_id=index, status=["ready", "failed"])] == [created.id]
    kept = refused(lambda: tasks.delete(str(created.id)))
    assert (kept.status_code, kept.body["code"]) == (400, "task_cannot_be_deleted")
    twelvelabs = deployment.platforms.twelvelabs.url
    urllib3.request("DELETE", f"{twelvelabs}/indexes/{index}/videos/{done.video_id}", headers={"x-api-key": "tlk"})
    tasks.delete(str(created.id))
    gone = refused(lambda: tasks.retrieve(str(created.id)))
    assert (gone.status_code, gone.body["code"]) == (404, "resource_not_exist")


def test_a_task_of_a_file_goes_through_the_stack_byte_for_byte(
    deployment: Deployment, tasks: TaskClientWrapper
) -> None:
    created = tasks.create(index_id="e2e-file", video_file=("Grüße.mp4", VIDEO, "video/mp4"))

    done = ended(tasks, created.id)

    assert (done.status, done.video_id, done.system_metadata.filename) == ("ready", created.video_id, "Grüße.mp4")
    [asked] = [r.body for r in deployment.platforms.twelvelabs.requests if r.body.get("index_id") == "e2e-file"]
    assert asked["video_file"].size == len(VIDEO)


def test_failing_tasks_are_returned_with_their_reason_and_can_be_deleted(tasks: TaskClientWrapper) -> None:
    made = [
        tasks.create(index_id="e2e-failing", video_url=url(file)).id
        for file in ("private.mp4", "video_file_broken.mp4")
    ]
    for task_id in made:
        done = ended(tasks, task_id)
        assert done.status == "failed"
        assert done.error_reason
        tasks.delete(str(task_id))
    assert list(tasks.list(index_id="e2e-failing")) == []


def test_what_twelvelabs_refuses_of_a_file_is_answered_at_once(tasks: TaskClientWrapper) -> None:
    with pytest.raises(BadRequestError) as refusal:
        tasks.create(index_id=INDEX, video_file=("video_duration_too_short.mp4", b"video", "video/mp4"))
    assert refusal.value.body["code"] == "video_duration_too_short"


def test_the_pages_and_filters_of_the_list(tasks: TaskClientWrapper) -> None:
    index = "e2e-pages"
    made = [tasks.create(index_id=index, video_url=url(f"{number}.mp4")).id for number in range(5)]
    for task_id in made:
        ended(tasks, task_id)

    newest = [task.id for task in tasks.list(index_id=index, page_limit=2)]
    assert sorted(newest, key=str) == sorted(made, key=str)
    assert [task.id for task in tasks.list(index_id=index, sort_option="asc")] == newest[::-1]
    assert [task.id for task in tasks.list(index_id=index, filename="3.mp4")] == [made[3]]
    one = tasks.retrieve(str(made[0]))
    about = one.system_metadata
    assert about
    found = tasks.list(
        index_id=index,
        duration=about.duration,
        width=about.width,
        height=about.height,
        created_at=one.created_at,
        updated_at=one.updated_at,
        sort_by="updated_at",
        page=1,
        page_limit=50,
        status="ready",
    )
    assert [task.id for task in found] == [one.id]


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda tasks: tasks.create(index_id=INDEX), 400, "parameter_not_provided"),
        (lambda tasks: tasks.create(index_id=INDEX, video_url="nowhere"), 400, "parameter_invalid"),
        (lambda tasks: tasks.list(page_limit=51), 400, "parameter_invalid"),
        (lambda tasks: tasks.retrieve("69a482a37f90675e73cec9a6"), 404, "resource_not_exist"),
        (lambda tasks: tasks.delete("69a482a37f90675e73cec9a6"), 404, "resource_not_exist"),
    ],
)
def test_errors_have_twelvelabs_shape_and_codes(
    tasks: TaskClientWrapper, ask: Callable[[TaskClientWrapper], Any], status: int, code: str
) -> None:
    refusal = refused(lambda: ask(tasks))

    assert (refusal.status_code, refusal.body["code"]) == (status, code)


def test_a_wrong_key_opens_nothing(deployment: Deployment, http: httpx.Client) -> None:
    other = tasks_of(deployment, http, key="tlk_wrong")
    for ask in (
        lambda: other.create(index_id=INDEX, video_url=url("lecture.mp4")),
        lambda: other.create(index_id=INDEX, video_file=("a.mp4", b"video", "video/mp4")),
        lambda: other.retrieve("a"),
        other.list,
        lambda: other.delete("a"),
    ):
        refusal = refused(ask)
        assert (refusal.status_code, refusal.body["code"]) == (401, "api_key_invalid")
