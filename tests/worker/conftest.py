"""The scene that the tests of workers play in."""

import random
import time
from collections.abc import Iterator

import pytest
from video_jobs import clock
from video_jobs.worker import backoff, submit

from tests.patches import change
from tests.stack import Stack
from tests.worker.scene import Scene


@pytest.fixture
def scene(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """No job yet. Waits are as long as they may be."""
    scene = Scene(stack)
    monkeypatch.setattr(clock, "now", lambda: scene.now)
    change(monkeypatch, backoff, random, uniform=lambda _low, high: high)
    change(monkeypatch, submit, time, sleep=lambda _seconds: None)
    with scene.noted():
        yield scene
