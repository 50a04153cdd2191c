"""What the jobs API promises its callers."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from video_jobs import clock
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job, JobStatus, StepFailed, StepStatus, StepSucceeded
from video_jobs.platforms.videodb.request import VideoDbJobRequest
from video_jobs.store import events, jobs
from video_jobs.store.due import overdue
from video_jobs.store.table import SHARDS, shard_of

from tests.api.calls import PROBLEM, SOURCE, Answer, Read, answered, away, call, create, reads
from tests.log import Log, captured
from tests.scripted import fault
from tests.stack import API_KEY, Context, Stack, handler

UPLOADED = '{"success": true, "data": {"id": "m-1", "name": "Lecture",  "length": "191.14"}}'
FAILED = '{"success": false,\n  "message": "Download failed."}'
LARGEST_BODY = 256 * 1024
OUR_METADATA = [{"key": "video_jobs_job", "value": "x"}]


@pytest.fixture(autouse=True)
def log(stack: Stack) -> Iterator[Log]:
    """What the API logs."""
    handler("api")
    with captured() as log:
        yield log


def ok(answer: Answer, status: int = 200) -> Any:
    """The body of an answer of this status."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    return answer.json


def job_of(job_id: str) -> Job:
    found = jobs.read(job_id)
    assert found is not None
    return found


def looks(stack: Stack) -> list[str]:
    """Which jobs VideoDB's worker was asked to look at; its queue is empty then."""
    return [json.loads(message)["job_id"] for message in stack.messages("VideoDbQueue")]


def created(stack: Stack, **changes: Any) -> str:
    """A new job's id; its message has been taken."""
    job_id: str = ok(create(**changes), 201)["job_id"]
    stack.messages("VideoDbQueue")
    return job_id


def submitted(stack: Stack, **changes: Any) -> str:
    """A job whose upload has been asked for."""
    job_id = created(stack, **changes)
    jobs.change(job_id, partial(transitions.claimed, name="upload", now=clock.now(), lease=90))
    return job_id


def called_back(stack: Stack, body: str, job_id: str, **changes: Any) -> None:
    """VideoDB says this of the job's upload, and it is applied."""
    assert stack.callback("videodb/upload", body, job=job_id, **changes)["outcome"] == "accepted"
    stack.work("InboxQueue", handler("pipeline/inbox"))


def failed(stack: Stack, **changes: Any) -> str:
    """A job that has ended because its upload failed, which is announced."""
    job_id = submitted(stack, **changes)
    called_back(stack, FAILED, job_id)
    stack.work("VideoDbQueue", handler("videodb/worker"))
    job = job_of(job_id)
    assert (job.status, job.is_announced) == (JobStatus.FAILED, True)
    return job_id


def unannounced(stack: Stack, **changes: Any) -> str:
    """A job that has failed, and whose worker has not come to it."""
    job_id = submitted(stack, **changes)
    called_back(stack, FAILED, job_id)
    assert not job_of(job_id).is_announced
    return job_id


def announced(stack: Stack) -> list[tuple[str, str]]:
    """What the bus was sent: types of events, and whose."""
    found = [json.loads(json.loads(message)["event"]) for message in stack.messages("BusNotifications")]
    return [(event["type"], event["data"]["job_id"]) for event in found]


def meanwhile(monkeypatch: pytest.MonkeyPatch, transition: Callable[[Job], Job | None]) -> None:
    """Somebody else changes the job, right after the API has read it."""
    read = jobs.read

    def read_and_lose(job_id: str) -> Job | None:
        job = read(job_id)
        assert job is not None
        monkeypatch.setattr(jobs, "read", read)
        jobs.change(job_id, transition)
        return job

    monkeypatch.setattr(jobs, "read", read_and_lose)


# --- POST /jobs ------------------------------------------------------------------------------------------------------


def test_a_job_is_created_shown_and_started(stack: Stack) -> None:
    answer = create(media_type="video", label="autumn")

    job = ok(answer, 201)
    assert answer.headers["location"] == f"/jobs/{job['job_id']}"
    assert {
        name: job[name] for name in ("provider", "status", "source", "media_type", "label", "batch_id", "adopted")
    } == {
        "provider": "videodb",
        "status": "pending",
        "source": SOURCE,
        "media_type": "video",
        "label": "autumn",
        "batch_id": None,
        "adopted": False,
    }
    assert [(step["name"], step["status"], step["attempt"]) for step in job["steps"]] == [
        ("upload", "queued", 0),
        ("index_spoken_words", "waiting", 0),
        ("index_scenes", "waiting", 0),
        ("extract_scenes", "waiting", 0),
    ]
    assert job["progress"] == 0
    assert ok(call("GET", answer.headers["location"])) == job
    assert [json.loads(message) for message in stack.messages("VideoDbQueue")] == [
        {"schema_version": 1, "job_id": job["job_id"], "due_at": clock.from_iso(job["created_at"])}
    ]
    items = {item["sk"]: item for item in stack.items(f"JOB#{job['job_id']}")}
    assert set(items) == {"JOB", "REQUEST"}
    assert "due_at" in items["JOB"]
    assert "expires_at" not in items["JOB"]


def test_a_medium_that_the_platform_has_is_not_uploaded_again() -> None:
    job = ok(create(source=None, media_id="m-1"), 201)

    assert [step["name"] for step in job["steps"]] == ["index_spoken_words", "index_scenes", "extract_scenes"]
    assert [step["status"] for step in job["steps"]] == ["queued", "waiting", "waiting"]
    assert (job["media_id"], job["source"]) == ("m-1", None)


@pytest.mark.parametrize("media_type", ["audio", "image"])
def test_what_cannot_be_indexed_is_only_uploaded(media_type: str) -> None:
    job = ok(create(media_type=media_type), 201)

    assert [step["name"] for step in job["steps"]] == ["upload"]


def test_chosen_steps_run_in_the_platforms_order_and_once() -> None:
    job = ok(create(steps=["extract_scenes", "upload", "extract_scenes"]), 201)

    assert [step["name"] for step in job["steps"]] == ["upload", "extract_scenes"]


