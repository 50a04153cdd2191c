"""What the API promises of batches, and of waiting for a change."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from video_jobs import clock as moment
from video_jobs import settings
from video_jobs.api import waiting
from video_jobs.api.native import LARGEST_BATCH
from video_jobs.aws import clients
from video_jobs.jobs.batches import BatchStatus, job_id
from video_jobs.store import batches, jobs, table
from video_jobs.store.due import overdue

from tests import batch as scene
from tests.api.calls import PROBLEM, Answer, away, call, create, reads
from tests.batch import BATCH, FAULT, OTHER_FAULT, finish, job, outcomes, put, read, sources
from tests.patches import change
from tests.scripted import CREATED_AT
from tests.stack import Stack, handler

PLATFORMS: Mapping[str, dict[str, Any]] = {
    "videodb": {
        "steps": ["upload", "index_scenes"],
        "options": {"index_scenes": {"prompt": "Describe the scene"}},
        "media_type": "video",
    },
    "twelvelabs": {"plan": "task", "options": {"index_id": "62a0906d47f5678267ec10a6"}},
    "apivideo": {"options": {"upload": {"title": "A lecture"}}, "retry": {"max_attempts": 5, "base_delay": 2}},
    "apsaravideo": {"check_interval": 7.5, "notify_polls": True},
}
"""For each platform, what a job of it may ask for."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def post(**changes: Any) -> Answer:
    """Ask for a batch of two videos; None leaves a field out."""
    body = {**scene.TEMPLATE, "sources": sources(2)} | changes
    return call("POST", "/batches", {name: value for name, value in body.items() if value is not None})


def job_of(batch_id: str, index: int = 0) -> str:
    """The id of one of a batch's jobs."""
    return job_id(read(batch_id)[0], index)


def show(batch_id: str = BATCH, **query: Any) -> Any:
    answer = call("GET", f"/batches/{batch_id}", query=query)
    assert answer.status == 200, answer.text
    return answer.json


def totals(**numbers: int) -> Mapping[str, int]:
    """What a batch's answer says, where the rest is none."""
    return dict.fromkeys(("waiting", "open", "succeeded", "failed", "canceled"), 0) | numbers


def work(stack: Stack) -> None:
    stack.work("BatchesQueue", handler("pipeline/batches"))


def announce(stack: Stack) -> None:
    """Have VideoDB's worker announce what has ended: nothing is asked of VideoDB."""
    stack.work("VideoDbQueue", handler("videodb/worker"))
    work(stack)


# --- Create ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_answered_at_once_and_says_where_it_is_shown(stack: Stack) -> None:
    answer = post(name="autumn term")

    made = answer.json
    assert (answer.status, answer.headers["location"]) == (201, f"/batches/{made['batch_id']}")
    assert UUID.fullmatch(made["batch_id"])
    created = made.pop("created_at")
    assert created.endswith("Z")
    assert {name: value for name, value in made.items() if value is not None} == {
        "batch_id": made["batch_id"],
        "name": "autumn term",
        "provider": "videodb",
        "status": "running",
        "closed": True,
        "canceled": False,
        "total": 2,
        "totals": totals(waiting=2),
        "causes": {},
        "progress": 0.0,
        "version": 0,
    }
    assert show(made["batch_id"])["created_at"] == created
    (message,) = stack.messages("BatchesQueue")
    assert batches.work(json.loads(message)["work_id"])


@pytest.mark.parametrize("provider", PLATFORMS)
def test_a_batchs_jobs_are_what_a_job_of_the_same_request_is(stack: Stack, provider: str) -> None:
    alone = create(provider=provider, source=sources(1)[0], **PLATFORMS[provider]).json
    answer = post(**{"steps": None, **PLATFORMS[provider]}, provider=provider, sources=sources(1))
    assert answer.status == 201, answer.text
    work(stack)

    one, made = (job(found) for found in (alone["job_id"], job_of(answer.json["batch_id"])))

    own = {"batch_id", "batch_index", "batch_created_at", "digest"}
    assert made.request.model_dump(exclude=own) == one.request.model_dump(exclude=own)
    assert (made.request.batch_id, made.request.batch_index) == (answer.json["batch_id"], 0)
    assert (made.provider, made.plan, made.status) == (one.provider, one.plan, one.status)


