"""VideoDB has finished, or given up on, an upload."""

from video_jobs.callbacks import endpoint
from video_jobs.platforms.videodb.upload import CALLBACK

handler = endpoint(CALLBACK)
