"""api.video: videos carry metadata, and can be looked for by them; each rendition calls back, three times at most."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.faults.deployment import BASE_URL
from local.faults.platforms.border import Asked, Submission

TAKES = 40.0
RENDITIONS = ("mp4 360p", "hls 240p", "hls 360p")
WEBHOOK = f"{BASE_URL}/callbacks/apivideo/encoding-quality-completed"
WEBHOOK_ID, SECRET = "webhook_test", "sig_sec_test"
AGAIN = (3.0, 3.0)
_METADATUM = re.compile(r"metadata\[(.+)\]")


@dataclass(eq=False, kw_only=True)
class Video:
    id: str
    fields: Mapping[str, Any]
    ends: dict[str, float] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()


class ApiVideo:
    """`failing`: which renditions fail, of each video in their order."""

    def __init__(self, world: Any, *, failing: Sequence[Sequence[str]] = (), takes: float = TAKES) -> None:
        self.submissions: list[Submission] = []
        self._world = world
        self._failing = failing
        self._takes = takes
        self._videos: dict[str, Video] = {}

    def answer(self, asked: Asked) -> tuple[int, Any]:
        parts = asked.path.strip("/").split("/")
        match asked.method, parts:
            case "POST", ["videos"]:
                subject = next((one["value"] for one in asked.body["metadata"] if one["key"] == "video_jobs_job"), "")
                self.submissions.append(Submission(step="upload", subject=subject, at=self._world.clock.now))
                return 201, self._shown(self.make(f"vi{self._world.next_id()}", asked.body))
            case "GET", ["videos"]:
                found = [self._shown(video) for video in self._videos.values() if _suits(video, asked.query)]
                return 200, {"data": found, "pagination": {"currentPage": 1, "pagesTotal": 1, "itemsTotal": len(found)}}
            case "GET", ["videos", name] if name in self._videos:
                return 200, self._shown(self._videos[name])
            case "GET", ["videos", name, "status"] if name in self._videos:
                return 200, self._status(self._videos[name])
            case _:
                return 404, {"type": "https://docs.api.video/reference/resource-not-found", "title": "Not found.",
                             "name": "videoId", "status": 404}  # fmt: skip

    def make(self, video_id: str, fields: Mapping[str, Any]) -> Video:
        """A video, which is encoded from now on."""
        failing = self._failing[len(self._videos)] if len(self._videos) < len(self._failing) else ()
        video = Video(id=video_id, fields=dict(fields), failing=frozenset(failing))
        self._videos[video.id] = video
        for number, rendition in enumerate(RENDITIONS, start=1):
            after = self._takes * number / len(RENDITIONS)
            video.ends[rendition] = self._world.clock.seconds + after
            if rendition not in video.failing:  # no callback says that one has failed
                self.call_back(video.id, rendition, after=after, video=video)
        return video

    def call_back(self, video_id: str, rendition: str, *, after: float = 0.0, video: Video | None = None) -> None:
        """Call the webhook about a rendition, whether there is such a video or not."""
        encoding, _, quality = rendition.partition(" ")
        body = {"type": "video.encoding.quality.completed", "emittedAt": "2026-11-28T10:18:47+00:00",
                "videoId": video_id, "encoding": encoding, "quality": quality}  # fmt: skip

        def ends() -> None:
            if video is not None:
                video.ends[rendition] = min(video.ends[rendition], self._world.clock.seconds)

        text = json.dumps(body, separators=(",", ":")).encode()
        self._world.call_back(WEBHOOK, text, sign=_signed, again=AGAIN, after=after, first=ends)

    def _shown(self, video: Video) -> dict[str, Any]:
        return {"videoId": video.id, "title": video.fields.get("title"), "metadata": video.fields.get("metadata", []),
                "assets": {"hls": f"https://cdn.api.video/vod/{video.id}/hls/manifest.m3u8"}}  # fmt: skip

    def _status(self, video: Video) -> dict[str, Any]:
        qualities = [
            {"type": rendition.split()[0], "quality": rendition.split()[1], "status": self._word(video, rendition)}
            for rendition in RENDITIONS
        ]
        playable = any(one["status"] == "encoded" for one in qualities)
        encoding = {"playable": playable, "qualities": qualities, "metadata": {}}
        return {"ingest": {"status": "uploaded", "filesize": 1000, "receivedBytes": []}, "encoding": encoding}

    def _word(self, video: Video, rendition: str) -> str:
        if video.ends[rendition] > self._world.clock.seconds:
            return "encoding"
        return "failed" if rendition in video.failing else "encoded"


def _suits(video: Video, query: Mapping[str, list[str]]) -> bool:
    pairs = [(one["key"], one["value"]) for one in video.fields.get("metadata", [])]
    wanted = [(found[1], values[0]) for name, values in query.items() if (found := _METADATUM.fullmatch(name))]
    return all(pair in pairs for pair in wanted)


def _signed(body: bytes) -> Mapping[str, str]:
    made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Api-Video-WebhookID": WEBHOOK_ID, "X-Api-Video-Signature": made}
