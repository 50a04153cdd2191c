"""The videos of the account, and how far api.video is with them."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

from local.platforms.apivideo.behaviour import Source, Stuck
from local.platforms.apivideo.encoding import Plan, Rendition, plan_encoding
from local.platforms.apivideo.events import SAMPLES, Event, EventType
from local.platforms.apivideo.ids import new_id
from local.platforms.apivideo.webhooks import Lines, Webhooks
from local.platforms.courier import Courier
from local.platforms.knobs import Fault, Knobs

LATE_PACES = 40
INGEST_SHARE = 0.2  # of the time that a video takes
# how long the answer to an `early` submit waits for its callbacks: each has been tried once by then
EARLY_SECONDS = 2.0

# what an upload whose size nobody knows counts as; the guide's printed filesize
FILESIZE = 23037467

type Fields = Mapping[str, Any]
type Origin = Literal["url", "upload"]

# printed: which words belong to which origin. That an upload does not become ingested is inferred
INGEST: Mapping[Origin, tuple[str, ...]] = {"url": ("ingesting", "ingested"), "upload": ("uploading", "uploaded")}


@dataclass(eq=False, kw_only=True)
class Upload:
    """What came of a video's file. `total`: how many parts there will be, as far as it is known."""

    parts: dict[int, int] = field(default_factory=dict)  # the number of a part, from 1, and its size in bytes
    total: int | None = None

    @property
    def complete(self) -> bool:
        return self.total is not None and len(self.parts) == self.total


@dataclass(eq=False, kw_only=True)
class Video:
    """`fields` are those of the request, checked. A video without a source has no plan, and nothing happens to it."""

    id: str
    fields: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    source: Source | None = None
    origin: Origin = "url"
    upload: Upload = field(default_factory=Upload)
    ingest: str | None = None
    ingested: bool = False
    plan: Plan = field(default_factory=lambda: Plan((), ()))
    lines: Lines = field(default_factory=lambda: Lines([]))
    pace: float = 0.0  # seconds that everything takes
    sent: list[asyncio.Task[None]] = field(default_factory=list)
    running: asyncio.Task[None] | None = None

    @property
    def playable(self) -> bool:
        return any(rendition.status == "encoded" for rendition in self.plan.listed)

    @property
    def filesize(self) -> int | None:
        if self.origin == "upload":
            return sum(self.upload.parts.values()) or None
        return FILESIZE if self.ingested else None


