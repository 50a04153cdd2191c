"""Looks at a job and does what is due: submit, poll, or announce its end.

One message: look at this job. The job's state says what there is to do, so it may come late, twice or not at all.
"""

from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from video_jobs import clock, logs
from video_jobs.aws import queues
from video_jobs.aws.consumers import ComesAgainError, Handler, consumer
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import Job, StepStatus
from video_jobs.notifications.announce import announce, settle
from video_jobs.store import jobs
from video_jobs.worker import adopted, poll, submit
from video_jobs.worker.platform import Platform

TRIES = 15
"""How often a message is received before a defect of ours sends it to the dead letters."""

logger = logs.logger()


def worker[C](platform: Platform[C]) -> Handler:
    """The handler of a platform's worker function."""

    def take(record: SQSRecord, _context: Any) -> None:
        logger.append_keys(provider=platform.name)
        message = queues.read(record.body, "look")
        logger.append_keys(job_id=message["job_id"])
        again = int(record.attributes.approximate_receive_count) > 1 and not _waits_longer(record, message["due_at"])
        look(platform, message["job_id"], sent_for=message["due_at"], again=again)

    prefix = platform.name.upper()
    return consumer(take, queue=f"{prefix}_QUEUE_URL", dead_letters=f"{prefix}_DEAD_LETTERS_URL", tries=TRIES)


def _waits_longer(record: SQSRecord, due_at: int) -> bool:
    """Whether a message is for a moment that SQS cannot wait for: then it has come before, and nothing broke off."""
    sent_at = record.attributes.get("SentTimestamp")
    return sent_at is not None and due_at > clock.after(int(sent_at), queues.LARGEST_DELAY_SECONDS)


def look[C](platform: Platform[C], job_id: str, *, sent_for: int, again: bool = False) -> None:
    """Do what is due. `sent_for`: when the message was meant for, which may be later than SQS can wait.

    Raises ComesAgainError for the rest of that wait. A message for another moment than the job is due at now is
    dropped: whoever moved the job has sent the one for that, unless it comes `again` because that has broken off.
    """
    job = jobs.read(job_id)
    if job is None:
        logger.info("gone")
        return
    due, now = job.due_at, clock.now()
    if due is None:
        logger.info("nothing_due")
        if job.status.ended and job.request.batch_id is not None:
            settle(job.request.batch_id)  # which may have broken off when the end was announced
    elif due > now and (due == sent_for or _is_leased(job)):
        raise ComesAgainError("early", delay=(due - now) / clock.SECOND)
    elif due > now:
        logger.info("superseded")
        if again:
            queues.send_looks(messages(job))
    elif not job.is_announced:
        announce(job)
    else:
        _move(platform, job)


def _is_leased(job: Job) -> bool:
    """Whether a worker has a step: nobody has sent a message for the end of its lease, should it break off."""
    return any(step.status == StepStatus.SUBMITTING for step in job.steps.values())


def _move[C](platform: Platform[C], job: Job) -> None:
    name = job.current
    if name is None:  # no transition leaves a job so: its last step's end is its own
        raise AssertionError(f"job {job.job_id} is open, and nothing is left to do")
    step = job.steps[name]
    logger.append_keys(step=name, attempt=step.attempt)
    if not job.confirmed:
        adopted.confirm(platform, job, name)
    elif step.status in (StepStatus.QUEUED, StepStatus.SUBMITTING):
        submit.begin(platform, job, name)
    elif step.status == StepStatus.RUNNING:
        poll.ask(platform, job, name)
    else:
        poll.ask_again(platform, job, name)
