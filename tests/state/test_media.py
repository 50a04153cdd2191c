"""Which jobs a medium leads to."""

import pytest
from video_jobs import store
from video_jobs.jobs import Job, JobStatus, StepSucceeded
from video_jobs.store import ConflictError, Event, media

from tests.scripted import CREATED_AT, new_job
from tests.stack import Stack

pytestmark = [pytest.mark.every_engine, pytest.mark.usefixtures("stack")]


def make(job_id: str, day: int = 1, **changes: object) -> Job:
    medium = {"source": None, "media_id": "m-1", "created_at": f"2026-11-{day:02}T00:00:00.000Z"}
    return store.create(new_job(job_id, plan=["index_scenes"], **{**medium, **changes}))


def ids(medium: str = "m-1", *, limit: int = 10) -> list[str]:
    return media.job_ids("videodb", medium, limit=limit).items


def upload(job_id: str = "job-upload") -> None:
    """A job that has brought the medium."""
    store.create(new_job(job_id, plan=["upload"]))
    event = Event(
        callback="videodb/upload",
        step="upload",
        attempt=1,
        body="{}",
        via="callback",
        headers={},
        received_at=CREATED_AT,
    )
    store.record(job_id, event, StepSucceeded(refs=("m-1",), result={"id": "m-1"}))


def test_the_job_that_callbacks_are_for_comes_first_and_then_the_newest() -> None:
    make("job-b", 2)
    make("job-c", 1)
    upload()
    make("job-a", 3)

    assert ids() == ["job-upload", "job-a", "job-b", "job-c"]
    newest_first = [job.job_id for job in media.jobs_of("videodb", "m-1", limit=10).items]
    assert newest_first == ["job-a", "job-b", "job-upload", "job-c"]


def test_only_the_first_ones_are_given_and_it_is_said_whether_there_are_more() -> None:
    for number in range(1, 4):
        make(f"job-{number}", number)

    assert ids(limit=2) == ["job-3", "job-2"]
    assert media.job_ids("videodb", "m-1", limit=2).cursor is not None
    assert ids(limit=3) == ["job-3", "job-2", "job-1"]
    assert media.job_ids("videodb", "m-1", limit=3).cursor is None


def test_a_medium_of_which_nobody_knows_has_no_jobs() -> None:
    make("job-1")

    assert ids("m-2") == []
    assert media.job_ids("apivideo", "m-1", limit=10).items == []
    assert media.jobs_of("videodb", "m-2", limit=10).items == []


def test_a_job_that_is_there_already_is_returned_and_leaves_no_second_link(stack: Stack) -> None:
    first = make("job-1", 1)

    again = make("job-1", 2)

    assert again == first
    assert len(stack.items("REF#")) == 1


def test_a_job_of_a_deleted_ones_id_is_not_made_and_leaves_no_link(stack: Stack) -> None:
    ended = make("job-1", status=JobStatus.SUCCEEDED, ended_at=CREATED_AT)
    store.delete(ended)

    with pytest.raises(ConflictError):
        make("job-1", 2)

    assert ids() == ["job-1"]
    assert len(stack.items("REF#")) == 1
    assert media.jobs_of("videodb", "m-1", limit=10).items == []


def test_a_job_for_a_source_is_one_write_and_one_for_a_medium_one_transaction(stack: Stack) -> None:
    stack.calls.clear()
    store.create(new_job("job-1"))
    make("job-2")

    assert stack.calls == ["dynamodb.PutItem", "dynamodb.TransactWriteItems"]


def test_links_do_not_stand_in_the_way_of_whose_a_reference_is() -> None:
    make("job-1")
    upload()

    owner = store.owner("videodb", "m-1")

    assert owner is not None
    assert (owner["job_id"], owner["step"]) == ("job-upload", "upload")
