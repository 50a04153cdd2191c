"""Counts the calls that go to AWS's stand-in, on their way: a proxy that changes nothing.

It reads no more of a call than whose operation it is, and of an answer than its status. Made for the functions' SDK:
HTTP/1.1 on loopback, one request after the other on a connection.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from http import HTTPStatus
from typing import Self

_LONGEST_HEAD = 256 * 1024
_SERVICES = {
    "DynamoDB_20120810": "dynamodb",
    "AmazonSQS": "sqs",
    "secretsmanager": "secretsmanager",
    "AWSEvents": "events",
}


@dataclass(frozen=True)
class Calls:
    """How many there were, by "service.Operation"."""

    made: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Of them, those that were answered 4xx or 5xx: a condition that does not hold, a conflict, a throttle."""

    def since(self, earlier: "Calls") -> "Calls":
        return Calls(self.made - earlier.made, self.refused - earlier.refused)

    def copy(self) -> "Calls":
        return Calls(self.made.copy(), self.refused.copy())


class CountingProxy:
    """Passes everything on to a port of this machine, between `with` and its end."""

    def __init__(self, to_port: int, *, host: str = "127.0.0.1") -> None:
        self._host = host
        self._to_port = to_port
        self._calls = Calls()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self.url = ""  # known when it runs

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._loop.close()

    def calls(self) -> Calls:
        """Those that have been answered so far."""
        return asyncio.run_coroutine_threadsafe(self._copy(), self._loop).result()

    async def _copy(self) -> Calls:
        return self._calls.copy()

    async def _serve(self) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # the caller is gone, or is to notice
                await self._pass_on(reader, writer)
            writer.close()

        server = await asyncio.start_server(connected, self._host, 0, limit=_LONGEST_HEAD, backlog=512)
        self.url = f"http://{self._host}:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stopped.wait()
        server.close()
        server.close_clients()
        await server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, upstream_writer = await self._connect()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if upstream.at_eof():  # it was idle for too long
                    upstream_writer.close()
                    upstream, upstream_writer = await self._connect()
                line, headers = _parsed(head)
                upstream_writer.write(head)
                await _copy_body(reader, upstream_writer, headers)
                await upstream_writer.drain()
                await self._answer(upstream, writer, to=operation(line, headers))
        finally:
            upstream_writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._to_port, limit=_LONGEST_HEAD)

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to: str) -> None:
        head = await upstream.readuntil(b"\r\n\r\n")
        line, headers = _parsed(head)
        status = int(line.split()[1])
        self._count(to, status)  # first: whoever has the answer must find it counted
        writer.write(head)
        if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            await _copy_body(upstream, writer, headers)
        await writer.drain()

    def _count(self, name: str, status: int) -> None:
        self._calls.made[name] += 1
        if status >= HTTPStatus.BAD_REQUEST:
            self._calls.refused[name] += 1


def operation(request_line: str, headers: Mapping[str, str]) -> str:
    """ "service.Operation" of a request of the SDK's; what it is not known for is named by its method and path."""
    if target := headers.get("x-amz-target"):
        service, _, name = target.partition(".")
        return f"{_SERVICES.get(service, service)}.{name}"
    method, path, *_ = request_line.split()
    if path.startswith("/2015-03-31/functions/") and path.endswith("/invocations"):
        return "lambda.Invoke"
    return f"{method} {path.partition('?')[0]}"


def _parsed(head: bytes) -> tuple[str, Mapping[str, str]]:
    """The first line, and the headers by their names in small letters."""
    line, _, rest = head.partition(b"\r\n")
    return line.decode("latin-1"), {name.lower(): value for name, value in BytesHeaderParser().parsebytes(rest).items()}


async def _copy_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Mapping[str, str]) -> None:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        size = -1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            writer.write(line + await reader.readexactly(size + 2))
    elif length := int(headers.get("content-length", 0)):
        writer.write(await reader.readexactly(length))
