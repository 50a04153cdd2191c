"""Batches for tests: their sources, their jobs, and how these end."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from video_jobs import clock
from video_jobs.jobs import transitions
from video_jobs.jobs.batches import Batch, Counts, job_id
from video_jobs.jobs.model import Job, JobError, StepFailed, StepSucceeded
from video_jobs.notifications.announce import announce
from video_jobs.store import batches, jobs

from functions.pipeline.batches import app
from local import dynamodb_local
from tests.scripted import CREATED_AT, fault

BATCH = "batch-1"
fastest = pytest.mark.parametrize(
    "engine", ["dynamodb_local" if dynamodb_local.jar() else "moto"], indirect=True, scope="session"
)
"""For tests of hundreds of histories: moto copies its whole table for each transaction."""
TEMPLATE = {"provider": "videodb", "steps": ["upload"]}
FAULT = fault("download_failed")
OTHER_FAULT = fault("invalid_media_type")
_numbers = count(1)


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
    batch, works = batches.create(new_batch(batch_id, **changes), sources(number))
    for work_id in works:
        do(work_id)
    return ids(batch, number)


def ids(batch: Batch, number: int) -> list[str]:
    return [job_id(batch, index) for index in range(number)]


def do(work_id: str) -> None:
    """Do all of a piece of work."""
    app.work_on(work_id, lambda: 60_000)


def read(batch_id: str = BATCH) -> tuple[Batch, Counts]:
    found = batches.get(batch_id)
    assert found is not None
    return found


def outcomes(batch_id: str = BATCH) -> dict[str, int]:
    """What jobs are counted as, where there are any."""
    return {outcome: number for outcome, number in read(batch_id)[1].outcomes.items() if number}


def job(found: str) -> Job:
    """The job of an id."""
    there = jobs.read(found)
    assert there is not None
    return there


def changed(found: str, transition: jobs.Transition, *, known: Job | None = None) -> Job:
    change = jobs.change(found, transition, known=known)
    assert change is not None
    assert change.changed
    return change.after


def begin(found: str) -> Job:
    """A worker takes the job's step."""
    return changed(found, partial(transitions.claimed, name="upload", now=clock.now(), lease=90))


def run(found: str, error: JobError | None = None) -> Job:
    """Bring a job to its end, which is not announced yet."""
    begun = begin(found)
    return _end(begun, StepFailed(error=error) if error else StepSucceeded())


def finish(found: str, error: JobError | None = None) -> None:
    """Bring a job to its end, with all that follows."""
    announce(run(found, error))


def count_end(ended: Job) -> Job:
    """A batch counts a job's end, and nobody has looked yet whether the batch has ended with it."""
    return changed(ended.job_id, partial(transitions.counted, number=ended.ends, now=clock.now()), known=ended)


def note(ended: Job) -> Job:
    """The same, and it is noted that the job's end was announced."""
    return changed(
        ended.job_id, partial(transitions.announced, number=ended.ends, now=clock.now()), known=count_end(ended)
    )


def take_back(found: str) -> Job:
    """The platform says that a failed job succeeded after all; nobody has announced that yet."""
    return _end(job(found), StepSucceeded())


def retry(found: str) -> Job:
    return changed(found, partial(transitions.retried, now=clock.now()))


def cancel(found: str) -> Job:
    return changed(found, partial(transitions.canceled, now=clock.now()))


def _end(found: Job, end: StepSucceeded | StepFailed) -> Job:
    attempt = found.steps["upload"].attempt
    return changed(
        found.job_id, partial(transitions.step_ended, name="upload", attempt=attempt, end=end, now=clock.now())
    )


@contextmanager
def each_call(made: Any) -> Iterator[None]:
    """Have `made(service, operation, parameters, call)` in the place of every call to AWS."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        call = partial(original, self, operation, parameters)
        return made(self.meta.service_model.service_name, operation, parameters, call)

    with patch.object(BaseClient, "_make_api_call", noted):
        yield
