"""VideoDB's documented errors as data: what happened, why, and what to do.

From "Error Handling" on VideoDB's page "Async patterns" (Error, Cause, Action) and its OpenAPI file (HTTP status).
VideoDB sends prose, not codes, so a message is recognised by how it begins, whatever its case.
"""

from dataclasses import dataclass

from video_jobs.jobs.model import JobError
from video_jobs.platforms import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError(errors.KnownError):
    """A documented error. `message` is how VideoDB's text begins, `status` an HTTP status that says the same."""

    platform = "VideoDB"
    message: str | None = None
    status: int | None = None


KNOWN_ERRORS = (
    KnownError(
        code="download_failed",
        message="Download failed",
        cause="URL inaccessible",
        action="Verify URL, check permissions",
        retryable=True,  # the host may have been away
    ),
    KnownError(
        code="invalid_media_type",
        message="Invalid media type",
        cause="Wrong MediaType enum",
        action="Match MediaType to file",
        retryable=False,
    ),
    KnownError(
        code="something_went_wrong",
        message="Something went wrong",
        cause="Corrupted file",
        action="Re-encode source file",
        retryable=False,
    ),
    KnownError(
        code="invalid_api_key",
        status=401,
        cause="VideoDB does not accept the API key",
        action="Put the account's API key into the stack's VideoDbApiKey secret, then retry",
        retryable=True,
    ),
    KnownError(
        code="insufficient_credits",
        status=402,
        cause="The VideoDB account has no credits left",
        action="Add credits to the account, then retry",
        retryable=True,
    ),
    KnownError(
        code="forbidden",
        status=403,
        cause="The API key may not use this collection or operation",
        action="Check the key's permissions and the collection's id",
        retryable=False,
    ),
    KnownError(
        code="not_found",
        status=404,
        cause="VideoDB does not know the medium or the collection",
        action="Check that it has not been deleted, and that the collection's id is right",
        retryable=False,
    ),
)

_REFUSED = KnownError(
    code="request_refused",
    cause="VideoDB did not accept the request",
    action="Read the message and correct the job's options",
    retryable=False,
)
_UNKNOWN = KnownError(
    code="unknown_error",
    cause="VideoDB gave a reason that it does not document",
    action="Read the message; if it names nothing to mend, retry once, then ask VideoDB",
    retryable=True,
)


def from_message(message: str | None, *, status: int | None = None) -> JobError:
    """The documented error that VideoDB means, or a general one that keeps its words."""
    said = (message or "").strip()
    for known in KNOWN_ERRORS:
        if known.message and said.lower().startswith(known.message.lower()):
            return known.with_message(said)
    for known in KNOWN_ERRORS:
        if known.status and known.status == status:
            return known.with_message(said)
    return (_REFUSED if status else _UNKNOWN).with_message(said)
