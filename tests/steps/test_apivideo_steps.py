"""What api.video is asked, what its answers mean, and how its callbacks go together with them."""

import base64
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError
from video_jobs import queues, secrets, settings, store
from video_jobs.faults import RefusedByPlatformError, TransientError
from video_jobs.jobs import (
    LONGEST_MESSAGE,
    Found,
    Job,
    JobError,
    JobStatus,
    Step,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
)
from video_jobs.platforms.apivideo import encoding, errors, upload
from video_jobs.platforms.apivideo.client import ApiVideo
from video_jobs.platforms.apivideo.request import ApiVideoJobRequest
from video_jobs.steps import Platform, no_url, steps_worker

from local.platforms.apivideo import Rates, SimulatedApiVideo
from tests.events.test_apivideo import NAME, encoded, headers
from tests.orders import in_every_order
from tests.stack import WEBHOOK_SECRETS, Context, Stack, handler, http_event

DOCS = "https://docs.api.video/reference"
LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
NO_LIMIT = Rates(uploads=10**6, writes=10**6, reads=10**6)
WEBHOOK = "webhook_test"
QUEUE = "ApiVideoSteps"
FIVE = ("hls 240p", "hls 360p", "hls 480p", "hls 720p", "mp4 720p")
"""What is told of a source of 720p."""
MOST_ORDERS = 8
"""Of those in which a submit and a callback can be written: there may be hundreds, and tests/state takes them all."""
SOURCE = "https://example.com/lecture.mp4"


def wait_for[T](condition: Callable[[], T]) -> T:
    """The condition's first value that is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value


@pytest.fixture
def apivideo(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedApiVideo]:
    """The simulated platform, where the stack's settings say that api.video is."""
    with SimulatedApiVideo(pace=0.02, resend_wait=0.01, rates=NO_LIMIT) as apivideo:
        monkeypatch.setenv("APIVIDEO_URL", apivideo.url)
        yield apivideo


def request(**asked: Any) -> ApiVideoJobRequest:
    return ApiVideoJobRequest.model_validate({"provider": "apivideo", "retry": {"base_delay": 0}, **asked})


def new_job(source: str = SOURCE, job_id: str = "job-1", **asked: Any) -> Job:
    medium = {} if "media_id" in asked else {"source": source}
    return store.create(request(**medium, **asked).new_job(job_id))


def work(stack: Stack) -> int:
    return stack.work(QUEUE, handler("apivideo/steps"))


def found(job_id: str = "job-1") -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def step_of(job_id: str = "job-1") -> Step:
    return found(job_id).steps["encoding"]


def ended(stack: Stack, job_id: str = "job-1") -> Job:
    """The job, once the worker has brought it to its end."""

    def has_ended() -> Job | None:
        work(stack)
        job = store.get(job_id)
        return job if job and job.status.ended else None

    job = wait_for(has_ended)
    assert job is not None
    return job


def run(stack: Stack, source: str = SOURCE, **asked: Any) -> Job:
    new_job(source, **asked)
    queues.send_start("apivideo", "job-1")
    return ended(stack)


def jobs(stack: Stack) -> list[Job]:
    ids = [item["job_id"] for item in stack.items("JOB#") if item["sk"] == "JOB" and "deleted_at" not in item]
    return [found(job_id) for job_id in ids]


def made(apivideo: SimulatedApiVideo) -> list[Mapping[str, Any]]:
    """What videos were asked for."""
    return [asked.body for asked in apivideo.requests if (asked.method, asked.path) == ("POST", "/videos")]


def error_of(job: Job) -> JobError:
    assert job.error is not None
    return job.error


# --- The request -----------------------------------------------------------------------------------------------------


def test_a_source_is_uploaded_and_encoded_and_a_video_that_is_there_only_encoded() -> None:
    assert request(source=SOURCE).new_job("job-1").plan == ("upload", "encoding")
    assert request(source=SOURCE, steps=["upload"]).new_job("job-1").plan == ("upload",)
    assert request(media_id="vi-1").new_job("job-1").plan == ("encoding",)


def test_the_steps_run_in_their_order() -> None:
    assert request(source=SOURCE, steps=["encoding", "upload"]).new_job("job-1").plan == ("upload", "encoding")


@pytest.mark.parametrize("asked", [{"mp4Support": False}, {"mp4_support": False}])
def test_options_have_api_videos_names_or_ours(asked: dict[str, Any]) -> None:
    job = request(source=SOURCE, options={"upload": asked}).new_job("job-1")

    assert job.options == {"upload": {"mp4Support": False}}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"source": SOURCE, "media_id": "vi-1"},
        {"source": SOURCE, "steps": []},
        {"source": SOURCE, "steps": ["encoding"]},
        {"source": SOURCE, "steps": ["index"]},
        {"media_id": "vi-1", "steps": ["upload"]},
        {"source": SOURCE, "options": {"encoding": {}}},
        {"source": SOURCE, "options": {"upload": {"titel": "x"}}},
        {"source": SOURCE, "options": {"upload": {"title": ""}}},
        {"source": SOURCE, "options": {"upload": {"metadata": [{"key": "a"}]}}},
        {"source": SOURCE, "options": {"upload": {"metadata": [{"key": "video_jobs_job", "value": "x"}]}}},
        {"source": SOURCE, "options": {"upload": {"transcriptSummaryAttributes": ["novel"]}}},
    ],
)
def test_what_api_video_has_no_use_for_is_not_taken(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request(**asked)


# --- The upload ------------------------------------------------------------------------------------------------------


def uploaded(job: Job) -> StepSucceeded:
    end = upload.submit(ApiVideo(), job, callback_url="").end
    assert isinstance(end, StepSucceeded)
    return end


def test_a_video_is_made_of_the_source_with_the_jobs_id_in_its_metadata(apivideo: SimulatedApiVideo) -> None:
    job = new_job()

    end = uploaded(job)

    (fields,) = made(apivideo)
    assert fields == {
        "title": "lecture.mp4",
        "source": SOURCE,
        "metadata": [
            {"key": "video_jobs_job", "value": "job-1"},
            {"key": "video_jobs_submission", "value": job.submission_key("upload")},
        ],
    }
    (video_id,) = end.refs
    assert end.result["video_id"] == video_id
    assert end.result["title"] == "lecture.mp4"
    assert end.result["assets"].keys() == {"iframe", "player", "hls", "thumbnail", "mp4"}


def test_what_the_caller_asks_for_is_passed_on_in_api_videos_names(apivideo: SimulatedApiVideo) -> None:
    asked: dict[str, Any] = {
        "title": "Vorlesung “1”",
        "description": "…",
        "public": False,
        "panoramic": True,
        "mp4Support": False,
        "playerId": "pl-1",
        "tags": ["maths"],
        "clip": {"startTimecode": 3, "endTimecode": 15},
        "watermark": {"id": "watermark_1", "top": "0px"},
        "language": "de",
        "transcript": True,
        "transcriptSummary": True,
        "transcriptSummaryAttributes": ["abstract"],
    }
    metadata = [{"key": "Author", "value": "somebody"}]
    job = new_job(options={"upload": asked | {"metadata": metadata}})

    uploaded(job)

    (fields,) = made(apivideo)
    assert {name: value for name, value in fields.items() if name not in ("source", "metadata")} == asked
    assert fields["metadata"][0] == metadata[0]
    assert [entry["key"] for entry in fields["metadata"][1:]] == ["video_jobs_job", "video_jobs_submission"]


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("https://example.com/a/b%20c.mp4?token=1", "b c.mp4"),
        ("https://example.com/", "example.com"),
        ("https://example.com", "example.com"),
        (f"https://example.com/{'x' * 2000}", "x" * 1024),
    ],
)
def test_without_a_title_the_files_name_is_one(apivideo: SimulatedApiVideo, source: str, title: str) -> None:
    uploaded(new_job(source))

    assert made(apivideo)[0]["title"] == title


