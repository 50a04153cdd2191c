"""TwelveLabs' official SDK, and whoever else speaks its language, use this deployment as if it were TwelveLabs."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams
from twelvelabs import BadRequestError, TwelveLabs
from twelvelabs.core.api_error import ApiError
from twelvelabs.wrapper.task_client_wrapper import TaskClientWrapper
from video_jobs import clock, forms
from video_jobs.aws import clients
from video_jobs.clock import from_iso
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Hint, Job, JobStatus, Request, Step, StepStatus
from video_jobs.platforms.twelvelabs import task_list, task_request, task_view
from video_jobs.store import jobs, media
from video_jobs.worker import submit

from functions.twelvelabs.api import app
from local.platforms.twelvelabs import SimulatedTwelveLabs, UploadedFile, lists
from tests.api import calls
from tests.api.bridge import http_event, serve
from tests.api.running import look_once, run_to_end
from tests.log import captured
from tests.patches import change
from tests.stack import API_KEY, Context, Stack

ROOT = "/twelvelabs/tasks"
INDEX = "62a0906d47f5678267ec10a6"
VIDEO = bytes(range(256)) * 10 + b"\r\n--not the end\r\n--"
SLEEP_SECONDS = 0.005
DOCUMENTED_STATUSES = {200, 201, 204, 400, 401, 404, 429, 503}


@dataclass(frozen=True)
class Desk:
    """The official SDK at our API, the worker behind it, and TwelveLabs behind that."""

    sdk: TwelveLabs
    stack: Stack
    twelvelabs: SimulatedTwelveLabs

    @property
    def tasks(self) -> TaskClientWrapper:
        """The SDK's types hide what it has here."""
        assert isinstance(self.sdk.tasks, TaskClientWrapper)
        return self.sdk.tasks

    def work(self, _seen: Any = None) -> None:
        """Let the worker look at every task, as if it were due."""
        found = (item for item in self.stack.items("JOB#") if item["sk"] == "JOB")
        for item in sorted(found, key=lambda item: str(item["created"])):
            look_once(item["pk"].removeprefix("JOB#"))

    def create(self, file: str = "lecture.mp4", **options: Any) -> str:
        """The id of a new task of a URL."""
        created = self.tasks.create(**{"index_id": INDEX, "video_url": f"https://example.com/{file}"} | options)
        assert created.id
        return created.id

    def upload(self, name: str = "lecture.mp4", content: bytes = VIDEO, **options: Any) -> str:
        """The id of a new task of a file."""
        created = self.tasks.create(index_id=INDEX, video_file=(name, content, "video/mp4"), **options)
        assert created.id
        return created.id

    def ended(self, task_id: str) -> Any:
        return self.tasks.wait_for_done(task_id, sleep_interval=SLEEP_SECONDS, callback=self.work)

    def asked(self, method: str) -> list[Any]:
        """What TwelveLabs was asked with this method."""
        return [request for request in self.twelvelabs.requests if request.method == method]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """The SDK does not close the client that it makes itself."""
    with httpx.Client(timeout=60) as http:
        yield http


@pytest.fixture
def twelvelabs(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedTwelveLabs]:
    """The simulated platform, where the stack's settings say that TwelveLabs is."""
    with SimulatedTwelveLabs(pace=0.02) as twelvelabs:
        monkeypatch.setenv("TWELVELABS_URL", twelvelabs.url)
        yield twelvelabs


@pytest.fixture
def url(stack: Stack) -> Iterator[str]:
    """Where our API is."""
    with serve({"/twelvelabs/": app.handler}) as url:
        yield url


@pytest.fixture
def desk(stack: Stack, twelvelabs: SimulatedTwelveLabs, url: str, http: httpx.Client) -> Desk:
    sdk = TwelveLabs(api_key=API_KEY, base_url=f"{url}/twelvelabs", httpx_client=http)
    return Desk(sdk=sdk, stack=stack, twelvelabs=twelvelabs)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    json: Any

    @property
    def code(self) -> str:
        """The error's code; fails if it is no error in TwelveLabs' shape."""
        assert self.status in DOCUMENTED_STATUSES
        assert set(self.json) == {"code", "message", "docs_url"}
        assert self.json["message"]
        return str(self.json["code"])


