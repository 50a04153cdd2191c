"""What we say in a platform's place, by the deployed stack: api.video's official SDK, and what is known of a video."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from apivideo import AuthenticatedApiClient  # type: ignore[import-untyped]
from apivideo.apis import VideosApi  # type: ignore[import-untyped]
from apivideo.exceptions import (  # type: ignore[import-untyped]
    ApiException,
    NotFoundException,
    UnauthorizedException,
)

from tests.e2e.deployment import PATIENCE_SECONDS, Deployment, http


@contextmanager
def sdk(deployment: Deployment, key: str) -> Iterator[AuthenticatedApiClient]:
    """The SDK as it comes from PyPI; this is the way that it has to another host."""
    client = AuthenticatedApiClient(key)
    client.configuration.host = f"{deployment.stack.api_url}/apivideo"
    yield client
    client.rest_client.pool_manager.clear()


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[AuthenticatedApiClient]:
    with sdk(deployment, deployment.stack.api_key) as client:
        client.connect()
        yield client


@pytest.fixture(scope="module")
def videos(client: AuthenticatedApiClient) -> VideosApi:
    return VideosApi(client)


def result_of(job: dict[str, Any], step: str) -> dict[str, Any]:
    (found,) = (each["result"] for each in job["steps"] if each["name"] == step)
    return dict(found)


@pytest.mark.parametrize("source", ["lecture.mp4", "failed-rendition.mp4"])
def test_api_videos_sdk_reads_a_status_and_api_video_is_not_asked(
    deployment: Deployment, videos: VideosApi, source: str
) -> None:
    job = deployment.ended(deployment.create(source, provider="apivideo"))
    video_id = result_of(job, "upload")["video_id"]
    apivideo = deployment.platforms.apivideo
    asked = len(apivideo.requests)

    status = videos.get_status(video_id, _request_timeout=PATIENCE_SECONDS)
    raw = videos.get_status(video_id, _preload_content=False).data

    assert len(apivideo.requests) == asked
    assert status.encoding.playable is True
    assert {one.status for one in status.encoding.qualities} <= {"encoded", "failed"}
    headers = {"authorization": "Basic YW55LWtleTo="}
    assert raw == http.request("GET", f"{apivideo.url}/videos/{video_id}/status", headers=headers).data


def test_api_videos_sdk_finds_no_unknown_video(videos: VideosApi) -> None:
    with pytest.raises(NotFoundException) as caught:
        videos.get_status("vi0000000000000000000000")

    assert json.loads(caught.value.body) == {
        "type": "https://docs.api.video/reference/resource-not-found",
        "title": "The requested resource was not found.",
        "name": "videoId",
        "status": 404,
    }


def test_api_videos_sdk_refreshes_its_tokens(client: AuthenticatedApiClient) -> None:
    client.refresh_token()

    with pytest.raises(NotFoundException):
        VideosApi(client).get_status("vi0000000000000000000000")


def test_api_videos_sdk_reads_in_api_videos_words_that_a_key_is_wrong(deployment: Deployment) -> None:
    with sdk(deployment, "wrong-key") as other:
        with pytest.raises(ApiException) as login:
            other.connect()
        other._access_token = "wrong-token"
        with pytest.raises(UnauthorizedException) as status:
            VideosApi(other).get_status("vi0000000000000000000000")

    assert [json.loads(refused.value.body)["status"] for refused in (login, status)] == [400, 401]
    assert {json.loads(refused.value.body)["title"] for refused in (login, status)} == {
        "The user credentials were incorrect."
    }


def test_a_videodb_video_is_shown_with_all_that_its_jobs_have_found_out(deployment: Deployment) -> None:
    first = deployment.ended(deployment.create("lecture.mp4", media_type="video"))
    uploaded = result_of(first, "upload")
    status, second = deployment.call(
        "POST", "/jobs", {"provider": "videodb", "media_id": uploaded["id"], "steps": ["index_spoken_words"]}
    )
    assert status == 201
    deployment.ended(second["job_id"])

    status, shown = deployment.call("GET", f"/videodb/videos/{uploaded['id']}")

    assert status == 200
    assert {name: shown[name] for name in uploaded} == uploaded
    assert [job["job_id"] for job in shown["jobs"]] == [second["job_id"], first["job_id"]]
    assert shown["scene_index_ids"] == [result_of(first, "index_scenes")["scene_index_id"]]
    assert shown["scene_collection_ids"] == [result_of(first, "extract_scenes")["scene_collection_id"]]
    assert (shown["spoken_words_indexed"], shown["complete"]) == (True, True)


def test_an_unknown_videodb_video_is_a_problem_and_nothing_without_a_key(deployment: Deployment) -> None:
    status, problem = deployment.call("GET", "/videodb/videos/m-unknown")
    assert (status, problem["code"]) == (404, "not_found")

    assert deployment.call("GET", "/videodb/videos/m-unknown", **{"x-api-key": "wrong"})[0] == 401
