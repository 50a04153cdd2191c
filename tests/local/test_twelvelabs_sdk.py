"""The official SDK takes the simulated TwelveLabs for the real one."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from twelvelabs import BadRequestError, ConflictError, NotFoundError, TwelveLabs
from twelvelabs.core.api_error import ApiError
from twelvelabs.types.asset_detail import AssetDetail
from twelvelabs.types.error_response import ErrorResponse
from twelvelabs.wrapper.task_client_wrapper import TaskClientWrapper

from local.platforms.twelvelabs import SimulatedTwelveLabs, UploadedFile

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
SLEEP_SECONDS = 0.005
ORDER = ["validating", "pending", "queued", "indexing", "ready"]

REJECTED_AS_TASK = [
    ("video_resolution_too_low", "Current resolution is 320x180."),
    ("video_resolution_too_high", "Current resolution is 7680x4320."),
    ("video_resolution_invalid_aspect_ratio", "between 1:1 and 2.4:1. Current resolution is 3840x1080."),
    ("video_duration_too_short", "at least 4 seconds. Current duration is 2 seconds."),
    ("video_duration_too_long", "at most 7200 seconds. Current duration is 9000 seconds."),
    ("video_file_broken", "Cannot read video file. Please check the video file is valid and try again."),
    ("video_filesize_too_large", "a size less than 2GB. The current size is 3GB."),
    ("usage_limit_exceeded", "Not enough free credit."),
]
REJECTED_AS_INDEXED_ASSET = [
    code for code, _ in REJECTED_AS_TASK if code not in ("video_file_broken", "video_filesize_too_large")
]


def wait_for[T](condition: Callable[[], T]) -> T:
    """The condition's first value that is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(SLEEP_SECONDS)
    return value


@pytest.fixture(scope="module")
def twelvelabs() -> Iterator[SimulatedTwelveLabs]:
    with SimulatedTwelveLabs(pace=0.02) as twelvelabs:
        yield twelvelabs


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """The SDK does not close the client that it makes itself."""
    with httpx.Client(timeout=LIMIT_SECONDS) as http:
        yield http


@pytest.fixture(scope="module")
def client(twelvelabs: SimulatedTwelveLabs, http: httpx.Client) -> TwelveLabs:
    return TwelveLabs(api_key="tlk_test", base_url=twelvelabs.url, httpx_client=http)


def url(file: str) -> str:
    return f"https://example.com/{file}"


def tasks(client: TwelveLabs) -> TaskClientWrapper:
    """The SDK's types hide what it has here."""
    assert isinstance(client.tasks, TaskClientWrapper)
    return client.tasks


def task(client: TwelveLabs, file: str, *, index_id: str = "index") -> str:
    """The id of a task that has just begun."""
    task_id = client.tasks.create(index_id=index_id, video_url=url(file)).id
    assert task_id
    return task_id


def ended_task(client: TwelveLabs, file: str, *, index_id: str = "index") -> str:
    task_id = task(client, file, index_id=index_id)
    tasks(client).wait_for_done(task_id, sleep_interval=SLEEP_SECONDS)
    return task_id


def ended_asset(client: TwelveLabs, file: str) -> AssetDetail:
    asset_id = client.assets.create(method="url", url=url(file)).id
    assert asset_id

    def ended() -> AssetDetail | None:
        asset = client.assets.retrieve(asset_id)
        return None if asset.status == "processing" else asset

    asset = wait_for(ended)
    assert asset is not None
    return asset


def ready_asset(client: TwelveLabs, file: str) -> str:
    asset = ended_asset(client, file)
    assert (asset.status, asset.error) == ("ready", None)
    assert asset.id
    return asset.id


def code(error: ApiError) -> str:
    found: str = error.body["code"]
    return found


# --- tasks ---


