"""What the routes of our own API share: how a request is read, what is said no to, and how answers are described."""

from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

from video_jobs import jsontext, nesting
from video_jobs.api import keys, problems
from video_jobs.api.middleware import Api, Routes
from video_jobs.api.problems import MOST_ERRORS, Problem, ProblemError
from video_jobs.aws.secrets import SecretUnavailableError
from video_jobs.http import MalformedBodyError, Request
from video_jobs.platforms.requests import PROVIDERS
from video_jobs.versions import NewerVersionError

LARGEST_BODY = 256 * 1024
"""Bytes. What a job was asked for is one item of the table, which takes 400 KB."""
LARGEST_BATCH = 3_500_000
"""Bytes. DynamoDB takes 4 MB in a transaction, and a batch is written with its sources or not at all."""


def native_api(*declared: Routes) -> Api:
    """An API that validates, and says no in problems (RFC 9457)."""
    api = Api(
        *declared,
        owner=_owner,
        refusal=_refusal,
        read=_strictly_read,
        validate=True,
        middlewares=[_refuse_what_is_not_read],
    )
    for route in api.declared:
        route.responses = {**(route.responses or {}), **_INVALID, **_ALWAYS}
    return api


# --- What answers are described as -----------------------------------------------------------------------------------


def problem_response(description: str) -> OpenAPIResponse:
    return {"description": description, "content": {problems.CONTENT_TYPE: {"model": Problem}}}


_ALWAYS: dict[int, OpenAPIResponse] = {
    401: problem_response("Not one of the API keys"),
    500: {
        "description": "API Gateway's own: the function broke off",
        "content": {"application/json": {"model": problems.GatewayMessage}},
    },
    503: {
        "description": "AWS did not answer, or a newer release has written what was asked for; try again",
        "content": {problems.CONTENT_TYPE: {"model": Problem}, "application/json": {"model": problems.GatewayMessage}},
    },
}
_INVALID: dict[int, OpenAPIResponse] = {422: problem_response("The request does not fit")}
UNREADABLE: dict[int, OpenAPIResponse] = {
    400: problem_response("The body is not JSON"),
    413: problem_response("The body is too large"),
    415: problem_response("The content type is not JSON"),
}


def json_response[T](status: HTTPStatus, body: T, *, headers: dict[str, Any] | None = None) -> Response[T]:
    return Response(status_code=status, content_type="application/json", body=body, headers=headers)


# --- Who asks, and how no is said ------------------------------------------------------------------------------------


def _owner(request: Request) -> str:
    name = keys.owner(request.headers)
    if name is None:
        raise problems.unauthorized()
    return name


def _refusal(error: Exception) -> Response[str]:
    said = _problem(error).problem
    return Response(status_code=said.status, content_type=problems.CONTENT_TYPE, body=said.model_dump_json())


def _problem(error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case RequestValidationError():
            return problems.invalid(error.errors(), tags=PROVIDERS)
        case NotFoundError():
            return problems.not_found("route")
        case NewerVersionError():
            return problems.newer_version()
        case SecretUnavailableError():
            return problems.unavailable("The API keys of this deployment cannot be read; try again.")
    return problems.unavailable()


# --- How a request is read -------------------------------------------------------------------------------------------


def _refuse_what_is_not_read(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """What a route would not read is refused: a misspelt filter must not look as if it had been applied."""
    route = app.context["_route"]
    if not route.tags:  # none of ours: the answer says that there is no such route
        return next_middleware(app)
    known = [field.alias for field in route.dependant.query_params]
    given = Counter(name for name, _ in parse_qsl(app.current_event.raw_query_string, keep_blank_values=True))
    names = f"Known here: {', '.join(known)}" if known else "None is known here"
    wrong = [(name, f"There is no such parameter. {names}.") for name in given if name not in known]
    wrong += [(name, "Give it once.") for name, number in given.items() if name in known and number > 1]
    fields = [problems.FieldError(field=f"query.{name[:64]}", message=said) for name, said in wrong]
    if not route.dependant.body_params and app.current_event.body not in (None, "{}"):
        fields.append(problems.FieldError(field="body", message="This request takes no body."))
    if fields:
        raise problems.unfit(fields[:MOST_ERRORS])
    return next_middleware(app)


def _strictly_read(request: Request, event: dict[str, Any]) -> dict[str, Any]:
    """The event with its body as we read it: the framework reads JSON, and content types, otherwise than we do."""
    plain = event | {"headers": request.headers | {"content-type": "application/json"}, "isBase64Encoded": False}
    try:
        body = request.body
        if not body:
            return plain | {"body": None}
        _require_json(request.headers.get("content-type", "application/json"))
        found = jsontext.read(body)
    except (MalformedBodyError, jsontext.NotJsonError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed_json", f"The body cannot be read: {error}.") from None
    if (place := nesting.too_deep(found)) is not None:
        raise problems.too_deep(place)
    text = jsontext.write(found, ascii_only=False)
    _require_room(event["rawPath"], max(len(body), len(text.encode())))
    return plain | {"body": text}


def _require_json(content_type: str) -> None:
    kind = content_type.split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "Send JSON, with content-type: application/json."
        )


def _require_room(path: str, size: int) -> None:
    many = path.startswith("/batches")
    most = LARGEST_BATCH if many else LARGEST_BODY
    if size > most:
        said = f"The body has {size} bytes; {most} is the most."
        hint = " Leave the batch open, and send its sources in several requests." if many else ""
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", said + hint)
