"""What the log never has: credentials, whoever's words they are in, and values that did not fit."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from video_jobs import logs, secrets, settings, store
from video_jobs.faults import RefusedByPlatformError, TransientError
from video_jobs.jobs import StepRunning
from video_jobs.platforms.videodb import errors
from video_jobs.queues import StartMessage, WorkMessage

from tests import log
from tests.api.calls import call, create
from tests.batch import another_id, new_batch
from tests.cloudformation import ROOT
from tests.scripted import ScriptedPlatform, ScriptedStep, new_job
from tests.stack import API_KEY, Context, Stack, handler
from tests.test_redaction import CALLBACK, PRESIGNED, SECRET_PARTS

logger = logs.logger()

MARK = "a-value-that-does-not-fit"


def leaks(text: str) -> list[str]:
    return [part for part in SECRET_PARTS if part in text]


# --- One place for every line -----------------------------------------------------------------------------------------


def test_every_logger_is_made_where_its_lines_are_redacted() -> None:
    files = [*ROOT.glob("functions/**/*.py"), *ROOT.glob("layers/shared/video_jobs/**/*.py")]

    makers = [str(file.relative_to(ROOT)) for file in files if re.search(r"\b(Logger|getLogger)\(", file.read_text())]

    assert makers == ["layers/shared/video_jobs/logs.py"]


def test_no_part_of_a_line_has_a_credential() -> None:
    with log.captured() as written:
        logger.append_keys(path=CALLBACK)
        logger.warning("about %s", PRESIGNED, extra={"reason": PRESIGNED, "more": {"deep": [CALLBACK, (PRESIGNED,)]}})
        try:
            raise ValueError(f"no number: {PRESIGNED}") from KeyError(CALLBACK)
        except ValueError as error:
            logger.exception("fault", extra={"error": error})
        logger.clear_state()

    first, second = written.lines
    assert not leaks(written.getvalue())
    assert first["reason"].endswith("/a/lecture%201.mp4?***")
    assert first["path"] == "https://jobs.example.com/callbacks/videodb/upload?***"
    assert second["exception_name"] == "ValueError"
    assert "no number" in second["exception"]


def test_the_values_of_secrets_are_known_once_they_are_read(stack: Stack) -> None:
    secrets.values("API_KEYS_SECRET")

    with log.captured() as written:
        logger.info("said", extra={"reason": f"the key {API_KEY} is unknown"})

    assert written.lines[0]["reason"] == "the key *** is unknown"


def test_what_cannot_be_written_down_costs_no_line() -> None:
    with log.captured() as written:
        logger.info("odd", extra={"reason": "half of a pair: \ud83d", "value": object, "number": 1.5, "none": None})

    (line,) = written.lines
    assert (line["message"], line["number"]) == ("odd", 1.5)


# --- A platform's words -----------------------------------------------------------------------------------------------

WORDS = f"Download failed: {PRESIGNED} was refused; {CALLBACK} was not called"


def refused() -> RefusedByPlatformError:
    return RefusedByPlatformError(errors.from_message(WORDS, status=400), status=400)


def passing() -> TransientError:
    return TransientError(errors.from_message(WORDS))


def ours() -> ValueError:
    return ValueError(f"invalid literal for int(): {WORDS}")


@pytest.mark.parametrize("fault", [refused, passing, ours])
@pytest.mark.parametrize("when", ["submit", "check"])
def test_what_a_platform_quotes_is_in_no_line_no_answer_and_no_notification(
    stack: Stack, fault: Callable[[], Exception], when: str
) -> None:
    step = (
        ScriptedStep(submits=[fault()]) if when == "submit" else ScriptedStep(checks=[fault(), fault(), StepRunning()])
    )
    platform = ScriptedPlatform(steps={"upload": step})
    store.create(new_job(plan=["upload"], source=PRESIGNED, retry={"max_attempts": 2, "base_delay": 0}))

    with log.captured() as written:
        platform.worker(stack.received("VideoDbSteps", StartMessage(job_id="job-1").model_dump_json()), Context())
        stack.work("VideoDbSteps", platform.worker, rounds=12)

    shown = call("GET", "/jobs/job-1").json
    assert step.submitted
    assert not leaks(written.getvalue())
    assert shown.pop("source") == PRESIGNED  # whoever has the API key gave it to us
    assert not leaks(json.dumps(shown))
    for notice in stack.messages("Notices"):
        assert json.loads(json.loads(notice)["event"])["data"].pop("source") == PRESIGNED
        assert not leaks(notice.replace(PRESIGNED, ""))
    if when == "submit" and fault is refused:
        assert shown["error"]["message"].startswith("Download failed: https://bucket.s3.eu-central-1.amazonaws.com/a/")
        assert written.messages("recorded")


# --- What did not fit -------------------------------------------------------------------------------------------------


def stored_job(**changes: Any) -> None:
    """A job whose item another release has written, or somebody by hand."""
    store.create(new_job(plan=["upload"]))
    spoil("JOB#job-1", **changes)


def spoil(key: str, **changes: Any) -> None:
    table = settings.setting("TABLE_NAME")
    for item in settings.dynamodb().scan(TableName=table)["Items"]:
        if item["pk"]["S"] == key:
            settings.dynamodb().put_item(TableName=table, Item={**item, **store.table.to_wire(changes)})


def a_bad_job() -> None:
    stored_job(status=MARK, media_type=f"{MARK}-too", retry={"max_attempts": MARK})


def show_job(_stack: Stack) -> Any:
    a_bad_job()
    return call("GET", "/jobs/job-1")


def retry_job(_stack: Stack) -> Any:
    a_bad_job()
    return call("POST", "/jobs/job-1/retry")


def list_jobs(_stack: Stack) -> Any:
    stored_job(created_at="2026", media_type=MARK)
    return call("GET", "/jobs")


def list_events(_stack: Stack) -> Any:
    store.create(new_job(plan=["upload"]))
    item = {"pk": "JOB#job-1", "sk": "EVENT#1", "event_id": "1", "callback": [MARK], "body": {"source": MARK}}
    settings.dynamodb().put_item(TableName=settings.setting("TABLE_NAME"), Item=store.table.to_wire(item))
    return call("GET", "/jobs/job-1/events")


def show_batch(_stack: Stack) -> Any:
    batch = new_batch(another_id())
    store.batches.create(batch, [])
    spoil(f"BATCH#{batch.batch_id}", status=MARK)
    return call("GET", f"/batches/{batch.batch_id}")


def work_on_job(stack: Stack) -> Any:
    a_bad_job()
    event = stack.received("VideoDbSteps", StartMessage(job_id="job-1").model_dump_json())
    return handler("videodb/steps")(event, Context())


def submit_options(stack: Stack) -> Any:
    stored_job(options=json.dumps({"upload": {"name": {"source": MARK}}}))
    event = stack.received("VideoDbSteps", StartMessage(job_id="job-1").model_dump_json())
    return handler("videodb/steps")(event, Context())


def read_message(stack: Stack) -> Any:
    event = stack.received("VideoDbSteps", json.dumps({"action": MARK, "job_id": {"source": MARK}}))
    return handler("videodb/steps")(event, Context())


def read_notice(stack: Stack) -> Any:
    event = stack.received("Notices", json.dumps({"to": "url", "url": [MARK], "event_id": MARK}))
    return handler("pipeline/notify")(event, Context())


def expand_batch(stack: Stack) -> Any:
    batch = new_batch(another_id())
    _, (work_id,) = store.batches.create(batch, [f"https://example.com/{MARK}.mp4"])
    spoil(f"BATCH#{batch.batch_id}", template=json.dumps({"provider": "videodb", "steps": [MARK]}))
    stack.messages("BatchWork")
    event = stack.received("BatchWork", WorkMessage(work_id=work_id).model_dump_json())
    return handler("pipeline/batches")(event, Context())


def list_tasks(_stack: Stack) -> Any:
    store.create(new_job(provider="twelvelabs", plan=["task"]))
    spoil("JOB#job-1", status=MARK)
    event = {
        "requestContext": {"http": {"method": "GET"}},
        "rawPath": "/twelvelabs/tasks",
        "headers": {"x-api-key": API_KEY},
    }
    return handler("api/tasks")(event, Context())


@pytest.mark.parametrize(
    "read",
    [
        *(show_job, retry_job, list_jobs, list_events, show_batch, list_tasks),
        *(work_on_job, submit_options, read_message, read_notice, expand_batch),
    ],
)
def test_what_does_not_fit_any_more_is_named_and_not_quoted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, read: Callable[[Stack], Any]
) -> None:
    monkeypatch.setenv("NOTIFY_SECRETS", "API_KEYS_SECRET")
    for name in ("api/jobs", "api/batches", "api/tasks", "videodb/steps", "pipeline/notify", "pipeline/batches"):
        handler(name)
    with log.captured() as written:
        answer = read(stack)

    text = written.getvalue()
    assert MARK not in text
    assert MARK not in str(answer)
    assert "validation error" in text
    assert "[type=" in text


def test_an_answer_names_what_does_not_fit_and_does_not_quote_it(stack: Stack) -> None:
    with log.captured() as written:
        answers = [
            create(source=f"ftp://{MARK}"),
            create(options={"upload": {"name": [MARK]}}),
            create(provider="apivideo", retry={"max_attempts": MARK}),
            call("POST", "/batches", {"provider": "videodb", "sources": [f"ftp://{MARK}"]}),
            call("GET", "/jobs", query={"limit": MARK}),
        ]

    assert [answer.status for answer in answers] == [422] * 5
    assert not [answer.text for answer in answers if MARK in answer.text]
    assert MARK not in written.getvalue()
