"""What happens in a run, beside what goes wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from local.faults import people
from local.faults.platforms.apivideo import ApiVideo
from local.faults.platforms.apsaravideo import TAKEN_BACK, ApsaraVideo
from local.faults.platforms.twelvelabs import TwelveLabs
from local.faults.platforms.videodb import VideoDb
from local.faults.world import World

SOURCE = "https://example.com/lecture.mp4"
EVERYBODY = ("worker", "callback", "sweep", "cancel", "retry", "purge")
NOTIFY = {"notify_url": "https://receiver.example.com/jobs"}
ONE_ATTEMPT = {"retry": {"max_attempts": 1}}
OF_VIDEODB = "VideoDB has no idempotency key"
OF_TASKS = "TwelveLabs' tasks have no idempotency key"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    name: str
    begin: Callable[[World], None]
    """Sets up platforms and people."""
    deaf: bool = False
    """Whether no callback arrives."""
    may_be: Sequence[str] = ()
    """Ends of the job that are as good as the one without a fault."""
    fewer_ends: bool = False
    """Whether an end may be taken back before it was announced."""
    pairs: int = 0
    """In how many runs two things go wrong."""
    storms: int = 0
    """In how many runs much goes wrong."""
    outages: bool = False
    """Whether services are away for long."""
    actors: Sequence[str] = ()
    """Who comes between the calls of others."""
    threes: int = 0
    """In how many runs two of them come."""
    flaky: int = 0
    """How many of the platform's first submissions are answered 503."""
    attempts: int = 3
    """How often a step is asked for at most."""
    takes_back: bool = False
    """Whether the platform takes a failure back."""
    twice: str | None = None
    """Why work may be submitted twice, where its platform documents no way to prevent it."""


def _videodb(
    world: World, *, ends: bool = True, also: Mapping[str, Any] | None = None, **script: Sequence[str]
) -> None:
    world.platforms["videodb"] = VideoDb(world, script=script, ends=ends)
    people.start(world, {"provider": "videodb", "source": SOURCE, **(also or {})})


def _twelvelabs(world: World, plan: str, **script: Sequence[str]) -> None:
    world.platforms["twelvelabs"] = TwelveLabs(world, script=script)
    people.start(world, {"provider": "twelvelabs", "plan": plan, "source": SOURCE, "options": {"index_id": "index-1"}})


def _apivideo(world: World, *, failing: Sequence[Sequence[str]] = ()) -> None:
    world.platforms["apivideo"] = ApiVideo(world, failing=failing)
    people.start(world, {"provider": "apivideo", "source": SOURCE})


def _apsaravideo(world: World, *script: str) -> None:
    world.platforms["apsaravideo"] = ApsaraVideo(world, script={SOURCE: script})
    people.start(world, {"provider": "apsaravideo", "source": SOURCE})


def _retried(begin: Callable[[World], None]) -> Callable[[World], None]:
    """A person retries what fails."""

    def begins(world: World) -> None:
        people.retry_what_fails(world)
        begin(world)

    return begins


# --- Batches ---------------------------------------------------------------------------------------------------------


def _batch(world: World) -> None:
    """Two sources, one of which fails at first: somebody retries what has failed of it."""
    sources = [SOURCE, "https://example.com/fails.mp4"]
    world.platforms["apsaravideo"] = ApsaraVideo(world, script={sources[1]: ["failed"]})
    people.retry_failed_batches(world)
    people.start_batch(world, {"provider": "apsaravideo", "sources": sources, "name": "two"})


def _open_batch(world: World) -> None:
    """A batch that is given two sources, one after the other, and closed with the second."""
    world.platforms["apsaravideo"] = ApsaraVideo(world)

    def appends(batch_id: str) -> None:
        path = f"/batches/{batch_id}/jobs"
        people.ask(world, "POST", path, {"sources": [SOURCE]}, key="first", then=lambda *_: closes(path))

    def closes(path: str) -> None:
        body = {"sources": ["https://example.com/second.mp4"], "close": True}
        people.ask(world, "POST", path, body, key="second", after=30)

    people.start_batch(world, {"provider": "apsaravideo", "open": True}, then=appends)


# --- Work that was started elsewhere ---------------------------------------------------------------------------------


def _elsewhere(world: World) -> None:
    """Platforms do work that we have not asked for, and call us back about it."""
    videos = world.platforms["apivideo"] = ApiVideo(world)
    tasks = world.platforms["twelvelabs"] = TwelveLabs(world)
    uploads = world.platforms["apsaravideo"] = ApsaraVideo(world)
    videos.make("viElsewhere", {"title": "lecture"})
    tasks.work_elsewhere("task-elsewhere")
    uploads.upload("0" * 31 + "e", SOURCE)


def _unknown(world: World) -> None:
    """Callbacks name ids that their platforms do not know."""
    videos = world.platforms["apivideo"] = ApiVideo(world)
    tasks = world.platforms["twelvelabs"] = TwelveLabs(world)
    uploads = world.platforms["apsaravideo"] = ApsaraVideo(world)
    videos.call_back("viUnknown", "hls 240p")
    tasks.call_back("task-unknown")
    uploads.call_back("0" * 31 + "f")


