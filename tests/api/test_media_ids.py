"""A job says which medium of its platform it is about, whoever has told us."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from video_jobs.jobs.model import JobStatus, Step, StepStatus
from video_jobs.notifications import events
from video_jobs.platforms.media import NAMED_BY, medium_of
from video_jobs.platforms.requests import PROVIDERS
from video_jobs.platforms.videodb import extract_scenes
from video_jobs.store import jobs

from local.platforms.apivideo import SimulatedApiVideo
from local.platforms.apsaravideo import SimulatedApsaraVideo
from local.platforms.simulated import NO_LIMIT
from local.platforms.twelvelabs import SimulatedTwelveLabs
from local.platforms.videodb import SimulatedVideoDb
from tests.api.calls import SOURCE, call
from tests.api.running import AT_ONCE, run_to_end
from tests.scripted import fault, new_job
from tests.stack import WEBHOOK_SECRETS, Stack

INDEX = "62a0906d47f5678267ec10a6"
UPLOADS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "videodb": ("upload", "id", {}),
    "twelvelabs": ("asset", "asset_id", {"options": {"index_id": INDEX}}),
    "apivideo": ("upload", "video_id", {}),
    "apsaravideo": ("upload_by_url", "media_id", {}),
}
"""By platform: the step that makes a medium, what its result calls it, and what a job needs."""


@pytest.fixture
def platforms(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All four, none of which calls back: polls find out."""
    keys = WEBHOOK_SECRETS["apsaravideo"]
    monkeypatch.setenv("CALLBACK_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    with ExitStack() as exits:
        running: dict[str, Any] = {
            "VIDEODB_URL": SimulatedVideoDb(pace=0.01),
            "TWELVELABS_URL": SimulatedTwelveLabs(pace=0.01),
            "APIVIDEO_URL": SimulatedApiVideo(pace=0.01, rates=NO_LIMIT),
            "APSARAVIDEO_URL": SimulatedApsaraVideo(
                pace=0.01, access_keys={keys["access_key_id"]: keys["access_key_secret"]}
            ),
        }
        for name, platform in running.items():
            monkeypatch.setenv(name, exits.enter_context(platform).url)
        yield


def show(job_id: str) -> Any:
    return call("GET", f"/jobs/{job_id}").json


def listed() -> list[Any]:
    return [job["media_id"] for job in call("GET", "/jobs").json["jobs"]]


def test_every_platform_has_one() -> None:
    assert set(NAMED_BY) == set(PROVIDERS) == set(UPLOADS)


@pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow\(\) is deprecated:DeprecationWarning")
@pytest.mark.usefixtures("platforms")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_job_shows_the_medium_that_its_upload_has_made_and_so_do_lists(stack: Stack, provider: str) -> None:
    step, name, asked = UPLOADS[provider]
    made = call("POST", "/jobs", {"provider": provider, "source": SOURCE, **AT_ONCE, **asked}).json
    assert made["media_id"] is None

    run_to_end(made["job_id"])

    job = show(made["job_id"])
    (upload,) = (each for each in job["steps"] if each["name"] == step)
    assert job["status"] == "succeeded"
    assert job["media_id"] == upload["result"][name]
    assert job["media_id"]
    assert listed() == [job["media_id"]]


def uploaded(**changes: Any) -> dict[str, Any]:
    """A job whose upload has succeeded, and whose next step runs."""
    done = Step(status=StepStatus.SUCCEEDED, attempt=1, attempt_limit=3, result={"id": "m-1"})
    running = Step(status=StepStatus.RUNNING, attempt=1, attempt_limit=3)
    values = {"steps": {"upload": done, "extract_scenes": running}, "status": JobStatus.RUNNING}
    return {"plan": ("upload", "extract_scenes"), **values, **changes}


def test_it_is_shown_before_it_is_noted(stack: Stack) -> None:
    jobs.create(new_job(**uploaded()))

    assert show("job-1")["media_id"] == "m-1"
    assert listed() == [None]


def test_a_job_that_is_canceled_after_its_upload_keeps_it_in_the_list(stack: Stack) -> None:
    jobs.create(new_job(**uploaded()))

    canceled = call("DELETE", "/jobs/job-1").json

    assert (canceled["status"], canceled["media_id"]) == ("canceled", "m-1")
    run_to_end("job-1")
    assert listed() == ["m-1"]


@pytest.mark.parametrize("status", [StepStatus.RUNNING, StepStatus.FAILED])
def test_an_upload_that_has_not_succeeded_has_made_none(stack: Stack, status: StepStatus) -> None:
    step = Step(status=status, attempt=1, attempt_limit=3, result={"asset_id": "a"}, error=fault())
    job = new_job(provider="twelvelabs", plan=("asset",), steps={"asset": step})

    assert medium_of(job) is None


def test_what_a_caller_gave_stays(stack: Stack) -> None:
    jobs.create(new_job(plan=("extract_scenes",), source=None, media_id="m-given"))

    assert show("job-1")["media_id"] == "m-given"
    assert listed() == ["m-given"]


def test_a_notification_without_its_steps_results_has_it_all_the_same() -> None:
    job = new_job(**uploaded())

    assert events._data(job, ["steps.result"])["media_id"] == "m-1"


def test_scenes_of_an_uploaded_video_are_still_looked_for_when_the_job_is_tried_again() -> None:
    """A video that the caller gave may have scenes of somebody else's; one that the job has uploaded has not."""
    collection = {"scene_collection_id": "s-1", "config": {}, "scenes": []}

    class Client:
        def get(self, path: str) -> dict[str, Any]:
            return {"data": {"scene_collections": [collection]}} if path == "/video/m-1/scenes" else {}

    ours = new_job(**uploaded(media_id="m-1"))  # as its first end has left it
    given = new_job(plan=("extract_scenes",), source=None, media_id="m-1")
    step = Step(status=StepStatus.RUNNING, attempt=1, attempt_limit=3)

    client: Any = Client()
    assert type(extract_scenes.poll(client, ours, step)).__name__ == "PollResult"
    assert type(extract_scenes.poll(client, given, step)).__name__ == "StepRunning"
