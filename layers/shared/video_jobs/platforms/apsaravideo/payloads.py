"""VOD's events, as they come over HTTP or through the message queue: read tolerantly, for the documents are sloppy.

Source: VOD page "URL video upload complete", whose samples have keys and values that end in a space, and a comma too
many. Whether VOD sends them so is not known. Other events: VOD pages "Event list" and those that it names.
"""

import json
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from video_jobs import jsontext
from video_jobs.jsontext import NotJsonError
from video_jobs.platforms.lenient import Lenient

UPLOAD_BY_URL_COMPLETE = "UploadByURLComplete"

LARGEST_ALMOST_JSON = 16 * 1024
"""Bytes of what is not quite JSON that are read all the same: the tolerant reader is slow. VOD's events are smaller."""


type Id = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^,/\s\p{C}]+$")]
"""VOD's ids are 32 hexadecimal digits; in its documents also others, with asterisks. No comma: ids are asked for as a
list that commas part."""


class Event(BaseModel):
    """What is used of an event; the rest stays in the archived body."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_type: str = Field(alias="EventType", min_length=1, max_length=128)
    job_id: Lenient[Id] = Field(default=None, alias="JobId")
    """The task's. UploadByURLComplete has it always; in most other events it is that of another task."""
    status: Lenient[Annotated[str, Field(max_length=64)]] = Field(default=None, alias="Status")
    """"success" or "fail"; other events have other words, in other case."""
    error_code: Lenient[Annotated[str, Field(max_length=128)]] = Field(default=None, alias="ErrorCode")
    error_message: Lenient[str] = Field(default=None, alias="ErrorMessage")
    """Of an upload that failed, each in its own events only."""
    file_type: Lenient[str] = Field(default=None, alias="FileType")
    """"Stream" where UploadStreamByURL has brought a stream of a video that was there before."""
    video_id: Lenient[Id] = Field(default=None, alias="VideoId")
    media_id: Lenient[Id] = Field(default=None, alias="MediaId")
    image_id: Lenient[Id] = Field(default=None, alias="ImageId")
    attached_media_id: Lenient[Id] = Field(default=None, alias="AttachedMediaId")

    @model_validator(mode="after")
    def _an_upload_names_its_job(self) -> "Event":
        if self.event_type == UPLOAD_BY_URL_COMPLETE and self.job_id is None:
            raise ValueError("UploadByURLComplete without its JobId")
        return self

    @property
    def medium(self) -> str | None:
        """What the event is about: each type names it in its own way."""
        return self.video_id or self.media_id or self.image_id or self.attached_media_id


def read(body: bytes) -> Any:
    """An event's fields: from JSON, or what is nearly JSON; without the spaces around names and values.

    What VOD's sibling products wrap into `MessageBody` is unwrapped. Raises NotJsonError.
    """
    try:
        found = jsontext.read(body)
    except NotJsonError:
        if len(body) > LARGEST_ALMOST_JSON:
            raise
        found = _almost_json(body)
    if not isinstance(found, dict):
        return found
    fields = _trimmed(found)
    wrapped = fields.pop("MessageBody", None)
    if isinstance(wrapped, str):
        wrapped = read(wrapped.encode())
    return fields | _trimmed(wrapped) if isinstance(wrapped, dict) else fields


def _almost_json(body: bytes) -> Any:
    """JSON with commas too many, comments or other quotes: JSON5. What has two meanings is refused as in JSON."""
    import json5  # noqa: PLC0415 (slow to import, and hardly ever needed)

    try:
        # line breaks in texts: VOD's sample of DynamicImageComplete has them
        found = json5.loads(body.decode("utf-8-sig"), allow_duplicate_keys=False, strict=False)
        return jsontext.read(json.dumps(found, ensure_ascii=False, allow_nan=False).encode())
    except NotJsonError:
        raise
    except Exception as error:  # a parser of strangers' texts may fail in any way; all of them mean the same
        raise NotJsonError(f"not even nearly JSON: {type(error).__name__}") from None


def _trimmed(fields: dict[str, Any]) -> dict[str, Any]:
    """Names and texts without the spaces around them. Raises NotJsonError if two names become one."""
    found = {name.strip(): value.strip() if isinstance(value, str) else value for name, value in fields.items()}
    if len(found) != len(fields):
        raise NotJsonError("an object has the same key twice")
    return found