def test_a_task_of_a_url_becomes_ready(client: TwelveLabs) -> None:
    created = client.tasks.create(index_id="index", video_url=url("talk.mp4"), enable_video_stream=True)
    assert created.id
    done = tasks(client).wait_for_done(created.id, sleep_interval=SLEEP_SECONDS)
    assert (done.id, done.video_id, done.index_id) == (created.id, created.video_id, "index")
    assert (done.status, done.model_extra) == ("ready", {})
    assert created.id != created.video_id
    assert done.hls is not None
    assert (done.hls.status, len(done.hls.thumbnail_urls or [])) == ("COMPLETE", 1)
    assert str(done.hls.video_url).endswith(".m3u8")
    about = done.system_metadata
    assert about is not None
    assert (about.filename, about.width, about.height) == ("talk.mp4", 1920, 1080)
    assert about.duration


def test_a_task_of_a_file_becomes_ready(client: TwelveLabs, twelvelabs: SimulatedTwelveLabs) -> None:
    content = bytes(range(256)) * 10 + b"\r\n--not the end\r\n"
    created = client.tasks.create(
        index_id="of-a-file", video_file=("Grüße.mp4", content, "video/mp4"), user_metadata='{"tag": "a"}'
    )
    assert created.id
    done = tasks(client).wait_for_done(created.id, sleep_interval=SLEEP_SECONDS)
    assert done.status == "ready"
    assert done.system_metadata is not None
    assert done.system_metadata.filename == "Grüße.mp4"
    [asked] = [request.body for request in twelvelabs.requests if request.body.get("index_id") == "of-a-file"]
    file = UploadedFile(filename="Grüße.mp4", size=len(content))
    assert asked == {"index_id": "of-a-file", "video_file": file, "user_metadata": '{"tag": "a"}'}


def test_a_task_without_a_stream_has_no_hls(client: TwelveLabs) -> None:
    created = client.tasks.create(index_id="index", video_url=url("talk.mp4"), enable_video_stream=False)
    assert created.id
    assert client.tasks.retrieve(created.id).hls is None


def test_waiting_for_a_task_tells_its_statuses_in_their_order(http: httpx.Client) -> None:
    statuses: list[str] = []
    with SimulatedTwelveLabs(pace=0.4) as twelvelabs:
        client = TwelveLabs(api_key="tlk_test", base_url=twelvelabs.url, httpx_client=http)
        done = tasks(client).wait_for_done(
            task(client, "talk.mp4"),
            sleep_interval=SLEEP_SECONDS,
            callback=lambda now: statuses.append(str(now.status)),
        )
    assert done.status == "ready"
    assert [ORDER.index(status) for status in statuses] == sorted(ORDER.index(status) for status in statuses)
    assert statuses.count("ready") == 1


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("private.mp4", "The platform could not access the file."),
        ("corrupt.mp4", "Cannot read video file. Please check the video file is valid and try again."),
        ("index-fails.mp4", "Indexing failed."),
    ],
)
def test_a_failed_task_is_returned_with_its_reason(file: str, reason: str, client: TwelveLabs) -> None:
    done = tasks(client).wait_for_done(task(client, file), sleep_interval=SLEEP_SECONDS)
    assert done.status == "failed"
    assert done.model_extra == {"error_reason": reason}
    assert done.hls is not None
    assert done.hls.status == "ERROR"


@pytest.mark.parametrize(("rejected", "message"), REJECTED_AS_TASK)
def test_a_task_is_refused_with_the_documented_code(rejected: str, message: str, client: TwelveLabs) -> None:
    with pytest.raises(BadRequestError) as refusal:
        task(client, f"{rejected}.mp4")
    assert code(refusal.value) == rejected
    assert refusal.value.body["message"].startswith(message) or refusal.value.body["message"].endswith(message)


def test_a_task_that_lacks_a_video_is_refused(client: TwelveLabs) -> None:
    with pytest.raises(BadRequestError) as refusal:
        client.tasks.create(index_id="index")
    assert code(refusal.value) == "parameter_not_provided"


