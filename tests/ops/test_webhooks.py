"""`make webhooks`: the platforms call the stack back, which has their secrets; no one else's settings are lost."""

import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from alibabacloud_tea_openapi.models import Config  # type: ignore[import-untyped]
from alibabacloud_vod20170321 import models  # type: ignore[import-untyped]
from alibabacloud_vod20170321.client import Client  # type: ignore[import-untyped]
from moto import mock_aws

from local import aws, running, template
from local.commands import StackError
from local.platforms.apivideo import SimulatedApiVideo, Webhook
from local.platforms.apsaravideo import SimulatedApsaraVideo
from ops import callback_url, redrive
from ops.webhooks import apivideo, apsaravideo, deployment, twelvelabs
from ops.webhooks.__main__ import main
from tests.cloudformation import TEMPLATE
from tests.patches import change

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

pytestmark = pytest.mark.filterwarnings(
    # the VOD SDK makes its timestamps so
    r"ignore:datetime\.datetime\.utcnow\(\) is deprecated:DeprecationWarning",
)

API = "https://jobs.example.com"
QUALITY, TRANSCRIPT = "video.encoding.quality.completed", "video.caption.generated"
APIVIDEO_URL = f"{API}/callbacks/apivideo/encoding-quality-completed"
APSARAVIDEO_URL = f"{API}/callbacks/apsaravideo/upload-by-url-complete"
TWELVELABS_URL = f"{API}/callbacks/twelvelabs/index-task"
THEIRS = "https://others.example.com/hook"
KEY = {"api_key": "a-good-key"}
ALIBABA = {"access_key_id": "LTAI-simulated", "access_key_secret": "simulated-secret"}
MNS = "https://123.mns.cn-shanghai.aliyuncs.com"
NOBODY = "http://127.0.0.1:9"


class Cloud:
    """An AWS account with stacks in it, of which only what `make webhooks` looks at is there."""

    def __init__(self) -> None:
        self.secrets: SecretsManagerClient = boto3.client("secretsmanager")

    def deploy(self, *, name: str = "video-jobs", secret: Mapping[str, str] = KEY, **parameters: str) -> None:
        """All three platforms' secrets have the same values."""
        names = {f"{prefix}SecretName": f"{name}-{prefix}" for prefix in ("ApiVideo", "ApsaraVideo", "TwelveLabs")}
        for secret_name in names.values():
            self.secrets.create_secret(Name=secret_name, SecretString=json.dumps(secret))
        asked = {f"{prefix}Url": NOBODY for prefix in ("ApiVideo", "ApsaraVideo", "TwelveLabs")} | parameters
        body = {
            "Parameters": {parameter: {"Type": "String", "Default": value} for parameter, value in asked.items()},
            "Resources": {"Steps": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {output: {"Value": value} for output, value in ({"ApiUrl": API} | names).items()},
        }
        boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(body))

    def secret(self, prefix: str, *, stack: str = "video-jobs") -> dict[str, str]:
        text = self.secrets.get_secret_value(SecretId=f"{stack}-{prefix}")["SecretString"]
        found: dict[str, str] = json.loads(text)
        return found


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy", "WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(running, "find", lambda: None)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with mock_aws():
        yield Cloud()


@pytest.fixture
def platform(cloud: Cloud) -> Iterator[SimulatedApiVideo]:
    """A simulated api.video, and a stack that knows where it is."""
    with SimulatedApiVideo() as platform:
        cloud.deploy(ApiVideoUrl=platform.url)
        yield platform


@pytest.fixture
def vod(cloud: Cloud) -> Iterator[SimulatedApsaraVideo]:
    with SimulatedApsaraVideo() as vod:
        cloud.deploy(ApsaraVideoUrl=vod.url, secret=ALIBABA)
        yield vod


def webhooks(platform: str, **options: str) -> None:
    """What `make webhooks` does; the empty options are those that were not given."""
    main([argument for name, value in {"platform": platform, **options}.items() for argument in (f"--{name}", value)])


def at(platform: SimulatedApiVideo) -> dict[str, tuple[str, ...]]:
    """The events of the account's webhooks, by URL."""
    account = apivideo.Account(platform.url, "a-good-key")
    return {webhook.url: webhook.events for webhook in account.webhooks()}


