"""The Jobs table: its items, and how they are written.

What must be true is a condition on the write, and the ways in which a write can go have names. Documents that only
others understand (options, results) are stored as JSON text: their numbers may be larger than DynamoDB's.
"""

import json
import random
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from video_jobs import jobs, settings, versions
from video_jobs.jobs import Job, JobStatus, Step, timestamp

SHARDS = 4
"""Over how many index partitions the jobs of a provider are spread; one takes about 1,000 writes a second."""
SWEEP_GRACE_SECONDS = 120
"""How long after a job should have moved a sweep takes it that its message was lost."""
SWEPT_AGAIN_SECONDS = 900
"""How long after a sweep has sent a message it sends another one: a queue that stands is not helped by more of them."""
CONFLICT_TRIES = 4
_DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[T]:
    """Some of what was asked for; `cursor` asks for what follows, None says that nothing does."""

    items: list[T]
    cursor: str | None


class ConflictError(Exception):
    """The job is not in a state that allows this change."""


def now() -> datetime:
    """The store's clock."""
    return jobs.now()


class _PlainNumbers(TypeDeserializer):
    """Numbers as int and float: all that are stored as such are small."""

    def _deserialize_n(self, value: str) -> int | float:
        return float(value) if "." in value else int(value)


_serialize = TypeSerializer().serialize


_deserialize = _PlainNumbers().deserialize


