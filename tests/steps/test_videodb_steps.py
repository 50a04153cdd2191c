"""What VideoDB is asked, word for word, and what each of its answers is taken to mean."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import ModuleType
from typing import Any

import pytest
import urllib3
from video_jobs.aws import secrets
from video_jobs.aws.errors import is_aws_error
from video_jobs.jobs.model import (
    Job,
    MediaType,
    PollResult,
    Step,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
)
from video_jobs.platforms import rest
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.videodb import errors, extract_scenes, index_scenes, index_spoken_words, media, plan, upload
from video_jobs.platforms.videodb.client import VideoDb
from video_jobs.platforms.videodb.payloads import Report

from local.platforms.videodb import SimulatedVideoDb
from tests.patches import change
from tests.scripted import STEPS, new_job
from tests.steps.conftest import SecretsManager, aws_error
from tests.steps.following import follow

URL = "https://jobs.example.com/callbacks/videodb/upload?job=job-1&attempt=1&token=0"
MODULES: Mapping[str, ModuleType] = {
    "upload": upload,
    "index_spoken_words": index_spoken_words,
    "index_scenes": index_scenes,
    "extract_scenes": extract_scenes,
}
SUBMITTED_TO = {
    "upload": "/collection/default/upload",
    "index_spoken_words": "/video/m-1/index",
    "index_scenes": "/video/m-1/index/scene",
    "extract_scenes": "/video/m-1/scenes",
}
RESULTS: Mapping[str, dict[str, Any]] = {
    "upload": {"id": "m-2", "name": "Lecture"},
    "index_spoken_words": {"id": "m-1"},
    "index_scenes": {"scene_index_id": "f4db35c5ce45a709"},
    "extract_scenes": {"scene_collection_id": "c-1"},
}
"""What a successful body has as `data`, and the step as its result."""
POLL = "/async-response/job-123"


# --- A server that answers from a script -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    """As JSON, unless it is bytes."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