def methods(platform: SimulatedApiVideo) -> list[str]:
    return [request.method for request in platform.requests]


def set_elsewhere(vod: SimulatedApsaraVideo, events: str = "FileUploadComplete") -> None:
    """As somebody else would have, in the same account."""
    client = apsaravideo.Vod(vod.url, **ALIBABA)
    client.set(callback_type="HTTP", callback_url=THEIRS, event_type_list=events)


def current(vod: SimulatedApsaraVideo) -> apsaravideo.MessageCallback:
    return apsaravideo.Vod(vod.url, **ALIBABA).get()


def wait_for(received: list[Any]) -> None:
    end = time.monotonic() + 30
    while not received:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def fill(cloud: Cloud, values: Mapping[str, str], prefix: str = "ApiVideo") -> None:
    cloud.secrets.put_secret_value(SecretId=f"video-jobs-{prefix}", SecretString=json.dumps(values))


def auth_key(vod: SimulatedApsaraVideo) -> str:
    """What VOD signs with, by the SDK."""
    client = Client(Config(endpoint=vod.url.removeprefix("http://"), protocol="http", **ALIBABA))
    found = client.get_message_callback(models.GetMessageCallbackRequest()).body.message_callback
    return str(found.auth_key)


def local_stack(monkeypatch: pytest.MonkeyPatch, platforms: dict[str, str]) -> None:
    """`make local` is up, and its AWS is the test's."""
    found = running.RunningStack(
        api_url=API,
        api_key="key",
        notify_key="whsec_key",
        endpoint_url="http://127.0.0.1:4566",
        stack_name="video-jobs",
        platforms=platforms,
    )

    def client(service: str, endpoint_url: str) -> Any:
        assert endpoint_url == found.endpoint_url
        connect: Any = boto3.client
        return connect(service, aws.REGION)

    monkeypatch.setattr(running, "find", lambda: found)
    monkeypatch.setattr(aws, "client", client)


# --- api.video ---


