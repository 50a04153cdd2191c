"""What platforms tell of their own ids: it ends nothing by itself, and a worker looks into it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from video_jobs import settings
from video_jobs.jobs import Job, JobStatus, News, Step, StepStatus, timestamp
from video_jobs.store import table
from video_jobs.store.archive import (
    Event,
    Recorded,
    archive,
    copy_event,
    event_ids,
    event_item,
    event_key,
)
from video_jobs.store.reads import get
from video_jobs.store.reads import owner as owner_of
from video_jobs.store.table import (
    CONFLICT_TRIES,
    ConflictError,
    change_request,
    job_item,
    job_key,
    put_once,
    put_request,
    ref_puts,
    shard_of,
    to_plain,
    to_wire,
    transact,
)


def tell(event: Event, news: News, *, replay: bool = False) -> tuple[Recorded, str]:
    """Archive what a callback said of a platform's id, and have it looked into; what became of it, and whose it is.

    One transaction, after one read: whose the id is. An id that nobody has makes a job, which runs until the platform
    says how it stands. Raises ConflictError if the id changes hands again and again.
    """
    for _ in range(CONFLICT_TRIES):
        owner = owner_of(event.provider, news.ref)
        if owner is None:
            job_id = str(uuid.uuid4())
            if _adopt_news(job_id, event, news):
                return Recorded.ADOPTED, job_id
            continue
        outcome = _tell(owner, event, news, replay=replay)
        if outcome is not None:
            return outcome, owner["job_id"]
    raise ConflictError(f"{news.ref} changed hands {CONFLICT_TRIES} times while an event of it was recorded")


def archive_ignored(event: Event, ref: str | None) -> str | None:
    """Archive a callback that no step waits for: with the job of its medium, which is returned, or among the strays."""
    owner = owner_of(event.provider, ref) if ref else None
    item = event_item(owner["job_id"] if owner else "", event, Recorded.IGNORED)
    if owner is None:
        item["pk"] = f"STRAYS#{event.provider}#{event.received_at[:10]}"
    put_once(item)
    return owner["job_id"] if owner else None


def _tell(owner: Mapping[str, Any], event: Event, news: News, *, replay: bool) -> Recorded | None:
    """Note the news with the job that has the id; None if that job is not there any more."""
    job_id = owner["job_id"]
    name, failed = news.step, False
    while True:
        told = replace(event, step=name, attempt=owner["attempt"])
        put = put_request(
            event_item(job_id, told, Recorded.RECORDED), condition=None if replay else "attribute_not_exists(pk)"
        )
        change = _news_change(job_id, name, news, failed=failed)
        reasons = transact([{"Put": put}, {"Update": change}])
        if not reasons:
            return Recorded.RECORDED
        if reasons[0]["Code"] == "ConditionalCheckFailed":
            return Recorded.REPEATED
        if "Item" not in reasons[1]:
            return None  # taken over in this moment: the id leads to the job that has it now
        steps = to_plain(reasons[1]["Item"]).get("steps", {})
        if name not in steps and owner["step"] in steps:
            name = owner["step"]
        elif not failed and news.good and _is_failed_one(steps.get(name, {}), news.ref):
            failed = True
        else:
            archive(job_id, told, Recorded.STALE)
            return Recorded.STALE


def _is_failed_one(step: Mapping[str, Any], ref: str) -> bool:
    """Whether good news of an id is about this step, which has failed."""
    return step.get("status") == StepStatus.FAILED and step.get("platform_job_id") == ref


def _news_change(job_id: str, step: str, news: News, *, failed: bool) -> dict[str, Any]:
    """Note what was told, of a step that is open; or, with `failed`, of one that has failed and stays so until a worker
    has looked: it may be no more than what was known when it failed, or a stranger's word in a body that is not signed.
    """
    update = (
        "SET #steps.#step.#told.#part = :word, #steps.#step.#tellings = #steps.#step.#tellings + :one, "
        "#steps.#step.#told_at = :now, #due_at = :due"
    )
    shared: dict[str, Any] = {
        "step": step,
        "aliases": {"part": f"{news.ref}/{news.part}"},
        "word": news.word,
        "one": 1,
        "due": timestamp(table.now(), plus=table.SWEEP_GRACE_SECONDS),
        "canceled": JobStatus.CANCELED,
        "failed": StepStatus.FAILED,
    }
    if failed:
        return change_request(
            job_id,
            update + ", #open = :open",  # so that a sweep finds it, should the worker's message be lost
            condition="#steps.#step.#status = :failed AND #steps.#step.#platform_job_id = :ref "
            "AND #status <> :canceled",
            ref=news.ref,
            open=str(shard_of(job_id)),
            **shared,
        )
    return change_request(
        job_id,
        update,
        condition="attribute_exists(#steps.#step) AND NOT #steps.#step.#status IN (:failed, :succeeded, :skipped) "
        "AND #status <> :canceled",
        succeeded=StepStatus.SUCCEEDED,
        skipped=StepStatus.SKIPPED,
        **shared,
    )


def _adopt_news(job_id: str, event: Event, news: News) -> bool:
    """Make a job for work that was started elsewhere; it runs until a check has looked. False if the id has one."""
    moment = timestamp(table.now())
    step = Step(
        status=StepStatus.RUNNING,
        attempt=1,
        attempt_limit=1,
        platform_job_id=news.ref,
        told={f"{news.ref}/{news.part}": news.word},
        tellings=1,
        told_at=moment,
        started_at=moment,
        deadline_at=timestamp(table.now(), plus=settings.number("STEP_DEADLINE_SECONDS")),
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
    reasons = transact(
        [
            {"Put": put_request(event_item(job_id, adopted, Recorded.ADOPTED), condition="attribute_not_exists(pk)")},
            {"Put": put_request(job_item(job), condition="attribute_not_exists(pk)")},
            *({"Put": put} for put in ref_puts(job_id, event.provider, news.step, 1, job.refs)),
        ]
    )
    return not reasons


def take_over(job_id: str, step: str, reasons: Sequence[Mapping[str, Any]]) -> None:
    """Give a job the references that it was refused because others have them: callbacks were faster than its write.

    From a job that news made, that news and its events come along, and that job is gone. From any other job they do
    not: the platform gave both jobs the same id, and what it says of it next is for the newer one.
    """
    for reason in reasons:
        if reason["Code"] == "None":
            continue
        taken = to_plain(reason["Item"])
        other = get(taken["job_id"])
        if other is None or not _made_by_news(other):
            transact([{"Update": _ref_change(taken, job_id, step)}])
            continue
        copied = list(event_ids(other.job_id))
        for event_id in copied:
            copy_event(other.job_id, job_id, event_id)
        gone = {
            "TableName": settings.setting("TABLE_NAME"),
            "Key": to_wire(job_key(other.job_id)),
            "ConditionExpression": "#version = :version",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": to_wire({":version": other.version}),
        }
        actions = [{"Update": _ref_change(taken, job_id, step)}, {"Delete": gone}]
        if told := _told_change(job_id, step, other):
            actions.append({"Update": told})
        if not transact(actions):
            for event_id in copied:
                settings.dynamodb().delete_item(
                    TableName=settings.setting("TABLE_NAME"), Key=to_wire(event_key(other.job_id, event_id))
                )


def _made_by_news(job: Job) -> bool:
    """Whether a job stands for an id that nobody had; those adopted by their URL have a name of their own."""
    return job.adopted and any(step.tellings for step in job.steps.values())


def _ref_change(taken: Mapping[str, Any], job_id: str, step: str) -> dict[str, Any]:
    """A reference gets another owner, if it still has the one that it was seen with."""
    return {
        "TableName": settings.setting("TABLE_NAME"),
        "Key": to_wire({"pk": taken["pk"], "sk": taken["sk"]}),
        "UpdateExpression": "SET #job_id = :job_id, #step = :step",
        "ConditionExpression": "#job_id = :other",
        "ExpressionAttributeNames": {"#job_id": "job_id", "#step": "step"},
        "ExpressionAttributeValues": to_wire({":job_id": job_id, ":step": step, ":other": taken["job_id"]}),
    }


def _told_change(job_id: str, step: str, other: Job) -> dict[str, Any] | None:
    """What was told to the other job becomes news of this one; None if this one is gone."""
    own = get(job_id)
    if own is None:
        return None
    [(name, theirs)] = other.steps.items()
    told = {f"part{number}": part for number, part in enumerate(theirs.told)}
    return change_request(
        job_id,
        "SET #steps.#step.#tellings = #steps.#step.#tellings + :tellings, #steps.#step.#told_at = :now, "
        + ", ".join(f"#steps.#step.#told.#{alias} = :{alias}" for alias in told),
        condition="attribute_exists(#steps.#step)",
        step=name if name in own.steps else step,
        aliases=told,
        tellings=theirs.tellings,
        **{alias: theirs.told[part] for alias, part in told.items()},  # type: ignore[arg-type]
    )