def _marked(world: World) -> None:
    """Videos and uploads that our jobs do not know, but that carry our mark: they are these jobs'."""
    _apivideo(world)
    videos = world.platforms["apivideo"]

    def makes() -> None:
        if not world.started:
            world.at(20, makes)  # whoever starts the job has no answer yet
            return
        (job_id,) = world.started.values()
        videos.make("viMarked", {"metadata": [{"key": "video_jobs_job", "value": job_id}]})

    world.at(20, makes)


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="videodb",
            begin=partial(_videodb, also=NOTIFY),
            twice=OF_VIDEODB,
            pairs=1000,
            storms=400,
            outages=True,
            actors=EVERYBODY,
            threes=1000,
        ),
        Scenario(
            name="videodb: a step fails",
            begin=partial(_videodb, upload=["Download failed."]),
            twice=OF_VIDEODB,
            pairs=200,
            actors=EVERYBODY,
            threes=500,
            may_be=["succeeded"],  # what was submitted once more
            fewer_ends=True,
        ),
        Scenario(
            name="videodb: a person retries",
            begin=_retried(partial(_videodb, index_scenes=["Scene index failed."])),
            twice=OF_VIDEODB,
            pairs=500,
            outages=True,
            actors=EVERYBODY,
            threes=500,
            fewer_ends=True,
        ),
        Scenario(
            name="videodb: one attempt only",
            begin=partial(_videodb, also=ONE_ATTEMPT),
            attempts=1,
            twice=OF_VIDEODB,
            pairs=200,
            storms=100,
            outages=True,
        ),
        Scenario(name="videodb: its first answer is 503", begin=_videodb, flaky=1, twice=OF_VIDEODB, pairs=200),
        Scenario(name="videodb: no callback arrives", begin=_videodb, deaf=True, twice=OF_VIDEODB, pairs=300),
        Scenario(name="videodb: it never ends", begin=partial(_videodb, ends=False), twice=OF_VIDEODB),
        Scenario(
            name="twelvelabs: assets",
            begin=partial(_twelvelabs, plan="asset"),
            pairs=500,
            storms=200,
            outages=True,
            actors=("worker", "sweep", "cancel", "retry", "purge"),
            threes=500,
        ),
        Scenario(
            name="twelvelabs: an index fails, a person retries",
            begin=_retried(partial(_twelvelabs, plan="asset", indexed_asset=["indexing_failed"])),
            fewer_ends=True,
            pairs=200,
        ),
        Scenario(
            name="twelvelabs: its first answer is 503", begin=partial(_twelvelabs, plan="asset"), flaky=1, pairs=100
        ),
        Scenario(
            name="twelvelabs: tasks",
            begin=partial(_twelvelabs, plan="task"),
            twice=OF_TASKS,
            pairs=500,
            storms=200,
            outages=True,
            actors=EVERYBODY,
            threes=500,
        ),
        Scenario(
            name="twelvelabs: a task fails, a person retries",
            begin=_retried(partial(_twelvelabs, plan="task", task=["video_duration_too_short"])),
            twice=OF_TASKS,
            fewer_ends=True,
            pairs=200,
            actors=EVERYBODY,
        ),
        Scenario(
            name="twelvelabs: no callback arrives",
            begin=partial(_twelvelabs, plan="task"),
            twice=OF_TASKS,
            deaf=True,
            pairs=100,
        ),
        Scenario(
            name="apivideo",
            begin=_apivideo,
            pairs=500,
            storms=200,
            outages=True,
            actors=EVERYBODY,
            threes=500,
        ),
        Scenario(name="apivideo: its first answer is 503", begin=_apivideo, flaky=1, pairs=200, actors=EVERYBODY),
        Scenario(name="apivideo: a rendition fails", begin=partial(_apivideo, failing=[["hls 360p"]]), pairs=200),
        Scenario(name="apivideo: no callback arrives", begin=_apivideo, deaf=True, pairs=100),
        Scenario(
            name="apsaravideo",
            begin=_apsaravideo,
            pairs=500,
            storms=200,
            outages=True,
            actors=EVERYBODY,
            threes=500,
        ),
        Scenario(
            name="apsaravideo: it fails, a person retries",
            begin=_retried(lambda world: _apsaravideo(world, "failed")),
            fewer_ends=True,
            pairs=200,
            actors=EVERYBODY,
        ),
        Scenario(
            name="apsaravideo: a failure is taken back",
            begin=lambda world: _apsaravideo(world, TAKEN_BACK),
            takes_back=True,
            fewer_ends=True,
            pairs=500,
            outages=True,
            actors=("worker", "callback", "sweep", "purge"),
            threes=500,
        ),
        Scenario(name="apsaravideo: its first answer is 503", begin=_apsaravideo, flaky=1, pairs=200, actors=EVERYBODY),
        Scenario(name="apsaravideo: no callback arrives", begin=_apsaravideo, deaf=True, pairs=100),
        Scenario(
            name="batch: of two, one fails, a person retries",
            begin=_batch,
            fewer_ends=True,
            pairs=500,
            storms=200,
            outages=True,
            actors=("worker", "callback", "batches", "sweep", "cancel", "retry", "purge"),
            threes=500,
        ),
        Scenario(
            name="batch: open, appended to, closed",
            begin=_open_batch,
            pairs=300,
            storms=100,
            outages=True,
            actors=("worker", "callback", "batches", "sweep", "cancel", "purge"),
            threes=300,
        ),
        Scenario(
            name="adopted: work of others",
            begin=_elsewhere,
            pairs=500,
            storms=100,
            outages=True,
            actors=("worker", "callback", "sweep"),
            threes=300,
        ),
        Scenario(name="adopted: unknown to its platform", begin=_unknown, pairs=300, actors=("worker", "sweep")),
        Scenario(
            name="adopted: our own mark",
            begin=_marked,
            pairs=500,
            outages=True,
            actors=("worker", "callback", "sweep"),
            threes=300,
        ),
    )
}
