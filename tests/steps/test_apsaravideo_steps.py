"""What ApsaraVideo VOD is asked, what its answers mean, and how its callbacks and its queue go together with them."""

import base64
import itertools
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError
from video_jobs import queues, secrets, settings, steps, store
from video_jobs.callbacks import Outcome
from video_jobs.faults import RefusedByPlatformError, TransientError
from video_jobs.jobs import Found, Job, JobStatus, Step, StepFailed, StepRunning, StepStatus, StepSucceeded, Submitted
from video_jobs.platforms.apsaravideo import client, errors, mns, upload_by_url
from video_jobs.platforms.apsaravideo.client import UploadInfo, UploadInfos, Vod
from video_jobs.platforms.apsaravideo.request import ApsaraVideoJobRequest
from video_jobs.steps import Platform, steps_worker

from local.platforms.apsaravideo import SimulatedApsaraVideo
from tests.events.test_apsaravideo import NAME, sign, uploaded
from tests.orders import in_every_order
from tests.stack import WEBHOOK_SECRETS, Context, Stack, handler, http_event

pytestmark = pytest.mark.filterwarnings(
    # the VOD SDK makes its timestamps so
    r"ignore:datetime\.datetime\.utcnow\(\) is deprecated:DeprecationWarning",
)

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
SECRET = WEBHOOK_SECRETS["apsaravideo"]
ACCESS_KEYS = {SECRET["access_key_id"]: SECRET["access_key_secret"]}
PATH = "/callbacks/apsaravideo/upload-by-url-complete"
STEP = "upload_by_url"
QUEUE = "ApsaraVideoSteps"


def wait_for[T](condition: Callable[[], T]) -> T:
    """The condition's first value that is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vod(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedApsaraVideo]:
    """The simulated platform, where the stack's settings say that VOD is."""
    with SimulatedApsaraVideo(pace=0.01, access_keys=ACCESS_KEYS, resend_wait=0.01) as vod:
        monkeypatch.setenv("APSARAVIDEO_URL", vod.url)
        yield vod


def new_job(source: str = "https://example.com/lecture.mp4", job_id: str = "job-1", **asked: Any) -> Job:
    said = {"provider": "apsaravideo", "source": source, "retry": {"base_delay": 0}, **asked}
    return store.create(ApsaraVideoJobRequest.model_validate(said).new_job(job_id))


def work(stack: Stack) -> int:
    return stack.work(QUEUE, handler("apsaravideo/steps"))


def found(job_id: str = "job-1") -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def step_of(job_id: str = "job-1") -> Step:
    return found(job_id).steps[STEP]


def ended(stack: Stack, job_id: str = "job-1") -> Job:
    """The job, once the worker has brought it to its end."""

    def has_ended() -> Job | None:
        work(stack)
        job = store.get(job_id)
        return job if job and job.status.ended else None

    job = wait_for(has_ended)
    assert job is not None
    return job


def run(stack: Stack, source: str, **asked: Any) -> Job:
    new_job(source, **asked)
    queues.send_start("apsaravideo", "job-1")
    return ended(stack)


def jobs(stack: Stack) -> list[Job]:
    ids = [item["job_id"] for item in stack.items("JOB#") if item["sk"] == "JOB" and "deleted_at" not in item]
    return [found(job_id) for job_id in ids]


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


