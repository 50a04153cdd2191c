"""The APIs as their callers see them: requests as API Gateway hands them over, answers as it takes them."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from video_jobs import jsontext

from tests.stack import API_KEY, Context, handler

PROBLEM = "application/problem+json"
SOURCE = "https://example.com/lecture.mp4"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, which must be JSON for the strictest reader."""
        return jsontext.read(self.text.encode())

    @property
    def code(self) -> str:
        """The problem's code; fails if it is none, or not whole."""
        assert self.headers["content-type"] == PROBLEM
        assert self.json["status"] == self.status
        assert self.json["type"] == "about:blank"
        assert self.json["title"]
        assert self.json["detail"]
        return str(self.json["code"])

    @property
    def fields(self) -> list[str]:
        """Where the request does not fit."""
        return [error["field"] for error in self.json["errors"]]


def call(
    method: str,
    path: str,
    body: Any = None,
    *,
    text: str | None = None,
    raw: bytes | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Call an API with our key: the function that has such paths.

    The body is a JSON value, or else the `text` of it, or its `raw` bytes (which come as base64).
    """
    return call_without_key(
        method, path, body, text=text, raw=raw, query=query, headers={"x-api-key": API_KEY, **(headers or {})}
    )


def call_without_key(
    method: str,
    path: str,
    body: Any = None,
    *,
    text: str | None = None,
    raw: bytes | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """As `call`, with these headers and no others."""
    if body is not None:
        text = json.dumps(body)
    sent = base64.b64encode(raw).decode() if raw is not None else text
    event = http_event(method, path, sent, query=query or {}, headers=headers or {}) | {
        "isBase64Encoded": raw is not None
    }
    return answered(handler(function_of(path))(event, Context()))


def function_of(path: str) -> str:
    """The function that has such paths."""
    first = path.split("/")[1]
    return f"{first}/api" if first in ("twelvelabs", "apivideo") else "api"


def create(**changes: Any) -> Answer:
    """Ask for a job: a video's, unless the changes say otherwise. None leaves a field out."""
    body = {"provider": "videodb", "source": SOURCE} | changes
    return call("POST", "/jobs", {name: value for name, value in body.items() if value is not None})


def http_event(
    method: str, path: str, body: str | None, *, query: Mapping[str, Any], headers: Mapping[str, str]
) -> dict[str, Any]:
    """A request in payload format 2.0."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": urlencode(query),
        "headers": ({"content-type": "application/json"} if body else {}) | dict(headers),
        "requestContext": {"http": http, "stage": "$default", "requestId": "request-1", "timeEpoch": 0},
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = {name: str(value) for name, value in query.items()}
    if body is not None:
        event["body"] = body
    return event


def answered(answer: dict[str, Any]) -> Answer:
    """A function's answer; fails if API Gateway could not take it."""
    assert all(isinstance(value, str) for value in answer["headers"].values())
    assert isinstance(answer["body"], str)
    json.dumps(answer, ensure_ascii=False).encode()  # as Lambda's runtime sends it
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return Answer(status=int(answer["statusCode"]), headers=headers, text=answer["body"])


@contextmanager
def away(service: str) -> Iterator[None]:
    """AWS's service (`sqs`) cannot be reached."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def unreachable(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if self.meta.service_model.service_name == service:
            raise EndpointConnectionError(endpoint_url=f"https://{service}.us-east-1.amazonaws.com/")
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", unreachable):
        yield


@dataclass(frozen=True)
class Read:
    """One Query, and how many items DynamoDB looked at for it: what it costs."""

    index: str | None
    items: int


@contextmanager
def reads() -> Iterator[list[Read]]:
    """Every Query while it lasts."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    found: list[Read] = []

    def noted(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        answer = original(self, operation, parameters)
        if operation == "Query":
            found.append(Read(index=parameters.get("IndexName"), items=answer["ScannedCount"]))
        return answer

    with patch.object(BaseClient, "_make_api_call", noted):
        yield found
