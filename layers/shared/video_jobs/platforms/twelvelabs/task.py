"""The one step of the older plan: TwelveLabs fetches a URL and indexes it. TwelveLabs will remove it.

Its end is told to the account's webhooks, by the task's id alone: which video came of it, and why none did, only the
task itself says.
"""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from video_jobs.jobs.model import PollResult, Ignored, Job, Hint, Step, StepFailed, StepRunning, Submitted
from video_jobs.platforms.twelvelabs import errors, statuses, waiting
from video_jobs.platforms.twelvelabs.asset import UserMetadata, form
from video_jobs.platforms.twelvelabs.payloads import FAILED, READY, Event, Id
from video_jobs.platforms.twelvelabs.waiting import Awaited

if TYPE_CHECKING:
    from video_jobs.platforms.twelvelabs.client import TwelveLabs

STEP = "task"

TASK = Awaited(
    name="task_id",
    fields=("video_id", "index_id", "hls", "system_metadata", "estimated_time"),
    refs=("video_id",),
    reason="error_reason",  # in no document, but it was seen: github.com/twelvelabs-io/twelvelabs-js/issues/102
    failed=errors.TASK_FAILED,
)


class TaskOptions(BaseModel):
    """What `POST /tasks` takes besides the URL (TwelveLabs page "Video indexing tasks")."""

    model_config = ConfigDict(extra="forbid")

    enable_video_stream: bool | None = None
    """Whether TwelveLabs keeps the video for streaming: then the result has `hls`."""
    user_metadata: UserMetadata | None = Field(default=None, max_length=256)


class _Asked(TaskOptions):
    """The step's options in a job: the index is there as well."""

    index_id: Id


def decide(event: Event) -> Hint | Ignored:
    """What an event means: the end of an index task is news, and all else nobody waits for.

    The task may as well be an indexed asset: an id that a job has is known by the step that brought it.
    """
    task = event.data
    if event.event_type not in (READY, FAILED) or task is None or task.id is None:
        return Ignored(event_type=event.event_type, ref=task.medium if task else None, identity=event.id)
    good = event.event_type == READY
    word = task.status or ("ready" if good else "failed")
    return Hint(ref=task.id, step=STEP, part="status", word=word, good=good, identity=event.id)


def submit(client: "TwelveLabs", job: Job, *, callback_url: str) -> Submitted | PollResult:
    """Ask TwelveLabs to fetch and index the source. It knows no idempotency key: asked twice, it indexes twice.

    A job without a source was one of a file, which went straight on to TwelveLabs with the request that brought it.
    """
    if job.request.source is None:
        return PollResult(end=StepFailed(error=errors.FILE_NOT_KEPT.with_message("the file was not kept")), body={})
    answer = client.create_task({"video_url": job.request.source, **asked(job)})
    task_id = waiting.named(answer, "_id")
    if task_id is None:
        raise client.unusable("TwelveLabs has made a task, and does not say its id")
    return Submitted(platform_job_id=task_id, platform_status=statuses.word(answer), refs=(task_id,))


def asked(job: Job) -> dict[str, str]:
    """The fields of the form that asks for the task, but for the video."""
    return form(_Asked.model_validate(job.request.options.get(STEP, {})))


def poll(client: "TwelveLabs", job: Job, step: Step) -> StepRunning | PollResult:
    """How the task stands. The video's id is in the result as soon as TwelveLabs tells it."""
    return waiting.look(TASK, step, client.task)