def test_a_repetition_that_vod_refuses_in_words_of_its_own_is_found_all_the_same(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job()
    session = job.submission_key(STEP)[:50]
    said = json.dumps({"Extend": {"session_id": session}})
    listed = [UploadInfos(found=(), missing=()), infos("PENDING", UserData=said)]
    refusal = RefusedByPlatformError(errors.of_refusal("Duplicated", "no"), status=400)
    scripted = ScriptedVod(submits=[refusal], answers=listed)

    answer = upload_by_url.submit(scripted, later_try(job), callback_url="")  # type: ignore[arg-type]

    assert answer.platform_job_id == "p-1"


def test_where_uploads_cannot_be_listed_a_second_try_relies_on_vods_own_refusal(
    stack: Stack,
) -> None:
    refusal = RefusedByPlatformError(errors.of_refusal("InvalidApi.NotFound", "no"), status=404)
    scripted = ScriptedVod(answers=[refusal])

    answer = upload_by_url.submit(scripted, later_try(new_job()), callback_url="")  # type: ignore[arg-type]

    assert answer.platform_job_id == "p-1"


def test_an_answer_that_names_no_job_is_asked_for_again(stack: Stack) -> None:
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


def check(status: str, *, told: str | None = None, heard: int = 1, **said: Any) -> StepRunning | Found:
    step = Step(
        status=StepStatus.RUNNING,
        attempt=1,
        attempt_limit=3,
        platform_job_id="p-1",
        told={"p-1/status": told} if told else {},
        tellings=1 if told else 0,
        heard=heard if told else 0,
    )
    scripted: Any = ScriptedVod([infos(status, **said)])
    return upload_by_url.check(scripted, ApsaraVideoJobRequest(**ASKED).new_job("job-1"), step)


ASKED: Any = {"provider": "apsaravideo", "source": "https://example.com/lecture.mp4"}
UNDER_WAY = ["PENDING", "PROCESSING", "DOWNLOADING", "DOWNLOAD_SUCCESS", "UPLOADING"]


@pytest.mark.parametrize("status", [*UNDER_WAY, "pending", "WHO_KNOWS", ""])
def test_an_upload_goes_on_until_vod_says_a_word_that_we_know(status: str) -> None:
    assert check(status) == StepRunning(platform_status=status.upper() or None)


@pytest.mark.parametrize("told", ["success", "SUCCESS", "fail"])
@pytest.mark.parametrize("status", UNDER_WAY)
def test_if_an_end_was_told_that_the_status_does_not_show_it_is_near(status: str, told: str) -> None:
    assert check(status, told=told) == StepRunning(platform_status=status, soon=True)


@pytest.mark.parametrize("status", ["SUCCESS", "success", "Success"])
@pytest.mark.parametrize("told", [None, "fail", "success"])
def test_success_is_believed_when_the_status_says_it_in_any_case(status: str, told: str | None) -> None:
    answer = check(status, told=told, MediaId="m-1", FileSize="123456")

    assert isinstance(answer, Found)
    assert answer.end == StepSucceeded(result={"media_id": "m-1", "size": 123456}, refs=("m-1",))


@pytest.mark.parametrize(("code", "message"), [("200", "Success"), ("", ""), ("URLInvalidError", "…")])
def test_an_error_code_alone_is_no_failure(code: str, message: str) -> None:
    answer = check("SUCCESS", MediaId="m-1", ErrorCode=code, ErrorMessage=message)

    assert isinstance(answer, Found)
    assert isinstance(answer.end, StepSucceeded)


def test_an_upload_that_waits_for_its_callback_alone_has_succeeded_when_that_has_come() -> None:
    assert check("UPLOAD_SUCCESS", MediaId="m-1") == StepRunning(platform_status="UPLOAD_SUCCESS", soon=True)
    assert check("UPLOAD_SUCCESS", told="fail", MediaId="m-1") == StepRunning(
        platform_status="UPLOAD_SUCCESS", soon=True
    )
    answer = check("UPLOAD_SUCCESS", told="Success", MediaId="m-1")
    assert isinstance(answer, Found)
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
    status: str, said: dict[str, str], code: str, message: str
) -> None:
    for told in (None, "fail"):
        answer = check(status, told=told, heard=0, **said)

        assert isinstance(answer, Found)
        assert isinstance(answer.end, StepFailed)
        assert (answer.end.error.code, answer.end.error.message) == (code, message)
        assert answer.end.error.retryable


def test_a_failure_against_which_success_was_told_is_asked_about_once_more_and_then_believed() -> None:
    assert check("DOWNLOAD_FAIL", told="success", heard=0) == StepRunning(platform_status="DOWNLOAD_FAIL", soon=True)
    assert isinstance(check("DOWNLOAD_FAIL", told="success", heard=1), Found)


def test_an_upload_that_vod_does_not_know_has_failed() -> None:
    scripted: Any = ScriptedVod([UploadInfos(found=(), missing=("p-1",))])
    step = Step(status=StepStatus.RUNNING, attempt_limit=3, platform_job_id="p-1")

    answer = upload_by_url.check(scripted, ApsaraVideoJobRequest(**ASKED).new_job("job-1"), step)

    assert isinstance(answer, Found)
    assert isinstance(answer.end, StepFailed)
    assert (answer.end.error.code, answer.end.error.retryable) == ("not_found", False)


def test_an_answer_about_other_uploads_says_nothing() -> None:
    scripted: Any = ScriptedVod([infos("SUCCESS", job_id="p-2", MediaId="m-2")])
    step = Step(status=StepStatus.RUNNING, attempt_limit=3, platform_job_id="p-1")

    assert upload_by_url.check(scripted, ApsaraVideoJobRequest(**ASKED).new_job("job-1"), step) == StepRunning()


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


