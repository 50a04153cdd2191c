"""Answers as api.video does, so that its SDKs can ask here: they log in, and ask how a video stands."""

import base64
import json
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from video_jobs import jsontext, logs, store
from video_jobs.api import keys, sessions
from video_jobs.api.sessions import Kind
from video_jobs.http import MalformedBodyError, Request
from video_jobs.platforms.apivideo import problems
from video_jobs.platforms.apivideo.problems import ApiVideoProblem
from video_jobs.platforms.apivideo.status import status_of
from video_jobs.store import media
from video_jobs.versions import NewerVersionError

PROVIDER = "apivideo"
ACCESS_SECONDS = 3600
"""As api.video's own (page "Advanced authentication")."""
REFRESH_SECONDS = 30 * 86400
"""api.video's is not documented."""

_LARGEST_BODY = 16 * 1024
_JOBS = 5
"""In how many of a video's jobs its status is looked for: the first one mostly has it."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")

logger = logs.logger()
app = APIGatewayHttpResolver()


@app.post("/apivideo/auth/api-key")
def log_in() -> Response[str]:
    return _session(keys.owner_of(_field("apiKey")))


@app.post("/apivideo/auth/refresh")
def refresh() -> Response[str]:
    return _session(sessions.owner_of(_field("refreshToken"), Kind.REFRESH, at=time.time()))


@app.get("/apivideo/videos/<video_id>/status")
def show_status(video_id: str) -> Response[str]:
    _let_in(_request().headers)
    found = media.job_ids(PROVIDER, video_id, limit=_JOBS).items if _ID.fullmatch(video_id) else []
    for job_id in found:
        job = store.get(job_id)
        if job and (status := status_of(job, video_id)):
            return _json(HTTPStatus.OK, status)
    raise problems.not_found("videoId")


# --- Who asks ------------------------------------------------------------------------------------------------------


def _let_in(headers: Mapping[str, str]) -> None:
    """Nothing, for whoever has an API key or a token for one: the key as api.video takes it, or as the rest of our API
    does."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    token = value.strip()
    if not scheme and "x-api-key" not in headers:
        raise problems.missing_credentials()
    if scheme.lower() == "basic":
        owner = keys.owner_of(_basic(token))
    elif scheme.lower() == "bearer" and token.startswith(sessions.PREFIX):
        owner = sessions.owner_of(token, Kind.ACCESS, at=time.time())
    else:
        owner = keys.owner(headers)
    if owner is None:
        raise problems.wrong_credentials(HTTPStatus.UNAUTHORIZED)
    logger.info("asked", extra={"api_key_name": owner})


def _basic(encoded: str) -> str:
    """The key is the user's name, and the password is empty; "" if it is not so."""
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return name if colon and not password else ""


def _session(owner: str | None) -> Response[str]:
    """Two tokens for an API key."""
    if owner is None:
        raise problems.wrong_credentials(HTTPStatus.BAD_REQUEST)
    now = int(time.time())
    tokens = {
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "access_token": sessions.issue(owner, Kind.ACCESS, until=now + ACCESS_SECONDS),
        "refresh_token": sessions.issue(owner, Kind.REFRESH, until=now + REFRESH_SECONDS),
    }
    logger.info("logged in", extra={"api_key_name": owner})
    return _json(HTTPStatus.OK, tokens)


# --- Requests and answers ------------------------------------------------------------------------------------------


def _request() -> Request:
    return Request(app.current_event.raw_event)


def _field(name: str) -> str:
    """A text in the body, which must be there."""
    try:
        body = _request().body
        fields = jsontext.read(body) if 0 < len(body) <= _LARGEST_BODY else None
    except (MalformedBodyError, jsontext.NotJsonError):
        fields = None
    if not isinstance(fields, dict):
        raise problems.invalid_payload()
    found = fields.get(name)
    if not isinstance(found, str) or not found:
        raise problems.attribute_required(name)
    return found


def _json(status: HTTPStatus, body: Mapping[str, Any]) -> Response[str]:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(status_code=status, content_type="application/json", body=text)


@app.exception_handler(ApiVideoProblem)  # type: ignore[untyped-decorator]
def on_problem(problem: ApiVideoProblem) -> Response[str]:
    return _say_no(problem)


@app.not_found
def on_unknown_address(_error: NotFoundError) -> Response[str]:
    return _say_no(problems.unknown_address())


@app.exception_handler(NewerVersionError)  # type: ignore[untyped-decorator]
def on_newer_version(error: NewerVersionError) -> Response[str]:
    logger.warning("newer_version", extra={"reason": str(error)})
    return _say_no(problems.unavailable())


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def on_fault(_error: Exception) -> Response[str]:
    """Nothing that a caller can do leads here; what did is in the log."""
    logger.exception("fault")
    return _say_no(problems.unavailable())


def _say_no(problem: ApiVideoProblem) -> Response[str]:
    if problem.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.BAD_REQUEST):
        logger.warning("refused", extra={"path": app.current_event.path, "reason": str(problem)})
    return _json(problem.status, problem.body)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    logger.clear_state()
    return app.resolve(event, context)
