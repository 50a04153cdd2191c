"""api.video's status from our own table: its official SDK asks here as it asks there."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3
from apivideo import AuthenticatedApiClient  # type: ignore[import-untyped]
from apivideo.apis import VideosApi  # type: ignore[import-untyped]
from apivideo.exceptions import (  # type: ignore[import-untyped]
    ApiException,
    ApiValueError,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from apivideo.model.video_status import VideoStatus  # type: ignore[import-untyped]
from video_jobs.aws import clients, secrets
from video_jobs.clock import from_iso
from video_jobs.jobs.model import Job, JobStatus, Step, StepStatus
from video_jobs.platforms.apivideo import errors
from video_jobs.store import jobs, media

from functions.apivideo.api import app
from local.platforms.apivideo import Rates, SimulatedApiVideo
from tests.api.bridge import serve
from tests.api.calls import Answer, away, call, call_without_key
from tests.api.running import AT_ONCE, run_to_end
from tests.events.test_apivideo import NAME, encoded, headers
from tests.log import captured
from tests.scripted import fault, new_job
from tests.stack import API_KEY, Stack, handler, http_event

pytestmark = pytest.mark.usefixtures("stack")

VIDEO = "vi4k0jvEUuaTdRAEjQ4Jfrgz"
STATUS = f"/apivideo/videos/{VIDEO}/status"
DOCS = "https://docs.api.video/reference"
LIMIT_SECONDS = 30
"""For what takes milliseconds, on a machine that is busy."""
NO_LIMIT = Rates(uploads=10**6, writes=10**6, reads=10**6)
http = urllib3.PoolManager(timeout=urllib3.Timeout(total=LIMIT_SECONDS), retries=False)

# the body on the page "Video status & details"
PRINTED = """
{
    "ingest": {
        "status": "uploaded",
        "filesize": 23037467,
        "receivedBytes": []
    },
    "encoding": {
        "playable": true,
        "qualities": [
            {"type": "hls", "quality": "240p", "status": "waiting"},
            {"type": "hls", "quality": "360p", "status": "encoding"},
            {"type": "hls", "quality": "480p", "status": "encoding"},
            {"type": "hls", "quality": "720p", "status": "waiting"},
            {"type": "mp4", "quality": "720p", "status": "encoded"}
        ],
        "metadata": {
            "width": 1280,
            "height": 720,
            "bitrate": 766,
            "duration": 200,
            "framerate": 24,
            "samplerate": 44100,
            "videoCodec": "h264",
            "audioCodec": "aac",
            "aspectRatio": "16:9"
        }
    }
}
"""
# as the SDK's own tests have it: no types, and a fraction
PRINTED_BY_THE_SDK = """
{"ingest": {"status": "uploaded", "filesize": 273579401, "receivedBytes": [
    {"to": 134217727, "from": 0, "total": 273579401}, {"to": 268435455, "from": 134217728, "total": 273579401}]},
 "encoding": {"playable": true, "qualities": [{"quality": "360p", "status": "encoded"},
    {"quality": "1080p", "status": "encoding"}, {"quality": "2160p", "status": "waiting"}],
  "metadata": {"width": 424, "height": 240, "bitrate": 411.218, "duration": 4176, "framerate": 24, "samplerate": 48000,
    "videoCodec": "h264", "audioCodec": "aac", "aspectRatio": "16/9"}}}
