"""What goes wrong in a run: which of all that could is tried."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local.faults import orders
from local.faults.orders import Order
from local.faults.points import Fault, Kind, Point
from local.faults.scenarios import Scenario
from local.faults.world import Outage, Storm


@dataclass(frozen=True, kw_only=True)
class Happening:
    """What goes wrong in a run, and who comes between others' calls, by the numbers of its points."""

    faults: tuple[tuple[int, Fault], ...] = ()
    order: Order | None = None
    outage: Outage | None = None
    storm: Storm | None = None
    purged_at: int | None = None
    """The second at which somebody purges the queues."""

    @property
    def row(self) -> str:
        """Which row of the table it belongs to."""
        if self.order is not None:
            return "with two others" if len(self.order.actors) == 2 else f"with {self.order.actors[0]}"
        if self.outage is not None:
            return f"{self.outage.hours:g} h without {self.outage.service}"
        if self.storm is not None:
            return "storm, with crashes" if Fault.CRASH_AFTER in self.storm.faults else "storm"
        if self.purged_at is not None:
            return "queues purged"
        return str(self.faults[0][1]) if len(self.faults) == 1 else "two faults"

    def said(self, points: Sequence[Point]) -> str:
        """In words."""
        if self.order is not None:
            return f"{' and '.join(self.order.actors)} before {_named(points[self.order.at])}"
        if self.outage is not None:
            return f"{self.row} from second {self.outage.begins:g} on"
        if self.storm is not None:
            return f"{self.row} {self.storm.seed}"
        if self.purged_at is not None:
            return f"queues purged at second {self.purged_at}"
        happened = [(fault, points[number]) for number, fault in self.faults if number < len(points)]
        return ", then ".join(f"{fault} at {_named(point)}" for fault, point in happened)

    def __str__(self) -> str:
        """As --happening takes it."""
        if self.order is not None:
            return f"order {self.order.at} {'+'.join(self.order.actors)} {self.order.then_at}"
        if self.outage is not None:
            return f"outage {self.outage.service} {self.outage.begins:g} {self.outage.ends:g}"
        if self.storm is not None:
            return f"storm {self.storm.seed} {int(Fault.CRASH_AFTER in self.storm.faults)}"
        if self.purged_at is not None:
            return f"purge {self.purged_at}"
        return ",".join(f"{number}:{fault}" for number, fault in self.faults)

    @classmethod
    def read(cls, text: str) -> "Happening":
        """From such a text. Raises ValueError."""
        match text.split():
            case ["order", at, actors, then_at]:
                return cls(order=Order(at=int(at), actors=tuple(actors.split("+")), then_at=int(then_at)))
            case ["outage", service, begins, ends]:
                return cls(outage=Outage(service=service, begins=float(begins), ends=float(ends)))
            case ["storm", seed, crashes]:
                return cls(storm=storm(int(seed), crashes=crashes == "1"))
            case ["purge", at]:
                return cls(purged_at=int(at))
            case _:
                parts = (part.split(":") for part in text.split(","))
                return cls(faults=tuple((int(number), Fault(fault)) for number, fault in parts))


NOTHING = Happening()
STORM_SECONDS = 2 * 3600
MOST_OUTAGES = 12
"""At how many moments each outage begins: a day takes a second or two."""
AWAY = (("dynamodb", 24.0), ("sqs", 1.0), ("secretsmanager", 1.0))
"""Which services are away, and for how many hours."""


def storm(seed: int, *, crashes: bool) -> Storm:
    """A tenth of all calls to AWS goes wrong, for two hours; with crashes, a twentieth of all calls."""
    aws = (Fault.ANSWER_LOST, Fault.THROTTLED, Fault.SENT_TWICE, Fault.CONFLICT, Fault.OVERTAKEN)
    if not crashes:
        return Storm(seed=seed, part=0.1, seconds=STORM_SECONDS, faults=aws)
    stopped = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
    return Storm(seed=seed, part=0.05, seconds=STORM_SECONDS, faults=(*aws, *stopped), kinds=(Kind.AWS, Kind.PLATFORM))


def _named(point: Point) -> str:
    return f"{point.name} by {point.actor} (call {point.number})"


# --- What is tried ---------------------------------------------------------------------------------------------------


def singles(points: Sequence[Point]) -> Iterator[Happening]:
    """Each fault at each point."""
    for point in points:
        for fault in point.faults:
            yield Happening(faults=((point.number, fault),))


def pairs(points: Sequence[Point], *, number: int, chance: random.Random) -> Iterator[Happening]:
    """Two faults in one run, so many of them, by chance."""
    for _ in range(number):
        first, second = sorted(chance.sample(range(len(points)), 2))
        found = ((at, chance.choice(points[at].faults)) for at in (first, second))
        yield Happening(faults=tuple(found))


def purges(points: Sequence[Point]) -> Iterator[Happening]:
    """The queues purged, a second after each moment at which something was about to happen."""
    for second in sorted({point.at // 1000 + 1 for point in points if point.at < 300_000}):
        yield Happening(purged_at=second)


def outages(points: Sequence[Point]) -> Iterator[Happening]:
    """Each service away for long, from moments on at which something was about to happen, evenly over the run."""
    moments = sorted({point.at // 1000 for point in points if point.at < 300_000})
    moments = moments[:: -(-len(moments) // MOST_OUTAGES)]
    for service, hours in AWAY:
        for begins in moments:
            yield Happening(outage=Outage(service=service, begins=begins, ends=begins + hours * 3600))


def happenings(scenario: Scenario, points: Sequence[Point], *, most: int, seed: int) -> Sequence[Happening]:
    """All that is tried with a scenario: each fault at each point; where it is meant for that, more of them, services
    that are away, and others who come between. `most` of each kind at most, by chance."""
    chance = random.Random(f"{seed} {scenario.name}")
    found = _some(list(singles(points)), most, chance)
    if scenario.pairs:
        found += pairs(points, number=min(most, scenario.pairs), chance=chance)
    for seed_of_storm in range(min(most, scenario.storms)):
        number = seed * 100_000 + seed_of_storm
        found.append(Happening(storm=storm(number, crashes=seed_of_storm % 2 == 1)))
    if scenario.outages:
        found += _some([*purges(points), *outages(points)], most, chance)
    if scenario.actors:
        found += _some([Happening(order=order) for order in orders.two(points, scenario.actors)], most, chance)
        third = orders.three(points, scenario.actors, number=min(most, scenario.threes), chance=chance)
        found += [Happening(order=order) for order in third]
    return found


def part(scenario: Scenario, points: Sequence[Point], *, number: int, seed: int) -> Sequence[Happening]:
    """So many of all that is tried with a scenario, by chance."""
    return _some(list(happenings(scenario, points, most=number, seed=seed)), number, random.Random(seed))


def _some(all_of_them: list[Happening], most: int, chance: random.Random) -> list[Happening]:
    return all_of_them if len(all_of_them) <= most else chance.sample(all_of_them, most)