def again(job: Job) -> Job:
    """The job at its second try to upload."""
    step = job.steps["upload"].model_copy(update={"attempt": 2})
    return job.model_copy(update={"steps": {**job.steps, "upload": step}})


def test_a_second_try_finds_what_the_first_has_made(apivideo: SimulatedApiVideo) -> None:
    job = new_job()
    uploaded(new_job(job_id="job-2"))

    first, second = uploaded(job), uploaded(again(job))

    assert first.refs == second.refs
    assert len(made(apivideo)) == 2


def test_a_second_try_makes_the_video_that_the_first_has_not_made(apivideo: SimulatedApiVideo) -> None:
    other = uploaded(new_job(job_id="job-2"))

    assert uploaded(again(new_job())).refs != other.refs
    assert len(made(apivideo)) == 2


def test_a_persons_retry_after_a_lost_answer_finds_the_video(apivideo: SimulatedApiVideo) -> None:
    job = new_job()
    first = uploaded(job)
    step = job.steps["upload"].model_copy(update={"attempt": 4, "attempt_limit": 6})

    assert uploaded(job.model_copy(update={"steps": {**job.steps, "upload": step}})).refs == first.refs


def test_after_one_that_was_accepted_and_failed_another_video_is_made(apivideo: SimulatedApiVideo) -> None:
    job = new_job()
    first = uploaded(job)
    step = job.steps["upload"].model_copy(update={"attempt": 4, "attempt_limit": 6, "attempts_before": 3})

    assert uploaded(job.model_copy(update={"steps": {**job.steps, "upload": step}})).refs != first.refs


def test_a_check_of_an_upload_looks_whether_a_try_has_made_it(apivideo: SimulatedApiVideo) -> None:
    job = new_job()
    assert upload.check(ApiVideo(), job, job.steps["upload"]) == StepRunning()

    end = uploaded(job)

    looked = upload.check(ApiVideo(), job, job.steps["upload"])
    assert isinstance(looked, Found)
    assert looked.end == end


# --- A server that answers what no document prints -------------------------------------------------------------------


