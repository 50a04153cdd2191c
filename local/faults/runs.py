"""Runs of a scenario: one without a fault, and one for each fault at each of its points."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.faults import functions, verdict
from local.faults.points import Fault, Point
from local.faults.scenarios import Scenario
from local.faults.verdict import Broken, Expected, Outcome
from local.faults.world import World

type Happening = tuple[tuple[int, Fault], ...]
"""What goes wrong in a run, by the numbers of its points."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one run with faults."""

    scenario: str
    fault: str
    """The row of the table."""
    happening: Happening
    what: str
    """The point, in words."""
    broken: Mapping[Broken, Sequence[str]]
    excepted: str | None = None
    """The documented exception by which something was submitted twice."""


def run(
    scenario: Scenario,
    *,
    faults: Mapping[int, Fault] | None = None,
    between: Mapping[int, Callable[[], object]] | None = None,
    prepare: Callable[[World], None] = lambda _world: None,
) -> tuple[World, Outcome]:
    """One run, to its end."""
    world = World(faults=faults or {}, between=between or {}, outages=scenario.outages, deaf=scenario.deaf)
    with functions.at_work(world):
        scenario.begin(world)
        prepare(world)
        is_over = world.run()
    return world, verdict.outcome(world, is_over=is_over)


def baseline(scenario: Scenario) -> tuple[Sequence[Point], Expected]:
    """The run without a fault: its points, and what every other run is measured by. Raises ValueError if that is bad."""
    world, found = run(scenario)
    may_be = {job: scenario.may_be for job in found.jobs} if scenario.may_be else {}
    expected = Expected(outcome=found, may_be=may_be, fewer_ends=scenario.fewer_ends)
    if wrong := verdict.broken(found, expected):
        raise ValueError(f"{scenario.name}, without a fault: {wrong}; {found.notes}")
    return world.points, expected


def single(points: Sequence[Point]) -> Iterator[Happening]:
    """Each fault at each point."""
    for point in points:
        for fault in point.faults:
            yield ((point.number, fault),)


def pairs(points: Sequence[Point], *, number: int, seed: int) -> Iterator[Happening]:
    """Two faults in one run, so many of them, by chance."""
    chance = random.Random(seed)
    for _ in range(number):
        first, second = sorted(chance.sample(range(len(points)), 2))
        yield (
            (first, chance.choice(points[first].faults)),
            (second, chance.choice(points[second].faults)),
        )


def judge(scenario: Scenario, points: Sequence[Point], expected: Expected, happening: Happening) -> Result:
    """Run a scenario with what goes wrong, and say what was broken by it."""
    _world, found = run(scenario, faults=dict(happening))
    wrong = verdict.broken(found, expected)
    excepted = None
    if Broken.SUBMITTED_TWICE in wrong and scenario.twice:
        excused = [verdict.may_be_submitted_twice(points, number, fault) for number, fault in happening]
        if any(excused):
            excepted = scenario.twice
            del wrong[Broken.SUBMITTED_TWICE]
    return Result(
        scenario=scenario.name,
        fault=happening[0][1] if len(happening) == 1 else "two of them",
        happening=happening,
        what=", then ".join(f"{fault} at {points[number].name} by {points[number].actor}" for number, fault in happening),
        broken=wrong,
        excepted=excepted,
    )
