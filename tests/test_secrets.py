"""Secrets: what can be used of one is used, and what cannot is named."""

import base64
import json
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import EndpointConnectionError
from video_jobs.api import keys
from video_jobs.aws import clients, secrets
from video_jobs.aws.errors import is_aws_error
from video_jobs.aws.secrets import SecretUnavailableError
from video_jobs.callbacks import proofs
from video_jobs.worker.platform import token_url

from local.samples import SAMPLE_BASE_URL, SAMPLE_SECRETS
from tests import log
from tests.events.samples import ONE_OF_EACH_CALLBACK, ONE_OF_EACH_SIGNED, callback_of, read, signed
from tests.pipeline.receivers import receiver
from tests.scripted import new_job
from tests.stack import API_KEY, CALLBACK_KEY, Context, Stack, handler

pytestmark = pytest.mark.usefixtures("stack")

BAD: dict[str, Any] = {
    "empty": "",
    "blank": " \n",
    "number": 12345678,
    "nothing": None,
    "flag": True,
    "list": ["a-hidden-value"],
    "object": {"key": "a-hidden-value"},
    "two lines": "a-hidden-value\nand another",
    "a null byte": "a-hidden-value\0",
}
REASONS = {
    **dict.fromkeys(("number", "nothing", "flag", "list", "object"), "not a text"),
    **dict.fromkeys(("empty", "blank"), "empty"),
    **dict.fromkeys(("two lines", "a null byte"), "has a line break or another control character inside"),
}


def put(name: str, values: Any) -> None:
    clients.secretsmanager().put_secret_value(SecretId=name, SecretString=json.dumps(values))


@pytest.mark.parametrize("bad", BAD)
def test_a_value_that_cannot_be_a_key_is_left_out_and_named_and_the_others_work(bad: str) -> None:
    put("API_KEYS_SECRET", {"before": "key-1", bad: BAD[bad], "after": "key-2"})

    with log.captured() as written:
        found = secrets.values("API_KEYS_SECRET")

    assert found == {"before": "key-1", "after": "key-2"}
    (line,) = written.messages("secret_value_left_out")
    assert (line["level"], line["secret"], line["field"]) == ("WARNING", "API_KEYS_SECRET", bad)
    assert line["reason"] == REASONS[bad]
    assert "a-hidden-value" not in written.getvalue()


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {} ", "\t{}", "\u00a0{}\u2028"])
def test_line_breaks_and_blanks_around_a_value_do_not_count(around: str) -> None:
    put("API_KEYS_SECRET", {"default": around.format("a key")})

    assert secrets.values("API_KEYS_SECRET") == {"default": "a key"}


def test_it_is_named_once_and_not_for_every_request_and_again_when_the_secret_has_changed(stack: Stack) -> None:
    put("API_KEYS_SECRET", {"default": API_KEY, "empty": ""})

    with log.captured() as written:
        for _ in range(5):
            secrets.values("API_KEYS_SECRET")
        secrets.newer_values("API_KEYS_SECRET")
        once = len(written.messages("secret_value_left_out"))
        put("API_KEYS_SECRET", {"default": API_KEY, "empty": "", "other": "key-2"})
        secrets.values("API_KEYS_SECRET", fresh=True)

    assert once == 1
    assert len(written.messages("secret_value_left_out")) == 2


def test_a_stale_secret_is_better_than_none_while_aws_does_not_answer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.values("API_KEYS_SECRET")
    monkeypatch.setattr(secrets, "MAX_AGE_SECONDS", -1)

    with unreachable(), log.captured() as written:
        found = [secrets.values("API_KEYS_SECRET"), secrets.values("API_KEYS_SECRET", fresh=True)]

    assert found == [{"default": API_KEY}] * 2
    assert len(written.messages("secret_is_stale")) == 2


def test_a_secret_that_was_never_read_lets_nobody_in_while_aws_does_not_answer_and_that_is_awss_doing() -> None:
    with unreachable(), pytest.raises(SecretUnavailableError) as raised:
        secrets.values("API_KEYS_SECRET")

    assert is_aws_error(raised.value)


def unreachable() -> Any:
    error = EndpointConnectionError(endpoint_url="https://aws.example.com")
    return patch.object(clients.secretsmanager(), "get_secret_value", side_effect=error)


