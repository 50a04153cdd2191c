"""api.video has encoded a video in one quality; or it tells something else, which is archived."""

from video_jobs.callbacks import callback, signed
from video_jobs.platforms.apivideo.encoding import decide
from video_jobs.platforms.apivideo.payloads import Event
from video_jobs.platforms.apivideo.signature import verify

handler = callback("apivideo/encoding_quality_completed", Event, decide, proof=signed("APIVIDEO_SECRET", verify))
