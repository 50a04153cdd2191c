"""The contract that every callback keeps: proven, recorded once, chained, never lost, and nothing told to the log.

It runs over events/, so a new callback is held to it as soon as it has a sample.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from pydantic import BaseModel
from video_jobs import secrets, settings, store
from video_jobs.callbacks import callback
from video_jobs.jobs import LARGEST_BODY, Job, JobError, JobStatus, Step, StepEnd, StepFailed, StepStatus, StepSucceeded

from tests.events.conftest import Away, Functions
from tests.events.samples import CALLBACK_SAMPLES, ONE_OF_EACH_CALLBACK, ROWS, body, callback_of, read, signed, words
from tests.stack import CALLBACK_KEY, Context, Stack, handler, signed_query

every_sample = pytest.mark.parametrize("sample", CALLBACK_SAMPLES)
every_callback = pytest.mark.parametrize("sample", ONE_OF_EACH_CALLBACK)

MOMENT = "2026-11-22T10:00:00.000Z"


def running_job(sample: str, *, step: StepStatus = StepStatus.RUNNING) -> Job:
    """A job of ours that waits for this callback: one step is done, this one runs, one is to come."""
    provider, name = callback_of(sample).split("/")
    steps = {
        "earlier": Step(status=StepStatus.SUCCEEDED, attempt=1, attempt_limit=3),
        name: Step(status=step, attempt=1, attempt_limit=3, platform_job_id="platform-job"),
        "later": Step(status=StepStatus.WAITING, attempt_limit=3),
    }
    return store.create(
        Job(
            job_id="job-1",
            provider=provider,
            status=JobStatus.RUNNING,
            plan=tuple(steps),
            steps=steps,
            created_at=MOMENT,
            updated_at=MOMENT,
        )
    )


def job(job_id: str = "job-1") -> Job:
    found = store.get(job_id)
    assert found is not None
    return found


def step_of(sample: str) -> str:
    return callback_of(sample).split("/")[1]


def send(stack: Stack, sample: str, event: dict[str, Any]) -> dict[str, Any]:
    return stack.send(callback_of(sample), event)


def steps_queue(stack: Stack, sample: str) -> str:
    url = settings.steps_queue_url(callback_of(sample).split("/")[0])
    return next(name for name, found in stack.queue_urls.items() if found == url)


def started(stack: Stack, sample: str) -> list[Any]:
    """The messages that the platform's worker was sent."""
    return [json.loads(message) for message in stack.messages(steps_queue(stack, sample))]


def depth(stack: Stack, queue: str) -> int:
    """How many messages are in a queue, whether or not somebody has taken them."""
    answer = settings.sqs().get_queue_attributes(QueueUrl=stack.queue_urls[queue], AttributeNames=["All"])
    counts = answer["Attributes"]
    return int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])


def depths(stack: Stack) -> dict[str, int]:
    """The queues that are not empty."""
    return {queue: count for queue in stack.queue_urls if (count := depth(stack, queue))}


def redeliver(stack: Stack) -> int:
    """Work off the Deliveries queue; how many messages were taken."""
    return stack.work("Deliveries", handler("pipeline/redeliver"))


def redrive(stack: Stack) -> None:
    """Move dead letters back, as `make redrive QUEUE=Deliveries` does."""
    for message in stack.messages("DeliveriesDeadLetters"):
        settings.sqs().send_message(QueueUrl=stack.queue_urls["Deliveries"], MessageBody=message)


def calls_to(stack: Stack, service: str) -> list[str]:
    return [call for call in stack.calls if call.startswith(f"{service}.")]


def events(stack: Stack, job_id: str = "job-1") -> list[dict[str, Any]]:
    """What is archived of a job."""
    return [item for item in stack.items(f"JOB#{job_id}") if item["sk"].startswith("EVENT#")]


def but(found: Job, step: str) -> dict[str, Any]:
    """All of a job that the end of one step must leave as it is."""
    kept = found.model_dump(exclude={"refs", "version", "updated_at"})
    del kept["steps"][step]
    return kept


def assert_ended(found: Job, sample: str) -> None:
    """The step stands as the sample's row in the README says."""
    row = ROWS[sample]
    step = found.steps[step_of(sample)]
    assert step.status == row.end
    assert step.ended_at is not None
    if row.end == "succeeded":
        assert found.refs == ((row.detail,) if row.detail else ())
        assert step.error is None
    else:
        assert step.error is not None
        assert step.error.code == row.detail


def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def assert_tells_nothing(written: str, sample: str, token: str | None = None) -> None:
    """Neither the token nor a key nor anything of the body stands in the log."""
    said = words(json.loads(body(read(sample))))
    secret = words([token or token_of(signed(sample)["rawQueryString"]), CALLBACK_KEY])
    assert written
    assert {word for word in said | secret if word in written} == set()


# --- Recorded once, and chained ---------------------------------------------------------------------------------------


