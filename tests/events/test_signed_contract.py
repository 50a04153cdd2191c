"""The contract that every signed callback keeps: proven, noted once, looked into, never lost, nothing told to the log.

It runs over events/, as its sibling for callbacks with a token does.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from video_jobs import secrets, settings, store
from video_jobs.jobs import LARGEST_BODY, Job, JobStatus, Step, StepStatus, Submitted

from local.samples import SAMPLE_BASE_URL, SAMPLE_SECRETS, SIGNERS
from tests.events.conftest import Away, Functions
from tests.events.samples import ONE_OF_EACH_SIGNED, ROWS, SIGNED_SAMPLES, body, callback_of, read, words
from tests.stack import STEPS_QUEUES, Context, Stack, handler

every_sample = pytest.mark.parametrize("sample", SIGNED_SAMPLES)
every_news = pytest.mark.parametrize("sample", [name for name in SIGNED_SAMPLES if ROWS[name].end == "told"])
every_ignored = pytest.mark.parametrize("sample", [name for name in SIGNED_SAMPLES if ROWS[name].end == "ignored"])
every_callback = pytest.mark.parametrize("sample", ONE_OF_EACH_SIGNED)

MOMENT = "2026-11-22T10:00:00.000Z"


@pytest.fixture(autouse=True)
def knows_the_samples(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secrets and the address that the samples are signed with."""
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", f"{SAMPLE_BASE_URL}/callbacks/apsaravideo/upload-by-url-complete")
    for provider, values in SAMPLE_SECRETS.items():
        put_secret(provider, {"api_key": "key", **values})
    secrets.forget()
    stack.calls.clear()


def put_secret(provider: str, values: dict[str, str]) -> None:
    name = f"{provider.upper()}_SECRET"
    settings.secretsmanager().put_secret_value(SecretId=name, SecretString=json.dumps(values))


def provider_of(sample: str) -> str:
    return sample.split("/")[0]


def send(stack: Stack, sample: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
    return stack.send(callback_of(sample), event or read(sample))


def with_body(sample: str, text: str) -> dict[str, Any]:
    """The sample with another body, which the platform has signed."""
    event = read(sample)
    moment = event["requestContext"]["timeEpoch"] // 1000
    url = f"{SAMPLE_BASE_URL}/callbacks/{callback_of(sample).replace('_', '-')}"
    headers = SIGNERS[provider_of(sample)](text.encode(), moment, url)
    return event | {"body": text, "isBase64Encoded": False, "headers": event["headers"] | headers}


def step_of(sample: str) -> str:
    """What an unknown id's job is made of."""
    _, job_id = adopted(sample)
    return next(iter(found(job_id).steps))


def adopted(sample: str) -> tuple[dict[str, Any], str]:
    (item,) = stack_items(f"REF#{provider_of(sample)}#{ROWS[sample].detail}")
    return item, str(item["job_id"])


def stack_items(key: str) -> list[dict[str, Any]]:
    answer = settings.dynamodb().scan(TableName=settings.setting("TABLE_NAME"))
    items = [store.table.to_plain(item) for item in answer["Items"]]
    return [item for item in items if item["pk"].startswith(key)]


def found(job_id: str) -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def running_job(stack: Stack, sample: str) -> Job:
    """A job of ours that has the id of the sample, with a step that it is about."""
    send(stack, sample)
    name = step_of(sample)
    stack.clear()
    stack.messages(STEPS_QUEUES[provider_of(sample)])
    ref = str(ROWS[sample].detail)
    steps = {
        name: Step(status=StepStatus.QUEUED, attempt_limit=3),
        "later": Step(status=StepStatus.WAITING, attempt_limit=3),
    }
    job = store.create(
        Job(
            job_id="job-1",
            provider=provider_of(sample),
            status=JobStatus.PENDING,
            plan=tuple(steps),
            steps=steps,
            created_at=MOMENT,
            updated_at=MOMENT,
        )
    )
    claimed = store.claim(job, name, lease_seconds=90)
    assert claimed is not None
    accepted = Submitted(platform_job_id=ref, refs=(ref,))
    running = store.submitted(claimed, name, accepted=accepted, check_in=900, deadline_in=3600)
    assert running is not None
    secrets.forget()
    stack.calls.clear()
    return running


def events(stack: Stack) -> list[dict[str, Any]]:
    return [item for item in stack.items() if item["sk"].startswith("EVENT#")]


def started(stack: Stack, sample: str) -> list[Any]:
    return [json.loads(message) for message in stack.messages(STEPS_QUEUES[provider_of(sample)])]


def calls_to(stack: Stack, service: str) -> list[str]:
    return [call.removeprefix(f"{service}.") for call in stack.calls if call.startswith(f"{service}.")]


# --- Noted once, and looked into --------------------------------------------------------------------------------------


@every_news
def test_a_sample_about_an_id_that_nobody_has_is_adopted_and_looked_into(stack: Stack, sample: str) -> None:
    assert send(stack, sample) == {"status": 200, "outcome": "adopted"}

    _, job_id = adopted(sample)
    job = found(job_id)
    (step,) = job.steps.values()
    row = ROWS[sample]
    assert (job.adopted, job.status, job.refs) == (True, "running", (row.detail,))
    assert (step.status, step.platform_job_id, step.told_of(str(row.detail))) == (
        "running",
        row.detail,
        {row.part: row.word},
    )
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": job_id}]


@every_news
def test_a_sample_about_an_id_of_ours_is_noted_with_its_job_word_for_word(stack: Stack, sample: str) -> None:
    before = running_job(stack, sample)

    assert send(stack, sample) == {"status": 200, "outcome": "recorded"}

    job = found("job-1")
    name = before.plan[0]
    assert job.steps[name].told_of(str(ROWS[sample].detail)) == {ROWS[sample].part: ROWS[sample].word}
    assert job.steps["later"] == before.steps["later"]
    (event,) = events(stack)
    assert event["body"].encode() == body(read(sample)).removeprefix(b"\xef\xbb\xbf")
    assert (event["callback"], event["step"], event["via"]) == (callback_of(sample), name, "callback")
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]