def test_options_are_kept_word_for_word() -> None:
    options = {
        "upload": {"collection_id": "c-1", "name": "Größenlehre 1 \U0001f3ac", "description": "a\nb"},
        "index_spoken_words": {"language_code": "en_us", "segmentation_type": "llm", "force": True},
        "index_scenes": {
            "extraction_type": "time",
            "extraction_config": {"time": 10, "select_frames": ["first", None]},
            "prompt": "What is to be seen?",
            "metadata": {"course": {"id": 7, "weight": 0.1}, "empty": None},
            "model_name": "pro",
            "model_config": {"temperature": 0.2, "seed": 123456789012345678901234567890123456789012},
            "name": "slides",
            "scenes": [{"start": 0, "end": 1.5}],
            "sandbox_id": "s-1",
        },
        "extract_scenes": {"extraction_type": "shot", "extraction_config": {"threshold": 20}, "force": True},
    }

    job = ok(create(options=options), 201)

    assert job["options"] == options
    assert job_of(job["job_id"]).request.options == options


def test_options_of_steps_that_do_not_run_are_left_out() -> None:
    job = ok(create(steps=["upload"], options={"index_scenes": {"prompt": "?"}}), 201)

    assert list(job["options"]) == ["upload"]


@pytest.mark.parametrize(
    "source",
    [
        "http://example.com",
        "HTTPS://EXAMPLE.COM/A.MP4",
        "https://example.com/a.mp4?X-Amz-Signature=ab%2Fcd&b=%20&b=+#t=1",
        "https://user:secret@example.com:8443/a.mp4",
        "https://[2001:db8::1]/a.mp4",
        "https://example.com/naïve/日本.mp4",
        "https://example.com/" + "a" * 8172,
    ],
    ids=lambda source: source[:40],
)
def test_a_source_is_kept_as_it_was_given(source: str) -> None:
    assert ok(create(source=source), 201)["source"] == source


@pytest.mark.parametrize(
    "source",
    [
        "",
        "example.com/a.mp4",
        "/a.mp4",
        "//example.com/a.mp4",
        "https:///a.mp4",
        "https://",
        "https:example.com",
        "https://[::1/a.mp4",
        "file:///etc/passwd",
        "ftp://example.com/a.mp4",
        "javascript:alert(1)",
        "data:video/mp4;base64,AAAA",
        "s3://bucket/key",
        "https://example.com/a b.mp4",
        " https://example.com/a.mp4",
        "https://example.com/a.mp4\n",
        "https://example.com/\x00",
        "https://example.com/\u202e4pm.a",
        "https://example.com/" + "a" * 9000,
        "https://example.com/" + "\U0001f3ac" * 3000,  # 12,000 bytes
        7,
        ["https://example.com/a.mp4"],
    ],
    ids=lambda source: repr(source)[:40],
)
def test_a_source_that_cannot_be_fetched_is_refused(stack: Stack, source: Any) -> None:
    answer = create(source=source)

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["body.source"])
    assert stack.items() == []


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        pytest.param({"provider": None}, ["body.provider"], id="no provider"),
        pytest.param({"provider": "vimeo"}, ["body.provider"], id="unknown provider"),
        pytest.param({"sources": []}, ["body.sources"], id="unknown field"),
        pytest.param({"options": {"download": {}}}, ["body.options.download"], id="options of an unknown step"),
        pytest.param({"options": {"upload": {"url": "x"}}}, ["body.options.upload.url"], id="unknown option"),
        pytest.param({"options": None, "retry": {"tries": 1}}, ["body.retry.tries"], id="unknown retry field"),
        pytest.param({"source": None}, ["body"], id="neither source nor media_id"),
        pytest.param({"media_id": "m-1"}, ["body"], id="both source and media_id"),
        pytest.param({"source": None, "media_id": ""}, ["body.media_id"], id="empty media_id"),
        pytest.param({"source": None, "media_id": "m" * 257}, ["body.media_id"], id="long media_id"),
        pytest.param({"source": None, "media_id": "a-1"}, ["body"], id="audio that is there already"),
        pytest.param({"source": None, "media_id": "img-1"}, ["body"], id="an image that is there already"),
        pytest.param({"source": None, "media_id": "m-1", "media_type": "audio"}, ["body"], id="called audio"),
        pytest.param({"source": None, "media_id": "m-1", "steps": ["upload"]}, ["body"], id="upload what is there"),
        pytest.param({"media_type": "text"}, ["body.media_type"], id="unknown media type"),
        pytest.param({"media_type": "audio", "steps": ["upload", "index_scenes"]}, ["body"], id="index audio"),
        pytest.param({"media_type": "image", "steps": ["extract_scenes"]}, ["body"], id="scenes of an image"),
        pytest.param({"steps": []}, ["body.steps"], id="no steps"),
        pytest.param({"steps": ["download"]}, ["body.steps.0"], id="unknown step"),
        pytest.param({"steps": ["index_scenes"]}, ["body"], id="a source that is not uploaded"),
        pytest.param({"label": ""}, ["body.label"], id="empty label"),
        pytest.param({"label": "b" * 129}, ["body.label"], id="long label"),
        pytest.param({"retry": {"max_attempts": 0}}, ["body.retry.max_attempts"], id="no attempts"),
        pytest.param({"retry": {"max_attempts": 11}}, ["body.retry.max_attempts"], id="too many attempts"),
        pytest.param({"retry": {"max_attempts": 10**300}}, ["body.retry.max_attempts"], id="huge number"),
        pytest.param({"retry": {"base_delay": -0.001}}, ["body.retry.base_delay"], id="negative delay"),
        pytest.param({"retry": {"base_delay": 300.001}}, ["body.retry.base_delay"], id="long delay"),
        pytest.param({"check_interval": 0}, ["body.check_interval"], id="no interval"),
        # schemathesis came upon it: the table holds no number as small as that
        pytest.param({"check_interval": 5e-324}, ["body.check_interval"], id="an interval of next to nothing"),
        pytest.param({"retry": 3}, ["body.retry"], id="retry is no object"),
        pytest.param(
            {"options": {"upload": {"name": "n" * 1025, "collection_id": ""}}},
            ["body.options.upload.collection_id", "body.options.upload.name"],
            id="two at once",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_refused_and_says_where(
    stack: Stack, changes: dict[str, Any], fields: list[str]
) -> None:
    answer = create(**changes)

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", fields)
    assert all(field in answer.json["detail"] for field in fields)
    assert stack.items() == []
    assert looks(stack) == []


@pytest.mark.parametrize("delay", ["0", "0.5", "300", "1e-7", "1e-200", "0.1234567890123456789", "-0.0"])
def test_every_delay_in_bounds_can_be_stored_and_read_again(delay: str) -> None:
    body = f'{{"provider": "videodb", "source": "{SOURCE}", "retry": {{"base_delay": {delay}}}}}'

    job = ok(call("POST", "/jobs", text=body), 201)

    assert job_of(job["job_id"]).request.retry.base_delay == pytest.approx(float(delay), abs=0.001)


def test_a_refusal_does_not_quote_what_was_sent() -> None:
    answer = create(source="https://example.com/a b?signature=hush", media_type="hush")

    assert answer.status == 422
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"source": None},
        {"source": "lecture.mp4"},
        {"notify_url": "http://example.com"},
        {"steps": ["index_scenes"]},
        {"provider": "apivideo", "media_type": None, "options": {"upload": {"metadata": OUR_METADATA}}},
        {"provider": "apsaravideo", "source": None, "media_id": "m-1"},
        {"provider": "twelvelabs", "options": {"index_id": "i", "task": {}}},
    ],
    ids=str,
)
def test_a_refusal_is_in_our_own_words(changes: dict[str, Any]) -> None:
    answer = create(**changes)

    assert answer.status == 422
    assert "Value error" not in answer.text