@every_sample
def test_a_sample_is_adopted_when_it_first_comes(local_stack: Stack, sample: str) -> None:
    answer = send(local_stack, sample, read(sample))

    found = job(read(sample)["queryStringParameters"]["job"])
    assert answer == {"status": 200, "outcome": "adopted"}
    assert_ended(found, sample)
    assert (found.adopted, found.plan, found.status) == (True, (step_of(sample),), ROWS[sample].end)


@every_sample
def test_a_callback_ends_exactly_its_step_and_sends_one_message(stack: Stack, sample: str) -> None:
    before = running_job(sample)

    answer = send(stack, sample, signed(sample))

    after = job()
    assert answer == {"status": 200, "outcome": "recorded"}
    assert_ended(after, sample)
    assert but(after, step_of(sample)) == but(before, step_of(sample))
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]
    assert depths(stack) == {}


@every_sample
def test_what_the_platform_said_is_archived_word_for_word_and_its_ids_lead_to_the_job(
    stack: Stack, sample: str
) -> None:
    running_job(sample)

    send(stack, sample, signed(sample))

    (event,) = events(stack)
    assert event["body"].encode() == body(read(sample))
    assert (event["callback"], event["attempt"], event["via"]) == (callback_of(sample), 1, "callback")
    assert event["headers"]["user-agent"] == read(sample)["headers"]["user-agent"]
    provider = callback_of(sample).split("/")[0]
    assert {(item["pk"], item["job_id"]) for item in stack.items("REF#")} == {
        (f"REF#{provider}#{ref}", "job-1") for ref in job().refs
    }


@every_sample
def test_a_repeated_callback_changes_nothing_and_is_chained_again(stack: Stack, sample: str) -> None:
    running_job(sample)
    send(stack, sample, signed(sample))
    before = stack.items()
    started(stack, sample)

    answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "repeated"}
    assert stack.items() == before
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]


@every_sample
def test_a_repeated_sample_changes_nothing_and_is_chained_again(local_stack: Stack, sample: str) -> None:
    send(local_stack, sample, read(sample))
    before = local_stack.items()
    started(local_stack, sample)

    answer = send(local_stack, sample, read(sample))

    assert answer == {"status": 200, "outcome": "repeated"}
    assert local_stack.items() == before
    assert started(local_stack, sample) == [
        {"schema_version": 1, "action": "start", "job_id": read(sample)["queryStringParameters"]["job"]}
    ]


@every_sample
def test_a_step_that_has_ended_well_stays_so_and_what_was_said_is_archived(stack: Stack, sample: str) -> None:
    before = running_job(sample, step=StepStatus.SUCCEEDED)

    answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "stale"}
    assert job() == before
    assert [event["outcome"] for event in events(stack)] == ["stale"]


@every_callback
@pytest.mark.parametrize("again", [False, True], ids=["recorded", "repeated"])
def test_before_the_answer_there_is_one_transaction_and_one_message(stack: Stack, sample: str, again: bool) -> None:
    running_job(sample)
    if again:
        send(stack, sample, signed(sample))
    stack.calls.clear()

    answer = send(stack, sample, signed(sample))

    assert answer["outcome"] == ("repeated" if again else "recorded")
    assert calls_to(stack, "dynamodb") == ["dynamodb.TransactWriteItems"]
    assert calls_to(stack, "sqs") == ["sqs.SendMessage"]
    assert len(stack.calls) <= 3  # and the secret, unless it is cached


# --- Proven -----------------------------------------------------------------------------------------------------------


def token_of(query: str) -> str:
    return query.rpartition("token=")[2]


def forged(callback: str, **changes: str | int | None) -> str:
    """The query of a callback for job-1, attempt 1, with something in it changed, or left out."""
    token = token_of(signed_query(callback, "job-1", 1, key=CALLBACK_KEY))
    parameters = {"job": "job-1", "attempt": 1, "token": token} | changes
    return urlencode({name: value for name, value in parameters.items() if value is not None})


FORGERIES: dict[str, Callable[[str], str]] = {
    "no query": lambda callback: "",
    "no token": lambda callback: forged(callback, token=None),
    "an empty token": lambda callback: forged(callback, token=""),
    "a wrong token": lambda callback: forged(callback, token="0" * 64),
    "a token cut short": lambda callback: forged(callback)[:-1],
    "a token and more": lambda callback: forged(callback) + "0",
    "a token in capitals": lambda callback: forged(callback, token=token_of(forged(callback)).upper()),
    "a token beyond ASCII": lambda callback: forged(callback, token="\u00e9" * 64),
    "a token that is no text": lambda callback: forged(callback, token=None) + "&token=%ff%fe",
    "a token of another callback": lambda callback: signed_query(f"{callback}2", "job-1", 1, key=CALLBACK_KEY),
    "a token of another job": lambda callback: forged(callback, job="job-2"),
    "a token of another attempt": lambda callback: forged(callback, attempt=2),
    "a token of a stranger's key": lambda callback: signed_query(callback, "job-1", 1, key="a-strangers-key"),
    "a token of an empty key": lambda callback: signed_query(callback, "job-1", 1, key=""),
    "no job": lambda callback: forged(callback, job=None),
    "no attempt": lambda callback: forged(callback, attempt=None),
    "an attempt that is no number": lambda callback: forged(callback, attempt="one"),
    "an attempt with a sign": lambda callback: forged(callback, attempt="+1"),
    "an attempt in other digits": lambda callback: forged(callback, attempt="\u0661"),
    "an attempt without end": lambda callback: forged(callback, attempt="9" * 5000),
    "the job twice": lambda callback: "job=job-1&" + forged(callback),
    "another job, too": lambda callback: forged(callback) + "&job=job-2",
    "the attempt twice": lambda callback: forged(callback) + "&attempt=1",
    "the token twice": lambda callback: f"{forged(callback)}&token={token_of(forged(callback))}",
    "a wrong token, too": lambda callback: forged(callback) + f"&token={'0' * 64}",
    "a line break in the job": lambda callback: forged(callback, job="job-1\n1", attempt=1),
    "a redelivery that is claimed": lambda callback: "redelivery=%7B%22job_id%22%3A%22job-1%22%2C%22attempt%22%3A1%7D",
}


