"""VideoDB has finished, or given up on, extracting scenes."""

from video_jobs.callbacks import endpoint
from video_jobs.platforms.videodb.extract_scenes import CALLBACK

handler = endpoint(CALLBACK)
