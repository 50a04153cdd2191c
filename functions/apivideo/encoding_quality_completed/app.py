"""api.video has encoded a video in one quality; or it says something else, which is archived."""

from video_jobs.callbacks import endpoint
from video_jobs.platforms.apivideo.encoding import CALLBACK

handler = endpoint(CALLBACK)
