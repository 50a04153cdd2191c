"""What the API's reads cost does not grow with the table: as many read units among 10,000 jobs as among 100.

AWS's own engine counts them (DynamoDB Local; moto says one, or a half, of everything). It differs from AWS in one
thing: a query that finds nothing is free there, and half a unit in AWS.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched, count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from video_jobs import settings
from video_jobs.jobs import Job, JobStatus, Step, StepStatus, timestamp
from video_jobs.store import batches, table

from tests.api.calls import Answer, call
from tests.batch import BATCH, new_batch
from tests.conftest import DYNAMODB_LOCAL
from tests.scripted import fault, new_job
from tests.stack import Stack, create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = [
    pytest.mark.skipif(DYNAMODB_LOCAL is None, reason="only DynamoDB Local counts read units"),
    pytest.mark.parametrize("engine", ["dynamodb_local"], indirect=True, scope="session"),
    pytest.mark.xdist_group("read units"),  # the tables are made once
]

FEW, MANY = 100, 10_000
LIMIT = 2
"""A page's jobs. One more is read of each index partition, and even among few jobs there are as many as that."""
STATUSES = tuple(JobStatus)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
STEP_STATUSES = {
    JobStatus.PENDING: StepStatus.WAITING,
    JobStatus.RUNNING: StepStatus.RUNNING,
    JobStatus.SUCCEEDED: StepStatus.SUCCEEDED,
    JobStatus.FAILED: StepStatus.FAILED,
    JobStatus.CANCELED: StepStatus.WAITING,
}


# --- Tables of equal jobs --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables:
    """By how many jobs are in them: their names, and the jobs' ids, the oldest first."""

    names: Mapping[int, str]
    job_ids: Mapping[int, Sequence[str]]


@pytest.fixture(scope="module")
def tables(dynamodb_client: "DynamoDBClient") -> Iterator[Tables]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RETENTION_DAYS", "90")
        names = {size: f"read-units-{size}" for size in (FEW, MANY)}
        job_ids = {size: _fill(dynamodb_client, name, size) for size, name in names.items()}
        yield Tables(names, job_ids)
        for name in names.values():
            dynamodb_client.delete_table(TableName=name)


def _fill(dynamodb: "DynamoDBClient", name: str, size: int) -> list[str]:
    create_table(dynamodb, name)
    job_ids = list(_job_ids(size))
    jobs = [_job(job_id, number) for number, job_id in enumerate(job_ids)]
    items = [*map(table.job_item, jobs), *_batch_items(size), *_other_batches(size // 10)]

    def write(some: Sequence[dict[str, Any]]) -> None:
        answer = dynamodb.batch_write_item(
            RequestItems={name: [{"PutRequest": {"Item": table.to_wire(item)}} for item in some]}
        )
        assert not answer["UnprocessedItems"]

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, batched(items, 25, strict=False)))
    return job_ids


def _job_ids(size: int) -> Iterator[str]:
    """Ids of the same length, in turns of each index partition."""
    ids = (f"job-{number:07}" for number in count())
    for number in range(size):
        shard = number // len(STATUSES) % table.SHARDS
        yield next(found for found in ids if table.shard_of(found) == shard)


def _job(job_id: str, number: int) -> Job:
    """In turns of each status; nothing but numbers differs between two of a status."""
    status = STATUSES[number % len(STATUSES)]
    created = timestamp(FIRST + timedelta(seconds=number))
    step = Step(
        status=STEP_STATUSES[status],
        attempt_limit=3,
        error=fault() if status == JobStatus.FAILED else None,
        result={"id": f"m-{number:07}"} if status == JobStatus.SUCCEEDED else None,
    )
    return new_job(
        job_id,
        plan=("upload",),
        steps={"upload": step},
        status=status,
        source=f"https://example.com/{number:07}.mp4",
        batch=BATCH,
        batch_index=number,
        counted=f"{status}/something_went_wrong" if status == JobStatus.FAILED else status,
        created_at=created,
        updated_at=created,
        ended_at=created if status.ended else None,
        ends=1 if status.ended else 0,
        announced=1 if status.ended else 0,
    )


