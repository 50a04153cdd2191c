"""A platform's worker: starts steps, checks on them, tries again what may pass, and ends jobs.

Two messages: `start` moves a job, wherever it stands, and `check` asks the platform how a step stands. Either may come
late, twice or not at all: each looks at the job first, and claims what it does by a conditional write.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError

from video_jobs import ended, logs, notices, queues, secrets, settings, store, tokens
from video_jobs.batches import is_end
from video_jobs.consumers import ComesAgainError, Handler, consumer
from video_jobs.faults import RefusedByPlatformError, TransientError
from video_jobs.jobs import (
    LARGEST_BODY,
    Found,
    Job,
    JobError,
    JobStatus,
    Step,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
    now,
    timestamp,
)
from video_jobs.platforms import media
from video_jobs.queues import CheckMessage, StartMessage

LEASE_SECONDS = 90
"""How long a worker may take to submit a step: more than its timeout, so that no two ask for the same attempt."""
LONGEST_BACKOFF_SECONDS = 300
LONGEST_ASKED_WAIT_SECONDS = 3600
"""How long a platform may have us wait before the next attempt."""
LONGEST_SPREAD_SECONDS = 800
"""Over how long at most jobs come again that a rate limit has sent away: with a wait of a minute, SQS takes that."""
LAG_SECONDS = 60
"""How long a platform's status may lag behind its callback that a failure was none: less than until a sweep looks."""
CHECK_GROWTH = 1.5
SOON_SECONDS = 600
"""How long after a callback an end counts as near: one that never comes must not be asked after so often for ever."""
LONGEST_CHECK_SECONDS = 900
TRIES = 15
"""How often a message is received before a defect of ours sends it to the dead letters."""

logger = logs.logger()


class PlatformStep[C](Protocol):
    """What a platform's module must say about one of its steps; C is the platform's client.

    It may also have a `hear`, with the signature of `check`: called when callbacks have told something about a step
    that they cannot end. Without one, each such callback makes the worker check.
    """

    def submit(self, client: C, job: Job, *, callback_url: str) -> Submitted | Found:
        """Ask for the step. Raises TransientError or RefusedByPlatformError."""
        ...

    def check(self, client: C, job: Job, step: Step) -> StepRunning | Found:
        """Ask how it stands. What it raises is taken as: no answer yet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform[C]:
    """A platform, as its worker needs it."""

    name: str
    steps: Mapping[str, PlatformStep[C]]
    applies: Callable[[Job, str], bool]
    """Whether a step makes sense for the job's medium; steps that do not are skipped."""
    callback_url: Callable[[Job, str], str]
    """Where the platform is to call back about the next attempt at a step; "" where it is told so once for all."""
    client: C


def steps_worker[C](platform: Platform[C]) -> Handler:
    """The handler of a platform's steps function."""

    def take(record: SQSRecord, _context: Any) -> None:
        logger.append_keys(provider=platform.name)
        message = queues.read(record.body, queues.STEPS, queue="steps")
        logger.append_keys(job_id=message.job_id, action=message.action)
        if isinstance(message, StartMessage):
            start(platform, message.job_id)
        else:
            check(platform, message)

    prefix = f"{platform.name.upper()}_STEPS"
    return consumer(take, queue=f"{prefix}_QUEUE_URL", dead_letters=f"{prefix}_DEAD_LETTERS_URL", tries=TRIES)


# --- Start ---------------------------------------------------------------------------------------------------------


