"""What the simulated TwelveLabs promises: the documented bodies, good signatures, the fault that was asked for."""

import asyncio
import hashlib
import hmac
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread
from typing import Any

import pytest
import urllib3

from local.platforms.courier import Courier
from local.platforms.twelvelabs import BEHAVIOURS, Knobs, SimulatedTwelveLabs, UploadedFile
from local.platforms.twelvelabs.account import Work, new_video
from local.platforms.twelvelabs.behaviour import Step, read_source, table
from local.platforms.twelvelabs.forms import read_form
from local.platforms.twelvelabs.webhooks import Event, Webhooks, signature

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
SECRET = "whs_3f1c0d"

# made apart from this repository's code, for a signed string that the documents print
VECTOR = ("whsec_test_123", b'{"name":"test"}', 1659342128)
VECTOR_SIGNATURE = "t=1659342128,v1=d513f0777c9ec72305c35d906f319149417be21375fcfc8708da44d47019862b"

ID = re.compile(r"[0-9a-f]{24}")
EVENT_ID = re.compile(r"whe_[0-9a-f]{32}")
EVENT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+09:00")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

DOCS_URL = "https://docs.twelvelabs.io/api-reference/error-codes"


def wait_for[T](condition: Callable[[], T]) -> T:
    """The condition's first value that is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value


# --- a receiver, and a client that knows nothing of the SDK ---


@dataclass(frozen=True)
class Received:
    target: str
    content_type: str | None
    signature: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def proves(self, secret: str) -> bool:
        """As the documents have a receiver do it."""
        parts = dict(part.split("=", 1) for part in self.signature.split(","))
        expected = hmac.new(secret.encode(), parts["t"].encode() + b"." + self.body, "sha256").hexdigest()
        return parts["v1"] == expected and abs(time.time() - int(parts["t"])) < 300


@dataclass
class Receiver:
    """Takes callbacks, and answers them with `statuses`, then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def targets(self) -> list[str]:
        return [callback.target for callback in self.received]

    def first(self, count: int) -> list[Received]:
        return wait_for(lambda: self.received[:count] if len(self.received) >= count else [])


class Server(ThreadingHTTPServer):
    request_queue_size = 256


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.received.append(Received(self.path, self.headers["content-type"], self.headers["TL-Signature"], body))
            self.send_response(state.statuses.pop(0) if state.statuses else 200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@dataclass
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    twelvelabs: SimulatedTwelveLabs
    key: str | None = "tlk_test"
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=50))

    def call(self, method: str, path: str, **more: Any) -> Answer:
        """`more`: urllib3's own `fields` (a form), `json`, `body`, `headers`."""
        key = {"x-api-key": self.key} if self.key is not None else {}
        headers = {**key, **more.pop("headers", {})}
        answer = self.pool.request(method, self.twelvelabs.url + path, headers=headers, **more)
        return Answer(answer.status, answer.headers, answer.data)

    def get(self, path: str) -> Any:
        return self.call("GET", path).json

    def submit_task(self, file: str, index_id: str = "index", **headers: str) -> Answer:
        fields = {"index_id": index_id, "video_url": f"https://example.com/{file}"}
        return self.call("POST", "/tasks", fields=fields, headers=headers)

    def submit_asset(self, file: str, **headers: str) -> Answer:
        fields = {"method": "url", "url": f"https://example.com/{file}"}
        return self.call("POST", "/assets", fields=fields, headers=headers)

    def submit_indexed_asset(self, asset_id: str, index_id: str = "index", **headers: str) -> Answer:
        return self.call("POST", f"/indexes/{index_id}/indexed-assets", json={"asset_id": asset_id}, headers=headers)

    def task(self, file: str, index_id: str = "index") -> str:
        """The id of a task that has just begun."""
        return created(self.submit_task(file, index_id))

    def end(self, path: str) -> Any:
        """What is there when it is ready or failed."""

        def ended() -> Any:
            answer = self.get(path)
            return answer if answer["status"] in ("ready", "failed") else None

        return wait_for(ended)

    def ended_task(self, file: str) -> Any:
        return self.end(f"/tasks/{self.task(file)}")

    def asset(self, file: str) -> str:
        """The id of an asset that is ready."""
        asset = self.end(f"/assets/{created(self.submit_asset(file))}")
        assert asset["status"] == "ready"
        asset_id: str = asset["_id"]
        return asset_id


