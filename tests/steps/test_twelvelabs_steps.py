"""What TwelveLabs is asked, and what its answers and its callbacks mean."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import urllib3
from pydantic import ValidationError
from video_jobs import jsontext, settings
from video_jobs.aws import secrets
from video_jobs.forms import FormFile
from video_jobs.jobs.model import (
    LONGEST_MESSAGE,
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
from video_jobs.platforms import rest
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.twelvelabs import asset, client, errors, indexed_asset, statuses, task, waiting
from video_jobs.platforms.twelvelabs.client import TwelveLabs
from video_jobs.platforms.twelvelabs.request import TwelveLabsJobRequest

from local.platforms.twelvelabs import SimulatedTwelveLabs
from local.platforms.twelvelabs.errors import VIDEO_MESSAGES
from tests.patches import change
from tests.stack import WEBHOOK_SECRETS
from tests.steps.conftest import SecretsManager
from tests.steps.following import follow

SECRET = WEBHOOK_SECRETS["twelvelabs"]
INDEX = "62a0906d47f5678267ec10a6"
LECTURE = "https://example.com/lecture.mp4"


@pytest.fixture
def twelvelabs(secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedTwelveLabs]:
    """The simulated platform, where the stack's settings say that TwelveLabs is."""
    with SimulatedTwelveLabs(pace=0.01) as twelvelabs:
        monkeypatch.setenv("TWELVELABS_URL", twelvelabs.url)
        yield twelvelabs


def asked_for(**asked: Any) -> TwelveLabsJobRequest:
    medium = {} if "media_id" in asked or "source" in asked else {"source": LECTURE}
    said = {"provider": "twelvelabs", "options": {"index_id": INDEX}, "retry": {"base_delay": 0}} | medium | asked
    return TwelveLabsJobRequest.model_validate(said)


def run(**asked: Any) -> Job:
    """A job, brought to its end by polls alone."""
    return follow(MODULES, TwelveLabs(), asked_for(**asked).new_job("job-1"))


def posts(twelvelabs: SimulatedTwelveLabs) -> list[str]:
    return [request.path for request in twelvelabs.requests if request.method == "POST"]


def result_of(job: Job, step: str) -> dict[str, Any]:
    result = job.steps[step].result
    assert result is not None
    return result


# --- The request -----------------------------------------------------------------------------------------------------


def test_a_source_becomes_an_asset_that_is_indexed_unless_the_caller_wants_a_task() -> None:
    assert asked_for().new_job("job-1").plan == ("asset", "indexed_asset")
    assert asked_for(plan="asset").new_job("job-1").plan == ("asset", "indexed_asset")
    assert asked_for(plan="task").new_job("job-1").plan == ("task",)


def test_an_asset_that_is_there_already_is_only_indexed() -> None:
    job = asked_for(media_id="69a482a37f90675e73cec9b1").new_job("job-1")

    assert (job.plan, job.steps["indexed_asset"].status) == (("indexed_asset",), StepStatus.QUEUED)


def test_a_job_keeps_for_each_of_its_steps_what_was_asked_for_and_where_it_is_indexed() -> None:
    options = {
        "index_id": INDEX,
        "asset": {"filename": "a.mp4", "enable_hls": False},
        "indexed_asset": {"user_metadata": {"course": "biology", "week": 7, "live": False, "share": 0.5}},
    }

    job = asked_for(options=options).new_job("job-1")

    assert job.request.options == {
        "asset": {"filename": "a.mp4", "enable_hls": False},
        "indexed_asset": {
            "index_id": INDEX,
            "user_metadata": {"course": "biology", "week": 7, "live": False, "share": 0.5},
        },
    }
    assert asked_for(plan="task").new_job("job-1").request.options == {"task": {"index_id": INDEX}}


