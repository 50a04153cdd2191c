"""What a sender who has proven nothing can make a callback do: the same, however much is in the request's headers."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from video_jobs import http
from video_jobs.callbacks import proofs
from video_jobs.platforms.apivideo import signature as apivideo
from video_jobs.platforms.apsaravideo import signature as apsaravideo
from video_jobs.platforms.twelvelabs import signature as twelvelabs

from local.samples import SAMPLE_BASE_URL, SAMPLE_SECRETS, SIGNERS
from tests.events.conftest import put_secret
from tests.events.samples import CALLBACK_SAMPLES, ONE_OF_EACH_CALLBACK, ONE_OF_EACH_SIGNED, callback_of, read, signed
from tests.patches import change
from tests.stack import CALLBACK_KEY, Stack

KEYS = 3
"""How many keys each secret has."""
TIMES = 140
"""As often as a header of 10 KB, which is what API Gateway takes, can hold a signature."""
BODY = "x" * (6 * 1024 * 1024 * 3 // 4)
"""About as much as Lambda takes."""


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each keyed hash was over, in the order in which they were made."""
    sizes: list[int] = []

    def noted(made: Callable[..., Any], *, message: int) -> Callable[..., Any]:
        def count(*given: Any, **named: Any) -> Any:
            sizes.append(len(given[message]))
            return made(*given, **named)

        return count

    for module in (twelvelabs, apivideo):
        change(monkeypatch, module, hmac, digest=noted(hmac.digest, message=1))
    change(monkeypatch, proofs, hmac, new=noted(hmac.new, message=1))
    change(monkeypatch, apsaravideo, hashlib, md5=noted(hashlib.md5, message=0))
    return sizes


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters were decoded from base64 each time."""
    sizes: list[int] = []

    def noted(text: str, **options: Any) -> bytes:
        sizes.append(len(text))
        return base64.b64decode(text, **options)

    monkeypatch.setattr(http, "base64", SimpleNamespace(b64decode=noted))
    return sizes


@pytest.fixture(autouse=True)
def three_keys(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", f"{SAMPLE_BASE_URL}/callbacks/apsaravideo/upload-by-url-complete")
    others = {"twelvelabs": "webhook_", "apivideo": "webhook_", "apsaravideo": "auth_key_"}
    put_secret("CALLBACK_KEYS_SECRET", {"current": CALLBACK_KEY, "previous": "b-key", "before": "c-key"})
    for provider, prefix in others.items():
        values = {**SAMPLE_SECRETS[provider], f"{prefix}b": "b-secret", f"{prefix}c": "c-secret"}
        put_secret(f"{provider.upper()}_SECRET", {"api_key": "key", **values})


def wrongly_signed(sample: str, *, times: int = 1, joined: str = ",") -> dict[str, Any]:
    """The sample with proofs that look right and are not, each `times` in its header."""
    event = read(sample)
    moment = event["requestContext"]["timeEpoch"] // 1000
    provider = sample.split("/")[0]
    headers = SIGNERS[provider](b"another body", moment, "https://elsewhere.example")
    if provider == "twelvelabs":
        begin, wrong = headers["tl-signature"].split(",")
        headers = {"tl-signature": ",".join([begin, *[wrong] * times])}
    else:
        headers = {name: joined.join([value] * times) for name, value in headers.items()}
    return event | {"headers": event["headers"] | headers, "body": BODY, "isBase64Encoded": False}


@pytest.mark.parametrize("sample", ONE_OF_EACH_SIGNED)
@pytest.mark.parametrize("times", [1, 2, 8, 9, TIMES])
def test_each_key_is_used_once_however_many_signatures_there_are(
    stack: Stack, hashed: list[int], sample: str, times: int
) -> None:
    stack.send(callback_of(sample), wrongly_signed(sample))  # the secret is read anew for the first one
    hashed.clear()

    answer = stack.send(callback_of(sample), wrongly_signed(sample, times=times))

    assert answer == {"status": 401, "outcome": "rejected"}
    assert len(hashed) <= KEYS
    assert sum(hashed) <= KEYS * (len(BODY) + 100)


@pytest.mark.parametrize("proof", ["", "t=1,v1=" + "0" * 64, "v1=" + ",v1=".join(["0" * 64] * TIMES)])
def test_a_header_that_proves_nothing_costs_no_hash_at_all(stack: Stack, hashed: list[int], proof: str) -> None:
    event = read("twelvelabs/index_task/ready")
    event["headers"] = event["headers"] | {"tl-signature": proof}

    answer = stack.send("twelvelabs/index_task", event | {"body": BODY})

    assert (answer["status"], hashed) == (401, [])


def test_more_signatures_than_anybody_sends_are_rejected_though_one_of_them_holds(
    stack: Stack, hashed: list[int]
) -> None:
    event = read("twelvelabs/index_task/ready")
    proof = event["headers"]["tl-signature"]
    answers = []
    for more in (twelvelabs.MOST_SIGNATURES - 1, twelvelabs.MOST_SIGNATURES):
        headers = {"tl-signature": ",".join([proof, *[f"v1={'0' * 64}"] * more])}
        answers.append(stack.send("twelvelabs/index_task", event | {"headers": event["headers"] | headers})["status"])

    assert answers == [200, 401]
    assert len(hashed) == KEYS


@pytest.mark.parametrize("sample", ONE_OF_EACH_CALLBACK)
def test_a_token_is_compared_with_one_hash_for_each_key_and_not_over_the_body(
    stack: Stack, hashed: list[int], sample: str
) -> None:
    event = signed(sample, key="a-strangers-key", body=BODY)
    stack.send(callback_of(sample), event)
    hashed.clear()

    assert stack.send(callback_of(sample), event)["status"] == 401

    assert len(hashed) == KEYS
    assert max(hashed) < 1000


@pytest.mark.parametrize("sample", [*ONE_OF_EACH_SIGNED, *CALLBACK_SAMPLES[:1]])
def test_a_body_is_decoded_once(stack: Stack, decoded: list[int], sample: str) -> None:
    event = read(sample) if sample in ONE_OF_EACH_SIGNED else signed(sample)
    text = base64.b64encode(event["body"].encode()).decode()

    answer = stack.send(callback_of(sample), event | {"body": text, "isBase64Encoded": True})

    assert answer["status"] == 200
    assert decoded == [len(text)]
