"""The Jobs table: its items, and every way in which they may change.

What must be true is a condition on the write, and the ways in which a write can go have names. Nothing reads before it
writes. Documents that only others understand (options, results) are stored as JSON text: their numbers may be larger
than DynamoDB's.
"""

import hashlib
import json
import random
import re
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from video_jobs import settings
from video_jobs.jobs import (
    Job,
    JobError,
    JobStatus,
    News,
    Step,
    StepEnd,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
    now,
    timestamp,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef

SHARDS = 4
"""Over how many index partitions the jobs of a provider are spread; one takes about 1,000 writes a second."""
SWEEP_GRACE_SECONDS = 120
"""How long after a job should have moved a sweep takes it that its message was lost."""
SWEPT_AGAIN_SECONDS = 900
"""How long after a sweep has sent a message it sends another one: a queue that stands is not helped by more of them."""
_DAY = 86400
_CONFLICT_TRIES = 4
_LOOKED_THROUGH = 1000


class Recorded(StrEnum):
    """How the recording of a step's end went."""

    RECORDED = "recorded"
    REPEATED = "repeated"  # this event is in the archive already
    STALE = "stale"  # the job is further on, or gone: archived, nothing changed
    ADOPTED = "adopted"  # about work that we did not start: a job was made for it
    IGNORED = "ignored"  # documented, but nothing that a step waits for: archived


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a platform said about a step, as it said it."""

    callback: str
    """"provider/callback" in snake case: whose words these are, and which function understands them."""
    step: str
    """Which step they are about."""
    attempt: int
    body: str
    via: str
    """How it reached us: callback, check or submit."""
    headers: Mapping[str, str]
    received_at: str
    identity: str | None = None
    """The platform's own id of this callback, where it sends one: repetitions share it."""

    @property
    def event_id(self) -> str:
        """The same for what was said once: the same callback, or the same words about the same attempt."""
        said = self.identity or f"{self.attempt}\n{self.body}"
        return hashlib.sha256(f"{self.callback}\n{said}".encode()).hexdigest()[:32]

    @property
    def provider(self) -> str:
        return self.callback.split("/")[0]


class ConflictError(Exception):
    """The job is not in a state that allows this change."""


# --- Items ---------------------------------------------------------------------------------------------------------


class _PlainNumbers(TypeDeserializer):
    """Numbers as int and float: all that are stored as such are small."""

    def _deserialize_n(self, value: str) -> int | float:
        return float(value) if "." in value else int(value)


_serialize = TypeSerializer().serialize
_deserialize = _PlainNumbers().deserialize


def _wire(values: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as DynamoDB takes them."""
    plain = json.loads(json.dumps(values), parse_float=Decimal)
    return {name: _serialize(value) for name, value in plain.items()}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}


def _job_key(job_id: str) -> dict[str, str]:
    return {"pk": f"JOB#{job_id}", "sk": "JOB"}


def _shard(job_id: str) -> int:
    return zlib.crc32(job_id.encode()) % SHARDS


def _expiry(moment: datetime) -> int:
    """When DynamoDB may remove what ended at this moment, in seconds since 1970."""
    return int(moment.timestamp()) + settings.number("RETENTION_DAYS") * _DAY


def _step_item(step: Step) -> dict[str, Any]:
    item = step.model_dump(mode="json", exclude_none=True)
    if step.result is not None:
        item["result"] = json.dumps(step.result, ensure_ascii=False)
    return item


def _job_item(job: Job) -> dict[str, Any]:
    """The job as it is stored, with the keys of the indexes that it is in."""
    shard = _shard(job.job_id)
    item = job.model_dump(mode="json", exclude_none=True) | _job_key(job.job_id)
    item["steps"] = {name: _step_item(step) for name, step in job.steps.items()}
    item["options"] = json.dumps(job.options, ensure_ascii=False)
    item["listing"] = f"{job.provider}#{shard}"
    item["listing_by_status"] = f"{job.status}#{job.provider}#{shard}"
    item["listing_order"] = f"{job.created_at}#{job.job_id}"
    if job.status.ended:
        item["expires_at"] = _expiry(now())
    else:
        item["open"] = str(shard)
        item["due_at"] = timestamp(now(), plus=SWEEP_GRACE_SECONDS)
    return item


def _to_job(item: Mapping[str, Any]) -> Job | None:
    plain = _plain(item)
    if "deleted_at" in plain:
        return None
    for step in plain["steps"].values():
        if "result" in step:
            step["result"] = json.loads(step["result"])
    plain["options"] = json.loads(plain["options"])
    return Job.model_validate(plain)


# --- Writes --------------------------------------------------------------------------------------------------------


def _change(
    job_id: str,
    update: str,
    *,
    condition: str,
    step: str = "",
    aliases: Mapping[str, str] | None = None,
    counted: bool = True,
    **values: Any,
) -> dict[str, Any]:
    """An UpdateItem request, which also notes when (:now), and that, the job changed, unless it is not `counted`.

    In the expressions #name is the attribute of that name, #step the attribute of the step's name, and an alias what
    `aliases` says.
    """
    if counted:
        update = re.sub(r"^SET ", "SET #updated_at = :now, ", update) + " ADD #version :one"
        values |= {"now": timestamp(now()), "one": 1}
    names = {f"#{name}": name for name in re.findall(r"#(\w+)", update + condition)}
    if "#step" in names:
        names["#step"] = step
    names |= {f"#{alias}": name for alias, name in (aliases or {}).items()}
    return {
        "TableName": settings.setting("TABLE_NAME"),
        "Key": _wire(_job_key(job_id)),
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": _wire({f":{name}": value for name, value in values.items()}),
    }


def _apply(request: dict[str, Any]) -> Job:
    """Make the change, or raise ConflictError if its condition does not hold."""
    for remaining in reversed(range(_CONFLICT_TRIES)):
        try:
            answer = settings.dynamodb().update_item(**request, ReturnValues="ALL_NEW")
            break
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                raise ConflictError(request["ConditionExpression"]) from None
            if code != "TransactionConflictException" or not remaining:
                raise
            time.sleep(random.uniform(0, 0.05))  # a callback of the same job is being recorded
    job = _to_job(answer["Attributes"])
    if job is None:
        raise ConflictError("the job is deleted")
    return job


def _applied(request: dict[str, Any]) -> Job | None:
    """Make the change; None if its condition does not hold."""
    try:
        return _apply(request)
    except ConflictError:
        return None


def _put(item: Mapping[str, Any], *, condition: str | None = None, **values: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": settings.setting("TABLE_NAME"), "Item": _wire(item)}
    if condition:
        request |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if values:
        request["ExpressionAttributeValues"] = _wire({f":{name}": value for name, value in values.items()})
    return request


def _transact(actions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write all or nothing; on nothing, the reasons, one for each action (see TransactWriteItems).

    Another transaction on the same item at the same moment is no answer to what we asked: it is asked again.
    """
    for remaining in reversed(range(_CONFLICT_TRIES)):
        try:
            settings.dynamodb().transact_write_items(TransactItems=actions)  # type: ignore[arg-type]
        except settings.dynamodb().exceptions.TransactionCanceledException as error:
            reasons: list[dict[str, Any]] = error.response["CancellationReasons"]  # type: ignore[assignment]
            codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
            if codes <= {"ConditionalCheckFailed"}:
                return reasons
            if not codes & {"TransactionConflict"} or not remaining:
                raise
            time.sleep(random.uniform(0, 0.05))
        else:
            return []
    raise AssertionError("the last try returns or raises")


def create(job: Job) -> Job:
    """Put a new job, or return the one that has its id already."""
    try:
        settings.dynamodb().put_item(**_put(_job_item(job), condition="attribute_not_exists(pk)"))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        existing = _to_job(error.response["Item"])  # type: ignore[typeddict-item]
        if existing is None:
            raise ConflictError("a job of this id was deleted") from None
        return existing
    return job


_OPEN = "#status IN (:pending, :running)"
_OPEN_VALUES: dict[str, Any] = {"pending": JobStatus.PENDING, "running": JobStatus.RUNNING}


def claim(job: Job, step: str, *, lease_seconds: int) -> Job | None:
    """Take a step to ask the platform for it, as its next attempt; None if somebody else has it, or it is done."""
    moment = now()
    # a step that has moved since it was read is not ours
    free = f"#steps.#step.#attempt = :attempt AND #steps.#step.#status = :was AND {_OPEN}"
    # the SDK sends it again if the answer is lost: then it is ours already
    ours = "#steps.#step.#claim = :claim"
    request = _change(
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
        listing=f"{JobStatus.RUNNING}#{job.provider}#{_shard(job.job_id)}",
        **_OPEN_VALUES,
        lease=timestamp(moment, plus=lease_seconds),
        due=timestamp(moment, plus=lease_seconds + SWEEP_GRACE_SECONDS),
    )
    return _applied(request)


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
    moment = now()
    request = _change(
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
        due=timestamp(moment, plus=check_in + SWEEP_GRACE_SECONDS),
    )
    if not accepted.refs:
        return _applied(request)
    refs = [{"Put": put} for put in _ref_puts(job.job_id, job.provider, step, job.steps[step].attempt, accepted.refs)]
    request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    for _ in range(_CONFLICT_TRIES):
        reasons = _transact([{"Update": request}, *refs])
        if not reasons:
            return get(job.job_id)
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            return None
        _take_over(job.job_id, step, reasons[1:])
    raise ConflictError(f"the references of job {job.job_id} changed hands {_CONFLICT_TRIES} times")


def queue_again(job: Job, step: str, *, error: JobError, delay: float) -> None:
    """The attempt failed in a way that passes: the step waits for its next one."""
    moment = now()
    request = _change(
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
        due=timestamp(moment, plus=delay + SWEEP_GRACE_SECONDS),
    )
    _applied(request)  # or its callback came after all


def checked(job: Job, step: str, running: StepRunning, *, next_in: float) -> Job | None:
    """A check found the step still running; None if something else happened to it meanwhile."""
    moment = now()
    found = job.steps[step]
    update, values = _so_far(found, running)
    request = _change(
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
        due=timestamp(moment, plus=next_in + SWEEP_GRACE_SECONDS),
        **values,
    )
    return _applied(request)


def heard(job: Job, step: str, running: StepRunning) -> Job | None:
    """What callbacks told was looked into and ends nothing; the next check stays where it is planned."""
    found = job.steps[step]
    update, values = _so_far(found, running)
    if found.next_check_at:
        update += ", #due_at = :due"
        values["due"] = timestamp(datetime.fromisoformat(found.next_check_at), plus=SWEEP_GRACE_SECONDS)
    request = _change(
        job.job_id,
        f"SET {update}",
        condition="#steps.#step.#status = :running AND #steps.#step.#attempt = :attempt "
        "AND #steps.#step.#heard < :heard",
        step=step,
        running=StepStatus.RUNNING,
        attempt=found.attempt,
        **values,
    )
    return _applied(request)


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
    return _applied(
        _change(
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
    moment = now()
    request = _change(
        job.job_id,
        "SET #status = :status, #listing_by_status = :listing, #ended_at = :now, "
        "#expires_at = :expiry REMOVE #open, #due_at",
        # a step that moved since the job was read may make this the wrong end
        condition=f"{_OPEN} AND #version = :version",
        status=status,
        listing=f"{status}#{job.provider}#{_shard(job.job_id)}",
        expiry=_expiry(moment),
        version=job.version,
        **_OPEN_VALUES,
    )
    return _applied(request)


def retry(job: Job, step: str) -> Job:
    """A failed step is queued again with as many attempts as at first. Raises ConflictError if it is not failed."""
    moment = now()
    return _apply(
        _change(
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
            listing=f"{JobStatus.RUNNING}#{job.provider}#{_shard(job.job_id)}",
            open=str(_shard(job.job_id)),
            due=timestamp(moment, plus=SWEEP_GRACE_SECONDS),
        )
    )


# --- What platforms say ----------------------------------------------------------------------------------------------


def record(job_id: str, event: Event, end_of_step: StepEnd, *, replay: bool = False) -> Recorded:
    """Archive what a platform said of a step, and bring the step to that end: one transaction.

    Success is believed whenever it comes: also after a failure that the platform takes back, and from an earlier
    attempt. A failure counts only for the attempt that it is about. A step that has ended well stays so, and so does a
    canceled job. With `replay` an event that is in the archive is recorded all the same.
    """
    for _ in range(_CONFLICT_TRIES):
        outcome = Recorded.RECORDED
        put = _put(_event_item(job_id, event, outcome), condition=None if replay else "attribute_not_exists(pk)")
        change = _step_change(job_id, event, end_of_step, replay=replay) | {
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD"
        }
        puts = _ref_puts(job_id, event.provider, event.step, event.attempt, _refs(end_of_step))
        reasons = _transact([{"Put": put}, {"Update": change}, *({"Put": ref} for ref in puts)])
        if not reasons:
            return outcome
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            return Recorded.REPEATED
        if reasons[1]["Code"] == "None":
            _take_over(job_id, event.step, reasons[2:])
            continue
        job_item = reasons[1].get("Item")
        # a check has nobody to adopt: its job was taken over by another one meanwhile
        if event.via == "callback" and (job_item is None or _adoptable(job_item, event.step)):
            if _adopt(job_id, event, end_of_step, exists=job_item is not None):
                return Recorded.ADOPTED
            continue  # another callback made the job, or the step, in the meantime
        _archive(job_id, event, Recorded.STALE)
        return Recorded.STALE
    raise ConflictError(f"job {job_id} changed {_CONFLICT_TRIES} times while an event of it was recorded")


def _refs(end_of_step: StepEnd) -> tuple[str, ...]:
    return end_of_step.refs if isinstance(end_of_step, StepSucceeded) else ()


def _event_key(job_id: str, event_id: str) -> dict[str, str]:
    return {"pk": f"JOB#{job_id}", "sk": f"EVENT#{event_id}"}


def _event_item(job_id: str, event: Event, outcome: Recorded) -> dict[str, Any]:
    return _event_key(job_id, event.event_id) | {
        "event_id": event.event_id,
        "callback": event.callback,
        "step": event.step,
        "attempt": event.attempt,
        "via": event.via,
        "outcome": outcome,
        "headers": dict(event.headers),
        "body": event.body,
        "received_at": event.received_at,
        "expires_at": _expiry(now()),
    }


def _ref_key(provider: str, ref: str) -> dict[str, str]:
    return {"pk": f"REF#{provider}#{ref}", "sk": "REF"}


def _ref_item(job_id: str, provider: str, step: str, attempt: int, ref: str) -> dict[str, Any]:
    """Whose a reference is, and which step brought it."""
    return _ref_key(provider, ref) | {
        "job_id": job_id,
        "step": step,
        "attempt": attempt,
        "ref": ref,
        "expires_at": _expiry(now()),
    }


def _ref_puts(job_id: str, provider: str, step: str, attempt: int, refs: Sequence[str]) -> list[dict[str, Any]]:
    """Puts of references, which fail for one that another job has."""
    return [
        _put(
            _ref_item(job_id, provider, step, attempt, ref),
            condition="attribute_not_exists(pk) OR job_id = :job_id",
            job_id=job_id,
        )
        for ref in dict.fromkeys(refs)
    ]


def _step_change(job_id: str, event: Event, end_of_step: StepEnd, *, replay: bool) -> dict[str, Any]:
    open_step = (
        "attribute_exists(#steps.#step) AND #status <> :canceled AND NOT #steps.#step.#status IN (:succeeded, :skipped)"
    )
    shared: dict[str, Any] = {
        "step": event.step,
        "canceled": JobStatus.CANCELED,
        "succeeded": StepStatus.SUCCEEDED,
        "skipped": StepStatus.SKIPPED,
        # the worker moves the job on at once; if its message is lost, a sweep does
        "due": timestamp(now(), plus=SWEEP_GRACE_SECONDS),
    }
    if isinstance(end_of_step, StepSucceeded):
        refs: dict[str, Any] = {"none": [], "refs": list(end_of_step.refs)} if end_of_step.refs else {}
        known = ", #refs = list_append(if_not_exists(#refs, :none), :refs)" if refs else ""
        # a job that had failed is open again: should the worker's message be lost, a sweep must find it
        return _change(
            job_id,
            "SET #steps.#step.#status = :succeeded, #steps.#step.#result = :result, #steps.#step.#ended_at = :now, "
            f"#status = :running, #listing_by_status = :listing, #open = :open, #due_at = :due{known} "
            "REMOVE #steps.#step.#error, #steps.#step.#lease_until, #steps.#step.#next_check_at, "
            "#steps.#step.#deadline_at, #ended_at, #expires_at",
            condition=open_step,
            result=json.dumps(dict(end_of_step.result), ensure_ascii=False),
            running=JobStatus.RUNNING,
            listing=f"{JobStatus.RUNNING}#{event.provider}#{_shard(job_id)}",
            open=str(_shard(job_id)),
            **refs,
            **shared,
        )
    # one that is queued again has been given another attempt: the last one's failure is known, or forgiven
    forgiven: dict[str, Any] = {} if replay else {"queued": StepStatus.QUEUED}
    settled = "(:failed, :queued)" if forgiven else "(:failed)"
    left: dict[str, Any] = {}
    if end_of_step.result:
        left["result"] = json.dumps(dict(end_of_step.result), ensure_ascii=False)
    return _change(
        job_id,
        "SET #steps.#step.#status = :failed, #steps.#step.#error = :error, #steps.#step.#ended_at = :now, "
        f"#due_at = :due{', #steps.#step.#result = :result' if left else ''} "
        "REMOVE #steps.#step.#lease_until, #steps.#step.#next_check_at, #steps.#step.#deadline_at",
        condition=f"{open_step} AND NOT #steps.#step.#status IN {settled} AND #steps.#step.#attempt <= :attempt",
        failed=StepStatus.FAILED,
        **forgiven,
        **left,
        error=end_of_step.error.model_dump(mode="json"),
        attempt=event.attempt,
        **shared,
    )


def _archive(job_id: str, event: Event, outcome: Recorded) -> None:
    _put_once(_event_item(job_id, event, outcome))


def _put_once(item: Mapping[str, Any]) -> None:
    try:
        settings.dynamodb().put_item(**_put(item, condition="attribute_not_exists(pk)"))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise


def _adoptable(job_item: Mapping[str, Any], step: str) -> bool:
    """Whether a job that a callback made may get another step from another callback."""
    plain = _plain(job_item)
    return bool(plain.get("adopted")) and step not in plain["steps"]


def _adopt(job_id: str, event: Event, end_of_step: StepEnd, *, exists: bool) -> bool:
    """Make a job, or a step of an adopted job, for work that was started elsewhere; False if it is there already.

    Nothing is chained to it: whoever started it did not ask for more.
    """
    moment = timestamp(now())
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
        created_at=moment,
        updated_at=moment,
        ended_at=moment,
    )
    if exists:
        write = {"Update": _adopt_step(job)}
    else:
        write = {"Put": _put(_job_item(job), condition="attribute_not_exists(pk)")}
    put = {"Put": _put(_event_item(job_id, event, Recorded.ADOPTED), condition="attribute_not_exists(pk)")}
    items = [_ref_item(job_id, event.provider, event.step, event.attempt, ref) for ref in dict.fromkeys(job.refs)]
    return not _transact([put, write, *({"Put": _put(item)} for item in items)])


def _adopt_step(job: Job) -> dict[str, Any]:
    """One more step, that of `job`, for an adopted job; if the step failed, so did the job."""
    (step,) = job.plan
    item = _job_item(job)
    failed = job.status == JobStatus.FAILED
    return _change(
        job.job_id,
        "SET #steps.#step = :made, #plan = list_append(#plan, :plan), #refs = list_append(#refs, :refs)"
        + (
            ", #status = :failed, #listing_by_status = :listing, #ended_at = :now, #expires_at = :expiry"
            if failed
            else ""
        )
        + (" REMOVE #open, #due_at" if failed else ""),
        condition="attribute_not_exists(#steps.#step) AND #adopted = :true",
        step=step,
        made=item["steps"][step],
        plan=list(job.plan),
        refs=list(job.refs),
        true=True,
        **(
            {"failed": job.status, "listing": item["listing_by_status"], "expiry": item["expires_at"]} if failed else {}
        ),
    )


# --- What platforms tell about their own ids -------------------------------------------------------------------------


def tell(event: Event, news: News, *, replay: bool = False) -> tuple[Recorded, str]:
    """Archive what a callback said of a platform's id, and have it looked into; what became of it, and whose it is.

    One transaction, after one read: whose the id is. An id that nobody has makes a job, which runs until the platform
    says how it stands. Raises ConflictError if the id changes hands again and again.
    """
    for _ in range(_CONFLICT_TRIES):
        owner = _owner(event.provider, news.ref)
        if owner is None:
            job_id = str(uuid.uuid4())
            if _adopt_news(job_id, event, news):
                return Recorded.ADOPTED, job_id
            continue
        outcome = _tell(owner, event, news, replay=replay)
        if outcome is not None:
            return outcome, owner["job_id"]
    raise ConflictError(f"{news.ref} changed hands {_CONFLICT_TRIES} times while an event of it was recorded")


def archive_ignored(event: Event, ref: str | None) -> str | None:
    """Archive a callback that no step waits for: with the job of its medium, which is returned, or among the strays."""
    owner = _owner(event.provider, ref) if ref else None
    item = _event_item(owner["job_id"] if owner else "", event, Recorded.IGNORED)
    if owner is None:
        item["pk"] = f"STRAYS#{event.provider}#{event.received_at[:10]}"
    _put_once(item)
    return owner["job_id"] if owner else None


def _owner(provider: str, ref: str) -> dict[str, Any] | None:
    """Whose a platform's id is: job_id, and the step and attempt that brought it (a consistent read)."""
    key = _wire(_ref_key(provider, ref))
    answer = settings.dynamodb().get_item(TableName=settings.setting("TABLE_NAME"), Key=key, ConsistentRead=True)
    return _plain(answer["Item"]) if "Item" in answer else None


def _tell(owner: Mapping[str, Any], event: Event, news: News, *, replay: bool) -> Recorded | None:
    """Note the news with the job that has the id; None if that job is not there any more."""
    job_id = owner["job_id"]
    name, reopen = news.step, False
    while True:
        told = replace(event, step=name, attempt=owner["attempt"])
        put = _put(
            _event_item(job_id, told, Recorded.RECORDED), condition=None if replay else "attribute_not_exists(pk)"
        )
        change = _news_change(job_id, name, event.provider, news, reopen=reopen)
        reasons = _transact([{"Put": put}, {"Update": change}])
        if not reasons:
            return Recorded.RECORDED
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            return Recorded.REPEATED
        if "Item" not in reasons[1]:
            return None  # taken over in this moment: the id leads to the job that has it now
        steps = _plain(reasons[1]["Item"]).get("steps", {})
        if name not in steps and owner["step"] in steps:
            name = owner["step"]
        elif not reopen and news.good and _may_reopen(steps.get(name, {}), news.ref):
            reopen = True
        else:
            _archive(job_id, told, Recorded.STALE)
            return Recorded.STALE


def _may_reopen(step: Mapping[str, Any], ref: str) -> bool:
    """Whether good news of an id may be about this failed step: it is the one that failed."""
    return step.get("status") == StepStatus.FAILED and step.get("platform_job_id") == ref


def _news_change(job_id: str, step: str, provider: str, news: News, *, reopen: bool) -> dict[str, Any]:
    """Note what was told. With `reopen`, of a step that has failed: then it runs again, until a check has looked."""
    update = (
        "SET #steps.#step.#told.#part = :word, #steps.#step.#tellings = #steps.#step.#tellings + :one, "
        "#steps.#step.#told_at = :now, #due_at = :due"
    )
    shared: dict[str, Any] = {
        "step": step,
        "aliases": {"part": f"{news.ref}/{news.part}"},
        "word": news.word,
        "one": 1,
        "due": timestamp(now(), plus=SWEEP_GRACE_SECONDS),
        "canceled": JobStatus.CANCELED,
        "failed": StepStatus.FAILED,
    }
    if reopen:
        change = _change(
            job_id,
            update + ", #steps.#step.#status = :running, #steps.#step.#deadline_at = :deadline, #status = :running, "
            "#listing_by_status = :listing, #open = :open "
            "REMOVE #steps.#step.#error, #steps.#step.#ended_at, #ended_at, #expires_at",
            condition="#steps.#step.#status = :failed AND #steps.#step.#platform_job_id = :ref "
            "AND #status <> :canceled",
            running=StepStatus.RUNNING,
            ref=news.ref,
            deadline=timestamp(now(), plus=settings.number("STEP_DEADLINE_SECONDS")),
            listing=f"{JobStatus.RUNNING}#{provider}#{_shard(job_id)}",
            open=str(_shard(job_id)),
            **shared,
        )
    else:
        change = _change(
            job_id,
            update,
            condition="attribute_exists(#steps.#step) AND NOT #steps.#step.#status IN (:failed, :succeeded, :skipped) "
            "AND #status <> :canceled",
            succeeded=StepStatus.SUCCEEDED,
            skipped=StepStatus.SKIPPED,
            **shared,
        )
    return change | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _adopt_news(job_id: str, event: Event, news: News) -> bool:
    """Make a job for work that was started elsewhere; it runs until a check has looked. False if the id has one."""
    moment = timestamp(now())
    step = Step(
        status=StepStatus.RUNNING,
        attempt=1,
        attempt_limit=1,
        platform_job_id=news.ref,
        told={f"{news.ref}/{news.part}": news.word},
        tellings=1,
        told_at=moment,
        started_at=moment,
        deadline_at=timestamp(now(), plus=settings.number("STEP_DEADLINE_SECONDS")),
    )
    job = Job(
        job_id=job_id,
        provider=event.provider,
        status=JobStatus.RUNNING,
        plan=(news.step,),
        steps={news.step: step},
        adopted=True,
        refs=(news.ref,),
        created_at=moment,
        updated_at=moment,
    )
    adopted = replace(event, step=news.step, attempt=1)
    reasons = _transact(
        [
            {"Put": _put(_event_item(job_id, adopted, Recorded.ADOPTED), condition="attribute_not_exists(pk)")},
            {"Put": _put(_job_item(job), condition="attribute_not_exists(pk)")},
            *({"Put": put} for put in _ref_puts(job_id, event.provider, news.step, 1, job.refs)),
        ]
    )
    return not reasons


def _take_over(job_id: str, step: str, reasons: Sequence[Mapping[str, Any]]) -> None:
    """Give a job the references that it was refused because others have them: callbacks were faster than its write.

    From a job that news made, that news and its events come along, and that job is gone. From any other job they do
    not: the platform gave both jobs the same id, and what it says of it next is for the newer one.
    """
    for reason in reasons:
        if reason["Code"] == "None":
            continue
        taken = _plain(reason["Item"])
        other = get(taken["job_id"])
        if other is None or not _made_by_news(other):
            _transact([{"Update": _ref_change(taken, job_id, step)}])
            continue
        copied = list(_event_ids(other.job_id))
        for event_id in copied:
            _copy_event(other.job_id, job_id, event_id)
        gone = {
            "TableName": settings.setting("TABLE_NAME"),
            "Key": _wire(_job_key(other.job_id)),
            "ConditionExpression": "#version = :version",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": _wire({":version": other.version}),
        }
        actions = [{"Update": _ref_change(taken, job_id, step)}, {"Delete": gone}]
        if told := _told_change(job_id, step, other):
            actions.append({"Update": told})
        if not _transact(actions):
            for event_id in copied:
                settings.dynamodb().delete_item(
                    TableName=settings.setting("TABLE_NAME"), Key=_wire(_event_key(other.job_id, event_id))
                )


def _made_by_news(job: Job) -> bool:
    """Whether a job stands for an id that nobody had; those adopted by their URL have a name of their own."""
    return job.adopted and any(step.tellings for step in job.steps.values())


def _ref_change(taken: Mapping[str, Any], job_id: str, step: str) -> dict[str, Any]:
    """A reference gets another owner, if it still has the one that it was seen with."""
    return {
        "TableName": settings.setting("TABLE_NAME"),
        "Key": _wire({"pk": taken["pk"], "sk": taken["sk"]}),
        "UpdateExpression": "SET #job_id = :job_id, #step = :step",
        "ConditionExpression": "#job_id = :other",
        "ExpressionAttributeNames": {"#job_id": "job_id", "#step": "step"},
        "ExpressionAttributeValues": _wire({":job_id": job_id, ":step": step, ":other": taken["job_id"]}),
    }


def _told_change(job_id: str, step: str, other: Job) -> dict[str, Any] | None:
    """What was told to the other job becomes news of this one; None if this one is gone."""
    own = get(job_id)
    if own is None:
        return None
    [(name, theirs)] = other.steps.items()
    told = {f"part{number}": part for number, part in enumerate(theirs.told)}
    return _change(
        job_id,
        "SET #steps.#step.#tellings = #steps.#step.#tellings + :tellings, #steps.#step.#told_at = :now, "
        + ", ".join(f"#steps.#step.#told.#{alias} = :{alias}" for alias in told),
        condition="attribute_exists(#steps.#step)",
        step=name if name in own.steps else step,
        aliases=told,
        tellings=theirs.tellings,
        **{alias: theirs.told[part] for alias, part in told.items()},  # type: ignore[arg-type]
    )


def _copy_event(job_id: str, to: str, event_id: str) -> None:
    """An archived event, in another job's archive too; what is there already stays."""
    item = event(job_id, event_id)
    if item is not None:
        _put_once(item | _event_key(to, event_id))


# --- Reads and people's changes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[T]:
    """Some of what was asked for; `cursor` asks for what follows, None says that nothing does."""

    items: list[T]
    cursor: str | None


def get(job_id: str) -> Job | None:
    """The job as it is at this moment (a consistent read)."""
    item = (
        settings.dynamodb()
        .get_item(TableName=settings.setting("TABLE_NAME"), Key=_wire(_job_key(job_id)), ConsistentRead=True)
        .get("Item")
    )
    return _to_job(item) if item else None


def cancel(job: Job) -> Job | None:
    """End an open job; what the platform still says of it is archived and changes nothing. None if it has ended."""
    return end(job, JobStatus.CANCELED)


def delete(job: Job) -> None:
    """Remove an ended job with its events. Raises ConflictError if it has not ended, or moved on.

    What remains for a while is a mark that it was deleted, and the platform's ids that lead to it, so that a late
    callback does not make it anew.
    """
    table = settings.setting("TABLE_NAME")
    mark = _job_key(job.job_id) | {"deleted_at": timestamp(now()), "expires_at": _expiry(now())}
    try:
        settings.dynamodb().put_item(
            TableName=table,
            Item=_wire(mark),
            ConditionExpression="#version = :version AND attribute_exists(ended_at)",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues=_wire({":version": job.version}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise ConflictError("the job has not ended") from None
        raise
    for event_id in _event_ids(job.job_id):
        settings.dynamodb().delete_item(TableName=table, Key=_wire(_event_key(job.job_id, event_id)))


def _event_ids(job_id: str) -> Iterator[str]:
    cursor = None
    while True:
        page = events(job_id, limit=100, cursor=cursor)
        yield from (event["event_id"] for event in page.items)
        cursor = page.cursor
        if cursor is None:
            return


def events(job_id: str, *, limit: int, cursor: str | None = None) -> Page[dict[str, Any]]:
    """Archived events of a job, in the order of their ids; the cursor is the last one's."""
    start = {"ExclusiveStartKey": _wire({"pk": f"JOB#{job_id}", "sk": f"EVENT#{cursor}"})} if cursor else {}
    answer = settings.dynamodb().query(
        TableName=settings.setting("TABLE_NAME"),
        KeyConditionExpression="pk = :pk AND begins_with(sk, :event)",
        ExpressionAttributeValues=_wire({":pk": f"JOB#{job_id}", ":event": "EVENT#"}),
        ConsistentRead=True,  # what is taken over must not miss the callback of a moment ago
        Limit=limit,
        **start,  # type: ignore[arg-type]
    )
    last = answer.get("LastEvaluatedKey")
    return Page(
        items=[_plain(item) for item in answer["Items"]],
        cursor=_plain(last)["sk"].removeprefix("EVENT#") if last else None,
    )


def event(job_id: str, event_id: str) -> dict[str, Any] | None:
    """One archived event."""
    key = _wire(_event_key(job_id, event_id))
    table = settings.setting("TABLE_NAME")
    item = settings.dynamodb().get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return _plain(item) if item else None


def jobs(
    *, providers: Sequence[str], status: JobStatus | None, limit: int, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Jobs in brief, newest first.

    Reads `limit` items of each index partition at most, however many jobs there are; the cursor is the
    "created_at#job_id" of the last one, at which every partition goes on.
    """
    index = "listing_by_status" if status else "listing"
    prefix = f"{status}#" if status else ""
    found = [
        item
        for provider in providers
        for shard in range(SHARDS)
        for item in _newest(index, f"{prefix}{provider}#{shard}", limit=limit + 1, before=cursor)["Items"]
    ]
    found.sort(key=lambda item: item["listing_order"]["S"], reverse=True)
    page = [_plain(item) for item in found[:limit]]
    return Page(items=page, cursor=page[-1]["listing_order"] if len(found) > limit else None)


def jobs_of_batch(
    batch: str, *, providers: Sequence[str], status: JobStatus | None, limit: int, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """Jobs of a batch in brief, newest first.

    Where the newest `limit` are not what is wanted, it looks through a thousand jobs at most: then a page may be short,
    or empty, while its cursor says that more follow.
    """
    for size in (limit + 1, _LOOKED_THROUGH):
        answer = _newest("batch", batch, limit=size, before=cursor)
        found = [_plain(item) for item in answer["Items"]]
        wanted = [job for job in found if job["provider"] in providers and status in (None, job["status"])]
        if len(wanted) > limit:
            return Page(items=wanted[:limit], cursor=wanted[limit - 1]["listing_order"])
        if "LastEvaluatedKey" not in answer:
            return Page(items=wanted, cursor=None)
    return Page(items=wanted, cursor=found[-1]["listing_order"])


def _newest(index: str, value: str, *, limit: int, before: str | None) -> "QueryOutputTypeDef":
    """One index partition, from its newest item, or from below a "created_at#job_id"."""
    return settings.dynamodb().query(
        TableName=settings.setting("TABLE_NAME"),
        IndexName=index,
        KeyConditionExpression="#key = :value" + (" AND listing_order < :before" if before else ""),
        ExpressionAttributeNames={"#key": index},  # each index is named after its key
        ExpressionAttributeValues=_wire({":value": value} | ({":before": before} if before else {})),
        ScanIndexForward=False,
        Limit=limit,
    )


def overdue() -> Iterator[dict[str, Any]]:
    """Open jobs that should have moved by now, the longest overdue first in each shard: job_id, provider, due_at.

    The shards come in another order each time, so that none is always the one that a time-out leaves out.
    """
    paginator = settings.dynamodb().get_paginator("query")
    for shard in random.sample(range(SHARDS), SHARDS):
        pages = paginator.paginate(
            TableName=settings.setting("TABLE_NAME"),
            IndexName="open",
            KeyConditionExpression="#open = :shard AND due_at < :now",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues=_wire({":shard": str(shard), ":now": timestamp(now())}),
        )
        for page in pages:
            yield from (_plain(item) for item in page["Items"])


def postpone(job_id: str, *, due_at: str) -> Job | None:
    """Note that an overdue job was given a new message; None if it has moved since it was found."""
    return _applied(
        _change(
            job_id,
            "SET #due_at = :later",
            counted=False,  # nothing about the job has changed: who is about to end it may
            condition="#due_at = :due_at AND attribute_exists(#open)",
            later=timestamp(now(), plus=SWEPT_AGAIN_SECONDS),
            due_at=due_at,
        )
    )
