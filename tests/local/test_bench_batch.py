"""What `make bench-batch` measures is what it says, and it notices a batch that is counted wrong."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from video_jobs import settings
from video_jobs.aws import clients
from video_jobs.jobs.model import Job, PollResult, Step, StepRunning, StepSucceeded
from video_jobs.platforms.errors import RefusedByPlatformError
from video_jobs.worker.platform import Platform, token_url
from video_jobs.worker.worker import worker

from local import bench_batch
from local.bench_batch import Bench, CountedWrongError, Phase, expected, source
from local.commands import StackError
from local.counting import Calls
from tests.api.calls import call
from tests.scripted import fault
from tests.stack import Stack, handler

JOBS = 10
API = "http://127.0.0.1:9/api"


class Upload:
    """Ends as the source says, at once."""

    CALLBACK_EXPECTED = True

    def submit(self, client: None, job: Job, *, callback_url: str) -> PollResult:
        for name, code in bench_batch.FAILS.items():
            if f"/{name}." in str(job.request.source):
                raise RefusedByPlatformError(fault(code), status=400)
        return PollResult(end=StepSucceeded(), body={})

    def poll(self, client: None, job: Job, step: Step) -> StepRunning:
        raise AssertionError("it has ended")


@dataclass
class Machine:
    """The functions in memory, which work while the benchmark sleeps."""

    stack: Stack
    batches: list[str] = field(default_factory=list)

    def request(self, method: str, url: str, *, body: str | None, headers: Mapping[str, str]) -> Any:
        assert url.startswith(API)
        assert headers["x-api-key"] == "k"
        parts = urlsplit(url.removeprefix(API))
        answer = call(method, parts.path, query=dict(parse_qsl(parts.query)), text=body)
        if (method, parts.path) == ("POST", "/batches"):
            self.batches.append(answer.json["batch_id"])
        return SimpleNamespace(status=answer.status, data=answer.text.encode())

    def sleep(self, _seconds: float) -> None:
        self.stack.work("BatchesQueue", handler("pipeline/batches"))
        upload = worker(
            Platform(
                name="videodb",
                steps={"upload": Upload()},
                applies=lambda _job, _step: True,
                callback_url=token_url,
                client=None,
            )
        )
        self.stack.work("VideoDbQueue", upload, rounds=1000)
        self.stack.messages("BusNotifications")


@pytest.fixture
def machine(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(stack)
    monkeypatch.setattr(
        bench_batch, "time", SimpleNamespace(monotonic=_clock(), monotonic_ns=lambda: 1, sleep=found.sleep)
    )
    return found


def _clock() -> Callable[[], float]:
    """Each look at it is a second later."""
    seconds = iter(range(10**6))
    return lambda: float(next(seconds))


@pytest.fixture
def bench(machine: Machine) -> Bench:
    outputs = {
        "JobsTable": settings.setting("TABLE_NAME"),
        "ApiUrl": API,
        **{f"{name.removesuffix('Queue')}Queue": url for name, url in machine.stack.queue_urls.items()},
    }
    seen: list[str] = machine.stack.calls
    proxy = SimpleNamespace(calls=lambda: Calls(Counter(seen), Counter()))
    return Bench(
        stack=cast("Any", SimpleNamespace(outputs=outputs, api_url=API, api_key="k")),
        proxy=cast("Any", proxy),
        http=cast("Any", machine),
        dynamodb=clients.dynamodb(),
        sqs=clients.sqs(),
    )


# --- What is measured ------------------------------------------------------------------------------------------------


def test_a_batch_is_measured_to_its_end_with_all_the_calls_that_it_took(bench: Bench) -> None:
    phase = bench.batch(JOBS)
    assert (phase.name, phase.jobs) == ("a batch of 10", JOBS)
    assert 0 < phase.answered < phase.ended
    assert phase.calls.made["sqs.SendMessage"] >= JOBS  # at least one message a job: of its end


def test_single_jobs_are_measured_until_all_of_them_have_ended(bench: Bench, machine: Machine) -> None:
    phase = bench.singles(5)
    assert (phase.name, phase.jobs) == ("5 single jobs", 5)
    jobs = [item for item in machine.stack.items("JOB#") if item["sk"] == "JOB"]
    assert len(jobs) == 5
    assert all(item["by_status"].startswith("succeeded#") for item in jobs)


def test_sources_fail_as_expected_by_their_names() -> None:
    assert expected(1000) == {"download_failed": 40, "something_went_wrong": 20}
    assert len({source(number) for number in range(1000)}) == 1000


def test_what_stands_still_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_batch, "PATIENCE_SECONDS", 5.0)  # looks at the clock
    with pytest.raises(StackError, match=r"the jobs: nothing has happened for 5 s \(3 of 5\)"):
        bench._until(lambda: 3, of=5, what="the jobs")


# --- What is noticed -------------------------------------------------------------------------------------------------


def update(batch_id: str, sk: str, expression: str, **values: str) -> None:
    clients.dynamodb().update_item(
        TableName=settings.setting("TABLE_NAME"),
        Key={"pk": {"S": f"BATCH#{batch_id}"}, "sk": {"S": sk}},
        UpdateExpression=expression,
        ExpressionAttributeValues={f":{name}": {"N": value} for name, value in values.items()},
    )


def count_one_twice(batch_id: str) -> None:
    update(batch_id, "COUNT#0", "ADD succeeded :one", one="1")


def count_one_as_another(batch_id: str) -> None:
    update(batch_id, "COUNT#0", "ADD succeeded :one, canceled :minus", one="1", minus="-1")


def end_it_twice(batch_id: str) -> None:
    update(batch_id, "BATCH", "ADD ends :one", one="1")


def lose_a_job(batch_id: str) -> None:
    """And count it as if there had never been one."""
    table = settings.setting("TABLE_NAME")
    found = clients.dynamodb().scan(TableName=table)["Items"]
    job = next(item for item in found if item["sk"]["S"] == "JOB" and item["by_status"]["S"].startswith("succeeded#"))
    clients.dynamodb().delete_item(TableName=table, Key={"pk": job["pk"], "sk": job["sk"]})
    update(batch_id, "COUNT#0", "ADD succeeded :minus", minus="-1")


def fail_for_another_cause(batch_id: str) -> None:
    counts = clients.dynamodb().query(
        TableName=settings.setting("TABLE_NAME"),
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"BATCH#{batch_id}"}},
    )["Items"]
    clients.dynamodb().update_item(
        TableName=settings.setting("TABLE_NAME"),
        Key=next({"pk": c["pk"], "sk": c["sk"]} for c in counts if "failed/download_failed" in c),
        UpdateExpression="SET #other = #cause REMOVE #cause",
        ExpressionAttributeNames={"#cause": "failed/download_failed", "#other": "failed/timed_out"},
    )


@pytest.mark.parametrize(
    ("damage", "noticed"),
    [
        (count_one_twice, "counted as the lists say, ended"),
        (count_one_as_another, "counted as the lists say, ended"),
        (end_it_twice, "ended once"),
        (lose_a_job, "a job for each source, ended"),
        (fail_for_another_cause, "failed as the sources say"),
    ],
)
def test_a_batch_that_is_counted_wrong_is_noticed(
    bench: Bench, machine: Machine, damage: Callable[[str], None], noticed: str
) -> None:
    bench.batch(JOBS)
    [batch_id] = machine.batches
    damage(batch_id)
    with pytest.raises(CountedWrongError, match=f"^not so: {noticed}\n"):
        bench._verify(batch_id, JOBS)


def test_a_dead_letter_is_noticed(bench: Bench, machine: Machine) -> None:
    clients.sqs().send_message(QueueUrl=machine.stack.queue_urls["VideoDbDeadLetters"], MessageBody="x")
    with pytest.raises(CountedWrongError, match=r"^not so: no dead letters\n"):
        bench.batch(JOBS)


# --- What is shown ---------------------------------------------------------------------------------------------------


def test_the_tables_show_what_each_phase_took_for_a_job() -> None:
    singles = Phase(
        name="10 single jobs",
        jobs=10,
        answered=1,
        ended=5,
        calls=Calls(Counter({"sqs.SendMessage": 20})),
        peaks={"A": 3},
    )
    batch = Phase(
        name="a batch of 1,000",
        jobs=1000,
        answered=0.5,
        ended=250,
        calls=Calls(Counter({"sqs.SendMessage": 1000, "dynamodb.GetItem": 2000}), Counter({"dynamodb.GetItem": 7})),
        peaks={"A": 1200, "B": 0},
    )
    phases = [singles, batch]
    assert bench_batch.times(phases).splitlines()[2:] == [
        "  10 single jobs            1.0       5.0     2.0               1.00             2.00   1.00",
        "  a batch of 1,000          0.5     250.0     4.0               0.50             3.00   1.50",
    ]
    assert bench_batch.calls(phases).splitlines()[2:] == [
        "  dynamodb.GetItem           0.000             2.000",
        "  sqs.SendMessage            2.000             1.000",
    ]
    assert bench_batch.peaks(phases).splitlines()[2:] == ["  A               3             1,200"]
    assert bench_batch.refusals(phases).splitlines()[2:] == ["  dynamodb.GetItem               0                 7"]


@pytest.mark.parametrize("jobs", ["99", "10001", "-5"])
def test_a_batch_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch, jobs: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_batch", f"--jobs={jobs}"])
    with pytest.raises(SystemExit, match="N is 100 to 10000"):
        bench_batch.main()