@dataclass
class Server:
    """`status`, `body` and `headers` are the answer to everything; `asked` what it was asked."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)


@pytest.fixture
def server(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    script = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            script.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            data = script.body if isinstance(script.body, bytes) else json.dumps(script.body).encode()
            self.send_response(script.status)
            for name, value in {"content-length": str(len(data)), **script.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        monkeypatch.setenv("APIVIDEO_URL", f"http://127.0.0.1:{http.server_port}")
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield script
        http.shutdown()
        thread.join()


def test_the_api_key_is_the_user_and_there_is_no_password(server: Server) -> None:
    server.body = {}

    ApiVideo().status("vi/../1")

    ((method, path, sent),) = server.asked
    assert (method, path) == ("GET", "/videos/vi%2F..%2F1/status")
    assert base64.b64decode(sent["authorization"].removeprefix("Basic ")) == b"av-test:"


def test_videos_are_looked_for_by_their_metadata_and_a_list_that_was_not_filtered_is(server: Server) -> None:
    mine = {"videoId": "vi-2", "metadata": [{"key": "a b", "value": "1&2"}, {"key": "c", "value": "d"}]}
    others = [{"videoId": "vi-1", "metadata": [{"key": "a b", "value": "1"}]}, {"metadata": None}, {}, None]
    server.body = {"data": [*others, mine]}

    assert ApiVideo().videos_with({"a b": "1&2"}) == [mine]

    assert server.asked[0][1] == "/videos?metadata%5Ba+b%5D=1%262&sortBy=createdAt&sortOrder=asc"


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {}}, {"data": [1]}])
def test_a_list_that_is_none_has_no_videos(server: Server, body: Any) -> None:
    server.body = body

    assert ApiVideo().videos_with({"a": "b"}) == []


@pytest.mark.parametrize("video", [{}, {"videoId": None}, {"videoId": 7}, {"videoId": ""}, {"videoId": "a/b"}])
def test_a_video_without_an_id_is_tried_again(server: Server, video: Any) -> None:
    server.status, server.body = 201, video

    with pytest.raises(TransientError, match="does not say its id"):
        upload.submit(ApiVideo(), new_job(), callback_url="")


def test_of_a_videos_assets_only_addresses_are_kept(server: Server) -> None:
    server.status, server.body = 202, {"videoId": "vi-1", "assets": {"hls": "https://x", "mp4": None, "x": "y" * 9999}}

    assert uploaded(new_job()).result == {"video_id": "vi-1", "assets": {"hls": "https://x"}}


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("body", [b"<html>", b"", b'{"type": "about:blank"}'])
def test_what_passes_is_tried_again(server: Server, status: int, body: bytes) -> None:
    server.status, server.body = status, body

    with pytest.raises(TransientError) as fault:
        ApiVideo().status("vi-1")

    assert fault.value.error.code == "platform_unavailable"
    assert fault.value.rate_limited == (status == 429)


@pytest.mark.parametrize("body", [{"type": f"{DOCS}/too-many-requests"}, {"title": "Too many requests."}])
def test_a_rate_limit_is_the_documented_error(server: Server, body: dict[str, Any]) -> None:
    server.status, server.body, server.headers = 429, body, {"Retry-After": "3"}

    with pytest.raises(TransientError) as fault:
        ApiVideo().status("vi-1")

    error = fault.value.error
    assert (error.code, error.retryable, fault.value.rate_limited) == ("too_many_requests", True, True)
    assert (error.cause, fault.value.wait_seconds) == ("The account's requests a minute are used up", 3)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Retry-After": "27"}, 27),
        ({"X-RateLimit-Retry-After": "27"}, 27),
        ({"X-RateLimit-Remaining": "12", "X-RateLimit-Retry-After": "27"}, None),  # not what the answer is about
        ({"X-RateLimit-Remaining": "12", "X-RateLimit-Retry-After": "27", "Retry-After": "3"}, 3),
        ({"X-RateLimit-Retry-After": "soon"}, None),
        ({"X-RateLimit-Retry-After": "-1", "Retry-After": "4"}, 4),
        ({}, None),
    ],
)
def test_the_wait_that_is_asked_for_is_kept(server: Server, sent: dict[str, str], seconds: float | None) -> None:
    server.status, server.body, server.headers = 429, {}, sent

    with pytest.raises(TransientError) as fault:
        ApiVideo().status("vi-1")

    assert fault.value.wait_seconds == seconds


# --- Errors ----------------------------------------------------------------------------------------------------------

MISSING_TITLE = {
    "type": f"{DOCS}/attribute-required",
    "title": "This attribute is required.",
    "name": "title",
    "status": 400,
    "problems": [
        {"type": f"{DOCS}/attribute-required", "title": "This attribute is required.", "name": "title"},
        {"type": f"{DOCS}/invalid-attribute", "title": "This attribute must be an array.", "name": "tags"},
    ],
}
PRINTED: list[tuple[int, dict[str, Any], str, str]] = [
    (
        400,
        MISSING_TITLE,
        "attribute_required",
        "title: This attribute is required. tags: This attribute must be an array.",
    ),
    (
        400,
        {"type": f"{DOCS}/invalid-attribute", "title": "This attribute must be an array.", "name": "tags"},
        "invalid_attribute",
        "tags: This attribute must be an array.",
    ),
    (
        404,
        {
            "type": f"{DOCS}/resource-not-found",
            "title": "The requested resource was not found.",
            "name": "videoId",
            "status": 404,
        },
        "not_found",
        "videoId: The requested resource was not found.",
    ),
    (
        400,
        {
            "type": f"{DOCS}/authentication-invalid-user-credentials",
            "title": "The user credentials were incorrect.",
            "name": "",
            "status": 400,
        },
        "invalid_api_key",
        "The user credentials were incorrect.",
    ),
    (401, {"type": f"{DOCS}/authentication-invalid-api-key"}, "invalid_api_key", "api.video gave no reason"),
    (
        409,
        {"type": f"{DOCS}/too-many-requests", "title": "Too many requests."},
        "too_many_requests",
        "Too many requests.",
    ),
    (
        409,
        {
            "type": f"{DOCS}/summary-already-exists",
            "title": "A summary already exists.",
            "detail": "You can delete it.",
            "name": "videoId",
        },
        "request_refused",
        "videoId: A summary already exists. You can delete it.",
    ),
]
TITLES = {
    "Invalid attributes.": (400, "invalid_attribute"),
    "The payload is invalid.": (400, "invalid_payload"),
    "The requested resource could not be found.": (404, "not_found"),
    "Unrecognized request URL.": (404, "unrecognized_request"),
    "Method is not allowed for this route.": (405, "unrecognized_request"),
    "The uploaded file is empty.": (400, "invalid_file"),
    "The uploaded file is invalid.": (400, "invalid_file"),
    "The uploaded file is too large.": (400, "invalid_file"),
    "There are more than one uploaded file in the request.": (400, "invalid_file"),
    "There is no uploaded file in the request.": (400, "invalid_file"),
    "This video source has already been uploaded.": (400, "source_already_uploaded"),
    "This video source has already been downloaded when the video was created.": (400, "source_already_uploaded"),
}


@pytest.mark.parametrize(("status", "body", "code", "message"), PRINTED)
def test_each_refusal_is_known_by_its_type(
    server: Server, status: int, body: dict[str, Any], code: str, message: str
) -> None:
    server.status, server.body = status, body

    with pytest.raises(RefusedByPlatformError) as refusal:
        ApiVideo().status("vi-1")

    assert (refusal.value.status, refusal.value.error.code, refusal.value.error.message) == (status, code, message)
    assert refusal.value.error.cause
    assert refusal.value.error.action


@pytest.mark.parametrize("title", TITLES)
def test_each_refusal_whose_type_nobody_knows_is_known_by_its_title(title: str) -> None:
    status, code = TITLES[title]

    assert errors.of_refusal({"title": title, "type": f"{DOCS}/new"}, status=status).code == code


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (403, "forbidden"), (405, "unrecognized_request")]
)
def test_a_refusal_that_says_nothing_is_known_by_its_status(status: int, code: str) -> None:
    assert errors.of_refusal({}, status=status).code == code


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": 7, "title": [], "name": {}, "problems": 3},
        {"type": "http://[", "problems": [1, None]},
        {"events": "This attribute is required."},  # the fixture of POST /webhooks
        {"title": "x" * 10_000},
    ],
)
def test_a_refusal_in_any_shape_is_one(body: dict[str, Any]) -> None:
    error = errors.of_refusal(body, status=400)

    assert error.code == "request_refused"
    assert 0 < len(error.message) <= LONGEST_MESSAGE


def test_codes_are_unique_and_name_what_to_do() -> None:
    known = [*errors.REFUSALS, errors.RENDITION_FAILED, errors.ENCODING_FAILED, errors.REQUEST_REFUSED]

    assert len({error.code for error in known}) == len(known)
    assert all(error.cause and error.action for error in known)


# --- What a status means ---------------------------------------------------------------------------------------------


class ScriptedApiVideo(ApiVideo):
    """Says what a test has written down, one status after another, the last one for ever."""

    def __init__(self, *statuses: Any, video_id: str = "vi-1") -> None:
        self.statuses = list(statuses)
        self.video_id = video_id
        self.asked = 0
        self.created = 0

    def create_video(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        self.created += 1
        return {"videoId": self.video_id, "title": fields["title"], "assets": {}}

    def videos_with(self, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"videoId": self.video_id}] if self.created else []

    def status(self, video_id: str) -> dict[str, Any]:
        self.asked += 1
        said = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(said, Exception):
            raise said
        answer: dict[str, Any] = said
        return answer


UNKNOWN_VIDEO = RefusedByPlatformError(
    errors.NOT_FOUND.with_message("The requested resource was not found."), status=404
)


def status_of(renditions: Mapping[str, str], *, ingest: Any = "ingested", playable: bool = False) -> dict[str, Any]:
    """Of renditions by name, as in {"hls_240p": "encoded"}."""
    qualities = [
        {"type": name.split("_")[0], "quality": name.split("_")[1], "status": word} for name, word in renditions.items()
    ]
    return {
        "ingest": {"status": ingest, "filesize": 1, "receivedBytes": []},
        "encoding": {"playable": playable, "qualities": qualities, "metadata": {"aspectRatio": "16/9"}},
    }


def every(word: str, **others: str) -> dict[str, str]:
    """All five renditions of a source of 720p."""
    return {part.replace(" ", "_"): word for part in FIVE} | others


def running(*told: str, result: dict[str, Any] | None = None, progress: float | None = None) -> Step:
    return Step(
        status=StepStatus.RUNNING,
        attempt=1,
        attempt_limit=3,
        platform_job_id="vi-1",
        told={f"vi-1/{part}": "encoded" for part in told},
        tellings=len(told),
        result=result,
        progress=progress,
    )


def checked(body: Any, *told: str, **changes: Any) -> StepRunning | Found:
    job = request(media_id="vi-1").new_job("job-1")
    return encoding.check(ScriptedApiVideo(body), job, running(*told, **changes))


def end_of(looked: StepRunning | Found) -> StepSucceeded | StepFailed:
    assert isinstance(looked, Found)
    return looked.end


GUIDE: dict[str, Any] = {
    "ingest": {"status": "uploaded", "filesize": 23037467, "receivedBytes": []},
    "encoding": {
        "playable": True,
        "qualities": [
            {"type": "hls", "quality": "240p", "status": "waiting"},
            {"type": "hls", "quality": "360p", "status": "encoding"},
            {"type": "hls", "quality": "480p", "status": "encoding"},
            {"type": "hls", "quality": "720p", "status": "waiting"},
            {"type": "mp4", "quality": "720p", "status": "encoded"},
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
            "aspectRatio": "16:9",
        },
    },
}
"""Printed in the guide: the MP4 is first."""
SDK: dict[str, Any] = {
    "ingest": {
        "status": "uploaded",
        "filesize": 273579401,
        "receivedBytes": [{"to": 134217727, "from": 0, "total": 273579401}],
        "receivedParts": {"parts": [1], "total": None},
    },
    "encoding": {
        "playable": True,
        "qualities": [
            {"quality": "360p", "status": "encoded"},
            {"quality": "1080p", "status": "encoding"},
            {"quality": "2160p", "status": "waiting"},
        ],
        "metadata": {"bitrate": 411.218, "aspectRatio": "16/9"},
    },
}
"""As the SDK's fixture has it, without a type."""