def to_wire(values: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as DynamoDB takes them."""
    plain = json.loads(json.dumps(values), parse_float=Decimal)
    return {name: _serialize(value) for name, value in plain.items()}


def to_plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item, or a part of one, as Python values. Raises NewerVersionError if code of a newer release wrote it."""
    plain = {name: _deserialize(value) for name, value in item.items()}
    versions.require_item(plain)
    return plain


def not_newer(request: dict[str, Any], kind: str) -> dict[str, Any]:
    """An Update of an item of this kind that leaves a newer one alone; then `update` and `transact` raise
    NewerVersionError.

    It changes the item without having read it, or after others may have.
    """
    known = f"(attribute_not_exists(#{versions.FIELD}) OR #{versions.FIELD} <= :{versions.FIELD})"
    condition = request.get("ConditionExpression")
    return request | {
        "ConditionExpression": f"({condition}) AND {known}" if condition else known,
        "ExpressionAttributeNames": request["ExpressionAttributeNames"] | {f"#{versions.FIELD}": versions.FIELD},
        "ExpressionAttributeValues": request["ExpressionAttributeValues"]
        | to_wire({f":{versions.FIELD}": versions.ITEMS[kind]}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def job_key(job_id: str) -> dict[str, str]:
    return {"pk": f"JOB#{job_id}", "sk": "JOB"}


def shard_of(job_id: str) -> int:
    return zlib.crc32(job_id.encode()) % SHARDS


def expiry(moment: datetime) -> int:
    """When DynamoDB may remove what ended at this moment, in seconds since 1970."""
    return int(moment.timestamp()) + settings.number("RETENTION_DAYS") * _DAY


def _step_item(step: Step) -> dict[str, Any]:
    item = step.model_dump(mode="json", exclude_none=True)
    if step.result is not None:
        item["result"] = json.dumps(step.result, ensure_ascii=False)
    return item


def job_item(job: Job) -> dict[str, Any]:
    """The job as it is stored, with the keys of the indexes that it is in."""
    shard = shard_of(job.job_id)
    item = job.model_dump(mode="json", exclude_none=True) | job_key(job.job_id)
    item["steps"] = {name: _step_item(step) for name, step in job.steps.items()}
    item["options"] = json.dumps(job.options, ensure_ascii=False)
    item["listing"] = f"{job.provider}#{shard}"
    item["listing_by_status"] = f"{job.status}#{job.provider}#{shard}"
    item["listing_order"] = f"{job.created_at}#{job.job_id}"
    if "task" in job.plan:
        item["tasks"] = str(shard)
    if job.batch:
        item["listing_in_batch"] = listing_in_batch(job, job.status)
    if job.status.ended:
        item["expires_at"] = expiry(now())
    if not (job.status.ended and job.is_told):
        item["open"] = str(shard)
        item["due_at"] = timestamp(now(), plus=SWEEP_GRACE_SECONDS)
    return item


def listing_in_batch(job: Job, status: JobStatus) -> str:
    """The index partition of a batch's jobs of one status."""
    return f"{status}#{job.provider}#{job.batch}"


def to_job(item: Mapping[str, Any]) -> Job | None:
    plain = to_plain(item)
    if "deleted_at" in plain:
        return None
    for step in plain["steps"].values():
        if "result" in step:
            step["result"] = json.loads(step["result"])
    plain["options"] = json.loads(plain["options"])
    return Job.model_validate(plain)


def change_request(
    job_id: str,
    update: str,
    *,
    condition: str,
    step: str = "",
    aliases: Mapping[str, str] | None = None,
    versioned: bool = True,
    **values: Any,
) -> dict[str, Any]:
    """An UpdateItem request, which also notes when (:now), and that, the job changed, unless it is not `versioned`.

    In the expressions #name is the attribute of that name, #step the attribute of the step's name, and an alias what
    `aliases` says.
    """
    if versioned:
        update = re.sub(r"^SET ", "SET #updated_at = :now, ", update)
        update += ", #version :one" if " ADD " in update else " ADD #version :one"
        values |= {"now": timestamp(now()), "one": 1}
    names = {f"#{name}": name for name in re.findall(r"#(\w+)", update + condition)}
    if "#step" in names:
        names["#step"] = step
    names |= {f"#{alias}": name for alias, name in (aliases or {}).items()}
    request = {
        "TableName": settings.setting("TABLE_NAME"),
        "Key": to_wire(job_key(job_id)),
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": to_wire({f":{name}": value for name, value in values.items()}),
    }
    return not_newer(request, "job")


def update(request: dict[str, Any]) -> dict[str, Any]:
    """Update an item, and return it; or raise ConflictError if the condition does not hold."""
    try:
        return _insisting(lambda: settings.dynamodb().update_item(**request, ReturnValues="ALL_NEW"))["Attributes"]
    except settings.dynamodb().exceptions.ConditionalCheckFailedException as error:
        to_plain(error.response.get("Item", {}))  # type: ignore[arg-type]  # one that is newer is no conflict
        raise ConflictError(request["ConditionExpression"]) from None


def _insisting[T](write: Callable[[], T]) -> T:
    """Write one item, again if a transaction is at it at the same moment: that is no answer to what we asked."""
    for remaining in reversed(range(CONFLICT_TRIES)):
        try:
            return write()
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionConflictException" or not remaining:
                raise
            time.sleep(random.uniform(0, 0.05))  # a callback of the same job is being recorded
    raise AssertionError("the last try returns or raises")


def put_new(request: dict[str, Any]) -> dict[str, Any] | None:
    """Put an item under a condition, or return the one for which it does not hold."""
    try:
        _insisting(lambda: settings.dynamodb().put_item(**request))
    except settings.dynamodb().exceptions.ConditionalCheckFailedException as error:
        found: dict[str, Any] = error.response.get("Item", {})  # type: ignore[assignment]
        return found
    return None


def apply(request: dict[str, Any]) -> Job:
    """Make the change, or raise ConflictError if its condition does not hold."""
    job = to_job(update(request))
    if job is None:
        raise ConflictError("the job is deleted")
    return job


def applied(request: dict[str, Any]) -> Job | None:
    """Make the change; None if its condition does not hold."""
    try:
        return apply(request)
    except ConflictError:
        return None


def put_request(item: Mapping[str, Any], *, condition: str | None = None, **values: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": settings.setting("TABLE_NAME"), "Item": to_wire(versions.stamped(item))}
    if condition:
        request |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if values:
        request["ExpressionAttributeValues"] = to_wire({f":{name}": value for name, value in values.items()})
    return request


def put_once(item: Mapping[str, Any]) -> None:
    put_new(put_request(item, condition="attribute_not_exists(pk)"))


def transact(actions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write all or nothing; on nothing, the reasons, one for each action (see TransactWriteItems).

    Another transaction on the same item at the same moment is no answer to what we asked: it is asked again.
    """
    for remaining in reversed(range(CONFLICT_TRIES)):
        try:
            settings.dynamodb().transact_write_items(TransactItems=actions)  # type: ignore[arg-type]
        except settings.dynamodb().exceptions.TransactionCanceledException as error:
            reasons: list[dict[str, Any]] = error.response["CancellationReasons"]  # type: ignore[assignment]
            codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
            if codes <= {"ConditionalCheckFailed"}:
                for reason in reasons:
                    to_plain(reason.get("Item", {}))  # one that is newer than we know is no answer
                return reasons
            if not codes & {"TransactionConflict"} or not remaining:
                raise
            time.sleep(random.uniform(0, 0.05))
        else:
            return []
    raise AssertionError("the last try returns or raises")


def ref_key(provider: str, ref: str) -> dict[str, str]:
    return {"pk": f"REF#{provider}#{ref}", "sk": "REF"}


def ref_item(job_id: str, provider: str, step: str, attempt: int, ref: str) -> dict[str, Any]:
    """Whose a reference is, and which step brought it."""
    return ref_key(provider, ref) | {
        "job_id": job_id,
        "step": step,
        "attempt": attempt,
        "ref": ref,
        "expires_at": expiry(now()),
    }


def ref_puts(job_id: str, provider: str, step: str, attempt: int, refs: Sequence[str]) -> list[dict[str, Any]]:
    """Puts of references, which fail for one that another job has."""
    return [
        put_request(
            ref_item(job_id, provider, step, attempt, ref),
            condition="attribute_not_exists(pk) OR job_id = :job_id",
            job_id=job_id,
        )
        for ref in dict.fromkeys(refs)
    ]
