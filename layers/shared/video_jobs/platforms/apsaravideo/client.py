"""VOD's API through Alibaba's SDK, which signs the requests.

The SDK is imported when it is used: the worker has it in a layer of its own, callbacks have not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from video_jobs import jsontext, settings, waits
from video_jobs.aws import secrets
from video_jobs.aws.errors import AwsUnavailableError, is_aws_error
from video_jobs.platforms.apsaravideo import errors
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError

CONNECT_MILLISECONDS = 3_000
READ_MILLISECONDS = 10_000
"""A second try makes two calls, and each may be made again with a newer key: together less than a worker may take."""

_WHOLE = re.compile(r"[0-9]{1,15}")
_SUBMISSION = re.compile(r"[0-9a-f]{50}")
_JOB_ID = re.compile(r"""job_id\\*["']\s*:\s*\\*["']([\w.-]{1,128})""", re.ASCII)
"""With whatever quotes, and however often they are escaped."""
_SECRET = "APSARAVIDEO_SECRET"  # noqa: S105 (a variable's name)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInfo:
    """How VOD says that an upload by URL stands (GetURLUploadInfos). `body` is all that it says."""

    job_id: str
    status: str
    """In upper case."""
    body: dict[str, Any]

    def text(self, name: str) -> str:
        """A field's text: nothing if it is not there."""
        found = self.body.get(name)
        return found.strip() if isinstance(found, str) else ""

    def whole(self, name: str) -> int | None:
        """A field's number of something, which VOD writes as a text; None if it is none."""
        found = self.body.get(name)
        digits = str(found).strip() if isinstance(found, str | int) else ""
        return int(digits) if _WHOLE.fullmatch(digits) else None

    def says(self, word: str) -> bool:
        """Whether the upload's UserData, which we have written, has this word in it, however VOD gives it back.

        VOD's page prints texts of JSON in it whose quotes are not escaped, which is no JSON any more.
        """
        return word in self._user_data

    @property
    def owner(self) -> str | None:
        """The job that its UserData names, if we have written it: then it has a submission's 50 digits, too."""
        named = _JOB_ID.search(self._user_data)
        return named[1] if named and _SUBMISSION.search(self._user_data) else None

    @property
    def _user_data(self) -> str:
        return str(self.body.get("UserData") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInfos:
    """Uploads that VOD knows, and what was asked for that it does not know."""

    found: tuple[UploadInfo, ...]
    missing: tuple[str, ...]
    """As VOD lists them."""

    def misses(self, job_id: str) -> bool:
        """Whether VOD says that it does not know a task: in a list of ids, or as its page prints it, in one of texts of
        lists of ids (`["['e3e7…']"]`)."""
        return any(job_id in re.split(r"[\[\]'\",\s]+", listed) for listed in self.missing)


class Vod:
    """Calls with our access key.

    Raises TransientError for what passes, RefusedByPlatformError, with the documented error, for what does not, and
    AwsUnavailableError if AWS keeps us from asking. Nothing is repeated here but what a rotated key had refused: each
    submission makes a new medium.
    """

    def upload_media_by_url(self, source: str, **parameters: str | None) -> str | None:
        """Have VOD fetch a URL; the id of its task, if it says one. `parameters` have the SDK's names."""

        def call(sdk: Any, runtime: Any) -> Any:
            from alibabacloud_vod20170321 import models  # type: ignore[import-untyped]  # noqa: PLC0415

            request = models.UploadMediaByURLRequest(upload_urls=encoded(source), **parameters)
            return sdk.upload_media_by_urlwith_options(request, runtime)

        jobs = _answer(call).get("UploadJobs")
        return next((found for job in jobs or () if isinstance(found := job.get("JobId"), str) and found), None)

    def upload_infos(self, *, job_ids: Sequence[str] = (), sources: Sequence[str] = ()) -> UploadInfos:
        """How uploads stand, by their tasks' ids or by their URLs: ten at most, of the last year."""

        def call(sdk: Any, runtime: Any) -> Any:
            from alibabacloud_vod20170321 import models  # noqa: PLC0415

            urls = ",".join(map(encoded, sources))
            request = models.GetURLUploadInfosRequest(job_ids=",".join(job_ids) or None, upload_urls=urls or None)
            return sdk.get_urlupload_infos_with_options(request, runtime)

        body = _answer(call)
        listed = [_info(one) for one in body.get("URLUploadInfoList") or ()]
        return UploadInfos(found=tuple(listed), missing=tuple(map(str, _list(body.get("NonExists")))))


def _list(found: Any) -> list[Any]:
    """A list, or the one thing that there is instead of it."""
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def encoded(url: str) -> str:
    """A URL as VOD takes it in a list: encoded once by us. The SDK then encodes the request as a whole."""
    return quote(url, safe="")


def _info(body: dict[str, Any]) -> UploadInfo:
    return UploadInfo(
        job_id=str(body.get("JobId") or ""), status=str(body.get("Status") or "").strip().upper(), body=body
    )


def _answer(call: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """The answer's body, in VOD's own names."""
    try:
        return _called(call, _values(secrets.values) or {})
    except RefusedByPlatformError as refusal:
        rotated = refusal.error.code == "invalid_access_key"  # or so it may have been
        newer = _values(secrets.newer_values) if rotated else None
        if newer is None:
            raise
    return _called(call, newer)


def _values(read: Callable[[str], dict[str, str] | None]) -> dict[str, str] | None:
    """The values of the secret; None if they were read anew a moment ago.

    Raises TransientError if it has none, and AwsUnavailableError if AWS does not answer.
    """
    try:
        return read(_SECRET)
    except secrets.SecretUnavailableError as error:
        if is_aws_error(error):
            raise AwsUnavailableError(str(error)) from error
        raise _not_configured(str(error)) from None


def _called(call: Callable[[Any, Any], Any], values: Mapping[str, str]) -> dict[str, Any]:
    from alibabacloud_tea_openapi.exceptions import AlibabaCloudException  # type: ignore[import-untyped]  # noqa: PLC0415
    from darabonba.runtime import RuntimeOptions  # type: ignore[import-untyped]  # noqa: PLC0415

    runtime = RuntimeOptions(
        connect_timeout=CONNECT_MILLISECONDS, read_timeout=READ_MILLISECONDS, autoretry=False, max_attempts=1
    )
    sdk = _sdk(*_access_key(values))
    try:
        body: dict[str, Any] = jsontext.mended(call(sdk, runtime).body.to_map())
    except AlibabaCloudException as error:
        raise _meant(error) from None
    except Exception as error:  # the SDK has no class for no connection, no answer in time, or an answer not of VOD
        raise _unavailable(f"no answer from ApsaraVideo VOD: {type(error).__name__}") from None
    return body


def _sdk(access_key_id: str, access_key_secret: str) -> Any:
    from alibabacloud_tea_openapi.models import Config  # type: ignore[import-untyped]  # noqa: PLC0415
    from alibabacloud_vod20170321.client import Client  # type: ignore[import-untyped]  # noqa: PLC0415

    url = urlsplit(settings.setting("APSARAVIDEO_URL"))
    return Client(
        Config(
            endpoint=url.netloc,
            protocol=url.scheme,
            access_key_id=access_key_id,
            access_key_secret=access_key_secret,
        )
    )


def _meant(error: Any) -> TransientError | RefusedByPlatformError:
    """What an error of VOD's means. Nothing of the request, which the SDK's own texts may hold, is in it."""
    said = jsontext.mended(error.data) if isinstance(error.data, dict) else {}
    code, message, status = (
        jsontext.mended(str(error.code or "")),
        str(said.get("Message") or ""),
        int(error.status_code or 0),
    )
    if status >= 500 or status == 429 or code.startswith(errors.TRANSIENT):
        milliseconds = waits.number(str(getattr(error, "retry_after", None)))
        return _unavailable(
            f"VOD answered {status} {code}: {message}",
            wait=milliseconds / 1000 if milliseconds else None,
            rate_limited=status == 429 or code.startswith(errors.THROTTLED),
        )
    return RefusedByPlatformError(errors.of_refusal(code, message), status=status)


def _unavailable(message: str, *, wait: float | None = None, rate_limited: bool = False) -> TransientError:
    return TransientError(errors.UNAVAILABLE.with_message(message), wait_seconds=wait, rate_limited=rate_limited)


def _access_key(values: Mapping[str, str]) -> tuple[str, str]:
    """The access key's id and secret. Raises TransientError if there are none, without a word of them."""
    found = tuple(values.get(name, "") for name in ("access_key_id", "access_key_secret"))
    if not all(part and part.isascii() and part.isprintable() for part in found):
        raise _not_configured("the secret has no access_key_id and access_key_secret, or they are not plain text")
    access_key_id, access_key_secret = found
    return access_key_id, access_key_secret


def _not_configured(message: str) -> TransientError:
    """Worth another attempt, once somebody has put it there."""
    error = errors.KnownError(
        code="not_configured",
        cause="The stack has no access key for ApsaraVideo VOD",
        action="Put access_key_id and access_key_secret into the stack's secret for ApsaraVideo, then retry",
        retryable=True,
    )
    return TransientError(error.with_message(message))