@pytest.mark.parametrize(("body", "progress"), [(GUIDE, 1 / 5), (SDK, 1 / 3)])
def test_the_printed_statuses_are_kept_whole_while_it_runs(body: dict[str, Any], progress: float) -> None:
    looked = checked(body)

    assert looked == StepRunning(
        progress=progress,
        platform_status="encoding",
        result={"video_id": "vi-1", "playable": True, "status": body},
    )


def test_all_encoded_is_the_end() -> None:
    body = status_of(every("encoded"), playable=True)

    assert end_of(checked(body)) == StepSucceeded(result={"video_id": "vi-1", "playable": True, "status": body})


@pytest.mark.parametrize("word", ["uploaded", "ingested", "Ingested", "a-new-word", None])
def test_where_the_source_is_there_or_nobody_knows_the_renditions_decide(word: str | None) -> None:
    assert isinstance(end_of(checked(status_of(every("encoded"), ingest=word))), StepSucceeded)


@pytest.mark.parametrize("word", ["missing", "uploading", "last_chunck_uploaded", "merging", "ingesting"])
def test_while_the_source_comes_in_it_goes_on(word: str) -> None:
    looked = checked(status_of(every("encoded"), ingest=word))

    assert isinstance(looked, StepRunning)
    assert looked.platform_status == word


@pytest.mark.parametrize("word", ["waiting", "encoding", "paused", ""])
def test_a_rendition_that_has_not_ended_or_says_what_nobody_knows_keeps_it_going(word: str) -> None:
    looked = checked(status_of(every("encoded", hls_480p=word)))

    assert isinstance(looked, StepRunning)
    assert looked.progress == 4 / 5
    assert looked.result is not None
    assert looked.result["playable"]


def test_a_failed_rendition_is_named_and_what_there_is_stays() -> None:
    body = status_of(every("encoded", hls_480p="failed", mp4_720p="failed"))

    end = end_of(checked(body))

    assert isinstance(end, StepFailed)
    assert (end.error.code, end.error.message) == ("rendition_failed", "failed: hls 480p, mp4 720p")
    assert end.result == {"video_id": "vi-1", "playable": True, "status": body}


def test_with_every_rendition_failed_there_is_nothing_to_play() -> None:
    end = end_of(checked(status_of(every("failed"))))

    assert isinstance(end, StepFailed)
    assert end.error.code == "encoding_failed"
    assert not end.result["playable"]


def test_a_failure_waits_for_the_others() -> None:
    assert isinstance(checked(status_of(every("encoding", hls_480p="failed"))), StepRunning)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ingest": None, "encoding": None},
        {"ingest": {"status": None}, "encoding": {"playable": None, "qualities": None, "metadata": None}},
        {"ingest": [], "encoding": []},
        {"ingest": {}, "encoding": {"qualities": [None, 1, "x"]}},
        {"encoding": {"qualities": [{}]}},
        {"encoding": {"qualities": [{"type": None, "quality": None, "status": None}]}},
    ],
)
def test_a_status_with_parts_that_are_missing_says_that_it_goes_on(body: dict[str, Any]) -> None:
    looked = checked(body)

    assert isinstance(looked, StepRunning)
    assert looked.result == {"video_id": "vi-1", "playable": False, "status": body}


