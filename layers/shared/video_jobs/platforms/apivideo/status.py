"""What `GET /videos/{id}/status` says of a video, from what a job knows of it: api.video is not asked.

It is what api.video said when it was asked last, word for word, but for what is known better since: renditions that
callbacks have named, and those that nobody looks after any more because the job has given them up.
"""

from collections.abc import Mapping
from typing import Any

from video_jobs.jobs.model import Job, Step, StepStatus
from video_jobs.platforms.apivideo import errors
from video_jobs.platforms.apivideo.encoding import STEP, read_rendition

_PICTURE = (
    *("width", "height", "bitrate", "duration", "framerate"),
    *("samplerate", "videoCodec", "audioCodec", "aspectRatio"),
)


def status_of(job: Job, video_id: str) -> dict[str, Any] | None:
    """The documented body; None if the job does not follow the video's encoding, or api.video has said that it knows
    no such video."""
    step = job.steps.get(STEP)
    if step is None or _is_gone(step):
        return None
    encoded = step.hints
    body = _seen(step, video_id) or _before_the_first_poll(encoded)
    encoding = body.get("encoding")
    known = encoding if isinstance(encoding, dict) else {}
    listed = known.get("qualities")
    qualities = listed if isinstance(listed, list) else []
    newer = _newer(qualities, encoded, given_up=step.status == StepStatus.FAILED)
    playable = {"playable": True} if encoded else {}
    if newer == qualities and known | playable == known:
        return body
    return body | {"encoding": known | playable | {"qualities": newer}}


def _is_gone(step: Step) -> bool:
    failed = step.status == StepStatus.FAILED
    return failed and step.error is not None and step.error.code == errors.NOT_FOUND.code


def _seen(step: Step, video_id: str) -> dict[str, Any] | None:
    """The status as a poll has last seen it."""
    result = step.result or {}
    found = result.get("status")
    return found if isinstance(found, dict) and result.get("video_id") == video_id else None


def _before_the_first_poll(encoded: Mapping[str, str]) -> dict[str, Any]:
    """What can be said of a video that nobody has asked after yet (inferred).

    api.video fetches it, which is `ingesting` (OpenAPI file); what is encoded was fetched. No size and no picture is
    known: those values may be null, as the SDK takes them.
    """
    return {
        "ingest": {"status": "ingested" if encoded else "ingesting", "filesize": None, "receivedBytes": []},
        "encoding": {"playable": False, "qualities": [], "metadata": dict.fromkeys(_PICTURE)},
    }


def _newer(qualities: list[Any], encoded: Mapping[str, str], *, given_up: bool) -> list[Any]:
    """The renditions with what is known since they were listed. What has ended stays as api.video said.

    A callback says only that a rendition is encoded, so it is right whenever it came.
    """
    newer: list[Any] = []
    listed: set[str] = set()
    for one in qualities:
        if not isinstance(one, dict):
            newer.append(one)
            continue
        found = read_rendition(one)
        listed.add(found.part)
        word = encoded.get(found.part, "failed" if given_up else None)
        newer.append(one if found.ended or word is None else one | {"status": word})
    for part, word in encoded.items():
        if part not in listed:
            encoding, _, quality = part.partition(" ")
            newer.append({"type": encoding, "quality": quality, "status": word})
    return newer
