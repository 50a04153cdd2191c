"""VOD's RPC API: one path, the action in a header or a parameter, its checks of a request, its status codes."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from random import Random
from typing import Literal, cast
from urllib.parse import unquote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from local.platforms.apsaravideo import answers
from local.platforms.apsaravideo.answers import Body, Refusal, Refused
from local.platforms.apsaravideo.behaviour import Source, extension, read_source
from local.platforms.apsaravideo.gate import Gate
from local.platforms.apsaravideo.received import ReceivedRequest, parameters, received
from local.platforms.apsaravideo.studio import (
    NO_TRANSCODING,
    Job,
    MessageCallback,
    Studio,
    UserData,
    read_user_data,
)
from local.platforms.knobs import Fault

VERSION = "2017-03-21"
DEFAULT_APP = "app-1000000"
MOST_URLS = 20
MOST_ASKED = 10
SESSION_SECONDS = 600.0
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,50}")
AUTH_KEY = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d).{1,32}")

type Parameters = Mapping[str, str]
type SessionRepeat = Literal["refused", "same-jobs"]
"""What a submit with a SessionId of the last ten minutes gets: an error (documented), or that one's jobs."""


class Api:
    def __init__(
        self,
        studio: Studio,
        *,
        access_keys: Mapping[str, str],
        seed: int,
        session_repeat: SessionRepeat,
        requests: list[ReceivedRequest],
    ) -> None:
        self._studio = studio
        self._gate = Gate(access_keys)
        self._chance = Random(f"{seed} requests")
        self._session_repeat = session_repeat
        self._sessions: dict[tuple[str, str], tuple[float, list[Job]]] = {}
        self._requests = requests
        self._actions: Mapping[str, Callable[[Parameters], Awaitable[Body]]] = {
            "UploadMediaByURL": self.upload_media_by_url,
            "UploadStreamByURL": self.upload_stream_by_url,
            "GetURLUploadInfos": self.get_url_upload_infos,
            "SetMessageCallback": self.set_message_callback,
            "GetMessageCallback": self.get_message_callback,
            "DeleteMessageCallback": self.delete_message_callback,
        }

    def routes(self) -> list[Route]:
        return [Route("/", self.answer, methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        self._requests.append(await received(request))
        request_id = str(UUID(int=self._chance.getrandbits(128), version=4)).upper()
        try:
            asked = await parameters(request)
            await self._gate.check(request, asked)
            body = await self._action(request, asked)(asked)
        except Refused as refused:
            return refusal_response(refused.refusal, request_id=request_id, host=request.headers.get("host", ""))
        except Disturbed as disturbed:
            return await disturbed_response(disturbed.fault, request)
        return json_response({"RequestId": request_id, **body}, request_id=request_id)

    def _action(self, request: Request, asked: Parameters) -> Callable[[Parameters], Awaitable[Body]]:
        """Only JSON is spoken here; in V1 the default is XML, so that a client must ask for JSON."""
        name = request.headers.get("x-acs-action") or asked.get("Action")
        version = request.headers.get("x-acs-version") or asked.get("Version")
        if not name:
            raise Refused(answers.missing("Action"))
        if not version:
            raise Refused(answers.missing("Version"))
        if name not in self._actions or version != VERSION:
            raise Refused(answers.UNKNOWN_ACTION)
        if "x-acs-action" not in request.headers and asked.get("Format", "XML").upper() != "JSON":
            raise Refused(answers.UNKNOWN_FORMAT)
        return self._actions[name]

    # --- work is asked for ---

    async def upload_media_by_url(self, asked: Parameters) -> Body:
        app_id = asked.get("AppId") or DEFAULT_APP
        sources = self._sources(asked)
        user_data = parsed_user_data(asked)
        session = read_session(asked)
        if known := self._session(app_id, session):
            if self._session_repeat == "refused":
                raise Refused(answers.SESSION_REPEATED)
            return answers.upload_jobs(known)
        self._disturb(sources)
        transcodes = asked.get("TemplateGroupId") != NO_TRANSCODING
        jobs = [
            self._studio.upload(source, app_id=app_id, user_data=user_data, transcodes=transcodes) for source in sources
        ]
        if session:
            self._sessions[app_id, session] = (time.monotonic(), jobs)
        await self._studio.begin(jobs)
        return answers.upload_jobs(jobs)

    async def upload_stream_by_url(self, asked: Parameters) -> Body:
        for name in ("Definition", "MediaId", "StreamURL"):
            needed(asked, name)
        video = self._studio.videos.get(asked["MediaId"])
        if video is None:
            raise Refused(answers.UNKNOWN_VIDEO)
        source = self._source(asked["StreamURL"], "StreamURL")
        if not extension(source.url) and not asked.get("FileExtension"):
            raise Refused(answers.missing("FileExtension"))
        user_data = parsed_user_data(asked)
        self._disturb([source])
        job = self._studio.upload_stream(source, app_id=video.app_id, user_data=user_data, video_id=video.video_id)
        await self._studio.begin([job])
        return answers.stream_job(job)

    # --- what became of it ---

    async def get_url_upload_infos(self, asked: Parameters) -> Body:
        """JobIds win over UploadURLs. That one of them must be there is inferred."""
        if ids := asked.get("JobIds"):
            found = {job_id: self._jobs_with_id(job_id) for job_id in few(ids, "JobIds")}
        elif urls := asked.get("UploadURLs"):
            found = {url: self._studio.jobs_of(url) for url in map(as_url, few(urls, "UploadURLs"))}
        else:
            raise Refused(answers.missing("JobIds"))
        jobs = [job for of_one in found.values() for job in of_one]
        return answers.url_upload_infos(jobs, [one for one, of_one in found.items() if not of_one])

    # --- whom to call back ---

    async def set_message_callback(self, asked: Parameters) -> Body:
        self._studio.callbacks[asked.get("AppId") or DEFAULT_APP] = read_message_callback(asked)
        return {}

    async def get_message_callback(self, asked: Parameters) -> Body:
        app_id = asked.get("AppId") or DEFAULT_APP
        return answers.message_callback(app_id, self._studio.callbacks.get(app_id))

    async def delete_message_callback(self, asked: Parameters) -> Body:
        """Inferred: to delete what is not there is no error."""
        self._studio.callbacks.pop(asked.get("AppId") or DEFAULT_APP, None)
        return {}

    # --- everything that they need ---

    def _sources(self, asked: Parameters) -> list[Source]:
        urls = [as_url(url) for url in needed(asked, "UploadURLs").split(",")]
        if len(urls) > MOST_URLS:
            raise Refused(answers.invalid("UploadURLs"))
        extensions = read_file_extensions(asked)
        if not all(extension(url) or extensions.get(url) for url in urls):
            raise Refused(answers.invalid("UploadURLs"))
        return [self._source(url, "UploadURLs") for url in urls]

    def _source(self, url: str, parameter: str) -> Source:
        try:
            return read_source(url, self._studio.knobs)
        except ValueError as error:
            raise Refused(answers.invalid(parameter)) from error

    def _disturb(self, sources: list[Source]) -> None:
        """A request with several sources suffers the first fault that one of them has."""
        faults = [(self._studio.next_fault(source), source) for source in sources]
        for fault, source in faults:
            match fault:
                case None:
                    continue
                case Fault.REFUSED:
                    raise Refused(answers.invalid("UploadURLs"))
                case Fault.THROTTLED:
                    raise Refused(answers.throttled(source.behaviour.throttle_status))
                case Fault.UNAVAILABLE:
                    raise Refused(answers.UNAVAILABLE)
                case _:
                    raise Disturbed(fault)

    def _session(self, app_id: str, session: str | None) -> list[Job]:
        """The jobs of the same SessionId; empty if there are none, or were none in the last ten minutes."""
        began, jobs = self._sessions.get((app_id, session or ""), (0.0, []))
        return jobs if jobs and time.monotonic() - began < SESSION_SECONDS else []

    def _jobs_with_id(self, job_id: str) -> list[Job]:
        job = self._studio.jobs.get(job_id)
        return [job] if job else []


class Disturbed(Exception):  # noqa: N818 (not an error of the API, but of what lies before it)
    """Ends the handling of a request that gets no answer of the API."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def refusal_response(refusal: Refusal, *, request_id: str, host: str) -> Response:
    body = answers.error(refusal, request_id=request_id, host=host)
    return json_response(body, request_id=request_id, status=refusal.status, headers=refusal.headers)


def json_response(
    body: Body, *, request_id: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    media_type = "application/json;charset=utf-8"
    return Response(
        content, status_code=status, media_type=media_type, headers={"x-acs-request-id": request_id, **(headers or {})}
    )


async def disturbed_response(fault: Fault, request: Request) -> Response:
    if fault is Fault.RESET:
        request.state.transport.abort()
        await asyncio.sleep(0)  # the server notices the cut on the loop's next turn, and then sends nothing
        return Response()
    return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", status_code=502)


def needed(asked: Parameters, name: str) -> str:
    if not asked.get(name):
        raise Refused(answers.missing(name))
    return asked[name]


def few(joined: str, parameter: str) -> list[str]:
    found = [one.strip() for one in joined.split(",")]
    if len(found) > MOST_ASKED:
        raise Refused(answers.invalid(parameter))
    return found


def as_url(given: str) -> str:
    """Documented is that each URL comes encoded; one that does not is taken as it is: inferred."""
    return given.strip() if "://" in given else unquote(given.strip())


def parsed_user_data(asked: Parameters) -> UserData:
    """That wrong UserData is refused is inferred."""
    try:
        return read_user_data(asked.get("UserData") or None)
    except ValueError as error:
        raise Refused(answers.invalid("UserData")) from error


def read_file_extensions(asked: Parameters) -> dict[str, str]:
    """The FileExtension of each source that UploadMetadatas names."""
    try:
        entries = json.loads(asked.get("UploadMetadatas") or "[]")
        return {as_url(entry["SourceURL"]): entry.get("FileExtension", "") for entry in entries}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(answers.invalid("UploadMetadatas")) from error


def read_session(asked: Parameters) -> str | None:
    session = asked.get("SessionId") or None
    if session is not None and not SESSION_ID.fullmatch(session):
        raise Refused(answers.invalid("SessionId"))
    return session


def read_message_callback(asked: Parameters) -> MessageCallback:
    """The limits are documented; that HTTP is the default type, and with what words it refuses, is inferred."""
    kind = asked.get("CallbackType") or "HTTP"
    required = {"HTTP": ("CallbackURL",), "MNS": ("MnsEndpoint", "MnsQueueName")}
    if kind not in required:
        raise Refused(answers.invalid("CallbackType"))
    for name in required[kind]:
        needed(asked, name)
    url, key, switch = asked.get("CallbackURL"), asked.get("AuthKey"), asked.get("AuthSwitch") or "off"
    wrong = {
        "CallbackURL": url and (len(url.encode()) > 256 or not url.startswith(("http://", "https://"))),
        "AuthKey": key and not AUTH_KEY.fullmatch(key),
        "AuthSwitch": switch not in ("on", "off"),
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise Refused(answers.invalid(name))
    return MessageCallback(
        callback_type=cast("Literal['HTTP', 'MNS']", kind),
        callback_url=url,
        event_type_list=asked.get("EventTypeList", ""),
        auth_switch=cast("Literal['on', 'off']", switch),
        auth_key=key,
        mns_endpoint=asked.get("MnsEndpoint"),
        mns_queue_name=asked.get("MnsQueueName"),
    )
