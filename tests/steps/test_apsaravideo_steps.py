"""What ApsaraVideo VOD is asked, and what its answers and its callbacks mean."""

import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError
from video_jobs import jsontext
from video_jobs.aws import secrets
from video_jobs.aws.errors import AwsUnavailableError
from video_jobs.jobs.model import (
    Hint,
    Job,
    JobStatus,
    PollResult,
    Step,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
)
from video_jobs.platforms.apsaravideo import client, errors, upload_by_url
from video_jobs.platforms.apsaravideo.client import UploadInfo, UploadInfos, Vod
from video_jobs.platforms.apsaravideo.payloads import Event
from video_jobs.platforms.apsaravideo.request import ApsaraVideoJobRequest
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError

from local.platforms.apsaravideo import SimulatedApsaraVideo
from tests.stack import WEBHOOK_SECRETS
from tests.steps.conftest import SecretsManager, aws_error
from tests.steps.following import follow

pytestmark = pytest.mark.filterwarnings(
    # the VOD SDK makes its timestamps so
    r"ignore:datetime\.datetime\.utcnow\(\) is deprecated:DeprecationWarning",
)

SECRET = WEBHOOK_SECRETS["apsaravideo"]
ACCESS_KEYS = {SECRET["access_key_id"]: SECRET["access_key_secret"]}
PATH = "/callbacks/apsaravideo/upload-by-url-complete"
STEP = "upload_by_url"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vod(secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedApsaraVideo]:
    """The simulated platform, where the stack's settings say that VOD is."""
    with SimulatedApsaraVideo(pace=0.01, access_keys=ACCESS_KEYS, resend_wait=0.01) as vod:
        monkeypatch.setenv("APSARAVIDEO_URL", vod.url)
        yield vod


def new_job(source: str = "https://example.com/lecture.mp4", job_id: str = "job-1", **asked: Any) -> Job:
    said = {"provider": "apsaravideo", "source": source, "retry": {"base_delay": 0}, **asked}
    return ApsaraVideoJobRequest.model_validate(said).new_job(job_id)


def run(source: str) -> Job:
    """A job, brought to its end by polls alone."""
    return follow({STEP: upload_by_url}, Vod(), new_job(source))


def submissions(vod: SimulatedApsaraVideo) -> list[Mapping[str, str]]:
    return [request.query for request in vod.requests if request.action == "UploadMediaByURL"]


def accepted(vod: SimulatedApsaraVideo, source: str) -> list[str]:
    """The ids of the uploads that VOD has made of a source."""
    return [info.job_id for info in Vod().upload_infos(sources=[source]).found]


# --- The request -----------------------------------------------------------------------------------------------------


def test_a_job_fetches_its_source_in_one_step() -> None:
    job = ApsaraVideoJobRequest(provider="apsaravideo", source="https://example.com/a.mp4").new_job("job-1")

    assert (job.plan, job.steps[STEP].status) == (("upload_by_url",), StepStatus.QUEUED)


