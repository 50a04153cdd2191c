"""What api.video answers instead of what was asked: like RFC 9457's problems, but as application/json.

Printed: the bodies of a missing attribute, an unknown resource, an unknown path, too many requests and wrong
credentials, and the titles in https://docs.api.video/reference/general-errors. Inferred: the `type` of the rest (the
address ends in a short form of the title), that they have an empty `name`, and the words for each wrong type, which
follow the one that is printed ("This attribute must be an array.").
"""

from collections.abc import Sequence
from dataclasses import dataclass

DOCS = "https://docs.api.video/reference"

type Body = dict[str, object]


@dataclass(frozen=True)
class Problem:
    """What is wrong with one parameter."""

    kind: str  # the end of the `type`
    title: str
    name: str | None  # the parameter; None: the body has no `name`

    @property
    def body(self) -> Body:
        named = {} if self.name is None else {"name": self.name}
        return {"type": f"{DOCS}/{self.kind}", "title": self.title, **named}


class ApiError(Exception):
    """The request is answered with this, and nothing was begun."""

    def __init__(self, status: int, problem: Problem, *, problems: Sequence[Problem] = ()) -> None:
        super().__init__(problem.title)
        self.status = status
        self._problem = problem
        self._problems = problems

    @property
    def body(self) -> Body:
        problems = {"problems": [problem.body for problem in self._problems]} if self._problems else {}
        return {**self._problem.body, "status": self.status, **problems}


def required(name: str) -> Problem:
    return Problem("attribute-required", "This attribute is required.", name)


def invalid(name: str, must_be: str) -> Problem:
    """`must_be` is what the attribute is not, as in "an array"."""
    return Problem("invalid-attribute", f"This attribute must be {must_be}.", name)


def unknown_attribute(name: str) -> Problem:
    return Problem("invalid-attribute", "Invalid attributes.", name)


def invalid_attributes(problems: Sequence[Problem]) -> ApiError:
    """The first problem is the whole's, too."""
    return ApiError(400, problems[0], problems=problems)


def invalid_payload() -> ApiError:
    return ApiError(400, Problem("invalid-payload", "The payload is invalid.", ""))


def source_already_uploaded() -> ApiError:
    """Printed: that a video's source can be uploaded only once. The rest is inferred."""
    return ApiError(400, Problem("source-already-uploaded", "The source of the video is already uploaded.", "videoId"))


def webhook_limit_reached() -> ApiError:
    return ApiError(400, Problem("webhook-urls-limit", "Your account has reached the webhook urls limit.", ""))


def wrong_credentials(status: int) -> ApiError:
    """Printed for an unknown API key (400); inferred for requests with one, or with a token that is over (401)."""
    problem = Problem("authentication-invalid-user-credentials", "The user credentials were incorrect.", "")
    return ApiError(status, problem)


def missing_credentials() -> ApiError:
    """The `type` was seen in public, the title is inferred."""
    problem = Problem("authentication-missing-authorization-header", "The authorization header is missing.", "")
    return ApiError(401, problem)


def not_found(name: str) -> ApiError:
    """`name` is the path's parameter."""
    return ApiError(404, Problem("resource-not-found", "The requested resource was not found.", name))


def unknown_path() -> ApiError:
    return ApiError(404, Problem("unrecognized-request-url", "Unrecognized request URL.", None))


def method_not_allowed() -> ApiError:
    return ApiError(405, Problem("method-not-allowed", "Method is not allowed for this route.", None))


def too_many_requests() -> ApiError:
    return ApiError(429, Problem("too-many-requests", "Too many requests.", None))


def service_unavailable() -> ApiError:
    """Inferred: the page has only a 500, whose title this is."""
    return ApiError(503, Problem("server-error", "Server error", None))
