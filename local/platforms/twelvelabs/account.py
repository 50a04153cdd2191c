"""What an account has at TwelveLabs, and how far the platform is with it."""

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from local.platforms.knobs import Fault, Knobs
from local.platforms.twelvelabs.behaviour import INDEXINGS, Source, Step
from local.platforms.twelvelabs.webhooks import Addressed, Event, Webhooks

LATE_PACES = 40

INDEXING_STATUSES = ("validating", "pending", "queued", "indexing")
STATUSES: Mapping[Step, Sequence[str]] = {
    Step.TASK: INDEXING_STATUSES,
    Step.ASSET: ("processing",),
    Step.INDEXED_ASSET: INDEXING_STATUSES,
}

type UserMetadata = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Video:
    """What the platform finds out about a source. Nothing is downloaded: all of it is made up."""

    filename: str
    duration: float  # seconds
    size: int  # bytes
    width: int = 1920
    height: int = 1080
    fps: float = 29.97


@dataclass(eq=False, kw_only=True)
class Work:
    """Work on a source, which goes through its statuses in equal times. What it will come to is settled at once."""

    id: str
    step: Step
    source: Source
    video: Video
    pace: float  # seconds
    began: datetime
    ended: bool = False

    @property
    def error(self) -> str | None:
        """Why it will fail, or has failed."""
        return self.source.behaviour.fails.get(self.step)

    @property
    def status(self) -> str:
        if self.ended:
            return "failed" if self.error else "ready"
        return STATUSES[self.step][self._number]

    @property
    def ends_at(self) -> datetime:
        return self.began + timedelta(seconds=self.pace)

    @property
    def updated_at(self) -> datetime:
        """When it got the status that it has."""
        if self.ended:
            return self.ends_at
        return self.began + timedelta(seconds=self.pace * self._number / len(STATUSES[self.step]))

    @property
    def _number(self) -> int:
        """Of its status, among those before the end."""
        last = len(STATUSES[self.step]) - 1
        if not self.pace:
            return last
        passed = (datetime.now(UTC) - self.began).total_seconds() / self.pace
        return min(math.floor(passed * (last + 1)), last)


@dataclass(eq=False, kw_only=True)
class Task:
    work: Work
    video_id: str
    index_id: str
    streams: bool
    user_metadata: UserMetadata | None
    has_vector: bool = True  # what was indexed of it was not deleted


@dataclass(eq=False, kw_only=True)
class Asset:
    work: Work
    method: str
    hls: bool
    thumbnail: bool
    user_metadata: UserMetadata | None


@dataclass(eq=False, kw_only=True)
class IndexedAsset:
    work: Work
    index_id: str
    asset: Asset
    streams: bool
    user_metadata: UserMetadata | None