def test_a_job_without_its_options_is_told_what_must_be_in_them() -> None:
    answer = create(provider="twelvelabs")

    assert answer.json["errors"] == [{"field": "body.options.index_id", "message": "Field required"}]


def test_a_refusal_names_fifty_places_at_most() -> None:
    answer = create(**{f"field_{number}": 1 for number in range(5000)})

    assert answer.status == 422
    assert len(answer.fields) == 50


def nested(depth: int) -> str:
    """A request with lists in lists among its options."""
    inner = "[" * depth + "]" * depth
    options = f'{{"index_scenes": {{"metadata": {{"a": {inner}}}}}}}'
    return f'{{"provider": "videodb", "source": "{SOURCE}", "options": {options}}}'


def with_metadata(value: str) -> str:
    """A request with this JSON among its options."""
    options = f'{{"index_scenes": {{"metadata": {{"a": {value}}}}}}}'
    return f'{{"provider": "videodb", "source": "{SOURCE}", "options": {options}}}'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="cut off"),
        pytest.param("provider=videodb", id="a form"),
        pytest.param(with_metadata("1") + "x", id="something after it"),
        pytest.param(with_metadata("NaN"), id="NaN"),
        pytest.param(with_metadata("-Infinity"), id="Infinity"),
        pytest.param(with_metadata("1e999"), id="a number that only infinity holds"),
        pytest.param(with_metadata("9" * 5000), id="5,000 digits"),
        pytest.param(with_metadata('"\\ud800"'), id="half a surrogate pair"),
        pytest.param(with_metadata('{"\\udfff": 1}'), id="half a surrogate pair in a key"),
        pytest.param('{"\\ud800": 1}', id="half a surrogate pair in a field's name"),
        pytest.param(with_metadata('{"b": 1, "b": 1}'), id="the same key twice"),
        pytest.param('{"provider": "videodb", "provider": "videodb"}', id="the same field twice"),
        pytest.param("[" * 100_000 + "]" * 100_000, id="bottomless lists"),
        pytest.param('{"a":' * 40_000 + "1" + "}" * 40_000, id="bottomless objects"),
        pytest.param(nested(100_000), id="bottomless options"),
    ],
)
def test_what_is_not_json_with_one_meaning_is_refused(stack: Stack, text: str) -> None:
    answer = call("POST", "/jobs", text=text)

    assert (answer.status, answer.code) == (400, "malformed_json")
    assert stack.items() == []


@pytest.mark.parametrize("raw", [b'{"provider": "\xff"}', b"\xed\xa0\x80", b"\x00", "{}".encode("utf-16")])
def test_what_is_not_utf_8_is_refused(raw: bytes) -> None:
    answer = call("POST", "/jobs", raw=raw)

    assert (answer.status, answer.code) == (400, "malformed_json")


@pytest.mark.parametrize("depth", [10, 100, 1000, 5000])
def test_nesting_is_either_kept_or_refused(depth: int) -> None:
    answer = call("POST", "/jobs", text=nested(depth))

    if answer.status == 201:
        assert ok(call("GET", answer.headers["location"])) == answer.json
    else:
        assert answer.code in ("invalid_request", "malformed_json")


@pytest.mark.parametrize("text", [None, "", "null", "[]", "[1]", "1", '"text"', "true", "{}"])
def test_a_body_that_is_no_request_is_refused(text: str | None) -> None:
    answer = call("POST", "/jobs", text=text)

    assert (answer.status, answer.code) == (422, "invalid_request")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", "application/json ; x=y"],
)
def test_json_is_json_under_each_of_its_names(content_type: str) -> None:
    body = {"provider": "videodb", "source": SOURCE}

    assert call("POST", "/jobs", body, headers={"Content-Type": content_type}).status == 201


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""],
)
def test_any_other_content_type_is_refused(content_type: str) -> None:
    answer = call("POST", "/jobs", {"provider": "videodb", "source": SOURCE}, headers={"content-type": content_type})

    assert (answer.status, answer.code) == (415, "not_json")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_the_content_type_of_no_body_is_of_no_interest(stack: Stack, content_type: str) -> None:
    # `curl -d ''` sends one
    job_id = failed(stack)

    assert call("POST", f"/jobs/{job_id}/retry", text="", headers={"content-type": content_type}).status == 200
    assert call("POST", "/jobs", headers={"content-type": content_type}).code == "invalid_request"


