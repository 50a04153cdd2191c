"""The simulated api.video as a server that runs in a thread of the process that wants it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from starlette.applications import Starlette

from local.platforms.apivideo.api import Api, application
from local.platforms.apivideo.events import SAMPLES, Event, EventType
from local.platforms.apivideo.gate import Credentials, RateLimit, Rates, ReceivedRequest
from local.platforms.apivideo.studio import Studio
from local.platforms.apivideo.webhooks import Webhook, resend
from local.platforms.courier import Courier, Delivery
from local.platforms.knobs import Knobs
from local.platforms.loopback import LoopbackServer

# inferred: no document says how long api.video waits for an answer
TIMEOUT_SECONDS = 5.0
# how long a callback that another one should overtake waits for that one: paces, but never less than a second
PATIENCE_PACES = 5
PATIENCE_SECONDS = 1.0


class SimulatedApiVideo:
    """api.video on loopback, between `with` and its end.

    `pace` is how long a video takes until its last rendition, in seconds, give or take a fifth. `knobs` hold for every
    source that does not turn them itself. `resend_wait` is how many seconds a callback that was answered badly waits
    before it is sent again, `token_seconds` how long a bearer token lives. The same `seed` with the same requests gives
    the same ids, durations, orders, drops and cuts.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 7,
        host: str = "127.0.0.1",
        pace: float = 0.2,
        knobs: Knobs = Knobs(),  # noqa: B008 (frozen)
        resend_wait: float = 3.0,
        rates: Rates = Rates(),  # noqa: B008 (frozen)
        token_seconds: int = 3600,
        slowness: float = 1.0,
    ) -> None:
        courier = Courier(
            timeout=TIMEOUT_SECONDS,
            patience=max(PATIENCE_SECONDS, PATIENCE_PACES * pace),
            resend=resend(resend_wait),
            slowness=slowness,
        )
        self.courier = courier
        self._studio = Studio(seed=seed, pace=pace, knobs=knobs, courier=courier)
        self._api = Api(self._studio, Credentials(seed=seed, seconds=token_seconds), RateLimit(rates))
        app = application(self._api, lifespan=self._lifespan)
        self._server = LoopbackServer(app, name="api.video", host=host, port=port)

    @property
    def url(self) -> str:
        """Where it is, in place of https://ws.api.video; known when it runs."""
        return self._server.url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What it was asked, oldest first, without keys and tokens."""
        return list(self._api.requests)

    @property
    def deliveries(self) -> list[Delivery]:
        """The callbacks that it tried to send, in the order of their answers; not those that it dropped."""
        return list(self.courier.deliveries)

    @property
    def idle(self) -> bool:
        """Whether no video is being worked on (but for those that are stuck), and no callback is on its way."""
        return self._studio.idle

    def register(self, url: str, events: Iterable[str] = tuple(EventType), secret: str | None = None) -> Webhook:
        """As `POST /webhooks` does it, but without its limit, and with a secret that may be chosen."""
        return self._studio.webhooks.create(url, [EventType(event) for event in events], secret)

    def emit(self, event_type: str, **fields: str) -> None:
        """Tells the webhooks of something that this simulator does not do, such as a live stream's end.

        `fields` replace those that the documents print: `emit("video.source.recorded", videoId="vi1")`. It must run.
        """
        kind = EventType(event_type)
        event = Event(kind, {**SAMPLES[kind], **fields})
        asyncio.run_coroutine_threadsafe(self._emit(event), self._loop).result()

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    async def _emit(self, event: Event) -> None:
        self._studio.emit(event)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        yield
        self._studio.close()