"""
NOTHING_KNOWN = {
    "ingest": {"status": "ingesting", "filesize": None, "receivedBytes": []},
    "encoding": {
        "playable": False,
        "qualities": [],
        "metadata": {
            "width": None,
            "height": None,
            "bitrate": None,
            "duration": None,
            "framerate": None,
            "samplerate": None,
            "videoCodec": None,
            "audioCodec": None,
            "aspectRatio": None,
        },
    },
}
NOT_FOUND = {
    "type": f"{DOCS}/resource-not-found",
    "title": "The requested resource was not found.",
    "name": "videoId",
    "status": 404,
}
WRONG_KEY = {
    "type": f"{DOCS}/authentication-invalid-user-credentials",
    "title": "The user credentials were incorrect.",
    "name": "",
}


# --- What stands in the table ----------------------------------------------------------------------------------------


def compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


def encoding(status: StepStatus = StepStatus.RUNNING, body: Any = None, *told: str, **changes: Any) -> Step:
    """An encoding step whose last check found this body, and which callbacks told these renditions."""
    values = {
        "status": status,
        "attempt": 1,
        "attempt_limit": 3,
        "platform_job_id": VIDEO,
        "hints": dict.fromkeys(told, "encoded"),
        "result": None if body is None else {"video_id": VIDEO, "playable": True, "status": body},
    }
    return Step.model_validate(values | changes)


def put(step: Step | None, job_id: str = "job-1", **changes: Any) -> Job:
    """A job for the video, which api.video had before."""
    steps = {} if step is None else {"encoding": step}
    values = {"provider": "apivideo", "source": None, "media_type": None, "media_id": VIDEO, "steps": steps}
    job = new_job(job_id, **{"plan": tuple(steps), **values, **changes})
    media.link(job, job.refs)
    return jobs.create(job)


def show(path: str = STATUS, **sent: str) -> Answer:
    """Ask for a status with a key, unless other headers are sent."""
    given = {name.replace("_", "-"): value for name, value in sent.items()} or {"x-api-key": API_KEY}
    return call_without_key("GET", path, headers=given)


def post(path: str, body: Any = None, **more: Any) -> Answer:
    return call_without_key("POST", f"/apivideo/auth/{path}", body, **more)


def log_in(key: str = API_KEY) -> Answer:
    return post("api-key", {"apiKey": key})


def renditions(status: Mapping[str, Any]) -> dict[str, str]:
    """The words of a status by "hls 720p"."""
    return {f"{one.get('type')} {one['quality']}": one["status"] for one in status["encoding"]["qualities"]}


# --- The SDK ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def url(stack: Stack) -> Iterator[str]:
    """Where the API is."""
    with serve({"/apivideo/": handler("apivideo/api")}) as url:
        yield url


@contextmanager
def sdk(url: str, key: str = API_KEY) -> Iterator[AuthenticatedApiClient]:
    """The SDK as it comes from PyPI; this is the way that it has to another host."""
    client = AuthenticatedApiClient(key)
    client.configuration.host = f"{url}/apivideo"
    yield client
    client.rest_client.pool_manager.clear()


@pytest.fixture
def client(url: str) -> Iterator[AuthenticatedApiClient]:
    with sdk(url) as client:
        client.connect()
        yield client


@pytest.fixture
def videos(client: AuthenticatedApiClient) -> VideosApi:
    return VideosApi(client)


@pytest.fixture
def apivideo(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedApiVideo]:
    with SimulatedApiVideo(pace=0.02, rates=NO_LIMIT) as apivideo:
        monkeypatch.setenv("APIVIDEO_URL", apivideo.url)
        yield apivideo


def problem(error: ApiException) -> Any:
    return json.loads(error.body)


def ended(file: str) -> str:
    """Run a job to its end; its video's id."""
    asked = {"provider": "apivideo", "source": f"https://example.com/{file}", **AT_ONCE}
    job_id = call("POST", "/jobs", asked).json["job_id"]
    run_to_end(job_id)
    return str(call("GET", f"/jobs/{job_id}").json["media_id"])


@pytest.mark.parametrize("file", ["lecture.mp4", "mp4-first.mp4", "failed-rendition.mp4", "untyped.mp4", "no-mp4.mp4"])
def test_the_sdk_reads_what_api_video_would_have_said_and_api_video_is_not_asked(
    apivideo: SimulatedApiVideo, videos: VideosApi, file: str
) -> None:
    video_id = ended(file)
    asked = len(apivideo.requests)

    raw = videos.get_status(video_id, _preload_content=False).data
    status = videos.get_status(video_id, _request_timeout=LIMIT_SECONDS)

    assert len(apivideo.requests) == asked
    key = urllib3.make_headers(basic_auth="any-key:")
    theirs = http.request("GET", f"{apivideo.url}/videos/{video_id}/status", headers=key)
    assert raw == theirs.data
    assert isinstance(status, VideoStatus)
    assert status.encoding.playable is True
    assert {one.status for one in status.encoding.qualities} <= {"encoded", "failed"}
    assert (status.encoding.metadata.height, status.ingest.status) == (720, "ingested")


def test_the_sdk_reads_a_status_before_api_video_was_ever_asked(videos: VideosApi) -> None:
    put(encoding(StepStatus.QUEUED))

    status = videos.get_status(VIDEO)

    assert (status.ingest.status, status.ingest.filesize, status.ingest.received_bytes) == ("ingesting", None, [])
    assert (status.encoding.playable, status.encoding.qualities) == (False, [])
    assert status.encoding.metadata.height is None


