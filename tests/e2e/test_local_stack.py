"""The whole machine: template.yaml deployed by SAM into the local stack, and driven over HTTP as users do."""

import base64
import json
from functools import partial
from typing import Any

import pytest

from tests.cloudformation import ROOT
from tests.e2e.deployment import Deployment, eventually, http

SAMPLES = ROOT / "events" / "videodb"


def outcomes(job: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["status"] for step in job["steps"]}


ALL_DONE = dict.fromkeys(("upload", "index_spoken_words", "index_scenes", "extract_scenes"), "succeeded")


def test_a_video_goes_from_its_url_to_a_searchable_video(deployment: Deployment) -> None:
    job_id = deployment.create(
        "lecture.mp4",
        media_type="video",
        options={"index_spoken_words": {"language_code": "en_us"}, "index_scenes": {"prompt": "Which slide?"}},
    )
    job = deployment.ended(job_id)
    assert (job["status"], outcomes(job), job["progress"]) == ("succeeded", ALL_DONE, 1.0)
    results = {step["name"]: step["result"] for step in job["steps"]}
    assert results["upload"]["id"].startswith("m-")
    assert results["index_scenes"]["scene_index_id"]
    assert results["extract_scenes"]["scene_collection_id"]
    sent = {r.path: r.body for r in deployment.videodb.requests if results["upload"]["id"] in r.path and r.body}
    assert sent[f"/video/{results['upload']['id']}/index"]["language_code"] == "en_us"
    assert sent[f"/video/{results['upload']['id']}/index/scene"]["prompt"] == "Which slide?"


@pytest.mark.parametrize("source", ["podcast.mp3", "poster.jpg"])
def test_what_cannot_be_indexed_is_only_uploaded(deployment: Deployment, source: str) -> None:
    job = deployment.ended(deployment.create(source))
    assert job["status"] == "succeeded"
    assert outcomes(job) == {"upload": "succeeded"} | dict.fromkeys(
        ("index_spoken_words", "index_scenes", "extract_scenes"), "skipped"
    )


@pytest.mark.parametrize(
    ("source", "step", "code"),
    [
        ("private.mp4", "upload", "download_failed"),
        ("wrong-type.mp4", "upload", "invalid_media_type"),
        ("corrupt.mp4", "upload", "something_went_wrong"),
        ("refused.mp4", "upload", "request_refused"),
        ("no-speech.mp4", "index_spoken_words", "unknown_error"),
    ],
)
def test_a_failure_says_what_happened_why_and_what_to_do(
    deployment: Deployment, source: str, step: str, code: str
) -> None:
    job = deployment.ended(deployment.create(source))
    assert (job["status"], outcomes(job)[step]) == ("failed", "failed")
    assert job["error"]["code"] == code
    assert job["error"]["message"]
    assert job["error"]["cause"]
    assert job["error"]["action"]


@pytest.mark.parametrize(("source", "attempts"), [("flaky.mp4", 3), ("throttled.mp4", 2), ("reset.mp4", 2)])
def test_an_error_that_passes_is_tried_again(deployment: Deployment, source: str, attempts: int) -> None:
    job = deployment.ended(deployment.create(source))
    assert (job["status"], job["steps"][0]["attempt"]) == ("succeeded", attempts)


def test_a_job_whose_callbacks_are_all_lost_is_finished_by_polls(deployment: Deployment) -> None:
    job = deployment.ended(job_id := deployment.create("silent.mp4"))
    assert (job["status"], outcomes(job)) == ("succeeded", ALL_DONE)
    assert {event["via"] for event in deployment.events(job_id)} == {"poll"}


def test_callbacks_that_come_twice_and_out_of_order_are_applied_once(deployment: Deployment) -> None:
    job = deployment.ended(deployment.create("twice.mp4"))
    assert (job["status"], outcomes(job)) == ("succeeded", ALL_DONE)
    assert all(step["attempt"] == 1 for step in job["steps"])


def test_garbled_callbacks_become_dead_letters_and_their_job_ends_all_the_same(deployment: Deployment) -> None:
    job = deployment.ended(job_id := deployment.create("garbled.mp4"))
    assert (job["status"], outcomes(job)) == ("succeeded", ALL_DONE)

    def letter() -> dict[str, Any] | None:
        ours = (one for one in deployment.dead_letters() if one["proof"]["job_id"] == job_id)
        return next(ours, None)

    assert eventually(letter)["callback"].startswith("videodb/")


def test_only_who_has_a_key_may_ask_and_only_who_has_a_token_may_call_back(deployment: Deployment) -> None:
    assert deployment.call("GET", "/jobs", **{"x-api-key": "wrong"})[0] == 401
    assert (
        deployment.call("GET", "/jobs", authorization=f"Bearer {deployment.stack.api_key}", **{"x-api-key": ""})[0]
        == 200
    )
    path = "/callbacks/videodb/upload?job=job-1&attempt=1&token=" + "0" * 64
    assert deployment.call("POST", path, {"success": True}, **{"x-api-key": ""}) == (401, {"outcome": "rejected"})


def test_a_body_in_an_unknown_content_type_arrives_as_it_was_sent(deployment: Deployment) -> None:
    # API Gateway hands such a body over in base64
    signed = json.loads((SAMPLES / "upload" / "video_success.json").read_text())
    path = f"{signed['rawPath']}?{signed['rawQueryString']}"
    answer = http.request(
        "POST",
        deployment.stack.api_url + path,
        body=body_of(signed),
        headers={"content-type": "application/octet-stream"},
    )
    assert (answer.status, json.loads(answer.data)) == (200, {"outcome": "accepted"})


