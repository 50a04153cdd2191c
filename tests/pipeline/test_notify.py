"""What is promised to whoever wants to know: sent with one id, signed, for days, and nowhere that it must not go."""

import base64
import hmac
import io
import json
import logging
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from ipaddress import ip_address
from typing import Any
from unittest.mock import patch

import pytest
import trustme
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from standardwebhooks import Webhook, WebhookVerificationError
from video_jobs import destinations, waits
from video_jobs.api.views import JobView
from video_jobs.aws import clients, secrets
from video_jobs.clock import from_iso
from video_jobs.jobs.model import Job, JobStatus, Step, StepStatus
from video_jobs.notifications import deliver, events, signing
from video_jobs.notifications.events import Notification
from video_jobs.store import jobs

from functions.pipeline.notify import app
from tests.cloudformation import RESOURCES
from tests.patches import change
from tests.pipeline.receivers import OK, Behaviour, answer, dripping, hang_up, receiver, reset
from tests.scripted import fault, new_job
from tests.stack import Context, Stack

KEY = base64.b64encode(b"a key of thirty-two bytes, or so").decode()
OTHER_KEY = base64.b64encode(b"another one of thirty-two bytes!").decode()
ENDED_AT = "2026-11-01T12:00:00.000Z"
ENDED = from_iso(ENDED_AT)
HOUR = 3600


