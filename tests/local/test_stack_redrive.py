"""Dead letters go back whole, and once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from local import deploy, redrive, running, target
from local.commands import StackError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

OUTPUTS = {"StepsQueue": "", "StepsDeadLettersQueue": "", "JobsTable": "jobs"}


@pytest.fixture
def sqs() -> Iterator["SQSClient"]:
    with mock_aws():
        yield boto3.client("sqs", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def outputs(sqs: "SQSClient", monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    made = OUTPUTS | {
        name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("StepsQueue", "StepsDeadLettersQueue")
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
            MessageAttributes={"kind": {"DataType": "String", "StringValue": "kept"}},
        )


def take_all(sqs: "SQSClient", queue_url: str) -> list[Any]:
    messages: list[Any] = []
    while some := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
    ).get("Messages"):
        messages += some
    return messages


def test_all_dead_letters_go_back_as_they_were(sqs: "SQSClient", outputs: dict[str, str]) -> None:
    put(sqs, outputs["StepsDeadLettersQueue"], 23)

    redrive.redrive("Steps", "")

    moved = take_all(sqs, outputs["StepsQueue"])
    assert sorted(m["Body"] for m in moved) == sorted(f"letter {n}" for n in range(23))
    assert {m["MessageAttributes"]["kind"]["StringValue"] for m in moved} == {"kept"}
    assert take_all(sqs, outputs["StepsDeadLettersQueue"]) == []


def test_letters_that_fail_again_are_not_moved_for_ever(sqs: "SQSClient", outputs: dict[str, str]) -> None:
    queue_url = outputs["StepsDeadLettersQueue"]
    put(sqs, queue_url, 4)

    moved = redrive.move(sqs, source=queue_url, to=queue_url)  # each is back at once

    assert moved == 4
    assert len(take_all(sqs, queue_url)) == 4


def test_it_says_how_many_were_moved_and_where(
    sqs: "SQSClient", outputs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(sqs, outputs["StepsDeadLettersQueue"], 2)

    redrive.redrive("Steps", "")

    assert (
        capsys.readouterr().out
        == "2 moved from the dead letters of Steps back to its queue, in the AWS stack video-jobs\n"
    )


@pytest.mark.parametrize("queue", ["", "steps", "Jobs"])
def test_a_wrong_queue_lists_what_there_is(sqs: "SQSClient", outputs: dict[str, str], queue: str) -> None:
    put(sqs, outputs["StepsDeadLettersQueue"], 2)

    with pytest.raises(StackError, match=r"(?s)one of these, in the AWS stack video-jobs.*Steps: 2 dead letters"):
        redrive.redrive(queue, "")
