"""The archive of what platforms said when they were asked, word for word."""

import hashlib

from video_jobs import clock, jsontext
from video_jobs.jobs.model import LARGEST_BODY, Job, PollResult, StepSucceeded
from video_jobs.store import events
from video_jobs.store.events import Event


def archive(job: Job, name: str, result: PollResult, *, via: str) -> None:
    """Keep the answer that has ended a step. What is too large can be asked for again."""
    text = jsontext.write(dict(result.body), ascii_only=False)
    size = len(text.encode())
    if size > LARGEST_BODY:
        digest = hashlib.sha256(text.encode()).hexdigest()
        text = jsontext.write({"omitted": "too large", "bytes": size, "sha256": digest})
    step = job.steps[name]
    events.archive(
        Event(
            callback=f"{job.provider}/{name}",
            via=via,
            meaning="succeeded" if isinstance(result.end, StepSucceeded) else "failed",
            body=text,
            headers={},
            received_at=clock.now(),
            job_id=job.job_id,
            attempt=step.attempt,
            identity=f"{name}\n{step.attempt}\n{via}\n{text}",
        )
    )