@pytest.fixture(autouse=True)
def hidden(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """For how long messages were hidden, one after another. The stack has a bus and a key."""
    clients.events().create_event_bus(Name="bus")
    monkeypatch.setenv("EVENT_BUS", "bus")
    clients.secretsmanager().create_secret(Name="NOTIFY_SECRETS", SecretString=json.dumps({"default": KEY}))
    monkeypatch.setenv("NOTIFY_SECRETS", "NOTIFY_SECRETS")
    change(monkeypatch, deliver, random, uniform=lambda low, high: (low + high) / 2)
    noted: list[int] = []
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "ChangeMessageVisibility":
            noted.append(parameters["VisibilityTimeout"])
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        yield noted


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers may be on this machine."""
    monkeypatch.setenv("NOTIFY_ALLOW_PRIVATE", "true")


@pytest.fixture
def log() -> Iterator[Callable[[], str]]:
    """All that the function has logged."""
    (log_handler,) = (each for each in deliver.logger.handlers if isinstance(each, logging.StreamHandler))
    stream = io.StringIO()
    previous = log_handler.setStream(stream)
    yield stream.getvalue
    log_handler.setStream(previous)


@pytest.fixture
def subscribed(stack: Stack) -> Callable[[], list[dict[str, Any]]]:
    """What a rule of the bus has brought."""
    url = clients.sqs().create_queue(QueueName="Subscriber")["QueueUrl"]
    stack.queue_urls["Subscriber"] = url
    arn = clients.sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["video-jobs"], "detail-type": ["job.succeeded", "batch.ended"]})
    clients.events().put_rule(Name="ends", EventBusName="bus", EventPattern=pattern)
    clients.events().put_targets(Rule="ends", EventBusName="bus", Targets=[{"Id": "queue", "Arn": arn}])
    return lambda: [json.loads(message) for message in stack.messages("Subscriber")]


def ended_job(**changes: Any) -> Job:
    step = Step(status=StepStatus.SUCCEEDED, attempt=1, attempt_limit=3, result={"id": "m-1"}, ended_at=ENDED)
    values: dict[str, Any] = {"status": JobStatus.SUCCEEDED, "steps": {"upload": step}, "ends": 1, "ended_at": ENDED}
    return new_job(**{"plan": ["upload"], **values, **changes})


QUEUES = {"bus": "BusNotifications", "url": "UrlNotifications"}


def sent(stack: Stack) -> dict[str, Notification]:
    """The notifications in the queues, by receiver."""
    found = {to: stack.messages(queue) for to, queue in QUEUES.items()}
    assert all(len(bodies) <= 1 for bodies in found.values())
    return {to: events.read(bodies[0]) for to, bodies in found.items() if bodies}


def event_of(notification: Notification) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(notification.event)
    return found


def deliver_all(stack: Stack) -> int:
    return sum(stack.work(queue, app.handler) for queue in QUEUES.values())


def to_url(url: str, *, event: str = '{"type":"job.succeeded"}', event_id: str = "evt_1") -> Notification:
    return Notification(to="url", url=url, event_id=event_id, event=event)


def taken(stack: Stack, notification: Notification, *, received: int = 1) -> bool:
    """Have the function take it, for the `received`th time; whether it is done with it."""
    queue = QUEUES[notification.to]
    event = stack.received(queue, notification.model_dump_json())
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(received)
    event["Records"][0]["eventSourceARN"] = f"arn:aws:sqs:us-east-1:123456789012:{queue}"
    failed = app.handler(event, Context())["batchItemFailures"]
    if not failed:
        handle = event["Records"][0]["receiptHandle"]
        clients.sqs().delete_message(QueueUrl=stack.queue_urls[queue], ReceiptHandle=handle)
    return not failed


def counted(printed: str) -> list[tuple[str, str]]:
    """The metric's dimensions, of each time."""
    found = (json.loads(line) for line in printed.splitlines() if '"Notifications"' in line)
    return [(each["to"], each["outcome"]) for each in found if "_aws" in each]


# --- What is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED])
def test_an_end_is_announced_on_the_bus_and_to_the_jobs_own_url_in_the_same_bytes(
    stack: Stack, status: JobStatus
) -> None:
    job = ended_job(status=status, notify_url="https://example.com/hook")

    events.job_ended(job)

    sent_to = sent(stack)
    assert set(sent_to) == {"bus", "url"}
    assert (sent_to["bus"].url, sent_to["url"].url) == (None, "https://example.com/hook")
    assert sent_to["bus"].event_id == sent_to["url"].event_id
    assert sent_to["bus"].event == sent_to["url"].event
    assert event_of(sent_to["url"]) == {
        "type": f"job.{status}",
        "timestamp": ENDED_AT,
        "data": JobView.of(job).model_dump(mode="json"),
    }
    assert stack.calls.count("sqs.SendMessage") == 2


def test_a_job_without_a_url_is_announced_on_the_bus_alone(stack: Stack) -> None:
    events.job_ended(ended_job())

    assert set(sent(stack)) == {"bus"}


def test_the_same_end_has_the_same_id_and_the_same_bytes_however_often_it_is_announced(stack: Stack) -> None:
    sent_to = []
    for _ in range(2):
        events.job_ended(ended_job(notify_url="https://example.com/"))
        sent_to.append(sent(stack))

    assert sent_to[0] == sent_to[1]


def test_different_ends_have_different_ids(stack: Stack) -> None:
    def event_id(tell: Callable[[], None]) -> str:
        tell()
        return sent(stack)["bus"].event_id

    steps = {
        name: Step(status=StepStatus.RUNNING, attempt=attempt, attempt_limit=3, polls=checks)
        for name, attempt, checks in [("upload", 1, 1), ("upload_", 11, 1), ("u", 1, 11), ("v", 1, 2), ("w", 2, 1)]
    }
    running = new_job(plan=tuple(steps), steps=steps)
    ids = [
        event_id(lambda: events.job_ended(ended_job(job_id="a"))),
        event_id(lambda: events.job_ended(ended_job(job_id="b"))),
        event_id(lambda: events.job_ended(ended_job(job_id="a", ends=2))),
        event_id(lambda: events.job_ended(ended_job(job_id="a", ends=11))),
        *(event_id(partial(events.job_polled, running, step)) for step in steps),
        event_id(lambda: events.batch_ended("a", number=1, notify_url=None, data={"ended_at": ENDED_AT})),
        event_id(lambda: events.batch_ended("a", number=2, notify_url=None, data={"ended_at": ENDED_AT})),
        event_id(lambda: events.batch_ended("b", number=1, notify_url=None, data={"ended_at": ENDED_AT})),
    ]

    assert len(set(ids)) == len(ids)
    assert {(each[:4], len(each)) for each in ids} == {("evt_", 36)}


def test_a_poll_is_announced_with_the_step_that_was_polled(stack: Stack) -> None:
    polled_at = "2026-11-01T11:00:00.000Z"
    step = Step(
        status=StepStatus.RUNNING, attempt=1, attempt_limit=3, polls=4, progress=0.5, polled_at=from_iso(polled_at)
    )
    job = new_job(plan=["upload"], steps={"upload": step}, status=JobStatus.RUNNING, notify_url="https://example.com/")

    events.job_polled(job, "upload")

    sent_to = sent(stack)
    event = event_of(sent_to["url"])
    assert sent_to["bus"].event == sent_to["url"].event
    assert (event["type"], event["timestamp"], event["data"]["polled_step"]) == ("job.polled", polled_at, "upload")
    assert event["data"]["steps"][0]["progress"] == 0.5


def test_the_end_of_a_batch_is_announced_with_its_totals(stack: Stack) -> None:
    data = {"batch_id": "batch-1", "ended_at": ENDED_AT, "totals": {"succeeded": 2}}

    events.batch_ended("batch-1", number=1, notify_url="https://example.com/", data=data)

    sent_to = sent(stack)
    assert sent_to["bus"].event == sent_to["url"].event
    assert event_of(sent_to["url"]) == {"type": "batch.ended", "timestamp": ENDED_AT, "data": data}


def test_whoever_is_slow_holds_up_only_his_own_and_never_the_bus(stack: Stack) -> None:
    # SQS shares its deliveries out between message groups (fair queues), and what is in flight by queue
    groups: dict[str, list[str]] = {}
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "SendMessage":
            groups.setdefault(parameters["QueueUrl"].rsplit("/")[-1], []).append(parameters.get("MessageGroupId", ""))
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        for url in ("https://slow.example.com/a", "https://SLOW.example.com/b", "https://quick.example.com/"):
            events.job_ended(ended_job(notify_url=url))

    assert len(groups["BusNotifications"]) == 3
    slow, slow_again, quick = groups["UrlNotifications"]
    assert slow == slow_again != quick
    assert 0 < len(quick) <= 128


@pytest.mark.parametrize("failing", list(QUEUES.values()))
def test_half_an_announcement_is_none_and_has_the_same_id_when_it_is_whole(stack: Stack, failing: str) -> None:
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if parameters.get("QueueUrl") == stack.queue_urls[failing]:
            raise ClientError({"Error": {"Code": "InternalError", "Message": "m"}}, operation)
        return original(self, operation, parameters)

    job = ended_job(notify_url="https://example.com/")
    with patch.object(BaseClient, "_make_api_call", call), pytest.raises(ClientError):
        events.job_ended(job)

    first = sent(stack)
    events.job_ended(job)
    assert first.items() <= sent(stack).items()


# --- How much is sent ------------------------------------------------------------------------------------------------


def of_steps(**changes: Any) -> dict[str, Step]:
    return {"upload": Step.model_validate({"status": "succeeded", "attempt_limit": 3} | changes)}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("changes", "omitted"),
    [
        ({"steps": of_steps(result={"text": "x" * 200_000})}, None),
        ({"steps": of_steps(result={"text": "x" * 300_000})}, ["steps.result"]),
        ({"steps": of_steps(result={"text": "é" * 50_000})}, ["steps.result"]),
        ({"steps": of_steps(result={"text": '"' * 130_000})}, ["steps.result"]),
        ({"steps": of_steps(result={"frames": 2**63 - 1})}, None),
        ({"steps": of_steps(result={"frames": [2**63]})}, ["steps.result"]),
        ({"steps": of_steps(result={"frames": {"a": -(2**63) - 1}})}, ["steps.result"]),
        ({"steps": of_steps(result=nested(2000))}, None),
        ({"options": {"upload": {"text": "x" * 300_000}}}, ["steps.result", "options"]),
        ({"options": {"upload": nested(2000)}}, None),
        ({"steps": of_steps(hints={"a/b": "x" * 300_000})}, ["steps.result", "options", "steps.hints"]),
        (
            {
                "steps": of_steps(result={"text": "x" * 300_000}, hints={"a/b": "x" * 300_000}),
                "options": {"upload": {"text": "x" * 300_000}},
            },
            ["steps.result", "options", "steps.hints"],
        ),
    ],
)
def test_what_a_bus_would_not_take_is_left_out_and_named(
    stack: Stack, changes: dict[str, Any], omitted: list[str] | None
) -> None:
    events.job_ended(ended_job(notify_url="https://example.com/", **changes))

    sent_to = sent(stack)["bus"]
    assert len(sent_to.event.encode()) <= events.LARGEST_EVENT
    data = event_of(sent_to)["data"]
    assert data.get("omitted") == omitted
    assert (data["job_id"], data["status"]) == ("job-1", "succeeded")
    assert data["steps"][0]["result"] is None or omitted is None
    taken_by = deliver.put_on_bus(sent_to)
    assert taken_by == deliver.Outcome.DELIVERED


