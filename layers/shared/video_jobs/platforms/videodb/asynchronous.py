"""VideoDB's asynchronous jobs: how one is submitted, asked after, and known to have ended.

Three vocabularies exist for the same route: the OpenAPI file has processing, done and failed; the docs pending,
processing, completed and failed; the SDK takes `processing` and `in progress` as running and all else as the end.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import ValidationError

from video_jobs.jobs.model import PollResult, StepEnd, StepRunning, StepSucceeded, Submitted
from video_jobs.platforms.errors import RefusedByPlatformError
from video_jobs.platforms.videodb.payloads import Report

if TYPE_CHECKING:
    from video_jobs.platforms.videodb.client import VideoDb

_DONE = {"done", "completed", "complete", "success", "succeeded", "available", "ready", "indexed"}
_FAILED = {"failed", "failure", "error"}


def succeeded(status: Any) -> bool | None:
    """Whether a status word means a good end or a bad one; None for a word that means neither, or nobody knows."""
    word = status.lower() if isinstance(status, str) else None
    if word in _DONE:
        return True
    return False if word in _FAILED else None


def _goes_on(status: Any) -> bool:
    """Whether a status means that there is more to come: every word does that does not mean an end."""
    return status is not None and succeeded(status) is None


def submit[N: Report](
    client: "VideoDb", path: str, body: Mapping[str, Any], report: type[N], decide: Callable[[N], StepEnd]
) -> Submitted | PollResult:
    """Ask for a step; the answer names an asynchronous job, or is the end already.

    A refusal because what we ask for exists already is success, if `decide` takes it as such.
    """
    try:
        answer = client.post(path, body)
    except RefusedByPlatformError as refusal:
        said = {"success": False, "message": refusal.error.message}
        end = decide(report.model_validate(said))
        if isinstance(end, StepSucceeded):
            return PollResult(end=end, body=said)
        raise
    return _accepted(answer) or _found(_ended(answer), report, decide) or Submitted(platform_job_id=None)


def poll[N: Report](
    client: "VideoDb", platform_job_id: str | None, report: type[N], decide: Callable[[N], StepEnd]
) -> StepRunning | PollResult | None:
    """What `GET /async-response/{id}` says.

    None if VideoDB does not know the job, we do not know its id, or the answer does not say enough.
    """
    if platform_job_id is None:
        return None
    try:
        answer = client.get(f"/async-response/{quote(platform_job_id, safe='')}")
    except RefusedByPlatformError as refusal:
        if refusal.status == 404:
            return None
        raise  # about us, not about the job: it is asked after again
    status = answer.get("status")
    word = status if isinstance(status, str) else None
    if _goes_on(status):
        return StepRunning(progress=_fraction(answer.get("data")), platform_status=word)
    found = _found(_ended(answer), report, decide)
    return replace(found, platform_status=word) if found else None


def _accepted(answer: Mapping[str, Any]) -> Submitted | None:
    """The asynchronous job that an answer announces, and its id if it names one; None if it announces none."""
    data = answer.get("data")
    named = data if isinstance(data, dict) else {}
    status = answer.get("status")
    if not _goes_on(status) and "output_url" not in named:
        return None
    job = named.get("id")
    return Submitted(
        platform_job_id=job if isinstance(job, str) and job.strip(".") else None,
        platform_status=status if isinstance(status, str) else None,
    )


def _ended(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The body that the callback would have had: in `response` (SDK), in `result` (docs), or the answer itself."""
    inner = next((found for key in ("response", "result") if isinstance(found := answer.get(key), dict)), None)
    if inner is not None and "success" not in inner and "data" not in inner:
        inner = {"data": inner}
    body = dict(answer if inner is None else inner)
    match succeeded(answer.get("status")):
        case True:
            return {"success": True} | body
        case False:
            return body | {"success": False}
        case None:
            return body  # it must say so itself


def _found[N: Report](body: Mapping[str, Any], report: type[N], decide: Callable[[N], StepEnd]) -> PollResult | None:
    """The end that a body names, in the words that the callback would have used."""
    try:
        return PollResult(end=decide(report.model_validate(body)), body=body)
    except ValidationError:
        return None


def _fraction(data: Any) -> float | None:
    """0 to 1, from `data.percentage` (0 to 100)."""
    percentage = data.get("percentage") if isinstance(data, dict) else None
    if not isinstance(percentage, int | float) or not 0 <= percentage <= 100:
        return None
    return percentage / 100