@every_callback
@pytest.mark.parametrize("forgery", FORGERIES)
def test_who_cannot_prove_that_we_gave_the_url_out_is_refused(
    stack: Stack, log: Callable[[], str], sample: str, forgery: str
) -> None:
    query = FORGERIES[forgery](callback_of(sample))

    answer = send(stack, sample, read(sample) | {"rawQueryString": query})

    assert answer == {"status": 401, "outcome": "refused"}
    assert set(stack.calls) == {"secretsmanager.GetSecretValue"} or not stack.calls  # nothing written, nothing sent
    assert_tells_nothing(log(), sample, token_of(query))


@every_callback
def test_a_token_of_another_callback_is_refused(stack: Stack, sample: str) -> None:
    others = {callback_of(other) for other in CALLBACK_SAMPLES} - {callback_of(sample)}
    queries = [signed_query(other, "job-1", 1, key=CALLBACK_KEY) for other in sorted(others)]

    answers = [send(stack, sample, read(sample) | {"rawQueryString": query}) for query in queries]

    assert {answer["outcome"] for answer in answers} == {"refused"}
    assert stack.items() == []


@every_callback
def test_a_token_anywhere_but_in_the_url_proves_nothing(stack: Stack, sample: str) -> None:
    proof = dict(part.split("=") for part in signed_query(callback_of(sample), "job-1", 1, key=CALLBACK_KEY).split("&"))
    claims = {"job_id": "job-1", "attempt": 1}

    answer = send(
        stack,
        sample,
        read(sample)
        | {
            "rawQueryString": "",
            "queryStringParameters": {},
            "headers": proof | {"redelivery": json.dumps(claims), "authorization": f"Bearer {proof['token']}"},
            "body": json.dumps({"success": True, "redelivery": claims, **proof}),
            "isBase64Encoded": False,
        },
    )

    assert answer == {"status": 401, "outcome": "refused"}


@pytest.mark.parametrize(
    ("callback", "job", "attempt", "token"),
    [
        # printf '<callback>\n<job>\n<attempt>' | openssl dgst -sha256 -hmac a-callback-key
        ("videodb/upload", "job-1", 1, "5ca3b393fa4802e59dd0d696bceb4bdce48c6e7496e001193be319e18b30a5aa"),
        (
            "videodb/index_scenes",
            "a-job.of_mine",
            12,
            "d8b12bc97bdc9750bedd3adf9750b19603c88d1faa9a22ed2ee2ed28cfeea69b",
        ),
    ],
)
def test_a_token_is_the_hmac_that_openssl_makes(
    stack: Stack, callback: str, job: str, attempt: int, token: str
) -> None:
    query = urlencode({"job": job, "attempt": attempt, "token": token})

    answer = stack.send(callback, read("videodb/upload/download_failed") | {"rawQueryString": query})

    assert answer == {"status": 200, "outcome": "adopted"}


# --- Keys that change -------------------------------------------------------------------------------------------------


@every_callback
def test_a_token_of_any_accepted_key_holds(stack: Stack, keys: Callable[..., None], sample: str) -> None:
    keys(current="a-new-key", previous=CALLBACK_KEY)

    answers = [send(stack, sample, signed(sample, key=key)) for key in ("a-new-key", CALLBACK_KEY)]

    assert [answer["outcome"] for answer in answers] == ["adopted", "repeated"]
    assert calls_to(stack, "secretsmanager") == ["secretsmanager.GetSecretValue"]


@every_callback
def test_a_key_that_was_rotated_after_it_was_cached_is_read_once_more(
    stack: Stack, keys: Callable[..., None], sample: str
) -> None:
    send(stack, sample, signed(sample))
    keys(current="a-new-key")

    answer = send(stack, sample, signed(sample, job="job-2", key="a-new-key"))

    assert answer == {"status": 200, "outcome": "adopted"}
    assert calls_to(stack, "secretsmanager") == ["secretsmanager.GetSecretValue"]


