"""VideoDB has finished, or given up on, an upload."""

from video_jobs.callbacks import callback
from video_jobs.platforms.videodb.upload import UploadCallback, decide

handler = callback("videodb/upload", UploadCallback, decide)
