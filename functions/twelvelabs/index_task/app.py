"""TwelveLabs has finished, or given up on, indexing a video; or it says something else, which is archived."""

from video_jobs.callbacks import endpoint
from video_jobs.platforms.twelvelabs.task import CALLBACK

handler = endpoint(CALLBACK)
