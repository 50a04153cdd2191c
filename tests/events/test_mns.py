"""VOD's message queue: what is in it goes into the Inbox, and is deleted only then."""

import base64
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Thread

import pytest
from video_jobs.aws import clients, secrets
from video_jobs.callbacks import mns
from video_jobs.callbacks.endpoint import Outcome

from local.platforms.apsaravideo import SimulatedApsaraVideo, payloads
from tests.events.test_apsaravideo import NAME, uploaded
from tests.stack import WEBHOOK_SECRETS, Context, Stack, handler

pytestmark = pytest.mark.filterwarnings(
    # the VOD SDK makes its timestamps so
    r"ignore:datetime\.datetime\.utcnow\(\) is deprecated:DeprecationWarning",
)

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
SECRET = WEBHOOK_SECRETS["apsaravideo"]
ACCESS_KEYS = {SECRET["access_key_id"]: SECRET["access_key_secret"]}
QUEUE = "vodcallback"


class Minute(Context):
    """An invocation with so many seconds left, whenever it is asked: as they are, MNS is not to wait for messages."""

    def __init__(self, seconds: float = mns.ANSWER_SECONDS + mns.BATCH_SECONDS + 0.5) -> None:
        self._left = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._left * 1000)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def queue(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedApsaraVideo]:
    """VOD with a queue, which the stack's settings name."""
    with SimulatedApsaraVideo(pace=0.01, access_keys=ACCESS_KEYS) as vod:
        monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", vod.url)
        monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", QUEUE)
        yield vod


type Accepting = Callable[[Callable[[], Outcome]], None]


@pytest.fixture
def accepting(monkeypatch: pytest.MonkeyPatch) -> Accepting:
    """Sets what becomes of each message."""

    def accept(outcome: Callable[[], Outcome]) -> None:
        monkeypatch.setattr(mns, "accept", lambda _callback, _received: outcome())

    return accept


def drain(context: Context | None = None) -> dict[str, int]:
    counts: dict[str, int] = handler("apsaravideo/mns")({}, context or Minute())
    return counts


def left(vod: SimulatedApsaraVideo) -> int:
    return len(vod._queues[QUEUE].messages)


def put_secret(values: Mapping[str, str], *, forget: bool = True) -> None:
    clients.secretsmanager().put_secret_value(SecretId="APSARAVIDEO_SECRET", SecretString=json.dumps(dict(values)))
    if forget:
        secrets.forget()


def test_with_no_queue_configured_nothing_is_asked(
    queue: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", "")
    monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", "")

    assert drain() == {}
    assert queue.requests == []


def test_an_empty_queue_is_a_good_end(queue: SimulatedApsaraVideo) -> None:
    assert drain() == {}


@pytest.mark.parametrize("encoded", [False, True])
def test_messages_go_into_the_inbox_as_the_callbacks_that_they_are_and_are_deleted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, encoded: bool
) -> None:
    texts = [payloads.UPLOADED, payloads.FAILED, '{"EventType":"FileUploadComplete","VideoId":"v-1"}']
    with SimulatedApsaraVideo(access_keys=ACCESS_KEYS, mns_base64=encoded) as vod:
        monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", vod.url)
        monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", QUEUE)
        for text in texts:
            vod.put_message(QUEUE, f"  {text}\n")

        assert drain() == {"accepted": 3}

        assert left(vod) == 0
    received = [json.loads(message) for message in stack.messages("InboxQueue")]
    assert {message["callback"] for message in received} == {NAME}
    assert {message["body"].strip() for message in received} == {text.strip() for text in texts}


def test_more_messages_than_one_answer_holds_are_all_taken(queue: SimulatedApsaraVideo) -> None:
    for number in range(40):
        queue.put_message(QUEUE, uploaded(f"p-{number}"))

    assert drain() == {"accepted": 40}
    assert left(queue) == 0


@pytest.mark.parametrize("text", ["no event", base64.b64encode(b"no event").decode(), "{", "[]"])
def test_what_is_no_event_waits_among_the_dead_letters_and_is_deleted(
    stack: Stack, queue: SimulatedApsaraVideo, text: str
) -> None:
    queue.put_message(QUEUE, text)

    assert drain() == {"unreadable": 1}
    assert left(queue) == 0
    assert len(stack.messages("InboxDeadLetters")) == 1


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ('{"a": 1}', b'{"a": 1}'),
        (' \n{"a": "ü"}\n', '{"a": "ü"}'.encode()),
        (base64.b64encode(b' {"a": 1}').decode(), b' {"a": 1}'),
        (base64.b64encode(b"text").decode(), base64.b64encode(b"text")),
        ("not base64", b"not base64"),
        ("ä", "ä".encode()),
        ("", b""),
    ],
)
def test_a_message_is_read_in_base64_or_not(body: str, event: bytes) -> None:
    assert mns.decoded(body) == event


def test_what_the_inbox_has_not_taken_stays_and_raises_an_alarm(
    queue: SimulatedApsaraVideo, accepting: Accepting
) -> None:
    for number in range(3):
        queue.put_message(QUEUE, uploaded(f"p-{number}"))
    outcomes = iter([Outcome.ACCEPTED, Outcome.UNAVAILABLE, Outcome.UNREADABLE])
    accepting(lambda: next(outcomes))

    with pytest.raises(mns.NotAllTakenError):
        mns.drain(remaining=lambda: 60)

    assert left(queue) == 1