@pytest.mark.parametrize(
    "asked",
    [
        {"options": {}},
        {"options": {"index_id": ""}},
        {"options": {"index_id": "../x"}},
        {"options": {"index_id": INDEX, "unknown": 1}},
        {"options": {"index_id": INDEX, "asset": {"unknown": 1}}},
        {"options": {"index_id": INDEX, "task": {}}},
        {"plan": "task", "options": {"index_id": INDEX, "asset": {"filename": "a.mp4"}}},
        {"media_id": "a-1", "options": {"index_id": INDEX, "asset": {}}},
        {"media_id": "a-1", "plan": "task"},
        {"media_id": "a/1"},
        {"media_id": "a-1", "source": LECTURE},
        {"plan": "embed"},
        {"options": {"index_id": INDEX, "asset": {"user_metadata": {"list": [1]}}}},
        {"options": {"index_id": INDEX, "asset": {"user_metadata": {"video_jobs_submission": "x"}}}},
        {"options": {"index_id": INDEX, "asset": {"user_metadata": {"number": float("nan")}}}},
    ],
)
def test_what_twelvelabs_has_no_use_for_is_not_taken(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        asked_for(**asked)


def test_without_options_the_index_is_missing() -> None:
    with pytest.raises(ValidationError, match="options"):
        TwelveLabsJobRequest.model_validate({"provider": "twelvelabs", "source": LECTURE})


# --- What is asked ---------------------------------------------------------------------------------------------------


def job_of(step: str, **asked: Any) -> Job:
    """A job whose current step is this one: what comes before it has been done."""
    job = asked_for(**({"plan": "task"} if step == "task" else {}) | asked).new_job("job-1")
    if step == "indexed_asset" and "asset" in job.steps:
        done = job.steps["asset"].model_copy(update={"status": StepStatus.SUCCEEDED, "result": {"asset_id": "asset-1"}})
        job = job.model_copy(update={"steps": job.steps | {"asset": done}})
    return job


MODULES = {"asset": asset, "indexed_asset": indexed_asset, "task": task}


def submit(step: str, **asked: Any) -> Submitted:
    answer: Submitted = MODULES[step].submit(TwelveLabs(), job_of(step, **asked), callback_url="")
    return answer


def poll(step: str, *, ours: str | None = "id-1", hints: Mapping[str, str] | None = None) -> StepRunning | PollResult:
    stands = Step(status=StepStatus.RUNNING, attempt=1, attempt_limit=3, platform_job_id=ours, hints=dict(hints or {}))
    answer: StepRunning | PollResult = MODULES[step].poll(TwelveLabs(), job_of(step), stands)
    return answer


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    fields: Mapping[str, str] | None


@dataclass
class Script:
    """Answers in its order, the last one for ever; `asked` is what it was sent."""

    answers: list[tuple[int, Any, Mapping[str, str]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, body, named))

    def request(self, method: str, url: str, **sent: Any) -> urllib3.HTTPResponse:
        status, body, headers = self.answers[min(len(self.asked), len(self.answers) - 1)]
        path = url.removeprefix(settings.setting("TWELVELABS_URL"))
        said = json.loads(sent["body"]) if sent["body"] else None
        self.asked.append(Asked(method, path, sent["headers"], said, sent["fields"]))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return urllib3.HTTPResponse(body=data, status=status, headers=headers, preload_content=True)


@pytest.fixture
def script(secretsmanager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Script:
    """In place of TwelveLabs' server."""
    script = Script()
    monkeypatch.setattr(rest, "_pool", script)
    return script


ACCEPTED = {"_id": "id-1", "video_id": "video-1"}


def test_an_asset_is_asked_for_with_a_form_and_a_mark_of_ours(script: Script) -> None:
    script.answer(201, {"_id": "id-1", "status": "processing"})

    accepted = submit("asset")

    (asked,) = script.asked
    assert accepted == Submitted(platform_job_id="id-1", platform_status="processing")
    assert (asked.method, asked.path, asked.body) == ("POST", "/assets", None)
    mark = {"video_jobs_submission": job_of("asset").submission_key("asset")}
    assert asked.fields == {"method": "url", "url": LECTURE, "user_metadata": json.dumps(mark)}
    assert asked.headers["x-api-key"] == SECRET["api_key"]
    assert "content-type" not in asked.headers  # the form's, with its boundary


def test_an_index_is_asked_to_take_the_asset_with_json(script: Script) -> None:
    script.answer(201, ACCEPTED)

    accepted = submit("indexed_asset")

    (asked,) = script.asked
    assert accepted == Submitted(platform_job_id="id-1", refs=("id-1",))
    assert (asked.method, asked.path) == ("POST", f"/indexes/{INDEX}/indexed-assets")
    assert (asked.body, asked.fields) == ({"asset_id": "asset-1"}, None)
    assert asked.headers["content-type"] == "application/json"


def test_an_asset_that_was_there_before_is_indexed_by_its_own_id(script: Script) -> None:
    script.answer(201, ACCEPTED)

    submit("indexed_asset", media_id="asset-9")

    assert script.asked[0].body == {"asset_id": "asset-9"}


def test_a_task_is_asked_for_with_a_form(script: Script) -> None:
    script.answer(201, ACCEPTED)

    accepted = submit("task")

    (asked,) = script.asked
    result = {"task_id": "id-1", "video_id": "video-1"}
    assert accepted == Submitted(platform_job_id="id-1", refs=("id-1",), result=result)
    assert (asked.method, asked.path, asked.body) == ("POST", "/tasks", None)
    assert asked.fields == {"index_id": INDEX, "video_url": LECTURE}


METADATA = {"title": "Vorlesung “1”", "week": 7, "live": True}


@pytest.mark.parametrize(
    ("step", "options", "sent"),
    [
        (
            "asset",
            {"filename": "ä.mp4", "enable_hls": True, "enable_thumbnail": False, "user_metadata": METADATA},
            {"filename": "ä.mp4", "enable_hls": "true", "enable_thumbnail": "false", "user_metadata": METADATA},
        ),
        (
            "indexed_asset",
            {"enable_video_stream": False, "user_metadata": METADATA},
            {"enable_video_stream": False, "user_metadata": METADATA},
        ),
        (
            "task",
            {"enable_video_stream": False, "user_metadata": METADATA},
            {"enable_video_stream": "false", "user_metadata": METADATA},
        ),
    ],
)
def test_what_the_caller_asks_for_is_passed_on(
    script: Script, step: str, options: dict[str, Any], sent: dict[str, Any]
) -> None:
    script.answer(201, ACCEPTED)

    submit(step, options={"index_id": INDEX, step: options})

    (asked,) = script.asked
    got = dict(asked.body or asked.fields or {})
    if asked.fields:  # a form has it as text
        got["user_metadata"] = json.loads(got["user_metadata"])
        got["user_metadata"].pop("video_jobs_submission", None)
    assert {name: got[name] for name in sent} == sent


@pytest.mark.parametrize("step", MODULES)
def test_the_simulated_platform_takes_what_is_asked(twelvelabs: SimulatedTwelveLabs, step: str) -> None:
    source = "https://example.com/a%20b.mp4?x=1&y=ä;z='\"%0A"
    options = {"filename": 'ä".mp4'} if step == "asset" else {"enable_video_stream": True}
    wanted = {"index_id": INDEX, "task" if step == "task" else step: options | {"user_metadata": METADATA}}

    job = run(source=source, plan="task" if step == "task" else "asset", options=wanted)

    assert job.status == JobStatus.SUCCEEDED
    bodies = [request.body for request in twelvelabs.requests if request.method == "POST"]
    assert bodies[0]["video_url" if step == "task" else "url"] == source
    found = [body["user_metadata"] for body in bodies if "user_metadata" in body]
    metadata = [json.loads(said) if isinstance(said, str) else said for said in found]
    theirs = [{name: value for name, value in said.items() if name != "video_jobs_submission"} for said in metadata]
    assert [said for said in theirs if said] == [METADATA]


@pytest.mark.parametrize("step", MODULES)
@pytest.mark.parametrize("body", [{}, {"_id": 7}, {"_id": ""}, {"_id": ".."}, {"_id": "a/b"}, {"id": "id-1"}])
def test_an_answer_that_names_nothing_is_asked_for_again(script: Script, step: str, body: dict[str, Any]) -> None:
    script.answer(201, body)

    with pytest.raises(TransientError, match="does not say"):
        submit(step)


# --- What is asked for twice -----------------------------------------------------------------------------------------


def second_try(step: str, **changes: Any) -> Submitted:
    job = job_of(step)
    tried = job.steps[step].model_copy(update={"attempt": 2})
    job = job.model_copy(update={"steps": job.steps | {step: tried}, **changes})
    answer: Submitted = MODULES[step].submit(TwelveLabs(), job, callback_url="")
    return answer


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [{"_id": "asset-1", "filename": "lecture.mp4"}],
        [{"_id": "asset-1", "user_metadata": None}],
        [{"_id": "asset-1", "user_metadata": {"video_jobs_submission": "another"}}],
        [None, "asset-1"],
        None,
    ],
)
def test_a_second_try_makes_the_asset_that_the_first_has_not_made(script: Script, listed: Any) -> None:
    script.answer(200, {"data": listed})
    script.answer(201, {"_id": "asset-2"})

    assert second_try("asset").platform_job_id == "asset-2"
    assert [(asked.method, asked.path) for asked in script.asked] == [
        ("GET", "/assets?page_limit=50&filename=lecture.mp4"),
        ("POST", "/assets"),
    ]


