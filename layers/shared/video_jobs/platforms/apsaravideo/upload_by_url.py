"""The step: VOD fetches a URL and makes a medium of it.

Callbacks are not believed: their body is not signed. They are hints when to ask GetURLUploadInfos, whose answer is.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from video_jobs import jsontext
from video_jobs.jobs.model import (
    Hint,
    Ignored,
    Job,
    PollResult,
    Step,
    StepEnd,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
    safe_words,
)
from video_jobs.platforms import titles
from video_jobs.platforms.apsaravideo import errors, payloads, signature
from video_jobs.platforms.apsaravideo.payloads import UPLOAD_BY_URL_COMPLETE, Event
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError

if TYPE_CHECKING:
    from video_jobs.platforms.apsaravideo.client import UploadInfo, Vod

STEP = "upload_by_url"

_SAYS = ": "
"""Between an event's status and why."""
_GOOD = {"success", "succeed", "succeeded"}
_FAILED = {"DOWNLOAD_FAIL", "UPLOAD_FAIL"}
_LONGEST_SESSION_ID = 50
_LONGEST_TITLE = 128
"""Bytes of UTF-8."""
_LONGEST_REASON = 256

# A plain alias: a `type` statement would become a part of its own in the API's document.
Title = Annotated[
    str,
    Field(min_length=1, max_length=_LONGEST_TITLE),
    AfterValidator(lambda title: titles.of_caller(title, most_bytes=_LONGEST_TITLE)),
]


class UploadByUrlOptions(BaseModel):
    """What UploadMediaByURL takes besides the URL (SDK 3.12.1). What is left out is VOD's own default."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    file_extension: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]{1,16}$")
    """Without a dot; for a URL that does not end in one."""
    template_group_id: str | None = Field(default=None, min_length=1, max_length=128)
    """Of transcoding; "VOD_NO_TRANSCODE" for none."""
    workflow_id: str | None = Field(default=None, min_length=1, max_length=128)
    """Wins over `template_group_id`."""
    storage_location: str | None = Field(default=None, min_length=1, max_length=256)
    app_id: str | None = Field(default=None, min_length=1, max_length=128)
    """VOD's own default is "app-1000000"."""


def decide(event: Event) -> Hint | Ignored:
    """What an event means: only that an upload by URL has ended, well or badly, says something about the step."""
    if event.event_type != UPLOAD_BY_URL_COMPLETE or event.job_id is None:
        return Ignored(event_type=event.event_type, ref=event.medium)
    status = event.status or ""
    reason = errors.words(event.error_code or "", event.error_message or "")
    said = "" if _is_good(status) else safe_words(reason)[:_LONGEST_REASON]
    word = f"{status}{_SAYS}{said}" if said else status
    # a stream's video was there before, and belongs to whoever uploaded it
    part = "stream" if (event.file_type or "").lower() == "stream" else "status"
    return Hint(ref=event.job_id, step=STEP, part=part, word=word, good=_is_good(word))


CALLBACK = Callback(
    name="apsaravideo/upload_by_url_complete",
    payload=Event,
    decide=decide,
    read=payloads.read,
    secret="APSARAVIDEO_SECRET",  # noqa: S106 (a variable's name)
    verify=signature.verify,
)
CALLBACK_EXPECTED = True


# --- Submit --------------------------------------------------------------------------------------------------------


def submit(client: "Vod", job: Job, *, callback_url: str) -> Submitted:
    """Ask VOD to fetch the source, once: `SessionId` makes VOD refuse a second try, for ten minutes.

    So a second try first looks for what the first one may have made: by its URL, and by what it said in UserData. If
    VOD refuses it all the same, a third one looks again: what was just made may not be listed yet.
    """
    options = UploadByUrlOptions.model_validate(job.request.options.get(STEP, {}))
    session_id = job.submission_key(STEP)[:_LONGEST_SESSION_ID]
    again = job.may_be_submitted_already(STEP)
    if again and (before := _submitted_before(client, job, session_id)):
        return before
    try:
        job_id = client.upload_media_by_url(
            job.request.source or "",
            session_id=session_id,
            user_data=_user_data(job, session_id, callback_url),
            upload_metadatas=_metadata(job.request.source or "", options),
            template_group_id=options.template_group_id,
            workflow_id=options.workflow_id,
            storage_location=options.storage_location,
            app_id=options.app_id,
        )
    except RefusedByPlatformError as refusal:
        if again or refusal.error.code == errors.SUBMITTED_ALREADY.code:
            raise TransientError(refusal.error, status=refusal.status) from None
        raise
    if job_id is None:
        raise TransientError(errors.UNAVAILABLE.with_message("VOD accepted the upload and named no job"))
    return Submitted(platform_job_id=job_id, refs=(job_id,))