def call(
    method: str = "GET",
    path: str = ROOT,
    *,
    query: Any = (),
    body: bytes = b"",
    content_type: str = "application/json",
    key: str | None = API_KEY,
    **headers: str,
) -> Answer:
    """Call the function, without the SDK. `query`: what httpx takes as parameters, or a query string."""
    target = f"{path}?{query if isinstance(query, str) else httpx.QueryParams(query)}"
    sent = {"content-type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if key is not None:
        sent["x-api-key"] = key
    answer = app.handler(http_event(method, target, body, sent.items()), Context())
    json.dumps(answer, ensure_ascii=False).encode()  # as Lambda's runtime sends it
    assert isinstance(answer["body"], str)
    return Answer(int(answer["statusCode"]), answer["headers"], json.loads(answer["body"]) if answer["body"] else None)


def post(body: Any = None, **fields: Any) -> Answer:
    """Ask for a task in JSON."""
    return call("POST", body=json.dumps(fields if body is None else body).encode())


def refused(ask: Callable[[], Any]) -> ApiError:
    """The SDK's error, whose body has TwelveLabs' shape."""
    with pytest.raises(ApiError) as refusal:
        ask()
    assert set(refusal.value.body) == {"code", "message", "docs_url"}
    return refusal.value


def code(error: ApiError) -> str:
    return str(error.body["code"])


def job(job_id: str) -> Job:
    found = jobs.read(job_id)
    assert found is not None
    return found


def cancel(job_id: str) -> None:
    assert calls.call("DELETE", f"/jobs/{job_id}").json["status"] == "canceled"


def end_unannounced(desk: Desk, job_id: str) -> None:
    """Let the worker work until the job has ended, and not announce that."""
    while not job(job_id).status.ended:
        desk.work()
    assert not job(job_id).is_announced


# --- The SDK, method by method --------------------------------------------------------------------------------------


def test_a_task_of_a_url_becomes_ready(desk: Desk) -> None:
    created = desk.tasks.create(
        index_id=INDEX, video_url="https://example.com/talk.mp4", enable_video_stream=True, user_metadata='{"a": ["b"]}'
    )
    assert created.id
    assert re.fullmatch(r"[0-9a-f]{24}", created.id)
    assert created.video_id is None

    done = desk.ended(created.id)

    assert (done.id, done.index_id, done.status, done.model_extra) == (created.id, INDEX, "ready", {})
    assert done.video_id
    about = done.system_metadata
    assert (about.filename, about.width, about.height) == ("talk.mp4", 1920, 1080)
    assert about.duration
    assert (done.hls.status, len(done.hls.thumbnail_urls)) == ("COMPLETE", 1)
    assert done.hls.video_url.endswith(".m3u8")
    assert done.created_at <= done.updated_at
    [asked] = desk.asked("POST")
    assert asked.body == {
        "index_id": INDEX,
        "video_url": "https://example.com/talk.mp4",
        "enable_video_stream": "true",
        "user_metadata": '{"a": ["b"]}',
    }


def test_a_task_is_made_although_twelvelabs_is_away_and_started_when_it_is_back(desk: Desk) -> None:
    with patch.dict("os.environ", TWELVELABS_URL="http://127.0.0.1:9"):
        task_id = desk.create()
        assert desk.tasks.retrieve(task_id).status == "uploading"

    assert desk.ended(task_id).status == "ready"


def test_faults_that_pass_are_tried_again_by_the_worker_and_not_by_the_caller(desk: Desk) -> None:
    task_id = desk.create("html.mp4")

    assert desk.ended(task_id).status == "ready"
    assert len(desk.asked("POST")) == 2


def test_waiting_tells_the_statuses_in_their_order_and_as_often_as_it_asks(desk: Desk) -> None:
    task_id = desk.create()
    told: list[str] = []

    def seen(task: Any) -> None:
        told.append(task.status)
        desk.work()

    done = desk.tasks.wait_for_done(task_id, sleep_interval=SLEEP_SECONDS, callback=seen)

    assert done.status == "ready"
    order = ["uploading", "validating", "pending", "queued", "indexing", "ready"]
    assert [order.index(status) for status in told] == sorted(order.index(status) for status in told)
    assert (told[0], told[-1], told.count("ready")) == ("uploading", "ready", 1)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("private.mp4", "The platform could not access the file."),
        ("corrupt.mp4", "Cannot read video file. Please check the video file is valid and try again."),
        ("index-fails.mp4", "Indexing failed."),
    ],
)
def test_a_task_that_fails_is_returned_with_its_reason(desk: Desk, file: str, reason: str) -> None:
    done = desk.ended(desk.create(file))

    assert (done.status, done.model_extra) == ("failed", {"error_reason": reason})
    assert done.hls.status == "ERROR"


def test_a_task_that_twelvelabs_refuses_fails_later_with_its_words(desk: Desk) -> None:
    done = desk.ended(desk.create("video_resolution_too_low.mp4"))

    assert done.status == "failed"
    assert done.error_reason.startswith("The resolution of the video is too low.")


def test_a_canceled_task_has_failed(desk: Desk) -> None:
    task_id = desk.create()
    cancel(task_id)

    done = desk.ended(task_id)

    assert (done.status, done.error_reason) == ("failed", "The task was canceled.")


def test_many_tasks_are_made_at_once_by_the_sdk(desk: Desk) -> None:
    made = desk.tasks.create_bulk(index_id=INDEX, video_urls=[f"https://example.com/{n}.mp4" for n in range(3)])

    assert {desk.ended(str(each.id)).status for each in made} == {"ready"}


def test_a_task_is_found_by_twelvelabs_own_id_too(desk: Desk) -> None:
    task_id = desk.create()
    desk.ended(task_id)
    theirs = job(task_id).steps["task"].platform_job_id
    assert theirs != task_id

    assert desk.tasks.retrieve(str(theirs)) == desk.tasks.retrieve(task_id)


def test_a_task_that_was_started_elsewhere_is_there_as_soon_as_twelvelabs_tells_of_it(desk: Desk) -> None:
    elsewhere = TwelveLabs(api_key="tlk_other", base_url=desk.twelvelabs.url, httpx_client=httpx.Client())
    theirs = elsewhere.tasks.create(index_id="another", video_url="https://example.com/talk.mp4").id
    hint = Hint(ref=str(theirs), step="task", part="status", word="ready", good=True)
    adopted = transitions.adopted_by_hint("adopted-1", "twelvelabs", hint, now=clock.now(), deadline_in=60)
    media.link(adopted, adopted.refs)
    job_id = jobs.create(adopted).job_id
    assert desk.tasks.retrieve(str(theirs)).status == "validating"

    done = desk.ended(str(theirs))

    assert (done.id, done.status, done.index_id) == (job_id, "ready", "another")
    elsewhere._client_wrapper.httpx_client.httpx_client.close()


@pytest.mark.parametrize("task_id", ["69a482a37f90675e73cec9a6", "%", "a" * 256, "a" * 3000, "ü"])
def test_what_does_not_exist_is_not_there(desk: Desk, task_id: str) -> None:
    for ask in (desk.tasks.retrieve, desk.tasks.delete):
        refusal = refused(partial(ask, task_id))
        assert (refusal.status_code, code(refusal)) == (404, "resource_not_exist")


def test_a_job_that_is_no_task_is_not_there(desk: Desk) -> None:
    asset = calls.create(provider="twelvelabs", options={"index_id": INDEX}).json["job_id"]
    video = calls.create(provider="videodb").json["job_id"]
    desk.ended(desk.create())

    for job_id in (asset, video):
        assert code(refused(partial(desk.tasks.retrieve, job_id))) == "resource_not_exist"
    assert {task.index_id for task in desk.tasks.list()} == {INDEX}
    assert desk.tasks.list().items is not None
    assert call().json["page_info"]["total_results"] == 1


def test_a_video_is_no_task(desk: Desk) -> None:
    done = desk.ended(desk.create())

    # its id leads to the job as well
    assert media.followers("twelvelabs", str(done.video_id)).items
    assert code(refused(partial(desk.tasks.retrieve, str(done.video_id)))) == "resource_not_exist"


def test_a_task_that_was_made_by_the_jobs_api_is_a_task(desk: Desk) -> None:
    made = calls.create(provider="twelvelabs", plan="task", options={"index_id": INDEX}).json["job_id"]

    assert desk.ended(made).status == "ready"
    assert [task.id for task in desk.tasks.list()] == [made]


