"""Where the layer meets a platform: a request over HTTP, and what may go wrong with it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import urllib3

from local.faults.points import Crashed, Fault, Kind

READ_SECONDS = 20.0
"""How long the layer waits for an answer."""
ASKED_SECONDS = 30
"""What a 429 asks to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Mapping[str, Any]
    fields: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What urllib3 gives."""

    status: int
    data: bytes
    headers: Mapping[str, str] = field(default_factory=urllib3.HTTPHeaderDict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Work that a platform has begun, and that costs money."""

    step: str
    subject: str
    """Whose it is: our job's id, where the platform is told it, or else the source or medium."""
    at: int


class Platform(Protocol):
    submissions: list[Submission]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """The status and the body of its answer."""
        ...


def asked(method: str, url: str, body: Any, fields: Any, headers: Any) -> Asked:
    parts = urlsplit(url)
    return Asked(
        method=method,
        path=parts.path,
        query=parse_qs(parts.query),
        body=json.loads(body) if body else {},
        fields=fields or {},
        headers={name.lower(): value for name, value in (headers or {}).items()},
    )


def over_http(making: Callable[..., Fault | None], wait: Callable[[float], None], name: str, platform: Platform,
              request: Asked) -> HttpAnswer:  # fmt: skip
    """An answer, as well as it goes."""
    fault = making(Kind.PLATFORM, f"{name} {request.method} {request.path}")
    match fault:
        case Fault.CRASH_BEFORE:
            raise Crashed
        case Fault.CRASH_AFTER:
            platform.answer(request)
            raise Crashed
        case Fault.ANSWER_LOST:
            platform.answer(request)
            wait(READ_SECONDS)
            raise urllib3.exceptions.ReadTimeoutError(None, request.path, "Read timed out.")  # type: ignore[arg-type]
        case Fault.THROTTLED:
            return HttpAnswer(
                status=429, data=b"{}", headers=urllib3.HTTPHeaderDict({"retry-after": str(ASKED_SECONDS)})
            )
        case Fault.UNAVAILABLE:
            return HttpAnswer(status=503, data=b"<html>503</html>")
    status, body = platform.answer(request)
    return HttpAnswer(status=status, data=b"" if body is None else json.dumps(body).encode())