def test_a_body_may_come_as_base64_and_with_a_byte_order_mark() -> None:
    raw = json.dumps({"provider": "videodb", "source": SOURCE, "label": "é"}, ensure_ascii=False).encode("utf-8-sig")

    assert ok(call("POST", "/jobs", raw=raw), 201)["label"] == "é"


def test_what_only_calls_itself_base64_is_refused() -> None:
    event = {
        "requestContext": {"http": {"method": "POST", "path": "/jobs"}, "stage": "$default"},
        "rawPath": "/jobs",
        "headers": {"x-api-key": API_KEY},
        "body": "not base64!",
        "isBase64Encoded": True,
    }

    answer = answered(handler("api")(event, Context()))

    assert (answer.status, answer.code) == (400, "malformed_json")


@pytest.mark.parametrize("character", ["a", "é", "日", "\U0001f3ac", "\x7f"])
def test_what_is_large_is_stored_whole_or_refused(stack: Stack, character: str) -> None:
    room = LARGEST_BODY - len(with_metadata('""').encode())
    fits = with_metadata(f'"{character * (room // len(character.encode()))}"')

    answer = call("POST", "/jobs", raw=fits.encode())
    refused = call("POST", "/jobs", raw=(fits + " " * len(character.encode())).encode())

    assert ok(call("GET", answer.headers["location"])) == ok(answer, 201)
    assert (refused.status, refused.code) == (413, "too_large")
    assert len(stack.items()) == 2  # one job's


def test_numbers_that_grow_when_they_are_written_down_count_as_they_are_stored() -> None:
    numbers = ",".join(["1e15"] * 40_000)  # 5 bytes each, and then 20

    answer = call("POST", "/jobs", text=with_metadata(f"[{numbers}]"))

    assert (answer.status, answer.code) == (413, "too_large")


def test_a_megabyte_is_refused(stack: Stack) -> None:
    answer = create(options={"index_scenes": {"prompt": "x" * 1_000_000}})

    assert (answer.status, answer.code) == (413, "too_large")
    assert stack.items() == []


def test_a_job_is_created_when_sqs_is_away_and_due_for_the_sweep(stack: Stack, log: Log) -> None:
    with away("sqs"):
        job = ok(create(), 201)

    assert log.messages("left_to_sweep")
    assert looks(stack) == []
    due = overdue(f"videodb#{shard_of(job['job_id'])}", before=clock.after(clock.now(), 300))
    assert [item["pk"] for item in due] == [f"JOB#{job['job_id']}"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jobs"),
        ("GET", "/jobs"),
        ("GET", "/jobs/job-1"),
        ("DELETE", "/jobs/job-1"),
        ("POST", "/jobs/job-1/retry"),
        ("GET", "/jobs/job-1/events"),
        ("POST", "/jobs/job-1/events/event-1/replay"),
    ],
)
def test_when_dynamodb_is_away_every_route_says_so(method: str, path: str, log: Log) -> None:
    body = {"provider": "videodb", "source": SOURCE} if path == "/jobs" and method == "POST" else None

    with away("dynamodb"):
        answer = call(method, path, body)

    assert (answer.status, answer.code) == (503, "unavailable")
    assert "EndpointConnectionError" in log.getvalue()
    assert "amazonaws" not in answer.text


# --- Idempotency-Key -------------------------------------------------------------------------------------------------

BODY = {"provider": "videodb", "source": SOURCE}


def with_key(key: str, body: Any = None) -> Answer:
    return call("POST", "/jobs", body or BODY, headers={"idempotency-key": key})


def test_the_same_key_and_request_are_the_same_job_started_again(stack: Stack) -> None:
    first = with_key("key-1")
    again = with_key("key-1", {"source": SOURCE, "provider": "videodb", "options": {}})  # the same, written otherwise

    assert ok(again, 201) == ok(first, 201)
    assert again.headers["location"] == first.headers["location"]
    assert len(stack.items()) == 2  # one job's
    assert looks(stack) == [first.json["job_id"]] * 2


def test_the_same_key_shows_how_the_job_stands_now(stack: Stack) -> None:
    job_id = ok(with_key("key-1"), 201)["job_id"]
    call("DELETE", f"/jobs/{job_id}")

    assert ok(with_key("key-1"), 201)["status"] == "canceled"


def test_another_key_is_another_job() -> None:
    keys = ["key-1", "key-2", "a,b", "a,c", "é", "x" * 255]

    assert len({ok(with_key(key), 201)["job_id"] for key in keys}) == len(keys)


def test_the_same_key_with_another_request_is_refused(stack: Stack) -> None:
    with_key("key-1")

    answer = with_key("key-1", BODY | {"label": "another"})

    assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    assert len(stack.items()) == 2  # one job's


def test_the_key_of_a_deleted_job_makes_no_new_one(stack: Stack) -> None:
    job_id = ok(with_key("key-1"), 201)["job_id"]
    call("DELETE", f"/jobs/{job_id}")
    call("DELETE", f"/jobs/{job_id}")

    answer = with_key("key-1")

    assert (answer.status, answer.code) == (409, "job_deleted")
    assert call("GET", f"/jobs/{job_id}").status == 404


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_bounds(key: str) -> None:
    answer = with_key(key)

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["header.idempotency-key"])


# --- GET /jobs -------------------------------------------------------------------------------------------------------

NOON = clock.from_iso("2026-11-22T12:00:00.000Z")


def stored(count: int, *, status: JobStatus = JobStatus.PENDING, offset: int = 0, **changes: Any) -> list[str]:
    """Jobs, one made each second; their ids, newest first."""
    ids = []
    for number in range(offset, offset + count):
        wanted = VideoDbJobRequest.model_validate(BODY | changes).new_job(f"job-{number}")
        moment = clock.after(NOON, number)
        ended = {"ended_at": moment, "ends": 1, "announced": 1} if status.ended else {}
        jobs.create(wanted.model_copy(update={"created_at": moment, "updated_at": moment, "status": status, **ended}))
        ids.append(wanted.job_id)
    return ids[::-1]


