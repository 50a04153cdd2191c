"""What VideoDB's bodies have in common, whether they come as a callback, an answer or the result of a poll.

Sources: VideoDB pages "Callback Details" and "Async patterns". Bodies carry no type, and no id where something failed.
"""

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
)

from video_jobs.jobs.model import JobError
from video_jobs.platforms.lenient import Lenient
from video_jobs.platforms.videodb import errors

type Id = Annotated[str, Field(min_length=1, max_length=256, pattern=r"[^.]")]
"""An id that the next steps need, in paths too, so not "." or "..". Else its form is VideoDB's own business."""

type Words = Annotated[str, Field(max_length=1024)]
"""A text for display. All of them together must leave room for the rest of the job in its 400 KB."""

type Text = Annotated[str | None, BeforeValidator(lambda value: value if isinstance(value, str) else None)]


class Payload(BaseModel):
    """A body from VideoDB. Fields that are not named here stay in the archived body."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Report(Payload):
    """`{"success": …, "data": …}` or `{"success": false, "message": "…"}`: the one shape of all of them."""

    success: bool
    message: Text = None

    @property
    def error(self) -> JobError:
        """The documented error that the message means."""
        return errors.from_message(self.message)


class Media(Payload):
    """A video, audio file or image, as an upload's callback describes it."""

    id: Id
    """`m-…` a video, `a-…` an audio file, `img-…` an image."""
    collection_id: Lenient[Id] = None
    name: Lenient[Words] = None
    extension: Lenient[Words] = None
    size: Lenient[Annotated[int, Field(ge=0, lt=10**15)]] = None
    """Bytes; sent as a string."""
    length: Lenient[Annotated[FiniteFloat, Field(ge=0)]] = None
    """Seconds; sent as a string; none for an image."""
    stream_url: Lenient[Words] = None
    """HLS manifest; only for a video."""
    player_url: Lenient[Words] = None
