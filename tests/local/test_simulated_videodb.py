"""What the simulated VideoDB promises: the documents' bytes, and the fault that was asked for."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread
from typing import Any

import pytest
import urllib3

from local.platforms.courier import Callback, Courier, Line, plan_callback
from local.platforms.videodb import BEHAVIOURS, Knobs, SimulatedVideoDb
from local.platforms.videodb.behaviour import read_source, table
from local.platforms.videodb.payloads import Kind, failed, uploaded

PATIENT = 60.0  # how many times longer than VideoDB an answer may take here
LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
EXTENSION = {Kind.VIDEO: "mp4", Kind.AUDIO: "mp3", Kind.IMAGE: "jpg"}

# https://docs.videodb.io/callback-details-66 as it is stored: with its markdown escapes
PAGE = {
    Kind.VIDEO: r"""{
"success":true,
"data":{
"id":"m-\*\*",
"collection\_id":"c-\*\*",
"name":"What is AWS? | Amazon Web Services",
"extension":"mp4",
"size":"13294233",
"length":"191.146667",
"stream\_url":"https://stream.videodb.io/v3/published/xxx/xx/x.m3u8",
"player\_url":"https://console.videodb.io/player?url=https://stream.videodb.io/v3/published/manifests/xxx/xx/x.m3u8"
}
}""",
    Kind.AUDIO: r"""{
"success":true,
"data":{
"id":"a-\*\*",
"collection\_id":"c-\*\*",
"name":"What is AWS? | Amazon Web Services",
"extension":"mp3",
"size":"13294233",
"length":"191.146667"
}
}""",
    Kind.IMAGE: r"""{
"success":true,
"data":{
"id":"img-\*\*",
"collection\_id":"c-\*\*",
"name":"What is AWS? | Amazon Web Services",
"extension":"jpg",
"size":"13294233"
}
}""",
}

DOWNLOAD_FAILED = b'{\n  "success": false,\n  "message": "Download failed."\n}'  # the page "Async patterns"

SPOKEN_WORDS = {"index_type": "spoken_word"}
SHOTS = {"extraction_type": "shot"}


def printed(kind: Kind) -> bytes:
    return PAGE[kind].replace(r"\_", "_").replace(r"\*", "*").encode()


def wait_for[T](condition: Callable[[], T]) -> T:
    """The condition's first value that is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value


@dataclass(frozen=True)
class Received:
    target: str
    content_type: str | None
    body: bytes