def test_nobody_there_is_transient(stack: Stack) -> None:
    with pytest.raises(TransientError):
        Vod().upload_media_by_url("https://example.com/lecture.mp4")


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
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

    fault = client._fault(ClientException(status_code=400, code=code, data={"Message": "later"}))

    assert isinstance(fault, TransientError)


def test_a_wrong_key_is_refused_and_its_secret_is_in_no_message(vod: SimulatedApsaraVideo) -> None:
    put_secret({"access_key_id": SECRET["access_key_id"], "access_key_secret": "guessed-secret"})

    with pytest.raises(RefusedByPlatformError) as refused:
        Vod().upload_media_by_url("https://example.com/lecture.mp4")

    assert refused.value.error.code == "invalid_access_key"
    assert "guessed-secret" not in refused.value.error.model_dump_json()


def put_secret(values: Mapping[str, str], *, forget: bool = True) -> None:
    settings.secretsmanager().put_secret_value(SecretId="APSARAVIDEO_SECRET", SecretString=json.dumps(dict(values)))
    if forget:
        secrets.forget()


def test_a_key_that_was_rotated_a_moment_ago_is_read_anew_once(vod: SimulatedApsaraVideo, stack: Stack) -> None:
    put_secret({"access_key_id": "LTAI-old", "access_key_secret": "old"})
    with pytest.raises(RefusedByPlatformError):
        Vod().upload_infos(job_ids=["p-1"])
    secrets._refreshed_at.clear()
    put_secret(SECRET, forget=False)

    assert Vod().upload_infos(job_ids=["p-1"]).missing == ("p-1",)


@pytest.mark.parametrize(
    "values", [{}, {"access_key_id": "LTAI-test"}, {"access_key_id": "ä", "access_key_secret": "x"}]
)
def test_without_an_access_key_the_error_says_what_to_put_where(
    vod: SimulatedApsaraVideo, values: dict[str, str]
) -> None:
    put_secret(values)

    with pytest.raises(TransientError) as fault:
        Vod().upload_media_by_url("https://example.com/lecture.mp4")

    assert fault.value.error.code == "not_configured"
    assert vod.requests == []


# --- From its start to its end, without callbacks --------------------------------------------------------------------


@pytest.mark.parametrize("file", ["lecture", "clean", "code-200", "silent", "flaky", "reset", "html", "throttled-400"])
def test_an_upload_succeeds_by_checks_alone(stack: Stack, vod: SimulatedApsaraVideo, file: str) -> None:
    source = f"https://example.com/{file}.mp4"

    job = run(stack, source)

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
def test_each_failure_ends_as_its_error(stack: Stack, vod: SimulatedApsaraVideo, file: str, code: str) -> None:
    job = run(stack, f"https://example.com/{file}.mp4")

    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error.code == code
    assert job.error.cause
    assert job.error.action


def test_a_wrong_key_ends_as_its_error(stack: Stack, vod: SimulatedApsaraVideo) -> None:
    put_secret({"access_key_id": "LTAI-other", "access_key_secret": "other"})

    job = run(stack, "https://example.com/lecture.mp4")

    assert job.error is not None
    assert job.error.code == "invalid_access_key"


def test_what_never_ends_ends_at_its_deadline(
    stack: Stack, vod: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_DEADLINE_SECONDS", "0")

    job = run(stack, "https://example.com/stuck.mp4")

    assert job.error is not None
    assert job.error.code == "timed_out"


# --- With its callbacks ----------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """What takes VOD's callbacks off the network: `events` are they, as API Gateway would hand them over."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    when_one_comes: Callable[[dict[str, Any]], None] = lambda _event: None

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if f'"{event_type}"' in event["body"]]

    def uploads(self) -> list[dict[str, Any]]:
        return self.of("UploadByURLComplete")