@pytest.mark.parametrize("video_id", ["vi0000000000000000000000", "x" * 2000, "a.b", "ü"])
def test_the_sdk_finds_no_video_that_we_do_not_know(videos: VideosApi, video_id: str) -> None:
    with pytest.raises(NotFoundException) as caught:
        videos.get_status(video_id)

    assert problem(caught.value) == NOT_FOUND
    assert caught.value.headers["content-type"] == "application/json"


def test_the_name_of_the_key_that_asked_is_logged(stack: Stack) -> None:
    with captured() as log:
        show()
        show(authorization="Bearer wrong")

    assert [line["api_key_name"] for line in log.messages("asked")] == ["default"]


def test_the_sdk_cannot_connect_with_a_wrong_key(url: str) -> None:
    with sdk(url, "another-key") as client, pytest.raises(ApiException) as caught:
        client.connect()

    assert caught.value.status == 400
    assert problem(caught.value) == WRONG_KEY | {"status": 400}


def test_a_token_that_is_over_is_unauthorized_until_the_sdk_refreshes_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(encoding(body=json.loads(PRINTED)))
    with sdk(url) as client:
        with monkeypatch.context() as short:
            short.setattr(app, "ACCESS_SECONDS", 0)
            client.connect()
        with pytest.raises(UnauthorizedException) as caught:
            VideosApi(client).get_status(VIDEO)
        client.refresh_token()

        assert problem(caught.value) == WRONG_KEY | {"status": 401}
        assert VideosApi(client).get_status(VIDEO).ingest.filesize == 23037467


def test_the_sdk_refreshes_again_and_again(client: AuthenticatedApiClient) -> None:
    for _ in range(3):
        client.refresh_token()

    assert client.token_type == "Bearer"
    with pytest.raises(NotFoundException):
        VideosApi(client).get_status(VIDEO)


def test_a_key_that_is_taken_away_takes_its_tokens_along(client: AuthenticatedApiClient) -> None:
    keep({"another": "another-key"})

    with pytest.raises(UnauthorizedException):
        VideosApi(client).get_status(VIDEO)
    with pytest.raises(ApiException) as caught:
        client.refresh_token()
    assert problem(caught.value) == WRONG_KEY | {"status": 400}


def test_while_aws_is_away_the_sdk_is_told_that_it_is_our_fault(videos: VideosApi) -> None:
    put(encoding())

    with away("dynamodb"), pytest.raises(ServiceException) as caught:
        videos.get_status(VIDEO)

    assert problem(caught.value) == {"type": f"{DOCS}/server-error", "title": "Server error", "status": 503}


def test_words_that_the_sdk_does_not_know_are_passed_on_as_api_video_has_said_them(videos: VideosApi) -> None:
    """The SDK fails on them as it does with api.video itself: only the raw answer helps."""
    said = json.loads(PRINTED)
    said["ingest"]["status"] = "last_chunck_uploaded"
    put(encoding(body=said))

    with pytest.raises(ApiValueError, match="last_chunck_uploaded"):
        videos.get_status(VIDEO)
    assert json.loads(videos.get_status(VIDEO, _preload_content=False).data) == said


# --- The body --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("printed", [PRINTED, PRINTED_BY_THE_SDK])
def test_the_printed_bodies_are_shown_to_the_byte(printed: str) -> None:
    put(encoding(body=json.loads(printed)))

    answer = show()

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.text == compact(printed)


@pytest.mark.parametrize("status", [StepStatus.RUNNING, StepStatus.SUCCEEDED])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ingest": None, "encoding": None},
        {"encoding": {"qualities": None}},
        {"encoding": {"qualities": ["odd", {"quality": None}]}, "new": [1]},
    ],
)
def test_odd_bodies_are_shown_as_they_came(status: StepStatus, body: dict[str, Any]) -> None:
    put(encoding(status, {"new": 1, **body}))

    assert show().json == {"new": 1, **body}


@pytest.mark.parametrize(
    "step",
    [
        encoding(StepStatus.WAITING, attempt=0, platform_job_id=None),
        encoding(StepStatus.QUEUED, attempt=0, platform_job_id=None),
        encoding(StepStatus.SUBMITTING),
        encoding(),
        encoding(result={"video_id": VIDEO, "playable": False}),
    ],
    ids=lambda step: step.status,
)
def test_before_the_first_check_nothing_is_known_but_that_it_comes_in(step: Step) -> None:
    put(step)

    assert show().json == NOTHING_KNOWN