@every_news
def test_a_repeated_sample_changes_nothing_and_is_looked_into_again(stack: Stack, sample: str) -> None:
    running_job(stack, sample)
    send(stack, sample)
    before = stack.items()
    started(stack, sample)

    assert send(stack, sample) == {"status": 200, "outcome": "repeated"}

    assert stack.items() == before
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]


@every_callback
def test_before_the_answer_there_is_one_read_one_transaction_and_one_message(stack: Stack, sample: str) -> None:
    running_job(stack, sample)

    send(stack, sample)

    assert calls_to(stack, "dynamodb") == ["GetItem", "TransactWriteItems"]
    assert calls_to(stack, "sqs") == ["SendMessage"]
    assert len(stack.calls) <= 4  # and the secret, unless it is cached


@every_ignored
def test_what_no_step_waits_for_is_archived_once_and_nobody_is_told(stack: Stack, sample: str) -> None:
    answers = [send(stack, sample), send(stack, sample)]

    assert answers == [{"status": 200, "outcome": "ignored"}] * 2
    (event,) = events(stack)
    assert event["pk"].startswith(f"STRAYS#{provider_of(sample)}#2")
    assert (event["outcome"], event["body"].encode()) == ("ignored", body(read(sample)))
    assert started(stack, sample) == []


# --- Proven -----------------------------------------------------------------------------------------------------------


@every_sample
def test_a_sample_without_its_signature_is_refused_and_nothing_is_written(stack: Stack, sample: str) -> None:
    event = read(sample)
    proofs = SIGNERS[provider_of(sample)](b"", 0, "")
    kept = {name: value for name, value in event["headers"].items() if name not in proofs}

    assert send(stack, sample, event | {"headers": kept}) == {"status": 401, "outcome": "refused"}

    assert stack.items() == []
    assert calls_to(stack, "sqs") == []


@every_callback
@pytest.mark.parametrize(
    "values",
    [{"api_key": "key"}, {"webhook": "", "webhook_aBcD": " ", "auth_key": "\n"}, None],
    ids=["no signing secret in it", "empty ones", "the secret cannot be read"],
)
def test_a_missing_secret_is_no_open_door_and_the_log_says_which(
    stack: Stack, away: Away, log: Callable[[], str], sample: str, values: dict[str, str] | None
) -> None:
    log()
    if values is not None:
        put_secret(provider_of(sample), values)
        answer = send(stack, sample)
    else:
        with away("secretsmanager"):
            answer = send(stack, sample)

    assert answer == {"status": 503, "outcome": "unavailable"}
    written = log().lower()
    assert "secret" in written
    assert provider_of(sample) in written.replace(".", "")
    assert stack.items() == []


@every_callback
def test_a_line_break_that_came_with_a_copied_secret_does_not_count(stack: Stack, sample: str) -> None:
    copied = {name: f" {secret}\n" for name, secret in SAMPLE_SECRETS[provider_of(sample)].items()}
    put_secret(provider_of(sample), copied)

    assert send(stack, sample)["outcome"] == "adopted"


