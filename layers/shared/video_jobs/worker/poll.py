"""Asks a platform how a step stands, after a wait, after a hint, or once more after a failure.

No answer, and nothing that cannot be stored, keeps a step from its deadline.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from video_jobs import clock, logs, settings
from video_jobs.aws import queues
from video_jobs.aws.errors import is_aws_error
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import Job, JobError, PollResult, Step, StepFailed, StepRunning, StepSucceeded
from video_jobs.notifications import events as notifications
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.store import events, jobs, media
from video_jobs.store.table import ConflictError
from video_jobs.worker import backoff
from video_jobs.worker.platform import Platform
from video_jobs.worker.submit import first_poll

LAG_SECONDS = 60
"""How long a platform's status may lag behind a callback that says a failure was none."""
SOON_SECONDS = 600
"""How long after a callback an end counts as near: one that never comes must not be asked after so often for ever."""

logger = logs.logger()


def ask[C](platform: Platform[C], job: Job, name: str) -> None:
    """Poll a running step: it ends, or is polled again later, or its time is over."""
    step = job.steps[name]
    over = _is_over(step)
    # at its deadline the platform itself has the last word: what hints say may end nothing
    result = answer(platform, job, name, after_hint=step.hinted and not over)
    if isinstance(result, StepRunning) and over:
        result = PollResult(end=StepFailed(error=timed_out(step)), body={})
    if isinstance(result, PollResult):
        end(job, name, result)
    elif step.hinted and hasattr(platform.steps[name], "hinted") and not result.soon:
        _followed(platform, job, name, result)
    else:
        goes_on(platform, job, name, result)


def _followed[C](platform: Platform[C], job: Job, name: str, running: StepRunning) -> None:
    """A hint ends nothing, and the platform was not asked: the next poll comes as if there had been none."""
    step = job.steps[name]
    wait = backoff.next_poll(first_poll(job, expects_callback=platform.steps[name].CALLBACK_EXPECTED), step.polls)
    _save(
        job,
        partial(
            transitions.hint_followed,
            name=name,
            seen=step,
            running=running,
            now=clock.now(),
            wake_in=_until(step, wait),
        ),
    )


def ask_again[C](platform: Platform[C], job: Job, name: str) -> None:
    """Look into a hint about a failed step: the platform may have taken the failure back."""
    step, now = job.steps[name], clock.now()
    result = answer(platform, job, name, after_hint=False)
    if isinstance(result, PollResult) and isinstance(result.end, StepSucceeded):
        end(job, name, result)
        return
    silent = isinstance(result, StepRunning) and replace(result, wait=0.0, soon=False) == StepRunning()
    if isinstance(result, PollResult) or silent:
        patience = settings.number("STEP_DEADLINE_SECONDS") if silent else LAG_SECONDS
        lags = clock.after(step.hinted_at or 0, patience) > now
        # ever more slowly: half as long again as it has been asked about
        asked_for = (now - (step.hinted_at or now)) / clock.SECOND
        wait = min(max(asked_for / 2, LAG_SECONDS / 2), backoff.LONGEST_POLL_SECONDS)
        logger.info("failure_stands", extra={"asked_again": lags})
        _save(
            job, partial(transitions.failure_stands, name=name, seen=step, now=now, ask_again_in=wait if lags else None)
        )
        return
    logger.info("step_resumed")
    deadline = settings.number("STEP_DEADLINE_SECONDS")
    _save(job, partial(transitions.resumed, name=name, seen=step, running=result, now=now, deadline_in=deadline))


def answer[C](platform: Platform[C], job: Job, name: str, *, after_hint: bool) -> StepRunning | PollResult:
    """What the platform's module finds out about a step; that it runs, if there is no answer."""
    module, step = platform.steps[name], job.steps[name]
    look: Any = getattr(module, "hinted", module.poll) if after_hint else module.poll
    try:
        found: StepRunning | PollResult = look(platform.client, job, step)
    except TransientError as error:
        logger.warning("poll_failed", extra={"reason": str(error)})
        return StepRunning(soon=after_hint, wait=backoff.bounded(error.wait_seconds))
    except RefusedByPlatformError as refusal:
        # no answer about the step; the deadline limits how often it is asked for
        logger.warning("poll_failed", extra={"reason": str(refusal)})
    except Exception as error:  # the border: not even a mistake of ours may keep a step from reaching its deadline
        logger.warning("poll_failed", exc_info=True, extra={"reason": type(error).__name__})
    else:
        return found
    return StepRunning(soon=after_hint)


