"""How workers and people move a job. Each move is one conditional write: nothing reads before it writes."""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from video_jobs import settings
from video_jobs.jobs import Job, JobError, JobStatus, Step, StepRunning, StepStatus, Submitted, timestamp
from video_jobs.store import table
from video_jobs.store.archive import event_ids, event_key
from video_jobs.store.news import take_over
from video_jobs.store.reads import get
from video_jobs.store.table import (
    CONFLICT_TRIES,
    ConflictError,
    applied,
    apply,
    change_request,
    expiry,
    job_item,
    job_key,
    put_request,
    ref_puts,
    shard_of,
    to_job,
    to_wire,
    transact,
)


def create(job: Job) -> Job:
    """Put a new job, or return the one that has its id already."""
    try:
        settings.dynamodb().put_item(**put_request(job_item(job), condition="attribute_not_exists(pk)"))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        existing = to_job(error.response["Item"])  # type: ignore[typeddict-item]
        if existing is None:
            raise ConflictError("a job of this id was deleted") from None
        return existing
    return job


_OPEN = "#status IN (:pending, :running)"


_OPEN_VALUES: dict[str, Any] = {"pending": JobStatus.PENDING, "running": JobStatus.RUNNING}


def claim(job: Job, step: str, *, lease_seconds: int) -> Job | None:
    """Take a step to ask the platform for it, as its next attempt; None if somebody else has it, or it is done."""
    moment = table.now()
    # a step that has moved since it was read is not ours
    free = f"#steps.#step.#attempt = :attempt AND #steps.#step.#status = :was AND {_OPEN}"
    # the SDK sends it again if the answer is lost: then it is ours already
    ours = "#steps.#step.#claim = :claim"
    request = change_request(
        job.job_id,
        "SET #steps.#step.#status = :submitting, #steps.#step.#attempt = :next, #steps.#step.#lease_until = :lease, "
        "#steps.#step.#claim = :claim, #steps.#step.#started_at = if_not_exists(#steps.#step.#started_at, :now), "
        "#status = :running, #listing_by_status = :listing, #due_at = :due REMOVE #steps.#step.#not_before",
        condition=f"({free}) OR {ours}",
        step=step,
        claim=uuid.uuid4().hex,
        attempt=job.steps[step].attempt,
        was=job.steps[step].status,
        next=job.steps[step].attempt + 1,
        submitting=StepStatus.SUBMITTING,
        listing=f"{JobStatus.RUNNING}#{job.provider}#{shard_of(job.job_id)}",
        **_OPEN_VALUES,
        lease=timestamp(moment, plus=lease_seconds),
        due=timestamp(moment, plus=lease_seconds + table.SWEEP_GRACE_SECONDS),
    )
    return applied(request)


_MINE = "#steps.#step.#status = :submitting AND #steps.#step.#attempt = :attempt"


def submitted(
    job: Job,
    step: str,
    *,
    accepted: Submitted,
    check_in: float,
    deadline_in: float,
) -> Job | None:
    """The platform has accepted the step; None if its callback was faster than its answer.

    What callbacks have said of its references before now, when nobody knew whose they were, is taken over.
    """
    moment = table.now()
    request = change_request(
        job.job_id,
        "SET #steps.#step.#status = :running, #steps.#step.#platform_job_id = :platform_job_id, "
        "#steps.#step.#platform_status = :platform_status, #steps.#step.#checks = :none, "
        "#steps.#step.#next_check_at = :check, #steps.#step.#deadline_at = :deadline, "
        "#due_at = :due REMOVE #steps.#step.#lease_until, #steps.#step.#error",
        condition=_MINE,
        step=step,
        submitting=StepStatus.SUBMITTING,
        running=StepStatus.RUNNING,
        attempt=job.steps[step].attempt,
        platform_job_id=accepted.platform_job_id,
        platform_status=accepted.platform_status,
        none=0,
        check=timestamp(moment, plus=check_in),
        deadline=timestamp(moment, plus=deadline_in),
        due=timestamp(moment, plus=check_in + table.SWEEP_GRACE_SECONDS),
    )
    if not accepted.refs:
        return applied(request)
    refs = [{"Put": put} for put in ref_puts(job.job_id, job.provider, step, job.steps[step].attempt, accepted.refs)]
    request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    for _ in range(CONFLICT_TRIES):
        reasons = transact([{"Update": request}, *refs])
        if not reasons:
            return get(job.job_id)
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            return None
        take_over(job.job_id, step, reasons[1:])
    raise ConflictError(f"the references of job {job.job_id} changed hands {CONFLICT_TRIES} times")


