"""The official SDKs against the simulated ApsaraVideo VOD: it is what they expect, not our idea of it."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from alibabacloud_tea_openapi.exceptions import (  # type: ignore[import-untyped]
    ClientException,
    ServerException,
    ThrottlingException,
)
from alibabacloud_tea_openapi.models import Config  # type: ignore[import-untyped]
from alibabacloud_vod20170321 import models  # type: ignore[import-untyped]
from alibabacloud_vod20170321.client import Client  # type: ignore[import-untyped]
from darabonba.exceptions import UnretryableException  # type: ignore[import-untyped]
from mns.account import Account  # type: ignore[import-untyped]
from mns.mns_exception import MNSServerException  # type: ignore[import-untyped]

from local.platforms.apsaravideo import SimulatedApsaraVideo

pytestmark = pytest.mark.filterwarnings(
    # the VOD SDK makes its timestamps so
    r"ignore:datetime\.datetime\.utcnow\(\) is deprecated:DeprecationWarning",
)

LIMIT_SECONDS = 30  # for what takes milliseconds, on a machine that is busy
KEY_ID, SECRET = "LTAI-simulated", "simulated-secret"
ID = re.compile(r"[0-9a-f]{32}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def wait_for[T](condition: Callable[[], T]) -> T:
    """The condition's first value that is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vod() -> Iterator[SimulatedApsaraVideo]:
    with SimulatedApsaraVideo(pace=0.01) as vod:
        yield vod


def client_of(vod: SimulatedApsaraVideo, **config: str) -> Client:
    settings = {"access_key_id": KEY_ID, "access_key_secret": SECRET, "protocol": "http", **config}
    return Client(Config(endpoint=vod.url.removeprefix("http://"), **settings))


@pytest.fixture(params=["acs3", "v1"])
def client(vod: SimulatedApsaraVideo, request: pytest.FixtureRequest) -> Client:
    """With the signature that the SDK sends, and with the older one that it can still send."""
    return client_of(vod, signature_algorithm="v2") if request.param == "v1" else client_of(vod)


@pytest.fixture
def modern(vod: SimulatedApsaraVideo) -> Client:
    return client_of(vod)


@contextmanager
def queue_of(
    vod: SimulatedApsaraVideo,
    name: str = "vodcallback",
    *,
    key_id: str = KEY_ID,
    secret: str = SECRET,
    encoding: bool = False,
) -> Iterator[Any]:
    account = Account(vod.url, key_id, secret)
    queue = account.get_queue(name)
    queue.set_encoding(encoding)
    with closing(account.mns_client.http.conn):
        yield queue


def submit(client: Client, urls: str, **more: str) -> list[str]:
    """The ids of the jobs."""
    asked = models.UploadMediaByURLRequest(upload_urls=urls, **more)
    return [job.job_id for job in client.upload_media_by_url(asked).body.upload_jobs]


def infos(client: Client, **asked: str) -> Any:
    return client.get_urlupload_infos(models.GetURLUploadInfosRequest(**asked)).body


def ended(client: Client, job_id: str) -> Any:
    def has_ended() -> Any:
        [info] = infos(client, job_ids=job_id).urlupload_info_list
        return info if info.status in ("SUCCESS", "UPLOAD_FAIL", "DOWNLOAD_FAIL") else None

    return wait_for(has_ended)


def use_queue(client: Client, vod: SimulatedApsaraVideo, events: str = "UploadByURLComplete") -> None:
    client.set_message_callback(
        models.SetMessageCallbackRequest(
            callback_type="MNS", mns_endpoint=vod.url, mns_queue_name="vodcallback", event_type_list=events
        )
    )


# --- uploads ---