@dataclass
class Receiver:
    """Takes callbacks, and answers them with `status`."""

    url: str = ""
    status: int = 200
    received: list[Received] = field(default_factory=list)

    def targets(self) -> list[str]:
        return [callback.target for callback in self.received]

    def bodies(self) -> list[bytes]:
        return [callback.body for callback in self.received]

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
            state.received.append(Received(self.path, self.headers["content-type"], body))
            self.send_response(state.status)
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
    videodb: SimulatedVideoDb
    key: str | None = "sk-test"
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=50))

    def call(self, method: str, path: str, body: object = None) -> Answer:
        headers = {"x-access-token": self.key} if self.key is not None else {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.pool.request(method, self.videodb.url + path, body=data, headers=headers)
        return Answer(answer.status, answer.headers, answer.data)

    def get(self, path: str) -> Any:
        return self.call("GET", path).json

    def submit(self, path: str, body: object) -> str:
        """The id of the job."""
        answer = self.call("POST", path, body)
        assert answer.json["success"] is True, answer.body
        job_id: str = answer.json["data"]["id"]
        return job_id

    def upload(self, file: str, **more: object) -> str:
        return self.submit("/collection/c-1/upload", {"url": f"https://example.com/{file}", **more})

    def end(self, job_id: str) -> Any:
        """What polling says when it does not say processing."""

        def ended() -> Any:
            answer = self.get(f"/async-response/{job_id}")
            return None if answer["status"] == "processing" else answer

        return wait_for(ended)

    def video(self, file: str, **more: object) -> str:
        """The id of an uploaded video."""
        video_id: str = self.end(self.upload(file, **more))["response"]["data"]["id"]
        return video_id


@pytest.fixture(scope="module")
def videodb() -> Iterator[SimulatedVideoDb]:
    with SimulatedVideoDb(pace=0.01) as videodb:
        yield videodb


@pytest.fixture
def client(videodb: SimulatedVideoDb) -> Client:
    return Client(videodb)


@pytest.fixture
def lone_client() -> Iterator[Client]:
    """Of a server that nobody else has asked anything, for tests that count."""
    with SimulatedVideoDb(pace=0.01) as videodb:
        yield Client(videodb)


# --- bodies ---


@pytest.mark.parametrize(("kind", "media_id"), [(Kind.VIDEO, "m-**"), (Kind.AUDIO, "a-**"), (Kind.IMAGE, "img-**")])
def test_an_uploads_body_is_the_pages_byte_for_byte(kind: Kind, media_id: str) -> None:
    assert uploaded(kind, media_id, "c-**") == printed(kind)


def test_a_failures_body_is_the_pages_byte_for_byte() -> None:
    assert failed("Download failed.") == DOWNLOAD_FAILED


@pytest.mark.parametrize("kind", Kind)
def test_an_uploads_callback_is_the_page_with_real_ids(kind: Kind, client: Client, receiver: Receiver) -> None:
    client.upload(f"talk.{EXTENSION[kind]}", callback_url=receiver.url)
    [callback] = receiver.first(1)
    media_id = json.loads(callback.body)["data"]["id"]
    prefix = media_id.split("-")[0]
    assert callback.content_type == "application/json"
    assert callback.body == printed(kind).replace(f"{prefix}-**".encode(), media_id.encode()).replace(b"c-**", b"c-1")


def test_a_given_name_replaces_the_printed_one(client: Client, receiver: Receiver) -> None:
    client.upload("talk.mp4", name='Grüße, "you"', callback_url=receiver.url)
    [callback] = receiver.first(1)
    assert json.loads(callback.body)["data"]["name"] == 'Grüße, "you"'


def test_a_failed_uploads_callback_is_the_page(client: Client, receiver: Receiver) -> None:
    client.upload("private.mp4", callback_url=receiver.url)
    assert receiver.first(1)[0].body == DOWNLOAD_FAILED


@pytest.mark.parametrize(
    ("path", "asked", "keys"),
    [
        ("index", SPOKEN_WORDS, ["id"]),
        ("index/scene", SHOTS, ["scene_index_id"]),
        ("scenes", SHOTS, ["scene_collection"]),
    ],
)
def test_a_later_steps_callback_says_what_was_made(
    path: str, asked: dict[str, str], keys: list[str], client: Client, receiver: Receiver
) -> None:
    video_id = client.video("talk.mp4")
    job_id = client.submit(f"/video/{video_id}/{path}", {**asked, "callback_url": receiver.url})
    [callback] = receiver.first(1)
    body = json.loads(callback.body)
    assert body["success"] is True
    assert list(body["data"]) == keys
    assert client.end(job_id) == {"status": "done", "response": body}


# --- the API ---


def test_a_submit_is_answered_with_the_job_and_where_to_ask_for_it(client: Client, receiver: Receiver) -> None:
    asked = {"url": "https://example.com/stuck.mp4", "name": None, "media_type": None, "callback_url": receiver.url}
    answer = client.call("POST", "/collection/default/upload", asked).json
    job_id = answer["data"]["id"]
    output_url = f"{client.videodb.url}/async-response/{job_id}"
    data = {"id": job_id, "output_url": output_url}
    assert answer == {"success": True, "status": "processing", "request_type": "async", "data": data}


def test_without_a_callback_url_a_submit_is_sync(client: Client) -> None:
    asked = {"url": "https://example.com/talk.mp4"}
    assert client.call("POST", "/collection/c-1/upload", asked).json["request_type"] == "sync"


def test_a_poll_tells_the_percentage_then_the_outcome(client: Client) -> None:
    processing = client.get(f"/async-response/{client.upload('stuck.mp4')}")
    assert processing == {"success": True, "status": "processing", "data": {"percentage": 0}}
    done = client.end(client.upload("talk.mp4"))
    assert done["status"] == "done"
    assert done["response"]["data"]["id"].startswith("m-z-")


def test_a_poll_of_a_failed_job_tells_why(client: Client) -> None:
    outcome = {"success": False, "message": "Download failed."}
    assert client.end(client.upload("private.mp4")) == {"status": "failed", "response": outcome}


@pytest.mark.parametrize("kind", Kind)
def test_a_media_file_can_be_read_where_its_kind_is(kind: Kind, client: Client) -> None:
    data = client.end(client.upload(f"talk.{EXTENSION[kind]}"))["response"]["data"]
    assert client.get(f"/{kind}/{data['id']}") == {"success": True, "data": data}
    for other in set(Kind) - {kind}:
        assert client.call("GET", f"/{other}/{data['id']}").status == 404


def test_the_index_of_spoken_words_has_a_state(client: Client) -> None:
    video_id = client.video("talk.mp4")
    state = f"/video/{video_id}/index/?index_type=spoken_word&engine=default"
    assert client.call("GET", state).status == 404
    client.end(client.submit(f"/video/{video_id}/index", SPOKEN_WORDS))
    assert client.get(state) == {"success": True, "status": "done", "message": "Index is available"}


def test_a_failed_index_of_spoken_words_says_so(client: Client) -> None:
    video_id = client.video("no-speech.mp4")
    client.end(client.submit(f"/video/{video_id}/index", SPOKEN_WORDS))
    assert client.get(f"/video/{video_id}/index/?index_type=spoken_word")["status"] == "failed"


def test_scene_indexes_are_listed_and_read(client: Client) -> None:
    video_id = client.video("talk.mp4")
    ended = client.end(client.submit(f"/video/{video_id}/index/scene", {**SHOTS, "name": "Shots"}))
    index_id = ended["response"]["data"]["scene_index_id"]
    entry = {"name": "Shots", "scene_index_id": index_id, "status": "done"}
    listed = client.get(f"/video/{video_id}/index/scene?collection_id=c-1")
    assert listed == {"success": True, "data": {"scene_indexes": [entry]}}
    records = client.get(f"/video/{video_id}/index/scene/{index_id}")["data"]["scene_index_records"]
    assert [sorted(record) for record in records] == [["description", "end", "start"]] * 2


def test_a_scene_index_that_is_not_done_is_listed_without_records(client: Client) -> None:
    video_id = client.video("stuck-scenes.mp4")
    client.submit(f"/video/{video_id}/index/scene", SHOTS)
    [entry] = client.get(f"/video/{video_id}/index/scene")["data"]["scene_indexes"]
    assert entry["status"] == "processing"
    assert client.get(f"/video/{video_id}/index/scene/{entry['scene_index_id']}")["data"] == {"scene_index_records": []}


def test_scene_collections_are_listed_and_read(client: Client) -> None:
    video_id = client.video("talk.mp4")
    ended = client.end(client.submit(f"/video/{video_id}/scenes", SHOTS))
    collection = ended["response"]["data"]["scene_collection"]
    entry = {"scene_collection_id": collection["scene_collection_id"], "config": SHOTS}
    assert client.get(f"/video/{video_id}/scenes")["data"] == {"scene_collections": [entry]}
    read = client.get(f"/video/{video_id}/scenes/{collection['scene_collection_id']}")
    assert read == {"success": True, "data": {"scene_collection": collection}}


@pytest.mark.parametrize(
    ("path", "asked", "message"),
    [
        ("index", SPOKEN_WORDS, "Spoken word index for video already exists."),
        ("index/scene", SHOTS, "Scene index with id {made} already exists."),
        ("scenes", SHOTS, "Scene collection already exists with id {made}."),
    ],
)
def test_the_same_work_is_not_done_again(path: str, asked: dict[str, str], message: str, client: Client) -> None:
    video_id = client.video("talk.mp4")
    data = client.end(client.submit(f"/video/{video_id}/{path}", asked))["response"]["data"]
    made = data.get("scene_index_id") or data.get("scene_collection", {}).get("scene_collection_id")
    again = client.call("POST", f"/video/{video_id}/{path}", asked)
    assert (again.status, again.json) == (200, {"success": False, "message": message.format(made=made)})
    assert client.call("POST", f"/video/{video_id}/{path}", {**asked, "force": True}).json["success"] is True


def test_another_configuration_is_other_work(client: Client) -> None:
    video_id = client.video("talk.mp4")
    client.end(client.submit(f"/video/{video_id}/index/scene", SHOTS))
    client.end(client.submit(f"/video/{video_id}/index/scene", {"extraction_type": "time"}))
    assert len(client.get(f"/video/{video_id}/index/scene")["data"]["scene_indexes"]) == 2


UPLOAD = "/collection/c-1/upload"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", UPLOAD, b"not json", 400),
        ("POST", UPLOAD, b"\xff", 400),
        ("POST", UPLOAD, None, 400),
        ("POST", UPLOAD, [], 400),
        ("POST", UPLOAD, {}, 400),
        ("POST", UPLOAD, {"url": 5}, 400),
        ("POST", UPLOAD, {"url": "ftp://example.com/talk.mp4"}, 400),
        ("POST", UPLOAD, {"url": "http://["}, 400),
        ("POST", UPLOAD, {"url": "https://example.com/talk.mp4?drop=often"}, 400),
        ("POST", UPLOAD, {"url": "https://example.com/talk.mp4?fail=inf"}, 400),
        ("POST", UPLOAD, {"url": "https://example.com/talk.mp4?delay=-1"}, 400),
        ("POST", UPLOAD, {"url": "https://example.com/talk.mp4", "callback_url": "here"}, 400),
        ("POST", UPLOAD, {"url": "https://example.com/talk.mp4", "callback_url": "http://["}, 400),
        ("POST", "/collection/c-unknown/upload", {"url": "https://example.com/talk.mp4"}, 404),
        ("POST", "/video/m-unknown/index", {}, 400),
        ("POST", "/video/m-unknown/index", {"index_type": "scene"}, 400),
        ("POST", "/video/m-unknown/index", SPOKEN_WORDS, 404),
        ("POST", "/video/m-unknown/index/scene", {"extraction_type": "smell"}, 400),
        ("POST", "/video/m-unknown/index/scene", SHOTS, 404),
        ("POST", "/video/m-unknown/scenes", b"{", 400),
        ("POST", "/video/m-unknown/scenes", {"extraction_type": "smell"}, 400),
        ("POST", "/video/m-unknown/scenes", SHOTS, 404),
        ("GET", "/async-response/job-unknown", None, 404),
        ("GET", "/video/m-unknown", None, 404),
        ("GET", "/audio/a-unknown", None, 404),
        ("GET", "/image/img-unknown", None, 404),
        ("GET", "/video/m-unknown/index/", None, 400),
        ("GET", "/video/m-unknown/index/?index_type=spoken_word", None, 404),
        ("GET", "/video/m-unknown/index/scene", None, 404),
        ("GET", "/video/m-unknown/index/scene/f4db35c5ce45a709", None, 404),
        ("GET", "/video/m-unknown/scenes", None, 404),
        ("GET", "/video/m-unknown/scenes/f4db35c5ce45a709", None, 404),
        ("GET", "/nowhere", None, 404),
        ("GET", UPLOAD, None, 405),
    ],
)
def test_a_wrong_request_gets_the_error_object(
    method: str, path: str, body: object, status: int, client: Client
) -> None:
    answer = client.call(method, path, body)
    assert answer.status == status
    assert answer.json["success"] is False
    assert list(answer.json) == ["success", "message", "error_code"]


