"""How a job moves: a job and a fact give the next job, or None if the fact changes nothing.

Pure and total: no clock (`now` is given, in milliseconds since 1970), no table, no platform. Whoever has a fact reads
the job, applies one of these, and saves what it gives. What holds of every sequence of facts (tests/jobs says it too):

- Success wins in every order. A step that has succeeded, or was skipped, stays so.
- A canceled job stays canceled.
- A failure counts only for the attempt that it is about, and for none if the step waits for another one.
- A job ends when its last step has ended well or one has failed; each end has a number of its own.
- An end is due until it was announced; a job that is open, or failed with a hint, is due at its step's `wake_at`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from video_jobs.clock import after
from video_jobs.jobs.model import (
    MOST_HINTS,
    Hint,
    Job,
    JobError,
    JobStatus,
    Request,
    RetryPolicy,
    Step,
    StepEnd,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
)

_OPEN = (JobStatus.PENDING, JobStatus.RUNNING)
_NO_STEP = Step(status=StepStatus.SKIPPED)


# --- New jobs --------------------------------------------------------------------------------------------------------


def created(job_id: str, provider: str, plan: Iterable[str], request: Request, *, now: int) -> Job:
    """A job before its first step."""
    waiting = Step(attempt_limit=request.retry.max_attempts)
    steps = dict.fromkeys(plan, waiting)
    refs = (request.media_id,) if request.media_id else ()
    job = Job(
        job_id=job_id,
        provider=provider,
        status=JobStatus.PENDING,
        steps=steps,
        request=request,
        media_id=request.media_id,
        refs=refs,
        created_at=now,
        updated_at=now,
    )
    return _next_queued(job, now)


def adopted_by_hint(job_id: str, provider: str, hint: Hint, *, now: int, deadline_in: float) -> Job:
    """A job for work that was started elsewhere: its platform is asked before anything is said about it."""
    step = Step(
        status=StepStatus.RUNNING,
        attempt=1,
        attempt_limit=1,
        platform_job_id=hint.ref,
        hints={hint.part: hint.word},
        hinted_at=now,
        hinted=True,
        started_at=now,
        wake_at=now,
        deadline_at=after(now, deadline_in),
    )
    return Job(
        job_id=job_id,
        provider=provider,
        status=JobStatus.RUNNING,
        steps={hint.step: step},
        request=Request(retry=RetryPolicy(max_attempts=1)),
        refs=(hint.ref,),
        adopted=True,
        confirmed=False,
        created_at=now,
        updated_at=now,
    )


def adopted_by_end(job_id: str, provider: str, name: str, attempt: int, end: StepEnd, *, now: int) -> Job:
    """A job for work that was started elsewhere with a callback URL of ours: its token has proven whose word it is."""
    step = Step(status=StepStatus.RUNNING, attempt=attempt, attempt_limit=attempt, wake_at=now)
    job = Job(
        job_id=job_id,
        provider=provider,
        status=JobStatus.RUNNING,
        steps={name: step},
        request=Request(retry=RetryPolicy(max_attempts=1)),
        adopted=True,
        created_at=now,
        updated_at=now,
    )
    return step_ended(job, name, attempt, end, now=now) or job


def step_adopted(job: Job, name: str, attempt: int, *, now: int) -> Job | None:
    """One more step of an adopted job, of which a callback comes: nobody has chained it to the others."""
    if not job.adopted or name in job.steps or job.status not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        return None
    step = Step(status=StepStatus.RUNNING, attempt=attempt, attempt_limit=attempt, wake_at=now)
    return _changed(job, now, steps={**job.steps, name: step})


# --- Submitting ------------------------------------------------------------------------------------------------------


def skipped(job: Job, names: Iterable[str], *, now: int) -> Job | None:
    """Steps that do not apply to the job's medium are passed over, as far as they have not begun."""
    passed = {
        name: job.steps[name].model_copy(update={"status": StepStatus.SKIPPED, "wake_at": None})
        for name in names
        if _step(job, name).status in (StepStatus.WAITING, StepStatus.QUEUED)
    }
    if job.status not in _OPEN or not passed:
        return None
    return _settled(_changed(job, now, steps={**job.steps, **passed}), now)


def claimed(job: Job, name: str, *, now: int, lease: float) -> Job | None:
    """A worker takes the step for `lease` seconds, to ask the platform for it, as its next attempt.

    None if it is not its turn, somebody else has it, it must wait, or its attempts are used up.
    """
    step = _step(job, name)
    may_begin = step.status in (StepStatus.QUEUED, StepStatus.SUBMITTING) and not _early(step, now)
    if job.status not in _OPEN or job.current != name or not may_begin or step.attempt >= step.attempt_limit:
        return None
    begun = {
        "status": StepStatus.SUBMITTING,
        "attempt": step.attempt + 1,
        "started_at": step.started_at or now,
        "wake_at": after(now, lease),
    }
    return _with_step(job, name, begun, now, status=JobStatus.RUNNING)