def test_types_and_words_are_read_in_any_case() -> None:
    body = {"encoding": {"qualities": [{"type": "HLS", "quality": "240P", "status": "Encoded"}]}}

    assert isinstance(end_of(checked(body)), StepSucceeded)


def test_a_status_with_thousands_of_parts_is_kept_without_them() -> None:
    body = status_of({}, ingest="uploading")
    body["ingest"]["receivedBytes"] = [{"from": n, "to": n + 1, "total": 10**9} for n in range(6000)]

    looked = checked(body)

    assert isinstance(looked, StepRunning)
    assert looked.result is not None
    kept = looked.result["status"]
    assert kept == body | {"ingest": {"status": "uploading", "filesize": 1}}


def test_a_video_that_nobody_knows_fails_and_keeps_what_was_known() -> None:
    before = {"video_id": "vi-1", "playable": True}

    end = end_of(checked(UNKNOWN_VIDEO, result=before))

    assert isinstance(end, StepFailed)
    assert (end.error.code, end.result) == ("not_found", before)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_that_is_about_us_is_no_answer_about_the_video(status: int) -> None:
    with pytest.raises(RefusedByPlatformError):
        checked(RefusedByPlatformError(errors.REQUEST_REFUSED.with_message("x"), status=status))


# --- What callbacks tell ---------------------------------------------------------------------------------------------


def heard(*told: str, body: Any = None, **changes: Any) -> tuple[StepRunning | Found, int]:
    """What is made of it, and how often api.video was asked."""
    scripted = ScriptedApiVideo(status_of(every("encoded")) if body is None else body)
    job = request(media_id="vi-1").new_job("job-1")
    return encoding.hear(scripted, job, running(*told, **changes)), scripted.asked


@pytest.mark.parametrize("order", [FIVE, FIVE[::-1], *random.Random(3).sample(list(itertools.permutations(FIVE)), 10)])
def test_five_callbacks_in_any_order_are_the_end_of_a_source_of_720p_and_fewer_are_not(order: Sequence[str]) -> None:
    for count in range(1, 5):
        looked, asked = heard(*order[:count])
        assert isinstance(looked, StepRunning)
        known = "mp4 720p" in order[:count]
        assert (looked.progress, asked, looked.soon) == (count / 5 if known else None, 0, False)
        assert looked.result == {"video_id": "vi-1", "playable": True}

    looked, asked = heard(*order)

    assert isinstance(end_of(looked), StepSucceeded)
    assert asked == 1


@pytest.mark.parametrize(
    ("height", "count"), [(144, 2), (240, 2), (360, 3), (480, 4), (720, 5), (1080, 6), (1440, 6), (2160, 7), (4320, 7)]
)
def test_the_mp4_says_how_many_there_will_be(height: int, count: int) -> None:
    rungs = [f"hls {rung}p" for rung in (240, 360, 480, 720, 1080, 2160)]
    told = [f"mp4 {height}p", *rungs[: count - 1]]

    assert heard(*told)[1] == 1
    assert heard(*told[:-1])[1] == 0
    looked, _ = heard(told[0])
    assert isinstance(looked, StepRunning)
    assert looked.progress == 1 / count


def test_without_an_mp4_the_status_as_it_was_last_seen_says_how_many_there_will_be() -> None:
    four = {name: word for name, word in every("encoding", hls_240p="encoded").items() if name != "mp4_720p"}
    seen = {"video_id": "vi-1", "playable": True, "status": status_of(four)}

    looked, asked = heard("hls 360p", result=seen)
    assert (looked.progress if isinstance(looked, StepRunning) else None, asked) == (2 / 4, 0)
    assert heard("hls 360p", "hls 480p", "hls 720p", result=seen)[1] == 1


def test_a_rendition_that_was_seen_to_have_failed_is_not_waited_for() -> None:
    seen = {"status": status_of(every("encoding", hls_480p="failed"))}
    told = [part for part in FIVE if part != "hls 480p"]

    looked, asked = heard(*told, result=seen, body=status_of(every("encoded", hls_480p="failed")))

    assert isinstance(end_of(looked), StepFailed)
    assert asked == 1


def test_qualities_that_nobody_has_heard_of_are_no_obstacle() -> None:
    looked, asked = heard("dash 4k", "hls source", "mp4 best")

    assert (isinstance(looked, StepRunning), asked) == (True, 0)
    assert heard(*FIVE, "hls 1440p")[1] == 1


def test_a_status_that_lags_behind_its_callbacks_is_asked_for_again_soon() -> None:
    looked, _ = heard(*FIVE, body=status_of(every("encoded", hls_720p="encoding")), progress=0.8)

    assert isinstance(looked, StepRunning)
    assert (looked.soon, looked.progress) == (True, 0.8)


def test_progress_never_goes_back() -> None:
    looked = checked(status_of(every("waiting")), "hls 240p", progress=0.6)

    assert isinstance(looked, StepRunning)
    assert looked.progress == 0.6
    assert looked.result is not None
    assert looked.result["playable"]  # a callback has told that there is something


# --- With its status alone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [
        *("lecture", "mp4-first", "mp4-last", "no-mp4", "new-quality", "guide-ingest", "untyped", "accepted"),
        *("flaky", "html", "reset", "silent", "upper-case", "recorded", "summarized"),
    ],
)
def test_a_video_is_uploaded_and_encoded_by_checks_alone(stack: Stack, apivideo: SimulatedApiVideo, file: str) -> None:
    job = run(stack, f"https://example.com/{file}.mp4")

    assert job.status == JobStatus.SUCCEEDED
    result = job.steps["encoding"].result
    assert result is not None
    uploads = job.steps["upload"].result
    assert uploads is not None
    assert job.refs == (result["video_id"],) == (uploads["video_id"],)
    assert result["playable"]
    assert result["status"].keys() == {"ingest", "encoding"}
    assert result["status"] == ApiVideo().status(result["video_id"])
    assert len(ApiVideo().videos_with({"video_jobs_job": "job-1"})) == 1


