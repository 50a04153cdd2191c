"""TwelveLabs, api.video and VOD as far as a job that succeeds needs them, with bodies as they print them."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from local.faults.platforms.border import Asked, Submission
from local.faults.points import Kind
from local.faults.world import SECRETS, World
from local.platforms.apsaravideo import payloads

TWELVELABS_SECONDS = 40.0
"""What an asset takes, and what its indexing takes."""
APIVIDEO_SECONDS = 10.0
"""Between an upload and its first rendition, and between renditions."""
RENDITIONS = ("hls 240p", "hls 360p", "hls 480p", "hls 720p", "mp4 1080p", "hls 1080p")
"""Of a source of 1080p (api.video page "Video status & details"), in an order in which they may end."""
VOD_SECONDS = 40.0


class TwelveLabs:
    """An asset, and its place in an index. Neither is told to webhooks."""

    def __init__(self, world: World) -> None:
        self.submissions: list[Submission] = []
        self._world = world
        self._ready_at: dict[str, float] = {}

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "POST":
            made = f"{0x65F0_0000_0000_0000_0000_0000 + len(self._ready_at):024x}"
            self._ready_at[made] = self._world.clock.seconds + TWELVELABS_SECONDS
            return 201, {"_id": made, "status": "processing"}
        named = asked.path.rsplit("/", maxsplit=1)[-1]
        ready = self._ready_at[named] <= self._world.clock.seconds
        about = {"_id": named, "created_at": "2026-07-07T12:00:00Z", "status": "ready" if ready else "processing"}
        if "indexed-assets" in asked.path:
            measures = {"filename": "introduction.mp4", "duration": 600.0, "fps": 30.0, "width": 1920, "height": 1080}
            return 200, {**about, "system_metadata": {**measures, "size": 96_000_000}}
        return 200, {**about, "method": "url", "filename": "introduction.mp4", "file_type": "video/mp4"}


class ApiVideo:
    """A video, whose renditions are told one by one."""

    def __init__(self, world: World) -> None:
        self.submissions: list[Submission] = []
        self._world = world
        self._made: dict[str, float] = {}

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "POST":
            return 201, self._video(asked.body)
        made_at = self._made[re.split("/", asked.path)[2]]
        encoded = int((self._world.clock.seconds - made_at) // APIVIDEO_SECONDS)
        qualities = [
            {"type": encoding, "quality": quality, "status": "encoded" if number < encoded else "encoding"}
            for number, (encoding, quality) in enumerate(map(str.split, RENDITIONS))
        ]
        picture: dict[str, Any] = {"width": 1920, "height": 1080, "bitrate": 766.0, "duration": 200, "framerate": 24}
        picture |= {"samplerate": 44100, "videoCodec": "h264", "audioCodec": "aac", "aspectRatio": "16/9"}
        ingest = {"status": "ingested", "filesize": 96_000_000, "receivedBytes": []}
        return 200, {"ingest": ingest, "encoding": {"playable": True, "qualities": qualities, "metadata": picture}}

    def _video(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        video_id = f"vi4blUQJFrYWbaG44NCh{len(self._made):04}"
        self._made[video_id] = self._world.clock.seconds
        for number, (encoding, quality) in enumerate(map(str.split, RENDITIONS), start=1):
            event = {
                "type": "video.encoding.quality.completed",
                "emittedAt": "2024-08-15T10:18:47+00:00",
                "videoId": video_id,
                "encoding": encoding,
                "quality": quality,
            }
            self._world.call_back(
                "https://jobs.example.com/callbacks/apivideo/encoding-quality-completed",
                json.dumps(event).encode(),
                sign=_apivideo_signature,
                after=APIVIDEO_SECONDS * number,
            )
        assets = {
            "iframe": f'<iframe src="https://embed.api.video/vod/{video_id}" width="100%" height="100%"></iframe>',
            "player": f"https://embed.api.video/vod/{video_id}",
            "hls": f"https://cdn.api.video/vod/{video_id}/hls/manifest.m3u8",
            "thumbnail": f"https://cdn.api.video/vod/{video_id}/thumbnail.jpg",
            "mp4": f"https://cdn.api.video/vod/{video_id}/mp4/source.mp4",
        }
        return {"videoId": video_id, "title": fields["title"], "metadata": fields["metadata"], "assets": assets}


def _apivideo_signature(body: bytes) -> Mapping[str, str]:
    [(webhook, secret)] = ((name, key) for name, key in SECRETS["APIVIDEO_SECRET"].items() if name != "api_key")
    made = hmac.digest(secret.encode(), body, "sha256").hex()
    return {"x-api-video-webhookid": webhook, "x-api-video-signature": made}


class Vod:
    """An upload by URL, whose end is told."""

    def __init__(self, world: World) -> None:
        self.submissions: list[Submission] = []
        self._world = world
        self._uploads: dict[str, Mapping[str, Any]] = {}

    def sdk(self) -> Any:
        return SimpleNamespace(
            upload_media_by_urlwith_options=lambda request, _runtime: self._answer(lambda: self._uploaded(request)),
            get_urlupload_infos_with_options=lambda request, _runtime: self._answer(lambda: self._infos(request)),
        )

    def _answer(self, body: Callable[[], Mapping[str, Any]]) -> Any:
        self._world.making(Kind.PLATFORM, "apsaravideo")
        found = body()
        return SimpleNamespace(body=SimpleNamespace(to_map=lambda: found))

    def _uploaded(self, request: Any) -> Mapping[str, Any]:
        number = len(self._uploads)
        job_id, media_id = f"{number:032x}", f"{1000 + number:032x}"
        self._uploads[job_id] = {
            "JobId": job_id,
            "MediaId": media_id,
            "Status": "SUCCESS",
            "FileSize": "96000000",
            "ErrorCode": "200",
            "UploadURL": request.upload_urls,
            "UserData": request.user_data,
        }
        url = json.loads(request.user_data)["MessageCallback"]["CallbackURL"]
        event = payloads.uploaded(
            time="2026-11-28T12:00:00Z", video_id=media_id, job_id=job_id, source_url="https://x/y.mp4", size=96_000_000
        )
        self._world.call_back(url, event, sign=lambda _body: self._signature(url), after=VOD_SECONDS)
        return {"RequestId": "1", "UploadJobs": [{"JobId": job_id, "SourceURL": request.upload_urls}]}

    def _infos(self, request: Any) -> Mapping[str, Any]:
        return {"RequestId": "2", "URLUploadInfoList": [self._uploads[request.job_ids]], "NonExists": []}

    def _signature(self, url: str) -> Mapping[str, str]:
        moment = f"{self._world.clock.seconds:.0f}"
        key = SECRETS["APSARAVIDEO_SECRET"]["auth_key"]
        made = hashlib.md5(f"{url}|{moment}|{key}".encode(), usedforsecurity=False).hexdigest()
        return {"x-vod-timestamp": moment, "x-vod-signature": made}
