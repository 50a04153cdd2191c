"""TwelveLabs' HTTP API: its paths, its checks of a request, its status codes.

The server's own address stands for https://api.twelvelabs.io/v1.3; the same paths are there under /v1.3, too.

API keys that begin with `tlk_revoked` are not known (401), every other is good, and all belong to one account. Indexes
whose id begins with `unknown` do not exist (404); there is no call to create others, so all exist.

Inferred, because no page at hand says it: that what was created is answered 201 and what was deleted 204; that an
asset which is not ready cannot be indexed, and is then an invalid parameter; that unknown parameters are refused. An
`Idempotency-Key` means nothing here: it is documented for analyses only.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from local.platforms.knobs import Fault
from local.platforms.twelvelabs import answers, errors
from local.platforms.twelvelabs.account import Account, Asset, IndexedAsset, Task, UserMetadata
from local.platforms.twelvelabs.behaviour import Source, Step, read_source
from local.platforms.twelvelabs.errors import ApiError, Body
from local.platforms.twelvelabs.forms import Form, UploadedFile, read_form
from local.platforms.twelvelabs.lists import filtered, read_wanted

TASK_FIELDS = frozenset({"index_id", "video_url", "video_file", "enable_video_stream", "user_metadata"})
ASSET_FIELDS = frozenset({"method", "url", "file", "filename", "enable_hls", "enable_thumbnail", "user_metadata"})
INDEXED_ASSET_FIELDS = frozenset({"asset_id", "enable_video_stream", "user_metadata"})

SECRET_HEADERS = frozenset({"x-api-key", "authorization", "cookie"})
RETRY_AFTER_SECONDS = 1

type Fields = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """What TwelveLabs was asked. `body` has the fields of a form or a JSON object, a file as an `UploadedFile`; it is
    empty where there was none, or none that can be read. `headers` are without the API key, their names in lower case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Fields
    at: datetime