def test_the_sdk_turns_the_pages_of_the_list(desk: Desk) -> None:
    made = [desk.create(f"{number}.mp4") for number in range(5)]

    assert {task.id for task in desk.tasks.list(page_limit=2)} == set(made)
    page = call(query={"page_limit": 2, "page": 2}).json
    assert len(page["data"]) == 2
    assert page["page_info"] == {"limit_per_page": 2, "page": 2, "total_page": 3, "total_results": 5}


def test_the_sdk_filters_by_all_that_there_is(desk: Desk) -> None:
    one, other = desk.create("one.mp4"), desk.create("other.mp4", index_id="other")
    both = done, _ = desk.ended(one), desk.ended(other)
    about = done.system_metadata
    # midnight may be between them
    that_day = {task.id for task in both if task.created_at[:10] == done.created_at[:10]}

    def found(**filters: Any) -> set[Any]:
        return {task.id for task in desk.tasks.list(**filters)}

    assert found(index_id=INDEX) == found(filename="one.mp4") == found(duration=about.duration) == {one}
    assert found(width=1920) == found(height=1080) == found(status=["ready", "failed"]) == {one, other}
    assert found(status="failed") == found(width=1) == found(filename="one") == set()
    assert found(created_at=done.created_at) == that_day
    assert found(updated_at=done.updated_at, index_id=INDEX) == {one}
    later = clock.iso(from_iso(done.updated_at) + 1)
    assert one not in found(updated_at=later)
    assert [task.id for task in desk.tasks.list(sort_by="updated_at", sort_option="asc")] == [one, other]


def test_a_list_leaves_out_the_stream(desk: Desk) -> None:
    desk.ended(desk.create())

    [task] = call().json["data"]
    assert "hls" not in task
    assert set(task) == {
        "_id",
        "video_id",
        "created_at",
        "updated_at",
        "status",
        "index_id",
        "system_metadata",
    }


def test_a_bad_parameter_of_the_list_is_a_bad_request(desk: Desk) -> None:
    with pytest.raises(BadRequestError) as refusal:
        desk.tasks.list(page_limit=51)
    assert code(refusal.value) == "parameter_invalid"
    assert "from 1 to 50" in refusal.value.body["message"]


# --- Deleting -------------------------------------------------------------------------------------------------------


def test_a_failed_task_is_deleted_at_twelvelabs_and_here(desk: Desk) -> None:
    task_id = desk.create("private.mp4")
    desk.ended(task_id)
    theirs = job(task_id).steps["task"].platform_job_id

    desk.tasks.delete(task_id)

    assert [request.path for request in desk.asked("DELETE")] == [f"/tasks/{theirs}"]
    for gone in (task_id, str(theirs)):
        assert code(refused(partial(desk.tasks.retrieve, gone))) == "resource_not_exist"
    assert list(desk.tasks.list()) == []


def test_a_ready_task_is_deleted_after_its_video_and_not_before(desk: Desk) -> None:
    task_id = desk.create()
    done = desk.ended(task_id)

    refusal = refused(partial(desk.tasks.delete, task_id))
    assert (refusal.status_code, code(refusal)) == (400, "task_cannot_be_deleted")
    assert refusal.body["message"] == f"Video {done.video_id} must be deleted before its task."
    assert desk.tasks.retrieve(task_id).status == "ready"

    httpx.delete(f"{desk.twelvelabs.url}/indexes/{INDEX}/videos/{done.video_id}", headers={"x-api-key": "tlk"})
    desk.tasks.delete(task_id)
    assert code(refused(partial(desk.tasks.retrieve, task_id))) == "resource_not_exist"


def test_a_task_that_is_not_done_is_not_deleted(desk: Desk) -> None:
    waiting = desk.create("stuck.mp4")
    for status in ("uploading", "indexing"):
        refusal = refused(partial(desk.tasks.delete, waiting))
        assert (refusal.status_code, code(refusal)) == (400, "task_cannot_be_deleted")
        for _ in range(200):
            if desk.tasks.retrieve(waiting).status == "indexing":
                break
            desk.work()
        assert desk.tasks.retrieve(waiting).status == "indexing", status
    assert desk.asked("DELETE") == []


def test_a_canceled_task_that_runs_on_at_twelvelabs_is_not_deleted(desk: Desk) -> None:
    task_id = desk.create("stuck.mp4")
    desk.work()
    cancel(task_id)

    refusal = refused(partial(desk.tasks.delete, task_id))

    assert code(refusal) == "task_cannot_be_deleted"
    assert "indexing" in refusal.body["message"]
    assert desk.tasks.retrieve(task_id).status == "failed"


def test_a_task_that_twelvelabs_never_had_is_deleted_here_alone(desk: Desk) -> None:
    task_id = desk.create("video_file_broken.mp4")
    desk.ended(task_id)

    desk.tasks.delete(task_id)

    assert desk.asked("DELETE") == []
    assert code(refused(partial(desk.tasks.retrieve, task_id))) == "resource_not_exist"


def test_what_twelvelabs_has_deleted_already_is_deleted_here(desk: Desk) -> None:
    task_id = desk.create("private.mp4")
    desk.ended(task_id)
    theirs = job(task_id).steps["task"].platform_job_id
    httpx.delete(f"{desk.twelvelabs.url}/tasks/{theirs}", headers={"x-api-key": "tlk"})

    desk.tasks.delete(task_id)

    assert code(refused(partial(desk.tasks.retrieve, task_id))) == "resource_not_exist"


def test_nothing_is_deleted_while_twelvelabs_is_away(desk: Desk) -> None:
    task_id = desk.create("private.mp4")
    desk.ended(task_id)

    with patch.dict("os.environ", TWELVELABS_URL="http://127.0.0.1:9"):
        refusal = refused(partial(desk.tasks.delete, task_id))

    assert (refusal.status_code, code(refusal)) == (503, "service_unavailable")
    assert desk.tasks.retrieve(task_id).status == "failed"


def test_a_task_is_deleted_although_its_end_was_not_announced_yet(desk: Desk) -> None:
    task_id = desk.create("video_file_broken.mp4")
    end_unannounced(desk, task_id)

    desk.tasks.delete(task_id)

    assert jobs.read(task_id) is None
    assert len(desk.stack.messages("BusNotifications")) == 1


