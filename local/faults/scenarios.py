"""What happens in a run, beside what goes wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from local.faults import people
from local.faults.platforms.videodb import VideoDb
from local.faults.world import Outage, World

SOURCE = "https://example.com/lecture.mp4"
NO_KEY = "VideoDB has no idempotency key"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    name: str
    begin: Callable[[World], None]
    """Sets up platforms and people."""
    deaf: bool = False
    """Whether no callback arrives."""
    outages: Sequence[Outage] = ()
    may_be: Sequence[str] = ()
    """Ends of the job that are as good as the one without a fault."""
    fewer_ends: bool = False
    """Whether an end may be taken back before it was announced."""
    pairs: int = 0
    """In how many runs two things go wrong."""
    actors: Sequence[str] = ()
    """Who comes between the calls of others."""
    threes: int = 0
    """In how many runs two of them come."""
    twice: str | None = None
    """Why work may be submitted twice, where its platform documents no way to prevent it."""


def _videodb(world: World, **script: Sequence[str]) -> None:
    world.platforms["videodb"] = VideoDb(world, script=script)
    people.start(world, {"provider": "videodb", "source": SOURCE})


def _plan(world: World) -> None:
    _videodb(world)


def _person_retries(world: World) -> None:
    people.retry_what_fails(world)
    _videodb(world, index_scenes=["Scene index failed."])


def _fails(world: World) -> None:
    _videodb(world, upload=["Download failed."])


def _silence(world: World) -> None:
    world.platforms["videodb"] = VideoDb(world, ends=False)
    people.start(world, {"provider": "videodb", "source": SOURCE})


EVERYBODY = ("worker", "callback", "sweep", "cancel", "retry")

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="videodb", begin=_plan, twice=NO_KEY, pairs=1000, actors=EVERYBODY, threes=1000),
        Scenario(
            name="videodb: a step fails",
            begin=_fails,
            twice=NO_KEY,
            pairs=200,
            actors=EVERYBODY,
            threes=500,
            may_be=["succeeded"],
            fewer_ends=True,
        ),
        Scenario(
            name="videodb: a person retries",
            begin=_person_retries,
            twice=NO_KEY,
            pairs=500,
            actors=EVERYBODY,
            threes=500,
            fewer_ends=True,
        ),
        Scenario(name="videodb: no callback arrives", begin=_plan, deaf=True, twice=NO_KEY, pairs=500),
        Scenario(name="videodb: it never ends", begin=_silence, twice=NO_KEY),
    )
}
