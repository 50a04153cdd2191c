"""The contract that every callback function keeps: prove, read, send; and nothing told to the log.

It runs over events/, so a new callback is held to it as soon as it has a sample.
"""

import base64
import json
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from video_jobs.aws import secrets
from video_jobs.callbacks.messages import Received
from video_jobs.jobs.model import LARGEST_BODY

from local.samples import SAMPLE_CALLBACK_KEY, SAMPLE_SECRETS, SIGNERS
from tests.events.conftest import Away, Inbox, put_secret
from tests.events.samples import (
    CALLBACK_SAMPLES,
    EVERY_CALLBACK_SAMPLE,
    ONE_OF_EACH,
    ONE_OF_EACH_CALLBACK,
    ONE_OF_EACH_SIGNED,
    SIGNED_SAMPLES,
    body,
    callback_of,
    is_signed,
    proven,
    read,
    signed,
    words,
)
from tests.stack import CALLBACK_KEY, Context, Stack, handler, signed_query

pytestmark = pytest.mark.usefixtures("signers")

every_sample = pytest.mark.parametrize("sample", EVERY_CALLBACK_SAMPLE)
every_callback = pytest.mark.parametrize("sample", ONE_OF_EACH)
every_token = pytest.mark.parametrize("sample", ONE_OF_EACH_CALLBACK)
every_signature = pytest.mark.parametrize("sample", ONE_OF_EACH_SIGNED)

OTHERS = {"current": "other", "webhook_other": "other", "auth_key": "other"}
"""Keys of somebody else, under names that each platform takes for its own."""
ACCEPTED = {"status": 200, "outcome": "accepted"}
REJECTED = {"status": 401, "outcome": "rejected"}
UNAVAILABLE = {"status": 503, "outcome": "unavailable"}