def test_nothing_is_deleted_whose_end_cannot_be_announced(desk: Desk) -> None:
    task_id = desk.create("private.mp4")
    end_unannounced(desk, task_id)

    with calls.away("sqs"):
        refusal = refused(partial(desk.tasks.delete, task_id))

    assert (refusal.status_code, code(refusal)) == (503, "service_unavailable")
    assert desk.asked("DELETE") == []
    assert desk.tasks.retrieve(task_id).status == "failed"


def test_a_task_that_changes_while_it_is_deleted_stays(desk: Desk) -> None:
    task_id = desk.create("video_file_broken.mp4")
    desk.ended(task_id)

    with patch.object(jobs, "delete", return_value=False):
        refusal = refused(partial(desk.tasks.delete, task_id))

    assert (refusal.status_code, code(refusal)) == (400, "task_cannot_be_deleted")


# --- Files ----------------------------------------------------------------------------------------------------------


def test_a_file_goes_on_to_twelvelabs_byte_for_byte_and_becomes_ready(desk: Desk) -> None:
    created = desk.tasks.create(
        index_id=INDEX,
        video_file=("Grüße.mp4", VIDEO, "video/mp4"),
        user_metadata='{"tag": "a"}',
        enable_video_stream=False,
    )
    assert created.id

    # its video is known from the start
    assert created.video_id == desk.tasks.retrieve(created.id).video_id is not None
    done = desk.ended(created.id)

    assert (done.status, done.video_id, done.hls) == ("ready", created.video_id, None)
    assert done.system_metadata.filename == "Grüße.mp4"
    [asked] = desk.asked("POST")
    assert asked.body == {
        "index_id": INDEX,
        "video_file": UploadedFile(filename="Grüße.mp4", size=len(VIDEO)),
        "user_metadata": '{"tag": "a"}',
        "enable_video_stream": "false",
    }


def test_the_bytes_and_the_type_of_a_file_are_passed_on(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[dict[str, Any]] = []

    def twelvelabs(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        taken.append(event)
        return {"statusCode": 201, "headers": {}, "body": '{"_id": "69a482a37f90675e73cec9a6", "video_id": "v-1"}'}

    with serve({"/": twelvelabs}) as theirs:
        monkeypatch.setenv("TWELVELABS_URL", theirs)
        answer = call("POST", **form(video_file=("talk.mov", VIDEO, "video/quicktime"), index_id=(None, INDEX)))

    assert (answer.status, answer.json["video_id"]) == (201, "v-1")
    [event] = taken
    assert VIDEO in base64.b64decode(event["body"])
    assert b"video/quicktime" in base64.b64decode(event["body"])
    assert event["headers"]["x-api-key"] == "tlk_test"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, '{"code": "something_new", "message": "New words."}', ("something_new", "New words.")),
        (413, '{"error": {"code": "too_much", "message": "It is."}}', ("too_much", "It is.")),
        (403, "<html>", ("unauthorized", "TwelveLabs gave no reason")),
        (404, '{"code": "resource_not_exist", "message": "No index."}', ("resource_not_exist", "No index.")),
    ],
)
def test_what_twelvelabs_says_of_a_file_is_passed_on_also_if_nobody_has_documented_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, status: int, body: str, expected: tuple[str, str]
) -> None:
    with serve({"/": lambda _event, _context: {"statusCode": status, "headers": {}, "body": body}}) as theirs:
        monkeypatch.setenv("TWELVELABS_URL", theirs)
        answer = call("POST", **form(video_file=("talk.mov", VIDEO), index_id=(None, INDEX)))

    assert (answer.status, answer.json["code"], answer.json["message"]) == (status, *expected)
    assert set(answer.json) == {"code", "message", "docs_url"}


def form(**files: Any) -> dict[str, Any]:
    """A form as httpx writes it: for each field (filename or None, content[, type])."""
    request = httpx.Request("POST", "https://example.com", files=files)
    return {"body": request.read(), "content_type": request.headers["content-type"]}


@pytest.mark.parametrize("name", ["video_resolution_too_low", "usage_limit_exceeded", "video_file_broken"])
def test_a_file_that_twelvelabs_refuses_is_refused_in_its_words_and_the_task_has_failed(desk: Desk, name: str) -> None:
    refusal = refused(lambda: desk.upload(f"{name}.mp4"))

    assert (refusal.status_code, code(refusal)) == (400, name)
    desk.work()
    [task] = desk.tasks.list()
    assert (task.status, task.model_extra) == ("failed", {"error_reason": refusal.body["message"]})


def test_an_unknown_index_is_told_at_once_for_a_file_and_later_for_a_url(desk: Desk) -> None:
    refusal = refused(lambda: desk.tasks.create(index_id="unknown-1", video_file=("a.mp4", b"1", "video/mp4")))
    assert (refusal.status_code, code(refusal)) == (404, "resource_not_exist")

    done = desk.ended(desk.create(index_id="unknown-1"))
    assert (done.status, done.error_reason) == ("failed", refusal.body["message"])


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("throttled.mp4", 429, "too_many_requests"),
        ("flaky.mp4", 503, "service_unavailable"),
        ("html.mp4", 503, "service_unavailable"),
        ("reset.mp4", 503, "service_unavailable"),
    ],
)
def test_a_fault_that_passes_is_told_to_the_caller_who_alone_has_the_file(
    desk: Desk, name: str, status: int, expected: str
) -> None:
    refusal = refused(lambda: desk.upload(name))

    assert (refusal.status_code, code(refusal)) == (status, expected)
    assert ((refusal.headers or {}).get("retry-after") == "1") == (status == 429)
    desk.work()
    [task] = desk.tasks.list()
    assert task.status == "failed"
    assert len(desk.asked("POST")) == 1


def test_a_key_of_ours_that_twelvelabs_does_not_take_is_not_the_callers_fault(desk: Desk) -> None:
    secret = json.dumps({"api_key": "tlk_revoked"})
    clients.secretsmanager().put_secret_value(SecretId="TWELVELABS_SECRET", SecretString=secret)

    refusal = refused(desk.upload)

    assert (refusal.status_code, code(refusal)) == (503, "service_unavailable")
    assert "of this deployment" in refusal.body["message"]


def test_a_file_that_failed_cannot_be_tried_again_by_us(desk: Desk) -> None:
    refused(lambda: desk.upload("flaky.mp4"))
    desk.work()
    [task] = desk.tasks.list()
    assert task.id

    assert calls.call("POST", f"/jobs/{task.id}/retry").status == 200
    run_to_end(task.id)
    again = job(task.id)

    assert again.error is not None
    assert (again.status, again.error.code, again.error.retryable) == ("failed", "file_not_kept", False)
    assert len(desk.asked("POST")) == 1


