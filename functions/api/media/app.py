"""Shows what is known of a VideoDB video, audio file or image."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path
from video_jobs import logs
from video_jobs.api import problems
from video_jobs.api.media import VideoView
from video_jobs.api.native import ALWAYS, INVALID, answer, native_app, problem_response
from video_jobs.jobs import Job
from video_jobs.platforms.videodb.media import media_id
from video_jobs.store import media

PROVIDER = "videodb"
MOST_JOBS = 20
"""How many of a medium's jobs are read: their cost has an end, and so has the answer's size."""

logger = logs.logger()
app = native_app(logger)


@app.get(
    "/videodb/videos/<video_id>",
    operation_id="showVideo",
    tags=["videodb"],
    summary="Show what is known of a VideoDB video, from its jobs",
    responses={
        200: {"description": "The video"},
        404: problem_response("No job of ours knows such a video"),
        **INVALID,
        **ALWAYS,
    },
)
def show(
    video_id: Annotated[str, Path(max_length=256, description="VideoDB's id: m-… (or a-…, img-…).")],
) -> VideoView:
    found = media.jobs_of(PROVIDER, video_id, limit=MOST_JOBS)
    jobs = [job for job in found.items if _is_about(job, video_id)]
    if not jobs:
        raise problems.not_found("video")
    return VideoView.of(video_id, jobs, complete=found.cursor is None)


def _is_about(job: Job, video_id: str) -> bool:
    """Whether this is the id of the job's medium, and not of an index or a collection that the job made."""
    try:
        return media_id(job) == video_id
    except ValueError:
        return False


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    logger.clear_state()
    return answer(app, event, context, largest_body=1024)
