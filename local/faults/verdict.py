"""What came of a run, and which promises it has kept."""

import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from video_jobs.jobs.batches import BatchStatus
from video_jobs.jobs.model import Job
from video_jobs.store import batches, jobs

from local.faults import functions
from local.faults.world import World


class Broken(StrEnum):
    """The promises, by how they are broken: the columns of the table."""

    LOST = "lost"
    NEVER_ENDED = "never ended"
    ENDED_DIFFERENTLY = "ended differently"
    SUBMITTED_TWICE = "submitted twice"
    TWO_IDS = "announced with two ids"
    COUNTED_WRONGLY = "counted wrongly"
    DEAD_LETTERS = "dead letters"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a job stands: its status, the code of its error, and the same of each step."""

    status: str
    error: str | None
    steps: Mapping[str, str]
    adopted: bool
    refs: Sequence[str] = field(compare=False)

    @classmethod
    def of(cls, job: Job) -> "Ended":
        steps = {name: f"{step.status}" for name, step in job.steps.items()}
        error = job.error.code if job.error else None
        return cls(status=str(job.status), error=error, steps=steps, adopted=job.adopted, refs=job.refs)

    def __str__(self) -> str:
        return f"{self.status}{f' ({self.error})' if self.error else ''}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that a run is judged by."""

    is_over: bool
    jobs: Mapping[str, Ended]
    """By name, those that have not been deleted."""
    open: Sequence[str]
    """Jobs and batches that have not ended, or whose end was not announced."""
    submissions: Mapping[tuple[str, str, str], int]
    """How often each platform began each step for each subject."""
    ends: Mapping[str, Sequence[str]]
    """For each job or batch: the ids with which ends were announced, as "id type", in their order."""
    lost: Sequence[str]
    miscounted: Sequence[str]
    dead_letters: Mapping[str, int]
    notes: Sequence[str]

    @property
    def has_failed(self) -> bool:
        """Whether a job failed at some time, so that it may be retried."""
        return any(said.endswith("job.failed") for ends in self.ends.values() for said in ends)


def outcome(world: World, *, is_over: bool) -> Outcome:
    """What came of a run that is over, or was given up."""
    with functions.at_work(world), world.at_rest():
        found = _jobs(world)
        named = {job.job_id: _name(job) for job in found}
        submitted = Counter(
            (name, one.step, named.get(one.subject, one.subject))
            for name, platform in world.platforms.items()
            for one in platform.submissions
        )
        return Outcome(
            is_over=is_over,
            jobs={named[job.job_id]: Ended.of(job) for job in found},
            open=[*(f"job {named[job.job_id]}" for job in found if not _has_ended(job)), *_open_batches(world)],
            submissions=submitted,
            ends={named.get(about, about): ends for about, ends in _ends(world).items()},
            lost=_lost(world),
            miscounted=_miscounted(world, found),
            dead_letters=world.dead_letters(),
            notes=tuple(world.notes),
        )


def _name(job: Job) -> str:
    """The same in each run: a batch's jobs have ids that hang on when it was made."""
    return job.job_id if job.request.batch_index is None else f"{job.request.batch_index} of the batch"


def _jobs(world: World) -> list[Job]:
    ids = [pk.removeprefix("JOB#") for pk, sk in world.aws.table.items if sk == "JOB" and pk.startswith("JOB#")]
    return [job for job_id in sorted(ids) if (job := jobs.read(job_id)) is not None]


def _has_ended(job: Job) -> bool:
    return job.status.ended and job.is_announced


def _open_batches(world: World) -> list[str]:
    found = [batches.get(pk.removeprefix("BATCH#")) for pk, sk in world.aws.table.items if sk == "BATCH"]
    return [
        f"batch {batch.batch_id}"
        for batch, _counts in (one for one in found if one is not None)
        if batch.status != BatchStatus.ENDED or batch.announced < batch.ends
    ]


def _in_order(world: World) -> list[dict[str, Any]]:
    """What the bus was told, in the order in which it happened: one that was sent again may come later."""
    return sorted(world.bus, key=lambda event: str(event["timestamp"]))


def _ends(world: World) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in _in_order(world):
        about = event["data"].get("job_id") or event["data"].get("batch_id")
        said = f"{event['id']} {event['type']}"
        if event["type"] != "job.polled" and said not in found.setdefault(about, []):
            found[about].append(said)
    return found


def _lost(world: World) -> list[str]:
    """Callbacks that were answered 200 and are not in the archive, but for those of deleted jobs."""
    kept = Counter(
        (item["callback"]["S"], _body(item)) for (_pk, sk), item in world.aws.table.items.items() if "EVENT#" in sk
    )
    deleted = {pk.removeprefix("JOB#") for (pk, sk), item in world.aws.table.items.items() if "deleted_at" in item}
    return [
        f"{one.callback}: {one.body.decode()[:80]}"
        for one in world.accepted
        if (one.callback, one.body.decode()) not in kept and one.job_id not in deleted
    ]


def _body(item: Mapping[str, Any]) -> str:
    text = zlib.decompress(item["packed"]["B"]).decode() if "packed" in item else item["body"]["S"]
    return str(json.loads(text)["body"])