def test_an_upload_is_a_job_that_succeeds(client: Client) -> None:
    answer = client.upload_media_by_url(
        models.UploadMediaByURLRequest(
            upload_urls=quote("https://example.com/a talk, with comma.mp4", safe=""),
            upload_metadatas=json.dumps([{"SourceURL": "https://example.com/talk.mp4", "Title": "Grüße"}]),
            user_data='{"Extend":{"localId":"7"}}',
        )
    )
    [job] = answer.body.upload_jobs
    assert answer.status_code == 200
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", answer.body.request_id)
    assert job.source_url == "https://example.com/a talk, with comma.mp4"
    info = ended(client, job.job_id)
    assert (info.job_id, info.status, info.upload_url) == (job.job_id, "SUCCESS", job.source_url)
    assert ID.fullmatch(job.job_id)
    assert ID.fullmatch(info.media_id)
    assert int(info.file_size) > 0
    assert info.user_data == '{"Extend":{"localId":"7"}}'
    assert TIME.fullmatch(info.creation_time)
    assert TIME.fullmatch(info.complete_time)
    assert (info.error_code, info.error_message) == (None, None)


def test_every_submission_makes_a_new_media_id(modern: Client) -> None:
    jobs = [*submit(modern, "https://example.com/talk.mp4"), *submit(modern, "https://example.com/talk.mp4")]
    assert len({ended(modern, job).media_id for job in jobs}) == 2


def test_twenty_urls_are_twenty_jobs_and_one_more_is_refused(client: Client) -> None:
    urls = [quote(f"https://example.com/{number}.mp4", safe="") for number in range(21)]
    assert len(set(submit(client, ",".join(urls[:20])))) == 20
    with pytest.raises(ClientException) as refused:
        submit(client, ",".join(urls))
    assert refused.value.code == "InvalidParameter.UploadURLs"


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        ("private", "DOWNLOAD_FAIL", "URLInvalidError"),
        ("too-large", "UPLOAD_FAIL", "FileSizeExceeded"),
        ("upload-fails", "UPLOAD_FAIL", "InternalError"),
    ],
)
def test_an_upload_fails_with_its_status_and_code(file: str, status: str, code: str, client: Client) -> None:
    [job] = submit(client, f"https://example.com/{file}.mp4")
    info = ended(client, job)
    assert (info.status, info.error_code, info.media_id) == (status, code, None)
    assert info.error_message


def test_infos_are_found_by_source_and_name_what_is_unknown(client: Client) -> None:
    source = "https://example.com/talk.mp4?n=1,2"
    [job] = submit(client, quote(source, safe=""))
    found = infos(client, upload_urls=f"{quote(source, safe='')},{quote('https://example.com/other.mp4', safe='')}")
    assert [info.job_id for info in found.urlupload_info_list] == [job]
    assert found.non_exists == ["https://example.com/other.mp4"]
    both = infos(client, job_ids=f"{job},unknown", upload_urls="https://example.com/other.mp4")
    assert [info.job_id for info in both.urlupload_info_list] == [job]
    assert both.non_exists == ["unknown"]


def test_a_session_id_is_good_once(client: Client) -> None:
    submit(client, "https://example.com/talk.mp4", session_id="job-1")
    with pytest.raises(ClientException) as refused:
        submit(client, "https://example.com/talk.mp4", session_id="job-1")
    assert (refused.value.status_code, refused.value.code) == (400, "InvalidParameter.SessionId")
    assert len(infos(client, upload_urls="https://example.com/talk.mp4").urlupload_info_list) == 1


def test_a_stream_belongs_to_a_video(client: Client, vod: SimulatedApsaraVideo) -> None:
    [job] = submit(client, "https://example.com/talk.mp4")
    video_id = ended(client, job).media_id
    asked = models.UploadStreamByURLRequest(
        definition="HD", media_id=video_id, stream_url="https://example.com/talk-hd.flv"
    )
    stream = client.upload_stream_by_url(asked).body
    assert stream.source_url == "https://example.com/talk-hd.flv"
    assert stream.file_url.startswith("http://")
    assert stream.file_url.endswith(".flv")
    info = ended(client, stream.stream_job_id)
    assert (info.status, info.media_id) == ("SUCCESS", video_id)


