"""What `POST /jobs` takes, of whatever platform."""

import hashlib
import json
import uuid
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from video_jobs import settings
from video_jobs.notifications.destinations import LONGEST_URL, ForbiddenError, destination
from video_jobs.jobs.model import Job, JobStatus, MediaType, RetryPolicy, Step, StepStatus, now, timestamp

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


def _tellable(url: str) -> str:
    try:
        destination(url, private=settings.may_notify_private())
    except ForbiddenError as error:
        raise ValueError(str(error)) from None
    return url


type NotifyUrl = Annotated[str, Field(min_length=1, max_length=LONGEST_URL), AfterValidator(_tellable)]
"""An https URL whose host is a name, or an address that is public. What a name leads to is judged when it is told."""


class Request(BaseModel):
    """A body, in which every field is known."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _name_what_is_missing(cls, given: Any) -> Any:
        """An object that must be given, and is not, is taken for an empty one: then what it must hold is named."""
        if not isinstance(given, dict):
            return given
        return {name: {} for name, field in cls.model_fields.items() if _must_be_an_object(field)} | given


def _must_be_an_object(field: FieldInfo) -> bool:
    return field.is_required() and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


class JobRequest(Request):
    """What every platform's request has. One medium: a `source` to fetch, or a `media_id` that the platform has."""

    source: SourceUrl | None = None
    """An http or https URL that the platform fetches."""
    media_id: str | None = Field(default=None, min_length=1, max_length=256, pattern=r"[^.]")
    """The platform's id of a medium that it has already."""
    media_type: MediaType | None = None
    batch: str | None = Field(default=None, min_length=1, max_length=128)
    """A label of yours, to list jobs by."""
    notify_url: NotifyUrl | None = None
    """Where the job's end is told, with a POST signed as Standard Webhooks says."""
    notify_checks: bool = False
    """Whether each check that leaves the job running is told, too."""
    retry: RetryPolicy = RetryPolicy()
    check_interval: float | None = Field(default=None, ge=0.001, le=900, allow_inf_nan=False)
    """Seconds from a step's start to the first check on it, whole ones in practice; the stack's CheckIntervalSeconds
    if none. Later checks come ever more slowly."""

    @model_validator(mode="after")
    def _one_medium(self) -> Self:
        if (self.source is None) == (self.media_id is None):
            raise ValueError("give either source or media_id")
        return self

    def job(self, *, provider: str, plan: tuple[str, ...], options: dict[str, Any], job_id: str) -> Job:
        """The job that this asks for, before its first step."""
        waiting = Step(status=StepStatus.WAITING, attempt_limit=self.retry.max_attempts)
        steps = dict.fromkeys(plan, waiting)
        steps[plan[0]] = waiting.model_copy(update={"status": StepStatus.QUEUED})
        created = timestamp(now())
        return Job(
            job_id=job_id,
            provider=provider,
            status=JobStatus.PENDING,
            source=self.source,
            media_id=self.media_id,
            media_type=self.media_type,
            plan=plan,
            steps=steps,
            options=options,
            retry=self.retry,
            check_interval=self.check_interval,
            batch=self.batch,
            notify_url=self.notify_url,
            notify_checks=self.notify_checks,
            request_digest=digest(self),
            created_at=created,
            updated_at=created,
        )


def digest(request: BaseModel) -> str:
    """The same for requests that say the same; what they leave out may get other defaults in a later release."""
    canonical = json.dumps(request.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def job_id(idempotency_key: str | None) -> str:
    """A new id, or always the same one for the same key."""
    return str(uuid.uuid5(_IDEMPOTENT_IDS, idempotency_key) if idempotency_key else uuid.uuid4())