class Account:
    """Begins work, lets time pass over it, calls back about its end. Everything in it happens on one event loop.

    Work has begun when the method that begins it returns; that of an `early` source has ended, and its callbacks are
    sent. `indexed_asset_events`: an indexed asset is called back about as a task is. No document says whether it does.
    """

    def __init__(self, *, seed: int, pace: float, knobs: Knobs, webhooks: Webhooks, indexed_asset_events: bool) -> None:
        self.knobs = knobs
        self.tasks: dict[str, Task] = {}
        self.assets: dict[str, Asset] = {}
        self.indexed_assets: dict[str, IndexedAsset] = {}
        self._seed = seed
        self._pace = pace
        self._webhooks = webhooks
        self._telling = INDEXINGS if indexed_asset_events else frozenset({Step.TASK})
        self._submits: Counter[tuple[Step, str]] = Counter()
        self._accepted: Counter[tuple[Step, str]] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    def next_fault(self, step: Step, subject: str, source: Source) -> Fault | None:
        """How this submit must be answered; None if it is accepted. Submits are counted a step and subject."""
        number = self._submits[step, subject]
        self._submits[step, subject] += 1
        return source.fault(step, number)

    def is_first(self, step: Step, subject: str) -> bool:
        """Whether one submit was accepted so far."""
        return self._accepted[step, subject] == 1

    async def create_task(
        self, source: Source, *, index_id: str, streams: bool, user_metadata: UserMetadata | None
    ) -> Task:
        random = self._random(Step.TASK, source.url)
        task = Task(
            work=self._work(Step.TASK, source, new_video(source.filename, random), random),
            video_id=new_id(random),
            index_id=index_id,
            streams=streams,
            user_metadata=user_metadata,
        )
        self.tasks[task.work.id] = task
        await self._start(task.work, random)
        return task

    async def create_asset(
        self,
        source: Source,
        *,
        method: str,
        filename: str,
        hls: bool,
        thumbnail: bool,
        user_metadata: UserMetadata | None,
    ) -> Asset:
        random = self._random(Step.ASSET, source.url)
        asset = Asset(
            work=self._work(Step.ASSET, source, new_video(filename, random), random),
            method=method,
            hls=hls,
            thumbnail=thumbnail,
            user_metadata=user_metadata,
        )
        self.assets[asset.work.id] = asset
        await self._start(asset.work, random)
        return asset

    async def index_asset(
        self,
        asset: Asset,
        *,
        index_id: str,
        streams: bool,
        user_metadata: UserMetadata | None,
    ) -> IndexedAsset:
        random = self._random(Step.INDEXED_ASSET, asset.work.id)
        indexed = IndexedAsset(
            work=self._work(Step.INDEXED_ASSET, asset.work.source, asset.work.video, random),
            index_id=index_id,
            asset=asset,
            streams=streams,
            user_metadata=user_metadata,
        )
        self.indexed_assets[indexed.work.id] = indexed
        await self._start(indexed.work, random)
        return indexed

    def indexed(self, asset: Asset) -> list[IndexedAsset]:
        return [indexed for indexed in self.indexed_assets.values() if indexed.asset is asset]

    def close(self) -> None:
        for running in self._running:
            running.cancel()

    def _random(self, step: Step, subject: str) -> Random:
        """Chance for one work. A run repeats because it hangs on what is asked, and not on who asks first."""
        number = self._accepted[step, subject]
        self._accepted[step, subject] += 1
        return Random(f"{self._seed} {step} {subject} {number}")

    def _work(self, step: Step, source: Source, video: Video, random: Random) -> Work:
        pace = self._pace * random.uniform(0.8, 1.2)
        if source.behaviour.early and step in INDEXINGS:  # an asset has no callback that could be early
            pace = 0.0
        return Work(id=new_id(random), step=step, source=source, video=video, pace=pace, began=datetime.now(UTC))

    async def _start(self, work: Work, random: Random) -> None:
        if work.step in work.source.behaviour.stalls:
            return
        run = self._run(work, self._callbacks(work, random) if work.step in self._telling else [])
        if not work.pace:
            await run
            return
        running = asyncio.create_task(run)
        self._running.add(running)  # the event loop alone would let it be collected
        running.add_done_callback(self._running.discard)

    def _callbacks(self, work: Work, random: Random) -> list[Addressed]:
        event = Event(
            id=f"whe_{random.getrandbits(128):032x}",
            at=work.ends_at,
            task_id=work.id,
            duration=None if work.error else work.video.duration,
        )
        delay = LATE_PACES * self._pace if work.source.behaviour.late else 0.0
        return self._webhooks.plan(event, knobs=work.source.knobs, delay=delay, random=random)

    async def _run(self, work: Work, callbacks: Sequence[Addressed]) -> None:
        await asyncio.sleep(work.pace)
        work.ended = True
        await self._webhooks.send(callbacks)


def new_id(random: Random) -> str:
    """An id in the shape that was seen in public: 69a482a37f90675e73cec9a6."""
    return f"69{random.getrandbits(88):022x}"


def new_video(filename: str, random: Random) -> Video:
    return Video(filename=filename, duration=round(random.uniform(10, 600), 2), size=random.randrange(10**6, 10**8))