def test_a_second_try_finds_the_asset_by_our_mark(script: Script) -> None:
    mark = {"video_jobs_submission": job_of("asset").submission_key("asset"), "course": "biology"}
    script.answer(
        200, {"data": [{"_id": "asset-7"}, {"_id": "asset-8", "user_metadata": mark, "status": "processing"}]}
    )

    assert second_try("asset") == Submitted(platform_job_id="asset-8", platform_status="processing")
    assert len(script.asked) == 1


def test_a_second_try_finds_the_asset_in_its_index_but_not_what_has_failed(script: Script) -> None:
    indexed = [("ia-1", INDEX), ("ia-2", "another"), ("ia-3", INDEX)]
    script.answer(200, {"data": [{"_id": name, "index": {"_id": index, "name": "x"}} for name, index in indexed]})

    assert second_try("indexed_asset", refs=("asset-1", "ia-1")).platform_job_id == "ia-3"
    assert [asked.path for asked in script.asked] == ["/assets/asset-1/indexed-assets?page_limit=50"]


@pytest.mark.parametrize("step", ["asset", "indexed_asset"])
def test_where_nothing_can_be_looked_for_it_is_asked_for_anew(script: Script, step: str) -> None:
    script.answer(404, {"code": "api_not_allowed"})
    script.answer(201, {"_id": "id-2"})

    assert second_try(step).platform_job_id == "id-2"


# --- What the answers of polls mean ----------------------------------------------------------------------------------

PATHS = {
    "asset": "/assets/id-1",
    "indexed_asset": f"/indexes/{INDEX}/indexed-assets/id-1",
    "task": "/tasks/id-1",
}
NAMES = {"asset": "asset_id", "indexed_asset": "indexed_asset_id", "task": "task_id"}
WORDS = ("uploading", "validating", "pending", "queued", "indexing", "ready", "failed")


def test_every_documented_word_has_one_of_ours() -> None:
    ours = {word: statuses.ours(word) for word in WORDS}

    assert ours == dict.fromkeys(WORDS[:5], "running") | {"ready": "succeeded", "failed": "failed"}
    assert statuses.ours("processing") == "running"


def test_progress_grows_with_the_order_of_the_words() -> None:
    fractions = [statuses.progress(word) for word in WORDS[:5]]

    assert all(fraction is not None and 0 < fraction < 1 for fraction in fractions)
    assert fractions == sorted(set(fractions), key=lambda fraction: fraction or 0)


