"""The second step: api.video encodes a video, and calls back when a rendition is done.

No callback says that all are done, and none that one has failed: callbacks are hints when to ask
`GET /videos/{id}/status`, which knows (page "Video status & details"). An MP4 of the source's quality and an HLS
rendition of every quality from 240p up to it make five callbacks for a source of 720p, in any order.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from video_jobs import clock, jsontext
from video_jobs.jobs.model import (
    Hint,
    Ignored,
    Job,
    PollResult,
    Step,
    StepEnd,
    StepFailed,
    StepRunning,
    StepSucceeded,
    Submitted,
)
from video_jobs.platforms.apivideo import errors, signature
from video_jobs.platforms.apivideo.payloads import QUALITY_COMPLETED, Event
from video_jobs.platforms.apivideo.upload import JOB_KEY
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.errors import RefusedByPlatformError

if TYPE_CHECKING:
    from video_jobs.platforms.apivideo.client import ApiVideo

STEP = "encoding"
LADDER = (240, 360, 480, 720, 1080, 2160)
"""The heights that HLS is encoded in, up to the source's."""

PATIENCE_SECONDS = 300
"""How long after the last callback a rendition is waited for that no status lists."""
LARGEST_STATUS = 64 * 1024
"""Bytes."""

_PARTS = ("receivedBytes", "receivedParts")
_ENCODED = "encoded"
_ENDED = (_ENCODED, "failed")
# The guide and the OpenAPI file have different words; after "uploaded" or "ingested" there is nothing more to come.
_COMES_IN = ("missing", "uploading", "last_chunck_uploaded", "merging", "ingesting")
_HEIGHT = re.compile(r"([0-9]{1,5})p")


def decide(event: Event) -> Hint | Ignored:
    """What an event means: only that a rendition is encoded says something about a step."""
    if event.event_type != QUALITY_COMPLETED or event.video_id is None:
        return Ignored(event_type=event.event_type, ref=event.video_id)
    return Hint(
        ref=event.video_id,
        step=STEP,
        part=f"{event.encoding} {event.quality}",
        word=_ENCODED,
        good=True,  # a step that was given up too early, because its time was over, say
    )


CALLBACK = Callback(
    name="apivideo/encoding_quality_completed",
    payload=Event,
    decide=decide,
    secret="APIVIDEO_SECRET",  # noqa: S106 (a variable's name)
    verify=signature.verify,
)
CALLBACK_EXPECTED = True


def submit(client: "ApiVideo", job: Job, *, callback_url: str) -> Submitted:
    """There is nothing to ask for: the upload has set the encoding off."""
    upload = job.steps.get("upload")
    made = upload.result.get("video_id") if upload and upload.result else None
    video_id = made or job.request.media_id
    if not video_id:
        raise ValueError(f"job {job.job_id} has no video yet")
    return Submitted(platform_job_id=video_id, refs=() if made else (video_id,))


# --- What callbacks say --------------------------------------------------------------------------------------------


def hinted(client: "ApiVideo", job: Job, step: Step) -> StepRunning | PollResult:
    """Count what callbacks have said; ask api.video once nothing more is to come."""
    seen = _seen(step)
    if _all_encoded(step, seen):
        return poll(client, job, step)
    result = {"video_id": step.platform_job_id, "playable": True, **({"status": seen.body} if seen.body else {})}
    return StepRunning(progress=_encoded_so_far(step, seen), platform_status="encoding", result=result)


def _all_encoded(step: Step, seen: "Status") -> bool:
    expected = _expected(step, seen)
    return bool(expected) and expected <= _done(step, seen)


def _is_final(step: Step) -> bool:
    """Whether a status that lists fewer renditions than callbacks let expect is believed.

    Not at once: it may lag behind. But the ladder is api.video's, and it may leave a rung out.
    """
    return step.hinted_at is None or clock.after(step.hinted_at, PATIENCE_SECONDS) < clock.now()


def _encoded_so_far(step: Step, seen: "Status") -> float | None:
    expected = _expected(step, seen)
    return _forward(step, len(expected & _done(step, seen)), len(expected))


def _expected(step: Step, seen: "Status") -> set[str]:
    """The renditions there will be: by the MP4's quality, else by the status as it was last seen; none if unknown."""
    for part in step.hints:
        encoding, _, quality = part.partition(" ")
        if encoding == "mp4" and (height := _HEIGHT.fullmatch(quality)):
            # below 240p there is 240p (inferred)
            return {f"hls {rung}p" for rung in LADDER if rung <= max(int(height[1]), LADDER[0])} | {part}
    return {rendition.part for rendition in seen.renditions}


def _done(step: Step, seen: "Status") -> set[str]:
    going_on = {rendition.part for rendition in seen.renditions if not rendition.ended}
    ended = {rendition.part for rendition in seen.renditions} - going_on
    return ended | set(step.hints)


def _forward(step: Step, done: int, of: int) -> float | None:
    """The fraction that is done; a status that lags behind the callbacks takes nothing back."""
    return max(step.progress or 0.0, done / of) if of else None