def _submitted_before(client: "Vod", job: Job, session_id: str) -> Submitted | None:
    """What an earlier try of this round has made, if VOD lists it."""
    try:
        listed = client.upload_infos(sources=[job.request.source or ""]).found
    except RefusedByPlatformError:
        return None  # not every region can be asked; then VOD's own refusal must do
    for info in listed:
        # 50 hexadecimal digits of ours: nobody else's words have them
        if info.job_id and info.says(session_id):
            return Submitted(platform_job_id=info.job_id, platform_status=info.status, refs=(info.job_id,))
    return None


def _user_data(job: Job, session_id: str, callback_url: str) -> str:
    """Where VOD is to call back about this upload, and what it is to say of it: 512 bytes at most."""
    callback = {"MessageCallback": {"CallbackURL": callback_url}} if callback_url else {}
    said = {"job_id": job.job_id, "session_id": session_id}
    return jsontext.write({**callback, "Extend": said}, separators=(",", ":"))


def _metadata(source: str, options: UploadByUrlOptions) -> str | None:
    """UploadMetadatas, for what can be said only there. That a title must be in it is inferred from VOD's samples."""
    if options.title is None and options.file_extension is None:
        return None
    title = options.title or titles.of_source(source, most_bytes=_LONGEST_TITLE, otherwise="video")
    found = {"SourceURL": source, "Title": title}
    if options.file_extension is not None:
        found["FileExtension"] = options.file_extension
    return jsontext.write([found], ascii_only=False, separators=(",", ":"))


# --- Poll ----------------------------------------------------------------------------------------------------------


def poll(client: "Vod", job: Job, step: Step) -> StepRunning | PollResult:
    """How the upload stands, by VOD's own word."""
    if step.platform_job_id is None:
        return StepRunning()
    answer = client.upload_infos(job_ids=[step.platform_job_id])
    for info in answer.found:
        if info.job_id == step.platform_job_id:
            return replace(_meaning(info, step), owner=info.owner)
    if answer.misses(step.platform_job_id):
        error = errors.NOT_FOUND.with_message(f"VOD does not know the upload {step.platform_job_id}")
        return PollResult(end=StepFailed(error=error), body={"NonExists": list(answer.missing)})
    return StepRunning()


def _meaning(info: "UploadInfo", step: Step) -> StepRunning | PollResult:
    """What a status means, beside what callbacks have said.

    An error code means nothing by itself: the API's twin prints "200" for success.
    """
    good = _good_end(step)
    if info.status == "SUCCESS" or (info.status == "UPLOAD_SUCCESS" and good):
        # the latter waits for nothing but its callback, which has come
        return PollResult(end=_succeeded(info, step), body=info.body, platform_status=info.status)
    if info.status in _FAILED:
        if step.status == StepStatus.RUNNING and good and step.hinted:
            # VOD may take a failure back, and its status may lag behind that: asked once more before it is believed
            return StepRunning(platform_status=info.status, soon=True)
        reason = errors.words(info.text("ErrorCode"), info.text("ErrorMessage"))
        error = errors.of_upload(info.status, reason or _reason(step))
        return PollResult(end=StepFailed(error=error), body=info.body, platform_status=info.status)
    near = good is not None or info.status == "UPLOAD_SUCCESS"
    return StepRunning(platform_status=info.status or None, soon=near)


def _good_end(step: Step) -> bool | None:
    """Whether callbacks named a good end of the upload or a bad one; None if they named none."""
    return any(map(_is_good, step.hints.values())) if step.hints else None


def _is_good(word: str) -> bool:
    return word.lower() in _GOOD


def _reason(step: Step) -> str:
    """Why the upload has failed, by the last callback that said so."""
    return next((reason for word in step.hints.values() if (reason := word.partition(_SAYS)[2])), "")


def _succeeded(info: "UploadInfo", step: Step) -> StepEnd:
    media_id = info.text("MediaId")
    result: dict[str, Any] = {"media_id": media_id} if media_id else {}
    if (size := info.whole("FileSize")) is not None:
        result["size"] = size
    is_stream = "stream" in step.hints
    return StepSucceeded(result=result, refs=(media_id,) if media_id and not is_stream else ())
