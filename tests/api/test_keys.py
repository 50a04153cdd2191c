"""Who is let in: every route of every API asks for one of our keys before anything else."""

import hmac
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from video_jobs.api import keys
from video_jobs.api.middleware import Api
from video_jobs.aws import clients

from tests.api.calls import PROBLEM, Answer, away, call_without_key, create
from tests.cloudformation import ROOT, of_type
from tests.log import Log, captured
from tests.patches import change
from tests.stack import API_KEY, Stack, handler

pytestmark = pytest.mark.usefixtures("stack")

KEYS = {"default": API_KEY, "ci": "another-api-key", "ops": "schlüssel-für-ops"}
LOGINS = {"/apivideo/auth/api-key": "apiKey", "/apivideo/auth/refresh": "refreshToken"}
"""The routes that take the key, or a token for one, in their body."""


# --- Every route -----------------------------------------------------------------------------------------------------


def declared() -> Iterator[tuple[str, str]]:
    """The routes in the code: method and path, as the template writes it."""
    for name in ("api", "twelvelabs/api", "apivideo/api"):
        found: Any = handler(name)
        assert isinstance(found, Api)
        for method, path in found.routes:
            yield method, re.sub(r"<(\w+)>", r"{\1}", path)


def deployed() -> Iterator[tuple[str, str]]:
    """The routes in the template, but for callbacks: those prove themselves otherwise."""
    for function in of_type("AWS::Serverless::Function").values():
        for event in function.get("Events", {}).values():
            properties = event["Properties"]
            if event["Type"] == "HttpApi" and not properties["Path"].startswith("/callbacks/"):
                yield properties["Method"], properties["Path"]


ROUTES = sorted({*declared(), *deployed()})
WRONG: Mapping[str, dict[str, str]] = {
    "none": {},
    "wrong": {"x-api-key": "wrong"},
    "wrong bearer": {"authorization": "Bearer wrong"},
}


def test_what_is_declared_is_what_is_deployed() -> None:
    assert sorted(declared()) == sorted(deployed())
    assert len(ROUTES) >= 22


def test_routes_are_declared_where_the_key_is_asked_for_and_nowhere_else() -> None:
    serving = re.compile(r"APIGatewayHttpResolver\(|ApiGatewayResolver\(|HttpResolverLocal\(")
    files = [file for folder in ("layers", "functions") for file in (ROOT / folder).rglob("*.py")]

    assert [file.name for file in files if serving.search(file.read_text())] == ["middleware.py"]


def assert_is_refused(answer: Answer, path: str) -> None:
    """In the words of whoever's route it is; nothing else was done."""
    if path in LOGINS:
        assert (answer.status, answer.json["status"]) == (400, 400)
        return
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="video-jobs"'
    match path.split("/")[1]:
        case "twelvelabs":
            assert answer.json["code"] == "api_key_invalid"
        case "apivideo":
            assert answer.json["type"].startswith("https://docs.api.video/reference/authentication-")
        case _:
            assert answer.code == "unauthorized"


def refused_body(path: str) -> dict[str, str] | None:
    return {LOGINS[path]: "wrong"} if path in LOGINS else None


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_refuses_who_has_no_key(stack: Stack, method: str, path: str, headers: dict[str, str]) -> None:
    at = re.sub(r"\{\w+\}", "some-id", path)

    answer = call_without_key(method, at, refused_body(path), headers=headers)

    assert_is_refused(answer, path)
    assert {call.split(".")[0] for call in stack.calls} <= {"secretsmanager"}
    assert stack.items() == []


@pytest.mark.parametrize("path", ["/jobs/a/b/c", "/nowhere", "/twelvelabs/elsewhere", "/apivideo/elsewhere"])
def test_what_is_no_route_is_not_told_to_who_has_no_key(path: str) -> None:
    assert_is_refused(call_without_key("GET", path), path)
    assert call_without_key("GET", path, headers={"x-api-key": API_KEY}).status == 404


@pytest.mark.parametrize(
    ("text", "headers"), [("[" * 100_000, {}), ("x" * 1_000_000, {}), ("{}", {"content-type": "text/plain"})]
)
def test_no_body_is_read_of_who_has_no_key(text: str, headers: dict[str, str]) -> None:
    assert call_without_key("POST", "/jobs", text=text, headers=headers).status == 401
    assert call_without_key("GET", "/jobs", query={"limit": "ten"}).status == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_says_503_while_the_keys_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setenv("API_KEYS_SECRET", "nowhere")
    body = {LOGINS[path]: "session.refresh.ZA.1.2" if "refresh" in path else API_KEY} if path in LOGINS else None

    answer = call_without_key(method, re.sub(r"\{\w+\}", "some-id", path), body, headers={"x-api-key": API_KEY})

    assert answer.status == 503
    if path.split("/")[1] not in ("twelvelabs", "apivideo"):
        assert answer.code == "unavailable"
        assert "API keys" in answer.json["detail"]
    assert "nowhere" not in answer.text


