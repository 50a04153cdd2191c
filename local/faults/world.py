"""A deployed stack in memory: events in the order of a virtual clock, and the real handlers at work on them."""

import heapq
import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from video_jobs.notifications import signing

from local.faults import functions
from local.faults.aws import Aws
from local.faults.deployment import ACCOUNT, REGION, TABLE, Source, deployment
from local.faults.dynamodb import Table
from local.faults.platforms import border
from local.faults.platforms.border import HttpAnswer
from local.faults.points import Crashed, Fault, Kind, Point
from local.faults.queues import Message, Queue
from local.faults.timing import START, Clock

DAYS = 86400
LONGEST_RUN = 3 * DAYS
"""Seconds after which whatever is still due never ends."""
AWS_SECONDS = 0.004
PLATFORM_SECONDS = 0.2
LATE_SECONDS = 3600
HOSTS = {
    "api.videodb.io": "videodb",
    "api.twelvelabs.io": "twelvelabs",
    "ws.api.video": "apivideo",
}
"""Whose address it is, by the template's defaults."""
CALLBACK_KEY = "a-callback-key"
API_KEY = "an-api-key"
SECRETS: Mapping[str, Mapping[str, str]] = {
    "CALLBACK_KEYS_SECRET": {"current": CALLBACK_KEY},
    "API_KEYS_SECRET": {"default": API_KEY},
    "VIDEODB_API_KEY_SECRET": {"api_key": "sk-test"},
    "TWELVELABS_SECRET": {"api_key": "tlk_test", "webhook": "whs_test"},
    "APIVIDEO_SECRET": {"api_key": "av-test", "webhook_test": "sig_sec_test"},
    "APSARAVIDEO_SECRET": {"access_key_id": "LTAI-test", "access_key_secret": "secret-test", "auth_key": "Key1Test"},
    "NOTIFY_SECRETS": {"current": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
}
"""By the variable that names each."""

type Sign = Callable[[bytes], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A service that does not answer from one moment to another, in seconds since the start."""

    service: str
    """"dynamodb": how the names of its points begin."""
    begins: float
    ends: float

    @property
    def hours(self) -> float:
        return (self.ends - self.begins) / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """A part of all calls goes wrong, for some hours."""

    seed: int
    part: float
    seconds: float
    faults: tuple[Fault, ...]
    kinds: tuple[Kind, ...] = (Kind.AWS,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A callback that was answered 200."""

    callback: str
    body: bytes
    job_id: str | None


@dataclass(eq=False)
class World:
    """One run. Everything in it happens in one thread; whoever comes between another's calls does so in its stead."""

    seed: int = 0
    faults: Mapping[int, Fault] = field(default_factory=dict)
    """What goes wrong, by the number of the call."""
    between: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    """Who comes before a call, by its number."""
    outages: Sequence[Outage] = ()
    deaf: bool = False
    """Whether no callback arrives."""
    storm: "Storm | None" = None

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.points: list[Point] = []
        self.accepted: list[Accepted] = []
        self.bus: list[dict[str, Any]] = []
        """Notifications that the bus has got: `id`, `type`, `timestamp` and `data`."""
        self.posted: list[dict[str, Any]] = []
        """Notifications that a URL has got, with their `id`."""
        self.notes: list[str] = []
        """What nobody may do, and somebody did."""
        self.platforms: dict[str, Any] = {}
        self.answers: list[tuple[str, str, int]] = []
        """How the API has answered people: method, path and status."""
        self.started: dict[str, str] = {}
        """Jobs that people have started, by their Idempotency-Keys."""
        self.batches: dict[str, str] = {}
        self.listeners: list[Callable[[dict[str, Any]], object]] = []
        """Who hears what the bus is told: {"id", "type", "timestamp", "data"}."""
        self._events: list[tuple[int, int, Callable[[], object], bool]] = []
        self._order = itertools.count()
        self._actors: list[str] = ["platform"]
        self._until: list[float] = [float("inf")]
        self._swept_at = START
        self._ids = random.Random(self.seed)
        self._chance = random.Random(f"{self.storm.seed if self.storm else 0} storm")
        self.flaky: dict[str, int] = {}
        """How many of a platform's next submissions are answered 503."""
        self._deployed = deployment()
        self.queues = self._deployed.queues()
        table = Table(name=TABLE, indexes=self._deployed.indexes)
        self.aws = Aws(table=table, queues=self.queues, clock=self.clock, making=self.making, told=self._told)
        for variable, name in self._deployed.secrets.items():
            self.aws.secrets[name] = json.dumps(SECRETS[variable])
        self.processes = functions.Processes()

    # --- Points ---

    def making(self, kind: Kind, name: str, *, writes: bool = False, conditional: bool = False) -> Fault | None:
        """Note a call that is about to be made; what goes wrong with it."""
        number = len(self.points)
        self.points.append(
            Point(
                number=number,
                kind=kind,
                name=name,
                actor=self._actors[-1],
                at=self.clock.now - START,
                writes=writes,
                conditional=conditional,
            )
        )
        self.clock.wait(PLATFORM_SECONDS if kind == Kind.PLATFORM else AWS_SECONDS)
        if number in self.between:
            self.between[number]()
        if self.clock.now > self._until[-1]:
            raise Crashed  # Lambda does not wait for longer
        return self.faults.get(number) or self._outage(name) or self._flake(kind, name) or self._storm(kind)

    def _outage(self, name: str) -> Fault | None:
        since = (self.clock.now - START) / 1000
        away = any(one.begins <= since < one.ends and name.startswith(one.service) for one in self.outages)
        return Fault.UNAVAILABLE if away else None

    def _flake(self, kind: Kind, name: str) -> Fault | None:
        """A platform's first answers may be that it is unavailable."""
        platform = name.split()[0]
        if kind != Kind.PLATFORM or not self.flaky.get(platform) or " GET " in name or "GetURL" in name:
            return None
        self.flaky[platform] -= 1
        return Fault.UNAVAILABLE

    def _storm(self, kind: Kind) -> Fault | None:
        """Much goes wrong at once, for some hours, by chance."""
        point = self.points[-1]
        if self.storm is None or kind not in self.storm.kinds or self.clock.now - START > self.storm.seconds * 1000:
            return None
        if self._chance.random() >= self.storm.part:
            return None
        found = [fault for fault in point.faults if fault in self.storm.faults]
        return self._chance.choice(found) if found else None

    # --- Functions ---

    def invoke(self, folder: str, event: Mapping[str, Any]) -> Any:
        """What a function answers. Raises Crashed if it is stopped, and whatever it raises."""
        function = self._deployed.functions[folder]
        depth = sum(actor != "platform" for actor in self._actors)
        self._actors.append(folder)
        self._until.append(self.clock.now + function.timeout * 1000)
        try:
            with self.processes.running(function, depth) as handler:
                return handler(dict(event), Context(self, self._until[-1]))
        finally:
            self._actors.pop()
            self._until.pop()

    def act(self, name: str, what: Callable[[], object]) -> bool:
        """Have somebody do something that is no function of the stack's; False if it broke off."""
        self._actors.append(name)
        try:
            what()
        except Crashed:
            return False
        finally:
            self._actors.pop()
        return True

    # --- Callbacks ---

    def call_back(
        self,
        url: str,
        body: bytes,
        *,
        sign: Sign = lambda _body: {},
        again: Sequence[float] = (),
        after: float = 0.0,
        first: Callable[[], object] = lambda: None,
    ) -> None:
        """Have a platform call back after so many seconds, and again after each of `again` if it is not taken.

        `first`: what has happened at the platform by then, however early it is.
        """

        def calls() -> None:
            first()
            self._call_back(url, body, sign, again)

        self.at(after, calls, callback=True)

    def _call_back(self, url: str, body: bytes, sign: Sign, again: Sequence[float]) -> None:
        self._actors.append("platform")
        try:
            fault = self.making(Kind.CALLBACK, f"callback {urlsplit(url).path}")
        finally:
            self._actors.pop()
        if self.deaf or fault == Fault.DROPPED:
            return
        if fault == Fault.LATE:
            self.at(LATE_SECONDS, lambda: self.deliver(url, body, sign, again))
            return
        self.deliver(url, body, sign, again)
        if fault == Fault.SENT_TWICE:
            self.deliver(url, body, sign, again)

    def deliver(self, url: str, body: bytes, sign: Sign, again: Sequence[float] = ()) -> int:
        """Send a callback once; how it was answered, 0 if not at all."""
        parts = urlsplit(url)
        folder = self._deployed.routes[parts.path]
        event = http_event("POST", parts.path, body.decode(), query=parts.query, headers=sign(body), at=self.clock.now)
        try:
            status = int(self.invoke(folder, event)["statusCode"])
        except Crashed:
            status = 0
        if status == 200:
            query = dict(part.split("=") for part in parts.query.split("&") if part)
            self.accepted.append(Accepted(callback=folder, body=body, job_id=query.get("job")))
        elif again:
            self.at(again[0], lambda: self.deliver(url, body, sign, again[1:]))
        return status

    # --- Platforms and receivers ---

    def platform_call(
        self, method: str, url: str, *, body: Any = None, fields: Any = None, headers: Any = None, **_more: Any
    ) -> HttpAnswer:
        """What urllib3 does."""
        name = HOSTS[urlsplit(url).netloc]
        request = border.asked(method, url, body, fields, headers)
        return border.over_http(self.making, self.clock.wait, name, self.platforms[name], request)

    def vod(self, *_access_key: str) -> Any:
        """What Alibaba's SDK is for VOD."""
        return self.platforms["apsaravideo"].sdk()

    def post(self, to: Any, body: bytes, headers: Mapping[str, str], **_more: Any) -> Any:
        """Deliver a notification to a URL."""
        fault = self.making(Kind.PLATFORM, f"receiver POST {to.target}")
        if fault in (Fault.CRASH_BEFORE, Fault.THROTTLED, Fault.UNAVAILABLE):
            if fault == Fault.CRASH_BEFORE:
                raise Crashed
            return SimpleNamespace(status=503, ok=False, retry_after=None)
        self.posted.append({"id": headers["webhook-id"], **json.loads(body)})
        if fault == Fault.CRASH_AFTER:
            raise Crashed
        if fault == Fault.ANSWER_LOST:
            raise signing.NoAnswerError("no answer in time")
        return SimpleNamespace(status=200, ok=True, retry_after=None)

    def _told(self, detail: str) -> None:
        event = json.loads(detail)
        self.bus.append(event)
        for hears in self.listeners:
            hears(event)

    def api_of(self, path: str) -> str:
        """The folder of the function that answers people."""
        first = path.split("/")[1]
        return f"{first}/api" if first in ("twelvelabs", "apivideo") else "api"

    # --- Time ---

    def at(self, after: float, what: Callable[[], object], *, callback: bool = False) -> None:
        """Have something happen so many seconds from now. `callback`: it is a platform that calls back."""
        heapq.heappush(self._events, (self.clock.now + round(after * 1000), next(self._order), what, callback))

    def next_callback(self) -> bool:
        """Have the next callback of a platform come now; False if none is to come."""
        found = min((event for event in self._events if event[3]), default=None)
        if found is None:
            return False
        self._events.remove(found)
        heapq.heapify(self._events)
        found[2]()
        return True

    def run(self, *, seconds: float = LONGEST_RUN) -> bool:
        """Let time pass until nothing is due; False if something still is after so many seconds."""
        until = self.clock.now + round(seconds * 1000)
        while (found := self._next()) is not None:
            moment, what = found
            if moment > until:
                return False
            self.clock.now = max(self.clock.now, moment)
            what()
        return True

    def _next(self) -> tuple[int, Callable[[], object]] | None:
        """What is due next, and when."""
        due: list[tuple[int, int, Callable[[], object]]] = []
        if self._events:
            due.append((self._events[0][0], 0, self._happen))
        for number, source in enumerate(self._deployed.sources, start=1):
            queue = self.queues[source.queue]
            if (at := queue.next_at) is not None:
                due.append((at, number, partial(self._hand_over, source, queue)))
        if (at := self._next_sweep()) is not None:
            due.append((at, len(due) + 100, self._sweep))
        if not due:
            return None
        moment, _, what = min(due, key=lambda one: one[:2])
        return moment, what

    def _happen(self) -> None:
        heapq.heappop(self._events)[2]()

    def _hand_over(self, source: Source, queue: Queue) -> None:
        messages = queue.receive(now=self.clock.now, most=source.most)
        if messages:
            self.hand_over(source, queue, messages)

    def hand_over(self, source: Source, queue: Queue, messages: Sequence[Message]) -> None:
        """Invoke a function with messages; what it has done with is gone from its queue."""
        fault = self.making(Kind.DELIVERY, f"delivery {source.queue}")
        try:
            answer = self.invoke(source.function, sqs_event(messages, source.queue))
        except (Crashed, Exception) as error:  # Lambda takes it so: all of them come again
            if not isinstance(error, Crashed) and len(self.notes) < 10:
                self.notes.append(f"{source.function} raised {type(error).__name__}: {error}")
            return
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        if fault != Fault.SENT_TWICE:
            queue.delete(message for message in messages if message.message_id not in failed)
        else:
            for message in messages:
                message.visible_at = self.clock.now

    def source(self, function: str) -> Source:
        """What hands messages to a function."""
        return next(source for source in self._deployed.sources if source.function == function)

    # --- The sweep: one that would find nothing is left out ---

    def _next_sweep(self) -> int | None:
        due = [moment for item in self.aws.table.items.values() if (moment := _due(item)) is not None]
        if not due:
            return None
        every = self._deployed.scheduled["pipeline/sweep"] * 1000
        from_then = max(min(due), self._swept_at + 1, self.clock.now)
        return START + -(-(from_then - START) // every) * every

    def _sweep(self) -> None:
        self._swept_at = self.clock.now
        self.sweep()

    def sweep(self) -> None:
        try:
            self.invoke("pipeline/sweep", {})
        except Crashed:
            pass
        except Exception as error:  # the alarm on its errors; the next one tries again
            if not self.outages and not self.faults:
                self.notes.append(f"the sweep raised {type(error).__name__}: {error}")

    # --- What there is ---

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Within it nothing goes wrong, and no call is noted."""
        kept = self.points, self.faults, self.outages, self.between, self.storm
        self.points, self.faults, self.outages, self.between, self.storm = [], {}, (), {}, None
        try:
            with functions.in_environment(self._deployed.functions["api"]):
                yield
        finally:
            self.points, self.faults, self.outages, self.between, self.storm = kept

    def next_id(self) -> str:
        """An id as good as a random one, and the same in each run."""
        return f"{self._ids.getrandbits(96):024x}"

    def dead_letters(self) -> dict[str, int]:
        ends = {queue.dead_letters.name for queue in self.queues.values() if queue.dead_letters}
        return {name: len(self.queues[name].messages) for name in ends if self.queues[name].messages}


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "function"
    memory_limit_in_mb = 1024
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, world: World, until: float) -> None:
        self._world = world
        self._until = until

    def get_remaining_time_in_millis(self) -> int:
        return max(int(self._until - self._world.clock.now), 0)


def http_event(
    method: str, path: str, body: str | None, *, query: str = "", headers: Mapping[str, str], at: int
) -> dict[str, Any]:
    """A request as an HTTP API hands it over."""
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **headers},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1", "userAgent": ""},
            "stage": "$default",
            "requestId": "id",
            "timeEpoch": at,
        },
        "body": body,
        "isBase64Encoded": False,
    }


def sqs_event(messages: Sequence[Message], queue: str) -> dict[str, Any]:
    """Messages as an event source hands them over."""
    return {
        "Records": [
            {
                "messageId": message.message_id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": str(message.received),
                    "SentTimestamp": str(message.sent_at),
                    **({"MessageGroupId": message.group} if message.group else {}),
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
                "awsRegion": REGION,
            }
            for message in messages
        ]
    }


def _due(item: Mapping[str, Any]) -> int | None:
    """When a sweep would find an item, in milliseconds since 1970."""
    if "due_at" not in item or "shard" not in item:
        return None
    return functions.from_iso(item["due_at"]["S"])
