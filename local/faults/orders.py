"""Two or three at work on a job at once: others come between the calls of whoever is at it."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.faults import people
from local.faults.deployment import Source
from local.faults.points import Kind, Point
from local.faults.world import API_KEY, World

type Actor = Callable[[World], None]


@dataclass(frozen=True, kw_only=True)
class Order:
    """Who comes before which call, and who before a call of theirs."""

    at: int
    actors: tuple[str, ...]
    then_at: int = 0
    """Before which of the first one's own calls the second comes."""

    def between(self, world: World) -> dict[int, Callable[[], object]]:
        found: dict[int, Callable[[], object]] = {self.at: lambda: ACTORS[self.actors[0]](world)}
        if len(self.actors) == 2:
            found[self.at + 1 + self.then_at] = lambda: ACTORS[self.actors[1]](world)
        return found


def another_worker(world: World) -> None:
    """The last message to a worker comes once more."""
    for name in _workers(world):
        _comes_again(world, world.source(name))


def callback(world: World) -> None:
    """The platform's next callback comes now, and the inbox takes it at once."""
    if world.next_callback():
        inbox(world)


def inbox(world: World) -> None:
    """It takes what there is."""
    _takes(world, world.source("pipeline/inbox"))


def batches(world: World) -> None:
    """Somebody else works on the batch: its last message comes once more."""
    _comes_again(world, world.source("pipeline/batches"))


def _takes(world: World, source: Source) -> None:
    queue = world.queues[source.queue]
    if messages := queue.receive(now=world.clock.now, most=source.most):
        world.hand_over(source, queue, messages)


def _comes_again(world: World, source: Source) -> None:
    queue = world.queues[source.queue]
    if queue.last is not None:
        queue.send(queue.last, now=world.clock.now)
        message = queue.messages[-1]
        message.received, message.receipt = 1, f"{message.message_id}/1"
        message.visible_at = world.clock.now + queue.visibility * 1000
        world.hand_over(source, queue, [message])


def sweep(world: World) -> None:
    """A sweep that comes late finds whatever is due by then."""
    world.sweep()


def cancel(world: World) -> None:
    """A person ends the job; one that has ended is deleted."""
    for path in _begun(world):
        _ask(world, "DELETE", path)


def retry(world: World) -> None:
    """A person retries the job, whether it has failed or not."""
    for path in _begun(world):
        _ask(world, "POST", f"{path}/retry")


def _begun(world: World) -> list[str]:
    jobs = [f"/jobs/{job_id}" for job_id in world.started.values()]
    return jobs + [f"/batches/{batch_id}" for batch_id in world.batches.values()]


def _ask(world: World, method: str, path: str) -> None:
    status, _ = people.call(world, method, path, None, {"x-api-key": API_KEY})
    if status >= 500:
        people.ask(world, method, path, after=people.TRIES_AGAIN_AFTER)


def purge(world: World) -> None:
    """Somebody purges the queues; what notifications they hold is announced already, and gone."""
    for name in ("InboxQueue", "BatchesQueue", *(source.queue for source in map(world.source, _workers(world)))):
        world.queues[name].purge()


def _workers(world: World) -> list[str]:
    return [f"{provider}/worker" for provider in world.platforms]


ACTORS: Mapping[str, Actor] = {
    "worker": another_worker,
    "callback": callback,
    "batches": batches,
    "sweep": sweep,
    "cancel": cancel,
    "retry": retry,
    "purge": purge,
}


def two(points: Sequence[Point], actors: Sequence[str]) -> Iterator[Order]:
    """Each actor before each call of somebody else's."""
    for point in _of_functions(points):
        for name in actors:
            yield Order(at=point.number, actors=(name,))


def three(points: Sequence[Point], actors: Sequence[str], *, number: int, chance: random.Random) -> Iterator[Order]:
    """Two actors, of which one comes between the calls of the other: so many, by chance."""
    candidates = list(_of_functions(points))
    for _ in range(number):
        pair = chance.choice(actors), chance.choice(actors)
        yield Order(at=chance.choice(candidates).number, actors=pair, then_at=chance.randrange(12))


def _of_functions(points: Sequence[Point]) -> Iterator[Point]:
    return (point for point in points if point.kind in (Kind.AWS, Kind.PLATFORM) and point.actor != "platform")
