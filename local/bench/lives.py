"""Has jobs live through the real handlers, in memory and on a virtual clock, and counts what AWS would bill for them.

`python -m local.bench.lives` prints it as JSON. It is a process of its own: what functions print is their log, which is
counted, so it must take their place before any of them is imported.
"""

import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from typing import Any
from unittest.mock import patch

from local import template
from local.bench import prices, units
from local.bench.recorder import Recorder

BATCH = 100
"""Jobs of the batch that is compared with a job alone: what a batch has once is spread over them."""
SWEEP = "pipeline/sweep"
"""It comes all day, whoever lives."""
ACCESS_LINE = (
    '{"time":"28/Nov/2026:16:20:00 +0000","service":"video-jobs","request_id":"K1a2bJ3coAMEVwQ=","ip":"203.0.113.10",'
    '"method":"POST","path":"/callbacks/videodb/upload","route":"POST /callbacks/videodb/upload","status":"200",'
    '"bytes":"22","latency_ms":"14","error":"-","lambda_status":"200"}\n'
)
"""A line of the API's log, as template.yaml describes it."""
REQUEST_LINES = (
    "START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST\n"
    "END RequestId: 00000000-0000-0000-0000-000000000000\n"
    "REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 12.34 ms\tBilled Duration: 13 ms\t"
    "Memory Size: 1024 MB\tMax Memory Used: 100 MB\t\n"
)
"""What Lambda itself logs of an invocation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One run of a function, with what it was handed over for."""

    function: str
    aws_calls: int
    messages: int
    """Of a queue, that it was invoked with; 0 for a request."""
    billed: Mapping[str, float]
    """By the names in `prices.PRICES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What became of some jobs, from the request that made them until nothing was due any more."""

    jobs: int
    statuses: Mapping[str, int]
    polls: int
    invocations: Sequence[Invocation]

    @property
    def billed(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for invocation in self.invocations:
            found.update(invocation.billed)
        return found


class Log(io.TextIOBase):
    """Counts the bytes that functions print."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, text: str) -> int:
        self.bytes += len(text.encode())
        return len(text)


@dataclass(eq=False)
class Meter:
    """A run of the stack whose invocations are counted."""

    world: Any
    log: Log
    invocations: list[Invocation] = field(default_factory=list)

    def __post_init__(self) -> None:
        table = self.world.aws.table
        self._recorder = Recorder(
            keys=("pk", "sk"),
            indexes={
                name: units.Index(keys=keys, projected=frozenset((*keys, "pk", "sk")))
                for name, keys in table.indexes.items()
            },
            read=lambda key: table.get({"TableName": table.name, "Key": key}).get("Item"),
        )
        self._memory = template.memory()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within it, what the run does is counted."""
        from local.faults import functions  # noqa: PLC0415 (see the module's first lines)

        aws, invoke = self.world.aws, self.world.invoke
        clients = {
            name: self._recorder.client(name, aws.client(name))
            for name in ("dynamodb", "sqs", "secretsmanager", "events")
        }
        with (
            functions.at_work(self.world),
            patch.object(aws, "client", clients.__getitem__),
            patch.object(self.world, "invoke", lambda folder, event: self._invoke(invoke, folder, event)),
            redirect_stdout(self.log),
        ):
            yield

    def _invoke(self, invoke: Callable[[str, Any], Any], folder: str, event: Mapping[str, Any]) -> Any:
        calls, points, logged = len(self._recorder.calls), len(self.world.points), self.log.bytes
        answer = invoke(folder, event)
        made = self._recorder.calls[calls:]
        asked = sum(point.kind == "platform" for point in self.world.points[points:])
        billed = self._recorder.since(calls)
        aws_calls = int(billed.pop("aws_calls", 0))
        messages = event.get("Records", [])
        milliseconds = math.ceil(
            prices.OWN_MILLISECONDS * (len(messages) or 1)
            + sum(prices.CALL_MILLISECONDS[each.name.split(".")[0]] for each in made)
            + prices.PLATFORM_MILLISECONDS * asked
        )
        billed["invocations"] += 1
        billed["gb_seconds"] += self._memory[folder] / 1024 * milliseconds / 1000
        billed["log_bytes"] += self.log.bytes - logged + len(REQUEST_LINES)
        if messages:  # Lambda receives them and deletes them, both at once
            billed["sqs_requests"] += units.requests(len(one["body"].encode()) for one in messages) + 1
        elif "routeKey" in event:
            billed["api_requests"] += 1
            billed["log_bytes"] += len(ACCESS_LINE)
        self.invocations.append(
            Invocation(function=folder, aws_calls=aws_calls, messages=len(messages), billed=dict(billed))
        )
        return answer


# --- What lives ------------------------------------------------------------------------------------------------------

SOURCE = "https://media.example.com/lectures/2026/introduction.mp4"
VIDEODB: Mapping[str, Any] = {"provider": "videodb", "source": SOURCE, "media_type": "video"}
RENDITIONS = ("mp4 1080p", "hls 240p", "hls 360p", "hls 480p", "hls 720p", "hls 1080p")
"""Of a source of 1080p (api.video page "Video status & details"): each calls back."""
TOGETHER = 10
"""Callbacks that the inbox gets at once: as many as its event source hands over."""
GATHERED_SECONDS = 10


def lives(log: Log) -> dict[str, Life]:
    """Of each plan the second job of a run: the first one starts the processes, which read their secrets."""
    from local.faults import functions  # noqa: PLC0415 (see the module's first lines)
    from local.faults.platforms import apivideo  # noqa: PLC0415
    from local.faults.platforms.apsaravideo import ApsaraVideo  # noqa: PLC0415
    from local.faults.platforms.twelvelabs import TwelveLabs  # noqa: PLC0415
    from local.faults.platforms.videodb import VideoDb  # noqa: PLC0415
    from local.faults.world import World  # noqa: PLC0415

    def meter(platform: Callable[[Any], Any] = VideoDb, *, name: str = "videodb") -> Meter:
        world = World()
        world.platforms[name] = platform(world)
        return Meter(world, log)

    def second(found: Meter, work: Mapping[str, Any]) -> Life:
        live(found, [work])
        return live(found, [work])

    found: dict[str, Life] = {}
    load()
    with functions.installed():
        found["videodb"] = second(meter(), VIDEODB)
        # a poll a minute after a step began, and its end a moment later
        found["videodb_polled"] = second(meter(lambda world: VideoDb(world, takes=61.0)), VIDEODB)
        found["twelvelabs_asset"] = second(
            meter(TwelveLabs, name="twelvelabs"),
            {"provider": "twelvelabs", "source": SOURCE, "options": {"index_id": "65f01234567890abcdef0123"}},
        )
        with patch.object(apivideo, "RENDITIONS", RENDITIONS):
            encoded = meter(apivideo.ApiVideo, name="apivideo")
            found["apivideo"] = second(encoded, {"provider": "apivideo", "source": SOURCE})
        found["apsaravideo"] = second(
            meter(ApsaraVideo, name="apsaravideo"), {"provider": "apsaravideo", "source": SOURCE}
        )
        found["together"] = together(meter())
        found["batch"] = batch(meter())
    return found


def load() -> None:
    """Import all functions, before the clock that they see is put in its place."""
    from local.faults import functions  # noqa: PLC0415
    from local.faults.deployment import deployment  # noqa: PLC0415

    for folder in deployment().functions:
        functions.handler(folder, 0)


def together(found: Meter) -> Life:
    """Jobs whose callbacks come together, after one that came alone."""
    live(found, [VIDEODB])
    inbox = found.world.queues["InboxQueue"]
    send = inbox.send

    def gathered(body: str, *, now: int, **more: Any) -> Any:
        message_id = send(body, now=now, **more)
        inbox.messages[-1].visible_at = now + -now % (GATHERED_SECONDS * 1000)
        return message_id

    with patch.object(inbox, "send", gathered):
        return live(found, [VIDEODB] * TOGETHER)


def batch(found: Meter) -> Life:
    live(found, [VIDEODB])
    sources = [f"{SOURCE}?{number}" for number in range(BATCH)]
    return live(found, [{"provider": "videodb", "media_type": "video", "sources": sources}], path="/batches")


def live(meter: Meter, asked: Sequence[Mapping[str, Any]], *, path: str = "/jobs") -> Life:
    """Ask for jobs by the API, and let time pass until nothing is due."""
    first, existing = len(meter.invocations), set(jobs(meter.world))
    with meter.at_work():
        for body in asked:
            ask(meter.world, path, body)
        if not meter.world.run():
            raise ValueError("something is due for ever")
    if meter.world.notes or meter.world.dead_letters():
        raise ValueError(f"not as it should be: {meter.world.notes} {meter.world.dead_letters()}")
    found = [job for job_id, job in jobs(meter.world).items() if job_id not in existing]
    return Life(
        jobs=len(found),
        statuses=dict(Counter(str(job.status) for job in found)),
        polls=sum(step.polls for job in found for step in job.steps.values()),
        invocations=[one for one in meter.invocations[first:] if one.function != SWEEP],
    )


def ask(world: Any, path: str, body: Mapping[str, Any]) -> None:
    from local.faults.world import API_KEY, http_event  # noqa: PLC0415

    event = http_event("POST", path, json.dumps(body), headers={"x-api-key": API_KEY}, at=world.clock.now)
    answer = world.invoke("api", event)
    if answer["statusCode"] not in (200, 201, 202):
        raise ValueError(f"POST {path} was answered {answer['statusCode']}: {answer['body']}")


def jobs(world: Any) -> dict[str, Any]:
    """The jobs in the table, by their ids."""
    from video_jobs.store.items import to_job  # noqa: PLC0415
    from video_jobs.store.table import to_plain  # noqa: PLC0415

    parts: dict[str, list[Any]] = {}
    for (pk, _), item in world.aws.table.items.items():
        if pk.startswith("JOB#"):
            parts.setdefault(pk.removeprefix("JOB#"), []).append(to_plain(item))
    return {job_id: job for job_id, items in parts.items() if (job := to_job(items)) is not None}


def main() -> None:
    print(json.dumps({name: asdict(one) for name, one in lives(LOG).items()}), file=OUT)


if __name__ == "__main__":
    OUT, LOG = sys.stdout, Log()
    sys.stdout = LOG
    main()