def test_a_task_of_an_unknown_index_is_refused(client: TwelveLabs) -> None:
    with pytest.raises(ApiError) as refusal:
        task(client, "talk.mp4", index_id="unknown-1")
    assert (refusal.value.status_code, code(refusal.value)) == (404, "resource_not_exist")


def test_an_unknown_task_is_not_there(client: TwelveLabs) -> None:
    with pytest.raises(ApiError) as refusal:
        client.tasks.retrieve("69a482a37f90675e73cec9a6")
    assert refusal.value.status_code == 404
    assert refusal.value.body["message"] == "Resource with id 69a482a37f90675e73cec9a6 does not exist in tasks."


def test_tasks_are_listed_newest_first_page_by_page(client: TwelveLabs) -> None:
    made = [task(client, f"talk.mp4?n={number}", index_id="paged") for number in range(5)]
    listed = client.tasks.list(index_id="paged", page_limit=2)
    assert [listed_task.id for listed_task in listed] == made[::-1]
    oldest_first = client.tasks.list(index_id="paged", sort_by="created_at", sort_option="asc", page=2, page_limit=3)
    assert [listed_task.id for listed_task in oldest_first.items or []] == made[3:]


def test_tasks_are_listed_by_status(client: TwelveLabs) -> None:
    ready = ended_task(client, "talk.mp4", index_id="by-status")
    failed = ended_task(client, "private.mp4", index_id="by-status")
    stuck = task(client, "stuck.mp4", index_id="by-status")

    def listed(*statuses: str) -> set[str | None]:
        return {found.id for found in client.tasks.list(index_id="by-status", status=list(statuses))}

    assert listed("ready") == {ready}
    assert listed("ready", "failed") == {ready, failed}
    assert listed("validating", "pending", "queued", "indexing") == {stuck}


def test_tasks_are_listed_by_what_is_known_of_them(client: TwelveLabs) -> None:
    one = client.tasks.retrieve(ended_task(client, "one.mp4", index_id="by-facts"))
    other = client.tasks.retrieve(ended_task(client, "other.mp4", index_id="by-facts"))
    assert one.system_metadata is not None
    by_name = client.tasks.list(index_id="by-facts", filename="one.mp4")
    by_duration = client.tasks.list(index_id="by-facts", duration=one.system_metadata.duration, width=1920)
    assert [found.id for found in by_name] == [found.id for found in by_duration] == [one.id]
    assert list(client.tasks.list(index_id="by-facts", height=360)) == []
    since = client.tasks.list(index_id="by-facts", updated_at=other.updated_at, sort_by="updated_at")
    assert [found.id for found in since] == [other.id]
    assert list(client.tasks.list(index_id="by-facts", created_at="2022-01-14T13:20:22.986Z")) == []


@pytest.mark.parametrize("wrong", [{"page_limit": 51}, {"page": 0}, {"sort_by": "name"}, {"created_at": "today"}])
def test_a_list_that_is_asked_for_wrongly_is_refused(wrong: dict[str, object], client: TwelveLabs) -> None:
    with pytest.raises(BadRequestError) as refusal:
        client.tasks.list(**wrong)  # type: ignore[arg-type]
    assert refusal.value.body["message"] == f"The {next(iter(wrong))} parameter is invalid."


def test_a_task_that_has_not_ended_cannot_be_deleted(client: TwelveLabs) -> None:
    with pytest.raises(BadRequestError) as refusal:
        client.tasks.delete(task(client, "stuck.mp4"))
    assert code(refusal.value) == "task_cannot_be_deleted"


def test_a_ready_task_can_be_deleted_after_its_video(client: TwelveLabs) -> None:
    task_id = ended_task(client, "talk.mp4")
    video_id = client.tasks.retrieve(task_id).video_id
    assert video_id
    with pytest.raises(BadRequestError) as refusal:
        client.tasks.delete(task_id)
    assert code(refusal.value) == "task_cannot_be_deleted"
    client.indexes.videos.delete("index", video_id)
    client.tasks.delete(task_id)
    with pytest.raises(ApiError) as missing:
        client.tasks.retrieve(task_id)
    assert missing.value.status_code == 404


