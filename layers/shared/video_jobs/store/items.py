"""A job as its items: the hot one, at most 1 KB for a job of four steps, its request, and what its steps came to.

Moments are stored as milliseconds since the job was created, and what has its default is left out.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from video_jobs import clock
from video_jobs.jobs.model import Job, JobStatus, Request, Step, StepStatus
from video_jobs.store.table import (
    LARGEST_DOCUMENT,
    OUTLIVES_DAYS,
    expiry,
    job_key,
    packed,
    shard_of,
    unpacked,
)

SWEEP_GRACE_SECONDS = 120
"""How long after a job was due a sweep takes it that its message was lost."""
_KEPT_DUE_SECONDS = 900
"""By how much a job's `due_at` in the table may be later than it must: moving it costs two write units."""

_COMPRESS = 600
"""Bytes of a job's state: with its keys, the hot item costs one write unit."""

_STEP_NAMES: Mapping[str, str] = {
    "status": "s",
    "attempt": "n",
    "attempt_limit": "of",
    "spared": "spared",
    "attempts_before": "before",
    "platform_job_id": "id",
    "platform_status": "word",
    "progress": "progress",
    "hints": "hints",
    "hinted_at": "hinted",
    "hinted": "hint",
    "polls": "polls",
    "error": "error",
    "started_at": "start",
    "polled_at": "polled",
    "ended_at": "end",
    "wake_at": "wake",
    "deadline_at": "until",
}
_MOMENTS = ("hinted_at", "started_at", "polled_at", "ended_at", "wake_at", "deadline_at")
_JOB_FIELDS = ("media_id", "refs", "adopted", "confirmed", "counted", "ends", "announced")
_OPEN = "open"


# --- The hot item ----------------------------------------------------------------------------------------------------


def hot_item(job: Job, *, nonce: str) -> dict[str, Any]:
    """What of a job moves, and the keys of the indexes that it is in."""
    item: dict[str, Any] = job_key(job.job_id) | {
        "v": job.version,
        "nonce": nonce,
        **packed(json.dumps(_state(job), ensure_ascii=False, separators=(",", ":")), above=_COMPRESS),
        "shard": f"{job.provider}#{shard_of(job.job_id)}",
        "created": listing_key(job),
        "by_status": f"{listed_status(job)}#{job.provider}#{shard_of(job.job_id)}",
    }
    if job.request.label is not None:
        item["by_label"] = f"{listed_status(job)}#{job.request.label}"
    if job.swept_at is not None:
        item["due_at"] = clock.iso(job.swept_at)
    if job.status.ended and job.is_announced:
        item["expires_at"] = expiry()
    return item


def listed_status(job: Job) -> str:
    """Under which status lists find a job: an end that is not announced yet is still open, so indexes move once."""
    return str(job.status) if job.status.ended and job.is_announced else _OPEN


def listed_as(status: JobStatus) -> tuple[str, ...]:
    """Where the jobs of a status are listed: an ended one may be under `open` for a moment."""
    return (str(status), _OPEN) if status.ended else (_OPEN,)


def listing_key(job: Job) -> str:
    """Where a job stands in its lists: those of a batch as of the batch's making, so that they stand together."""
    return f"{clock.iso(job.request.batch_created_at or job.created_at)}#{job.job_id}"


def to_be_swept(job: Job) -> int | None:
    """When a sweep is to look for a job; when it was to until now, if that is near enough.

    Jobs of a batch that have not begun are not due: there may be a million of them, and their batch looks after them.
    """
    due, before = job.due_at, job.swept_at
    if due is None or (job.in_batch and job.status == JobStatus.PENDING):
        return None
    if before is not None and due <= before <= clock.after(due, _KEPT_DUE_SECONDS):
        return before
    return clock.after(due, SWEEP_GRACE_SECONDS)


