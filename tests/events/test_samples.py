"""What the sample events promise: they are what AWS hands over, their source is named, and they hold no secret."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from standardwebhooks import Webhook
from video_jobs import clock
from video_jobs.aws import clients, secrets
from video_jobs.jobs.model import JobStatus
from video_jobs.store import jobs

from local import invoke
from local import samples as signing
from local.platforms.videodb import payloads
from local.platforms.videodb.payloads import Kind
from local.samples import SAMPLE_API_KEY, SAMPLE_CALLBACK_KEY
from tests.cloudformation import ROOT, of_type
from tests.events.conftest import Inbox
from tests.events.samples import (
    CALLBACK_SAMPLES,
    EVENTS,
    EVERY_CALLBACK_SAMPLE,
    ROWS,
    body,
    callback_of,
    names,
    read,
    text,
)
from tests.pipeline.receivers import receiver
from tests.stack import Context, Stack, handler, signed_query

FUNCTIONS = of_type("AWS::Serverless::Function")
HTTP_SAMPLES = [name for name in names() if "requestContext" in read(name)]
LAST_TRY = 4
"""When a callback about an id that no job has has waited long enough."""
SQS_SAMPLES = [name for name in names() if "Records" in read(name)]

# printed on the page "Async patterns"
SHORT_VIDEO = """\
{
  "success": true,
  "data": {
    "id": "m-xxx",
    "collection_id": "c-xxx",
    "name": "video.mp4",
    "length": "191.14",
    "stream_url": "https://stream.videodb.io/...",
    "player_url": "https://console.videodb.io/player?..."
  }
}"""

VERBATIM = {
    "videodb/upload/video_success": payloads.UPLOADED[Kind.VIDEO],
    "videodb/upload/video_success_base64": payloads.UPLOADED[Kind.VIDEO],
    "videodb/upload/video_success_short": SHORT_VIDEO,
    "videodb/upload/audio_success": payloads.UPLOADED[Kind.AUDIO],
    "videodb/upload/image_success": payloads.UPLOADED[Kind.IMAGE],
    "videodb/upload/download_failed": payloads.FAILED,
}


def function_of(sample: str) -> str:
    """The logical id of the function that a sample is for."""
    (found,) = (name for name, f in FUNCTIONS.items() if f["CodeUri"] == f"functions/{callback_of(sample)}")
    return found


def routes_of(sample: str) -> list[str]:
    events = FUNCTIONS[function_of(sample)].get("Events", {}).values()
    return [f"{e['Properties']['Method']} {e['Properties']['Path']}" for e in events if e["Type"] == "HttpApi"]


# --- What AWS hands over ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_a_sample_is_for_a_function_of_the_stack_and_laid_out_for_people(name: str) -> None:
    assert function_of(name)
    assert text(name) == json.dumps(read(name), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", HTTP_SAMPLES)
def test_a_request_is_complete_and_in_itself_consistent(name: str) -> None:
    event = read(name)

    context = event["requestContext"]
    headers = event["headers"]
    method, _, path = event["routeKey"].partition(" ")
    assert event["version"] == "2.0"
    assert context.keys() == {
        *("accountId", "apiId", "domainName", "domainPrefix"),
        *("http", "requestId", "routeKey", "stage", "time", "timeEpoch"),
    }
    assert context["routeKey"] == event["routeKey"]
    assert context["domainName"] == headers["host"] == f"{context['apiId']}.execute-api.us-east-1.amazonaws.com"
    assert context["domainPrefix"] == context["apiId"]
    assert context["http"] == {
        "method": method,
        "path": event["rawPath"],
        "protocol": "HTTP/1.1",
        "sourceIp": headers["x-forwarded-for"],
        "userAgent": headers["user-agent"],
    }
    moment = datetime.strptime(context["time"], "%d/%b/%Y:%H:%M:%S %z")
    assert moment == datetime.fromtimestamp(context["timeEpoch"] / 1000, UTC)
    assert path.format(**event.get("pathParameters", {})) == event["rawPath"]
    assert urlencode(event.get("queryStringParameters", {})) == event["rawQueryString"]
    assert [name for name in headers if name != name.lower()] == []
    assert headers.get("content-length") == (str(len(body(event))) if "body" in event else None)


@pytest.mark.parametrize("name", HTTP_SAMPLES)
def test_a_request_takes_a_route_of_its_function(name: str) -> None:
    event = read(name)

    assert event["routeKey"] in routes_of(name)
    assert isinstance(event["isBase64Encoded"], bool)


def test_no_two_requests_are_the_same_one() -> None:
    requests = [read(name)["requestContext"]["requestId"] for name in HTTP_SAMPLES]

    assert len(set(requests)) == len(requests)


@pytest.mark.parametrize("name", EVERY_CALLBACK_SAMPLE)
def test_a_callback_is_a_post_with_a_text_for_its_body(name: str) -> None:
    event = read(name)

    assert event["routeKey"] == f"POST /callbacks/{callback_of(name).replace('_', '-')}"
    assert isinstance(event["body"], str)


@pytest.mark.parametrize("name", SQS_SAMPLES)
def test_a_message_comes_as_an_event_source_hands_it_over(name: str) -> None:
    (record,) = read(name)["Records"]

    assert record.keys() == {
        *("messageId", "receiptHandle", "body", "attributes", "messageAttributes"),
        *("md5OfBody", "eventSource", "eventSourceARN", "awsRegion"),
    }
    assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()
    assert record["eventSource"] == "aws:sqs"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    sources = (e["Properties"] for e in FUNCTIONS[function_of(name)]["Events"].values() if e["Type"] == "SQS")
    queues = [source["Queue"]["Fn::GetAtt"].split(".")[0] for source in sources]
    assert record["eventSourceARN"].split(":")[-1].split("-")[2] in queues


# --- What signs them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLBACK_SAMPLES)
def test_a_callback_is_signed_with_the_sample_key_for_a_job_of_its_own(name: str) -> None:
    callback = callback_of(name)
    job = f"sample-{callback.split('/')[1]}-{name.split('/')[2]}"

    assert read(name)["rawQueryString"] == signed_query(callback, job, 1, key=SAMPLE_CALLBACK_KEY)


@pytest.mark.parametrize("name", EVERY_CALLBACK_SAMPLE)
def test_a_stack_that_does_not_know_the_sample_key_rejects_the_samples(stack: Stack, inbox: Inbox, name: str) -> None:
    answer = stack.send(callback_of(name), read(name))

    assert answer == {"status": 401, "outcome": "rejected"}
    assert inbox.messages() == []


@pytest.mark.parametrize("name", EVERY_CALLBACK_SAMPLE)
def test_signing_the_samples_leaves_them_as_they_are(name: str) -> None:
    file = EVENTS / f"{name}.json"

    assert signing.text(signing.signed(read(name), file)) == text(name)


def test_a_neighbours_copy_is_made_a_sample_of_its_own_folder(tmp_path: Path) -> None:
    copied = read("videodb/upload/video_success") | {"body": '{"success": true}'}
    file = tmp_path / "videodb" / "index_scenes" / "new_case.json"

    signed = signing.signed(copied, file)

    assert signed["routeKey"] == signed["requestContext"]["routeKey"] == "POST /callbacks/videodb/index-scenes"
    assert signed["rawPath"] == signed["requestContext"]["http"]["path"] == "/callbacks/videodb/index-scenes"
    assert signed["headers"]["content-length"] == "17"
    assert signed["rawQueryString"] == signed_query(
        "videodb/index_scenes", "sample-index_scenes-new_case", 1, key=SAMPLE_CALLBACK_KEY
    )
    assert dict(parse_qsl(signed["rawQueryString"])) == signed["queryStringParameters"]


def test_only_callbacks_are_signed() -> None:
    found = [str(file.relative_to(EVENTS).with_suffix("")) for file in signing.callback_samples(EVENTS)]

    assert found == sorted(EVERY_CALLBACK_SAMPLE)


# --- What the README says of them -------------------------------------------------------------------------------------


def test_the_readme_lists_exactly_the_samples_that_exist() -> None:
    assert sorted(ROWS) == names()


def test_the_readme_says_of_each_callback_how_certain_it_is_and_what_it_does() -> None:
    assert {name for name, row in ROWS.items() if row.end} == set(EVERY_CALLBACK_SAMPLE)
    assert {ROWS[name].certainty for name in EVERY_CALLBACK_SAMPLE} <= {"verbatim", "inferred"}


def test_the_readmes_commands_name_functions_and_files_that_exist() -> None:
    readme = (EVENTS / "README.md").read_text()

    commands = re.findall(r"^    sam local invoke (\w+) -t \S+ -e events/(\S+)\.json", readme, re.MULTILINE)
    whole = re.findall(r"^    (sam local invoke .*)", readme, re.MULTILINE)

    assert whole == [invoke.invocation(function, event) for function, event in commands]
    assert {function for function, _ in commands} == set(FUNCTIONS)
    assert [function_of(name) for _, name in commands] == [function for function, _ in commands]
    assert [name for _, name in commands if name not in names()] == []
    assert [name for name in re.findall(r"EVENT=(\S+)", readme) if name not in names()] == []


@pytest.mark.parametrize("name", [name for name in CALLBACK_SAMPLES if ROWS[name].certainty == "verbatim"])
def test_what_is_called_verbatim_is_the_printed_body_byte_for_byte(name: str) -> None:
    assert body(read(name)) == VERBATIM[name].encode()


# --- What must not be in them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_no_sample_holds_a_secret(name: str) -> None:
    event = read(name)
    headers = {name: value for name, value in event.get("headers", {}).items() if name != "authorization"}

    assert headers.get("x-api-key", SAMPLE_API_KEY) == SAMPLE_API_KEY
    assert event.get("headers", {}).get("authorization", f"Bearer {SAMPLE_API_KEY}") == f"Bearer {SAMPLE_API_KEY}"
    assert not headers.keys() & {"cookie", "x-access-token"}
    assert not re.search(r"\bsk-\w|\bAKIA[A-Z0-9]{12}|\beyJ\w{8,}\.|-----BEGIN", text(name))
    # accounts and addresses that are for documentation, or private to nobody
    assert set(re.findall(r"\b\d{12}\b", text(name))) <= {"123456789012"}
    assert set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text(name))) <= {"192.0.2.1", "198.51.100.7"}
    # a token or signature is 64 digits long: none stands anywhere but where the sample keys made it
    without_query = {part: value for part, value in event.items() if "query" not in part.lower()}
    without_query["headers"] = {name: value for name, value in headers.items() if not name.endswith("-signature")}
    assert not re.search(r"[0-9a-f]{64}", json.dumps(without_query))


# --- What comes of them -----------------------------------------------------------------------------------------------


@pytest.fixture
def people(stack: Stack) -> Stack:
    """A stack whose API takes the key of the samples, as the local one does."""
    secret = json.dumps({"samples": SAMPLE_API_KEY})
    clients.secretsmanager().put_secret_value(SecretId="API_KEYS_SECRET", SecretString=secret)
    secrets.forget()
    return stack


def invoked(name: str) -> Any:
    """What its function returns for a sample."""
    return handler(callback_of(name))(read(name), Context())


def answered(name: str) -> tuple[int, Any]:
    """The status, and the body, with which a function of the API answers a sample."""
    answer = invoked(name)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.usefixtures("signers")
@pytest.mark.parametrize("name", EVERY_CALLBACK_SAMPLE)
def test_a_callback_is_accepted_by_its_function_and_applied_by_the_inbox(
    local_stack: Stack, inbox: Inbox, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADOPTION_WAITS", "0,0,0")
    assert local_stack.send(callback_of(name), read(name)) == {"status": 200, "outcome": "accepted"}

    assert inbox.work(received=LAST_TRY) == []

    row = ROWS[name]
    items = local_stack.items()
    (event,) = (item for item in items if item["sk"].startswith("EVENT#"))
    assert event["meaning"] == row.end
    made = [jobs.read(item["pk"].removeprefix("JOB#")) for item in items if item["sk"] == "JOB"]
    if row.end == "ignored":
        assert made == []
        return
    (job,) = made
    assert job is not None
    assert job.adopted
    if row.end == "hint":
        assert (job.refs, job.confirmed, row.detail) == ((row.detail,), False, job.refs[0])
        assert [step.hints for step in job.steps.values()] == [{row.part: row.word}]
    else:
        assert job.job_id == f"sample-{callback_of(name).split('/')[1]}-{name.split('/')[2]}"
        assert job.status == row.end
        assert row.detail in (*job.refs, job.error and job.error.code, None)


@pytest.mark.parametrize(
    ("name", "callback"),
    [
        ("pipeline/inbox/token", "videodb/upload/video_success"),
        ("pipeline/inbox/signature", "apivideo/encoding_quality_completed/printed"),
    ],
)
@pytest.mark.usefixtures("signers")
def test_a_sample_of_the_inbox_is_what_its_callback_leaves_there(
    local_stack: Stack, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, name: str, callback: str
) -> None:
    came_at = read(callback)["requestContext"]["timeEpoch"]
    monkeypatch.setattr(clock, "now", lambda: came_at)

    local_stack.send(callback_of(callback), read(callback))

    (record,) = read(name)["Records"]
    assert inbox.messages() == [record["body"]]


def test_the_inbox_makes_a_job_of_what_a_token_proves_and_waits_with_the_other(stack: Stack) -> None:
    assert invoked("pipeline/inbox/token") == {"batchItemFailures": []}
    assert len(invoked("pipeline/inbox/signature")["batchItemFailures"]) == 1

    found = jobs.read("sample-upload-video_success")
    assert found is not None
    assert (found.status, found.adopted) == (JobStatus.SUCCEEDED, True)


def test_the_workers_sample_has_the_end_announced_once(stack: Stack) -> None:
    invoked("pipeline/inbox/token")

    assert [invoked("videodb/worker/look") for _ in range(2)] == [{"batchItemFailures": []}] * 2

    assert len(stack.messages("BusNotifications")) == 1


@pytest.mark.parametrize("name", [f"{provider}/worker/look" for provider in ("twelvelabs", "apivideo", "apsaravideo")])
def test_a_look_at_no_job_does_nothing(stack: Stack, name: str) -> None:
    assert invoked(name) == {"batchItemFailures": []}
    assert stack.items() == []


def test_the_notifications_sample_is_what_the_worker_sends(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    invoked("pipeline/inbox/token")
    invoked("videodb/worker/look")

    (sent,) = map(json.loads, stack.messages("BusNotifications"))
    sample = json.loads(read("pipeline/notify/bus")["Records"][0]["body"])
    assert sent["event_id"] == sample["event_id"]
    assert shape(json.loads(sent["event"])) == shape(json.loads(sample["event"]))


def shape(value: Any) -> Any:
    """The names in a JSON value, and what stands there but for moments and versions."""
    if isinstance(value, dict):
        moving = ("timestamp", "version")
        return {k: None if k in moving or k.endswith("_at") else shape(inner) for k, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else value


def test_the_notify_sample_goes_to_the_bus(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    clients.events().create_event_bus(Name="bus")
    monkeypatch.setenv("EVENT_BUS", "bus")
    stack.calls.clear()

    assert invoked("pipeline/notify/bus") == {"batchItemFailures": []}
    assert stack.calls == ["events.PutEvents"]


def test_the_notify_sample_goes_to_the_url_that_is_put_in(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"a key of thirty-two bytes, or so").decode()
    clients.secretsmanager().create_secret(Name="NOTIFY_SECRETS", SecretString=json.dumps({"default": key}))
    monkeypatch.setenv("NOTIFY_SECRETS", "NOTIFY_SECRETS")
    monkeypatch.setenv("NOTIFY_ALLOW_PRIVATE", "true")
    event = text("pipeline/notify/url")
    with receiver() as there:
        mine = json.loads(event.replace("https://receiver.example.com/video-jobs", there.url))
        answer = handler("pipeline/notify")(mine, Context())

    (request,) = there.requests
    assert answer == {"batchItemFailures": []}
    assert Webhook(key).verify(request.body, request.headers)["data"]["job_id"] == "sample-upload-video_success"


def test_the_schedules_find_nothing_to_do(stack: Stack) -> None:
    for name in ("pipeline/sweep/schedule", "apsaravideo/mns/schedule"):
        event = read(name)
        assert (event["source"], event["detail-type"], event["detail"]) == ("aws.scheduler", "Scheduled Event", "{}")
    assert invoked("pipeline/sweep/schedule") == {"overdue": 0}


# --- The API ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in HTTP_SAMPLES if name not in EVERY_CALLBACK_SAMPLE])
def test_a_stack_that_does_not_know_the_sample_key_answers_no_sample(stack: Stack, name: str) -> None:
    assert answered(name)[0] == (400 if name == "apivideo/api/login" else 401)
    assert stack.items() == []


def test_the_create_sample_makes_one_job_however_often_it_is_sent_and_the_list_sample_lists_it(people: Stack) -> None:
    first, second = answered("api/create_job"), answered("api/create_job")

    assert first[0] == 201
    assert first == second
    status, page = answered("api/list_jobs")
    assert (status, [job["job_id"] for job in page["jobs"]]) == (200, [first[1]["job_id"]])


def test_the_show_samples_show_the_job_and_the_video_of_the_upload_sample(people: Stack) -> None:
    before = [answered(name)[0] for name in ("api/show_job", "api/show_medium")]
    invoked("pipeline/inbox/token")
    invoked("videodb/worker/look")

    job, medium = answered("api/show_job"), answered("api/show_medium")

    assert before == [404, 404]
    assert (job[0], job[1]["status"]) == (200, "succeeded")
    assert (medium[0], medium[1]["collection_id"]) == (200, "c-**")


def test_the_samples_of_batches_make_one_show_it_and_do_not_end_it_too_early(people: Stack) -> None:
    before, _ = answered("api/show_batch")

    made = [answered("api/create_batch") for _ in range(2)]
    for name in ("pipeline/batches/batch", "pipeline/batches/work"):
        assert invoked(name) == {"batchItemFailures": []}
    shown = answered("api/show_batch")

    assert before == 404
    assert [status for status, _ in made] == [201, 201]
    assert made[0][1] == made[1][1] == shown[1]
    assert (shown[0], shown[1]["status"]) == (200, "running")


def test_the_samples_of_tasks_make_one_show_it_and_list_it(people: Stack) -> None:
    before, _ = answered("twelvelabs/api/retrieve_task")
    made = [answered("twelvelabs/api/create_task") for _ in range(2)]
    after, shown = answered("twelvelabs/api/retrieve_task")

    assert (before, after) == (404, 200)
    assert made == [(201, {"_id": shown["_id"]})] * 2
    assert [task["_id"] for task in answered("twelvelabs/api/list_tasks")[1]["data"]] == [shown["_id"]]


@pytest.mark.usefixtures("signers")
def test_the_samples_of_videos_log_in_and_show_the_status_of_the_printed_callbacks_video(
    people: Stack, inbox: Inbox
) -> None:
    before, _ = answered("apivideo/api/status")
    (record,) = read("pipeline/inbox/signature")["Records"]
    assert inbox.take(record["body"], received=LAST_TRY) is None

    login, status = answered("apivideo/api/login"), answered("apivideo/api/status")

    assert (before, login[0], status[0]) == (404, 200, 200)
    assert status[1]["encoding"]["qualities"] == [{"type": "hls", "quality": "720p", "status": "encoded"}]


def test_every_function_of_the_stack_has_a_sample() -> None:
    folders = {str(app.parent.relative_to(ROOT / "functions")) for app in ROOT.glob("functions/**/app.py")}

    assert {callback_of(name) for name in names()} == folders