@every_callback
def test_a_key_that_was_taken_away_is_refused_once_that_is_known(
    stack: Stack, keys: Callable[..., None], sample: str
) -> None:
    send(stack, sample, signed(sample))
    keys(current="a-new-key")
    send(stack, sample, signed(sample, job="job-2", key="a-new-key"))

    answer = send(stack, sample, signed(sample, job="job-3", key=CALLBACK_KEY))

    assert answer == {"status": 401, "outcome": "refused"}


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@every_callback
def test_a_stranger_has_the_keys_read_anew_once_in_half_a_minute_at_most(stack: Stack, sample: str) -> None:
    clock = Clock()
    reads = []
    send(stack, sample, signed(sample))
    with patch.object(secrets, "time", clock):
        for seconds in (0, 1, 28.9, 0.2, 1, 28):
            clock.seconds += seconds
            stack.calls.clear()
            send(stack, sample, signed(sample, key="a-strangers-key"))
            reads.append(len(calls_to(stack, "secretsmanager")))

    assert reads == [1, 0, 0, 1, 0, 0]


@every_callback
def test_a_stranger_does_not_keep_others_out(stack: Stack, sample: str) -> None:
    send(stack, sample, signed(sample, key="a-strangers-key"))

    answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "adopted"}


BROKEN_SECRETS = {
    "empty": "{}",
    "an empty key": '{"current": ""}',
    "not JSON": "a-secret-that-is-not-json",
    "a list": '["a-secret-in-a-list"]',
    "a key that is no text": '{"current": 12345678}',
}


@every_callback
@pytest.mark.parametrize("broken", [*BROKEN_SECRETS, "missing", "away"])
def test_without_the_keys_nobody_is_judged_and_the_log_names_the_secret(
    stack: Stack, away: Away, log: Callable[[], str], sample: str, broken: str
) -> None:
    if broken == "missing":
        settings.secretsmanager().delete_secret(SecretId="CALLBACK_KEYS_SECRET", ForceDeleteWithoutRecovery=True)
    elif broken != "away":
        settings.secretsmanager().put_secret_value(SecretId="CALLBACK_KEYS_SECRET", SecretString=BROKEN_SECRETS[broken])
    with away(*(["secretsmanager"] if broken == "away" else [])):
        answer = send(stack, sample, signed(sample))

    written = log()
    assert answer == {"status": 503, "outcome": "unavailable"}
    assert "the secret CALLBACK_KEYS_SECRET" in written
    assert not [value for value in BROKEN_SECRETS.values() if len(value) > 20 and value.strip('[]"') in written]
    assert stack.items() == []


@every_callback
def test_without_the_name_of_the_secret_the_log_says_so(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, log: Callable[[], str], sample: str
) -> None:
    monkeypatch.delenv("CALLBACK_KEYS_SECRET")

    answer = send(stack, sample, signed(sample))

    assert answer == {"status": 503, "outcome": "unavailable"}
    assert "CALLBACK_KEYS_SECRET is not set" in log()


@every_callback
def test_once_the_keys_are_there_the_platforms_tries_are_recorded_half_a_minute_later(
    stack: Stack, keys: Callable[..., None], sample: str
) -> None:
    clock = Clock()
    settings.secretsmanager().put_secret_value(SecretId="CALLBACK_KEYS_SECRET", SecretString="{}")
    with patch.object(secrets, "time", clock):
        for _ in range(5):
            assert send(stack, sample, signed(sample))["status"] == 503
        # an unused platform's empty secret must not be looked up for every stranger
        assert calls_to(stack, "secretsmanager").count("secretsmanager.GetSecretValue") == 2
        keys(current=CALLBACK_KEY)
        clock.seconds += 31

        answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "adopted"}


# --- Not what it should be --------------------------------------------------------------------------------------------


def base64_of(sent: bytes) -> dict[str, Any]:
    return {"body": base64.b64encode(sent).decode(), "isBase64Encoded": True}


def text_of(sent: str) -> dict[str, Any]:
    return {"body": sent, "isBase64Encoded": False}


