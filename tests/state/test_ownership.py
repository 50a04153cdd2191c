"""Whose a step, a reference or an index entry is, when two think that it is theirs."""

import uuid

import pytest
from video_jobs import store
from video_jobs.jobs import Job, JobStatus, StepFailed, StepSucceeded
from video_jobs.store import Event, Recorded

from tests.patches import change
from tests.scripted import CREATED_AT, fault, new_job
from tests.stack import Stack

pytestmark = [pytest.mark.every_engine, pytest.mark.usefixtures("stack")]


def about(step: str, body: str = "{}") -> Event:
    return Event(
        callback=f"videodb/{step}", step=step, attempt=1, body=body, via="callback", headers={}, received_at=CREATED_AT
    )


def found(job_id: str = "job-1") -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def test_a_claim_that_the_sdk_sends_again_is_still_the_claimants(monkeypatch: pytest.MonkeyPatch) -> None:
    # its first answer was lost on the way, and the write had been applied
    change(monkeypatch, store.moves, uuid, uuid4=lambda: uuid.UUID(int=1))
    job = store.create(new_job())

    first = store.claim(job, "upload", lease_seconds=90)
    again = store.claim(job, "upload", lease_seconds=90)

    assert first is not None
    assert again is not None
    assert again.steps["upload"].attempt == first.steps["upload"].attempt == 1


def test_a_reference_leads_to_the_job_that_had_it_last(stack: Stack) -> None:
    for job_id in ("job-1", "job-2"):
        store.create(new_job(job_id, plan=["index_scenes"]))
        store.record(job_id, about("index_scenes"), StepSucceeded(refs=("the-same-index",)))
        store.end(found(job_id), JobStatus.SUCCEEDED)
        store.concluded(found(job_id))

    assert [item["job_id"] for item in stack.items("REF#")] == ["job-2"]
    store.delete(found("job-2"))
    # what the platform still says of it makes no new job
    assert [item["job_id"] for item in stack.items("REF#")] == ["job-2"]


def test_an_adopted_job_that_fails_in_the_end_is_open_until_that_is_told(stack: Stack) -> None:
    assert store.record("job-1", about("upload"), StepFailed(error=fault())) == Recorded.ADOPTED
    assert store.record("job-1", about("upload", '{"taken": "back"}'), StepSucceeded()) == Recorded.RECORDED

    assert store.record("job-1", about("index_scenes"), StepFailed(error=fault())) == Recorded.ADOPTED

    (job,) = (item for item in stack.items("JOB#job-1") if item["sk"] == "JOB")
    assert job["status"] == JobStatus.FAILED
    assert {"ended_at", "expires_at", "open", "due_at"} <= set(job)
    assert (job["ends"], job["announced"]) == (2, 0)