def start[C](platform: Platform[C], job_id: str) -> None:
    """Move a job: end it, start its current step, or look after one that nobody has heard of."""
    job = _without_doubt(platform, store.get(job_id))
    if job is None or job.status.ended:
        _look_back(job)
        return
    if job.counted is not None and is_end(job.counted):
        job = _reopen(job)
    name = job.current
    if name is None:
        _end(job, JobStatus.SUCCEEDED)
        return
    step = job.steps[name]
    logger.append_keys(step=name, attempt=step.attempt)
    match step.status:
        case StepStatus.FAILED:
            _end(job, JobStatus.FAILED)
        case StepStatus.RUNNING:
            _look_after(platform, job, name)
        case StepStatus.SUBMITTING if not _past(step.lease_until):
            # or was, and broke off: this message looks again when that is known
            logger.info("somebody is at it")
            raise ComesAgainError("leased", delay=LEASE_SECONDS)
        case _ if not _past(step.not_before):
            logger.info("too early")
        case _:
            _begin(platform, job, name)


def _look_back(job: Job | None) -> None:
    """Have the end of a job told, if that has broken off."""
    if job is None:
        logger.info("gone, or goes on")
    elif not job.is_told:
        ended.conclude(job)
    elif job.batch is not None and job.batch_index is not None:
        ended.settle(job.batch)  # which may have broken off when the job was told


def _without_doubt[C](platform: Platform[C], job: Job | None) -> Job | None:
    """Look into what callbacks have told of a step since it failed: the platform may have taken the failure back.

    The job, if the step has failed all the same, or the platform does not answer: then a sweep has it asked again, as
    it does if its status may lag behind. None if the job goes on, or moved on.
    """
    if job is None or job.doubted is None:
        return job
    name, step = job.doubted, job.steps[job.doubted]
    found = _ask(platform.steps[name].check, platform.client, job, name, otherwise=StepRunning())
    if isinstance(found, Found) and isinstance(found.end, StepSucceeded):
        _record(job, name, found, via="check")
        return None
    unknown = isinstance(found, StepRunning) and replace(found, wait=0.0) == StepRunning()
    if isinstance(found, Found) or unknown:
        patience = LAG_SECONDS if isinstance(found, Found) else settings.number("STEP_DEADLINE_SECONDS")
        if not _past(step.told_at, grace=patience):
            return job
        logger.info("has failed all the same")
        return store.looked_again(job, name)
    logger.info("is at it again")
    if store.resumed(job, name):
        queues.send_start(platform.name, job.job_id)
    return None


def _reopen(job: Job) -> Job:
    """Note that a job runs again which its batch counts as ended: the platform took a failure back."""
    reopened = store.reopened(job)
    if reopened is None:
        raise ComesAgainError("moved on", delay=1)
    return reopened


def _look_after[C](platform: Platform[C], job: Job, name: str) -> None:
    """Hear what callbacks have told of a running step, or check on one whose check was lost."""
    step = job.steps[name]
    if step.tellings > step.heard:
        _hear(platform, job, name)
    elif _past(step.next_check_at, grace=store.table.SWEEP_GRACE_SECONDS):
        _check(platform, job, name)


def _begin[C](platform: Platform[C], job: Job, name: str) -> None:
    """Skip what does not apply; claim what does, and submit it."""
    if not platform.applies(job, name):
        left = job.plan[job.plan.index(name) :]
        if store.skip(job, [step for step in left if not platform.applies(job, step)]):
            queues.send_start(platform.name, job.job_id)
        return
    if job.steps[name].attempt >= job.steps[name].attempt_limit:
        _record(job, name, Found(end=StepFailed(error=_abandoned(job.steps[name])), body={}), via="start")
        return
    url = platform.callback_url(job, name)  # before the claim: an attempt that lacks its URL is none
    claimed = store.claim(job, name, lease_seconds=LEASE_SECONDS)
    if claimed is None:
        logger.info("somebody else has it")
        return
    logger.append_keys(attempt=claimed.steps[name].attempt)
    _submit(platform, claimed, name, url)


