"""api.video's HTTP API: its paths and its status codes.

The server's own address stands for https://ws.api.video. Inferred: that only a video without a source can be given one,
that a video which is copied brings its source's behaviour along, and that uploads come whole or with `Content-Range:
part 1/3`, as the SDK sends them (`part 1/*` while nobody knows how many).
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.platforms.apivideo import answers, errors
from local.platforms.apivideo.behaviour import Source, read_source
from local.platforms.apivideo.errors import ApiError
from local.platforms.apivideo.fields import (
    VIDEO_CREATION,
    VIDEO_UPDATE,
    check_video,
    check_webhook,
    is_web_address,
    uploaded_file,
)
from local.platforms.apivideo.gate import (
    Credentials,
    RateLimit,
    ReceivedRequest,
    as_fields,
    kind_of,
    without_secrets,
)
from local.platforms.apivideo.lists import read_page, wanted_videos, wanted_webhooks
from local.platforms.apivideo.studio import Studio, Video
from local.platforms.apivideo.webhooks import Webhook
from local.platforms.knobs import Fault

PART = re.compile(r"part ([1-9][0-9]{0,5})/([1-9][0-9]{0,5}|\*)")
RETRY_AFTER_SECONDS = 1


class Api:
    def __init__(self, studio: Studio, credentials: Credentials, rate_limit: RateLimit) -> None:
        self.requests: list[ReceivedRequest] = []
        self._studio = studio
        self._credentials = credentials
        self._rate_limit = rate_limit

    def routes(self) -> list[Route]:
        return [
            Route("/auth/api-key", self.log_in, methods=["POST"]),
            Route("/auth/refresh", self.refresh, methods=["POST"]),
            Route("/videos", self.create_video, methods=["POST"]),
            Route("/videos", self.list_videos),
            Route("/videos/{videoId}", self.get_video),
            Route("/videos/{videoId}", self.update_video, methods=["PATCH"]),
            Route("/videos/{videoId}", self.delete_video, methods=["DELETE"]),
            Route("/videos/{videoId}/source", self.upload_source, methods=["POST"]),
            Route("/videos/{videoId}/status", self.get_status),
            Route("/webhooks", self.create_webhook, methods=["POST"]),
            Route("/webhooks", self.list_webhooks),
            Route("/webhooks/{webhookId}", self.get_webhook),
            Route("/webhooks/{webhookId}", self.delete_webhook, methods=["DELETE"]),
        ]

    # --- access ---

    async def log_in(self, request: Request) -> Response:
        return JSONResponse(self._credentials.log_in((await read_fields(request)).get("apiKey")))

    async def refresh(self, request: Request) -> Response:
        return JSONResponse(self._credentials.refresh((await read_fields(request)).get("refreshToken")))

    # --- videos ---

    async def create_video(self, request: Request) -> Response:
        fields = await read_fields(request)
        check_video(fields, VIDEO_CREATION, needs=["title"])
        source = self._source(fields["source"]) if "source" in fields else None
        if source and (fault := self._studio.next_fault(source)):
            return await answer_fault(fault, request)
        video = await self._studio.create(fields, source)
        if source and source.behaviour.lost and self._studio.is_first(source):
            return await cut(request)
        return JSONResponse(answers.video(video), status_code=202 if source and source.behaviour.accepted else 201)

    async def list_videos(self, request: Request) -> Response:
        videos = wanted_videos(self._studio.videos.values(), request.query_params)
        page = read_page(request.query_params)
        return JSONResponse(answers.page_of([*map(answers.video, videos)], page, request))

    async def get_video(self, request: Request) -> Response:
        return JSONResponse(answers.video(self._video(request)))

    async def update_video(self, request: Request) -> Response:
        video, fields = self._video(request), await read_fields(request)
        check_video(fields, VIDEO_UPDATE)
        video.fields |= fields
        video.updated_at = datetime.now(UTC)
        return JSONResponse(answers.video(video))

    async def delete_video(self, request: Request) -> Response:
        self._studio.delete(self._video(request))
        return Response(status_code=204)

    async def upload_source(self, request: Request) -> Response:
        video = self._video(request)
        file = uploaded_file(request.headers.get("content-type", ""), await request.body())
        part = PART.fullmatch(request.headers.get("content-range", "part 1/1"))
        if file is None:
            raise errors.invalid_attributes([errors.required("file")])
        if part is None:
            raise errors.invalid_attributes([errors.invalid("Content-Range", "like part 1/3")])
        if video.source:
            raise errors.source_already_uploaded()
        name, size = file
        source = self._readable(name, "file")
        if fault := self._studio.next_fault(source):
            return await answer_fault(fault, request)
        total = None if part[2] == "*" else int(part[2])
        await self._studio.receive(video, source, part=int(part[1]), total=total, size=size)
        return JSONResponse(answers.video(video), status_code=201)

    async def get_status(self, request: Request) -> Response:
        return JSONResponse(answers.status(self._video(request)))

    # --- webhooks ---

    async def create_webhook(self, request: Request) -> Response:
        fields = await read_fields(request)
        check_webhook(fields)
        if self._studio.webhooks.full:
            raise errors.webhook_limit_reached()
        webhook = self._studio.webhooks.create(fields["url"], fields["events"])
        return JSONResponse(answers.webhook(webhook), status_code=201)

    async def list_webhooks(self, request: Request) -> Response:
        webhooks = wanted_webhooks(self._studio.webhooks.registered.values(), request.query_params)
        page = read_page(request.query_params)
        return JSONResponse(answers.page_of([*map(answers.webhook, webhooks)], page, request))

    async def get_webhook(self, request: Request) -> Response:
        return JSONResponse(answers.webhook(self._webhook(request)))

    async def delete_webhook(self, request: Request) -> Response:
        del self._studio.webhooks.registered[self._webhook(request).id]
        return Response(status_code=204)

    # --- everything that all of them need ---

    async def gate(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        self.requests.append(without_secrets(request, await request.body(), datetime.now(UTC)))
        kind = kind_of(request)
        try:
            if not request.url.path.startswith("/auth/"):
                self._credentials.check(request.headers.get("authorization", ""))
            if not self._rate_limit.spend(kind):
                raise errors.too_many_requests()
        except ApiError as error:
            answer = error_response(error)
        else:
            answer = await call_next(request)
        for name, value in self._rate_limit.headers(kind).items():
            answer.headers.setdefault(name, value)
        return answer

    def _source(self, asked: str) -> Source:
        """Of an address, or of a video that is to be copied."""
        copied = self._studio.videos.get(asked)
        if copied and copied.source:
            return copied.source
        if not is_web_address(asked):
            raise errors.invalid_attributes([errors.invalid("source", "a valid url or videoId")])
        return self._readable(asked, "source")

    def _readable(self, url: str, name: str) -> Source:
        try:
            return read_source(url, self._studio.knobs)
        except ValueError as error:
            raise errors.invalid_attributes([errors.invalid(name, f"free of wrong knobs ({error})")]) from error

    def _video(self, request: Request) -> Video:
        return find(self._studio.videos, request, "videoId")

    def _webhook(self, request: Request) -> Webhook:
        return find(self._studio.webhooks.registered, request, "webhookId")


def application(api: Api, **settings: Any) -> Starlette:
    """`settings` are Starlette's own."""
    return Starlette(
        routes=api.routes(),
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=api.gate)],
        exception_handlers={ApiError: show_error, HTTPException: show_wrong_path},
        **settings,
    )