UNREADABLE: dict[str, dict[str, Any]] = {
    "not JSON": text_of("a-body-that-is-not-json"),
    "HTML": text_of("<html><body>502 Bad Gateway</body></html>"),
    "form fields": text_of("success=true&id=m-1"),
    "cut in half": text_of('{"success": true, "data": {"id": "m-'),
    "two documents": text_of('{"success": true}{"success": true}'),
    "nothing": text_of(""),
    "null for a body": {"body": None, "isBase64Encoded": False},
    "blanks": text_of(" \n"),
    "not UTF-8": base64_of(b'{"success": true, "message": "\xff\xfe"}'),
    "UTF-16": base64_of('{"success": true}'.encode("utf-16")),
    "half a character": text_of('{"success": true, "message": "\ud83d"}'),
    "NaN": text_of('{"success": true, "data": {"length": NaN}}'),
    "Infinity": text_of('{"success": true, "data": {"length": -Infinity}}'),
    "a key twice": text_of('{"success": false, "success": true}'),
    "a key twice further in": text_of('{"success": true, "data": {"id": "m-1", "id": "m-2"}}'),
    "bottomless arrays": text_of("[" * 100_000 + "]" * 100_000),
    "bottomless arrays in the data": text_of('{"success": true, "data": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "bottomless objects": text_of('{"a":' * 50_000),
    "a number without end": text_of('{"success": true, "data": {"size": ' + "9" * 5000 + "}}"),
    "an array": text_of('[{"success": true}]'),
    "a text": text_of('"success"'),
    "a number": text_of("1"),
    "null": text_of("null"),
    "an empty object": text_of("{}"),
    "success of the wrong type": text_of('{"success": {"value": true}}'),
    "success that is null": text_of('{"success": null}'),
    "base64 that is none": {"body": "e30=!!", "isBase64Encoded": True},
    "base64 cut short": {"body": "e30", "isBase64Encoded": True},
    "base64 beyond ASCII": {"body": "\u00e9e30=", "isBase64Encoded": True},
}


@every_callback
@pytest.mark.parametrize("unreadable", UNREADABLE)
def test_what_cannot_be_read_waits_among_the_dead_letters_as_it_came(
    stack: Stack, functions: Functions, sample: str, unreadable: str
) -> None:
    sent = signed(sample, **UNREADABLE[unreadable])

    answer = send(stack, sample, sent)

    assert answer == {"status": 422, "outcome": "unreadable"}
    assert stack.items() == []
    assert depths(stack) == {"DeliveriesDeadLetters": 1}
    redrive(stack)
    functions.fixed[callback_of(sample)] = lambda event, context: {"statusCode": 200, "body": '{"outcome": "recorded"}'}
    redeliver(stack)
    (again,) = functions.events
    assert (again["body"], again["isBase64Encoded"]) == (sent["body"], sent["isBase64Encoded"])
    assert again["redelivery"] == {"job_id": "job-1", "attempt": 1}
    assert depths(stack) == {}


@every_callback
def test_a_request_without_a_body_is_unreadable(stack: Stack, sample: str) -> None:
    without = {name: value for name, value in signed(sample).items() if name not in ("body", "isBase64Encoded")}

    answer = send(stack, sample, without)

    assert answer == {"status": 422, "outcome": "unreadable"}
    assert depths(stack) == {"DeliveriesDeadLetters": 1}


@every_callback
@pytest.mark.parametrize("unreadable", ["not JSON", "bottomless arrays", "base64 that is none"])
def test_what_still_cannot_be_read_fails_its_message_and_is_not_kept_twice(
    stack: Stack, functions: Functions, sample: str, unreadable: str
) -> None:
    send(stack, sample, signed(sample, **UNREADABLE[unreadable]))
    redrive(stack)

    taken = redeliver(stack)

    assert taken == 1
    assert depths(stack) == {"Deliveries": 1}  # SQS moves it to the dead letters after its tries


class Anything(BaseModel):
    """What a fixed parser takes."""


def succeed(notice: Anything) -> StepEnd:
    return StepSucceeded(result={"by": "the fixed parser"})


@every_callback
def test_a_fixed_parser_records_what_could_not_be_read(stack: Stack, functions: Functions, sample: str) -> None:
    running_job(sample)
    send(stack, sample, signed(sample, **text_of('{"successful": "a body of tomorrow"}')))
    redrive(stack)
    functions.fixed[callback_of(sample)] = callback(callback_of(sample), Anything, succeed)

    redeliver(stack)

    assert job().steps[step_of(sample)].result == {"by": "the fixed parser"}
    assert [event["body"] for event in events(stack)] == ['{"successful": "a body of tomorrow"}']
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]
    assert depths(stack) == {}


def padded(sample: str, size: int) -> str:
    """The sample's body with as many blanks behind it as make this size."""
    return body(read(sample)).decode().ljust(size)


@every_callback
@pytest.mark.parametrize("encode", [text_of, lambda sent: base64_of(sent.encode())], ids=["text", "base64"])
def test_a_body_of_256_kb_is_recorded(stack: Stack, sample: str, encode: Callable[[str], dict[str, Any]]) -> None:
    running_job(sample)

    answer = send(stack, sample, signed(sample, **encode(padded(sample, LARGEST_BODY))))

    assert LARGEST_BODY == 256 * 1024
    assert answer == {"status": 200, "outcome": "recorded"}
    assert_ended(job(), sample)
    assert [digest(event["body"]) for event in events(stack)] == [digest(padded(sample, LARGEST_BODY))]


@every_callback
@pytest.mark.parametrize("size", [LARGEST_BODY + 1, 5_000_000])
@pytest.mark.parametrize("encode", [text_of, lambda sent: base64_of(sent.encode())], ids=["text", "base64"])
def test_a_larger_body_waits_among_the_dead_letters_as_it_came(
    stack: Stack, functions: Functions, sample: str, size: int, encode: Callable[[str], dict[str, Any]]
) -> None:
    sent = signed(sample, **encode(padded(sample, size)))

    answer = send(stack, sample, sent)

    assert answer == {"status": 413, "outcome": "too_large"}
    assert stack.items() == []
    assert depths(stack) == {"DeliveriesDeadLetters": 1}
    redrive(stack)
    functions.fixed[callback_of(sample)] = lambda event, context: {"statusCode": 200, "body": '{"outcome": "recorded"}'}
    redeliver(stack)
    assert [digest(event["body"]) for event in functions.events] == [digest(sent["body"])]


def digest(sent: str) -> str:
    """What stands for a body that would fill the screen if it were compared itself."""
    return f"{len(sent)} {hashlib.sha256(sent.encode()).hexdigest()}"


@every_callback
def test_the_size_is_that_of_the_bytes_not_of_the_characters(stack: Stack, sample: str) -> None:
    sent = text_of('{"message": "' + "\u4e2d" * (LARGEST_BODY // 3) + '"}')

    answer = send(stack, sample, signed(sample, **sent))

    assert answer == {"status": 413, "outcome": "too_large"}


@every_callback
def test_what_no_queue_takes_is_left_to_the_checks_and_the_log_says_so(
    stack: Stack, log: Callable[[], str], sample: str
) -> None:
    sent = json.dumps({"message": Random(1).randbytes(2_500_000).hex()})

    answer = send(stack, sample, signed(sample, **text_of(sent)))

    assert answer == {"status": 413, "outcome": "too_large"}
    assert "too large to keep" in log()
    assert depths(stack) == {}


# --- However it is sent -----------------------------------------------------------------------------------------------


HEADERS: dict[str, dict[str, Any]] = {
    "none": {"headers": {}},
    "null": {"headers": None},
    "plain text": {"headers": {"content-type": "text/plain"}},
    "a form": {"headers": {"content-type": "application/x-www-form-urlencoded"}},
    "another charset": {"headers": {"content-type": "application/json; charset=iso-8859-1"}},
    "in capitals": {"headers": {"CONTENT-TYPE": "application/json", "User-Agent": "a platform"}},
    "repeated": {"headers": {"content-type": "application/json,application/json", "x-forwarded-for": "192.0.2.1,::1"}},
    "empty": {"headers": {"content-type": ""}},
    "a wrong length": {"headers": {"content-type": "application/json", "content-length": "1"}},
    "long": {"headers": {"user-agent": "a" * 8000}},
}


@every_callback
@pytest.mark.parametrize("headers", HEADERS)
def test_headers_do_not_decide(stack: Stack, sample: str, headers: str) -> None:
    running_job(sample)

    answer = send(stack, sample, signed(sample, **HEADERS[headers]))

    assert answer == {"status": 200, "outcome": "recorded"}
    assert_ended(job(), sample)


@every_callback
def test_secrets_in_headers_are_not_archived(stack: Stack, sample: str) -> None:
    running_job(sample)
    headers = {
        "Authorization": "Bearer a-header-secret",
        "cookie": "session=a-header-secret",
        "User-Agent": "a platform",
    }

    send(stack, sample, signed(sample, headers=headers, cookies=["session=a-header-secret"]))

    (event,) = events(stack)
    assert event["headers"] == {"user-agent": "a platform"}


@every_sample
def test_a_body_in_base64_is_the_same_callback(stack: Stack, sample: str) -> None:
    running_job(sample)

    first = send(stack, sample, signed(sample, **base64_of(body(read(sample)))))
    second = send(stack, sample, signed(sample, **text_of(body(read(sample)).decode())))

    assert [first["outcome"], second["outcome"]] == ["recorded", "repeated"]
    assert_ended(job(), sample)
    assert [event["body"].encode() for event in events(stack)] == [body(read(sample))]


@every_callback
def test_a_byte_order_mark_is_passed_over(stack: Stack, sample: str) -> None:
    running_job(sample)

    answer = send(stack, sample, signed(sample, **base64_of(b"\xef\xbb\xbf" + body(read(sample)))))

    assert answer == {"status": 200, "outcome": "recorded"}


@every_callback
def test_parameters_that_others_add_to_the_url_do_not_matter(stack: Stack, sample: str) -> None:
    query = f"utm_source=a&{signed_query(callback_of(sample), 'job-1', 1, key=CALLBACK_KEY)}&x=1&x=2"

    answer = send(stack, sample, read(sample) | {"rawQueryString": query})

    assert answer == {"status": 200, "outcome": "adopted"}


# --- AWS away ---------------------------------------------------------------------------------------------------------


FAULTS: dict[str, Exception | None] = {
    "no connection": None,
    "no answer": ReadTimeoutError(endpoint_url="https://aws.example.com"),
    "an error of AWS": ClientError({"Error": {"Code": "InternalServerError", "Message": "m"}}, "TransactWriteItems"),
    "throttled": ClientError({"Error": {"Code": "ThrottlingException", "Message": "m"}}, "TransactWriteItems"),
    "not allowed": ClientError({"Error": {"Code": "AccessDeniedException", "Message": "m"}}, "TransactWriteItems"),
    "no credentials": NoCredentialsError(),
}


@every_callback
@pytest.mark.parametrize("fault", FAULTS)
def test_while_dynamodb_is_away_a_callback_is_kept(stack: Stack, away: Away, sample: str, fault: str) -> None:
    running_job(sample)
    before = stack.items()

    with away("dynamodb", fault=FAULTS[fault]):
        answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "kept"}
    assert stack.items() == before
    assert depths(stack) == {"Deliveries": 1}


@every_sample
def test_what_was_kept_is_recorded_when_it_is_redelivered(
    stack: Stack, away: Away, functions: Functions, sample: str
) -> None:
    running_job(sample)
    with away("dynamodb"):
        send(stack, sample, signed(sample))

    redeliver(stack)

    assert_ended(job(), sample)
    assert [event["body"].encode() for event in events(stack)] == [body(read(sample))]
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]
    assert depths(stack) == {}


@every_callback
def test_what_was_kept_and_came_again_meanwhile_is_recorded_once(
    stack: Stack, away: Away, functions: Functions, sample: str
) -> None:
    running_job(sample)
    with away("dynamodb"):
        send(stack, sample, signed(sample))
    send(stack, sample, signed(sample))
    before = stack.items()

    redeliver(stack)

    assert stack.items() == before
    assert depth(stack, "Deliveries") == 0


@every_callback
def test_what_is_kept_holds_no_token(stack: Stack, away: Away, sample: str) -> None:
    with away("dynamodb"):
        send(stack, sample, signed(sample, headers={"authorization": "Bearer a-header-secret"}))

    (message,) = stack.messages("Deliveries")
    assert token_of(signed(sample)["rawQueryString"]) not in message
    assert "token" not in message
    assert "a-header-secret" not in message


@every_callback
def test_what_was_kept_is_redelivered_even_if_the_keys_were_rotated_since(
    stack: Stack, away: Away, functions: Functions, keys: Callable[..., None], sample: str
) -> None:
    running_job(sample)
    with away("dynamodb"):
        send(stack, sample, signed(sample))
    keys(current="a-new-key")
    secrets.forget()

    redeliver(stack)

    assert_ended(job(), sample)


@every_callback
def test_what_fails_again_fails_its_message_and_is_not_kept_twice(
    stack: Stack, away: Away, functions: Functions, sample: str
) -> None:
    running_job(sample)
    with away("dynamodb"):
        send(stack, sample, signed(sample))
        stack.calls.clear()

        taken = redeliver(stack)

    assert taken == 1
    assert depths(stack) == {"Deliveries": 1}
    assert "sqs.ChangeMessageVisibility" in stack.calls  # it comes again later, and later still
    assert "sqs.SendMessage" not in stack.calls


@every_callback
def test_a_kept_callback_that_cannot_be_chained_fails_its_message(
    stack: Stack, away: Away, functions: Functions, sample: str
) -> None:
    running_job(sample)
    with away("dynamodb"):
        send(stack, sample, signed(sample))

    with away(queues=(steps_queue(stack, sample),)):
        redeliver(stack)

    assert_ended(job(), sample)
    assert depths(stack) == {"Deliveries": 1}


@every_callback
def test_while_the_steps_queue_is_away_a_callback_is_recorded_and_kept_until_it_is_chained(
    stack: Stack, away: Away, functions: Functions, sample: str
) -> None:
    running_job(sample)

    with away(queues=(steps_queue(stack, sample),)):
        answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "kept"}
    assert_ended(job(), sample)
    redeliver(stack)
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]
    assert depths(stack) == {}