def listed(**query: Any) -> list[str]:
    """The ids on one page."""
    return [job["job_id"] for job in ok(call("GET", "/jobs", query=query))["jobs"]]


def walked(**query: Any) -> list[list[str]]:
    """The ids on each page, from the first to the last."""
    pages, cursor = [], None
    while True:
        page = ok(call("GET", "/jobs", query=query | ({"cursor": cursor} if cursor else {})))
        pages.append([job["job_id"] for job in page["jobs"]])
        cursor = page["cursor"]
        if cursor is None:
            return pages


def test_nothing_is_listed_where_nothing_is() -> None:
    assert ok(call("GET", "/jobs")) == {"jobs": [], "cursor": None}


def test_jobs_are_listed_newest_first() -> None:
    ids = stored(22)

    assert listed() == ids[:20]
    assert listed(limit=3) == ids[:3]
    assert listed(limit=100) == ids


def test_a_list_shows_jobs_in_brief() -> None:
    stored(1, media_type="video")

    (job,) = ok(call("GET", "/jobs"))["jobs"]

    assert job == {
        "job_id": "job-0",
        "provider": "videodb",
        "status": "pending",
        "source": SOURCE,
        "media_id": None,
        "media_type": "video",
        "label": None,
        "batch_id": None,
        "created_at": "2026-11-22T12:00:00.000Z",
        "ended_at": None,
    }


@pytest.mark.parametrize("query", [{}, {"status": "pending"}, {"label": "autumn"}])
def test_every_list_shows_the_label(query: dict[str, str]) -> None:
    stored(1, label="autumn")

    (job,) = ok(call("GET", "/jobs", query=query))["jobs"]

    assert (job["label"], job["batch_id"]) == ("autumn", None)


def test_a_list_shows_of_a_source_what_is_no_secret_and_not_too_long() -> None:
    signed = "https://example.com/" + "a" * 300 + "?X-Amz-Signature=hush#hush"
    stored(1, source=signed)

    (job,) = ok(call("GET", "/jobs"))["jobs"]

    assert job["source"] == signed[:200]
    stored(1, offset=1, source="https://example.com/a.mp4?token=hush")
    assert ok(call("GET", "/jobs"))["jobs"][0]["source"] == "https://example.com/a.mp4"
    assert ok(call("GET", "/jobs/job-0"))["source"] == signed


def test_a_label_is_no_batch_although_it_is_called_so(stack: Stack) -> None:
    batch_id = ok(call("POST", "/batches", {"provider": "videodb", "open": True}), 201)["batch_id"]
    (foreign,) = stored(1, label=batch_id)

    assert ok(call("GET", f"/batches/{batch_id}/jobs"))["jobs"] == []
    assert listed(label=batch_id) == [foreign]


def test_lists_can_be_narrowed() -> None:
    waiting = stored(3)
    autumn = stored(3, offset=10, label="autumn")
    succeeded = stored(3, offset=20, status=JobStatus.SUCCEEDED)
    both = stored(3, offset=30, status=JobStatus.SUCCEEDED, label="autumn")

    assert listed(provider="videodb") == both + succeeded + autumn + waiting
    assert listed(status="pending") == autumn + waiting
    assert listed(status="succeeded") == both + succeeded
    assert listed(status="canceled") == []
    assert listed(label="autumn") == both + autumn
    assert listed(label="winter") == []
    assert listed(label="autumn", status="succeeded", provider="videodb") == both
    assert listed(status="pending", provider="videodb", limit=2) == autumn[:2]


@pytest.mark.parametrize("label", ["a,b", "a&b=c", "é 日", "#1", "x" * 128])
def test_any_text_may_be_a_label(label: str) -> None:
    ids = stored(1, label=label)
    stored(1, offset=1, label=label[0])

    assert listed(label=label) == ids


@pytest.mark.parametrize("limit", [1, 4, 6, 100])
@pytest.mark.parametrize(
    "query", [{}, {"status": "pending"}, {"label": "autumn"}, {"label": "autumn", "status": "failed"}]
)
def test_walking_the_pages_meets_every_job_once(query: dict[str, str], limit: int) -> None:
    stored(6, label="autumn")
    stored(6, offset=6, label="autumn", status=JobStatus.FAILED)
    expected = listed(limit=100, **query)
    assert len(expected) == (12 if query in ({}, {"label": "autumn"}) else 6)

    pages = walked(limit=limit, **query)

    assert [job_id for page in pages for job_id in page] == expected
    assert all(len(page) == limit for page in pages[:-1])


def test_jobs_of_the_same_moment_are_met_once_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        wanted = VideoDbJobRequest.model_validate(BODY).new_job(f"job-{number}")
        jobs.create(wanted.model_copy(update={"created_at": NOON}))

    pages = walked(limit=3)

    assert sorted(job_id for page in pages for job_id in page) == [f"job-{number}" for number in range(10)]


def test_jobs_that_come_meanwhile_do_not_disturb_a_walk() -> None:
    ids = stored(6)
    first = ok(call("GET", "/jobs", query={"limit": 3}))
    stored(3, offset=100)

    assert listed(cursor=first["cursor"]) == ids[3:]


@pytest.mark.parametrize("job_id", ["sample.1", "a_b-c", "x" * 128])
def test_a_walk_passes_adopted_jobs_whatever_their_ids_are(stack: Stack, job_id: str) -> None:
    # who signs a callback URL for work that was started elsewhere chooses the id
    called_back(stack, UPLOADED, job_id)
    called_back(stack, UPLOADED, "older")
    stored(1)

    assert sorted(job for page in walked(limit=1) for job in page) == sorted([job_id, "job-0", "older"])


