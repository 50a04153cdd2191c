"""What api.video is asked, and what its answers and its callbacks mean."""

import base64
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError
from video_jobs import clock, jsontext
from video_jobs.aws import secrets
from video_jobs.jobs.model import (
    LONGEST_MESSAGE,
    NOT_FOUND,
    Job,
    JobError,
    JobStatus,
    PollResult,
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
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError

from local.platforms.apivideo import Rates, SimulatedApiVideo
from tests.steps.conftest import SecretsManager
from tests.steps.following import follow

DOCS = "https://docs.api.video/reference"
NO_LIMIT = Rates(uploads=10**6, writes=10**6, reads=10**6)
FIVE = ("hls 240p", "hls 360p", "hls 480p", "hls 720p", "mp4 720p")
"""The renditions of a source of 720p."""
SOURCE = "https://example.com/lecture.mp4"


@pytest.fixture
def apivideo(secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedApiVideo]:
    """The simulated platform, where the stack's settings say that api.video is."""
    with SimulatedApiVideo(pace=0.02, resend_wait=0.01, rates=NO_LIMIT) as apivideo:
        monkeypatch.setenv("APIVIDEO_URL", apivideo.url)
        yield apivideo


def request(**asked: Any) -> ApiVideoJobRequest:
    return ApiVideoJobRequest.model_validate({"provider": "apivideo", "retry": {"base_delay": 0}, **asked})


def new_job(source: str = SOURCE, job_id: str = "job-1", **asked: Any) -> Job:
    medium = {} if "media_id" in asked else {"source": source}
    return request(**medium, **asked).new_job(job_id)


def run(source: str = SOURCE, **asked: Any) -> Job:
    """A job, brought to its end by polls alone."""
    return follow({"upload": upload, "encoding": encoding}, ApiVideo(), new_job(source, **asked))


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

    assert job.request.options == {"upload": {"mp4Support": False}}


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
        (f"https://example.com/{'%C3%BC' * 1000}", "ü" * 512),
        ("https://example.com/%20%00%0A", "example.com"),
        ("https://example.com/a%0Ab%00.mp4", "ab.mp4"),
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


def test_a_poll_of_an_upload_looks_whether_a_try_has_made_it(apivideo: SimulatedApiVideo) -> None:
    job = new_job()
    assert upload.poll(ApiVideo(), job, job.steps["upload"]) == StepRunning()

    end = uploaded(job)

    looked = upload.poll(ApiVideo(), job, job.steps["upload"])
    assert isinstance(looked, PollResult)
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
def server(secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
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
    mine = {"videoId": "vi-2", "metadata": [{"key": "a b", "value": "1&2", "x": 1}, {"key": "c", "value": "d"}, None]}
    others = [{"videoId": "vi-1", "metadata": [{"key": "a b", "value": "1"}]}, {"metadata": None}, {}, None]
    others += [{"metadata": [{"key": ["a b"], "value": {}}, {"key": "a b"}]}]
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


@pytest.mark.parametrize("oddity", ["NaN", "1e999", "9" * 5000, '"a \\ud83d"', '1, "odd": 2', "[" * 60 + "]" * 60])
def test_an_answer_with_odd_values_in_it_still_tells_what_it_tells(server: Server, oddity: str) -> None:
    server.status = 201
    server.body = f'{{"videoId": "vi-1", "title": "a \\ud83d", "odd": {oddity}}}'.encode()
    end = uploaded(new_job())
    qualities = f'[{{"type": "hls", "quality": "240p", "status": "encoded", "odd": {oddity}}}]'
    server.status = 200
    server.body = f'{{"ingest": {{"filesize": {oddity}}}, "encoding": {{"qualities": {qualities}}}}}'.encode()
    looked = encoding.poll(ApiVideo(), request(media_id="vi-1").new_job("job-1"), running())

    assert end.result == {"video_id": "vi-1", "title": "a \ufffd"}
    assert isinstance(end_of(looked), StepSucceeded)
    assert isinstance(looked, PollResult)
    jsontext.read(json.dumps(looked.body).encode())
    assert [method for method, _, _ in server.asked] == ["POST", "GET"], "one video was made"


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
        ({"X-RateLimit-Retry-After": "nan", "Retry-After": "Mon, 20 Nov 9999999999 12:00:00 +0000"}, None),
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

    def __init__(self, *statuses: Any, video_id: str = "vi-1", metadata: Any = None) -> None:
        self.statuses = list(statuses)
        self.metadata = metadata
        self.videos_asked = 0
        self.video_id = video_id
        self.asked = 0
        self.created = 0

    def create_video(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        self.created += 1
        return {"videoId": self.video_id, "title": fields["title"], "assets": {}}

    def videos_with(self, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"videoId": self.video_id}] if self.created else []

    def video(self, video_id: str) -> dict[str, Any]:
        self.videos_asked += 1
        if isinstance(self.metadata, Exception):
            raise self.metadata
        return {"videoId": video_id, "metadata": self.metadata}

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


def running(*hints: str, result: dict[str, Any] | None = None, progress: float | None = None) -> Step:
    return Step(
        status=StepStatus.RUNNING,
        attempt=1,
        attempt_limit=3,
        platform_job_id="vi-1",
        hints=dict.fromkeys(hints, "encoded"),
        hinted=bool(hints),
        result=result,
        progress=progress,
    )


def poll(body: Any, *hints: str, **changes: Any) -> StepRunning | PollResult:
    job = request(media_id="vi-1").new_job("job-1")
    return encoding.poll(ScriptedApiVideo(body), job, running(*hints, **changes))


def end_of(looked: StepRunning | PollResult) -> StepSucceeded | StepFailed:
    assert isinstance(looked, PollResult)
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
    looked = poll(body)

    assert looked == StepRunning(
        progress=progress,
        platform_status="encoding",
        result={"video_id": "vi-1", "playable": True, "status": body},
    )


def test_all_encoded_is_the_end() -> None:
    body = status_of(every("encoded"), playable=True)

    assert end_of(poll(body)) == StepSucceeded(result={"video_id": "vi-1", "playable": True, "status": body})


@pytest.mark.parametrize("word", ["uploaded", "ingested", "Ingested", "a-new-word", None])
def test_where_the_source_is_there_or_nobody_knows_the_renditions_decide(word: str | None) -> None:
    assert isinstance(end_of(poll(status_of(every("encoded"), ingest=word))), StepSucceeded)


@pytest.mark.parametrize("word", ["missing", "uploading", "last_chunck_uploaded", "merging", "ingesting"])
def test_while_the_source_comes_in_it_goes_on(word: str) -> None:
    looked = poll(status_of(every("encoded"), ingest=word))

    assert isinstance(looked, StepRunning)
    assert looked.platform_status == word


@pytest.mark.parametrize("word", ["waiting", "encoding", "paused", ""])
def test_a_rendition_that_has_not_ended_or_says_what_nobody_knows_keeps_it_going(word: str) -> None:
    looked = poll(status_of(every("encoded", hls_480p=word)))

    assert isinstance(looked, StepRunning)
    assert looked.progress == 4 / 5
    assert looked.result is not None
    assert looked.result["playable"]


def test_a_failed_rendition_is_named_and_what_there_is_stays() -> None:
    body = status_of(every("encoded", hls_480p="failed", mp4_720p="failed"))

    end = end_of(poll(body))

    assert isinstance(end, StepFailed)
    assert (end.error.code, end.error.message) == ("rendition_failed", "failed: hls 480p, mp4 720p")
    assert end.result == {"video_id": "vi-1", "playable": True, "status": body}


def test_with_every_rendition_failed_there_is_nothing_to_play() -> None:
    end = end_of(poll(status_of(every("failed"))))

    assert isinstance(end, StepFailed)
    assert end.error.code == "encoding_failed"
    assert not end.result["playable"]


def test_a_failure_waits_for_the_others() -> None:
    assert isinstance(poll(status_of(every("encoding", hls_480p="failed"))), StepRunning)


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
    looked = poll(body)

    assert isinstance(looked, StepRunning)
    assert looked.result == {"video_id": "vi-1", "playable": False, "status": body}


def test_types_and_words_are_read_in_any_case() -> None:
    body = {"encoding": {"qualities": [{"type": "HLS", "quality": "240P", "status": "Encoded"}]}}

    assert isinstance(end_of(poll(body)), StepSucceeded)


def test_a_status_with_thousands_of_parts_is_kept_without_them() -> None:
    body = status_of({}, ingest="uploading")
    body["ingest"]["receivedBytes"] = [{"from": n, "to": n + 1, "total": 10**9} for n in range(6000)]

    looked = poll(body)

    assert isinstance(looked, StepRunning)
    assert looked.result is not None
    kept = looked.result["status"]
    assert kept == body | {"ingest": {"status": "uploading", "filesize": 1}}


def test_a_video_that_nobody_knows_fails_and_keeps_what_was_known() -> None:
    before = {"video_id": "vi-1", "playable": True}

    end = end_of(poll(UNKNOWN_VIDEO, result=before))

    assert isinstance(end, StepFailed)
    assert (end.error.code, end.result) == ("not_found", before)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_that_is_about_us_is_no_answer_about_the_video(status: int) -> None:
    with pytest.raises(RefusedByPlatformError):
        poll(RefusedByPlatformError(errors.REQUEST_REFUSED.with_message("x"), status=status))


# --- What callbacks say ----------------------------------------------------------------------------------------------


def hinted(*hints: str, body: Any = None, **changes: Any) -> tuple[StepRunning | PollResult, int]:
    """What is made of it, and how often api.video was asked."""
    scripted = ScriptedApiVideo(status_of(every("encoded")) if body is None else body)
    job = request(media_id="vi-1").new_job("job-1")
    return encoding.hinted(scripted, job, running(*hints, **changes)), scripted.asked


@pytest.mark.parametrize("order", [FIVE, FIVE[::-1], *random.Random(3).sample(list(itertools.permutations(FIVE)), 10)])
def test_five_callbacks_in_any_order_are_the_end_of_a_source_of_720p_and_fewer_are_not(order: Sequence[str]) -> None:
    for count in range(1, 5):
        looked, asked = hinted(*order[:count])
        assert isinstance(looked, StepRunning)
        known = "mp4 720p" in order[:count]
        assert (looked.progress, asked, looked.soon) == (count / 5 if known else None, 0, False)
        assert looked.result == {"video_id": "vi-1", "playable": True}

    looked, asked = hinted(*order)

    assert isinstance(end_of(looked), StepSucceeded)
    assert asked == 1


@pytest.mark.parametrize(
    ("height", "count"), [(144, 2), (240, 2), (360, 3), (480, 4), (720, 5), (1080, 6), (1440, 6), (2160, 7), (4320, 7)]
)
def test_the_mp4_says_how_many_there_will_be(height: int, count: int) -> None:
    rungs = [f"hls {rung}p" for rung in (240, 360, 480, 720, 1080, 2160)]
    hints = [f"mp4 {height}p", *rungs[: count - 1]]

    assert hinted(*hints)[1] == 1
    assert hinted(*hints[:-1])[1] == 0
    looked, _ = hinted(hints[0])
    assert isinstance(looked, StepRunning)
    assert looked.progress == 1 / count


def test_without_an_mp4_the_status_as_it_was_last_seen_says_how_many_there_will_be() -> None:
    four = {name: word for name, word in every("encoding", hls_240p="encoded").items() if name != "mp4_720p"}
    seen = {"video_id": "vi-1", "playable": True, "status": status_of(four)}

    looked, asked = hinted("hls 360p", result=seen)
    assert (looked.progress if isinstance(looked, StepRunning) else None, asked) == (2 / 4, 0)
    assert hinted("hls 360p", "hls 480p", "hls 720p", result=seen)[1] == 1


def test_a_rendition_that_was_seen_to_have_failed_is_not_waited_for() -> None:
    seen = {"status": status_of(every("encoding", hls_480p="failed"))}
    hints = [part for part in FIVE if part != "hls 480p"]

    looked, asked = hinted(*hints, result=seen, body=status_of(every("encoded", hls_480p="failed")))

    assert isinstance(end_of(looked), StepFailed)
    assert asked == 1


def test_qualities_that_nobody_knows_are_no_obstacle() -> None:
    looked, asked = hinted("dash 4k", "hls source", "mp4 best")

    assert (isinstance(looked, StepRunning), asked) == (True, 0)
    assert hinted(*FIVE, "hls 1440p")[1] == 1


def test_a_status_that_lags_behind_its_callbacks_is_asked_for_again_soon() -> None:
    looked, _ = hinted(*FIVE, body=status_of(every("encoded", hls_720p="encoding")), progress=0.8)

    assert isinstance(looked, StepRunning)
    assert (looked.soon, looked.progress) == (True, 0.8)


def test_progress_never_goes_back() -> None:
    looked = poll(status_of(every("waiting")), "hls 240p", progress=0.6)

    assert isinstance(looked, StepRunning)
    assert looked.progress == 0.6
    assert looked.result is not None
    assert looked.result["playable"]  # a callback has said that there is something


@pytest.mark.parametrize(("seconds", "ends"), [(0, False), (299, False), (301, True)])
def test_a_rendition_that_the_mp4_lets_expect_is_waited_for_though_no_status_lists_it_yet(
    seconds: int, ends: bool
) -> None:
    listed = {name: word for name, word in every("encoded").items() if name != "hls_720p"}
    step = running("mp4 720p").model_copy(update={"hinted_at": clock.after(clock.now(), -seconds)})

    answer = encoding.poll(ScriptedApiVideo(status_of(listed)), request(media_id="vi-1").new_job("job-1"), step)

    assert isinstance(answer, PollResult) == ends
    assert isinstance(answer, PollResult) or answer.soon


# --- Work that was started elsewhere ---------------------------------------------------------------------------------


def adopted() -> Job:
    """A job for a video that a callback named, before api.video was asked."""
    job = request(media_id="vi-1").new_job("job-2")
    return job.model_copy(update={"adopted": True, "confirmed": False})


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ([{"key": "video_jobs_submission", "value": "x"}, {"key": "video_jobs_job", "value": "job-1"}], "job-1"),
        ([{"key": "author", "value": "job-1"}], None),
        ([{"key": "video_jobs_job", "value": 7}, None, {}], None),
        ([], None),
        (None, None),
    ],
)
@pytest.mark.parametrize("word", ["encoding", "encoded"])
def test_whose_a_video_is_its_metadata_say(metadata: Any, owner: str | None, word: str) -> None:
    scripted = ScriptedApiVideo(status_of(every(word)), metadata=metadata)

    answer = encoding.poll(scripted, adopted(), running("hls 240p"))

    assert answer.owner == owner
    assert isinstance(answer, PollResult) == (word == "encoded")


