"""Whether a job became what it should: what was expected of it against what was seen. No I/O.

A verdict is about outcomes, never about how fast the machine was. Which of two right ways found an end, how one of a
platform's tries was answered, and how many attempts more a slow machine needed make no difference.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from video_jobs.api.views import EventView, JobSummary, JobView
from video_jobs.jobs.model import StepStatus

from local.demo.elsewhere import Asked
from local.demo.scenario import Provider, Scenario
from local.platforms.courier import Delivery
from local.receiver import Notification

ENDED = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED)
VIDEODB_IDS = ("id", "scene_index_id", "scene_collection_id")  # in a step's result: of what the step made


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One sentence for each thing that differs. None: all is as it should be."""

    wrong: Sequence[str] = field(default_factory=list)
    """What no time will mend."""
    missing: Sequence[str] = field(default_factory=list)
    """What may still come."""

    @property
    def is_good(self) -> bool:
        return not self.wrong and not self.missing

    @property
    def is_settled(self) -> bool:
        return bool(self.wrong) or not self.missing

    @property
    def differences(self) -> Sequence[str]:
        """For people, once nobody waits any more."""
        return [*self.wrong, *(f"not finished yet: {sentence}" for sentence in self.missing)]

    def and_then(self, other: "Verdict") -> "Verdict":
        return Verdict(wrong=[*self.wrong, *other.wrong], missing=[*self.missing, *other.missing])


GOOD = Verdict()
UNSENT = Verdict(missing=["it was not sent"])


@dataclass(eq=False, kw_only=True)
class Run:
    """A scenario, its job as it was last seen, and what is thought of it. `job` is None until it was sent."""

    scenario: Scenario
    job: JobView | None = None
    verdict: Verdict = UNSENT

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return self.verdict.is_settled


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What can be seen around a job without asking the stack; of deliveries and what was asked, everybody's."""

    deliveries: Sequence[Delivery] = ()
    asked: Sequence[Asked] = ()
    notifications: Sequence[Notification] = ()
    """Of the job's ends, each verified."""
    unreadable: int = 0
    """Its callbacks among the dead letters."""
    made: int | None = None
    """How many things the platform has made of its source; None if nobody asked."""


@dataclass(eq=False, kw_only=True)
class Finding:
    """What must be true of a platform besides the demo's own jobs."""

    provider: Provider
    name: str
    """In at most 19 columns, as a file's."""
    proves: str
    """As a scenario's."""
    verdict: Verdict
    begun: str = ""
    """What was begun elsewhere: the platform's id of it, or the job's if we gave it a URL to call back."""


def of_job(run: Run) -> Verdict:
    """How it stands, or how it ended."""
    scenario, job = run.scenario, run.job
    if job is None:
        return UNSENT
    if not job.status.ended:
        return Verdict(missing=[f"the job is {job.status}: {standing(job)}"])
    wrong = [
        *differs("the job", scenario.ends, job.status),
        *differs("its steps", "/".join(scenario.steps), "/".join(step.status for step in job.steps)),
        *differs("its error", scenario.error, job.error.code if job.error else None),
        *_unexplained(job),
        *_attempts(scenario, job),
    ]
    return Verdict(wrong=wrong)


def of_surroundings(run: Run, seen: Seen) -> Verdict:
    """Whether its end was announced once, and the platform was asked for what it should be, and for no more."""
    if run.job is None:
        return UNSENT
    return (
        _announced(run.scenario, seen.notifications)
        .and_then(Verdict(wrong=[*_unasked(run, seen.asked), *_made(run.scenario, seen.made)]))
        .and_then(_doubled(run, seen.deliveries))
        .and_then(_unreadable(run.scenario, seen.unreadable))
    )


def of_archive(run: Run, events: Sequence[EventView], deliveries: Iterable[Delivery]) -> Verdict:
    """Whether the archive holds every callback that was answered as accepted, and each of them once."""
    if run.job is None:
        return UNSENT
    # VideoDB says the same of each attempt, to the last byte, and each attempt has a URL of its own
    callbacks = Counter(
        (event.callback, event.attempt if run.scenario.provider == "videodb" else None, event.body)
        for event in events
        if event.via == "callback"
    )
    archived = {event.body for event in events}  # a poll may have said the same, and first
    accepted = {
        delivery.body.decode(errors="replace")
        for delivery in ours(run.job, deliveries)
        if delivery.status == HTTPStatus.OK
    }
    wrong = [f"a callback is archived {times} times" for times in callbacks.values() if times > 1]
    if not run.scenario.callbacks:
        wrong += differs("callbacks in its archive", 0, callbacks.total())
    lost = len(accepted - archived)
    return Verdict(wrong=wrong, missing=[f"{lost} accepted callbacks are not in its archive"] if lost else [])


