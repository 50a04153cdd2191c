"""How workers and people move a job. Each move is one conditional write: nothing reads before it writes."""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from video_jobs import settings
from video_jobs.batches import counted_as
from video_jobs.jobs import Job, JobError, JobStatus, Step, StepRunning, StepStatus, Submitted, timestamp
from video_jobs.store import batches, media, table
from video_jobs.store.archive import event_ids, event_key
from video_jobs.store.news import take_over
from video_jobs.store.reads import get
from video_jobs.store.table import (
    CONFLICT_TRIES,
    ConflictError,
    applied,
    change_request,
    expiry,
    job_item,
    job_key,
    listing_in_batch,
    put_new,
    put_request,
    ref_puts,
    shard_of,
    to_job,
    to_wire,
    transact,
)


def create(job: Job) -> Job:
    """Put a new job, or return the one that has its id already. A job for a medium is found by the medium, too."""
    if job.batch:
        job = job.model_copy(update={"counted": counted_as(job)})
    put = put_request(job_item(job), condition="attribute_not_exists(pk)")
    if job.media_id:
        reasons = transact([{"Put": put}, {"Put": media.link_put(job)}])
        item = reasons[0]["Item"] if reasons else None
    else:
        item = put_new(put)  # one write, where a transaction would cost two
    if item is None:
        return job
    existing = to_job(item)
    if existing is None:
        raise ConflictError("a job of this id was deleted")
    return existing


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
    return _refiled(job, request, JobStatus.RUNNING)


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
    for _ in range(CONFLICT_TRIES):
        reasons = transact([{"Update": request}, *refs])
        if not reasons:
            return get(job.job_id)
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            return None
        take_over(job.job_id, step, reasons[1:])
    raise ConflictError(f"the references of job {job.job_id} changed hands {CONFLICT_TRIES} times")