def test_what_is_known_of_another_video_of_the_job_is_not_said_of_this_one() -> None:
    put(encoding(result={"video_id": "vi-before", "playable": True, "status": json.loads(PRINTED)}))

    assert show().json == NOTHING_KNOWN


def test_what_callbacks_have_told_since_the_last_check_is_in_it() -> None:
    said = json.loads(PRINTED)
    put(encoding(StepStatus.RUNNING, said, "hls 240p", "hls 480p", "hls 1440p"))

    status = show().json

    assert renditions(status) == {
        "hls 240p": "encoded",
        "hls 360p": "encoding",
        "hls 480p": "encoded",
        "hls 720p": "waiting",
        "mp4 720p": "encoded",
        "hls 1440p": "encoded",
    }
    assert status["ingest"] == said["ingest"]
    assert status["encoding"]["metadata"] == said["encoding"]["metadata"]


def test_what_is_told_of_a_rendition_without_a_type_leaves_it_without() -> None:
    put(encoding(StepStatus.RUNNING, json.loads(PRINTED_BY_THE_SDK), "hls 1080p"))

    assert renditions(show().json) == {"None 360p": "encoded", "None 1080p": "encoded", "None 2160p": "waiting"}


def test_a_rendition_that_has_failed_stays_failed_whatever_was_told() -> None:
    said = json.loads(PRINTED)
    said["encoding"]["qualities"][0]["status"] = "failed"
    put(encoding(StepStatus.RUNNING, said, "hls 240p"))

    assert renditions(show().json)["hls 240p"] == "failed"


def test_the_first_rendition_that_is_told_makes_it_playable() -> None:
    put(encoding(StepStatus.RUNNING, None, "mp4 720p"))

    status = show().json

    assert status["encoding"]["playable"] is True
    assert status["ingest"]["status"] == "ingested"
    assert status["encoding"]["qualities"] == [{"type": "mp4", "quality": "720p", "status": "encoded"}]


def test_a_callback_is_in_the_status_before_anybody_has_looked_into_it(stack: Stack) -> None:
    put(encoding())
    assert show().json == NOTHING_KNOWN

    text = encoded(VIDEO, "hls", "240p")
    answer = stack.send(NAME, http_event(NAME, text, query="", headers=headers(text)))
    stack.work("InboxQueue", handler("pipeline/inbox"))

    assert answer == {"status": 200, "outcome": "accepted"}
    assert renditions(show().json) == {"hls 240p": "encoded"}


@pytest.mark.parametrize("code", ["timed_out", "platform_unavailable"])
def test_what_we_have_given_up_shows_its_renditions_as_failed(code: str) -> None:
    put(encoding(StepStatus.FAILED, json.loads(PRINTED), "hls 240p", error=fault(code)), status=JobStatus.FAILED)

    status = show().json

    assert renditions(status) == {
        "hls 240p": "encoded",
        "hls 360p": "failed",
        "hls 480p": "failed",
        "hls 720p": "failed",
        "mp4 720p": "encoded",
    }
    assert status["encoding"]["playable"] is True


def test_a_failed_rendition_is_shown_as_api_video_has_said_it() -> None:
    said = json.loads(PRINTED)
    for one, word in zip(said["encoding"]["qualities"], ("encoded", "failed", "failed", "encoded"), strict=False):
        one["status"] = word
    error = errors.RENDITION_FAILED.with_message("failed: hls 360p, hls 480p")
    put(encoding(StepStatus.FAILED, said, error=error), status=JobStatus.FAILED)

    assert show().text == json.dumps(said, separators=(",", ":"))


def test_a_canceled_job_shows_what_was_last_known() -> None:
    put(encoding(StepStatus.RUNNING, json.loads(PRINTED)), status=JobStatus.CANCELED)

    assert show().text == compact(PRINTED)


# --- Which video -----------------------------------------------------------------------------------------------------


def unknown() -> None:
    answer = show()
    assert (answer.status, answer.json) == (404, NOT_FOUND)


def test_a_video_that_api_video_does_not_know_is_not_found_here_either() -> None:
    gone = errors.NOT_FOUND.with_message("The requested resource was not found.")
    put(encoding(StepStatus.FAILED, json.loads(PRINTED), error=gone), status=JobStatus.FAILED)

    unknown()


