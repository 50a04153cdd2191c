"""Asks a platform about work that was started elsewhere, before anything is said about it.

The platform's answer may carry our own mark: then the id is that job's. What the platform does not know is removed, and
nothing of it is announced.
"""

from functools import partial

from video_jobs import clock, logs
from video_jobs.aws import queues
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import NOT_FOUND, Hint, Job, PollResult, StepFailed, StepRunning
from video_jobs.store import jobs, media
from video_jobs.worker import poll
from video_jobs.worker.platform import Platform

logger = logs.logger()


def confirm[C](platform: Platform[C], job: Job, name: str) -> None:
    """Ask whether the platform knows the work, and whose it is."""
    ref = job.steps[name].platform_job_id or ""
    followers = [job_id for job_id in media.followers(job.provider, ref).items if job_id != job.job_id]
    if followers:  # our own submit was slower than the platform's callback
        _hand_over(job, name, followers)
        return
    result = poll.answer(platform, job, name, after_hint=False)
    if result.owner is not None and result.owner != job.job_id:
        owner = jobs.read(result.owner)
        if owner is not None:
            media.link(owner, [ref])
            _hand_over(job, name, [owner.job_id])
            return
        if jobs.is_deleted(result.owner):
            _discard(job, ref)
            return
    if isinstance(result, PollResult):
        unknown = isinstance(result.end, StepFailed) and result.end.error.code == NOT_FOUND
        if unknown:
            _discard(job, ref)
        else:
            poll.end(job, name, result, confirm=True)
    elif _is_silent(result):
        _ask_later(platform, job, name, result)
    else:
        poll.goes_on(platform, job, name, result, confirm=True)


def _is_silent(running: StepRunning) -> bool:
    """Whether the platform has said nothing about the work."""
    return running.platform_status is None and running.progress is None and running.result is None


def _ask_later[C](platform: Platform[C], job: Job, name: str, running: StepRunning) -> None:
    """Nothing is known yet; at the deadline nothing ever was, and there is nobody to say so to."""
    step = job.steps[name]
    if step.deadline_at is not None and step.deadline_at <= clock.now():
        _discard(job, step.platform_job_id or "")
    else:
        poll.goes_on(platform, job, name, running)


def _hand_over(job: Job, name: str, owners: list[str]) -> None:
    """What callbacks said of the id is for these jobs; this one is removed."""
    step = job.steps[name]
    for owner in owners:
        for part, word in step.hints.items():
            hint = Hint(ref=step.platform_job_id or "", step=name, part=part, word=word, good=True)
            change = jobs.change(owner, partial(_hinted, hint=hint))
            if change is not None and change.changed:
                queues.send_looks(messages(change.after))
    logger.info("handed_over", extra={"owners": owners})
    _discard(job, step.platform_job_id or "")


def _hinted(job: Job, *, hint: Hint) -> Job | None:
    return transitions.hinted(job, hint, now=clock.now())


def _discard(job: Job, ref: str) -> None:
    if not jobs.discard(job):
        logger.info("moved_on")
        return
    media.unlink(job, ref)
    logger.info("discarded", extra={"ref": ref})