@pytest.mark.parametrize("outcome", [Outcome.UNREADABLE, Outcome.TOO_LARGE])
def test_what_waits_for_a_fix_is_done_with(queue: SimulatedApsaraVideo, accepting: Accepting, outcome: Outcome) -> None:
    queue.put_message(QUEUE, uploaded())
    accepting(lambda: outcome)

    assert mns.drain(remaining=lambda: 13) == {str(outcome): 1}
    assert left(queue) == 0


def test_a_message_is_deleted_only_once_it_is_in_the_inbox(queue: SimulatedApsaraVideo, accepting: Accepting) -> None:
    queue.put_message(QUEUE, uploaded())
    there: list[int] = []

    def outcome() -> Outcome:
        there.append(left(queue))
        return Outcome.ACCEPTED

    accepting(outcome)
    mns.drain(remaining=lambda: 13)

    assert there == [1]
    assert left(queue) == 0


def test_a_crash_half_way_leaves_it_in_the_queue(queue: SimulatedApsaraVideo, accepting: Accepting) -> None:
    queue.put_message(QUEUE, uploaded())

    def outcome() -> Outcome:
        raise RuntimeError("stopped")

    accepting(outcome)
    with pytest.raises(RuntimeError):
        mns.drain(remaining=lambda: 13)

    assert left(queue) == 1


def test_a_message_that_came_back_before_it_was_deleted_is_taken_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedApsaraVideo(access_keys=ACCESS_KEYS, mns_visibility=0.0) as vod:
        monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", vod.url)
        monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", QUEUE)
        vod.put_message(QUEUE, uploaded())
        asked = itertools.chain([13, 13, 13, 13], itertools.repeat(0))

        counts = mns.drain(remaining=lambda: next(asked))

    assert counts == {"accepted": 2}


def test_it_stops_well_before_its_time_is_up(queue: SimulatedApsaraVideo) -> None:
    queue.put_message(QUEUE, uploaded())

    assert drain(Minute(mns.ANSWER_SECONDS + mns.BATCH_SECONDS - 0.5)) == {}
    assert queue.requests == []


def test_in_the_middle_of_an_answer_it_stops_too_and_leaves_the_rest(queue: SimulatedApsaraVideo) -> None:
    for number in range(3):
        queue.put_message(QUEUE, uploaded(f"p-{number}"))
    asked = itertools.chain([60, 60, 60], itertools.repeat(mns.MESSAGE_SECONDS - 1))

    assert mns.drain(remaining=lambda: next(asked)) == {"accepted": 2}
    assert left(queue) == 1


@pytest.mark.parametrize(("remaining", "wait"), [(13, 0), (13.9, 0), (20, 7), (54, 30), (900, 30)])
def test_it_waits_for_messages_no_longer_than_the_time_allows(
    queue: SimulatedApsaraVideo, remaining: float, wait: int
) -> None:
    queue.put_message(QUEUE, uploaded())
    asked = itertools.chain([remaining, 60], itertools.repeat(0))

    mns.drain(remaining=lambda: next(asked))

    assert queue.requests[0].query == {"numOfMessages": "16", "waitseconds": str(wait)}


def test_a_message_that_comes_while_it_waits_is_taken(queue: SimulatedApsaraVideo) -> None:
    asked = itertools.chain([13 + LIMIT_SECONDS, 60], itertools.repeat(0))

    def put_later() -> None:
        time.sleep(0.05)
        queue.put_message(QUEUE, uploaded())

    writer = Thread(target=put_later)
    writer.start()
    assert mns.drain(remaining=lambda: next(asked)) == {"accepted": 1}
    writer.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_of_the_queue_that_does_not_come_is_not_waited_for_for_ever(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(mns, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("APSARAVIDEO_MNS_ENDPOINT", f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("APSARAVIDEO_MNS_QUEUE", QUEUE)

        with pytest.raises(mns.QueueUnavailableError, match=QUEUE):
            mns.drain(remaining=lambda: 8.5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"APSARAVIDEO_MNS_QUEUE": "other"}, "the queue other at .*: QueueNotExist"),
        ({"APSARAVIDEO_MNS_ENDPOINT": "http://127.0.0.1:9"}, "NetWorkException"),
        ({"APSARAVIDEO_MNS_ENDPOINT": "mns.example.com"}, "InvalidHost"),
    ],
)
def test_a_queue_that_cannot_be_read_is_named(
    queue: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], says: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(mns.QueueUnavailableError, match=says):
        drain()


def test_a_wrong_key_is_named_and_its_secret_is_not(queue: SimulatedApsaraVideo) -> None:
    put_secret({"access_key_id": SECRET["access_key_id"], "access_key_secret": "guessed-secret"})

    for _ in range(2):
        with pytest.raises(mns.QueueUnavailableError, match="SignatureDoesNotMatch") as refused:
            drain()
        assert "guessed-secret" not in str(refused.value)


def test_without_an_access_key_it_says_what_is_missing(queue: SimulatedApsaraVideo) -> None:
    put_secret({"auth_key": "Key1Test"})

    with pytest.raises(secrets.SecretUnavailableError, match="access_key_id"):
        drain()


def test_a_key_that_was_rotated_a_moment_ago_is_read_anew(queue: SimulatedApsaraVideo) -> None:
    put_secret({"access_key_id": "LTAI-old", "access_key_secret": "old"})
    secrets.values("APSARAVIDEO_SECRET")
    put_secret(SECRET, forget=False)
    queue.put_message(QUEUE, uploaded())

    assert drain() == {"accepted": 1}