@pytest.mark.parametrize("step", MODULES)
@pytest.mark.parametrize("word", [*WORDS[:5], "processing", "Indexing", "something new"])
def test_a_step_goes_on_until_its_status_is_an_end_and_keeps_twelvelabs_word(
    script: Script, step: str, word: str
) -> None:
    script.answer(200, {"_id": "id-1", "status": word})

    stands = poll(step)

    assert [asked.path for asked in script.asked] == [PATHS[step]]
    assert isinstance(stands, StepRunning)
    assert (stands.platform_status, stands.progress, stands.soon) == (word, statuses.progress(word), False)
    assert stands.result == {NAMES[step]: "id-1"}


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": 7}, {"status": ""}, {"status": ["ready"]}])
def test_an_answer_without_a_status_says_nothing(script: Script, body: dict[str, Any]) -> None:
    script.answer(200, body)

    assert poll("task") == StepRunning(result={"task_id": "id-1"})


def test_a_step_whose_id_is_not_known_is_not_asked_after(script: Script) -> None:
    assert poll("task", ours=None) == StepRunning()
    assert script.asked == []


@pytest.mark.parametrize("step", MODULES)
@pytest.mark.parametrize("word", ["ready", "failed"])
def test_if_an_end_was_hinted_that_the_status_does_not_show_it_is_near(script: Script, step: str, word: str) -> None:
    script.answer(200, {"_id": "id-1", "status": "indexing"})

    stands = poll(step, hints={"status": word})

    assert isinstance(stands, StepRunning)
    assert stands.soon


# printed on the page "Retrieve a video indexing task"; its addresses are shorter here
READY_TASK = {
    "_id": "61e1789761c43d6d9b7362f3",
    "created_at": "2022-01-14T13:20:22.986Z",
    "hls": {
        "video_url": "https://d2cp8xx7n5vxnu.cloudfront.net/stream.m3u8",
        "thumbnail_urls": ["https://d2cp8xx7n5vxnu.cloudfront.net/0000001.jpg"],
        "status": "COMPLETE",
        "updated_at": "2024-01-16T07:59:40.879Z",
    },
    "index_id": "61e165b061c43d6d9b73627b",
    "status": "ready",
    "updated_at": "2022-01-17T08:35:21.639Z",
    "video_id": "61e1789761c43d6d9b7362f3",
}


ODDITIES = ("NaN", "1e999", "9" * 5000, '"a \\ud83d"', "1, %s: 2", "[" * 60 + "]" * 60)
"""What an answer may have in it that JSON has not: "%s" is the field in which it stands."""


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda text: text[:12])
@pytest.mark.parametrize("step", ["asset", "indexed_asset", "task"])
def test_an_answer_with_odd_values_in_it_still_says_what_it_says(script: Script, step: str, oddity: str) -> None:
    odd = f'"duration": {oddity}'.replace("%s", '"duration"')
    script.answer(201, f'{{"_id": "id-1", {odd}}}'.encode())
    script.answer(200, f'{{"_id": "id-1", "status": "ready", "system_metadata": {{{odd}}}, {odd}}}'.encode())

    accepted = submit(step)
    ready = poll(step)

    assert accepted.platform_job_id == "id-1"
    assert isinstance(ready, PollResult)
    assert isinstance(ready.end, StepSucceeded)
    jsontext.read(json.dumps(ready.end.result).encode())
    assert len(script.asked) == 2


@pytest.mark.parametrize("word", ["ready", "Ready"])
def test_a_ready_task_names_its_video(script: Script, word: str) -> None:
    body = READY_TASK | {"status": word, "system_metadata": {"duration": 30.0, "filename": "a.mp4"}}
    script.answer(200, body)

    ready = poll("task", ours="61e1789761c43d6d9b7362f3")

    assert ready == PollResult(
        end=StepSucceeded(
            result={
                "task_id": "61e1789761c43d6d9b7362f3",
                "video_id": "61e1789761c43d6d9b7362f3",
                "index_id": "61e165b061c43d6d9b73627b",
                "hls": READY_TASK["hls"],
                "system_metadata": {"duration": 30.0, "filename": "a.mp4"},
            },
            refs=("61e1789761c43d6d9b7362f3",),
        ),
        body=body,
        platform_status=word,
    )


def test_a_ready_asset_says_what_it_is(script: Script) -> None:
    body = {"_id": "id-1", "status": "ready", "filename": "a.mp4", "duration": 30.5, "size": 7, "hls": None}
    script.answer(200, body)

    ready = poll("asset")

    assert isinstance(ready, PollResult)
    assert ready.end == StepSucceeded(
        result={"asset_id": "id-1", "filename": "a.mp4", "duration": 30.5, "size": 7}, refs=("id-1",)
    )


@pytest.mark.parametrize("video_id", [None, 7, "", "a/b"])
def test_a_ready_task_with_an_odd_video_is_ready_all_the_same(script: Script, video_id: Any) -> None:
    script.answer(200, {"_id": "id-1", "status": "ready", "video_id": video_id})

    ready = poll("task")

    assert isinstance(ready, PollResult)
    assert isinstance(ready.end, StepSucceeded)
    assert ready.end.refs == ()


def test_what_is_too_large_for_a_job_is_left_to_the_archive(script: Script) -> None:
    script.answer(200, READY_TASK | {"hls": {"thumbnail_urls": ["x" * 100] * 1000}})

    ready = poll("task")

    assert isinstance(ready, PollResult)
    assert isinstance(ready.end, StepSucceeded)
    assert ready.end.result.keys() == {"task_id", "video_id", "index_id"}
    assert len(ready.body["hls"]["thumbnail_urls"]) == 1000