def _counts(world: World) -> dict[str, dict[str, int]]:
    """The sums of each batch's COUNT items, of what they count."""
    found: dict[str, Counter[str]] = {}
    for (pk, sk), item in world.aws.table.items.items():
        if pk.startswith("BATCH#") and sk.startswith("COUNT#"):
            of_batch = found.setdefault(pk.removeprefix("BATCH#"), Counter())
            for name, value in item.items():
                if name.split("/")[0] in ("succeeded", "failed", "canceled") and value["N"] != "0":
                    of_batch[name] += int(value["N"])
    return {batch: dict(sorted(counts.items())) for batch, counts in found.items()}


def _miscounted(world: World, found: Sequence[Job]) -> list[str]:
    """Batches whose counts are not what their jobs are."""
    wrong = []
    for batch, counted in _counts(world).items():
        outcomes = Counter(job.outcome for job in found if job.request.batch_id == batch and job.outcome)
        if dict(sorted(outcomes.items())) != {name: number for name, number in counted.items() if number}:
            wrong.append(f"batch {batch} counts {counted}, and has {dict(outcomes)}")
    return [*wrong, *_wrong_totals(world)]


def _wrong_totals(world: World) -> list[str]:
    """Batches whose last announced totals are not what they count."""
    last = {
        event["data"]["batch_id"]: event["data"]["totals"]
        for event in _in_order(world)
        if event["type"] == "batch.ended"
    }
    wrong = []
    for batch, counted in _counts(world).items():
        sums: Counter[str] = Counter()
        for outcome_of, number in counted.items():
            sums[outcome_of.split("/")[0]] += number
        said = last.get(batch)
        if said is not None and any(said[name] != sums[name] for name in ("succeeded", "failed", "canceled")):
            wrong.append(f"batch {batch} was announced with {said}, and counts {counted}")
    return wrong


# --- Judging ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a scenario comes to, whatever goes wrong."""

    outcome: Outcome
    """Of the run without a fault."""
    may_be: Sequence[str] = ()
    """Other ends of its jobs that are as good: "canceled", "failed (timed_out)"."""
    may_be_missing: frozenset[str] = frozenset()
    """Ids of jobs that need never have been made."""
    may_be_deleted: bool = False
    """Whether a person may have deleted jobs, once their ends were announced."""
    may_adopt: bool = False
    """Whether there may be other jobs, which callbacks have made."""
    may_be_lost: bool = False
    """Whether callbacks may be lost, because somebody has purged their queue."""
    fewer_ends: bool = False
    """Whether an end may be taken back before it was announced."""
    more_ends: int = 0
    """How often each job may have ended besides."""
    more_submissions: int = 0


def broken(found: Outcome, expected: Expected) -> dict[Broken, list[str]]:
    """What was promised and not kept, in words."""
    reasons: dict[Broken, list[str]] = {one: [] for one in Broken}
    reasons[Broken.LOST] += [] if expected.may_be_lost else found.lost
    reasons[Broken.NEVER_ENDED] += [f"{one} is open, or not announced" for one in found.open]
    if not found.is_over:
        reasons[Broken.NEVER_ENDED].append("something is due for ever")
    reasons[Broken.ENDED_DIFFERENTLY] += _differences(found, expected)
    for key, number in found.submissions.items():
        if number > expected.outcome.submissions.get(key, 0) + expected.more_submissions:
            reasons[Broken.SUBMITTED_TWICE].append(f"{' '.join(key)}: {number} times")
    reasons[Broken.TWO_IDS] += _announcements(found, expected)
    reasons[Broken.COUNTED_WRONGLY] += found.miscounted
    reasons[Broken.DEAD_LETTERS] += [f"{number} in {queue}" for queue, number in found.dead_letters.items()]
    return {one: said for one, said in reasons.items() if said}


def _differences(found: Outcome, expected: Expected) -> list[str]:
    differences = []
    for job_id in sorted(found.jobs.keys() | expected.outcome.jobs.keys()):
        now, before = found.jobs.get(job_id), expected.outcome.jobs.get(job_id)
        if now == before or _is_as_good(job_id, now, before, expected):
            continue
        differences.append(f"job {job_id} is {now or 'not there'}, and not {before or 'not there'}")
    return differences


def _is_as_good(job_id: str, now: Ended | None, before: Ended | None, expected: Expected) -> bool:
    if now is None:
        return expected.may_be_deleted or job_id in expected.may_be_missing
    if before is None:
        return now.adopted and expected.may_adopt
    return str(now) in expected.may_be


def _announcements(found: Outcome, expected: Expected) -> list[str]:
    wrong = []
    for about in sorted(found.ends.keys() | expected.outcome.ends.keys()):
        now, before = found.ends.get(about, ()), expected.outcome.ends.get(about, ())
        is_more = about not in expected.outcome.jobs and about in found.jobs and expected.may_adopt
        fewest = min(len(before), 1) if expected.fewer_ends else len(before)
        most = 1 if is_more else len(before) + expected.more_ends
        is_missing = about in expected.may_be_missing and about not in found.jobs
        if not (0 if is_missing else fewest) <= len(now) <= most:
            wrong.append(f"{about} was announced as {list(now)}, and not as {list(before)}")
        elif now and about in found.jobs and not now[-1].endswith(f"job.{found.jobs[about].status}"):
            wrong.append(f"{about} was last announced as {now[-1]}, and is {found.jobs[about].status}")
    return wrong
