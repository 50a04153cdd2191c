"""Where a callback meets a job, and the only place: parse, decide, archive, apply, send.

It never calls a platform, so it is never slow. All of it may be done again: the archive holds an event once, and a
transition that has been made changes nothing.
"""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any, assert_never

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from video_jobs import clock, logs, settings
from video_jobs.aws import queues
from video_jobs.aws.consumers import ComesAgainError
from video_jobs.callbacks.messages import Received
from video_jobs.callbacks.registry import CALLBACKS
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import Look, messages
from video_jobs.jobs.model import Hint, Ignored, Job, Meaning, StepEnd, StepFailed, StepSucceeded
from video_jobs.platforms.callback import Callback, Proof
from video_jobs.store import adoptions, events, jobs, media
from video_jobs.store.events import Event
from video_jobs.store.table import ConflictError

_ADOPTED_IDS = uuid.UUID("8a2f4b7e-2c55-4b0e-9f0a-3d9f6a1c7e42")

_looks: list[Look] = []
"""What the callbacks of this invocation call for: sent at its end, ten in one request."""

logger = logs.logger()


def take(record: SQSRecord, _context: Any) -> None:
    """Apply one message of the Inbox. What it raises, the consumer sends back for later, or to the dead letters."""
    received = Received.read(record.body)
    callback = CALLBACKS.get(received.callback)
    if callback is None:
        raise ValueError(f"there is no callback {received.callback}")
    logger.append_keys(provider=callback.provider, callback=callback.name)
    meaning: Meaning = callback.decide(callback.payload_of(received.body))
    tries = int(record.attributes.approximate_receive_count)
    match meaning:
        case StepSucceeded() | StepFailed():
            _apply_end(callback, received, meaning)
        case Hint():
            _apply_hint(callback, received, meaning, tries)
        case Ignored():
            events.archive(_event(callback, received, meaning, ref=meaning.ref, identity=meaning.identity))
            logger.info("archived", extra={"event_type": meaning.event_type})
        case _:
            assert_never(meaning)


def send() -> None:
    """Send what the callbacks that were taken call for. What it raises has all of them come again."""
    looks = list(dict.fromkeys(_looks))
    _looks.clear()
    queues.send_looks(looks)


def replayed(event: Mapping[str, Any], job: Job) -> Received:
    """The message that an archived callback came as; `event` as `store.events` gives it.

    What a signature had proven is not archived: who replays it answers for it.
    """
    proof = Proof(job_id=job.job_id, attempt=event["attempt"]) if event["ref"] is None else Proof()
    return Received(
        callback=event["callback"],
        body=event["body"].encode(),
        headers=event["headers"],
        received_at=event["received_at"],
        proof=proof,
    )


# --- The end of a step -----------------------------------------------------------------------------------------------


def _apply_end(callback: Callback[Any], received: Received, end: StepEnd) -> None:
    """A token's URL names the job, the step and the attempt."""
    job_id, attempt = received.proof.job_id, received.proof.attempt
    if job_id is None or attempt is None:
        raise ValueError(f"{callback.name}: an end, but nothing says of which job")
    logger.append_keys(job_id=job_id, step=callback.step, attempt=attempt)
    events.archive(_event(callback, received, end, job_id=job_id, attempt=attempt))
    if not _changed(job_id, partial(_ended, name=callback.step, attempt=attempt, end=end)):
        _adopt(transitions.adopted_by_end(job_id, callback.provider, callback.step, attempt, end, now=clock.now()))


def _ended(job: Job, *, name: str, attempt: int, end: StepEnd) -> Job | None:
    now = clock.now()
    whole = job if name in job.steps else transitions.step_adopted(job, name, attempt, now=now)
    return whole and transitions.step_ended(whole, name, attempt, end, now=now)


# --- A hint ----------------------------------------------------------------------------------------------------------


def _apply_hint(callback: Callback[Any], received: Received, hint: Hint, tries: int) -> None:
    """A body names a platform's id: it is for every job of ours that follows it, or for a new one that adopts it."""
    logger.append_keys(ref=hint.ref, step=hint.step)
    followers = media.followers(callback.provider, hint.ref).items
    event = _event(callback, received, hint, ref=hint.ref, identity=hint.identity)
    if followers:
        events.archive(event)
        if [job_id for job_id in followers if _changed(job_id, partial(_hinted, hint=hint))]:
            return
    waits = _adoption_waits()
    # it may have come back because AWS was away: then it has been received often, and not waited for long
    waited = clock.now() - received.received_at
    if tries <= len(waits) or waited < sum(waits) * clock.SECOND:
        raise ComesAgainError("not_followed", delay=waits[min(tries, len(waits)) - 1])
    events.archive(event)
    if not adoptions.is_allowed(received.proof.signature):
        logger.warning("adoption_limit")
        return
    job_id = str(uuid.uuid5(_ADOPTED_IDS, f"{callback.provider}\n{hint.ref}"))
    deadline = settings.number("STEP_DEADLINE_SECONDS")
    job = transitions.adopted_by_hint(job_id, callback.provider, hint, now=clock.now(), deadline_in=deadline)
    media.link(job, job.refs)
    _adopt(job)


def _adoption_waits() -> list[int]:
    """Seconds until a callback comes again whose id no job has yet: our own submit may be on its way."""
    return [int(wait) for wait in settings.setting("ADOPTION_WAITS").split(",")]


def _hinted(job: Job, *, hint: Hint) -> Job | None:
    return transitions.hinted(job, hint, now=clock.now())


# --- What they share -------------------------------------------------------------------------------------------------


def _changed(job_id: str, transition: jobs.Transition) -> bool:
    """Apply it and send what follows; False if there is no such job, and no person has deleted it.

    What follows is sent also if nothing changed: the first time may have broken off before.
    """
    change = jobs.change(job_id, transition)
    if change is None:
        return jobs.is_deleted(job_id)
    logger.info("applied" if change.changed else "unchanged", extra={"job_id": job_id, "status": change.after.status})
    if change.changed or (change.after.due_at or 0) <= clock.now():
        _looks.extend(messages(change.after))
    return True


def _adopt(job: Job) -> None:
    """Make a job for work that was started elsewhere."""
    try:
        found = jobs.create(job)
    except ConflictError:
        logger.info("deleted", extra={"job_id": job.job_id})
        return
    logger.info("adopted", extra={"job_id": found.job_id})
    _looks.extend(messages(found))


def _event(
    callback: Callback[Any],
    received: Received,
    meaning: Meaning,
    *,
    job_id: str | None = None,
    attempt: int | None = None,
    ref: str | None = None,
    identity: str | None = None,
) -> Event:
    return Event(
        callback=callback.name,
        via="callback",
        meaning=_MEANINGS[type(meaning)],
        body=received.body.decode("utf-8-sig"),
        headers=received.headers,
        received_at=received.received_at,
        job_id=job_id,
        attempt=attempt,
        ref=ref,
        identity=identity,
    )


_MEANINGS: Mapping[type, str] = {
    StepSucceeded: "succeeded",
    StepFailed: "failed",
    Hint: "hint",
    Ignored: "ignored",
}
