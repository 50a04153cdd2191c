"""How api.video says no: like RFC 9457's problems, but as application/json.

Printed: the bodies for wrong credentials at the login, a missing attribute, an unknown resource and an unknown address,
and the titles on its page "General errors". Inferred: the `type` of the others, and what a 401 looks like.
"""

from http import HTTPStatus
from typing import Any

_DOCS = "https://docs.api.video/reference"


class ApiVideoProblem(Exception):  # noqa: N818 (api.video's documents call it so)
    """The request is answered with this body."""

    def __init__(self, status: HTTPStatus, kind: str, title: str, *, name: str | None = "") -> None:
        """`kind` is the end of the `type`, `name` the parameter that is wrong; None leaves it out."""
        super().__init__(title)
        self.status = status
        self._problem = {"type": f"{_DOCS}/{kind}", "title": title} | ({} if name is None else {"name": name})

    @property
    def body(self) -> dict[str, Any]:
        return self._problem | {"status": self.status.value}


def wrong_credentials(status: HTTPStatus) -> ApiVideoProblem:
    """Printed for the login (400); a request's own are answered with 401 (page "Basic authentication")."""
    return ApiVideoProblem(status, "authentication-invalid-user-credentials", "The user credentials were incorrect.")


def missing_credentials() -> ApiVideoProblem:
    """The `type` was seen in public, the title is inferred."""
    return ApiVideoProblem(
        HTTPStatus.UNAUTHORIZED, "authentication-missing-authorization-header", "The authorization header is missing."
    )


def not_found(name: str) -> ApiVideoProblem:
    return ApiVideoProblem(
        HTTPStatus.NOT_FOUND, "resource-not-found", "The requested resource was not found.", name=name
    )


def unknown_address() -> ApiVideoProblem:
    return ApiVideoProblem(HTTPStatus.NOT_FOUND, "unrecognized-request-url", "Unrecognized request URL.", name=None)


def attribute_required(name: str) -> ApiVideoProblem:
    return ApiVideoProblem(HTTPStatus.BAD_REQUEST, "attribute-required", "This attribute is required.", name=name)


def invalid_payload() -> ApiVideoProblem:
    return ApiVideoProblem(HTTPStatus.BAD_REQUEST, "invalid-payload", "The payload is invalid.")


def unavailable() -> ApiVideoProblem:
    """Ours: its page has only a 500, with this title. The SDK takes both for the server's fault."""
    return ApiVideoProblem(HTTPStatus.SERVICE_UNAVAILABLE, "server-error", "Server error", name=None)
