"""What the sample events promise: they are what AWS hands over, their source is named, and they hold no secret."""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from video_jobs import secrets, settings

from local import invoke
from local import samples as signing
from local.platforms.videodb import payloads
from local.platforms.videodb.payloads import Kind
from local.samples import SAMPLE_API_KEY, SAMPLE_CALLBACK_KEY
from tests.cloudformation import ROOT, of_type
from tests.events.conftest import Away, Functions
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
from tests.stack import Context, Stack, handler, signed_query

FUNCTIONS = of_type("AWS::Serverless::Function")
HTTP_SAMPLES = [name for name in names() if "requestContext" in read(name)]
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
    assert context.keys() - {"authorizer"} == {
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


@pytest.mark.parametrize("name", [name for name in HTTP_SAMPLES if read(name).get("type") != "REQUEST"])
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
    assert "authorizer" not in event["requestContext"]


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
    (source,) = (e["Properties"] for e in FUNCTIONS[function_of(name)]["Events"].values() if e["Type"] == "SQS")
    assert f"-{source['Queue']['Fn::GetAtt'].split('.')[0]}-" in record["eventSourceARN"]


# --- What signs them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLBACK_SAMPLES)
def test_a_callback_is_signed_with_the_sample_key_for_a_job_of_its_own(name: str) -> None:
    callback = callback_of(name)
    job = f"sample-{callback.split('/')[1]}-{name.split('/')[2]}"

    assert read(name)["rawQueryString"] == signed_query(callback, job, 1, key=SAMPLE_CALLBACK_KEY)


@pytest.mark.parametrize("name", EVERY_CALLBACK_SAMPLE)
def test_a_stack_that_does_not_know_the_sample_key_refuses_the_samples(stack: Stack, name: str) -> None:
    answer = stack.send(callback_of(name), read(name))

    assert answer == {"status": 401, "outcome": "refused"}
    assert stack.items() == []


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


# --- What comes of those that are not callbacks -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SQS_SAMPLES if name.startswith("videodb/steps/")])
def test_a_worker_takes_its_samples_and_leaves_the_ended_job_alone(local_stack: Stack, name: str) -> None:
    local_stack.send("videodb/upload", read("videodb/upload/video_success"))
    local_stack.work("VideoDbSteps", handler("videodb/steps"))  # which tells the job's end
    before = local_stack.items()

    answer = handler("videodb/steps")(read(name), Context())

    assert answer == {"batchItemFailures": []}
    assert local_stack.items() == before
    assert local_stack.messages("VideoDbSteps") == []


def test_the_kept_sample_is_what_a_callback_leaves_while_dynamodb_is_away(local_stack: Stack, away: Away) -> None:
    with away("dynamodb"):
        local_stack.send("videodb/upload", read("videodb/upload/video_success"))

    (record,) = read("pipeline/redeliver/kept")["Records"]
    assert local_stack.messages("Deliveries") == [record["body"]]


def test_the_kept_sample_is_recorded_when_it_is_redelivered(stack: Stack, functions: Functions) -> None:
    answer = handler("pipeline/redeliver")(read("pipeline/redeliver/kept"), Context())

    assert answer == {"batchItemFailures": []}
    assert [item["status"] for item in stack.items("JOB#sample-upload-video_success") if item["sk"] == "JOB"] == [
        "succeeded"
    ]


def test_the_notify_sample_is_told_on_the_bus(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.events().create_event_bus(Name="bus")
    monkeypatch.setenv("EVENT_BUS", "bus")
    stack.calls.clear()

    answer = handler("pipeline/notify")(read("pipeline/notify/bus"), Context())

    assert answer == {"batchItemFailures": []}
    assert stack.calls == ["events.PutEvents"]


def test_the_schedule_sweeps(stack: Stack) -> None:
    event = read("pipeline/sweep/schedule")

    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.scheduler", "Scheduled Event", "{}")
    assert handler("pipeline/sweep")(event, Context()) == {"overdue": 0}


@pytest.mark.parametrize("name", ["api/authorizer/x_api_key", "api/authorizer/bearer"])
def test_the_authorizer_lets_a_sample_in_only_if_its_key_is_one_of_ours(stack: Stack, name: str) -> None:
    refused = handler("api/authorizer")(read(name), Context())
    settings.secretsmanager().put_secret_value(
        SecretId="API_KEYS_SECRET", SecretString=json.dumps({"samples": SAMPLE_API_KEY})
    )
    secrets.forget()
    let_in = handler("api/authorizer")(read(name), Context())

    assert refused == {"isAuthorized": False}
    assert let_in == {"isAuthorized": True, "context": {"api_key_name": "samples"}}


def api(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = handler("api/jobs")(read(f"api/jobs/{name}"), Context())
    return answer


def test_the_create_sample_makes_one_job_however_often_it_is_sent(stack: Stack) -> None:
    first, second = api("create"), api("create")

    assert (first["statusCode"], second["statusCode"]) == (201, 201)
    assert first["body"] == second["body"]
    assert len(stack.items("JOB#")) == 1


def test_the_list_sample_lists_what_the_create_sample_made(stack: Stack) -> None:
    created = json.loads(api("create")["body"])

    answer = api("list")

    assert answer["statusCode"] == 200
    assert created["job_id"] in answer["body"]


def test_the_show_sample_shows_the_job_of_the_upload_sample(local_stack: Stack) -> None:
    before = api("show")
    local_stack.send("videodb/upload", read("videodb/upload/video_success"))

    answer = api("show")

    assert (before["statusCode"], answer["statusCode"]) == (404, 200)
    assert json.loads(answer["body"])["status"] == "succeeded"


def test_the_samples_of_batches_make_one_show_it_and_do_not_end_it_too_early(stack: Stack) -> None:
    batches = handler("api/batches")
    before = batches(read("api/batches/show"), Context())

    made = [batches(read("api/batches/create"), Context()) for _ in range(2)]
    assert handler("pipeline/batches")(read("pipeline/batches/settle"), Context()) == {"batchItemFailures": []}
    shown = batches(read("api/batches/show"), Context())

    assert (before["statusCode"], shown["statusCode"]) == (404, 200)
    assert [answer["statusCode"] for answer in made] == [201, 201]
    assert made[0]["body"] == made[1]["body"] == shown["body"]
    assert json.loads(shown["body"])["status"] == "running"


def test_the_samples_of_tasks_make_one_show_it_and_list_it(stack: Stack) -> None:
    def tasks(name: str) -> Any:
        answer = handler("api/tasks")(read(f"api/tasks/{name}"), Context())
        return answer["statusCode"], json.loads(answer["body"])

    assert tasks("create")[0] == 401
    settings.secretsmanager().put_secret_value(
        SecretId="API_KEYS_SECRET", SecretString=json.dumps({"samples": SAMPLE_API_KEY})
    )
    secrets.forget()
    before, _ = tasks("retrieve")
    made = [tasks("create") for _ in range(2)]
    after, shown = tasks("retrieve")

    assert (before, after) == (404, 200)
    assert made == [(201, {"_id": shown["_id"]})] * 2
    assert [task["_id"] for task in tasks("list")[1]["data"]] == [shown["_id"]]


def test_the_samples_of_videos_log_in_and_show_the_status_of_the_printed_callbacks_video(stack: Stack) -> None:
    videos = handler("api/videos")
    refused = [videos(read(f"api/videos/{name}"), Context())["statusCode"] for name in ("login", "status")]
    settings.secretsmanager().put_secret_value(
        SecretId="API_KEYS_SECRET", SecretString=json.dumps({"samples": SAMPLE_API_KEY})
    )
    secrets.forget()
    before = videos(read("api/videos/status"), Context())
    printed = read("apivideo/encoding_quality_completed/printed")
    settings.secretsmanager().put_secret_value(
        SecretId="APIVIDEO_SECRET", SecretString=json.dumps(signing.SAMPLE_SECRETS["apivideo"])
    )
    assert stack.send("apivideo/encoding_quality_completed", printed)["outcome"] == "adopted"

    answers = [videos(read(f"api/videos/{name}"), Context()) for name in ("login", "status")]

    assert (refused, before["statusCode"]) == ([400, 401], 404)
    assert [answer["statusCode"] for answer in answers] == [200, 200]
    assert json.loads(answers[1]["body"])["encoding"]["qualities"] == [
        {"type": "hls", "quality": "720p", "status": "encoded"}
    ]


def test_the_media_sample_shows_the_video_of_the_upload_sample(local_stack: Stack) -> None:
    media = handler("api/media")
    before = media(read("api/media/show"), Context())
    local_stack.send("videodb/upload", read("videodb/upload/video_success"))

    answer = media(read("api/media/show"), Context())

    assert (before["statusCode"], answer["statusCode"]) == (404, 200)
    assert json.loads(answer["body"])["collection_id"] == "c-**"


def test_every_function_of_the_stack_has_a_sample() -> None:
    folders = {str(app.parent.relative_to(ROOT / "functions")) for app in ROOT.glob("functions/*/*/app.py")}

    assert {callback_of(name) for name in names()} == folders
