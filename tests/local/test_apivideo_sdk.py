"""The official SDK takes the simulated api.video for the real one."""

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3
from apivideo import AuthenticatedApiClient  # type: ignore[import-untyped]
from apivideo.apis import VideosApi, WebhooksApi  # type: ignore[import-untyped]
from apivideo.configuration import Configuration  # type: ignore[import-untyped]
from apivideo.exceptions import (  # type: ignore[import-untyped]
    ApiException,
    ApiValueError,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from apivideo.model.metadata import Metadata  # type: ignore[import-untyped]
from apivideo.model.video import Video  # type: ignore[import-untyped]
from apivideo.model.video_creation_payload import VideoCreationPayload  # type: ignore[import-untyped]
from apivideo.model.video_status import VideoStatus  # type: ignore[import-untyped]
from apivideo.model.video_update_payload import VideoUpdatePayload  # type: ignore[import-untyped]
from apivideo.model.videos_list_response import VideosListResponse  # type: ignore[import-untyped]
from apivideo.model.webhook import Webhook  # type: ignore[import-untyped]
from apivideo.model.webhooks_creation_payload import WebhooksCreationPayload  # type: ignore[import-untyped]
from apivideo.model.webhooks_list_response import WebhooksListResponse  # type: ignore[import-untyped]

from local.platforms.apivideo import SimulatedApiVideo

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
QUALITY_COMPLETED = "video.encoding.quality.completed"
DOCS = "https://docs.api.video/reference"


def wait_for[T](condition: Callable[[], T]) -> T:
    """The condition's first value that is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


@contextmanager
def sdk(apivideo: SimulatedApiVideo, key: str = "sdk-key") -> Iterator[AuthenticatedApiClient]:
    """Not yet connected. It has no other way to another host than this one."""
    client = AuthenticatedApiClient(key)
    client.configuration.host = apivideo.url
    yield client
    client.rest_client.pool_manager.clear()


@pytest.fixture
def apivideo() -> Iterator[SimulatedApiVideo]:
    with SimulatedApiVideo(pace=0.02) as apivideo:
        yield apivideo


@pytest.fixture
def client(apivideo: SimulatedApiVideo) -> Iterator[AuthenticatedApiClient]:
    with sdk(apivideo) as client:
        client.connect()
        yield client


@pytest.fixture
def videos(client: AuthenticatedApiClient) -> VideosApi:
    return VideosApi(client)


@pytest.fixture
def webhooks(client: AuthenticatedApiClient) -> WebhooksApi:
    return WebhooksApi(client)


def create(videos: VideosApi, file: str, **more: object) -> Video:
    payload = VideoCreationPayload(title="A talk", source=f"https://example.com/{file}", **more)
    return videos.create(payload, _request_timeout=LIMIT_SECONDS)


def qualities(status: VideoStatus) -> set[tuple[str, str, str]]:
    return {(one.type, one.quality, one.status) for one in status.encoding.qualities}


def ended(videos: VideosApi, video_id: str) -> VideoStatus:
    """The status when nothing is waiting and nothing is being encoded."""

    def status() -> VideoStatus | None:
        found = videos.get_status(video_id)
        statuses = {quality.status for quality in found.encoding.qualities}
        return found if statuses and not statuses & {"waiting", "encoding"} else None

    return wait_for(status)


def problem(error: ApiException) -> Any:
    return json.loads(error.body)


# --- access ---


def test_a_client_connects_and_refreshes_its_token(apivideo: SimulatedApiVideo, client: AuthenticatedApiClient) -> None:
    first = client._access_token
    client.refresh_token()
    assert client._access_token != first
    assert client.token_type == "Bearer"
    assert client.next_refresh > time.time() + 3000
    assert VideosApi(client).list().data == []
    assert [request.path for request in apivideo.requests] == ["/auth/api-key", "/auth/refresh", "/videos"]


def test_a_revoked_key_cannot_connect(apivideo: SimulatedApiVideo) -> None:
    with sdk(apivideo, "revoked-key") as client, pytest.raises(ApiException) as caught:
        client.connect()
    assert caught.value.status == 400
    assert problem(caught.value) == {
        "type": f"{DOCS}/authentication-invalid-user-credentials",
        "title": "The user credentials were incorrect.",
        "name": "",
        "status": 400,
    }


def test_a_token_that_is_over_is_unauthorized() -> None:
    with SimulatedApiVideo(token_seconds=0) as apivideo, sdk(apivideo) as client:
        client.connect()
        with pytest.raises(UnauthorizedException) as caught:
            VideosApi(client).list()
    assert problem(caught.value)["status"] == 401


# --- videos ---


def test_a_video_is_created_read_changed_and_deleted(videos: VideosApi) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    created = create(
        videos,
        "talk.mp4",
        description="What was said",
        public=False,
        mp4_support=True,
        tags=["talks"],
        metadata=[Metadata(key="job", value="j-1")],
        language="en",
    )
    assert isinstance(created, Video)
    assert (created.title, created.description, created.public) == ("A talk", "What was said", False)
    assert (created.tags, created.language, created.language_origin) == (["talks"], "en", "api")
    assert [(entry.key, entry.value) for entry in created.metadata] == [("job", "j-1")]
    assert created.source.uri == f"/videos/{created.video_id}/source"
    assert created.assets.mp4 == f"https://cdn.api.video/vod/{created.video_id}/mp4/source.mp4"
    assert before <= created.created_at <= datetime.now(UTC)
    assert videos.get(created.video_id).to_dict() == created.to_dict()

    changed = videos.update(created.video_id, VideoUpdatePayload(title="Another", tags=["new"]))
    assert (changed.title, changed.tags, changed.description) == ("Another", ["new"], "What was said")

    assert videos.delete(created.video_id) is None
    with pytest.raises(NotFoundException):
        videos.get(created.video_id)


def test_a_status_goes_from_ingesting_to_every_quality_encoded(videos: VideosApi) -> None:
    video = create(videos, "ingest-stuck.mp4")
    status = videos.get_status(video.video_id)
    assert isinstance(status, VideoStatus)
    assert (status.ingest.status, status.encoding.playable, status.encoding.qualities) == ("ingesting", False, [])
    assert status.encoding.metadata.height is None

    status = ended(videos, create(videos, "talk.mp4").video_id)
    assert status.ingest.status == "ingested"
    assert status.ingest.filesize > 0
    assert status.encoding.playable is True
    assert qualities(status) == {
        ("hls", "240p", "encoded"),
        ("hls", "360p", "encoded"),
        ("hls", "480p", "encoded"),
        ("hls", "720p", "encoded"),
        ("mp4", "720p", "encoded"),
    }
    picture = status.encoding.metadata
    assert (picture.width, picture.height, picture.aspect_ratio) == (1280, 720, "16/9")


def test_a_failed_rendition_is_in_the_status(videos: VideosApi) -> None:
    status = ended(videos, create(videos, "failed-rendition.mp4").video_id)
    assert [one.type for one in status.encoding.qualities if one.status == "failed"] == ["hls"]


def test_a_status_without_types_can_be_read(videos: VideosApi) -> None:
    status = ended(videos, create(videos, "untyped.mp4").video_id)
    assert not any("type" in one for one in status.encoding.qualities)


@pytest.mark.parametrize(
    ("file", "word"),
    [("ingest-missing.mp4", "missing"), ("ingest-merging.mp4", "merging"), ("new-quality.mp4", "1440p")],
)
def test_the_sdk_cannot_read_words_that_it_does_not_know(file: str, word: str, videos: VideosApi) -> None:
    """As was measured with the real SDK: only the raw answer helps."""
    video_id = create(videos, file).video_id

    def raw() -> str | None:
        answer = videos.get_status(video_id, _preload_content=False)
        text = answer.data.decode()
        return text if word in text else None

    wait_for(raw)
    with pytest.raises(ApiValueError, match=word):
        videos.get_status(video_id)


def test_videos_are_found_by_metadata_title_and_tags(videos: VideosApi) -> None:
    first = create(videos, "stuck.mp4", tags=["a", "b"], metadata=[Metadata(key="job", value="j-1")])
    second = create(videos, "stuck.mp4", tags=["b"], metadata=[Metadata(key="job", value="j-2")])

    def found(**filters: object) -> list[str]:
        listed = videos.list(**filters)
        assert isinstance(listed, VideosListResponse)
        return [video.video_id for video in listed.data]

    assert found(metadata={"job": "j-1"}) == [first.video_id]
    assert found(metadata={"job": "j-3"}) == []
    assert found(tags=["b"], sort_by="createdAt", sort_order="asc") == [first.video_id, second.video_id]
    assert found(tags=["a", "b"]) == [first.video_id]
    assert found(title="talk") == [second.video_id, first.video_id]
    assert found(title="else") == []


def test_a_list_of_videos_has_pages(videos: VideosApi) -> None:
    ids = [create(videos, "stuck.mp4").video_id for _ in range(3)]
    page = videos.list(page_size=2, current_page=2, sort_by="createdAt", sort_order="asc")
    assert [video.video_id for video in page.data] == ids[2:]
    about = page.pagination
    assert (about.current_page, about.page_size, about.pages_total) == (2, 2, 2)
    assert (about.items_total, about.current_page_items) == (3, 1)
    assert [link.rel for link in about.links] == ["self", "first", "previous", "last"]


@pytest.mark.parametrize("call", ["get", "get_status", "delete"])
def test_an_unknown_video_is_not_found(call: str, videos: VideosApi) -> None:
    with pytest.raises(NotFoundException) as caught:
        getattr(videos, call)("vi0000000000000000000000")
    assert problem(caught.value) == {
        "type": f"{DOCS}/resource-not-found",
        "title": "The requested resource was not found.",
        "name": "videoId",
        "status": 404,
    }
    assert int(caught.value.headers["X-RateLimit-Remaining"]) < int(caught.value.headers["X-RateLimit-Limit"])


def test_an_uploaded_file_is_encoded(videos: VideosApi) -> None:
    created = videos.create(VideoCreationPayload(title="From a file"))
    assert videos.get_status(created.video_id).ingest is None
    file = io.BytesIO(b"a video's bytes")
    file.name = "mp4-first.mp4"
    uploaded = videos.upload(created.video_id, file)
    assert uploaded.video_id == created.video_id
    status = ended(videos, created.video_id)
    assert (status.ingest.status, status.ingest.filesize) == ("uploaded", 15)
    assert (status.ingest.received_parts.parts, status.ingest.received_parts.total) == ([1], 1)


def test_a_file_comes_in_parts(videos: VideosApi) -> None:
    created = videos.create(VideoCreationPayload(title="In parts"))
    session = videos.create_upload_progressive_session(created.video_id)
    for content, send in ((b"first", session.uploadPart), (b"last", session.uploadLastPart)):
        file = io.BytesIO(content)
        file.name = "talk.mp4"
        send(file)
    status = ended(videos, created.video_id)
    assert status.ingest.filesize == 9
    assert (status.ingest.received_parts.parts, status.ingest.received_parts.total) == ([1, 2], 2)


def test_a_video_has_one_source(videos: VideosApi) -> None:
    created = create(videos, "stuck.mp4")
    file = io.BytesIO(b"another")
    file.name = "talk.mp4"
    with pytest.raises(ApiException) as caught:
        videos.upload(created.video_id, file)
    assert (caught.value.status, problem(caught.value)["name"]) == (400, "videoId")


# --- refused, throttled, broken ---


def test_a_title_is_required(videos: VideosApi) -> None:
    with pytest.raises(ApiException) as caught:
        videos.create(VideoCreationPayload(title=""))
    problems = [{"type": f"{DOCS}/attribute-required", "title": "This attribute is required.", "name": "title"}]
    assert caught.value.status == 400
    assert problem(caught.value) == {**problems[0], "status": 400, "problems": problems}


def test_a_refused_source_is_an_api_exception_each_time(videos: VideosApi) -> None:
    for _ in range(2):
        with pytest.raises(ApiException) as caught:
            create(videos, "refused.mp4")
        assert (caught.value.status, problem(caught.value)["name"]) == (400, "source")


def test_a_throttled_creation_tells_when_to_come_again(videos: VideosApi) -> None:
    with pytest.raises(ApiException) as caught:
        create(videos, "throttled.mp4")
    assert caught.value.status == 429
    body = {"type": f"{DOCS}/too-many-requests", "title": "Too many requests.", "status": 429}
    assert problem(caught.value) == body
    headers = caught.value.headers
    assert (headers["X-RateLimit-Remaining"], headers["X-RateLimit-Retry-After"]) == ("0", "1")
    assert create(videos, "throttled.mp4").title == "A talk"


def test_a_flaky_creation_is_a_service_exception_twice(videos: VideosApi) -> None:
    for _ in range(2):
        with pytest.raises(ServiceException) as caught:
            create(videos, "flaky.mp4")
        assert caught.value.status == 503
    assert create(videos, "flaky.mp4").title == "A talk"


def test_a_gateways_page_is_a_service_exception(videos: VideosApi) -> None:
    with pytest.raises(ServiceException) as caught:
        create(videos, "html.mp4")
    assert (caught.value.status, caught.value.body[:6]) == (502, "<html>")


def test_a_cut_connection_leaves_nothing_behind(videos: VideosApi) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        create(videos, "reset.mp4")
    assert videos.list().data == []


def test_a_lost_answer_leaves_a_video_that_its_metadata_finds(videos: VideosApi) -> None:
    metadata = [Metadata(key="job", value="j-1")]
    with pytest.raises(urllib3.exceptions.ProtocolError):
        create(videos, "lost.mp4", metadata=metadata)
    [video] = videos.list(metadata={"job": "j-1"}).data
    assert ended(videos, video.video_id).encoding.playable is True
    assert create(videos, "lost.mp4", metadata=metadata).video_id != video.video_id


def test_an_accepted_creation_is_the_same_to_the_sdk(videos: VideosApi) -> None:
    payload = VideoCreationPayload(title="A talk", source="https://example.com/accepted.mp4")
    video, status, _ = videos.create(payload, _return_http_data_only=False)
    assert (status, video.title) == (202, "A talk")


# --- webhooks ---


def test_webhooks_are_created_listed_read_and_deleted(webhooks: WebhooksApi) -> None:
    url = "https://example.com/callbacks?token=t"
    created = webhooks.create(WebhooksCreationPayload(events=[QUALITY_COMPLETED], url=url))
    assert isinstance(created, Webhook)
    assert (created.events, created.url) == ([QUALITY_COMPLETED], url)
    assert created.webhook_id.startswith("webhook_")
    assert created.signature_secret.startswith("sig_sec_")

    other = webhooks.create(WebhooksCreationPayload(events=["video.caption.generated"], url=url))
    listed = webhooks.list()
    assert isinstance(listed, WebhooksListResponse)
    assert [webhook.webhook_id for webhook in listed.data] == [other.webhook_id, created.webhook_id]
    [only] = webhooks.list(events=QUALITY_COMPLETED).data
    assert only.to_dict() == created.to_dict() == webhooks.get(created.webhook_id).to_dict()

    assert webhooks.delete(created.webhook_id) is None
    with pytest.raises(NotFoundException) as caught:
        webhooks.get(created.webhook_id)
    assert problem(caught.value)["name"] == "webhookId"
    with pytest.raises(NotFoundException):
        webhooks.delete(created.webhook_id)


def test_webhooks_have_pages(webhooks: WebhooksApi) -> None:
    for number in range(3):
        webhooks.create(WebhooksCreationPayload(events=[QUALITY_COMPLETED], url=f"https://example.com/{number}"))
    page = webhooks.list(current_page=2, page_size=2)
    assert [webhook.url for webhook in page.data] == ["https://example.com/0"]
    assert (page.pagination.pages_total, page.pagination.items_total) == (2, 3)


@pytest.mark.parametrize(
    ("events", "url", "name"),
    [
        (["video.encoding.failed"], "https://example.com", "events"),
        ([], "https://example.com", "events"),
        ([QUALITY_COMPLETED], "here", "url"),
        ([QUALITY_COMPLETED], "", "url"),
    ],
)
def test_a_wrong_webhook_is_refused(events: list[str], url: str, name: str, webhooks: WebhooksApi) -> None:
    with pytest.raises(ApiException) as caught:
        webhooks.create(WebhooksCreationPayload(events=events, url=url))
    assert (caught.value.status, problem(caught.value)["name"]) == (400, name)


def test_an_account_has_ten_webhooks(webhooks: WebhooksApi) -> None:
    payload = WebhooksCreationPayload(events=[QUALITY_COMPLETED], url="https://example.com")
    first, *_ = [webhooks.create(payload) for _ in range(10)]
    with pytest.raises(ApiException) as caught:
        webhooks.create(payload)
    assert caught.value.status == 400
    assert problem(caught.value)["title"] == "Your account has reached the webhook urls limit."
    webhooks.delete(first.webhook_id)
    assert webhooks.create(payload).url == "https://example.com"


def test_the_sdks_own_configuration_still_points_to_the_real_host() -> None:
    """What the simulator stands for: should this ever change, so must its paths."""
    assert Configuration().host == "https://ws.api.video"