# --- Our own API -----------------------------------------------------------------------------------------------------


def ask(**headers: str) -> Answer:
    """A request with these headers; _ stands for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return call_without_key("GET", "/jobs/nobody", headers=named)


def is_let_in(answer: Answer) -> bool:
    if answer.status == 401:
        assert answer.headers["content-type"] == PROBLEM
    return {404: True, 401: False}[answer.status]


def keep(found: Any) -> None:
    """Put keys into the secret."""
    text = found if isinstance(found, str) else json.dumps(found)
    clients.secretsmanager().put_secret_value(SecretId="API_KEYS_SECRET", SecretString=text)


@pytest.fixture
def log() -> Iterator[Log]:
    """What is logged."""
    handler("api")
    with captured() as log:
        yield log


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_a_key_as_a_bearer_token_lets_in_however_the_scheme_is_written(scheme: str) -> None:
    assert is_let_in(ask(authorization=f"{scheme} {API_KEY}"))


@pytest.mark.parametrize("header", ["x-api-key", "X-Api-Key", "X-API-KEY"])
def test_header_names_have_no_case(header: str) -> None:
    assert is_let_in(ask(**{header: API_KEY}))


@pytest.mark.parametrize(("name", "key"), KEYS.items())
def test_every_key_lets_in_and_is_logged_under_its_own_name(log: Log, name: str, key: str) -> None:
    keep(KEYS)

    assert is_let_in(ask(x_api_key=key))

    (line,) = log.messages("asked")
    assert (line["api_key_name"], line["request_id"]) == (name, "request-1")
    assert key not in log.getvalue()


def test_every_line_of_a_request_names_the_key_that_asked(log: Log) -> None:
    create()

    assert {line["api_key_name"] for line in log.lines if "message" in line} == {"default"}
    assert [line["message"] for line in log.lines] == ["asked", "created"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x_api_key": ""},
        {"x_api_key": " "},
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
    assert not is_let_in(ask(**headers))


def test_all_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(KEYS)
    compared: set[bytes] = set()

    def compare(given: bytes, key: bytes) -> bool:
        compared.add(key)
        return given == key

    change(monkeypatch, keys, hmac, compare_digest=compare)

    assert keys.owner_of(API_KEY) == "default"
    assert compared == {key.encode() for key in KEYS.values()}


def test_the_secret_is_read_once_for_many_requests(stack: Stack) -> None:
    for _ in range(5):
        ask(x_api_key=API_KEY)

    assert stack.calls.count("secretsmanager.GetSecretValue") == 1


def test_a_new_key_is_accepted_although_the_old_ones_are_cached() -> None:
    ask(x_api_key=API_KEY)
    keep({"next": "new-key"})

    assert is_let_in(ask(x_api_key="new-key"))
    assert not is_let_in(ask(x_api_key=API_KEY))


def test_strangers_cannot_make_it_ask_for_the_secret_without_limit(stack: Stack) -> None:
    for _ in range(20):
        ask(x_api_key="wrong")

    assert stack.calls.count("secretsmanager.GetSecretValue") == 2


@pytest.mark.parametrize(
    "value", ["{}", "[]", "hush", '"hush"', '{"default": ""}', '{"default": 1}', '{"default": "hush']
)
def test_a_secret_without_keys_lets_nobody_in_and_is_named_in_the_log_but_not_quoted(log: Log, value: str) -> None:
    keep(value)

    answer = ask(x_api_key="1")

    assert (answer.status, answer.code) == (503, "unavailable")
    assert "API_KEYS_SECRET" in log.getvalue()
    assert "hush" not in log.getvalue() + answer.text


def test_keys_that_were_read_before_let_in_while_secrets_manager_is_away() -> None:
    ask(x_api_key=API_KEY)

    with away("secretsmanager"):
        assert is_let_in(ask(x_api_key=API_KEY))


def test_a_refusal_is_logged_without_the_key(log: Log) -> None:
    ask(x_api_key="almost-a-key", authorization="Bearer also-a-key")

    (line,) = log.lines
    assert (line["level"], line["message"], line["path"]) == ("WARNING", "request_refused", "/jobs/nobody")
    assert "a-key" not in log.getvalue()