@pytest.mark.parametrize("notify_jobs", [False, True])
def test_a_batch_may_have_its_end_told_and_those_of_its_jobs(stack: Stack, notify_jobs: bool) -> None:
    url = "https://hooks.example.com/video-jobs"
    batch_id = post(notify_url=url, notify_jobs=notify_jobs).json["batch_id"]
    work(stack)

    assert read(batch_id)[0].notify_url == url
    assert job(job_of(batch_id)).request.notify_url == (url if notify_jobs else None)


def test_the_same_key_makes_one_batch_and_another_request_of_it_is_refused(stack: Stack) -> None:
    headers = {"idempotency-key": "k"}
    body = {**scene.TEMPLATE, "sources": sources(2)}
    first, again = (call("POST", "/batches", body, headers=headers) for _ in range(2))
    other = call("POST", "/batches", body | {"sources": sources(3)}, headers=headers)

    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json
    assert len(stack.messages("BatchesQueue")) == 1
    assert (other.status, other.code) == (422, "idempotency_key_reused")


def test_ten_thousand_sources_are_taken_and_one_more_is_not(stack: Stack) -> None:
    assert post(sources=sources(10_000)).json["totals"]["waiting"] == 10_000
    assert len(stack.messages("BatchesQueue")) == 50

    answer = post(sources=sources(10_001))
    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["body.sources"])


@pytest.mark.parametrize("path", ["/batches", f"/batches/{BATCH}/jobs"])
def test_a_body_that_no_transaction_takes_is_refused_and_the_answer_says_what_to_do(stack: Stack, path: str) -> None:
    put(0, closed=False)
    before = stack.items()
    long = [f"{source}?{'x' * 340}" for source in sources(10_000)]

    answer = call("POST", path, {"sources": long} | (scene.TEMPLATE if path == "/batches" else {}))

    assert (answer.status, answer.code) == (413, "too_large")
    assert (
        f"{LARGEST_BATCH} is the most. Leave the batch open, and send its sources in several requests."
        in (answer.json["detail"])
    )
    assert stack.items() == before


def test_the_largest_body_is_taken(stack: Stack) -> None:
    body = {**scene.TEMPLATE, "sources": sources(10_000)}
    padding = (LARGEST_BATCH - len(json.dumps(body))) // 10_000
    body["sources"] = [f"{source}{'x' * padding}" for source in sources(10_000)]
    assert LARGEST_BATCH - 10_000 < len(json.dumps(body)) <= LARGEST_BATCH

    assert call("POST", "/batches", body).json["total"] == 10_000


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"provider": None}, ["body.provider"]),
        ({"provider": "elsewhere"}, ["body.provider"]),
        ({"sources": None}, ["body"]),
        ({"sources": []}, ["body"]),
        ({"sources": ["https://example.com/1.mp4", "ftp://example.com/2.mp4"]}, ["body.sources.1"]),
        ({"sources": ["https://example.com/" + "x" * 9000]}, ["body.sources.0"]),
        ({"sources": [1]}, ["body.sources.0"]),
        ({"source": "https://example.com/1.mp4"}, ["body.source"]),
        ({"media_id": "m-1"}, ["body.media_id"]),
        ({"label": "a label"}, ["body.label"]),
        ({"name": ""}, ["body.name"]),
        ({"name": "x" * 129}, ["body.name"]),
        ({"open": "perhaps"}, ["body.open"]),
        ({"notify_url": "http://example.com"}, ["body.notify_url"]),
        ({"notify_jobs": True}, ["body"]),
        ({"retry": {"max_attempts": 11}}, ["body.retry.max_attempts"]),
        ({"steps": ["index_scenes"]}, ["body"]),
        ({"steps": ["upload", "dance"]}, ["body.steps.1"]),
        ({"media_type": "image", "steps": ["upload", "index_scenes"]}, ["body"]),
        ({"options": {"upload": {"name": "x" * 1025}}}, ["body.options.upload.name"]),
        ({"options": {"index_scenes": {"prompt": "x" * 17_000}}}, ["body"]),
        ({"provider": "twelvelabs", "steps": None}, ["body.options.index_id"]),
        ({"provider": "twelvelabs", "steps": None, "options": {}}, ["body.options.index_id"]),
        ({"provider": "twelvelabs", "steps": None, "options": {"index_id": "i", "task": {}}}, ["body"]),
        ({"provider": "twelvelabs", "options": {"index_id": "i"}}, ["body.steps"]),
        ({"provider": "apivideo", "steps": ["encoding"]}, ["body"]),
        ({"provider": "apsaravideo", "steps": ["upload_by_url", "upload"]}, ["body.steps.0", "body.steps.1"]),
    ],
)
def test_a_request_that_does_not_fit_is_told_where(stack: Stack, changes: dict[str, Any], fields: list[str]) -> None:
    answer = post(**changes)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert set(answer.fields) <= set(fields)
    assert answer.fields
    assert stack.items() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sources": []}, "give sources, or leave the batch open for some to come"),
        ({"notify_jobs": True}, "notify_jobs needs a notify_url"),
        ({"steps": ["index_scenes"]}, "a source must be uploaded: add the step upload, or give a media_id"),
        ({"media_type": "image", "steps": ["index_scenes"]}, "these steps do not fit the medium: index_scenes"),
        ({"options": {"index_scenes": {"prompt": "x" * 17_000}}}, "must have at most 16384 bytes as JSON"),
    ],
)
def test_what_does_not_fit_together_is_said(stack: Stack, changes: dict[str, Any], said: str) -> None:
    (error,) = post(**changes).json["errors"]

    assert said in error["message"]
    assert "Value error" not in error["message"]