def test_a_job_of_another_platform_does_not_answer() -> None:
    put(encoding(body=json.loads(PRINTED)), provider="apsaravideo")

    unknown()


def test_a_video_whose_encoding_no_job_follows_is_not_found() -> None:
    put(None, plan=("upload",), steps={"upload": Step(status=StepStatus.SUCCEEDED, attempt=1, attempt_limit=3)})

    unknown()


def test_the_newest_job_that_follows_the_encoding_answers() -> None:
    for number, filesize in enumerate((1, 3, 2)):
        body = {"ingest": {"status": "ingested", "filesize": filesize}}
        put(encoding(body=body), f"job-{number}", created_at=from_iso(f"2026-11-0{filesize}T00:00:00.000Z"))

    assert show().json["ingest"]["filesize"] == 3


def test_a_deleted_job_leaves_the_answer_to_an_older_one(stack: Stack) -> None:
    put(encoding(body=json.loads(PRINTED)))
    put(encoding(), "job-2", created_at=from_iso("2026-11-03T00:00:00.000Z"))
    assert show().json == NOTHING_KNOWN
    for status in (200, 204):
        assert call("DELETE", "/jobs/job-2").status == status

    assert show().text == compact(PRINTED)

    stack.clear()
    unknown()


def test_an_answer_costs_the_same_however_many_jobs_the_video_has(stack: Stack) -> None:
    for number in range(30):
        put(encoding(body=json.loads(PRINTED)), f"job-{number}")
    secrets.values("API_KEYS_SECRET")  # so that this is no first call
    stack.calls.clear()

    assert show().status == 200

    assert stack.calls == ["dynamodb.Query", "dynamodb.Query"]


# --- Who asks --------------------------------------------------------------------------------------------------------


def keep(keys: Mapping[str, str]) -> None:
    clients.secretsmanager().put_secret_value(SecretId="API_KEYS_SECRET", SecretString=json.dumps(dict(keys)))
    secrets.forget()


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "sent",
    [
        {"authorization": basic(f"{API_KEY}:")},
        {"authorization": basic(f"{API_KEY}:").replace("Basic", "bAsIc")},
        {"authorization": f"Bearer {API_KEY}"},
        {"x_api_key": API_KEY},
    ],
)
def test_a_key_lets_in_as_api_video_takes_it_or_as_the_rest_of_our_api_does(sent: dict[str, str]) -> None:
    put(encoding(body=json.loads(PRINTED)))

    assert show(**sent).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        basic("wrong:"),
        basic(API_KEY),
        basic(f"{API_KEY}:password"),
        basic(f":{API_KEY}"),
        f"Basic {API_KEY}",
        "Basic !!!",
        "Basic /w==",
        "Basic",
        "Bearer wrong",
        "Bearer session.",
        "Bearer session.access.x.y.z",
        "Bearer session.access.ZGVmYXVsdA.99999999999.0",
        "Bearer session.access.ZGVmYXVsdA.\u0661.0",
        API_KEY,
        "Digest x",
    ],
)
def test_whoever_has_no_key_is_unauthorized_whether_there_is_such_a_video_or_not(authorization: str) -> None:
    put(encoding())

    for path in (STATUS, "/apivideo/videos/vi-unknown/status"):
        answer = show(path, authorization=authorization)
        assert (answer.status, answer.json) == (401, WRONG_KEY | {"status": 401})


@pytest.mark.parametrize("sent", [{"accept": "*/*"}, {"authorization": ""}, {"authorization": " "}])
def test_without_a_header_that_is_what_is_said(sent: dict[str, str]) -> None:
    answer = show(**sent)

    assert answer.status == 401
    assert answer.json == {
        "type": f"{DOCS}/authentication-missing-authorization-header",
        "title": "The authorization header is missing.",
        "name": "",
        "status": 401,
    }


def test_a_login_gives_tokens_that_do_not_hold_the_key() -> None:
    answer = log_in()

    assert answer.status == 200
    assert answer.json.keys() == {"token_type", "expires_in", "access_token", "refresh_token"}
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
    assert API_KEY not in answer.text


def test_each_kind_of_token_is_good_for_its_own_purpose_alone() -> None:
    tokens = log_in().json

    assert show(authorization=f"Bearer {tokens['access_token']}").status == 404
    assert show(authorization=f"Bearer {tokens['refresh_token']}").status == 401
    assert post("refresh", {"refreshToken": tokens["refresh_token"]}).status == 200
    assert post("refresh", {"refreshToken": tokens["access_token"]}).json == WRONG_KEY | {"status": 400}
    assert post("refresh", {"refreshToken": API_KEY}).status == 400


