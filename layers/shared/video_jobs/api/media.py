"""What is known of a VideoDB medium: all that its jobs have found out."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import BaseModel

from video_jobs.api import problems
from video_jobs.api.middleware import Routes
from video_jobs.api.native import problem_response
from video_jobs.api.views import JobSummary, StepView
from video_jobs.jobs.model import Job, MediaType, StepStatus
from video_jobs.platforms.media import medium_of
from video_jobs.platforms.videodb.media import kind
from video_jobs.platforms.videodb.plan import STEPS
from video_jobs.store import jobs, media

PROVIDER = "videodb"
MOST_JOBS = 20
"""How many of a medium's jobs are read: their cost has an end, and so has the answer's size."""

routes = Routes()


class MediumStep(StepView):
    """A step that a job has, or had, on the medium."""

    job_id: str


class VideoView(BaseModel):
    """A VideoDB video, audio file or image, as far as its jobs know it. What none of them has found out is null."""

    id: str
    media_type: MediaType | None = None
    collection_id: str | None = None
    name: str | None = None
    extension: str | None = None
    size: int | None = None
    """Bytes."""
    length: float | None = None
    """Seconds."""
    stream_url: str | None = None
    """HLS manifest."""
    player_url: str | None = None
    spoken_words_indexed: bool
    """Whether a job has indexed what is said in it; such an index has no id."""
    scene_index_ids: list[str]
    """The newest first."""
    scene_collection_ids: list[str]
    """The newest first."""
    steps: dict[str, list[MediumStep]]
    """By their names; of each, the newest job's first."""
    jobs: list[JobSummary]
    """The newest first."""
    complete: bool
    """Whether these are all of its jobs; if not, older ones were left out."""

    @classmethod
    def of(cls, video_id: str, jobs: Sequence[Job], *, complete: bool) -> Self:
        """From a medium's jobs, the newest first."""
        steps = {name: found for name in STEPS if (found := _steps(name, jobs))}
        results = {name: [step.result for step in found if step.result] for name, found in steps.items()}
        about: dict[str, Any] = next(iter(results.get("upload", ())), {})
        described = ("collection_id", "name", "extension", "size", "length", "stream_url", "player_url")
        return cls(
            id=video_id,
            media_type=kind(video_id) or next((job.request.media_type for job in jobs if job.request.media_type), None),
            **{name: about.get(name) for name in described},
            spoken_words_indexed=any(
                step.status == StepStatus.SUCCEEDED for step in steps.get("index_spoken_words", ())
            ),
            scene_index_ids=_ids("scene_index_id", results.get("index_scenes", ())),
            scene_collection_ids=_ids("scene_collection_id", results.get("extract_scenes", ())),
            steps=steps,
            jobs=[JobSummary.brief(job) for job in jobs],
            complete=complete,
        )


def _steps(name: str, jobs: Sequence[Job]) -> list[MediumStep]:
    return [MediumStep.of(name, job.steps[name], job_id=job.job_id) for job in jobs if name in job.steps]


def _ids(name: str, results: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(result[name] for result in results if isinstance(result.get(name), str)))


@routes.get(
    "/videodb/videos/<video_id>",
    operation_id="showVideo",
    tags=["videodb"],
    summary="Show what is known of a VideoDB video, from its jobs",
    responses={
        200: {"description": "The video"},
        404: problem_response("No job of ours knows such a video"),
    },
)
def show(
    video_id: Annotated[str, Path(max_length=256, description="VideoDB's id: m-… (or a-…, img-…).")],
) -> VideoView:
    found = media.followers(PROVIDER, video_id, limit=MOST_JOBS)
    there = jobs.read_many(found.items, results=STEPS)
    # one that was asked for an upload twice follows both media, and tells of the first
    known = [job for job_id in found.items if (job := there.get(job_id))]
    followers = [job for job in known if (medium_of(job) or job.media_id) == video_id]
    if not followers:
        raise problems.not_found("video")
    return VideoView.of(video_id, followers, complete=found.cursor is None)