@every_callback
def test_a_secret_that_was_rotated_after_it_was_cached_is_read_once_more(stack: Stack, sample: str) -> None:
    put_secret(provider_of(sample), {"api_key": "key", "webhook": "other", "auth_key": "other"})
    send(stack, sample)
    put_secret(provider_of(sample), {"api_key": "key", **SAMPLE_SECRETS[provider_of(sample)]})
    secrets._refreshed_at.clear()

    assert send(stack, sample)["outcome"] == "adopted"


# --- Never lost -------------------------------------------------------------------------------------------------------


@every_callback
def test_what_cannot_be_recorded_is_kept_and_recorded_later_whatever_the_time(
    stack: Stack, away: Away, functions: Functions, sample: str
) -> None:
    running_job(stack, sample)
    with away("dynamodb"):
        assert send(stack, sample) == {"status": 200, "outcome": "kept"}
    assert events(stack) == []
    put_secret(provider_of(sample), {"api_key": "all others were taken away"})
    secrets.forget()

    stack.work("Deliveries", handler("pipeline/redeliver"))

    assert [event["outcome"] for event in events(stack)] == ["recorded"]
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]


@every_callback
def test_what_is_recorded_but_not_passed_on_is_kept_and_passed_on_later(
    stack: Stack, away: Away, functions: Functions, sample: str
) -> None:
    running_job(stack, sample)
    with away(queues=(STEPS_QUEUES[provider_of(sample)],)):
        assert send(stack, sample) == {"status": 200, "outcome": "kept"}

    stack.work("Deliveries", handler("pipeline/redeliver"))

    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]
    assert len(events(stack)) == 1


@every_callback
@pytest.mark.parametrize(
    ("sent", "status", "outcome"),
    [
        ("no JSON at all", 422, "unreadable"),
        ('{"type": ["not", "a", "text"], "EventType": 5}', 422, "unreadable"),
        (" " * (LARGEST_BODY + 1), 413, "too_large"),
    ],
    ids=["not JSON", "not its fields", "large"],
)
def test_what_is_proven_but_cannot_be_read_goes_to_the_dead_letters(
    stack: Stack, sample: str, sent: str, status: int, outcome: str
) -> None:
    assert send(stack, sample, with_body(sample, sent)) == {"status": status, "outcome": outcome}

    (letter,) = stack.messages("DeliveriesDeadLetters")
    assert json.loads(letter)["callback"] == callback_of(sample)
    assert stack.items() == []


@every_callback
def test_while_nothing_answers_the_platform_must_try_again(stack: Stack, away: Away, sample: str) -> None:
    running_job(stack, sample)
    send(stack, sample)  # so that the secret is known
    stack.messages(STEPS_QUEUES[provider_of(sample)])

    with away("dynamodb", "sqs"):
        answer = send(stack, sample)

    assert answer == {"status": 503, "outcome": "unavailable"}
    assert send(stack, sample) == {"status": 200, "outcome": "repeated"}


# --- Nothing told to the log ------------------------------------------------------------------------------------------


@every_sample
def test_the_log_says_whose_it_was_and_not_what_it_said(stack: Stack, log: Callable[[], str], sample: str) -> None:
    from video_jobs.platforms.apsaravideo.payloads import read as read_tolerantly

    log()
    send(stack, sample)

    written = log()
    (line,) = [json.loads(text) for text in written.splitlines() if json.loads(text).get("level")]
    assert (line["provider"], line["callback"]) == (provider_of(sample), callback_of(sample))
    assert line["message"] in ("adopted", "ignored")
    assert ("job_id" in line and bool(line["job_id"])) == (line["message"] == "adopted")
    written = written.replace(str(line.get("event_type")), "")  # the one word of it that is told
    parsed = read_tolerantly(body(read(sample)))
    said = words({name: value for name, value in parsed.items() if name not in ("EventType", "type", "encoding")})
    secret = words([*SAMPLE_SECRETS[provider_of(sample)].values(), *SIGNERS[provider_of(sample)](b"", 0, "").values()])
    assert {word for word in said | secret if word in written} <= {"video"}  # it stands in the name of the service


def test_every_signed_callback_has_a_sample_that_tells_something() -> None:
    assert {callback_of(sample) for sample in ONE_OF_EACH_SIGNED} == {callback_of(name) for name in SIGNED_SAMPLES}


def test_mns_takes_nothing_where_no_queue_is_configured(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "")

    assert handler("apsaravideo/mns")(read("apsaravideo/mns/schedule"), Context()) == {}