@pytest.mark.parametrize("values", [{}, {"default": ""}, {"a": 1, "b": "\n"}, [], "text", 5, None])
def test_a_secret_of_which_nothing_is_left_lets_nobody_in(values: Any) -> None:
    put("API_KEYS_SECRET", values)

    with pytest.raises(SecretUnavailableError, match="API_KEYS_SECRET"):
        secrets.values("API_KEYS_SECRET")


# --- Every kind of key, with a line break behind it and beside a bad one ----------------------------------------------

BESIDE = {f"{prefix}{name}": value for prefix in ("", "webhook_", "auth_key_") for name, value in BAD.items()}
"""Bad values under names that each platform takes for keys."""


def with_bad_ones(values: dict[str, str]) -> dict[str, Any]:
    return {**BESIDE, **{name: f" {value}\r\n" for name, value in values.items()}}


def test_api_keys(stack: Stack) -> None:
    put("API_KEYS_SECRET", with_bad_ones({"default": API_KEY}))

    owners = [keys.owner({"x-api-key": key}) for key in (API_KEY, "", "None", "12345678")]

    assert owners == ["default", None, None, None]


def test_callback_keys_of_urls_that_were_given_out_and_that_are_given_out(stack: Stack) -> None:
    put("CALLBACK_KEYS_SECRET", with_bad_ones({"current": "new-callback-key", "previous": CALLBACK_KEY}))

    url = token_url(new_job(plan=["upload"]), "upload")
    outcomes = [
        stack.send(callback_of(sample), signed(sample, key=key))["status"]
        for sample in ONE_OF_EACH_CALLBACK
        for key in (CALLBACK_KEY, "new-callback-key", "12345678", "")
    ]

    assert proofs.token("videodb/upload", "job-1", 1, key="new-callback-key") in url
    assert outcomes == [200, 200, 401, 401] * len(ONE_OF_EACH_CALLBACK)


@pytest.mark.parametrize("sample", ONE_OF_EACH_SIGNED)
def test_secrets_that_platforms_sign_with(stack: Stack, monkeypatch: pytest.MonkeyPatch, sample: str) -> None:
    provider = sample.split("/")[0]
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", f"{SAMPLE_BASE_URL}/callbacks/apsaravideo/upload-by-url-complete")
    put(f"{provider.upper()}_SECRET", with_bad_ones({"api_key": "key", **SAMPLE_SECRETS[provider]}))

    assert stack.send(callback_of(sample), read(sample)) == {"status": 200, "outcome": "accepted"}


@pytest.mark.parametrize("provider", ["videodb", "twelvelabs", "apivideo"])
def test_api_keys_of_platforms(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    import importlib

    name = "VIDEODB_API_KEY_SECRET" if provider == "videodb" else f"{provider.upper()}_SECRET"
    put(name, with_bad_ones({"api_key": "sk-test"}))
    client = importlib.import_module(f"video_jobs.platforms.{provider}.client")

    assert client._rest._api_key() == "sk-test"


def test_access_keys_of_alibaba_cloud() -> None:
    from video_jobs.platforms.apsaravideo import client

    put("APSARAVIDEO_SECRET", with_bad_ones({"access_key_id": "LTAI-test", "access_key_secret": "secret-test"}))

    assert client._access_key(secrets.values("APSARAVIDEO_SECRET")) == ("LTAI-test", "secret-test")


def test_keys_that_notifications_are_signed_with(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    clients.secretsmanager().create_secret(Name="NOTIFY_SECRETS", SecretString=json.dumps(with_bad_ones({"a": key})))
    monkeypatch.setenv("NOTIFY_SECRETS", "NOTIFY_SECRETS")
    monkeypatch.setenv("NOTIFY_ALLOW_PRIVATE", "true")

    with receiver() as there:
        notification = {"to": "url", "url": there.url, "event_id": "evt_1", "event": '{"type":"job.succeeded"}'}
        answer = handler("pipeline/notify")(stack.received("UrlNotifications", json.dumps(notification)), Context())

    assert answer == {"batchItemFailures": []}
    assert [request.headers["webhook-signature"].count("v1,") for request in there.requests] == [1]
