"""What is known of a VideoDB video, whichever jobs have found it out."""

from typing import Any

import pytest
from botocore.client import BaseClient
from video_jobs import clock
from video_jobs.api.media import MOST_JOBS
from video_jobs.jobs.model import Job, JobStatus, Step, StepStatus
from video_jobs.store import jobs, media

from local.platforms.videodb import SimulatedVideoDb
from tests.api.calls import Answer, away, call, create
from tests.api.running import AT_ONCE, run_to_end
from tests.events.samples import read
from tests.scripted import fault, new_job
from tests.stack import Stack, handler

pytestmark = pytest.mark.usefixtures("stack")

UPLOADED = {
    "id": "m-1",
    "collection_id": "c-1",
    "name": "lecture.mp4",
    "extension": "mp4",
    "size": 13294233,
    "length": 191.146667,
    "stream_url": "https://stream.videodb.io/v3/published/xxx/xx/x.m3u8",
    "player_url": "https://console.videodb.io/player?url=x",
}
NOTHING_FOUND_OUT = dict.fromkeys(UPLOADED) | {"id": "m-1", "media_type": "video"}


def show(video_id: str = "m-1") -> Answer:
    return call("GET", f"/videodb/videos/{video_id}")


def done(**result: Any) -> Step:
    return Step(status=StepStatus.SUCCEEDED, attempt=1, attempt_limit=3, result=result)


def put(job_id: str, day: int = 1, **steps: Step) -> Job:
    """A job of VideoDB's for a video that it had before, made on this day of the month."""
    new = new_job(
        job_id,
        plan=tuple(steps),
        source=None,
        media_id="m-1",
        media_type=None,
        created_at=clock.from_iso(f"2026-11-{day:02}T00:00:00.000Z"),
    )
    media.link(new, new.refs)
    job = jobs.create(new)
    moved = jobs.save(job, job.model_copy(update={"steps": steps}))
    assert moved is not None
    return moved


def run(**asked: Any) -> dict[str, Any]:
    """A job, brought to its end by polls."""
    job: dict[str, Any] = create(media_type=None, **AT_ONCE, **asked).json
    run_to_end(job["job_id"])
    return job


@pytest.fixture
def videodb(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CALLBACK_BASE_URL", "http://127.0.0.1:9")  # callbacks are lost
    with SimulatedVideoDb(pace=0.01) as videodb:
        monkeypatch.setenv("VIDEODB_URL", videodb.url)
        yield videodb


def test_a_video_that_a_job_has_uploaded_and_indexed_is_shown_whole(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, videodb: SimulatedVideoDb
) -> None:
    job_id = run()["job_id"]
    job = call("GET", f"/jobs/{job_id}").json
    results = {step["name"]: step["result"] for step in job["steps"]}
    video_id = results["upload"]["id"]

    answer = show(video_id)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    shown = answer.json
    assert {name: shown[name] for name in results["upload"]} == results["upload"]
    assert shown["stream_url"].startswith("https://")
    assert shown["player_url"].startswith("https://")
    assert (shown["media_type"], shown["spoken_words_indexed"], shown["complete"]) == ("video", True, True)
    assert shown["scene_index_ids"] == [results["index_scenes"]["scene_index_id"]]
    assert shown["scene_collection_ids"] == [results["extract_scenes"]["scene_collection_id"]]
    assert [summary["job_id"] for summary in shown["jobs"]] == [job_id]
    assert {name: [step["job_id"] for step in steps] for name, steps in shown["steps"].items()} == {
        name: [job_id] for name in ("upload", "index_spoken_words", "index_scenes", "extract_scenes")
    }
    assert [
        {name: value for name, value in steps[0].items() if name != "job_id"} for steps in shown["steps"].values()
    ] == job["steps"]


def test_a_job_on_an_uploaded_video_joins_the_one_that_has_uploaded_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, videodb: SimulatedVideoDb
) -> None:
    first = run(steps=["upload"])["job_id"]
    (upload,) = call("GET", f"/jobs/{first}").json["steps"]
    video_id = upload["result"]["id"]

    second = run(source=None, media_id=video_id, steps=["index_scenes"])["job_id"]

    shown = show(video_id).json
    assert [job["job_id"] for job in shown["jobs"]] == [second, first]
    assert shown["name"] == upload["result"]["name"]
    assert [step["status"] for step in shown["steps"]["index_scenes"]] == ["succeeded"]
    assert len(shown["scene_index_ids"]) == 1