def failure(stands: StepRunning | PollResult) -> JobError:
    assert isinstance(stands, PollResult)
    assert isinstance(stands.end, StepFailed)
    return stands.end.error


@pytest.mark.parametrize(
    ("step", "body", "code", "message"),
    [
        ("task", {}, "task_failed", "TwelveLabs gave no reason"),
        ("task", {"error_reason": "Indexing failed."}, "task_failed", "Indexing failed."),
        ("task", {"error_reason": "video_file_broken"}, "video_file_broken", "video_file_broken"),
        (
            "task",
            {"error_reason": {"code": "video_duration_too_long", "message": "Too long."}},
            "video_duration_too_long",
            "Too long.",
        ),
        ("task", {"error_reason": ["?"]}, "task_failed", "TwelveLabs gave no reason"),
        ("asset", {"error": {"message": "No access."}}, "asset_failed", "No access."),
        ("asset", {"error": {}}, "asset_failed", "TwelveLabs gave no reason"),
        ("asset", {"error": {"code": "video_file_broken"}}, "video_file_broken", "video_file_broken"),
        ("indexed_asset", {}, "indexing_failed", "TwelveLabs gave no reason"),
        ("indexed_asset", {"error": {"message": "Why not."}}, "indexing_failed", "Why not."),
    ],
)
def test_a_failure_has_its_reason_where_there_is_one(
    script: Script, step: str, body: dict[str, Any], code: str, message: str
) -> None:
    script.answer(200, {"_id": "id-1", "status": "failed"} | body)

    error = failure(poll(step))

    assert (error.code, error.message) == (code, message)
    assert error.cause
    assert error.action


def test_a_failed_task_still_says_its_video(script: Script) -> None:
    script.answer(200, {"_id": "id-1", "status": "failed", "video_id": "video-1", "index_id": INDEX})

    failed = poll("task")

    assert isinstance(failed, PollResult)
    assert failed.end.result == {"task_id": "id-1", "video_id": "video-1", "index_id": INDEX}


@pytest.mark.parametrize("step", MODULES)
def test_what_twelvelabs_does_not_know_is_not_found(script: Script, step: str) -> None:
    message = "Resource with id id-1 does not exist in tasks."
    script.answer(404, {"code": "resource_not_exist", "message": message})

    error = failure(poll(step))

    assert (error.code, error.message, error.retryable) == ("not_found", message, True)


def test_a_refusal_that_is_about_us_is_no_answer_about_the_task(script: Script) -> None:
    script.answer(401, {"code": "api_key_invalid", "message": "API Key is either invalid or expired."})

    with pytest.raises(RefusedByPlatformError):
        poll("task")


# --- Refusals and faults ---------------------------------------------------------------------------------------------

DOCUMENTED = {
    *("parameter_invalid", "parameter_not_provided", "parameter_unknown", "resource_not_exist", "api_key_invalid"),
    *("api_allowed_for_paid_plan", "api_not_allowed", "unauthorized", "region_not_allowed"),
    *("request_canceled_or_timed_out", "too_many_requests", "tags_not_allowed", "api_upgrade_required"),
    *("video_resolution_too_low", "video_resolution_too_high", "video_resolution_invalid_aspect_ratio"),
    *("video_duration_too_short", "video_duration_too_long", "video_file_broken", "video_filesize_too_large"),
    *("usage_limit_exceeded", "task_cannot_be_deleted"),
}


def test_the_table_of_errors_is_the_documented_one() -> None:
    assert errors.KNOWN_ERRORS.keys() == DOCUMENTED
    for code, known in errors.KNOWN_ERRORS.items():
        assert (known.code, bool(known.cause), bool(known.action)) == (code, True, True)


ENVELOPES: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "flat": lambda code, message: {"code": code, "message": message, "docs_url": "https://docs.twelvelabs.io"},
    "nested": lambda code, message: {"error": {"code": code, "message": message, "details": {}}},
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
@pytest.mark.parametrize("code", sorted(DOCUMENTED - errors.PASSING))
@pytest.mark.parametrize("message", ["What it says of it.", ""])
def test_the_code_alone_decides_in_either_envelope_whatever_the_message_and_the_status(
    script: Script, envelope: Callable[[str, str], dict[str, Any]], code: str, message: str
) -> None:
    for status in (400, 403, 409, 413, 429, 500, 503, 504):
        script.asked.clear()
        script.answers = [(status, envelope(code, message), {})]
        with pytest.raises(RefusedByPlatformError) as refused:
            submit("task")
        assert refused.value.error.code == code
        assert refused.value.error.message == (message or "TwelveLabs gave no reason")
        assert refused.value.status == status