def _state(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {"status": str(job.status), "updated": job.updated_at - job.created_at}
    if job.request.batch_created_at is not None:
        found["made"] = job.created_at - job.request.batch_created_at
    if job.ended_at is not None:
        found["ended"] = job.ended_at - job.created_at
    plain = job.model_dump(mode="json", include=set(_JOB_FIELDS), exclude_defaults=True)
    found |= {name: plain[name] for name in _JOB_FIELDS if name in plain}
    return found | {"steps": {name: _step_state(step, job.created_at) for name, step in job.steps.items()}}


def _step_state(step: Step, created_at: int) -> dict[str, Any]:
    plain = step.model_dump(mode="json", exclude_defaults=True, exclude={"result"})
    plain |= {name: plain[name] - created_at for name in _MOMENTS if plain.get(name) is not None}
    return {short: plain[name] for name, short in _STEP_NAMES.items() if plain.get(name) is not None}


# --- The others ------------------------------------------------------------------------------------------------------


def request_item(job: Job) -> dict[str, Any]:
    """What a job was asked to do. It is kept for longer than a job that ends today: this one may not."""
    text = job.request.model_dump_json(exclude_defaults=True)
    return {"pk": f"JOB#{job.job_id}", "sk": "REQUEST", **packed(text), "expires_at": expiry(outlives=OUTLIVES_DAYS)}


def result_item(job: Job, name: str) -> dict[str, Any]:
    """What a step came to, or so far. `rank` orders what is said of it: success last, whenever it came."""
    step = job.steps[name]
    body = packed(json.dumps(step.result or {}, ensure_ascii=False, separators=(",", ":")))
    if len(body.get("packed", b"")) > LARGEST_DOCUMENT:
        body = packed(json.dumps({"omitted": "too large", "bytes": len(unpacked(body).encode())}))
    return {
        "pk": f"JOB#{job.job_id}",
        "sk": f"RESULT#{name}",
        "rank": 10**9 if step.status == StepStatus.SUCCEEDED else 2 * step.attempt + (step.status == StepStatus.FAILED),
        "attempt": step.attempt,
        **body,
        "expires_at": expiry(outlives=OUTLIVES_DAYS),
    }


# --- Read ------------------------------------------------------------------------------------------------------------


def to_job(items: Iterable[Mapping[str, Any]]) -> Job | None:
    """A job from its items; None if it was deleted, or is not all there."""
    found = {item["sk"]: item for item in items}
    hot, request = found.get("JOB"), found.get("REQUEST")
    if hot is None or "deleted_at" in hot or request is None:
        return None
    state = json.loads(unpacked(hot))
    created = clock.from_iso(hot["created"].split("#", maxsplit=1)[0]) + state.get("made", 0)
    steps = {name: _to_step(part, created, found.get(f"RESULT#{name}")) for name, part in state["steps"].items()}
    return Job(
        job_id=hot["pk"].removeprefix("JOB#"),
        provider=hot["shard"].split("#", maxsplit=1)[0],
        status=state["status"],
        steps=steps,
        request=Request.model_validate_json(unpacked(request)),
        version=hot["v"],
        created_at=created,
        updated_at=created + state["updated"],
        ended_at=created + state["ended"] if "ended" in state else None,
        swept_at=clock.from_iso(hot["due_at"]) if "due_at" in hot else None,
        **{name: state[name] for name in _JOB_FIELDS if name in state},
    )


def _to_step(state: Mapping[str, Any], created: int, result: Mapping[str, Any] | None) -> Step:
    plain = {name: state[short] for name, short in _STEP_NAMES.items() if short in state}
    plain |= {name: plain[name] + created for name in _MOMENTS if name in plain}
    step = Step.model_validate(plain)
    if result is None or step.status == StepStatus.QUEUED:
        return step
    if step.status != StepStatus.SUCCEEDED and result["attempt"] != step.attempt:
        return step  # what an earlier attempt came to
    return step.model_copy(update={"result": json.loads(unpacked(result))})
