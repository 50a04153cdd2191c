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
    may_be: Mapping[str, Sequence[str]] | Sequence[str] = ()
    """Ends of the job that are as good as the one without a fault."""
    fewer_ends: bool = False
    """Whether an end may be taken back before it was announced."""
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


def _silence(world: World) -> None:
    world.platforms["videodb"] = VideoDb(world, ends=False)
    people.start(world, {"provider": "videodb", "source": SOURCE})


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="videodb", begin=_plan, twice=NO_KEY),
        Scenario(name="videodb, a person retries", begin=_person_retries, twice=NO_KEY),
        Scenario(name="videodb, no callback arrives", begin=_plan, deaf=True, twice=NO_KEY),
        Scenario(name="videodb, it never ends", begin=_silence, twice=NO_KEY),
    )
}