def test_a_stream_of_an_unknown_video_is_refused(client: Client) -> None:
    asked = models.UploadStreamByURLRequest(
        definition="HD", media_id="unknown", stream_url="https://example.com/talk-hd.flv"
    )
    with pytest.raises(ClientException) as refused:
        client.upload_stream_by_url(asked)
    assert (refused.value.status_code, refused.value.code) == (404, "InvalidVideo.NotFound")


# --- refusals and faults ---


def test_an_unknown_key_is_not_found(vod: SimulatedApsaraVideo) -> None:
    for algorithm in ("ACS3-HMAC-SHA256", "v2"):
        stranger = client_of(vod, access_key_id="LTAI-stranger", signature_algorithm=algorithm)
        with pytest.raises(ClientException) as refused:
            submit(stranger, "https://example.com/talk.mp4")
        assert (refused.value.status_code, refused.value.code) == (404, "InvalidAccessKeyId.NotFound")


def test_a_wrong_secret_signs_wrongly(vod: SimulatedApsaraVideo) -> None:
    for algorithm in ("ACS3-HMAC-SHA256", "v2"):
        stranger = client_of(vod, access_key_secret="guessed", signature_algorithm=algorithm)
        with pytest.raises(ClientException) as refused:
            submit(stranger, "https://example.com/talk.mp4")
        assert (refused.value.status_code, refused.value.code) == (400, "SignatureDoesNotMatch")
        assert set(refused.value.data) == {"RequestId", "HostId", "Code", "Message", "Recommend", "statusCode"}


def test_a_missing_parameter_is_named(client: Client) -> None:
    with pytest.raises(ClientException) as refused:
        client.upload_media_by_url(models.UploadMediaByURLRequest())
    assert (refused.value.status_code, refused.value.code) == (400, "MissingUploadURLs")


def test_an_action_that_is_not_simulated_is_not_found(client: Client) -> None:
    with pytest.raises(ClientException) as refused:
        client.get_play_info(models.GetPlayInfoRequest(video_id="unknown"))
    assert (refused.value.status_code, refused.value.code) == (404, "InvalidApi.NotFound")


def test_a_flaky_source_is_unavailable_twice(client: Client) -> None:
    for _ in range(2):
        with pytest.raises(ServerException) as unavailable:
            submit(client, "https://example.com/flaky.mp4")
        assert (unavailable.value.status_code, unavailable.value.code) == (503, "ServiceUnavailable")
    [job] = submit(client, "https://example.com/flaky.mp4")
    assert ended(client, job).status == "SUCCESS"


def test_throttling_says_how_long_to_wait(client: Client) -> None:
    with pytest.raises(ThrottlingException) as throttled:
        submit(client, "https://example.com/throttled.mp4")
    assert (throttled.value.status_code, throttled.value.code) == (429, "Throttling.User")
    assert throttled.value.retry_after == 1000
    assert submit(client, "https://example.com/throttled.mp4")


def test_throttling_as_the_table_of_common_errors_has_it(client: Client) -> None:
    with pytest.raises(ClientException) as throttled:
        submit(client, "https://example.com/throttled-400.mp4")
    assert (throttled.value.status_code, throttled.value.code) == (400, "Throttling.User")


@pytest.mark.parametrize("file", ["reset", "html"])
def test_what_is_no_answer_of_vod_is_no_refusal(file: str, client: Client) -> None:
    with pytest.raises(UnretryableException):
        submit(client, f"https://example.com/{file}.mp4")
    assert submit(client, f"https://example.com/{file}.mp4")


def test_a_refused_source_is_refused_again(client: Client) -> None:
    for _ in range(3):
        with pytest.raises(ClientException) as refused:
            submit(client, "https://example.com/refused.mp4")
        assert refused.value.code == "InvalidParameter.UploadURLs"


