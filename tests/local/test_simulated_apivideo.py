"""What the simulated api.video promises: the documents' shapes and signatures, and the fault that was asked for."""

import base64
import hashlib
import hmac
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread
from typing import Any

import pytest
import urllib3

from local.platforms.apivideo import BEHAVIOURS, Knobs, Rates, SimulatedApiVideo
from local.platforms.apivideo.behaviour import read_source, table
from local.platforms.apivideo.encoding import plan_encoding
from local.platforms.apivideo.events import signature

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
DOCS = "https://docs.api.video/reference"
NOBODY = "http://127.0.0.1:9"
MANY = Rates(uploads=10**6, writes=10**6, reads=10**6)

QUALITY_COMPLETED = "video.encoding.quality.completed"
EVENTS = [
    "live-stream.broadcast.started",
    "live-stream.broadcast.ended",
    "video.source.recorded",
    QUALITY_COMPLETED,
    "video.caption.generated",
    "video.summary.generated",
]

# the sample of https://docs.api.video/reference/create-and-manage-webhooks, whose secret the page prints beside it
PRINTED_SECRET = "sig_sec_0000000000000000000000"
PRINTED_BODY = (
    b'{"type":"video.encoding.quality.completed","emittedAt":"2021-01-29T15:46:25.217Z",'
    b'"videoId":"vi0000000000000000000000","liveStreamId":"li0000000000000000000000","encoding":"hls","quality":"720p"}'
)
PRINTED_SIGNATURE = "27a77d3a7fc626854886b5dbfae4e32c8b0170c1ea1b714c91ba77f1e7774e8c"