class Api:
    def __init__(self, account: Account) -> None:
        self.requests: list[ReceivedRequest] = []
        self._account = account

    def routes(self) -> list[Route]:
        return [
            Route("/tasks", self.create_task, methods=["POST"]),
            Route("/tasks", self.list_tasks),
            Route("/tasks/{id}", self.retrieve_task),
            Route("/tasks/{id}", self.delete_task, methods=["DELETE"]),
            Route("/assets", self.create_asset, methods=["POST"]),
            Route("/assets", self.list_assets),
            Route("/assets/{id}", self.retrieve_asset),
            Route("/assets/{id}", self.delete_asset, methods=["DELETE"]),
            Route("/assets/{id}/indexed-assets", self.list_indexed_assets_of_asset),
            Route("/indexes/{index_id}/indexed-assets", self.index_asset, methods=["POST"]),
            Route("/indexes/{index_id}/indexed-assets", self.list_indexed_assets),
            Route("/indexes/{index_id}/indexed-assets/{id}", self.retrieve_indexed_asset),
            Route("/indexes/{index_id}/indexed-assets/{id}", self.delete_indexed_asset, methods=["DELETE"]),
            Route("/indexes/{index_id}/videos/{id}", self.delete_video, methods=["DELETE"]),
        ]

    # --- tasks ---

    async def create_task(self, request: Request) -> Response:
        form = await read_multipart(request)
        check_known(form, TASK_FIELDS)
        index_id = required(form, "index_id")
        check_index(index_id)
        source = self._source_of_task(form)
        streams, user_metadata = flag(form, "enable_video_stream"), form_metadata(form)
        if answer := await self._refusal(Step.TASK, source.url, source, request):
            return answer
        task = await self._account.create_task(source, index_id=index_id, streams=streams, user_metadata=user_metadata)
        return await self._accepted(Step.TASK, source.url, source, answers.created_task(task), request)

    async def list_tasks(self, request: Request) -> Response:
        rows = map(answers.listed_task, self._account.tasks.values())
        return page(rows, request)

    async def retrieve_task(self, request: Request) -> Response:
        return JSONResponse(answers.task(self._task(request)))

    async def delete_task(self, request: Request) -> Response:
        task = self._task(request)
        if task.work.status not in ("ready", "failed"):
            raise errors.task_cannot_be_deleted(f"Task {task.work.id} is {task.work.status}.")
        if task.work.status == "ready" and task.has_vector:
            raise errors.task_cannot_be_deleted(f"Video {task.video_id} must be deleted before its task.")
        del self._account.tasks[task.work.id]
        return Response(status_code=204)

    async def delete_video(self, request: Request) -> Response:
        """Of a task, whether it has ended or not: what is indexed later of it stays deleted (inferred)."""
        index_id, video_id = request.path_params["index_id"], request.path_params["id"]
        check_index(index_id)
        for task in self._account.tasks.values():
            if (task.index_id, task.video_id, task.has_vector) == (index_id, video_id, True):
                task.has_vector = False
                return Response(status_code=204)
        raise errors.resource_not_exist(video_id, "videos")

    # --- assets ---

    async def create_asset(self, request: Request) -> Response:
        form = await read_multipart(request)
        check_known(form, ASSET_FIELDS)
        source = self._source_of_asset(form)
        hls, thumbnail, user_metadata = flag(form, "enable_hls"), flag(form, "enable_thumbnail"), form_metadata(form)
        if answer := await self._refusal(Step.ASSET, source.url, source, request):
            return answer
        asset = await self._account.create_asset(
            source,
            method=required(form, "method"),
            filename=optional(form, "filename") or source.filename,
            hls=hls,
            thumbnail=thumbnail,
            user_metadata=user_metadata,
        )
        return await self._accepted(Step.ASSET, source.url, source, answers.created_asset(asset), request)

    async def list_assets(self, request: Request) -> Response:
        """The newest first. A filename is a part of one, in any case."""
        part = request.query_params.get("filename", "").lower()
        named = (asset for asset in self._account.assets.values() if part in asset.work.video.filename.lower())
        return JSONResponse(read_wanted(request.query_params).page_of(map(answers.asset, named)))

    async def retrieve_asset(self, request: Request) -> Response:
        return JSONResponse(answers.asset(self._asset(request.path_params["id"])))

    async def delete_asset(self, request: Request) -> Response:
        asset = self._asset(request.path_params["id"])
        if self._account.indexed(asset) and not flag(request.query_params, "force", default=False):
            raise errors.asset_referenced(asset.work.id)
        del self._account.assets[asset.work.id]
        return Response(status_code=204)

    async def list_indexed_assets_of_asset(self, request: Request) -> Response:
        indexed = self._account.indexed(self._asset(request.path_params["id"]))
        wanted = read_wanted(request.query_params)
        return JSONResponse(wanted.page_of(map(answers.indexed_asset_summary, indexed)))

    # --- indexed assets ---

    async def index_asset(self, request: Request) -> Response:
        index_id = request.path_params["index_id"]
        check_index(index_id)
        fields = await read_json(request)
        check_known(fields, INDEXED_ASSET_FIELDS)
        asset = self._asset(required(fields, "asset_id"))
        streams, user_metadata = json_flag(fields, "enable_video_stream"), json_metadata(fields)
        if asset.work.status != "ready":
            raise errors.parameter_invalid("asset_id", f"The asset is {asset.work.status}.")
        if answer := await self._refusal(Step.INDEXED_ASSET, asset.work.id, asset.work.source, request):
            return answer
        indexed = await self._account.index_asset(
            asset, index_id=index_id, streams=streams, user_metadata=user_metadata
        )
        body = answers.created_indexed_asset(indexed)
        return await self._accepted(Step.INDEXED_ASSET, asset.work.id, asset.work.source, body, request)

    async def list_indexed_assets(self, request: Request) -> Response:
        index_id = request.path_params["index_id"]
        check_index(index_id)
        indexed = (indexed for indexed in self._account.indexed_assets.values() if indexed.index_id == index_id)
        return page(map(answers.listed_indexed_asset, indexed), request)

    async def retrieve_indexed_asset(self, request: Request) -> Response:
        return JSONResponse(answers.indexed_asset(self._indexed_asset(request)))

    async def delete_indexed_asset(self, request: Request) -> Response:
        del self._account.indexed_assets[self._indexed_asset(request).work.id]
        return Response(status_code=204)

    # --- everything that all of them need ---

    async def gate(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Notes the request, then asks for the key."""
        self.requests.append(
            ReceivedRequest(
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                headers={name: value for name, value in request.headers.items() if name not in SECRET_HEADERS},
                body=readable_fields(request.headers.get("content-type", ""), await request.body()),
                at=datetime.now(UTC),
            )
        )
        key = request.headers.get("x-api-key", "").strip()
        if not key or key.startswith("tlk_revoked"):
            return error_response(errors.api_key_invalid())
        return await call_next(request)

    async def _refusal(self, step: Step, subject: str, source: Source, request: Request) -> Response | None:
        """How a submit is answered that is not accepted. Raises ApiError if it is for the source's own fault."""
        if fault := self._account.next_fault(step, subject, source):
            return await answer_fault(fault, request)
        code = source.behaviour.rejects.get(step)
        if code and step is Step.ASSET:
            raise errors.asset_too_large()
        if code:
            raise errors.video_rejected(code)
        return None

    async def _accepted(self, step: Step, subject: str, source: Source, body: Body, request: Request) -> Response:
        if source.behaviour.lost and self._account.is_first(step, subject):
            return await cut(request)
        return JSONResponse(body, status_code=201)

    def _source_of_task(self, form: Form) -> Source:
        file = form.get("video_file")
        if isinstance(file, UploadedFile):
            if "video_url" in form:
                raise errors.parameters_invalid()
            return self._source(file.filename, "video_file")
        return self._source(web_address(required(form, "video_url"), "video_url"), "video_url")

    def _source_of_asset(self, form: Form) -> Source:
        match required(form, "method"):
            case "url":
                return self._source(web_address(required(form, "url"), "url"), "url")
            case "direct":
                file = form.get("file")
                if not isinstance(file, UploadedFile):
                    raise errors.parameter_not_provided("file")
                return self._source(file.filename, "file")
            case _:
                raise errors.parameter_invalid("method")

    def _source(self, url: str, parameter: str) -> Source:
        try:
            return read_source(url, self._account.knobs)
        except ValueError as error:
            raise errors.parameter_invalid(parameter, f"It turns a knob wrongly: {error}.") from error

    def _task(self, request: Request) -> Task:
        return find(self._account.tasks, request.path_params["id"], "tasks")

    def _asset(self, asset_id: str) -> Asset:
        return find(self._account.assets, asset_id, "assets")

    def _indexed_asset(self, request: Request) -> IndexedAsset:
        index_id, indexed_id = request.path_params["index_id"], request.path_params["id"]
        check_index(index_id)
        indexed = find(self._account.indexed_assets, indexed_id, "indexed-assets")
        if indexed.index_id != index_id:
            raise errors.resource_not_exist(indexed_id, "indexed-assets")
        return indexed


def application(api: Api, **settings: Any) -> Starlette:
    """`settings` are Starlette's own."""
    return Starlette(
        routes=[*api.routes(), Mount("/v1.3", routes=api.routes())],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=api.gate)],
        exception_handlers={ApiError: show_error, HTTPException: show_wrong_path},
        **settings,
    )


