"""VideoDB has finished, or given up on, indexing what is said in a video."""

from video_jobs.callbacks import callback
from video_jobs.platforms.videodb.index_spoken_words import IndexSpokenWordsCallback, decide

handler = callback("videodb/index_spoken_words", IndexSpokenWordsCallback, decide)
