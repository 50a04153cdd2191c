"""The one step of the older plan: TwelveLabs fetches a URL and indexes it. TwelveLabs will remove it.

TwelveLabs calls the account's webhooks at its end, with the task's id alone: which video came of it, and why none did,
only the task itself says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from video_jobs.jobs.model import Hint, Ignored, Job, PollResult, Step, StepFailed, StepRunning, Submitted
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.platforms.twelvelabs import errors, signature, statuses, waiting
from video_jobs.platforms.twelvelabs.asset import UserMetadata, form
from video_jobs.platforms.twelvelabs.payloads import FAILED, READY, Event, Id
from video_jobs.platforms.twelvelabs.waiting import Awaited

if TYPE_CHECKING:
    from video_jobs.forms import FormFile
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
    """What an event means: an index task has ended, well or badly; all else nobody waits for.

    The task may as well be an indexed asset: an id that a job has is known by the step that brought it.
    """
    task = event.data
    if event.event_type not in (READY, FAILED) or task is None or task.id is None:
        return Ignored(event_type=event.event_type, ref=task.medium if task else None, identity=event.id)
    good = event.event_type == READY
    word = task.status or ("ready" if good else "failed")
    return Hint(ref=task.id, step=STEP, part="status", word=word, good=good, identity=event.id)


CALLBACK = Callback(
    name="twelvelabs/index_task",
    payload=Event,
    decide=decide,
    secret="TWELVELABS_SECRET",  # noqa: S106 (a variable's name)
    verify=signature.verify,
)
CALLBACK_EXPECTED = True


def submit(client: "TwelveLabs", job: Job, *, callback_url: str) -> Submitted | PollResult:
    """Ask TwelveLabs to fetch and index the source. It knows no idempotency key: asked twice, it indexes twice.

    A job without a source was one of a file, which went straight on to TwelveLabs with the request that brought it.
    """
    if job.request.source is None:
        return PollResult(end=StepFailed(error=errors.FILE_NOT_KEPT.with_message("the file was not kept")), body={})
    return _accepted(client, client.create_task({"video_url": job.request.source, **_asked(job)}))


def _asked(job: Job) -> dict[str, str]:
    """The fields of the form that asks for the task, but for the video."""
    return form(_Asked.model_validate(job.request.options.get(STEP, {})))


def _accepted(client: "TwelveLabs", answer: Mapping[str, Any]) -> Submitted:
    """What TwelveLabs says of a task that it has made: its video's id, too, if it is there already."""
    task_id = waiting.named(answer, "_id")
    if task_id is None:
        raise client.unusable("TwelveLabs has made a task, and does not say its id")
    video_id = waiting.named(answer, "video_id")
    result = {"task_id": task_id} | ({"video_id": video_id} if video_id else {})
    return Submitted(platform_job_id=task_id, platform_status=statuses.word(answer), refs=(task_id,), result=result)


def poll(client: "TwelveLabs", job: Job, step: Step) -> StepRunning | PollResult:
    """How the task stands. The video's id is in the result as soon as TwelveLabs names it."""
    return waiting.poll(TASK, step, client.task)


@dataclass(kw_only=True)
class TaskOfFile:
    """The step, for a file that came with a request: it goes on to TwelveLabs in the same request, and is kept nowhere.

    So there is one try: what would pass for a URL is final. `error` is what TwelveLabs said, for who sent the file.
    """

    file: "FormFile"
    error: TransientError | RefusedByPlatformError | None = field(default=None, init=False)
    CALLBACK_EXPECTED: bool = CALLBACK_EXPECTED

    def submit(self, client: "TwelveLabs", job: Job, *, callback_url: str) -> Submitted:  # noqa: ARG002 (every step is asked in the same way)
        """Hand the file over."""
        try:
            return _accepted(client, client.upload_task(_asked(job), self.file))
        except RefusedByPlatformError as refusal:
            self.error = refusal
            raise
        except TransientError as error:
            self.error = error
            raise RefusedByPlatformError(error.error, status=error.status or 503) from error

    def poll(self, client: "TwelveLabs", job: Job, step: Step) -> StepRunning | PollResult:
        """As that of a URL."""
        return poll(client, job, step)
