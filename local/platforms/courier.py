"""How a simulated platform's callbacks travel: dropped, garbled, doubled, overtaken, and sent again as documented."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit, urlunsplit

import urllib3

from local.platforms.knobs import Knobs

# more than asyncio's own six: receivers that take all of their time must not hold up everybody else's callbacks
THREADS = 64


type Headers = Callable[[bytes], Mapping[str, str]]
"""What signs a body, each time that it is sent."""


def unsigned(_: bytes) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Resend:
    """A platform's schedule for a callback that is not answered as it wants."""

    times: int = 0  # after the first
    wait: float = 0.0  # seconds before each
    accepts: Callable[[int], bool] = lambda status: 200 <= status < 300


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A callback that was tried. `url` has lost its query string, which may hold a token."""

    url: str
    body: bytes
    status: int | None  # None: no answer
    attempt: int  # which copy, from 1
    resent: int = 0  # which repetition of that copy, as the platform's schedule has it
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Callback:
    """What will be sent when a job ends; settled when the job begins, so that chance does not depend on timing."""

    url: str
    copies: tuple[bytes | None, ...]  # None: dropped
    delay: float  # seconds after the job's end
    reorder: bool
    headers: Headers = unsigned


def plan_callback(
    url: str, body: bytes, *, knobs: Knobs, delay: float, random: Random, headers: Headers = unsigned
) -> Callback:
    copies = tuple(plan_copy(body, knobs, random) for _ in range(1 + knobs.duplicate))
    return Callback(url=url, copies=copies, delay=delay + knobs.delay, reorder=knobs.reorder, headers=headers)


def plan_copy(body: bytes, knobs: Knobs, random: Random) -> bytes | None:
    dropped, garbled = random.random() < knobs.drop, random.random() < knobs.garble
    if dropped:
        return None
    return body[: len(body) // 2] if garbled else body


@dataclass(eq=False)
class Line:
    """The callbacks of one media file, which can overtake each other."""

    to_come: int = 0
    held: list[asyncio.Event] = field(default_factory=list)

    async def wait_to_be_overtaken(self, patience: float) -> None:
        """Returns when another callback of the media file was sent, or when nothing came for so long."""
        overtaken = asyncio.Event()
        self.held.append(overtaken)
        with suppress(TimeoutError):
            await asyncio.wait_for(overtaken.wait(), patience)

    def release(self) -> None:
        waiting, self.held = self.held, []
        for overtaken in waiting:
            overtaken.set()


class Courier:
    """Sends callbacks and keeps what became of them.

    `timeout` is how many seconds an answer may take. It, the waits of `resend` and `patience` are the platform's, times
    `slowness`: how many times longer than usual the machine takes that the receiver runs on.
    """

    def __init__(self, *, timeout: float, patience: float, resend: Resend = Resend(), slowness: float = 1.0) -> None:
        self.deliveries: list[Delivery] = []
        self.slowness = slowness
        self._timeout = timeout
        self._patience = patience
        self._resend = resend
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="callbacks")
        self._connections = urllib3.PoolManager(retries=False, maxsize=THREADS)

    async def deliver(self, callback: Callback, line: Line) -> None:
        await asyncio.sleep(callback.delay)
        line.to_come -= 1
        if callback.reorder and line.to_come:
            await line.wait_to_be_overtaken(self._patience * self.slowness)
        await self._send(callback, attempt=1)
        line.release()
        for attempt in range(2, len(callback.copies) + 1):
            if callback.reorder:
                await line.wait_to_be_overtaken(self._patience * self.slowness)
            await self._send(callback, attempt=attempt)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send(self, callback: Callback, *, attempt: int) -> None:
        body = callback.copies[attempt - 1]
        if body is None:
            return
        for resent in range(1 + self._resend.times):
            if resent:
                await asyncio.sleep(self._resend.wait * self.slowness)
            status = await self._try(callback, body, attempt=attempt, resent=resent)
            if status is not None and self._resend.accepts(status):
                return

    async def _try(self, callback: Callback, body: bytes, *, attempt: int, resent: int) -> int | None:
        signed = callback.headers(body)
        loop = asyncio.get_running_loop()
        status = await loop.run_in_executor(self._threads, self._post, callback.url, body, signed)
        url = without_query(callback.url)
        self.deliveries.append(
            Delivery(url=url, body=body, status=status, attempt=attempt, resent=resent, headers=signed)
        )
        return status

    def _post(self, url: str, body: bytes, signed: Mapping[str, str]) -> int | None:
        # a kept connection that the receiver has just closed would lose a callback that no knob wants lost
        headers = {"content-type": "application/json", "connection": "close", **signed}
        try:
            return self._connections.request(
                "POST",
                url,
                body=body,
                headers=headers,
                redirect=False,
                timeout=urllib3.Timeout(total=self._timeout * self.slowness),
            ).status
        except urllib3.exceptions.HTTPError:
            return None


def without_query(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))
