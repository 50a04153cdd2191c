"""What the simulated ApsaraVideo VOD promises: the documents' bytes and signatures, and the fault that was asked for.

The official SDKs have a file of their own. Here requests are signed by hand, apart from what checks them.
"""

import base64
import hashlib
import hmac
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
import urllib3

from local.platforms.apsaravideo import BEHAVIOURS, Delivery, Knobs, SimulatedApsaraVideo, payloads, signatures
from local.platforms.apsaravideo.behaviour import read_source, table
from local.platforms.apsaravideo.studio import Studio, UserData
from local.platforms.courier import Courier

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
KEY_ID, SECRET = "LTAI-simulated", "simulated-secret"
AUTH_KEY = "Secret123"
TALK = "https://example.com/talk.mp4"
ENDED = ("SUCCESS", "UPLOAD_FAIL", "DOWNLOAD_FAIL")

# the page "URL video upload complete" of 2026-01-28; a dot stands for a space at a line's end
UPLOADED_PAGE = """\
{·
  "Status": "success",
  "EventTime": "2017-03-20T07:49:17Z",
  "EventType": "UploadByURLComplete",·
  "VideoId": "43q9fjdun3f****",·
  "JobId": "4c815bjs83j1****",·
  "SourceURL ": "http://example.aliyundoc.com/27ffc438-164d55217ef-0005-6884-51a-1****.mp4",
  "Size":"123456"
}"""
FAILED_PAGE = """\
{·
  "Status": "fail",
  "EventTime": "2017-03-20T07:49:17Z",
  "EventType": "UploadByURLComplete",·
  "ErrorCode ": "URLInvalidError ",·
  "ErrorMessage ": "download video failed by the url, please check it",·
  "JobId": "4c815bjsued****" ,
  "SourceURL ": "http://example.aliyundoc.com/27ffc438-164d55217ef-0005-6884-51a-1****.mp4",
}"""
PAGE_TIME = "2017-03-20T07:49:17Z"
PAGE_URL = "http://example.aliyundoc.com/27ffc438-164d55217ef-0005-6884-51a-1****.mp4"


def page(text: str) -> bytes:
    return text.replace("·", " ").encode()


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
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """Read as a tolerant receiver would: without the spaces, and without the comma too many."""
        text = self.body.decode().replace('",\n}', '"\n}')
        return {name.strip(): value for name, value in json.loads(text).items()}


