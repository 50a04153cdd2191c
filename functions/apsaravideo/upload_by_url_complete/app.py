"""ApsaraVideo VOD has fetched a URL, or given it up; or it says something else, which is archived."""

from video_jobs.callbacks import endpoint
from video_jobs.platforms.apsaravideo.upload_by_url import CALLBACK

handler = endpoint(CALLBACK)
