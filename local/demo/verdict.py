"""Whether a job ended as it should: what was expected of it against what was seen. No I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from video_jobs.api.views import EventView, JobView
from video_jobs.jobs import JobStatus

from local.demo.elsewhere import Asked
from local.demo.scenario import Provider, Scenario
from local.platforms.courier import Delivery
from local.receiver import Told

VIDEODB_IDS = ("id", "scene_index_id", "scene_collection_id")  # in a step's result: of what the step made
COUNTED = ("recorded", "adopted")
PROGRESS_SLACK = 0.001  # progress is rounded


class Row(StrEnum):
    """What else is looked at on every platform, besides the demo's jobs."""

    FORGED = "Forged callbacks refused"
    UNNEEDED = "Unneeded events ignored"
    ADOPTED = "Begun elsewhere, adopted"
    ALONE = "No job too many"


@dataclass(eq=False, kw_only=True)
class Run:
    """A scenario, and how its job stands; `job` is None until it was sent."""

    scenario: Scenario
    job: JobView | None = None
    failed_first: str | None = None
    """The code with which it failed before it was retried by hand."""

    @property
    def must_be_retried(self) -> bool:
        ended = self.job is not None and self.job.status.ended
        return ended and self.scenario.fails_first is not None and self.failed_first is None

    @property
    def must_be_canceled(self) -> bool:
        """Whether it has come as far as it ever will, with something to play."""
        if self.scenario.stays_at is None or self.job is None or self.job.status.ended:
            return False
        last = self.job.steps[-1]
        return (last.progress or 0.0) >= self.scenario.stays_at - PROGRESS_SLACK and _is_playable(last.result)

    @property
    def over(self) -> bool:
        if self.job is None or not self.job.status.ended or self.must_be_retried:
            return False
        return not (self.scenario.recovers and self.job.status == JobStatus.FAILED)


def _is_playable(result: Mapping[str, Any] | None) -> bool:
    return bool(result and result.get("playable"))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What can be seen of a job besides the job itself; of deliveries and what was asked, everybody's."""

    events: Sequence[EventView]
    deliveries: Sequence[Delivery]
    asked: Sequence[Asked]
    told: Sequence[Told]
    """Its ends, as somebody was told of them."""
    unreadable: int
    """Its callbacks among the dead letters."""
    made: int | None = None
    """How many things the platform has made of its source; None if nobody asked."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A job in the end. No differences: it ended as it should."""

    run: Run
    events: Sequence[EventView]
    differences: Sequence[str]

    @property
    def callbacks(self) -> int:
        """How many callbacks told something that was not known yet."""
        return sum(event.via == "callback" and event.outcome in COUNTED for event in self.events)

    @property
    def checks(self) -> int:
        """Of how many steps the end was read from the platform's own status."""
        return sum(event.via == "check" and event.outcome == "recorded" for event in self.events)


