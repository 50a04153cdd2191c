"""Runs of a scenario: one without a fault, and one for whatever can go wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from local.faults import exceptions, functions, orders, verdict
from local.faults.happenings import NOTHING, Happening
from local.faults.points import Point
from local.faults.scenarios import Scenario
from local.faults.verdict import Broken, Expected, Outcome
from local.faults.world import World


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one run."""

    scenario: str
    happening: Happening
    what: str
    broken: Mapping[Broken, Sequence[str]]
    excepted: str | None = None
    """The documented exceptions by which nothing more is broken."""


def run(scenario: Scenario, happening: Happening = NOTHING) -> tuple[World, Outcome]:
    """One run, to its end."""
    world = World(
        faults=dict(happening.faults),
        outages=[happening.outage] if happening.outage else (),
        storm=happening.storm,
        deaf=scenario.deaf,
    )
    if happening.order is not None:
        world.between = happening.order.between(world)
    with functions.at_work(world):
        scenario.begin(world)
        if happening.purged_at is not None:
            world.at(happening.purged_at, partial(orders.purge, world))
        world.flaky = dict.fromkeys(world.platforms, scenario.flaky)
        is_over = world.run()
    return world, verdict.outcome(world, is_over=is_over)


def baseline(scenario: Scenario) -> tuple[Sequence[Point], Expected]:
    """The run without a fault: its points, and what every other run is measured by. Raises ValueError if it is bad."""
    world, found = run(scenario)
    expected = Expected(outcome=found, may_be=scenario.may_be, fewer_ends=scenario.fewer_ends)
    if (wrong := verdict.broken(found, expected)) or found.notes:
        raise ValueError(f"{scenario.name}, without a fault: {wrong} {found.notes}")
    return world.points, expected


def judge(scenario: Scenario, expected: Expected, happening: Happening) -> Result:
    """Run a scenario with what goes wrong, and say what was broken by it."""
    world, found = run(scenario, happening)
    wrong = verdict.broken(found, exceptions.with_people(scenario, expected, happening))
    names: list[str] = []
    if wrong:
        excused, names = exceptions.excused(scenario, world, expected, happening)
        wrong = verdict.broken(found, excused)
    return Result(
        scenario=scenario.name,
        happening=happening,
        what=happening.said(world.points),
        broken=wrong,
        excepted=", ".join(names) or None,
    )
