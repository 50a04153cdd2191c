"""Batches for tests: their sources, their jobs, and what their counts must be."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import pytest
from video_jobs import ended, store
from video_jobs.batches import Batch, Counts, job_id
from video_jobs.jobs import Job, JobError, JobStatus, StepFailed, StepSucceeded
from video_jobs.platforms.batch_requests import new_job
from video_jobs.store import batches

from local import dynamodb_local
from tests.scripted import CREATED_AT, fault

BATCH = "batch-1"
fastest = pytest.mark.parametrize(
    "engine", ["dynamodb_local" if dynamodb_local.jar() else "moto"], indirect=True, scope="session"
)
"""For tests of hundreds of histories: moto copies its whole table for each transaction."""
_numbers = count(1)
TEMPLATE = {"provider": "videodb", "steps": ["upload"]}


def sources(number: int, *, start: int = 0) -> list[str]:
    return [f"https://example.com/{start + index}.mp4" for index in range(number)]


def another_id() -> str:
    """A batch's id that no other one has: a table need not be emptied for it."""
    return f"batch-of-its-own-{next(_numbers)}"


def new_batch(batch_id: str = BATCH, **changes: Any) -> Batch:
    """A batch whose jobs have one step, and to which nothing was added yet."""
    values = {
        "batch_id": batch_id,
        "provider": "videodb",
        "template": TEMPLATE,
        "closed": True,
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
    }
    return Batch.model_validate(values | changes)


def put(number: int, batch_id: str = BATCH, **changes: Any) -> list[str]:
    """Put a batch with so many sources, whose jobs are made; their ids."""
    _, works = batches.create(new_batch(batch_id, **changes), sources(number))
    for work in works:
        expand(work)
    return [job_id(batch_id, index) for index in range(number)]


def expand(work_id: str) -> None:
    """Make all jobs of a piece of work."""
    work = batches.work(work_id)
    while work is not None and work.first < work.last:
        batch, _ = read(work.batch_id)
        some = work.left[: batches.JOBS_AT_ONCE]
        work = batches.expand(work, [new_job(batch, work.first + number, each) for number, each in enumerate(some)])


def read(batch_id: str = BATCH) -> tuple[Batch, Counts]:
    found = batches.get(batch_id)
    assert found is not None
    return found


def kinds(batch_id: str = BATCH) -> dict[str, int]:
    """What jobs are counted as, where there are any."""
    return {kind: number for kind, number in read(batch_id)[1].kinds.items() if number}


def said(jobs: Iterable[Job]) -> dict[str, int]:
    """What these jobs say that they are counted as."""
    return dict(Counter(str(job.counted) for job in jobs))


def job(found: str) -> Job:
    """The job of an id."""
    there = store.get(found)
    assert there is not None
    return there


def tell(found: str, end: StepSucceeded | StepFailed, *, step: str = "upload") -> store.Recorded:
    """Record what the platform says about the present attempt at a step."""
    attempt = job(found).steps[step].attempt
    event = store.Event(
        callback=f"videodb/{step}",
        step=step,
        attempt=attempt,
        body=f"{end} {job(found).version}",
        via="callback",
        headers={},
        received_at=CREATED_AT,
    )
    return store.record(found, event, end)


def begin(found: str) -> Job:
    """Have somebody ask for the job's step."""
    claimed = store.claim(job(found), "upload", lease_seconds=90)
    assert claimed is not None
    return claimed


def run(found: str, error: JobError | None = None) -> Job:
    """Bring a job to its end, which is not told yet."""
    begin(found)
    tell(found, StepFailed(error=error) if error else StepSucceeded())
    done = store.end(job(found), JobStatus.FAILED if error else JobStatus.SUCCEEDED)
    assert done is not None
    return done


def finish(found: str, error: JobError | None = None) -> None:
    """Bring a job to its end, with all that follows."""
    ended.conclude(run(found, error))


def take_back(found: str) -> Job:
    """The platform says that a failed job succeeded after all, and it is counted as running again."""
    tell(found, StepSucceeded())
    reopened = store.reopened(job(found))
    assert reopened is not None
    return reopened


FAULT = fault("download_failed")
OTHER_FAULT = fault("invalid_media_type")


def totals(**numbers: int) -> Mapping[str, int]:
    """What a batch's answer says, where the rest is none."""
    names = ("waiting", "pending", "running", "succeeded", "failed", "canceled")
    return dict.fromkeys(names, 0) | numbers
