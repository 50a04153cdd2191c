"""What every function that takes messages promises: AWS's faults are outlasted, defects end among the dead letters."""

import heapq
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from video_jobs.aws import clients, consumers, secrets
from video_jobs.aws.consumers import ComesAgainError, Handler, consumer
from video_jobs.aws.errors import AwsUnavailableError, is_aws_error
from video_jobs.aws.queues import NotSentError
from video_jobs.callbacks.messages import Received
from video_jobs.jobs.model import PollResult, StepSucceeded
from video_jobs.platforms.callback import Proof
from video_jobs.store import batches, jobs, table
from video_jobs.store.table import ConflictError

from tests.batch import ids, new_batch, sources
from tests.cloudformation import RESOURCES
from tests.patches import change
from tests.scripted import ScriptedPlatform, ScriptedStep, new_job
from tests.stack import Context, Stack, handler, sqs_event

DONE = PollResult(end=StepSucceeded(result={"id": "m-1"}), body={"success": True})
HOUR = 3600
INBOX = RESOURCES["InboxQueue"]["Properties"]
RECEIVES = INBOX["RedrivePolicy"]["maxReceiveCount"]
"""How often SQS hands a message over before it moves it by itself. The other queues have the same: test_template.py."""
RETENTION = INBOX["MessageRetentionPeriod"]
"""How long SQS keeps a message, in seconds."""
TRIES = {"worker": 15, "inbox": 10, "batches": 10}
CALLBACK_BODY = b'{"success": true, "data": {"id": "m-1"}}'


# --- SQS, on a clock of its own ------------------------------------------------------------------------------------


