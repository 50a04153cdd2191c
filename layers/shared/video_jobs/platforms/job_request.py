"""What `POST /jobs` takes, of whatever platform."""

import hashlib
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from video_jobs import clock, jsontext, settings
from video_jobs.destinations import LONGEST_URL, ForbiddenError, destination
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, MediaType, Request, RetryPolicy

_LONGEST_URL = 8192  # bytes: a page of a hundred jobs must fit into what one query, and one answer, may hold
_IDEMPOTENT_IDS = uuid.UUID("5f5ac1b0-5b39-4a8e-9a0c-6d3d5f0a7a11")


def _fetchable(url: str) -> str:
    try:
        parts = urlsplit(url)
        fetchable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        fetchable = False
    if not fetchable or not url.isprintable() or " " in url:
        raise ValueError("must be an http or https URL")
    if len(url.encode()) > _LONGEST_URL:
        raise ValueError(f"must have at most {_LONGEST_URL} bytes")
    return url


type SourceUrl = Annotated[str, Field(max_length=_LONGEST_URL), AfterValidator(_fetchable)]
"""Kept as it was given: a presigned URL must not change by a character."""


def _reachable(url: str) -> str:
    try:
        destination(url, private=settings.may_notify_private())
    except ForbiddenError as error:
        raise ValueError(str(error)) from None
    return url


type NotifyUrl = Annotated[str, Field(min_length=1, max_length=LONGEST_URL), AfterValidator(_reachable)]
"""An https URL whose host is a name, or an address that is public. What a name leads to is judged when it is used."""


class Body(BaseModel):
    """A request's body, in which every field is known."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _name_what_is_missing(cls, given: Any) -> Any:
        """An object that must be given, and is not, is taken for an empty one: then what it must hold is named."""
        if not isinstance(given, dict):
            return given
        return {name: {} for name, field in cls.model_fields.items() if _must_be_an_object(field)} | given


def _must_be_an_object(field: FieldInfo) -> bool:
    return field.is_required() and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


class JobRequest(Body):
    """What every platform's request has. One medium: a `source` to fetch, or a `media_id` that the platform has."""

    source: SourceUrl | None = None
    """An http or https URL that the platform fetches."""
    media_id: str | None = Field(default=None, min_length=1, max_length=256, pattern=r"[^.]")
    """The platform's id of a medium that it has already."""
    media_type: MediaType | None = None
    label: str | None = Field(default=None, min_length=1, max_length=128)
    """Yours, to list jobs by."""
    notify_url: NotifyUrl | None = None
    """Where the job's end is announced, with a POST signed as Standard Webhooks says."""
    notify_polls: bool = False
    """Whether each poll that leaves the job running is announced, too."""
    retry: RetryPolicy = RetryPolicy()
    check_interval: float | None = Field(default=None, ge=0.001, le=900, allow_inf_nan=False)
    """Seconds from a step's start to its first poll, whole ones in practice. If none is given, the stack's
    CheckIntervalSeconds, and a minute at least where a callback is to be expected. Later polls come ever more
    slowly."""

    @model_validator(mode="after")
    def _one_medium(self) -> Self:
        if (self.source is None) == (self.media_id is None):
            raise ValueError("give either source or media_id")
        return self

    def job(self, *, provider: str, plan: tuple[str, ...], options: Mapping[str, dict[str, Any]], job_id: str) -> Job:
        """The job that this asks for, before its first step."""
        asked = Request(
            source=self.source,
            media_id=self.media_id,
            media_type=self.media_type,
            options=dict(options),
            retry=self.retry,
            check_interval=self.check_interval,
            label=self.label,
            notify_url=self.notify_url,
            notify_polls=self.notify_polls,
            digest=digest(self),
        )
        return transitions.created(job_id, provider, plan, asked, now=clock.now())


def digest(request: BaseModel) -> str:
    """The same for requests that say the same; what they leave out may get other defaults in a later release."""
    canonical = jsontext.write(request.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def job_id(idempotency_key: str | None) -> str:
    """A new id, or always the same one for the same key."""
    return str(uuid.uuid5(_IDEMPOTENT_IDS, idempotency_key) if idempotency_key else uuid.uuid4())


def reason(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says, without the words that it puts in front of ours."""
    said: str = error["msg"]
    return said.removeprefix("Value error, ") if error.get("type") == "value_error" else said
