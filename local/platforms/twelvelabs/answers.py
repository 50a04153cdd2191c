"""The bodies with which TwelveLabs answers requests.

The task, its list and the paging are printed in the documents; the asset and the indexed asset are what the SDK 1.3.6
documents of their fields. Inferred: which fields are missing before they can be known, `error_reason` being a string
(it was seen in public, is in no document, and the SDK does not name it), and what the addresses look like.
"""

import mimetypes
from collections.abc import Mapping
from datetime import UTC, datetime

from local.platforms.twelvelabs.account import Asset, IndexedAsset, Task, Video, Work
from local.platforms.twelvelabs.errors import Body

CDN = "https://d2cp8xx7n5vxnu.cloudfront.net"


def created_task(task: Task) -> Body:
    return {"_id": task.work.id, "video_id": task.video_id}


def task(task: Task) -> Body:
    streamed = {"hls": hls(task.video_id, task.work)} if task.streams else {}
    return {**listed_task(task), **streamed}


def listed_task(task: Task) -> Body:
    reason = {"error_reason": task.work.error} if task.work.status == "failed" else {}
    return {
        "_id": task.work.id,
        "video_id": task.video_id,
        "index_id": task.index_id,
        "status": task.work.status,
        **reason,
        "created_at": timestamp(task.work.began),
        "updated_at": timestamp(task.work.updated_at),
        "system_metadata": system_metadata(task.work.video, task.work, "duration", "height", "width"),
    }


def created_asset(asset: Asset) -> Body:
    return {
        "_id": asset.work.id,
        "method": asset.method,
        "status": asset.work.status,
        "filename": asset.work.video.filename,
        "file_type": file_type(asset),
        "created_at": timestamp(asset.work.began),
        **given("user_metadata", asset.user_metadata),
    }


def asset(asset: Asset) -> Body:
    body = created_asset(asset)
    if asset.hls and is_streamable(asset):
        body["hls"] = rendition(asset, "manifest_url", "stream.m3u8")
    if asset.thumbnail:
        body["thumbnail"] = rendition(asset, "representative_url", "thumbnail.jpg")
    if asset.work.status == "ready":
        body["size"] = asset.work.video.size
        body["technical_metadata"] = technical_metadata(asset)
        body |= given("duration", asset.work.video.duration if is_streamable(asset) else None)
    if asset.work.status == "failed":
        body["error"] = {"message": asset.work.error}
    return body


def created_indexed_asset(indexed: IndexedAsset) -> Body:
    return {"_id": indexed.work.id, "asset_id": indexed.asset.work.id}


def indexed_asset(indexed: IndexedAsset) -> Body:
    streamed = {"hls": hls(indexed.work.id, indexed.work)} if indexed.streams else {}
    return {**listed_indexed_asset(indexed), **given("user_metadata", indexed.user_metadata), **streamed}


def listed_indexed_asset(indexed: IndexedAsset) -> Body:
    """No field says why one failed."""
    work = indexed.work
    return {
        "_id": indexed.work.id,
        "asset_id": indexed.asset.work.id,
        "status": work.status,
        "created_at": timestamp(work.began),
        "updated_at": timestamp(work.updated_at),
        **given("indexed_at", timestamp(work.ends_at) if work.status == "ready" else None),
        "system_metadata": system_metadata(
            indexed.asset.work.video, work, "duration", "fps", "width", "height", "size"
        ),
    }


def indexed_asset_summary(indexed: IndexedAsset) -> Body:
    """The index's name is its id: there is no call to give it one."""
    return {"_id": indexed.work.id, "index": {"_id": indexed.index_id, "name": indexed.index_id}}


def system_metadata(video: Video, work: Work, *measures: str) -> Body:
    """The measures are there when the video was validated, and not of a failed one."""
    known = measures if work.status not in ("validating", "failed") else ()
    return {"filename": video.filename, **{name: getattr(video, name) for name in known}}


def hls(name: str, work: Work) -> Body:
    encoding = {"ready": "COMPLETE", "failed": "ERROR"}.get(work.status, "PROCESSING")
    body: Body = {"status": encoding, "updated_at": timestamp(work.updated_at)}
    if work.status == "ready":
        body["video_url"] = f"{CDN}/{name}/stream/{name}.m3u8"
        body["thumbnail_urls"] = [f"{CDN}/{name}/thumbnails/{name}.0000001.jpg"]
    return body


def rendition(asset: Asset, name: str, file: str) -> Body:
    match asset.work.status:
        case "ready":
            return {"status": "ready", name: f"{CDN}/assets/{asset.work.id}/{file}"}
        case "failed":
            return {"status": "error"}
        case _:
            return {"status": "processing"}


def technical_metadata(asset: Asset) -> Body:
    video = asset.work.video
    metadata: Body = {"file_size_bytes": video.size, "file_mime_type": file_type(asset)}
    if not file_type(asset).startswith("video/"):
        return metadata
    return metadata | {
        "video_width": video.width,
        "video_height": video.height,
        "video_fps": video.fps,
        "video_duration_seconds": video.duration,
    }


def file_type(asset: Asset) -> str:
    """A file without a known extension counts as a video, as most sources are."""
    return mimetypes.guess_type(asset.work.video.filename)[0] or "video/mp4"


def is_streamable(asset: Asset) -> bool:
    return file_type(asset).startswith(("video/", "audio/"))


def given(name: str, value: object) -> Mapping[str, object]:
    return {} if value is None else {name: value}


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