def test_a_failed_job_is_retried_replayed_and_deleted_over_the_api(deployment: Deployment) -> None:
    job_id = deployment.create("private.mp4?again")
    deployment.ended(job_id)
    status, job = deployment.call("POST", f"/jobs/{job_id}/retry")
    assert (status, job["status"], job["error"]) == (200, "running", None)
    again = deployment.ended(job_id)
    assert (again["status"], again["steps"][0]["attempt"]) == ("failed", 2)
    event = next(e for e in deployment.events(job_id) if e["via"] == "callback")
    assert deployment.call("POST", f"/jobs/{job_id}/events/{event['event_id']}/replay")[0] == 202
    assert deployment.call("DELETE", f"/jobs/{job_id}") == (204, None)
    status, problem = deployment.call("GET", f"/jobs/{job_id}")
    assert (status, problem["code"]) == (404, "not_found")


def test_the_same_idempotency_key_makes_one_job(deployment: Deployment) -> None:
    wish = {"provider": "videodb", "source": "https://media.example.com/once.jpg"}
    first = deployment.call("POST", "/jobs", wish, **{"idempotency-key": "once"})
    again = deployment.call("POST", "/jobs", wish, **{"idempotency-key": "once"})
    assert (first[0], again[0]) == (201, 201)
    assert first[1]["job_id"] == again[1]["job_id"]
    other = deployment.call("POST", "/jobs", wish | {"media_type": "image"}, **{"idempotency-key": "once"})
    assert (other[0], other[1]["code"]) == (422, "idempotency_key_reused")
    deployment.ended(first[1]["job_id"])


def body_of(sample: dict[str, Any]) -> bytes:
    body: str = sample["body"]
    return base64.b64decode(body) if sample["isBase64Encoded"] else body.encode()


# --- The platforms that sign -----------------------------------------------------------------------------------------

INDEX = {"index_id": "62a0906d47f5678267ec10a6"}


@pytest.mark.parametrize(
    ("provider", "wishes", "steps"),
    [
        ("twelvelabs", {"options": INDEX}, ["asset", "indexed_asset"]),
        ("twelvelabs", {"options": INDEX, "plan": "task"}, ["task"]),
        ("apivideo", {}, ["upload", "encoding"]),
        ("apsaravideo", {}, ["upload_by_url"]),
    ],
    ids=["twelvelabs", "twelvelabs-task", "apivideo", "apsaravideo"],
)
def test_a_job_of_every_platform_goes_from_its_url_to_its_end(
    deployment: Deployment, provider: str, wishes: dict[str, Any], steps: list[str]
) -> None:
    job = deployment.ended(deployment.create("lecture.mp4", provider=provider, **wishes))

    assert (job["status"], outcomes(job)) == ("succeeded", dict.fromkeys(steps, "succeeded")), job


@pytest.mark.parametrize(
    ("provider", "wishes"),
    [("twelvelabs", {"options": INDEX, "plan": "task"}), ("apivideo", {}), ("apsaravideo", {})],
    ids=["twelvelabs", "apivideo", "apsaravideo"],
)
@pytest.mark.parametrize("source", ["silent.mp4", "twice.mp4", "early.mp4"])
def test_lost_doubled_and_early_callbacks_leave_one_job_that_ends_well(
    deployment: Deployment, provider: str, wishes: dict[str, Any], source: str
) -> None:
    job_id = deployment.create(source, provider=provider, **wishes)

    job = deployment.ended(job_id)

    assert job["status"] == "succeeded", job
    refs = {step["platform_job_id"] for step in job["steps"]} - {None}
    table = deployment.stack.client("dynamodb")
    for ref in refs:
        found = table.query(
            TableName=deployment.stack.outputs["JobsTable"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :links)",
            ExpressionAttributeValues={":pk": {"S": f"MEDIUM#{provider}#{ref}"}, ":links": {"S": "JOB#"}},
        )
        assert [item["sk"]["S"].rpartition("#")[2] for item in found["Items"]] == [job_id]


def test_callbacks_of_the_signed_platforms_are_proven_and_accepted(deployment: Deployment) -> None:
    platforms = deployment.platforms
    wishes = {"twelvelabs": {"options": INDEX, "plan": "task"}, "apivideo": {}, "apsaravideo": {}}
    for provider, simulated in (
        ("twelvelabs", platforms.twelvelabs),
        ("apivideo", platforms.apivideo),
        ("apsaravideo", platforms.apsaravideo),
    ):
        deployment.create("called-back.mp4", provider=provider, **wishes[provider])
        assert eventually(partial(statuses, simulated)) == {200}


def statuses(simulated: Any) -> set[int | None] | None:
    """What a platform's callbacks were answered, once one was in time; a cold start may take longer than it waits."""
    return {delivery.status for delivery in simulated.deliveries} - {None} or None


@pytest.mark.parametrize("route", ["twelvelabs/index-task", "apivideo/encoding-quality-completed"])
def test_who_cannot_sign_is_rejected(deployment: Deployment, route: str) -> None:
    status, answer = deployment.call("POST", f"/callbacks/{route}", {"type": "index.task.ready"})

    assert (status, answer) == (401, {"outcome": "rejected"})
