"""The promises, whatever goes wrong: a part of `make faults`, by chance but always the same part.

And what would break them is noticed: each way of keeping one is taken away once.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from video_jobs.jobs.model import Job
from video_jobs.notifications import events as notifications
from video_jobs.store import counts, events, jobs, table
from video_jobs.worker import submit

from local.faults import functions, happenings, runs
from local.faults.happenings import Happening
from local.faults.points import Fault, Point
from local.faults.runs import Result
from local.faults.scenarios import SCENARIOS, Scenario
from local.faults.verdict import Broken
from local.faults.world import World

CALLS = 9_000
"""How many calls the runs of a scenario make together, about: they take a second or two."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_whatever_goes_wrong_every_promise_is_kept(scenario: Scenario) -> None:
    with functions.installed():
        points, expected = runs.baseline(scenario)
        tried = happenings.part(scenario, points, number=max(CALLS // len(points), 10), seed=1)
        results = [runs.judge(scenario, expected, happening) for happening in tried]

    assert [_said(result) for result in results if result.broken] == []


def _said(result: Result) -> str:
    return f"--scenario '{result.scenario}' --happening '{result.happening}': {result.what}: {dict(result.broken)}"


def test_a_run_can_be_repeated() -> None:
    happening = Happening(storm=happenings.storm(4, crashes=True))
    with functions.installed():
        worlds = [runs.run(SCENARIOS["videodb"], happening)[0] for _ in range(2)]

    assert worlds[0].points == worlds[1].points


@pytest.mark.parametrize(
    "text",
    ["7:crash after,42:answer lost", "purge 12", "order 12 worker+callback 3", "outage sqs 30 3630", "storm 17 1"],
)
def test_what_went_wrong_can_be_written_down_and_read(text: str) -> None:
    assert str(Happening.read(text)) == text


# --- What keeps them, taken away --------------------------------------------------------------------------------------


def _broken_by(tried: Callable[[Sequence[Point]], Iterable[Happening]], change: Any, *, scenario: str) -> set[Broken]:
    with functions.installed(), change:
        points, expected = runs.baseline(SCENARIOS[scenario])
        results = [runs.judge(SCENARIOS[scenario], expected, happening) for happening in tried(points)]
    return {broken for result in results for broken in result.broken}


def _each(fault: Fault) -> Callable[[Sequence[Point]], Iterable[Happening]]:
    return lambda points: (one for one in happenings.singles(points) if one.faults[0][1] == fault)


def test_that_what_a_platform_accepted_is_not_insisted_on_would_be_noticed() -> None:
    once = patch.object(submit, "_insist", lambda store: store())

    found = _broken_by(_each(Fault.THROTTLED), once, scenario="videodb: no callback arrives")

    assert Broken.SUBMITTED_TWICE in found


def test_that_no_event_is_archived_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="lost"):
        _broken_by(_each(Fault.THROTTLED), patch.object(events, "archive", lambda _event: True), scenario="videodb")


def test_that_a_save_does_not_know_itself_again_would_be_noticed() -> None:
    """Whoever is refused by what it has written itself takes it for somebody else's."""
    blind = patch.object(jobs, "_saved", _saved_without_nonce)

    found = _broken_by(_each(Fault.SENT_TWICE), blind, scenario="videodb: one attempt only")

    assert Broken.ENDED_DIFFERENTLY in found


def _saved_without_nonce(before: Job, after: Job, item: dict[str, Any]) -> Job | None:
    return after if table.put(item, condition="v = :version", version=before.version) is None else None


def test_that_nobody_sweeps_would_be_noticed() -> None:
    blind = patch.object(World, "_next_sweep", lambda _world: None)

    assert Broken.NEVER_ENDED in _broken_by(happenings.purges, blind, scenario="videodb: no callback arrives")


def test_that_an_end_gets_a_new_id_each_time_would_be_noticed() -> None:
    ids = count()
    new = patch.object(notifications, "_event_id", lambda *_parts: f"evt_{next(ids)}")

    assert Broken.TWO_IDS in _broken_by(_each(Fault.CRASH_AFTER), new, scenario="apivideo")


def test_that_a_job_is_counted_twice_would_be_noticed() -> None:
    twice = patch.object(jobs, "_saved_with_counts", _counted_before_it_is_saved)

    found = _broken_by(_each(Fault.CRASH_AFTER), twice, scenario="batch: of two, one fails, a person retries")

    assert Broken.COUNTED_WRONGLY in found


def _counted_before_it_is_saved(before: Job, after: Job, item: dict[str, Any]) -> Job | None:
    table.transact(counts.moves(before, after))
    return _saved_without_nonce(before, after, item)