def submitted(
    job: Job, name: str, attempt: int, accepted: Submitted, *, now: int, poll_in: float, deadline_in: float
) -> Job | None:
    """The platform has accepted the attempt. Its ids are noted whatever has become of the job meanwhile."""
    noted = _with_refs(job, accepted.refs, now)
    step = _step(job, name)
    if step.status != StepStatus.SUBMITTING or step.attempt != attempt:
        return noted
    running: dict[str, Any] = {
        "platform_job_id": accepted.platform_job_id,
        "platform_status": accepted.platform_status,
    }
    if accepted.result is not None:
        running["result"] = dict(accepted.result)
    if job.status in _OPEN:
        running |= {
            "status": StepStatus.RUNNING,
            "polls": 0,
            "error": None,
            # a callback that was faster than the platform's answer
            "wake_at": now if step.hinted else after(now, poll_in),
            "deadline_at": after(now, deadline_in),
        }
    moved = _with_step(noted or job, name, running, now)
    return noted if moved.steps[name] == step else moved


def refs_noted(job: Job, refs: Iterable[str], *, now: int) -> Job | None:
    """Ids of what the job has made, although nothing else may change any more: their callbacks find it."""
    return _with_refs(job, refs, now)


def backed_off(
    job: Job, name: str, attempt: int, error: JobError | None, *, now: int, wait: float, counts: bool = True
) -> Job | None:
    """The attempt failed in a way that passes: the step waits for its next one, `wait` seconds.

    One that does not count (the platform had no room, or AWS kept us from asking) keeps its number, which may be in a
    callback's URL, and is made up for.
    """
    step = _step(job, name)
    if job.status not in _OPEN or step.status != StepStatus.SUBMITTING or step.attempt != attempt:
        return None  # its callback came after all, or somebody else has it
    waiting: dict[str, Any] = {"status": StepStatus.QUEUED, "error": error, "wake_at": after(now, wait)}
    if not counts:
        waiting |= {"attempt_limit": step.attempt_limit + 1, "spared": step.spared + 1}
    return _with_step(job, name, waiting, now)


# --- Running ---------------------------------------------------------------------------------------------------------


def hinted(job: Job, hint: Hint, *, now: int) -> Job | None:
    """A callback said something that ends nothing by itself: the platform is to be asked at once.

    None if it says nothing new, is about another attempt, or nothing can come of it.
    """
    name = _step_of(job, hint)
    if name is None or job.status == JobStatus.CANCELED:
        return None
    step = _step(job, name)
    about_it = step.platform_job_id in (None, hint.ref)
    if step.platform_job_id is None and step.attempts_before and hint.ref in job.refs:
        about_it = False  # of what a person has had retried
    may_matter = not step.status.done and (step.status != StepStatus.FAILED or hint.good)
    is_new = step.hints.get(hint.part) != hint.word and (hint.part in step.hints or len(step.hints) < MOST_HINTS)
    if not about_it or not may_matter or not is_new:
        return None
    # never the moment of the one before, which may be being looked into: clocks differ, and a millisecond is long
    moment = now if step.hinted_at is None else max(now, step.hinted_at + 1)
    found: dict[str, Any] = {"hints": {**step.hints, hint.part: hint.word}, "hinted": True, "hinted_at": moment}
    if step.status in (StepStatus.RUNNING, StepStatus.FAILED):
        found["wake_at"] = now  # else a backoff or a lease holds
    if step.status == StepStatus.FAILED:
        found["platform_job_id"] = hint.ref  # that of an attempt whose answer was lost
    return _with_step(job, name, found, now)


def polled(job: Job, name: str, seen: Step, running: StepRunning, *, now: int, wake_in: float) -> Job | None:
    """The platform was asked, and is still at it. `seen` is the step as it was before it was asked."""
    step = _step(job, name)
    if job.status not in _OPEN or step.status != StepStatus.RUNNING or _moved(step, seen):
        return None
    found = _so_far(step, seen, running) | {"polls": step.polls + 1, "polled_at": now}
    newer = step.hinted_at != seen.hinted_at
    return _with_step(job, name, found | {"wake_at": now if newer else after(now, wake_in)}, now)


