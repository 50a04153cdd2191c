"""Submits a step: claim it under a lease, ask the platform, and store what it says.

What the platform has accepted costs money to ask for again, so storing it is insisted on, whatever form its answer has.
"""

import time
from collections.abc import Callable
from functools import partial

from video_jobs import clock, logs, settings
from video_jobs.aws import queues
from video_jobs.aws.errors import is_aws_error
from video_jobs.aws.secrets import SecretUnavailableError
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import Job, JobError, PollResult, Step, StepEnd, StepFailed, StepSucceeded, Submitted
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.media import medium_of
from video_jobs.store import events, jobs, media
from video_jobs.store.table import ConflictError
from video_jobs.worker import backoff
from video_jobs.worker.platform import Platform, PlatformStep

LEASE_SECONDS = 90
"""How long a worker may take to submit a step: more than its timeout, so that no two ask for the same attempt."""
_INSISTENCE = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between tries to store what a platform has accepted."""

logger = logs.logger()


def begin[C](platform: Platform[C], job: Job, name: str) -> None:
    """Skip what does not apply; claim what does, and submit it."""
    now = clock.now()
    if not platform.applies(job, name):
        left = [step for step in job.plan[job.plan.index(name) :] if not platform.applies(job, step)]
        _change(job, partial(transitions.skipped, names=left, now=now))
        return
    step = job.steps[name]
    if step.attempt >= step.attempt_limit:
        _change(job, partial(transitions.given_up, name=name, error=_broke_off(step), now=now))
        return
    url = _callback_url(platform, job, name)  # before the claim: where AWS keeps us from it there is no attempt
    claimed = claim(job, name)
    if claimed is None:
        logger.info("moved_on")  # who was faster has sent what follows
        return
    logger.append_keys(attempt=claimed.steps[name].attempt)
    if isinstance(url, TransientError):
        _try_again(claimed, name, url)
    else:
        submit(platform.steps[name], platform.client, claimed, name, url=url)


def _callback_url[C](platform: Platform[C], job: Job, name: str) -> str | TransientError:
    """The attempt's URL, or why it has none until somebody fills a secret. Raises what AWS raises while it is away."""
    try:
        return platform.callback_url(job, name)
    except SecretUnavailableError as error:
        if is_aws_error(error):
            raise
        missing = JobError(
            code="not_configured",
            message=str(error),
            cause="The stack has no key to sign callback URLs with",
            action='Put {"current": "…"} into the stack\'s secret CallbackKeys, then retry',
            retryable=True,
        )
        return TransientError(missing)


def claim(job: Job, name: str) -> Job | None:
    """The job with this step claimed; None if it is not to be had, or moved. The medium of the job is noted with it."""
    now = clock.now()
    found = medium_of(job)
    noted = found and transitions.medium_noted(job, found, now=now)
    claimed = transitions.claimed(noted or job, name, now=now, lease=LEASE_SECONDS)
    if claimed is None:
        return None
    if noted:
        media.link(noted, [found] if found else [])
    return jobs.save(job, claimed)


def submit[C](module: PlatformStep[C], client: C, job: Job, name: str, *, url: str) -> None:
    """Ask the platform for a claimed step, and store what it says.

    Raises what is a defect of ours; then the lease's end has the step looked at again.
    """
    try:
        answer = module.submit(client, job, callback_url=url)
    except TransientError as error:
        _try_again(job, name, error)
    except RefusedByPlatformError as refusal:
        said = {"message": refusal.error.message, "http_status": refusal.status}
        _store_end(job, name, PollResult(end=StepFailed(error=refusal.error), body=said))
    except Exception as error:
        if not is_aws_error(error):
            raise
        _release(job, name, error)
    else:
        if isinstance(answer, PollResult):
            _store_end(job, name, answer)
        else:
            _store_accepted(module, job, name, answer)


# --- What the platform said ------------------------------------------------------------------------------------------


def _store_accepted[C](module: PlatformStep[C], job: Job, name: str, accepted: Submitted) -> None:
    """Its ids lead to the job from now on, whatever has become of it meanwhile."""
    logger.info("submitted", extra={"platform_job_id": accepted.platform_job_id})

    def store() -> None:
        media.link(job, accepted.refs)
        now = clock.now()
        _change(
            job,
            partial(
                transitions.submitted,
                name=name,
                attempt=job.steps[name].attempt,
                accepted=accepted,
                now=now,
                poll_in=first_poll(job, expects_callback=module.CALLBACK_EXPECTED),
                deadline_in=settings.number("STEP_DEADLINE_SECONDS"),
            ),
        )

    _insist(store)