@dataclass
class Queue:
    """One queue and its dead letters, as SQS has them, without waiting."""

    url: str
    dead_letters_url: str
    visibility: float = 360
    clock: float = 0.0
    received: int = 0
    """How often the message that is in hand was received."""
    dead: list[dict[str, Any]] = field(default_factory=list)
    """What was sent to the dead letters."""
    expired: list[str] = field(default_factory=list)
    """What SQS itself gave up: received too often, or too old."""
    hidden: list[float] = field(default_factory=list)
    """Each wait that was set."""
    _waiting: list[tuple[float, int, str, int]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def put(self, body: str) -> None:
        heapq.heappush(self._waiting, (self.clock, next(self._numbers), body, 0))

    def __len__(self) -> int:
        return len(self._waiting)

    def work(self, worker: Handler, *, until: float = RETENTION, **record: Any) -> None:
        """Hand messages over, each when it is visible, until there are none or it is so late."""
        while self._waiting and self._waiting[0][0] <= until:
            self.clock, number, body, before = heapq.heappop(self._waiting)
            if before >= RECEIVES or self.clock >= RETENTION:
                self.expired.append(body)
                continue
            self.received = before + 1
            self._next = self.visibility
            if worker(self._event(number, body, **record), Context())["batchItemFailures"]:
                heapq.heappush(self._waiting, (self.clock + self._next, number, body, self.received))
        self.clock = max(self.clock, min(until, RETENTION))

    def _event(self, number: int, body: str, *, group: str | None = None, attributes: Any = None) -> dict[str, Any]:
        system = {"ApproximateReceiveCount": str(self.received)} | ({"MessageGroupId": group} if group else {})
        event = sqs_event(
            {"MessageId": str(number), "ReceiptHandle": str(number), "Body": body, "Attributes": system},
        )
        event["Records"][0]["messageAttributes"] = attributes or {}
        return event

    @contextmanager
    def on_aws(self, fault: Callable[[str, dict[str, Any]], Exception | None]) -> Iterator[None]:
        """Be what the functions call SQS; `fault` says what is wrong with a call, by its service and parameters."""
        original = BaseClient._make_api_call  # type: ignore[attr-defined]

        def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if error := fault(client.meta.service_model.service_name, parameters):
                raise error
            if operation == "ChangeMessageVisibility" and parameters["QueueUrl"] == self.url:
                self._next = parameters["VisibilityTimeout"]
                self.hidden.append(self._next)
                return {}
            if operation == "SendMessage" and parameters["QueueUrl"] == self.dead_letters_url:
                self.dead.append(parameters)
                return {"MessageId": "1"}
            return original(client, operation, parameters)

        with patch.object(BaseClient, "_make_api_call", call):
            yield


def nothing_wrong(_service: str, _parameters: dict[str, Any]) -> None:
    return None


def unreachable() -> Exception:
    return EndpointConnectionError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com")


def said(code: str, status: int = 400, operation: str = "Operation", **more: Any) -> ClientError:
    """What AWS answers."""
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(answer, operation)


def canceled(*codes: str) -> ClientError:
    return said("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


@dataclass
class Consumer:
    """A function that takes messages, and how to see that it has done its work."""

    queue: Queue
    worker: Handler
    message: Callable[[], str]
    is_done: Callable[[], bool]
    tries: int


def upload_succeeded() -> bool:
    job = jobs.read("job-1")
    return job is not None and job.steps["upload"].status == "succeeded"


@pytest.fixture
def worker(stack: Stack) -> Consumer:
    script = ScriptedPlatform(steps={"upload": ScriptedStep(submits=[DONE])})

    def message() -> str:
        job = jobs.create(new_job(plan=["upload"]))
        return json.dumps({"job_id": "job-1", "due_at": job.due_at})

    queue = Queue(stack.queue_urls["VideoDbQueue"], stack.queue_urls["VideoDbDeadLetters"])
    return Consumer(queue, script.worker, message, upload_succeeded, TRIES["worker"])


@pytest.fixture
def inbox(stack: Stack) -> Consumer:
    def message() -> str:
        jobs.create(new_job(plan=["upload"]))
        proof = Proof(job_id="job-1", attempt=1)
        return Received(callback="videodb/upload", body=CALLBACK_BODY, headers={}, received_at=0, proof=proof).written()

    queue = Queue(stack.queue_urls["InboxQueue"], stack.queue_urls["InboxDeadLetters"], visibility=180)
    return Consumer(queue, handler("pipeline/inbox"), message, upload_succeeded, TRIES["inbox"])


@pytest.fixture
def batch_work(stack: Stack) -> Consumer:
    def message() -> str:
        _, (work,) = batches.create(new_batch(), sources(3))
        return json.dumps({"work_id": work})

    def is_done() -> bool:
        return len(jobs.read_many(ids(new_batch(), 3))) == 3

    queue = Queue(stack.queue_urls["BatchesQueue"], stack.queue_urls["BatchesDeadLetters"])
    return Consumer(queue, handler("pipeline/batches"), message, is_done, TRIES["batches"])


@pytest.fixture(params=["worker", "inbox", "batch_work"])
def taker(request: pytest.FixtureRequest) -> Consumer:
    """Each function that takes messages and needs the table."""
    found: Consumer = request.getfixturevalue(request.param)
    return found


# --- AWS is away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [consumers.SHORTEST_PART, 1.0], ids=["shortest waits", "longest waits"])
def test_what_waits_for_the_table_outlasts_an_incident_of_more_than_a_day(
    taker: Consumer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: float
) -> None:
    change(monkeypatch, consumers, random, uniform=lambda _low, _high: part)
    queue = taker.queue
    queue.put(taker.message())

    with queue.on_aws(lambda service, _: unreachable() if service == "dynamodb" else None):
        queue.work(taker.worker, until=26 * HOUR)
    assert (len(queue), queue.dead, queue.expired) == (1, [], [])
    assert "aws_unavailable" in caplog.messages  # the metric's constant text
    assert "defect" not in caplog.messages

    with queue.on_aws(nothing_wrong):
        queue.work(taker.worker, until=26 * HOUR + consumers.LONGEST_WAIT_SECONDS)

    assert taker.is_done()
    assert (len(queue), queue.dead, queue.expired) == (0, [], [])


def test_after_an_incident_nothing_waits_longer_than_a_quarter_of_an_hour(taker: Consumer) -> None:
    queue = taker.queue
    queue.put(taker.message())

    with queue.on_aws(lambda service, _: unreachable() if service == "dynamodb" else None):
        queue.work(taker.worker, until=26 * HOUR)

    assert max(queue.hidden) <= 900
    assert queue.hidden[:3] == [pytest.approx(wait, rel=0.25, abs=1) for wait in (2, 4, 8)]


def test_what_failed_together_comes_again_apart(stack: Stack, worker: Consumer) -> None:
    queue = worker.queue
    body = worker.message()
    for _ in range(20):
        queue.put(body)

    with queue.on_aws(lambda service, _: unreachable() if service == "dynamodb" else None):
        queue.work(worker.worker, until=3 * HOUR)

    assert len(set(queue.hidden[-20:])) > 10


@pytest.mark.parametrize(
    "fault",
    [
        said("ProvisionedThroughputExceededException"),
        said("ThrottlingException"),
        said("RequestLimitExceeded"),
        canceled("None", "ThrottlingError", "None"),
        canceled("ProvisionedThroughputExceeded", "ConditionalCheckFailed"),
        canceled("TransactionConflict"),
    ],
    ids=lambda error: " ".join(r["Code"] for r in error.response.get("CancellationReasons", [])) or str(error),
)
def test_a_throttled_table_means_later_and_not_dead_letters(taker: Consumer, fault: ClientError) -> None:
    queue = taker.queue
    queue.put(taker.message())

    with queue.on_aws(lambda service, _: fault if service == "dynamodb" else None):
        queue.work(taker.worker, until=3 * HOUR)
    assert (queue.received > taker.tries, queue.dead) == (True, [])

    with queue.on_aws(nothing_wrong):
        queue.work(taker.worker)
    assert (taker.is_done(), queue.dead) == (True, [])


def test_a_throttled_secret_is_no_defect_and_a_missing_one_is(
    stack: Stack, caplog: pytest.LogCaptureFixture, worker: Consumer
) -> None:
    queue = worker.queue
    queue.put(worker.message())
    with queue.on_aws(lambda service, _: said("ThrottlingException") if service == "secretsmanager" else None):
        queue.work(worker.worker, until=600)
    assert {"aws_unavailable", "defect"} & set(caplog.messages) == {"aws_unavailable"}

    caplog.clear()
    secrets.forget()
    clients.secretsmanager().delete_secret(SecretId="CALLBACK_KEYS_SECRET", ForceDeleteWithoutRecovery=True)
    with queue.on_aws(nothing_wrong):
        queue.work(worker.worker)
    assert {"aws_unavailable", "defect"} & set(caplog.messages) == set()  # the job says that it is not configured
    assert "attempt_failed" in caplog.messages
    assert queue.dead == []


@pytest.mark.parametrize(
    "error",
    [
        unreachable(),
        ConflictError("others change it all the time"),
        ConnectTimeoutError(endpoint_url="https://sqs.example.com"),
        ReadTimeoutError(endpoint_url="https://sqs.example.com"),
        NoCredentialsError(),
        said("InternalServerError", 500),
        said("ServiceUnavailable", 503),
        said("SomethingThatNobodyHasNamed", 502),
        said("TooManyRequestsException", 429),
        said("ExpiredTokenException"),
        said("KmsThrottled"),
        said("TransactionInProgressException"),
        AwsUnavailableError(),
        NotSentError(),
    ],
    ids=repr,
)
def test_what_passes_at_aws_is_told_from(error: Exception) -> None:
    assert is_aws_error(error)
    wrapped = secrets.SecretUnavailableError("the secret cannot be read")
    wrapped.__cause__ = error
    assert is_aws_error(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a mistake of ours"),
        ValueError("a mistake of ours"),
        ParamValidationError(report="a mistake of ours"),
        said("ValidationException"),
        said("AccessDeniedException"),
        said("ResourceNotFoundException"),
        canceled("ConditionalCheckFailed", "None"),
        canceled("ValidationError", "None"),
        canceled("ThrottlingError", "ValidationError"),  # it would be refused without the throttling, too
        secrets.SecretUnavailableError("the secret has no values"),
    ],
    ids=repr,
)
def test_what_does_not_pass(error: Exception) -> None:
    assert not is_aws_error(error)


# --- Defects ---------------------------------------------------------------------------------------------------------

POISON = '{"action": "dance", "word": "“pas de deux”"}'
ATTRIBUTES = {
    "kind": {"stringValue": "x", "dataType": "String", "stringListValues": [], "binaryListValues": []},
    "bytes": {"binaryValue": "AAEC", "dataType": "Binary"},
}


def test_a_message_that_nobody_understands_is_tried_some_times_and_moved_as_it_is(
    taker: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    queue = taker.queue
    queue.put(POISON)

    with queue.on_aws(nothing_wrong):
        queue.work(taker.worker, group="batch-1", attributes=ATTRIBUTES)

    assert queue.received == taker.tries
    assert queue.dead == [
        {
            "QueueUrl": queue.dead_letters_url,
            "MessageBody": POISON,
            "MessageGroupId": "batch-1",
            "MessageAttributes": {
                "kind": {"DataType": "String", "StringValue": "x"},
                "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\x01\x02"},
            },
        }
    ]
    assert len(queue) == 0
    assert sum(queue.hidden) < HOUR
    assert "aws_unavailable" not in caplog.messages


def test_without_group_and_attributes_none_are_sent(taker: Consumer) -> None:
    taker.queue.put(POISON)

    with taker.queue.on_aws(nothing_wrong):
        taker.queue.work(taker.worker)

    (letter,) = taker.queue.dead
    assert letter == {"QueueUrl": taker.queue.dead_letters_url, "MessageBody": POISON}


def test_a_message_that_an_incident_sent_back_often_is_moved_at_its_first_defect(
    stack: Stack, worker: Consumer
) -> None:
    queue, broken = worker.queue, ScriptedPlatform(steps={"upload": ScriptedStep(submits=[KeyError("ours")])})
    queue.put(worker.message())
    with queue.on_aws(lambda service, _: unreachable() if service == "dynamodb" else None):
        queue.work(broken.worker, until=26 * HOUR)
    assert queue.dead == []

    with queue.on_aws(nothing_wrong):
        queue.work(broken.worker, until=queue.clock + HOUR)

    assert len(queue.dead) == 1
    assert queue.received > TRIES["worker"]


def test_while_the_dead_letters_cannot_be_reached_a_message_stays(taker: Consumer) -> None:
    queue = taker.queue
    queue.put(POISON)
    away = lambda _, parameters: unreachable() if parameters.get("QueueUrl") == queue.dead_letters_url else None  # noqa: E731

    with queue.on_aws(away):
        queue.work(taker.worker, until=5 * HOUR)
    assert (len(queue), queue.dead) == (1, [])

    with queue.on_aws(nothing_wrong):
        queue.work(taker.worker)
    assert (len(queue), len(queue.dead)) == (0, 1)


def test_while_its_dead_letters_are_not_known_a_message_stays(taker: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIDEODB_DEAD_LETTERS_URL", "INBOX_DEAD_LETTERS_URL", "BATCHES_DEAD_LETTERS_URL"):
        monkeypatch.delenv(name)
    taker.queue.put(POISON)

    with taker.queue.on_aws(nothing_wrong):
        taker.queue.work(taker.worker, until=5 * HOUR)

    assert (len(taker.queue), taker.queue.dead) == (1, [])


def test_a_wait_that_cannot_be_set_leaves_the_queues_own(taker: Consumer) -> None:
    queue = taker.queue
    queue.put(taker.message())

    with queue.on_aws(lambda service, _: unreachable()):
        queue.work(taker.worker, until=queue.visibility - 1)

    assert (len(queue), queue.hidden, queue.received) == (1, [], 1)


def test_one_that_fails_does_not_keep_the_others_of_its_batch(stack: Stack, worker: Consumer) -> None:
    url = stack.queue_urls["VideoDbQueue"]
    for body in (POISON, worker.message()):
        clients.sqs().send_message(QueueUrl=url, MessageBody=body)
    messages = clients.sqs().receive_message(QueueUrl=url, AttributeNames=["All"], MaxNumberOfMessages=10)["Messages"]
    poison = next(message for message in messages if message["Body"] == POISON)

    answer = worker.worker(sqs_event(*messages), Context())

    assert answer == {"batchItemFailures": [{"itemIdentifier": poison["MessageId"]}]}
    assert worker.is_done()


def test_what_comes_again_by_plan_is_no_defect_however_often(
    stack: Stack, worker: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    def too_early(_record: Any, _context: Any) -> None:
        raise ComesAgainError("too early", delay=60)

    waiting = consumer(too_early, queue="VIDEODB_QUEUE_URL", dead_letters="VIDEODB_DEAD_LETTERS_URL", tries=2)
    worker.queue.put("{}")

    with worker.queue.on_aws(nothing_wrong):
        worker.queue.work(waiting, until=HOUR)

    assert (len(worker.queue), worker.queue.dead) == (1, [])
    assert set(worker.queue.hidden) == {60}
    assert "defect" not in caplog.messages


def test_a_message_of_one_of_several_queues_is_hidden_in_its_own(stack: Stack) -> None:
    def too_early(_record: Any, _context: Any) -> None:
        raise ComesAgainError("too early", delay=60)

    waiting = consumer(too_early, queue=("BUS_NOTIFICATIONS_QUEUE_URL", "URL_NOTIFICATIONS_QUEUE_URL"))
    for name in ("BusNotifications", "UrlNotifications"):
        queue = Queue(stack.queue_urls[name], "")
        event = queue._event(1, "{}")
        event["Records"][0]["eventSourceARN"] = f"arn:aws:sqs:us-east-1:123456789012:{name}"
        with queue.on_aws(nothing_wrong):
            waiting(event, Context())
        assert queue.hidden == [60], name


# --- What a throttled table leaves out -------------------------------------------------------------------------------


def test_a_read_of_many_that_the_table_leaves_out_again_and_again_is_left_for_later(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.create(new_job("job-1"))
    change(monkeypatch, table, time, sleep=lambda _seconds: None)
    asked: list[Any] = []

    def nothing(**request: Any) -> dict[str, Any]:
        asked.append(request)
        return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

    with patch.object(clients.dynamodb(), "batch_get_item", nothing), pytest.raises(AwsUnavailableError):
        jobs.read_many(["job-1", "job-2"])

    assert 1 < len(asked) < 10


def test_a_read_of_many_that_comes_in_parts_is_put_together(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    job_ids = [f"job-{number}" for number in range(12)]
    for job_id in job_ids:
        jobs.create(new_job(job_id))
    change(monkeypatch, table, time, sleep=lambda _seconds: None)
    whole: Any = clients.dynamodb().batch_get_item

    def one_by_one(*, RequestItems: Any) -> dict[str, Any]:  # noqa: N803 (boto3 calls it so)
        ((name, request),) = RequestItems.items()
        first, *rest = request["Keys"]
        answer = dict(whole(RequestItems={name: {**request, "Keys": [first]}}))
        return answer | {"UnprocessedKeys": {name: {**request, "Keys": rest}} if rest else {}}

    with patch.object(clients.dynamodb(), "batch_get_item", one_by_one):
        assert jobs.read_many(job_ids).keys() == set(job_ids)
