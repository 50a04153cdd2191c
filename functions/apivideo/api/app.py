"""Answers as api.video does, so that its SDKs can ask here: they log in, and ask how a video stands."""

import base64
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from video_jobs import clock, jsontext
from video_jobs.api import keys, sessions
from video_jobs.api.middleware import Api, Routes
from video_jobs.api.sessions import Kind
from video_jobs.http import MalformedBodyError, Request
from video_jobs.platforms.apivideo import problems
from video_jobs.platforms.apivideo.problems import ApiVideoProblem
from video_jobs.platforms.apivideo.status import status_of
from video_jobs.store import jobs, media

PROVIDER = "apivideo"
LOGIN = "/apivideo/auth/api-key"
REFRESH = "/apivideo/auth/refresh"
ACCESS_SECONDS = 3600
"""As api.video's own (page "Advanced authentication")."""
REFRESH_SECONDS = 30 * 86400
"""api.video's is not documented."""

_LARGEST_BODY = 16 * 1024
_JOBS = 5
"""In how many of a video's jobs its status is looked for: the first one mostly has it."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")

routes = Routes()


@routes.post(LOGIN)
def log_in() -> Response[str]:
    return _session(routes.context["api_key_name"])


@routes.post(REFRESH)
def refresh() -> Response[str]:
    return _session(routes.context["api_key_name"])


@routes.get("/apivideo/videos/<video_id>/status")
def show_status(video_id: str) -> Response[str]:
    found = media.followers(PROVIDER, video_id, limit=_JOBS).items if _ID.fullmatch(video_id) else []
    for job_id in found:
        job = jobs.read(job_id)
        if job and (status := status_of(job, video_id)):
            return _json(HTTPStatus.OK, status)
    raise problems.not_found("videoId")


def _session(owner: str) -> Response[str]:
    """Two tokens for an API key."""
    now = clock.now() // clock.SECOND
    tokens = {
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "access_token": sessions.issue(owner, Kind.ACCESS, until=now + ACCESS_SECONDS),
        "refresh_token": sessions.issue(owner, Kind.REFRESH, until=now + REFRESH_SECONDS),
    }
    return _json(HTTPStatus.OK, tokens)


# --- Who asks --------------------------------------------------------------------------------------------------------


def _owner(request: Request) -> str:
    """Whoever logs in has the key, or a token for it, in the body; everybody else has it in a header."""
    if request.path == LOGIN:
        return _known(keys.owner_of(_field(request, "apiKey")), otherwise=HTTPStatus.BAD_REQUEST)
    if request.path == REFRESH:
        token = _field(request, "refreshToken")
        return _known(sessions.owner_of(token, Kind.REFRESH, at=_seconds()), otherwise=HTTPStatus.BAD_REQUEST)
    return _known(_of_header(request.headers), otherwise=HTTPStatus.UNAUTHORIZED)


def _known(owner: str | None, *, otherwise: HTTPStatus) -> str:
    if owner is None:
        raise problems.wrong_credentials(otherwise)
    return owner


def _of_header(headers: Mapping[str, str]) -> str | None:
    """The key as api.video takes it, a token for one, or the key as the rest of our API takes it."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    token = value.strip()
    if not scheme and "x-api-key" not in headers:
        raise problems.missing_credentials()
    if scheme.lower() == "basic":
        return keys.owner_of(_basic(token))
    if scheme.lower() == "bearer" and token.startswith(sessions.PREFIX):
        return sessions.owner_of(token, Kind.ACCESS, at=_seconds())
    return keys.owner(headers)


def _basic(encoded: str) -> str:
    """The key is the user's name, and the password is empty; "" if it is not so."""
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return name if colon and not password else ""


def _field(request: Request, name: str) -> str:
    """A text in the body, which must be there."""
    try:
        body = request.body
        fields = jsontext.read(body) if 0 < len(body) <= _LARGEST_BODY else None
    except (MalformedBodyError, jsontext.NotJsonError):
        fields = None
    if not isinstance(fields, dict):
        raise problems.invalid_payload()
    found = fields.get(name)
    if not isinstance(found, str) or not found:
        raise problems.attribute_required(name)
    return found


def _seconds() -> float:
    return clock.now() / clock.SECOND


# --- What is answered ------------------------------------------------------------------------------------------------


def _refusal(error: Exception) -> Response[str]:
    said = _said(error)
    return _json(said.status, said.body)


def _said(error: Exception) -> ApiVideoProblem:
    match error:
        case ApiVideoProblem():
            return error
        case NotFoundError():
            return problems.unknown_address()
    return problems.unavailable()


def _json(status: HTTPStatus, body: Mapping[str, Any]) -> Response[str]:
    text = jsontext.write(body, ascii_only=False, separators=(",", ":"))
    return Response(status_code=status, content_type="application/json", body=text)


handler = Api(routes, owner=_owner, refusal=_refusal)
