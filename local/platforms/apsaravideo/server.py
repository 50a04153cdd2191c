"""The simulated ApsaraVideo VOD as a server that runs in a thread of the process that wants it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from types import MappingProxyType, TracebackType
from typing import Self

from starlette.applications import Starlette

from local.platforms.apsaravideo.api import Api, SessionRepeat
from local.platforms.apsaravideo.mns import Mns
from local.platforms.apsaravideo.queues import Queue
from local.platforms.apsaravideo.received import ReceivedRequest
from local.platforms.apsaravideo.studio import Studio
from local.platforms.courier import Courier, Delivery, Resend
from local.platforms.knobs import Knobs
from local.platforms.loopback import LoopbackServer

ACCESS_KEYS: Mapping[str, str] = MappingProxyType({"LTAI-simulated": "simulated-secret"})
QUEUES = ("vodcallback",)

# documented: five seconds for an answer, which must be 200; three attempts, a second apart
TIMEOUT_SECONDS = 5.0
RESENDS = 2
# how long an event that another one should overtake waits for that one: paces, but never less than the seconds
PATIENCE_PACES = 20
PATIENCE_SECONDS = 2.0


class SimulatedApsaraVideo:
    """VOD and MNS on loopback, between `with` and its end.

    `pace` is how long a job takes, in seconds, give or take a fifth. `knobs` hold for every source that does not turn
    them itself. The same `seed` with the same requests gives the same ids, sizes, drops and cuts. `access_keys` are
    secrets by their ids, for both services. No event is sent before SetMessageCallback says where to. `resend_wait`
    are the seconds between the three attempts of a callback. Of MNS: the names of the `queues`, whether VOD's messages
    are in base64 (not documented), and the queues' attributes in seconds. `session_repeat` is what a SessionId gets
    that was used in the last ten minutes: the SDK's documents say an error.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 7,
        host: str = "127.0.0.1",
        pace: float = 0.2,
        knobs: Knobs = Knobs(),  # noqa: B008 (frozen)
        access_keys: Mapping[str, str] = ACCESS_KEYS,
        session_repeat: SessionRepeat = "refused",
        resend_wait: float = 1.0,
        queues: tuple[str, ...] = QUEUES,
        mns_base64: bool = False,
        mns_visibility: float = 30.0,
        mns_polling_wait: float = 0.0,
        slowness: float = 1.0,
    ) -> None:
        self._requests: list[ReceivedRequest] = []
        self._queues = {
            name: Queue(
                name=name,
                is_base64=mns_base64,
                visibility=mns_visibility,
                polling_wait=mns_polling_wait,
                chance=Random(f"{seed} {name}"),
            )
            for name in queues
        }
        resend = Resend(times=RESENDS, wait=resend_wait, accepts=lambda status: status == 200)
        self.courier = Courier(
            timeout=TIMEOUT_SECONDS,
            patience=max(PATIENCE_SECONDS, PATIENCE_PACES * pace),
            resend=resend,
            slowness=slowness,
        )
        self._studio = Studio(seed=seed, pace=pace, knobs=knobs, courier=self.courier, mailboxes=self._queues)
        api = Api(
            self._studio,
            access_keys=access_keys,
            seed=seed,
            session_repeat=session_repeat,
            requests=self._requests,
        )
        mns = Mns(self._queues, access_keys=access_keys, seed=seed, requests=self._requests)
        app = Starlette(routes=[*api.routes(), *mns.routes()], lifespan=self._lifespan)
        self._server = LoopbackServer(app, name="ApsaraVideo VOD", host=host, port=port)

    @property
    def url(self) -> str:
        """Where it is, VOD and MNS alike; known when it runs. The SDK's `endpoint` is this without `http://`."""
        return self._server.url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What it was asked, oldest first, without keys, tokens and signatures."""
        return list(self._requests)

    @property
    def deliveries(self) -> list[Delivery]:
        """The callbacks that it tried to send, in the order of their answers; not those that it dropped."""
        return list(self.courier.deliveries)

    def put_message(self, queue: str, body: bytes | str) -> None:
        """Puts a message into a queue as VOD would, so in base64 if it writes base64. KeyError: no such queue."""
        found = self._queues[queue]
        content = body.encode() if isinstance(body, str) else body

        async def put() -> None:
            found.put(content)

        asyncio.run_coroutine_threadsafe(put(), self._loop).result()

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # a long poll that is still open would be cut, noisily, and only after a second
        for queue in self._queues.values():
            self._loop.call_soon_threadsafe(queue.close)
        self._server.__exit__(kind, error, trace)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        yield
        self._studio.close()
