"""How far VOD is with the uploads that it was asked for, and whom it calls back."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Literal, Protocol

from local.platforms.apsaravideo import payloads, signatures
from local.platforms.apsaravideo.behaviour import Source, Status, UploadError, extension
from local.platforms.courier import Callback, Courier, Headers, Line, plan_callback, unsigned
from local.platforms.knobs import Fault, Knobs

LATE_PACES = 40
NO_TRANSCODING = "VOD_NO_TRANSCODE"  # the template group that comes with every account

# when, as a part of the whole, an upload reaches each status
COURSE: Sequence[tuple[float, Status]] = (
    (0.0, "PENDING"),
    (0.2, "PROCESSING"),
    (0.4, "DOWNLOADING"),
    (0.7, "DOWNLOAD_SUCCESS"),
    (0.8, "UPLOADING"),
)


class Mailbox(Protocol):
    """A queue, as VOD sees it."""

    def put(self, body: bytes, *, ahead: bool = False) -> None: ...


@dataclass(frozen=True, kw_only=True)
class MessageCallback:
    """What SetMessageCallback set for an application; the names are its parameters'."""

    callback_type: Literal["HTTP", "MNS"]
    callback_url: str | None = None
    event_type_list: str = ""
    auth_switch: Literal["on", "off"] = "off"
    auth_key: str | None = None
    mns_endpoint: str | None = None
    mns_queue_name: str | None = None

    def wants(self, event: str) -> bool:
        wanted = [one.strip() for one in self.event_type_list.split(",")]
        return wanted == ["ALL"] or event in wanted

    def sign(self, url: str) -> Headers:
        """That a callback to a job's own URL is signed with that URL is inferred."""
        if self.auth_switch == "off" or not self.auth_key:
            return unsigned
        key = self.auth_key

        def signed(_: bytes) -> Mapping[str, str]:
            now = int(time.time())
            return {"X-VOD-TIMESTAMP": str(now), "X-VOD-SIGNATURE": signatures.callback(url, now, key)}

        return signed

    def as_parameters(self) -> dict[str, object]:
        given = {
            "CallbackType": self.callback_type,
            "CallbackURL": self.callback_url,
            "EventTypeList": self.event_type_list,
            "AuthSwitch": self.auth_switch,
            "AuthKey": self.auth_key,
            "MnsEndpoint": self.mns_endpoint,
            "MnsQueueName": self.mns_queue_name,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class UserData:
    """The parameter UserData, understood. `extend` is what events give back: a string, of JSON if it was an object."""

    text: str | None = None
    callback_url: str | None = None
    extend: str | None = None


def read_user_data(text: str | None) -> UserData:
    """Raises ValueError for what is no JSON object, and for an Extend of more than 512 bytes."""
    if text is None:
        return UserData()
    given = as_object(text)
    callback = given.get("MessageCallback") or {}
    callback = as_object(callback) if isinstance(callback, str) else callback
    url = callback.get("CallbackURL") if isinstance(callback, dict) else None
    extend = given.get("Extend")
    if extend is not None and not isinstance(extend, str):
        extend = json.dumps(extend, ensure_ascii=False, separators=(",", ":"))
    if extend is not None and len(extend.encode()) > 512:
        raise ValueError("Extend is too long")
    return UserData(text=text, callback_url=url if isinstance(url, str) else None, extend=extend)


def as_object(text: str) -> dict[str, object]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(eq=False, kw_only=True)
class Job:
    """An upload. What chance decides of it is settled when it begins."""

    id: str
    source: Source
    app_id: str
    user_data: UserData
    video_id: str  # a new one for each upload; a stream's is that of the video that it belongs to
    file_url: str
    size: int  # bytes
    is_stream: bool
    transcodes: bool
    takes: float  # seconds
    chance: Random
    began: float = field(default_factory=time.monotonic)
    created: str = field(default_factory=timestamp)
    completed: str | None = None
    settled: Status | None = None
    error: UploadError | None = None
    line: Line = field(default_factory=Line)

    @property
    def status(self) -> Status:
        if self.settled is not None:
            return self.settled
        progress = (time.monotonic() - self.began) / self.takes if self.takes else 1.0
        reached = [status for share, status in COURSE if share <= progress]
        return "DOWNLOADING" if self.source.behaviour.stuck and progress >= 0.4 else reached[-1]

    def settle(self, status: Status, error: UploadError | None = None) -> None:
        self.settled, self.error, self.completed = status, error, timestamp()


class Studio:
    """Begins uploads, lets time pass over them, calls back about their end. Everything in it happens on one event loop.

    A job has begun when `upload` returns; that of an `early` source has ended, and was called back about.
    """

    def __init__(
        self, *, seed: int, pace: float, knobs: Knobs, courier: Courier, mailboxes: Mapping[str, Mailbox]
    ) -> None:
        self.knobs = knobs
        self.jobs: dict[str, Job] = {}
        self.videos: dict[str, Job] = {}
        self.callbacks: dict[str, MessageCallback] = {}  # by application
        self._seed = seed
        self._pace = pace
        self._courier = courier
        self._mailboxes = mailboxes
        self._submits: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    def jobs_of(self, url: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.source.url == url]

    def next_fault(self, source: Source) -> Fault | None:
        """How this submit must be answered; None if it is accepted. Submits are counted a source URL."""
        number = self._submits[source.url]
        self._submits[source.url] += 1
        return source.fault(number)

    def upload(self, source: Source, *, app_id: str, user_data: UserData, transcodes: bool) -> Job:
        return self._new_job(source, app_id=app_id, user_data=user_data, transcodes=transcodes, video_id=None)

    def upload_stream(self, source: Source, *, app_id: str, user_data: UserData, video_id: str) -> Job:
        return self._new_job(source, app_id=app_id, user_data=user_data, transcodes=False, video_id=video_id)

    async def begin(self, jobs: Sequence[Job]) -> None:
        """Returns when the early ones among the jobs have been called back about."""
        early = [job for job in jobs if job.source.behaviour.early]
        for job in jobs:
            if not job.source.behaviour.stuck and job not in early:
                self._in_background(self._run(job))
        await asyncio.gather(*(self._run(job) for job in early))

    def close(self) -> None:
        for task in self._running:
            task.cancel()
        self._courier.close()

    def _new_job(
        self, source: Source, *, app_id: str, user_data: UserData, transcodes: bool, video_id: str | None
    ) -> Job:
        # chance hangs on what is asked, and not on who asks first, so that a run repeats
        number = self._accepted[source.url]
        self._accepted[source.url] += 1
        chance = Random(f"{self._seed} {source.url} {number}")
        job_id, new_video_id = payloads.new_id(chance), payloads.new_id(chance)
        of_video = video_id or new_video_id
        takes = self._pace * chance.uniform(0.8, 1.2)
        job = Job(
            id=job_id,
            source=source,
            app_id=app_id,
            user_data=user_data,
            video_id=of_video,
            file_url=payloads.stored_url(of_video, f"{job_id}.{extension(source.url) or 'mp4'}"),
            size=chance.randint(10_000, 100_000_000),
            is_stream=video_id is not None,
            transcodes=transcodes,
            takes=0.0 if source.behaviour.early else takes,
            chance=chance,
        )
        self.jobs[job.id] = job
        return job

    async def _run(self, job: Job) -> None:
        behaviour = job.source.behaviour
        await asyncio.sleep(job.takes)
        if behaviour.error and not behaviour.lies:
            job.settle(behaviour.error.status, behaviour.error)
            await self._tell(job, {payloads.UPLOAD_BY_URL: failure(job, behaviour.error)})
            if not behaviour.takes_back:
                return
            await asyncio.sleep(self._pace)
        await self._succeed(job)
        if job.transcodes:
            self._in_background(self._transcode(job))

    async def _succeed(self, job: Job) -> None:
        """Documented: the status is SUCCESS when the upload has worked and its callback is complete."""
        behaviour = job.source.behaviour
        self._settle_before_event(job)
        if not job.is_stream and job.error is None:
            self.videos[job.video_id] = job
        await self._tell(job, successes(job))
        if behaviour.lags:
            await asyncio.sleep(LATE_PACES * self._pace)
        if not behaviour.lies:
            job.settle("SUCCESS")

    def _settle_before_event(self, job: Job) -> None:
        behaviour, knobs = job.source.behaviour, job.source.knobs
        if behaviour.lies and behaviour.error:
            job.settle(behaviour.error.status, behaviour.error)
        elif behaviour.lags:
            job.settle("UPLOADING")
            job.completed = None
        else:
            # of a callback that must wait, polling does not wait for the end: inferred
            waits = behaviour.late or knobs.delay or knobs.reorder
            job.settle("SUCCESS" if waits else "UPLOAD_SUCCESS")

    async def _transcode(self, job: Job) -> None:
        await asyncio.sleep(self._pace)
        body = payloads.stream_transcoded(
            time=timestamp(),
            video_id=job.video_id,
            job_id=payloads.new_id(job.chance),
            file_url=payloads.stored_url(job.video_id, f"{job.id}-ld.m3u8"),
            size=job.size // 10,
            extend=job.user_data.extend,
        )
        await self._tell(job, {payloads.STREAM_TRANSCODE: payloads.as_json(body)})

    async def _tell(self, job: Job, events: Mapping[str, bytes]) -> None:
        """Sends what of the events the application wants, all at once; returns when every copy has been tried."""
        settings = self.callbacks.get(job.app_id)
        # without the setting of an application, a job's own CallbackURL has no effect: documented
        if settings is None:
            return
        wanted = [body for event, body in events.items() if settings.wants(event)]
        await asyncio.gather(*[self._deliver(job, settings, body) for body in wanted])

    def _deliver(self, job: Job, settings: MessageCallback, body: bytes) -> Awaitable[None]:
        delay = LATE_PACES * self._pace if job.source.behaviour.late else 0.0
        # An upload's own URL goes before the account's setting: documented. Whether it does before a queue, the
        # editions do not agree; a stack must not rely on either.
        if settings.callback_type == "MNS" and not job.user_data.callback_url:
            callback = plan_callback("", body, knobs=job.source.knobs, delay=delay, random=job.chance)
            return self._put(callback, self._mailboxes.get(settings.mns_queue_name or ""))
        url = job.user_data.callback_url or settings.callback_url or ""
        signed = settings.sign(url)
        callback = plan_callback(url, body, knobs=job.source.knobs, delay=delay, random=job.chance, headers=signed)
        job.line.to_come += 1
        return self._courier.deliver(callback, job.line)

    async def _put(self, callback: Callback, mailbox: Mailbox | None) -> None:
        """Documented: what cannot be put into the queue is dropped, without a word."""
        await asyncio.sleep(callback.delay)
        for body in callback.copies:
            if mailbox is not None and body is not None:
                mailbox.put(body, ahead=callback.reorder)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)  # the event loop alone would let it be collected
        task.add_done_callback(self._running.discard)


