"""TwelveLabs' documented errors as data: what happened, why, and what to do.

From TwelveLabs' pages "Error codes" and "Video indexing tasks", whose codes are ours as well. The messages have changed
from edition to edition: the code alone decides, and what a message says of sizes and lengths is only shown.

Two envelopes are in use: `{"code", "message", "docs_url"}`, and a newer `{"error": {"code", "message", "details"}}`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from video_jobs.jobs import model
from video_jobs.jobs.model import JobError, safe_words
from video_jobs.platforms import errors

LONGEST_PARAMETER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError(errors.KnownError):
    """A documented error. `parameters`: how to find in its message what the cause can be shown with."""

    platform = "TwelveLabs"
    parameters: tuple[str, ...] = ()
    """Expressions with one named group each. A message of another edition, without them, is as good."""

    def with_message(self, message: str) -> JobError:
        found = [match for pattern in self.parameters if (match := re.search(pattern, message, re.IGNORECASE))]
        shown = "; ".join(_shown(name, value) for match in found for name, value in match.groupdict().items())
        known = replace(self, cause=f"{self.cause} ({shown})") if shown else self
        return errors.KnownError.with_message(known, message)


def _shown(name: str, value: str) -> str:
    return f"{name.replace('_', ' ')}: {value.rstrip('.')[:LONGEST_PARAMETER]}"


_RESOLUTION = (r"current resolution is (?P<current_resolution>\S+)",)
_SHORT = (
    r"duration at least (?P<minimum_duration>\S+(?: seconds)?)",
    r"current duration is (?P<current_duration>\S+(?: seconds)?)",
)
_LONG = (
    r"duration at most (?P<maximum_duration>\S+(?: seconds)?)",
    r"current duration is (?P<current_duration>\S+(?: seconds)?)",
)
_SIZE = (r"size less than (?P<maximum_size>\S+)", r"current (?:file )?size is (?P<current_file_size>\S+)")
_RATE = (r"rate limit \((?P<rate_limit>[^)]+)\)", r"later after (?P<retry_after>\S+)")

OF_VIDEOS = (
    KnownError(
        code="video_resolution_too_low",
        cause="The video's resolution is lower than TwelveLabs takes: 360x360 is the least",
        action="Use a source of a higher resolution",
        retryable=False,
        parameters=_RESOLUTION,
    ),
    KnownError(
        code="video_resolution_too_high",
        cause="The video's resolution is higher than TwelveLabs takes: 5184x2160 is the most",
        action="Encode the source with a lower resolution",
        retryable=False,
        parameters=_RESOLUTION,
    ),
    KnownError(
        code="video_resolution_invalid_aspect_ratio",
        cause="The video's aspect ratio is not one that TwelveLabs takes: from 1:1 to 2.4:1",
        action="Crop the source, or add bars to it",
        retryable=False,
        parameters=_RESOLUTION,
    ),
    KnownError(
        code="video_duration_too_short",
        cause="The video is shorter than the models of the index take",
        action="Use a longer source, or an index with other models",
        retryable=False,
        parameters=_SHORT,
    ),
    KnownError(
        code="video_duration_too_long",
        cause="The video is longer than the models of the index take",
        action="Cut the source into parts, or use an index with other models",
        retryable=False,
        parameters=_LONG,
    ),
    KnownError(
        code="video_file_broken",
        cause="TwelveLabs cannot read the file: it is broken, or no video",
        action="Check that the source plays, and encode it anew",
        retryable=False,
    ),
    KnownError(
        code="video_filesize_too_large",
        cause="The file is larger than TwelveLabs takes",
        action="Encode the source with a lower bit rate, or cut it into parts",
        retryable=False,
        parameters=_SIZE,
    ),
    KnownError(
        code="usage_limit_exceeded",
        cause="The account's free credit is used up",
        action="Register a payment method at TwelveLabs, then retry",
        retryable=True,
    ),
    KnownError(
        code="task_cannot_be_deleted",
        cause="A task can be deleted only when it is ready or has failed, and after its video",
        action="Wait for the task's end, delete its video first, then retry",
        retryable=True,
    ),
)

NOT_EXIST = KnownError(
    code="resource_not_exist",
    cause="TwelveLabs does not know the index or the asset: it was deleted, or is of another account",
    action="Check index_id and media_id, and whether the API key is of their account",
    retryable=False,
)
API_KEY_INVALID = KnownError(
    code="api_key_invalid",
    cause="TwelveLabs does not accept the API key: it is wrong, or has expired, as all its keys do",
    action='Put a new key as "api_key" into the stack\'s secret for TwelveLabs, then retry',
    retryable=True,
)
API_NOT_ALLOWED = KnownError(
    code="api_not_allowed",
    cause="TwelveLabs does not know this call at the address that the stack calls, or does not allow it",
    action="Check the stack's parameter TwelveLabsUrl; if it is right, use the plan asset, not task",
    retryable=False,
)
UNAUTHORIZED = KnownError(
    code="unauthorized",
    cause="The API key may not do this, or not with this index or asset",
    action="Check whose index_id and media_id these are, and what the key may do",
    retryable=False,
)
FILE_TOO_LARGE = next(known for known in OF_VIDEOS if known.code == "video_filesize_too_large")

GENERAL = (
    KnownError(
        code="parameter_invalid",
        cause="A parameter has a value that TwelveLabs does not take; for an asset_id also: the asset is not ready",
        action="Read the message, then correct the source or the job's options",
        retryable=False,
    ),
    KnownError(
        code="parameter_not_provided",
        cause="The request lacks a parameter that TwelveLabs requires",
        action="Read the message, then add it to the job's options",
        retryable=False,
    ),
    KnownError(
        code="parameter_unknown",
        cause="The request has a parameter that TwelveLabs does not know (any more)",
        action="Read the message, then leave it out of the job's options",
        retryable=False,
    ),
    NOT_EXIST,
    API_KEY_INVALID,
    KnownError(
        code="api_allowed_for_paid_plan",
        cause="TwelveLabs does this only for accounts with a paid plan",
        action="Change the account's plan, then retry",
        retryable=True,
    ),
    API_NOT_ALLOWED,
    UNAUTHORIZED,
    KnownError(
        code="region_not_allowed",
        cause="TwelveLabs does not serve the region that the call comes from",
        action="Deploy the stack in another region, or ask TwelveLabs",
        retryable=False,
    ),
    KnownError(
        code="request_canceled_or_timed_out",
        cause="TwelveLabs gave the request up before it was done, in every attempt",
        action="Retry; if it stays so, see TwelveLabs' status page",
        retryable=True,
    ),
    KnownError(
        code="too_many_requests",
        cause="The account's rate limit is used up",
        action="Retry later; have the stack ask less often with TwelveLabsConcurrency",
        retryable=True,
        parameters=_RATE,
    ),
    KnownError(
        code="tags_not_allowed",
        cause="The request has tags, which TwelveLabs does not take here",
        action="Leave them out of the job's options",
        retryable=False,
    ),
    KnownError(
        code="api_upgrade_required",
        cause="TwelveLabs does not serve this version of its API any more",
        action="Set the stack's parameter TwelveLabsUrl to the new version, if this release can use it",
        retryable=False,
    ),
)

KNOWN_ERRORS: Mapping[str, KnownError] = {known.code: known for known in (*OF_VIDEOS, *GENERAL)}
"""Every documented code."""

PASSING = frozenset({"request_canceled_or_timed_out", "too_many_requests"})
"""Codes of what passes, whatever their HTTP status."""

REQUEST_REFUSED = KnownError(
    code="request_refused",
    cause="TwelveLabs did not accept the request, for a reason that it does not document",
    action="Read the message and correct the job's options",
    retryable=False,
)
NOT_FOUND = KnownError(
    code=model.NOT_FOUND,
    cause="TwelveLabs does not know it any more: it was deleted, or is of another account",
    action="Check whether somebody has deleted it, and whose the API key is; retry to have it made anew",
    retryable=True,
)
UPLOAD_FAILED = KnownError(
    code="asset_failed",
    cause="TwelveLabs could not fetch the source, or not make an asset of it",
    action="Read the message; check that the URL can be fetched and the file plays, then retry",
    retryable=True,  # the host may have been away
)
TASK_FAILED = KnownError(
    code="task_failed",
    cause="TwelveLabs could not fetch the video, or not index it",
    action="Read the message; check that the URL can be fetched and the file plays, then retry",
    retryable=True,
)
FILE_NOT_KEPT = KnownError(
    code="file_not_kept",
    cause="The job's video came as a file, which is passed on to TwelveLabs and kept nowhere",
    action="Upload the file again, as a new task; or use a video_url, which can be tried again",
    retryable=False,
)
INDEXING_FAILED = KnownError(
    code="indexing_failed",
    cause="TwelveLabs could not index the asset, and does not say why",
    action="Check that the asset is what the models of the index take, then retry",
    retryable=True,
)

_BY_STATUS = {401: API_KEY_INVALID, 403: UNAUTHORIZED, 404: NOT_EXIST, 413: FILE_TOO_LARGE}
"""What an HTTP status says by itself, where no code does."""


def code_of(body: Mapping[str, Any]) -> str:
    """The code of a refusal, in either envelope; "" if it has none."""
    return _text(_envelope(body), "code")


def message_of(body: Mapping[str, Any]) -> str:
    """The words of a refusal, in either envelope; "" if it has none."""
    return _text(_envelope(body), "message")


def documented(body: Mapping[str, Any]) -> JobError | None:
    """The documented error of a body's code, in either envelope; None if it has no such code."""
    known = KNOWN_ERRORS.get(code_of(body))
    return known.with_message(message_of(body)) if known else None


def of_refusal(body: Mapping[str, Any], *, status: int) -> JobError:
    """Why TwelveLabs refuses a call: the documented error of its code, or a general one that keeps its words."""
    if (error := documented(body)) is not None:
        return error
    code, message = code_of(body), message_of(body)
    words = f"{code}: {message}" if code and message else code or message
    return (REQUEST_REFUSED if code else _BY_STATUS.get(status, REQUEST_REFUSED)).with_message(words)


def of_failure(reason: Any, *, otherwise: KnownError) -> JobError:
    """Why something failed later. `reason`: a text or an object, with a documented code, or else of kind `otherwise`.

    A task's `error_reason` is in no document; that it may be a code is inferred.
    """
    body = {"message": reason} if isinstance(reason, str) else reason if isinstance(reason, Mapping) else {}
    code, message = code_of(body), message_of(body)
    known = KNOWN_ERRORS.get(code) or KNOWN_ERRORS.get(message) or otherwise
    return known.with_message(message or code)


def _envelope(body: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    return safe_words(found.strip()) if isinstance(found, str) else ""