class Studio:
    """Begins work, lets time pass over it, calls back about it. Everything in it happens on one event loop.

    All keys belong to one account, so that there is one of these.
    """

    def __init__(self, *, seed: int, pace: float, knobs: Knobs, courier: Courier) -> None:
        self.knobs = knobs
        self.videos: dict[str, Video] = {}  # oldest first
        self.webhooks = Webhooks(courier, seed=seed)
        self._courier = courier
        self._seed = seed
        self._pace = pace
        self._submits: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> bool:
        return not self._running

    def next_fault(self, source: Source) -> Fault | None:
        """How this submit must be answered; None if it is accepted. Submits are counted a source."""
        number = self._submits[source.url]
        self._submits[source.url] += 1
        return source.fault(number)

    def is_first(self, source: Source) -> bool:
        """Whether one submit of the source was accepted so far."""
        return self._accepted[source.url] == 1

    async def create(self, fields: dict[str, Any], source: Source | None) -> Video:
        random = self._random(source.url if source else fields["title"])
        now = datetime.now(UTC)
        video = Video(id=new_id("vi", random), fields=fields, created_at=now, updated_at=now)
        self.videos[video.id] = video
        if source:
            await self._start(video, source, random)
        return video

    async def receive(self, video: Video, source: Source, *, part: int, total: int | None, size: int) -> None:
        """A part of the video's file, or all of it."""
        if not video.upload.parts:
            video.origin, video.ingest = "upload", INGEST["upload"][0]
        video.upload.parts[part] = size
        video.upload.total = total or video.upload.total
        if video.upload.complete:
            await self._start(video, source, self._random(f"{video.id} {source.url}"))

    def delete(self, video: Video) -> None:
        """What is on its way to webhooks arrives nevertheless."""
        del self.videos[video.id]
        if video.running:
            video.running.cancel()

    def emit(self, event: Event) -> None:
        """Tells of something that no video's work leads to."""
        number = self._accepted[event.type]
        self._accepted[event.type] += 1
        chance = f"{event.type} {number}"
        self._keep(*self.webhooks.send(event, lines=Lines([event.type]), knobs=self.knobs, delay=0, chance=chance))

    def close(self) -> None:
        for task in self._running:
            task.cancel()
        self._courier.close()

    def _random(self, subject: str) -> Random:
        """Chance for one video. A run repeats because it hangs on what is asked, and not on who asks first."""
        number = self._accepted[subject]
        self._accepted[subject] += 1
        return Random(f"{self._seed} {subject} {number}")

    async def _start(self, video: Video, source: Source, random: Random) -> None:
        video.source = source
        video.pace = 0.0 if source.behaviour.early else self._pace * random.uniform(0.8, 1.2)
        plan = plan_encoding(source, mp4_support=video.fields.get("mp4Support", True), random=random)
        extras = speech_events(video, random)
        completed = [EventType.QUALITY_COMPLETED] * len(plan.called_back())
        video.lines = Lines([*completed, *(event.type for event in extras)])
        words = source.behaviour.ingest or INGEST[video.origin]
        video.ingest = words[0]
        if source.behaviour.stuck is Stuck.INGEST:
            return
        run = self._run(video, words, plan, extras)
        if source.behaviour.early:
            await run
            if video.sent:
                await asyncio.wait(video.sent, timeout=EARLY_SECONDS)
            return
        video.running = asyncio.create_task(run)
        self._keep(video.running)

    async def _run(self, video: Video, words: tuple[str, ...], plan: Plan, extras: list[Event]) -> None:
        for word in words[:-1]:
            video.ingest = word
            await asyncio.sleep(INGEST_SHARE * video.pace / (len(words) - 1))
        video.ingest, video.ingested, video.plan = words[-1], True, plan
        for position, rendition in enumerate(plan.order):
            plan.encode_next(position)
            if rendition.outcome is None:
                return
            await asyncio.sleep((1 - INGEST_SHARE) * video.pace / len(plan.order))
            rendition.status = rendition.outcome
            if rendition.outcome == "encoded":
                self._tell(video, quality_completed(video, rendition))
        for event in extras:
            self._tell(video, event)

    def _tell(self, video: Video, event: Event) -> None:
        if video.source is None:
            raise RuntimeError("only the work on a source is called back about")
        delay = LATE_PACES * self._pace if video.source.behaviour.late else 0.0
        chance = " ".join((event.type, *event.fields.values()))
        tasks = self.webhooks.send(event, lines=video.lines, knobs=video.source.knobs, delay=delay, chance=chance)
        video.sent += tasks
        self._keep(*tasks)

    def _keep(self, *tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            self._running.add(task)  # the event loop alone would let it be collected
            task.add_done_callback(self._running.discard)


def quality_completed(video: Video, rendition: Rendition) -> Event:
    behaviour = video.source.behaviour if video.source else None
    upper, live = (behaviour.upper_case, behaviour.live) if behaviour else (False, False)
    encoding = rendition.encoding.upper() if upper else rendition.encoding
    live_stream = {"liveStreamId": SAMPLES[EventType.RECORDED]["liveStreamId"]} if live else {}
    fields = {"videoId": video.id, **live_stream, "encoding": encoding, "quality": rendition.quality}
    return Event(EventType.QUALITY_COMPLETED, fields)


def speech_events(video: Video, random: Random) -> list[Event]:
    """What the request or the source wants to know of the speech. Printed: the events; inferred: when they come."""
    behaviour = video.source.behaviour if video.source else None
    caption_id, summary_id = new_id("caption_", random), new_id("summary_", random)
    language = video.fields.get("language") or "en"
    events = []
    if video.fields.get("transcript") or (behaviour and behaviour.transcript):
        caption = {"captionId": caption_id, "generationMode": "transcript", "language": language}
        events.append(Event(EventType.CAPTION_GENERATED, {"videoId": video.id, **caption}))
    if video.fields.get("transcriptSummary") or (behaviour and behaviour.summary):
        events.append(Event(EventType.SUMMARY_GENERATED, {"videoId": video.id, "summaryId": summary_id}))
    return events
