"""VideoDB has finished, or given up on, indexing spoken words."""

from video_jobs.callbacks import endpoint
from video_jobs.platforms.videodb.index_spoken_words import CALLBACK

handler = endpoint(CALLBACK)
