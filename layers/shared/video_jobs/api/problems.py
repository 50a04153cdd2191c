"""Errors of the API: `application/problem+json` (RFC 9457) with a stable `code` to switch on."""

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from video_jobs.nesting import DEEPEST
from video_jobs.platforms.job_request import reason

CONTENT_TYPE = "application/problem+json"
MOST_ERRORS = 50
"""How many parts of a request an answer names."""
_MOST_STEPS = 5
_LONGEST_NAME = 64


class FieldError(BaseModel):
    """What is wrong with one part of a request."""

    field: str
    """Where: for example body.options.upload.name, or query.limit."""
    message: str
    """What is wrong."""


class Problem(BaseModel):
    """Why a request was not fulfilled."""

    type: str = "about:blank"
    title: str
    """The HTTP status in words."""
    status: int
    """The HTTP status."""
    code: str
    """Ours, stable: switch on this."""
    detail: str
    """For people: why, and what to do."""
    errors: list[FieldError] = []
    """Of a request that does not fit: where, and why; the first fifty places."""


class GatewayMessage(BaseModel):
    """What API Gateway says in our place, where no function answers."""

    message: str


class ProblemError(Exception):
    """The request cannot be fulfilled, and the caller learns why."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.problem = Problem(title=status.phrase, status=status, code=code, detail=detail, errors=list(errors))


def unauthorized() -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "Send one of this deployment's API keys, in x-api-key or as a bearer token in authorization.",
    )


def unavailable(detail: str = "The request could not be handled; try again.") -> ProblemError:
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail)


def not_found(what: str) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, "not_found", f"There is no such {what}; it may have been deleted.")


def newer_version() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "newer_version",
        "A newer release of video-jobs has written this, and this code does not know its form. Nothing was changed. "
        "Try again: while a release is being deployed that takes some seconds. If a release was rolled back, deploy it "
        "again.",
    )


def key_reused() -> ProblemError:
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "This Idempotency-Key came with another request before.",
    )


def invalid_cursor() -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_cursor", "The cursor is not one that we gave out.")


def too_deep(place: Sequence[str | int]) -> ProblemError:
    """A part of the body is nested more deeply than we take; `place` leads there, and its first steps say enough."""
    field = ".".join(["body", *(str(part)[:_LONGEST_NAME] for part in place[:_MOST_STEPS])])
    said = f"Nested too deeply: {DEEPEST} levels of objects and lists are the most, the body itself included"
    return unfit([FieldError(field=field, message=said)])


def invalid(errors: Sequence[dict[str, Any]], *, tags: Collection[str] = ()) -> ProblemError:
    """From pydantic's errors, without the values that they quote; the first fifty say enough.

    `tags` are what pydantic puts behind "body" to say which of several models it tried: nothing that a caller has sent.
    """
    said = errors[:MOST_ERRORS]
    fields = [
        FieldError(field=".".join(_place(error["loc"], tags)), message=reason(error)) for error in map(_plain, said)
    ]
    return unfit(fields)


def unfit(fields: Sequence[FieldError]) -> ProblemError:
    """The request does not fit, in these places."""
    places = ", ".join(field.field for field in fields[:5])
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", f"The request does not fit: see {places}.", errors=fields
    )


def _plain(error: dict[str, Any]) -> dict[str, Any]:
    """An error about which of several models is meant is one about the field that says so; it quotes what was sent."""
    match error.get("type"):
        case "union_tag_not_found":
            said = "Field required"
        case "union_tag_invalid":
            said = f"Input should be one of {error['ctx']['expected_tags']}"
        case _:
            return error
    return error | {"loc": (*error["loc"], error["ctx"]["discriminator"].strip("'")), "msg": said}


def _place(loc: Sequence[str | int], tags: Collection[str]) -> list[str]:
    return [str(part) for depth, part in enumerate(loc) if not (depth == 1 and loc[0] == "body" and part in tags)]