def _batch_items(size: int) -> Iterator[dict[str, Any]]:
    """A batch of all these jobs, and its counts: as many of each status, spread over the items."""
    key = {"pk": f"BATCH#{BATCH}"}
    batch = new_batch(total=size)
    yield batch.model_dump(mode="json", exclude_none=True) | key | {"sk": "BATCH", "template": "{}"}
    for shard in range(8):
        of_each = len(range(shard, size // len(STATUSES), 8))
        kinds = {"failed/something_went_wrong" if s == JobStatus.FAILED else str(s): of_each for s in STATUSES}
        yield key | {"sk": f"COUNT#{shard}", "changes": of_each, **kinds}


def _other_batches(size: int) -> Iterator[dict[str, Any]]:
    """For the list of batches."""
    for number in range(size):
        created = timestamp(FIRST + timedelta(seconds=number))
        yield batches._batch_item(new_batch(f"batch-{number:07}", created_at=created, name=f"number {number:07}"))


# --- Counting units --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """One call to DynamoDB."""

    operation: str
    index: str | None
    units: float


@contextmanager
def counted() -> Iterator[list[Use]]:
    """Every call while it lasts, with the capacity units that it used."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    used: list[Use] = []

    def noted(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if self.meta.service_model.service_name != "dynamodb":
            return original(self, operation, parameters)
        answer = original(self, operation, parameters | {"ReturnConsumedCapacity": "TOTAL"})
        consumed = answer["ConsumedCapacity"]  # by table, where a call may read of several
        (of_the_table,) = consumed if isinstance(consumed, list) else [consumed]
        used.append(Use(operation, parameters.get("IndexName"), of_the_table["CapacityUnits"]))
        return answer

    with patch.object(BaseClient, "_make_api_call", noted):
        yield used


def ask(path: str, query: Mapping[str, Any]) -> tuple[Answer, list[Use]]:
    """The answer, and what was used for it."""
    with counted() as used:
        answer = call("GET", path, query=query)
    assert answer.status == 200, answer.text
    return answer, used


type Among = Callable[[int], Sequence[str]]


@pytest.fixture
def among(stack: Stack, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[Among]:
    """Have the stack use the table of so many jobs; their ids."""
    own = settings.setting("TABLE_NAME")

    def use(size: int) -> Sequence[str]:
        monkeypatch.setenv("TABLE_NAME", tables.names[size])
        return tables.job_ids[size]

    yield use
    monkeypatch.setenv("TABLE_NAME", own)


def units(used: Sequence[Use]) -> float:
    return sum(use.units for use in used)


# --- Lists -----------------------------------------------------------------------------------------------------------

LISTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "all": ("/jobs", {}),
    "of a platform": ("/jobs", {"provider": "videodb"}),
    "of a batch": ("/jobs", {"batch": BATCH}),
    "of a platform's batch": ("/jobs", {"batch": BATCH, "provider": "videodb"}),
    "a batch's": (f"/batches/{BATCH}/jobs", {}),
    **{f"{status}": ("/jobs", {"status": status}) for status in STATUSES},
    **{f"of a platform, {status}": ("/jobs", {"provider": "videodb", "status": status}) for status in STATUSES},
    **{f"of a batch, {status}": ("/jobs", {"batch": BATCH, "status": status}) for status in STATUSES},
    **{f"a batch's, {status}": (f"/batches/{BATCH}/jobs", {"status": status}) for status in STATUSES},
}


@pytest.mark.parametrize("asked", LISTS)
def test_a_page_costs_as_much_among_many_jobs_as_among_few(among: Among, asked: str) -> None:
    path, query = LISTS[asked]
    pages: dict[int, list[list[Use]]] = {}
    for size in (FEW, MANY):
        ids = among(size)
        page, first = ask(path, {**query, "limit": LIMIT})
        following, second = ask(path, {**query, "limit": LIMIT, "cursor": page.json["cursor"]})
        pages[size] = [first, second]
        if size == MANY:
            middle = ids[MANY // 2]
            deep, third = ask(path, {**query, "limit": LIMIT, "cursor": cursor(middle, MANY // 2)})
            pages[size].append(third)
            assert_jobs_before(deep, MANY // 2, query)
        assert_jobs_before(page, size, query)
        assert_jobs_before(following, ids.index(page.json["jobs"][-1]["job_id"]), query)

    few, second_of_few = pages[FEW]
    many, second_of_many, deep_in_many = pages[MANY]
    assert units(few) > 0
    assert sorted(many, key=str) == sorted(few, key=str)
    assert sorted(second_of_many, key=str) == sorted(second_of_few, key=str)
    assert units(deep_in_many) == units(second_of_few)


def cursor(job_id: str, number: int) -> str:
    return f"{timestamp(FIRST + timedelta(seconds=number))}#{job_id}"


def assert_jobs_before(page: Answer, end: int, query: Mapping[str, str]) -> None:
    """The page has the newest jobs of those that were made before the `end`th."""
    every = [n for n in range(max(end - 50, 0), end) if query.get("status") in (None, STATUSES[n % len(STATUSES)])]
    newest = [f"https://example.com/{number:07}.mp4" for number in reversed(every[-LIMIT:])]
    assert [job["source"] for job in page.json["jobs"]] == newest


# --- One job, one batch ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_a_job_costs_as_much_among_many(among: Among, status: JobStatus) -> None:
    used = {}
    for size in (FEW, MANY):
        job_id = among(size)[size // 2 + STATUSES.index(status)]
        answer, used[size] = ask(f"/jobs/{job_id}", {})
        assert answer.json["status"] == status
    assert used[MANY] == used[FEW] == [Use("GetItem", None, 1.0)]


def test_a_batch_with_its_totals_is_one_query_however_many_its_jobs_are(among: Among) -> None:
    used = {}
    for size in (FEW, MANY):
        among(size)
        answer, used[size] = ask(f"/batches/{BATCH}", {})
        assert answer.json["total"] == size
        assert answer.json["totals"] == {"waiting": 0} | {str(status): size // len(STATUSES) for status in STATUSES}
        assert answer.json["causes"] == {"something_went_wrong": size // len(STATUSES)}
    assert used[MANY] == used[FEW] == [Use("Query", None, 1.0)]


def test_a_page_of_batches_costs_as_much_among_many(among: Among) -> None:
    used = {}
    for size in (FEW, MANY):
        among(size)
        page, used[size] = ask("/batches", {"limit": LIMIT})
        newest = [f"number {number:07}" for number in range(size // 10 - 1, size // 10 - 1 - LIMIT, -1)]
        assert [batch["name"] for batch in page.json["batches"]] == newest
    assert used[MANY] == used[FEW]
    assert [(use.operation, use.index) for use in used[MANY]] == [("Query", "listing"), ("BatchGetItem", None)]
    assert units(used[MANY]) <= 2


def test_what_grows_with_the_table_would_be_seen(among: Among) -> None:
    """Else the tests above would show nothing."""
    used = {}
    for size in (FEW, MANY):
        among(size)
        with counted() as used[size]:
            settings.dynamodb().query(
                TableName=settings.setting("TABLE_NAME"),
                IndexName="listing_in_batch",
                KeyConditionExpression="listing_in_batch = :batch",
                FilterExpression="#source = :nothing",
                ExpressionAttributeNames={"#source": "source"},
                ExpressionAttributeValues={":batch": {"S": f"failed#videodb#{BATCH}"}, ":nothing": {"S": ""}},
            )
    assert units(used[MANY]) > 50 * units(used[FEW])
