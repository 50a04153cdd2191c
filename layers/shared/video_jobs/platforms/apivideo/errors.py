"""What api.video refuses or cannot do, as data: what happened, why, and what to do.

From api.video's pages "General errors" and "Video upload errors", its page on each error, and its OpenAPI file. A
refusal's `type` is the address of such a page; where its last part is not known, the title or the status decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from video_jobs.jobs import model
from video_jobs.jobs.model import JobError
from video_jobs.platforms import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError(errors.KnownError):
    """A documented error. `types` and `titles` are how the last part of the `type`, and the title, begin."""

    platform = "api.video"
    types: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    """HTTP statuses that say the same by themselves."""


NOT_FOUND = KnownError(
    code=model.NOT_FOUND,
    types=("resource-not-found",),
    titles=("The requested resource",),
    cause="api.video does not know the video: it was deleted, or is of another project or environment",
    action="Check the video's id, and whether the API key is of its project (a sandbox has videos of its own)",
    retryable=False,
)
RENDITION_FAILED = KnownError(
    code="rendition_failed",
    cause="api.video could not encode the video in some of its qualities; the others are there",
    action="Use what is there (see the result), or create a new job for a source that was encoded anew",
    retryable=False,
)
ENCODING_FAILED = KnownError(
    code="encoding_failed",
    cause="api.video could not encode the video in any quality: the file is broken, or no video",
    action="Check that the source plays, encode it anew, then create a new job",
    retryable=False,
)

UNRECOGNIZED_REQUEST = KnownError(
    code="unrecognized_request",
    types=("unrecognized-request-url", "method-not-allowed"),  # inferred: the page has the titles alone
    titles=("Unrecognized request URL", "Method is not allowed"),
    statuses=(405,),
    cause="There is no api.video at the address that the stack calls",
    action="Check the stack's parameter ApiVideoUrl, then retry",
    retryable=True,
)

REFUSALS = (
    KnownError(
        code="attribute_required",
        types=("attribute-required",),
        titles=("This attribute is required",),
        cause="The request lacks an attribute that api.video requires",
        action="Read the message and add it to the job's options",
        retryable=False,
    ),
    KnownError(
        code="invalid_attribute",
        types=("invalid-attribute",),
        titles=("Invalid attributes", "This attribute must"),
        cause="An attribute does not exist, is not right for this request, or has a bad value",
        action="Read the message, then correct the source or the job's options",
        retryable=False,
    ),
    KnownError(
        code="invalid_payload",
        types=("invalid-payload",),  # inferred: the page has the title alone
        titles=("The payload is invalid",),
        cause="api.video could not read the request as JSON",
        action="Correct the job's options; if they are right, report it",
        retryable=False,
    ),
    KnownError(
        code="invalid_file",
        types=("uploaded-file-",),
        titles=("The uploaded file", "There are more than one uploaded file", "There is no uploaded file"),
        cause="The file is empty, too large, or not a video",
        action="Check the source",
        retryable=False,
    ),
    KnownError(
        code="source_already_uploaded",
        types=("source-already-uploaded",),  # inferred: the page has the titles alone
        titles=("This video source has already been",),
        cause="The video has its source already, and it can have only one",
        action="Create a job for the video itself, with its id as media_id",
        retryable=False,
    ),
    NOT_FOUND,
    UNRECOGNIZED_REQUEST,
    KnownError(
        code="invalid_api_key",
        types=("authentication-",),
        titles=("The user credentials were incorrect",),
        statuses=(401,),
        cause="api.video does not accept the API key: it is wrong, or of the other environment (sandbox, production)",
        action="Put the project's key as \"api_key\" into the stack's secret for api.video, then retry",
        retryable=True,
    ),
    KnownError(
        code="forbidden",
        statuses=(403,),  # inferred: no page has it
        cause="The API key may not do this",
        action="Check the key's permissions and the project's plan, then retry",
        retryable=True,
    ),
    KnownError(
        code="too_many_requests",
        types=("too-many-requests",),
        titles=("Too many requests",),
        cause="The account's requests a minute are used up",
        action="Retry in a minute; have the stack ask less often with ApiVideoConcurrency",
        retryable=True,
    ),
)
REQUEST_REFUSED = KnownError(
    code="request_refused",
    cause="api.video did not accept the request",
    action="Read the message and correct the job's options",
    retryable=False,
)


def documented(body: Mapping[str, Any]) -> JobError | None:
    """The documented error of a body's `type`, or of its title; None if it has neither."""
    kind = _last_part(_text(body, "type"))
    title = _text(body, "title").lower()
    found = next((known for known in REFUSALS if known.types and kind.startswith(known.types)), None) or next(
        (known for known in REFUSALS if known.titles and title.startswith(_lower(known.titles))), None
    )
    return found.with_message(_message(body)) if found else None


def of_refusal(body: Mapping[str, Any], *, status: int) -> JobError:
    """Why api.video refuses a call: the documented error that it names, or a general one that keeps its words."""
    by_status = next((known for known in REFUSALS if status in known.statuses), REQUEST_REFUSED)
    return documented(body) or by_status.with_message(_message(body))


def _lower(titles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(title.lower() for title in titles)


def _last_part(address: str) -> str:
    try:
        return urlsplit(address).path.rstrip("/").rpartition("/")[2].lower()
    except ValueError:
        return ""


def _message(body: Mapping[str, Any]) -> str:
    """All that it says: each problem with the attribute that it is about."""
    problems = body.get("problems")
    listed = [problem for problem in problems if isinstance(problem, dict)] if isinstance(problems, list) else []
    said = [_said(problem) for problem in listed] or [_said(body)]
    return " ".join(text for text in [*said, _text(body, "detail")] if text)


def _said(problem: Mapping[str, Any]) -> str:
    name, title = _text(problem, "name"), _text(problem, "title")
    return f"{name}: {title}" if name and title else name or title


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    return found.strip() if isinstance(found, str) else ""
