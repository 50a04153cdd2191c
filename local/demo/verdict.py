"""Whether a job ended as it should: what was expected of it against what was seen. No I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from video_jobs.api.views import EventView, JobView

from local.demo.scenarios import Scenario
from local.platforms.videodb import Delivery, ReceivedRequest


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
    def over(self) -> bool:
        return self.job is not None and self.job.status.ended and not self.must_be_retried


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What can be seen of a job besides the job itself; of deliveries and requests, everybody's."""

    events: Sequence[EventView]
    deliveries: Sequence[Delivery]
    requests: Sequence[ReceivedRequest]
    unreadable: int
    """Its callbacks among the dead letters."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A job in the end. No differences: it ended as it should."""

    run: Run
    events: Sequence[EventView]
    differences: Sequence[str]

    def ends_told_by(self, via: str) -> int:
        """Of how many steps a callback, or a check, brought the end first."""
        return sum(event.via == via and event.outcome == "recorded" for event in self.events)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found that is about no job of the demo; true if there are no differences."""

    what: str
    differences: Sequence[str]


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
    ]


def of_evidence(run: Run, seen: Seen) -> list[str]:
    """How what was seen around the job differs from what its scenario says."""
    if run.job is None:
        return []
    return [*_told(run.scenario, seen), *_asked(run, seen), *_copies(run, seen), *_unreadable(run.scenario, seen)]


def differs(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: {found}, where {expected} was expected"


def _standing(job: JobView) -> str:
    return ", ".join(f"{step.name} {step.status}" for step in job.steps)


def _attempts(scenario: Scenario, job: JobView) -> Iterator[str]:
    found = {step.name: step.attempt for step in job.steps}
    for step, attempts in scenario.attempts.items():
        yield from differs(f"attempts at {step}", attempts, found.get(step))


def _told(scenario: Scenario, seen: Seen) -> Iterator[str]:
    for step, via in scenario.told.items():
        ways = {event.via for event in seen.events if event.callback == f"videodb/{step}"}
        yield from differs(f"the end of {step} was told by", via, ", ".join(sorted(ways)) or "nothing")


def _asked(run: Run, seen: Seen) -> Iterator[str]:
    asked = [request.body for request in seen.requests if request.method == "POST" and _is_about(run, request)]
    for step, fields in run.scenario.asked.items():
        if not any(_has(body, fields) for body in asked):
            yield f"VideoDB was not asked for {step} with {dict(fields)}"


def _is_about(run: Run, request: ReceivedRequest) -> bool:
    made = _made(run, "upload")
    return request.body.get("url") == run.scenario.url or (made is not None and f"/{made}/" in request.path)


def _has(body: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(body.get(name) == value for name, value in fields.items())


def _copies(run: Run, seen: Seen) -> Iterator[str]:
    if run.scenario.copies is None or run.job is None:
        return
    sent = Counter[str]()
    for delivery in seen.deliveries:
        step = delivery.url.rsplit("/", 1)[-1].replace("-", "_")
        made = _made(run, step)
        if made is None or made.encode() not in delivery.body:
            continue
        sent[step] += 1
        yield from differs(f"a callback of {step} was answered", HTTPStatus.OK.value, delivery.status)
    for step in (step.name for step in run.job.steps):
        if sent[step] < run.scenario.copies:
            yield f"callbacks of {step}: {sent[step]}, where at least {run.scenario.copies} were expected"


def _made(run: Run, step: str) -> str | None:
    """VideoDB's id of what a step made, which is what its callback's body names."""
    results = {step.name: step.result or {} for step in run.job.steps} if run.job else {}
    match step:
        case "upload" | "index_spoken_words":
            found = results.get("upload", {}).get("id")
        case "index_scenes":
            found = results.get(step, {}).get("scene_index_id")
        case _:
            found = results.get(step, {}).get("scene_collection_id")
    return found if isinstance(found, str) else None


def _unreadable(scenario: Scenario, seen: Seen) -> Iterator[str]:
    yield from differs("its callbacks among the dead letters", scenario.unreadable or 0, seen.unreadable)