@pytest.mark.parametrize(
    ("path", "text", "content_type", "problem"),
    [
        ("/batches", "{", "application/json", (400, "malformed_json")),
        ("/batches", "a=b", "application/x-www-form-urlencoded", (415, "not_json")),
        (f"/batches/{BATCH}/jobs", "{", "application/json", (400, "malformed_json")),
        (f"/batches/{BATCH}/jobs", "{}", "text/plain", (415, "not_json")),
        (f"/batches/{BATCH}/retry", "[", "application/json", (400, "malformed_json")),
        (f"/batches/{BATCH}/retry", "{}", "text/plain", (415, "not_json")),
    ],
)
def test_a_body_that_is_no_json_is_refused(
    stack: Stack, path: str, text: str, content_type: str, problem: tuple[int, str]
) -> None:
    answer = call("POST", path, text=text, headers={"content-type": content_type})

    assert (answer.status, answer.code) == problem


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"])
@pytest.mark.parametrize("key", [{}, {"idempotency-key": "k"}])
def test_a_caller_whose_batch_dynamodb_does_not_take_now_is_told_to_try_again_and_can(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, code: str, key: dict[str, str]
) -> None:
    change(monkeypatch, table, time, sleep=lambda _seconds: None)
    body = {**scene.TEMPLATE, "sources": sources(2)}
    with canceled(code):
        answer = call("POST", "/batches", body, headers=key)

    assert (answer.status, answer.code) == (503, "unavailable")
    assert "try again" in answer.json["detail"]
    assert (stack.items("BATCH#"), stack.messages("BatchesQueue")) == ([], [])
    assert call("POST", "/batches", body, headers=key).status == 201