def test_a_request_that_breaks_off_while_it_passes_a_file_on_leaves_a_task_that_fails(desk: Desk) -> None:
    class BrokenOffError(BaseException):
        """What no code can catch: the function is stopped."""

    with patch.object(app.client, "upload_task", side_effect=BrokenOffError), pytest.raises(BrokenOffError):
        call("POST", **form(video_file=("a.mp4", VIDEO), index_id=(None, INDEX)))
    [task] = desk.tasks.list()
    assert (task.status, task.id is not None) == ("uploading", True)
    assert task.id
    with patch.object(clock, "now", return_value=clock.now() + 1000 * submit.LEASE_SECONDS):  # when a sweep finds it
        run_to_end(task.id)

    ended = job(task.id)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("failed", "broke_off")
    assert desk.asked("POST") == []


def test_a_file_is_not_lost_because_its_answer_cannot_be_stored_at_first(desk: Desk) -> None:
    original, tries = transitions.submitted, iter([EndpointConnectionError(endpoint_url="https://dynamodb"), None])

    def submitted(*arguments: Any, **options: Any) -> Any:
        if error := next(tries):
            raise error
        return original(*arguments, **options)

    with patch.object(transitions, "submitted", submitted):
        task_id = desk.upload()

    assert desk.ended(task_id).status == "ready"
    assert len(desk.asked("POST")) == 1


def test_a_task_of_a_file_goes_on_by_the_sweep_if_the_queue_is_away(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, submit, time, sleep=lambda _seconds: None)
    with calls.away("sqs"):
        task_id = desk.upload()

    assert job(task_id).steps["task"].status == StepStatus.RUNNING
    assert desk.ended(task_id).status == "ready"  # a sweep has the worker look at it


def test_a_large_file_is_refused_with_the_sizes_and_what_to_do(desk: Desk) -> None:
    refusal = refused(lambda: desk.upload(content=bytes(task_request.LARGEST_FORM)))

    assert (refusal.status_code, code(refusal)) == (400, "video_filesize_too_large")
    assert "less than 4.5 MB. The current size is 4.5 MB" in refusal.body["message"]
    assert "video_url" in refusal.body["message"]
    assert desk.twelvelabs.requests == []


def test_the_largest_form_fits_into_what_lambda_takes() -> None:
    longest_headers = 10_240  # API Gateway's limit of all headers together
    event = http_event("POST", ROOT, bytes(task_request.LARGEST_FORM), [("content-type", "multipart/form-data")])

    assert len(json.dumps(event)) + 2 * longest_headers < 6 * 1024 * 1024


# --- What POST /tasks takes -----------------------------------------------------------------------------------------

URL = "https://example.com/lecture.mp4"


def test_json_is_taken_as_well_as_a_form(desk: Desk) -> None:
    answer = post(index_id=INDEX, video_url=URL, enable_video_stream=False, user_metadata={"a": 1, "b": True})

    assert answer.status == 201
    assert set(answer.json) == {"_id"}
    assert job(answer.json["_id"]).request.options == {
        "task": {"index_id": INDEX, "enable_video_stream": False, "user_metadata": {"a": 1, "b": True}}
    }


@pytest.mark.parametrize(
    ("fields", "expected", "said"),
    [
        ({}, "parameter_not_provided", "index_id"),
        ({"video_url": URL}, "parameter_not_provided", "index_id"),
        ({"index_id": "", "video_url": URL}, "parameter_not_provided", "index_id"),
        ({"index_id": None, "video_url": URL}, "parameter_not_provided", "index_id"),
        ({"index_id": INDEX}, "parameter_not_provided", "video_url"),
        ({"index_id": INDEX, "video_url": ""}, "parameter_not_provided", "video_url"),
        ({"index_id": "../x", "video_url": URL}, "parameter_invalid", "index_id"),
        ({"index_id": 1, "video_url": URL}, "parameter_invalid", "index_id"),
        ({"index_id": INDEX, "video_url": "file:///etc/passwd"}, "parameter_invalid", "video_url"),
        ({"index_id": INDEX, "video_url": "lecture.mp4"}, "parameter_invalid", "video_url"),
        ({"index_id": INDEX, "video_url": "https://e.com/" + "a" * 9000}, "parameter_invalid", "video_url"),
        ({"index_id": INDEX, "video_file": "lecture.mp4"}, "parameter_invalid", "video_file"),
        ({"index_id": INDEX, "video_url": URL, "language": "en"}, "parameter_unknown", "language"),
        ({"index_id": INDEX, "video_url": URL, "enable_video_stream": "no"}, "parameter_invalid", "enable_video"),
        ({"index_id": INDEX, "video_url": URL, "enable_video_stream": [1]}, "parameter_invalid", "enable_video"),
        ({"index_id": INDEX, "video_url": URL, "user_metadata": "{"}, "parameter_invalid", "user_metadata"),
        ({"index_id": INDEX, "video_url": URL, "user_metadata": "[]"}, "parameter_invalid", "user_metadata"),
        ({"index_id": INDEX, "video_url": URL, "user_metadata": {"a": {}}}, "parameter_invalid", "user_metadata"),
        ({"index_id": INDEX, "video_url": URL, "user_metadata": {"a": "b" * 70_000}}, "parameter_invalid", "user_meta"),
        ({"index_id": INDEX, "video_url": URL, "user_metadata": '"\ud800"'}, "parameter_invalid", "contains some"),
        ([], "parameter_invalid", "JSON object"),
        ("text", "parameter_invalid", "JSON object"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_the_documented_code(
    stack: Stack, fields: Any, expected: str, said: str
) -> None:
    answer = post(fields)

    assert (answer.status, answer.code) == (400, expected)
    assert said in answer.json["message"]
    assert "Value error" not in answer.json["message"]
    assert stack.items() == []


def test_forms_are_read_as_they_come(stack: Stack) -> None:
    answer = call("POST", **form(index_id=(None, INDEX), video_url=(None, URL), enable_video_stream=(None, "true")))

    assert answer.status == 201
    assert job(answer.json["_id"]).request.options["task"]["enable_video_stream"] is True


def raw_form(*parts: bytes, boundary: bytes = b"B", end: bytes = b"--B--\r\n") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


GOOD = (part("index_id", INDEX.encode()), part("video_url", URL.encode()))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ('multipart/form-data; boundary="B"', raw_form(*GOOD)),
        ("Multipart/Form-Data; BOUNDARY=B; charset=utf-8", raw_form(*GOOD)),
        ("multipart/form-data; boundary=B", b"a preamble\r\n" + raw_form(*GOOD)),
        ("multipart/form-data; boundary=B", raw_form(*GOOD) + b"an epilogue"),
        (
            'multipart/form-data; boundary="a b:c"',
            raw_form(*GOOD, boundary=b"a b:c", end=b"--a b:c--"),
        ),
        # a browser's file field in which nothing was chosen
        (
            "multipart/form-data; boundary=B",
            raw_form(
                *GOOD,
                b'Content-Disposition: form-data; name="video_file"; filename=""\r\n'
                b"Content-Type: application/octet-stream\r\n\r\n",
            ),
        ),
    ],
    ids=["quoted boundary", "case", "preamble", "epilogue", "odd boundary", "no file chosen"],
)
def test_a_good_form_is_read(stack: Stack, content_type: str, body: bytes) -> None:
    answer = call("POST", body=body, content_type=content_type)

    assert answer.status == 201, answer.json
    assert job(answer.json["_id"]).request.source == URL


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", raw_form(*GOOD)),
        ("multipart/form-data; boundary=", raw_form(*GOOD)),
        ("multipart/form-data; boundary=other", raw_form(*GOOD)),
        ("multipart/form-data; boundary=B", b""),
        ("multipart/form-data; boundary=B", raw_form(*GOOD, end=b"")),
        ("multipart/form-data; boundary=B", raw_form(*GOOD)[:-20]),
        ("multipart/form-data; boundary=B", raw_form(b"no header")),
        ("multipart/form-data; boundary=B", raw_form(b"Content-Disposition: form-data\r\n\r\nno name")),
        ("multipart/form-data; boundary=B", raw_form(part("index_id", b"\xff\xfe"))),
        ("multipart/form-data; boundary=B", raw_form(*(part(f"p{n}", b"1") for n in range(100)))),
        ("application/x-www-form-urlencoded", b"index_id=1"),
        ("text/plain", b"index_id=1"),
        ("", b"index_id=1"),
        ("application/json", b"{"),
        ("application/json", b'{"index_id": "a", "index_id": "b"}'),
        ("application/json", b""),
        ("application/json", b" " * 300_000),
    ],
)
def test_what_cannot_be_read_is_an_invalid_parameter(stack: Stack, content_type: str, body: bytes) -> None:
    answer = call("POST", body=body, content_type=content_type)

    assert (answer.status, answer.code) == (400, "parameter_invalid")
    assert stack.items() == []