@pytest.mark.parametrize("job_id", ["a b", "lecture/7", "größe", "x" * 129, "a\nb"])
def test_a_callback_about_an_id_that_no_route_could_show_is_refused(stack: Stack, job_id: str) -> None:
    answer = stack.callback("videodb/upload", UPLOADED, job=job_id)

    assert answer == {"status": 401, "outcome": "rejected"}
    assert stack.items() == []


@pytest.mark.parametrize(
    "cursor",
    ["", "1", "nonsense", "2026-11-22T12:00:00.000Z", "2026-11-22T12:00:00.000Z#", "#job-1", "<script>", "x" * 300],
)
def test_a_cursor_that_nobody_gave_out_is_refused(cursor: str) -> None:
    answer = call("GET", "/jobs", query={"cursor": cursor})

    assert (answer.status, answer.code) == (422, "invalid_cursor")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "101"),
        ("limit", "1.5"),
        ("limit", "ten"),
        ("limit", ""),
        ("limit", "9" * 5000),
        ("status", "done"),
        ("status", ""),
        ("status", "PENDING"),
        ("provider", "vimeo"),
        ("label", ""),
        ("label", "b" * 129),
        ("cursor", "c" * 301),
    ],
)
def test_a_parameter_out_of_bounds_is_refused(name: str, value: str) -> None:
    answer = call("GET", "/jobs", query={name: value})

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", [f"query.{name}"])


@pytest.mark.parametrize(
    "query", [{}, {"status": "pending"}, {"label": "autumn"}, {"label": "autumn", "status": "pending"}]
)
def test_a_page_costs_the_same_however_many_jobs_there_are(query: dict[str, str]) -> None:
    def cost() -> list[Read]:
        with reads() as found:
            assert len(listed(limit=2, **query)) == 2
        return found

    stored(30, label="autumn")
    before = cost()
    stored(30, offset=30, label="autumn")

    assert cost() == before
    assert sum(read.items for read in before) <= SHARDS * (2 + 1)


def test_a_later_page_costs_no_more_than_the_first() -> None:
    stored(40)
    cursor = ok(call("GET", "/jobs", query={"limit": 20}))["cursor"]

    with reads() as found:
        assert len(listed(limit=2, cursor=cursor)) == 2

    assert sum(read.items for read in found) <= SHARDS * (2 + 1)


def test_jobs_of_a_status_are_found_behind_many_of_another_that_are_listed_with_them() -> None:
    (running,) = stored(1, status=JobStatus.RUNNING)
    (failed,) = stored(1, offset=1, status=JobStatus.FAILED)
    stored(12, offset=2)

    assert ok(call("GET", "/jobs", query={"status": "running", "limit": 2}))["cursor"] is None
    assert walked(status="running", limit=1) == [[running]]
    assert walked(status="failed", limit=1) == [[failed]]


# --- GET /jobs/{job_id} ----------------------------------------------------------------------------------------------


def test_a_job_is_shown_with_what_the_platform_said(stack: Stack) -> None:
    job_id = submitted(stack)
    called_back(stack, UPLOADED, job_id)

    job = ok(call("GET", f"/jobs/{job_id}"))

    assert (job["status"], job["media_id"]) == ("running", "m-1")
    assert job["progress"] == 0.25
    assert (job["steps"][0]["status"], job["steps"][0]["attempt"]) == ("succeeded", 1)
    assert job["steps"][0]["result"] == {"id": "m-1", "name": "Lecture", "length": 191.14}


def test_a_failed_job_says_what_happened_why_and_what_to_do(stack: Stack) -> None:
    job = ok(call("GET", f"/jobs/{failed(stack)}"))

    assert job["status"] == "failed"
    assert job["error"]["message"] == "Download failed."
    assert set(job["error"]) == {"code", "message", "cause", "action", "retryable"}
    assert job["ended_at"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/nobody"),
        ("DELETE", "/jobs/nobody"),
        ("POST", "/jobs/nobody/retry"),
        ("GET", "/jobs/nobody/events"),
        ("POST", "/jobs/nobody/events/event-1/replay"),
        ("GET", "/elsewhere"),
        ("PUT", "/jobs"),
        ("GET", '/jobs/"'),
    ],
)
def test_what_is_not_there_is_not_found(method: str, path: str) -> None:
    answer = call(method, path)

    assert (answer.status, answer.code) == (404, "not_found")


def test_an_id_has_bounds() -> None:
    answer = call("GET", "/jobs/" + "x" * 129)

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["path.job_id"])


# --- DELETE /jobs/{job_id} -------------------------------------------------------------------------------------------


def test_an_open_job_is_canceled_and_its_end_is_due(stack: Stack) -> None:
    job_id = submitted(stack)

    job = ok(call("DELETE", f"/jobs/{job_id}"))

    assert job["status"] == "canceled"
    assert job["ended_at"]
    assert not job_of(job_id).is_announced
    stack.work("VideoDbQueue", handler("videodb/worker"))
    assert announced(stack) == [("job.canceled", job_id)]
    (item,) = (item for item in stack.items() if item["sk"] == "JOB")
    assert "due_at" not in item
    assert item["expires_at"]


def test_a_job_is_canceled_although_sqs_is_away(stack: Stack, log: Log) -> None:
    job_id = submitted(stack)

    with away("sqs"):
        assert ok(call("DELETE", f"/jobs/{job_id}"))["status"] == "canceled"

    assert log.messages("left_to_sweep")


def test_what_the_platform_says_of_a_canceled_job_changes_nothing(stack: Stack) -> None:
    job_id = submitted(stack)
    call("DELETE", f"/jobs/{job_id}")

    called_back(stack, UPLOADED, job_id)

    assert ok(call("GET", f"/jobs/{job_id}"))["status"] == "canceled"