def test_a_failed_task_can_be_deleted(client: TwelveLabs) -> None:
    task_id = ended_task(client, "private.mp4", index_id="deleted")
    client.tasks.delete(task_id)
    assert list(client.tasks.list(index_id="deleted")) == []


def test_a_bulk_keeps_what_was_accepted(client: TwelveLabs) -> None:
    files = [url("talk.mp4"), url("usage_limit_exceeded.mp4"), url("talk.mp4?n=2")]
    assert len(tasks(client).create_bulk(index_id="bulk", video_urls=files)) == 2


# --- assets ---


def test_an_asset_is_processing_then_ready(client: TwelveLabs) -> None:
    created = client.assets.create(method="url", url=url("talk.mov"), user_metadata=json.dumps({"tag": "a"}))
    assert (created.status, created.method, created.filename) == ("processing", "url", "talk.mov")
    assert (created.file_type, created.user_metadata) == ("video/quicktime", {"tag": "a"})
    assert created.created_at is not None
    assert abs((datetime.now(UTC) - created.created_at).total_seconds()) < LIMIT_SECONDS
    asset = ended_asset(client, "talk.mov")
    assert (asset.status, asset.error, asset.user_metadata) == ("ready", None, None)
    assert asset.hls is not None
    assert asset.thumbnail is not None
    assert asset.technical_metadata is not None
    assert (asset.hls.status, asset.thumbnail.status) == ("ready", "ready")
    assert asset.technical_metadata.video_duration_seconds == asset.duration
    assert asset.technical_metadata.file_size_bytes == asset.size


def test_an_asset_can_come_as_a_file_with_a_name_of_its_own(client: TwelveLabs) -> None:
    created = client.assets.create(
        method="direct", file=("talk.mp4", b"moov"), filename="mine.pdf", enable_hls=False, enable_thumbnail=False
    )
    assert (created.method, created.filename, created.file_type) == ("direct", "mine.pdf", "application/pdf")
    assert created.id
    asset = client.assets.retrieve(created.id)
    assert (asset.hls, asset.thumbnail) == (None, None)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("private.mp4", "The platform could not access the file."),
        ("corrupt.mp4", "Cannot read video file. Please check the video file is valid and try again."),
        ("video_file_broken.mp4", "Cannot read video file. Please check the video file is valid and try again."),
    ],
)
def test_an_asset_fails_later_and_says_why(file: str, message: str, client: TwelveLabs) -> None:
    asset = ended_asset(client, file)
    assert asset.status == "failed"
    assert asset.error is not None
    assert asset.error.message == message
    assert (asset.size, asset.duration, asset.technical_metadata) == (None, None, None)


def test_an_asset_that_is_too_large_is_refused_in_the_newer_envelope(client: TwelveLabs) -> None:
    with pytest.raises(ApiError) as refusal:
        client.assets.create(method="url", url=url("video_filesize_too_large.mp4"))
    assert refusal.value.status_code == 413
    assert ErrorResponse(**refusal.value.body).error.code == "video_filesize_too_large"


def test_an_asset_that_lacks_its_url_is_refused(client: TwelveLabs) -> None:
    with pytest.raises(BadRequestError) as refusal:
        client.assets.create(method="url")
    assert refusal.value.body["message"] == "The url parameter is required but was not provided."


def test_an_asset_can_be_deleted(client: TwelveLabs) -> None:
    asset_id = ready_asset(client, "talk.mp4")
    client.assets.delete(asset_id)
    with pytest.raises(NotFoundError) as missing:
        client.assets.retrieve(asset_id)
    assert code(missing.value) == "resource_not_exist"


def test_an_asset_that_is_indexed_can_be_deleted_by_force(client: TwelveLabs) -> None:
    asset_id = ready_asset(client, "talk.mp4")
    client.indexes.indexed_assets.create("index", asset_id=asset_id)
    with pytest.raises(ConflictError):
        client.assets.delete(asset_id)
    client.assets.delete(asset_id, force=True)
    with pytest.raises(NotFoundError):
        client.assets.retrieve(asset_id)