# --- What the status says ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One of a status's `encoding.qualities`."""

    encoding: str
    """`hls` or `mp4`; the first where it is not said: then it is a list of heights (inferred)."""
    quality: str
    status: str
    """waiting, encoding, encoded or failed."""

    @property
    def part(self) -> str:
        """As callbacks name it."""
        return f"{self.encoding} {self.quality}"

    @property
    def ended(self) -> bool:
        """A word that nobody knows does not mean an end."""
        return self.status in _ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `GET /videos/{id}/status` says: every part of it may be missing, or null. `body` is all of it."""

    ingest: str
    playable: bool
    renditions: tuple[Rendition, ...]
    body: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """Whether the source is there, and every rendition of it encoded or failed."""
        over = self.ingest not in _COMES_IN
        return over and bool(self.renditions) and all(rendition.ended for rendition in self.renditions)

    @property
    def word(self) -> str | None:
        """api.video's own word for what it is at."""
        words = {rendition.status for rendition in self.renditions}
        if self.ingest in _COMES_IN:
            return self.ingest
        return next((word for word in ("encoding", "waiting") if word in words), self.ingest or None)


def read_rendition(quality: Mapping[str, Any]) -> Rendition:
    """One of a status's `encoding.qualities`."""
    return Rendition(
        encoding=_word(quality, "type") or "hls", quality=_word(quality, "quality"), status=_word(quality, "status")
    )


def read(body: Mapping[str, Any]) -> Status:
    """A status, whichever document its words are from."""
    encoding = _part(body, "encoding")
    listed = encoding.get("qualities")
    qualities = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    renditions = tuple(map(read_rendition, qualities))
    # it is playable as soon as the first asset is encoded
    playable = encoding.get("playable") is True or any(rendition.status == _ENCODED for rendition in renditions)
    return Status(ingest=_word(_part(body, "ingest"), "status"), playable=playable, renditions=renditions, body=body)


def poll(client: "ApiVideo", job: Job, step: Step) -> StepRunning | PollResult:
    """How the encoding stands, by api.video's own word; for work that was started elsewhere also whose it is."""
    video_id = step.platform_job_id
    if video_id is None:
        return StepRunning()
    try:
        owner = None if job.confirmed else _owner(client.video(video_id))
        status = read(client.status(video_id))
    except RefusedByPlatformError as refusal:
        if refusal.status != 404 or refusal.error.code == errors.UNRECOGNIZED_REQUEST.code:
            raise  # about us, not about the video: it is asked after again
        error = errors.NOT_FOUND.with_message(refusal.error.message)
        return PollResult(end=StepFailed(error=error, result=step.result or {}), body={"message": error.message})
    return replace(_meaning(video_id, status, step), owner=owner)


def _owner(video: Mapping[str, Any]) -> str | None:
    """The job that a video's metadata name: its upload put it there."""
    metadata = video.get("metadata")
    pairs = [pair for pair in metadata if isinstance(pair, dict)] if isinstance(metadata, list) else []
    return next((_text(pair, "value") for pair in pairs if pair.get("key") == JOB_KEY), None) or None


def _meaning(video_id: str, status: Status, step: Step) -> StepRunning | PollResult:
    """What a status means, beside what callbacks have said."""
    result = {"video_id": video_id, "playable": status.playable, "status": _kept(status.body)}
    if status.ended and (_all_encoded(step, status) or _is_final(step)):
        end = _end(status, result)
        word = _ENCODED if isinstance(end, StepSucceeded) else "failed"
        return PollResult(end=end, body=status.body, platform_status=word)
    ended = sum(rendition.ended for rendition in status.renditions)
    return StepRunning(
        progress=_forward(step, ended, len(status.renditions)),
        platform_status=status.word,
        result=result | {"playable": status.playable or bool(step.hints)},
        soon=status.ended or _all_encoded(step, status),  # it lags behind its own callbacks
    )


def _end(status: Status, result: Mapping[str, Any]) -> StepEnd:
    failed = [rendition.part for rendition in status.renditions if rendition.status != _ENCODED]
    if not failed:
        return StepSucceeded(result=result)
    known = errors.ENCODING_FAILED if len(failed) == len(status.renditions) else errors.RENDITION_FAILED
    return StepFailed(error=known.with_message(f"failed: {', '.join(failed)}"), result=result)


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    """The status as the job keeps it: whole, unless it would take too much of the job's room.

    What may be long are the lists of a progressive upload's parts: of 30 GB in pieces of 5 MB, 6,000.
    """
    if len(jsontext.write(body)) <= LARGEST_STATUS:
        return dict(body)
    ingest = _part(body, "ingest")
    return {**body, "ingest": {name: value for name, value in ingest.items() if name not in _PARTS}}


def _seen(step: Step) -> Status:
    """The status as a poll has last seen it."""
    return read(_part(step.result or {}, "status"))


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def _word(body: Mapping[str, Any], name: str) -> str:
    return _text(body, name).lower()


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    return found.strip() if isinstance(found, str) else ""
