"""TwelveLabs has finished, or given up on, indexing a video; or it tells something else, which is archived."""

from video_jobs.callbacks import callback, signed
from video_jobs.platforms.twelvelabs.payloads import Event
from video_jobs.platforms.twelvelabs.signature import verify
from video_jobs.platforms.twelvelabs.task import decide

handler = callback("twelvelabs/index_task", Event, decide, proof=signed("TWELVELABS_SECRET", verify))