@pytest.mark.parametrize(
    "asked",
    [
        {"media_id": "93ab850b4f6f44eab54b6e91d24d81d4"},
        {},
        {"source": "https://example.com/a.mp4", "steps": []},
        {"source": "https://example.com/a.mp4", "steps": ["transcode"]},
        {"source": "https://example.com/a.mp4", "options": {"upload_by_url": {"template": "x"}}},
        {"source": "https://example.com/a.mp4", "options": {"upload_by_url": {"file_extension": ".mp4"}}},
        {"source": "https://example.com/a.mp4", "options": {"upload_by_url": {"title": ""}}},
        {"source": "https://example.com/a.mp4", "options": {"upload_by_url": {"title": " "}}},
        {"source": "https://example.com/a.mp4", "options": {"upload_by_url": {"title": "ü" * 64 + "u"}}},
    ],
)
def test_what_vod_has_no_use_for_is_not_taken(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApsaraVideoJobRequest.model_validate({"provider": "apsaravideo", **asked})


# --- What is asked ---------------------------------------------------------------------------------------------------


def submit(job: Job) -> Submitted:
    url = f"https://jobs.example.com{PATH}"
    return upload_by_url.submit(Vod(), job, callback_url=url)


def test_an_upload_is_asked_for_with_where_to_call_back_and_a_key_of_its_own(vod: SimulatedApsaraVideo) -> None:
    job = new_job("https://example.com/lecture.mp4")

    answer = submit(job)

    (asked,) = submissions(vod)
    assert set(asked) == {"UploadURLs", "UserData", "SessionId"}
    assert asked["UploadURLs"] == "https%3A%2F%2Fexample.com%2Flecture.mp4"
    assert re.fullmatch(r"[A-Za-z0-9_-]{50}", asked["SessionId"])
    assert json.loads(asked["UserData"]) == {
        "MessageCallback": {"CallbackURL": f"https://jobs.example.com{PATH}"},
        "Extend": {"job_id": "job-1", "session_id": asked["SessionId"]},
    }
    assert answer.platform_job_id is not None
    assert answer.refs == (answer.platform_job_id,)
    assert accepted(vod, "https://example.com/lecture.mp4") == [answer.platform_job_id]


def test_what_it_says_of_itself_fits_even_with_the_longest_callback_url() -> None:
    job = ApsaraVideoJobRequest(provider="apsaravideo", source="https://example.com/a.mp4").new_job("j" * 36)

    said = upload_by_url._user_data(job, "s" * 50, f"https://{'u' * 248}")

    assert len(said.encode()) <= 512


def test_without_an_address_to_call_back_none_is_given(vod: SimulatedApsaraVideo) -> None:
    upload_by_url.submit(Vod(), new_job(), callback_url="")

    assert "MessageCallback" not in json.loads(submissions(vod)[0]["UserData"])


def test_what_the_caller_asks_for_is_passed_on(vod: SimulatedApsaraVideo) -> None:
    options = {
        "title": "Vorlesung “1”",
        "file_extension": "mp4",
        "template_group_id": "VOD_NO_TRANSCODE",
        "workflow_id": "w-1",
        "storage_location": "outin-1.oss-ap-southeast-1.aliyuncs.com",
        "app_id": "app-1000001",
    }

    submit(new_job("https://example.com/lecture", options={"upload_by_url": options}))

    (asked,) = submissions(vod)
    assert json.loads(asked["UploadMetadatas"]) == [
        {"SourceURL": "https://example.com/lecture", "Title": "Vorlesung “1”", "FileExtension": "mp4"}
    ]
    given = {name: asked[name] for name in ("TemplateGroupId", "WorkflowId", "StorageLocation", "AppId")}
    assert list(given.values()) == [
        options[name] for name in ("template_group_id", "workflow_id", "storage_location", "app_id")
    ]


def test_a_source_without_extension_needs_one_and_its_title_is_then_the_files_name(vod: SimulatedApsaraVideo) -> None:
    source = "https://example.com/a%20talk"

    submit(new_job(source, options={"upload_by_url": {"file_extension": "mp4"}}))

    (entry,) = json.loads(submissions(vod)[0]["UploadMetadatas"])
    assert entry == {"SourceURL": source, "Title": "a talk", "FileExtension": "mp4"}
    assert len(accepted(vod, source)) == 1


def test_a_title_may_have_128_bytes() -> None:
    asked = {"provider": "apsaravideo", "source": "https://example.com/a.mp4"}

    ApsaraVideoJobRequest.model_validate(asked | {"options": {"upload_by_url": {"title": "ü" * 64}}})
    with pytest.raises(ValidationError, match="must have at most 128 bytes in UTF-8"):
        ApsaraVideoJobRequest.model_validate(asked | {"options": {"upload_by_url": {"title": "ü" * 64 + "u"}}})


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("", "example.com"),
        ("/", "example.com"),
        ("/%20", "example.com"),
        ("/%00%0A", "example.com"),
        ("/a%0Ab", "ab"),
        (f"/{'x' * 200}", "x" * 128),
        (f"/x{'%C3%BC' * 100}", "x" + "ü" * 63),
        (f"/{'%F0%9F%98%80' * 100}", "\U0001f600" * 32),
        ("/%FF", "\ufffd"),
    ],
)
def test_a_title_that_we_make_up_is_one_that_vod_takes(vod: SimulatedApsaraVideo, path: str, title: str) -> None:
    submit(new_job(f"https://example.com{path}", options={"upload_by_url": {"file_extension": "mp4"}}))

    (entry,) = json.loads(submissions(vod)[0]["UploadMetadatas"])
    assert entry["Title"] == title
    assert 1 <= len(title.encode()) <= 128


@pytest.mark.parametrize(
    "source",
    [
        "https://example.com/a%20talk,%20with%20comma.mp4?x=1,2&y=%2F#part",
        "https://example.com/Grüße.mp4",
        "https://example.com/a+b%2Bc.mp4?signature=a%2Fb%3D%3D&x=~*'()",
        "https://example.com/lecture.mp4?" + "x" * 2000,
    ],
)
def test_a_source_arrives_as_it_was_given_whatever_stands_in_it(vod: SimulatedApsaraVideo, source: str) -> None:
    answer = submit(new_job(source))

    (info,) = Vod().upload_infos(job_ids=[answer.platform_job_id or ""]).found
    assert info.text("UploadURL") == source
    assert client.encoded(source) == quote(source, safe="")
    assert accepted(vod, source) == [answer.platform_job_id]