def created(answer: Answer) -> str:
    assert answer.status == 201, answer.body
    made: str = answer.json["_id"]
    return made


@pytest.fixture(scope="module")
def twelvelabs() -> Iterator[SimulatedTwelveLabs]:
    """Nobody registers a webhook with it."""
    with SimulatedTwelveLabs(pace=0.01) as twelvelabs:
        yield twelvelabs


@pytest.fixture
def client(twelvelabs: SimulatedTwelveLabs) -> Client:
    return Client(twelvelabs)


@pytest.fixture
def lone_client() -> Iterator[Client]:
    """Of a server that nobody else has asked anything, for tests that count."""
    with SimulatedTwelveLabs(pace=0.01) as twelvelabs:
        yield Client(twelvelabs)


@pytest.fixture
def told_client(lone_client: Client, receiver: Receiver) -> Client:
    """Of a server that sends its events to the receiver."""
    lone_client.twelvelabs.register(f"{receiver.url}/twelvelabs", SECRET)
    return lone_client


# --- signatures ---


def test_a_signature_is_that_of_the_test_vector() -> None:
    secret, body, timestamp = VECTOR
    assert signature(secret, body, timestamp) == VECTOR_SIGNATURE
    by_hand = hmac.new(secret.encode(), b'1659342128.{"name":"test"}', hashlib.sha256).hexdigest()
    assert by_hand in VECTOR_SIGNATURE


def test_an_event_is_signed_with_its_endpoints_secret(told_client: Client, receiver: Receiver) -> None:
    told_client.twelvelabs.register(f"{receiver.url}/other", "whs_other")
    told_client.task("talk.mp4")
    by_target = {callback.target: callback for callback in receiver.first(2)}
    assert by_target["/twelvelabs"].proves(SECRET)
    assert by_target["/other"].proves("whs_other")
    assert not by_target["/other"].proves(SECRET)
    assert by_target["/twelvelabs"].body == by_target["/other"].body


def test_an_endpoint_hears_of_what_begins_after_it_was_registered(lone_client: Client, receiver: Receiver) -> None:
    lone_client.ended_task("talk.mp4")
    lone_client.twelvelabs.register(receiver.url, SECRET)
    task_id = lone_client.task("other.mp4")
    assert receiver.first(1)[0].json["data"]["id"] == task_id
    assert len(receiver.received) == 1


# --- events ---


def test_a_ready_tasks_event_has_the_documented_body(told_client: Client, receiver: Receiver) -> None:
    task = told_client.ended_task("talk.mp4")
    [callback] = receiver.first(1)
    assert callback.content_type == "application/json"
    event = callback.json
    assert list(event) == ["id", "created_at", "type", "data"]
    assert EVENT_ID.fullmatch(event["id"])
    assert EVENT_TIME.fullmatch(event["created_at"])
    assert event["type"] == "index.task.ready"
    assert event["data"] == {
        "id": task["_id"],
        "metadata": {"duration": task["system_metadata"]["duration"]},
        "status": "ready",
        "models": [{"name": "marengo2.7", "options": ["visual", "audio"]}],
        "tags": [],
    }


def test_an_event_is_dated_in_seoul() -> None:
    at = datetime(2022, 8, 1, 8, 22, 18, 372553, tzinfo=UTC)
    event = json.loads(Event(id="whe_1", at=at, task_id="1", duration=30).body)
    assert event["created_at"] == "2022-08-01T17:22:18.372553+09:00"  # printed


def test_a_failed_tasks_event_tells_no_reason_and_no_video(told_client: Client, receiver: Receiver) -> None:
    task_id = told_client.task("private.mp4")
    [callback] = receiver.first(1)
    assert callback.proves(SECRET)
    assert callback.json["type"] == "index.task.failed"
    assert (callback.json["data"]["id"], callback.json["data"]["status"]) == (task_id, "failed")
    assert sorted(callback.json["data"]) == ["id", "models", "status", "tags"]


def test_an_event_is_sent_when_polling_tells_the_same(told_client: Client, receiver: Receiver) -> None:
    task_id = told_client.task("talk.mp4")
    receiver.first(1)
    assert told_client.get(f"/tasks/{task_id}")["status"] == "ready"


