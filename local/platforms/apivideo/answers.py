"""The bodies with which api.video answers requests.

Printed: the video, its status, the webhook, and lists of both. Inferred: that a value which nobody gave is left out
where the SDK would not take null (`playerId`, `language`), that the status of a video without a source has no ingest,
and that nothing is known of the picture before the source is there.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from math import gcd

from starlette.requests import Request

from local.platforms.apivideo.encoding import ladder
from local.platforms.apivideo.errors import Body
from local.platforms.apivideo.lists import Page
from local.platforms.apivideo.studio import Video
from local.platforms.apivideo.webhooks import Webhook

# printed, in the guide's example
BITRATE, DURATION, FRAMERATE, SAMPLERATE = 766.0, 200, 24, 44100

UNKNOWN_PICTURE: Body = dict.fromkeys(
    ("width", "height", "bitrate", "duration", "framerate", "samplerate", "videoCodec", "audioCodec", "aspectRatio")
)


def video(video: Video) -> Body:
    asked = video.fields
    language = asked.get("language")
    return {
        "videoId": video.id,
        "title": asked["title"],
        "description": asked.get("description", ""),
        **({"language": language, "languageOrigin": "api"} if language else {}),
        "public": asked.get("public", True),
        "panoramic": asked.get("panoramic", False),
        "mp4Support": asked.get("mp4Support", True),
        **({"playerId": asked["playerId"]} if asked.get("playerId") else {}),
        "tags": asked.get("tags", []),
        "metadata": asked.get("metadata", []),
        "publishedAt": timestamp(video.created_at),
        "createdAt": timestamp(video.created_at),
        "updatedAt": timestamp(video.updated_at),
        "discarded": False,
        "discardedAt": None,
        "deletesAt": None,
        "source": {"uri": f"/videos/{video.id}/source"},
        "assets": assets(video),
    }


def assets(video: Video) -> Body:
    player, cdn = f"https://embed.api.video/vod/{video.id}", f"https://cdn.api.video/vod/{video.id}"
    frame = 'width="100%" height="100%" frameborder="0" scrolling="no" allowfullscreen=""'
    mp4 = {"mp4": f"{cdn}/mp4/source.mp4"} if video.fields.get("mp4Support", True) else {}
    return {
        "iframe": f'<iframe src="{player}" {frame}></iframe>',
        "player": player,
        "hls": f"{cdn}/hls/manifest.m3u8",
        "thumbnail": f"{cdn}/thumbnail.jpg",
        **mp4,
    }


def status(video: Video) -> Body:
    untyped = video.source is not None and video.source.behaviour.untyped
    qualities = [
        {
            **({} if untyped else {"type": rendition.encoding}),
            "quality": rendition.quality,
            "status": rendition.status,
        }
        for rendition in video.plan.listed
    ]
    encoding = {"playable": video.playable, "qualities": qualities, "metadata": picture(video)}
    return {"ingest": ingest(video), "encoding": encoding}


def ingest(video: Video) -> Body | None:
    if video.ingest is None:
        return None
    body: Body = {"status": video.ingest, "filesize": video.filesize, "receivedBytes": []}
    if video.origin == "upload":
        body["receivedParts"] = {"parts": sorted(video.upload.parts), "total": video.upload.total}
    return body


def picture(video: Video) -> Body:
    if video.source is None or not video.ingested:
        return UNKNOWN_PICTURE
    height = max(ladder(video.source)) if video.source.behaviour.new_quality else video.source.height
    width = round(height * 16 / 9)
    ratio = gcd(width, height)
    return {
        "width": width,
        "height": height,
        "bitrate": BITRATE,
        "duration": DURATION,
        "framerate": FRAMERATE,
        "samplerate": SAMPLERATE,
        "videoCodec": "h264",
        "audioCodec": "aac",
        "aspectRatio": f"{width // ratio}/{height // ratio}",  # the guide has 16:9, the OpenAPI file 16/9
    }


def webhook(webhook: Webhook) -> Body:
    return {
        "webhookId": webhook.id,
        "createdAt": timestamp(webhook.created_at),
        "events": list(webhook.events),
        "url": webhook.url,
        "signatureSecret": webhook.secret,
    }


def page_of(rows: Sequence[Body], page: Page, request: Request) -> Body:
    """Printed: the fields, and the links self, first and last; next and previous are inferred."""
    start = (page.current - 1) * page.size
    shown = rows[start : start + page.size]
    total = max(1, math.ceil(len(rows) / page.size))
    numbers = {"self": page.current, "first": 1, "previous": page.current - 1, "next": page.current + 1, "last": total}
    return {
        "data": shown,
        "pagination": {
            "currentPage": page.current,
            "pageSize": page.size,
            "pagesTotal": total,
            "itemsTotal": len(rows),
            "currentPageItems": len(shown),
            "links": [
                {"rel": rel, "uri": str(request.url.include_query_params(currentPage=number))}
                for rel, number in numbers.items()
                if rel == "self" or 1 <= number <= total
            ],
        },
    }


def timestamp(moment: datetime) -> str:
    """As in 2024-07-14T23:36:07+00:00."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
