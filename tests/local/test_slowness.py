"""On a machine that takes longer, platforms wait longer; on any other, as long as their documents say."""

import asyncio
from threading import Barrier
from typing import Any

import pytest
import urllib3

from local import slowness
from local.demo.jobs_api import ApiError
from local.platforms.courier import Callback, Courier, Line, Resend
from local.platforms.simulated import SimulatedPlatforms
from local.slowness import LARGEST, USUAL_SECONDS


@pytest.mark.parametrize(
    ("seconds", "times"),
    [(USUAL_SECONDS / 3, 1.0), (USUAL_SECONDS, 1.0), (2.5 * USUAL_SECONDS, 2.5), (1000 * USUAL_SECONDS, LARGEST)],
)
def test_a_machine_is_as_slow_as_it_answers_but_never_faster_than_usual(seconds: float, times: float) -> None:
    now = 0.0

    def ask() -> None:
        nonlocal now
        now += seconds

    assert slowness.measure([ask], clock=lambda: now) == times


def test_all_functions_are_asked_at_the_same_time() -> None:
    """Each waits for the other: one after the other, they would never come back."""
    both = Barrier(2, timeout=30)

    assert slowness.measure([both.wait, both.wait]) >= 1.0


def test_a_stack_that_does_not_answer_is_said_so() -> None:
    def refuse() -> None:
        raise ApiError("a callback was not answered")

    with pytest.raises(ApiError, match="not answered"):
        slowness.measure([refuse])


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long each callback's answer might have taken; none is sent."""
    found: list[float | None] = []

    def request(*_: Any, timeout: urllib3.Timeout, **__: Any) -> None:
        found.append(timeout.total)  # type: ignore[arg-type]
        raise urllib3.exceptions.ReadTimeoutError(None, None, "late")  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3.PoolManager, "request", request)
    return found


def test_time_outs_are_the_documented_ones_times_the_slowness(limits: list[float | None]) -> None:
    platforms = SimulatedPlatforms()
    couriers = [platforms.videodb.courier, platforms.apsaravideo.courier]

    for platforms.slowness in (1.0, 3.0):
        for one in couriers:
            assert one._post("http://127.0.0.1:9", b"{}", {}) is None

    # VideoDB asks for its answer within 500 ms, VOD within 5 s
    assert limits == [0.5, 5.0, 1.5, 15.0]
    assert platforms.slowness == platforms.twelvelabs.courier.slowness == platforms.apivideo.courier.slowness == 3.0


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("platform", "waits"), [("videodb", []), ("apivideo", [3.0, 3.0]), ("apsaravideo", [1.0, 1.0])]
)
@pytest.mark.parametrize("times", [1.0, 4.0])
def test_what_is_not_answered_in_time_is_sent_again_as_documented(
    monkeypatch: pytest.MonkeyPatch, platform: str, waits: list[float], times: float
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    platforms = SimulatedPlatforms(slowness=times)
    sender: Courier = getattr(platforms, platform).courier
    callback = Callback(url="http://127.0.0.1:9", copies=(b"{}",), delay=0.0, reorder=False)

    asyncio.run(sender.deliver(callback, Line(to_come=1)))

    assert slept == [0.0, *(wait * times for wait in waits)]
    assert [delivery.resent for delivery in sender.deliveries] == list(range(len(waits) + 1))


def test_a_callback_that_waits_to_be_overtaken_waits_longer_on_a_slow_machine(
    monkeypatch: pytest.MonkeyPatch, limits: list[float | None]
) -> None:
    waited: list[float] = []

    async def wait(_line: Line, patience: float) -> None:
        waited.append(patience)

    monkeypatch.setattr(Line, "wait_to_be_overtaken", wait)
    sender = Courier(timeout=1.0, patience=2.0, resend=Resend(), slowness=3.0)
    callback = Callback(url="http://127.0.0.1:9", copies=(b"{}", b"{}"), delay=0.0, reorder=True)

    asyncio.run(sender.deliver(callback, Line(to_come=2)))

    assert waited == [6.0, 6.0]
    assert limits == [3.0, 3.0]