@pytest.fixture
def mailbox(vod: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            event = http_event(NAME, text, query="", headers={name.lower(): v for name, v in self.headers.items()})
            event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
            box.events.append(event)
            box.when_one_comes(event)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        box.url = f"http://127.0.0.1:{http.server_port}{PATH}"
        monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", box.url)
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        set_callback(vod, callback_type="HTTP", callback_url=box.url, auth_switch="on", auth_key=SECRET["auth_key"])
        yield box
        http.shutdown()
        thread.join()


def set_callback(vod: SimulatedApsaraVideo, **asked: str) -> None:
    from alibabacloud_vod20170321 import models  # type: ignore[import-untyped]

    sdk = client._sdk(SECRET["access_key_id"], SECRET["access_key_secret"])
    sdk.set_message_callback(models.SetMessageCallbackRequest(event_type_list="ALL", **asked))


def start(stack: Stack, source: str) -> None:
    """Submit a job, and leave it running."""
    new_job(source, check_interval=900)
    queues.send_start("apsaravideo", "job-1")
    work(stack)


def deliver(stack: Stack, *events: dict[str, Any]) -> list[str]:
    """Hand callbacks over, each followed by what the worker makes of it."""
    outcomes = []
    for event in events:
        answer = stack.send(NAME, event)
        assert answer["status"] == 200
        outcomes.append(answer["outcome"])
        work(stack)
    return outcomes


@pytest.mark.parametrize("file", ["lecture", "clean"])
def test_a_callback_is_looked_into_at_once_and_ends_the_job(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox, file: str
) -> None:
    start(stack, f"https://example.com/{file}.mp4")
    (event,) = wait_for(mailbox.uploads)

    assert deliver(stack, event) == ["recorded"]

    job = found()
    assert job.status == JobStatus.SUCCEEDED
    assert job.steps[STEP].result == {
        "media_id": json.loads(event["body"])["VideoId"],
        "size": int(json.loads(event["body"])["Size"]),
    }
    assert job.steps[STEP].checks == 0


@pytest.mark.parametrize(("file", "code"), [("private", "download_failed"), ("too-large", "upload_failed")])
def test_a_failure_is_confirmed_before_it_is_believed(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox, file: str, code: str
) -> None:
    start(stack, f"https://example.com/{file}.mp4")

    deliver(stack, *wait_for(mailbox.uploads))

    error = found().error
    assert error is not None
    assert error.code == code


def test_a_success_that_the_status_denies_is_not_believed(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox
) -> None:
    new_job("https://example.com/liar.mp4")
    queues.send_start("apsaravideo", "job-1")
    work(stack)
    deliver(stack, *wait_for(mailbox.uploads))

    assert ended(stack).error is not None


def test_a_success_before_the_status_agrees_is_waited_for(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox
) -> None:
    new_job("https://example.com/status-lags.mp4")
    queues.send_start("apsaravideo", "job-1")
    work(stack)
    (event,) = wait_for(mailbox.uploads)

    deliver(stack, event)

    assert ended(stack).status == JobStatus.SUCCEEDED


def test_a_failure_that_vod_takes_back_is_taken_back(stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox) -> None:
    statuses: list[str] = []
    submitted = Event()

    def record(event: dict[str, Any]) -> None:
        submitted.wait(LIMIT_SECONDS)
        # VOD waits for this answer before it goes on, so its status is still that of this event
        if event in mailbox.uploads():
            deliver(stack, event)
            statuses.append(found().status)

    mailbox.when_one_comes = record
    new_job("https://example.com/fail-then-success.mp4", check_interval=900)
    queues.send_start("apsaravideo", "job-1")
    work(stack)
    submitted.set()
    wait_for(lambda: len(statuses) == 2)

    assert statuses == ["failed", "succeeded"]
    assert found().error is None


def test_a_job_that_has_failed_is_opened_again_by_a_success_that_the_status_confirms(stack: Stack) -> None:
    vod = ScriptedVod([infos("DOWNLOAD_FAIL"), infos("DOWNLOAD_FAIL"), infos("SUCCESS", MediaId="m-1")])
    worker = worker_of(vod)
    new_job(check_interval=900)
    queues.send_start("apsaravideo", "job-1")
    stack.work(QUEUE, worker)

    assert stack.send(NAME, told("fail"))["outcome"] == "recorded"
    stack.work(QUEUE, worker)
    assert found().status == JobStatus.FAILED

    assert stack.send(NAME, told("success"))["outcome"] == "recorded"
    stack.work(QUEUE, worker)
    assert (found().status, found().doubted) == (JobStatus.FAILED, STEP)  # the status lags: a sweep has it asked again

    queues.send_start("apsaravideo", "job-1")
    stack.work(QUEUE, worker)
    assert (found().status, found().error) == (JobStatus.SUCCEEDED, None)
    assert step_of().result == {"media_id": "m-1"}


def test_successes_that_the_status_does_not_confirm_end_nothing_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LAG_SECONDS", -1)
    vod = ScriptedVod([infos("DOWNLOAD_FAIL")])
    worker = worker_of(vod)
    new_job(check_interval=900)
    queues.send_start("apsaravideo", "job-1")
    stack.work(QUEUE, worker)
    stack.send(NAME, told("fail"))
    stack.work(QUEUE, worker)
    before = found()
    assert (before.status, before.ends) == (JobStatus.FAILED, 1)

    for number in range(3):  # VOD does not sign bodies: whoever has seen one callback can make up others
        assert stack.send(NAME, told("success", Size=str(number)))["outcome"] == "recorded"
        stack.work(QUEUE, worker)

    after = found()
    assert (after.status, after.ends, after.ended_at, after.doubted) == (JobStatus.FAILED, 1, before.ended_at, None)


def test_companion_events_are_archived_with_the_job_once_its_medium_is_known(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox
) -> None:
    start(stack, "https://example.com/lecture.mp4")
    wait_for(lambda: mailbox.of("StreamTranscodeComplete"))
    deliver(stack, *mailbox.uploads())

    others = [*mailbox.of("FileUploadComplete"), *mailbox.of("StreamTranscodeComplete")]
    assert deliver(stack, *others) == ["ignored", "ignored"]

    archived = [item["callback"] for item in stack.items("JOB#job-1") if item.get("outcome") == "ignored"]
    assert archived == [NAME, NAME]
    assert stack.items("STRAYS#") == []


@pytest.mark.parametrize("file", ["twice", "late", "garbled"])
def test_callbacks_that_are_doubled_late_or_cut_change_nothing(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox, file: str
) -> None:
    run(stack, f"https://example.com/{file}.mp4")
    wait_for(lambda: mailbox.events)
    before = found()

    for event in list(mailbox.events):
        assert stack.send(NAME, event)["status"] in (200, 422)
    work(stack)

    assert [job.job_id for job in jobs(stack)] == ["job-1"]
    assert (found().status, step_of().result) == (before.status, before.steps[STEP].result)


# --- Callbacks before the answer, and about what others have started -------------------------------------------------


def told(status: str, job_id: str = "p-1", **said: Any) -> dict[str, Any]:
    """A callback as VOD would sign it."""
    now = int(time.time())
    proof = {
        "x-vod-timestamp": str(now),
        "x-vod-signature": sign(str(now), url=settings.setting("APSARAVIDEO_CALLBACK_URL"), key=SECRET["auth_key"]),
    }
    event = http_event(NAME, uploaded(job_id, Status=status, **said), query="", headers=proof)
    event["requestContext"]["timeEpoch"] = now * 1000
    return event


def worker_of(scripted: ScriptedVod) -> Any:
    platform: Platform[Any] = Platform(
        name="apsaravideo",
        steps={STEP: upload_by_url},
        applies=lambda _job, _step: True,
        callback_url=lambda _job, _step: "https://jobs.example.com",
        client=scripted,
    )
    return steps_worker(platform)


def test_a_callback_that_comes_before_the_submit_is_answered_ends_the_job(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox
) -> None:
    outcomes: list[str] = []

    def record(event: dict[str, Any]) -> None:
        outcomes.append(stack.send(NAME, event)["outcome"])  # VOD answers the submit after this

    mailbox.when_one_comes = record
    new_job("https://example.com/early.mp4")
    queues.send_start("apsaravideo", "job-1")

    job = ended(stack)

    assert sorted(outcomes)[0] == "adopted"
    assert [one.job_id for one in jobs(stack)] == ["job-1"]
    assert (job.status, job.adopted) == (JobStatus.SUCCEEDED, False)
    assert job.steps[STEP].told


@pytest.mark.parametrize(
    ("status", "word", "end"),
    [
        ("SUCCESS", "success", "succeeded"),
        ("SUCCESS", "fail", "succeeded"),
        ("DOWNLOAD_FAIL", "fail", "failed"),
        ("DOWNLOAD_FAIL", "success", "failed"),
    ],
)
def test_in_whatever_order_submit_and_callback_are_written_there_is_one_job_with_the_right_end(
    stack: Stack, status: str, word: str, end: str
) -> None:
    orders = 0

    def prepare() -> Any:
        stack.clear()
        stack.purge(QUEUE)
        new_job()
        start_message = queues.StartMessage(job_id="job-1").model_dump_json()
        return worker_of(ScriptedVod([infos(status, MediaId="m-1")])), stack.received(QUEUE, start_message)

    def acts(scene: Any) -> Sequence[Callable[[], object]]:
        worker, message = scene
        return [lambda: worker(message, Context()), lambda: stack.send(NAME, told(word))]

    for worker, _ in in_every_order(prepare, acts):
        orders += 1
        stack.work(QUEUE, worker)
        queues.send_start("apsaravideo", "job-1")  # as a sweep would, if the last message was lost to a lease
        stack.work(QUEUE, worker)
        assert [(job.job_id, job.status) for job in jobs(stack)] == [("job-1", end)]
        assert {(item["pk"], item["job_id"]) for item in stack.items("REF#")} == {
            (f"REF#apsaravideo#{ref}", "job-1") for ref in (["p-1", "m-1"] if end == "succeeded" else ["p-1"])
        }
    assert orders > 5


@pytest.mark.parametrize(
    "words", sorted({p for n in (1, 2, 3) for p in itertools.product(["success", "fail"], repeat=n)})
)
def test_whatever_is_told_and_however_often_the_status_decides(stack: Stack, words: tuple[str, ...]) -> None:
    for number, status in enumerate(["SUCCESS", "DOWNLOAD_FAIL"]):
        worker = worker_of(ScriptedVod([infos(status, MediaId="m-1")]))
        stack.clear()
        stack.purge(QUEUE)
        new_job()
        queues.send_start("apsaravideo", "job-1")
        for word in words:
            stack.send(NAME, told(word, number=number))
        stack.work(QUEUE, worker)
        assert found().status == ("succeeded" if status == "SUCCESS" else "failed")


def test_an_upload_that_was_started_elsewhere_is_adopted_and_followed(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox
) -> None:
    Vod().upload_media_by_url("https://example.com/lecture.mp4")
    (event,) = wait_for(mailbox.uploads)

    assert deliver(stack, event) == ["adopted"]

    (job,) = jobs(stack)
    job = ended(stack, job.job_id)
    assert (job.adopted, job.status, job.source) == (True, JobStatus.SUCCEEDED, None)
    assert (job.steps[STEP].result or {})["media_id"] == json.loads(event["body"])["VideoId"]


def test_a_callback_about_an_upload_that_does_not_exist_ends_as_not_found(
    stack: Stack, vod: SimulatedApsaraVideo
) -> None:
    assert stack.send(NAME, told("success", "made-up"))["outcome"] == "adopted"

    (job,) = jobs(stack)
    assert ended(stack, job.job_id).error is not None
    error = found(job.job_id).error
    assert error is not None
    assert error.code == "not_found"


def test_a_stream_that_is_brought_to_a_video_does_not_take_the_video_from_its_job(
    stack: Stack, vod: SimulatedApsaraVideo, mailbox: Mailbox
) -> None:
    from alibabacloud_vod20170321 import models

    job = run(stack, "https://example.com/lecture.mp4")
    media_id = (job.steps[STEP].result or {})["media_id"]
    wait_for(mailbox.uploads)
    sdk = client._sdk(SECRET["access_key_id"], SECRET["access_key_secret"])
    sdk.upload_stream_by_url(
        models.UploadStreamByURLRequest(definition="HD", media_id=media_id, stream_url="https://example.com/hd.flv")
    )
    (event,) = wait_for(lambda: [event for event in mailbox.uploads() if '"Stream"' in event["body"]])

    assert deliver(stack, event) == ["adopted"]

    (stream,) = [one for one in jobs(stack) if one.job_id != "job-1"]
    assert ended(stack, stream.job_id).status == JobStatus.SUCCEEDED
    (reference,) = stack.items(f"REF#apsaravideo#{media_id}")
    assert reference["job_id"] == "job-1"


# --- The message queue -----------------------------------------------------------------------------------------------


class Minute(Context):
    """An invocation with so many seconds left, whenever it is asked: as they are, MNS is not to wait for messages."""

    def __init__(self, seconds: float = mns.ANSWER_SECONDS + mns.BATCH_SECONDS + 0.5) -> None:
        self._left = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._left * 1000)