@pytest.mark.parametrize("path", ["index/scene/f4db35c5ce45a709", "scenes/f4db35c5ce45a709"])
def test_what_a_video_does_not_have_is_not_found(path: str, client: Client) -> None:
    assert client.call("GET", f"/video/{client.video('talk.mp4')}/{path}").status == 404


def test_an_unknown_job_has_the_documented_message(client: Client) -> None:
    assert client.get("/async-response/job-unknown")["message"] == "Response not found"


@pytest.mark.parametrize("key", [None, "", " ", "sk-revoked", "sk-revoked-2"])
def test_without_a_good_key_nothing_is_answered(key: str | None, videodb: SimulatedVideoDb) -> None:
    answer = Client(videodb, key=key).call("GET", "/async-response/job-unknown")
    assert (answer.status, answer.json["error_code"]) == (401, "UNAUTHORIZED")


def test_a_poor_key_cannot_pay_for_work_but_can_read(videodb: SimulatedVideoDb) -> None:
    poor = Client(videodb, key="sk-poor")
    answer = poor.call("POST", UPLOAD, {"url": "https://example.com/talk.mp4"})
    assert (answer.status, answer.json["message"]) == (402, "Insufficient credits")
    assert poor.call("GET", "/async-response/job-unknown").status == 404


def test_requests_are_kept_as_they_came(lone_client: Client) -> None:
    lone_client.call("GET", "/async-response/job-unknown?wait=1")
    lone_client.call("POST", UPLOAD, b"not json")
    lone_client.call("POST", UPLOAD, {"url": "https://example.com/talk.mp4"})
    kept = [(request.method, request.path, request.body) for request in lone_client.videodb.requests]
    assert kept == [
        ("GET", "/async-response/job-unknown", {}),
        ("POST", UPLOAD, {}),
        ("POST", UPLOAD, {"url": "https://example.com/talk.mp4"}),
    ]


