"""What the steps have in common: asking TwelveLabs until something is ready or has failed.

The SDK's `wait_for_done` does so in a loop that has no end of its own. Here each turn is a poll of the worker, and
what it finds is noted as the step's progress.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from video_jobs import jsontext
from video_jobs.jobs.model import PollResult, Step, StepEnd, StepFailed, StepRunning, StepStatus, StepSucceeded
from video_jobs.platforms.errors import RefusedByPlatformError
from video_jobs.platforms.twelvelabs import errors, statuses
from video_jobs.platforms.twelvelabs.errors import KnownError
from video_jobs.platforms.twelvelabs.payloads import Id

LARGEST_FIELD = 32 * 1024
"""Bytes of JSON: a job has 400 KB for everything. What is left out stays in the archive, where its body fits."""

_id: TypeAdapter[str] = TypeAdapter(Id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """What a step waits for, and how its answers are read."""

    name: str
    """What the result calls its id: "task_id"."""
    fields: Sequence[str]
    """Of the answer, that the result has."""
    refs: Sequence[str]
    """Fields of the result that are TwelveLabs' ids of what came of it."""
    reason: str
    """The field that says why it failed."""
    failed: KnownError
    """What a failure is if its reason is no documented code."""


def poll(awaited: Awaited, step: Step, ask: Callable[[str], dict[str, Any]]) -> StepRunning | PollResult:
    """How the step's task, asset or indexed asset stands. One that TwelveLabs does not know has failed.

    An end that a callback has named, and that the status does not show yet, is near.
    """
    ours = step.platform_job_id
    if ours is None:
        return StepRunning()
    try:
        body = ask(ours)
    except RefusedByPlatformError as refusal:
        if refusal.status != 404 or refusal.error.code == errors.API_NOT_ALLOWED.code:
            raise  # about us, not about what was asked for: it is asked for again
        gone = StepFailed(error=errors.NOT_FOUND.with_message(refusal.error.message))
        return PollResult(end=gone, body={"message": refusal.error.message, "http_status": 404})
    word = statuses.word(body)
    result = {awaited.name: ours, **_kept(body, awaited.fields)}
    if (end := _end(awaited, word, body, result)) is not None:
        return PollResult(end=end, body=body, platform_status=word)
    return StepRunning(
        progress=statuses.progress(word),
        platform_status=word,
        result=result,
        soon=bool(step.hints),  # there are callbacks of ends only
    )


def _end(awaited: Awaited, word: str | None, body: Mapping[str, Any], result: Mapping[str, Any]) -> StepEnd | None:
    match statuses.ours(word):
        case StepStatus.SUCCEEDED:
            found = (named(result, name) for name in awaited.refs)
            return StepSucceeded(result=result, refs=tuple(ref for ref in found if ref))
        case StepStatus.FAILED:
            reason = body.get(awaited.reason)
            return StepFailed(error=errors.of_failure(reason, otherwise=awaited.failed), result=result)
        case _:
            return None


def named(body: Mapping[str, Any], field: str) -> str | None:
    """The id in a field, if it is one that can be asked for."""
    try:
        return _id.validate_python(body.get(field))
    except ValidationError:
        return None


def _kept(body: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The fields as the job keeps them; not those that would take too much of its room."""
    found = {name: body[name] for name in fields if body.get(name) is not None}
    return {name: value for name, value in found.items() if len(jsontext.write(value)) <= LARGEST_FIELD}