def _submit[C](platform: Platform[C], job: Job, name: str, url: str) -> None:
    """Ask the platform, and store what it says."""
    try:
        answer = platform.steps[name].submit(platform.client, job, callback_url=url)
    except TransientError as fault:
        _try_again(job, name, fault)
    except RefusedByPlatformError as refusal:
        body = {"message": refusal.error.message, "http_status": refusal.status}
        _record(job, name, Found(end=StepFailed(error=refusal.error), body=body), via="submit")
    else:
        if isinstance(answer, Found):
            _record(job, name, answer, via="submit")
            return
        interval = _interval(job)
        running = _insist(
            lambda: store.submitted(
                job,
                name,
                accepted=answer,
                check_in=interval,
                deadline_in=settings.number("STEP_DEADLINE_SECONDS"),
            )
        )
        logger.info("submitted", extra={"platform_job_id": answer.platform_job_id})
        if running:
            _send_check(running, name, delay=interval)
            if running.steps[name].tellings > running.steps[name].heard:
                queues.send_start(platform.name, job.job_id)  # its callbacks were faster


def _insist[T](write: Callable[[], T]) -> T:
    """Try a write for some seconds: what the platform has accepted costs money to ask for again."""
    for wait in (0.2, 0.4, 0.8, 1.6, 3.2):
        try:
            return write()
        except (BotoCoreError, ClientError):
            logger.warning("tries to store it again", exc_info=True)
            time.sleep(wait)
    return write()


def _interval(job: Job) -> float:
    """Seconds from a step's start to its first check."""
    return job.check_interval or float(settings.number("CHECK_INTERVAL_SECONDS"))


def no_url(_job: Job, _name: str) -> str:
    """For a platform that calls back where its account says."""
    return ""


def token_url(job: Job, name: str) -> str:
    """A URL that proves itself, for the step's next attempt: for a platform that signs nothing."""
    try:
        key = secrets.values("CALLBACK_KEYS_SECRET")["current"]
    except KeyError:
        raise secrets.SecretUnavailableError('the callback keys have no "current" one to sign with') from None
    return tokens.callback_url(
        settings.setting("CALLBACK_BASE_URL"),
        f"{job.provider}/{name}",
        job.job_id,
        job.steps[name].attempt + 1,
        key=key,
    )


def _try_again(job: Job, name: str, fault: TransientError) -> None:
    """Wait and try again, or fail when the attempts are used up."""
    if fault.rate_limited:
        _wait_for_room(job, name, fault)
        return
    step = job.steps[name]
    tries_left = step.attempt_limit - step.attempt
    logger.warning("attempt failed", extra={"reason": str(fault), "tries_left": tries_left})
    if tries_left <= 0:
        _record(job, name, Found(end=StepFailed(error=fault.error), body={"message": str(fault)}), via="submit")
        return
    attempts = job.retry.max_attempts - tries_left
    delay = max(_backoff(job.retry.base_delay, attempts), min(fault.wait_seconds or 0, LONGEST_ASKED_WAIT_SECONDS))
    store.queue_again(job, name, error=fault.error, delay=delay)
    raise ComesAgainError(str(fault), delay=delay)


def _wait_for_room(job: Job, name: str, fault: TransientError) -> None:
    """Try again when the platform has room, which uses up no attempt; or fail if it had none until the deadline.

    Jobs that are sent away together come again spread out. Each by another message, because the same one may not be
    received as often as it takes until thousands of jobs have had their turn.
    """
    step = job.steps[name]
    if _past(step.started_at, grace=settings.number("STEP_DEADLINE_SECONDS")):
        error = _never_had_room(step, fault)
        _record(job, name, Found(end=StepFailed(error=error), body={"message": str(fault)}), via="submit")
        return
    asked = min(fault.wait_seconds or 0, LONGEST_ASKED_WAIT_SECONDS)
    base_delay = max(
        job.retry.base_delay, 1.0
    )  # whoever wants no wait after a fault does not want to crowd the rest out
    delay = asked + _backoff(base_delay, step.rate_limits + 1, longest=LONGEST_SPREAD_SECONDS)
    logger.warning("no room", extra={"reason": str(fault), "delay": delay})
    store.queue_again(job, name, error=fault.error, delay=delay, rate_limited=True)
    # a second more, for clocks that differ: one that comes too early is dropped, as is this one if it cannot be sent
    # so late; then a sweep sends another
    queues.send_start(job.provider, job.job_id, delay=delay + 1)