def _store_end(job: Job, name: str, result: PollResult) -> None:
    attempt = job.steps[name].attempt

    def store() -> None:
        if isinstance(result.end, StepSucceeded):
            media.link(job, result.end.refs)
        events.archive_answer(job, name, result, via="submit")
        _change(job, partial(_ended, name=name, attempt=attempt, end=result.end))

    _insist(store)


def _ended(job: Job, *, name: str, attempt: int, end: StepEnd) -> Job | None:
    ended = transitions.step_ended(job, name, attempt, end, now=clock.now())
    if ended is None and isinstance(end, StepSucceeded):
        return transitions.refs_noted(job, end.refs, now=clock.now())
    return ended


def _insist(store: Callable[[], None]) -> None:
    for wait in _INSISTENCE:
        try:
            store()
        except Exception as error:
            if not (is_aws_error(error) or isinstance(error, ConflictError)):
                raise
            logger.warning("stores_it_again", exc_info=True)
            time.sleep(wait)
        else:
            return
    store()


# --- What passes -----------------------------------------------------------------------------------------------------


def _try_again(job: Job, name: str, error: TransientError) -> None:
    """Wait and try again, or fail when the attempts are used up, or the platform never had room."""
    step = job.steps[name]
    if error.rate_limited:
        if _past(step.started_at, settings.number("STEP_DEADLINE_SECONDS")):
            _store_end(job, name, _failed(_never_had_room(step, error), error))
            return
        wait = backoff.for_room(job.request.retry.base_delay, step.spared, asked=error.wait_seconds)
        logger.warning("rate_limited", extra={"reason": str(error), "wait": wait})
    else:
        tries_left = step.attempt_limit - step.attempt
        if tries_left <= 0:
            logger.warning("attempts_used_up", extra={"reason": str(error)})
            _store_end(job, name, _failed(error.error, error))
            return
        tried = job.request.retry.max_attempts - tries_left
        wait = backoff.after_error(job.request.retry.base_delay, tried, asked=error.wait_seconds)
        logger.warning("attempt_failed", extra={"reason": str(error), "tries_left": tries_left, "wait": wait})
    _back_off(job, name, error.error, wait=wait, counts=not error.rate_limited)


def _release(job: Job, name: str, error: Exception) -> None:
    """AWS kept us from asking the platform: that is no attempt of it."""
    step = job.steps[name]
    wait = backoff.for_aws(step.spared)
    logger.warning("aws_unavailable", extra={"reason": f"{type(error).__name__}: {error}", "wait": wait})
    _back_off(job, name, step.error, wait=wait, counts=False)


def _back_off(job: Job, name: str, error: JobError | None, *, wait: float, counts: bool) -> None:
    _change(
        job,
        partial(
            transitions.backed_off,
            name=name,
            attempt=job.steps[name].attempt,
            error=error,
            now=clock.now(),
            wait=wait,
            counts=counts,
        ),
    )


def _failed(error: JobError, said: TransientError) -> PollResult:
    return PollResult(end=StepFailed(error=error), body={"message": str(said)})


def _never_had_room(step: Step, error: TransientError) -> JobError:
    since = clock.iso(step.started_at or clock.now())
    return JobError(
        code="rate_limited",
        message=str(error),
        cause=f"The platform's rate limit left no room for the step since {since}, in {step.spared + 1} attempts",
        action="Retry when less is asked of the platform, or ask it for a higher limit",
        retryable=True,
    )


def _broke_off(step: Step) -> JobError:
    """Why a step fails whose last attempt broke off half-way: what the attempt said, if it said something."""
    return step.error or JobError(
        code="broke_off",
        message="the last attempt began and never ended",
        cause="The worker was stopped while it asked the platform, or hit a defect of its own; its log says which",
        action="Retry; the platform may have accepted the step all the same",
        retryable=True,
    )


# --- What they share -------------------------------------------------------------------------------------------------


def first_poll(job: Job, *, expects_callback: bool) -> float:
    """Seconds from a step's start to its first poll."""
    if job.request.check_interval is not None:
        return job.request.check_interval
    interval = float(settings.number("CHECK_INTERVAL_SECONDS"))
    return max(interval, backoff.CALLBACK_SECONDS) if expects_callback else interval


def _change(job: Job, transition: jobs.Transition) -> None:
    """Move the job, and send what follows: also if nothing changed, for it may have been saved and not been sent."""
    change = jobs.change(job.job_id, transition, known=job)
    if change is not None:
        queues.send_looks(messages(change.after))


def _past(moment: int | None, seconds: float) -> bool:
    return moment is not None and clock.after(moment, seconds) < clock.now()
