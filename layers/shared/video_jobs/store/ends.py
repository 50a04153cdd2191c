"""What platforms say of a step that ends it: recorded once, whatever comes twice, late or in another order."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from video_jobs.jobs import Job, JobStatus, Step, StepEnd, StepStatus, StepSucceeded, timestamp
from video_jobs.store import table
from video_jobs.store.archive import Event, Recorded, archive, event_item
from video_jobs.store.news import take_over
from video_jobs.store.table import (
    CONFLICT_TRIES,
    ConflictError,
    change_request,
    job_item,
    put_request,
    ref_item,
    ref_puts,
    shard_of,
    to_plain,
    transact,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a worker found a step's end out, beside what the end itself is."""

    heard: int
    """How much of what callbacks had told it knew: what came after that is to be looked into."""
    platform_status: str | None = None
    checks: int | None = None
    """How many checks there have been, with this one; None if it was none."""


def record(
    job_id: str, event: Event, end_of_step: StepEnd, *, look: Look | None = None, replay: bool = False
) -> Recorded:
    """Archive what a platform said of a step, and bring the step to that end: one transaction.

    Success is believed whenever it comes: also after a failure that the platform takes back, and from an earlier
    attempt. A failure counts only for the attempt that it is about. A step that has ended well stays so, and so does a
    canceled job. With `replay` an event that is in the archive is recorded all the same.
    """
    for _ in range(CONFLICT_TRIES):
        outcome = Recorded.RECORDED
        put = put_request(event_item(job_id, event, outcome), condition=None if replay else "attribute_not_exists(pk)")
        change = _step_change(job_id, event, end_of_step, look, replay=replay)
        puts = ref_puts(job_id, event.provider, event.step, event.attempt, _refs(end_of_step))
        reasons = transact([{"Put": put}, {"Update": change}, *({"Put": ref} for ref in puts)])
        if not reasons:
            return outcome
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            return Recorded.REPEATED
        if reasons[1]["Code"] == "None":
            take_over(job_id, event.step, reasons[2:])
            continue
        job_item = reasons[1].get("Item")
        # a check has nobody to adopt: its job was taken over by another one meanwhile
        if event.via == "callback" and (job_item is None or _adoptable(job_item, event.step)):
            if _adopt(job_id, event, end_of_step, exists=job_item is not None):
                return Recorded.ADOPTED
            continue  # another callback made the job, or the step, in the meantime
        archive(job_id, event, Recorded.STALE)
        return Recorded.STALE
    raise ConflictError(f"job {job_id} changed {CONFLICT_TRIES} times while an event of it was recorded")


def _refs(end_of_step: StepEnd) -> tuple[str, ...]:
    return end_of_step.refs if isinstance(end_of_step, StepSucceeded) else ()


def _step_change(job_id: str, event: Event, end_of_step: StepEnd, look: Look | None, *, replay: bool) -> dict[str, Any]:
    open_step = (
        "attribute_exists(#steps.#step) AND #status <> :canceled AND NOT #steps.#step.#status IN (:succeeded, :skipped)"
    )
    shared: dict[str, Any] = {
        "step": event.step,
        "canceled": JobStatus.CANCELED,
        "succeeded": StepStatus.SUCCEEDED,
        "skipped": StepStatus.SKIPPED,
        # the worker moves the job on at once; if its message is lost, a sweep does
        "due": timestamp(table.now(), plus=table.SWEEP_GRACE_SECONDS),
    }
    looked, seen = _looked(look, succeeded=isinstance(end_of_step, StepSucceeded))
    shared |= seen
    if isinstance(end_of_step, StepSucceeded):
        refs: dict[str, Any] = {"none": [], "refs": list(end_of_step.refs)} if end_of_step.refs else {}
        known = ", #refs = list_append(if_not_exists(#refs, :none), :refs)" if refs else ""
        # a job that had failed is open again: should the worker's message be lost, a sweep must find it
        return change_request(
            job_id,
            "SET #steps.#step.#status = :succeeded, #steps.#step.#result = :result, #steps.#step.#ended_at = :now, "
            f"#status = :running, #listing_by_status = :listing, #open = :open, #due_at = :due{known}{looked} "
            "REMOVE #steps.#step.#error, #steps.#step.#lease_until, #steps.#step.#next_check_at, "
            "#steps.#step.#deadline_at, #ended_at, #expires_at",
            condition=open_step,
            result=json.dumps(dict(end_of_step.result), ensure_ascii=False),
            running=JobStatus.RUNNING,
            listing=f"{JobStatus.RUNNING}#{event.provider}#{shard_of(job_id)}",
            open=str(shard_of(job_id)),
            **refs,
            **shared,
        )
    # one that is queued again has been given another attempt: the last one's failure is known, or forgiven
    forgiven: dict[str, Any] = {} if replay else {"queued": StepStatus.QUEUED}
    settled = "(:failed, :queued)" if forgiven else "(:failed)"
    left: dict[str, Any] = {}
    if end_of_step.result:
        left["result"] = json.dumps(dict(end_of_step.result), ensure_ascii=False)
    return change_request(
        job_id,
        "SET #steps.#step.#status = :failed, #steps.#step.#error = :error, #steps.#step.#ended_at = :now, "
        f"#due_at = :due{', #steps.#step.#result = :result' if left else ''}{looked} "
        "REMOVE #steps.#step.#lease_until, #steps.#step.#next_check_at, #steps.#step.#deadline_at",
        condition=f"{open_step} AND NOT #steps.#step.#status IN {settled} AND #steps.#step.#attempt <= :attempt",
        failed=StepStatus.FAILED,
        **forgiven,
        **left,
        error=end_of_step.error.model_dump(mode="json"),
        attempt=event.attempt,
        **shared,
    )