@pytest.fixture
def mns_queue(vod: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch) -> SimulatedApsaraVideo:
    monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", vod.url)
    monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "vodcallback")
    return vod


def drain(context: Context | None = None) -> dict[str, int]:
    counts: dict[str, int] = handler("apsaravideo/mns")({}, context or Minute())
    return counts


def left(vod: SimulatedApsaraVideo) -> int:
    return len(vod._queues["vodcallback"].messages)


def test_with_no_queue_configured_nothing_is_asked(
    stack: Stack, vod: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "")
    monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", "")

    assert drain() == {}
    assert vod.requests == []


def test_an_empty_queue_is_a_good_end(stack: Stack, mns_queue: SimulatedApsaraVideo) -> None:
    assert drain() == {}
    assert stack.items() == []


@pytest.mark.parametrize("encoded", [False, True])
def test_messages_are_recorded_as_the_callbacks_that_they_are_and_then_deleted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, encoded: bool
) -> None:
    from local.platforms.apsaravideo import payloads

    with SimulatedApsaraVideo(access_keys=ACCESS_KEYS, mns_base64=encoded) as vod:
        monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", vod.url)
        monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "vodcallback")
        for text in (payloads.UPLOADED, payloads.FAILED, '{"EventType":"FileUploadComplete","VideoId":"v-1"}'):
            vod.put_message("vodcallback", f"  {text}\n")
        vod.put_message("vodcallback", f"  {payloads.UPLOADED}\n")

        assert drain() == {"adopted": 2, "ignored": 1, "repeated": 1}

        assert left(vod) == 0
    assert {job.steps[STEP].platform_job_id for job in jobs(stack)} == {"4c815bjs83j1****", "4c815bjsued****"}
    assert len(stack.messages(QUEUE)) == 3