# --- indexed assets ---


def test_an_asset_is_indexed(client: TwelveLabs) -> None:
    asset_id = ready_asset(client, "talk.mp4")
    created = client.indexes.indexed_assets.create(
        "indexed", asset_id=asset_id, enable_video_stream=True, user_metadata={"tag": "a", "n": 1}
    )
    assert created.id
    indexed_id = created.id
    wait_for(lambda: client.indexes.indexed_assets.retrieve("indexed", indexed_id).status == "ready")
    indexed = client.indexes.indexed_assets.retrieve("indexed", indexed_id)
    assert (indexed.id, indexed.asset_id, indexed.user_metadata) == (indexed_id, asset_id, {"tag": "a", "n": 1})
    assert indexed.indexed_at == indexed.updated_at
    assert indexed.hls is not None
    assert indexed.hls.status == "COMPLETE"
    assert indexed.system_metadata is not None
    assert indexed.system_metadata.filename == "talk.mp4"
    assert indexed.system_metadata.duration == client.assets.retrieve(asset_id).duration
    assert [listed.id for listed in client.indexes.indexed_assets.list("indexed", status="ready")] == [indexed_id]


def test_an_assets_indexed_assets_are_listed(client: TwelveLabs) -> None:
    asset_id = ready_asset(client, "talk.mp4")
    made = [client.indexes.indexed_assets.create(f"index-{number}", asset_id=asset_id) for number in range(3)]
    listed = list(client.indexes.indexed_assets.list_by_asset(asset_id, page_limit=2))
    assert [summary.id for summary in listed] == [indexed.id for indexed in made[::-1]]
    assert [summary.index.id for summary in listed if summary.index] == ["index-2", "index-1", "index-0"]


def test_an_indexed_asset_can_be_deleted(client: TwelveLabs) -> None:
    asset_id = ready_asset(client, "talk.mp4")
    indexed = client.indexes.indexed_assets.create("index", asset_id=asset_id)
    assert indexed.id
    client.indexes.indexed_assets.delete("index", indexed.id)
    with pytest.raises(NotFoundError):
        client.indexes.indexed_assets.retrieve("index", indexed.id)
    client.assets.delete(asset_id)  # nothing references it any more


def test_an_indexed_asset_fails_without_a_reason(client: TwelveLabs) -> None:
    asset_id = ready_asset(client, "index-fails.mp4")
    indexed_id = client.indexes.indexed_assets.create("index", asset_id=asset_id).id
    assert indexed_id
    wait_for(lambda: client.indexes.indexed_assets.retrieve("index", indexed_id).status == "failed")
    indexed = client.indexes.indexed_assets.retrieve("index", indexed_id)
    assert (indexed.indexed_at, indexed.model_extra) == (None, {})


@pytest.mark.parametrize("rejected", REJECTED_AS_INDEXED_ASSET)
def test_an_asset_is_refused_by_the_index(rejected: str, client: TwelveLabs) -> None:
    asset_id = ready_asset(client, f"{rejected}.mp4")
    with pytest.raises(BadRequestError) as refusal:
        client.indexes.indexed_assets.create("index", asset_id=asset_id)
    assert code(refusal.value) == rejected


def test_an_asset_that_is_not_ready_is_not_indexed(client: TwelveLabs) -> None:
    asset_id = client.assets.create(method="url", url=url("stuck.mp4")).id
    assert asset_id
    with pytest.raises(BadRequestError) as refusal:
        client.indexes.indexed_assets.create("index", asset_id=asset_id)
    assert code(refusal.value) == "parameter_invalid"


def test_what_does_not_exist_is_not_indexed(client: TwelveLabs) -> None:
    with pytest.raises(NotFoundError) as no_asset:
        client.indexes.indexed_assets.create("index", asset_id="69a482a37f90675e73cec9a6")
    with pytest.raises(NotFoundError) as no_index:
        client.indexes.indexed_assets.create("unknown", asset_id=ready_asset(client, "talk.mp4"))
    assert no_asset.value.body["message"].endswith("does not exist in assets.")
    assert no_index.value.body["message"].endswith("does not exist in indexes.")