def test_an_ended_job_is_deleted_with_its_events(stack: Stack) -> None:
    job_id = submitted(stack, steps=["upload"])
    called_back(stack, UPLOADED, job_id)
    stack.work("VideoDbQueue", handler("videodb/worker"))
    kinds = {item["sk"].split("#")[0] for item in stack.items(f"JOB#{job_id}")}
    assert kinds == {"JOB", "REQUEST", "RESULT", "EVENT"}

    answer = call("DELETE", f"/jobs/{job_id}")

    assert (answer.status, answer.text) == (204, "")
    assert call("GET", f"/jobs/{job_id}").status == 404
    assert call("GET", f"/jobs/{job_id}/events").status == 404
    assert listed() == []
    (mark,) = stack.items("JOB#")  # what remains keeps a late callback from making the job anew
    assert {"deleted_at", "expires_at"} <= set(mark)
    called_back(stack, UPLOADED + " ", job_id)
    assert call("GET", f"/jobs/{job_id}").status == 404


def test_a_job_with_many_events_is_deleted_whole(stack: Stack) -> None:
    job_id = failed(stack)
    for number in range(30):
        events.archive(event(job_id, body=str(number)))

    assert call("DELETE", f"/jobs/{job_id}").status == 204
    assert len(stack.items()) == 1


def test_an_end_that_is_not_announced_is_announced_before_the_job_is_deleted(stack: Stack) -> None:
    job_id = unannounced(stack)

    assert call("DELETE", f"/jobs/{job_id}").status == 204

    assert announced(stack) == [("job.failed", job_id)]


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/retry")])
def test_an_end_that_cannot_be_announced_keeps_its_job(stack: Stack, method: str, path: str) -> None:
    job_id = unannounced(stack)
    before = job_of(job_id)

    with away("sqs"):
        answer = call(method, f"/jobs/{job_id}{path}")

    assert (answer.status, answer.code) == (503, "unavailable")
    assert job_of(job_id) == before