def test_a_body_that_is_not_what_its_event_says_is_an_invalid_parameter(stack: Stack) -> None:
    event = http_event("POST", ROOT, b"{}", [("x-api-key", API_KEY)]) | {"isBase64Encoded": True, "body": "?"}

    answer = app.handler(event, Context())

    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["code"] == "parameter_invalid"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part("index_id", b"a"), part("index_id", b"b")], "parameter_invalid"),
        ([*GOOD, part("video_file", b"1", '; filename="a.mp4"')], "parameter_invalid"),
        ([GOOD[0], part("video_file", b"", '; filename="a.mp4"')], "video_file_broken"),
        ([GOOD[0], part("video_file", b"1")], "parameter_invalid"),
        ([GOOD[0], part("video_url", b"1", '; filename="a.mp4"')], "parameter_invalid"),
        ([part("index_id", b"1", '; filename="a"'), GOOD[1]], "parameter_invalid"),
        ([*GOOD, part("nonsense", b"1", '; filename="a.mp4"')], "parameter_unknown"),
        ([*GOOD, part("enable_video_stream", b"maybe")], "parameter_invalid"),
    ],
)
def test_a_form_that_says_the_wrong_things_is_refused(stack: Stack, parts: list[bytes], expected: str) -> None:
    answer = call("POST", body=raw_form(*parts), content_type="multipart/form-data; boundary=B")

    assert (answer.status, answer.code) == (400, expected)
    assert stack.items() == []


def test_the_same_idempotency_key_makes_one_task(stack: Stack) -> None:
    def ask(key: str, url: str = URL) -> Answer:
        body = json.dumps({"index_id": INDEX, "video_url": url}).encode()
        return call("POST", body=body, idempotency_key=key)

    first, again, other = ask("one"), ask("one"), ask("two")

    assert first.json == again.json != other.json
    assert re.fullmatch(r"[0-9a-f]{24}", first.json["_id"])
    assert len(stack.items("JOB#")) == 4  # two jobs'
    reused = ask("one", "https://example.com/other.mp4")
    assert (reused.status, reused.code) == (400, "parameter_invalid")
    assert "Idempotency-Key" in reused.json["message"]


def test_the_key_of_a_deleted_task_makes_no_other_one(desk: Desk) -> None:
    once: Any = {"additional_headers": {"Idempotency-Key": "once"}}
    task_id = desk.create("video_file_broken.mp4", request_options=once)
    desk.ended(task_id)
    desk.tasks.delete(task_id)

    assert code(refused(lambda: desk.create("video_file_broken.mp4", request_options=once))) == "parameter_invalid"


def test_a_task_is_in_the_table_although_the_queue_is_away(stack: Stack) -> None:
    with calls.away("sqs"):
        answer = post(index_id=INDEX, video_url=URL)

    assert answer.status == 201
    assert job(answer.json["_id"]).status == JobStatus.PENDING


def test_ids_sort_by_their_time_and_do_not_repeat() -> None:
    ids = {task_request.new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in ids)
    moments = {int(each[:8], 16) for each in ids}
    assert max(moments) - min(moments) < 3600
    assert abs(min(moments) - datetime.now(UTC).timestamp()) < 3600


# --- Who may, and what else can happen ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/69a482a37f90675e73cec9a6", "/twelvelabs/other"])
@pytest.mark.parametrize("key", [None, "", "wrong", API_KEY + "x"])
def test_a_wrong_key_opens_nothing(stack: Stack, method: str, path: str, key: str | None) -> None:
    answer = call(method, path, key=key, query="page=0", body=b"{", content_type="application/json")

    assert (answer.status, answer.code) == (401, "api_key_invalid")
    assert not [made for made in stack.calls if made.startswith("dynamodb")]