def _never_had_room(step: Step, fault: TransientError) -> JobError:
    return JobError(
        code="rate_limited",
        message=str(fault),
        cause=f"The platform's rate limit left no room for the step since {step.started_at}, "
        f"in {step.rate_limits + 1} attempts",
        action="Retry when less is asked of the platform, or ask it for a higher limit",
        retryable=True,
    )


def _backoff(base_delay: float, attempts: int, *, longest: float = LONGEST_BACKOFF_SECONDS) -> float:
    """Seconds: exponential, with full jitter (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter)."""
    return random.uniform(0, min(base_delay * 2 ** min(max(attempts - 1, 0), 20), longest))


def _abandoned(step: Step) -> JobError:
    """Why a step fails whose last attempt broke off half-way: what the attempt said, if it said something."""
    return step.error or JobError(
        code="broke_off",
        message="the last attempt began and never ended",
        cause="The worker was stopped while it asked the platform, or hit a fault of its own; its log says which",
        action="Retry; the platform may have accepted the step all the same",
        retryable=True,
    )


# --- Check ---------------------------------------------------------------------------------------------------------


def check[C](platform: Platform[C], message: CheckMessage) -> None:
    """Check on a step, if it is still where it was when the check was planned."""
    job = store.get(message.job_id)
    step = job.steps.get(message.step) if job else None
    current = (
        job is not None
        and job.status == JobStatus.RUNNING
        and step is not None
        and step.status == StepStatus.RUNNING
        and (step.attempt, step.checks) == (message.attempt, message.checks)
    )
    if job is None or not current:
        logger.info("nothing to check")
        return
    _check(platform, job, message.step)


def _check[C](platform: Platform[C], job: Job, name: str) -> None:
    """Ask the platform; record the end of the step as a callback would, or plan the next check."""
    step = job.steps[name]
    found = _ask(platform.steps[name].check, platform.client, job, name, otherwise=StepRunning())
    if isinstance(found, Found):
        _record(job, name, found, via="check", checks=step.checks + 1)
    elif _past(step.deadline_at):
        end = StepFailed(error=_timed_out(step))
        _record(job, name, Found(end=end, body={}), via="check", checks=step.checks + 1)
    else:
        _plan_check(job, name, found)


def _hear[C](platform: Platform[C], job: Job, name: str) -> None:
    """Look into what callbacks have told; the checks go on as planned, unless an end is near."""
    module = platform.steps[name]
    look: _Look[C] = getattr(module, "hear", module.check)
    found = _ask(look, platform.client, job, name, otherwise=StepRunning(soon=True))
    if isinstance(found, Found):
        _record(job, name, found, via="check")
    elif found.soon or _past(job.steps[name].next_check_at):
        _plan_check(job, name, found)
    else:
        store.heard(job, name, found)


type _Look[C] = Callable[[C, Job, Step], StepRunning | Found]


def _ask[C](look: _Look[C], client: C, job: Job, name: str, *, otherwise: StepRunning) -> StepRunning | Found:
    """What the platform's module finds out about a step; `otherwise` if there is no answer."""
    step = job.steps[name]
    logger.append_keys(step=name, attempt=step.attempt)
    try:
        return look(client, job, step)
    except TransientError as fault:
        logger.warning("check failed", extra={"reason": str(fault)})
        return replace(otherwise, wait=min(fault.wait_seconds or 0.0, LONGEST_ASKED_WAIT_SECONDS))
    except RefusedByPlatformError as fault:
        # no answer about the step; the deadline limits how often it is asked for
        logger.warning("check failed", extra={"reason": str(fault)})
    except Exception:  # the border: not even a mistake of ours may keep a step from reaching its deadline
        logger.exception("check failed")
    return otherwise


