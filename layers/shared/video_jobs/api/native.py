"""What the functions of our own API share: how they read a request, say no, and describe what they answer."""

import json
from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

from video_jobs import jsontext, nesting
from video_jobs.api import problems
from video_jobs.api.problems import MOST_ERRORS, Problem, ProblemError
from video_jobs.http import MalformedBodyError, Request
from video_jobs.platforms.requests import PROVIDERS
from video_jobs.versions import NewerVersionError


def problem_response(description: str) -> OpenAPIResponse:
    return {"description": description, "content": {problems.CONTENT_TYPE: {"model": Problem}}}


def _gateway_response(description: str) -> OpenAPIResponse:
    """What API Gateway answers, and not the function."""
    return {"description": description, "content": {"application/json": {"model": problems.GatewayMessage}}}


ALWAYS: dict[int, OpenAPIResponse] = {
    403: _gateway_response("Not one of the API keys"),
    500: _gateway_response("The API keys cannot be read, or the function broke off"),
    503: {
        "description": "AWS did not answer, or a newer release has written what was asked for; try again",
        "content": {problems.CONTENT_TYPE: {"model": Problem}, "application/json": {"model": problems.GatewayMessage}},
    },
}
INVALID: dict[int, OpenAPIResponse] = {422: problem_response("The request does not fit")}
UNREADABLE: dict[int, OpenAPIResponse] = {
    400: problem_response("The body is not JSON"),
    413: problem_response("The body is too large"),
    415: problem_response("The content type is not JSON"),
}


def json_response[T](status: HTTPStatus, body: T, *, headers: dict[str, Any] | None = None) -> Response[T]:
    return Response(status_code=status, content_type="application/json", body=body, headers=headers)


def native_app(logger: Logger) -> APIGatewayHttpResolver:
    """A resolver that validates, and says no in problems; what it did not expect goes to the log."""
    app = APIGatewayHttpResolver(enable_validation=True)

    @app.exception_handler(ProblemError)  # type: ignore[untyped-decorator]
    def on_problem(error: ProblemError) -> Response[str]:
        return _say_no(error)

    @app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
    def on_invalid(error: RequestValidationError) -> Response[str]:
        return _say_no(problems.invalid(error.errors(), tags=PROVIDERS))

    @app.not_found
    def on_unknown_route(_error: NotFoundError) -> Response[str]:
        return _say_no(problems.not_found("route"))

    @app.exception_handler(NewerVersionError)  # type: ignore[untyped-decorator]
    def on_newer_version(error: NewerVersionError) -> Response[str]:
        """For some seconds while a release is deployed; for longer after it was rolled back."""
        logger.warning("newer_version", extra={"reason": str(error)})
        return _say_no(problems.newer_version())

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def on_fault(_error: Exception) -> Response[str]:
        """Nothing that a caller can do leads here; what did is in the log."""
        logger.exception("fault")
        return _say_no(
            ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "The request could not be handled; try again.")
        )

    app.use(middlewares=[_refuse_what_is_not_read])
    return app


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


def _say_no(error: ProblemError) -> Response[str]:
    return Response(
        status_code=error.problem.status,
        content_type=problems.CONTENT_TYPE,
        body=error.problem.model_dump_json(exclude_defaults=False),
    )


def answer(
    app: APIGatewayHttpResolver, event: dict[str, Any], context: Any, *, largest_body: int, too_large: str = ""
) -> dict[str, Any]:
    """What the resolver answers to a request; its body, of `largest_body` bytes at most, is read as we read JSON.

    `too_large` says what to do with a larger one, if something can be done.
    """
    try:
        plain = _strictly_read(event, largest_body, too_large)
    except ProblemError as error:
        return {
            "statusCode": error.problem.status,
            "headers": {"content-type": problems.CONTENT_TYPE},
            "body": error.problem.model_dump_json(),
        }
    answered: dict[str, Any] = app.resolve(plain, context)
    return answered | {"body": answered.get("body") or ""}  # payload format 2.0 knows no null body


def _strictly_read(event: dict[str, Any], largest_body: int, too_large: str) -> dict[str, Any]:
    """The event with its body as we read it: the framework reads JSON, and content types, otherwise than we do."""
    request = Request(event)
    plain = event | {"headers": request.headers | {"content-type": "application/json"}, "isBase64Encoded": False}
    try:
        body = request.body
        if not body:
            return plain | {"body": None}
        _require_json(request.headers.get("content-type", "application/json"))
        found = jsontext.read(body)
        if (place := nesting.too_deep(found)) is not None:
            raise problems.too_deep(place)
        text = json.dumps(found, ensure_ascii=False, allow_nan=False)
        size = max(len(body), len(text.encode()))
    except (MalformedBodyError, jsontext.NotJsonError, ValueError) as error:
        # ValueError: a number that only infinity holds (1e999)
        raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed_json", f"The body cannot be read: {error}.") from None
    if size > largest_body:
        said = f"The body has {size} bytes; {largest_body} is the most. {too_large}".strip()
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", said)
    return plain | {"body": text}


def _require_json(content_type: str) -> None:
    kind = content_type.split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "Send JSON, with content-type: application/json."
        )
