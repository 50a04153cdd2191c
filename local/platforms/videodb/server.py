"""The simulated VideoDB as a server that runs in a thread of the process that wants it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from time import sleep
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.platforms.videodb.api import Api, ReceivedRequest, application
from local.platforms.videodb.behaviour import Knobs
from local.platforms.videodb.callbacks import Courier, Delivery
from local.platforms.videodb.studio import Studio

# how long a callback that another one should overtake waits for that one: paces, but never less than the seconds,
# because whoever is to ask for the next step needs real time to do so
PATIENCE_PACES = 20
PATIENCE_SECONDS = 2.0
# a submit that is still open then (an `early` one, whose callback hangs) is cut
SHUTDOWN_SECONDS = 1


class SimulatedVideoDb:
    """VideoDB on loopback, between `with` and its end.

    `pace` is how long a job takes, in seconds, give or take a fifth. `knobs` hold for every source that does not turn
    them itself. The same `seed` with the same requests gives the same ids, durations, drops and cuts.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 7,
        host: str = "127.0.0.1",
        pace: float = 0.2,
        knobs: Knobs = Knobs(),  # noqa: B008 (frozen)
    ) -> None:
        self._courier = Courier(patience=max(PATIENCE_SECONDS, PATIENCE_PACES * pace))
        self._studio = Studio(seed=seed, pace=pace, knobs=knobs, courier=self._courier)
        self._api = Api(self._studio)
        self._address = (host, port)
        self.url = ""  # known when it runs

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What it was asked, oldest first. The bodies are whole: a callback_url still has its token."""
        return list(self._api.requests)

    @property
    def deliveries(self) -> list[Delivery]:
        """The callbacks that it tried to send, in the order of their answers; not those that it dropped."""
        return list(self._courier.deliveries)

    def __enter__(self) -> Self:
        listener = socket.create_server(self._address, backlog=512)
        # asyncio sets it only on sockets that it has made itself; without it each answer takes 40 ms
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._server = uvicorn.Server(self._configuration())
        # a daemon: a caller that forgets to leave the `with` can still end
        self._thread = Thread(target=self._server.run, args=([listener],), name="videodb", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            sleep(0.005)
        if not self._server.started:
            raise RuntimeError("the simulated VideoDB could not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _configuration(self) -> uvicorn.Config:
        return uvicorn.Config(
            application(self._api, lifespan=self._lifespan),
            http=CuttableConnection,
            ws="none",
            lifespan="on",
            log_level="warning",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._studio.close()


class CuttableConnection(H11Protocol):
    """Hands each request its connection, as `request.state.transport`: ASGI has no way to close without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
