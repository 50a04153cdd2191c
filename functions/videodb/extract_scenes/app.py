"""VideoDB has finished, or given up on, extracting the scenes of a video."""

from video_jobs.callbacks import callback
from video_jobs.platforms.videodb.extract_scenes import ExtractScenesCallback, decide

handler = callback("videodb/extract_scenes", ExtractScenesCallback, decide)