def hint_followed(job: Job, name: str, seen: Step, running: StepRunning, *, now: int, wake_in: float) -> Job | None:
    """A hint was looked into without asking the platform, or it ends nothing: the planned poll stays where it is."""
    step = _step(job, name)
    if job.status not in _OPEN or step.status != StepStatus.RUNNING or _moved(step, seen) or not step.hinted:
        return None
    newer = step.hinted_at != seen.hinted_at
    found = _so_far(step, seen, running) | {"wake_at": now if newer else after(now, wake_in)}
    moved = _with_step(job, name, found, now)
    return None if moved.steps[name] == step else moved


def step_ended(
    job: Job,
    name: str,
    attempt: int,
    end: StepEnd,
    *,
    now: int,
    seen: Step | None = None,
    platform_status: str | None = None,
) -> Job | None:
    """A callback, a poll or a submit's own answer has ended the step. `seen`: the step as it was before we asked."""
    step = job.steps.get(name)
    if step is None or step.status.done or job.status == JobStatus.CANCELED:
        return None
    ended: dict[str, Any] = {"ended_at": now, "wake_at": None, "deadline_at": None}
    if seen is not None:
        ended |= {"polls": step.polls + 1, "polled_at": now}
    if platform_status:
        ended["platform_status"] = platform_status
    if isinstance(end, StepSucceeded):
        ended |= {"status": StepStatus.SUCCEEDED, "error": None, "hinted": False, "progress": None}
        ended["result"] = dict(end.result)
        noted = _with_refs(job, end.refs, now) or job
        return _settled(_with_step(noted, name, ended, now), now)
    # one that is queued again has been given another attempt: the last one's failure is known, or forgiven
    counts = step.status in (StepStatus.SUBMITTING, StepStatus.RUNNING) and attempt >= step.attempt
    if not counts:
        return None
    newer = seen is not None and step.hinted_at != seen.hinted_at
    ended |= {"status": StepStatus.FAILED, "error": end.error, "hinted": newer, "wake_at": now if newer else None}
    if end.result:
        ended["result"] = dict(end.result)
    return _settled(_with_step(job, name, ended, now), now)


def given_up(job: Job, name: str, error: JobError, *, now: int) -> Job | None:
    """A step whose attempts are used up fails, although it has not ended."""
    step = _step(job, name)
    is_over = step.attempt >= step.attempt_limit and not _early(step, now)
    if job.status not in _OPEN or step.status not in (StepStatus.QUEUED, StepStatus.SUBMITTING) or not is_over:
        return None
    failed = {"status": StepStatus.FAILED, "error": error, "ended_at": now, "wake_at": None, "hinted": False}
    return _settled(_with_step(job, name, failed, now), now)


# --- After a failure -------------------------------------------------------------------------------------------------


def resumed(job: Job, name: str, seen: Step, running: StepRunning, *, now: int, deadline_in: float) -> Job | None:
    """The platform is still at a step that had failed: it runs again, and so does the job."""
    step = _step(job, name)
    if job.status != JobStatus.FAILED or step.status != StepStatus.FAILED or step.attempt != seen.attempt:
        return None
    again = _so_far(step, seen, running) | {
        "status": StepStatus.RUNNING,
        "error": None,
        "ended_at": None,
        "wake_at": now,
        "deadline_at": after(now, deadline_in),
    }
    return _settled(_with_step(job, name, again, now), now)


def failure_stands(job: Job, name: str, seen: Step, *, now: int, ask_again_in: float | None = None) -> Job | None:
    """A hint about a failed step was looked into: it has failed. With `ask_again_in` it is looked into once more."""
    step = _step(job, name)
    if step.status != StepStatus.FAILED or not step.hinted or step.hinted_at != seen.hinted_at:
        return None
    if ask_again_in is None:
        return _with_step(job, name, {"hinted": False, "wake_at": None}, now)
    return _with_step(job, name, {"wake_at": after(now, ask_again_in)}, now)


def retried(job: Job, *, now: int) -> Job | None:
    """A person has a failed job tried again, from the step that failed, with as many attempts as at first.

    None if it has not failed, was started elsewhere, or its end is not announced yet: that would be lost.
    """
    name = job.current
    if job.status != JobStatus.FAILED or job.adopted or not job.is_announced or name is None:
        return None
    step = job.steps[name]
    if step.status != StepStatus.FAILED:
        return None
    fresh = Step(
        status=StepStatus.QUEUED,
        attempt=step.attempt,
        attempt_limit=step.attempt + job.request.retry.max_attempts,
        # one that was not accepted, as far as we know, may have been: it is asked for as the same one
        attempts_before=step.attempt if step.platform_job_id else step.attempts_before,
        wake_at=now,
    )
    return _settled(_changed(job, now, steps={**job.steps, name: fresh}), now)