# --- whom to call back ---


def test_the_callback_settings_come_back_and_go(client: Client) -> None:
    asked = models.SetMessageCallbackRequest(
        callback_type="HTTP",
        callback_url="https://example.com/callback",
        event_type_list="UploadByURLComplete,FileUploadComplete",
        auth_switch="on",
        auth_key="Secret123",
    )
    assert client.set_message_callback(asked).body.request_id
    settings = client.get_message_callback(models.GetMessageCallbackRequest()).body.message_callback
    assert settings.to_map() == {**asked.to_map(), "AppId": "app-1000000"}
    assert client.delete_message_callback(models.DeleteMessageCallbackRequest()).body.request_id
    settings = client.get_message_callback(models.GetMessageCallbackRequest()).body.message_callback
    assert settings.to_map() == {"AppId": "app-1000000"}


def test_every_application_has_settings_of_its_own(client: Client) -> None:
    asked = models.SetMessageCallbackRequest(app_id="app-2", callback_type="HTTP", callback_url="https://example.com")
    client.set_message_callback(asked)
    of_default = client.get_message_callback(models.GetMessageCallbackRequest()).body.message_callback
    of_other = client.get_message_callback(models.GetMessageCallbackRequest(app_id="app-2")).body.message_callback
    assert (of_default.callback_url, of_other.callback_url) == (None, "https://example.com")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"callback_url": ""}, "MissingCallbackURL"),
        ({"callback_url": f"https://example.com/{'a' * 240}"}, "InvalidParameter.CallbackURL"),
        ({"auth_key": "nodigitsORso"}, "InvalidParameter.AuthKey"),
        ({"auth_key": "Aa1" * 11}, "InvalidParameter.AuthKey"),
        ({"auth_switch": "yes"}, "InvalidParameter.AuthSwitch"),
        # the SDK's documents name this value, after a product was renamed
        ({"callback_type": "Simple Message Queue (formerly MNS)"}, "InvalidParameter.CallbackType"),
        ({"callback_type": "MNS", "mns_endpoint": "http://mns"}, "MissingMnsQueueName"),
    ],
)
def test_wrong_callback_settings_are_refused(wrong: dict[str, str], code: str, modern: Client) -> None:
    asked = {"callback_type": "HTTP", "callback_url": "https://example.com", **wrong}
    with pytest.raises(ClientException) as refused:
        modern.set_message_callback(models.SetMessageCallbackRequest(**asked))
    assert refused.value.code == code


# --- MNS ---


def test_an_uploads_event_comes_through_the_queue(modern: Client, vod: SimulatedApsaraVideo) -> None:
    use_queue(modern, vod)
    [job] = submit(modern, "https://example.com/clean.mp4", user_data='{"Extend":{"localId":"7"}}')
    with queue_of(vod) as queue:
        message = queue.receive_message_with_str_body(30)
        event = json.loads(message.message_body)
        assert (event["EventType"], event["JobId"], event["Status"]) == ("UploadByURLComplete", job, "success")
        assert event["Extend"] == '{"localId":"7"}'
        assert message.dequeue_count == 1
        assert message.enqueue_time <= message.first_dequeue_time < message.next_visible_time
        queue.delete_message(message.receipt_handle)
        with pytest.raises(MNSServerException) as gone:
            queue.delete_message(message.receipt_handle)
    assert gone.value.type == "MessageNotExist"
    assert ended(modern, job).media_id == event["VideoId"]


def test_the_documents_own_bytes_come_through_the_queue(modern: Client, vod: SimulatedApsaraVideo) -> None:
    use_queue(modern, vod)
    [job] = submit(modern, "https://example.com/private.mp4")
    with queue_of(vod) as queue:
        body = queue.receive_message_with_str_body(30).message_body
    assert f'"JobId": "{job}" ,' in body
    assert '"ErrorCode ": "URLInvalidError ", \n' in body
    assert body.endswith('.mp4",\n}')


