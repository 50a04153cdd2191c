"""The body of api.video's callbacks: one shape for six event types, flat, without an id of its own.

Source: api.video's OpenAPI file (`x-webhooks`) and its pages "Video status & details" and "Create and manage webhooks",
which disagree on the case of `encoding`, the qualities that there are, and the shape of `emittedAt`.
"""

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from video_jobs.platforms.lenient import Lenient

QUALITY_COMPLETED = "video.encoding.quality.completed"


type Id = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9_-]+$")]
"""In the printed ones `vi` and 22 letters and digits."""

type Word = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$"), AfterValidator(str.lower)]
"""An open word, in lower case: the lists in the documents are not complete."""

type Quality = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[^\p{C}]+$"), AfterValidator(str.lower)]
"""An open word, whatever signs are in it."""


class Event(BaseModel):
    """An event. Its other fields stay in the archived body: `emittedAt` among them, which nothing here hangs on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_type: str = Field(alias="type", min_length=1, max_length=128)
    video_id: Lenient[Id] = Field(default=None, alias="videoId")
    encoding: Lenient[Word] = None
    """`hls` or `mp4`; "HLS" and "MP4" in the page's table."""
    quality: Lenient[Quality] = None
    """Such as 720p."""

    @model_validator(mode="after")
    def _names_what_was_encoded(self) -> Self:
        if self.event_type == QUALITY_COMPLETED and None in (self.video_id, self.encoding, self.quality):
            raise ValueError("a rendition that is encoded, but not which one of which video")
        return self