def end(job: Job, name: str, result: PollResult, *, confirm: bool = False) -> None:
    """End the step as a callback would."""
    step = job.steps[name]
    try:
        if isinstance(result.end, StepSucceeded):
            media.link(job, result.end.refs)
        events.archive_answer(job, name, result, via="poll")
        _save(job, partial(_ended, name=name, seen=step, result=result, confirm=confirm))
    except Exception as error:
        if is_aws_error(error) or isinstance(error, ConflictError) or not result.end.result:
            raise
        # the border: what cannot be stored must not keep the step from its end
        logger.exception("result_not_stored")
        bare = replace(result, end=replace(result.end, result={}), body={"omitted": "it could not be stored"})
        end(job, name, bare, confirm=confirm)


def _ended(job: Job, *, name: str, seen: Step, result: PollResult, confirm: bool) -> Job | None:
    now = clock.now()
    known = transitions.confirmed(job, now=now) if confirm else None
    ended = transitions.step_ended(
        known or job, name, seen.attempt, result.end, now=now, seen=seen, platform_status=result.platform_status
    )
    return ended or known


def goes_on[C](platform: Platform[C], job: Job, name: str, running: StepRunning, *, confirm: bool = False) -> None:
    """Note how the step stands, and poll again later: ever later, unless its end is near."""
    step, now = job.steps[name], clock.now()
    interval = first_poll(job, expects_callback=platform.steps[name].CALLBACK_EXPECTED and not running.soon)
    near = running.soon and clock.after(step.hinted_at or step.started_at or now, SOON_SECONDS) > now
    wait = interval if near else backoff.next_poll(interval, step.polls + 1)
    wait = max(wait, running.wait)
    after = _save(
        job, partial(_polled, name=name, seen=step, running=running, wake_in=_until(step, wait), confirm=confirm)
    )
    if after is not None and after.request.notify_polls:
        _announce_poll(after, name)


def _until(step: Step, wait: float) -> float:
    """Seconds until the next poll: the last one is at the deadline, not long after it."""
    if step.deadline_at is None:
        return wait
    return min(wait, max((step.deadline_at - clock.now()) / clock.SECOND, 0) + 1)


def _polled(job: Job, *, name: str, seen: Step, running: StepRunning, wake_in: float, confirm: bool) -> Job | None:
    now = clock.now()
    known = transitions.confirmed(job, now=now) if confirm else None
    return transitions.polled(known or job, name, seen, running, now=now, wake_in=wake_in) or known


def _announce_poll(job: Job, name: str) -> None:
    """Announce it to whoever wants to hear of each poll; the next one says more if this is lost."""
    try:
        notifications.job_polled(job, name)
    except Exception as error:
        if not is_aws_error(error):
            raise
        logger.exception("poll_not_announced")


def _save(job: Job, transition: jobs.Transition) -> Job | None:
    """Move the job, and send what follows; the job if it moved."""
    change = jobs.change(job.job_id, transition, known=job)
    if change is None or not change.changed:
        logger.info("moved_on")
        return None
    queues.send_looks(messages(change.after))
    return change.after


def _is_over(step: Step) -> bool:
    return step.deadline_at is not None and step.deadline_at <= clock.now()


def timed_out(step: Step) -> JobError:
    """The error of a step whose deadline is over."""
    until = clock.iso(step.deadline_at or clock.now())
    return JobError(
        code="timed_out",
        message=f"still {step.platform_status or 'running'} at its deadline, {until}",
        cause="No callback came, and no poll found an end, before the step's deadline",
        action="Look at the medium in the platform's console; retry, or raise StepDeadlineSeconds",
        retryable=True,
    )
