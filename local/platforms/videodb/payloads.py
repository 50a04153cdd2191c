"""The bodies that VideoDB's callbacks have.

Three origins, said beside each body:

- printed: the documents' own bytes (https://docs.videodb.io/callback-details-66, and the page "Async patterns" for the
  failure), with the page's markdown escapes taken out. Only what later calls need is replaced: the media id, the
  collection id, and the name if the upload gave one. Everything else (extension, size, length, both urls) stays as
  printed, whatever the source was.
- inferred: the documents print no body; this one follows from what VideoDB's SDK and handler samples read.
- ours: words that VideoDB certainly has, but prints nowhere.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What a media file is, in VideoDB's words (`media_type`)."""

    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"


class Step(StrEnum):
    """The asynchronous work that can be asked for."""

    UPLOAD = "upload"
    INDEX_SPOKEN_WORDS = "index_spoken_words"
    INDEX_SCENES = "index_scenes"
    EXTRACT_SCENES = "extract_scenes"


# printed; the line layout without indentation is the page's
UPLOADED = {
    Kind.VIDEO: """\
{
"success":true,
"data":{
"id":"m-**",
"collection_id":"c-**",
"name":"What is AWS? | Amazon Web Services",
"extension":"mp4",
"size":"13294233",
"length":"191.146667",
"stream_url":"https://stream.videodb.io/v3/published/xxx/xx/x.m3u8",
"player_url":"https://console.videodb.io/player?url=https://stream.videodb.io/v3/published/manifests/xxx/xx/x.m3u8"
}
}""",
    Kind.AUDIO: """\
{
"success":true,
"data":{
"id":"a-**",
"collection_id":"c-**",
"name":"What is AWS? | Amazon Web Services",
"extension":"mp3",
"size":"13294233",
"length":"191.146667"
}
}""",
    Kind.IMAGE: """\
{
"success":true,
"data":{
"id":"img-**",
"collection_id":"c-**",
"name":"What is AWS? | Amazon Web Services",
"extension":"jpg",
"size":"13294233"
}
}""",
}

# printed; the only failure body that VideoDB prints
FAILED = """\
{
  "success": false,
  "message": "Download failed."
}"""

DOWNLOAD_FAILED = "Download failed."  # printed
INVALID_MEDIA_TYPE = "Invalid media type"  # inferred: the words of the error table
SOMETHING_WENT_WRONG = "Something went wrong"  # inferred: the words of the error table
NO_SPEECH = "No spoken words found."  # ours
NO_SCENES = "Scene index failed."  # ours
NO_EXTRACT = "Scene extraction failed."  # ours

ID_PREFIX = {Kind.VIDEO: "m", Kind.AUDIO: "a", Kind.IMAGE: "img"}
PRINTED_NAME = '"What is AWS? | Amazon Web Services"'


def new_media_id(kind: Kind, random: Random) -> str:
    """An id in the shape that was seen in public: m-z-01a051cb-8676-77d3-b8f6-ba5d6c203b0c."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{ID_PREFIX[kind]}-z-01a0{digits[:4]}-{digits[4:8]}-7{digits[8:11]}-b{digits[11:14]}-{digits[14:26]}"


def uploaded(kind: Kind, media_id: str, collection_id: str, name: str | None = None) -> bytes:
    """Printed. With the id `m-**`, the collection `c-**` and no name it is the page's body, byte for byte."""
    body = UPLOADED[kind]
    body = body.replace(f'"{ID_PREFIX[kind]}-**"', quoted(media_id))
    body = body.replace('"c-**"', quoted(collection_id))
    if name is not None:
        body = body.replace(PRINTED_NAME, quoted(name))
    return body.encode()


def failed(message: str = DOWNLOAD_FAILED) -> bytes:
    """Printed for the message `Download failed.`; every other failure is inferred to look the same."""
    return FAILED.replace(quoted(DOWNLOAD_FAILED), quoted(message)).encode()


def spoken_words_indexed(video_id: str) -> bytes:
    """Inferred: VideoDB's own sample handler reads `event["data"]["id"]` as the video that is ready."""
    return json.dumps({"success": True, "data": {"id": video_id}}).encode()


def scenes_indexed(scene_index_id: str) -> bytes:
    """Inferred: the synchronous answer that the SDK reads has `data.scene_index_id`."""
    return json.dumps({"success": True, "data": {"scene_index_id": scene_index_id}}).encode()


def scenes_extracted(scene_collection_id: str, config: Mapping[str, object]) -> bytes:
    """Inferred: the synchronous answer that the SDK reads has `data.scene_collection`, with every scene and frame."""
    scenes = [extracted_scene(scene_collection_id, number) for number in range(3)]
    collection = {"scene_collection_id": scene_collection_id, "config": dict(config), "scenes": scenes}
    return json.dumps({"success": True, "data": {"scene_collection": collection}}).encode()


def extracted_scene(scene_collection_id: str, number: int) -> dict[str, object]:
    """Scene `number` of ten seconds each, with the one frame in its middle."""
    scene_id = f"{scene_collection_id}-{number}"
    start, middle, end = 10.0 * number, 10.0 * number + 5, 10.0 * (number + 1)
    url = f"https://stream.videodb.io/frames/{scene_id}.jpg"
    frame = {"frame_id": f"{scene_id}-0", "url": url, "frame_time": middle, "description": None}
    return {"scene_id": scene_id, "start": start, "end": end, "description": None, "frames": [frame]}


def quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