OF_720P = {("hls", "240p"), ("hls", "360p"), ("hls", "480p"), ("hls", "720p"), ("mp4", "720p")}


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
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Takes callbacks, and answers them with `status`, the first ones with `first_statuses`."""

    url: str = ""
    status: int = 202
    first_statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def first(self, count: int) -> list[Received]:
        return wait_for(lambda: self.received[:count] if len(self.received) >= count else [])

    def renditions(self) -> set[tuple[str, str]]:
        return {(callback.json["encoding"], callback.json["quality"]) for callback in self.received}


class Server(ThreadingHTTPServer):
    request_queue_size = 256


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.received.append(Received(self.path, headers, body))
            self.send_response(state.first_statuses.pop(0) if state.first_statuses else state.status)
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


def basic(key: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode()


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
    apivideo: SimulatedApiVideo
    authorization: str | None = basic("test-key")
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=50))

    def call(self, method: str, path: str, body: object = None) -> Answer:
        headers = {"authorization": self.authorization} if self.authorization is not None else {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.pool.request(method, self.apivideo.url + path, body=data, headers=headers)
        return Answer(answer.status, answer.headers, answer.data)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path: str, body: object) -> Any:
        answer = self.call("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.json

    def create(self, file: str, **more: object) -> str:
        """The id of the video."""
        asked = {"title": "A talk", "source": f"https://example.com/{file}", **more}
        video_id: str = self.post("/videos", asked)["videoId"]
        return video_id

    def webhook(self, url: str, *events: str) -> Any:
        return self.post("/webhooks", {"events": events or [QUALITY_COMPLETED], "url": url})

    def status(self, video_id: str) -> Any:
        return self.get(f"/videos/{video_id}/status")

    def end(self, video_id: str) -> Any:
        """The status when nothing is waiting and nothing is being encoded."""

        def ended() -> Any:
            status = self.status(video_id)
            statuses = {quality["status"] for quality in status["encoding"]["qualities"]}
            return status if statuses and not statuses & {"waiting", "encoding"} else None

        return wait_for(ended)


def statuses(status: Any) -> list[tuple[str, str, str]]:
    return [(one["type"], one["quality"], one["status"]) for one in status["encoding"]["qualities"]]


def signed(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()


@pytest.fixture
def client() -> Iterator[Client]:
    """Of a server that nobody else has asked anything."""
    with SimulatedApiVideo(pace=0.02, rates=MANY, resend_wait=0.02) as apivideo:
        yield Client(apivideo)


# --- callbacks ---


def test_the_printed_body_has_the_printed_signature() -> None:
    assert signature(PRINTED_SECRET, PRINTED_BODY) == PRINTED_SIGNATURE == signed(PRINTED_SECRET, PRINTED_BODY)


def test_every_finished_rendition_is_told_once_and_signed(client: Client, receiver: Receiver) -> None:
    webhook = client.webhook(f"{receiver.url}/callbacks?token=t")
    video_id = client.create("talk.mp4")
    for callback in receiver.first(5):
        assert callback.target == "/callbacks?token=t"
        assert callback.headers["content-type"] == "application/json"
        assert callback.headers["x-api-video-webhookid"] == webhook["webhookId"]
        expected = hmac.new(webhook["signatureSecret"].encode(), callback.body, hashlib.sha256).hexdigest()
        assert callback.headers["x-api-video-signature"] == expected
        assert list(callback.json) == ["type", "emittedAt", "videoId", "encoding", "quality"]
        assert (callback.json["type"], callback.json["videoId"]) == (QUALITY_COMPLETED, video_id)
    assert receiver.renditions() == OF_720P
    wait_for(lambda: client.apivideo.idle)
    assert len(receiver.received) == 5


def test_the_time_of_an_event_has_three_shapes_by_turns(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    client.create("talk.mp4?height=1080")
    texts = [callback.json["emittedAt"] for callback in receiver.first(6)]
    day = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    for shape in (day + r"\.\d{3}\+01:00", day + r"\.\d{3}Z", day + r"\+00:00"):
        assert sum(re.fullmatch(shape, text) is not None for text in texts) == 2, texts
    now = time.time()
    assert all(abs(datetime.fromisoformat(text).timestamp() - now) < LIMIT_SECONDS for text in texts)


def test_a_callback_comes_after_the_status_says_so(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    video_id = client.create("stuck-rendition.mp4")
    for callback in receiver.first(4):
        said = (callback.json["encoding"], callback.json["quality"], "encoded")
        assert said in statuses(client.status(video_id))


def test_only_webhooks_that_want_an_event_get_it(client: Client, receiver: Receiver) -> None:
    client.webhook(f"{receiver.url}/captions", "video.caption.generated")
    client.webhook(f"{receiver.url}/both", QUALITY_COMPLETED, "video.caption.generated")
    gone = client.webhook(f"{receiver.url}/gone")
    assert client.call("DELETE", f"/webhooks/{gone['webhookId']}").status == 204
    client.create("transcribed.mp4")
    targets = [callback.target for callback in receiver.first(7)]
    assert sorted(targets) == ["/both"] * 6 + ["/captions"]


@pytest.mark.parametrize(
    ("file", "asked", "expected"),
    [
        ("transcribed.mp4", {}, ["video.caption.generated"]),
        ("summarized.mp4", {}, ["video.caption.generated", "video.summary.generated"]),
        ("talk.mp4", {"transcript": True, "language": "fr"}, ["video.caption.generated"]),
        ("talk.mp4", {"transcriptSummary": True}, ["video.summary.generated"]),
    ],
)
def test_speech_is_told_when_it_is_wanted(
    file: str, asked: dict[str, object], expected: list[str], client: Client, receiver: Receiver
) -> None:
    client.webhook(receiver.url, "video.caption.generated", "video.summary.generated")
    video_id = client.create(file, **asked)
    said = sorted((callback.json for callback in receiver.first(len(expected))), key=lambda body: str(body["type"]))
    assert [body["type"] for body in said] == expected
    assert {body["videoId"] for body in said} == {video_id}
    for body in said:
        if body["type"] == "video.caption.generated":
            assert list(body) == ["type", "emittedAt", "videoId", "captionId", "generationMode", "language"]
            assert body["captionId"].startswith("caption_")
            assert (body["generationMode"], body["language"]) == ("transcript", asked.get("language", "en"))
        else:
            assert list(body) == ["type", "emittedAt", "videoId", "summaryId"]
            assert body["summaryId"].startswith("summary_")


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("live-stream.broadcast.started", ["liveStreamId"]),
        ("live-stream.broadcast.ended", ["liveStreamId"]),
        ("video.source.recorded", ["liveStreamId", "videoId"]),
        (QUALITY_COMPLETED, ["videoId", "encoding", "quality"]),
        ("video.caption.generated", ["videoId", "captionId", "generationMode", "language"]),
        ("video.summary.generated", ["videoId", "summaryId"]),
    ],
)
def test_every_event_can_be_emitted(event: str, fields: list[str], client: Client, receiver: Receiver) -> None:
    webhook = client.apivideo.register(receiver.url, secret=PRINTED_SECRET)
    client.apivideo.emit(event, **{fields[0]: "chosen"})
    [callback] = receiver.first(1)
    assert list(callback.json) == ["type", "emittedAt", *fields]
    assert (callback.json["type"], callback.json[fields[0]]) == (event, "chosen")
    assert callback.headers["x-api-video-webhookid"] == webhook.id
    assert callback.headers["x-api-video-signature"] == signed(PRINTED_SECRET, callback.body)


def test_no_other_event_can_be_emitted(client: Client) -> None:
    with pytest.raises(ValueError, match=r"video\.encoding\.failed"):
        client.apivideo.emit("video.encoding.failed")


def test_a_callback_that_is_refused_is_sent_again_until_it_is_taken(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url, "video.source.recorded")
    receiver.first_statuses = [500, 301, 202]
    client.apivideo.emit("video.source.recorded")
    deliveries = wait_for(lambda: client.apivideo.deliveries if len(client.apivideo.deliveries) == 3 else [])
    assert [(delivery.status, delivery.resent) for delivery in deliveries] == [(500, 0), (301, 1), (202, 2)]
    assert len({(callback.body, callback.headers["x-api-video-signature"]) for callback in receiver.received}) == 1
    assert {delivery.url for delivery in deliveries} == {receiver.url}


def test_a_callback_is_sent_three_times_and_not_more(client: Client, receiver: Receiver) -> None:
    receiver.status = 500
    client.webhook(f"{receiver.url}/refuses", "video.source.recorded")
    client.apivideo.emit("video.source.recorded")
    receiver.first(3)
    receiver.first_statuses = [200]
    client.apivideo.emit("video.source.recorded", videoId="next")
    callbacks = receiver.first(4)
    assert [callback.json["videoId"] == "next" for callback in callbacks] == [False] * 3 + [True]


def test_a_callback_that_reaches_nobody_has_no_status(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    client.webhook(f"http://127.0.0.1:{port}", "video.source.recorded")
    client.apivideo.emit("video.source.recorded")
    deliveries = wait_for(lambda: client.apivideo.deliveries if len(client.apivideo.deliveries) == 3 else [])
    assert {delivery.status for delivery in deliveries} == {None}


# --- encoding ---


@pytest.mark.parametrize(
    ("height", "rungs", "mp4"),
    [
        (144, ["240p"], "240p"),
        (240, ["240p"], "240p"),
        (480, ["240p", "360p", "480p"], "480p"),
        (1000, ["240p", "360p", "480p", "720p"], "720p"),
        (1080, ["240p", "360p", "480p", "720p", "1080p"], "1080p"),
        (1440, ["240p", "360p", "480p", "720p", "1080p"], "1080p"),
        (2160, ["240p", "360p", "480p", "720p", "1080p", "2160p"], "2160p"),
    ],
)
def test_the_ladder_reaches_the_sources_height(height: int, rungs: list[str], mp4: str, client: Client) -> None:
    status = client.end(client.create(f"talk.mp4?height={height}"))
    assert statuses(status) == [*(("hls", rung, "encoded") for rung in rungs), ("mp4", mp4, "encoded")]
    assert status["encoding"]["metadata"]["height"] == height


def test_a_new_quality_is_a_rung_of_its_own(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    status = client.end(client.create("new-quality.mp4"))
    assert ("hls", "1440p", "encoded") in statuses(status)
    assert ("mp4", "1440p", "encoded") in statuses(status)
    receiver.first(7)
    assert {("hls", "1440p"), ("mp4", "1440p")} <= receiver.renditions()


def test_before_the_source_is_there_nothing_is_known_of_it(client: Client) -> None:
    status = client.status(client.create("ingest-stuck.mp4"))
    assert status["ingest"] == {"status": "ingesting", "filesize": None, "receivedBytes": []}
    assert (status["encoding"]["playable"], status["encoding"]["qualities"]) == (False, [])
    assert set(status["encoding"]["metadata"].values()) == {None}


def test_a_finished_status_has_the_documented_shape(client: Client) -> None:
    status = client.end(client.create("talk.mp4"))
    assert list(status) == ["ingest", "encoding"]
    assert status["ingest"] == {"status": "ingested", "filesize": 23037467, "receivedBytes": []}
    assert list(status["encoding"]) == ["playable", "qualities", "metadata"]
    assert status["encoding"]["metadata"] == {
        "width": 1280,
        "height": 720,
        "bitrate": 766.0,
        "duration": 200,
        "framerate": 24,
        "samplerate": 44100,
        "videoCodec": "h264",
        "audioCodec": "aac",
        "aspectRatio": "16/9",
    }


def test_a_video_is_playable_with_its_first_rendition() -> None:
    with SimulatedApiVideo(pace=1, rates=MANY) as apivideo:
        client = Client(apivideo)
        video_id = client.create("mp4-first.mp4")

        def snapshot() -> Any:
            status = client.status(video_id)["encoding"]
            encoded = [one["type"] for one in status["qualities"] if one["status"] == "encoded"]
            assert status["playable"] is bool(encoded)
            return encoded

        assert wait_for(snapshot)[-1] == "mp4"


@pytest.mark.parametrize(
    ("file", "place", "encoding", "outcome"),
    [
        ("mp4-first.mp4", 0, "mp4", "encoded"),
        ("mp4-last.mp4", -1, "mp4", "encoded"),
        ("failed-rendition.mp4", 0, "hls", "failed"),
        ("failed-last.mp4", -1, "hls", "failed"),
        ("stuck-rendition.mp4", -1, "hls", None),
    ],
)
def test_a_sources_name_decides_what_ends_first_or_last(
    file: str, place: int, encoding: str, outcome: str | None
) -> None:
    source = read_source(f"https://example.com/{file}", Knobs())
    for seed in range(20):
        plan = plan_encoding(source, mp4_support=True, random=Random(seed))
        assert (plan.order[place].encoding, plan.order[place].outcome) == (encoding, outcome)
        assert {rendition.outcome for rendition in plan.order} <= {"encoded", outcome}
        assert set(plan.order) == set(plan.listed)


def test_renditions_end_in_any_order() -> None:
    source = read_source("https://example.com/talk.mp4", Knobs())
    plans = [plan_encoding(source, mp4_support=True, random=Random(seed)) for seed in range(200)]
    last = {(plan.order[-1].encoding, plan.order[-1].quality) for plan in plans}
    assert last == OF_720P


@pytest.mark.parametrize(("file", "asked"), [("no-mp4.mp4", {}), ("talk.mp4", {"mp4Support": False})])
def test_a_video_can_have_no_mp4(file: str, asked: dict[str, bool], client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    status = client.end(client.create(file, **asked))
    assert {kind for kind, _, _ in statuses(status)} == {"hls"}
    receiver.first(4)
    assert receiver.renditions() == {one for one in OF_720P if one[0] == "hls"}


def test_without_mp4_support_there_is_no_address_of_one(client: Client) -> None:
    assert "mp4" not in client.get(f"/videos/{client.create('talk.mp4', mp4Support=False)}")["assets"]


@pytest.mark.parametrize("file", ["failed-rendition.mp4", "failed-last.mp4"])
def test_a_failed_rendition_is_not_told(file: str, client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    status = client.end(client.create(file))
    [failed] = [(kind, quality) for kind, quality, outcome in statuses(status) if outcome == "failed"]
    assert failed[0] == "hls"
    assert status["encoding"]["playable"] is True
    wait_for(lambda: client.apivideo.idle)
    assert len(receiver.received) == 4
    assert receiver.renditions() == OF_720P - {failed}


def test_when_all_renditions_fail_nobody_is_told(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    status = client.end(client.create("all-failed.mp4"))
    assert {outcome for _, _, outcome in statuses(status)} == {"failed"}
    assert status["encoding"]["playable"] is False
    wait_for(lambda: client.apivideo.idle)
    assert receiver.received == []


def test_the_ingest_can_have_the_guides_words() -> None:
    guide = ["uploading", "last_chunck_uploaded", "merging", "uploaded"]
    seen: list[str] = []
    with SimulatedApiVideo(pace=5, rates=MANY) as apivideo:
        client = Client(apivideo)
        video_id = client.create("guide-ingest.mp4")

        def uploaded() -> bool:
            word = client.status(video_id)["ingest"]["status"]
            seen.extend([word] if word not in seen else [])
            return bool(word == "uploaded")

        wait_for(uploaded)
    # one of them may have been missed, on a machine that is busy
    assert seen == [word for word in guide if word in seen]
    assert {"last_chunck_uploaded", "merging"} & set(seen)


@pytest.mark.parametrize(
    ("file", "word"), [("ingest-stuck", "ingesting"), ("ingest-missing", "missing"), ("ingest-merging", "merging")]
)
def test_an_ingest_can_last_for_ever(file: str, word: str, client: Client) -> None:
    video_id = client.create(f"{file}.mp4")
    client.end(client.create("talk.mp4"))
    client.end(client.create("other.mp4"))
    assert client.status(video_id)["ingest"]["status"] == word
    assert client.status(video_id)["encoding"]["qualities"] == []


def test_an_encoding_can_last_for_ever(client: Client) -> None:
    stuck, partly = client.create("stuck.mp4"), client.create("stuck-rendition.mp4")
    client.end(client.create("talk.mp4"))
    client.end(client.create("other.mp4"))
    wait_for(lambda: sum(outcome == "encoded" for _, _, outcome in statuses(client.status(partly))) == 4)
    assert sorted(outcome for _, _, outcome in statuses(client.status(stuck))) == ["encoding"] * 2 + ["waiting"] * 3
    assert ("hls", "720p", "encoding") in statuses(client.status(partly))


def test_a_status_can_be_without_types(client: Client) -> None:
    qualities = client.end(client.create("untyped.mp4"))["encoding"]["qualities"]
    assert {tuple(quality) for quality in qualities} == {("quality", "status")}


def test_callbacks_can_be_in_upper_case(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    client.create("upper-case.mp4")
    receiver.first(5)
    assert receiver.renditions() == {(kind.upper(), quality) for kind, quality in OF_720P}


def test_callbacks_can_have_a_live_stream(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    client.create("recorded.mp4")
    [callback] = receiver.first(1)
    assert list(callback.json) == ["type", "emittedAt", "videoId", "liveStreamId", "encoding", "quality"]


def test_a_deleted_video_is_told_no_more(receiver: Receiver) -> None:
    with SimulatedApiVideo(pace=2, rates=MANY) as apivideo:
        slow = Client(apivideo)
        slow.webhook(receiver.url)
        video_id = slow.create("talk.mp4")
        assert slow.call("DELETE", f"/videos/{video_id}").status == 204
        assert slow.call("GET", f"/videos/{video_id}/status").status == 404
        other = slow.create("other.mp4")
        slow.end(other)
        receiver.first(5)
    assert {callback.json["videoId"] for callback in receiver.received} == {other}


def test_a_copy_of_a_video_behaves_as_its_source(client: Client) -> None:
    first = client.create("failed-rendition.mp4")
    copy = client.post("/videos", {"title": "Copy", "source": first})["videoId"]
    assert copy != first
    assert [outcome for _, _, outcome in statuses(client.end(copy))].count("failed") == 1


# --- videos ---


def test_a_created_video_has_the_documented_body(client: Client) -> None:
    asked = {
        "title": "Maths video",
        "description": "String theory",
        "source": "https://example.com/stuck.mp4",
        "language": "en",
        "public": False,
        "playerId": "pl4k0jvEUuaTdRAEjQ4Jfrgz",
        "tags": ["maths"],
        "metadata": [{"key": "Author", "value": "John Doe"}],
    }
    answer = client.call("POST", "/videos", asked)
    video = answer.json
    video_id = video["videoId"]
    moment = video["publishedAt"]
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"vi[0-9A-Za-z]{22}", video_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", moment)
    assert video == {
        **{name: value for name, value in asked.items() if name != "source"},
        "videoId": video_id,
        "languageOrigin": "api",
        "panoramic": False,
        "mp4Support": True,
        "publishedAt": moment,
        "createdAt": moment,
        "updatedAt": moment,
        "discarded": False,
        "discardedAt": None,
        "deletesAt": None,
        "source": {"uri": f"/videos/{video_id}/source"},
        "assets": {
            "iframe": f'<iframe src="https://embed.api.video/vod/{video_id}" width="100%" height="100%" '
            'frameborder="0" scrolling="no" allowfullscreen=""></iframe>',
            "player": f"https://embed.api.video/vod/{video_id}",
            "hls": f"https://cdn.api.video/vod/{video_id}/hls/manifest.m3u8",
            "thumbnail": f"https://cdn.api.video/vod/{video_id}/thumbnail.jpg",
            "mp4": f"https://cdn.api.video/vod/{video_id}/mp4/source.mp4",
        },
    }
    assert client.get(f"/videos/{video_id}") == video


def test_a_creation_can_be_answered_202(client: Client) -> None:
    asked = {"title": "A talk", "source": "https://example.com/accepted.mp4"}
    answer = client.call("POST", "/videos", asked)
    assert answer.status == 202
    client.end(answer.json["videoId"])


def test_a_change_keeps_the_rest(client: Client) -> None:
    video_id = client.create("stuck.mp4", description="Old", tags=["old"])
    changed = client.call("PATCH", f"/videos/{video_id}", {"description": "New"}).json
    assert (changed["title"], changed["description"], changed["tags"]) == ("A talk", "New", ["old"])
    assert client.call("PATCH", f"/videos/{video_id}", {"source": "https://example.com"}).status == 400


def test_a_video_is_found_by_all_of_its_metadata(client: Client) -> None:
    def entry(key: str, value: str) -> dict[str, str]:
        return {"key": key, "value": value}

    first = client.create("stuck.mp4", metadata=[entry("job", "j-1"), entry("step", "encode")])
    second = client.create("stuck.mp4", metadata=[entry("job", "j-1"), entry("step", "other")])

    def found(query: str) -> list[str]:
        return [video["videoId"] for video in client.get(f"/videos?{query}")["data"]]

    assert found("metadata[job]=j-1") == found("metadata%5Bjob%5D=j-1") == [second, first]
    assert found("metadata[job]=j-1&metadata[step]=encode") == [first]
    assert found("metadata[job]=j-1&metadata[step]=none") == []
    assert found("metadata[Job]=j-1") == []
    assert found("liveStreamId=li1") == []


def test_a_list_has_the_documented_pagination(client: Client) -> None:
    assert client.get("/videos")["pagination"]["itemsTotal"] == 0
    for number in range(5):
        client.create("stuck.mp4", title=f"Talk {number}")
    page = client.get("/videos?pageSize=2&currentPage=2&sortBy=title&sortOrder=asc&title=talk")
    assert [video["title"] for video in page["data"]] == ["Talk 2", "Talk 3"]
    links = page["pagination"].pop("links")
    assert page["pagination"] == {
        "currentPage": 2,
        "pageSize": 2,
        "pagesTotal": 3,
        "itemsTotal": 5,
        "currentPageItems": 2,
    }
    assert [link["rel"] for link in links] == ["self", "first", "previous", "next", "last"]
    last = client.get(links[-1]["uri"].removeprefix(client.apivideo.url))
    assert [video["title"] for video in last["data"]] == ["Talk 4"]


# --- webhooks ---


def test_a_webhook_has_the_documented_body(client: Client) -> None:
    webhook = client.webhook("http://example.com/callbacks?token=t", QUALITY_COMPLETED, "video.source.recorded")
    assert list(webhook) == ["webhookId", "createdAt", "events", "url", "signatureSecret"]
    assert re.fullmatch(r"webhook_[0-9A-Za-z]{22}", webhook["webhookId"])
    assert re.fullmatch(r"sig_sec_[0-9A-Za-z]{22}", webhook["signatureSecret"])
    assert client.get(f"/webhooks/{webhook['webhookId']}") == webhook
    assert client.get("/webhooks")["data"] == [webhook]
    assert client.get("/webhooks?events=video.source.recorded")["data"] == [webhook]
    assert client.get("/webhooks?events=video.caption.generated")["data"] == []


def test_two_webhooks_have_two_secrets(client: Client) -> None:
    first, second = client.webhook("http://example.com"), client.webhook("http://example.com")
    assert first["webhookId"] != second["webhookId"]
    assert first["signatureSecret"] != second["signatureSecret"]


def test_an_empty_webhook_gets_every_problem_at_once(client: Client) -> None:
    required = {"type": f"{DOCS}/attribute-required", "title": "This attribute is required."}
    answer = client.call("POST", "/webhooks", {})
    assert answer.status == 400
    assert answer.json == {
        **required,
        "name": "events",
        "status": 400,
        "problems": [{**required, "name": "events"}, {**required, "name": "url"}],
    }


def test_the_documented_problems_of_a_video(client: Client) -> None:
    required = {"type": f"{DOCS}/attribute-required", "title": "This attribute is required.", "name": "title"}
    array = {"type": f"{DOCS}/invalid-attribute", "title": "This attribute must be an array.", "name": "tags"}
    answer = client.call("POST", "/videos", {"tags": "maths"})
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json == {**required, "status": 400, "problems": [required, array]}


GOOD = {"title": "A talk"}
HOOK = {"events": [QUALITY_COMPLETED], "url": "https://example.com"}


@pytest.mark.parametrize(
    ("line", "body", "status", "name"),
    [
        ("POST /videos", b"not json", 400, ""),
        ("POST /videos", b"\xff", 400, ""),
        ("POST /videos", None, 400, ""),
        ("POST /videos", [], 400, ""),
        ("POST /videos", {}, 400, "title"),
        ("POST /videos", {"title": None}, 400, "title"),
        ("POST /videos", {"title": 5}, 400, "title"),
        ("POST /videos", {**GOOD, "source": 5}, 400, "source"),
        ("POST /videos", {**GOOD, "source": None}, 400, "source"),
        ("POST /videos", {**GOOD, "source": "ftp://example.com/talk.mp4"}, 400, "source"),
        ("POST /videos", {**GOOD, "source": "http://["}, 400, "source"),
        ("POST /videos", {**GOOD, "source": "vi0000000000000000000000"}, 400, "source"),
        ("POST /videos", {**GOOD, "source": "https://example.com/talk.mp4?drop=often"}, 400, "source"),
        ("POST /videos", {**GOOD, "source": "https://example.com/talk.mp4?height=0"}, 400, "source"),
        ("POST /videos", {**GOOD, "source": "https://example.com/talk.mp4?height=tall"}, 400, "source"),
        ("POST /videos", {**GOOD, "mp4Support": "no"}, 400, "mp4Support"),
        ("POST /videos", {**GOOD, "tags": [5]}, 400, "tags"),
        ("POST /videos", {**GOOD, "metadata": {"job": "j-1"}}, 400, "metadata"),
        ("POST /videos", {**GOOD, "metadata": [{"key": "job"}]}, 400, "metadata"),
        ("POST /videos", {**GOOD, "metadata": ["job"]}, 400, "metadata"),
        ("POST /videos", {**GOOD, "transcriptSummaryAttributes": ["all"]}, 400, "transcriptSummaryAttributes"),
        ("POST /videos", {**GOOD, "callbackUrl": "https://example.com"}, 400, "callbackUrl"),
        ("GET /videos?currentPage=0", None, 400, "currentPage"),
        ("GET /videos?pageSize=101", None, 400, "pageSize"),
        ("GET /videos?pageSize=many", None, 400, "pageSize"),
        ("GET /videos?sortBy=size", None, 400, "sortBy"),
        ("GET /videos?sortOrder=up", None, 400, "sortOrder"),
        ("GET /videos/vi1", None, 404, "videoId"),
        ("PATCH /videos/vi1", {}, 404, "videoId"),
        ("DELETE /videos/vi1", None, 404, "videoId"),
        ("GET /videos/vi1/status", None, 404, "videoId"),
        ("POST /videos/vi1/source", b"", 404, "videoId"),
        ("POST /webhooks", b"{", 400, ""),
        ("POST /webhooks", {**HOOK, "events": QUALITY_COMPLETED}, 400, "events"),
        ("POST /webhooks", {**HOOK, "events": [5]}, 400, "events"),
        ("POST /webhooks", {**HOOK, "events": [["nested"]]}, 400, "events"),
        ("POST /webhooks", {**HOOK, "url": 5}, 400, "url"),
        ("POST /webhooks", {**HOOK, "url": "ftp://example.com"}, 400, "url"),
        ("POST /webhooks", {**HOOK, "secret": "mine"}, 400, "secret"),
        ("GET /webhooks?events=video.encoding.failed", None, 400, "events"),
        ("GET /webhooks/webhook_1", None, 404, "webhookId"),
        ("DELETE /webhooks/webhook_1", None, 404, "webhookId"),
        ("POST /auth/api-key", {}, 400, ""),
        ("POST /auth/api-key", {"apiKey": 5}, 400, ""),
        ("POST /auth/refresh", {"refreshToken": "def502"}, 400, ""),
        ("POST /auth/refresh", {"refreshToken": ["def502"]}, 400, ""),
        ("GET /nowhere", None, 404, None),
        ("DELETE /webhooks", None, 405, None),
    ],
)
def test_a_wrong_request_gets_the_error_body(
    line: str, body: object, status: int, name: str | None, client: Client
) -> None:
    method, path = line.split()
    answer = client.call(method, path, body)
    assert (answer.status, answer.json.get("name")) == (status, name)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["type"].startswith(f"{DOCS}/")
    assert answer.json["title"]
    assert answer.json["status"] == status
    assert client.get("/videos")["data"] == []
    assert client.get("/webhooks")["data"] == []


def test_an_unknown_path_has_the_documented_body(client: Client) -> None:
    body = {"type": f"{DOCS}/unrecognized-request-url", "title": "Unrecognized request URL.", "status": 404}
    assert client.call("GET", "/nowhere").json == body


# --- access and limits ---


def test_a_key_is_exchanged_for_a_token_and_that_for_another(client: Client) -> None:
    nobody = Client(client.apivideo, authorization=None)
    tokens = nobody.call("POST", "/auth/api-key", {"apiKey": "test-key"}).json
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert tokens["refresh_token"].startswith("def502")
    assert tokens["access_token"].count(".") == 2
    fresh = nobody.call("POST", "/auth/refresh", {"refreshToken": tokens["refresh_token"]})
    assert fresh.status == 200
    for token in (tokens["access_token"], fresh.json["access_token"]):
        assert Client(client.apivideo, authorization=f"Bearer {token}").get("/videos")["data"] == []
    assert nobody.call("POST", "/auth/refresh", {"refreshToken": tokens["refresh_token"]}).status == 400


def test_a_revoked_key_gets_no_token(client: Client) -> None:
    answer = client.call("POST", "/auth/api-key", {"apiKey": "revoked-key"})
    assert answer.status == 400
    assert answer.json == {
        "type": f"{DOCS}/authentication-invalid-user-credentials",
        "title": "The user credentials were incorrect.",
        "name": "",
        "status": 400,
    }


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        basic(""),
        basic("revoked-key"),
        basic("test-key", "password"),
        "Basic test-key",
        "Basic " + base64.b64encode(b"test-key").decode(),
        "Basic " + base64.b64encode(b"\xff:").decode(),
        "Bearer test-key",
        "Bearer",
        "Token test-key",
        "test-key",
    ],
)
def test_without_good_credentials_nothing_is_answered(authorization: str | None, client: Client) -> None:
    answer = Client(client.apivideo, authorization=authorization).call("GET", "/videos")
    assert (answer.status, answer.json["status"]) == (401, 401)
    assert "x-ratelimit-limit" in answer.headers


def test_every_answer_tells_the_rate_limit() -> None:
    with SimulatedApiVideo() as apivideo:
        client = Client(apivideo)
        read, written = client.call("GET", "/videos"), client.call("POST", "/webhooks", {})
        uploaded = client.call("POST", "/videos/vi1/source")
    for answer, limit in ((read, 500), (written, 200), (uploaded, 100)):
        assert answer.headers["x-ratelimit-limit"] == str(limit)
        assert answer.headers["x-ratelimit-remaining"] == str(limit - 1)
        assert 0 < int(answer.headers["x-ratelimit-retry-after"]) <= 60


def test_who_asks_too_often_is_refused_for_that_kind_of_request() -> None:
    with SimulatedApiVideo(rates=Rates(reads=2)) as apivideo:
        client = Client(apivideo)
        answers = [client.call("GET", "/videos") for _ in range(3)]
        assert client.call("POST", "/webhooks", HOOK).status == 201
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    body = {"type": f"{DOCS}/too-many-requests", "title": "Too many requests.", "status": 429}
    assert answers[-1].json == body


def test_after_the_window_one_may_ask_again() -> None:
    with SimulatedApiVideo(rates=Rates(reads=1, window=0.2)) as apivideo:
        client = Client(apivideo)
        wait_for(lambda: client.call("GET", "/videos").status == 429)
        wait_for(lambda: client.call("GET", "/videos").status == 200)


def test_requests_are_kept_without_keys_and_tokens(client: Client) -> None:
    client.call("POST", "/auth/api-key", {"apiKey": "secret-key", "more": 1})
    client.call("GET", "/videos?metadata[job]=j-1")
    client.call("POST", "/webhooks", b"not json")
    client.call("POST", "/videos", GOOD)
    kept = [(request.method, request.path, request.query, request.body) for request in client.apivideo.requests]
    assert kept == [
        ("POST", "/auth/api-key", "", {"more": 1}),
        ("GET", "/videos", "metadata%5Bjob%5D=j-1", {}),
        ("POST", "/webhooks", "", {}),
        ("POST", "/videos", "", GOOD),
    ]
    assert all("authorization" not in request.headers for request in client.apivideo.requests)
    assert all(request.headers["host"] for request in client.apivideo.requests)


# --- faults ---


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("flaky.mp4", [503, 503, 201, 201]),
        ("throttled.mp4", [429, 201, 201]),
        ("html.mp4", [502, 201, 201]),
        ("refused.mp4", [400, 400, 400]),
        ("talk.mp4?throttle=1&fail=2", [429, 503, 503, 201]),
        ("flaky.mp4?fail=1", [503, 503, 503, 201]),
    ],
)
def test_submits_are_answered_in_the_sources_order(file: str, expected: list[int], client: Client) -> None:
    asked = {**GOOD, "source": f"https://example.com/{file}"}
    assert [client.call("POST", "/videos", asked).status for _ in expected] == expected
    assert client.get("/videos")["pagination"]["itemsTotal"] == expected.count(201)


def test_each_source_counts_its_own_submits(client: Client) -> None:
    for number in range(3):
        asked = {**GOOD, "source": f"https://example.com/throttled.mp4?n={number}"}
        answer = client.call("POST", "/videos", asked)
        assert (answer.status, answer.headers["x-ratelimit-retry-after"]) == (429, "1")
        assert answer.headers["x-ratelimit-remaining"] == "0"


def test_a_bad_gateway_answers_in_html(client: Client) -> None:
    answer = client.call("POST", "/videos", {**GOOD, "source": "https://example.com/html.mp4"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<html>")


@pytest.mark.parametrize(("file", "left"), [("reset.mp4", 0), ("lost.mp4", 1)])
def test_a_cut_connection_leaves_nothing_or_a_video(file: str, left: int, client: Client) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.create(file, metadata=[{"key": "job", "value": "j-1"}])
    found = client.get("/videos?metadata[job]=j-1")["data"]
    assert len(found) == left
    for video in found:
        client.end(video["videoId"])
    client.end(client.create(file))


def test_a_silent_source_never_calls_back(receiver: Receiver) -> None:
    with SimulatedApiVideo(pace=0.02, rates=MANY) as apivideo:
        client = Client(apivideo)
        client.webhook(receiver.url)
        assert client.end(client.create("silent.mp4"))["encoding"]["playable"] is True
        wait_for(lambda: apivideo.idle)
    assert receiver.received == []
    assert apivideo.deliveries == []


def test_a_garbled_callback_is_cut_and_signed_so(client: Client, receiver: Receiver) -> None:
    webhook = client.webhook(receiver.url)
    client.create("garbled.mp4")
    for callback in receiver.first(5):
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(callback.body)
        assert callback.body.startswith(b'{"type":"video.encoding.quality.completed"')
        assert callback.headers["x-api-video-signature"] == signed(webhook["signatureSecret"], callback.body)


def test_a_doubled_callback_comes_again_the_same(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    client.create("twice.mp4")
    callbacks = receiver.first(10)
    bodies = [callback.body for callback in callbacks]
    assert receiver.renditions() == OF_720P
    assert all(bodies.count(body) == 2 for body in bodies)
    wait_for(lambda: len(client.apivideo.deliveries) == 10)
    assert sorted(delivery.attempt for delivery in client.apivideo.deliveries) == [1] * 5 + [2] * 5


def test_callbacks_of_a_video_overtake_each_other(client: Client, receiver: Receiver) -> None:
    """The MP4 ends last, but the rendition before it has waited for it."""
    client.webhook(receiver.url)
    client.create("mp4-last.mp4?reorder=1&height=240")
    assert [callback.json["encoding"] for callback in receiver.first(2)] == ["mp4", "hls"]


def test_a_late_callback_comes_after_others_work_is_done() -> None:
    """Nothing is timed: what began when the late video was done by polling still overtakes its callbacks."""
    with SimulatedApiVideo(pace=0.05, rates=MANY, resend_wait=0) as apivideo:
        client = Client(apivideo)
        apivideo.register(NOBODY)
        late = client.create("late.mp4?height=240")
        client.end(late)
        prompt = client.create("talk.mp4?height=240")
        deliveries = wait_for(lambda: apivideo.deliveries if len(apivideo.deliveries) == 12 else [])
    assert [json.loads(delivery.body)["videoId"] for delivery in deliveries] == [prompt] * 6 + [late] * 6


def test_early_callbacks_are_there_before_the_answer(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    video_id = client.create("early.mp4")
    assert receiver.renditions() == OF_720P
    assert {outcome for _, _, outcome in statuses(client.status(video_id))} == {"encoded"}


def test_every_behaviour_is_in_the_printed_table() -> None:
    assert {line.split()[0] for line in table().splitlines()} == {*BEHAVIOURS, "else", "?knobs"}


# --- knobs ---


def test_further_copies_come_as_often_as_asked(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    client.create("no-mp4.mp4?duplicate=2&height=240")
    assert len({callback.body for callback in receiver.first(3)}) == 1


def test_the_servers_knobs_hold_unless_the_source_turns_them(receiver: Receiver) -> None:
    with SimulatedApiVideo(pace=0.02, rates=MANY, knobs=Knobs(drop=1)) as apivideo:
        client = Client(apivideo)
        client.webhook(receiver.url)
        client.end(client.create("talk.mp4"))
        sent = client.create("talk.mp4?drop=0")
        receiver.first(5)
    assert {callback.json["videoId"] for callback in receiver.received} == {sent}


def test_a_sources_knobs_are_its_name_and_the_servers_unless_its_query_says_otherwise() -> None:
    defaults = Knobs(drop=0.5, delay=2)
    assert read_source("https://example.com/silent.mp4", defaults).knobs == Knobs(drop=1, delay=2)
    asked = "https://example.com/twice.mp4?drop=0.25&reorder=0&duplicate=3&X-Amz-Date=20261101"
    assert read_source(asked, defaults).knobs == Knobs(drop=0.25, delay=2, duplicate=3)


def told_in_a_run(seed: int, receiver: Receiver) -> set[tuple[str, ...]]:
    """What of ten videos at once was sent, where half of it is dropped."""
    receiver.received.clear()
    with SimulatedApiVideo(pace=0.02, seed=seed, rates=MANY) as apivideo, ThreadPoolExecutor(10) as threads:
        client = Client(apivideo)
        client.webhook("http://127.0.0.1:9/same-in-every-run", "video.source.recorded")
        webhook = apivideo.register(receiver.url)
        videos = list(threads.map(lambda number: client.create(f"talk.mp4?drop=0.5&n={number % 5}"), range(10)))
        wait_for(lambda: apivideo.idle)
    said = {
        (one.json["videoId"], one.json.get("encoding", ""), one.json.get("quality", "")) for one in receiver.received
    }
    return {*said, *((video_id,) for video_id in videos), (webhook.id,)}


def test_a_run_repeats_with_its_seed(receiver: Receiver) -> None:
    first = told_in_a_run(7, receiver)
    assert told_in_a_run(7, receiver) == first
    assert told_in_a_run(8, receiver) != first


# --- the server ---


def test_a_hundred_videos_at_once_are_all_told(client: Client, receiver: Receiver) -> None:
    client.webhook(receiver.url)
    with ThreadPoolExecutor(50) as threads:
        videos = set(threads.map(lambda number: client.create(f"talk.mp4?n={number}&height=240"), range(100)))
    callbacks = receiver.first(200)
    assert len(videos) == 100
    assert {callback.json["videoId"] for callback in callbacks} == videos


def test_the_server_is_gone_after_its_with() -> None:
    with SimulatedApiVideo(pace=0.02) as apivideo:
        client = Client(apivideo)
        client.webhook(NOBODY)
        client.create("stuck.mp4")
        client.create("late.mp4")
        client.create("early.mp4?drop=1")
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        client.call("GET", "/videos")


def test_a_server_can_have_the_port_that_it_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with SimulatedApiVideo(port=port) as apivideo:
        assert apivideo.url == f"http://127.0.0.1:{port}"