@contextmanager
def canceled(code: str) -> Iterator[None]:
    """DynamoDB cancels every transaction for this reason."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def refused(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "TransactWriteItems":
            return original(self, operation, parameters)
        reasons = [{"Code": code}, *({"Code": "None"} for _ in parameters["TransactItems"][1:])]
        error = {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons}
        raise clients.dynamodb().exceptions.TransactionCanceledException(error, operation)  # type: ignore[arg-type]

    with patch.object(BaseClient, "_make_api_call", refused):
        yield


def test_a_batch_whose_messages_cannot_be_sent_is_made_all_the_same_and_found_by_the_sweep(stack: Stack) -> None:
    with away("sqs"):
        assert post().status == 201

    assert stack.messages("BatchesQueue") == []
    soon = moment.after(moment.now(), 300)
    (due,) = (item for shard in range(table.SHARDS) for item in overdue(f"work#{shard}", before=soon))
    assert batches.work(due["pk"].removeprefix("WORK#"))


# --- Show ------------------------------------------------------------------------------------------------------------


def test_a_batch_shows_where_its_sources_stand_and_why_jobs_failed(stack: Stack) -> None:
    made = put(10, closed=False)
    batches.append(BATCH, sources(2, start=10), close=True, post=None)
    scene.begin(made[0])
    finish(made[1])
    for found in made[2:4]:
        finish(found, OTHER_FAULT)
    finish(made[4], FAULT)
    call("DELETE", f"/jobs/{made[5]}")
    announce(stack)

    shown = show()

    assert shown["totals"] == totals(waiting=2, open=5, succeeded=1, failed=3, canceled=1)
    assert list(shown["causes"].items()) == [("invalid_media_type", 2), ("download_failed", 1)]
    assert (shown["total"], shown["progress"], shown["status"]) == (12, round(5 / 12, 4), "running")
    assert shown["rate"] > 0
    assert shown["estimated_end_at"] > shown["started_at"]
    assert shown["ended_at"] is None


def test_a_batch_that_has_ended_says_when_and_estimates_no_more(stack: Stack) -> None:
    for found in put(2):
        finish(found)

    shown = show()

    assert (shown["status"], shown["progress"], shown["totals"]) == ("ended", 1.0, totals(succeeded=2))
    assert shown["created_at"] <= shown["started_at"] <= shown["ended_at"]
    assert shown["estimated_end_at"] is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/batches/elsewhere", None),
        ("GET", "/batches/elsewhere/jobs", None),
        ("POST", "/batches/elsewhere/jobs", {"close": True}),
        ("POST", "/batches/elsewhere/retry", None),
        ("DELETE", "/batches/elsewhere", None),
    ],
)
def test_a_batch_that_is_not_there_is_not_found(stack: Stack, method: str, path: str, body: Any) -> None:
    answer = call(method, path, body)

    assert (answer.status, answer.code) == (404, "not_found")


def test_a_batch_is_shown_by_one_read(stack: Stack) -> None:
    put(3)
    show()
    stack.calls.clear()

    show()

    assert stack.calls == ["dynamodb.Query"]


# --- All of them -----------------------------------------------------------------------------------------------------


def test_batches_are_listed_newest_first_each_one_once(stack: Stack) -> None:
    made = [batch_of(day) for day in (1, 2, 3, 4, 5)]

    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    pages = 0
    while True:
        page = call("GET", "/batches", query=query).json
        found += [each["batch_id"] for each in page["batches"]]
        pages += 1
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]

    assert (pages, found) == (3, made[::-1])


def batch_of(day: int) -> str:
    created = CREATED_AT + day * 86_400_000
    put(1, f"batch-{day}", name=f"day {day}", created_at=created)
    return f"batch-{day}"


def test_a_lost_id_is_found_by_what_is_known_of_the_batch(stack: Stack) -> None:
    batch_id = post(name="autumn term").json["batch_id"]
    whole = show(batch_id)

    (brief,) = call("GET", "/batches").json["batches"]

    assert brief == {name: whole[name] for name in brief}
    assert (brief["batch_id"], brief["name"], brief["total"]) == (batch_id, "autumn term", 2)
    assert "totals" not in brief


def test_a_list_shows_that_a_batch_has_ended(stack: Stack) -> None:
    (made,) = put(1)
    finish(made)

    (brief,) = call("GET", "/batches").json["batches"]

    assert (brief["status"], brief["ended_at"]) == ("ended", show()["ended_at"])


def test_lists_of_jobs_have_no_batches_and_the_list_of_batches_no_jobs(stack: Stack) -> None:
    made = put(2)
    create()

    for query in ({}, {"provider": "videodb"}, {"status": "pending"}):
        listed = call("GET", "/jobs", query=query).json["jobs"]
        assert {each["job_id"] for each in listed} >= set(made)
        assert {each["batch_id"] for each in listed} == {BATCH, None}
        assert len(listed) == 3
    assert [each["batch_id"] for each in call("GET", "/batches").json["batches"]] == [BATCH]


def test_a_page_of_batches_reads_no_more_than_it_may_show(stack: Stack) -> None:
    for day in range(1, 8):
        batch_of(day)
    call("GET", "/batches")
    stack.calls.clear()

    with reads() as found:
        call("GET", "/batches", query={"limit": 2})

    assert stack.calls == ["dynamodb.Query"] * table.SHARDS + ["dynamodb.BatchGetItem"]
    assert {each.index for each in found} == {"by_provider"}
    assert sum(each.items for each in found) <= table.SHARDS * (2 + 1)


def test_without_batches_the_list_is_empty(stack: Stack) -> None:
    create()

    assert call("GET", "/batches").json == {"batches": [], "cursor": None}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"status": "running"}, {"cursor": "elsewhere"}, {"cursor": "x" * 301}]
)
def test_a_list_of_batches_that_cannot_be_made_is_refused(stack: Stack, query: dict[str, Any]) -> None:
    answer = call("GET", "/batches", query=query)

    assert (answer.status, answer.code) in ((422, "invalid_request"), (422, "invalid_cursor"))


# --- Its jobs --------------------------------------------------------------------------------------------------------


def test_jobs_come_in_pages_each_one_once(stack: Stack) -> None:
    made = put(7)
    put(2, "another")

    found: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    pages = 0
    while True:
        page = call("GET", f"/batches/{BATCH}/jobs", query=query).json
        found += [each["job_id"] for each in page["jobs"]]
        pages += 1
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]

    assert (pages, len(found), set(found)) == (3, 7, set(made))


@pytest.mark.parametrize(
    ("status", "indices"),
    [("pending", {3}), ("running", {0, 4}), ("succeeded", {1}), ("failed", {2}), ("canceled", set())],
)
def test_jobs_are_listed_by_their_status(stack: Stack, status: str, indices: set[int]) -> None:
    made = put(5)
    scene.begin(made[0])
    finish(made[1])
    finish(made[2], FAULT)
    finish(made[4], FAULT)
    scene.retry(made[4])

    listed = call("GET", f"/batches/{BATCH}/jobs", query={"status": status}).json["jobs"]

    assert {each["job_id"] for each in listed} == {made[index] for index in indices}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"status": "lost"}, {"cursor": "elsewhere"}, {"cursor": "x" * 301}]
)
def test_a_list_that_cannot_be_made_is_refused(stack: Stack, query: dict[str, Any]) -> None:
    put(1)

    answer = call("GET", f"/batches/{BATCH}/jobs", query=query)

    assert answer.status == 422
    assert answer.code in ("invalid_request", "invalid_cursor")


# --- More sources ----------------------------------------------------------------------------------------------------


def test_an_open_batch_takes_sources_until_it_is_closed(stack: Stack) -> None:
    batch_id = post(open=True, sources=None).json["batch_id"]

    added = call("POST", f"/batches/{batch_id}/jobs", {"sources": sources(2)})
    closed = call("POST", f"/batches/{batch_id}/jobs", {"sources": sources(1, start=2), "close": True})
    late = call("POST", f"/batches/{batch_id}/jobs", {"sources": sources(1, start=3)})
    work(stack)

    assert (added.status, added.json["total"], added.json["closed"]) == (202, 2, False)
    assert (closed.status, closed.json["total"], closed.json["closed"]) == (202, 3, True)
    assert (late.status, late.code) == (409, "batch_closed")
    assert show(batch_id)["totals"] == totals(open=3)


def test_sources_are_added_once_for_each_key(stack: Stack) -> None:
    put(0, closed=False)
    headers = {"idempotency-key": "k" * 255}

    first, again = (call("POST", f"/batches/{BATCH}/jobs", {"sources": sources(2)}, headers=headers) for _ in range(2))
    other = call("POST", f"/batches/{BATCH}/jobs", {"sources": sources(3)}, headers=headers)

    assert (first.json["total"], again.json["total"]) == (2, 2)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert len(stack.messages("BatchesQueue")) == 1


def test_a_batch_whose_jobs_have_all_ended_ends_when_it_is_closed(stack: Stack) -> None:
    (made,) = put(1, closed=False)
    finish(made)

    answer = call("POST", f"/batches/{BATCH}/jobs", {"close": True})
    work(stack)

    assert (answer.status, show()["status"]) == (202, "ended")


def test_an_open_batch_without_sources_ends_when_it_is_closed(stack: Stack) -> None:
    put(0, closed=False)

    call("POST", f"/batches/{BATCH}/jobs", {"close": True})
    work(stack)

    shown = show()
    assert (shown["status"], shown["progress"], shown["total"]) == ("ended", 0.0, 0)


@pytest.mark.parametrize("body", [{}, {"sources": []}, {"sources": ["x"]}, {"source": "https://example.com/1.mp4"}])
def test_a_post_that_adds_nothing_is_refused(stack: Stack, body: dict[str, Any]) -> None:
    put(0, closed=False)

    answer = call("POST", f"/batches/{BATCH}/jobs", body)

    assert (answer.status, answer.code) == (422, "invalid_request")


def test_a_post_that_others_are_always_faster_than_is_told_to_come_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(0, closed=False)
    change(monkeypatch, batches, time, sleep=lambda _seconds: None)
    read_once = batches.get

    def others_are_faster(batch_id: str) -> Any:
        found = read_once(batch_id)
        with patch.object(batches, "get", read_once):
            batches.append(batch_id, sources(1), close=False, post=None)
        return found

    with patch.object(batches, "get", others_are_faster):
        answer = call("POST", f"/batches/{BATCH}/jobs", {"sources": sources(1)})

    assert (answer.status, answer.code) == (409, "batch_moved")


# --- Cancel ----------------------------------------------------------------------------------------------------------


def test_a_canceled_batch_cancels_what_is_open_and_ends(stack: Stack) -> None:
    first, _ = put(2, closed=False)
    finish(first)

    answer = call("DELETE", f"/batches/{BATCH}")
    assert (answer.status, answer.json["canceled"], answer.json["closed"]) == (200, True, True)
    work(stack)
    announce(stack)

    shown = show()
    assert (shown["status"], shown["totals"]) == ("ended", totals(succeeded=1, canceled=1))


def test_a_batch_is_canceled_once_however_often_that_is_asked(stack: Stack) -> None:
    put(2)

    answers = [call("DELETE", f"/batches/{BATCH}") for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert (len(stack.messages("BatchesQueue")), read()[0].work) == (1, 1)


def test_a_batch_that_has_ended_stays_as_it_is_when_it_is_canceled(stack: Stack) -> None:
    (made,) = put(1)
    finish(made)
    before = show()

    answer = call("DELETE", f"/batches/{BATCH}")

    assert (answer.status, answer.json, stack.messages("BatchesQueue")) == (200, before, [])


# --- Try again -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "again"), [(None, 3), ({}, 3), ({"cause": "download_failed"}, 2), ({"cause": "invalid_media_type"}, 1)]
)
def test_what_failed_is_tried_again(stack: Stack, body: Any, again: int) -> None:
    made = put(4)
    for found, error in zip(made, [FAULT, FAULT, OTHER_FAULT, None], strict=True):
        finish(found, error)
    assert read()[0].status == BatchStatus.ENDED
    stack.messages("VideoDbQueue")

    answer = call("POST", f"/batches/{BATCH}/retry", body)
    work(stack)

    assert (answer.status, answer.json["status"], answer.json["ended_at"]) == (202, "running", None)
    assert show()["totals"] == totals(open=again, failed=3 - again, succeeded=1)
    assert len(stack.messages("VideoDbQueue")) == again


@pytest.mark.parametrize(
    ("body", "said"),
    [(None, "No job of the batch has failed."), ({"cause": "other"}, "No job of the batch has failed for this cause.")],
)
def test_a_batch_without_failures_is_not_tried_again(stack: Stack, body: Any, said: str) -> None:
    first, second = put(2)
    finish(first)
    if body:
        finish(second, FAULT)

    answer = call("POST", f"/batches/{BATCH}/retry", body)

    assert (answer.status, answer.code, answer.json["detail"]) == (409, "nothing_failed", said)
    assert stack.messages("BatchesQueue") == []


@pytest.mark.parametrize(
    ("first", "second"), [(None, None), ({}, {"cause": "download_failed"}), ({"cause": "download_failed"}, {})]
)
@pytest.mark.parametrize("has_begun", [False, True])
def test_a_retry_that_is_asked_for_twice_is_answered_alike(
    stack: Stack, first: Any, second: Any, has_begun: bool
) -> None:
    """As somebody does whose first answer was lost, or who still saw a failure in it."""
    (made,) = put(1)
    finish(made, FAULT)
    stack.messages("VideoDbQueue")

    before = call("POST", f"/batches/{BATCH}/retry", first)
    if has_begun:
        work(stack)
    again = call("POST", f"/batches/{BATCH}/retry", second)
    work(stack)

    assert (before.status, before.json["totals"]["failed"]) == (202, 1)
    assert (again.status, again.json["status"]) == (202, "running")
    assert show()["totals"] == totals(open=1)
    assert len(stack.messages("VideoDbQueue")) == 1


def test_a_retry_is_under_way_for_its_cause_and_until_the_batch_ends(stack: Stack) -> None:
    first, second = put(2)
    finish(first, FAULT)
    finish(second)
    call("POST", f"/batches/{BATCH}/retry", {"cause": "download_failed"})
    work(stack)

    other = call("POST", f"/batches/{BATCH}/retry", {"cause": "timed_out"})
    finish(first)
    after = call("POST", f"/batches/{BATCH}/retry")

    assert show()["status"] == "ended"
    assert [(answer.status, answer.code) for answer in (other, after)] == [(409, "nothing_failed")] * 2


@pytest.mark.parametrize("body", [{"cause": ""}, {"cause": "x" * 129}, {"causes": ["a"]}, {"cause": 1}])
def test_a_retry_that_does_not_fit_is_refused(stack: Stack, body: Any) -> None:
    (made,) = put(1)
    finish(made, FAULT)

    answer = call("POST", f"/batches/{BATCH}/retry", body)

    assert (answer.status, answer.code) == (422, "invalid_request")


def test_a_batch_that_is_being_canceled_is_not_tried_again_until_it_has_ended(stack: Stack) -> None:
    first, _ = put(2)
    finish(first, FAULT)
    call("DELETE", f"/batches/{BATCH}")

    meanwhile = call("POST", f"/batches/{BATCH}/retry")
    work(stack)
    announce(stack)
    after = call("POST", f"/batches/{BATCH}/retry")

    assert (meanwhile.status, meanwhile.code) == (409, "batch_canceled")
    assert (after.status, after.json["canceled"]) == (202, False)


# --- One of its jobs -------------------------------------------------------------------------------------------------


def test_a_canceled_job_is_counted_as_such_and_ends_its_batch(stack: Stack) -> None:
    first, second = put(2)
    finish(first)

    assert call("DELETE", f"/jobs/{second}").status == 200
    announce(stack)

    assert (show()["status"], outcomes()) == ("ended", {"succeeded": 1, "canceled": 1})


def test_a_job_that_is_retried_alone_has_its_batch_run_again(stack: Stack) -> None:
    first, second = put(2)
    finish(first, FAULT)
    finish(second)

    assert call("POST", f"/jobs/{first}/retry").status == 200

    assert (show()["status"], outcomes()) == ("running", {"succeeded": 1})


def test_a_job_whose_end_is_not_announced_yet_is_announced_and_counted_when_it_is_deleted(stack: Stack) -> None:
    (made,) = put(1)
    scene.run(made)

    assert call("DELETE", f"/jobs/{made}").status == 204

    assert (jobs.read(made), outcomes(), show()["status"]) == (None, {"succeeded": 1}, "ended")
    assert len(stack.messages("BusNotifications")) == 2


def test_a_batch_whose_end_is_not_announced_yet_is_announced_before_it_runs_again(stack: Stack) -> None:
    (made,) = put(1)
    with patch.object(batches, "announced"):  # it broke off before that
        finish(made, FAULT)
    sent = len(stack.messages("BusNotifications"))

    assert call("POST", f"/batches/{BATCH}/retry").status == 202

    (again,) = stack.messages("BusNotifications")
    assert json.loads(json.loads(again)["event"])["type"] == "batch.ended"
    assert (sent, read()[0].ends, read()[0].announced) == (2, 1, 1)


# --- Waiting ---------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """Time that passes only by waiting, and what happens at which second."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    events: dict[int, Callable[[], object]] = field(default_factory=dict)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        if event := self.events.pop(len(self.waits), None):
            event()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    change(monkeypatch, waiting, time, sleep=clock.sleep, monotonic=lambda: clock.now)
    return clock