def successes(job: Job) -> dict[str, bytes]:
    """The events of an upload that has worked."""
    now = timestamp()
    if job.is_stream:
        return {payloads.UPLOAD_BY_URL: stream_event(job, "success", now)}
    stored = payloads.file_uploaded(
        time=now, video_id=job.video_id, file_url=job.file_url, size=job.size, extend=job.user_data.extend
    )
    return {payloads.FILE_UPLOAD: payloads.as_json(stored), payloads.UPLOAD_BY_URL: success(job, now)}


def success(job: Job, now: str) -> bytes:
    url = job.source.url
    if not job.source.behaviour.clean:
        return payloads.uploaded(time=now, video_id=job.video_id, job_id=job.id, source_url=url, size=job.size)
    return payloads.as_json(
        payloads.uploaded_clean(
            time=now,
            video_id=job.video_id,
            job_id=job.id,
            source_url=url,
            size=job.size,
            extend=job.user_data.extend,
        )
    )


def failure(job: Job, error: UploadError) -> bytes:
    now, url = timestamp(), job.source.url
    if job.is_stream:
        return stream_event(job, "fail", now)
    if not job.source.behaviour.clean:
        return payloads.failed(time=now, job_id=job.id, source_url=url, code=error.code, message=error.message)
    return payloads.as_json(
        payloads.failed_clean(
            time=now,
            job_id=job.id,
            source_url=url,
            code=error.code,
            message=error.message,
            extend=job.user_data.extend,
        )
    )


def stream_event(job: Job, status: str, now: str) -> bytes:
    return payloads.as_json(
        payloads.stream_uploaded(
            status=status,
            time=now,
            video_id=job.video_id,
            job_id=job.id,
            source_url=job.source.url,
            file_url=job.file_url,
            extend=job.user_data.extend,
        )
    )
