"""Facts about a job of one upload, or more, as functions of the job: to be put into any order."""

from collections.abc import Callable
from functools import partial
from typing import Any

from video_jobs.jobs import transitions
from video_jobs.jobs.model import Hint, Job, Step, StepFailed, StepRunning, StepSucceeded, Submitted

from tests.scripted import CREATED_AT, fault, new_job

type Fact = Callable[[Job], Job | None]

NOW = CREATED_AT + 60_000
SUCCESS = StepSucceeded(result={"id": "m-1"}, refs=("m-1",))
FAILURE = StepFailed(error=fault("download_failed"))
ACCEPTED = Submitted(platform_job_id="p-1", refs=("p-1",))
HINT = Hint(ref="p-1", step="upload", part="status", word="success", good=True)


def after(job: Job, *facts: Fact) -> Job:
    """The job after these facts; one that changes nothing leaves it as it is."""
    for fact in facts:
        job = fact(job) or job
    return job


def claimed(name: str = "upload", *, now: int = NOW) -> Fact:
    return partial(transitions.claimed, name=name, now=now, lease=90)


def submitted(attempt: int = 1, accepted: Submitted = ACCEPTED) -> Fact:
    return partial(
        transitions.submitted, name="upload", attempt=attempt, accepted=accepted, now=NOW, poll_in=60, deadline_in=3600
    )


def backed_off(attempt: int = 1, *, counts: bool = True, wait: float = 0) -> Fact:
    return partial(
        transitions.backed_off, name="upload", attempt=attempt, error=fault(), now=NOW, wait=wait, counts=counts
    )


def ended(end: StepSucceeded | StepFailed, attempt: int = 1, *, name: str = "upload", seen: Step | None = None) -> Fact:
    return partial(transitions.step_ended, name=name, attempt=attempt, end=end, now=NOW, seen=seen)


def given_up(*, now: int = NOW) -> Fact:
    return partial(transitions.given_up, name="upload", error=fault("broke_off"), now=now)


def hinted(hint: Hint = HINT) -> Fact:
    return partial(transitions.hinted, hint=hint, now=NOW)


def announced(job: Job) -> Job | None:
    counted = transitions.counted(job, job.ends, now=NOW)
    return transitions.announced(counted or job, job.ends, now=NOW)


def canceled(job: Job) -> Job | None:
    return transitions.canceled(job, now=NOW)


def retried(job: Job) -> Job | None:
    return transitions.retried(job, now=NOW)


def one_step(**request: Any) -> Job:
    return new_job(plan=["upload"], **request)


def polled(job: Job) -> Job | None:
    """It is at it still, and something can be used already."""
    running = StepRunning(progress=0.5, platform_status="encoding", result={"playable": True})
    seen = job.steps["upload"]
    return transitions.polled(job, "upload", seen, running, now=NOW, wake_in=60)


def resumed(job: Job) -> Job | None:
    seen = job.steps["upload"]
    return transitions.resumed(job, "upload", seen, StepRunning(), now=NOW, deadline_in=3600)


def failure_stands(job: Job) -> Job | None:
    return transitions.failure_stands(job, "upload", job.steps["upload"], now=NOW)


def medium_noted(job: Job) -> Job | None:
    return transitions.medium_noted(job, "m-1", now=NOW)


def skipped(job: Job) -> Job | None:
    return transitions.skipped(job, job.plan[1:], now=NOW)


EVERY_FACT: dict[str, Fact] = {
    "claimed": claimed(now=NOW + 10**6),
    "claimed early": claimed(),
    "next step claimed": claimed("index_spoken_words"),
    "submitted": submitted(),
    "submitted with a result": submitted(accepted=Submitted(platform_job_id=None, result={"playable": False})),
    "backed off": backed_off(),
    "spared": backed_off(counts=False, wait=900),
    "polled": polled,
    "hinted": hinted(),
    "succeeded": ended(SUCCESS),
    "failed": ended(FAILURE),
    "failed with a result": ended(StepFailed(error=fault(), result={"part": 1})),
    "second attempt failed": ended(FAILURE, 2),
    "next step succeeded": ended(StepSucceeded(), name="index_spoken_words"),
    "given up": given_up(now=NOW + 10**6),
    "resumed": resumed,
    "failure stands": failure_stands,
    "medium noted": medium_noted,
    "skipped": skipped,
    "announced": announced,
    "canceled": canceled,
    "retried": retried,
}