def test_the_sdk_reads_that_its_key_is_wrong(desk: Desk, url: str, http: httpx.Client) -> None:
    stranger = TwelveLabs(api_key="tlk_wrong", base_url=f"{url}/twelvelabs", httpx_client=http)
    for ask in (
        lambda: stranger.tasks.create(index_id=INDEX, video_url=URL),
        lambda: stranger.tasks.retrieve("a"),
        stranger.tasks.list,
        lambda: stranger.tasks.delete("a"),
    ):
        refusal = refused(ask)
        assert (refusal.status_code, code(refusal)) == (401, "api_key_invalid")


def test_a_bearer_token_is_as_good(stack: Stack) -> None:
    assert call(key=None, authorization=f"Bearer {API_KEY}").status == 200


def test_keys_that_cannot_be_read_let_nobody_in(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS_SECRET", "nowhere")

    answer = call()

    assert (answer.status, answer.code) == (503, "service_unavailable")


def test_a_fault_of_ours_is_an_error_that_the_sdk_can_read(stack: Stack) -> None:
    with calls.away("dynamodb"):
        for ask in (call, partial(call, "GET", f"{ROOT}/a"), partial(post, index_id=INDEX, video_url=URL)):
            answer = ask()
            assert (answer.status, answer.code) == (503, "service_unavailable")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", ROOT), ("POST", f"{ROOT}/a"), ("DELETE", ROOT), ("GET", "/twelvelabs/indexes"), ("GET", f"{ROOT}s")],
)
def test_an_unknown_route_is_not_allowed(stack: Stack, method: str, path: str) -> None:
    answer = call(method, path)

    assert (answer.status, answer.code) == (404, "api_not_allowed")


def test_the_name_of_the_key_that_asked_is_logged(stack: Stack) -> None:
    with captured() as log:
        call()
        call(key="wrong")

    assert [line["api_key_name"] for line in log.messages("asked")] == ["default"]


def test_no_key_is_logged(desk: Desk, http: httpx.Client, url: str) -> None:
    with captured() as log:
        desk.upload()
        refused(lambda: desk.upload("flaky.mp4"))
        call(key="almost-a-key")
        with calls.away("dynamodb"):
            call()
    assert len(log.lines) >= 4
    for secret in (API_KEY, "tlk_test", "almost-a-key"):
        assert secret not in log.getvalue()


# --- Lists, against TwelveLabs' own as it is simulated --------------------------------------------------------------

NOON = datetime(2025, 11, 1, 12, tzinfo=UTC)
moments = st.builds(
    lambda days, millis: NOON + timedelta(days=days, milliseconds=millis),
    st.integers(-1, 1),
    st.sampled_from([0, 1, 999, 43_199_999, 43_200_000, -43_200_000]),
)
files = st.sampled_from(["a.mp4", "b.mp4", "c d&e.mp4"])
indexes = st.sampled_from(["one", "two"])
numbers = st.sampled_from([0, 1, 360, 30.5, 1920])
STANDS: dict[str, tuple[JobStatus, StepStatus, str | None]] = {
    "uploading": (JobStatus.PENDING, StepStatus.QUEUED, None),
    **{word: (JobStatus.RUNNING, StepStatus.RUNNING, word) for word in ("validating", "pending", "queued", "indexing")},
    "ready": (JobStatus.SUCCEEDED, StepStatus.SUCCEEDED, "ready"),
    "failed": (JobStatus.FAILED, StepStatus.FAILED, None),
}


@st.composite
def tasks(draw: st.DrawFn, number: int) -> Job:
    """A task that stands anywhere."""
    status, step, word = STANDS[draw(st.sampled_from(sorted(STANDS)))]
    created = draw(moments)
    about = draw(
        st.none()
        | st.fixed_dictionaries(
            {}, optional={"filename": files, "duration": numbers, "width": numbers, "height": numbers}
        )
    )
    accepted = step not in (StepStatus.QUEUED,)
    moment = draw(st.sampled_from([timedelta(0), timedelta(days=1), timedelta(minutes=1)]))
    return Job(
        job_id=f"{draw(st.integers(0, 15)):x}{number}",
        provider="twelvelabs",
        status=status,
        steps={
            "task": Step(
                status=step,
                attempt_limit=3,
                platform_job_id="theirs" if accepted else None,
                platform_status=word,
                result=None if about is None else {"system_metadata": about},
            )
        },
        request=Request(options={"task": {"index_id": draw(indexes)}}),
        created_at=moment_of(created),
        updated_at=moment_of(created + moment),
    )


def moment_of(moment: datetime) -> int:
    return from_iso(moment.isoformat())


@st.composite
def some_tasks(draw: st.DrawFn) -> list[Job]:
    return [draw(tasks(number)) for number in range(draw(st.integers(0, 12)))]


def written(moment: datetime) -> st.SearchStrategy[str]:
    """A time in the ways in which one may write it."""
    return st.sampled_from(
        [
            moment.isoformat(),
            moment.isoformat().replace("+00:00", "Z"),
            moment.replace(tzinfo=None).isoformat(),
            moment.date().isoformat(),
            (moment + timedelta(hours=2)).replace(tzinfo=None).isoformat() + "+02:00",
            (moment + timedelta(microseconds=500)).isoformat(),
        ]
    )


queries = st.fixed_dictionaries(
    {},
    optional={
        "page": st.integers(1, 4),
        "page_limit": st.sampled_from([1, 2, 3, 10, 50]),
        "sort_by": st.sampled_from(["created_at", "updated_at"]),
        "sort_option": st.sampled_from(["asc", "desc"]),
        "status": st.lists(st.sampled_from(task_view.WORDS), min_size=1, max_size=4),
        "index_id": indexes,
        "filename": files,
        "duration": numbers,
        "width": numbers,
        "height": numbers,
        "created_at": moments.flatmap(written),
        "updated_at": moments.flatmap(written),
    },
)
anything = hypothesis_settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


listed = task_view.listed


def as_simulated(found: list[Job], query: QueryParams) -> Any:
    """What the simulated TwelveLabs makes of the same tasks."""
    ordered = sorted(found, key=lambda each: (each.created_at, each.job_id))
    rows = [
        row | {"system_metadata": {"filename": None} | row["system_metadata"]} for row in map(task_view.listed, ordered)
    ]
    page = lists.read_wanted(query).page_of(lists.filtered(rows, query))
    return [row["_id"] for row in page["data"]], page["page_info"]  # type: ignore[attr-defined]