@every_callback
def test_while_all_queues_are_away_a_callback_is_recorded_and_left_to_the_sweep(
    stack: Stack, away: Away, sample: str
) -> None:
    running_job(sample)

    with away("sqs"):
        answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "recorded"}
    assert_ended(job(), sample)
    (item,) = (item for item in stack.items("JOB#") if item["sk"] == "JOB")
    assert item.keys() >= {"open", "due_at"}


@every_callback
def test_while_nothing_answers_the_platform_must_try_again(stack: Stack, away: Away, sample: str) -> None:
    running_job(sample)
    send(stack, sample, signed(sample, job="job-2"))  # so that the keys are known
    stack.messages(steps_queue(stack, sample))

    with away("dynamodb", "sqs"):
        answer = send(stack, sample, signed(sample))

    assert answer == {"status": 503, "outcome": "unavailable"}
    assert depths(stack) == {}
    assert send(stack, sample, signed(sample)) == {"status": 200, "outcome": "recorded"}


@every_callback
@pytest.mark.parametrize(
    "sent", [UNREADABLE["not JSON"], text_of(" " * (LARGEST_BODY + 1))], ids=["unreadable", "large"]
)
def test_what_cannot_be_read_nor_kept_must_be_sent_again(
    stack: Stack, away: Away, sample: str, sent: dict[str, Any]
) -> None:
    with away("sqs"):
        answer = send(stack, sample, signed(sample, **sent))

    assert answer == {"status": 503, "outcome": "unavailable"}