def test_deleting_a_job_that_is_tried_again_at_the_same_moment_is_a_conflict(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = failed(stack)
    meanwhile(monkeypatch, lambda job: transitions.retried(job, now=clock.now()))

    answer = call("DELETE", f"/jobs/{job_id}")

    assert (answer.status, answer.code) == (409, "job_moved")
    assert job_of(job_id).status == JobStatus.RUNNING


@pytest.mark.parametrize("end", [StepSucceeded(), StepFailed(error=fault())], ids=["succeeded", "failed"])
def test_canceling_a_job_that_ends_at_the_same_moment_is_a_conflict(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, end: StepSucceeded | StepFailed
) -> None:
    job_id = submitted(stack, steps=["upload"])
    meanwhile(monkeypatch, lambda job: transitions.step_ended(job, "upload", 1, end, now=clock.now()))

    answer = call("DELETE", f"/jobs/{job_id}")

    assert (answer.status, answer.code) == (409, "job_moved")
    assert job_of(job_id).status.ended


def test_a_job_that_moves_at_the_same_moment_is_canceled_all_the_same(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submitted(stack)
    meanwhile(monkeypatch, lambda job: transitions.step_ended(job, "upload", 1, StepSucceeded(), now=clock.now()))

    job = ok(call("DELETE", f"/jobs/{job_id}"))

    assert (job["status"], job["steps"][0]["status"]) == ("canceled", "succeeded")


# --- POST /jobs/{job_id}/retry ---------------------------------------------------------------------------------------


def test_a_failed_job_is_queued_again_with_as_many_attempts_as_at_first(stack: Stack) -> None:
    job_id = failed(stack, retry={"max_attempts": 2})

    job = ok(call("POST", f"/jobs/{job_id}/retry"))

    assert (job["status"], job["ended_at"], job["error"]) == ("running", None, None)
    assert (job["steps"][0]["status"], job["steps"][0]["error"]) == ("queued", None)
    step = job_of(job_id).steps["upload"]
    assert (step.attempt, step.attempt_limit) == (1, 3)
    assert looks(stack) == [job_id]
    (item,) = (item for item in stack.items() if item["sk"] == "JOB")
    assert "due_at" in item
    assert "expires_at" not in item
    assert listed(status="running") == [job_id]


def test_an_end_that_is_not_announced_is_announced_before_the_job_is_tried_again(stack: Stack) -> None:
    job_id = unannounced(stack)

    assert ok(call("POST", f"/jobs/{job_id}/retry"))["status"] == "running"

    assert announced(stack) == [("job.failed", job_id)]


def test_a_retry_is_kept_when_sqs_is_away(stack: Stack) -> None:
    job_id = failed(stack)

    with away("sqs"):
        job = ok(call("POST", f"/jobs/{job_id}/retry"))

    assert job["status"] == "running"


@pytest.mark.parametrize("make", [created, submitted], ids=["pending", "running"])
def test_a_job_that_has_not_failed_is_not_tried_again(stack: Stack, make: Callable[[Stack], str]) -> None:
    answer = call("POST", f"/jobs/{make(stack)}/retry")

    assert (answer.status, answer.code) == (409, "job_not_failed")
    assert looks(stack) == []


def test_a_canceled_job_is_not_tried_again(stack: Stack) -> None:
    job_id = created(stack)
    call("DELETE", f"/jobs/{job_id}")

    assert call("POST", f"/jobs/{job_id}/retry").code == "job_not_failed"


def test_an_adopted_job_is_not_tried_again(stack: Stack) -> None:
    called_back(stack, FAILED, "elsewhere")

    answer = call("POST", "/jobs/elsewhere/retry")

    assert (answer.status, answer.code) == (409, "job_adopted")


def test_two_retries_at_the_same_moment_are_one(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = failed(stack)
    meanwhile(monkeypatch, lambda job: transitions.retried(job, now=clock.now()))

    answer = call("POST", f"/jobs/{job_id}/retry")

    assert (answer.status, answer.code) == (409, "job_moved")


# --- GET /jobs/{job_id}/events ---------------------------------------------------------------------------------------


def event(job_id: str | None, **changes: Any) -> events.Event:
    """What VideoDB said of the job's upload."""
    said: dict[str, Any] = {
        "callback": "videodb/upload",
        "via": "callback",
        "meaning": "failed",
        "body": "{}",
        "headers": {},
        "received_at": NOON,
        "job_id": job_id,
        "attempt": 1,
    }
    return events.Event(**said | changes)


def test_events_are_shown_word_for_word_in_the_order_in_which_they_came(stack: Stack) -> None:
    job_id = submitted(stack)
    called_back(stack, FAILED, job_id, headers={"user-agent": "VideoDB", "authorization": "hush"})
    called_back(stack, UPLOADED, job_id)

    page = ok(call("GET", f"/jobs/{job_id}/events"))

    assert page["cursor"] is None
    assert [(event["body"], event["meaning"], event["via"]) for event in page["events"]] == [
        (FAILED, "failed", "callback"),
        (UPLOADED, "succeeded", "callback"),
    ]
    assert page["events"][0]["headers"] == {"content-type": "application/json", "user-agent": "VideoDB"}
    assert [(event["callback"], event["attempt"], event["ref"]) for event in page["events"]] == [
        ("videodb/upload", 1, None)
    ] * 2


def test_what_callbacks_said_of_the_platforms_id_is_shown_with_every_job_that_follows_it() -> None:
    job_id = ok(create(provider="apivideo", source=None, media_id="vi-1", media_type=None), 201)["job_id"]
    about = {"callback": "apivideo/encoding_quality_completed", "meaning": "hint", "ref": "vi-1", "attempt": None}
    events.archive(event(None, **about))

    (found,) = ok(call("GET", f"/jobs/{job_id}/events"))["events"]

    assert (found["ref"], found["attempt"], found["meaning"]) == ("vi-1", None, "hint")


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_walking_the_pages_meets_every_event_once(stack: Stack, limit: int) -> None:
    job_id = submitted(stack)
    bodies = [f'{{"success": false, "message": "{number}"}}' for number in range(7)]
    for body in bodies:
        events.archive(event(job_id, body=body))

    found, query = [], {"limit": limit}
    while True:
        page = ok(call("GET", f"/jobs/{job_id}/events", query=query))
        assert len(page["events"]) <= limit
        found += [event["body"] for event in page["events"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]

    assert sorted(found) == bodies


def test_a_job_without_events_shows_none(stack: Stack) -> None:
    assert ok(call("GET", f"/jobs/{created(stack)}/events")) == {"events": [], "cursor": None}


@pytest.mark.parametrize("cursor", ["", "x", "0" * 32, "0." + "g" * 32, "0." + "A" * 32, "99999."])
def test_a_cursor_of_events_that_nobody_gave_out_is_refused(stack: Stack, cursor: str) -> None:
    answer = call("GET", f"/jobs/{created(stack)}/events", query={"cursor": cursor})

    assert (answer.status, answer.code) == (422, "invalid_cursor")


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_the_limit_of_events_has_bounds(stack: Stack, limit: str) -> None:
    answer = call("GET", f"/jobs/{created(stack)}/events", query={"limit": limit})

    assert (answer.status, answer.fields) == (422, ["query.limit"])


# --- POST /jobs/{job_id}/events/{event_id}/replay --------------------------------------------------------------------


def event_ids(job_id: str) -> list[str]:
    return [event["event_id"] for event in ok(call("GET", f"/jobs/{job_id}/events"))["events"]]


def test_a_replayed_callback_is_the_same_message_in_the_inbox_again(stack: Stack) -> None:
    job_id = submitted(stack)
    assert stack.callback("videodb/upload", FAILED, job=job_id)["outcome"] == "accepted"
    (message,) = stack.messages("InboxQueue")
    called_back(stack, FAILED, job_id)
    (event_id,) = event_ids(job_id)

    answer = ok(call("POST", f"/jobs/{job_id}/events/{event_id}/replay"), 202)

    assert answer == {"job_id": job_id, "event_id": event_id}
    (again,) = (json.loads(message) for message in stack.messages("InboxQueue"))
    moment = {"received_at": again["received_at"]}
    assert again == json.loads(message) | moment


def test_a_replayed_callback_is_applied_although_it_is_in_the_archive(stack: Stack) -> None:
    job_id = submitted(stack)
    events.archive(event(job_id, body=UPLOADED))  # it was archived, and what followed broke off
    (event_id,) = event_ids(job_id)

    call("POST", f"/jobs/{job_id}/events/{event_id}/replay")
    stack.work("InboxQueue", handler("pipeline/inbox"))

    assert job_of(job_id).steps["upload"].status == StepStatus.SUCCEEDED
    assert event_ids(job_id) == [event_id]


@pytest.mark.parametrize("via", ["poll", "submit"])
def test_what_we_learnt_by_asking_cannot_be_replayed(stack: Stack, via: str) -> None:
    job_id = created(stack)
    learnt = event(job_id, via=via)
    events.archive(learnt)

    answer = call("POST", f"/jobs/{job_id}/events/{learnt.event_id}/replay")

    assert (answer.status, answer.code) == (409, "not_a_callback")
    assert via in answer.json["detail"]
    assert stack.messages("InboxQueue") == []


def test_an_event_that_is_not_there_cannot_be_replayed(stack: Stack) -> None:
    job_id = failed(stack)

    answer = call("POST", f"/jobs/{job_id}/events/{'0' * 32}/replay")

    assert (answer.status, answer.code) == (404, "not_found")


def test_a_replay_that_cannot_be_sent_says_so(stack: Stack) -> None:
    job_id = failed(stack)
    (event_id,) = event_ids(job_id)

    with away("sqs"):
        answer = call("POST", f"/jobs/{job_id}/events/{event_id}/replay")

    assert (answer.status, answer.code) == (503, "unavailable")


# --- In general ------------------------------------------------------------------------------------------------------


def test_the_log_names_jobs_and_neither_sources_nor_keys(stack: Stack, log: Log) -> None:
    job = create(source="https://example.com/a.mp4?signature=hush")
    call("POST", "/jobs", BODY, headers={"x-api-key": "hush", "idempotency-key": "hush"})

    assert job.json["job_id"] in log.getvalue()
    assert "hush" not in log.getvalue()


def test_a_problem_says_that_it_is_one() -> None:
    assert call("GET", "/jobs/nobody").headers["content-type"] == PROBLEM
