"""How jobs are read and saved: one consistent query, and one conditional put on the version.

Rules about jobs stand in `jobs.transitions`; the only condition here is that nobody else was faster.
"""

import random
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from video_jobs import clock
from video_jobs.aws.errors import may_be_done
from video_jobs.jobs.model import Job
from video_jobs.store import counts, table
from video_jobs.store.items import hot_item, request_item, result_item, to_be_swept, to_job
from video_jobs.store.table import CONFLICT_TRIES, ConflictError, expiry, job_key

type Transition = Callable[[Job], Job | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a job: as it was, and as it is now (the same one if the fact changed nothing)."""

    before: Job
    after: Job

    @property
    def changed(self) -> bool:
        return self.after is not self.before


def create(job: Job) -> Job:
    """Put a new job, or return the one that has its id already. Raises ConflictError if that one was deleted.

    First what never changes, and what a callback about work that was started elsewhere has said: who finds the job
    finds it whole.
    """
    job = job.model_copy(update={"swept_at": to_be_swept(job)})
    left = table.put_new(request_item(job))
    if left is not None and table.get(job_key(job.job_id)) is not None:
        return _there(job.job_id)
    if left is not None:
        _remove_results(job)
    for name, step in job.steps.items():
        if step.result:
            _save_result(job, name)
    hot = hot_item(job, nonce=_nonce())
    is_new = table.put_new(hot) is None if left is None else _is_put_over(job, hot, left)
    return job if is_new else _there(job.job_id)


def _remove_results(job: Job) -> None:
    """What the steps of an expired job came to. Nothing else: somebody may be making the job at this moment."""
    condition = "pk = :pk AND begins_with(sk, :result)"
    for item in list(table.query_all(condition, {"pk": f"JOB#{job.job_id}", "result": "RESULT#"})):
        table.delete({"pk": item["pk"], "sk": item["sk"]})


def _is_put_over(job: Job, hot: Mapping[str, Any], left: Mapping[str, Any]) -> bool:
    """Put a job where a request was left, by one that has expired or whose making broke off; False if one is there."""
    request = table.put_request(request_item(job), condition="expires_at = :left", left=left["expires_at"])
    new = table.put_request(hot, condition="attribute_not_exists(pk)")
    return not table.transact([{"Put": request}, {"Put": new}])


def _there(job_id: str) -> Job:
    there = read(job_id)
    if there is None:
        raise ConflictError("a job of this id was deleted")
    return there


def read(job_id: str) -> Job | None:
    """The job as it is at this moment, whole. Raises NewerVersionError if code of a newer release wrote it."""
    return to_job(_items(job_id))


def _items(job_id: str) -> list[dict[str, Any]]:
    return list(
        table.query_all(
            "pk = :pk AND sk BETWEEN :first AND :last", {"pk": f"JOB#{job_id}", "first": "JOB", "last": "RESULT$"}
        )
    )


def is_deleted(job_id: str) -> bool:
    """Whether there was a job of this id, and a person has deleted it."""
    found = table.get(job_key(job_id))
    return found is not None and "deleted_at" in found


def read_many(
    job_ids: Collection[str], *, results: Collection[str] = (), consistent: bool = True
) -> dict[str, Job | None]:
    """Jobs by their ids: None was deleted, what is missing never was. Of what steps came to, `results` of these."""
    sort_keys = ("JOB", "REQUEST", *(f"RESULT#{step}" for step in results))
    keys = [{"pk": f"JOB#{job_id}", "sk": sort_key} for job_id in job_ids for sort_key in sort_keys]
    parts: dict[str, list[dict[str, Any]]] = {}
    for item in table.get_many(keys, consistent=consistent):
        parts.setdefault(item["pk"].removeprefix("JOB#"), []).append(item)
    return {job_id: to_job(items) for job_id, items in parts.items() if any(item["sk"] == "JOB" for item in items)}


def change(job_id: str, transition: Transition, *, known: Job | None = None) -> Change | None:
    """Read a job, apply a transition, save it; again if somebody else was faster. None if there is no such job.

    `known`: the job as it was a moment ago, which may save the first read. Raises ConflictError if somebody else was
    faster each time, and NewerVersionError as `read` does.
    """
    for attempt in range(CONFLICT_TRIES):
        before = known if known is not None and attempt == 0 else read(job_id)
        if before is None:
            return None
        after = transition(before)
        if after is None:
            return Change(before=before, after=before)
        saved = save(before, after)
        if saved is not None:
            return Change(before=before, after=saved)
        time.sleep(random.uniform(0, 0.02 * 2**attempt))
    raise ConflictError(f"job {job_id} changed {CONFLICT_TRIES} times while it was being changed")


def save(before: Job, after: Job) -> Job | None:
    """Save what a transition gave, if nobody else has saved the job since it was read; else None.

    What its steps came to goes first: who finds a step ended finds its result. A nonce tells our own put from
    another's: the SDK sends it again when its answer was lost, and is then refused by what it has written itself.
    """
    after = after.model_copy(update={"version": before.version + 1, "swept_at": to_be_swept(after)})
    for name, step in after.steps.items():
        known = before.steps[name].result if name in before.steps else None
        if step.result is not None and step.result != known and (step.result or known):
            _save_result(after, name)
    item = hot_item(after, nonce=_nonce())
    put = _saved_with_counts if before.counted != after.counted else _saved
    try:
        return put(before, after, item)
    except Exception as error:
        if not may_be_done(error):
            raise
        return put(before, after, item)  # the nonce says whether the first one was: an attempt must not be lost for it


def _saved(before: Job, after: Job, item: dict[str, Any]) -> Job | None:
    found = table.put(item, condition="v = :version", version=before.version)
    return after if found is None or found.get("nonce") == item["nonce"] else None


def _saved_with_counts(before: Job, after: Job, item: dict[str, Any]) -> Job | None:
    """With what its batch counts, in one transaction: whatever comes twice or breaks off, a job is counted once."""
    put = {"Put": table.put_request(item, condition="v = :version", version=before.version)}
    reasons = table.transact([put, *counts.moves(before, after)])
    if not reasons:
        return after
    if not table.held(reasons, 0):
        return after if reasons[0]["Item"].get("nonce") == item["nonce"] else None
    # the batch is gone: there is nothing to count for
    return _saved(before, after, item)


def _save_result(job: Job, name: str) -> None:
    item = result_item(job, name)
    table.put(item, condition="attribute_not_exists(pk) OR #rank <= :rank", names={"#rank": "rank"}, rank=item["rank"])


def delete(job: Job) -> bool:
    """Remove an ended job whose end is announced, with its events; False if it is not, or has moved since it was read.

    What remains for a while is a mark that it was deleted, and the platform's ids that lead to it, so that a late
    callback does not make it anew.
    """
    if not (job.status.ended and job.is_announced):
        return False
    about = {"deleted_at": clock.iso(clock.now()), "v": job.version + 1, "nonce": _nonce(), "expires_at": expiry()}
    found = table.put(job_key(job.job_id) | about, condition="v = :version", version=job.version)
    if found is not None and found.get("nonce") != about["nonce"]:
        return False
    _remove(job, but="JOB")
    return True


def discard(job: Job) -> bool:
    """Remove an adopted job of which nothing was announced; False if it has moved meanwhile.

    Its request stays until it expires: it is the same for whoever adopts the id in this moment.
    """
    if not table.delete_if(job_key(job.job_id), version=job.version):
        return False
    _remove(job, but="REQUEST")
    return True


def _remove(job: Job, *, but: str) -> None:
    for item in list(table.query_all("pk = :pk", {"pk": f"JOB#{job.job_id}"})):
        if item["sk"] != but:
            table.delete({"pk": item["pk"], "sk": item["sk"]})


def _nonce() -> str:
    return uuid.uuid4().hex[:12]