def test_whose_a_video_is_is_asked_only_until_the_work_is_confirmed() -> None:
    scripted = ScriptedApiVideo(status_of(every("encoding")), metadata=[{"key": "video_jobs_job", "value": "job-1"}])

    answer = encoding.poll(scripted, request(media_id="vi-1").new_job("job-1"), running())

    assert (answer.owner, scripted.videos_asked) == (None, 0)


def test_a_video_that_nobody_knows_is_nobodys() -> None:
    scripted = ScriptedApiVideo(UNKNOWN_VIDEO, metadata=UNKNOWN_VIDEO)

    end = end_of(encoding.poll(scripted, adopted(), running("hls 240p")))

    assert isinstance(end, StepFailed)
    assert end.error.code == NOT_FOUND


def test_an_address_that_api_video_does_not_know_says_nothing_about_a_video() -> None:
    with pytest.raises(RefusedByPlatformError):
        poll(RefusedByPlatformError(errors.UNRECOGNIZED_REQUEST.with_message("x"), status=404))


# --- From the upload to the end, by polls alone ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [
        *("lecture", "mp4-first", "mp4-last", "no-mp4", "new-quality", "guide-ingest", "untyped", "accepted"),
        *("flaky", "html", "reset", "silent", "upper-case", "recorded", "summarized"),
    ],
)
def test_a_video_is_uploaded_and_encoded(apivideo: SimulatedApiVideo, file: str) -> None:
    job = run(f"https://example.com/{file}.mp4")

    assert job.status == JobStatus.SUCCEEDED
    result = job.steps["encoding"].result
    assert result is not None
    assert job.refs == (result["video_id"],)
    assert result["playable"]
    assert result["status"] == ApiVideo().status(result["video_id"])
    assert len(ApiVideo().videos_with({"video_jobs_job": "job-1"})) == 1


