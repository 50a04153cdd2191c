"""The bodies with which VOD's API answers.

Errors have Alibaba Cloud's five fields. The words of `InvalidParameter.UploadURLs` are printed for VOD. Those of the
gateway in front of every API (keys, signatures, missing parameters, throttling) are printed in its table of common
errors. That other parameters are refused in the words of UploadURLs is inferred.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from local.platforms.apsaravideo.studio import Job, MessageCallback

type Body = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What whoever asked gets instead of an answer."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 (the platform's error is the refusal)
    """Ends the handling of a request that must be answered with its `refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def missing(parameter: str) -> Refusal:
    return Refusal(status=400, code=f"Missing{parameter}", message=f"{parameter} is mandatory for this action.")


def invalid(parameter: str) -> Refusal:
    return Refusal(
        status=400,
        code=f"InvalidParameter.{parameter}",
        message=f"The specified parameter {parameter} is not valid.",
    )


def throttled(status: int) -> Refusal:
    """429 with the header that the SDK reads as milliseconds; 400 is what the table of common errors says."""
    headers = {"x-acs-retry-after": "1000"} if status == 429 else {}
    message = "Request was denied due to user flow control."
    return Refusal(status=status, code="Throttling.User", message=message, headers=headers)


UNKNOWN_KEY = Refusal(status=404, code="InvalidAccessKeyId.NotFound", message="Specified access key is not found.")
WRONG_SIGNATURE = Refusal(
    status=400, code="SignatureDoesNotMatch", message="Specified signature is not matched with our calculation."
)
INCOMPLETE_SIGNATURE = Refusal(
    status=400, code="IncompleteSignature", message="The request signature does not conform to Aliyun standards."
)
EXPIRED = Refusal(status=400, code="InvalidTimeStamp.Expired", message="Specified time stamp or date value is expired.")
MALFORMED_TIME = Refusal(
    status=400, code="InvalidTimeStamp.Format", message="Specified time stamp or date value is not well formatted."
)
NONCE_USED = Refusal(status=400, code="SignatureNonceUsed", message="Specified signature nonce was used already.")
UNKNOWN_ACTION = Refusal(
    status=404, code="InvalidApi.NotFound", message="Specified api is not found, please check your url and method."
)
UNKNOWN_FORMAT = Refusal(status=400, code="InvalidParameter.Format", message="Specified parameter format is not valid.")
UNAVAILABLE = Refusal(
    status=503,
    code="ServiceUnavailable",
    message="The request has failed due to a temporary failure of the server.",
)
UNKNOWN_VIDEO = Refusal(status=404, code="InvalidVideo.NotFound", message="The video does not exist.")
# documented: an error is returned; its code and words are inferred
SESSION_REPEATED = Refusal(
    status=400, code="InvalidParameter.SessionId", message="The specified parameter SessionId was used already."
)


def error(wrong: Refusal, *, request_id: str, host: str) -> Body:
    return {
        "RequestId": request_id,
        "HostId": host,
        "Code": wrong.code,
        "Message": wrong.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={wrong.code}&product=vod&requestId={request_id}",
    }


def upload_jobs(jobs: Sequence[Job]) -> Body:
    return {"UploadJobs": [{"SourceURL": job.source.url, "JobId": job.id} for job in jobs]}


def stream_job(job: Job) -> Body:
    return {"FileURL": job.file_url, "SourceURL": job.source.url, "StreamJobId": job.id}


def url_upload_infos(jobs: Sequence[Job], non_exists: Sequence[str]) -> Body:
    return {"NonExists": list(non_exists), "URLUploadInfoList": [url_upload_info(job) for job in jobs]}


def url_upload_info(job: Job) -> Body:
    """`CompleteTime` is there at the end only, although the documents' sample shows it for every status."""
    info: Body = {"CreationTime": job.created, "UploadURL": job.source.url, "Status": job.status, "JobId": job.id}
    if job.user_data.text is not None:
        info["UserData"] = job.user_data.text
    if job.completed is not None:
        info["CompleteTime"] = job.completed
    if job.status in ("UPLOAD_SUCCESS", "SUCCESS"):
        info |= {"MediaId": job.video_id, "FileSize": str(job.size)}
        # the API's twin in IMS prints these two for success
        info |= {"ErrorCode": "200", "ErrorMessage": "Success"} if job.source.behaviour.code_on_success else {}
    if job.error is not None:
        info |= {"ErrorCode": job.error.code, "ErrorMessage": job.error.message}
    return info


def message_callback(app_id: str, settings: MessageCallback | None) -> Body:
    """Inferred for what was never set: only the application."""
    return {"MessageCallback": {"AppId": app_id, **(settings.as_parameters() if settings else {})}}