@pytest.mark.parametrize("code", sorted(errors.PASSING))
@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
@pytest.mark.parametrize("status", [400, 408, 409, 413, 429, 500, 503, 504])
def test_codes_of_what_passes_are_transient_whatever_their_status(
    script: Script, envelope: Callable[[str, str], dict[str, Any]], code: str, status: int
) -> None:
    script.answer(status, envelope(code, "Later."), retry_after="7")

    with pytest.raises(TransientError) as fault:
        submit("task")

    error, known = fault.value.error, errors.KNOWN_ERRORS[code]
    assert (error.code, error.message, error.cause, error.action) == (code, "Later.", known.cause, known.action)
    assert (error.retryable, fault.value.wait_seconds, fault.value.status) == (True, 7, status)
    assert fault.value.rate_limited == (status == 429 or code == "too_many_requests")


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "api_key_invalid"), (403, "unauthorized"), (404, "resource_not_exist"), (413, "video_filesize_too_large")],
)
@pytest.mark.parametrize("body", [b"<html>", {}, {"message": "No."}, {"code": 7}, {"error": "no"}])
def test_without_a_code_the_status_says_what_it_can(script: Script, status: int, code: str, body: Any) -> None:
    script.answer(status, body)

    with pytest.raises(RefusedByPlatformError) as refused:
        submit("asset")

    assert refused.value.error.code == code


def test_a_code_that_nobody_knows_is_kept_in_the_message(script: Script) -> None:
    script.answer(400, {"code": "video_too_boring", "message": "Nothing happens in it."})

    with pytest.raises(RefusedByPlatformError) as refused:
        submit("asset")

    error = refused.value.error
    assert (error.code, error.message) == ("request_refused", "video_too_boring: Nothing happens in it.")


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"<html>", {"error": {"code": "service_unavailable", "message": "Later."}}])
def test_what_passes_is_transient(script: Script, status: int, body: Any) -> None:
    script.answer(status, body)

    with pytest.raises(TransientError) as fault:
        submit("asset")

    assert (fault.value.error.code, fault.value.error.retryable) == ("platform_unavailable", True)
    assert fault.value.rate_limited == (status == 429)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("video_resolution_too_low", ["current resolution: 320x180"]),
        ("video_resolution_too_high", ["current resolution: 7680x4320"]),
        ("video_resolution_invalid_aspect_ratio", ["current resolution: 3840x1080"]),
        ("video_duration_too_short", ["minimum duration: 4 seconds", "current duration: 2 seconds"]),
        ("video_duration_too_long", ["maximum duration: 7200 seconds", "current duration: 9000 seconds"]),
        ("video_filesize_too_large", ["maximum size: 2GB", "current file size: 3GB"]),
    ],
)
def test_what_the_printed_message_says_of_sizes_is_shown_with_the_cause(code: str, shown: list[str]) -> None:
    error = errors.of_refusal({"code": code, "message": VIDEO_MESSAGES[code]}, status=400)

    assert error.cause == f"{errors.KNOWN_ERRORS[code].cause} ({'; '.join(shown)})"
    assert error.message == VIDEO_MESSAGES[code]


@pytest.mark.parametrize("code", sorted(DOCUMENTED))
def test_a_message_of_another_edition_is_shown_as_it_is(code: str) -> None:
    error = errors.of_refusal({"code": code, "message": "In other words."}, status=400)

    assert (error.code, error.cause) == (code, errors.KNOWN_ERRORS[code].cause)


def test_a_rate_limit_is_shown_with_what_its_message_says(script: Script) -> None:
    message = "You have exceeded the rate limit (60req/1minute). Please try again later after 30s."
    script.answer(429, {"code": "too_many_requests", "message": message})

    with pytest.raises(TransientError) as fault:
        submit("asset")

    assert fault.value.error.cause.endswith("(rate limit: 60req/1minute; retry after: 30s)")
    assert str(fault.value) == message


def test_a_page_of_text_is_no_message() -> None:
    error = errors.of_refusal({"code": "parameter_invalid", "message": "x" * 10_000}, status=400)

    assert len(error.message) == LONGEST_MESSAGE


MOMENT = 1_795_341_600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 01 Jan 2021 00:00:00 GMT"}, 0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "7", "x-ratelimit-request-reset": "30"}, 7),
        ({"x-ratelimit-request-reset": "30"}, 30),
        ({"x-ratelimit-request-reset": str(MOMENT + 42)}, 42),
        ({"x-ratelimit-request-reset": str(MOMENT - 42)}, 0),
        ({"x-ratelimit-request-remaining": "0", "x-ratelimit-request-reset": "30"}, 30),
        ({"x-ratelimit-request-remaining": "5", "x-ratelimit-request-reset": "30"}, None),
        ({"x-ratelimit-reset": str(MOMENT + 42)}, 42),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"}, None),
        ({"x-ratelimit-reset": "-5"}, None),
        ({"x-ratelimit-reset": "nan"}, None),
        ({"x-ratelimit-reset": "inf", "x-ratelimit-request-reset": "1e999"}, None),
        ({"retry-after": "Mon, 20 Nov 9999999999 12:00:00 +0000"}, None),
        ({"retry-after": "Mon, 20 Nov 9999999999 12:00:00 +0000", "x-ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-reset": "٣"}, None),
    ],
)
def test_a_rate_limits_headers_say_how_long_to_wait_in_both_editions(
    script: Script, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], seconds: float | None
) -> None:
    change(monkeypatch, client, time, time=lambda: float(MOMENT))
    script.answers = [(429, {"code": "too_many_requests"}, {name.title(): value for name, value in headers.items()})]

    with pytest.raises(TransientError) as fault:
        submit("asset")

    assert fault.value.wait_seconds == seconds