@pytest.mark.parametrize(("source", "kind"), [("podcast.mp3", "audio"), ("poster.jpg", "image")])
def test_audio_files_and_images_are_shown_too(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, videodb: SimulatedVideoDb, source: str, kind: str
) -> None:
    job_id = run(source=f"https://example.com/{source}")["job_id"]
    medium = call("GET", f"/jobs/{job_id}").json["steps"][0]["result"]["id"]

    shown = show(medium).json

    assert (shown["id"], shown["media_type"], shown["stream_url"]) == (medium, kind, None)
    assert {steps[0]["status"] for name, steps in shown["steps"].items() if name != "upload"} == {"skipped"}


def test_a_job_that_has_only_been_created_is_shown_at_once() -> None:
    job = create(source=None, media_id="m-1", steps=["index_spoken_words"]).json

    shown = show().json

    assert {name: shown[name] for name in NOTHING_FOUND_OUT} == NOTHING_FOUND_OUT
    assert (shown["spoken_words_indexed"], shown["scene_index_ids"], shown["scene_collection_ids"]) == (False, [], [])
    assert [job["job_id"] for job in shown["jobs"]] == [job["job_id"]]
    assert [step["status"] for step in shown["steps"]["index_spoken_words"]] == ["queued"]


def test_a_job_that_was_created_twice_is_shown_once() -> None:
    body = {"provider": "videodb", "media_id": "m-1"}
    for _ in range(2):
        assert call("POST", "/jobs", body, headers={"idempotency-key": "k"}).status == 201

    assert len(show().json["jobs"]) == 1


def test_of_several_jobs_the_newest_comes_first_for_each_step() -> None:
    put("job-b", 2, index_scenes=done(scene_index_id="s-2"), extract_scenes=done(scene_collection_id="e-1"))
    put("job-c", 1, index_scenes=done(scene_index_id="s-1"), index_spoken_words=done())
    put("job-a", 3, index_scenes=done(scene_index_id="s-1"))

    shown = show().json

    assert [job["job_id"] for job in shown["jobs"]] == ["job-a", "job-b", "job-c"]
    assert {name: [step["job_id"] for step in steps] for name, steps in shown["steps"].items()} == {
        "index_spoken_words": ["job-c"],
        "index_scenes": ["job-a", "job-b", "job-c"],
        "extract_scenes": ["job-b"],
    }
    assert (shown["scene_index_ids"], shown["scene_collection_ids"]) == (["s-1", "s-2"], ["e-1"])


def test_what_has_failed_or_was_canceled_is_shown_with_its_reason() -> None:
    failed = Step(status=StepStatus.FAILED, attempt=1, attempt_limit=1, error=fault("index_not_found"))
    put("job-1", 1, index_spoken_words=failed)
    put("job-2", 2, index_spoken_words=done())
    call("DELETE", "/jobs/job-2")

    shown = show().json

    assert [job["status"] for job in shown["jobs"]] == [JobStatus.CANCELED, JobStatus.PENDING]
    steps = shown["steps"]["index_spoken_words"]
    assert [step["status"] for step in steps] == ["succeeded", "failed"]
    assert steps[1]["error"]["code"] == "index_not_found"
    assert shown["spoken_words_indexed"] is True