def _plan_check(job: Job, name: str, found: StepRunning) -> None:
    """Note how the step stands, and ask again later: ever later, unless its end is near."""
    growth = CHECK_GROWTH ** min(job.steps[name].checks + 1, 30)  # long before that it has reached its longest
    near = found.soon and not _past(job.steps[name].told_at, grace=SOON_SECONDS)
    delay = _interval(job) if near else min(_interval(job) * growth, LONGEST_CHECK_SECONDS)
    delay = max(delay, found.wait)
    running = store.checked(job, name, found, next_in=delay)
    if running:
        _send_check(running, name, delay=delay)
        _tell_check(running, name)


def _tell_check(job: Job, name: str) -> None:
    """Tell whoever wants to hear of each check; the next one tells more if this is lost."""
    if not job.notify_checks:
        return
    try:
        notices.job_checked(job, name)
    except (BotoCoreError, ClientError, queues.NotSentError):
        logger.exception("a check was not told")


def _send_check(job: Job, name: str, *, delay: float) -> None:
    step = job.steps[name]
    message = CheckMessage(job_id=job.job_id, step=name, attempt=step.attempt, checks=step.checks)
    queues.send_check(job.provider, message, delay=delay)


def _timed_out(step: Step) -> JobError:
    return JobError(
        code="timed_out",
        message=f"still {step.platform_status or 'running'} at its deadline, {step.deadline_at}",
        cause="No callback came, and no check found an end, before the step's deadline",
        action="Look at the medium in the platform's console; retry, or raise StepDeadlineSeconds",
        retryable=True,
    )


# --- Ends ----------------------------------------------------------------------------------------------------------


def _record(job: Job, name: str, found: Found, *, via: str, checks: int | None = None) -> None:
    """Record what we were told, or found out, exactly as a callback's word; then move the job on.

    `checks`: how many there have been, if this was one that had been planned.
    """
    step = job.steps[name]
    body = _archived(found.body)
    event = store.Event(
        callback=f"{job.provider}/{name}",
        step=name,
        attempt=step.attempt,
        body=body,
        # the same words are a new answer: after news that opened a failed step again, and to the job that takes over
        # what callbacks told another one, whose archive comes along
        identity=f"{job.job_id}\n{step.attempt}\n{step.tellings}\n{body}" if step.tellings else None,
        via=via,
        headers={},
        received_at=timestamp(now()),
    )
    look = store.Look(heard=step.tellings, platform_status=found.platform_status, checks=checks)
    outcome = store.record(job.job_id, event, found.end, look=look)
    logger.info(outcome, extra={"via": via, "end": type(found.end).__name__})
    if outcome != store.Recorded.REPEATED:  # whoever recorded it first has sent one; two must not keep each other going
        queues.send_start(job.provider, job.job_id)


def _archived(body: Mapping[str, Any]) -> str:
    """A body that we asked for, as it goes into the archive: what is too large can be asked for again."""
    text = json.dumps(dict(body), ensure_ascii=False)
    size = len(text.encode())
    if size <= LARGEST_BODY:
        return text
    return json.dumps({"omitted": "too large", "bytes": size, "sha256": hashlib.sha256(text.encode()).hexdigest()})


def _end(job: Job, status: JobStatus) -> None:
    """End a job that has not ended."""
    done = store.end(media.known(job), status)
    if done is None:
        logger.info("had ended, or moved on")
        return
    logger.info("job ended", extra={"status": status, "error": done.error.code if done.error else None})
    with single_metric(name="JobsEnded", unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension(name="provider", value=job.provider)
        metric.add_dimension(name="status", value=status)
    ended.conclude(done)


def _past(moment: str | None, *, grace: float = 0.0) -> bool:
    """Whether a stored moment, and the grace after it, is over; None is."""
    if moment is None:
        return True
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() > grace
