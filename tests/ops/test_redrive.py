"""Dead letters go back whole, to the queue that they are of, and once."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from video_jobs.callbacks.messages import Received
from video_jobs.platforms.callback import Proof

from local import deploy, running
from local.commands import StackError
from ops import redrive, target
from tests.cloudformation import TEMPLATE

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUES = [name.removesuffix(redrive.SUFFIX) for name in TEMPLATE["Outputs"] if name.endswith(redrive.SUFFIX)]


@pytest.fixture
def sqs() -> Iterator["SQSClient"]:
    with mock_aws():
        yield boto3.client("sqs", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def outputs(sqs: "SQSClient", monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The template's, with a queue of its own for each name of one."""
    made = {
        name: sqs.create_queue(QueueName=name)["QueueUrl"] if name.endswith("Queue") else name
        for name in TEMPLATE["Outputs"]
    }
    monkeypatch.setattr(deploy, "outputs", lambda *_: made)
    monkeypatch.setattr(running, "find", lambda: None)
    monkeypatch.setattr(target.Target, "client", lambda *_: sqs)
    return made


def put(sqs: "SQSClient", queue_url: str, count: int) -> None:
    for number in range(count):
        sqs.send_message(
            QueueUrl=queue_url,
            MessageBody=f"letter {number}",
            MessageAttributes={"kind": {"DataType": "String", "StringValue": "a kind"}},
        )


def take_all(sqs: "SQSClient", queue_url: str) -> list[Any]:
    messages: list[Any] = []
    while some := sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
        WaitTimeSeconds=0,
    ).get("Messages"):
        messages += some
    return messages


def test_every_queue_of_the_stack_has_dead_letters_to_redrive(outputs: Mapping[str, str]) -> None:
    made = {name for name, resource in TEMPLATE["Resources"].items() if resource["Type"] == "AWS::SQS::Queue"}

    assert len(made) == 2 * len(QUEUES)
    assert {f"{name}Queue" for name in QUEUES} <= outputs.keys()


@pytest.mark.parametrize("queue", QUEUES)
def test_all_dead_letters_go_back_as_they_were(sqs: "SQSClient", outputs: Mapping[str, str], queue: str) -> None:
    put(sqs, outputs[queue + redrive.SUFFIX], 23)

    redrive.redrive(queue, "")

    moved = take_all(sqs, outputs[f"{queue}Queue"])
    assert sorted(m["Body"] for m in moved) == sorted(f"letter {n}" for n in range(23))
    assert {m["MessageAttributes"]["kind"]["StringValue"] for m in moved} == {"a kind"}
    assert take_all(sqs, outputs[queue + redrive.SUFFIX]) == []


def test_a_message_of_a_batch_stays_in_its_group(sqs: "SQSClient", outputs: Mapping[str, str]) -> None:
    sqs.send_message(QueueUrl=outputs["VideoDbDeadLettersQueue"], MessageBody="a look", MessageGroupId="batch-1")
    sqs.send_message(QueueUrl=outputs["VideoDbDeadLettersQueue"], MessageBody="another")

    redrive.redrive("VideoDb", "")

    groups = {m["Body"]: m["Attributes"].get("MessageGroupId") for m in take_all(sqs, outputs["VideoDbQueue"])}
    assert groups == {"a look": "batch-1", "another": None}


def test_a_callback_that_goes_back_is_the_message_that_it_was(sqs: "SQSClient", outputs: Mapping[str, str]) -> None:
    proof = Proof(job_id="job-1", attempt=1)
    sent = Received(callback="videodb/upload", body=b'{"success": tr\xff', headers={}, received_at=1, proof=proof)
    sqs.send_message(QueueUrl=outputs["InboxDeadLettersQueue"], MessageBody=sent.written())

    redrive.redrive("Inbox", "")

    (message,) = take_all(sqs, outputs["InboxQueue"])
    assert message["Body"] == sent.written()
    assert Received.read(message["Body"]) == sent


def test_letters_that_fail_again_are_not_moved_for_ever(sqs: "SQSClient", outputs: Mapping[str, str]) -> None:
    queue_url = outputs["InboxDeadLettersQueue"]
    put(sqs, queue_url, 4)

    moved = redrive.move(sqs, source=queue_url, to=queue_url)  # each is back at once

    assert moved == 4
    assert len(take_all(sqs, queue_url)) == 4


def test_it_says_how_many_were_moved_and_where(
    sqs: "SQSClient", outputs: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(sqs, outputs["InboxDeadLettersQueue"], 2)

    redrive.redrive("Inbox", "")

    assert (
        capsys.readouterr().out
        == "2 moved from the dead letters of Inbox back to its queue, in the AWS stack video-jobs\n"
    )


@pytest.mark.parametrize("queue", ["", "inbox", "Jobs"])
def test_a_wrong_queue_lists_what_there_is(sqs: "SQSClient", outputs: Mapping[str, str], queue: str) -> None:
    put(sqs, outputs["InboxDeadLettersQueue"], 2)

    with pytest.raises(StackError, match=r"(?s)one of these, in the AWS stack video-jobs.*Inbox: 2 dead letters"):
        redrive.redrive(queue, "")