@every_callback
def test_a_mistake_of_ours_loses_no_callback(stack: Stack, functions: Functions, sample: str) -> None:
    def mistaken(notice: Anything) -> StepEnd:
        raise KeyError("scene_index_id")

    running_job(sample)
    broken = callback(callback_of(sample), Anything, mistaken)

    answer = broken(signed(sample), Context())

    assert json.loads(answer["body"]) == {"outcome": "kept"}
    redeliver(stack)  # by the function as it is
    assert_ended(job(), sample)


# --- Replayed ---------------------------------------------------------------------------------------------------------


def misread(stack: Stack, sample: str) -> str:
    """A job of ours whose callback was taken for another failure, and which was tried again since; the event's id."""
    running_job(sample)
    event = store.Event(
        callback=callback_of(sample),
        step=callback_of(sample).split("/")[1],
        attempt=1,
        body=body(read(sample)).decode(),
        via="callback",
        headers={},
        received_at=MOMENT,
    )
    wrong = JobError(code="misread", message="m", cause="c", action="a", retryable=True)
    store.record("job-1", event, StepFailed(error=wrong))
    store.end(job(), JobStatus.FAILED)
    store.retry(job(), step_of(sample))
    stack.calls.clear()
    return event.event_id


def replay(event_id: str) -> int:
    """Ask the API for it; its status."""
    path = f"/jobs/job-1/events/{event_id}/replay"
    request = {
        "version": "2.0",
        "routeKey": "POST /jobs/{job_id}/events/{event_id}/replay",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default"},
        "isBase64Encoded": False,
    }
    status: int = handler("api/jobs")(request, Context())["statusCode"]
    return status