async def show_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):  # Starlette's type would allow it
        raise error
    return error_response(error)


async def show_wrong_path(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return error_response(errors.method_not_allowed() if error.status_code == 405 else errors.unknown_path())


def error_response(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(error.body, status_code=error.status, headers=headers)


async def answer_fault(fault: Fault, request: Request) -> Response:
    match fault:
        case Fault.REFUSED:
            return error_response(errors.invalid_attributes([errors.invalid("source", "a valid url or videoId")]))
        case Fault.THROTTLED:
            wait = {"X-RateLimit-Remaining": "0", "X-RateLimit-Retry-After": str(RETRY_AFTER_SECONDS)}
            return error_response(errors.too_many_requests(), wait)
        case Fault.HTML:
            return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", status_code=502)
        case Fault.UNAVAILABLE:
            return error_response(errors.service_unavailable())
        case Fault.RESET:
            return await cut(request)


async def cut(request: Request) -> Response:
    request.state.transport.abort()
    await asyncio.sleep(0)  # the server notices the cut on the loop's next turn, and then sends nothing
    return Response()


async def read_fields(request: Request) -> dict[str, Any]:
    fields = as_fields(await request.body())
    if fields is None:
        raise errors.invalid_payload()
    return fields


def find[T](resources: Mapping[str, T], request: Request, name: str) -> T:
    resource = resources.get(request.path_params[name])
    if resource is None:
        raise errors.not_found(name)
    return resource
