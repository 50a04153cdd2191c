"""How far VideoDB is with the media files that it was given."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from local.platforms.courier import Callback, Courier, Line, plan_callback
from local.platforms.knobs import Fault, Knobs
from local.platforms.videodb import payloads
from local.platforms.videodb.behaviour import Source
from local.platforms.videodb.payloads import Kind, Step

LATE_PACES = 40

type Fields = Mapping[str, object]
type Status = Literal["processing", "done", "failed"]


@dataclass(eq=False, kw_only=True)
class Job:
    """Work on a media file. What it will come to is settled when it begins."""

    id: str
    step: Step
    made: str  # the id of what the step makes: a media file, an index, a collection of scenes
    asked: Fields | None  # the request's fields; None for what the media file brought along
    body: bytes  # the callback's, and what polling answers in the end
    succeeds: bool
    takes: float  # seconds
    callback: Callback | None
    began: float = field(default_factory=time.monotonic)
    ended: bool = False

    @property
    def status(self) -> Status:
        if not self.ended:
            return "processing"
        return "done" if self.succeeds else "failed"

    @property
    def percentage(self) -> int:
        return min(99, int(100 * (time.monotonic() - self.began) / self.takes)) if self.takes else 99

    @property
    def outcome(self) -> dict[str, Any]:
        """The body, read: `success`, and `data` or `message`."""
        outcome: dict[str, Any] = json.loads(self.body)
        return outcome


@dataclass(eq=False, kw_only=True)
class Media:
    """A video, audio or image file, and every job that was done on it, oldest first."""

    id: str
    kind: Kind
    source: Source
    jobs: list[Job] = field(default_factory=list)
    line: Line = field(default_factory=Line)

    def jobs_of(self, step: Step) -> list[Job]:
        return [job for job in self.jobs if job.step is step]

    def made(self, step: Step, made: str) -> Job | None:
        return next((job for job in self.jobs_of(step) if job.made == made), None)

    def existing(self, step: Step, asked: Fields) -> Job | None:
        """The finished job that makes this request superfluous: only `force` lets VideoDB do the same work again."""
        done = [job for job in self.jobs_of(step) if job.status == "done" and is_same_work(job, asked)]
        return done[-1] if done and not asked.get("force") else None


def is_same_work(job: Job, asked: Fields) -> bool:
    # a video has one index of spoken words, but a scene index and a collection of scenes for every configuration
    if job.step is Step.INDEX_SPOKEN_WORDS or job.asked is None:
        return True
    return essence(job.asked) == essence(asked)


def essence(asked: Fields) -> dict[str, object]:
    """What a request asks for, without how."""
    return {name: value for name, value in asked.items() if name not in ("callback_url", "force")}


class Studio:
    """Begins jobs, lets time pass over them, calls back about their end. Everything in it happens on one event loop.

    A job has begun when `upload` or `work` returns; that of an `early` source has ended, and has called back.
    """

    def __init__(self, *, seed: int, pace: float, knobs: Knobs, courier: Courier) -> None:
        self.knobs = knobs
        self.jobs: dict[str, Job] = {}
        self._seed = seed
        self._pace = pace
        self._courier = courier
        self._media: dict[str, Media] = {}
        self._submits: Counter[tuple[Step, str]] = Counter()
        self._accepted: Counter[tuple[Step, str]] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    def find(self, kind: Kind, media_id: str) -> Media | None:
        media = self._media.get(media_id)
        return media if media and media.kind is kind else None

    def next_fault(self, step: Step, subject: str, source: Source) -> Fault | None:
        """How this submit must be answered; None if it is accepted. Submits are counted a step and subject."""
        number = self._submits[step, subject]
        self._submits[step, subject] += 1
        return source.fault(step, number)

    async def upload(self, source: Source, *, collection_id: str, asked: Fields) -> Job:
        random = self._random(Step.UPLOAD, source.url)
        kind = source.kind or Kind.VIDEO  # no kind means that the upload fails, so that it makes no difference
        media = Media(id=payloads.new_media_id(kind, random), kind=kind, source=source)
        error = source.upload_error(text(asked, "media_type"))
        done = payloads.uploaded(kind, media.id, collection_id, text(asked, "name"))
        return await self._begin(Step.UPLOAD, media, asked, made=media.id, done=done, error=error, random=random)

    async def work(self, step: Step, media: Media, asked: Fields) -> Job:
        """An index or an extraction."""
        random = self._random(step, media.id)
        made = f"{random.getrandbits(64):016x}"
        error = media.source.behaviour.fails.get(step)
        done = success_body(step, media.id, made, asked)
        return await self._begin(step, media, asked, made=made, done=done, error=error, random=random)

    def close(self) -> None:
        for task in self._running:
            task.cancel()
        self._courier.close()

    def _random(self, step: Step, subject: str) -> Random:
        """Chance for one job. A run repeats because it hangs on what is asked, and not on who asks first."""
        number = self._accepted[step, subject]
        self._accepted[step, subject] += 1
        return Random(f"{self._seed} {step} {subject} {number}")

    async def _begin(
        self, step: Step, media: Media, asked: Fields, *, made: str, done: bytes, error: str | None, random: Random
    ) -> Job:
        body = done if error is None else payloads.failed(error)
        job = Job(
            id=f"job-{random.getrandbits(48):012x}",
            step=step,
            made=made,
            asked=asked,
            body=body,
            succeeds=error is None,
            takes=self._duration(step, media.source, random),
            callback=self._callback(media.source, asked, body, random),
        )
        self.jobs[job.id] = job
        media.jobs.append(job)
        await self._start(job, media)
        return job

    def _duration(self, step: Step, source: Source, random: Random) -> float:
        takes = self._pace * random.uniform(0.8, 1.2)
        if step in source.behaviour.stalls:
            return math.inf
        return 0.0 if source.behaviour.early else takes

    def _callback(self, source: Source, asked: Fields, body: bytes, random: Random) -> Callback | None:
        url = text(asked, "callback_url")
        delay = LATE_PACES * self._pace if source.behaviour.late else 0.0
        return plan_callback(url, body, knobs=source.knobs, delay=delay, random=random) if url else None

    async def _start(self, job: Job, media: Media) -> None:
        if job.takes == math.inf:
            return
        media.line.to_come += job.callback is not None
        if media.source.behaviour.early:
            await self._run(job, media)
            return
        task = asyncio.create_task(self._run(job, media))
        self._running.add(task)  # the event loop alone would let it be collected
        task.add_done_callback(self._running.discard)

    async def _run(self, job: Job, media: Media) -> None:
        await asyncio.sleep(job.takes)
        job.ended = True
        if job.step is Step.UPLOAD and job.succeeds:
            self._admit(media)
        if job.callback:
            await self._courier.deliver(job.callback, media.line)

    def _admit(self, media: Media) -> None:
        self._media[media.id] = media
        media.jobs += [self._brought(step, media.id) for step in sorted(media.source.behaviour.brings)]

    def _brought(self, step: Step, media_id: str) -> Job:
        random = self._random(step, media_id)
        made = f"{random.getrandbits(64):016x}"
        body = success_body(step, media_id, made, {})
        return Job(
            id="", step=step, made=made, asked=None, body=body, succeeds=True, takes=0.0, callback=None, ended=True
        )


def success_body(step: Step, media_id: str, made: str, asked: Fields) -> bytes:
    match step:
        case Step.INDEX_SCENES:
            return payloads.scenes_indexed(made)
        case Step.EXTRACT_SCENES:
            return payloads.scenes_extracted(made, essence(asked))
        case _:
            return payloads.spoken_words_indexed(media_id)


def text(asked: Fields, name: str) -> str | None:
    """A field that is a string; the SDK sends null for what its caller did not give."""
    value = asked.get(name)
    return value if isinstance(value, str) else None
