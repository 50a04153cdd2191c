"""Who asks is proven before anything else is looked at: every route of every API is behind our API keys.

What serves routes is an `Api`, and that asks for the key first: no route can be declared without it, and who has
none does not learn which routes there are.
"""

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Route, Router

from video_jobs import jsontext, logs
from video_jobs.http import Request
from video_jobs.versions import NewerVersionError

CHALLENGE = 'Bearer realm="video-jobs"'
"""What every 401 says of how to ask (RFC 9110). `x-api-key` has no scheme of its own."""

type Event = dict[str, Any]
type Middleware = Callable[..., Response[Any]]

logger = logs.logger()


class Routes(Router):
    """Routes as they are declared. Nobody serves them until an `Api` does."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]


class Api:
    """Routes behind our API keys, as a Lambda handler for an HTTP API (payload format 2.0)."""

    def __init__(
        self,
        *declared: Routes,
        owner: Callable[[Request], str],
        refusal: Callable[[Exception], Response[str]],
        read: Callable[[Request, Event], Event] | None = None,
        validate: bool = False,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        """`owner` gives the name of the API key that a request proves, or raises; `refusal` says in the caller's
        language what was raised, there or later. `read` may refuse a body, or have it handed on otherwise.
        """
        self._owner = owner
        self._refusal = refusal
        self._read = read
        self.resolver = APIGatewayHttpResolver(
            enable_validation=validate, serializer=partial(jsontext.write, separators=(",", ":"))
        )
        self.resolver.exception_handler(Exception)(self._refused)
        self.resolver.use(middlewares=list(middlewares))
        for routes in declared:
            self.resolver.include_router(routes)

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        logger.clear_state()
        request = Request(event)
        try:
            name = self._owner(request)
        except Exception as error:  # the border: whoever asks gets an answer that it can read
            logger.warning("request_refused", extra={"path": event.get("rawPath"), "reason": type(error).__name__})
            return _plain(self._refused(error))
        logger.append_keys(api_key_name=name)
        logger.info("asked", extra={"request_id": event["requestContext"].get("requestId")})
        try:
            readable = self._read(request, event) if self._read else event
        except Exception as error:  # the border, as above
            return _plain(self._refused(error))
        self.resolver.append_context(api_key_name=name)  # type: ignore[no-untyped-call]
        answer: dict[str, Any] = self.resolver.resolve(readable, context)
        return answer | {"body": answer.get("body") or ""}  # payload format 2.0 knows no null body

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Method and path of each route, as it was declared: `/jobs/<job_id>`."""
        return [(route.method, route.path) for route in self.declared]

    @property
    def declared(self) -> list[Route]:
        """Each route, as the framework has it."""
        return [*self.resolver._static_routes, *self.resolver._dynamic_routes]

    def _refused(self, error: Exception) -> Response[str]:
        answer = self._refusal(error)
        if isinstance(error, NewerVersionError):
            # for some seconds while a release is deployed; for longer after it was rolled back
            logger.warning("newer_version", extra={"reason": str(error)})
        elif answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("request_failed", exc_info=error)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            answer.headers["www-authenticate"] = CHALLENGE
        return answer


def _plain(answer: Response[str]) -> dict[str, Any]:
    """A Response as Lambda returns it."""
    return {"statusCode": answer.status_code, "headers": answer.headers, "body": answer.body or ""}
