"""TwelveLabs' REST API, as far as the steps need it.

Not its SDK: that waits ten minutes for an answer, and for a task without end (see docs/decisions.md).
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from video_jobs import waits
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.rest import Answer, RestClient
from video_jobs.platforms.twelvelabs import errors

if TYPE_CHECKING:
    from video_jobs.forms import FormFile

# What the SDK of TwelveLabs sends again, besides 429 and 5xx.
_PASSING_STATUSES = (408, 409)
LARGEST_PAGE = 50
_MOMENTS = 10**9  # in seconds since 1970, the year 2001: nobody has to wait for so long


def wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a 429 asks to wait: of HTTP's own headers, else until the rate limit's window is over.

    When that is, one edition of the documents has in seconds since 1970 (`X-Ratelimit-Reset`), the other without a
    unit (`X-RateLimit-Request-Reset`): a small number is taken as seconds to wait, a large one as a moment (inferred).
    """
    milliseconds = waits.number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = waits.retry_after(headers.get("retry-after"))
    if asked is not None:
        return asked
    for prefix in ("x-ratelimit-request", "x-ratelimit"):
        reset = waits.number(headers.get(f"{prefix}-reset"))
        if reset is not None and not waits.number(headers.get(f"{prefix}-remaining")):
            return reset if reset < _MOMENTS else max(reset - time.time(), 0.0)
    return None


_rest = RestClient(
    platform="TwelveLabs",
    url_setting="TWELVELABS_URL",
    secret_setting="TWELVELABS_SECRET",  # noqa: S106 (a variable's name)
    authorize=lambda key: {"x-api-key": key},
    wait=wait,
    documented=errors.documented,
    passing=errors.PASSING,
)


class TwelveLabs:
    """Calls with our API key.

    Raises TransientError for what passes, and RefusedByPlatformError, with the documented error, for what does not.
    """

    def create_asset(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Have a source fetched and made an asset. No document says that this call knows an idempotency key."""
        return self._call("POST", "/assets", fields=fields)

    def newest_assets(self, filename: str) -> list[dict[str, Any]]:
        """Assets whose file's name contains this one, the newest first: fifty at most."""
        query = {"page_limit": str(LARGEST_PAGE)} | ({"filename": filename} if filename else {})
        return _listed(self._call("GET", f"/assets?{urlencode(query)}"))

    def asset(self, asset_id: str) -> dict[str, Any]:
        return self._call("GET", f"/assets/{_part(asset_id)}")

    def index_asset(self, index_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have an asset indexed. Nor does this one."""
        return self._call("POST", f"/indexes/{_part(index_id)}/indexed-assets", body=body)

    def indexed_assets_of(self, asset_id: str) -> list[dict[str, Any]]:
        """Which indexes have an asset: fifty at most."""
        return _listed(self._call("GET", f"/assets/{_part(asset_id)}/indexed-assets?page_limit={LARGEST_PAGE}"))

    def indexed_asset(self, index_id: str, indexed_asset_id: str) -> dict[str, Any]:
        return self._call("GET", f"/indexes/{_part(index_id)}/indexed-assets/{_part(indexed_asset_id)}")

    def create_task(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Have a source fetched and indexed. It knows no idempotency key either, and nothing finds what was made."""
        return self._call("POST", "/tasks", fields=fields)

    def upload_task(self, fields: Mapping[str, str], file: "FormFile") -> dict[str, Any]:
        """Hand a file over, and have it indexed."""
        return self._call("POST", "/tasks", fields={**fields, "video_file": file})

    def delete_task(self, task_id: str) -> None:
        self._call("DELETE", f"/tasks/{_part(task_id)}")

    def task(self, task_id: str) -> dict[str, Any]:
        return self._call("GET", f"/tasks/{_part(task_id)}")

    def unusable(self, message: str) -> TransientError:
        """A success that nothing can be done with."""
        return _rest.unavailable(message)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        fields: "Mapping[str, str | FormFile] | None" = None,
    ) -> dict[str, Any]:
        answer = _rest.call(method, path, body=body, fields=fields)
        if not answer.ok:
            raise _error(answer)
        return answer.body


def _error(answer: Answer) -> TransientError | RefusedByPlatformError:
    if answer.status in _PASSING_STATUSES or errors.code_of(answer.body) in errors.PASSING:
        return _rest.error(answer)
    refusal = errors.of_refusal(answer.body, status=answer.status)
    return RefusedByPlatformError(refusal, status=answer.status, body=answer.body)


def _listed(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = page.get("data")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _part(name: str) -> str:
    """An id as a part of a path."""
    return quote(name, safe="")
