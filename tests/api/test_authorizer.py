"""Who is let into the jobs API."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from video_jobs import secrets, settings

from functions.api.authorizer import app
from tests.stack import API_KEY, Context, Stack

pytestmark = pytest.mark.usefixtures("stack")

KEYS = {"default": API_KEY, "ci": "another-api-key", "ops": "schlüssel-für-ops"}


def ask(**headers: str) -> dict[str, Any]:
    """The authorizer's answer to a request with these headers; _ stands for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.handler({"version": "2.0", "type": "REQUEST", "rawPath": "/jobs", "headers": named}, Context())


def keep(keys: Any) -> None:
    """Put keys into the secret."""
    text = keys if isinstance(keys, str) else json.dumps(keys)
    settings.secretsmanager().put_secret_value(SecretId="API_KEYS_SECRET", SecretString=text)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the authorizer logs."""
    (log_handler,) = app.logger.handlers
    stream = io.StringIO()
    previous = log_handler.setStream(stream)  # type: ignore[attr-defined]
    yield stream
    log_handler.setStream(previous)  # type: ignore[attr-defined]


def test_a_key_in_x_api_key_lets_in() -> None:
    assert ask(x_api_key=API_KEY) == {"isAuthorized": True, "context": {"api_key_name": "default"}}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_a_key_as_a_bearer_token_lets_in_however_the_scheme_is_written(scheme: str) -> None:
    assert ask(authorization=f"{scheme} {API_KEY}")["isAuthorized"] is True


@pytest.mark.parametrize("header", ["X-Api-Key", "X-API-KEY"])
def test_header_names_have_no_case(header: str) -> None:
    assert ask(**{header: API_KEY})["isAuthorized"] is True


@pytest.mark.parametrize(("name", "key"), KEYS.items())
def test_every_key_lets_in_under_its_own_name(name: str, key: str) -> None:
    keep(KEYS)

    assert ask(x_api_key=key) == {"isAuthorized": True, "context": {"api_key_name": name}}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_api_key": ""},
        {"x_api_key": " "},
        {"x_api_key": "wrong"},
        {"x_api_key": API_KEY + "x"},
        {"x_api_key": API_KEY[:-1]},
        {"x_api_key": API_KEY.upper()},
        {"x_api_key": "schlüssel"},
        {"x_api_key": "\udc80"},
        {"x_api_key": "default"},
        {"authorization": API_KEY},
        {"authorization": f"Basic {API_KEY}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer{API_KEY}"},
        {"authorization": f"Bearer {API_KEY} {API_KEY}"},
        {"x_api_key": "wrong", "authorization": f"Bearer {API_KEY}"},
    ],
    ids=str,
)
def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    assert ask(**headers) == {"isAuthorized": False}


def test_a_request_without_headers_is_refused() -> None:
    assert app.handler({"rawPath": "/jobs", "headers": None}, Context()) == {"isAuthorized": False}


def test_the_secret_is_read_once_for_many_requests(stack: Stack) -> None:
    for _ in range(5):
        ask(x_api_key=API_KEY)

    assert stack.calls.count("secretsmanager.GetSecretValue") == 1


def test_a_new_key_is_accepted_although_the_old_ones_are_cached() -> None:
    ask(x_api_key=API_KEY)
    keep({"next": "new-key"})

    assert ask(x_api_key="new-key") == {"isAuthorized": True, "context": {"api_key_name": "next"}}
    assert ask(x_api_key=API_KEY) == {"isAuthorized": False}


def test_strangers_cannot_make_it_ask_for_the_secret_without_limit(stack: Stack) -> None:
    for _ in range(20):
        ask(x_api_key="wrong")

    assert stack.calls.count("secretsmanager.GetSecretValue") == 2


@pytest.mark.parametrize(
    "value", ["{}", "[]", "hush", '"hush"', '{"default": ""}', '{"default": 1}', '{"default": "hush']
)
def test_a_secret_without_keys_lets_nobody_in_and_is_named_but_not_quoted(value: str) -> None:
    keep(value)

    with pytest.raises(secrets.SecretUnavailableError, match="API_KEYS_SECRET") as raised:
        ask(x_api_key="1")

    assert "hush" not in str(raised.value)


def test_a_missing_secret_lets_nobody_in_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS_SECRET", "nowhere")

    # API Gateway answers 500, and Lambda logs the error
    with pytest.raises(secrets.SecretUnavailableError, match="nowhere"):
        ask(x_api_key=API_KEY)


def test_a_refusal_is_logged_without_the_key(log: io.StringIO) -> None:
    ask(x_api_key="almost-a-key", authorization="Bearer also-a-key")

    (line,) = (json.loads(line) for line in log.getvalue().splitlines())
    assert (line["level"], line["message"], line["path"]) == ("WARNING", "refused", "/jobs")
    assert "a-key" not in log.getvalue()


def test_nothing_is_logged_of_a_key_that_lets_in(log: io.StringIO) -> None:
    ask(x_api_key=API_KEY)

    assert API_KEY not in log.getvalue()