def test_nobody_there_is_transient(secretsmanager: SecretsManager) -> None:
    with pytest.raises(TransientError, match="no answer from TwelveLabs"):
        submit("asset")


def test_a_wrong_key_is_refused_and_is_in_no_message(
    twelvelabs: SimulatedTwelveLabs, secretsmanager: SecretsManager
) -> None:
    secretsmanager.put("TWELVELABS_SECRET", api_key="tlk_revoked_7")

    with pytest.raises(RefusedByPlatformError) as refused:
        submit("asset")

    assert refused.value.error.code == "api_key_invalid"
    assert "tlk_revoked_7" not in refused.value.error.model_dump_json()


def test_a_key_that_was_changed_a_moment_ago_is_read_anew(
    twelvelabs: SimulatedTwelveLabs, secretsmanager: SecretsManager
) -> None:
    secretsmanager.put("TWELVELABS_SECRET", api_key="tlk_revoked_7")
    secrets.values("TWELVELABS_SECRET")
    secretsmanager.values["TWELVELABS_SECRET"] = json.dumps(SECRET)

    assert submit("asset").platform_job_id


def test_without_an_api_key_the_error_says_what_to_put_where(secretsmanager: SecretsManager) -> None:
    secretsmanager.put("TWELVELABS_SECRET", webhook="whs_test")

    with pytest.raises(TransientError) as fault:
        submit("asset")

    assert fault.value.error.code == "not_configured"
    assert "TwelveLabs" in fault.value.error.action


def test_ids_are_parts_of_a_path_whatever_stands_in_them(script: Script) -> None:
    script.answer(200, {})

    TwelveLabs().indexed_asset("../x", "a/b?c")

    assert script.asked[0].path == "/indexes/..%2Fx/indexed-assets/a%2Fb%3Fc"


# --- All of it, against the simulated platform -----------------------------------------------------------------------


def test_an_asset_is_made_and_indexed_by_polls_alone(twelvelabs: SimulatedTwelveLabs) -> None:
    job = run()

    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None)
    made, indexed = result_of(job, "asset"), result_of(job, "indexed_asset")
    assert made["filename"] == "lecture.mp4"
    assert made["asset_id"] == indexed["asset_id"]
    assert indexed["indexed_asset_id"] == job.steps["indexed_asset"].platform_job_id
    assert indexed["system_metadata"]["duration"] == made["duration"]
    assert set(job.refs) == {made["asset_id"], indexed["indexed_asset_id"]}
    assert posts(twelvelabs) == ["/assets", f"/indexes/{INDEX}/indexed-assets"]


def test_a_task_ends_by_polls_alone(twelvelabs: SimulatedTwelveLabs) -> None:
    job = run(plan="task")

    assert job.status == JobStatus.SUCCEEDED
    result = result_of(job, "task")
    assert result["hls"]["status"] == "COMPLETE"
    assert (result["index_id"], result["system_metadata"]["filename"]) == (INDEX, "lecture.mp4")
    assert job.refs == (result["task_id"], result["video_id"])
    assert result["video_id"] != result["task_id"]


def test_an_asset_that_is_there_already_is_indexed(twelvelabs: SimulatedTwelveLabs) -> None:
    made = TwelveLabs().create_asset({"method": "url", "url": LECTURE})["_id"]
    while TwelveLabs().asset(made)["status"] != "ready":
        time.sleep(0.005)

    job = run(media_id=made)

    assert job.status == JobStatus.SUCCEEDED
    assert result_of(job, "indexed_asset")["asset_id"] == made


@pytest.mark.parametrize("plan_name", ["asset", "task"])
@pytest.mark.parametrize("file", ["flaky", "reset", "html", "silent", "late", "twice"])
def test_what_passes_delays_a_job_and_no_more(twelvelabs: SimulatedTwelveLabs, file: str, plan_name: str) -> None:
    assert run(source=f"https://example.com/{file}.mp4", plan=plan_name).status == JobStatus.SUCCEEDED


REFUSED = [
    *("video_resolution_too_low", "video_resolution_too_high", "video_resolution_invalid_aspect_ratio"),
    *("video_duration_too_short", "video_duration_too_long", "usage_limit_exceeded", "video_filesize_too_large"),
]


@pytest.mark.parametrize(
    ("file", "step", "code"),
    [
        *((code, "task", code) for code in [*REFUSED, "video_file_broken"]),
        *((code, "indexed_asset", code) for code in REFUSED[:-1]),
        ("video_filesize_too_large", "asset", "video_filesize_too_large"),
        ("video_file_broken", "asset", "asset_failed"),
        ("private", "asset", "asset_failed"),
        ("private", "task", "task_failed"),
        ("corrupt", "task", "task_failed"),
        ("index-fails", "task", "task_failed"),
        ("index-fails", "indexed_asset", "indexing_failed"),
        ("refused", "asset", "parameter_invalid"),
        ("refused", "task", "parameter_invalid"),
    ],
)
def test_each_failure_ends_as_its_error(twelvelabs: SimulatedTwelveLabs, file: str, step: str, code: str) -> None:
    job = run(source=f"https://example.com/{file}.mp4", plan="task" if step == "task" else "asset")

    assert (job.status, job.current) == (JobStatus.FAILED, step)
    assert job.error is not None
    assert (job.error.code, job.error) == (code, job.steps[step].error)
    assert [found.status for name, found in job.steps.items() if name != step] in ([], ["waiting"], ["succeeded"])


