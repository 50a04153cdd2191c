"""What the log never has: credentials, whoever's words they are in, and values that did not fit."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from video_jobs import logs
from video_jobs.aws import clients, secrets
from video_jobs.jobs.model import RetryPolicy, StepRunning
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.videodb import errors
from video_jobs.store import batches, jobs, table
from video_jobs.worker import submit

from tests import log
from tests.api.calls import call, create
from tests.batch import another_id, new_batch
from tests.cloudformation import ROOT
from tests.scripted import ScriptedPlatform, ScriptedStep, new_job
from tests.stack import API_KEY, Context, Stack, handler, sqs_event
from tests.test_redaction import CALLBACK, PRESIGNED, SECRET_PARTS

logger = logs.logger()

FILES = [*ROOT.glob("functions/**/*.py"), *ROOT.glob("layers/shared/video_jobs/**/*.py")]
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
WORD = r"'[a-z_]+'"
MARK = "a-value-that-does-not-fit"


def leaks(text: str) -> list[str]:
    return [part for part in SECRET_PARTS if part in text]


# --- One place for every line -----------------------------------------------------------------------------------------


def test_every_logger_is_made_where_its_lines_are_redacted() -> None:
    makers = [str(file.relative_to(ROOT)) for file in FILES if re.search(r"\b(Logger|getLogger)\(", file.read_text())]

    assert makers == ["layers/shared/video_jobs/logs.py"]


def said(source: str) -> Iterator[str]:
    """The constants among what a module logs: a message, or the messages between which it chooses."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"), attr=level), args=[message, *_]) if (
                level in LEVELS
            ):
                chosen = (message.body, message.orelse) if isinstance(message, ast.IfExp) else (message,)
                yield from (ast.unparse(each) for each in chosen if not isinstance(each, ast.Name | ast.Attribute))


def test_a_message_is_a_word_to_search_for() -> None:
    messages = {message for file in FILES for message in said(file.read_text())}

    assert not [message for message in messages if not re.fullmatch(WORD, message)]
    assert {"'defect'", "'applied'", "'unchanged'", "'moved_to_dead_letters'"} <= messages


@pytest.mark.parametrize(
    "message", ["'not moved'", "f'job {x}'", "'gone ' + x", "'Gone'", "'done' if x else 'not done'"]
)
def test_a_sentence_is_none(message: str) -> None:
    assert [each for each in said(f"logger.info({message})") if not re.fullmatch(WORD, each)]


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


@pytest.mark.parametrize("error", [refused, passing, ours])
@pytest.mark.parametrize("when", ["submit", "poll"])
def test_what_a_platform_quotes_is_in_no_line_no_answer_and_no_notification(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], when: str
) -> None:
    script = ScriptedStep(submits=[error()]) if when == "submit" else ScriptedStep(polls=[error(), StepRunning()])
    platform = ScriptedPlatform(steps={"upload": script})
    policy = RetryPolicy(max_attempts=2, base_delay=0)
    jobs.create(new_job(plan=["upload"], source=PRESIGNED, retry=policy))
    monkeypatch.setattr(submit, "LEASE_SECONDS", 0)

    with log.captured() as written:
        for _ in range(6):
            platform.worker(sqs_event({"MessageId": "1", "ReceiptHandle": "1", "Body": look()}), Context())

    shown = call("GET", "/jobs/job-1").json
    assert script.submitted
    assert not leaks(written.getvalue())
    assert shown.pop("source") == PRESIGNED  # whoever has the API key gave it to us
    assert not leaks(json.dumps(shown))
    for message in stack.messages("BusNotifications"):
        assert json.loads(json.loads(message)["event"])["data"].pop("source") == PRESIGNED
        assert not leaks(message.replace(PRESIGNED, ""))
    if when == "submit" and error is refused:
        assert shown["error"]["message"].startswith("Download failed: https://bucket.s3.eu-central-1.amazonaws.com/a/")
        assert written.messages("job_ended")


def look() -> str:
    return json.dumps({"job_id": "job-1", "due_at": 0})