# --- Once, whatever happens ------------------------------------------------------------------------------------------


def later_try(job: Job, attempt: int = 2) -> Job:
    step = job.steps[STEP].model_copy(update={"attempt": attempt})
    return job.model_copy(update={"steps": {STEP: step}})


def test_a_second_try_finds_what_the_first_has_made(vod: SimulatedApsaraVideo) -> None:
    job = new_job()
    first = submit(later_try(job, 1))

    second = submit(later_try(job))

    assert second.platform_job_id == first.platform_job_id
    assert len(submissions(vod)) == 1


def test_a_second_try_makes_the_upload_that_the_first_has_not_made(vod: SimulatedApsaraVideo) -> None:
    # somebody else's upload of the same source is not taken for it
    Vod().upload_media_by_url("https://example.com/lecture.mp4", user_data='{"Extend":"mine"}')
    Vod().upload_media_by_url("https://example.com/lecture.mp4")

    second = submit(later_try(new_job()))

    assert second.platform_job_id in accepted(vod, "https://example.com/lecture.mp4")
    assert len(submissions(vod)) == 3


@pytest.mark.parametrize(("attempts_before", "same"), [(0, True), (3, False)], ids=["answer lost", "accepted, failed"])
def test_a_persons_retry_uploads_again_only_what_vod_has_accepted_and_failed(
    vod: SimulatedApsaraVideo, attempts_before: int, same: bool
) -> None:
    job = new_job()
    first = submit(later_try(job, 1))
    step = job.steps[STEP].model_copy(update={"attempt": 4, "attempt_limit": 6, "attempts_before": attempts_before})

    second = submit(job.model_copy(update={"steps": {STEP: step}}))

    assert (second.platform_job_id == first.platform_job_id) is same