def test_a_queue_in_base64_is_what_the_sdk_decodes_by_default() -> None:
    with SimulatedApsaraVideo(mns_base64=True) as vod, queue_of(vod, encoding=True) as queue:
        vod.put_message("vodcallback", '{"Grüße": 1}')
        message = queue.receive_message_with_str_body(30)
        assert message.message_body == '{"Grüße": 1}'
        raw = base64.b64encode('{"Grüße": 1}'.encode())
        queue.set_encoding(False)
        vod.put_message("vodcallback", '{"Grüße": 1}')
        assert queue.receive_message_with_str_body(30).message_body == raw.decode()


def test_messages_come_and_go_in_batches(vod: SimulatedApsaraVideo) -> None:
    for number in range(20):
        vod.put_message("vodcallback", f'{{"n": {number}, "text": "<&>"}}')
    with queue_of(vod) as queue:
        first = queue.batch_receive_message_with_str_body(16, 30)
        second = queue.batch_receive_message_with_str_body(16, 30)
        assert [len(first), len(second)] == [16, 4]
        bodies = [json.loads(message.message_body) for message in [*first, *second]]
        assert bodies == [{"n": number, "text": "<&>"} for number in range(20)]
        queue.batch_delete_message([message.receipt_handle for message in first])
        with pytest.raises(MNSServerException) as gone:
            queue.batch_delete_message([second[0].receipt_handle, first[0].receipt_handle])
        assert [error["ReceiptHandle"] for error in gone.value.sub_errors] == [first[0].receipt_handle]
        queue.batch_delete_message([message.receipt_handle for message in second[1:]])


def test_an_empty_queue_is_an_error(vod: SimulatedApsaraVideo) -> None:
    with queue_of(vod) as queue:
        for receive in (queue.receive_message, lambda wait: queue.batch_receive_message(16, wait)):
            with pytest.raises(MNSServerException) as empty:
                receive(0)
            assert empty.value.type == "MessageNotExist"


def test_a_message_that_is_not_deleted_comes_back_under_a_new_handle() -> None:
    with SimulatedApsaraVideo(mns_visibility=0.05) as vod, queue_of(vod) as queue:
        vod.put_message("vodcallback", "{}")
        first, second = queue.receive_message(30), queue.receive_message(30)
        assert first.message_id == second.message_id
        assert (first.dequeue_count, second.dequeue_count) == (1, 2)
        assert first.receipt_handle != second.receipt_handle
        with pytest.raises(MNSServerException) as gone:
            queue.delete_message(first.receipt_handle)
    assert gone.value.type == "MessageNotExist"


def test_a_message_can_be_given_back_at_once(vod: SimulatedApsaraVideo) -> None:
    vod.put_message("vodcallback", "{}")
    with queue_of(vod) as queue:
        first = queue.receive_message(30)
        queue.change_message_visibility(first.receipt_handle, 0)
        assert queue.receive_message(30).message_id == first.message_id


def test_a_queue_that_is_not_there_is_named(vod: SimulatedApsaraVideo) -> None:
    with queue_of(vod, "other") as queue, pytest.raises(MNSServerException) as missing:
        queue.receive_message(0)
    assert missing.value.type == "QueueNotExist"


@pytest.mark.parametrize(
    ("key_id", "secret", "code"),
    [("LTAI-stranger", SECRET, "InvalidAccessKeyId"), (KEY_ID, "guessed", "SignatureDoesNotMatch")],
)
def test_a_stranger_reads_no_queue(key_id: str, secret: str, code: str, vod: SimulatedApsaraVideo) -> None:
    vod.put_message("vodcallback", "{}")
    with (
        queue_of(vod, key_id=key_id, secret=secret) as queue,
        pytest.raises(MNSServerException) as refused,
    ):
        queue.receive_message(0)
    assert refused.value.type == code
    assert refused.value.request_id
