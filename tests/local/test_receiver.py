"""The receiver believes only what the stack has signed, and counts each event once."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import urllib3
from standardwebhooks import Webhook

from local.receiver import Notification, Receiver

KEY = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, or so").decode()
STRANGERS_KEY = "whsec_" + base64.b64encode(b"another key of thirty-two bytes!").decode()
EVENT = {"type": "job.succeeded", "timestamp": "2026-11-01T12:00:00.000Z", "data": {"job_id": "job-1"}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        made.trust(KEY)
        yield made


def send(
    to: Receiver, event_id: str = "evt_1", *, key: str = KEY, body: str = json.dumps(EVENT), **changes: str
) -> int:
    """The status that a notification is answered with."""
    moment = datetime.now(UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(key).sign(event_id, moment, body),
    }
    with urllib3.PoolManager(timeout=10, retries=False) as connections:
        return connections.request("POST", to.url, body=body.encode(), headers=headers | changes).status


def test_what_the_stack_signs_counts_once_however_often_it_comes(receiver: Receiver) -> None:
    assert [send(receiver), send(receiver), send(receiver, "evt_2")] == [204, 204, 204]

    assert receiver.notifications == [
        Notification("evt_1", "job.succeeded", "2026-11-01T12:00:00.000Z", {"job_id": "job-1"}),
        Notification("evt_2", "job.succeeded", "2026-11-01T12:00:00.000Z", {"job_id": "job-1"}),
    ]
    assert [one.job_id for one in receiver.notifications] == ["job-1", "job-1"]
    assert (receiver.repeated, receiver.rejected) == (1, 0)


def test_what_others_sign_and_what_was_changed_is_refused(receiver: Receiver) -> None:
    assert send(receiver, key=STRANGERS_KEY) == 401
    assert send(receiver, **{"webhook-id": "evt_other"}) == 401
    assert send(receiver, **{"webhook-timestamp": "1"}) == 401

    assert (receiver.notifications, receiver.rejected) == ([], 3)


def test_nobody_is_believed_before_it_is_said_who_may_be() -> None:
    with Receiver() as receiver:
        assert send(receiver) == 401

        assert (receiver.notifications, receiver.rejected) == ([], 1)


def test_one_in_so_many_has_to_be_sent_again() -> None:
    with Receiver(falters_every=2) as receiver:
        receiver.trust(KEY)

        answers = [send(receiver, event_id) for event_id in ("a", "b", "b", "c", "d", "d", "b")]

    assert answers == [204, 503, 204, 204, 503, 204, 204]
    assert [one.event_id for one in receiver.notifications] == ["a", "b", "c", "d"]
    assert receiver.repeated == 2