def test_the_reason_of_a_failed_task_is_what_the_task_says(twelvelabs: SimulatedTwelveLabs) -> None:
    job = run(source="https://example.com/private.mp4", plan="task")

    assert job.error is not None
    assert job.error.message == "The platform could not access the file."
    assert result_of(job, "task")["video_id"]


def test_an_index_that_does_not_exist_ends_as_its_error(twelvelabs: SimulatedTwelveLabs) -> None:
    job = run(options={"index_id": "unknown-1"})

    assert job.error is not None
    assert (job.current, job.error.code) == ("indexed_asset", "resource_not_exist")


def test_a_wrong_key_ends_as_its_error(twelvelabs: SimulatedTwelveLabs, secretsmanager: SecretsManager) -> None:
    secretsmanager.put("TWELVELABS_SECRET", api_key="tlk_revoked")

    job = run()

    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("api_key_invalid", True)


def test_a_lost_answer_makes_no_second_asset_and_no_second_indexed_asset(twelvelabs: SimulatedTwelveLabs) -> None:
    job = run(source="https://example.com/lost.mp4")

    assert (job.status, [step.attempt for step in job.steps.values()]) == (JobStatus.SUCCEEDED, [2, 2])
    assert posts(twelvelabs) == ["/assets", f"/indexes/{INDEX}/indexed-assets"]
    made, indexed = result_of(job, "asset")["asset_id"], result_of(job, "indexed_asset")["indexed_asset_id"]
    assert [one["_id"] for one in TwelveLabs().newest_assets("lost.mp4")] == [made]
    assert [one["_id"] for one in TwelveLabs().indexed_assets_of(made)] == [indexed]


def test_a_lost_answer_makes_a_second_task_for_twelvelabs_knows_no_key_there(twelvelabs: SimulatedTwelveLabs) -> None:
    job = run(source="https://example.com/lost.mp4", plan="task")

    assert (job.status, job.steps["task"].attempt) == (JobStatus.SUCCEEDED, 2)
    assert posts(twelvelabs) == ["/tasks", "/tasks"]


# --- A file ----------------------------------------------------------------------------------------------------------

FILE = FormFile("a.mp4", b"the video", "video/mp4")


def hand_over() -> tuple[task.TaskOfFile, Any]:
    """The step of a file, and what its submission comes to: an answer, or what is raised."""
    step = task.TaskOfFile(file=FILE)
    try:
        return step, step.submit(TwelveLabs(), job_of("task"), callback_url="")
    except RefusedByPlatformError as refusal:
        return step, refusal


def test_a_file_goes_on_to_twelvelabs_with_what_was_asked_for(script: Script) -> None:
    script.answer(201, {"_id": "task-1", "video_id": "video-1", "status": "validating"})

    step, accepted = hand_over()

    ((fields,),) = [[dict(asked.fields or {}) for asked in script.asked]]
    assert fields == {"index_id": INDEX, "video_file": FILE}
    assert accepted == Submitted(
        platform_job_id="task-1",
        platform_status="validating",
        refs=("task-1",),
        result={"task_id": "task-1", "video_id": "video-1"},
    )
    assert step.error is None


@pytest.mark.parametrize(
    ("status", "code"), [(429, "platform_unavailable"), (503, "platform_unavailable"), (400, "video_file_broken")]
)
def test_a_file_that_twelvelabs_does_not_take_is_not_tried_again(script: Script, status: int, code: str) -> None:
    script.answer(status, {"code": code} if status == 400 else b"<html>")

    step, refusal = hand_over()

    assert isinstance(refusal, RefusedByPlatformError), "nobody has the file for another try"
    assert (refusal.error.code, refusal.status) == (code, status)
    assert isinstance(step.error, TransientError) == (status != 400)


def test_the_task_of_a_file_is_polled_as_any_other(script: Script) -> None:
    script.answer(200, {"_id": "id-1", "status": "ready", "video_id": "video-1"})
    stands = Step(status=StepStatus.RUNNING, attempt=1, platform_job_id="id-1")

    answer = task.TaskOfFile(file=FILE).poll(TwelveLabs(), job_of("task"), stands)

    assert isinstance(answer, PollResult)
    assert isinstance(answer.end, StepSucceeded)


def test_a_task_whose_file_is_gone_says_so(script: Script) -> None:
    job = job_of("task")
    job = job.model_copy(update={"request": job.request.model_copy(update={"source": None})})

    answer = task.submit(TwelveLabs(), job, callback_url="")

    assert isinstance(answer, PollResult)
    assert isinstance(answer.end, StepFailed)
    assert (answer.end.error.code, script.asked) == ("file_not_kept", [])


@pytest.mark.parametrize("step", MODULES)
def test_an_address_that_twelvelabs_does_not_know_says_nothing_about_the_work(script: Script, step: str) -> None:
    script.answer(404, {"code": "api_not_allowed", "message": "…"})

    with pytest.raises(RefusedByPlatformError):
        poll(step)


def test_a_field_is_an_id_only_if_it_can_be_asked_for() -> None:
    assert waiting.named({"_id": "69a482a37f90675e73cec9a6"}, "_id") == "69a482a37f90675e73cec9a6"
    assert waiting.named({"_id": "a b"}, "_id") is None
    assert waiting.named({}, "_id") is None