def test_a_video_that_was_uploaded_elsewhere_is_shown_when_its_callback_has_come(stack: Stack) -> None:
    stack.callback("videodb/upload", read("videodb/upload/video_success")["body"])
    stack.work("InboxQueue", handler("pipeline/inbox"))
    run_to_end("job-1")

    shown = show("m-**").json

    assert (shown["id"], shown["collection_id"]) == ("m-**", "c-**")
    assert [job["job_id"] for job in shown["jobs"]] == ["job-1"]


# --- What is not found ------------------------------------------------------------------------------------------------


def test_a_video_of_which_no_job_knows_is_not_found() -> None:
    create()

    answer = show()

    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("other", ["s-1", "e-1", "c-1"])
def test_ids_of_what_a_job_has_made_are_none_of_videos(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, videodb: SimulatedVideoDb, other: str
) -> None:
    job_id = run()["job_id"]
    results = {step["name"]: step["result"] for step in call("GET", f"/jobs/{job_id}").json["steps"]}
    made = {
        "s-1": results["index_scenes"]["scene_index_id"],
        "e-1": results["extract_scenes"]["scene_collection_id"],
        "c-1": results["upload"]["collection_id"],
    }

    assert show(made[other]).status == 404


def test_other_platforms_media_are_not_shown() -> None:
    call("POST", "/jobs", {"provider": "apivideo", "media_id": "m-1"})

    assert show().status == 404


def test_deleted_jobs_are_left_out() -> None:
    put("job-1", 1, index_spoken_words=done())
    put("job-2", 2, index_spoken_words=done())
    for job_id in ("job-1", "job-2"):
        assert len(show().json["jobs"]) == (2 if job_id == "job-1" else 1)
        for status in (200, 204):
            assert call("DELETE", f"/jobs/{job_id}").status == status

    assert show().status == 404


def test_an_id_that_is_too_long_does_not_fit() -> None:
    answer = show("m" * 257)

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["path.video_id"])


@pytest.mark.parametrize("video_id", ["m-é", "m 1", "m-**", "é" * 256, "EVENT"])
def test_odd_ids_are_not_found_or_found_like_any_other(video_id: str) -> None:
    assert show(video_id).status == 404

    created = create(source=None, media_id=video_id)

    assert created.status == 201
    assert [job["job_id"] for job in show(video_id).json["jobs"]] == [created.json["job_id"]]


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_an_answer_costs_a_few_calls_and_no_more_than_so_many_jobs(stack: Stack) -> None:
    for number in range(1, MOST_JOBS + 1):
        put(f"job-{number}", number, index_scenes=done(scene_index_id=f"s-{number}"))
    assert show().json["complete"] is True
    put("job-99", 28, index_scenes=done(scene_index_id="s-99"))
    stack.calls.clear()

    shown = show().json

    assert stack.calls == ["dynamodb.Query", "dynamodb.BatchGetItem", "dynamodb.BatchGetItem"]
    assert shown["complete"] is False
    assert [job["job_id"] for job in shown["jobs"]] == [
        "job-99",
        *(f"job-{number}" for number in range(MOST_JOBS, 1, -1)),
    ]


def test_jobs_that_dynamodb_leaves_for_later_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        put(f"job-{number}", number, index_scenes=done())
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def one_at_a_time(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "BatchGetItem":
            return original(self, operation, parameters)
        ((table, asked),) = parameters["RequestItems"].items()
        first, *rest = asked["Keys"]
        answer = original(self, operation, {"RequestItems": {table: asked | {"Keys": [first]}}})
        return answer | {"UnprocessedKeys": {table: asked | {"Keys": rest}} if rest else {}}

    monkeypatch.setattr(BaseClient, "_make_api_call", one_at_a_time)

    assert [job["job_id"] for job in show().json["jobs"]] == ["job-3", "job-2", "job-1"]


def test_while_dynamodb_is_away_it_says_so() -> None:
    with away("dynamodb"):
        answer = show()

    assert (answer.status, answer.code) == (503, "unavailable")