def test_more_messages_than_one_answer_holds_are_all_taken(stack: Stack, mns_queue: SimulatedApsaraVideo) -> None:
    for number in range(40):
        mns_queue.put_message("vodcallback", uploaded(f"p-{number}"))

    assert drain() == {"adopted": 40}
    assert left(mns_queue) == 0


def test_an_upload_whose_event_comes_through_the_queue_ends(stack: Stack, mns_queue: SimulatedApsaraVideo) -> None:
    set_callback(mns_queue, callback_type="MNS", mns_endpoint=mns_queue.url, mns_queue_name="vodcallback")
    start(stack, "https://example.com/lecture.mp4")
    # it would go before the account's setting, and past the queue
    assert "MessageCallback" not in json.loads(submissions(mns_queue)[0]["UserData"])
    wait_for(lambda: left(mns_queue) >= 3)

    assert drain() == {"recorded": 1, "ignored": 2}
    work(stack)

    assert found().status == JobStatus.SUCCEEDED


@pytest.mark.parametrize("text", ["no event", base64.b64encode(b"no event").decode(), "{", "[]"])
def test_what_is_no_event_is_kept_among_the_dead_letters_and_deleted(
    stack: Stack, mns_queue: SimulatedApsaraVideo, text: str
) -> None:
    mns_queue.put_message("vodcallback", text)

    assert drain() == {"unreadable": 1}
    assert left(mns_queue) == 0
    assert len(stack.messages("DeliveriesDeadLetters")) == 1


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ('{"a": 1}', b'{"a": 1}'),
        (' \n{"a": "ü"}\n', '{"a": "ü"}'.encode()),
        (base64.b64encode(b' {"a": 1}').decode(), b' {"a": 1}'),
        (base64.b64encode(b"text").decode(), base64.b64encode(b"text")),
        ("not base64", b"not base64"),
        ("ä", "ä".encode()),
        ("", b""),
    ],
)
def test_a_message_is_read_in_base64_or_not(body: str, event: bytes) -> None:
    assert mns.decoded(body) == event