def test_an_upload_whose_answer_is_lost_is_found_and_not_made_again(apivideo: SimulatedApiVideo) -> None:
    job = run("https://example.com/lost.mp4")

    assert job.status == JobStatus.SUCCEEDED
    assert job.steps["upload"].attempt == 2
    assert len(made(apivideo)) == 1


@pytest.mark.parametrize(
    ("file", "step", "code"),
    [
        ("failed-rendition", "encoding", "rendition_failed"),
        ("failed-last", "encoding", "rendition_failed"),
        ("all-failed", "encoding", "encoding_failed"),
        ("refused", "upload", "invalid_attribute"),
    ],
)
def test_each_failure_ends_as_its_error(apivideo: SimulatedApiVideo, file: str, step: str, code: str) -> None:
    job = run(f"https://example.com/{file}.mp4")

    assert (job.status, error_of(job).code) == (JobStatus.FAILED, code)
    assert job.steps[step].status == StepStatus.FAILED


def test_a_video_that_is_there_is_only_waited_for(apivideo: SimulatedApiVideo) -> None:
    video = ApiVideo().create_video({"title": "x", "source": SOURCE})

    job = run(media_id=video["videoId"])

    assert (job.status, job.plan) == (JobStatus.SUCCEEDED, ("encoding",))
    assert len(made(apivideo)) == 1


