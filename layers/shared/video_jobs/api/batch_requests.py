"""What `POST /batches` takes: what a job of the platform takes, with many sources in the place of one."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model, model_validator

from video_jobs import clock, jsontext
from video_jobs.jobs.batches import Batch, job_id
from video_jobs.jobs.model import Job
from video_jobs.platforms.job_request import Body, NotifyUrl, SourceUrl, digest, reason
from video_jobs.platforms.requests import AnyJobRequest, PlatformJobRequest
from video_jobs.store.batches import MOST_SOURCES

LARGEST_TEMPLATE = 16 * 1024
"""Bytes of a batch's plan and options: each of its jobs holds them, and a hundred jobs are written at once."""
_OF_A_JOB_ALONE = frozenset({"source", "media_id", "label", "notify_url"})
_ANY_SOURCE = "https://example.com/video.mp4"

_job_request: TypeAdapter[PlatformJobRequest] = TypeAdapter(AnyJobRequest)

type Sources = Annotated[list[SourceUrl], Field(max_length=MOST_SOURCES)]


class BatchRequest(Body):
    """Sources that go the same way. The other fields are those of the platform's job."""

    sources: Sources = Field(default=[])
    """10,000 at most; more can be added while the batch is open."""
    open: bool = False
    """Whether more sources come. If not, the batch ends when its jobs have."""
    name: str | None = Field(default=None, min_length=1, max_length=128)
    """For people."""
    notify_url: NotifyUrl | None = None
    """Where the batch's end is announced."""
    notify_jobs: bool = False
    """Whether its jobs' ends are announced there, too."""

    @model_validator(mode="after")
    def _there_is_something_to_do(self) -> Self:
        if not self.sources and not self.open:
            raise ValueError("give sources, or leave the batch open for some to come")
        if self.notify_jobs and self.notify_url is None:
            raise ValueError("notify_jobs needs a notify_url")
        template = self._template
        if len(jsontext.write(template).encode()) > LARGEST_TEMPLATE:
            raise ValueError(f"a batch's plan and options must have at most {LARGEST_TEMPLATE} bytes as JSON")
        try:
            _job_request.validate_python(template | {"source": _ANY_SOURCE})
        except ValidationError as error:
            raise ValueError("; ".join(map(reason, error.errors()))) from None
        return self

    @property
    def _template(self) -> dict[str, Any]:
        fields = set(type(self).model_fields) - set(BatchRequest.model_fields)
        template = self.model_dump(mode="json", by_alias=True, exclude_unset=True, include=fields)
        if self.notify_jobs:
            template["notify_url"] = str(self.notify_url)
        return template

    def new_batch(self, batch_id: str) -> Batch:
        """The batch that this asks for, without its sources."""
        created = clock.now()
        template = self._template
        return Batch(
            batch_id=batch_id,
            name=self.name,
            provider=template["provider"],
            template=template,
            closed=not self.open,
            notify_url=self.notify_url,
            request_digest=digest(self),
            created_at=created,
            updated_at=created,
        )


def _batch_request(job_request: type[BaseModel]) -> type[BatchRequest]:
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in job_request.model_fields.items()
        if name not in _OF_A_JOB_ALONE
    }
    name = job_request.__name__.replace("JobRequest", "BatchRequest")
    return create_model(name, __base__=BatchRequest, __doc__=BatchRequest.__doc__, **fields)


if TYPE_CHECKING:
    AnyBatchRequest = BatchRequest
else:
    _requests = map(_batch_request, get_args(PlatformJobRequest))
    AnyBatchRequest = Annotated[reduce(or_, _requests), Field(discriminator="provider")]


class SourcesRequest(Body):
    """More sources for an open batch."""

    sources: Sources = Field(default=[])
    """10,000 at most."""
    close: bool = False
    """Whether these were the last."""

    @model_validator(mode="after")
    def _there_is_something_to_do(self) -> Self:
        if not self.sources and not self.close:
            raise ValueError("give sources, or close the batch")
        return self


class RetryRequest(Body):
    """Which failed jobs to try again."""

    cause: str | None = Field(default=None, min_length=1, max_length=128)
    """Only those whose error has this code; all if there is none."""


def new_job(batch: Batch, index: int, source: str) -> Job:
    """The job of one of a batch's sources. Raises ValidationError for what an earlier release took, and this one not.

    It is not older than its batch, whatever the clocks say: what is, belongs to an earlier batch of the same id.
    """
    request = _job_request.validate_python(batch.template | {"source": source})
    job = request.new_job(job_id(batch, index))
    about = {"batch_id": batch.batch_id, "batch_index": index, "batch_created_at": batch.created_at, "digest": None}
    asked = job.request.model_copy(update=about)
    return job.model_copy(update={"request": asked, "created_at": max(job.created_at, batch.created_at)})
