"""The simulated VideoDB as a server that runs in a thread of the process that wants it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from starlette.applications import Starlette

from local.platforms.courier import Courier, Delivery
from local.platforms.knobs import Knobs
from local.platforms.loopback import LoopbackServer
from local.platforms.videodb.api import Api, ReceivedRequest, application
from local.platforms.videodb.studio import Studio

# printed: a webhook "returns 200 within 500ms". How long VideoDB waits for it, and that it does not try again, is not
TIMEOUT_SECONDS = 0.5
# how long a callback that another one should overtake waits for that one: paces, but never less than the seconds,
# because whoever is to ask for the next step needs real time to do so
PATIENCE_PACES = 20
PATIENCE_SECONDS = 2.0


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
        slowness: float = 1.0,
    ) -> None:
        self.courier = Courier(
            timeout=TIMEOUT_SECONDS, patience=max(PATIENCE_SECONDS, PATIENCE_PACES * pace), slowness=slowness
        )
        self._studio = Studio(seed=seed, pace=pace, knobs=knobs, courier=self.courier)
        self._api = Api(self._studio)
        app = application(self._api, lifespan=self._lifespan)
        self._server = LoopbackServer(app, name="VideoDB", host=host, port=port)

    @property
    def url(self) -> str:
        """Where it is; known when it runs."""
        return self._server.url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What it was asked, oldest first. The bodies are whole: a callback_url still has its token."""
        return list(self._api.requests)

    @property
    def deliveries(self) -> list[Delivery]:
        """The callbacks that it tried to send, in the order of their answers; not those that it dropped."""
        return list(self.courier.deliveries)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._studio.close()
