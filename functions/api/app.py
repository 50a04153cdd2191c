"""Our own API: jobs and their events, batches, and what is known of VideoDB's media."""

from video_jobs.api import batches, jobs, media
from video_jobs.api.native import native_api

handler = native_api(jobs.routes, batches.routes, media.routes)