def test_what_could_not_be_recorded_stays_and_raises_an_alarm(stack: Stack, mns_queue: SimulatedApsaraVideo) -> None:
    for number in range(3):
        mns_queue.put_message("vodcallback", uploaded(f"p-{number}"))
    outcomes = iter([Outcome.ADOPTED, Outcome.UNAVAILABLE, Outcome.KEPT])

    with pytest.raises(mns.NotAllRecordedError):
        mns.drain(lambda _body: next(outcomes), remaining=lambda: 60)

    assert left(mns_queue) == 1


@pytest.mark.parametrize("outcome", [Outcome.KEPT, Outcome.TOO_LARGE, Outcome.STALE, Outcome.IGNORED])
def test_what_is_kept_or_too_large_is_done_with(mns_queue: SimulatedApsaraVideo, outcome: Outcome) -> None:
    mns_queue.put_message("vodcallback", uploaded())

    assert mns.drain(lambda _body: outcome, remaining=lambda: 13) == {str(outcome): 1}
    assert left(mns_queue) == 0


def test_a_message_is_deleted_only_after_it_was_recorded(mns_queue: SimulatedApsaraVideo) -> None:
    mns_queue.put_message("vodcallback", uploaded())
    there: list[int] = []

    def receive(_body: bytes) -> Outcome:
        there.append(left(mns_queue))
        return Outcome.RECORDED

    mns.drain(receive, remaining=lambda: 13)

    assert there == [1]
    assert left(mns_queue) == 0


def test_a_crash_while_it_is_recorded_leaves_it_in_the_queue(mns_queue: SimulatedApsaraVideo) -> None:
    mns_queue.put_message("vodcallback", uploaded())

    def receive(_body: bytes) -> Outcome:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        mns.drain(receive, remaining=lambda: 13)

    assert left(mns_queue) == 1


