"""What VOD refuses or gives up, as data: what happened, why, and what to do.

From VOD's pages "URL video upload complete" (URLInvalidError), UploadMediaByURL (InvalidParameter.UploadURLs) and
"Basic structures" (the status of an upload), and Alibaba Cloud's table of common errors. Of the errors that an upload
can end with VOD prints URLInvalidError alone, so for the others the status decides.
"""

from dataclasses import dataclass

from video_jobs.jobs import model
from video_jobs.jobs.model import JobError
from video_jobs.platforms import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError(errors.KnownError):
    """A documented error. `vod` is how VOD's own codes for it begin."""

    platform = "VOD"
    vod: tuple[str, ...] = ()


DOWNLOAD_FAILED = KnownError(
    code="download_failed",
    vod=("URLInvalidError",),
    cause="VOD could not fetch the source: the URL is wrong, private or gone, or its host was away",
    action="Check that anybody can fetch the URL, then retry",
    retryable=True,
)
UPLOAD_FAILED = KnownError(
    code="upload_failed",
    cause="VOD fetched the source but could not store it; more than 20 GB always end so",
    action="Read the message, check the file's size, then retry",
    retryable=True,
)
NOT_FOUND = KnownError(
    code=model.NOT_FOUND,
    cause="VOD knows no such upload: it is of another account or region, more than a year old, or was never made",
    action="Check the account and the region of the stack; if the source is to be uploaded, create a job for it",
    retryable=False,
)

SUBMITTED_ALREADY = KnownError(
    code="submitted_already",
    vod=("InvalidParameter.SessionId",),  # that it is refused is documented; the code is inferred
    cause="VOD was asked for the same upload within the last ten minutes",
    action="Wait ten minutes, look at the uploads in VOD's console, then retry",
    retryable=True,
)

REFUSALS = (
    KnownError(
        code="invalid_upload_url",
        vod=("InvalidParameter.UploadURLs",),
        cause="VOD does not accept the source's URL",
        action="Check the URL; if it does not end in a file's extension, set options.upload_by_url.file_extension",
        retryable=False,
    ),
    SUBMITTED_ALREADY,
    KnownError(
        code="invalid_access_key",
        vod=("InvalidAccessKeyId", "SignatureDoesNotMatch", "IncompleteSignature", "InvalidCredentials"),
        cause="Alibaba Cloud does not accept the access key",
        action="Put a working access_key_id and access_key_secret into the stack's secret for ApsaraVideo, then retry",
        retryable=True,
    ),
    KnownError(
        code="forbidden",
        vod=("Forbidden", "NoPermission"),
        cause="The access key may not do this",
        action="Allow its RAM user vod:UploadMediaByURL and vod:GetURLUploadInfos, then retry",
        retryable=True,
    ),
)
REQUEST_REFUSED = KnownError(
    code="request_refused",
    cause="VOD did not accept the request",
    action="Read the message and correct the job's options",
    retryable=False,
)

THROTTLED = "Throttling"
"""How the codes begin of requests that VOD had no room for."""
TRANSIENT = (THROTTLED, "ServiceUnavailable", "InternalError", "SignatureNonceUsed", "InvalidTimeStamp.Expired")
"""How the codes begin of what passes by itself. The last two: a request that was under way for too long."""
UNAVAILABLE = KnownError(
    code="platform_unavailable",
    cause="ApsaraVideo VOD could not be reached, or could not answer, in any attempt",
    action="Retry when ApsaraVideo VOD is available again",
    retryable=True,
)


def of_refusal(code: str, message: str) -> JobError:
    """Why VOD refuses a call: the documented error of its code, or a general one that keeps its words."""
    known = (error for error in REFUSALS if code.startswith(error.vod))
    return next(known, REQUEST_REFUSED).with_message(words(code, message))


def of_upload(status: str, said: str) -> JobError:
    """Why an upload has failed: from its status, in upper case, and VOD's words (see `words`)."""
    fetched = status != "DOWNLOAD_FAIL" and not said.startswith(DOWNLOAD_FAILED.vod)
    return (UPLOAD_FAILED if fetched else DOWNLOAD_FAILED).with_message(said)


def words(code: str, message: str) -> str:
    """An error's code and its message, as far as VOD says them."""
    return ": ".join(word for word in (code.strip(), message.strip()) if word)