def of_work_begun_elsewhere(begun: str, jobs: Sequence[JobSummary]) -> Verdict:
    """Whether there is one job of it, and no other job that nobody asked for. `jobs`: whole, where they have ended."""
    if not jobs:
        return Verdict(missing=["no callback has made a job of it"])
    if len(jobs) > 1:
        return Verdict(missing=[f"{len(jobs)} jobs that nobody asked for, where 1 was expected"])
    [job] = jobs
    if not isinstance(job, JobView):
        return Verdict(missing=[f"its job is {job.status}"])
    return Verdict(
        wrong=[
            *differs("the job of it", "succeeded", job.status),
            *differs("adopted", True, job.adopted),
            *differs("whose work it is", True, begun in (job.job_id, job.steps[-1].platform_job_id)),
        ]
    )


def differs(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: {found}, where {expected} was expected"


def standing(job: JobView) -> str:
    """The step that it is at."""
    step = next((step for step in job.steps if step.status not in ENDED), job.steps[-1])
    return f"{step.name} {step.status}" + (f", attempt {step.attempt}" if step.attempt > 1 else "")


def ours(job: JobView, deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Callbacks that name what the platform made for the job."""
    names = [made.encode() for made in _ids(job)]
    return [delivery for delivery in deliveries if any(name in delivery.body for name in names)]


def _unexplained(job: JobView) -> Iterator[str]:
    if job.error and not (job.error.message and job.error.cause and job.error.action):
        yield "its error has no message, no cause or no action"


def _attempts(scenario: Scenario, job: JobView) -> Iterator[str]:
    found = {step.name: step.attempt for step in job.steps}
    for step, fewest in scenario.attempts.items():
        if found.get(step, 0) < fewest:
            yield f"attempts at {step}: {found.get(step, 0)}, where at least {fewest} were expected"


def _announced(scenario: Scenario, notifications: Sequence[Notification]) -> Verdict:
    """A job ends once, and however often that is sent, it has one id."""
    if not notifications:
        return Verdict(missing=["no notification of its end has come"])
    kinds = [notification.kind for notification in notifications]
    return Verdict(wrong=list(differs("the ends that were announced", [f"job.{scenario.ends}"], kinds)))


def _unasked(run: Run, asked: Sequence[Asked]) -> Iterator[str]:
    bodies = [one.fields for one in asked if _is_about(run, one)]
    for fields in run.scenario.asked:
        if not any(_has(body, fields) for body in bodies):
            yield f"the platform was not asked with {dict(fields)}"


def _is_about(run: Run, asked: Asked) -> bool:
    return asked.source == run.scenario.url or (
        run.job is not None and any(f"/{i}/" in asked.path for i in _ids(run.job))
    )


def _has(body: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(body.get(name) == value for name, value in fields.items())


def _made(scenario: Scenario, made: int | None) -> Iterator[str]:
    if scenario.made is not None:
        yield from differs("made of its source", scenario.made, made)


def _doubled(run: Run, deliveries: Iterable[Delivery]) -> Verdict:
    """However it was answered: that the archive holds it once is what is to be seen."""
    if not run.scenario.doubled or (run.job and any(one.attempt > 1 for one in ours(run.job, deliveries))):
        return GOOD
    return Verdict(missing=["the platform has not sent any of its callbacks again"])


def _unreadable(scenario: Scenario, found: int) -> Verdict:
    if scenario.unreadable and not found:
        return Verdict(missing=["its unreadable callback is not among the dead letters"])
    return Verdict(wrong=[] if scenario.unreadable else list(differs("its callbacks among the dead letters", 0, found)))


def _ids(job: JobView) -> set[str]:
    """The platform's ids of what it made for the job."""
    results = [step.result or {} for step in job.steps if job.provider == "videodb"]
    made = [result.get(name) for result in results for name in VIDEODB_IDS]
    asked = [step.platform_job_id for step in job.steps if job.provider != "videodb"]
    return {found for found in (*made, *asked) if isinstance(found, str)}