def test_a_message_that_came_back_before_it_was_deleted_is_repeated_and_no_fault(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedApsaraVideo(access_keys=ACCESS_KEYS, mns_visibility=0.0) as vod:
        monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", vod.url)
        monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "vodcallback")
        vod.put_message("vodcallback", uploaded())
        asked = itertools.chain([13, 13, 13, 13], itertools.repeat(0))

        counts = mns.drain(handler_receive(), remaining=lambda: next(asked))

    assert counts == {"adopted": 1, "repeated": 1}


def handler_receive() -> Callable[[bytes], Outcome]:
    from functions.apsaravideo.mns.app import receive

    return receive


def test_it_stops_well_before_its_time_is_up(stack: Stack, mns_queue: SimulatedApsaraVideo) -> None:
    mns_queue.put_message("vodcallback", uploaded())

    assert drain(Minute(mns.ANSWER_SECONDS + mns.BATCH_SECONDS - 0.5)) == {}
    assert mns_queue.requests == []


def test_in_the_middle_of_an_answer_it_stops_too_and_leaves_the_rest(mns_queue: SimulatedApsaraVideo) -> None:
    for number in range(3):
        mns_queue.put_message("vodcallback", uploaded(f"p-{number}"))
    asked = itertools.chain([60, 60, 60], itertools.repeat(mns.MESSAGE_SECONDS - 1))

    assert mns.drain(lambda _body: Outcome.RECORDED, remaining=lambda: next(asked)) == {"recorded": 2}
    assert left(mns_queue) == 1


@pytest.mark.parametrize(("remaining", "wait"), [(13, 0), (13.9, 0), (20, 7), (54, 30), (900, 30)])
def test_it_waits_for_messages_no_longer_than_the_time_allows(
    mns_queue: SimulatedApsaraVideo, remaining: float, wait: int
) -> None:
    mns_queue.put_message("vodcallback", uploaded())
    asked = itertools.chain([remaining, 60], itertools.repeat(0))

    mns.drain(lambda _body: Outcome.RECORDED, remaining=lambda: next(asked))

    assert mns_queue.requests[0].query == {"numOfMessages": "16", "waitseconds": str(wait)}


def test_a_message_that_comes_while_it_waits_is_taken(mns_queue: SimulatedApsaraVideo) -> None:
    asked = itertools.chain([13 + LIMIT_SECONDS, 60], itertools.repeat(0))

    def put_later() -> None:
        time.sleep(0.05)
        mns_queue.put_message("vodcallback", uploaded())

    writer = Thread(target=put_later)
    writer.start()
    assert mns.drain(lambda _body: Outcome.RECORDED, remaining=lambda: next(asked)) == {"recorded": 1}
    writer.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_of_the_queue_that_does_not_come_is_not_waited_for_for_ever(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(mns, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "vodcallback")

        with pytest.raises(mns.QueueUnavailableError, match="vodcallback"):
            mns.drain(lambda _body: Outcome.RECORDED, remaining=lambda: 8.5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"APSARAVIDEO_MNS_QUEUE": "other"}, "the queue other at .*: QueueNotExist"),
        ({"APSARAVIDEO_MNS_ENDPOINT": "http://127.0.0.1:9"}, "NetWorkException"),
        ({"APSARAVIDEO_MNS_ENDPOINT": "mns.example.com"}, "InvalidHost"),
    ],
)
def test_a_queue_that_cannot_be_read_is_named(
    stack: Stack,
    mns_queue: SimulatedApsaraVideo,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    says: str,
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(mns.QueueUnavailableError, match=says):
        drain()


def test_a_wrong_key_is_named_and_its_secret_is_not(stack: Stack, mns_queue: SimulatedApsaraVideo) -> None:
    put_secret({"access_key_id": SECRET["access_key_id"], "access_key_secret": "guessed-secret"})

    for _ in range(2):
        with pytest.raises(mns.QueueUnavailableError, match="SignatureDoesNotMatch") as refused:
            drain()
        assert "guessed-secret" not in str(refused.value)


def test_without_an_access_key_it_says_what_is_missing(stack: Stack, mns_queue: SimulatedApsaraVideo) -> None:
    put_secret({"auth_key": "Key1Test"})

    with pytest.raises(secrets.SecretUnavailableError, match="access_key_id"):
        drain()


def test_the_queues_key_that_was_rotated_a_moment_ago_is_read_anew(
    stack: Stack, mns_queue: SimulatedApsaraVideo
) -> None:
    put_secret({"access_key_id": "LTAI-old", "access_key_secret": "old"})
    secrets.values("APSARAVIDEO_SECRET")
    put_secret(SECRET, forget=False)
    mns_queue.put_message("vodcallback", uploaded())

    assert drain() == {"adopted": 1}
