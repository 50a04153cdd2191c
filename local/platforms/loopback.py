"""A simulated platform as a server that runs in a thread of the process that wants it."""

import asyncio
import socket
from threading import Thread
from time import sleep
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

# a request that is still open then (one that waits for a callback that hangs) is cut
SHUTDOWN_SECONDS = 1


class LoopbackServer:
    """A Starlette application on loopback, for as long as a `with` lasts. Its `lifespan` is run."""

    def __init__(self, application: Starlette, *, name: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self._application = application
        self._name = name
        self._address = (host, port)
        self.url = ""  # known when it runs

    def __enter__(self) -> Self:
        listener = socket.create_server(self._address, backlog=512)
        # asyncio sets it only on sockets that it has made itself; without it each answer takes 40 ms
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._application,
                http=CuttableConnection,
                ws="none",
                lifespan="on",
                log_level="warning",
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        # a daemon: a caller that forgets to leave the `with` can still end
        self._thread = Thread(target=self._server.run, args=([listener],), name=self._name, daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            sleep(0.005)
        if not self._server.started:
            raise RuntimeError(f"the simulated {self._name} could not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()


class CuttableConnection(H11Protocol):
    """Hands each request its connection, as `request.state.transport`: ASGI has no way to close without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