@pytest.mark.parametrize(
    "change", [lambda parts: [*parts[:3], str(int(parts[3]) + 1), parts[4]], lambda parts: parts[:4]]
)
def test_a_token_that_was_changed_is_none(change: Callable[[list[str]], list[str]]) -> None:
    token = ".".join(change(log_in().json["access_token"].split(".")))

    assert show(authorization=f"Bearer {token}").status == 401


def test_a_refresh_token_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "REFRESH_SECONDS", 0)
    token = log_in().json["refresh_token"]

    assert post("refresh", {"refreshToken": token}).status == 400


def test_keys_have_any_name() -> None:
    keep({"default": "first", "ci.übung/1": "second", "ops": "third"})

    for key in ("first", "second", "third"):
        tokens = log_in(key).json
        assert show(authorization=f"Bearer {tokens['access_token']}").status == 404
        assert post("refresh", {"refreshToken": tokens["refresh_token"]}).status == 200


def test_a_key_that_gets_another_value_takes_its_tokens_along() -> None:
    tokens = log_in().json
    keep({"default": "another-value"})

    assert show(authorization=f"Bearer {tokens['access_token']}").status == 401


def test_requests_with_tokens_do_not_have_the_secret_read_again_and_again(stack: Stack) -> None:
    token = log_in().json["access_token"]
    stack.calls.clear()

    for _ in range(3):
        show(authorization=f"Bearer {token}")

    assert "secretsmanager.GetSecretValue" not in stack.calls


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("api-key", {}, "apiKey"),
        ("api-key", {"apiKey": ""}, "apiKey"),
        ("api-key", {"apiKey": None}, "apiKey"),
        ("api-key", {"apiKey": [API_KEY]}, "apiKey"),
        ("api-key", {"api_key": API_KEY}, "apiKey"),
        ("refresh", {"refresh_token": "x"}, "refreshToken"),
    ],
)
def test_a_login_without_its_attribute_says_which(path: str, body: Any, name: str) -> None:
    answer = post(path, body)

    assert answer.status == 400
    assert answer.json == {
        "type": f"{DOCS}/attribute-required",
        "title": "This attribute is required.",
        "name": name,
        "status": 400,
    }


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"text": "{"},
        {"text": "[]"},
        {"text": "null"},
        {"raw": b"\xff"},
        {"text": '{"apiKey": "a", "apiKey": "b"}'},
        {"body": {"apiKey": API_KEY, "more": "x" * 20_000}},
    ],
)
def test_a_body_that_is_no_object_is_invalid(sent: dict[str, Any]) -> None:
    answer = post("api-key", **sent)

    assert answer.status == 400
    assert answer.json == {
        "type": f"{DOCS}/invalid-payload",
        "title": "The payload is invalid.",
        "name": "",
        "status": 400,
    }


def test_a_body_that_came_as_base64_is_read() -> None:
    assert post("api-key", raw=json.dumps({"apiKey": API_KEY}).encode()).status == 200


def test_while_the_keys_cannot_be_read_nobody_is_let_in() -> None:
    secrets.forget()

    with away("secretsmanager"):
        answers = [log_in(), show(), show(authorization="Bearer session.access.x.1.z")]

    assert [answer.status for answer in answers] == [503, 503, 503]


def test_an_unknown_address_is_answered_as_api_video_does() -> None:
    answer = call("GET", "/apivideo/videos")

    assert answer.status == 404
    assert answer.json == {
        "type": f"{DOCS}/unrecognized-request-url",
        "title": "Unrecognized request URL.",
        "status": 404,
    }


def test_the_log_has_no_key_and_no_token(stack: Stack) -> None:
    with captured() as log:
        tokens = log_in().json
        log_in("a-wrong-key")
        post("refresh", {"refreshToken": "a-wrong-token"})
        show(authorization="Bearer a-wrong-bearer")
        show(authorization=basic("a-wrong-user:"))

    assert (len(log.messages("request_refused")), len(log.messages("asked"))) == (4, 1)
    logged = log.getvalue()
    for secret in (API_KEY, "a-wrong", basic("a-wrong-user:").split()[1], *map(str, tokens.values())):
        assert secret not in logged or secret in ("Bearer", "3600")