def send(stack: Stack, sample: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
    return stack.send(callback_of(sample), event or proven(sample))


def provider_of(sample: str) -> str:
    return sample.split("/")[0]


def secret_of(sample: str) -> str:
    return f"{provider_of(sample).upper()}_SECRET" if is_signed(sample) else "CALLBACK_KEYS_SECRET"


def values_of(sample: str) -> dict[str, str]:
    return dict(SAMPLE_SECRETS[provider_of(sample)]) if is_signed(sample) else {"current": CALLBACK_KEY}


def calls_besides_secrets(stack: Stack) -> list[str]:
    return [call for call in stack.calls if not call.startswith("secretsmanager.")]


def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


# --- Accepted --------------------------------------------------------------------------------------------------------


@every_sample
def test_a_sample_is_accepted_with_one_call_to_aws_and_is_in_the_inbox_word_for_word(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    assert send(stack, sample) == ACCEPTED

    assert calls_besides_secrets(stack) == ["sqs.SendMessage"]
    (message,) = inbox.messages()
    received = Received.read(message)
    assert (received.callback, received.body) == (callback_of(sample), body(read(sample)))
    assert received.headers["user-agent"] == read(sample)["headers"]["user-agent"]
    said = received.proof
    assert (said.job_id, said.attempt) == ((None, None) if is_signed(sample) else ("job-1", 1))
    assert (said.signature is not None) == is_signed(sample)
    assert stack.items() == []


@pytest.mark.parametrize("sample", CALLBACK_SAMPLES)
def test_a_sample_is_accepted_by_the_local_stack_as_it_is(stack: Stack, keys: Callable[..., None], sample: str) -> None:
    keys(current=CALLBACK_KEY, samples=SAMPLE_CALLBACK_KEY)

    assert send(stack, sample, read(sample)) == ACCEPTED


@every_callback
def test_a_secret_is_read_once_and_not_for_each_callback(stack: Stack, sample: str) -> None:
    answers = [send(stack, sample) for _ in range(3)]

    assert answers == [ACCEPTED] * 3
    assert stack.calls == ["secretsmanager.GetSecretValue", *["sqs.SendMessage"] * 3]


def test_every_callback_that_there_is_has_a_sample() -> None:
    from video_jobs.callbacks.registry import CALLBACKS

    assert {callback_of(sample) for sample in ONE_OF_EACH} == set(CALLBACKS)


# --- Rejected: a token -----------------------------------------------------------------------------------------------


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
    "a job's id without end": lambda callback: signed_query(callback, "j" * 5000, 1, key=CALLBACK_KEY),
    "a proof that is claimed": lambda callback: "proof=%7B%22job_id%22%3A%22job-1%22%2C%22attempt%22%3A1%7D",
}


@every_token
def test_who_cannot_prove_that_we_gave_the_url_out_is_rejected_and_nothing_is_written(
    stack: Stack, log: Callable[[], str], sample: str
) -> None:
    for forgery, make in FORGERIES.items():
        query = make(callback_of(sample))

        answer = send(stack, sample, read(sample) | {"rawQueryString": query})

        assert answer == REJECTED, forgery
        assert_tells_nothing(log(), sample, token_of(query))
    assert calls_besides_secrets(stack) == []


@every_token
def test_a_token_of_another_callback_is_rejected(stack: Stack, sample: str) -> None:
    others = {callback_of(other) for other in CALLBACK_SAMPLES} - {callback_of(sample)}
    queries = [signed_query(other, "job-1", 1, key=CALLBACK_KEY) for other in sorted(others)]

    assert [send(stack, sample, read(sample) | {"rawQueryString": query}) for query in queries] == [REJECTED] * len(
        others
    )


@every_token
def test_a_token_anywhere_but_in_the_url_proves_nothing(stack: Stack, sample: str) -> None:
    proof = dict(part.split("=") for part in signed_query(callback_of(sample), "job-1", 1, key=CALLBACK_KEY).split("&"))
    claims = {"job_id": "job-1", "attempt": 1}
    forgery = {
        "rawQueryString": "",
        "queryStringParameters": {},
        "headers": proof | {"proof": json.dumps(claims), "authorization": f"Bearer {proof['token']}"},
        "body": json.dumps({"success": True, "proof": claims, **proof}),
        "isBase64Encoded": False,
    }

    assert send(stack, sample, read(sample) | forgery) == REJECTED


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

    assert stack.send(callback, read("videodb/upload/download_failed") | {"rawQueryString": query}) == ACCEPTED


@every_token
def test_parameters_that_others_add_to_the_url_do_not_matter(stack: Stack, sample: str) -> None:
    query = f"utm_source=a&{signed_query(callback_of(sample), 'job-1', 1, key=CALLBACK_KEY)}&x=1&x=2"

    assert send(stack, sample, read(sample) | {"rawQueryString": query}) == ACCEPTED


# --- Rejected: a signature -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SIGNED_SAMPLES)
def test_a_sample_without_its_signature_is_rejected(stack: Stack, sample: str) -> None:
    event = read(sample)
    proofs = SIGNERS[provider_of(sample)](b"", 0, "")
    kept = {name: value for name, value in event["headers"].items() if name not in proofs}

    assert send(stack, sample, event | {"headers": kept}) == REJECTED
    assert calls_besides_secrets(stack) == []


SIGNATURES = {"twelvelabs": "tl-signature", "apivideo": "x-api-video-signature", "apsaravideo": "x-vod-signature"}


@every_signature
def test_a_signature_that_does_not_hold_is_rejected(stack: Stack, sample: str) -> None:
    event, name = proven(sample), SIGNATURES[provider_of(sample)]
    given = event["headers"][name]
    digits = given.rpartition("=")[2]
    begin = given.removesuffix(digits)
    wrong = ["", begin, given[:-1], given + "0", begin + digits.upper(), begin + digits[::-1], f"{given},{given}"]
    wrong.append(begin + "\u0661" * len(digits))

    answers = [send(stack, sample, event | {"headers": event["headers"] | {name: value}}) for value in wrong]

    assert answers == [REJECTED] * len(wrong)
    assert calls_besides_secrets(stack) == []


# --- Keys ------------------------------------------------------------------------------------------------------------


@every_token
def test_a_token_of_any_accepted_key_holds(stack: Stack, keys: Callable[..., None], sample: str) -> None:
    keys(current="a-new-key", previous=CALLBACK_KEY)

    answers = [send(stack, sample, signed(sample, key=key)) for key in ("a-new-key", CALLBACK_KEY)]

    assert answers == [ACCEPTED, ACCEPTED]


@every_callback
def test_a_key_that_was_rotated_after_it_was_cached_is_read_once_more(stack: Stack, sample: str) -> None:
    put_secret(secret_of(sample), OTHERS)
    assert send(stack, sample) == REJECTED
    put_secret(secret_of(sample), values_of(sample))
    secrets._refreshed_at.clear()

    assert send(stack, sample) == ACCEPTED


@every_callback
def test_a_stranger_cannot_have_a_secret_looked_up_without_limit(stack: Stack, sample: str) -> None:
    put_secret(secret_of(sample), OTHERS)
    stack.calls.clear()

    answers = [send(stack, sample) for _ in range(10)]

    assert answers == [REJECTED] * 10
    assert stack.calls == ["secretsmanager.GetSecretValue"] * 2


UNUSABLE: dict[str, Any] = {
    "no key in it": {},
    "empty ones": {"current": "", "webhook": "", "webhook_aBcD": " ", "auth_key": "\n"},
    "no object": [],
}


@every_callback
def test_a_missing_secret_is_no_open_door_and_the_log_says_which(
    stack: Stack, away: Away, log: Callable[[], str], sample: str
) -> None:
    with away("secretsmanager"):
        answers = {"it cannot be read": send(stack, sample)}
    for name, values in UNUSABLE.items():
        put_secret(secret_of(sample), {**values, "api_key": "key"} if values and is_signed(sample) else values)
        secrets.forget()
        answers[name] = send(stack, sample)

    assert answers == dict.fromkeys(["it cannot be read", *UNUSABLE], UNAVAILABLE)
    assert all("secret" in line.lower() for line in log().splitlines() if '"unavailable"' in line and "level" in line)
    assert calls_besides_secrets(stack) == []


@every_callback
def test_while_secrets_manager_is_away_the_keys_that_were_read_last_are_used(
    stack: Stack, away: Away, monkeypatch: pytest.MonkeyPatch, sample: str
) -> None:
    send(stack, sample)
    monkeypatch.setattr(secrets, "MAX_AGE_SECONDS", -1)

    with away("secretsmanager"):
        assert send(stack, sample) == ACCEPTED
        assert send(stack, sample, read(sample) | {"rawQueryString": "", "headers": {}}) == REJECTED


# --- Unreadable, too large -------------------------------------------------------------------------------------------

UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"success",
    "not UTF-8": b'{"success": true, "message": "\xff\xfe"}',
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "not its fields": b'{"success": "perhaps", "type": ["not", "a", "text"], "EventType": 5}',
    "nested without end": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
}
STRICT: dict[str, bytes] = {
    "a key twice": b'{"success": true, "success": false, "type": "a", "type": "b"}',
    "NaN": b'{"success": true, "type": "a", "data": NaN}',
    "infinity": b'{"success": true, "type": "a", "data": 1e999}',
    "half a pair": b'{"success": false, "type": "a", "message": "\\ud83d"}',
}
"""What VOD's own bodies have been seen to be nearly as bad as."""