# --- deliveries ---


def test_a_delivery_is_kept_without_its_query(lone_client: Client, receiver: Receiver) -> None:
    lone_client.videodb.courier.slowness = PATIENT
    lone_client.upload("private.mp4", callback_url=f"{receiver.url}/upload?token=secret")
    [delivery] = wait_for(lambda: lone_client.videodb.deliveries)
    assert receiver.targets() == ["/upload?token=secret"]
    assert delivery.url == f"{receiver.url}/upload"
    assert (delivery.body, delivery.status, delivery.attempt) == (DOWNLOAD_FAILED, 200, 1)


def test_a_callback_that_is_answered_badly_is_not_repeated(lone_client: Client, receiver: Receiver) -> None:
    receiver.status, lone_client.videodb.courier.slowness = 500, PATIENT
    lone_client.upload("talk.mp4", callback_url=f"{receiver.url}/first")
    wait_for(lambda: lone_client.videodb.deliveries)
    lone_client.upload("talk.mp4", callback_url=f"{receiver.url}/second")
    wait_for(lambda: len(lone_client.videodb.deliveries) == 2)
    assert receiver.targets() == ["/first", "/second"]
    assert [delivery.status for delivery in lone_client.videodb.deliveries] == [500, 500]


def test_a_callback_that_reaches_nobody_has_no_status(lone_client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    lone_client.upload("talk.mp4", callback_url=f"http://127.0.0.1:{port}")
    [delivery] = wait_for(lambda: lone_client.videodb.deliveries)
    assert delivery.status is None


def test_two_hundred_jobs_at_once_all_call_back(lone_client: Client, receiver: Receiver) -> None:
    def upload(number: int) -> str:
        return lone_client.upload(f"talk.mp4?n={number}", callback_url=f"{receiver.url}/{number}")

    lone_client.videodb.courier.slowness = PATIENT
    with ThreadPoolExecutor(50) as threads:
        jobs = list(threads.map(upload, range(200)))
    receiver.first(200)
    wait_for(lambda: len(lone_client.videodb.deliveries) == 200)
    assert len(set(jobs)) == 200
    assert sorted(receiver.targets()) == sorted(f"/{number}" for number in range(200))
    assert {delivery.status for delivery in lone_client.videodb.deliveries} == {200}


# --- behaviours ---


@pytest.mark.parametrize(
    ("file", "media_type", "message"),
    [
        ("private.mp4", None, "Download failed."),
        ("corrupt.mov", None, "Something went wrong"),
        ("wrong-type.webm", None, "Invalid media type"),
        ("talk.mp4", "audio", "Invalid media type"),
        ("talk.wav", "video", "Invalid media type"),
        ("talk.png", "picture", "Invalid media type"),
        ("talk.pdf", None, "Invalid media type"),
    ],
)
def test_an_upload_fails_with_its_message(file: str, media_type: str | None, message: str, client: Client) -> None:
    ended = client.end(client.upload(file, media_type=media_type))
    assert ended["response"] == {"success": False, "message": message}


@pytest.mark.parametrize("file", ["talk.mp4", "talk.MOV", "talk.webm", "talk"])
def test_a_video_may_say_that_it_is_one(file: str, client: Client) -> None:
    assert client.end(client.upload(file, media_type="video"))["status"] == "done"


@pytest.mark.parametrize(
    ("file", "path", "asked"),
    [
        ("no-speech.mp4", "index", SPOKEN_WORDS),
        ("no-scenes.mp4", "index/scene", SHOTS),
        ("no-extract.mp4", "scenes", SHOTS),
    ],
)
def test_a_later_step_fails_on_its_source(
    file: str, path: str, asked: dict[str, str], client: Client, receiver: Receiver
) -> None:
    video_id = client.video(file)
    job_id = client.submit(f"/video/{video_id}/{path}", {**asked, "callback_url": receiver.url})
    ended = client.end(job_id)
    assert (ended["status"], ended["response"]["success"]) == ("failed", False)
    assert json.loads(receiver.first(1)[0].body) == ended["response"]


def test_spoken_words_that_are_there_already_are_refused_until_forced(client: Client) -> None:
    video_id = client.video("already-indexed.mp4")
    answer = client.call("POST", f"/video/{video_id}/index", SPOKEN_WORDS)
    assert answer.json == {"success": False, "message": "Spoken word index for video already exists."}
    assert client.get(f"/video/{video_id}/index/?index_type=spoken_word")["status"] == "done"
    client.end(client.submit(f"/video/{video_id}/index", {**SPOKEN_WORDS, "force": True}))


def test_a_scene_index_that_is_there_already_is_named(client: Client) -> None:
    video_id = client.video("scene-exists.mp4")
    [entry] = client.get(f"/video/{video_id}/index/scene")["data"]["scene_indexes"]
    answer = client.call("POST", f"/video/{video_id}/index/scene", SHOTS)
    assert answer.json["message"] == f"Scene index with id {entry['scene_index_id']} already exists."
    int(entry["scene_index_id"], 16)


@pytest.mark.parametrize(
    ("file", "statuses"),
    [
        ("flaky.mp4", [503, 503, 200, 200]),
        ("throttled.mp4", [429, 200, 200]),
        ("html.mp4", [502, 200, 200]),
        ("refused.mp4", [400, 400, 400]),
        ("talk.mp4?throttle=1&fail=2", [429, 503, 503, 200]),
        ("flaky.mp4?fail=1", [503, 503, 503, 200]),
    ],
)
def test_submits_are_answered_in_the_sources_order(file: str, statuses: list[int], lone_client: Client) -> None:
    asked = {"url": f"https://example.com/{file}"}
    assert [lone_client.call("POST", UPLOAD, asked).status for _ in statuses] == statuses


def test_each_source_url_counts_its_own_submits(lone_client: Client) -> None:
    for number in range(3):
        asked = {"url": f"https://example.com/throttled.mp4?n={number}"}
        assert lone_client.call("POST", UPLOAD, asked).status == 429


def test_a_throttled_submit_says_how_long_to_wait(lone_client: Client) -> None:
    answer = lone_client.call("POST", UPLOAD, {"url": "https://example.com/throttled.mp4"})
    assert answer.headers["retry-after"] == "1"
    assert answer.json["success"] is False


def test_a_bad_gateway_answers_in_html(lone_client: Client) -> None:
    answer = lone_client.call("POST", UPLOAD, {"url": "https://example.com/html.mp4"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<html>")


def test_a_reset_submit_gets_no_answer_then_works(lone_client: Client) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        lone_client.upload("reset.mp4")
    assert lone_client.end(lone_client.upload("reset.mp4"))["status"] == "done"


def test_a_later_steps_submits_fail_by_knob(lone_client: Client) -> None:
    asked = {"url": "https://example.com/talk.mp4?fail=1"}
    assert lone_client.call("POST", UPLOAD, asked).status == 503
    video_id = lone_client.video("talk.mp4?fail=1")
    statuses = [lone_client.call("POST", f"/video/{video_id}/index", SPOKEN_WORDS).status for _ in range(2)]
    assert statuses == [503, 200]


def test_a_silent_source_never_calls_back(receiver: Receiver) -> None:
    with SimulatedVideoDb(pace=0.01) as videodb:
        client = Client(videodb)
        video_id = client.video("silent.mp4", callback_url=receiver.url)
        for path, asked in [("index", SPOKEN_WORDS), ("index/scene", SHOTS), ("scenes", SHOTS)]:
            job_id = client.submit(f"/video/{video_id}/{path}", {**asked, "callback_url": receiver.url})
            assert client.end(job_id)["status"] == "done"
    assert receiver.received == []
    assert videodb.deliveries == []


def test_a_garbled_callback_is_cut_but_polling_tells_all(client: Client, receiver: Receiver) -> None:
    job_id = client.upload("garbled.mp4", callback_url=receiver.url)
    [callback] = receiver.first(1)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(callback.body)
    assert printed(Kind.VIDEO).startswith(callback.body.split(b"m-")[0])
    assert client.end(job_id)["response"]["success"] is True


def test_a_doubled_callback_comes_again_after_the_next_steps(lone_client: Client, receiver: Receiver) -> None:
    lone_client.upload("twice.mp4", callback_url=f"{receiver.url}/upload")
    [uploaded] = receiver.first(1)
    video_id = json.loads(uploaded.body)["data"]["id"]
    lone_client.submit(f"/video/{video_id}/index", {**SPOKEN_WORDS, "callback_url": f"{receiver.url}/index"})
    came = receiver.first(4)
    assert [callback.target for callback in came] == ["/upload", "/index", "/upload", "/index"]
    assert came[0] == came[2]
    assert came[1] == came[3]
    wait_for(lambda: len(lone_client.videodb.deliveries) == 4)
    assert [delivery.attempt for delivery in lone_client.videodb.deliveries] == [1, 1, 2, 2]


def test_callbacks_that_are_due_together_swap_places(receiver: Receiver) -> None:
    first = Callback(url=f"{receiver.url}/first", copies=(b"{}",), delay=0, reorder=True)
    second = Callback(url=f"{receiver.url}/second", copies=(b"{}",), delay=0, reorder=True)

    async def deliver_both() -> None:
        courier, line = Courier(timeout=LIMIT_SECONDS, patience=LIMIT_SECONDS), Line(to_come=2)
        await asyncio.gather(courier.deliver(first, line), courier.deliver(second, line))
        courier.close()

    asyncio.run(deliver_both())
    assert receiver.targets() == ["/second", "/first"]


def test_a_late_callback_comes_after_others_work_is_done() -> None:
    """Nothing is timed: what began when the late job was done by polling still overtakes its callback."""
    with SimulatedVideoDb(pace=0.05) as videodb:
        client, nobody = Client(videodb), "http://127.0.0.1:9"
        client.video("late.mp4", callback_url=f"{nobody}/late")
        client.upload("talk.mp4", callback_url=f"{nobody}/prompt")
        wait_for(lambda: len(videodb.deliveries) == 2)
    assert [delivery.url for delivery in videodb.deliveries] == [f"{nobody}/prompt", f"{nobody}/late"]


def test_an_early_callback_is_there_before_the_answer(client: Client, receiver: Receiver) -> None:
    video_id = client.video("early.mp4", callback_url=f"{receiver.url}/upload")
    assert receiver.targets() == ["/upload"]
    client.submit(f"/video/{video_id}/index", {**SPOKEN_WORDS, "callback_url": f"{receiver.url}/index"})
    assert receiver.targets() == ["/upload", "/index"]


def test_a_stuck_upload_is_still_processing_when_later_ones_are_done(client: Client, receiver: Receiver) -> None:
    stuck = client.upload("stuck.mp4", callback_url=receiver.url)
    client.video("talk.mp4")
    client.video("other.mp4")
    assert client.get(f"/async-response/{stuck}")["status"] == "processing"
    assert receiver.received == []


def test_stuck_scenes_let_the_other_steps_work(client: Client) -> None:
    video_id = client.video("stuck-scenes.mp4")
    stuck = client.submit(f"/video/{video_id}/index/scene", SHOTS)
    client.end(client.submit(f"/video/{video_id}/index", SPOKEN_WORDS))
    assert client.get(f"/async-response/{stuck}")["status"] == "processing"


def test_every_behaviour_is_in_the_printed_table() -> None:
    printed_names = {line.split()[0] for line in table().splitlines()}
    assert printed_names == {*BEHAVIOURS, "else", "?knobs"}


# --- knobs ---


def test_further_copies_come_as_often_as_asked(client: Client, receiver: Receiver) -> None:
    client.upload("talk.mp4?duplicate=2", callback_url=receiver.url)
    assert len(set(receiver.first(3))) == 1


def test_the_servers_knobs_hold_unless_the_source_turns_them(receiver: Receiver) -> None:
    with SimulatedVideoDb(pace=0.01, knobs=Knobs(drop=1)) as videodb:
        client = Client(videodb)
        client.video("talk.mp4", callback_url=f"{receiver.url}/dropped")
        client.upload("talk.mp4?drop=0&delay=0.05", callback_url=f"{receiver.url}/sent")
        receiver.first(1)
    assert receiver.targets() == ["/sent"]


def test_a_sources_knobs_are_its_name_and_the_servers_unless_its_query_says_otherwise() -> None:
    defaults = Knobs(drop=0.5, delay=2)
    assert read_source("https://example.com/silent.mp4", defaults).knobs == Knobs(drop=1, delay=2)
    asked = "https://example.com/twice.mp4?drop=0.25&reorder=0&duplicate=3&X-Amz-Date=20261101"
    assert read_source(asked, defaults).knobs == Knobs(drop=0.25, delay=2, duplicate=3)


def test_copies_are_dropped_and_cut_as_often_as_the_knobs_say() -> None:
    knobs = Knobs(drop=0.3, garble=0.5, duplicate=999)
    copies = plan_callback("http://localhost", b"whole", knobs=knobs, delay=0, random=Random(7)).copies
    assert len(copies) == 1000
    assert 250 < copies.count(None) < 350
    assert 300 < copies.count(b"wh") < 400


def bodies_of_a_run(seed: int, receiver: Receiver) -> list[bytes]:
    """Callbacks of thirty uploads at once, half of them cut."""
    receiver.received.clear()
    with SimulatedVideoDb(pace=0.01, seed=seed) as videodb, ThreadPoolExecutor(10) as threads:
        client = Client(videodb)
        files = [f"talk.mp4?garble=0.5&n={number % 20}" for number in range(30)]
        list(threads.map(lambda file: client.upload(file, callback_url=receiver.url), files))
        receiver.first(30)
    return sorted(receiver.bodies())


def test_a_run_repeats_with_its_seed(receiver: Receiver) -> None:
    first = bodies_of_a_run(7, receiver)
    assert bodies_of_a_run(7, receiver) == first
    assert bodies_of_a_run(8, receiver) != first


# --- the server ---


def test_the_server_is_gone_after_its_with() -> None:
    with SimulatedVideoDb(pace=0.01) as videodb:
        client = Client(videodb)
        client.upload("stuck.mp4")
        client.upload("late.mp4", callback_url="http://127.0.0.1:9")
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        Client(videodb).get("/async-response/job-unknown")


def test_a_server_can_have_the_port_that_it_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with SimulatedVideoDb(port=port) as videodb:
        assert videodb.url == f"http://127.0.0.1:{port}"