def test_a_new_webhook_sends_here_and_its_secret_is_stored(
    platform: SimulatedApiVideo, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    webhooks("apivideo", action="create")

    assert at(platform) == {APIVIDEO_URL: (QUALITY,)}
    [webhook] = apivideo.Account(platform.url, "a-good-key").webhooks()
    assert webhook.secret.startswith("sig_sec_")
    assert cloud.secret("ApiVideo") == {**KEY, webhook.id: webhook.secret}
    said = capsys.readouterr().out
    assert f"{webhook.id} is made" in said
    assert webhook.secret not in said


def test_what_the_webhook_sends_is_signed_with_what_was_stored(cloud: Cloud) -> None:
    received = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.headers, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server, SimulatedApiVideo() as platform:
        Thread(target=server.handle_request, daemon=True).start()
        outputs = {"ApiUrl": f"http://127.0.0.1:{server.server_port}", "ApiVideoSecretName": "of-a-demo"}
        cloud.secrets.create_secret(Name="of-a-demo", SecretString=json.dumps(KEY))
        stack = deployment.describe(
            "apivideo", outputs=outputs, secrets_manager=cloud.secrets, platform_url=platform.url
        )
        [webhook] = apivideo.create(stack).webhooks
        platform.emit(QUALITY)
        wait_for(received)
    [(headers, body)] = received
    secret = stack.secret.read()[headers["X-Api-Video-WebhookID"]]
    assert headers["X-Api-Video-WebhookID"] == webhook.id
    assert headers["X-Api-Video-Signature"] == hmac.digest(secret.encode(), body, "sha256").hex()


def test_nothing_is_made_twice(platform: SimulatedApiVideo, cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    webhooks("apivideo", action="create")
    before = cloud.secret("ApiVideo")
    capsys.readouterr()

    webhooks("apivideo", action="create")

    assert (methods(platform).count("POST"), cloud.secret("ApiVideo")) == (1, before)
    assert "was there already" in (said := capsys.readouterr().out)
    assert "its secret was stored already" in said


@pytest.mark.parametrize("stored", [{}, {"webhook_other": "sig_sec_other"}])
def test_a_secret_that_is_missing_or_wrong_is_stored_of_a_webhook_that_is_there(
    platform: SimulatedApiVideo, cloud: Cloud, capsys: pytest.CaptureFixture[str], stored: dict[str, str]
) -> None:
    first = platform.register(APIVIDEO_URL, [QUALITY])
    second = platform.register(APIVIDEO_URL, [QUALITY], "sig_sec_now")
    others = platform.register(THEIRS)
    fill(cloud, {**KEY, **stored, second.id: "sig_sec_before"})

    webhooks("apivideo", action="create")

    assert "POST" not in methods(platform)
    assert cloud.secret("ApiVideo") == {**KEY, **stored, first.id: first.secret, second.id: "sig_sec_now"}
    assert others.id not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("events", "sent"),
    [
        ("all", apivideo.EVENTS),
        (f"{TRANSCRIPT}, {QUALITY}", (TRANSCRIPT, QUALITY)),
        (f"{TRANSCRIPT} {TRANSCRIPT}", (TRANSCRIPT,)),
    ],
)
def test_events_can_be_chosen(platform: SimulatedApiVideo, events: str, sent: tuple[str, ...]) -> None:
    webhooks("apivideo", action="create", events=events)
    assert at(platform) == {APIVIDEO_URL: sent}


def test_a_webhook_that_lacks_an_event_is_not_taken_for_what_was_asked(
    platform: SimulatedApiVideo, cloud: Cloud
) -> None:
    there = platform.register(APIVIDEO_URL, [QUALITY])
    with pytest.raises(SystemExit, match=rf"(?s){there.id}.*does not get {TRANSCRIPT}.*delete it first"):
        webhooks("apivideo", action="create", events=f"{QUALITY},{TRANSCRIPT}")
    assert cloud.secret("ApiVideo")[there.id] == there.secret


def test_the_list_has_every_page_and_no_secret(
    platform: SimulatedApiVideo, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = [platform.register(f"{THEIRS}/{number}") for number in range(30)]
    stored, missing = platform.register(APIVIDEO_URL, [QUALITY]), platform.register(APIVIDEO_URL, [TRANSCRIPT])
    fill(cloud, {**KEY, stored.id: stored.secret, "webhook_gone": "sig_sec_gone"})

    webhooks("apivideo")

    said = capsys.readouterr().out
    assert said.startswith(f"32 webhooks at {platform.url}")
    assert f"* {stored.id}  {APIVIDEO_URL}\n    {QUALITY}; secret stored\n" in said
    assert f"* {missing.id}  {APIVIDEO_URL}\n    {TRANSCRIPT}; secret NOT stored" in said
    assert all(f"  {webhook.id}  {webhook.url}\n" in said for webhook in theirs)
    assert "webhook_gone" in said
    assert "sig_sec_" not in said
    assert "None sends to" not in said


def test_an_account_without_a_webhook_of_ours_says_how_to_make_one(
    platform: SimulatedApiVideo, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.register(THEIRS)
    webhooks("apivideo")
    assert f"None sends to {APIVIDEO_URL}: ACTION=create" in capsys.readouterr().out


def test_only_our_webhooks_are_deleted_and_only_their_secrets(
    platform: SimulatedApiVideo, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [platform.register(APIVIDEO_URL), platform.register(APIVIDEO_URL)]
    theirs = platform.register(THEIRS)
    kept = {**KEY, theirs.id: theirs.secret}
    fill(cloud, {**kept, ours[0].id: ours[0].secret})

    webhooks("apivideo", action="delete")

    assert list(at(platform)) == [THEIRS]
    assert cloud.secret("ApiVideo") == kept
    said = capsys.readouterr().out
    assert all(f"{webhook.id} is deleted" in said for webhook in ours)

    webhooks("apivideo", action="delete")
    assert capsys.readouterr().out == f"No webhook of this account sends to {APIVIDEO_URL}\n"


def test_a_webhook_that_somebody_else_deletes_at_the_same_time_counts_as_deleted(
    platform: SimulatedApiVideo,
) -> None:
    apivideo.Account(platform.url, "a-good-key").delete("webhook_gone")
    assert [(r.method, r.path) for r in platform.requests] == [("DELETE", "/webhooks/webhook_gone")]


def test_a_secret_without_a_key_says_how_to_fill_it_and_keep_the_rest(
    platform: SimulatedApiVideo, cloud: Cloud
) -> None:
    fill(cloud, {"webhook_1": "sig_sec_1"})
    with pytest.raises(SystemExit) as ended:
        webhooks("apivideo")
    assert "The secret video-jobs-ApiVideo has no api_key of api.video" in str(ended.value)
    assert "replaces all" in str(ended.value)
    assert str(ended.value).endswith(
        "\n  aws secretsmanager put-secret-value --region us-east-1 --secret-id video-jobs-ApiVideo"
        """ --secret-string '{"api_key": "...", "webhook_1": "..."}'"""
    )
    assert platform.requests == []


def test_api_videos_own_words_are_told(platform: SimulatedApiVideo, cloud: Cloud) -> None:
    for number in range(10):
        platform.register(f"{THEIRS}/{number}")
    with pytest.raises(SystemExit, match=r"answered 400: Your account has reached the webhook urls limit\."):
        webhooks("apivideo", action="create")
    assert cloud.secret("ApiVideo") == KEY


def test_a_key_that_is_refused_is_not_told_but_where_it_may_belong(platform: SimulatedApiVideo, cloud: Cloud) -> None:
    fill(cloud, {"api_key": "revoked-1"})
    with pytest.raises(SystemExit, match=r"answered 401: The user credentials were incorrect\.\n.*sandbox") as ended:
        webhooks("apivideo")
    assert "revoked-1" not in str(ended.value)


@pytest.mark.parametrize(("platform_name", "secret"), [("apivideo", KEY), ("apsaravideo", ALIBABA)])
def test_a_platform_that_does_not_answer_is_told(cloud: Cloud, platform_name: str, secret: dict[str, str]) -> None:
    cloud.deploy(secret=secret)
    with pytest.raises(SystemExit, match=rf"\({NOBODY}\) does not answer"):
        webhooks(platform_name)


@pytest.mark.parametrize(("platform_name", "secret"), [("apivideo", KEY), ("apsaravideo", ALIBABA)])
@pytest.mark.parametrize("body", [b"<html>sig_sec_1</html>", b'{"data": 3}', b""])
def test_an_answer_that_is_none_is_told_and_not_quoted(
    cloud: Cloud, platform_name: str, secret: dict[str, str], body: bytes
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        cloud.deploy(secret=secret, ApiVideoUrl=url, ApsaraVideoUrl=url)
        with pytest.raises(SystemExit, match="answered something else") as ended:
            webhooks(platform_name)
    assert "sig_sec" not in str(ended.value)


def test_no_secret_is_in_a_repr() -> None:
    assert "a-good-key" not in repr(apivideo.Account("https://ws.api.video", "a-good-key"))
    webhook = {"webhookId": "webhook_1", "url": THEIRS, "events": [], "signatureSecret": "sig_sec_1"}
    assert "sig_sec_1" not in repr(apivideo.Webhook.model_validate(webhook))


# --- ApsaraVideo VOD ---


def test_the_callback_is_set_signed_with_a_new_key_that_was_stored(
    vod: SimulatedApsaraVideo, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    webhooks("apsaravideo", action="set")

    stored = cloud.secret("ApsaraVideo")
    assert stored == {**ALIBABA, "auth_key": stored["auth_key"]}
    assert re.fullmatch(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{32}", stored["auth_key"])
    assert current(vod) == apsaravideo.MessageCallback(
        type="HTTP", url=APSARAVIDEO_URL, events=("UploadByURLComplete",), is_signed=True, mns_endpoint="", mns_queue=""
    )
    assert auth_key(vod) == stored["auth_key"]
    said = capsys.readouterr().out
    assert f"calls {APSARAVIDEO_URL}, which is the AWS stack video-jobs\n" in said
    assert "A new auth_key is stored" in said
    assert stored["auth_key"] not in said


def test_a_new_key_has_all_that_vod_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["a" * 32, "A" * 32, "1" * 32, "aA" * 16, "a1" * 16, "A1" * 16, "aA1b" * 8]
    characters = iter("".join(keys))
    change(monkeypatch, apsaravideo, secrets, choice=lambda _: next(characters))
    assert apsaravideo.new_key() == keys[-1]


def test_a_key_that_is_stored_is_used(vod: SimulatedApsaraVideo, cloud: Cloud) -> None:
    fill(cloud, {**ALIBABA, "auth_key": "Stored1", "auth_key_previous": "Before1"}, "ApsaraVideo")
    webhooks("apsaravideo", action="set")
    assert auth_key(vod) == "Stored1"
    assert cloud.secret("ApsaraVideo") == {**ALIBABA, "auth_key": "Stored1", "auth_key_previous": "Before1"}


def test_a_new_key_is_stored_before_vod_has_it(vod: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise StackError("put_secret_value is not allowed")

    monkeypatch.setattr("ops.webhooks.secret.Secret.add", denied)
    with pytest.raises(SystemExit, match="not allowed"):
        webhooks("apsaravideo", action="set")
    assert current(vod).to == ""


@pytest.mark.parametrize(
    ("on", "events", "sent"),
    [
        ("FileUploadComplete,AIComplete", "", ("FileUploadComplete", "AIComplete", "UploadByURLComplete")),
        ("UploadByURLComplete,AIComplete", "", ("UploadByURLComplete", "AIComplete")),
        ("ALL", "", ("ALL",)),
        ("", "", ("UploadByURLComplete",)),
        ("FileUploadComplete", "AIComplete, UploadByURLComplete", ("AIComplete", "UploadByURLComplete")),
        ("FileUploadComplete", "all", ("ALL",)),
    ],
)
def test_the_events_that_were_on_stay_on_unless_others_are_named(
    vod: SimulatedApsaraVideo, on: str, events: str, sent: tuple[str, ...]
) -> None:
    client = apsaravideo.Vod(vod.url, **ALIBABA)
    client.set(callback_type="HTTP", callback_url=APSARAVIDEO_URL, event_type_list=on)
    webhooks("apsaravideo", action="set", events=events)
    assert current(vod).events == sent


@pytest.mark.parametrize("asked", [{}, {"mns": "vodcallback", "endpoint": MNS}])
def test_somebody_elses_callback_is_replaced_by_force_alone(
    vod: SimulatedApsaraVideo, cloud: Cloud, capsys: pytest.CaptureFixture[str], asked: dict[str, str]
) -> None:
    set_elsewhere(vod)
    before = current(vod)

    with pytest.raises(SystemExit, match=rf"(?s){THEIRS}.*FORCE=1"):
        webhooks("apsaravideo", action="set", **asked)
    assert current(vod) == before
    assert cloud.secret("ApsaraVideo") == ALIBABA

    webhooks("apsaravideo", action="set", force="1", **asked)
    assert current(vod).to == (f"the queue vodcallback at {MNS}" if asked else APSARAVIDEO_URL)
    assert current(vod).events == ("FileUploadComplete", "UploadByURLComplete")
    assert f"No longer called: {THEIRS}" in capsys.readouterr().out


def test_the_callback_can_go_into_a_queue_and_back(vod: SimulatedApsaraVideo) -> None:
    webhooks("apsaravideo", action="set")
    webhooks("apsaravideo", action="set", mns="vodcallback", endpoint=f"{MNS}/")  # ours, so without force
    assert (current(vod).type, current(vod).to) == ("MNS", f"the queue vodcallback at {MNS}")
    with pytest.raises(SystemExit, match="FORCE=1"):
        webhooks("apsaravideo", action="set")
    webhooks("apsaravideo", action="set", force="1")
    assert (current(vod).type, current(vod).to) == ("HTTP", APSARAVIDEO_URL)


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("", "ENDPOINT"),
        ("123.mns.cn-shanghai.aliyuncs.com", "ENDPOINT"),
        (MNS.replace(".aliyun", "-internal.aliyun"), "public"),
    ],
)
def test_a_queue_that_vod_cannot_reach_is_not_set(vod: SimulatedApsaraVideo, endpoint: str, says: str) -> None:
    with pytest.raises(SystemExit, match=says):
        webhooks("apsaravideo", action="set", mns="vodcallback", endpoint=endpoint)
    assert current(vod).to == ""


def test_a_url_that_is_too_long_is_not_set(vod: SimulatedApsaraVideo, cloud: Cloud) -> None:
    outputs = {"ApiUrl": f"{API}/{'long' * 64}", "ApsaraVideoSecretName": "video-jobs-ApsaraVideo"}
    stack = deployment.describe("apsaravideo", outputs=outputs, secrets_manager=cloud.secrets, platform_url=vod.url)
    with pytest.raises(StackError, match="256 bytes"):
        apsaravideo.set_callback(stack)
    assert cloud.secret("ApsaraVideo") == ALIBABA


def test_what_vod_has_is_shown_without_its_key(vod: SimulatedApsaraVideo, capsys: pytest.CaptureFixture[str]) -> None:
    webhooks("apsaravideo")
    assert f"has no message callback: ACTION=set has it call {APSARAVIDEO_URL}" in capsys.readouterr().out

    apsaravideo.Vod(vod.url, **ALIBABA).set(
        callback_type="HTTP", callback_url=THEIRS, auth_switch="on", auth_key="Secret123", event_type_list="AIComplete"
    )
    webhooks("apsaravideo")
    said = capsys.readouterr().out
    assert f"calls {THEIRS}\n" in said
    assert "signed  yes" in said
    assert "events  AIComplete" in said
    assert "UploadByURLComplete is off" in said
    assert "Secret123" not in said


def test_vods_own_words_are_told(vod: SimulatedApsaraVideo, cloud: Cloud) -> None:
    fill(cloud, ALIBABA | {"access_key_secret": "wrong-secret"}, "ApsaraVideo")
    with pytest.raises(SystemExit, match=r"refuses \(SignatureDoesNotMatch\)") as ended:
        webhooks("apsaravideo")
    assert "wrong-secret" not in str(ended.value)


def test_a_secret_without_an_access_key_is_told(vod: SimulatedApsaraVideo, cloud: Cloud) -> None:
    fill(cloud, {}, "ApsaraVideo")
    with pytest.raises(SystemExit, match=r"(?s)no access_key_id and no access_key_secret .*put-secret-value"):
        webhooks("apsaravideo")
    assert vod.requests == []


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(
    vod: SimulatedApsaraVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    assert current(vod).to == ""
    assert os.environ["HTTP_PROXY"] == NOBODY


# --- TwelveLabs ---


def test_twelvelabs_is_set_up_in_its_dashboard(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.deploy()
    webhooks("twelvelabs")
    said = capsys.readouterr().out
    assert twelvelabs.DASHBOARD in said
    assert f"  {TWELVELABS_URL}\n" in said
    assert "WEBHOOK_SECRET=whs_" in said
    assert cloud.secret("TwelveLabs") == KEY


def test_the_webhooks_secret_is_stored_and_the_earlier_one_still_holds(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.deploy()
    stored = []
    for secret in ("whs_1", "whs_2\n", "whs_2"):
        monkeypatch.setenv("WEBHOOK_SECRET", secret)
        webhooks("twelvelabs")
        stored.append(cloud.secret("TwelveLabs"))
    assert stored == [
        {**KEY, "webhook": "whs_1"},
        {**KEY, "webhook": "whs_2", "webhook_previous": "whs_1"},
        {**KEY, "webhook": "whs_2", "webhook_previous": "whs_1"},
    ]
    assert "whs_1" not in (said := capsys.readouterr().out)
    assert "was stored already" in said


@pytest.mark.parametrize("secret", [" ", "whs 1", "whs_é"])
def test_what_cannot_be_a_secret_is_not_stored(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    cloud.deploy()
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    with pytest.raises(SystemExit, match="WEBHOOK_SECRET"):
        webhooks("twelvelabs")
    assert cloud.secret("TwelveLabs") == KEY


# --- which stack, which platform ---


def test_a_stack_can_be_named(cloud: Cloud) -> None:
    with SimulatedApiVideo() as platform:
        cloud.deploy()
        cloud.deploy(name="another", ApiVideoUrl=platform.url)
        webhooks("apivideo", action="create", stack="another")
    assert cloud.secret("ApiVideo") == KEY
    assert len(cloud.secret("ApiVideo", stack="another")) == 2


def test_without_a_name_the_local_stack_is_meant_and_its_simulated_platform(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with SimulatedApiVideo() as platform:
        cloud.deploy()
        local_stack(monkeypatch, {"apivideo": platform.url})
        webhooks("apivideo", action="create")
        assert list(at(platform)) == [APIVIDEO_URL]
    assert "in the local stack (http://127.0.0.1:4566)" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no simulated apsaravideo"):
        webhooks("apsaravideo")
    fill(cloud, {})
    with pytest.raises(SystemExit, match=r"--endpoint-url http://127\.0\.0\.1:4566 --region us-east-1"):
        webhooks("apivideo")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"platform": ""}, "PLATFORM is one of these: apivideo, apsaravideo, twelvelabs"),
        ({"platform": "videodb"}, "PLATFORM is one of these"),
        ({"platform": "apivideo", "action": "set"}, "one of these: list, create, delete"),
        ({"platform": "apsaravideo", "action": "delete"}, "one of these: show, set"),
        ({"platform": "twelvelabs", "action": "create"}, "one of these: show"),
        ({"platform": "apivideo", "action": "create", "events": "video.failed"}, r"no event video\.failed"),
        ({"platform": "apivideo", "stack": "nothing"}, "AWS stack nothing does not exist in us-east-1.*make local"),
    ],
)
def test_a_mistake_is_told(cloud: Cloud, options: dict[str, str], says: str) -> None:
    cloud.deploy()
    with pytest.raises(SystemExit, match=says):
        webhooks(**options)


def test_a_stack_from_before_the_platform_is_told(cloud: Cloud) -> None:
    body = {"Resources": {"Steps": {"Type": "AWS::SQS::Queue"}}, "Outputs": {"ApiUrl": {"Value": API}}}
    boto3.client("cloudformation").create_stack(StackName="video-jobs", TemplateBody=json.dumps(body))
    with pytest.raises(SystemExit, match="no parameter ApiVideoUrl"):
        webhooks("apivideo")
    with pytest.raises(StackError, match="no output ApiVideoSecretName"):
        deployment.describe("apivideo", outputs={"ApiUrl": API}, secrets_manager=cloud.secrets, platform_url=NOBODY)


def test_a_secret_that_is_no_object_is_told(cloud: Cloud) -> None:
    cloud.deploy()
    for text in ("sk-plain", "[]"):
        cloud.secrets.put_secret_value(SecretId="video-jobs-ApiVideo", SecretString=text)
        with pytest.raises(SystemExit, match="not a JSON object") as ended:
            webhooks("apivideo")
        assert "sk-plain" not in str(ended.value)


@pytest.mark.parametrize(
    "command",
    [
        lambda: deployment.find("apivideo", ""),
        lambda: redrive.redrive("VideoDbSteps", ""),
        lambda: callback_url.url("videodb/upload", "my-job", ""),
    ],
)
def test_without_a_region_every_command_says_what_to_set(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(StackError, match=r"No region .* the AWS stack video-jobs in: set AWS_REGION.*make local"):
        command()


@pytest.mark.parametrize("platform_name", deployment.PLATFORMS)
def test_the_template_has_what_is_looked_for(platform_name: str) -> None:
    names = deployment.PLATFORMS[platform_name]
    assert names.callback.replace("-", "_") in template.callbacks()
    assert f"{names.prefix}SecretName" in TEMPLATE["Outputs"]
    assert f"{names.prefix}Url" in TEMPLATE["Parameters"]


def test_the_simulated_platforms_webhook_and_ours_agree_on_the_events() -> None:
    with SimulatedApiVideo() as platform:
        webhook: Webhook = platform.register(THEIRS)
    assert tuple(webhook.events) == apivideo.EVENTS