@dataclass(frozen=True, kw_only=True)
class Notices:
    """How many ends somebody was told of, how many of these more than once, and what he could not verify."""

    told: int
    told_again: int
    refused: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found on a platform that is about no job of the demo; true if there are no differences."""

    provider: Provider
    row: Row
    differences: Sequence[str]
    count: int = 1


def of_job(run: Run) -> list[str]:
    """How the job differs from what its scenario says, one sentence each; empty: it does not."""
    scenario, job = run.scenario, run.job
    if job is None:
        return ["it was never sent"]
    if not run.over:
        return [f"it was still {job.status} when the time was up: {_standing(job)}"]
    return [
        *differs("the job", scenario.ends, job.status),
        *differs("its steps", "/".join(scenario.steps), "/".join(step.status for step in job.steps)),
        *differs("its error", scenario.error, job.error.code if job.error else None),
        *_attempts(scenario, job),
        *differs("its first error", scenario.fails_first, run.failed_first),
        *_playable(scenario, job),
    ]


def of_evidence(run: Run, seen: Seen) -> list[str]:
    """How what was seen around the job differs from what its scenario says."""
    if run.job is None:
        return []
    scenario = run.scenario
    return [
        *_told(scenario, seen),
        *_notices(scenario, seen),
        *_callbacks(scenario, seen),
        *_asked(run, seen),
        *_copies(run, run.job, seen),
        *differs("its callbacks among the dead letters", scenario.unreadable or 0, seen.unreadable),
        *_made(scenario, seen),
    ]


def differs(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: {found}, where {expected} was expected"


def _standing(job: JobView) -> str:
    return ", ".join(f"{step.name} {step.status}" for step in job.steps)


def _attempts(scenario: Scenario, job: JobView) -> Iterator[str]:
    found = {step.name: step.attempt for step in job.steps}
    for step, attempts in scenario.attempts.items():
        yield from differs(f"attempts at {step}", attempts, found.get(step))


def _playable(scenario: Scenario, job: JobView) -> Iterator[str]:
    """What stays where it is was to be used all the same."""
    if scenario.stays_at is None:
        return
    last = job.steps[-1]
    yield from differs("its progress", scenario.stays_at, last.progress)
    yield from differs("playable", True, _is_playable(last.result))


def _told(scenario: Scenario, seen: Seen) -> Iterator[str]:
    for step, via in scenario.told.items():
        ways = {event.via for event in seen.events if event.callback == f"{scenario.provider}/{step}"}
        yield from differs(f"the end of {step} was told by", via, ", ".join(sorted(ways)) or "nothing")


def _notices(scenario: Scenario, seen: Seen) -> Iterator[str]:
    """A job ends once; twice, if it was tried again, or if the platform took its failure back (or was fast enough)."""
    kinds = [told.kind for told in sorted(seen.told, key=lambda told: told.moment)]
    last = [f"job.{scenario.ends}"]
    expected = ["job.failed", *last] if scenario.fails_first or (scenario.recovers and len(kinds) > 1) else last
    yield from differs("the ends that were told", expected, kinds)
    for moment, ids in Counter(told.moment for told in seen.told).items():
        yield from differs(f"ids of the end of {moment}", 1, ids)


def _callbacks(scenario: Scenario, seen: Seen) -> Iterator[str]:
    outcomes = [event.outcome for event in seen.events if event.via == "callback"]
    ignored = outcomes.count("ignored")
    yield from differs("archived callbacks that no step waits for", scenario.ignored, ignored)
    if scenario.callbacks is not None:
        yield from differs("archived callbacks", scenario.callbacks, len(outcomes) - ignored)


def _asked(run: Run, seen: Seen) -> Iterator[str]:
    ours = [asked.fields for asked in seen.asked if _is_about(run, asked)]
    for fields in run.scenario.asked:
        if not any(_has(body, fields) for body in ours):
            yield f"the platform was not asked with {dict(fields)}"


def _is_about(run: Run, asked: Asked) -> bool:
    return asked.source == run.scenario.url or (
        run.job is not None and any(f"/{i}/" in asked.path for i in _ids(run.job))
    )


def _has(body: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(body.get(name) == value for name, value in fields.items())


def _copies(run: Run, job: JobView, seen: Seen) -> Iterator[str]:
    """A callback is what has a body of its own, and names what the platform made for the job."""
    if run.scenario.copies is None:
        return
    names = [made.encode() for made in _ids(job)]
    ours = [delivery for delivery in seen.deliveries if any(name in delivery.body for name in names)]
    for delivery in ours:
        yield from differs("one of its callbacks was answered", HTTPStatus.OK.value, delivery.status)
    sent = Counter(delivery.body for delivery in ours)
    expected = len(run.scenario.plan) if run.scenario.callbacks is None else run.scenario.callbacks
    yield from differs("different callbacks that were sent", expected, len(sent))
    fewest = min(sent.values(), default=0)
    if fewest < run.scenario.copies:
        yield f"one of its callbacks was sent: {fewest}, where at least {run.scenario.copies} was expected"


def _ids(job: JobView) -> set[str]:
    """The platform's ids of what it made for the job."""
    results = [step.result or {} for step in job.steps if job.provider == "videodb"]
    made = [result.get(name) for result in results for name in VIDEODB_IDS]
    asked = [step.platform_job_id for step in job.steps if job.provider != "videodb"]
    return {found for found in (*made, *asked) if isinstance(found, str)}


def _made(scenario: Scenario, seen: Seen) -> Iterator[str]:
    if scenario.made is not None:
        yield from differs("made of its source", scenario.made, seen.made)
