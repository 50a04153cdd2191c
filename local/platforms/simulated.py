"""All simulated platforms together, and how the local stack and they get to know each other."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from local.platforms.apivideo import Rates, SimulatedApiVideo
from local.platforms.apsaravideo import SimulatedApsaraVideo
from local.platforms.twelvelabs import SimulatedTwelveLabs
from local.platforms.videodb import SimulatedVideoDb
from local.stack import LocalStack
from ops.webhooks import apivideo, apsaravideo, deployment, twelvelabs

WEBHOOK_SECRET = "whs_simulated"  # noqa: S105 - as public as all of this
NO_LIMIT = Rates(uploads=10**6, writes=10**6, reads=10**6)


class SimulatedPlatforms:
    """VideoDB, TwelveLabs, api.video and ApsaraVideo VOD on loopback, between `with` and its end.

    `pace` is how long each takes for a job, in seconds, give or take a fifth. `slowness` is how many times longer than
    usual this machine takes for a request (`local.slowness`): the platforms' time-outs are so many times longer.
    """

    def __init__(self, *, pace: float = 0.2, slowness: float = 1.0) -> None:
        self.videodb = SimulatedVideoDb(pace=pace)
        self.twelvelabs = SimulatedTwelveLabs(pace=pace)
        self.apivideo = SimulatedApiVideo(pace=pace, rates=NO_LIMIT)
        self.apsaravideo = SimulatedApsaraVideo(pace=pace)
        self.slowness = slowness
        self._exits = ExitStack()

    @property
    def slowness(self) -> float:
        return self.videodb.courier.slowness

    @slowness.setter
    def slowness(self, times: float) -> None:
        for platform in self._all:
            platform.courier.slowness = times

    @property
    def urls(self) -> Mapping[str, str]:
        """Where each is, by provider; known when they run."""
        return {
            "videodb": self.videodb.url,
            "twelvelabs": self.twelvelabs.url,
            "apivideo": self.apivideo.url,
            "apsaravideo": self.apsaravideo.url,
        }

    @property
    def parameters(self) -> Mapping[str, str]:
        """The template's, that lead the stack to them."""
        return {
            "VideoDbUrl": self.videodb.url,
            "TwelveLabsUrl": self.twelvelabs.url,
            "ApiVideoUrl": self.apivideo.url,
            "ApsaraVideoUrl": self.apsaravideo.url,
        }

    def connect(self, stack: LocalStack) -> None:
        """Have them call the stack back, and the stack know their secrets: what `make webhooks` does."""
        found = {
            provider: deployment.describe(
                provider,
                outputs=stack.outputs,
                secrets_manager=stack.client("secretsmanager"),
                platform_url=self.urls[provider],
                where="the local stack",
            )
            for provider in deployment.PLATFORMS
        }
        apivideo.create(found["apivideo"], apivideo.read_events("all"))
        apsaravideo.set_callback(found["apsaravideo"])
        twelvelabs.store_secret(found["twelvelabs"], WEBHOOK_SECRET)
        self.twelvelabs.register(found["twelvelabs"].callback_url, WEBHOOK_SECRET)

    @property
    def _all(self) -> tuple[SimulatedVideoDb, SimulatedTwelveLabs, SimulatedApiVideo, SimulatedApsaraVideo]:
        return self.videodb, self.twelvelabs, self.apivideo, self.apsaravideo

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for platform in self._all:
                exits.enter_context(platform)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()
