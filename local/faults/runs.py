"""Runs of a scenario: one without a fault, and one for each fault at each of its points."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.faults import functions, orders, verdict
from local.faults.orders import Order
from local.faults.points import Fault, Point
from local.faults.scenarios import Scenario
from local.faults.verdict import Broken, Expected, Outcome
from local.faults.world import World

@dataclass(frozen=True, kw_only=True)
class Happening:
    """What goes wrong in a run, and who comes between others' calls, by the numbers of its points."""

    faults: tuple[tuple[int, Fault], ...] = ()
    order: Order | None = None

    @property
    def row(self) -> str:
        """Which row of the table it belongs to."""
        if self.order is not None:
            return f"with {' and '.join(self.order.actors)}"
        return str(self.faults[0][1]) if len(self.faults) == 1 else "two faults"

    def said(self, points: Sequence[Point]) -> str:
        """In words."""
        if self.order is not None:
            return f"{' and '.join(self.order.actors)} before {_named(points[self.order.at])}"
        happened = [(fault, points[number]) for number, fault in self.faults if number < len(points)]
        return ", then ".join(f"{fault} at {_named(point)}" for fault, point in happened)

    def __str__(self) -> str:
        """As --happening takes it."""
        if self.order is not None:
            return f"{self.order.at}:{'+'.join(self.order.actors)}:{self.order.then_at}"
        return ",".join(f"{number}:{fault}" for number, fault in self.faults)

    @classmethod
    def read(cls, text: str) -> "Happening":
        """From such a text. Raises ValueError."""
        at, what, *then_at = text.split(",")[0].split(":")
        if then_at:
            return cls(order=Order(at=int(at), actors=tuple(what.split("+")), then_at=int(then_at[0])))
        parts = (part.split(":") for part in text.split(","))
        return cls(faults=tuple((int(number), Fault(fault)) for number, fault in parts))


def _named(point: Point) -> str:
    return f"{point.name} by {point.actor} (call {point.number})"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one run."""

    scenario: str
    happening: Happening
    what: str
    broken: Mapping[Broken, Sequence[str]]
    excepted: str | None = None
    """The documented exception by which something was submitted twice."""


def run(scenario: Scenario, happening: Happening = Happening()) -> tuple[World, Outcome]:
    """One run, to its end."""
    world = World(faults=dict(happening.faults), outages=scenario.outages, deaf=scenario.deaf)
    if happening.order is not None:
        world.between = happening.order.between(world)
    with functions.at_work(world):
        scenario.begin(world)
        is_over = world.run()
    return world, verdict.outcome(world, is_over=is_over)


def baseline(scenario: Scenario) -> tuple[Sequence[Point], Expected]:
    """The run without a fault: its points, and what every other run is measured by. Raises ValueError if that is bad."""
    world, found = run(scenario)
    expected = Expected(outcome=found, may_be=tuple(scenario.may_be), fewer_ends=scenario.fewer_ends)
    if (wrong := verdict.broken(found, expected)) or found.notes:
        raise ValueError(f"{scenario.name}, without a fault: {wrong} {found.notes}")
    return world.points, expected


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


def happenings(scenario: Scenario, points: Sequence[Point], *, most: int, seed: int) -> Sequence[Happening]:
    """All that is tried with a scenario: each fault at each point and, where it is meant for that, two faults and others
    who come between; `most` of each at most, by chance."""
    chance = random.Random(f"{seed} {scenario.name}")
    found = _some(list(singles(points)), most, chance)
    if scenario.pairs:
        found += pairs(points, number=min(most, scenario.pairs), chance=chance)
    if scenario.actors:
        found += _some([Happening(order=order) for order in orders.two(points, scenario.actors)], most, chance)
        third = orders.three(points, scenario.actors, number=min(most, scenario.threes), chance=chance)
        found += [Happening(order=order) for order in third]
    return found


def _some(all_of_them: list[Happening], most: int, chance: random.Random) -> list[Happening]:
    return all_of_them if len(all_of_them) <= most else chance.sample(all_of_them, most)


def judge(scenario: Scenario, expected: Expected, happening: Happening) -> Result:
    """Run a scenario with what goes wrong, and say what was broken by it."""
    world, found = run(scenario, happening)
    wrong = verdict.broken(found, expected.with_actors(happening.order.actors if happening.order else ()))
    excused = [verdict.may_be_submitted_twice(world.points, *one) for one in happening.faults]
    excepted = None
    if Broken.SUBMITTED_TWICE in wrong and scenario.twice and any(excused):
        excepted = scenario.twice
        del wrong[Broken.SUBMITTED_TWICE]
    return Result(
        scenario=scenario.name,
        happening=happening,
        what=happening.said(world.points),
        broken=wrong,
        excepted=excepted,
    )
