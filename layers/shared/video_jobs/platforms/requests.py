"""What `POST /jobs` takes: one platform's request or another's, as `provider` says."""

from typing import Annotated, get_args

from pydantic import Field

from video_jobs.platforms.apivideo.request import ApiVideoJobRequest
from video_jobs.platforms.apsaravideo.request import ApsaraVideoJobRequest
from video_jobs.platforms.twelvelabs.request import TwelveLabsJobRequest
from video_jobs.platforms.videodb.request import VideoDbJobRequest

# A plain alias: the API's framework looks for its parts there, not in a `type` statement.
PlatformJobRequest = VideoDbJobRequest | TwelveLabsJobRequest | ApiVideoJobRequest | ApsaraVideoJobRequest
AnyJobRequest = Annotated[PlatformJobRequest, Field(discriminator="provider")]

PROVIDERS: tuple[str, ...] = tuple(
    get_args(request.model_fields["provider"].annotation)[0] for request in get_args(PlatformJobRequest)
)
"""Every platform's name, as a request names it."""