CUT = Answer(0)
"""The connection is closed instead."""
SILENCE = Answer(-1)
"""No answer comes, as long as the test lasts."""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Server:
    """Answers in the order of its script, the last one for ever; `asked` is what it was sent."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    def answer(self, *answers: Answer) -> None:
        self.answers = list(answers)

    @property
    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]


@pytest.fixture
def server(secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    script = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = script.answers[min(len(script.asked), len(script.answers) - 1)]
            script.asked.append(Asked(self.command, self.path, headers, json.loads(body) if body else None))
            if answer is SILENCE:
                script.over.wait()
            if answer in (CUT, SILENCE):
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.data)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        script.url = f"http://127.0.0.1:{http.server_port}"
        monkeypatch.setenv("VIDEODB_URL", script.url)
        monkeypatch.setattr(secrets, "newer_values", lambda _name: None)  # but where tests are about keys
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield script
        script.over.set()
        http.shutdown()
        thread.join()


def job_of(step: str, **changes: Any) -> Job:
    """A job whose current step is this one: what comes before it has been done."""
    steps = {name: Step(status=StepStatus.WAITING, attempt_limit=3) for name in STEPS}
    if step != "upload":
        steps["upload"] = Step(status=StepStatus.SUCCEEDED, attempt_limit=3, result={"id": "m-1"})
    return new_job(**{"steps": steps} | changes)


def submit(step: str, **changes: Any) -> Submitted | PollResult:
    answer: Submitted | PollResult = MODULES[step].submit(VideoDb(), job_of(step, **changes), callback_url=URL)
    return answer


def poll(step: str, *, platform_job_id: str | None = "job-123", **changes: Any) -> StepRunning | PollResult:
    stands = Step(status=StepStatus.RUNNING, attempt=1, attempt_limit=3, platform_job_id=platform_job_id)
    answer: StepRunning | PollResult = MODULES[step].poll(VideoDb(), job_of(step, **changes), stands)
    return answer


def result(found: Submitted | StepRunning | PollResult) -> Mapping[str, Any]:
    assert isinstance(found, PollResult)
    assert isinstance(found.end, StepSucceeded)
    return found.end.result


def message(found: Submitted | StepRunning | PollResult) -> str:
    assert isinstance(found, PollResult)
    assert isinstance(found.end, StepFailed)
    return found.end.error.message


# --- What is asked ---------------------------------------------------------------------------------------------------

ACCEPTED = Answer(
    body={
        "success": True,
        "status": "processing",
        "request_type": "async",
        "data": {"id": "job-123", "output_url": "https://api.videodb.io/async-response/job-123"},
    }
)

DEFAULT_BODIES: Mapping[str, dict[str, Any]] = {
    "upload": {
        "url": "https://example.com/lecture.mp4",
        "name": None,
        "description": None,
        "media_type": "video",
        "callback_url": URL,
    },
    "index_spoken_words": {
        "index_type": "spoken_word",
        "language_code": None,
        "segmentation_type": "sentence",
        "force": False,
        "callback_url": URL,
    },
    "index_scenes": {
        "extraction_type": "shot",
        "extraction_config": {},
        "prompt": None,
        "metadata": None,
        "model_name": None,
        "model_config": None,
        "name": "video-jobs job-1",
        "scenes": None,
        "sandbox_id": None,
        "callback_url": URL,
    },
    "extract_scenes": {
        "extraction_type": "shot",
        "extraction_config": {},
        "force": False,
        "callback_url": URL,
    },
}

OPTIONS: Mapping[str, dict[str, Any]] = {
    "upload": {"name": "Vorlesung “1”", "description": "…"},
    "index_spoken_words": {"language_code": "en_us", "segmentation_type": "llm", "force": True},
    "index_scenes": {
        "extraction_type": "time",
        "extraction_config": {"time": 10, "select_frames": ["first"], "threshold": 0.1},
        "prompt": "What is seen?",
        "metadata": {"category": "news"},
        "model_name": "a-model",
        "model_config": {"temperature": 0.5},
        "name": "mine",
        "scenes": [{"scene_id": "1"}],
        "sandbox_id": "s-1",
    },
    "extract_scenes": {"extraction_type": "time", "extraction_config": {"time": 5}, "force": True},
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_asked_for_with_its_defaults_and_nulls_and_the_callback_url(server: Server, step: str) -> None:
    server.answer(ACCEPTED)

    submit(step)

    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", SUBMITTED_TO[step], DEFAULT_BODIES[step])
    assert (asked.headers["x-access-token"], asked.headers["content-type"]) == ("sk-test", "application/json")


@pytest.mark.parametrize("step", STEPS)
def test_what_the_caller_asks_for_is_passed_through(server: Server, step: str) -> None:
    server.answer(ACCEPTED)

    submit(step, options={step: OPTIONS[step]})

    assert server.asked[0].body == DEFAULT_BODIES[step] | OPTIONS[step]


def test_a_source_of_unknown_kind_is_uploaded_without_a_media_type(server: Server) -> None:
    server.answer(ACCEPTED)

    submit("upload", media_type=None)

    assert server.asked[0].body["media_type"] is None


def test_an_upload_goes_into_the_collection_that_was_asked_for(server: Server) -> None:
    server.answer(ACCEPTED)

    submit("upload", options={"upload": {"collection_id": "c/1?x=ä"}})

    assert server.asked[0].path == "/collection/c%2F1%3Fx%3D%C3%A4/upload"


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_medium_that_was_there_before_is_indexed_by_its_own_id(server: Server, step: str) -> None:
    server.answer(ACCEPTED)

    submit(step, plan=[step], steps={step: Step(status=StepStatus.WAITING, attempt_limit=3)}, media_id="m/../9")

    assert server.asked[0].path == SUBMITTED_TO[step].replace("m-1", "m%2F..%2F9")


# --- What a submission is answered -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            ACCEPTED.body, Submitted(platform_job_id="job-123", platform_status="processing"), id="documented"
        ),
        pytest.param(
            {"success": True, "data": {"id": "job-123", "output_url": "https://api.videodb.io/x"}},
            Submitted(platform_job_id="job-123"),
            id="without a status",
        ),
        pytest.param(
            {"success": True, "status": "queued", "data": {"id": "job-123"}},
            Submitted(platform_job_id="job-123", platform_status="queued"),
            id="with another word",
        ),
        pytest.param(
            {"success": True, "status": "accepted", "data": {"id": "job-123"}},
            Submitted(platform_job_id="job-123", platform_status="accepted"),
            id="with a word that nobody knows",
        ),
        pytest.param(
            {"success": True, "status": "processing"},
            Submitted(platform_job_id=None, platform_status="processing"),
            id="without data",
        ),
        pytest.param(
            {"success": True, "status": "processing", "data": {"id": 7}},
            Submitted(platform_job_id=None, platform_status="processing"),
            id="with an id that is none",
        ),
        pytest.param({}, Submitted(platform_job_id=None), id="that says nothing"),
    ],
)
def test_an_answer_that_announces_a_job_is_not_its_end(
    server: Server, step: str, body: dict[str, Any], expected: Submitted
) -> None:
    server.answer(Answer(body=body))

    assert submit(step) == expected


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(lambda data: {"success": True, "data": data}, id="as the callback"),
        pytest.param(lambda data: {"success": True, "status": "done", "data": data}, id="with a status"),
        pytest.param(
            lambda data: {"success": True, "status": "done", "request_type": "sync", "response": {"data": data}},
            id="nested",
        ),
    ],
)
def test_an_answer_may_be_the_end_already(
    server: Server, step: str, envelope: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    server.answer(Answer(body=envelope(RESULTS[step])))

    assert result(submit(step)) == RESULTS[step]


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_that_has_failed_already_is_not_taken_for_a_success(server: Server, step: str) -> None:
    server.answer(Answer(body={"success": True, "status": "failed", "message": "Something went wrong"}))

    assert message(submit(step)) == "Something went wrong"


@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_is_one_even_if_its_status_is_200(server: Server, step: str) -> None:
    server.answer(Answer(body={"success": False, "message": "Invalid media type", "error_code": "ERROR_CODE"}))

    with pytest.raises(RefusedByPlatformError) as refusal:
        submit(step)
    assert (refusal.value.error.code, refusal.value.status) == ("invalid_media_type", 200)
    assert refusal.value.error.message == "Invalid media type"


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (302, "request_refused", False),
        (400, "request_refused", False),
        (401, "invalid_api_key", True),
        (402, "insufficient_credits", True),
        (403, "forbidden", False),
        (404, "not_found", False),
        (422, "request_refused", False),
    ],
)
def test_what_videodb_will_not_do_is_not_asked_for_again(
    server: Server, status: int, code: str, retryable: bool
) -> None:
    server.answer(Answer(status, {"success": False, "message": "Error message"}))

    with pytest.raises(RefusedByPlatformError) as refusal:
        submit("upload")
    error = refusal.value.error
    assert (error.code, error.message, error.retryable) == (code, "Error message", retryable)
    assert refusal.value.status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_because_the_key_would_go_with_it(server: Server, status: int) -> None:
    server.answer(Answer(status, b"", {"location": f"{server.url}/elsewhere"}), ACCEPTED)

    with pytest.raises(RefusedByPlatformError) as refusal:
        submit("upload")
    assert refusal.value.status == status
    assert server.paths == [f"POST {SUBMITTED_TO['upload']}"]


@pytest.mark.parametrize(
    "body", [{"success": False, "message": None}, {"success": False, "message": {}}, [1], b"<html>No</html>", b""]
)
def test_a_refusal_without_readable_words_is_one_as_well(server: Server, body: Any) -> None:
    server.answer(Answer(403, body))

    with pytest.raises(RefusedByPlatformError, match="VideoDB gave no reason") as refusal:
        submit("upload")
    assert refusal.value.error.code == "forbidden"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(Answer(429, {"success": False}), "VideoDB answered 429", id="429"),
        pytest.param(Answer(500, {"success": False}), "VideoDB answered 500", id="500"),
        pytest.param(Answer(502, b"<html>Bad Gateway</html>"), "VideoDB answered 502", id="502 in HTML"),
        pytest.param(Answer(503, b""), "VideoDB answered 503", id="503 without a body"),
        pytest.param(
            Answer(200, b"<html>Hello</html>"),
            "VideoDB answered 200 with something that is not JSON",
            id="HTML",
        ),
        pytest.param(Answer(200, b""), "VideoDB answered 200 with something that is not JSON", id="nothing"),
        pytest.param(Answer(200, b'{"success": tr'), "VideoDB answered 200 with something that is not JSON", id="half"),
        pytest.param(Answer(200, b"\xff\x00"), "VideoDB answered 200 with something that is not JSON", id="garbage"),
        pytest.param(Answer(200, [1]), "VideoDB answered 200 with something that is not JSON", id="a list"),
        pytest.param(CUT, "no answer from VideoDB: ProtocolError", id="cut off"),
    ],
)
def test_what_passes_is_asked_for_again_later_and_not_here(server: Server, answer: Answer, words: str) -> None:
    server.answer(answer)

    with pytest.raises(TransientError) as fault:
        submit("upload")
    assert (fault.value.error.code, fault.value.error.message) == ("platform_unavailable", words)
    assert fault.value.error.retryable
    assert fault.value.rate_limited == (answer.status == 429)
    assert len(server.asked) == 1


def test_a_videodb_that_is_not_there_passes(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("VIDEODB_URL", "http://127.0.0.1:9")  # nobody listens there

    with pytest.raises(TransientError, match="no answer from VideoDB: NewConnectionError"):
        submit("upload")


def test_a_videodb_that_does_not_answer_passes(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    server.answer(SILENCE)
    impatient = urllib3.PoolManager(timeout=0.01, retries=False)
    monkeypatch.setattr(rest, "_pool", impatient)

    with pytest.raises(TransientError, match="no answer from VideoDB: ReadTimeoutError"):
        submit("upload")
    impatient.clear()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        ({}, None),
        ({"retry-after": "Wed, 21 Oct 2020 07:28:00 GMT"}, 0),
        ({"retry-after": "21 Oct"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Mon, 20 Nov 9999999999 12:00:00 +0000"}, None),
    ],
)
def test_the_wait_that_videodb_asks_for_is_passed_on(
    server: Server, status: int, header: dict[str, str], seconds: float | None
) -> None:
    server.answer(Answer(status, {}, header))

    with pytest.raises(TransientError) as fault:
        submit("upload")
    assert fault.value.wait_seconds == seconds


# --- Keys ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def keyed_server(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Server:
    """A server for a client that reads its key anew where that may help, as deployed."""
    newer_values = secrets.newer_values
    server: Server = request.getfixturevalue("server")
    monkeypatch.setattr(secrets, "newer_values", newer_values)
    return server


def test_a_key_that_was_rotated_is_read_again_once_it_does_not_fit(
    keyed_server: Server, secretsmanager: SecretsManager
) -> None:
    keyed_server.answer(Answer(401, {"success": False}), ACCEPTED)
    secrets.values("VIDEODB_API_KEY_SECRET")
    secretsmanager.values["VIDEODB_API_KEY_SECRET"] = '{"api_key": "sk-new"}'

    assert isinstance(submit("upload"), Submitted)
    assert [asked.headers["x-access-token"] for asked in keyed_server.asked] == ["sk-test", "sk-new"]


def test_a_rotated_key_serves_a_question_as_well(keyed_server: Server, secretsmanager: SecretsManager) -> None:
    keyed_server.answer(Answer(401, {"success": False}), Answer(body={"status": "processing"}))
    secrets.values("VIDEODB_API_KEY_SECRET")
    secretsmanager.values["VIDEODB_API_KEY_SECRET"] = '{"api_key": "sk-new"}'

    assert poll("upload") == StepRunning(platform_status="processing")
    assert [asked.headers["x-access-token"] for asked in keyed_server.asked] == ["sk-test", "sk-new"]


def test_a_key_that_videodb_never_accepts_is_read_again_every_30_seconds_at_most(
    keyed_server: Server, secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed_server.answer(Answer(401, {"success": False}))
    asked = []

    for seconds in (0.0, 1.0, 29.9, 30.0, 31.0):
        change(monkeypatch, secrets, time, monotonic=lambda now=seconds: now)
        with pytest.raises(RefusedByPlatformError) as refusal:
            submit("upload")
        assert refusal.value.error.code == "invalid_api_key"
        assert "sk-test" not in repr(refusal.value.error)
        asked.append(len(keyed_server.asked))

    assert asked == [2, 3, 4, 6, 7]  # one more each time the key was read again


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("{}", id="empty"),
        pytest.param('{"api_key": ""}', id="an empty key"),
        pytest.param('{"api_key": " \\n"}', id="a blank key"),
        pytest.param('{"key": "sk-secret"}', id="another name"),
        pytest.param('{"api_key": 7}', id="a number"),
        pytest.param('{"api_key": ["sk-secret"]}', id="a list of keys"),
        pytest.param('["sk-secret"]', id="a list"),
        pytest.param("sk-secret", id="not JSON"),
        pytest.param('{"api_key": "sk-secret\\u00e4"}', id="not ASCII"),
        pytest.param('{"api_key": "sk-secret\\r\\nx-other: 1"}', id="two lines"),
    ],
)
def test_without_a_usable_key_nothing_is_asked_and_the_secret_stays_secret(
    keyed_server: Server, secretsmanager: SecretsManager, value: str
) -> None:
    secretsmanager.values["VIDEODB_API_KEY_SECRET"] = value

    with pytest.raises(TransientError) as fault:
        submit("upload")
    assert fault.value.error.code == "not_configured"
    assert "sk-secret" not in f"{fault.value} {fault.value.error!r}"
    assert keyed_server.asked == []


def test_a_secret_that_is_missing_is_not_configured(keyed_server: Server, secretsmanager: SecretsManager) -> None:
    del secretsmanager.values["VIDEODB_API_KEY_SECRET"]

    with pytest.raises(TransientError) as fault:
        submit("upload")
    assert fault.value.error.code == "not_configured"
    assert keyed_server.asked == []


def test_a_key_that_was_rotated_to_nothing_says_so(keyed_server: Server, secretsmanager: SecretsManager) -> None:
    keyed_server.answer(Answer(401, {"success": False}))
    secrets.values("VIDEODB_API_KEY_SECRET")
    secretsmanager.values["VIDEODB_API_KEY_SECRET"] = "{}"

    with pytest.raises(TransientError) as fault:
        submit("upload")
    assert fault.value.error.code == "not_configured"


def test_a_key_may_have_been_copied_with_a_line_break(keyed_server: Server, secretsmanager: SecretsManager) -> None:
    secretsmanager.values["VIDEODB_API_KEY_SECRET"] = '{"api_key": "sk-copied\\n"}'
    keyed_server.answer(ACCEPTED)

    submit("upload")

    assert keyed_server.asked[0].headers["x-access-token"] == "sk-copied"


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("InternalServiceError", 500)])
@pytest.mark.parametrize("asked", [lambda: submit("upload"), lambda: poll("upload")])
def test_an_error_of_aws_is_not_taken_for_a_missing_key(
    keyed_server: Server, secretsmanager: SecretsManager, asked: Callable[[], Any], code: str, status: int
) -> None:
    secretsmanager.error = aws_error(code, status)

    with pytest.raises(Exception, match="VIDEODB_API_KEY_SECRET") as error:
        asked()

    assert is_aws_error(error.value)
    assert not isinstance(error.value, TransientError), "no attempt of the platform"
    assert keyed_server.asked == []


def test_a_secret_that_we_may_not_read_is_not_configured(keyed_server: Server, secretsmanager: SecretsManager) -> None:
    secretsmanager.error = aws_error("AccessDeniedException", 400)

    with pytest.raises(TransientError) as error:
        submit("upload")
    assert error.value.error.code == "not_configured"


# --- What exists already ---------------------------------------------------------------------------------------------


EXISTING: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("index_spoken_words", "Spoken word index for video already exists.", {}),
    ("index_spoken_words", "Spoken word index for video already exists", {}),
    ("index_scenes", "Scene index with id f4db35c5ce45a709 already exists.", {"scene_index_id": "f4db35c5ce45a709"}),
    ("index_scenes", "Scene index with id f4db35c5ce45a709 already exists", {"scene_index_id": "f4db35c5ce45a709"}),
    ("extract_scenes", "Scene collection already exists with id c-1.", {"scene_collection_id": "c-1"}),
    ("extract_scenes", "Scene collection already exists with id c-1", {"scene_collection_id": "c-1"}),
    *(
        (step, words, {field: "c8a1"})
        for step, field in (("index_scenes", "scene_index_id"), ("extract_scenes", "scene_collection_id"))
        for words in (
            "Scene collection with id c8a1 already exists",
            "Scene index already exists with id c8a1.",
            "Scene index already exists. Id: c8a1",
            "Scene collection already exists (id=c8a1).",
            "A scene collection with the id 'c8a1' exists already.",
            'Scene collection already exists for video id m-1, its id is "c8a1".',
            "Scene index already exists: c8a1",
            "Scene collection c8a1 already exists.",
            'Scene index "c8a1" already exists.',
        )
    ),
)
CALLBACKS: Mapping[str, type[Report]] = {
    "index_spoken_words": index_spoken_words.IndexSpokenWordsCallback,
    "index_scenes": index_scenes.IndexScenesCallback,
    "extract_scenes": extract_scenes.ExtractScenesCallback,
}


@pytest.mark.parametrize(("step", "words", "expected"), EXISTING)
@pytest.mark.parametrize("status", [200, 400, 409])
def test_what_exists_already_is_what_was_asked_for(
    server: Server, status: int, step: str, words: str, expected: dict[str, Any]
) -> None:
    server.answer(Answer(status, {"success": False, "message": words}))

    found = submit(step)

    assert result(found) == expected


@pytest.mark.parametrize(("step", "words", "expected"), EXISTING)
def test_a_callback_that_says_that_it_exists_already_is_a_success(
    step: str, words: str, expected: dict[str, Any]
) -> None:
    notice = CALLBACKS[step].model_validate({"success": False, "message": words})

    assert MODULES[step].decide(notice) == StepSucceeded(result=expected)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("index_scenes", "A scene index already exists."),
        ("extract_scenes", "Scene collection already exists."),
        # no index and no collection is named for certain
        ("index_scenes", "Scene index for video with id m-1 already exists."),
        ("index_scenes", "Scene index with this id already exists."),
        ("index_scenes", "Scene index with the name video-jobs 5f5ac1b0 already exists."),
        ("extract_scenes", "A collection of 12 scenes already exists."),
        ("extract_scenes", "Scene collection with id c8a1 was not found."),
        ("extract_scenes", "No scenes found in video with id m-1."),
    ],
)
def test_what_exists_without_an_id_is_no_success(step: str, words: str) -> None:
    end = MODULES[step].decide(CALLBACKS[step].model_validate({"success": False, "message": words}))

    assert isinstance(end, StepFailed)
    assert end.error.message == words


def test_an_upload_does_not_take_anything_for_existing(server: Server) -> None:
    server.answer(Answer(400, {"success": False, "message": "Media with id m-1 already exists."}))

    with pytest.raises(RefusedByPlatformError):
        submit("upload")


# --- What a poll is answered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "status", ["processing", "pending", "in progress", "in_progress", "queued", "PROCESSING", "a new word"]
)
def test_every_word_that_does_not_mean_an_end_means_that_it_goes_on(server: Server, step: str, status: str) -> None:
    server.answer(Answer(body={"success": True, "status": status, "data": {}}))

    assert poll(step) == StepRunning(platform_status=status)
    assert server.paths == [f"GET {POLL}"]
    assert server.asked[0].headers["x-access-token"] == "sk-test"


@pytest.mark.parametrize(
    ("data", "progress"),
    [
        ({"percentage": 0}, 0.0),
        ({"percentage": 42.5}, 0.425),
        ({"percentage": 100}, 1.0),
        ({"percentage": 101}, None),
        ({"percentage": -1}, None),
        ({"percentage": "42"}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_progress_is_a_part_of_one(server: Server, data: Any, progress: float | None) -> None:
    server.answer(Answer(body={"success": True, "status": "processing", "data": data}))

    assert poll("upload") == StepRunning(progress=progress, platform_status="processing")


ENDED_WELL: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "OpenAPI": lambda data: {"success": True, "status": "done", "data": data},
    "the docs": lambda data: {"status": "completed", "result": data},
    "the docs, with an envelope": lambda data: {"status": "completed", "result": {"success": True, "data": data}},
    "the SDK": lambda data: {"status": "done", "response": {"success": True, "data": data}},
    "the SDK, without a status": lambda data: {"response": {"success": True, "data": data}},
    "only the callback's body": lambda data: {"success": True, "data": data},
    "capitals": lambda data: {"status": "DONE", "data": data},
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("words", ENDED_WELL)
def test_a_good_end_is_understood_in_every_vocabulary(server: Server, step: str, words: str) -> None:
    server.answer(Answer(body=ENDED_WELL[words](RESULTS[step])))

    assert result(poll(step)) == RESULTS[step]
    assert len(server.asked) == 1


ENDED_BADLY: Mapping[str, dict[str, Any]] = {
    "OpenAPI": {"success": True, "status": "failed", "data": {}, "message": "Download failed."},
    "the docs": {"status": "failed", "result": {"message": "Download failed.", "data": {}}},
    "the SDK": {"status": "failed", "response": {"success": False, "message": "Download failed."}},
    "the SDK, done": {"status": "done", "response": {"success": False, "message": "Download failed."}},
    "only the callback's body": {"success": False, "message": "Download failed."},
    "an error": {"status": "error", "message": "Download failed."},
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("words", ENDED_BADLY)
def test_a_bad_end_is_understood_in_every_vocabulary(server: Server, step: str, words: str) -> None:
    server.answer(Answer(body=ENDED_BADLY[words]))

    assert message(poll(step)) == "Download failed."
    assert len(server.asked) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_bad_end_without_a_reason_says_that(server: Server, step: str) -> None:
    server.answer(Answer(body={"success": True, "status": "failed", "data": {}}))

    assert message(poll(step)) == "VideoDB gave no reason"


def test_the_archive_gets_the_body_that_named_the_end(server: Server) -> None:
    server.answer(Answer(body={"status": "done", "response": {"success": True, "data": RESULTS["upload"]}}))

    found = poll("upload")

    assert isinstance(found, PollResult)
    assert found.body == {"success": True, "data": RESULTS["upload"]}


# What a body may have in it that JSON has not: "%s" is the field in which it stands.
ODDITIES = ("NaN", "-Infinity", "1e999", "9" * 5000, '"a \\ud83d"', '"two\nlines"', "1, %s: 2", "[" * 60 + "]" * 60)


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda text: text[:12])
@pytest.mark.parametrize("step", STEPS)
def test_an_answer_with_odd_values_in_it_still_says_what_it_says(server: Server, step: str, oddity: str) -> None:
    odd = f'"odd": {oddity}'.replace("%s", '"odd"').encode()
    end = json.dumps(RESULTS[step]).encode()
    server.answer(Answer(body=b'{"status": "processing", %b, "data": {"id": "job-9", %b}}' % (odd, odd)))

    announced = submit(step)
    going_on = poll(step)
    server.answer(Answer(body=b'{"status": "done", %b, "response": {"success": true, "data": %b}}' % (odd, end)))
    ended = poll(step)

    assert isinstance(announced, Submitted)
    assert announced.platform_job_id == "job-9"
    assert isinstance(going_on, StepRunning)
    assert result(ended) == RESULTS[step]
    assert len(server.asked) == 3, "nothing was asked for twice"


def test_odd_values_of_a_medium_are_not_kept(server: Server) -> None:
    medium = b'{"id": "m-2", "name": "a \\ud83d", "length": NaN, "size": "%b"}' % (b"9" * 40)
    server.answer(Answer(body=b'{"status": "done", "response": {"success": true, "data": %b}}' % medium))

    assert result(poll("upload")) == {"id": "m-2", "name": "a \ufffd"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("body", [{}, {"data": {}}, {"message": "?"}, {"response": {}}, {"status": None}])
def test_an_answer_that_says_nothing_is_no_end(server: Server, step: str, body: dict[str, Any]) -> None:
    server.answer(Answer(body=body))

    assert isinstance(poll(step), StepRunning)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "done"},
        {"status": "done", "data": None},
        {"status": "done", "data": []},
        {"status": "done", "data": {}},
        {"status": "done", "data": {"id": ""}},
        {"status": "done", "data": {"id": ".."}},
        {"status": "done", "data": {"id": 7}},
        {"status": "done", "response": []},
        {"status": "done", "response": {"success": True}},
        {"status": "done", "response": {"success": "perhaps", "data": {"id": "m-2"}}},
        {"status": ["done"], "data": {"name": "Lecture"}},
    ],
    ids=repr,
)
def test_an_upload_that_has_ended_without_a_medium_that_can_be_read_goes_on(
    server: Server, body: dict[str, Any]
) -> None:
    server.answer(Answer(body=body))

    assert isinstance(poll("upload"), StepRunning)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("answer", [Answer(500, {}), Answer(429, {}), Answer(200, b"<html>"), CUT])
def test_a_poll_that_is_not_answered_says_nothing_about_the_job(server: Server, step: str, answer: Answer) -> None:
    server.answer(answer)

    with pytest.raises(TransientError):
        poll(step)
    assert len(server.asked) == 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", [400, 401, 402, 403])
def test_a_poll_that_is_refused_says_nothing_about_the_job(server: Server, step: str, status: int) -> None:
    server.answer(Answer(status, {"success": False}))

    with pytest.raises(RefusedByPlatformError):
        poll(step)
    assert len(server.asked) == 1


def test_a_job_is_asked_after_by_its_id_whatever_is_in_it(server: Server) -> None:
    server.answer(Answer(body={"status": "processing"}))

    poll("upload", platform_job_id="job/../1?x")

    assert server.paths == ["GET /async-response/job%2F..%2F1%3Fx"]


# --- Other ways to ask, where VideoDB does not know the job, or we do not know its id --------------------------------

UNKNOWN = Answer(404, {"success": False, "message": "Response not found"})
STATUS_ROUTE = "GET /video/m-1/index/?index_type=spoken_word&engine=default"
NAMED = {"name": "video-jobs job-1", "scene_index_id": "f4db35c5ce45a709"}


def after_poll(server: Server, *, known: bool, answer: Answer) -> dict[str, Any]:
    """Have VideoDB answer a poll that it does not know the job, or have there be none."""
    server.answer(*([UNKNOWN, answer] if known else [answer]))
    return {"platform_job_id": "job-123" if known else None}


@pytest.mark.parametrize("known", [True, False])
def test_an_upload_can_be_asked_after_in_no_other_way(server: Server, known: bool) -> None:
    assert poll("upload", **after_poll(server, known=known, answer=UNKNOWN)) == StepRunning()
    assert server.paths == ([f"GET {POLL}"] if known else [])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("body", "end"),
    [
        ({"success": True, "status": "done", "message": "Index is available"}, "succeeded"),
        ({"success": True, "status": "processing", "message": "Index is not available yet"}, "running"),
        ({"success": True, "status": "failed", "message": "Something went wrong"}, "failed"),
        ({"success": True, "message": "?"}, "running"),
        ({}, "running"),
    ],
)
def test_an_index_of_spoken_words_has_a_status_of_its_own(
    server: Server, known: bool, body: dict[str, Any], end: str
) -> None:
    found = poll("index_spoken_words", **after_poll(server, known=known, answer=Answer(body=body)))

    assert server.paths[-1] == STATUS_ROUTE
    assert outcome(found) == end


def outcome(found: StepRunning | PollResult) -> str:
    if isinstance(found, StepRunning):
        return "running"
    return "succeeded" if isinstance(found.end, StepSucceeded) else "failed"


def test_the_status_of_an_index_that_is_being_replaced_says_nothing_about_the_new_one(server: Server) -> None:
    server.answer(UNKNOWN, Answer(body={"success": True, "status": "done"}))

    assert poll("index_spoken_words", options={"index_spoken_words": {"force": True}}) == StepRunning()
    assert server.paths == [f"GET {POLL}"]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("indexes", "end"),
    [
        pytest.param([NAMED | {"status": "done"}], "succeeded", id="done"),
        pytest.param([NAMED | {"status": "ready"}], "succeeded", id="ready"),
        pytest.param([NAMED | {"status": "processing"}], "running", id="processing"),
        pytest.param([NAMED | {"status": "failed"}], "failed", id="failed"),
        pytest.param([NAMED | {"status": "a new word"}], "running", id="a new word"),
        pytest.param([NAMED], "running", id="no word"),
        pytest.param([{"name": "another", "status": "done"}, NAMED | {"status": "failed"}], "failed", id="two"),
        pytest.param([NAMED | {"status": "failed"}, NAMED | {"status": "done"}], "succeeded", id="the newest"),
        pytest.param([{"name": "another", "status": "done"}], "running", id="another one"),
        pytest.param([None, 7, "x"], "running", id="garbage"),
        pytest.param(7, "running", id="a number"),
        pytest.param(True, "running", id="a boolean"),
        pytest.param(NAMED | {"status": "done"}, "running", id="not in a list"),
        pytest.param([], "running", id="none"),
        pytest.param(None, "running", id="no list"),
    ],
)
def test_a_scene_index_is_found_by_the_jobs_name(server: Server, known: bool, indexes: Any, end: str) -> None:
    answer = Answer(body={"success": True, "data": {"scene_indexes": indexes}})

    found = poll("index_scenes", **after_poll(server, known=known, answer=answer))

    assert server.paths[-1] == "GET /video/m-1/index/scene"
    assert outcome(found) == end
    if end == "succeeded":
        assert result(found) == {"scene_index_id": "f4db35c5ce45a709"}


def test_a_scene_index_of_the_callers_own_name_could_be_an_older_one(server: Server) -> None:
    server.answer(UNKNOWN, Answer(body={"data": {"scene_indexes": [{"name": "mine", "status": "done"}]}}))

    assert poll("index_scenes", options={"index_scenes": {"name": "mine"}}) == StepRunning()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("collections", "end"),
    [
        pytest.param([{"scene_collection_id": "c-1", "config": {}}], "succeeded", id="one"),
        pytest.param([{"scene_collection_id": "c-1"}, {"scene_collection_id": "c-2"}], "running", id="two"),
        pytest.param([], "running", id="none"),
        pytest.param(None, "running", id="no list"),
        pytest.param(7, "running", id="a number"),
        pytest.param([7], "running", id="garbage"),
    ],
)
def test_extracted_scenes_are_found_where_the_video_has_one_collection(
    server: Server, known: bool, collections: Any, end: str
) -> None:
    answer = Answer(body={"success": True, "data": {"scene_collections": collections}})

    found = poll("extract_scenes", **after_poll(server, known=known, answer=answer))

    assert server.paths[-1] == "GET /video/m-1/scenes"
    assert outcome(found) == end
    if end == "succeeded":
        assert result(found) == {"scene_collection_id": "c-1"}


def test_a_collection_of_a_video_that_was_there_before_could_be_an_older_one(server: Server) -> None:
    server.answer(UNKNOWN, Answer(body={"data": {"scene_collections": [{"scene_collection_id": "c-1"}]}}))
    waiting = {"extract_scenes": Step(status=StepStatus.WAITING, attempt_limit=3)}

    assert poll("extract_scenes", plan=["extract_scenes"], steps=waiting, media_id="m-1") == StepRunning()


@pytest.mark.parametrize("step", STEPS[1:])
@pytest.mark.parametrize("answer", [UNKNOWN, Answer(500, {}), Answer(200, b"<html>")])
def test_another_way_that_leads_nowhere_says_nothing_about_the_step(server: Server, step: str, answer: Answer) -> None:
    server.answer(UNKNOWN, answer)

    with pytest.raises((TransientError, RefusedByPlatformError)):
        poll(step)


# --- Documented errors -----------------------------------------------------------------------------------------------

# the page "Async patterns", section "Error Handling", word for word: Error, Cause, Action
DOCUMENTED = (
    ("Download failed", "URL inaccessible", "Verify URL, check permissions", "download_failed"),
    ("Invalid media type", "Wrong MediaType enum", "Match MediaType to file", "invalid_media_type"),
    ("Something went wrong", "Corrupted file", "Re-encode source file", "something_went_wrong"),
)


@pytest.mark.parametrize(("said", "cause", "action", "code"), DOCUMENTED)
@pytest.mark.parametrize("spelled", [str, str.upper, str.lower, "{}.".format, "  {}: HTTP 403 \n".format])
def test_a_documented_error_has_its_documented_cause_and_action(
    said: str, cause: str, action: str, code: str, spelled: Callable[[str], str]
) -> None:
    error = errors.from_message(spelled(said))

    assert (error.code, error.cause, error.action) == (code, cause, action)
    assert error.message == spelled(said).strip()


def test_no_documented_error_is_left_out_and_none_is_made_up() -> None:
    table = [(known.message, known.cause, known.action, known.code) for known in errors.KNOWN_ERRORS if known.message]

    assert table == list(DOCUMENTED)


def test_documented_statuses_have_errors_of_their_own() -> None:
    table = {known.status: known.code for known in errors.KNOWN_ERRORS if known.status}

    assert table == {401: "invalid_api_key", 402: "insufficient_credits", 403: "forbidden", 404: "not_found"}


def test_every_error_says_what_to_do() -> None:
    known = [*errors.KNOWN_ERRORS, errors._REFUSED, errors._UNKNOWN]

    assert len({error.code for error in known}) == len(known)
    assert all(error.cause and error.action for error in known)


def test_the_words_count_more_than_the_status() -> None:
    assert errors.from_message("Download failed.", status=404).code == "download_failed"


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ("Something new", None, "unknown_error"),
        ("Something new", 400, "request_refused"),
        (None, None, "unknown_error"),
        ("It seems that: Download failed", None, "unknown_error"),
    ],
)
def test_an_error_that_nobody_documented_keeps_its_words(said: str | None, status: int | None, code: str) -> None:
    error = errors.from_message(said, status=status)

    assert (error.code, error.message) == (code, said or "VideoDB gave no reason")


def test_a_page_of_words_is_cut() -> None:
    assert len(errors.from_message("x" * 100_000).message) == 2000


# --- Which steps a medium has -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_id", "kind", "indexed"),
    [
        ("m-1", "video", True),
        ("m-z-01a051cb-8676-77d3-b8f6-ba5d6c203b0c", "video", True),
        ("a-1", "audio", False),
        ("img-1", "image", False),
        ("x-1", None, True),
        ("mm-1", None, True),
        ("M-1", None, True),
    ],
)
def test_an_id_names_the_kind_and_only_what_cannot_be_a_video_is_not_indexed(
    media_id: str, kind: MediaType | None, indexed: bool
) -> None:
    uploaded = {"upload": Step(status=StepStatus.SUCCEEDED, attempt_limit=3, result={"id": media_id})}

    assert media.kind(media_id) == kind
    for job in (new_job(steps=uploaded), new_job(steps={}, media_id=media_id)):
        assert [plan.applies(job, step) for step in STEPS] == [True, *[indexed] * 3]


@pytest.mark.parametrize(
    ("media_type", "uploaded", "steps"),
    [
        ("video", False, STEPS),
        (None, False, STEPS),
        ("audio", False, ("upload",)),
        ("image", False, ("upload",)),
        ("video", True, STEPS[1:]),
        (None, True, STEPS[1:]),
        ("audio", True, ()),
        ("image", True, ()),
    ],
)
def test_a_plan_has_the_steps_that_fit_the_medium_and_no_upload_of_what_is_there(
    media_type: MediaType | None, uploaded: bool, steps: tuple[str, ...]
) -> None:
    assert plan.plan(media_type, uploaded=uploaded) == steps


def test_what_the_upload_made_counts_more_than_what_the_job_was_given() -> None:
    uploaded = {"upload": Step(status=StepStatus.SUCCEEDED, attempt_limit=3, result={"id": "a-2"})}

    assert media.media_id(new_job(steps=uploaded, media_id="m-1")) == "a-2"


def test_a_job_whose_upload_has_not_ended_has_no_medium() -> None:
    with pytest.raises(ValueError, match="job job-1 has no medium yet"):
        media.media_id(new_job())


# --- All of it, against the simulated VideoDB ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "statuses", "code"),
    [
        pytest.param("silent.mp4", ["succeeded"] * 4, None, id="no callback ever comes"),
        pytest.param("silent.mp3", ["succeeded", *["skipped"] * 3], None, id="an audio file"),
        pytest.param("private.mp4", ["failed", *["waiting"] * 3], "download_failed", id="cannot be fetched"),
        pytest.param("no-scenes.mp4", ["succeeded", "succeeded", "failed", "waiting"], "unknown_error", id="no scenes"),
        pytest.param("already-indexed.mp4", ["succeeded"] * 4, None, id="words are indexed already"),
        pytest.param("scene-exists.mp4", ["succeeded"] * 4, None, id="a scene index exists already"),
        pytest.param("flaky.mp4", ["succeeded"] * 4, None, id="unavailable twice"),
        pytest.param("reset.mp4", ["succeeded"] * 4, None, id="cuts the connection once"),
        pytest.param("html.mp4", ["succeeded"] * 4, None, id="answers in HTML once"),
        pytest.param("refused.mp4", ["failed", *["waiting"] * 3], "request_refused", id="refuses"),
    ],
)
def test_polls_alone_bring_a_job_to_its_end(
    secretsmanager: SecretsManager,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    statuses: list[str],
    code: str | None,
) -> None:
    with SimulatedVideoDb(port=0, seed=7, pace=0.01) as videodb:
        monkeypatch.setenv("VIDEODB_URL", videodb.url)
        lost = "http://127.0.0.1:9/callbacks/videodb/upload"
        asked = new_job(source=f"https://example.com/{file}", media_type=None)
        job = follow(MODULES, VideoDb(), asked, callback_url=lost, applies=plan.applies)

    assert [job.steps[name].status for name in STEPS] == statuses
    assert (job.error and job.error.code) == code
    assert job.status == ("failed" if code else "succeeded")