# --- keys and faults ---


def test_a_revoked_key_opens_nothing(twelvelabs: SimulatedTwelveLabs, http: httpx.Client) -> None:
    client = TwelveLabs(api_key="tlk_revoked_1", base_url=twelvelabs.url, httpx_client=http)
    for ask in (lambda: task(client, "talk.mp4"), lambda: client.assets.retrieve("a"), client.tasks.list):
        with pytest.raises(ApiError) as refusal:
            ask()
        assert (refusal.value.status_code, code(refusal.value)) == (401, "api_key_invalid")


def test_the_sdks_own_base_path_works_too(twelvelabs: SimulatedTwelveLabs, http: httpx.Client) -> None:
    client = TwelveLabs(api_key="tlk_test", base_url=f"{twelvelabs.url}/v1.3", httpx_client=http)
    assert client.tasks.retrieve(ended_task(client, "talk.mp4")).status == "ready"


def test_a_throttled_submit_is_an_api_error_with_the_limits_headers(client: TwelveLabs) -> None:
    with pytest.raises(ApiError) as throttled:
        task(client, "throttled.mp4?sdk")
    headers = throttled.value.headers
    assert headers is not None
    assert (throttled.value.status_code, code(throttled.value)) == (429, "too_many_requests")
    assert (headers["retry-after"], headers["x-ratelimit-request-remaining"]) == ("1", "0")
    assert client.tasks.retrieve(ended_task(client, "throttled.mp4?sdk")).status == "ready"


def test_an_unavailable_platform_is_an_api_error_in_the_newer_envelope(client: TwelveLabs) -> None:
    for _ in range(2):
        with pytest.raises(ApiError) as unavailable:
            client.assets.create(method="url", url=url("flaky.mp4?sdk"))
        assert unavailable.value.status_code == 503
        assert ErrorResponse(**unavailable.value.body).error.code == "service_unavailable"
    assert ready_asset(client, "flaky.mp4?sdk")


def test_an_html_page_is_an_api_error_with_its_text(client: TwelveLabs) -> None:
    with pytest.raises(ApiError) as bad_gateway:
        task(client, "html.mp4?sdk")
    assert bad_gateway.value.status_code == 502
    assert bad_gateway.value.body.startswith("<html>")


def test_a_refused_submit_stays_refused(client: TwelveLabs) -> None:
    for _ in range(3):
        with pytest.raises(BadRequestError) as refusal:
            task(client, "refused.mp4")
        assert code(refusal.value) == "parameter_invalid"


def test_a_cut_connection_is_a_transport_error(client: TwelveLabs) -> None:
    with pytest.raises(httpx.TransportError):
        task(client, "reset.mp4?sdk", index_id="reset")
    assert list(client.tasks.list(index_id="reset")) == []


def test_the_sdk_waits_as_long_as_it_is_told_and_tries_again(client: TwelveLabs) -> None:
    source = url("talk.mp4?throttle=1&sdk")
    with pytest.raises(ApiError):
        client.assets.create(method="url", url=source)
    asset_id = client.assets.create(method="url", url=source).id
    assert asset_id
    wait_for(lambda: client.assets.retrieve(asset_id).status == "ready")
    began = time.monotonic()
    # it counts from 2: three tries are one more
    indexed = client.indexes.indexed_assets.create("index", asset_id=asset_id, request_options={"max_retries": 3})
    assert indexed.id
    assert time.monotonic() - began >= 1


def test_assets_can_be_listed_by_their_name(client: TwelveLabs) -> None:
    made = [client.assets.create(method="url", url=url(file)).id for file in ("talk.mp4", "lecture.mp4")]

    assert [asset.id for asset in client.assets.list(filename="lectur", page_limit=50)] == made[1:]
