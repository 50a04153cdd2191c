"""VideoDB's HTTP API: its paths, its checks of a request, its status codes.

Two API keys are special: `sk-revoked...` is not known (401), `sk-poor...` cannot pay for work (402). Every other key is
good. One collection is special: `c-unknown...` does not exist (404). There is no call to create others, so all exist.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.platforms.knobs import Fault
from local.platforms.videodb import answers
from local.platforms.videodb.behaviour import Source, read_source
from local.platforms.videodb.payloads import Kind, Step
from local.platforms.videodb.studio import Fields, Job, Media, Studio, text

EXTRACTION_TYPES = ("shot", "time", "transcript")


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """What VideoDB was asked. `body` is empty where there was none, or none that is a JSON object."""

    method: str
    path: str
    body: Mapping[str, Any]
    at: datetime


class Api:
    def __init__(self, studio: Studio) -> None:
        self.requests: list[ReceivedRequest] = []
        self._studio = studio

    def routes(self) -> list[Route]:
        extract = partial(self.index_or_extract, Step.EXTRACT_SCENES)
        index_scenes = partial(self.index_or_extract, Step.INDEX_SCENES)
        index_spoken_words = partial(self.index_or_extract, Step.INDEX_SPOKEN_WORDS)
        return [
            Route("/collection/{collection_id}/upload", self.upload, methods=["POST"]),
            Route("/video/{id}/index", index_spoken_words, methods=["POST"]),
            Route("/video/{id}/index/scene", index_scenes, methods=["POST"]),
            Route("/video/{id}/scenes", extract, methods=["POST"]),
            Route("/async-response/{id}", self.async_response, name="async-response"),
            Route("/video/{id}/index/", self.spoken_words_status),
            Route("/video/{id}/index/scene", self.scene_indexes),
            Route("/video/{id}/index/scene/{made}", self.scene_index),
            Route("/video/{id}/scenes", self.scene_collections),
            Route("/video/{id}/scenes/{made}", self.scene_collection),
            *(Route(f"/{kind}/{{id}}", partial(self.media, kind)) for kind in Kind),
        ]

    # --- work is asked for ---

    async def upload(self, request: Request) -> Response:
        asked = await read_fields(request)
        collection_id = request.path_params["collection_id"]
        if collection_id.startswith("c-unknown"):
            raise HTTPException(404, "Collection not found")
        source = self._source(asked)
        if fault := self._studio.next_fault(Step.UPLOAD, source.url, source):
            return await answer_fault(fault, request)
        return submitted(request, await self._studio.upload(source, collection_id=collection_id, asked=asked))

    async def index_or_extract(self, step: Step, request: Request) -> Response:
        asked = await read_fields(request)
        check_choice(step, asked)
        video = self._find(Kind.VIDEO, request)
        if fault := self._studio.next_fault(step, video.id, video.source):
            return await answer_fault(fault, request)
        if existing := video.existing(step, asked):
            # 200 although it is a refusal: VideoDB's errors can come so, and its SDK is ready for it
            return JSONResponse(answers.already_exists(existing))
        return submitted(request, await self._studio.work(step, video, asked))

    # --- what became of it ---

    async def async_response(self, request: Request) -> Response:
        job = self._studio.jobs.get(request.path_params["id"])
        if job is None:
            raise HTTPException(404, "Response not found")
        return JSONResponse(answers.polled(job))

    async def media(self, kind: Kind, request: Request) -> Response:
        [upload, *_] = self._find(kind, request).jobs_of(Step.UPLOAD)
        return JSONResponse(answers.media(upload))

    async def spoken_words_status(self, request: Request) -> Response:
        if request.query_params.get("index_type") != "spoken_word":
            raise HTTPException(400, "index_type must be spoken_word")
        jobs = self._find(Kind.VIDEO, request).jobs_of(Step.INDEX_SPOKEN_WORDS)
        if not jobs:
            raise HTTPException(404, "Index not found")
        return JSONResponse(answers.spoken_words_status(jobs[-1]))

    async def scene_indexes(self, request: Request) -> Response:
        return JSONResponse(answers.scene_indexes(self._find(Kind.VIDEO, request).jobs_of(Step.INDEX_SCENES)))

    async def scene_index(self, request: Request) -> Response:
        job = self._find(Kind.VIDEO, request).made(Step.INDEX_SCENES, request.path_params["made"])
        if job is None:
            raise HTTPException(404, "Scene index not found")
        return JSONResponse(answers.scene_index_records(job))

    async def scene_collections(self, request: Request) -> Response:
        return JSONResponse(answers.scene_collections(self._find(Kind.VIDEO, request).jobs_of(Step.EXTRACT_SCENES)))

    async def scene_collection(self, request: Request) -> Response:
        job = self._find(Kind.VIDEO, request).made(Step.EXTRACT_SCENES, request.path_params["made"])
        if job is None or job.status != "done":
            raise HTTPException(404, "Scene collection not found")
        return JSONResponse(answers.scene_collection(job))

    # --- everything that all of them need ---

    async def gate(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Notes the request, then asks for the key."""
        fields = as_fields(await request.body()) or {}
        self.requests.append(
            ReceivedRequest(method=request.method, path=request.url.path, body=fields, at=datetime.now(UTC))
        )
        key = request.headers.get("x-access-token", "").strip()
        if not key or key.startswith("sk-revoked"):
            return error_response(401, "Invalid API key")
        # reading costs nothing
        if key.startswith("sk-poor") and request.method == "POST":
            return error_response(402, "Insufficient credits")
        return await call_next(request)

    def _source(self, asked: Fields) -> Source:
        url = text(asked, "url")
        if url is None or not is_web_address(url):
            raise HTTPException(400, "url must be an http or https address")
        try:
            return read_source(url, self._studio.knobs)
        except ValueError as error:
            raise HTTPException(400, f"url turns a knob wrongly: {error}") from error

    def _find(self, kind: Kind, request: Request) -> Media:
        media = self._studio.find(kind, request.path_params["id"])
        if media is None:
            raise HTTPException(404, f"{kind.capitalize()} not found")
        return media


