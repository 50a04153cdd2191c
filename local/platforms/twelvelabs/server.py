"""The simulated TwelveLabs as a server that runs in a thread of the process that wants it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from starlette.applications import Starlette

from local.platforms.courier import Courier, Delivery, Resend
from local.platforms.knobs import Knobs
from local.platforms.loopback import LoopbackServer
from local.platforms.twelvelabs.account import Account
from local.platforms.twelvelabs.api import Api, ReceivedRequest, application
from local.platforms.twelvelabs.webhooks import Webhooks

# how long a callback that another one should overtake waits for that one: paces, but never less than a second
PATIENCE_PACES = 5
PATIENCE_SECONDS = 1.0

# inferred: that events are sent again is documented, neither the time-out nor the schedule is
TIMEOUT_SECONDS = 5.0
RESENDS = 2
RESEND_PACES = 5


class SimulatedTwelveLabs:
    """TwelveLabs on loopback, between `with` and its end.

    `pace` is how long a job takes, in seconds, give or take a fifth. `knobs` hold for every source that does not turn
    them itself. The same `seed` with the same requests gives the same ids, durations, drops and cuts.

    No document says whether webhooks are called about indexed assets, as about tasks. Here they do not, unless
    `indexed_asset_events`: then with the events of tasks, and the indexed asset's id as `data.id` (inferred).
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 7,
        host: str = "127.0.0.1",
        pace: float = 0.2,
        knobs: Knobs = Knobs(),  # noqa: B008 (frozen)
        indexed_asset_events: bool = False,
        slowness: float = 1.0,
    ) -> None:
        self.courier = Courier(
            timeout=TIMEOUT_SECONDS,
            patience=max(PATIENCE_SECONDS, PATIENCE_PACES * pace),
            resend=Resend(times=RESENDS, wait=RESEND_PACES * pace),
            slowness=slowness,
        )
        self._webhooks = Webhooks(self.courier)
        self._account = Account(
            seed=seed, pace=pace, knobs=knobs, webhooks=self._webhooks, indexed_asset_events=indexed_asset_events
        )
        self._api = Api(self._account)
        app = application(self._api, lifespan=self._lifespan)
        self._server = LoopbackServer(app, name="TwelveLabs", host=host, port=port)

    @property
    def url(self) -> str:
        """Where it is, in place of https://api.twelvelabs.io/v1.3; known when it runs."""
        return self._server.url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What it was asked, oldest first, without the API keys. The bodies are whole."""
        return list(self._api.requests)

    @property
    def deliveries(self) -> list[Delivery]:
        """The callbacks that it tried to send, in the order of their answers; not those that it dropped."""
        return list(self.courier.deliveries)

    def register(self, url: str, secret: str) -> None:
        """An endpoint for the events of all work that begins from now on, as the dashboard does it. There is no API
        call for it. Real secrets look like `whs_...`."""
        self._webhooks.register(url, secret)

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
        self._account.close()
        self.courier.close()