def test_an_event_that_is_not_taken_comes_again_with_its_id(told_client: Client, receiver: Receiver) -> None:
    receiver.statuses = [500, 302]
    told_client.task("talk.mp4")
    came = receiver.first(3)
    assert {callback.body for callback in came} == {came[0].body}
    assert all(callback.proves(SECRET) for callback in came)
    wait_for(lambda: len(told_client.twelvelabs.deliveries) == 3)
    deliveries = told_client.twelvelabs.deliveries
    assert [(delivery.status, delivery.attempt, delivery.resent) for delivery in deliveries] == [
        (500, 1, 0),
        (302, 1, 1),
        (200, 1, 2),
    ]
    assert [delivery.headers["TL-Signature"] for delivery in deliveries] == [callback.signature for callback in came]


def test_an_event_that_is_never_taken_is_given_up_after_two_resends(lone_client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    lone_client.twelvelabs.register(f"http://127.0.0.1:{port}/hook?token=secret", SECRET)
    lone_client.task("talk.mp4")
    deliveries = wait_for(lambda: lone_client.twelvelabs.deliveries[2:])
    assert deliveries[0].resent == 2
    lone_client.ended_task("other.mp4")
    wait_for(lambda: len(lone_client.twelvelabs.deliveries) == 6)
    assert {delivery.status for delivery in lone_client.twelvelabs.deliveries} == {None}
    assert {delivery.url for delivery in lone_client.twelvelabs.deliveries} == {f"http://127.0.0.1:{port}/hook"}


def test_indexed_assets_tell_nothing_unless_they_are_told_to(told_client: Client, receiver: Receiver) -> None:
    indexed_id = created(told_client.submit_indexed_asset(told_client.asset("talk.mp4")))
    told_client.end(f"/indexes/index/indexed-assets/{indexed_id}")
    task_id = told_client.task("talk.mp4")
    assert receiver.first(1)[0].json["data"]["id"] == task_id


@pytest.mark.parametrize(("file", "status"), [("talk.mp4", "ready"), ("index-fails.mp4", "failed")])
def test_indexed_assets_tell_what_tasks_do_if_they_are_told_to(file: str, status: str, receiver: Receiver) -> None:
    with SimulatedTwelveLabs(pace=0.01, indexed_asset_events=True) as twelvelabs:
        twelvelabs.register(receiver.url, SECRET)
        client = Client(twelvelabs)
        indexed_id = created(client.submit_indexed_asset(client.asset(file)))
        [callback] = receiver.first(1)
    assert callback.proves(SECRET)
    assert callback.json["type"] == f"index.task.{status}"
    assert callback.json["data"]["id"] == indexed_id


# --- the API ---


def test_a_created_task_is_answered_with_two_ids(client: Client) -> None:
    answer = client.submit_task("talk.mp4")
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["_id", "video_id"]
    assert all(ID.fullmatch(made) for made in answer.json.values())
    assert answer.json["_id"] != answer.json["video_id"]


def test_a_task_has_the_documented_shape(client: Client) -> None:
    task = client.ended_task("talk.mp4")
    keys = ["_id", "video_id", "index_id", "status", "created_at", "updated_at", "system_metadata", "hls"]
    assert list(task) == keys
    assert sorted(task["hls"]) == ["status", "thumbnail_urls", "updated_at", "video_url"]
    assert all(TIME.fullmatch(moment) for moment in (task["created_at"], task["updated_at"], task["hls"]["updated_at"]))
    [row] = client.get(f"/tasks?filename=talk.mp4&index_id=index&duration={task['system_metadata']['duration']}")[
        "data"
    ]
    assert list(row) == keys[:-1]


def test_a_list_has_the_documented_shape(client: Client) -> None:
    for number in range(3):
        client.task(f"talk.mp4?n={number}", index_id="shape")
    listed = client.get("/tasks?index_id=shape&page=2&page_limit=2")
    assert len(listed["data"]) == 1
    assert listed["page_info"] == {"limit_per_page": 2, "page": 2, "total_page": 2, "total_results": 3}
    beyond = client.get("/tasks?index_id=shape&page=3")
    assert (beyond["data"], beyond["page_info"]["limit_per_page"]) == ([], 10)


def test_a_list_by_date_is_of_that_day_at_or_after_that_time(client: Client) -> None:
    task = client.get(f"/tasks/{client.task('stuck.mp4', index_id='by-date')}")
    began = datetime.fromisoformat(task["created_at"])

    def found(moment: datetime | str) -> int:
        asked = moment if isinstance(moment, str) else moment.isoformat().replace("+00:00", "Z")
        count: int = client.get(f"/tasks?index_id=by-date&created_at={asked}")["page_info"]["total_results"]
        return count

    assert found(began) == found(began.date().isoformat()) == 1
    assert found(began + timedelta(milliseconds=1)) == 0
    assert found(began - timedelta(days=1)) == 0


def test_a_task_goes_through_its_statuses_in_equal_times() -> None:
    def work(passed: float) -> Work:
        source = read_source("https://example.com/talk.mp4", Knobs())
        video = new_video("talk.mp4", Random(7))
        began = datetime.now(UTC) - timedelta(seconds=passed)
        return Work(id="1", step=Step.TASK, source=source, video=video, pace=400, began=began)

    statuses = [work(passed).status for passed in (0, 50, 150, 250, 350, 4000)]
    assert statuses == ["validating", "validating", "pending", "queued", "indexing", "indexing"]
    queued = work(250)
    assert queued.updated_at == queued.began + timedelta(seconds=200)
    queued.ended = True
    assert (queued.status, queued.updated_at) == ("ready", queued.ends_at)


def test_a_task_is_not_measured_before_it_is_validated() -> None:
    with SimulatedTwelveLabs(pace=LIMIT_SECONDS * 10) as twelvelabs:
        client = Client(twelvelabs)
        task = client.get(f"/tasks/{client.task('talk.mp4')}")
    assert (task["status"], task["system_metadata"]) == ("validating", {"filename": "talk.mp4"})
    assert (task["hls"]["status"], "video_url" in task["hls"]) == ("PROCESSING", False)


def test_an_asset_says_what_is_known_of_it(client: Client) -> None:
    answer = client.submit_asset("talk.mp4")
    assert answer.status == 201
    assert list(answer.json) == ["_id", "method", "status", "filename", "file_type", "created_at"]
    asset = client.end(f"/assets/{answer.json['_id']}")
    assert list(asset)[6:] == ["hls", "thumbnail", "size", "technical_metadata", "duration"]


def test_a_processing_asset_has_no_measures(client: Client) -> None:
    asset = client.get(f"/assets/{created(client.submit_asset('stuck.mp4'))}")
    assert (asset["status"], asset["hls"], asset["thumbnail"]) == (
        "processing",
        {"status": "processing"},
        {"status": "processing"},
    )
    assert not {"size", "duration", "technical_metadata", "error"} & asset.keys()


def test_an_image_has_no_duration_and_no_stream(client: Client) -> None:
    asset = client.get(f"/assets/{client.asset('cover.png')}")
    assert asset["file_type"] == "image/png"
    assert not {"duration", "hls"} & asset.keys()


def test_a_path_under_the_version_is_the_same(client: Client) -> None:
    task = client.ended_task("talk.mp4")  # which changes no more between two answers
    assert client.get(f"/v1.3/tasks/{task['_id']}") == client.get(f"/tasks/{task['_id']}") == task


TASKS, ASSETS, INDEXED = "/tasks", "/assets", "/indexes/index/indexed-assets"
TALK = "https://example.com/talk.mp4"
NO_ID = "69a482a37f90675e73cec9a6"


@pytest.mark.parametrize(
    ("method", "path", "asked", "expected"),
    [
        ("POST", TASKS, {"json": {"index_id": "i", "video_url": TALK}}, (400, "parameter_invalid", "The request")),
        ("POST", TASKS, {}, (400, "parameter_invalid", "The request")),
        ("POST", TASKS, {"fields": {"video_url": TALK}}, (400, "parameter_not_provided", "The index_id parameter")),
        ("POST", TASKS, {"fields": {"index_id": "i"}}, (400, "parameter_not_provided", "The video_url parameter")),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": "talk"}},
            (400, "parameter_invalid", "The video_url"),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": "http://["}},
            (400, "parameter_invalid", "The video"),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": f"{TALK}?drop=often"}},
            (400, "parameter_invalid", "The video_url parameter is invalid. It turns a knob wrongly"),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": TALK, "video_file": ("a.mp4", b"a")}},
            (400, "parameter_invalid", "The request contains"),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": TALK, "callback_url": TALK}},
            (400, "parameter_unknown", "The callback_url parameter is unknown."),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": TALK, "enable_video_stream": "yes"}},
            (400, "parameter_invalid", "The enable_video_stream parameter is invalid."),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": TALK, "user_metadata": "[]"}},
            (400, "parameter_invalid", "The user_metadata parameter is invalid."),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "i", "video_url": TALK, "user_metadata": "{"}},
            (400, "parameter_invalid", "The user_metadata parameter is invalid."),
        ),
        (
            "POST",
            TASKS,
            {"fields": {"index_id": "unknown", "video_url": TALK}},
            (404, "resource_not_exist", "Resource with id unknown does not exist in indexes."),
        ),
        ("POST", ASSETS, {"fields": {"url": TALK}}, (400, "parameter_not_provided", "The method parameter")),
        ("POST", ASSETS, {"fields": {"method": "post"}}, (400, "parameter_invalid", "The method parameter")),
        ("POST", ASSETS, {"fields": {"method": "url"}}, (400, "parameter_not_provided", "The url parameter")),
        ("POST", ASSETS, {"fields": {"method": "direct"}}, (400, "parameter_not_provided", "The file parameter")),
        ("POST", INDEXED, {"body": b"not json"}, (400, "parameter_invalid", "The request")),
        ("POST", INDEXED, {"json": []}, (400, "parameter_invalid", "The request")),
        ("POST", INDEXED, {"json": {}}, (400, "parameter_not_provided", "The asset_id parameter")),
        ("POST", INDEXED, {"json": {"asset_id": 5}}, (400, "parameter_invalid", "The asset_id parameter")),
        ("POST", INDEXED, {"json": {"asset_id": NO_ID}}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        (
            "POST",
            "/indexes/unknown-1/indexed-assets",
            {"json": {}},
            (404, "resource_not_exist", "Resource with id unk"),
        ),
        ("GET", "/tasks?page=0", {}, (400, "parameter_invalid", "The page parameter")),
        ("GET", "/tasks?page_limit=51", {}, (400, "parameter_invalid", "The page_limit parameter")),
        ("GET", "/tasks?sort_option=up", {}, (400, "parameter_invalid", "The sort_option parameter")),
        ("GET", "/tasks?duration=long", {}, (400, "parameter_invalid", "The duration parameter")),
        ("GET", f"/tasks/{NO_ID}", {}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        ("DELETE", f"/tasks/{NO_ID}", {}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        ("DELETE", f"/indexes/index/videos/{NO_ID}", {}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        ("GET", f"/assets/{NO_ID}", {}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        ("DELETE", f"/assets/{NO_ID}", {}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        ("GET", f"/assets/{NO_ID}/indexed-assets", {}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        ("GET", f"{INDEXED}/{NO_ID}", {}, (404, "resource_not_exist", f"Resource with id {NO_ID}")),
        ("GET", "/indexes/unknown/indexed-assets", {}, (404, "resource_not_exist", "Resource with id unknown")),
        ("GET", "/nowhere", {}, (404, "api_not_allowed", "GET /nowhere")),
        ("PUT", "/tasks", {}, (405, "api_not_allowed", "PUT /tasks")),
    ],
)
def test_a_wrong_request_gets_the_flat_error(
    method: str, path: str, asked: dict[str, Any], expected: tuple[int, str, str], client: Client
) -> None:
    status, code, message = expected
    answer = client.call(method, path, **asked)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["message"].startswith(message)
    assert answer.json == {"code": code, "message": answer.json["message"], "docs_url": DOCS_URL}


def test_an_indexed_asset_is_in_one_index_only(client: Client) -> None:
    indexed_id = created(client.submit_indexed_asset(client.asset("talk.mp4")))
    assert client.call("GET", f"/indexes/other/indexed-assets/{indexed_id}").status == 404


def test_a_deletion_is_answered_with_nothing(client: Client) -> None:
    for path in (f"/tasks/{client.ended_task('private.mp4')['_id']}", f"/assets/{client.asset('talk.mp4')}"):
        answer = client.call("DELETE", path)
        assert (answer.status, answer.body) == (204, b"")
        assert client.call("DELETE", path).status == 404


@pytest.mark.parametrize("key", [None, "", " ", "tlk_revoked", "tlk_revoked-2"])
def test_without_a_good_key_nothing_is_answered(key: str | None, twelvelabs: SimulatedTwelveLabs) -> None:
    stranger = Client(twelvelabs, key=key)
    for answer in (stranger.call("GET", "/tasks"), stranger.submit_task("talk.mp4")):
        assert (answer.status, answer.json["code"]) == (401, "api_key_invalid")


def test_requests_are_kept_as_they_came_but_without_the_key(lone_client: Client) -> None:
    lone_client.call("GET", "/tasks?page=2", headers={"X-Trace": "1"})
    lone_client.call("POST", INDEXED, body=b"not json")
    lone_client.call("POST", INDEXED, json={"asset_id": "a"})
    lone_client.call("POST", TASKS, fields={"index_id": "i", "video_file": ("talk.mp4", b"12345")})
    kept = [(request.method, request.path, request.query, request.body) for request in lone_client.twelvelabs.requests]
    assert kept == [
        ("GET", "/tasks", "page=2", {}),
        ("POST", INDEXED, "", {}),
        ("POST", INDEXED, "", {"asset_id": "a"}),
        ("POST", TASKS, "", {"index_id": "i", "video_file": UploadedFile(filename="talk.mp4", size=5)}),
    ]
    assert lone_client.twelvelabs.requests[0].headers["x-trace"] == "1"
    assert "tlk_test" not in str(lone_client.twelvelabs.requests)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"--b\r\n\r\n--b--"),
        ("multipart/form-data", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"),
    ],
)
def test_what_is_no_whole_form_is_not_read(content_type: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"form|unpack"):
        read_form(content_type, body)


def test_a_form_without_fields_is_empty() -> None:
    assert read_form('multipart/form-data; boundary="b"', b"--b--\r\n") == {}


# --- what is asked for twice ---


def test_what_is_asked_for_again_is_made_again_whatever_key_comes_with_it(client: Client) -> None:
    key = {"Idempotency-Key": "job-1"}  # documented for analyses only

    first, second = (created(client.submit_asset("talk.mp4", **key)) for _ in range(2))
    client.end(f"/assets/{first}")
    made = {created(client.submit_indexed_asset(first, **key)) for _ in range(2)}

    assert first != second
    assert len(made) == 2
    assert {one["_id"] for one in client.get(f"/assets/{first}/indexed-assets")["data"]} == made


def test_assets_are_listed_by_a_part_of_their_name_the_newest_first(lone_client: Client) -> None:
    talks = [created(lone_client.submit_asset("talk.mp4")) for _ in range(2)]
    created(lone_client.submit_asset("lecture.mp4"))

    listed = lone_client.get("/assets?filename=TALK&page_limit=50")

    assert [one["_id"] for one in listed["data"]] == talks[::-1]
    assert listed["page_info"]["total_results"] == 2
    assert lone_client.get("/assets")["page_info"]["total_results"] == 3


def test_an_answer_that_is_lost_has_made_something(lone_client: Client) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        lone_client.submit_task("lost.mp4")
    assert lone_client.get("/tasks")["page_info"]["total_results"] == 1
    lone_client.task("lost.mp4")
    assert lone_client.get("/tasks")["page_info"]["total_results"] == 2


def test_what_a_lost_answer_has_made_is_found(lone_client: Client) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        lone_client.submit_asset("lost.mp4")
    [asset] = lone_client.get("/assets?filename=lost.mp4")["data"]
    lone_client.end(f"/assets/{asset['_id']}")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        lone_client.submit_indexed_asset(asset["_id"])
    [summary] = lone_client.get(f"/assets/{asset['_id']}/indexed-assets")["data"]
    assert summary["_id"]


# --- behaviours ---


@pytest.mark.parametrize(
    ("file", "statuses"),
    [
        ("flaky.mp4", [503, 503, 201, 201]),
        ("throttled.mp4", [429, 201, 201]),
        ("html.mp4", [502, 201, 201]),
        ("refused.mp4", [400, 400, 400]),
        ("usage_limit_exceeded.mp4", [400, 400]),
        ("talk.mp4?throttle=1&fail=2", [429, 503, 503, 201]),
        ("flaky.mp4?fail=1", [503, 503, 503, 201]),
    ],
)
def test_submits_are_answered_in_the_sources_order(file: str, statuses: list[int], lone_client: Client) -> None:
    assert [lone_client.submit_task(file).status for _ in statuses] == statuses


def test_assets_and_tasks_count_their_own_submits(lone_client: Client) -> None:
    assert lone_client.submit_task("throttled.mp4").status == 429
    assert [lone_client.submit_asset("throttled.mp4").status for _ in range(2)] == [429, 201]
    assert lone_client.submit_task("throttled.mp4?n=2").status == 429


def test_an_indexings_submits_fail_by_knob(lone_client: Client) -> None:
    assert lone_client.submit_asset("talk.mp4?fail=1").status == 503
    asset_id = lone_client.asset("talk.mp4?fail=1")
    assert [lone_client.submit_indexed_asset(asset_id).status for _ in range(2)] == [503, 201]


def test_a_throttled_submit_says_how_long_to_wait(lone_client: Client) -> None:
    before = int(time.time())
    answer = lone_client.submit_task("throttled.mp4")
    assert (answer.headers["Retry-After"], answer.headers["X-RateLimit-Request-Remaining"]) == ("1", "0")
    assert before < int(answer.headers["X-RateLimit-Request-Reset"]) <= int(time.time()) + 1
    assert answer.json["message"].startswith("You have exceeded the rate limit (60req/1minute). Please try again later")


def test_an_unavailable_platform_answers_in_the_nested_envelope(lone_client: Client) -> None:
    answer = lone_client.submit_task("flaky.mp4")
    assert list(answer.json) == ["error"]
    assert list(answer.json["error"]) == ["code", "message"]


def test_a_bad_gateway_answers_in_html(lone_client: Client) -> None:
    answer = lone_client.submit_asset("html.mp4")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<html>")


def test_a_reset_submit_gets_no_answer_then_works(lone_client: Client) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        lone_client.submit_task("reset.mp4")
    assert lone_client.get("/tasks")["page_info"]["total_results"] == 0
    assert lone_client.ended_task("reset.mp4")["status"] == "ready"


def test_an_uploaded_files_name_decides_as_a_urls_does(client: Client) -> None:
    fields = {"index_id": "index", "video_file": ("video_duration_too_long.mp4", b"")}
    answer = client.call("POST", TASKS, fields=fields)
    assert (answer.status, answer.json["code"]) == (400, "video_duration_too_long")


def test_a_silent_source_never_calls_back(receiver: Receiver) -> None:
    with SimulatedTwelveLabs(pace=0.01, indexed_asset_events=True) as twelvelabs:
        twelvelabs.register(receiver.url, SECRET)
        client = Client(twelvelabs)
        assert client.ended_task("silent.mp4")["status"] == "ready"
        indexed_id = created(client.submit_indexed_asset(client.asset("silent.mp4")))
        assert client.end(f"{INDEXED}/{indexed_id}")["status"] == "ready"
        client.task("talk.mp4")
        receiver.first(1)
    assert [json.loads(delivery.body)["type"] for delivery in twelvelabs.deliveries] == ["index.task.ready"]
    assert len(receiver.received) == 1


def test_a_garbled_event_is_cut_but_well_signed_and_polling_tells_all(told_client: Client, receiver: Receiver) -> None:
    task_id = told_client.task("garbled.mp4")
    [callback] = receiver.first(1)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(callback.body)
    assert callback.proves(SECRET)
    assert told_client.get(f"/tasks/{task_id}")["status"] == "ready"


def test_a_doubled_event_comes_again_with_its_id(told_client: Client, receiver: Receiver) -> None:
    told_client.task("twice.mp4")
    first, second = receiver.first(2)
    assert first.body == second.body
    assert second.proves(SECRET)
    wait_for(lambda: len(told_client.twelvelabs.deliveries) == 2)
    assert [delivery.attempt for delivery in told_client.twelvelabs.deliveries] == [1, 2]


def test_events_that_are_due_together_swap_places(receiver: Receiver) -> None:
    async def send_both() -> None:
        courier = Courier(timeout=LIMIT_SECONDS, patience=LIMIT_SECONDS)
        webhooks = Webhooks(courier)
        webhooks.register(receiver.url, SECRET)
        callbacks = [
            webhooks.plan(
                Event(id=f"whe_{number}", at=datetime.now(UTC), task_id=NO_ID, duration=None),
                knobs=Knobs(reorder=True),
                delay=0,
                random=Random(7),
            )
            for number in (1, 2)
        ]
        await asyncio.gather(*map(webhooks.send, callbacks))
        courier.close()

    asyncio.run(send_both())
    assert [callback.json["id"] for callback in receiver.received] == ["whe_2", "whe_1"]


def test_a_late_event_comes_after_others_work_is_done(receiver: Receiver) -> None:
    """Nothing is timed: what began when the late task was ready by polling still overtakes its event."""
    with SimulatedTwelveLabs(pace=0.05) as twelvelabs:
        twelvelabs.register(receiver.url, SECRET)
        client = Client(twelvelabs)
        late = client.ended_task("late.mp4")["_id"]
        prompt = client.task("talk.mp4")
        came = receiver.first(2)
    assert [callback.json["data"]["id"] for callback in came] == [prompt, late]


def test_an_early_event_is_there_before_the_answer(told_client: Client, receiver: Receiver) -> None:
    task_id = told_client.task("early.mp4")
    assert [callback.json["data"]["id"] for callback in receiver.received] == [task_id]


def test_a_stuck_source_is_still_at_it_when_later_ones_are_done(told_client: Client, receiver: Receiver) -> None:
    stuck = told_client.task("stuck.mp4")
    asset_id = created(told_client.submit_asset("stuck.mp4"))
    later = told_client.ended_task("talk.mp4")["_id"]
    wait_for(lambda: told_client.get(f"/tasks/{stuck}")["status"] == "indexing")
    assert told_client.get(f"/assets/{asset_id}")["status"] == "processing"
    assert [callback.json["data"]["id"] for callback in receiver.first(1)] == [later]


def test_a_stuck_index_lets_the_asset_be_ready(client: Client) -> None:
    indexed_id = created(client.submit_indexed_asset(client.asset("stuck-index.mp4")))
    wait_for(lambda: client.get(f"{INDEXED}/{indexed_id}")["status"] == "indexing")
    client.ended_task("talk.mp4")
    assert client.get(f"{INDEXED}/{indexed_id}")["status"] == "indexing"


def test_every_behaviour_is_in_the_printed_table() -> None:
    printed_names = {line.split()[0] for line in table().splitlines()}
    assert printed_names == {*BEHAVIOURS, "else", "?knobs"}


# --- knobs ---


def test_further_copies_come_as_often_as_asked(told_client: Client, receiver: Receiver) -> None:
    told_client.task("talk.mp4?duplicate=2")
    assert len({callback.body for callback in receiver.first(3)}) == 1


def test_the_servers_knobs_hold_unless_the_source_turns_them(receiver: Receiver) -> None:
    with SimulatedTwelveLabs(pace=0.01, knobs=Knobs(drop=1)) as twelvelabs:
        twelvelabs.register(receiver.url, SECRET)
        client = Client(twelvelabs)
        client.ended_task("talk.mp4")
        sent = client.task("talk.mp4?drop=0&delay=0.05")
        assert receiver.first(1)[0].json["data"]["id"] == sent
    assert len(receiver.received) == 1


def bodies_of_a_run(seed: int, receiver: Receiver) -> list[bytes]:
    """Events of thirty tasks at once, half of them cut, without the times, which no seed decides."""
    receiver.received.clear()
    with SimulatedTwelveLabs(pace=0.01, seed=seed) as twelvelabs, ThreadPoolExecutor(10) as threads:
        twelvelabs.register(receiver.url, SECRET)
        client = Client(twelvelabs)
        files = [f"talk.mp4?garble=0.5&n={number % 20}" for number in range(30)]
        list(threads.map(client.task, files))
        came = receiver.first(30)
    return sorted(re.sub(rb'"created_at": "[^"]*"', b"", callback.body) for callback in came)


def test_a_run_repeats_with_its_seed(receiver: Receiver) -> None:
    first = bodies_of_a_run(7, receiver)
    assert 0 < len([body for body in first if body.endswith(b"}}")]) < 30
    assert len(set(first)) == 30
    assert bodies_of_a_run(7, receiver) == first
    assert bodies_of_a_run(8, receiver) != first


# --- the server ---


def test_two_hundred_tasks_at_once_all_call_back(told_client: Client, receiver: Receiver) -> None:
    with ThreadPoolExecutor(50) as threads:
        made = list(threads.map(lambda number: told_client.task(f"talk.mp4?n={number}"), range(200)))
    came = receiver.first(200)
    assert len({callback.json["id"] for callback in came}) == 200
    assert sorted(callback.json["data"]["id"] for callback in came) == sorted(made)


def test_the_server_is_gone_after_its_with(receiver: Receiver) -> None:
    with SimulatedTwelveLabs(pace=0.01) as twelvelabs:
        twelvelabs.register("http://127.0.0.1:9", SECRET)
        client = Client(twelvelabs)
        client.task("stuck.mp4")
        client.task("late.mp4")
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        Client(twelvelabs).get("/tasks")


def test_a_server_can_have_the_port_that_it_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with SimulatedTwelveLabs(port=port) as twelvelabs:
        assert twelvelabs.url == f"http://127.0.0.1:{port}"