def application(api: Api, **settings: Any) -> Starlette:
    """`settings` are Starlette's own."""
    app = Starlette(
        routes=api.routes(),
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=api.gate)],
        exception_handlers={HTTPException: show_error},
        **settings,
    )
    app.router.redirect_slashes = False  # /video/{id}/index and /video/{id}/index/ are different calls
    return app


async def show_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # Starlette's type would allow it
        raise error
    return error_response(error.status_code, error.detail, error.headers)


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(answers.error(status, message), status_code=status, headers=headers)


def submitted(request: Request, job: Job) -> Response:
    return JSONResponse(answers.submitted(job, str(request.url_for("async-response", id=job.id))))


async def answer_fault(fault: Fault, request: Request) -> Response:
    match fault:
        case Fault.REFUSED:
            return error_response(400, "Invalid request")
        case Fault.THROTTLED:
            return error_response(429, "Too many requests", {"retry-after": "1"})
        case Fault.HTML:
            return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", status_code=502)
        case Fault.UNAVAILABLE:
            return error_response(503, "Service unavailable")
        case Fault.RESET:
            request.state.transport.abort()
            await asyncio.sleep(0)  # the server notices the cut on the loop's next turn, and then sends nothing
            return Response()


async def read_fields(request: Request) -> Fields:
    fields = as_fields(await request.body())
    if fields is None:
        raise HTTPException(400, "The body must be a JSON object")
    callback_url = fields.get("callback_url")
    if callback_url is not None and not (isinstance(callback_url, str) and is_web_address(callback_url)):
        raise HTTPException(400, "callback_url must be an http or https address")
    return fields


def as_fields(body: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def check_choice(step: Step, asked: Fields) -> None:
    if step is Step.INDEX_SPOKEN_WORDS:
        if asked.get("index_type") != "spoken_word":
            raise HTTPException(400, "index_type must be spoken_word")
    elif asked.get("extraction_type") not in (None, *EXTRACTION_TYPES):
        raise HTTPException(400, f"extraction_type must be one of {', '.join(EXTRACTION_TYPES)}")