def _looked(look: Look | None, *, succeeded: bool) -> tuple[str, dict[str, Any]]:
    """The part of an update that notes how the end was found out, and its values."""
    if look is None:
        return "", {}
    values: dict[str, Any] = {"heard": look.heard}
    if look.platform_status:
        values["platform_status"] = look.platform_status
    if look.checks is not None:
        values["checks"] = look.checks
    if succeeded:
        values["progress"] = 1
    update = "".join(f", #steps.#step.#{name} = :{name}" for name in values)
    return update + (", #steps.#step.#checked_at = :now" if look.checks is not None else ""), values


def _adoptable(job_item: Mapping[str, Any], step: str) -> bool:
    """Whether a job that a callback made may get another step from another callback."""
    plain = to_plain(job_item)
    return bool(plain.get("adopted")) and step not in plain["steps"]


def _adopt(job_id: str, event: Event, end_of_step: StepEnd, *, exists: bool) -> bool:
    """Make a job, or a step of an adopted job, for work that was started elsewhere; False if it is there already.

    Nothing is chained to it: whoever started it did not ask for more.
    """
    moment = timestamp(table.now())
    ended = Step(status=StepStatus.FAILED, attempt=event.attempt, attempt_limit=event.attempt, ended_at=moment)
    if isinstance(end_of_step, StepSucceeded):
        step = ended.model_copy(update={"status": StepStatus.SUCCEEDED, "result": dict(end_of_step.result)})
    else:
        step = ended.model_copy(update={"error": end_of_step.error})
    job = Job(
        job_id=job_id,
        provider=event.provider,
        status=JobStatus(step.status),
        plan=(event.step,),
        steps={event.step: step},
        adopted=True,
        refs=_refs(end_of_step),
        ends=1,
        created_at=moment,
        updated_at=moment,
        ended_at=moment,
    )
    if exists:
        write = {"Update": _adopt_step(job)}
    else:
        write = {"Put": put_request(job_item(job), condition="attribute_not_exists(pk)")}
    put = {"Put": put_request(event_item(job_id, event, Recorded.ADOPTED), condition="attribute_not_exists(pk)")}
    items = [ref_item(job_id, event.provider, event.step, event.attempt, ref) for ref in dict.fromkeys(job.refs)]
    return not transact([put, write, *({"Put": put_request(item)} for item in items)])


def _adopt_step(job: Job) -> dict[str, Any]:
    """One more step, that of `job`, for an adopted job; if the step failed, so did the job."""
    (step,) = job.plan
    item = job_item(job)
    failed = job.status == JobStatus.FAILED
    return change_request(
        job.job_id,
        "SET #steps.#step = :made, #plan = list_append(#plan, :plan), #refs = list_append(#refs, :refs)"
        + (
            ", #status = :failed, #listing_by_status = :listing, #ended_at = :now, #expires_at = :expiry, "
            "#open = :open, #due_at = :due ADD #ends :one"
            if failed
            else ""
        ),
        condition="attribute_not_exists(#steps.#step) AND #adopted = :true",
        step=step,
        made=item["steps"][step],
        plan=list(job.plan),
        refs=list(job.refs),
        true=True,
        **(
            {
                "failed": job.status,
                "listing": item["listing_by_status"],
                "expiry": item["expires_at"],
                "open": item["open"],
                "due": item["due_at"],
            }
            if failed
            else {}
        ),
    )
