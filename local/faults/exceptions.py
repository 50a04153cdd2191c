"""What a run may come to otherwise than without a fault: by what people do, and by limits that the documents name."""

from collections.abc import Sequence
from dataclasses import replace

from local.faults.happenings import Happening
from local.faults.points import Fault, Kind, Point
from local.faults.scenarios import OF_TASKS, Scenario
from local.faults.verdict import Expected, Outcome
from local.faults.world import World

USED_UP = "a step's attempts were used up"
UNHEARD = "no callback about others' work came to the inbox"
ONLY_CALLED = "VOD says by callback alone that a failure was none"
PURGED = "the Inbox was purged"
_STOPPED = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
_NO_ANSWER = (Fault.ANSWER_LOST, Fault.UNAVAILABLE)


def with_people(scenario: Scenario, expected: Expected, happening: Happening) -> Expected:
    """What there may be besides because people cancel and retry: no exception."""
    actors = happening.order.actors if happening.order else ()
    if "cancel" in actors:
        # one that has ended is deleted
        expected = replace(expected, may_be=(*expected.may_be, "canceled"), may_be_deleted=True, fewer_ends=True)
        if scenario.name.startswith("batch"):  # what was canceled before it was made never is
            may_be = (*expected.may_be, "failed (download_failed)")  # its retry was too late
            expected = replace(expected, may_be=may_be, may_be_missing=frozenset(expected.outcome.jobs))
    if "retry" in actors and expected.outcome.has_failed:
        times = actors.count("retry")
        expected = replace(expected, more_ends=times, more_submissions=times)
    return expected


def excused(scenario: Scenario, world: World, expected: Expected, happening: Happening) -> tuple[Expected, list[str]]:
    """What there may be besides, and by which exceptions."""
    expected = with_people(scenario, expected, happening)
    names = []
    if scenario.twice and _nobody_knows(world, happening):
        expected = replace(expected, more_submissions=99, may_adopt=scenario.twice == OF_TASKS)
        names.append(scenario.twice)
    if _attempts_used(world, happening) + scenario.flaky >= scenario.attempts:
        ends = ("failed (broke_off)", "failed (platform_unavailable)")
        expected = replace(expected, may_be=(*expected.may_be, *ends), fewer_ends=True, more_ends=1)
        names.append(USED_UP)
    if unheard := _unheard(world, expected.outcome):
        expected = replace(expected, may_be_missing=expected.may_be_missing | unheard)
        names.append(UNHEARD)
    if scenario.takes_back and not any(b"success" in one.body for one in world.accepted):
        expected = replace(expected, may_be=(*expected.may_be, "failed (download_failed)"))
        names.append(ONLY_CALLED)
    if happening.purged_at is not None or (happening.order and "purge" in happening.order.actors):
        expected = replace(expected, may_be_lost=True)
        names.append(PURGED)
    return expected, names


def _nobody_knows(world: World, happening: Happening) -> bool:
    """Whether a platform may have accepted what nobody could store: its answer was lost, or the worker was stopped."""
    if happening.storm is not None:
        return Fault.CRASH_AFTER in happening.storm.faults
    return any(_is_unknown(world.points, number, fault) for number, fault in happening.faults)


def _is_unknown(points: Sequence[Point], number: int, fault: Fault) -> bool:
    if number >= len(points):
        return False
    point = points[number]
    if point.kind == Kind.PLATFORM:
        return fault in (Fault.ANSWER_LOST, Fault.CRASH_AFTER)
    if fault not in _STOPPED or not point.actor.endswith("/worker"):
        return False
    kinds = (one.kind for one in reversed(points[:number]) if one.kind in (Kind.PLATFORM, Kind.DELIVERY))
    return next(kinds, Kind.DELIVERY) == Kind.PLATFORM  # in this invocation it has asked a platform already


def _attempts_used(world: World, happening: Happening) -> int:
    """How many attempts may have been used up: workers that were stopped, platforms that have not answered."""
    if happening.storm is not None:
        return 99 if Fault.CRASH_AFTER in happening.storm.faults else 0
    return sum(_uses_one(world.points, number, fault) for number, fault in happening.faults)


def _uses_one(points: Sequence[Point], number: int, fault: Fault) -> bool:
    if number >= len(points):
        return False
    asked = points[number].kind == Kind.PLATFORM
    return points[number].actor.endswith("/worker") and fault in (*_STOPPED, *(_NO_ANSWER if asked else ()))


def _unheard(world: World, outcome: Outcome) -> frozenset[str]:
    """Jobs that callbacks would have made, had the inbox got any of them: none is in the archive."""
    archived = {pk.rsplit("#", maxsplit=1)[-1] for pk, sk in world.aws.table.items if sk.startswith("EVENT#")}
    return frozenset(
        job_id for job_id, ended in outcome.jobs.items() if ended.adopted and not archived & set(ended.refs)
    )