def test_what_vod_refuses_as_a_repetition_but_does_not_list_yet_is_waited_for(
    vod: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job()
    submit(later_try(job, 1))
    monkeypatch.setattr(Vod, "upload_infos", lambda *_, **__: UploadInfos(found=(), missing=()))

    with pytest.raises(TransientError) as fault:
        submit(later_try(job))

    assert fault.value.error.code == "submitted_already"
    assert (
        fault.value.error.message == "InvalidParameter.SessionId: The specified parameter SessionId was used already."
    )
    monkeypatch.undo()


def test_a_repetition_that_vod_refuses_in_words_of_its_own_is_looked_for_once_more() -> None:
    job = new_job()
    said = json.dumps({"Extend": {"session_id": job.submission_key(STEP)[:50]}})
    listed = [UploadInfos(found=(), missing=()), infos("PENDING", UserData=said)]
    refusal = RefusedByPlatformError(errors.of_refusal("Duplicated", "no"), status=400)
    scripted: Any = ScriptedVod(submits=[refusal], answers=listed)

    with pytest.raises(TransientError, match="Duplicated: no"):
        upload_by_url.submit(scripted, later_try(job), callback_url="")
    assert (scripted.asked, scripted.submitted) == (1, 1), "two calls: a worker has no time for more"
    assert upload_by_url.submit(scripted, later_try(job, 3), callback_url="").platform_job_id == "p-1"


@pytest.mark.parametrize(
    "printed",
    [
        # as VOD's page prints it: the quotes of the texts in it are not escaped
        '{{"MessageCallback":"{{"CallbackURL":"https://x.example"}}", "Extend":"{{"job_id":"j","session_id":"{}"}}"}}',
        '{{"MessageCallback":{{"CallbackURL":"https://x.example"}},"Extend":{{"job_id":"j","session_id":"{}"}}}}',
        '{{"Extend":"{{\\"job_id\\":\\"j\\",\\"session_id\\":\\"{}\\"}}"}}',
        " {{'Extend': {{'session_id': '{}'}}}} ",
    ],
)
@pytest.mark.parametrize("as_an_object", [False, True])
def test_an_upload_of_ours_is_known_however_vod_prints_its_user_data(printed: str, as_an_object: bool) -> None:
    job = new_job()
    said = printed.format(job.submission_key(STEP)[:50])
    scripted = ScriptedVod(answers=[infos("PENDING", UserData={"Extend": said} if as_an_object else said)])

    answer = upload_by_url.submit(scripted, later_try(job), callback_url="")  # type: ignore[arg-type]

    assert (answer.platform_job_id, scripted.submitted) == ("p-1", 0), "nobody pays for it twice"


@pytest.mark.parametrize("said", [None, "", "{}", '{"Extend":{"session_id":""}}', 7, [], '{"Extend":"session_id"}'])
def test_an_upload_of_somebody_else_is_not_taken_for_ours(said: Any) -> None:
    scripted = ScriptedVod(submits=["p-2"], answers=[infos("PENDING", UserData=said)])

    answer = upload_by_url.submit(scripted, later_try(new_job()), callback_url="")  # type: ignore[arg-type]

    assert answer.platform_job_id == "p-2"


def test_where_uploads_cannot_be_listed_a_second_try_relies_on_vods_own_refusal() -> None:
    refusal = RefusedByPlatformError(errors.of_refusal("InvalidApi.NotFound", "no"), status=404)
    scripted = ScriptedVod(answers=[refusal])

    answer = upload_by_url.submit(scripted, later_try(new_job()), callback_url="")  # type: ignore[arg-type]

    assert answer.platform_job_id == "p-1"


def test_an_answer_that_names_no_job_is_asked_for_again(secretsmanager: SecretsManager) -> None:
    with pytest.raises(TransientError):
        upload_by_url.submit(ScriptedVod(submits=[None]), new_job(), callback_url="")  # type: ignore[arg-type]


# --- What the status means -------------------------------------------------------------------------------------------


def infos(status: str, job_id: str = "p-1", **said: Any) -> UploadInfos:
    body = {"JobId": job_id, "Status": status, **said}
    return UploadInfos(found=(UploadInfo(job_id=job_id, status=status.upper(), body=body),), missing=())


@dataclass
class ScriptedVod:
    """Answers one after another, the last one for ever; exceptions are raised."""

    answers: Sequence[UploadInfos | Exception] = (infos("PENDING"),)
    submits: Sequence[str | Exception | None] = ("p-1",)
    asked: int = 0
    submitted: int = field(default=0)

    def upload_media_by_url(self, source: str, **_parameters: str | None) -> str | None:
        self.submitted += 1
        answer = self.submits[min(self.submitted, len(self.submits)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def upload_infos(self, **_asked: Any) -> UploadInfos:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def poll(status: str, *, word: str | None = None, hinted: bool = False, **said: Any) -> StepRunning | PollResult:
    """How an upload stands with this status, after a callback with this word."""
    hints = {"status": word} if word else {}
    step = Step(
        status=StepStatus.RUNNING, attempt=1, attempt_limit=3, platform_job_id="p-1", hints=hints, hinted=hinted
    )
    scripted: Any = ScriptedVod([infos(status, **said)])
    return upload_by_url.poll(scripted, ApsaraVideoJobRequest(**ASKED).new_job("job-1"), step)


ASKED: Any = {"provider": "apsaravideo", "source": "https://example.com/lecture.mp4"}
UNDER_WAY = ["PENDING", "PROCESSING", "DOWNLOADING", "DOWNLOAD_SUCCESS", "UPLOADING"]


@pytest.mark.parametrize("status", [*UNDER_WAY, "pending", "WHO_KNOWS", ""])
def test_an_upload_goes_on_until_vod_says_a_word_that_we_know(status: str) -> None:
    assert poll(status) == StepRunning(platform_status=status.upper() or None)


@pytest.mark.parametrize("word", ["success", "SUCCESS", "fail"])
@pytest.mark.parametrize("status", UNDER_WAY)
def test_if_an_end_was_hinted_that_the_status_does_not_show_it_is_near(status: str, word: str) -> None:
    assert poll(status, word=word) == StepRunning(platform_status=status, soon=True)


@pytest.mark.parametrize("status", ["SUCCESS", "success", "Success"])
@pytest.mark.parametrize("word", [None, "fail", "success"])
def test_success_is_believed_when_the_status_says_it_in_any_case(status: str, word: str | None) -> None:
    answer = poll(status, word=word, MediaId="m-1", FileSize="123456")

    assert isinstance(answer, PollResult)
    assert answer.end == StepSucceeded(result={"media_id": "m-1", "size": 123456}, refs=("m-1",))


@pytest.mark.parametrize(("code", "message"), [("200", "Success"), ("", ""), ("URLInvalidError", "…")])
def test_an_error_code_alone_is_no_failure(code: str, message: str) -> None:
    answer = poll("SUCCESS", MediaId="m-1", ErrorCode=code, ErrorMessage=message)

    assert isinstance(answer, PollResult)
    assert isinstance(answer.end, StepSucceeded)


def test_an_upload_that_waits_for_its_callback_alone_has_succeeded_when_that_has_come() -> None:
    assert poll("UPLOAD_SUCCESS", MediaId="m-1") == StepRunning(platform_status="UPLOAD_SUCCESS", soon=True)
    assert poll("UPLOAD_SUCCESS", word="fail", MediaId="m-1") == StepRunning(
        platform_status="UPLOAD_SUCCESS", soon=True
    )
    answer = poll("UPLOAD_SUCCESS", word="Success", MediaId="m-1")
    assert isinstance(answer, PollResult)
    assert answer.end == StepSucceeded(result={"media_id": "m-1"}, refs=("m-1",))


@pytest.mark.parametrize(
    ("status", "said", "code", "message"),
    [
        ("DOWNLOAD_FAIL", {}, "download_failed", "VOD gave no reason"),
        ("download_fail", {"ErrorCode": "", "ErrorMessage": ""}, "download_failed", "VOD gave no reason"),
        (
            "DOWNLOAD_FAIL",
            {"ErrorCode": "URLInvalidError ", "ErrorMessage": "download video failed by the url, please check it"},
            "download_failed",
            "URLInvalidError: download video failed by the url, please check it",
        ),
        ("UPLOAD_FAIL", {"ErrorCode": "URLInvalidError"}, "download_failed", "URLInvalidError"),
        ("UPLOAD_FAIL", {"ErrorMessage": "too large"}, "upload_failed", "too large"),
    ],
)
def test_a_failure_is_the_documented_error_with_vods_own_words(
    status: str, said: dict[str, Any], code: str, message: str
) -> None:
    for word in (None, "fail"):
        answer = poll(status, word=word, **said)

        assert isinstance(answer, PollResult)
        assert isinstance(answer.end, StepFailed)
        assert (answer.end.error.code, answer.end.error.message) == (code, message)
        assert answer.end.error.retryable


def test_a_failure_against_which_success_was_hinted_is_asked_about_once_more_and_then_believed() -> None:
    assert poll("DOWNLOAD_FAIL", word="success", hinted=True) == StepRunning(platform_status="DOWNLOAD_FAIL", soon=True)
    assert isinstance(poll("DOWNLOAD_FAIL", word="success"), PollResult)


def test_an_upload_that_vod_does_not_know_has_failed() -> None:
    scripted: Any = ScriptedVod([UploadInfos(found=(), missing=("p-1",))])
    step = Step(status=StepStatus.RUNNING, attempt_limit=3, platform_job_id="p-1")

    answer = upload_by_url.poll(scripted, ApsaraVideoJobRequest(**ASKED).new_job("job-1"), step)

    assert isinstance(answer, PollResult)
    assert isinstance(answer.end, StepFailed)
    assert (answer.end.error.code, answer.end.error.retryable) == ("not_found", False)


# --- Answers that no document prints ---------------------------------------------------------------------------------


@dataclass
class RawVod:
    """Answers everything in the same way; `asked` is how often it was asked."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: int = 0


@pytest.fixture
def raw(secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawVod]:
    """In place of VOD, behind its SDK."""
    raw = RawVod()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            raw.asked += 1
            self.send_response(raw.status)
            for name, value in {"content-length": str(len(raw.body)), **raw.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw.body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        monkeypatch.setenv("APSARAVIDEO_URL", f"http://127.0.0.1:{http.server_port}")
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield raw
        http.shutdown()
        thread.join()


def polled(said: str) -> StepRunning | PollResult:
    step = Step(status=StepStatus.RUNNING, attempt_limit=3, platform_job_id="p-1")
    return upload_by_url.poll(Vod(), ApsaraVideoJobRequest(**ASKED).new_job(said), step)


@pytest.mark.parametrize(
    "listed",
    [
        '["p-1"]',
        '["p-0", "p-1"]',
        "[\"['p-1']\"]",  # as VOD's page prints it
        "[\"['p-0', 'p-1']\"]",
        '["p-0,p-1"]',
        '"p-1"',
        '[{"ExistId": "p-1"}]',
    ],
)
def test_an_upload_that_vod_lists_as_unknown_has_failed_however_the_list_is_printed(raw: RawVod, listed: str) -> None:
    raw.body = f'{{"NonExists": {listed}, "URLUploadInfoList": []}}'.encode()

    answer = polled("job-1")

    assert isinstance(answer, PollResult)
    assert isinstance(answer.end, StepFailed)
    assert answer.end.error.code == "not_found"


@pytest.mark.parametrize("listed", ["null", "[]", '""', '["p-10"]', "[\"['xp-1']\"]", "[null, 7, []]", "{}"])
def test_another_upload_that_vod_does_not_know_says_nothing(raw: RawVod, listed: str) -> None:
    raw.body = f'{{"NonExists": {listed}, "URLUploadInfoList": []}}'.encode()

    assert polled("job-1") == StepRunning()


@pytest.mark.parametrize("oddity", ["NaN", "1e999", '"a \\ud83d"', '"x", "%s": "y"', "[" * 60 + "]" * 60, "-Infinity"])
def test_an_answer_with_odd_values_in_it_still_tells_what_it_tells(raw: RawVod, oddity: str) -> None:
    fields = ("CreationTime", "ErrorMessage", "FileSize", "UserData")
    odd = ", ".join(f'"{name}": {oddity.replace("%s", name)}' for name in fields)
    raw.body = f'{{"UploadJobs": [{{"JobId": "p-1", "SourceURL": {oddity.replace("%s", "SourceURL")}}}]}}'.encode()
    accepted = submit(new_job())
    raw.body = f'{{"URLUploadInfoList": [{{"JobId": "p-1", "Status": "SUCCESS", "MediaId": "m-1", {odd}}}]}}'.encode()
    answer = polled("job-1")

    assert accepted.platform_job_id == "p-1"
    assert isinstance(answer, PollResult)
    assert answer.end == StepSucceeded(result={"media_id": "m-1"}, refs=("m-1",))
    jsontext.read(json.dumps(answer.body).encode())
    assert raw.asked == 2


@pytest.mark.parametrize(
    ("size", "expected"),
    [("123456", 123456), (123456, 123456), (" 7 ", 7), ("9" * 5000, None), ("-1", None), ("٣", None), (1.5, None)],
)
def test_a_size_is_a_number_that_there_can_be(size: Any, expected: int | None) -> None:
    answer = poll("SUCCESS", MediaId="m-1", FileSize=size)

    assert isinstance(answer, PollResult)
    assert isinstance(answer.end, StepSucceeded)
    assert answer.end.result.get("size") == expected


@pytest.mark.parametrize(
    ("header", "seconds"), [("1500", 1.5), ("9" * 4000, 10**12), ("nan", None), ("-5", None), ("soon", None)]
)
def test_the_wait_that_vod_asks_for_has_a_bound(raw: RawVod, header: str, seconds: float | None) -> None:
    raw.status, raw.headers = 503, {"x-acs-retry-after": header}
    raw.body = b'{"Code": "ServiceUnavailable", "Message": "a \\ud83d"}'

    with pytest.raises(TransientError) as fault:
        Vod().upload_infos(job_ids=["p-1"])

    assert fault.value.wait_seconds == seconds
    assert fault.value.error.message == "VOD answered 503 ServiceUnavailable: a \ufffd"


def test_an_answer_about_other_uploads_says_nothing() -> None:
    scripted: Any = ScriptedVod([infos("SUCCESS", job_id="p-2", MediaId="m-2")])
    step = Step(status=StepStatus.RUNNING, attempt_limit=3, platform_job_id="p-1")

    assert upload_by_url.poll(scripted, ApsaraVideoJobRequest(**ASKED).new_job("job-1"), step) == StepRunning()


# --- The client ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("flaky", "VOD answered 503 ServiceUnavailable"),
        ("throttled", "VOD answered 429 Throttling.User"),
        ("throttled-400", "VOD answered 400 Throttling.User"),
        ("reset", "no answer from ApsaraVideo VOD"),
        ("html", "no answer from ApsaraVideo VOD"),
    ],
)
def test_what_passes_is_transient_and_not_repeated_by_the_sdk(
    vod: SimulatedApsaraVideo, file: str, message: str
) -> None:
    with pytest.raises(TransientError) as fault:
        Vod().upload_media_by_url(f"https://example.com/{file}.mp4")

    assert fault.value.error.code == "platform_unavailable"
    assert fault.value.error.message.startswith(message)
    assert fault.value.wait_seconds == (1.0 if file == "throttled" else None)
    assert fault.value.rate_limited == file.startswith("throttled")
    assert len(submissions(vod)) == 1


def test_nobody_there_is_transient(secretsmanager: SecretsManager) -> None:
    with pytest.raises(TransientError):
        Vod().upload_media_by_url("https://example.com/lecture.mp4")


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(
    secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "READ_MILLISECONDS", 50)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("APSARAVIDEO_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(TransientError):
            Vod().upload_infos(job_ids=["p-1"])


@pytest.mark.parametrize(
    ("code", "expected", "retryable"),
    [
        ("InvalidParameter.UploadURLs", "invalid_upload_url", False),
        ("InvalidParameter.SessionId", "submitted_already", True),
        ("InvalidAccessKeyId.NotFound", "invalid_access_key", True),
        ("InvalidAccessKeyId.Inactive", "invalid_access_key", True),
        ("SignatureDoesNotMatch", "invalid_access_key", True),
        ("Forbidden.RAM", "forbidden", True),
        ("InvalidParameter.UserData", "request_refused", False),
        ("MissingUploadURLs", "request_refused", False),
    ],
)
def test_a_refusal_is_the_error_of_its_code(code: str, expected: str, retryable: bool) -> None:
    error = errors.of_refusal(code, " its words ")

    assert (error.code, error.message, error.retryable) == (expected, f"{code}: its words", retryable)


@pytest.mark.parametrize(
    "code", ["Throttling", "Throttling.User", "Throttling.Api", "ServiceUnavailable", "InternalError"]
)
def test_codes_of_what_passes_are_transient_whatever_their_status(code: str) -> None:
    from alibabacloud_tea_openapi.exceptions import ClientException  # type: ignore[import-untyped]

    fault = client._meant(ClientException(status_code=400, code=code, data={"Message": "later"}))

    assert isinstance(fault, TransientError)


def test_a_wrong_key_is_refused_and_its_secret_is_in_no_message(
    vod: SimulatedApsaraVideo, secretsmanager: SecretsManager
) -> None:
    key_id = SECRET["access_key_id"]
    secretsmanager.put("APSARAVIDEO_SECRET", access_key_id=key_id, access_key_secret="guessed-secret")

    with pytest.raises(RefusedByPlatformError) as refused:
        Vod().upload_media_by_url("https://example.com/lecture.mp4")

    assert refused.value.error.code == "invalid_access_key"
    assert "guessed-secret" not in refused.value.error.model_dump_json()


def test_a_key_that_was_rotated_a_moment_ago_is_read_anew_once(
    vod: SimulatedApsaraVideo, secretsmanager: SecretsManager
) -> None:
    secretsmanager.put("APSARAVIDEO_SECRET", access_key_id="LTAI-old", access_key_secret="old")
    secrets.values("APSARAVIDEO_SECRET")
    secretsmanager.values["APSARAVIDEO_SECRET"] = json.dumps(SECRET)

    assert Vod().upload_infos(job_ids=["p-1"]).missing == ("p-1",)


@pytest.mark.parametrize(
    "values", [{}, {"access_key_id": "LTAI-test"}, {"access_key_id": "ä", "access_key_secret": "x"}]
)
def test_without_an_access_key_the_error_says_what_to_put_where(
    vod: SimulatedApsaraVideo, secretsmanager: SecretsManager, values: dict[str, str]
) -> None:
    secretsmanager.put("APSARAVIDEO_SECRET", **values)

    with pytest.raises(TransientError) as fault:
        Vod().upload_media_by_url("https://example.com/lecture.mp4")

    assert fault.value.error.code == "not_configured"
    assert vod.requests == []


def test_an_error_of_aws_is_not_taken_for_a_missing_access_key(
    vod: SimulatedApsaraVideo, secretsmanager: SecretsManager
) -> None:
    secretsmanager.error = aws_error("ThrottlingException", 400)

    with pytest.raises(AwsUnavailableError):
        Vod().upload_infos(job_ids=["p-1"])
    assert vod.requests == []


# --- From its start to its end, without callbacks --------------------------------------------------------------------


@pytest.mark.parametrize("file", ["lecture", "clean", "code-200", "silent", "flaky", "reset", "html", "throttled-400"])
def test_an_upload_succeeds_by_polls_alone(vod: SimulatedApsaraVideo, file: str) -> None:
    source = f"https://example.com/{file}.mp4"

    job = run(source)

    (upload,) = Vod().upload_infos(sources=[source]).found
    assert job.status == JobStatus.SUCCEEDED
    assert job.steps[STEP].result == {"media_id": upload.text("MediaId"), "size": int(upload.text("FileSize"))}
    assert set(job.refs) >= {upload.text("MediaId")}


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("private", "download_failed"),
        ("too-large", "upload_failed"),
        ("upload-fails", "upload_failed"),
        ("refused", "invalid_upload_url"),
    ],
)
def test_each_failure_ends_as_its_error(vod: SimulatedApsaraVideo, file: str, code: str) -> None:
    job = run(f"https://example.com/{file}.mp4")

    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error.code == code
    assert job.error.cause
    assert job.error.action


def test_a_wrong_key_ends_as_its_error(vod: SimulatedApsaraVideo, secretsmanager: SecretsManager) -> None:
    secretsmanager.put("APSARAVIDEO_SECRET", access_key_id="LTAI-other", access_key_secret="other")

    job = run("https://example.com/lecture.mp4")

    assert job.error is not None
    assert job.error.code == "invalid_access_key"


# --- What callbacks say ----------------------------------------------------------------------------------------------


REASON = {"ErrorCode": "URLInvalidError", "ErrorMessage": "download video failed by the url, please check it"}

WORDS = "URLInvalidError: download video failed by the url, please check it"


def hint(**said: Any) -> Hint:
    found = upload_by_url.decide(Event.model_validate({"EventType": "UploadByURLComplete", "JobId": "p-1", **said}))
    assert isinstance(found, Hint)
    return found


@pytest.mark.parametrize(
    ("said", "word", "good"),
    [
        ({"Status": "success"}, "success", True),
        ({"Status": "success", "ErrorCode": "200", "ErrorMessage": "Success"}, "success", True),
        ({"Status": "fail"}, "fail", False),
        (
            {"Status": "fail", **REASON},
            "fail: URLInvalidError: download video failed by the url, please check it",
            False,
        ),
        (
            {"Status": "fail", "ErrorMessage": "https://example.com/a.mp4?token=x"},
            "fail: https://example.com/a.mp4?***",
            False,
        ),
        ({"Status": "fail", "ErrorCode": 7, "ErrorMessage": ["x"]}, "fail", False),
        ({}, "", False),
    ],
)
def test_a_callback_is_a_hint_with_the_reason_if_it_has_one(said: dict[str, Any], word: str, good: bool) -> None:
    found = hint(**said)

    assert (found.word, found.good, found.ref, found.part) == (word, good, "p-1", "status")


def test_a_reason_that_goes_on_and_on_is_cut() -> None:
    assert len(hint(Status="fail", ErrorMessage="x" * 10_000).word) < 300


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        ({"ErrorCode": "", "ErrorMessage": ""}, WORDS),
        ({"ErrorCode": "Other", "ErrorMessage": "words"}, "Other: words"),
    ],
)
def test_why_it_failed_is_the_callbacks_word_where_the_answer_has_none(answered: dict[str, str], message: str) -> None:
    said: Any = answered
    answer = poll("UPLOAD_FAIL", word=hint(Status="fail", **REASON).word, **said)

    assert isinstance(answer, PollResult)
    assert isinstance(answer.end, StepFailed)
    assert answer.end.error.message == message
    assert answer.end.error.code == ("upload_failed" if answered["ErrorCode"] else "download_failed")


# --- Whose it is -----------------------------------------------------------------------------------------------------


SESSION = "0123456789" * 5


@pytest.mark.parametrize(
    ("user_data", "owner"),
    [
        (json.dumps({"Extend": {"job_id": "job-7", "session_id": SESSION}}), "job-7"),
        (json.dumps({"Extend": json.dumps({"job_id": "job-7", "session_id": SESSION})}), "job-7"),
        (f'{{"Extend":"{{"job_id":"job-7","session_id":"{SESSION}"}}"}}', "job-7"),
        ({"Extend": {"job_id": "job-7", "session_id": SESSION}}, "job-7"),
        (json.dumps({"Extend": {"job_id": "job-7", "session_id": "of another software"}}), None),
        (json.dumps({"Extend": {"session_id": SESSION}}), None),
        ("mine", None),
        ("", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("status", ["PENDING", "SUCCESS", "UPLOAD_FAIL"])
def test_whose_an_upload_is_its_user_data_say_however_vod_prints_them(
    user_data: Any, owner: str | None, status: str
) -> None:
    assert poll(status, UserData=user_data).owner == owner


def test_what_we_say_of_an_upload_names_its_job() -> None:
    job = ApsaraVideoJobRequest(**ASKED).new_job("0c9e7d0e-9c2f-5f0b-8a55-2a3c9d3f1e77")
    said = upload_by_url._user_data(job, job.submission_key(STEP)[:50], "https://jobs.example.com/x")

    assert poll("PENDING", UserData=said).owner == job.job_id


def test_a_whole_second_try_fits_into_a_workers_time() -> None:
    one_call = (client.CONNECT_MILLISECONDS + client.READ_MILLISECONDS) / 1000

    assert 4 * one_call < 55, "two calls, each once more with a newer key, in a worker of 60 s"