@every_sample
def test_a_replayed_callback_is_recorded_although_it_is_in_the_archive(
    stack: Stack, functions: Functions, sample: str
) -> None:
    event_id = misread(stack, sample)

    status = replay(event_id)

    assert status == 202
    redeliver(stack)
    assert_ended(job(), sample)
    assert [event["event_id"] for event in events(stack)] == [event_id]
    assert started(stack, sample) == [{"schema_version": 1, "action": "start", "job_id": "job-1"}]
    assert depths(stack) == {}


@every_callback
def test_a_callback_that_comes_again_by_itself_is_no_replay(stack: Stack, sample: str) -> None:
    misread(stack, sample)
    before = job()

    answer = send(stack, sample, signed(sample))

    assert answer == {"status": 200, "outcome": "repeated"}
    assert job() == before


# --- The log ----------------------------------------------------------------------------------------------------------


@every_sample
def test_the_log_of_a_recorded_callback_says_whose_it_was_and_not_what_it_said(
    stack: Stack, log: Callable[[], str], sample: str
) -> None:
    running_job(sample)
    log()

    send(stack, sample, signed(sample))
    send(stack, sample, signed(sample))

    written = log()
    logged = [line for line in lines(written) if "level" in line]
    assert [line["message"] for line in logged] == ["recorded", "repeated"]
    assert all(
        (line["provider"], line["step"], line["job_id"], line["attempt"])
        == (*callback_of(sample).split("/"), "job-1", 1)
        for line in logged
    )
    assert_tells_nothing(written, sample)


@every_sample
def test_the_log_of_a_kept_callback_does_not_say_what_it_said(
    stack: Stack, away: Away, functions: Functions, log: Callable[[], str], sample: str
) -> None:
    with away("dynamodb"):
        send(stack, sample, signed(sample))
        redeliver(stack)
    with away("dynamodb", "sqs"):
        send(stack, sample, signed(sample))

    written = log()
    assert {"not recorded or not chained", "aws_unavailable", "not kept"} <= {
        line.get("message") for line in lines(written)
    }
    assert_tells_nothing(written, sample)


@every_sample
def test_the_log_of_an_unreadable_callback_does_not_quote_it(stack: Stack, log: Callable[[], str], sample: str) -> None:
    said = body(read(sample)).decode()

    send(stack, sample, signed(sample, **text_of(said[:-1])))
    send(stack, sample, signed(sample, **text_of(f"[{said}]")))
    send(stack, sample, signed(sample, **text_of(said.replace('"success"', '"succeeded"'))))
    send(stack, sample, signed(sample, **text_of(said + " " * LARGEST_BODY)))

    written = log()
    outcomes = [line["message"] for line in lines(written) if "level" in line]
    assert outcomes == ["unreadable", "unreadable", "unreadable", "too_large"]
    assert_tells_nothing(written, sample)


@every_callback
def test_a_callback_is_counted_by_its_name_and_outcome(stack: Stack, log: Callable[[], str], sample: str) -> None:
    send(stack, sample, signed(sample))

    (metric,) = (line for line in lines(log()) if "_aws" in line)
    assert (metric["Callbacks"], metric["callback"], metric["outcome"]) == ([1.0], callback_of(sample), "adopted")