@dataclass
class Receiver:
    """Takes callbacks, and answers them with `status` as soon as it is `open`."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    open: Event = field(default_factory=Event)

    def targets(self) -> list[str]:
        return [callback.target for callback in self.received]

    def first(self, count: int) -> list[Received]:
        return wait_for(lambda: self.received[:count] if len(self.received) >= count else [])

    def of(self, event: str) -> list[Received]:
        return [callback for callback in self.received if f'"{event}"'.encode() in callback.body]


class Server(ThreadingHTTPServer):
    request_queue_size = 256


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()
    state.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.received.append(Received(self.path, headers, body))
            state.open.wait(LIMIT_SECONDS)
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        state.open.set()
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

    @property
    def refused(self) -> tuple[int, str]:
        return self.status, self.json["Code"]

    def xml(self, name: str) -> str | None:
        """The text of the first element of that name."""
        root = ElementTree.fromstring(self.body)
        return next((node.text for node in root.iter() if node.tag.rpartition("}")[2] == name), None)


def rfc3986(value: str) -> str:
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-_.~") else f"%{byte:02X}"
        for byte in value.encode()
    )


def sign_v1(method: str, secret: str, asked: dict[str, str]) -> str:
    pairs = sorted(f"{rfc3986(name)}={rfc3986(value)}" for name, value in asked.items())
    text = "&".join([method, rfc3986("/"), rfc3986("&".join(pairs))])
    return base64.b64encode(hmac.digest((secret + "&").encode(), text.encode(), "sha1")).decode()


def sign_mns(method: str, secret: str, resource: str, date: str) -> str:
    text = f"{method}\n\n\n{date}\nx-mns-version:2015-06-06\n{resource}"
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


def common(**changed: str) -> dict[str, str]:
    return {
        "Version": "2017-03-21",
        "Format": "JSON",
        "AccessKeyId": KEY_ID,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        **changed,
    }


@dataclass
class Client:
    vod: SimulatedApsaraVideo
    secret: str = SECRET
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=50))

    def send(self, asked: dict[str, str], *, method: str = "POST", form: bool = False) -> Answer:
        """Signed with V1, the parameters in the query or in a form; empty ones are left away."""
        given = {name: value for name, value in asked.items() if value}
        signed = urlencode({**given, "Signature": sign_v1(method, self.secret, given)}, quote_via=quote)
        headers = {"content-type": "application/x-www-form-urlencoded"} if form else {}
        url, body = (self.vod.url, signed.encode()) if form else (f"{self.vod.url}/?{signed}", None)
        return self.answer(method, url, headers=headers, body=body)

    def answer(self, method: str, url: str, **more: Any) -> Answer:
        answer = self.pool.request(method, url, **more)
        return Answer(answer.status, answer.headers, answer.data)

    def call(self, action: str, **asked: str) -> Answer:
        return self.send(common(Action=action, **asked))

    def upload(self, file: str, **more: str) -> str:
        """The id of the job."""
        url = quote(f"https://example.com/{file}", safe="")
        answer = self.call("UploadMediaByURL", UploadURLs=url, **more)
        assert answer.status == 200, answer.body
        job_id: str = answer.json["UploadJobs"][0]["JobId"]
        return job_id

    def info(self, job_id: str) -> Any:
        [info] = self.call("GetURLUploadInfos", JobIds=job_id).json["URLUploadInfoList"]
        return info

    def ended(self, job_id: str, *statuses: str) -> Any:
        def has_ended() -> Any:
            info = self.info(job_id)
            return info if info["Status"] in (statuses or ENDED) else None

        return wait_for(has_ended)

    def call_back(self, url: str, events: str = "UploadByURLComplete", **more: str) -> None:
        answer = self.call("SetMessageCallback", CallbackURL=url, EventTypeList=events, **more)
        assert answer.status == 200, answer.body

    def use_queue(self, name: str = "vodcallback", events: str = "UploadByURLComplete") -> None:
        more = {"MnsEndpoint": self.vod.url, "MnsQueueName": name}
        assert self.call("SetMessageCallback", CallbackType="MNS", EventTypeList=events, **more).status == 200

    def mns(self, method: str, resource: str, *, date: datetime | None = None, body: bytes | None = None) -> Answer:
        written = format_datetime(date or datetime.now(UTC), usegmt=True)
        headers = {
            "date": written,
            "x-mns-version": "2015-06-06",
            "authorization": f"MNS {KEY_ID}:{sign_mns(method, self.secret, resource, written)}",
        }
        return self.answer(method, self.vod.url + resource, headers=headers, body=body)

    def message(self, wait: int = 30) -> Answer:
        return self.mns("GET", f"/queues/vodcallback/messages?waitseconds={wait}")


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatedApsaraVideo]:
    with SimulatedApsaraVideo(pace=0.01) as vod:
        yield vod


@pytest.fixture
def asking(shared: SimulatedApsaraVideo) -> Client:
    """Of the server that all share, for tests that change no settings and count nothing."""
    return Client(shared)


@pytest.fixture
def client() -> Iterator[Client]:
    """Of a server that nobody else has asked anything."""
    with SimulatedApsaraVideo(pace=0.01, resend_wait=0.01) as vod:
        yield Client(vod)


def uploads(client: Client, count: int) -> list[Delivery]:
    """The deliveries, when there are so many."""
    return wait_for(lambda: client.vod.deliveries if len(client.vod.deliveries) >= count else [])


# --- signatures ---


def test_the_signature_v1_is_the_published_one() -> None:
    asked = {
        "Action": "DescribeRegions",
        "AccessKeyId": "testid",
        "Format": "XML",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
        "SignatureVersion": "1.0",
        "Timestamp": "2016-02-23T12:46:24Z",
        "Version": "2014-05-26",
    }
    assert signatures.rpc_v1("testsecret", method="GET", parameters=asked) == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="


def test_the_signature_v1_of_a_vod_call_is_the_measured_one() -> None:
    asked = common(
        Action="GetURLUploadInfos",
        JobIds="86c1925fba0a,7afb201e7fab",
        AccessKeyId="testid",
        SignatureNonce="3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
        Timestamp="2026-01-28T00:00:00Z",
    )
    assert signatures.rpc_v1("testsecret", method="POST", parameters=asked) == "/vv8ume+0a1P4t9UyIJGHkryHXw="
    with_type = {**asked, "SignatureType": ""}  # as the old SDK sends it
    assert signatures.rpc_v1("testsecret", method="POST", parameters=with_type) == "PnJaOQom55M8FuQ14xde3Nvoc3Q="


def test_the_signature_of_mns_is_the_measured_one() -> None:
    headers = [("x-mns-version", "2015-06-06"), ("date", "Wed, 28 Jan 2026 00:00:00 GMT"), ("host", "127.0.0.1")]
    resource = "/queues/vodcallback/messages?waitseconds=10"
    signature = signatures.mns("testsecret", method="GET", resource=resource, headers=headers)
    assert signature == "Cvv8/SU+hkBytyLrBm67wobO7IQ="


def test_the_signature_of_a_callback_is_the_published_one() -> None:
    signature = signatures.callback("https://www.example.com/your/callback", 1519375990, "test123")
    assert signature == "c72b60894140fa98920f1279219b7ed4"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_is_signed_in_its_query(method: str, asking: Client) -> None:
    answer = asking.send(common(Action="GetMessageCallback"), method=method)
    assert (answer.status, answer.json["MessageCallback"]) == (200, {"AppId": "app-1000000"})
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert answer.headers["x-acs-request-id"] == answer.json["RequestId"]


def test_a_call_is_signed_in_its_form(asking: Client) -> None:
    asked = common(Action="UploadMediaByURL", UploadURLs="https://example.com/a+b c~*.mp4")
    [job] = asking.send(asked, form=True).json["UploadJobs"]
    assert job["SourceURL"] == "https://example.com/a+b c~*.mp4"


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"AccessKeyId": ""}, (400, "MissingAccessKeyId")),
        ({"AccessKeyId": "LTAI-stranger"}, (404, "InvalidAccessKeyId.NotFound")),
        ({"SignatureNonce": ""}, (400, "MissingSignatureNonce")),
        ({"Timestamp": "yesterday"}, (400, "InvalidTimeStamp.Format")),
        (
            {"Timestamp": f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"},
            (400, "InvalidTimeStamp.Expired"),
        ),
        (
            {"Timestamp": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"},
            (400, "InvalidTimeStamp.Expired"),
        ),
        ({"Action": ""}, (400, "MissingAction")),
        ({"Action": "UploadEverything"}, (404, "InvalidApi.NotFound")),
        ({"Version": ""}, (400, "MissingVersion")),
        ({"Version": "2016-01-01"}, (404, "InvalidApi.NotFound")),
        ({"Format": "XML"}, (400, "InvalidParameter.Format")),
        ({"Format": ""}, (400, "InvalidParameter.Format")),
    ],
)
def test_a_call_that_is_not_as_it_must_be_is_refused(
    changed: dict[str, str], refused: tuple[int, str], asking: Client
) -> None:
    assert asking.send(common(**{"Action": "GetMessageCallback", **changed})).refused == refused


def test_an_error_has_alibabas_five_fields(asking: Client) -> None:
    answer = Client(asking.vod, secret="guessed").call("GetMessageCallback")
    assert answer.refused == (400, "SignatureDoesNotMatch")
    assert set(answer.json) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert answer.json["HostId"] == asking.vod.url.removeprefix("http://")
    assert answer.headers["x-acs-request-id"] == answer.json["RequestId"]


def test_a_nonce_is_good_once(asking: Client) -> None:
    asked = common(Action="GetMessageCallback")
    assert asking.send(asked).status == 200
    assert asking.send(asked).refused == (400, "SignatureNonceUsed")


def test_a_signature_covers_every_parameter(asking: Client) -> None:
    given = common(Action="UploadMediaByURL", UploadURLs=TALK)
    signature = sign_v1("POST", SECRET, given)
    changed = urlencode({**given, "UploadURLs": "https://example.com/other.mp4", "Signature": signature})
    assert asking.answer("POST", f"{asking.vod.url}/?{changed}").refused == (400, "SignatureDoesNotMatch")


def acs3_headers(asking: Client, **changed: str) -> dict[str, str]:
    return {
        "host": asking.vod.url.removeprefix("http://"),
        "x-acs-action": "GetMessageCallback",
        "x-acs-version": "2017-03-21",
        "x-acs-date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": str(uuid.uuid4()),
        **changed,
    }


def acs3(headers: dict[str, str], names: list[str], body: bytes = b"") -> str:
    signed = sorted(names)
    lines = [f"{name}:{headers[name]}" for name in signed]
    request = "\n".join(["POST", "/", "", *lines, "", ";".join(signed), hashlib.sha256(body).hexdigest()])
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(SECRET.encode(), text.encode(), "sha256").hex()
    return f"ACS3-HMAC-SHA256 Credential={KEY_ID},SignedHeaders={';'.join(signed)},Signature={signature}"


@pytest.mark.parametrize("left_out", ["host", "x-acs-action", "x-acs-date", "x-acs-extra"])
def test_a_header_signature_covers_the_host_and_everything_of_alibaba(left_out: str, asking: Client) -> None:
    headers = acs3_headers(asking, **{"x-acs-extra": "1"})
    whole = {**headers, "authorization": acs3(headers, list(headers))}
    assert asking.answer("POST", asking.vod.url, headers=whole).status == 200
    headers = acs3_headers(asking, **{"x-acs-extra": "1"})
    partial = {**headers, "authorization": acs3(headers, [name for name in headers if name != left_out])}
    assert asking.answer("POST", asking.vod.url, headers=partial).refused == (400, "IncompleteSignature")


def test_a_header_signature_covers_the_body(asking: Client) -> None:
    headers = acs3_headers(asking)
    changed = {**headers, "authorization": acs3(headers, list(headers), b"this")}
    assert asking.answer("POST", asking.vod.url, headers=changed, body=b"that").refused == (
        400,
        "SignatureDoesNotMatch",
    )


def test_an_authorization_that_is_none_of_alibabas_is_incomplete(asking: Client) -> None:
    headers = {**acs3_headers(asking), "authorization": "Bearer secret"}
    assert asking.answer("POST", asking.vod.url, headers=headers).refused == (400, "IncompleteSignature")


# --- submits and polling ---


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"UploadURLs": "talk.mp4"}, "InvalidParameter.UploadURLs"),
        ({"UploadURLs": "https://example.com/no-extension"}, "InvalidParameter.UploadURLs"),
        ({"UploadURLs": f"{TALK}?drop=much"}, "InvalidParameter.UploadURLs"),
        ({"UploadURLs": TALK, "UploadMetadatas": "{"}, "InvalidParameter.UploadMetadatas"),
        ({"UploadURLs": TALK, "UploadMetadatas": '[{"Title": "no source"}]'}, "InvalidParameter.UploadMetadatas"),
        # as one page of the documents prints it
        (
            {"UploadURLs": TALK, "UserData": '{"MessageCallback":"{"CallbackURL":"http://a.b"}"}'},
            "InvalidParameter.UserData",
        ),
        ({"UploadURLs": TALK, "UserData": json.dumps({"Extend": "a" * 513})}, "InvalidParameter.UserData"),
        ({"UploadURLs": TALK, "SessionId": "not allowed"}, "InvalidParameter.SessionId"),
        ({"UploadURLs": TALK, "SessionId": "a" * 51}, "InvalidParameter.SessionId"),
    ],
)
def test_a_submit_that_is_wrong_is_refused(asked: dict[str, str], code: str, asking: Client) -> None:
    assert asking.call("UploadMediaByURL", **asked).refused == (400, code)


def test_a_file_extension_can_stand_in_the_metadata(asking: Client) -> None:
    url = "https://example.com/no-extension"
    metadata = json.dumps([{"SourceURL": url, "Title": "Talk", "FileExtension": "mp4"}])
    assert asking.call("UploadMediaByURL", UploadURLs=url, UploadMetadatas=metadata).status == 200


def test_polling_takes_ten_at_once_and_no_less_than_one(asking: Client) -> None:
    ids = [f"unknown-{number}" for number in range(11)]
    assert asking.call("GetURLUploadInfos", JobIds=",".join(ids[:10])).json["NonExists"] == ids[:10]
    assert asking.call("GetURLUploadInfos", JobIds=",".join(ids)).refused == (400, "InvalidParameter.JobIds")
    assert asking.call("GetURLUploadInfos", UploadURLs=",".join(ids)).refused == (400, "InvalidParameter.UploadURLs")
    assert asking.call("GetURLUploadInfos").refused == (400, "MissingJobIds")


@pytest.mark.parametrize(
    ("share", "status"),
    [
        (0.0, "PENDING"),
        (0.3, "PROCESSING"),
        (0.5, "DOWNLOADING"),
        (0.75, "DOWNLOAD_SUCCESS"),
        (0.9, "UPLOADING"),
        (2.0, "UPLOADING"),  # nobody has settled it yet
    ],
)
def test_a_job_goes_through_the_documented_statuses(share: float, status: str) -> None:
    courier = Courier(timeout=1, patience=1)
    studio = Studio(seed=7, pace=1e6, knobs=Knobs(), courier=courier, mailboxes={})
    source = read_source(TALK, Knobs())
    job = studio.upload(source, app_id="app-1000000", user_data=UserData(), transcodes=True)
    job.began -= share * job.takes
    assert job.status == status
    assert 8e5 <= job.takes <= 1.2e6
    courier.close()


def test_a_job_is_no_success_before_its_callback_is_complete(client: Client, receiver: Receiver) -> None:
    receiver.open.clear()
    client.call_back(receiver.url)
    job_id = client.upload("talk.mp4")
    receiver.first(1)
    assert client.info(job_id)["Status"] == "UPLOAD_SUCCESS"
    receiver.open.set()
    assert client.ended(job_id)["Status"] == "SUCCESS"


def test_a_running_job_has_no_media_yet(asking: Client) -> None:
    info = asking.info(asking.upload("stuck.mp4", UserData="{}"))
    assert set(info) == {"CreationTime", "UploadURL", "Status", "JobId", "UserData"}


def test_a_session_id_can_be_made_to_return_the_same_jobs() -> None:
    with SimulatedApsaraVideo(pace=0.01, session_repeat="same-jobs") as vod:
        client = Client(vod)
        first, again = (client.upload("talk.mp4", SessionId="job_1-a") for _ in range(2))
        other = client.upload("talk.mp4", SessionId="job_1-b")
        of_other_app = client.upload("talk.mp4", SessionId="job_1-a", AppId="app-2")
    assert first == again
    assert len({first, other, of_other_app}) == 3


def test_a_session_id_of_a_submit_that_failed_is_still_good(client: Client) -> None:
    asked = {"UploadURLs": "https://example.com/flaky.mp4", "SessionId": "job-1"}
    assert [client.call("UploadMediaByURL", **asked).status for _ in range(4)] == [503, 503, 200, 400]


def test_requests_are_kept_without_their_secrets(client: Client) -> None:
    client.call_back("https://example.com", AuthKey=AUTH_KEY, AuthSwitch="on")
    client.send(common(Action="UploadMediaByURL", UploadURLs=TALK), form=True)
    client.message(wait=0)
    assert [request.action for request in client.vod.requests] == ["SetMessageCallback", "UploadMediaByURL", None]
    [settings, upload, message] = client.vod.requests
    assert settings.query["CallbackURL"] == "https://example.com"
    assert (upload.method, upload.path, upload.query["UploadURLs"], upload.body) == ("POST", "/", TALK, b"")
    assert (message.method, message.path) == ("GET", "/queues/vodcallback/messages")
    assert (message.query, message.headers["x-mns-version"]) == ({"waitseconds": "0"}, "2015-06-06")
    kept = repr(client.vod.requests)
    assert all(secret not in kept for secret in (AUTH_KEY, SECRET, "MNS ", "'Signature'"))


# --- events ---


def test_a_successful_uploads_event_is_the_page_byte_for_byte(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    job_id = client.upload("talk.mp4", UserData='{"Extend":{"localId":"7"}}')
    info = client.ended(job_id)
    [callback] = receiver.first(1)
    expected = page(UPLOADED_PAGE)
    for printed, real in (
        (PAGE_TIME, callback.event["EventTime"]),
        ("43q9fjdun3f****", info["MediaId"]),
        ("4c815bjs83j1****", job_id),
        (PAGE_URL, TALK),
        ("123456", info["FileSize"]),
    ):
        expected = expected.replace(printed.encode(), real.encode())
    assert callback.body == expected
    assert abs(datetime.fromisoformat(callback.event["EventTime"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_failed_uploads_event_is_the_page_byte_for_byte(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    job_id = client.upload("private.mp4")
    [callback] = receiver.first(1)
    with pytest.raises(ValueError, match=r"Illegal trailing comma|property name"):
        json.loads(callback.body)
    expected = page(FAILED_PAGE).replace(b"4c815bjsued****", job_id.encode())
    expected = expected.replace(PAGE_URL.encode(), b"https://example.com/private.mp4")
    assert callback.body == expected.replace(PAGE_TIME.encode(), callback.event["EventTime"].encode())


def test_the_pages_own_values_give_the_page() -> None:
    ids = {"video_id": "43q9fjdun3f****", "job_id": "4c815bjs83j1****"}
    assert payloads.uploaded(time=PAGE_TIME, source_url=PAGE_URL, size=123456, **ids) == page(UPLOADED_PAGE)
    message = "download video failed by the url, please check it"
    body = payloads.failed(
        time=PAGE_TIME, job_id="4c815bjsued****", source_url=PAGE_URL, code="URLInvalidError", message=message
    )
    assert body == page(FAILED_PAGE)


def test_clean_events_are_correct_json(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    client.upload("clean.mp4", UserData='{"Extend":"7"}')
    client.upload("clean-private.mp4")
    bodies = [json.loads(callback.body) for callback in receiver.first(2)]
    [succeeded] = [body for body in bodies if body["Status"] == "success"]
    [failed] = [body for body in bodies if body["Status"] == "fail"]
    assert (succeeded["SourceURL"], succeeded["Extend"]) == ("https://example.com/clean.mp4", "7")
    assert (failed["ErrorCode"], "VideoId" in failed, "Extend" in failed) == ("URLInvalidError", False, False)


def test_companion_events_come_with_a_success(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url, "ALL")
    job_id = client.upload("talk.mp4", UserData='{"Extend":{"localId":"7"}}')
    receiver.first(3)
    [stored], [transcoded] = receiver.of("FileUploadComplete"), receiver.of("StreamTranscodeComplete")
    info = client.ended(job_id)
    assert receiver.received[-1] == transcoded
    assert len(receiver.of("UploadByURLComplete")) == 1
    assert stored.event["VideoId"] == transcoded.event["VideoId"] == info["MediaId"]
    assert stored.event["Size"] == int(info["FileSize"])
    assert stored.event["Extend"] == transcoded.event["Extend"] == '{"localId":"7"}'
    assert stored.event["FileUrl"].startswith("http://")
    assert transcoded.event["JobId"] != job_id


def test_a_failure_has_no_companions(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url, "ALL")
    client.ended(client.upload("private.mp4"))
    client.upload("talk.mp4")
    receiver.first(4)
    assert len(receiver.of("UploadByURLComplete")) == 2
    assert len(receiver.of("FileUploadComplete")) == len(receiver.of("StreamTranscodeComplete")) == 1


def test_nothing_is_transcoded_in_the_group_without_transcoding(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url, "StreamTranscodeComplete")
    client.ended(client.upload("quiet.mp4", TemplateGroupId="VOD_NO_TRANSCODE"))
    job_id = client.upload("talk.mp4")
    [transcoded] = receiver.first(1)
    assert transcoded.event["VideoId"] == client.info(job_id)["MediaId"]


@pytest.mark.parametrize(("file", "status"), [("talk-hd.flv", "success"), ("private.flv", "fail")])
def test_a_streams_event_has_its_file_and_its_video(file: str, status: str, client: Client, receiver: Receiver) -> None:
    video_id = client.ended(client.upload("talk.mp4"))["MediaId"]
    client.call_back(receiver.url, "ALL")
    asked = {"Definition": "HD", "MediaId": video_id, "StreamURL": f"https://example.com/{file}"}
    stream = client.call("UploadStreamByURL", UserData='{"Extend":"7"}', **asked).json
    [callback] = wait_for(lambda: receiver.of("UploadByURLComplete"))
    event = json.loads(callback.body)
    assert event.pop("EventTime")
    assert event == {
        "Status": status,
        "SourceURL": f"https://example.com/{file}",
        "VideoId": video_id,
        "EventType": "UploadByURLComplete",
        "FileType": "Stream",
        "StreamFileURL": stream["FileURL"],
        "JobId": stream["StreamJobId"],
        "Extend": "7",
    }


# --- where events go ---


def test_a_callback_is_signed_as_the_documents_say(client: Client, receiver: Receiver) -> None:
    url = f"{receiver.url}/callback?token=1"
    client.call_back(url, AuthSwitch="on", AuthKey=AUTH_KEY)
    client.upload("talk.mp4")
    [callback] = receiver.first(1)
    at, signature = callback.headers["x-vod-timestamp"], callback.headers["x-vod-signature"]
    assert signature == hashlib.md5(f"{url}|{at}|{AUTH_KEY}".encode()).hexdigest()
    assert len(at) == 10
    assert abs(int(at) - time.time()) < LIMIT_SECONDS
    assert callback.headers["content-type"] == "application/json"
    [delivery] = uploads(client, 1)
    assert delivery.headers["X-VOD-SIGNATURE"] == signature
    assert delivery.url == f"{receiver.url}/callback"


@pytest.mark.parametrize("settings", [{}, {"AuthSwitch": "off", "AuthKey": AUTH_KEY}, {"AuthSwitch": "on"}])
def test_a_callback_without_key_or_switch_is_not_signed(
    settings: dict[str, str], client: Client, receiver: Receiver
) -> None:
    client.call_back(receiver.url, **settings)
    client.upload("talk.mp4")
    [callback] = receiver.first(1)
    assert not [name for name in callback.headers if name.startswith("x-vod-")]


def own_callback(url: str) -> str:
    return json.dumps({"MessageCallback": {"CallbackURL": url}})


def test_a_jobs_own_url_beats_the_global_one_and_is_signed(client: Client, receiver: Receiver) -> None:
    client.call_back(f"{receiver.url}/global", AuthSwitch="on", AuthKey=AUTH_KEY)
    own = f"{receiver.url}/own"
    client.upload("talk.mp4", UserData=own_callback(own))
    [callback] = receiver.first(1)
    assert callback.target == "/own"
    signed = f"{own}|{callback.headers['x-vod-timestamp']}|{AUTH_KEY}"
    assert callback.headers["x-vod-signature"] == hashlib.md5(signed.encode()).hexdigest()


def test_a_jobs_own_url_needs_a_global_callback_with_its_event(client: Client, receiver: Receiver) -> None:
    own = own_callback(f"{receiver.url}/too-early")
    client.ended(client.upload("talk.mp4", UserData=own))
    client.call_back(receiver.url, "FileUploadComplete")
    client.ended(client.upload("talk.mp4", UserData=own_callback(f"{receiver.url}/stored")))
    assert [delivery.url for delivery in client.vod.deliveries] == [f"{receiver.url}/stored"]
    assert receiver.of("FileUploadComplete") == receiver.received


def test_no_event_types_are_no_events(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url, "")
    client.ended(client.upload("talk.mp4"))
    client.call("DeleteMessageCallback")
    client.ended(client.upload("talk.mp4"))
    assert client.vod.deliveries == []


def test_an_application_has_its_own_callback(client: Client, receiver: Receiver) -> None:
    client.call_back(f"{receiver.url}/default")
    client.call_back(f"{receiver.url}/other", AppId="app-2")
    client.ended(client.upload("talk.mp4", AppId="app-2"))
    assert receiver.targets() == ["/other"]


@pytest.mark.parametrize("status", [201, 204, 302, 500])
def test_a_callback_is_tried_three_times_until_exactly_200(status: int, client: Client, receiver: Receiver) -> None:
    receiver.status, receiver.headers = status, {"location": "/moved"}
    client.call_back(receiver.url, AuthSwitch="on", AuthKey=AUTH_KEY)
    job_id = client.upload("talk.mp4")
    assert client.ended(job_id)["Status"] == "SUCCESS"
    tried = [(delivery.status, delivery.attempt, delivery.resent) for delivery in client.vod.deliveries]
    assert tried == [(status, 1, 0), (status, 1, 1), (status, 1, 2)]
    assert receiver.targets() == ["/", "/", "/"]
    assert len({callback.body for callback in receiver.received}) == 1


def test_a_callback_that_is_taken_is_not_repeated(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    client.ended(client.upload("talk.mp4"))
    assert [delivery.status for delivery in client.vod.deliveries] == [200]


def test_a_callback_that_reaches_nobody_has_no_status(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    client.call_back(f"http://127.0.0.1:{port}")
    client.ended(client.upload("talk.mp4"))
    assert [delivery.status for delivery in client.vod.deliveries] == [None, None, None]


def test_fifty_jobs_at_once_all_call_back(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    with ThreadPoolExecutor(10) as threads:
        jobs = set(threads.map(lambda number: client.upload(f"talk.mp4?n={number}"), range(50)))
    assert {callback.event["JobId"] for callback in receiver.first(50)} == jobs
    assert len(jobs) == 50


# --- behaviours ---


def test_a_failure_can_be_taken_back(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    job_id = client.upload("fail-then-success.mp4")
    info = client.ended(job_id, "SUCCESS")
    failed, succeeded = receiver.first(2)
    assert [failed.event["Status"], succeeded.event["Status"]] == ["fail", "success"]
    assert failed.event["JobId"] == succeeded.event["JobId"] == job_id
    assert succeeded.event["VideoId"] == info["MediaId"]
    assert "ErrorCode" not in info


def test_a_failure_is_polled_until_it_is_taken_back(client: Client, receiver: Receiver) -> None:
    receiver.open.clear()
    client.call_back(receiver.url)
    job_id = client.upload("fail-then-success.mp4")
    receiver.first(1)
    assert client.info(job_id)["Status"] == "DOWNLOAD_FAIL"
    receiver.open.set()
    assert client.ended(job_id, "SUCCESS")["MediaId"]


def test_a_status_can_lag_behind_its_event(receiver: Receiver) -> None:
    with SimulatedApsaraVideo(pace=0.2) as vod:  # so that the status lags for eight seconds
        client = Client(vod)
        client.call_back(receiver.url)
        job_id = client.upload("status-lags.mp4")
        assert receiver.first(1)[0].event["Status"] == "success"
        uploads(client, 1)
        info = client.info(job_id)
    assert (info["Status"], "CompleteTime" in info) == ("UPLOADING", False)


def test_a_status_that_lags_comes_in_the_end(asking: Client) -> None:
    assert asking.ended(asking.upload("status-lags.mp4"))["Status"] == "SUCCESS"


def test_a_liars_event_is_not_what_polling_says(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    job_id = client.upload("liar.mp4")
    assert receiver.first(1)[0].event["Status"] == "success"
    uploads(client, 1)
    info = client.info(job_id)
    assert (info["Status"], info["ErrorCode"], "MediaId" in info) == ("DOWNLOAD_FAIL", "URLInvalidError", False)


def test_an_error_code_can_stand_beside_success(asking: Client) -> None:
    info = asking.ended(asking.upload("code-200.mp4"))
    assert (info["Status"], info["ErrorCode"], info["ErrorMessage"]) == ("SUCCESS", "200", "Success")


@pytest.mark.parametrize(
    ("file", "statuses"),
    [
        ("flaky.mp4", [503, 503, 200, 200]),
        ("throttled.mp4", [429, 200, 200]),
        ("throttled-400.mp4", [400, 200, 200]),
        ("html.mp4", [502, 200, 200]),
        ("refused.mp4", [400, 400, 400]),
        ("talk.mp4?throttle=1&fail=2", [429, 503, 503, 200]),
        ("flaky.mp4?fail=1", [503, 503, 503, 200]),
    ],
)
def test_submits_are_answered_in_the_sources_order(file: str, statuses: list[int], client: Client) -> None:
    asked = {"UploadURLs": f"https://example.com/{file}"}
    assert [client.call("UploadMediaByURL", **asked).status for _ in statuses] == statuses


def test_one_bad_source_is_enough_to_disturb_a_submit(client: Client) -> None:
    urls = f"{TALK},https://example.com/flaky.mp4"
    assert [client.call("UploadMediaByURL", UploadURLs=urls).status for _ in range(3)] == [503, 503, 200]
    assert len(client.call("GetURLUploadInfos", UploadURLs=TALK).json["URLUploadInfoList"]) == 1


def test_a_throttled_submit_says_how_long_to_wait(client: Client) -> None:
    answer = client.call("UploadMediaByURL", UploadURLs="https://example.com/throttled.mp4")
    assert answer.refused == (429, "Throttling.User")
    assert answer.headers["x-acs-retry-after"] == "1000"


def test_a_bad_gateway_answers_in_html(client: Client) -> None:
    answer = client.call("UploadMediaByURL", UploadURLs="https://example.com/html.mp4")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<html>")


def test_a_reset_submit_gets_no_answer_then_works(client: Client) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.upload("reset.mp4")
    assert client.ended(client.upload("reset.mp4"))["Status"] == "SUCCESS"


def test_a_silent_source_never_calls_back(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url, "ALL")
    assert client.ended(client.upload("silent.mp4"))["Status"] == "SUCCESS"
    client.upload("talk.mp4")
    receiver.first(3)
    assert all(b"silent" not in callback.body for callback in receiver.received)


def test_a_garbled_event_is_cut_but_polling_tells_all(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    job_id = client.upload("garbled.mp4")
    assert client.ended(job_id)["MediaId"]
    [callback] = receiver.first(1)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(callback.body)


def test_doubled_events_swap_places(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url, "UploadByURLComplete,FileUploadComplete")
    client.upload("twice.mp4")
    came = receiver.first(4)
    assert len({callback.body for callback in came}) == 2
    assert len(receiver.of("UploadByURLComplete")) == len(receiver.of("FileUploadComplete")) == 2
    # the first in line is overtaken by the other, so the two kinds alternate
    assert b"FileUploadComplete" not in came[0].body


def test_a_late_event_comes_after_polling_says_success() -> None:
    """Nothing is timed: what began when the late job was done by polling still overtakes its event."""
    with SimulatedApsaraVideo(pace=0.05, resend_wait=0) as vod:
        client = Client(vod)
        client.call_back("http://127.0.0.1:9/global")
        client.ended(client.upload("late.mp4", UserData=own_callback("http://127.0.0.1:9/late")))
        client.upload("talk.mp4", UserData=own_callback("http://127.0.0.1:9/prompt"))
        uploads(client, 6)
    assert [delivery.url.rpartition("/")[2] for delivery in vod.deliveries] == ["prompt"] * 3 + ["late"] * 3


def test_an_early_event_is_there_before_the_answer(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    job_id = client.upload("early.mp4")
    assert [callback.event["JobId"] for callback in receiver.received] == [job_id]


def test_a_stuck_job_is_still_downloading_when_later_ones_are_done(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    stuck = client.upload("stuck.mp4")
    done = client.upload("talk.mp4")
    client.ended(done)
    assert client.ended(stuck, "DOWNLOADING")["JobId"] == stuck
    assert [callback.event["JobId"] for callback in receiver.received] == [done]


def test_every_behaviour_is_in_the_printed_table() -> None:
    printed_names = {line.split()[0] for line in table().splitlines()}
    assert printed_names == {*BEHAVIOURS, "else", "?knobs"}


# --- knobs ---


def test_further_copies_come_as_often_as_asked(client: Client, receiver: Receiver) -> None:
    client.call_back(receiver.url)
    client.upload("talk.mp4?duplicate=2")
    assert len({callback.body for callback in receiver.first(3)}) == 1


def test_the_servers_knobs_hold_unless_the_source_turns_them(receiver: Receiver) -> None:
    with SimulatedApsaraVideo(pace=0.01, knobs=Knobs(drop=1)) as vod:
        client = Client(vod)
        client.call_back(receiver.url)
        client.ended(client.upload("dropped.mp4"))
        client.upload("sent.mp4?drop=0&delay=0.05")
        receiver.first(1)
    assert [callback.event["SourceURL"] for callback in receiver.received] == [
        "https://example.com/sent.mp4?drop=0&delay=0.05"
    ]


def test_a_sources_knobs_are_its_name_and_the_servers_unless_its_query_says_otherwise() -> None:
    defaults = Knobs(drop=0.5, delay=2)
    assert read_source("https://example.com/silent.mp4", defaults).knobs == Knobs(drop=1, delay=2)
    asked = "https://example.com/twice.mp4?drop=0.25&reorder=0&duplicate=3&Expires=1790000000"
    assert read_source(asked, defaults).knobs == Knobs(drop=0.25, delay=2, duplicate=3)


def run(seed: int) -> tuple[list[str], list[int]]:
    """The ids and sizes of thirty uploads at once, and how long the messages are, half of which are cut."""
    with SimulatedApsaraVideo(pace=0.01, seed=seed) as vod, ThreadPoolExecutor(10) as threads:
        client = Client(vod)
        client.use_queue()
        jobs = list(threads.map(lambda n: client.upload(f"talk.mp4?garble=0.5&n={n % 20}"), range(30)))
        described = [f"{job} {info['MediaId']} {info['FileSize']}" for job in jobs if (info := client.ended(job))]
        resource = "/queues/vodcallback/messages?numOfMessages=16&waitseconds=30"
        lengths: list[int] = []
        while len(lengths) < 30:
            root = ElementTree.fromstring(client.mns("GET", resource).body)
            lengths += [len(node.text or "") for node in root.iter() if node.tag.endswith("}MessageBody")]
    return sorted(described), sorted(lengths)


def test_a_run_repeats_with_its_seed() -> None:
    first = run(7)
    assert len(set(first[0])) == 30
    assert run(7) == first
    assert run(8)[0] != first[0]


# --- MNS ---


def test_a_message_is_the_documented_xml(client: Client) -> None:
    client.vod.put_message("vodcallback", '{"a": "<&>"}')
    answer = client.message()
    root = ElementTree.fromstring(answer.body)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml;charset=utf-8")
    assert answer.body.startswith(b'<?xml version="1.0" ?>\n<Message xmlns="http://mns.aliyuncs.com/doc/v1">')
    assert [node.tag.rpartition("}")[2] for node in root] == [
        "MessageId",
        "MessageBodyMD5",
        "MessageBody",
        "ReceiptHandle",
        "EnqueueTime",
        "FirstDequeueTime",
        "NextVisibleTime",
        "DequeueCount",
        "Priority",
    ]
    assert answer.xml("MessageBody") == '{"a": "<&>"}'
    assert answer.xml("MessageBodyMD5") == hashlib.md5(b'{"a": "<&>"}').hexdigest().upper()
    assert len(answer.xml("EnqueueTime") or "") == 13


def test_an_mns_error_is_the_documented_xml(client: Client) -> None:
    answer = client.answer("GET", f"{client.vod.url}/queues/vodcallback/messages")
    assert (answer.status, answer.xml("Code")) == (400, "InvalidArgument")
    assert answer.xml("Message") == "Authorization header is invalid or missing."
    assert b'<Error xmlns="http://mns.aliyuncs.com/doc/v1/">' in answer.body
    assert answer.xml("HostId") == client.vod.url.removeprefix("http://")
    assert answer.xml("RequestId") == answer.headers["x-mns-request-id"]


@pytest.mark.parametrize(
    ("method", "resource", "refused"),
    [
        ("GET", "/queues/vodcallback/messages", (404, "MessageNotExist")),
        ("GET", "/queues/vodcallback/messages?waitseconds=31", (400, "InvalidArgument")),
        ("GET", "/queues/vodcallback/messages?numOfMessages=17", (400, "InvalidArgument")),
        ("GET", "/queues/vodcallback/messages?numOfMessages=0", (400, "InvalidArgument")),
        ("GET", "/queues/other/messages", (404, "QueueNotExist")),
        ("DELETE", "/queues/vodcallback/messages", (400, "ReceiptHandleError")),
        ("DELETE", "/queues/vodcallback/messages?ReceiptHandle=unknown", (404, "MessageNotExist")),
        ("PUT", "/queues/vodcallback/messages?ReceiptHandle=unknown&VisibilityTimeout=1", (404, "MessageNotExist")),
        ("PUT", "/queues/vodcallback/messages?ReceiptHandle=unknown", (400, "InvalidArgument")),
    ],
)
def test_a_queue_says_what_is_wrong(method: str, resource: str, refused: tuple[int, str], asking: Client) -> None:
    answer = asking.mns(method, resource)
    assert (answer.status, answer.xml("Code")) == refused


def test_a_batch_that_is_no_xml_is_refused(asking: Client) -> None:
    answer = asking.mns("DELETE", "/queues/vodcallback/messages", body=b"<ReceiptHandles>")
    assert (answer.status, answer.xml("Code")) == (400, "MalformedXML")


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_mns_request_of_another_hour_is_expired(hours: int, asking: Client) -> None:
    answer = asking.mns("GET", "/queues/vodcallback/messages", date=datetime.now(UTC) + timedelta(hours=hours))
    assert answer.xml("Code") == "TimeExpired"


def test_an_mns_signature_covers_the_query(asking: Client) -> None:
    date = format_datetime(datetime.now(UTC), usegmt=True)
    signature = sign_mns("GET", SECRET, "/queues/vodcallback/messages", date)
    headers = {"date": date, "x-mns-version": "2015-06-06", "authorization": f"MNS {KEY_ID}:{signature}"}
    url = f"{asking.vod.url}/queues/vodcallback/messages"
    assert asking.answer("GET", f"{url}?waitseconds=0", headers=headers).xml("Code") == "SignatureDoesNotMatch"
    assert asking.answer("GET", url, headers=headers).xml("Code") == "MessageNotExist"


def test_a_long_poll_ends_when_a_message_comes(client: Client) -> None:
    with ThreadPoolExecutor(2) as threads:
        polls = [threads.submit(client.message) for _ in range(2)]
        wait_for(lambda: len(client.vod.requests) == 2)
        client.vod.put_message("vodcallback", "first")
        client.vod.put_message("vodcallback", "second")
        assert {poll.result(LIMIT_SECONDS).xml("MessageBody") for poll in polls} == {"first", "second"}


def test_a_poll_without_waitseconds_waits_as_the_queue_says() -> None:
    with SimulatedApsaraVideo(mns_polling_wait=LIMIT_SECONDS) as vod, ThreadPoolExecutor(1) as threads:
        client = Client(vod)
        poll = threads.submit(client.mns, "GET", "/queues/vodcallback/messages")
        wait_for(lambda: vod.requests)
        vod.put_message("vodcallback", "{}")
        assert poll.result(LIMIT_SECONDS).xml("MessageBody") == "{}"


def test_an_event_is_in_the_queue_as_it_would_be_over_http(client: Client, receiver: Receiver) -> None:
    client.use_queue()
    job_id = client.upload("talk.mp4")
    body = client.message().xml("MessageBody")
    assert body is not None
    info = client.ended(job_id)
    assert f'"VideoId": "{info["MediaId"]}", \n' in body
    assert json.loads(body)["SourceURL "] == TALK
    assert receiver.received == []


def test_a_jobs_own_url_goes_before_a_queue(client: Client, receiver: Receiver) -> None:
    client.use_queue()

    job_id = client.upload("talk.mp4", UserData=own_callback(receiver.url))

    wait_for(lambda: receiver.received)
    client.ended(job_id)
    assert client.message(wait=0).status == 404


def test_events_can_be_in_base64() -> None:
    with SimulatedApsaraVideo(pace=0.01, mns_base64=True) as vod:
        client = Client(vod)
        client.use_queue()
        job_id = client.upload("clean.mp4")
        body = base64.b64decode(client.message().xml("MessageBody") or "", validate=True)
    assert json.loads(body)["JobId"] == job_id


def test_events_for_a_queue_that_is_not_there_are_lost(client: Client) -> None:
    client.use_queue("other")
    client.ended(client.upload("talk.mp4"))
    client.use_queue()
    job_id = client.upload("clean.mp4")
    assert json.loads(client.message().xml("MessageBody") or "")["JobId"] == job_id
    assert client.message(wait=0).status == 404


def test_doubled_events_are_two_messages(client: Client) -> None:
    client.use_queue()
    client.ended(client.upload("twice.mp4"))
    first, second = client.message(), client.message()
    assert first.xml("MessageBody") == second.xml("MessageBody")
    assert first.xml("MessageId") != second.xml("MessageId")


def test_a_message_can_only_be_put_into_a_queue_that_is_there(asking: Client) -> None:
    with pytest.raises(KeyError):
        asking.vod.put_message("other", "{}")


# --- the server ---


def test_the_server_is_gone_after_its_with() -> None:
    with SimulatedApsaraVideo(pace=0.01) as vod:
        client = Client(vod)
        client.call_back("http://127.0.0.1:9")
        client.upload("stuck.mp4")
        client.upload("late.mp4")
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        Client(vod).call("GetMessageCallback")


def test_the_end_of_the_server_ends_a_long_poll() -> None:
    with ThreadPoolExecutor(1) as threads:
        with SimulatedApsaraVideo() as vod:
            poll = threads.submit(Client(vod).message)
            wait_for(lambda: vod.requests)
        assert poll.result(LIMIT_SECONDS).xml("Code") == "MessageNotExist"


def test_a_server_can_have_the_port_and_the_keys_that_it_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with SimulatedApsaraVideo(port=port, access_keys={KEY_ID: "other"}) as vod:
        assert vod.url == f"http://127.0.0.1:{port}"
        assert Client(vod, secret="other").call("GetMessageCallback").status == 200
        assert Client(vod).call("GetMessageCallback").refused == (400, "SignatureDoesNotMatch")