# --- What did not fit -------------------------------------------------------------------------------------------------


def spoil(key: str, sort_key: str, **changes: Any) -> None:
    """What another release has written, or somebody by hand."""
    name = table.name()
    at = table.to_wire({"pk": key, "sk": sort_key})
    item = clients.dynamodb().get_item(TableName=name, Key=at)["Item"]
    clients.dynamodb().put_item(TableName=name, Item={**item, **table.to_wire(changes)})


def bad_job(**state: Any) -> None:
    jobs.create(new_job(plan=["upload"]))
    state = {"status": "running", "updated": 0, "steps": {"upload": {"s": MARK, "n": MARK}}} | state
    spoil("JOB#job-1", "JOB", body=json.dumps(state))


def bad_request(**request: Any) -> None:
    jobs.create(new_job(plan=["upload"]))
    spoil("JOB#job-1", "REQUEST", body=json.dumps(request))


def show_job(_stack: Stack) -> Any:
    bad_job()
    return call("GET", "/jobs/job-1")


def retry_job(_stack: Stack) -> Any:
    bad_request(media_type=MARK, retry={"max_attempts": MARK})
    return call("POST", "/jobs/job-1/retry")


def list_jobs(_stack: Stack) -> Any:
    bad_job(status=MARK)
    return call("GET", "/jobs")


def list_events(_stack: Stack) -> Any:
    jobs.create(new_job(plan=["upload"]))
    item = {"pk": "JOB#job-1", "sk": "EVENT#1", "callback": [MARK], "via": [MARK], "meaning": 5, "received_at": 1}
    item["body"] = json.dumps({"headers": MARK, "body": [MARK]})
    clients.dynamodb().put_item(TableName=table.name(), Item=table.to_wire(item))
    return call("GET", "/jobs/job-1/events")


def show_batch(_stack: Stack) -> Any:
    batch = new_batch(another_id())
    batches.create(batch, [])
    spoil(f"BATCH#{batch.batch_id}", "BATCH", status=MARK)
    return call("GET", f"/batches/{batch.batch_id}")


def work_on_job(stack: Stack) -> Any:
    bad_job()
    return handler("videodb/worker")(stack.received("VideoDbQueue", look()), Context())


def submit_options(stack: Stack) -> Any:
    bad_request(source="https://example.com/a.mp4", options={"upload": {"name": {"source": MARK}}})
    return handler("videodb/worker")(stack.received("VideoDbQueue", look()), Context())


def read_notification(stack: Stack) -> Any:
    event = stack.received("UrlNotifications", json.dumps({"to": "url", "url": [MARK], "event_id": MARK}))
    return handler("pipeline/notify")(event, Context())


def expand_batch(stack: Stack) -> Any:
    batch = new_batch(another_id())
    _, (work_id,) = batches.create(batch, [f"https://example.com/{MARK}.mp4"])
    spoil(f"BATCH#{batch.batch_id}", "BATCH", status=MARK)
    event = stack.received("BatchesQueue", json.dumps({"work_id": work_id}))
    return handler("pipeline/batches")(event, Context())


def list_tasks(_stack: Stack) -> Any:
    jobs.create(new_job(provider="twelvelabs", plan=["task"]))
    spoil("JOB#job-1", "JOB", body=json.dumps({"status": MARK, "updated": 0, "steps": {"task": {"s": MARK}}}))
    return call("GET", "/twelvelabs/tasks")


@pytest.mark.parametrize(
    "read",
    [
        *(show_job, retry_job, list_jobs, list_events, show_batch, list_tasks),
        *(work_on_job, submit_options, read_notification, expand_batch),
    ],
)
def test_what_does_not_fit_any_more_is_named_and_not_quoted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, read: Callable[[Stack], Any]
) -> None:
    monkeypatch.setenv("NOTIFY_SECRETS", "API_KEYS_SECRET")
    for name in ("api", "twelvelabs/api", "videodb/worker", "pipeline/notify", "pipeline/batches"):
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