def test_a_video_that_is_not_there_is_not_found(apivideo: SimulatedApiVideo) -> None:
    assert error_of(run(media_id="vi-nowhere")).code == NOT_FOUND


# --- The key ---------------------------------------------------------------------------------------------------------


def test_a_wrong_key_ends_as_its_error_and_is_in_no_message(
    apivideo: SimulatedApiVideo, secretsmanager: SecretsManager
) -> None:
    secretsmanager.put("APIVIDEO_SECRET", api_key="revoked-1")

    error = error_of(run())

    assert error.code == "invalid_api_key"
    assert "revoked-1" not in error.model_dump_json()


def test_a_key_that_was_rotated_a_moment_ago_is_read_anew(
    apivideo: SimulatedApiVideo, secretsmanager: SecretsManager
) -> None:
    secretsmanager.put("APIVIDEO_SECRET", api_key="revoked-1")
    secrets.values("APIVIDEO_SECRET")
    secretsmanager.values["APIVIDEO_SECRET"] = '{"api_key": "av-new"}'

    assert run().status == JobStatus.SUCCEEDED


# --- The encoding's submission ---------------------------------------------------------------------------------------


def test_an_encoding_without_a_video_is_a_mistake_of_ours() -> None:
    job = request(source=SOURCE).new_job("job-1")

    with pytest.raises(ValueError, match="has no video yet"):
        encoding.submit(ApiVideo(), job, callback_url="")


def test_an_encoding_asks_for_nothing(server: Server) -> None:
    job = request(media_id="vi-1").new_job("job-1")

    assert encoding.submit(ApiVideo(), job, callback_url="") == Submitted(platform_job_id="vi-1", refs=("vi-1",))
    assert server.asked == []
