"""ApsaraVideo VOD: a SessionId is refused for ten minutes, uploads are listed by their URL, callbacks are not signed by
their body, and a failure may be taken back."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from local.faults.deployment import OVERRIDES
from local.faults.platforms.border import READ_SECONDS, Submission
from local.faults.points import Crashed, Fault, Kind

TAKES = 40.0
SESSION_SECONDS = 600.0
AGAIN = (1.0, 1.0)
URL = OVERRIDES["APSARAVIDEO_CALLBACK_URL"]
AUTH_KEY = "Key1Test"
TAKEN_BACK = "taken back"


@dataclass(eq=False, kw_only=True)
class Upload:
    id: str
    source: str
    user_data: str
    session: str
    began: float
    ends_at: float
    outcome: str
    """ "" is success, TAKEN_BACK a failure that is none in the end, anything else a failure."""
    good_at: float = 0.0


class ApsaraVideo:
    """`script`: what becomes of the uploads of each source, in their order."""

    def __init__(
        self,
        world: Any,
        *,
        script: Mapping[str, Sequence[str]] | None = None,
        takes: float = TAKES,
        back_after: float = 60,
    ) -> None:
        self.submissions: list[Submission] = []
        self._world = world
        self._script = script or {}
        self._takes = takes
        self._back_after = back_after
        self._uploads: dict[str, Upload] = {}

    def sdk(self) -> Any:
        """What Alibaba's SDK gives."""
        return SimpleNamespace(
            upload_media_by_urlwith_options=partial(self._called, "UploadMediaByURL", self._begun),
            get_urlupload_infos_with_options=partial(self._called, "GetURLUploadInfos", self._told),
        )  # fmt: skip

    def _called(self, action: str, effect: Any, request: Any, _runtime: Any) -> Any:
        fault = self._world.making(Kind.PLATFORM, f"apsaravideo {action}")
        match fault:
            case Fault.CRASH_BEFORE:
                raise Crashed
            case Fault.CRASH_AFTER:
                effect(request)
                raise Crashed
            case Fault.ANSWER_LOST:
                effect(request)
                self._world.clock.wait(READ_SECONDS / 2)
                raise TimeoutError("Read timed out.")
            case Fault.THROTTLED:
                raise _refusal(429, "Throttling.User", retry_after=30_000)
            case Fault.UNAVAILABLE:
                raise _refusal(503, "ServiceUnavailable")
        found = effect(request)
        return SimpleNamespace(body=SimpleNamespace(to_map=lambda: found))

    def _begun(self, request: Any) -> dict[str, Any]:
        now = self._world.clock.seconds
        session = request.session_id or ""
        if any(one.session == session and one.began + SESSION_SECONDS > now for one in self._uploads.values()):
            raise _refusal(400, "InvalidParameter.SessionId")
        source = unquote(request.upload_urls)
        said = json.loads(request.user_data or "{}")
        subject = said.get("Extend", {}).get("job_id", source)
        self.submissions.append(Submission(step="upload_by_url", subject=subject, at=self._world.clock.now))
        number = sum(one.source == source for one in self._uploads.values())
        outcomes = self._script.get(source, ())
        outcome = outcomes[number] if number < len(outcomes) else ""
        upload = self.upload(self._world.next_id().rjust(32, "0"), source, request.user_data or "", session, outcome)
        return {"UploadJobs": [{"SourceURL": source, "JobId": upload.id}], "RequestId": "r"}

    def upload(self, name: str, source: str, user_data: str = "", session: str = "", outcome: str = "") -> Upload:
        """An upload, whoever has asked for it."""
        now = self._world.clock.seconds
        upload = Upload(
            id=name,
            source=source,
            user_data=user_data,
            session=session,
            began=now,
            ends_at=now + self._takes,
            outcome=outcome,
            good_at=now + self._takes + (self._back_after if outcome == TAKEN_BACK else 0),
        )
        self._uploads[upload.id] = upload
        if outcome:
            self.call_back(upload.id, good=False, after=self._takes, upload=upload)
        if outcome in ("", TAKEN_BACK):
            self.call_back(upload.id, good=True, after=upload.good_at - now, upload=upload)
        return upload

    def call_back(self, name: str, *, good: bool = True, after: float = 0.0, upload: Upload | None = None) -> None:
        """Call the URL about an upload, whether there is such a one or not."""
        body = {"EventTime": "2026-11-28T10:00:00Z", "EventType": "UploadByURLComplete", "JobId": name}
        body["Status"] = "success" if good else "fail"
        if not good:
            body |= {"ErrorCode": "URLInvalidError", "ErrorMessage": "download video failed by the url"}

        def ends() -> None:
            if upload is not None:
                upload.ends_at = min(upload.ends_at, self._world.clock.seconds)
                upload.good_at = min(upload.good_at, self._world.clock.seconds) if good else upload.good_at

        self._world.call_back(URL, json.dumps(body).encode(), sign=self._signed, again=AGAIN, after=after, first=ends)

    def _signed(self, _body: bytes) -> Mapping[str, str]:
        moment = str(int(self._world.clock.seconds))
        made = hashlib.md5(f"{URL}|{moment}|{AUTH_KEY}".encode()).hexdigest()  # noqa: S324 (the platform's choice)
        return {"X-VOD-TIMESTAMP": moment, "X-VOD-SIGNATURE": made}

    def _told(self, request: Any) -> dict[str, Any]:
        ids = (request.job_ids or "").split(",") if request.job_ids else []
        sources = [unquote(one) for one in (request.upload_urls or "").split(",") if one]
        found = [one for one in self._uploads.values() if one.id in ids or one.source in sources]
        missing = [one for one in ids if one not in self._uploads]
        return {"URLUploadInfoList": [self._info(one) for one in found], "NonExists": missing, "RequestId": "r"}

    def _info(self, upload: Upload) -> dict[str, Any]:
        now = self._world.clock.seconds
        info: dict[str, Any] = {"JobId": upload.id, "UploadURL": upload.source, "UserData": upload.user_data}
        if upload.outcome in ("", TAKEN_BACK) and upload.good_at <= now:
            return info | {"Status": "SUCCESS", "MediaId": f"{upload.id[:31]}m", "FileSize": "1000"}
        if upload.ends_at > now:
            return info | {"Status": "UPLOADING"}
        words = {"ErrorCode": "URLInvalidError", "ErrorMessage": "download video failed by the url"}
        return info | {"Status": "DOWNLOAD_FAIL", **words}


def _refusal(status: int, code: str, *, retry_after: int | None = None) -> Exception:
    from alibabacloud_tea_openapi.exceptions import AlibabaCloudException  # type: ignore[import-untyped]  # noqa: PLC0415

    error: Exception = AlibabaCloudException(
        code=code,
        message=f"code: {status}, {code}",
        status_code=status,
        data={"Code": code, "Message": code},
        retry_after=retry_after,
    )
    return error