def test_an_event_is_small_enough_for_the_bus_with_all_that_goes_with_it(stack: Stack) -> None:
    entries: list[dict[str, Any]] = []
    event = json.dumps({"type": "job.succeeded", "timestamp": ENDED_AT, "data": {"text": "x" * events.LARGEST_EVENT}})
    assert len(event) > events.LARGEST_EVENT

    with patch.object(clients, "events", lambda: Bus(entries)):
        deliver.put_on_bus(Notification(to="bus", event_id=f"evt_{'0' * 32}", event=event))

    # as its documentation counts: the source's, the type's and the detail's bytes
    (entry,) = entries
    assert sum(len(entry[name].encode()) for name in ("Source", "DetailType", "Detail")) < 256_000


def test_the_largest_event_goes_to_both_receivers_in_one_call(stack: Stack) -> None:
    # nothing grows more in being quoted than quotes
    quotes = '"' * (events.LARGEST_EVENT // 2 - 1000)

    events.job_ended(ended_job(notify_url="https://example.com/" + "a" * 2000, steps=of_steps(result={"t": quotes})))

    sent_to = sent(stack)
    assert event_of(sent_to["url"])["data"]["steps"][0]["result"] == {"t": quotes}
    assert len(sent_to["url"].event) > events.LARGEST_EVENT - 2000


def test_no_character_keeps_an_end_from_being_announced(stack: Stack) -> None:
    text = 'ä\u0000\u001f\u007f\ufffe\uffff\u2028𝄞"\\/'

    events.job_ended(ended_job(notify_url="https://example.com/", steps=of_steps(result={"text": text})))

    sent_to = sent(stack)["url"]
    assert sent_to.event.isascii()
    assert event_of(sent_to)["data"]["steps"][0]["result"] == {"text": text}


# --- The bus ---------------------------------------------------------------------------------------------------------


class Bus:
    """EventBridge, which does not take what it must not."""

    def __init__(self, entries: list[dict[str, Any]], *, error: str | None = None) -> None:
        self._entries = entries
        self._error = error

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self._entries.extend(Entries)
        if self._error:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": self._error, "ErrorMessage": "not quoted"}]}
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


def test_a_rule_of_the_bus_brings_ends_with_their_ids(
    stack: Stack, subscribed: Callable[[], list[dict[str, Any]]]
) -> None:
    events.job_ended(ended_job())
    events.job_ended(ended_job(job_id="job-2", status=JobStatus.FAILED))  # no rule asks for it
    events.batch_ended("batch-1", number=1, notify_url=None, data={"batch_id": "batch-1", "ended_at": ENDED_AT})

    assert deliver_all(stack) == 3

    found = {each["detail-type"]: each for each in subscribed()}
    assert set(found) == {"job.succeeded", "batch.ended"}
    assert {each["source"] for each in found.values()} == {"video-jobs"}
    detail = found["job.succeeded"]["detail"]
    assert (detail["type"], detail["data"]["job_id"], detail["timestamp"]) == ("job.succeeded", "job-1", ENDED_AT)
    assert detail["id"].startswith("evt_")
    assert found["batch.ended"]["detail"]["data"]["batch_id"] == "batch-1"
    assert stack.messages("UrlNotifications") == []


def test_what_the_bus_does_not_take_comes_again(
    stack: Stack, hidden: list[int], log: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    announced = Notification(to="bus", event_id="evt_1", event='{"type":"job.succeeded"}')

    with patch.object(clients, "events", lambda: Bus([], error="ThrottlingException")):
        assert not taken(stack, announced)

    assert hidden == [5]
    assert "ThrottlingException" in log()
    assert counted(capsys.readouterr().out) == [("bus", "failed")]


# --- Signatures ------------------------------------------------------------------------------------------------------


def test_the_signature_is_the_one_that_standard_webhooks_prints() -> None:
    # from the specification's examples, and its libraries' tests
    key = signing.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signing.signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', keys=[key])

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.usefixtures("here")
def test_a_receiver_can_verify_with_the_official_library_what_it_got(stack: Stack) -> None:
    with receiver() as there:
        events.job_ended(ended_job(notify_url=f"{there.url}?token=t"))
        deliver_all(stack)

    (request,) = there.requests
    verified = Webhook(KEY).verify(request.body, request.headers)
    assert verified["type"] == "job.succeeded"
    assert verified["data"]["job_id"] == "job-1"
    assert request.line == "POST /hook?token=t HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{there.port}"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(request.body + b" ", request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_KEY).verify(request.body, request.headers)


@pytest.mark.usefixtures("here")
def test_while_keys_take_turns_there_is_a_signature_for_each(stack: Stack, log: Callable[[], str]) -> None:
    values = {"old": f"whsec_{KEY}", "new": OTHER_KEY.rstrip("="), "mistyped": "not base64!", "short": "c2hvcnQ="}
    clients.secretsmanager().put_secret_value(SecretId="NOTIFY_SECRETS", SecretString=json.dumps(values))

    with receiver() as there:
        assert taken(stack, to_url(there.url))

    (request,) = there.requests
    assert request.headers["webhook-signature"].count("v1,") == 2
    for key in (f"whsec_{KEY}", OTHER_KEY):
        Webhook(key).verify(request.body, request.headers)
    assert "mistyped" in log()
    assert "not base64!" not in log()
    assert "c2hvcnQ" not in log()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("secret", ["{}", "[]", "not JSON", '{"default": "too short"}', '{"default": ""}'])
def test_without_a_key_nothing_is_sent_and_it_comes_again(
    stack: Stack, hidden: list[int], log: Callable[[], str], secret: str
) -> None:
    clients.secretsmanager().put_secret_value(SecretId="NOTIFY_SECRETS", SecretString=secret)

    with receiver() as there:
        assert not taken(stack, to_url(there.url))

    assert there.requests == []
    assert hidden == [5]
    assert "NOTIFY_SECRETS" in log() or "the secret of notifications has no key" in log()


@pytest.mark.parametrize("size", [24, 32, 33, 64])
def test_keys_are_as_long_as_the_standard_says(size: int) -> None:
    text = base64.b64encode(bytes(size)).decode()

    for secret in (text, f"whsec_{text}\n", text.rstrip("=")):
        assert signing.key_of(secret) == bytes(size)


@pytest.mark.parametrize("secret", ["", "whsec_", "a", base64.b64encode(bytes(23)).decode(), "ä" * 32, "-_" * 20])
def test_what_is_no_key_is_not_used(secret: str) -> None:
    with pytest.raises(signing.UnusableKeyError):
        signing.key_of(secret)


def test_too_long_a_key_is_not_used() -> None:
    with pytest.raises(signing.UnusableKeyError, match="65 bytes"):
        signing.key_of(base64.b64encode(bytes(65)).decode())


def test_the_key_that_the_template_makes_is_one() -> None:
    made = RESOURCES["NotifySecrets"]["Properties"]["GenerateSecretString"]

    assert made["ExcludePunctuation"] is True  # letters and digits are left, all of which base64 has
    assert made["PasswordLength"] % 4 == 0
    assert len(signing.key_of("aZ09" * (made["PasswordLength"] // 4))) == 33


@pytest.mark.usefixtures("here")
def test_each_attempt_has_the_same_id_and_bytes_and_a_signature_of_its_own_time(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([1_800_000_000.5, 1_800_000_301.5])
    change(monkeypatch, deliver, time, time=lambda: next(moments))

    with receiver(answer(500), OK) as there:
        assert not taken(stack, to_url(there.url), received=1)
        stack.purge("UrlNotifications")
        assert taken(stack, to_url(there.url), received=2)

    first, second = there.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "evt_1"
    assert [each.headers["webhook-timestamp"] for each in there.requests] == ["1800000000", "1800000301"]
    for request in there.requests:
        content = b"evt_1." + request.headers["webhook-timestamp"].encode() + b"." + request.body
        made = base64.b64encode(hmac.digest(base64.b64decode(KEY), content, "sha256")).decode()
        assert request.headers["webhook-signature"] == f"v1,{made}"


# --- Answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_the_end_of_it(stack: Stack, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(answer(status)) as there:
        assert taken(stack, to_url(there.url))

    assert len(there.requests) == 1
    assert counted(capsys.readouterr().out) == [("url", "delivered")]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("status", [100, 304, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 600])
def test_anything_else_comes_again(
    stack: Stack, hidden: list[int], status: int, log: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver(answer(status)) as there:
        assert not taken(stack, to_url(there.url))

    assert len(there.requests) == 1
    assert hidden == [5]
    assert counted(capsys.readouterr().out) == [("url", "failed")]
    assert '"attempt":1' in log()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(stack: Stack, hidden: list[int], status: int) -> None:
    with receiver() as elsewhere, receiver(answer(status, location=elsewhere.url)) as there:
        assert not taken(stack, to_url(there.url))

    assert (len(there.requests), elsewhere.connections) == (1, 0)
    assert hidden == [5]


@pytest.mark.usefixtures("here")
def test_a_receiver_that_is_gone_gets_no_more(
    stack: Stack, hidden: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver(answer(410)) as there:
        assert taken(stack, to_url(there.url))

    assert hidden == []
    assert stack.messages("UrlNotifications") == []
    assert counted(capsys.readouterr().out) == [("url", "gone")]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "behaviour",
    [
        reset,
        hang_up,
        b"HTTP/1.1 2",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    ],
    ids=["reset", "hang up", "half a line", "not HTTP", "no status", "a long header", "many headers"],
)
def test_a_receiver_that_breaks_off_or_talks_nonsense_is_tried_again(
    stack: Stack, hidden: list[int], behaviour: Behaviour
) -> None:
    with receiver(behaviour) as there:
        assert not taken(stack, to_url(there.url))

    assert hidden == [5]


@pytest.mark.usefixtures("here")
def test_nobody_at_home_is_tried_again(stack: Stack, hidden: list[int], log: Callable[[], str]) -> None:
    with receiver() as there:
        pass  # the port is free again

    assert not taken(stack, to_url(there.url))
    assert hidden == [5]
    assert "ConnectionRefusedError" in log()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("first", "drop"),
    [(b"", b"H"), (b"HTTP/1.1 200 OK\r\n", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["a status line", "a header", "more and more of it to come"],
)
def test_a_receiver_that_never_comes_to_an_end_is_cut_off(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, log: Callable[[], str], first: bytes, drop: bytes
) -> None:
    # each part comes in time; only all together is late
    monkeypatch.setattr(signing, "WHOLE_SECONDS", 0.5)

    with receiver(dripping(first, drop)) as there:
        assert not taken(stack, to_url(there.url))

    assert "no answer in time" in log()


@pytest.mark.usefixtures("here")
def test_a_silent_receiver_is_cut_off(stack: Stack, monkeypatch: pytest.MonkeyPatch, log: Callable[[], str]) -> None:
    monkeypatch.setattr(signing, "WHOLE_SECONDS", 0.3)

    def say_nothing(_channel: socket.socket) -> None:
        there.ended.wait(30)

    with receiver(say_nothing) as there:
        assert not taken(stack, to_url(there.url))
        assert "no answer in time" in log()


@pytest.mark.usefixtures("here")
def test_a_body_without_an_end_is_not_waited_for(stack: Stack) -> None:
    with receiver(dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", b"x")) as there:
        assert taken(stack, to_url(there.url))


# --- When it comes again ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_attempts_come_ever_more_slowly_for_two_days(stack: Stack, hidden: list[int]) -> None:
    with receiver(answer(500)) as there:
        for received in range(1, 11):
            assert not taken(stack, to_url(there.url), received=received)
            stack.purge("UrlNotifications")

    assert hidden == [5, 300, 1800, 7200, 18000, 36000, 43080, 43080, 43080, 0]
    assert sum(deliver.WAITS) > 2 * 24 * HOUR


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("pick", "waits"), [(min, 270), (max, 330)])
def test_receivers_that_were_away_are_not_all_called_at_once(
    stack: Stack, hidden: list[int], monkeypatch: pytest.MonkeyPatch, pick: Callable[[float, float], float], waits: int
) -> None:
    change(monkeypatch, deliver, random, uniform=pick)  # the least and the most of a range
    with receiver(answer(500)) as there:
        assert not taken(stack, to_url(there.url), received=2)

    assert hidden == [waits]


def test_the_queue_gives_a_message_up_when_the_schedule_is_over() -> None:
    queue, function = RESOURCES["UrlNotifications"]["Properties"], RESOURCES["Notify"]["Properties"]

    assert queue["RedrivePolicy"]["maxReceiveCount"] == len(deliver.WAITS) + 1
    assert sum(deliver.WAITS) < queue["MessageRetentionPeriod"]
    # SQS refuses what is more than 12 hours after the message was received
    assert deliver.LONGEST_WAIT + function["Timeout"] < 12 * HOUR
    assert function["Timeout"] > signing.WHOLE_SECONDS + 2 * 15  # and what a resolver takes to give a name up


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("asked", "received", "waits"),
    [("120", 1, 120), ("2", 1, 5), ("3600", 2, 3600), ("1", 2, 300), ("99999999", 1, 43080), ("9" * 5000, 1, 43080)],
)
def test_a_receiver_that_asks_for_more_time_has_it(
    stack: Stack, hidden: list[int], asked: str, received: int, waits: int
) -> None:
    with receiver(answer(429, retry_after=asked), answer(503, retry_after=asked)) as there:
        assert not taken(stack, to_url(there.url), received=received)
        stack.purge("UrlNotifications")
        assert not taken(stack, to_url(there.url), received=received)

    assert hidden == [waits, waits]


@pytest.mark.usefixtures("here")
def test_a_receiver_may_ask_for_a_moment(stack: Stack, hidden: list[int]) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=10), usegmt=True)

    with receiver(answer(429, retry_after=moment)) as there:
        assert not taken(stack, to_url(there.url))

    assert 9 * HOUR < hidden[0] <= 10 * HOUR


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("²", 0),
        ("0", 0),
        (" 30 ", 30),
        ("Sun, 01 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 01 Nov 2026 12:01:00 -0000", 60),
        ("Sun, 01 Nov 2026 13:00:30 +0100", 30),
        ("Sunday, 01-Nov-26 12:00:30 GMT", 30),
        ("Sun, 01 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 99 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 01 Nov 99999 11:00:00 GMT", 0),
    ],
)
def test_what_a_retry_after_may_say(text: str | None, seconds: float) -> None:
    assert (waits.retry_after(text, now=NOON) or 0) == seconds


# --- Where it must not go --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://10.0.0.1/",
        "https://localhost/",
        "https://user:pass@example.com/",
        "nonsense",
        "",
    ],
)
def test_a_forbidden_url_is_dropped_and_said_so(
    stack: Stack, hidden: list[int], log: Callable[[], str], capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert taken(stack, to_url(url))

    assert hidden == []
    assert stack.messages("UrlNotifications") == []
    assert '"level":"ERROR"' in log()
    assert counted(capsys.readouterr().out) == [("url", "forbidden")]


def test_a_name_that_leads_to_this_machine_is_forbidden_when_it_is_sent_to(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, log: Callable[[], str]
) -> None:
    def resolve(_host: str, _port: int, **_more: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", 443))]

    change(monkeypatch, destinations, socket, getaddrinfo=resolve)

    assert taken(stack, to_url("https://hooks.example.com/"))
    assert "hooks.example.com is 127.0.0.1" in log()


def test_no_part_of_a_url_but_its_host_is_logged_nor_any_of_the_event_nor_a_key(
    stack: Stack, log: Callable[[], str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = '{"type":"job.succeeded","data":{"job_id":"job-1","source":"hidden"}}'
    urls = ["http://example.com/hidden", "https://10.0.0.1/hidden", "https://example.com:0/hidden", "https://hidden@x/"]
    for url in urls:
        taken(stack, to_url(url, event=event))
    monkeypatch.setenv("NOTIFY_ALLOW_PRIVATE", "true")
    for behaviour in (OK, answer(500, x_secret="hidden"), answer(410), reset, b"hidden\r\n\r\n"):
        with receiver(behaviour) as there:
            taken(stack, to_url(f"{there.url}/hidden?hidden=hidden", event=event))
    broken = stack.received("UrlNotifications", '{"to": "hidden", "url": "https://hidden/", "event": "hidden"}')
    assert app.handler(broken, Context())["batchItemFailures"]
    taken(stack, Notification(to="bus", event_id="evt_1", event="hidden"))

    written = log() + "".join(capsys.readouterr())
    assert '"job_id":"job-1"' in written  # that leads to the URL
    assert "127.0.0.1" in written
    assert "hidden" not in written
    assert KEY not in written


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[trustme.CA]:
    """A certificate authority that this machine trusts."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    signing.forget()
    yield made
    signing.forget()


def serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def leads_here(_host: str, _port: int) -> list[destinations.Address]:
    return [ip_address("127.0.0.1")]


def test_the_certificate_is_judged_by_the_urls_name_and_not_by_the_address(authority: trustme.CA) -> None:
    with receiver(tls=serving(authority, "hooks.example.com")) as there:
        to = destinations.destination(f"https://hooks.example.com:{there.port}/hook")

        assert signing.post(to, b"{}", {}, private=True, resolve=leads_here).status == 200

    assert there.requests[0].headers["host"] == f"hooks.example.com:{there.port}"


@pytest.mark.parametrize("names", [("other.example.com",), ("127.0.0.1",)])
def test_a_certificate_of_another_name_is_none(authority: trustme.CA, names: tuple[str, ...]) -> None:
    with receiver(tls=serving(authority, *names)) as there:
        to = destinations.destination(f"https://hooks.example.com:{there.port}/hook")
        with pytest.raises(signing.NoAnswerError, match="SSLCertVerificationError"):
            signing.post(to, b"{}", {}, private=True, resolve=leads_here)

    assert there.requests == []


def test_a_certificate_that_nobody_vouches_for_is_none(authority: trustme.CA) -> None:
    with receiver(tls=serving(trustme.CA(), "hooks.example.com")) as there:
        to = destinations.destination(f"https://hooks.example.com:{there.port}/hook")
        with pytest.raises(signing.NoAnswerError, match="SSLCertVerificationError"):
            signing.post(to, b"{}", {}, private=True, resolve=leads_here)


@pytest.mark.usefixtures("here")
def test_an_address_may_have_a_certificate(stack: Stack, authority: trustme.CA) -> None:
    with receiver(tls=serving(authority, "127.0.0.1")) as there:
        assert taken(stack, to_url(there.url))

    Webhook(KEY).verify(there.requests[0].body, there.requests[0].headers)


@pytest.mark.usefixtures("here")
def test_a_receiver_that_never_ends_is_cut_off_under_tls_too(
    stack: Stack, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, log: Callable[[], str]
) -> None:
    monkeypatch.setattr(signing, "WHOLE_SECONDS", 0.5)

    with receiver(dripping(b"HTTP/1.1 200 OK\r\n", b"x"), tls=serving(authority, "127.0.0.1")) as there:
        assert not taken(stack, to_url(there.url))

    assert "no answer in time" in log()


@pytest.mark.usefixtures("here")
def test_a_receiver_that_does_not_speak_tls_is_tried_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, hidden: list[int]
) -> None:
    monkeypatch.setattr(signing, "CONNECT_SECONDS", 0.3)
    with receiver(answer(200)) as there:
        assert not taken(stack, to_url(there.url.replace("http:", "https:")))

    assert there.requests == []
    assert hidden == [5]


# --- A request's notify_url ------------------------------------------------------------------------------------------


def create(**changes: Any) -> Any:
    from tests.api.calls import create as create_job

    return create_job(**changes)


def test_a_job_keeps_where_its_end_is_announced(stack: Stack) -> None:
    answered = create(notify_url="https://example.com/hook?a=b", notify_polls=True)

    job = jobs.read(answered.json["job_id"])
    assert job is not None
    assert (job.request.notify_url, job.request.notify_polls) == ("https://example.com/hook?a=b", True)


def test_a_job_that_names_none_is_announced_on_the_bus_without_its_polls(stack: Stack) -> None:
    job = jobs.read(create().json["job_id"])
    assert job is not None
    assert (job.request.notify_url, job.request.notify_polls) == (None, False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "http://example.com/",
        "https://user:pass@example.com/",
        "https://example.com/#a",
        "https://10.0.0.1/",
        "https://0x7f000001/",
        "https://[::ffff:169.254.169.254]/",
        "https://example.com/" + "a" * 2048,
        5,
    ],
)
def test_a_url_that_could_never_be_sent_to_is_refused_at_once(stack: Stack, url: Any) -> None:
    answered = create(notify_url=url)

    assert (answered.status, answered.code) == (422, "invalid_request")
    assert any("notify_url" in field for field in answered.fields)
    assert stack.items() == []


@pytest.mark.usefixtures("here")
def test_the_local_stack_takes_a_receiver_on_the_same_machine(stack: Stack) -> None:
    assert create(notify_url="http://127.0.0.1:8000/hook").status == 201


def test_the_same_key_with_another_url_is_another_request(stack: Stack) -> None:
    key = {"idempotency-key": "k"}
    from tests.api.calls import SOURCE, call

    request = {"provider": "videodb", "source": SOURCE, "notify_url": "https://example.com/a"}
    assert call("POST", "/jobs", request, headers=key).status == 201
    assert call("POST", "/jobs", request, headers=key).status == 201
    assert call("POST", "/jobs", request | {"notify_url": "https://example.com/b"}, headers=key).status != 201


def test_a_failed_jobs_event_says_why(stack: Stack) -> None:
    step = Step(status=StepStatus.FAILED, attempt=3, attempt_limit=3, error=fault("download_failed"))

    events.job_ended(ended_job(status=JobStatus.FAILED, steps={"upload": step}))

    data = event_of(sent(stack)["bus"])["data"]
    assert data["error"]["code"] == "download_failed"
    assert data["steps"][0]["status"] == "failed"


def test_secrets_are_read_again_when_they_are_old(stack: Stack) -> None:
    secrets.forget()
    assert list(deliver._keys()) == ["default"]