@hypothesis_settings(anything, max_examples=400)
@given(found=some_tasks(), query=queries)
def test_every_filter_order_and_page_is_twelvelabs(found: list[Job], query: dict[str, Any]) -> None:
    asked = QueryParams(str(httpx.QueryParams(query)))
    wanted = task_list.read({name: asked.getlist(name) for name in asked})

    page = task_list.page(found, wanted)

    assert ([row["_id"] for row in page["data"]], page["page_info"]) == as_simulated(found, asked)


@hypothesis_settings(anything, max_examples=30)
@given(found=some_tasks(), query=queries)
def test_what_is_in_the_table_is_listed_and_nothing_else(stack: Stack, found: list[Job], query: dict[str, Any]) -> None:
    stack.clear()
    for each in found:
        jobs.create(each)
    calls.create(provider="twelvelabs", options={"index_id": INDEX})  # an asset

    answer = call(query=query)

    assert answer.status == 200
    asked = QueryParams(str(httpx.QueryParams(query)))
    assert ([row["_id"] for row in answer.json["data"]], answer.json["page_info"]) == as_simulated(found, asked)


@hypothesis_settings(anything, max_examples=100)
@given(found=some_tasks(), limit=st.integers(1, 5), query=queries)
def test_the_pages_together_are_the_whole_list_without_gaps_or_repetitions(
    found: list[Job], limit: int, query: dict[str, Any]
) -> None:
    asked = {
        name: [str(each) for each in (value if isinstance(value, list) else [value])] for name, value in query.items()
    }
    asked.pop("page", None)

    def rows(page: int, size: int) -> Any:
        return task_list.page(found, task_list.read(asked | {"page": [str(page)], "page_limit": [str(size)]}))

    whole = rows(1, 50)
    pages = [rows(number, limit) for number in range(1, whole["page_info"]["total_results"] // limit + 2)]

    assert [row for page in pages for row in page["data"]] == whole["data"]
    assert {page["page_info"]["total_results"] for page in pages} == {len(whole["data"])}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_tasks_of_the_same_moment_keep_one_order_whatever_the_table_gives_first(order: str) -> None:
    moment = moment_of(NOON)
    made = [
        Job(
            job_id=job_id,
            provider="twelvelabs",
            status=JobStatus.PENDING,
            steps={"task": Step(status=StepStatus.QUEUED, attempt_limit=3)},
            created_at=created,
            updated_at=moment,
        )
        for job_id, created in [("c", moment_of(NOON - timedelta(days=1))), ("a", moment), ("b", moment)]
    ]
    wanted = task_list.read({"sort_by": ["updated_at"], "sort_option": [order]})

    for given_first in (made, made[::-1]):
        found = [row["_id"] for row in task_list.page(given_first, wanted)["data"]]
        assert found == (["c", "a", "b"] if order == "asc" else ["b", "a", "c"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page=0", "parameter_invalid"),
        ("page=-1", "parameter_invalid"),
        ("page=one", "parameter_invalid"),
        ("page=" + "9" * 5000, "parameter_invalid"),
        ("page=1.0", "parameter_invalid"),
        ("page=%D9%A1", "parameter_invalid"),
        ("page=1&page=2", "parameter_invalid"),
        ("page=", "parameter_invalid"),
        ("page_limit=0", "parameter_invalid"),
        ("page_limit=51", "parameter_invalid"),
        ("sort_by=status", "parameter_invalid"),
        ("sort_option=down", "parameter_invalid"),
        ("status=done", "parameter_invalid"),
        ("status=ready&status=", "parameter_invalid"),
        ("status=ready,failed", "parameter_invalid"),
        ("duration=long", "parameter_invalid"),
        ("duration=nan", "parameter_invalid"),
        ("width=inf", "parameter_invalid"),
        ("height=", "parameter_invalid"),
        ("filename=a&filename=b", "parameter_invalid"),
        ("index_id=", "parameter_invalid"),
        ("created_at=yesterday", "parameter_invalid"),
        ("created_at=2026-13-01", "parameter_invalid"),
        ("updated_at=0001-01-01T00:00:00%2B14:00", "parameter_invalid"),
        ("updated_at=9999-12-31T23:59:59-14:00", "parameter_invalid"),
        ("order=desc", "parameter_unknown"),
        ("Page=1", "parameter_unknown"),
    ],
)
def test_a_list_that_cannot_be_is_refused(stack: Stack, query: str, expected: str) -> None:
    answer = call(query=query)

    assert (answer.status, answer.code) == (400, expected)
    assert query.split("=")[0] in answer.json["message"]


def test_an_empty_list_has_no_pages(stack: Stack) -> None:
    info = {"limit_per_page": 10, "page": 1, "total_page": 0, "total_results": 0}
    assert call().json == {"data": [], "page_info": info}


def test_a_filter_by_the_time_of_creation_reads_no_more_than_that_day(stack: Stack) -> None:
    created = calls.create(provider="twelvelabs", plan="task", options={"index_id": INDEX}).json["job_id"]
    for day in range(20):
        for name, hours in (("begins", timedelta(hours=-12)), ("ends", timedelta(hours=12, milliseconds=-1))):
            moment = moment_of(NOON + timedelta(days=day) + hours)
            jobs.create(job(created).model_copy(update={"job_id": f"{day}-{name}", "created_at": moment}))

    with calls.reads() as reads:
        answer = call(query={"created_at": "2025-11-03T00:00:00Z"})

    assert [row["_id"] for row in answer.json["data"]] == ["2-ends", "2-begins"]
    assert {read.index for read in reads} == {"by_provider"}
    assert sum(read.items for read in reads) == 2


def test_nothing_in_a_forms_names_and_types_can_become_a_header_of_ours() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="video_file"; filename="a\nb.mp4"\r\n'
        b"Content-Type: video/mp4\nX-Evil: 1\r\n\r\nbytes\r\n--b--\r\n"
    )

    ((name, file),) = forms.read("multipart/form-data; boundary=b", body)

    assert isinstance(file, forms.FormFile)
    assert (name, file.content, file.content_type) == ("video_file", b"bytes", "application/octet-stream")
    assert "\n" not in file.name
