"""What the API's reads cost does not grow with the table: as many read units among 1,000 jobs as among 100.

AWS's own engine counts them (DynamoDB Local; moto says one, or a half, of everything). It differs from AWS in one
thing: a query that finds nothing is free there, and half a unit in AWS.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched, count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from video_jobs import settings, versions
from video_jobs.jobs.model import Job, JobStatus
from video_jobs.store import batches, counts, items, table

from tests.api.calls import Answer, call
from tests.batch import BATCH, new_batch
from tests.conftest import DYNAMODB_LOCAL
from tests.jobs.facts import after
from tests.scripted import CREATED_AT, new_job
from tests.stack import Stack, create_table
from tests.state.test_lists import TO

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = [
    pytest.mark.skipif(DYNAMODB_LOCAL is None, reason="only DynamoDB Local counts read units"),
    pytest.mark.parametrize("engine", ["dynamodb_local"], indirect=True, scope="session"),
    pytest.mark.xdist_group("read units"),  # the tables are made once
]

FEW, MANY = 100, 1_000
LIMIT = 2
"""A page's jobs. A status reads some more of each index partition, and even among few jobs there are as many."""
STATUSES = tuple(JobStatus)
LABEL = "a-label"


# --- Tables of equal jobs --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filled:
    """A table, and its jobs as lists show them: the newest first."""

    name: str
    jobs: Sequence[Job]


type Tables = Mapping[int, Filled]
"""By how many jobs are in them."""


@pytest.fixture(scope="module")
def tables(dynamodb_client: "DynamoDBClient") -> Iterator[Tables]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RETENTION_DAYS", "90")
        tables = {size: _filled(dynamodb_client, f"read-units-{size}", size) for size in (FEW, MANY)}
        yield tables
        for filled in tables.values():
            dynamodb_client.delete_table(TableName=filled.name)


def _filled(dynamodb: "DynamoDBClient", name: str, size: int) -> Filled:
    create_table(dynamodb, name)
    jobs = [_job(job_id, number) for number, job_id in enumerate(_job_ids(size))]

    def write(some: Sequence[dict[str, Any]]) -> None:
        puts: Any = [{"PutRequest": {"Item": table.to_wire(versions.stamped(item))}} for item in some]
        assert not dynamodb.batch_write_item(RequestItems={name: puts})["UnprocessedItems"]

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, batched(_items(jobs), 25, strict=False)))
    return Filled(name, sorted(jobs, key=items.listing_key, reverse=True))


def _job_ids(size: int) -> Iterator[str]:
    """Ids of the same length, in turns of each index partition."""
    ids = (f"job-{number:06}" for number in count())
    for number in range(size):
        shard = number // len(STATUSES) // 2 % table.SHARDS
        yield next(found for found in ids if table.shard_of(found) == shard)


def _job(job_id: str, number: int) -> Job:
    """In turns of each status, and in turns of a batch or with a label."""
    of_batch = {"batch_id": BATCH, "batch_index": number, "batch_created_at": CREATED_AT}
    request: dict[str, Any] = of_batch if number % 2 else {"label": LABEL}
    job = new_job(job_id, plan=("upload",), created_at=CREATED_AT + number, **request)
    return after(job, *TO[STATUSES[number % len(STATUSES)]])


