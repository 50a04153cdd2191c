"""Whatever happens to a job, and in whatever order, the indexes agree with what it is."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video_jobs import store
from video_jobs.jobs import Job, JobStatus, StepFailed, StepRunning, StepSucceeded, Submitted
from video_jobs.settings import dynamodb, setting

from tests.scripted import CREATED_AT, fault, new_job
from tests.stack import Stack

PLAN = ("upload", "index_spoken_words")
ENDED = ("succeeded", "failed", "canceled")


def tell(end: StepSucceeded | StepFailed, *, attempt: int) -> Callable[[Job, str], Any]:
    def write(job: Job, step: str) -> Any:
        event = store.Event(
            callback=f"videodb/{step}",
            step=step,
            attempt=attempt,
            body=f"{end} {job.version}",
            via="callback",
            headers={},
            received_at=CREATED_AT,
        )
        return store.record(job.job_id, event, end)

    return write


WRITES: Mapping[str, Callable[[Job, str], Any]] = {
    "claim": lambda job, step: store.claim(job, step, lease_seconds=90),
    "submitted": lambda job, step: store.submitted(
        job, step, accepted=Submitted(platform_job_id="p"), check_in=5, deadline_in=60
    ),
    "queue again": lambda job, step: store.queue_again(job, step, error=fault(), delay=1),
    "checked": lambda job, step: store.checked(job, step, StepRunning(progress=0.5), next_in=5),
    "skip": lambda job, step: store.skip(job, [step]),
    "success": tell(StepSucceeded(refs=("m-1",)), attempt=1),
    "failure": tell(StepFailed(error=fault()), attempt=3),
    "failure of the first attempt": tell(StepFailed(error=fault()), attempt=1),
    "end well": lambda job, step: store.end(job, JobStatus.SUCCEEDED),
    "end badly": lambda job, step: store.end(job, JobStatus.FAILED),
    "cancel": lambda job, step: store.cancel(job),
    "retry": store.retry,
    "conclude": lambda job, step: store.concluded(job),
    "reopen": lambda job, step: store.reopened(job),
    "postpone": lambda job, step: store.postpone(
        {"pk": f"JOB#{job.job_id}", "sk": "JOB", "due_at": read(job.job_id)[1].get("due_at", "")}
    ),
}


def read(job_id: str) -> tuple[Job, dict[str, Any]]:
    """The job, and its item as it is in the table."""
    key = {"pk": {"S": f"JOB#{job_id}"}, "sk": {"S": "JOB"}}
    item = dynamodb().get_item(TableName=setting("TABLE_NAME"), Key=key)["Item"]
    job = store.table.to_job(item)
    assert job is not None
    return job, store.table.to_plain(item)


histories = st.lists(
    st.tuples(st.sampled_from(sorted(WRITES)), st.sampled_from(PLAN), st.booleans()), min_size=4, max_size=12
)


@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories)
def test_an_open_job_is_among_the_open_ones_one_whose_end_is_told_is_not_and_the_lists_know_its_status(
    stack: Stack, history: list[tuple[str, str, bool]]
) -> None:
    stack.clear()  # moto copies the whole table for each transaction, so it must stay small
    job = previous = store.create(new_job(plan=PLAN))
    shard = store.table.shard_of(job.job_id)
    for write, step, stale in history:
        seen, previous = (previous if stale else job), job
        with suppress(store.ConflictError):
            WRITES[write](seen, step)

        job, item = read(job.job_id)
        ended = job.status in ENDED
        assert item["listing_by_status"] == f"{job.status}#videodb#{shard}"
        looked_for = not (ended and job.is_told)  # an end that is not told yet must not be lost
        assert item.get("open") == (str(shard) if looked_for else None)
        assert ("due_at" in item) == looked_for
        assert ("expires_at" in item) == ended
        assert (job.ended_at is not None) == ended
        assert job.version >= previous.version
        assert not (previous.status == JobStatus.CANCELED != job.status)
