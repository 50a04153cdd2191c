"""The bodies that VOD's events have, over HTTP as in the queue.

Origins, said beside each body:

- printed: the page's own bytes ("URL video upload complete", 2026-01-28), with only the values replaced. They have keys
  that end in a space, and the failure is no correct JSON: it has a comma too many. Whether VOD really sends them so is
  not known; a receiver must be able to read both, so `clean` makes the same event without the oddities.
- observed: the keys, in their order, of an event that somebody recorded in production.
"""

import json
from collections.abc import Mapping
from random import Random

UPLOAD_BY_URL = "UploadByURLComplete"
FILE_UPLOAD = "FileUploadComplete"
STREAM_TRANSCODE = "StreamTranscodeComplete"

# printed
UPLOADED = """\
{\x20
  "Status": "success",
  "EventTime": "2017-03-20T07:49:17Z",
  "EventType": "UploadByURLComplete",\x20
  "VideoId": "43q9fjdun3f****",\x20
  "JobId": "4c815bjs83j1****",\x20
  "SourceURL ": "http://example.aliyundoc.com/27ffc438-164d55217ef-0005-6884-51a-1****.mp4",
  "Size":"123456"
}"""

# printed
FAILED = """\
{\x20
  "Status": "fail",
  "EventTime": "2017-03-20T07:49:17Z",
  "EventType": "UploadByURLComplete",\x20
  "ErrorCode ": "URLInvalidError ",\x20
  "ErrorMessage ": "download video failed by the url, please check it",\x20
  "JobId": "4c815bjsued****" ,
  "SourceURL ": "http://example.aliyundoc.com/27ffc438-164d55217ef-0005-6884-51a-1****.mp4",
}"""

PRINTED_TIME = "2017-03-20T07:49:17Z"
PRINTED_URL = "http://example.aliyundoc.com/27ffc438-164d55217ef-0005-6884-51a-1****.mp4"


def new_id(random: Random) -> str:
    """A job's or a video's: 32 hexadecimal digits, as those that were seen in public."""
    return f"{random.getrandbits(128):032x}"


def uploaded(*, time: str, video_id: str, job_id: str, source_url: str, size: int) -> bytes:
    """Printed. It never has `Extend`: the page's table does not list it for videos."""
    return replaced(
        UPLOADED,
        {PRINTED_TIME: time, "43q9fjdun3f****": video_id, "4c815bjs83j1****": job_id, PRINTED_URL: source_url}
        | {"123456": str(size)},
    )


def failed(*, time: str, job_id: str, source_url: str, code: str, message: str) -> bytes:
    """Printed; there is no VideoId, although the page's table requires one."""
    return replaced(
        FAILED,
        {PRINTED_TIME: time, "4c815bjsued****": job_id, PRINTED_URL: source_url, "URLInvalidError ": f"{code} "}
        | {"download video failed by the url, please check it": message},
    )


def uploaded_clean(
    *, time: str, video_id: str, job_id: str, source_url: str, size: int, extend: str | None
) -> dict[str, object]:
    body = {"Status": "success", "EventTime": time, "EventType": UPLOAD_BY_URL, "VideoId": video_id, "JobId": job_id}
    return extended({**body, "SourceURL": source_url, "Size": str(size)}, extend)


def failed_clean(
    *, time: str, job_id: str, source_url: str, code: str, message: str, extend: str | None
) -> dict[str, object]:
    body = {"Status": "fail", "EventTime": time, "EventType": UPLOAD_BY_URL, "ErrorCode": code, "ErrorMessage": message}
    return extended({**body, "JobId": job_id, "SourceURL": source_url}, extend)


def stream_uploaded(
    *, status: str, time: str, video_id: str, job_id: str, source_url: str, file_url: str, extend: str | None
) -> dict[str, object]:
    """Printed for success (the page of the same event's second meaning). VideoId is there on failure too."""
    body: dict[str, object] = {"Status": status, "SourceURL": source_url, "VideoId": video_id}
    body |= {"EventType": UPLOAD_BY_URL, "FileType": "Stream", "EventTime": time, "StreamFileURL": file_url}
    return extended({**body, "JobId": job_id}, extend)


def file_uploaded(*, time: str, video_id: str, file_url: str, size: int, extend: str | None) -> dict[str, object]:
    """Observed; the documents' sample has the same keys. Here `Size` is a number."""
    body: dict[str, object] = {"Status": "success", "FileUrl": file_url, "VideoId": video_id}
    return extended({**body, "EventType": FILE_UPLOAD, "EventTime": time, "Size": size}, extend)


def stream_transcoded(
    *, time: str, video_id: str, job_id: str, file_url: str, size: int, extend: str | None
) -> dict[str, object]:
    """Observed. `job_id` is the transcoding's, not the upload's."""
    body: dict[str, object] = {
        "Status": "success",
        "IsAudio": False,
        "VideoId": video_id,
        "EventType": STREAM_TRANSCODE,
        "Size": size,
        "Definition": "LD",
        "Fps": "25",
        "Duration": 10.0,
        "Bitrate": "120",
        "Encrypt": False,
        "FileUrl": file_url,
        "Format": "m3u8",
        "EventTime": time,
        "Height": 540,
        "Width": 960,
        "JobId": job_id,
    }
    return extended(body, extend)


def extended(body: dict[str, object], extend: str | None) -> dict[str, object]:
    return body if extend is None else {**body, "Extend": extend}


def as_json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def replaced(printed: str, values: Mapping[str, str]) -> bytes:
    body = printed
    for value, real in values.items():
        body = body.replace(f'"{value}"', json.dumps(real, ensure_ascii=False))
    return body.encode()


def stored_url(video_id: str, file: str) -> str:
    """Where VOD keeps a file. Documented: always http, never https; observed: the shape of the host."""
    return f"http://outin-{video_id[:20]}00163e1c60dc.oss-cn-shanghai.aliyuncs.com/{video_id}/{file}"
