"""Follows a job through a platform's modules to its end, as a worker does, but without a table and without waiting."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from video_jobs import clock
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, PollResult, StepFailed, StepStatus
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy


def follow(
    steps: Mapping[str, Any],
    client: Any,
    job: Job,
    *,
    callback_url: str = "",
    applies: Callable[[Job, str], bool] = lambda _job, _step: True,
) -> Job:
    """The job, once it has ended."""
    end = time.monotonic() + LIMIT_SECONDS
    while not job.status.ended:
        assert time.monotonic() < end, "waited in vain"
        name = job.current
        assert name is not None
        if not applies(job, name):
            job = transitions.skipped(job, [name], now=clock.now()) or job
        elif job.steps[name].status == StepStatus.QUEUED:
            job = submitted(steps[name], client, job, name, callback_url=callback_url)
        else:
            job = polled(steps[name], client, job, name)
    return job


def submitted(step: Any, client: Any, job: Job, name: str, *, callback_url: str = "") -> Job:
    """The job after a try to submit a step; one that passes is tried again until its attempts are used up."""
    now = clock.now()
    claimed = transitions.claimed(job, name, now=now, lease=90)
    assert claimed is not None
    attempt = claimed.steps[name].attempt
    try:
        answer = step.submit(client, claimed, callback_url=callback_url)
    except RefusedByPlatformError as refusal:
        answer = PollResult(end=StepFailed(error=refusal.error), body={})
    except TransientError as error:
        if attempt < claimed.steps[name].attempt_limit:
            return transitions.backed_off(claimed, name, attempt, error.error, now=now, wait=0) or claimed
        answer = PollResult(end=StepFailed(error=error.error), body={})
    if isinstance(answer, PollResult):
        return transitions.step_ended(claimed, name, attempt, answer.end, now=now) or claimed
    return transitions.submitted(claimed, name, attempt, answer, now=now, poll_in=0, deadline_in=3600) or claimed


def polled(step: Any, client: Any, job: Job, name: str) -> Job:
    """The job after a poll."""
    now, seen = clock.now(), job.steps[name]
    try:
        answer = step.poll(client, job, seen)
    except (TransientError, RefusedByPlatformError):
        time.sleep(0.005)
        return job
    if isinstance(answer, PollResult):
        return transitions.step_ended(job, name, seen.attempt, answer.end, now=now, seen=seen) or job
    time.sleep(0.005)
    return transitions.polled(job, name, seen, answer, now=now, wake_in=0) or job