def test_an_upload_whose_answer_is_lost_is_found_and_not_made_again(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    job = run(stack, "https://example.com/lost.mp4")

    assert job.status == JobStatus.SUCCEEDED
    assert job.steps["upload"].attempt == 2
    assert len(made(apivideo)) == 1


def test_a_throttled_upload_waits_as_long_as_it_is_told(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    job = run(stack, "https://example.com/throttled.mp4")

    first, second = [asked.at for asked in apivideo.requests if (asked.method, asked.path) == ("POST", "/videos")]
    assert (second - first).total_seconds() >= 1
    assert job.status == JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("file", "step", "code"),
    [
        ("failed-rendition", "encoding", "rendition_failed"),
        ("failed-last", "encoding", "rendition_failed"),
        ("all-failed", "encoding", "encoding_failed"),
        ("refused", "upload", "invalid_attribute"),
    ],
)
def test_each_failure_ends_as_its_error(
    stack: Stack, apivideo: SimulatedApiVideo, file: str, step: str, code: str
) -> None:
    job = run(stack, f"https://example.com/{file}.mp4")

    assert (job.status, error_of(job).code) == (JobStatus.FAILED, code)
    assert job.steps[step].status == StepStatus.FAILED


def test_a_failed_rendition_leaves_what_can_be_played(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    job = run(stack, "https://example.com/failed-rendition.mp4")

    result = job.steps["encoding"].result
    assert result is not None
    assert result["playable"]
    assert "hls 480p" in error_of(job).message


def test_a_failed_encoding_that_is_tried_again_ends_so_again(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    job = run(stack, "https://example.com/all-failed.mp4")
    store.retry(job, "encoding")
    queues.send_start("apivideo", "job-1")

    job = ended(stack)

    assert (error_of(job).code, job.steps["encoding"].attempt) == ("encoding_failed", 2)
    assert len(made(apivideo)) == 1


@pytest.mark.parametrize("file", ["stuck", "stuck-rendition", "ingest-stuck", "ingest-missing", "ingest-merging"])
def test_what_never_ends_is_given_up_at_its_deadline(
    stack: Stack, apivideo: SimulatedApiVideo, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")

    assert error_of(run(stack, f"https://example.com/{file}.mp4")).code == "timed_out"


def test_a_video_that_is_there_is_only_waited_for(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    video = ApiVideo().create_video({"title": "x", "source": SOURCE})

    job = run(stack, media_id=video["videoId"])

    assert (job.status, job.plan) == (JobStatus.SUCCEEDED, ("encoding",))
    assert len(made(apivideo)) == 1


def test_a_video_that_is_not_there_is_not_found(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    assert error_of(run(stack, media_id="vi-nowhere")).code == "not_found"


def test_a_wrong_key_ends_as_its_error_and_is_in_no_message(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    put_key("revoked-1")

    error = error_of(run(stack))

    assert error.code == "invalid_api_key"
    assert "revoked-1" not in error.model_dump_json()


def test_a_key_that_was_rotated_a_moment_ago_is_read_anew(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    put_key("revoked-1")
    with pytest.raises(RefusedByPlatformError):
        ApiVideo().status("vi-1")
    secrets._refreshed_at.clear()
    settings.secretsmanager().put_secret_value(SecretId="APIVIDEO_SECRET", SecretString='{"api_key": "av-new"}')

    assert run(stack).status == JobStatus.SUCCEEDED


def test_without_a_key_nothing_is_asked(stack: Stack, apivideo: SimulatedApiVideo) -> None:
    settings.secretsmanager().put_secret_value(SecretId="APIVIDEO_SECRET", SecretString='{"webhook_1": "sig_sec_1"}')
    secrets.forget()

    assert error_of(run(stack)).code == "not_configured"
    assert apivideo.requests == []


def put_key(key: str) -> None:
    settings.secretsmanager().put_secret_value(SecretId="APIVIDEO_SECRET", SecretString=json.dumps({"api_key": key}))
    secrets.forget()


# --- With its callbacks ----------------------------------------------------------------------------------------------


def told(part: str, video_id: str = "vi-1", **said: Any) -> dict[str, Any]:
    """A callback as api.video would sign it."""
    kind, quality = part.split()
    text = encoded(video_id, kind, quality, **said)
    return http_event(NAME, text, query="", headers=headers(text))


def worker_of(scripted: ApiVideo) -> Any:
    platform: Platform[Any] = Platform(
        name="apivideo",
        steps={"upload": upload, "encoding": encoding},
        applies=lambda _job, _step: True,
        callback_url=no_url,
        client=scripted,
    )
    return steps_worker(platform)


def deliver(stack: Stack, worker: Any, *events: dict[str, Any]) -> list[str]:
    """Hand callbacks over, each followed by what the worker makes of it."""
    outcomes = []
    for event in events:
        answer = stack.send(NAME, event)
        assert answer["status"] == 200
        outcomes.append(answer["outcome"])
        stack.work(QUEUE, worker)
    return outcomes


def start(stack: Stack, worker: Any, **asked: Any) -> None:
    """Submit a job whose checks are far off, and leave it running."""
    new_job(check_interval=900, **asked)
    queues.send_start("apivideo", "job-1")
    stack.work(QUEUE, worker)
    assert step_of().status == StepStatus.RUNNING


def check_now(stack: Stack, worker: Any) -> None:
    """The check that is planned for later, now."""
    step = step_of()
    message = queues.CheckMessage(job_id="job-1", step="encoding", attempt=step.attempt, checks=step.checks)
    queues.send_check("apivideo", message, delay=0)
    stack.work(QUEUE, worker)


@pytest.mark.parametrize("asked", [{}, {"media_id": "vi-1"}])
def test_callbacks_are_looked_into_at_once_and_the_last_one_ends_the_job(stack: Stack, asked: dict[str, Any]) -> None:
    scripted = ScriptedApiVideo(status_of(every("encoded")))
    worker = worker_of(scripted)
    start(stack, worker, **asked)

    for number, part in enumerate(reversed(FIVE)):
        assert (found().status, scripted.asked) == (JobStatus.RUNNING, 0)
        assert step_of().progress == (number / 5 or None)
        assert deliver(stack, worker, told(part)) == ["recorded"]

    assert found().status == JobStatus.SUCCEEDED
    assert step_of().checks == 0
    assert scripted.asked == 1


def test_it_is_playable_with_the_first_asset(stack: Stack) -> None:
    worker = worker_of(ScriptedApiVideo(status_of(every("waiting"))))
    start(stack, worker)
    assert step_of().result is None

    deliver(stack, worker, told("hls 360p"))

    assert step_of().result == {"video_id": "vi-1", "playable": True}


@pytest.mark.parametrize("seed", range(5))
def test_callbacks_out_of_order_and_doubled_end_the_job_once(stack: Stack, seed: int) -> None:
    worker = worker_of(ScriptedApiVideo(status_of(every("encoded"))))
    start(stack, worker)
    order = random.Random(seed).sample([*FIVE, *FIVE], 10)

    outcomes = deliver(stack, worker, *map(told, order))

    assert found().status == JobStatus.SUCCEEDED
    assert sorted(set(outcomes)) == ["recorded", "repeated"]
    assert outcomes.count("repeated") == 5
    assert [job.job_id for job in jobs(stack)] == ["job-1"]


def test_dropped_callbacks_are_made_up_for_by_a_check(stack: Stack) -> None:
    worker = worker_of(ScriptedApiVideo(status_of(every("encoded"))))
    start(stack, worker)
    deliver(stack, worker, told("mp4 720p"), told("hls 240p"))
    assert (found().status, step_of().progress) == (JobStatus.RUNNING, 2 / 5)

    check_now(stack, worker)

    assert found().status == JobStatus.SUCCEEDED


def test_callbacks_that_the_status_does_not_confirm_yet_are_waited_for(stack: Stack) -> None:
    lagging = status_of(every("encoded", hls_720p="encoding"))
    worker = worker_of(ScriptedApiVideo(lagging, lagging, status_of(every("encoded"))))
    new_job(check_interval=1)
    queues.send_start("apivideo", "job-1")
    stack.work(QUEUE, worker)
    deliver(stack, worker, *map(told, FIVE))
    assert found().status == JobStatus.RUNNING

    check_now(stack, worker)
    check_now(stack, worker)

    assert found().status == JobStatus.SUCCEEDED


def test_late_callbacks_change_nothing_about_a_job_that_has_succeeded(stack: Stack) -> None:
    worker = worker_of(ScriptedApiVideo(status_of(every("encoded"))))
    start(stack, worker)
    check_now(stack, worker)
    before = found()

    assert deliver(stack, worker, *map(told, FIVE)) == ["stale"] * 5

    assert (found().status, step_of()) == (JobStatus.SUCCEEDED, before.steps["encoding"])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_late_callbacks_of_a_video_with_a_failed_rendition_leave_it_failed(stack: Stack, count: int) -> None:
    body = status_of(every("encoded", hls_480p="failed"))
    worker = worker_of(ScriptedApiVideo(body))
    start(stack, worker)
    check_now(stack, worker)
    assert error_of(found()).code == "rendition_failed"

    for part in FIVE[:count]:
        assert deliver(stack, worker, told(part)) == ["recorded"]
        assert (found().status, error_of(found()).code) == (JobStatus.FAILED, "rendition_failed")
        assert step_of().result == {"video_id": "vi-1", "playable": True, "status": body}
    assert found().ends == 1  # they tell nothing that was not known


def test_a_step_that_was_given_up_too_early_goes_on_when_a_callback_comes(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of(ScriptedApiVideo(status_of(every("encoding")), status_of(every("encoded"))))
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")
    start(stack, worker)
    check_now(stack, worker)
    assert error_of(found()).code == "timed_out"
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "3600")

    assert deliver(stack, worker, told("mp4 240p")) == ["recorded"]

    assert found().status == JobStatus.SUCCEEDED


def test_a_rendition_that_the_mp4_lets_expect_is_waited_for_though_no_status_lists_it_yet(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of(ScriptedApiVideo(status_of({"hls_240p": "encoded", "mp4_720p": "encoded"})))
    start(stack, worker)
    deliver(stack, worker, told("mp4 720p"))

    check_now(stack, worker)

    assert step_of().status == StepStatus.RUNNING
    monkeypatch.setattr(encoding, "PATIENCE", timedelta(0))
    check_now(stack, worker)
    assert found().status == JobStatus.SUCCEEDED  # api.video's ladder is api.video's


def test_events_that_no_step_waits_for_are_archived_with_the_videos_job(stack: Stack) -> None:
    start(stack, worker_of(ScriptedApiVideo(status_of(every("encoding")))))
    text = json.dumps({"type": "video.caption.generated", "videoId": "vi-1", "captionId": "caption_1"})

    answer = stack.send(NAME, http_event(NAME, text, query="", headers=headers(text)))

    assert answer == {"status": 200, "outcome": "ignored"}
    assert [item["body"] for item in stack.items("JOB#job-1") if item.get("outcome") == "ignored"] == [text]
    assert stack.messages(QUEUE) == []


# --- The simulated platform's own callbacks --------------------------------------------------------------------------


@dataclass
class Mailbox:
    """What takes api.video's callbacks off the network: `events` are they, as API Gateway would hand them over."""

    events: list[dict[str, Any]] = field(default_factory=list)
    when_one_comes: Callable[[dict[str, Any]], None] = lambda _event: None


@pytest.fixture
def mailbox(apivideo: SimulatedApiVideo) -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            event = http_event(NAME, text, query="", headers={name.lower(): v for name, v in self.headers.items()})
            box.events.append(event)
            box.when_one_comes(event)
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        webhook = apivideo.register(f"http://127.0.0.1:{http.server_port}", secret="sig_sec_simulated")
        values = {**WEBHOOK_SECRETS["apivideo"], webhook.id: webhook.secret}
        settings.secretsmanager().put_secret_value(SecretId="APIVIDEO_SECRET", SecretString=json.dumps(values))
        secrets.forget()
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield box
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("file", "told_of"),
    [
        ("lecture", FIVE),
        ("mp4-last", FIVE),
        ("upper-case", FIVE),
        ("recorded", FIVE),
        ("twice", FIVE),
        ("no-mp4", FIVE[:4]),
        ("new-quality", ("hls 240p", "hls 360p", "hls 480p", "hls 720p", "hls 1080p", "hls 1440p", "mp4 1440p")),
    ],
)
def test_what_the_platform_tells_is_noted_and_the_job_ends_well(
    stack: Stack, apivideo: SimulatedApiVideo, mailbox: Mailbox, file: str, told_of: Sequence[str]
) -> None:
    new_job(f"https://example.com/{file}.mp4", check_interval=900)
    queues.send_start("apivideo", "job-1")
    work(stack)
    wait_for(lambda: apivideo.idle)

    outcomes = deliver(stack, handler("apivideo/steps"), *mailbox.events)
    if found().status == JobStatus.RUNNING:
        check_now(stack, handler("apivideo/steps"))

    job = found()
    assert job.status == JobStatus.SUCCEEDED
    assert set(outcomes) <= {"recorded", "repeated", "stale"}
    video_id = job.refs[0]
    assert set(step_of().told_of(video_id)) <= set(told_of)
    assert len(step_of().told_of(video_id)) >= len(told_of) - 1  # one may be told after all is known
    assert [one.job_id for one in jobs(stack)] == ["job-1"]


def test_callbacks_cut_in_half_are_kept_for_people_and_the_checks_go_on(
    stack: Stack, apivideo: SimulatedApiVideo, mailbox: Mailbox
) -> None:
    job = run(stack, "https://example.com/garbled.mp4")
    wait_for(lambda: apivideo.idle)

    assert {stack.send(NAME, event)["status"] for event in mailbox.events} == {422}
    assert job.status == JobStatus.SUCCEEDED
    assert stack.messages("DeliveriesDeadLetters")


def test_callbacks_before_the_uploads_answer_end_the_job(
    stack: Stack, apivideo: SimulatedApiVideo, mailbox: Mailbox
) -> None:
    outcomes: list[str] = []

    def record(event: dict[str, Any]) -> None:
        outcomes.append(stack.send(NAME, event)["outcome"])  # the submit is answered after this

    mailbox.when_one_comes = record
    new_job("https://example.com/early.mp4")
    queues.send_start("apivideo", "job-1")

    job = ended(stack)

    assert "adopted" in outcomes
    assert [one.job_id for one in jobs(stack)] == ["job-1"]
    assert (job.status, job.adopted) == (JobStatus.SUCCEEDED, False)
    told = set(step_of().told_of(job.refs[0]))
    assert told  # what the adopted job was told came along
    assert told <= set(FIVE)  # a check may end the job before the last ones come: those are archived


# --- Before the answer, and about what others have started -----------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"media_id": "vi-1"}], ids=["uploaded", "there"])
@pytest.mark.parametrize("before", [(), ("hls 240p",)], ids=["first", "second"])
@pytest.mark.parametrize("turn", [1, -1], ids=["submit", "callback"])
def test_in_whatever_order_submit_and_callbacks_are_written_there_is_one_job_with_the_right_end(
    stack: Stack, turn: int, before: Sequence[str], asked: dict[str, Any]
) -> None:
    orders = 0

    def prepare() -> Any:
        stack.clear()
        stack.purge(QUEUE)
        for part in before:  # that one has made a job of its own
            assert stack.send(NAME, told(part))["outcome"] == "adopted"
        stack.purge(QUEUE)
        new_job(check_interval=900, **asked)
        start_message = queues.StartMessage(job_id="job-1").model_dump_json()
        worker = worker_of(ScriptedApiVideo(status_of({"hls_240p": "encoded", "mp4_240p": "encoded"})))
        return worker, stack.received(QUEUE, start_message)

    def acts(scene: Any) -> Sequence[Callable[[], object]]:
        worker, message = scene
        return [lambda: worker(message, Context()), lambda: stack.send(NAME, told("mp4 240p"))][::turn]

    for worker, _ in itertools.islice(in_every_order(prepare, acts), MOST_ORDERS):
        orders += 1
        stack.work(QUEUE, worker)
        queues.send_start("apivideo", "job-1")  # as a sweep would, if the last message was lost to a lease
        stack.work(QUEUE, worker)
        if found().status == JobStatus.RUNNING:
            check_now(stack, worker)
        assert [(job.job_id, job.status, job.adopted) for job in jobs(stack)] == [("job-1", "succeeded", False)]
        refs = [item for item in stack.items("REF#") if item["sk"] == "REF"]
        assert [(item["pk"], item["job_id"]) for item in refs] == [("REF#apivideo#vi-1", "job-1")]
        assert set(step_of().told_of("vi-1")) == {*before, "mp4 240p"}
    assert orders > 5


def test_a_video_that_was_uploaded_elsewhere_is_adopted_and_followed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_INTERVAL_SECONDS", "900")
    worker = worker_of(ScriptedApiVideo(status_of(every("encoded"))))

    assert deliver(stack, worker, told("hls 240p")) == ["adopted"]
    (job,) = jobs(stack)
    assert (job.adopted, job.status, job.plan) == (True, JobStatus.RUNNING, ("encoding",))
    assert deliver(stack, worker, *map(told, FIVE[1:]))[0] == "recorded"

    job = found(job.job_id)
    assert job.status == JobStatus.SUCCEEDED
    assert job.steps["encoding"].result is not None
    assert job.steps["encoding"].result["video_id"] == "vi-1"


def test_a_callback_about_a_video_that_does_not_exist_ends_as_not_found(
    stack: Stack, apivideo: SimulatedApiVideo
) -> None:
    assert stack.send(NAME, told("hls 240p", "vi-made-up"))["outcome"] == "adopted"
    (job,) = jobs(stack)

    assert error_of(ended(stack, job.job_id)).code == "not_found"


def test_an_adopted_job_that_has_failed_can_be_tried_again(stack: Stack) -> None:
    worker = worker_of(ScriptedApiVideo(UNKNOWN_VIDEO, status_of(every("encoded"))))
    deliver(stack, worker, told("hls 240p"))
    (job,) = jobs(stack)
    stack.work(QUEUE, worker)
    job = found(job.job_id)
    if not job.status.ended:
        message = queues.CheckMessage(
            job_id=job.job_id, step="encoding", attempt=1, checks=job.steps["encoding"].checks
        )
        queues.send_check("apivideo", message, delay=0)
        stack.work(QUEUE, worker)
    store.retry(found(job.job_id), "encoding")
    queues.send_start("apivideo", job.job_id)
    stack.work(QUEUE, worker)

    assert found(job.job_id).status == JobStatus.SUCCEEDED


def test_an_encoding_without_a_video_is_a_mistake_of_ours() -> None:
    job = request(source=SOURCE).new_job("job-1")

    with pytest.raises(ValueError, match="has no video yet"):
        encoding.submit(ApiVideo(), job, callback_url="")


def test_an_encoding_asks_for_nothing(server: Server) -> None:
    job = request(media_id="vi-1").new_job("job-1")

    assert encoding.submit(ApiVideo(), job, callback_url="") == Submitted(platform_job_id="vi-1", refs=("vi-1",))
    assert server.asked == []
