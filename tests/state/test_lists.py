"""Which jobs there are: newest first, page by page, by platform, status, label and batch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from video_jobs import clock
from video_jobs.jobs.batches import Batch
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.store import jobs, lists
from video_jobs.store.table import SHARDS, Page

from tests.jobs.facts import FAILURE, SUCCESS, Fact, announced, canceled, claimed, ended, submitted
from tests.scripted import CREATED_AT, new_job
from tests.stack import Stack

pytestmark = pytest.mark.usefixtures("stack")

type List = Callable[..., Page[Job]]

MADE = CREATED_AT - 60_000
"""When a batch was made, whose jobs came later."""

TO: dict[JobStatus, Sequence[Fact]] = {
    JobStatus.PENDING: (),
    JobStatus.RUNNING: (claimed(), submitted()),
    JobStatus.SUCCEEDED: (claimed(), ended(SUCCESS), announced),
    JobStatus.FAILED: (claimed(), ended(FAILURE), announced),
    JobStatus.CANCELED: (canceled, announced),
}
"""What brings a job to each status."""


def put(number: int, *, status: JobStatus = JobStatus.PENDING, **changes: Any) -> str:
    """The `number`th job."""
    job = jobs.create(new_job(f"job-{number:03}", plan=["upload"], created_at=CREATED_AT + number * 1000, **changes))
    for fact in TO[status]:
        following = fact(job)
        assert following is not None
        found = jobs.save(job, following)
        assert found is not None
        job = found
    return job.job_id


def every_page(page: List, *, limit: int) -> list[str]:
    ids: list[str] = []
    cursor = None
    for _ in range(100):
        found = page(limit=limit, cursor=cursor)
        assert len(found.items) <= limit
        ids += [job.job_id for job in found.items]
        cursor = found.cursor
        if cursor is None:
            return ids
    raise AssertionError("it never ends")


videodb = partial(lists.of_providers, ["videodb"])


def a_batch(batch_id: str) -> Batch:
    return Batch(batch_id=batch_id, provider="videodb", template={}, closed=True, created_at=MADE, updated_at=MADE)


@pytest.mark.every_engine
@pytest.mark.parametrize("limit", [3, 100])
def test_every_job_is_listed_once_the_newest_first_whatever_the_size_of_a_page(limit: int) -> None:
    ids = [put(number) for number in range(12)]  # in all index partitions

    assert every_page(videodb, limit=limit) == ids[::-1]


@pytest.mark.every_engine
@pytest.mark.parametrize("status", list(JobStatus))
def test_a_status_lists_its_jobs_and_no_others(status: JobStatus) -> None:
    ids = {each: [put(number + 5 * place, status=each) for place in range(2)] for number, each in enumerate(JobStatus)}

    assert sorted(every_page(partial(videodb, status=status), limit=2)) == ids[status]


def test_an_end_that_is_not_announced_yet_is_listed_as_what_it_is() -> None:
    job = jobs.create(new_job("job-1", plan=["upload"]))
    for fact in (claimed(), ended(FAILURE)):
        following = fact(job)
        assert following is not None
        job = jobs.save(job, following) or job

    assert every_page(partial(videodb, status=JobStatus.FAILED), limit=10) == ["job-1"]
    assert every_page(partial(videodb, status=JobStatus.RUNNING), limit=10) == []


@pytest.mark.every_engine
def test_labels_batches_and_platforms_are_told_apart_also_where_they_have_the_same_name() -> None:
    label = put(1, label="batch-1")
    batch = put(2, batch_id="batch-1", batch_index=0, batch_created_at=MADE)
    other = put(3, provider="twelvelabs")

    assert every_page(partial(lists.of_label, "batch-1"), limit=10) == [label]
    assert every_page(partial(lists.of_batch, a_batch("batch-1")), limit=10) == [batch]
    assert every_page(videodb, limit=10) == [label, batch]  # listed as of its batch's making
    assert every_page(partial(lists.of_providers, ["videodb", "twelvelabs"]), limit=2) == [other, label, batch]
    assert every_page(partial(lists.of_label, "nobody's"), limit=2) == []


def test_a_labels_jobs_of_a_status() -> None:
    ids = [put(number, status=status, label="g") for number, status in enumerate([*JobStatus, *JobStatus])]

    assert every_page(partial(lists.of_label, "g"), limit=3) == ids[::-1]
    assert every_page(partial(lists.of_label, "g", status=JobStatus.SUCCEEDED), limit=1) == [ids[7], ids[2]]


@pytest.mark.every_engine
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_batchs_jobs_stand_together_whatever_was_made_before_between_and_after(limit: int) -> None:
    group = {"batch_id": "g", "batch_created_at": MADE}
    ids = [put(number, status=status, **group) for number, status in enumerate([*JobStatus, *JobStatus])]
    put(50)
    put(51, batch_id="of the same moment", batch_created_at=MADE)
    put(52, batch_id="older", batch_created_at=MADE - 1)
    put(53, batch_id="newer", batch_created_at=MADE + 1)

    assert every_page(partial(lists.of_batch, a_batch("g")), limit=limit) == ids[::-1]
    assert every_page(partial(lists.of_batch, a_batch("g"), status=JobStatus.SUCCEEDED), limit=limit) == [
        ids[7],
        ids[2],
    ]


def test_a_job_that_is_deleted_while_it_is_listed_is_left_out(stack: Stack) -> None:
    put(1)
    put(2, status=JobStatus.SUCCEEDED)
    found = jobs.read("job-002")
    assert found is not None
    page = videodb(limit=1)
    assert [job.job_id for job in page.items] == ["job-002"]

    jobs.delete(found)

    assert every_page(videodb, limit=1) == ["job-001"]


def test_a_page_reads_as_much_of_each_partition_as_it_may_need_and_no_more(stack: Stack) -> None:
    for number in range(12):
        put(number)
    stack.calls.clear()

    videodb(limit=2)

    assert stack.calls == ["dynamodb.Query"] * SHARDS + ["dynamodb.BatchGetItem"]


def test_a_list_shows_jobs_without_what_their_steps_came_to() -> None:
    put(1, status=JobStatus.SUCCEEDED)

    (job,) = videodb(limit=1).items

    assert job.request.source == "https://example.com/lecture.mp4"
    assert job.steps["upload"].result is None


@pytest.mark.every_engine
def test_ids_of_a_platforms_jobs_between_two_moments() -> None:
    ids = [put(number) for number in range(6)]
    put(7, provider="apivideo")
    first, last = clock.iso(CREATED_AT + 2000), clock.iso(CREATED_AT + 4000)

    assert sorted(lists.ids_of_provider("videodb")) == ids
    assert sorted(lists.ids_of_provider("videodb", created=(first, last))) == ids[2:5]


@pytest.mark.every_engine
def test_a_job_that_moves_from_one_part_of_a_list_to_another_meanwhile_is_listed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = [put(number, label="g") for number in range(2)]
    once = lists._entries

    def twice(*of: Any, **more: Any) -> list[str]:  # as if each partition of an index had it
        return [*once(*of, **more), *(f"{clock.iso(CREATED_AT)}#{ids[0]}",)]

    monkeypatch.setattr(lists, "_entries", twice)

    assert [job.job_id for job in lists.of_label("g", limit=10).items] == ids[::-1]


@pytest.mark.every_engine
def test_a_cursor_of_before_a_batch_was_made_leads_to_none_of_its_jobs() -> None:
    put(1, batch_id="g", batch_created_at=MADE)

    found = lists.of_batch(a_batch("g"), limit=10, cursor=f"{clock.iso(MADE - 1)}#job-0")

    assert (found.items, found.cursor) == ([], None)