@every_callback
def test_what_is_proven_but_cannot_be_read_is_among_the_dead_letters_as_the_message_that_it_would_have_been(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    bodies = UNREADABLE if provider_of(sample) == "apsaravideo" else UNREADABLE | STRICT
    for said, sent in bodies.items():
        stack.calls.clear()

        answer = send(stack, sample, proven(sample, said=sent))

        assert answer == {"status": 422, "outcome": "unreadable"}, said
        assert calls_besides_secrets(stack) == ["sqs.SendMessage"]
        assert inbox.messages() == []
        assert_is_what_it_would_have_been(stack, inbox, sample, sent)


def assert_is_what_it_would_have_been(stack: Stack, inbox: Inbox, sample: str, sent: bytes) -> None:
    (letter,) = inbox.dead_letters()
    send(stack, sample)
    (message,) = inbox.messages()
    unread, ordinary = Received.read(letter), Received.read(message)
    assert unread.body == sent
    assert (unread.callback, unread.headers.keys()) == (ordinary.callback, ordinary.headers.keys())
    if not is_signed(sample):
        assert unread.proof == ordinary.proof


@every_callback
def test_a_large_body_is_answered_so_and_is_among_the_dead_letters_too(stack: Stack, inbox: Inbox, sample: str) -> None:
    sent = b'{"message": "' + "\u4e2d".encode() * (LARGEST_BODY // 3) + b'"}'  # bytes count, and not characters
    assert len(sent.decode()) < LARGEST_BODY < len(sent)

    assert send(stack, sample, proven(sample, said=sent)) == {"status": 413, "outcome": "too_large"}

    assert_is_what_it_would_have_been(stack, inbox, sample, sent)


@every_callback
def test_what_no_queue_takes_is_left_to_the_polls_and_the_log_says_so(
    stack: Stack, inbox: Inbox, log: Callable[[], str], sample: str
) -> None:
    sent = json.dumps({"message": Random(1).randbytes(2_000_000).hex()})

    assert send(stack, sample, proven(sample, said=sent)) == {"status": 413, "outcome": "too_large"}

    assert "too_large_to_keep" in log()
    assert (inbox.messages(), inbox.dead_letters()) == ([], [])


@every_token
def test_base64_that_is_none_is_unreadable(stack: Stack, inbox: Inbox, sample: str) -> None:
    event = proven(sample) | {"body": "not base64!", "isBase64Encoded": True}

    assert send(stack, sample, event) == {"status": 422, "outcome": "unreadable"}


@every_signature
def test_base64_that_is_none_proves_nothing(stack: Stack, sample: str) -> None:
    assert send(stack, sample, proven(sample) | {"body": "not base64!", "isBase64Encoded": True}) == REJECTED


# --- However it is sent ----------------------------------------------------------------------------------------------

HEADERS: dict[str, dict[str, str] | None] = {
    "none": {},
    "null": None,
    "plain text": {"content-type": "text/plain"},
    "a form": {"content-type": "application/x-www-form-urlencoded"},
    "another charset": {"content-type": "application/json; charset=iso-8859-1"},
    "in capitals": {"CONTENT-TYPE": "application/json", "User-Agent": "a platform"},
    "repeated": {"content-type": "application/json,application/json", "x-forwarded-for": "192.0.2.1,::1"},
    "empty": {"content-type": ""},
    "a wrong length": {"content-type": "application/json", "content-length": "1"},
    "long": {"user-agent": "a" * 8000},
}


@every_callback
def test_headers_do_not_decide(stack: Stack, inbox: Inbox, sample: str) -> None:
    event = proven(sample)
    proofs = SIGNERS[provider_of(sample)](b"", 0, "") if is_signed(sample) else {}
    proof = {name.upper(): event["headers"][name] for name in proofs}
    for name, headers in HEADERS.items():
        sent = {**(headers or {}), **proof} if proof else headers

        assert send(stack, sample, event | {"headers": sent}) == ACCEPTED, name

        (message,) = inbox.messages()
        assert Received.read(message).body == body(read(sample))


@every_callback
def test_secrets_in_headers_and_the_token_are_not_passed_on(stack: Stack, inbox: Inbox, sample: str) -> None:
    event = proven(sample)
    secret = {"Authorization": "Bearer a-header-secret", "cookie": "session=a-header-secret"}
    headers = event["headers"] | secret

    send(stack, sample, event | {"headers": headers, "cookies": ["session=a-header-secret"]})

    (message,) = inbox.messages()
    assert "a-header-secret" not in message
    assert "token" not in message
    proofs = SIGNERS[provider_of(sample)](b"", 0, "") if is_signed(sample) else {}
    hidden = [event["headers"][name] for name in proofs if "webhookid" not in name and "timestamp" not in name]
    assert not [value for value in hidden if value in message]


@every_sample
def test_a_body_in_base64_is_the_same_message(stack: Stack, inbox: Inbox, sample: str) -> None:
    event = proven(sample)
    data = body(event)

    send(stack, sample, event | {"body": base64.b64encode(data).decode(), "isBase64Encoded": True})
    send(stack, sample, event | {"body": data.decode(), "isBase64Encoded": False})

    first, second = (Received.read(message) for message in inbox.messages())
    assert (first.body, first.proof) == (second.body, second.proof)


@every_callback
def test_a_byte_order_mark_is_passed_over(stack: Stack, sample: str) -> None:
    assert send(stack, sample, proven(sample, said=b"\xef\xbb\xbf" + body(read(sample)))) == ACCEPTED


# --- AWS away --------------------------------------------------------------------------------------------------------

FAULTS: dict[str, Exception | None] = {
    "no connection": None,
    "no answer": ReadTimeoutError(endpoint_url="https://aws.example.com"),
    "an error of AWS": ClientError({"Error": {"Code": "InternalServerError", "Message": "m"}}, "SendMessage"),
    "throttled": ClientError({"Error": {"Code": "ThrottlingException", "Message": "m"}}, "SendMessage"),
    "not allowed": ClientError({"Error": {"Code": "AccessDeniedException", "Message": "m"}}, "SendMessage"),
    "no credentials": NoCredentialsError(),
}


@every_callback
def test_while_the_queue_is_away_the_platform_must_try_again(
    stack: Stack, away: Away, inbox: Inbox, sample: str
) -> None:
    for name, fault in FAULTS.items():
        with away("sqs", fault=fault):
            assert send(stack, sample) == UNAVAILABLE, name

        assert send(stack, sample) == ACCEPTED
        assert len(inbox.messages()) == 1


@every_callback
def test_while_the_table_is_away_a_callback_is_accepted(stack: Stack, away: Away, sample: str) -> None:
    with away("dynamodb"):
        assert send(stack, sample) == ACCEPTED


@every_callback
@pytest.mark.parametrize("said", [b"no JSON", b" " * (LARGEST_BODY + 1)], ids=["unreadable", "large"])
def test_what_cannot_be_read_nor_kept_must_be_sent_again(stack: Stack, away: Away, sample: str, said: bytes) -> None:
    with away("sqs"):
        assert send(stack, sample, proven(sample, said=said)) == UNAVAILABLE


# --- The log ---------------------------------------------------------------------------------------------------------


def assert_tells_nothing(written: str, sample: str, *secret: str) -> None:
    """Neither the proof nor a key nor anything of the body stands in the log."""
    from video_jobs.platforms.apsaravideo.payloads import read as read_tolerantly

    said = words(read_tolerantly(body(read(sample))))
    keys = [CALLBACK_KEY, *values_of(sample).values(), *secret]
    if is_signed(sample):
        keys += SIGNERS[provider_of(sample)](b"", 0, "").values()
    else:
        keys.append(token_of(signed(sample)["rawQueryString"]))
    assert written
    # the service's own name, and the callback's
    assert {word for word in said | words(keys) if word in written} <= {"video", "encoding"}


@every_sample
def test_the_log_says_whose_it_was_and_what_became_of_it_and_not_what_it_said(
    stack: Stack, away: Away, log: Callable[[], str], sample: str
) -> None:
    said = body(read(sample))
    log()

    send(stack, sample)
    with away("sqs"):
        send(stack, sample)
    send(stack, sample, proven(sample, said=b"[" + said))
    send(stack, sample, proven(sample, said=said + b" " * LARGEST_BODY))

    written = log()
    logged = [line for line in lines(written) if "level" in line]  # what went well is counted
    assert [line["message"] for line in logged] == ["unavailable", "unreadable", "too_large"]
    assert {(line["provider"], line["callback"]) for line in logged} == {(provider_of(sample), callback_of(sample))}
    whose = {(line.get("job_id"), line.get("attempt")) for line in logged}
    assert whose == {(None, None) if is_signed(sample) else ("job-1", 1)}
    assert_tells_nothing(written, sample)


@every_callback
def test_a_callback_is_counted_by_its_name_and_outcome(stack: Stack, log: Callable[[], str], sample: str) -> None:
    log()
    send(stack, sample)
    send(stack, sample, read(sample) | {"rawQueryString": "", "headers": {}})

    metrics = [line for line in lines(log()) if "_aws" in line]
    assert [(metric["Callbacks"], metric["callback"], metric["outcome"]) for metric in metrics] == [
        ([1.0], callback_of(sample), "accepted"),
        ([1.0], callback_of(sample), "rejected"),
    ]


def test_mns_takes_nothing_where_no_queue_is_configured(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "")

    assert handler("apsaravideo/mns")(read("apsaravideo/mns/schedule"), Context()) == {}
