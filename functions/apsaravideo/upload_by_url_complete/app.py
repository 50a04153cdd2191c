"""ApsaraVideo VOD has fetched a URL, or given it up; or it tells something else, which is archived."""

from video_jobs.callbacks import callback, signed
from video_jobs.platforms.apsaravideo.payloads import Event, read
from video_jobs.platforms.apsaravideo.signature import verify
from video_jobs.platforms.apsaravideo.upload_by_url import decide

handler = callback(
    "apsaravideo/upload_by_url_complete",
    Event,
    decide,
    proof=signed("APSARAVIDEO_SECRET", verify),
    read=read,
)
