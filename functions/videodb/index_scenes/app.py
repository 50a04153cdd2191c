"""VideoDB has finished, or given up on, indexing what is seen in a video."""

from video_jobs.callbacks import callback
from video_jobs.platforms.videodb.index_scenes import IndexScenesCallback, decide

handler = callback("videodb/index_scenes", IndexScenesCallback, decide)