# --- Ends ------------------------------------------------------------------------------------------------------------


def canceled(job: Job, *, now: int) -> Job | None:
    """A person ends an open job; what the platform still says of it is archived and changes nothing."""
    if job.status not in _OPEN:
        return None
    return _changed(job, now, status=JobStatus.CANCELED, ends=job.ends + 1, ended_at=now)


def confirmed(job: Job, *, now: int) -> Job | None:
    """The platform knows the work of an adopted job."""
    return None if job.confirmed else _changed(job, now, confirmed=True)


def medium_noted(job: Job, media_id: str, *, now: int) -> Job | None:
    """A step has made the job's medium: the job follows it."""
    if job.media_id == media_id:
        return None
    return _changed(_with_refs(job, (media_id,), now) or job, now, media_id=media_id)


def counted(job: Job, number: int, *, now: int) -> Job | None:
    """A batch counts the job's `number`th end."""
    if job.ends != number or not job.in_batch or job.counted is not None or not job.status.ended:
        return None
    return _changed(job, now, counted=job.outcome)


def announced(job: Job, number: int, *, now: int) -> Job | None:
    """The `number`th end is announced. A batch has counted it before: then nobody looks for the job any more."""
    if job.ends != number or job.is_announced or (job.in_batch and job.counted is None):
        return None
    return _changed(job, now, announced=number)


# --- What they share -------------------------------------------------------------------------------------------------


def _changed(job: Job, now: int, **update: Any) -> Job:
    return job.model_copy(update={**update, "updated_at": now})


def _with_step(job: Job, name: str, update: Mapping[str, Any], now: int, **of_job: Any) -> Job:
    steps = {**job.steps, name: job.steps[name].model_copy(update=dict(update))}
    return _changed(job, now, steps=steps, **of_job)


def _with_refs(job: Job, refs: Iterable[str], now: int) -> Job | None:
    """The job with these ids; None if it has them."""
    known = dict.fromkeys((*job.refs, *refs))
    return None if len(known) == len(job.refs) else _changed(job, now, refs=tuple(known))


def _settled(job: Job, now: int) -> Job:
    """The status that follows from the steps: a new end has a new number, and what runs again is not ended."""
    statuses = [step.status for step in job.steps.values()]
    if StepStatus.FAILED in statuses:
        status = JobStatus.FAILED
    elif all(step.done for step in statuses):
        status = JobStatus.SUCCEEDED
    else:
        status = JobStatus.PENDING if job.status == JobStatus.PENDING else JobStatus.RUNNING
    if status == job.status:
        return _next_queued(job, now)
    update: dict[str, Any] = {"status": status, "counted": None, "ended_at": now if status.ended else None}
    if status.ended:
        update["ends"] = job.ends + 1
    else:
        update["announced"] = job.ends  # an end that was taken back before it was announced is none
    return _next_queued(job.model_copy(update=update), now)


def _next_queued(job: Job, now: int) -> Job:
    """The current step, if it has only been waiting for its turn, is queued."""
    name = job.current
    if job.status not in _OPEN or name is None or job.steps[name].status != StepStatus.WAITING:
        return job
    return _with_step(job, name, {"status": StepStatus.QUEUED, "wake_at": now}, now)


def _step(job: Job, name: str) -> Step:
    """A step of the job; one that it does not have is as one that was skipped: no fact changes it."""
    return job.steps.get(name, _NO_STEP)


def _step_of(job: Job, hint: Hint) -> str | None:
    """Which step a hint is about: the one that it names, or the one that has the id."""
    if hint.step in job.steps:
        return hint.step
    return next((name for name, step in job.steps.items() if step.platform_job_id == hint.ref), None)


def _so_far(step: Step, seen: Step, running: StepRunning) -> dict[str, Any]:
    """How a step that goes on stands; what is not known anew stays."""
    found: dict[str, Any] = {"hinted": step.hinted and step.hinted_at != seen.hinted_at}
    if running.progress is not None:
        found["progress"] = round(running.progress, 4)
    if running.platform_status:
        found["platform_status"] = running.platform_status
    if running.result is not None:
        found["result"] = dict(running.result)
    return found


def _early(step: Step, now: int) -> bool:
    """Whether a backoff or a lease is not over yet."""
    return step.wake_at is not None and step.wake_at > now


def _moved(step: Step, seen: Step) -> bool:
    return (step.attempt, step.polls) != (seen.attempt, seen.polls)