def queue_again(job: Job, step: str, *, error: JobError, delay: float, rate_limited: bool = False) -> None:
    """The attempt failed in a way that passes: the step waits for its next one.

    One that was `rate_limited` keeps its number, which is in its callback's URL, and may be made up for.
    """
    moment = table.now()
    spared: dict[str, Any] = (
        {"limit": job.steps[step].attempt_limit + 1, "refused": job.steps[step].rate_limits + 1} if rate_limited else {}
    )
    request = change_request(
        job.job_id,
        "SET #steps.#step.#status = :queued, #steps.#step.#error = :error, #steps.#step.#not_before = :later, "
        + ("#steps.#step.#attempt_limit = :limit, #steps.#step.#rate_limits = :refused, " if spared else "")
        + "#due_at = :due REMOVE #steps.#step.#lease_until",
        condition=_MINE,
        **spared,
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
    """The job has ended; None if it had ended already, or moved on.

    It stays among the open ones until that is told (see `concluded`): a crash before then is noticed by a sweep. The
    job's medium is written with it: the lists show it, and an end rewrites their entries anyway.
    """
    moment = table.now()
    medium: dict[str, Any] = {"media_id": job.media_id} if job.media_id else {}
    request = change_request(
        job.job_id,
        "SET #status = :status, #listing_by_status = :listing, #ended_at = :now, "
        f"#expires_at = :expiry, #due_at = :due{', #media_id = :media_id' if medium else ''} ADD #ends :one",
        # a step that moved since the job was read may make this the wrong end
        condition=f"{_OPEN} AND #version = :version",
        status=status,
        listing=f"{status}#{job.provider}#{shard_of(job.job_id)}",
        expiry=expiry(moment),
        due=timestamp(moment, plus=table.SWEEP_GRACE_SECONDS),
        version=job.version,
        **medium,
        **_OPEN_VALUES,
    )
    done = applied(request)
    if done is None and (found := get(job.job_id)) and _has_become(found, job, status):
        return found
    return done


def _has_become(found: Job, before: Job, status: JobStatus) -> bool:
    """Whether a job has ended by this very change: the SDK sends it again if the answer is lost."""
    return (found.status, found.version, found.ends) == (status, before.version + 1, before.ends + 1)


def concluded(job: Job) -> Job | None:
    """The end of a job is told: its batch counts it, and no sweep looks for it, unless the end is doubted.

    None if it was before, or moved on.
    """
    failed = job.current if job.status == JobStatus.FAILED else None
    values: dict[str, Any] = {"ends": job.ends}
    if failed:
        values |= {"tellings": job.steps[failed].tellings, "heard": job.steps[failed].heard}
    request = change_request(
        job.job_id,
        "SET #announced = :ends" + ("" if job.doubted else " REMOVE #open, #due_at"),
        # jobs of release 0.2 have no `announced`
        condition="#ends = :ends AND (attribute_not_exists(#announced) OR #announced < :ends) "
        "AND attribute_exists(#ended_at)"
        + (" AND #steps.#step.#tellings = :tellings AND #steps.#step.#heard = :heard" if failed else ""),
        versioned=False,  # who waits for the job's next change has seen its end
        step=failed or "",
        **values,
    )
    return _refiled(job, request, counted_as(job))


def looked_again(job: Job, step: str) -> Job | None:
    """What callbacks told of a failed step was looked into: it has failed. None if they told more, or it moved on."""
    request = change_request(
        job.job_id,
        # one that is not told yet stays open until it is
        "SET #steps.#step.#heard = :heard" + (" REMOVE #open, #due_at" if job.status.ended and job.is_told else ""),
        condition="#version = :version AND (attribute_not_exists(#announced) OR #announced = :announced)",
        step=step,
        heard=job.steps[step].tellings,
        version=job.version,
        announced=job.announced,
    )
    return applied(request)


def resumed(job: Job, step: str) -> Job | None:
    """The platform is still at a step that had failed: it runs again, as does the job. None if it moved on."""
    request = change_request(
        job.job_id,
        "SET #steps.#step.#status = :running, #steps.#step.#deadline_at = :deadline, #status = :running, "
        "#listing_by_status = :listing, #open = :open, #due_at = :due "
        "REMOVE #steps.#step.#error, #steps.#step.#ended_at, #ended_at, #expires_at",
        condition="#steps.#step.#status = :failed AND #steps.#step.#attempt = :attempt AND #status <> :canceled",
        step=step,
        failed=StepStatus.FAILED,
        running=StepStatus.RUNNING,
        canceled=JobStatus.CANCELED,
        attempt=job.steps[step].attempt,
        deadline=timestamp(table.now(), plus=settings.number("STEP_DEADLINE_SECONDS")),
        listing=f"{JobStatus.RUNNING}#{job.provider}#{shard_of(job.job_id)}",
        open=str(shard_of(job.job_id)),
        due=timestamp(table.now(), plus=table.SWEEP_GRACE_SECONDS),
    )
    return applied(request)


def reopened(job: Job) -> Job | None:
    """A platform took back a failure: the batch counts the job as running again. None if it moved on."""
    request = change_request(
        job.job_id,
        "SET #due_at = :due",
        condition=_OPEN,
        versioned=False,
        due=timestamp(table.now(), plus=table.SWEEP_GRACE_SECONDS),
        **_OPEN_VALUES,
    )
    return _refiled(job, request, JobStatus.RUNNING)


def _refiled(job: Job, request: dict[str, Any], kind: str) -> Job | None:
    """Make a change, and have the job's batch list it, and count it, as this kind; None if a condition does not hold.

    A job says itself what it is counted as, and moves from there in one transaction with the counts: whatever comes
    twice, or breaks off, it is counted once.
    """
    if job.batch is None:
        return applied(request)
    filed = _filed(job, request, kind)
    if job.batch_index is None:  # a label, which counts nothing
        return applied(filed)
    before = job.counted or JobStatus.PENDING
    filed["ConditionExpression"] = f"({filed['ConditionExpression']}) AND #counted = :counted_before"
    filed["ExpressionAttributeValues"] |= to_wire({":counted_before": before})
    if before == kind:
        return applied(filed)
    counts = batches.recount(job.batch, job.job_id, before=before, after=kind)
    reasons = transact([{"Update": filed}, *({"Update": update} for update in counts)])
    if not reasons:
        return get(job.job_id)
    if any(reason["Code"] != "None" for reason in reasons[1:]):  # the batch is gone: there is nothing to count for
        return _refiled(_unbound(job), request, kind)
    return None


def _filed(job: Job, request: dict[str, Any], kind: str) -> dict[str, Any]:
    """The change, which also notes what the job's batch lists it, and counts it, as."""
    listing = listing_in_batch(job, JobStatus(kind.split("/")[0]))
    return request | {
        "UpdateExpression": request["UpdateExpression"].replace(
            "SET ", "SET #counted = :counted, #listing_in_batch = :listing_in_batch, ", 1
        ),
        "ExpressionAttributeNames": request["ExpressionAttributeNames"]
        | {"#counted": "counted", "#listing_in_batch": "listing_in_batch"},
        "ExpressionAttributeValues": request["ExpressionAttributeValues"]
        | to_wire({":counted": kind, ":listing_in_batch": listing}),
    }


def _unbound(job: Job) -> Job:
    """A job whose batch has expired keeps it as a label."""
    request = change_request(
        job.job_id, "REMOVE #batch_index", condition="#counted = :counted", versioned=False, counted=job.counted
    )
    return applied(request) or job.model_copy(update={"batch_index": None})


def retry(job: Job, step: str) -> Job:
    """A failed step is queued again with as many attempts as at first. Raises ConflictError if it is not failed."""
    moment = table.now()
    request = change_request(
        job.job_id,
        "SET #steps.#step.#status = :queued, #steps.#step.#attempt_limit = :limit, "
        "#steps.#step.#attempts_before = :before, #status = :running, "
        "#listing_by_status = :listing, #open = :open, #due_at = :due "
        "REMOVE #ended_at, #expires_at, #steps.#step.#error, #steps.#step.#ended_at, #steps.#step.#progress, "
        "#steps.#step.#result, #steps.#step.#platform_job_id, #steps.#step.#platform_status, "
        "#steps.#step.#not_before, #steps.#step.#started_at, #steps.#step.#rate_limits",
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
    retried = _refiled(job, request, JobStatus.RUNNING)
    if retried is None:
        raise ConflictError("the job is not failed, or moved on")
    return retried


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
    put = put_request(
        mark,
        # one whose end is not told yet may still be missing in its batch's counts
        condition="#version = :version AND attribute_exists(ended_at) "
        "AND (#announced = #ends OR attribute_not_exists(#ends))",
        version=job.version,
    )
    put["ExpressionAttributeNames"] = {"#version": "version", "#announced": "announced", "#ends": "ends"}
    if put_new(put) is not None:
        raise ConflictError("the job has not ended")
    for event_id in event_ids(job.job_id):
        settings.dynamodb().delete_item(TableName=name, Key=to_wire(event_key(job.job_id, event_id)))
