"""Runs a batch through the whole stack on this machine, and counts what that takes: `make bench-batch N=10000`.

Prints numbers and no judgement about speed. Before the batch come, in the same run, a tenth of its jobs one by one, and
a batch of that tenth: what they are compared with. It fails if a job is not counted, or counted twice.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import urllib3
from video_jobs.api.views import BatchView, JobPage
from video_jobs.jobs.batches import BatchStatus
from video_jobs.jobs.model import JobStatus

from local import aws
from local.bench.shown import machine, table
from local.commands import StackError
from local.counting import Calls, CountingProxy
from local.platforms.simulated import SimulatedPlatforms
from local.stack import LocalStack

JOBS = 1000
FRACTION = 10
WARM_UP = 20
FAILS: Mapping[str, str] = {"private": "download_failed", "corrupt": "something_went_wrong"}
"""What the simulated VideoDB lets fail by its file name, and the cause that the job then names."""
TELL_SECONDS = 15.0
PATIENCE_SECONDS = 1800.0
"""How long nothing may happen until this is taken for broken."""
CALLERS = 4
# few workers: each is a process of its own
PARAMETERS: Mapping[str, str | int] = {
    "VideoDbConcurrency": 4,
    "TwelveLabsConcurrency": 2,
    "ApiVideoConcurrency": 2,
    "ApsaraVideoConcurrency": 2,
    "NotifyConcurrency": 2,
    "CheckIntervalSeconds": 5,
    "SweepRate": "rate(5 minutes)",
}
STEPS = ["upload"]


class CountedWrongError(Exception):
    """A batch's totals are not what its jobs say. The message has both."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-batch", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help="of the batch: 100 to 10000 (%(default)s)")
    jobs = parser.parse_args().jobs
    if not 100 <= jobs <= 10_000:
        sys.exit("N is 100 to 10000")
    try:
        with bench() as running:
            running.warm_up()
            phases = [running.singles(jobs // FRACTION), running.batch(jobs // FRACTION), running.batch(jobs)]
            print("\n\n".join([times(phases), calls(phases), peaks(phases), refusals(phases), machine()]))
    except (StackError, CountedWrongError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


# --- What is measured ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What became of some jobs. Times are in seconds."""

    name: str
    jobs: int
    answered: float
    """From the first request to the last answer."""
    ended: float
    """From the first request to the last job's end."""
    calls: Calls
    peaks: Mapping[str, int]
    """Of each queue the most messages at a time, but for those that are planned for later."""

    @property
    def calls_a_job(self) -> float:
        return self.calls.made.total() / self.jobs

    @property
    def seconds_a_job(self) -> float:
        return self.ended / self.jobs


def source(number: int) -> str:
    """The source of a batch's job: 3 of 50 fail."""
    name = {7: "private", 19: "corrupt", 31: "private"}.get(number % 50, "lecture")
    return f"https://media.example.com/{name}.mp4?n={number}"


def expected(jobs: int) -> Counter[str]:
    """Which causes so many sources bring, and how often."""
    return Counter(cause for n in range(jobs) for name, cause in FAILS.items() if f"/{name}." in source(n))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The stack, with everything that is counted."""

    stack: LocalStack
    proxy: CountingProxy
    http: urllib3.PoolManager
    dynamodb: Any
    sqs: Any

    def warm_up(self) -> None:
        """Has each function started, and each secret read."""
        self.singles(WARM_UP)
        self.batch(WARM_UP)

    def singles(self, jobs: int) -> Phase:
        """Posts jobs one by one."""
        label = f"singles-{time.monotonic_ns()}"

        def work() -> tuple[float, float]:
            began = time.monotonic()
            with ThreadPoolExecutor(CALLERS) as callers:
                for _ in callers.map(partial(self._create, label), range(jobs)):
                    pass
            answered = time.monotonic() - began
            self._until(lambda: self._ended_singles(label), of=jobs, what=f"{jobs} single jobs")
            return answered, time.monotonic() - began

        return self._measured(f"{jobs:,} single jobs", jobs, work)

    def batch(self, jobs: int) -> Phase:
        """Posts a batch, waits for its end, and compares what it counts with what its jobs say."""
        body = {"provider": "videodb", "steps": STEPS, "sources": [source(number) for number in range(jobs)]}
        found: list[BatchView] = []

        def work() -> tuple[float, float]:
            began = time.monotonic()
            found.append(BatchView.model_validate_json(self._call("POST", "/batches", body)))
            answered = time.monotonic() - began
            batch_id = found[0].batch_id
            self._until(lambda: self._ended(batch_id), of=jobs, what=f"a batch of {jobs}")
            self._until(lambda: int(self._is_over(batch_id)), of=1, what="its end")
            return answered, time.monotonic() - began

        phase = self._measured(f"a batch of {jobs:,}", jobs, work)
        self._verify(found[0].batch_id, jobs)
        return phase

    def _measured(self, name: str, jobs: int, work: Callable[[], tuple[float, float]]) -> Phase:
        _tell(f"{name} ...")
        before = self.proxy.calls()
        with self._sampled() as peaks:
            answered, ended = work()
            self._until(lambda: int(self._nothing_waits()), of=1, what="empty queues")
        phase = Phase(
            name=name,
            jobs=jobs,
            answered=answered,
            ended=ended,
            calls=self.proxy.calls().since(before),
            peaks=dict(peaks),
        )
        _tell(f"{name}: {jobs / ended:.1f} jobs/s, {phase.calls_a_job:.2f} AWS calls a job")
        return phase

    # --- Asking it, past what is counted -----------------------------------------------------------------------------

    def _ended_singles(self, label: str) -> int:
        """How many jobs of a label have ended: read from the table itself."""
        return sum(
            page["Count"]
            for status in JobStatus
            if status.ended
            for page in self.dynamodb.get_paginator("query").paginate(
                TableName=self.stack.outputs["JobsTable"],
                IndexName="by_label",
                KeyConditionExpression="by_label = :label",
                ExpressionAttributeValues={":label": {"S": f"{status}#{label}"}},
                Select="COUNT",
            )
        )

    def _ended(self, batch_id: str) -> int:
        """How many jobs a batch has counted as ended: read from the table itself."""
        counts = self.dynamodb.query(
            TableName=self.stack.outputs["JobsTable"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :counts)",
            ExpressionAttributeValues={":pk": {"S": f"BATCH#{batch_id}"}, ":counts": {"S": "COUNT#"}},
        )["Items"]
        return sum(
            int(value["N"]) for count in counts for kind, value in count.items() if kind.partition("/")[0] in JobStatus
        )

    def _batch_item(self, batch_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.dynamodb.get_item(
            TableName=self.stack.outputs["JobsTable"], Key={"pk": {"S": f"BATCH#{batch_id}"}, "sk": {"S": "BATCH"}}
        )["Item"]
        return found

    def _is_over(self, batch_id: str) -> bool:
        return bool(self._batch_item(batch_id)["status"]["S"] == BatchStatus.ENDED)

    def _queues(self, *, dead: bool = False) -> dict[str, str]:
        """The stack's queues by their names in the template, or those of dead letters."""
        urls = {key: url for key, url in self.stack.outputs.items() if key.endswith("Queue") and "://" in url}
        return {key.removesuffix("Queue"): url for key, url in urls.items() if key.endswith("DeadLettersQueue") == dead}

    def _messages(self, url: str, *names: str) -> int:
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
        return sum(map(int, attributes["Attributes"].values()))

    def _nothing_waits(self) -> bool:
        return not any(self._messages(url, *HERE, LATER) for url in self._queues().values())

    @contextmanager
    def _sampled(self) -> Iterator[Counter[str]]:
        """How many messages each queue has had at most, looked at again and again."""
        peaks: Counter[str] = Counter()
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.5):
                for name, url in self._queues().items():
                    peaks[name] = max(peaks[name], self._messages(url, *HERE))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield peaks
        finally:
            over.set()
            thread.join()

    def _until(self, count: Callable[[], int], *, of: int, what: str) -> None:
        """Waits until so many are counted, as long as there are ever more of them."""
        last, moved, told = -1, time.monotonic(), time.monotonic()
        while (found := count()) < of:
            now = time.monotonic()
            if found != last:
                last, moved = found, now
            elif now - moved > PATIENCE_SECONDS:
                raise StackError(f"{what}: nothing has happened for {PATIENCE_SECONDS:.0f} s ({found:,} of {of:,})")
            if now - told > TELL_SECONDS:
                told = now
                _tell(f"  {what}: {found:,} of {of:,}")
            time.sleep(0.5)

    # --- The API -----------------------------------------------------------------------------------------------------

    def _create(self, label: str, number: int) -> None:
        body = {"provider": "videodb", "steps": STEPS, "source": source(number), "label": label}
        self._call("POST", "/jobs", body)

    def _call(self, method: str, path: str, body: Any = None) -> bytes:
        answer = self.http.request(
            method,
            self.stack.api_url + path,
            body=None if body is None else json.dumps(body),
            headers={"x-api-key": self.stack.api_key, "content-type": "application/json"},
        )
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise StackError(f"{method} {path} was answered {answer.status}: {answer.data[:500]!r}")
        return answer.data

    def _listed(self, batch_id: str, status: JobStatus) -> list[str]:
        """The ids of all its jobs of a status."""
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            path = f"/batches/{batch_id}/jobs?status={status}&limit=100" + (f"&cursor={quote(cursor)}" * bool(cursor))
            page = JobPage.model_validate_json(self._call("GET", path))
            found += [job.job_id for job in page.jobs]
            cursor = page.cursor
        return found

    def _verify(self, batch_id: str, jobs: int) -> None:
        """Each source one job, each job counted once, the batch ended once, and no message dead."""
        view = BatchView.model_validate_json(self._call("GET", f"/batches/{batch_id}"))
        listed = {status: self._listed(batch_id, status) for status in JobStatus if status.ended}
        facts = {
            "counted as the lists say": all(getattr(view.totals, s) == len(ids) for s, ids in listed.items()),
            "a job for each source": len({job for ids in listed.values() for job in ids}) == jobs == view.total,
            "failed as the sources say": view.causes == dict(expected(jobs).most_common()),
            "ended": view.status == BatchStatus.ENDED and view.totals.succeeded + view.totals.failed == jobs,
            "ended once": self._batch_item(batch_id)["ends"]["N"] == "1",
            "no dead letters": not any(self._messages(url, *HERE) for url in self._queues(dead=True).values()),
        }
        if wrong := [name for name, holds in facts.items() if not holds]:
            lists = {str(status): len(ids) for status, ids in listed.items()}
            raise CountedWrongError(f"not so: {', '.join(wrong)}\n  it counts {view}\n  the lists have {lists}")


HERE = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
LATER = "ApproximateNumberOfMessagesDelayed"


@contextmanager
def bench() -> Iterator[Bench]:
    """The stack, whose functions reach AWS through a proxy that counts."""
    port = aws.free_port()
    with (
        CountingProxy(port) as proxy,
        SimulatedPlatforms(pace=0.1) as platforms,
        LocalStack(
            name="bench-batch",
            port=port,
            enforce_roles=False,  # what that takes is the emulator's, and nobody's in AWS
            parameters={**platforms.parameters, **PARAMETERS, "AwsEndpointUrl": proxy.url},
            progress=_tell,
        ) as stack,
        urllib3.PoolManager(maxsize=CALLERS, timeout=urllib3.Timeout(connect=5, read=60), retries=False) as http,
    ):
        platforms.connect(stack)
        yield Bench(stack=stack, proxy=proxy, http=http, dynamodb=stack.client("dynamodb"), sqs=stack.client("sqs"))


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


# --- How it is shown -------------------------------------------------------------------------------------------------


def times(phases: Sequence[Phase]) -> str:
    first = phases[0]
    rows = [
        [
            phase.name,
            f"{phase.answered:.1f}",
            f"{phase.ended:.1f}",
            f"{phase.jobs / phase.ended:.1f}",
            f"{phase.seconds_a_job / first.seconds_a_job:.2f}",
            f"{phase.calls_a_job:.2f}",
            f"{phase.calls_a_job / first.calls_a_job:.2f}",
        ]
        for phase in phases
    ]
    headings = ["", "answered, s", "ended, s", "jobs/s", "time a job, ratio", "AWS calls a job", "ratio"]
    return table("Jobs of one step; ratios are to the single jobs of the same run", headings, rows)


def calls(phases: Sequence[Phase]) -> str:
    """What the functions ask AWS for. Lambda's own polling of the queues is not among it."""
    names = sorted({name for phase in phases for name in phase.calls.made})
    rows = [[name, *(f"{phase.calls.made[name] / phase.jobs:.3f}" for phase in phases)] for name in names]
    return table("AWS calls a job", ["", *(phase.name for phase in phases)], rows)


def peaks(phases: Sequence[Phase]) -> str:
    names = sorted({name for phase in phases for name, peak in phase.peaks.items() if peak})
    rows = [[name, *(f"{phase.peaks.get(name, 0):,}" for phase in phases)] for name in names]
    return table("Most messages of a queue (waiting, or in hand)", ["", *(phase.name for phase in phases)], rows)


def refusals(phases: Sequence[Phase]) -> str:
    """Conditions that did not hold, conflicts of transactions, throttles."""
    names = sorted({name for phase in phases for name in phase.calls.refused})
    rows = [[name, *(f"{phase.calls.refused[name]:,}" for phase in phases)] for name in names]
    return table("AWS calls that were refused", ["", *(phase.name for phase in phases)], rows)


if __name__ == "__main__":
    main()