def queue_again(job: Job, step: str, *, error: JobError, delay: float) -> None:
    """The attempt failed in a way that passes: the step waits for its next one."""
    moment = table.now()
    request = change_request(
        job.job_id,
        "SET #steps.#step.#status = :queued, #steps.#step.#error = :error, #steps.#step.#not_before = :later, "
        "#due_at = :due REMOVE #steps.#step.#lease_until",
        condition=_MINE,
        step=step,
        submitting=StepStatus.SUBMITTING,
        queued=StepStatus.QUEUED,
        attempt=job.steps[step].attempt,
        error=error.model_dump(mode="json"),
        later=timestamp(moment, plus=delay),
        due=timestamp(moment, plus=delay + table.SWEEP_GRACE_SECONDS),
    )
    applied(request)  # or its callback came after all


def checked(job: Job, step: str, running: StepRunning, *, next_in: float) -> Job | None:
    """A check found the step still running; None if something else happened to it meanwhile."""
    moment = table.now()
    found = job.steps[step]
    update, values = _so_far(found, running)
    request = change_request(
        job.job_id,
        "SET #steps.#step.#checks = :next, #steps.#step.#checked_at = :now, #steps.#step.#next_check_at = :check, "
        f"#due_at = :due, {update}",
        condition="#steps.#step.#status = :running AND #steps.#step.#attempt = :attempt "
        "AND #steps.#step.#checks = :checks",
        step=step,
        running=StepStatus.RUNNING,
        attempt=found.attempt,
        checks=found.checks,
        next=found.checks + 1,
        check=timestamp(moment, plus=next_in),
        due=timestamp(moment, plus=next_in + table.SWEEP_GRACE_SECONDS),
        **values,
    )
    return applied(request)


def heard(job: Job, step: str, running: StepRunning) -> Job | None:
    """What callbacks told was looked into and ends nothing; the next check stays where it is planned."""
    found = job.steps[step]
    update, values = _so_far(found, running)
    if found.next_check_at:
        update += ", #due_at = :due"
        values["due"] = timestamp(datetime.fromisoformat(found.next_check_at), plus=table.SWEEP_GRACE_SECONDS)
    request = change_request(
        job.job_id,
        f"SET {update}",
        condition="#steps.#step.#status = :running AND #steps.#step.#attempt = :attempt "
        "AND #steps.#step.#heard < :heard",
        step=step,
        running=StepStatus.RUNNING,
        attempt=found.attempt,
        **values,
    )
    return applied(request)


def _so_far(step: Step, running: StepRunning) -> tuple[str, dict[str, Any]]:
    """How a step that goes on stands; what is not known anew stays."""
    update = (
        "#steps.#step.#progress = :progress, #steps.#step.#platform_status = :platform_status, "
        "#steps.#step.#heard = :heard"
    )
    values: dict[str, Any] = {
        "progress": step.progress if running.progress is None else round(running.progress, 4),
        "platform_status": running.platform_status or step.platform_status,
        "heard": step.tellings,
    }
    if running.result is not None:
        update += ", #steps.#step.#result = :result"
        values["result"] = json.dumps(dict(running.result), ensure_ascii=False)
    return update, values


