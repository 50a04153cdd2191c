"""VideoDB has finished, or given up on, indexing scenes."""

from video_jobs.callbacks import endpoint
from video_jobs.platforms.videodb.index_scenes import CALLBACK

handler = endpoint(CALLBACK)