async def show_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):  # Starlette's type would allow it
        raise error
    return error_response(error)


async def show_wrong_path(request: Request, error: Exception) -> Response:
    """The code is printed, that it means this is inferred."""
    if not isinstance(error, HTTPException):
        raise error
    message = f"{request.method} {request.url.path} is not allowed to use."
    return error_response(ApiError(error.status_code, "api_not_allowed", message, error.headers))


def error_response(error: ApiError) -> Response:
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)


def page(rows: Iterable[Body], request: Request) -> Response:
    wanted = read_wanted(request.query_params)
    return JSONResponse(wanted.page_of(filtered(rows, request.query_params)))


async def answer_fault(fault: Fault, request: Request) -> Response:
    match fault:
        case Fault.REFUSED:
            return error_response(errors.parameters_invalid())
        case Fault.THROTTLED:
            resets_at = int(time.time()) + RETRY_AFTER_SECONDS
            return error_response(errors.too_many_requests(RETRY_AFTER_SECONDS, resets_at))
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


def readable_fields(content_type: str, body: bytes) -> Fields:
    try:
        if content_type.startswith("multipart/"):
            return read_form(content_type, body)
        fields = json.loads(body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


async def read_multipart(request: Request) -> Form:
    try:
        return read_form(request.headers.get("content-type", ""), await request.body())
    except ValueError as error:
        raise errors.parameters_invalid() from error


async def read_json(request: Request) -> Fields:
    try:
        fields = json.loads(await request.body())
    except ValueError as error:
        raise errors.parameters_invalid() from error
    if not isinstance(fields, dict):
        raise errors.parameters_invalid()
    return fields


def check_known(fields: Fields, known: frozenset[str]) -> None:
    for unknown in fields.keys() - known:
        raise errors.parameter_unknown(unknown)


def check_index(index_id: str) -> None:
    if index_id.startswith("unknown"):
        raise errors.resource_not_exist(index_id, "indexes")


def find[T](resources: Mapping[str, T], resource_id: str, collection: str) -> T:
    if resource_id not in resources:
        raise errors.resource_not_exist(resource_id, collection)
    return resources[resource_id]


def required(fields: Fields, name: str) -> str:
    value = optional(fields, name)
    if not value:
        raise errors.parameter_not_provided(name)
    return value


def optional(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise errors.parameter_invalid(name)
    return value


def web_address(url: str, name: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise errors.parameter_invalid(name) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise errors.parameter_invalid(name)
    return url


def flag(fields: Mapping[str, Any], name: str, *, default: bool = True) -> bool:
    """As a form or a query writes it. That a video is stored for streaming unless that is forbidden is inferred; of
    an asset's HLS and thumbnail it is documented."""
    value = fields.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise errors.parameter_invalid(name)
    return bool(value == "true")


def json_flag(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise errors.parameter_invalid(name)
    return value is not False


def form_metadata(form: Form) -> UserMetadata | None:
    """A form has it as a JSON-encoded string."""
    value = optional(form, "user_metadata")
    if value is None:
        return None
    try:
        return checked_metadata(json.loads(value))
    except json.JSONDecodeError:
        raise errors.parameter_invalid("user_metadata") from None


def json_metadata(fields: Fields) -> UserMetadata | None:
    value = fields.get("user_metadata")
    return None if value is None else checked_metadata(value)


def checked_metadata(value: object) -> UserMetadata:
    if not isinstance(value, dict):
        raise errors.parameter_invalid("user_metadata")
    return value