def skip(job: Job, steps: Sequence[str]) -> Job | None:
    """Steps that do not apply to this medium are passed over. None if one has begun, or was passed over already."""
    changes = ", ".join(f"#steps.#{name}.#status = :skipped" for name in steps)
    waiting = " AND ".join(f"#steps.#{name}.#status IN (:waiting, :queued)" for name in steps)
    return applied(
        change_request(
            job.job_id,
            f"SET {changes}",
            condition=waiting,
            skipped=StepStatus.SKIPPED,
            waiting=StepStatus.WAITING,
            queued=StepStatus.QUEUED,
        )
    )


def end(job: Job, status: JobStatus) -> Job | None:
    """The job has ended; None if it had ended already, or moved on."""
    moment = table.now()
    request = change_request(
        job.job_id,
        "SET #status = :status, #listing_by_status = :listing, #ended_at = :now, "
        "#expires_at = :expiry REMOVE #open, #due_at",
        # a step that moved since the job was read may make this the wrong end
        condition=f"{_OPEN} AND #version = :version",
        status=status,
        listing=f"{status}#{job.provider}#{shard_of(job.job_id)}",
        expiry=expiry(moment),
        version=job.version,
        **_OPEN_VALUES,
    )
    return applied(request)


def retry(job: Job, step: str) -> Job:
    """A failed step is queued again with as many attempts as at first. Raises ConflictError if it is not failed."""
    moment = table.now()
    return apply(
        change_request(
            job.job_id,
            "SET #steps.#step.#status = :queued, #steps.#step.#attempt_limit = :limit, "
            "#steps.#step.#attempts_before = :before, #status = :running, "
            "#listing_by_status = :listing, #open = :open, #due_at = :due "
            "REMOVE #ended_at, #expires_at, #steps.#step.#error, #steps.#step.#ended_at, #steps.#step.#progress, "
            "#steps.#step.#result, #steps.#step.#platform_job_id, #steps.#step.#platform_status, "
            "#steps.#step.#not_before",
            condition="#status = :failed AND #steps.#step.#status = :failed AND #steps.#step.#attempt = :attempt",
            step=step,
            queued=StepStatus.QUEUED,
            failed=JobStatus.FAILED,
            running=JobStatus.RUNNING,
            attempt=job.steps[step].attempt,
            limit=job.steps[step].attempt + job.retry.max_attempts,
            # one that was not accepted, as far as we know, may have been: it is asked for as the same one
            before=job.steps[step].attempt if job.steps[step].platform_job_id else job.steps[step].attempts_before,
            listing=f"{JobStatus.RUNNING}#{job.provider}#{shard_of(job.job_id)}",
            open=str(shard_of(job.job_id)),
            due=timestamp(moment, plus=table.SWEEP_GRACE_SECONDS),
        )
    )


def cancel(job: Job) -> Job | None:
    """End an open job; what the platform still says of it is archived and changes nothing. None if it has ended."""
    return end(job, JobStatus.CANCELED)


def delete(job: Job) -> None:
    """Remove an ended job with its events. Raises ConflictError if it has not ended, or moved on.

    What remains for a while is a mark that it was deleted, and the platform's ids that lead to it, so that a late
    callback does not make it anew.
    """
    name = settings.setting("TABLE_NAME")
    mark = job_key(job.job_id) | {"deleted_at": timestamp(table.now()), "expires_at": expiry(table.now())}
    try:
        settings.dynamodb().put_item(
            TableName=name,
            Item=to_wire(mark),
            ConditionExpression="#version = :version AND attribute_exists(ended_at)",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues=to_wire({":version": job.version}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise ConflictError("the job has not ended") from None
        raise
    for event_id in event_ids(job.job_id):
        settings.dynamodb().delete_item(TableName=name, Key=to_wire(event_key(job.job_id, event_id)))


def postpone(job_id: str, *, due_at: str) -> Job | None:
    """Note that an overdue job was given a new message; None if it has moved since it was found."""
    return applied(
        change_request(
            job_id,
            "SET #due_at = :later",
            counted=False,  # nothing about the job has changed: who is about to end it may
            condition="#due_at = :due_at AND attribute_exists(#open)",
            later=timestamp(table.now(), plus=table.SWEPT_AGAIN_SECONDS),
            due_at=due_at,
        )
    )