def _items(jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
    """The jobs', those of the batch that half of them are of, and those of more batches, for their list."""
    for job in jobs:
        yield items.hot_item(job, nonce="nonce")
        yield items.request_item(job)
        if job.steps["upload"].result:
            yield items.result_item(job, "upload")
    yield batches._batch_item(new_batch(total=len(jobs) // 2, made=len(jobs) // 2))
    of_each = len(jobs) // 2 // len(STATUSES)
    for shard in range(counts.SHARDS):
        ended = {"succeeded": of_each, "failed/download_failed": of_each, "canceled": of_each}
        yield counts.key(BATCH, shard) | {"changes": 3 * of_each, **(ended if shard == 0 else {})}
    for number in range(len(jobs) // 10):
        name = f"number {number:06}"
        yield batches._batch_item(new_batch(f"batch-{number:06}", created_at=CREATED_AT + 1 + number, name=name))


# --- Counting units --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Use:
    """One call to DynamoDB."""

    operation: str
    index: str
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
        used.append(Use(operation, parameters.get("IndexName", ""), of_the_table["CapacityUnits"]))
        return answer

    with patch.object(BaseClient, "_make_api_call", noted):
        yield used


def ask(path: str, query: Mapping[str, Any] | None = None) -> tuple[Answer, list[Use]]:
    """The answer, and what was used for it, in any order."""
    with counted() as used:
        answer = call("GET", path, query=query)
    assert answer.status == 200, answer.text
    return answer, sorted(used)


type Among = Callable[[int], Sequence[Job]]


@pytest.fixture
def among(stack: Stack, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[Among]:
    """Have the stack use the table of so many jobs; the jobs."""
    own = settings.setting("TABLE_NAME")

    def use(size: int) -> Sequence[Job]:
        monkeypatch.setenv("TABLE_NAME", tables[size].name)
        return tables[size].jobs

    yield use
    monkeypatch.setenv("TABLE_NAME", own)


def units(used: Sequence[Use]) -> float:
    return sum(use.units for use in used)


# --- Lists -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """A list that is asked for, and which jobs are in it."""

    path: str = "/jobs"
    query: Mapping[str, str] | None = None

    def has(self, job: Job) -> bool:
        query = self.query or {}
        return (
            (self.path == "/jobs" or job.request.batch_id == BATCH)
            and query.get("label") in (None, job.request.label)
            and query.get("status") in (None, job.status)
        )


OF_BATCH = f"/batches/{BATCH}/jobs"
LISTS: Mapping[str, Wanted] = {
    "all": Wanted(),
    "of a platform": Wanted(query={"provider": "videodb"}),
    "of a label": Wanted(query={"label": LABEL}),
    "of a batch": Wanted(OF_BATCH),
    **{f"{status}": Wanted(query={"status": status, "provider": "videodb"}) for status in STATUSES},
    "of a label, failed": Wanted(query={"label": LABEL, "status": "failed"}),
    "of a batch, failed": Wanted(OF_BATCH, {"status": "failed"}),
    "of a batch, running": Wanted(OF_BATCH, {"status": "running"}),
}


@pytest.mark.parametrize("wanted", LISTS.values(), ids=list(LISTS))
def test_a_page_costs_as_much_among_many_jobs_as_among_few_however_deep_it_is(among: Among, wanted: Wanted) -> None:
    pages: dict[int, list[list[Use]]] = {}
    for size in (FEW, MANY):
        found = [job for job in among(size) if wanted.has(job)]
        pages[size] = [page(wanted, found, begin) for begin in (0, LIMIT, *([len(found) // 2] if size == MANY else []))]

    first, second = pages[FEW]
    first_of_many, second_of_many, deep_in_many = pages[MANY]
    assert units(first) > 0
    assert first_of_many == first
    assert second_of_many == second
    assert units(deep_in_many) == units(second)


def page(wanted: Wanted, found: Sequence[Job], begin: int) -> list[Use]:
    """What is used for the page that begins with this one of the jobs that are found."""
    cursor = {"cursor": items.listing_key(found[begin - 1])} if begin else {}
    answer, used = ask(wanted.path, {**(wanted.query or {}), "limit": LIMIT, **cursor})
    assert [job["job_id"] for job in answer.json["jobs"]] == [job.job_id for job in found[begin : begin + LIMIT]]
    assert answer.json["cursor"] == items.listing_key(found[begin + LIMIT - 1])
    return used


# --- One job, one batch ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_a_job_is_one_query_however_many_there_are(among: Among, status: JobStatus) -> None:
    for size in (FEW, MANY):
        job = next(job for job in among(size) if job.status == status)

        answer, used = ask(f"/jobs/{job.job_id}")

        assert answer.json["status"] == status
        assert used == [Use("Query", "", 1.0)]


def test_a_batch_with_its_totals_is_one_query_however_many_its_jobs_are(among: Among) -> None:
    for size in (FEW, MANY):
        among(size)

        answer, used = ask(f"/batches/{BATCH}")

        of_each = size // 2 // len(STATUSES)
        ended = dict.fromkeys(("succeeded", "failed", "canceled"), of_each)
        assert answer.json["totals"] == {"waiting": 0, "open": 2 * of_each, **ended}
        assert used == [Use("Query", "", 1.0)]


def test_a_page_of_batches_costs_as_much_among_many(among: Among) -> None:
    used = {}
    for size in (FEW, MANY):
        among(size)
        page, used[size] = ask("/batches", {"limit": LIMIT})
        newest = [f"number {number:06}" for number in range(size // 10 - 1, size // 10 - 1 - LIMIT, -1)]
        assert [batch["name"] for batch in page.json["batches"]] == newest

    assert used[MANY] == used[FEW]
    assert {(use.operation, use.index) for use in used[MANY]} == {("Query", "by_provider"), ("BatchGetItem", "")}
    assert units(used[MANY]) <= table.SHARDS / 2 + LIMIT


def test_what_grows_with_the_table_would_be_seen(among: Among) -> None:
    """Else the tests above would show nothing."""
    used = {}
    for size in (FEW, MANY):
        among(size)
        with counted() as used[size]:
            table.query("by_label = :label", {"label": f"open#{LABEL}"}, index="by_label")
    assert units(used[MANY]) > 3 * units(used[FEW])