def path_of(kind: str, made: str) -> str:
    return f"/batches/{BATCH}" if kind == "batch" else f"/jobs/{made}"


def move(kind: str, made: str) -> None:
    """A batch changes when a job of it ends, a job with each step."""
    if kind == "batch":
        finish(made)
    else:
        scene.begin(made)


KINDS = pytest.mark.parametrize("kind", ["batch", "job"])


@KINDS
def test_without_a_wait_the_answer_comes_at_once(stack: Stack, clock: Clock, kind: str) -> None:
    (made,) = put(1)

    assert call("GET", path_of(kind, made)).status == 200
    assert clock.waits == []


@KINDS
def test_nothing_that_changes_is_answered_when_the_time_is_over(stack: Stack, clock: Clock, kind: str) -> None:
    (made,) = put(1)
    show()
    stack.calls.clear()

    answer = call("GET", path_of(kind, made), query={"wait": 20})

    assert (answer.status, sum(clock.waits)) == (200, 20)
    assert stack.calls == ["dynamodb.Query"] * 21, "it is read once a second, and no more"


@KINDS
def test_a_change_is_answered_when_it_is_seen(stack: Stack, clock: Clock, kind: str) -> None:
    made, _ = put(2)
    version = call("GET", path_of(kind, made)).json["version"]
    clock.events[3] = lambda: move(kind, made)

    answer = call("GET", path_of(kind, made), query={"wait": 20}).json

    assert (len(clock.waits), answer["version"] > version) == (3, True)
    assert answer["totals"]["succeeded"] == 1 if kind == "batch" else answer["status"] == "running"


