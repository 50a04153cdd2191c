"""What `POST /tasks` takes, as TwelveLabs does: a form, or the same as JSON (inferred)."""

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from video_jobs import clock, forms, jsontext
from video_jobs.forms import FormFile
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, Request, RetryPolicy
from video_jobs.platforms.job_request import SourceUrl, reason
from video_jobs.platforms.twelvelabs import refusals
from video_jobs.platforms.twelvelabs.payloads import Id
from video_jobs.platforms.twelvelabs.task import STEP, TaskOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_FORM = 4_500_000
"""Bytes. Lambda takes an event of 6 MB, in which a form is base64: four bytes for three."""
LARGEST_JSON = 256 * 1024
LARGEST_METADATA = 64 * 1024
"""Bytes: it stands in the job, which has 400 KB for everything."""


class _Fields(TaskOptions):
    """All but a file."""

    index_id: Id
    video_url: SourceUrl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """A video for an index: by its URL, or as a file."""

    fields: _Fields
    file: FormFile | None

    def new_job(self, job_id: str) -> Job:
        """The job that this asks for. One of a file has one attempt: nobody has the file for another one."""
        retry = RetryPolicy(max_attempts=1) if self.file else RetryPolicy()
        options = self.fields.model_dump(mode="json", exclude_none=True, exclude={"video_url"})
        asked = Request(
            source=self.fields.video_url,
            options={STEP: options},
            retry=retry,
            digest=hashlib.sha256(self.fields.model_dump_json(exclude_none=True).encode()).hexdigest(),
        )
        return transitions.created(job_id, "twelvelabs", (STEP,), asked, now=clock.now())


def new_id(idempotency_key: str | None = None) -> str:
    """An id like TwelveLabs': 24 hexadecimal digits, of which the first eight are the time; or one for each key."""
    if idempotency_key:
        return hashlib.sha256(f"tasks\n{idempotency_key}".encode("utf-8", "replace")).hexdigest()[:24]
    return f"{int(time.time()):08x}{os.urandom(8).hex()}"


def read(content_type: str, body: bytes) -> TaskRequest:
    """A request's parameters. Raises RefusedRequestError."""
    given = _given(content_type, body)
    file = _file(given.pop("video_file", None))
    # a parameter that is there and says nothing counts as missing
    given = {name: value for name, value in given.items() if value != "" and value is not None}
    for name in ("enable_video_stream", "user_metadata"):
        if isinstance(given.get(name), str):
            given[name] = _json(name, given[name])
    try:
        fields = _Fields.model_validate(given)
    except ValidationError as error:
        raise _refusal(error) from None
    if fields.video_url is None and file is None:
        raise refusals.parameter_not_provided("video_url")
    if fields.video_url is not None and file is not None:
        raise refusals.parameter_invalid("video_file", "Send either it or video_url.")
    if len(jsontext.write(fields.user_metadata)) > LARGEST_METADATA:
        raise refusals.parameter_invalid("user_metadata", f"It may have {LARGEST_METADATA} bytes.")
    return TaskRequest(fields=fields, file=file)


def _given(content_type: str, body: bytes) -> dict[str, Any]:
    kind = content_type.split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _form(content_type, body)
    if kind != "application/json":
        raise refusals.unreadable("Send multipart/form-data, or application/json.")
    if len(body) > LARGEST_JSON:
        raise refusals.unreadable(f"The body has {len(body)} bytes; {LARGEST_JSON} is the most.")
    try:
        found = jsontext.read(body)
    except jsontext.NotJsonError as error:
        raise refusals.unreadable(f"The body cannot be read: {error}.") from None
    if not isinstance(found, dict):
        raise refusals.unreadable("The body must be a JSON object.")
    return found


def _form(content_type: str, body: bytes) -> dict[str, Any]:
    if len(body) > LARGEST_FORM:
        raise refusals.file_too_large(len(body), most=LARGEST_FORM)
    try:
        pairs = forms.read(content_type, body)
    except forms.NotAFormError as error:
        raise refusals.unreadable(f"The form cannot be read: {error}.") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise refusals.parameter_invalid(name[:64], "Give it once.")
        found[name] = value
    return found


def _file(given: Any) -> FormFile | None:
    if given is None or given == FormFile("", b"", "application/octet-stream"):  # a browser's field without a choice
        return None
    if not isinstance(given, FormFile):
        raise refusals.parameter_invalid("video_file", "It must be a file in a form, with a filename.")
    if not given.content:
        raise refusals.file_broken()
    return given._replace(name=given.name or "video")


def _json(name: str, text: str) -> Any:
    """What a form can only have as a text."""
    try:
        return jsontext.read(text.encode())
    except (jsontext.NotJsonError, UnicodeError):
        raise refusals.parameter_invalid(name, "It must be JSON.") from None


def _refusal(error: ValidationError) -> refusals.RefusedRequestError:
    """The first thing that does not fit; what is missing before what is wrong."""
    found = sorted(error.errors(include_url=False, include_input=False), key=lambda each: each["type"] != "missing")
    first: Mapping[str, Any] = found[0]
    name = str(first["loc"][0])
    match first["type"]:
        case "missing":
            return refusals.parameter_not_provided(name)
        case "extra_forbidden":
            return refusals.parameter_unknown(name)
        case _:
            said = reason(first)
            return refusals.parameter_invalid(name, f"{said[:1].upper()}{said[1:]}.")
