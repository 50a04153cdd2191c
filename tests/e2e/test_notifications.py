"""Ends as their receivers see them: a receiver that verifies, and a queue that a rule of the bus fills."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from local.receiver import Notification, Receiver
from tests.e2e.deployment import Deployment, eventually


@pytest.fixture(scope="module")
def receiver(deployment: Deployment) -> Iterator[Receiver]:
    with Receiver(falters_every=2) as receiver:
        receiver.trust(deployment.stack.notify_key)
        yield receiver


@pytest.fixture(scope="module")
def on_the_bus(deployment: Deployment) -> Callable[[], list[dict[str, Any]]]:
    """All that a rule for ends has brought so far."""
    stack = deployment.stack
    sqs, bus = stack.client("sqs"), stack.client("events")
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    names = {"Rule": "ends", "EventBusName": stack.outputs["EventBusName"]}
    pattern = {"source": ["video-jobs"], "detail-type": [{"prefix": "job."}, "batch.ended"]}
    bus.put_rule(Name="ends", EventBusName=names["EventBusName"], EventPattern=json.dumps(pattern))
    bus.put_targets(**names, Targets=[{"Id": "queue", "Arn": arn}])
    found: list[dict[str, Any]] = []

    def read() -> list[dict[str, Any]]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    return read


@pytest.mark.parametrize(("source", "kind"), [("lecture.mp4", "job.succeeded"), ("private.mp4", "job.failed")])
def test_an_end_is_announced_by_post_and_on_the_bus_with_one_id(
    deployment: Deployment,
    receiver: Receiver,
    on_the_bus: Callable[[], list[dict[str, Any]]],
    source: str,
    kind: str,
) -> None:
    job_id = deployment.create(source, notify_url=receiver.url)

    def arrived() -> list[Notification] | None:
        return [each for each in receiver.notifications if each.job_id == job_id] or None

    def put() -> list[dict[str, Any]] | None:
        return [each for each in on_the_bus() if each["detail"]["data"].get("job_id") == job_id] or None

    [posted], [event] = eventually(arrived), eventually(put)
    assert (posted.kind, event["detail-type"], event["source"]) == (kind, kind, "video-jobs")
    assert event["detail"] == {
        "id": posted.event_id,
        "type": posted.kind,
        "timestamp": posted.moment,
        "data": dict(posted.data),
    }
    _, shown = deployment.call("GET", f"/jobs/{job_id}")
    # that it was announced is a change, too
    assert dict(posted.data) | {name: shown[name] for name in ("version", "updated_at")} == shown


def test_a_batchs_end_and_its_jobs_are_announced_and_what_was_refused_comes_again(
    deployment: Deployment, receiver: Receiver
) -> None:
    urls = [f"https://media.example.com/{name}.jpg" for name in ("a", "b", "c")]
    status, batch = deployment.call(
        "POST",
        "/batches",
        {"provider": "videodb", "sources": urls, "notify_url": receiver.url, "notify_jobs": True},
    )
    assert status == 201, batch

    def arrived() -> list[Notification] | None:
        ours = [each for each in receiver.notifications if each.data.get("batch_id") == batch["batch_id"]]
        return ours if len(ours) == len(urls) + 1 else None

    ends = eventually(arrived)
    assert sorted(each.kind for each in ends) == ["batch.ended", *["job.succeeded"] * len(urls)]
    [end] = [each for each in ends if each.kind == "batch.ended"]
    assert end.data["totals"]["succeeded"] == len(urls)
    assert receiver.repeated > 0  # it has refused some
    assert receiver.rejected == 0


def test_who_asks_for_it_is_notified_of_polls(deployment: Deployment, receiver: Receiver) -> None:
    wishes = {"notify_url": receiver.url, "notify_polls": True, "check_interval": 1}
    job_id = deployment.create("stuck-rendition.mp4", provider="apivideo", **wishes)  # it runs until it is canceled

    def arrived(kind: str) -> list[Notification] | None:
        return [each for each in receiver.notifications if (each.job_id, each.kind) == (job_id, kind)] or None

    first, *_ = eventually(partial(arrived, "job.polled"))
    assert first.data["status"] == "running"
    assert first.data["polled_step"] in [step["name"] for step in first.data["steps"]]

    deployment.call("DELETE", f"/jobs/{job_id}")
    [end] = eventually(partial(arrived, "job.canceled"))
    assert end.data["status"] == "canceled"