@KINDS
def test_a_caller_who_knows_an_older_version_is_answered_at_once_and_one_who_knows_this_one_waits(
    stack: Stack, clock: Clock, kind: str
) -> None:
    made, _ = put(2)
    known = call("GET", path_of(kind, made)).json["version"]
    move(kind, made)

    changed = call("GET", path_of(kind, made), query={"wait": 5, "since": known}).json["version"]
    assert (clock.waits, changed > known) == ([], True)

    call("GET", path_of(kind, made), query={"wait": 5, "since": changed})
    assert sum(clock.waits) == 5


@KINDS
def test_what_has_ended_is_answered_at_once(stack: Stack, clock: Clock, kind: str) -> None:
    (made,) = put(1)
    finish(made)
    known = call("GET", path_of(kind, made)).json["version"]

    answer = call("GET", path_of(kind, made), query={"wait": 25, "since": known})

    assert (answer.status, clock.waits) == (200, [])


@KINDS
def test_what_is_deleted_while_somebody_waits_for_it_is_not_found(stack: Stack, clock: Clock, kind: str) -> None:
    (made,) = put(1)
    key = {"batch": {"pk": {"S": f"BATCH#{BATCH}"}, "sk": {"S": "BATCH"}}}
    key["job"] = {"pk": {"S": f"JOB#{made}"}, "sk": {"S": "JOB"}}
    clock.events[2] = lambda: clients.dynamodb().delete_item(TableName=settings.setting("TABLE_NAME"), Key=key[kind])

    answer = call("GET", path_of(kind, made), query={"wait": 20})

    assert (answer.status, answer.code, len(clock.waits)) == (404, "not_found", 2)


@KINDS
@pytest.mark.parametrize("query", [{"wait": 26}, {"wait": -1}, {"wait": "long"}, {"since": -1}, {"since": "then"}])
def test_a_wait_that_does_not_fit_is_refused(stack: Stack, clock: Clock, kind: str, query: dict[str, Any]) -> None:
    (made,) = put(1)

    answer = call("GET", path_of(kind, made), query=query)

    assert (answer.status, answer.code, clock.waits) == (422, "invalid_request", [])
    assert answer.headers["content-type"] == PROBLEM
