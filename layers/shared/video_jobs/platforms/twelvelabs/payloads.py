"""The body of TwelveLabs' callbacks: `index.task.*`, `analyze.task.*`, and whatever else an account is called for.

Source: TwelveLabs page "Requirements for processing notifications" (of `index.task.failed` no body is printed), and the
SDK's types for `analyze.task.*`. Which models have indexed a video is `data.models` today; it was `data.engines`, and
before that `data.engine` and `data.index_options`. None of it is needed, so all three are taken.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from video_jobs.platforms.lenient import Lenient

READY = "index.task.ready"
FAILED = "index.task.failed"


type Id = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9_-]+$")]
"""In those that were seen 24 hexadecimal digits; an event's is `whe_` and 32 letters and digits."""

type Word = Annotated[str, Field(min_length=1, max_length=64)]


class _Payload(BaseModel):
    """Fields that are not named here stay in the archived body."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class VideoSource(_Payload):
    """What was analysed: an asset, or a video of an index; neither for a URL."""

    asset_id: Lenient[Id] = None
    video_id: Lenient[Id] = None


class Task(_Payload):
    """What an event is about. Neither the video, nor the index, nor a reason is in it."""

    id: Lenient[Id] = None
    status: Lenient[Word] = None
    video_source: Lenient[VideoSource] = None
    """Of an analysis, where TwelveLabs knows it."""

    @property
    def medium(self) -> str | None:
        source = self.video_source or VideoSource()
        return source.asset_id or source.video_id


class Event(_Payload):
    """An event. `id` is the same when it is sent again."""

    id: Lenient[Id] = None
    event_type: str = Field(alias="type", min_length=1, max_length=128)
    data: Lenient[Task] = None

    @model_validator(mode="after")
    def _names_the_task_that_has_ended(self) -> Self:
        if self.event_type in (READY, FAILED) and not (self.data and self.data.id):
            raise ValueError("an index task has ended, but not which one")
        return self
