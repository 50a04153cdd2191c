"""ApsaraVideo VOD's callback: who is believed, and what is understood of its sloppy bodies."""

import base64
import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest
from video_jobs import jsontext
from video_jobs.aws import clients, secrets
from video_jobs.http import Request
from video_jobs.jobs.model import Hint, Ignored
from video_jobs.platforms.apsaravideo import payloads, signature
from video_jobs.platforms.apsaravideo.payloads import Event
from video_jobs.platforms.apsaravideo.upload_by_url import decide
from video_jobs.platforms.callback import RejectedError

from local import samples as signing
from local.platforms.apsaravideo import payloads as printed
from tests.cloudformation import ROOT
from tests.events.samples import body, read
from tests.stack import WEBHOOK_SECRETS, Stack, handler, http_event

NAME = "apsaravideo/upload_by_url_complete"
URL = "https://jobs.example.com/callbacks/apsaravideo/upload-by-url-complete"
KEYS = {name: key for name, key in WEBHOOK_SECRETS["apsaravideo"].items() if name.startswith("auth_key")}
KEY = KEYS["auth_key"]
NOW = 1_795_341_600
SAMPLES = sorted(file.stem for file in (ROOT / "events" / NAME).glob("*.json"))
HINTS = {
    "success": ("4c815bjs83j1****", "status", "success", True),
    "failed": (
        "4c815bjsued****",
        "status",
        "fail: URLInvalidError: download video failed by the url, please check it",
        False,
    ),
    "success_clean": ("86c1925fba0a4d3c9a7a6f0c1e5d2b31", "status", "success", True),
    "success_base64": ("86c1925fba0a4d3c9a7a6f0c1e5d2b32", "status", "success", True),
    "success_other_case": ("86c1925fba0a4d3c9a7a6f0c1e5d2b33", "status", "Success", True),
    "success_message_body": ("86c1925fba0a4d3c9a7a6f0c1e5d2b34", "status", "Success", True),
    "stream_success": ("5d018d2bc9400d1831f9868a04e4****", "stream", "success", True),
    "stream_failed": ("5d018d2bc9400d1831f9868a04e5****", "stream", "fail", False),
}
IGNORED = {
    "file_upload_complete": "43q91jdh7df****",
    "file_upload_complete_observed": "10f6baa29bdf71f1bfc46733a78e0102",
    "file_upload_complete_faq": "videoId",
    "file_upload_complete_message_body": "93ab850b4f6f44eab54b6e91d24d81d6",
    "stream_transcode_complete": "1359cfac2e1c44c5bea27f9958999f84",
    "transcode_complete": "10d5ee269c0271f1bff44531948c0102",
    "snapshot_complete": None,
    "dynamic_image_complete": "93ab850b4f6f44eab54b6e91d24d81d7",
    "video_analysis_complete": "84bd5b0566ddj39549986befd0e80****",
    "video_analysis_failed": "84bd5b0566ddj39549986befd0e80****",
    "ai_media_audit_complete": "SHEN38505NDF9****",
    "ai_media_dna_complete": "3D12340d92cjsw83k1fab46a0b847fd****",
    "media_base_change_complete": "3b46b391419aj294m83b459f7435****",
    "image_upload_complete": "59bdbf10df76a8d8b6137a5ad12****",
    "attached_media_upload_complete": "62cb3151eba52js82j2da3b55bc5****",
    "delete_media_complete": "1234343b689jsi3ka5422dfe1e47****",
    "create_audit_complete": "<Example ID>",
    "add_live_record_video_complete": "43q9fjdhef****",
    "restore_media_complete": "71151b80f2d471ecb21b472190a9****",
    "workflow_task_complete": "93ab850b4f6f44eab54b6e91d24d81d8",
    "unknown_event": "93ab850b4f6f44eab54b6e91d24d81d9",
}


def sign(timestamp: str, *, url: str = URL, key: str = KEY) -> str:
    """As the documents say, written apart from the layer."""
    return hashlib.md5("|".join([url, timestamp, key]).encode()).hexdigest()


def headers(at: int = NOW, **changes: str) -> dict[str, str]:
    return {"X-VOD-TIMESTAMP": str(at), "X-VOD-SIGNATURE": sign(str(at), **changes)}


def request(text: str | bytes, proof: Mapping[str, str] | None = None, *, at: float = NOW, **changes: Any) -> Any:
    event = http_event(NAME, text, query="", headers=headers() if proof is None else dict(proof), **changes)
    event["requestContext"]["timeEpoch"] = int(at * 1000)
    return event


def uploaded(job_id: str = "job-1", **fields: Any) -> str:
    said = {"EventType": "UploadByURLComplete", "JobId": job_id, "Status": "success", "VideoId": "video-1"}
    return json.dumps(said | fields)


def put_secret(**values: str) -> None:
    clients.secretsmanager().put_secret_value(SecretId="APSARAVIDEO_SECRET", SecretString=json.dumps(values))
    secrets.forget()


# --- The signature ---------------------------------------------------------------------------------------------------

PRINTED_URL, PRINTED_TIME = "https://www.example.com/your/callback", "1519375990"


def check(made: str | None, key: str, *, timestamp: str | None = PRINTED_TIME, now: float = 1_519_375_990) -> str:
    return signature.check(timestamp, made, url=PRINTED_URL, keys=[key], now=now, tolerance=300)


def test_the_published_signature_holds() -> None:
    made = "c72b60894140fa98920f1279219b7ed4"

    assert check(made, "test123") == made


def test_the_key_that_newer_pages_print_beside_it_makes_another_one() -> None:
    check("c587b80d2d0ede300e8967937da7219b", "Test123")
    with pytest.raises(RejectedError):
        check("c72b60894140fa98920f1279219b7ed4", "Test123")


def test_it_is_what_the_rule_says_for_any_url_time_and_key() -> None:
    random = Random(5)
    for _ in range(200):
        url = f"https://{random.randbytes(4).hex()}.example.com/ä{random.random()}"
        at, key = str(random.randint(10**9, 10**10 - 1)), random.randbytes(8).hex()
        assert signature.made(url, at, key) == sign(at, url=url, key=key)


@pytest.mark.parametrize("late", [-300, -1, 0, 299.9, 300])
def test_a_signature_of_the_last_or_the_next_five_minutes_holds(late: float) -> None:
    check("c72b60894140fa98920f1279219b7ed4", "test123", now=1_519_375_990 + late)


@pytest.mark.parametrize("late", [-3600, -300.5, 300.5, 3600, 10**9])
def test_an_older_or_a_future_one_does_not(late: float) -> None:
    with pytest.raises(RejectedError, match="not of this time"):
        check("c72b60894140fa98920f1279219b7ed4", "test123", now=1_519_375_990 + late)


# --- Who is let in ---------------------------------------------------------------------------------------------------


def test_a_signed_callback_is_taken(stack: Stack) -> None:
    assert stack.send(NAME, request(uploaded())) == {"status": 200, "outcome": "accepted"}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_key_of_the_secret_is_accepted_while_they_take_turns(stack: Stack, key: str) -> None:
    assert stack.send(NAME, request(uploaded(), headers(key=key)))["status"] == 200


def test_a_key_that_was_put_there_a_moment_ago_is_accepted(stack: Stack) -> None:
    stack.send(NAME, request(uploaded()))
    clients.secretsmanager().put_secret_value(
        SecretId="APSARAVIDEO_SECRET", SecretString='{"auth_key_new": "Key2Test"}'
    )

    assert stack.send(NAME, request(uploaded("job-2"), headers(key="Key2Test")))["status"] == 200


def test_the_names_of_the_headers_are_read_in_any_case(stack: Stack) -> None:
    for number, change in enumerate((str.lower, str.upper, str.title)):
        proof = {change(name): value for name, value in headers().items()}
        assert stack.send(NAME, request(uploaded(f"job-{number}"), proof))["status"] == 200


def test_the_url_is_the_configured_one_whatever_host_was_called(stack: Stack) -> None:
    proof = headers() | {"host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"}

    assert stack.send(NAME, request(uploaded(), proof))["status"] == 200


def test_with_no_domain_of_ones_own_the_url_is_the_address_that_was_called(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", "")
    host = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
    proof = headers(url=f"https://{host}/callbacks/apsaravideo/upload-by-url-complete")

    def called(domain: str) -> dict[str, Any]:
        event: dict[str, Any] = request(uploaded(), proof | {"host": host})
        return event | {"requestContext": event["requestContext"] | {"domainName": domain}}

    assert stack.send(NAME, called(host))["status"] == 200
    assert stack.send(NAME, called("other.example.com"))["status"] == 401
    assert stack.send(NAME, request(uploaded(), proof))["status"] == 401


GOOD = headers()
MADE = GOOD["X-VOD-SIGNATURE"]
FORGED: Mapping[str, Mapping[str, str]] = {
    "nothing": {},
    "no time": {"X-VOD-SIGNATURE": MADE},
    "no signature": {"X-VOD-TIMESTAMP": str(NOW)},
    "empty": {"X-VOD-TIMESTAMP": "", "X-VOD-SIGNATURE": ""},
    "another key": headers(key="Guessed1"),
    "no key": headers(key=""),
    "another url": headers(url=URL + "/"),
    "stale": headers(NOW - 301),
    "of the future": headers(NOW + 301),
    "another time": GOOD | {"X-VOD-TIMESTAMP": str(NOW + 1)},
    "doubled signature": GOOD | {"X-VOD-SIGNATURE": f"{MADE},{MADE}"},
    "doubled time": GOOD | {"X-VOD-TIMESTAMP": f"{NOW},{NOW}"},
    "truncated": GOOD | {"X-VOD-SIGNATURE": MADE[:-1]},
    "longer": GOOD | {"X-VOD-SIGNATURE": MADE + "0"},
    "upper case": GOOD | {"X-VOD-SIGNATURE": MADE.upper()},
    "in base64": GOOD | {"X-VOD-SIGNATURE": base64.b64encode(bytes.fromhex(MADE)).decode()},
    "with a space": GOOD | {"X-VOD-SIGNATURE": f" {MADE}"},
    "in milliseconds": headers(NOW * 1000),
    "other digits": GOOD | {"X-VOD-TIMESTAMP": "".join(chr(0x660 + int(digit)) for digit in str(NOW))},
    "not ASCII": GOOD | {"X-VOD-SIGNATURE": "ä" * 32},
    "sha256": GOOD | {"X-VOD-SIGNATURE": hashlib.sha256(f"{URL}|{NOW}|{KEY}".encode()).hexdigest()},
    "of Volcengine, whose headers are the same": GOOD
    | {"X-VOD-SIGNATURE": hashlib.md5(f"{URL}|{NOW}|{KEY}|{uploaded()}".encode()).hexdigest()},
}


@pytest.mark.parametrize("proof", FORGED.values(), ids=FORGED)
def test_whoever_has_not_signed_is_rejected_and_nothing_is_sent(stack: Stack, proof: Mapping[str, str]) -> None:
    answer = stack.send(NAME, request(uploaded(), proof))

    assert answer == {"status": 401, "outcome": "rejected"}
    assert [call for call in stack.calls if not call.startswith("secretsmanager")] == []
    assert stack.items() == []


def test_a_body_that_cannot_be_decoded_is_rejected(stack: Stack) -> None:
    answer = stack.send(NAME, request("not base64!", isBase64Encoded=True))

    assert (answer["status"], stack.items()) == (401, [])


@pytest.mark.parametrize("values", [{}, {"access_key_id": "LTAI-test", "access_key_secret": "secret"}])
def test_without_a_key_nobody_can_be_judged_and_the_log_says_which_is_missing(
    stack: Stack, values: dict[str, str], log: Callable[[], str]
) -> None:
    handler(NAME)
    put_secret(**values)

    for proof in (headers(), {}):
        assert stack.send(NAME, request(uploaded(), proof)) == {"status": 503, "outcome": "unavailable"}

    written = log()
    assert "the secret of ApsaraVideo VOD has no auth_key" in written or "APSARAVIDEO_SECRET has no values" in written
    assert stack.items() == []
    assert KEY not in written


# --- Nobody gets in by luck ------------------------------------------------------------------------------------------

ISSUED = [(str(at), sign(str(at), key=key)) for at in range(NOW - 400, NOW + 401, 100) for key in KEYS.values()]
"""What VOD has sent out: of these, the ones of the last and the next five minutes hold."""
ODD = [
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "0x10",
    "9" * 10,
    "9" * 40,
    "\x00",
    "ä",
    "\ud800",
    "\u0660" * 10,
    ",",
    "None",
    "f" * 32,
]


def mutated_text(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return random.choice(
        [
            text[:at] + random.choice("0123456789abcdef") + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + random.choice(" \t0a,") + text[at:],
            f"{text},{text}",
            text.upper(),
            text[:at],
            random.choice(ODD),
            base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(),
        ]
    )


def mutated(random: Random) -> tuple[Any, bool]:
    """A request that was signed and then tampered with, and whether what is proven has stayed as it was."""
    timestamp, made = random.choice(ISSUED)
    proof = {"x-vod-timestamp": timestamp, "x-vod-signature": made}
    for _ in range(random.randrange(3)):
        name = random.choice(list(proof))
        match random.randrange(6):
            case 0:
                proof.pop(name)
                proof["x-other"] = "1"
            case 1:
                proof[name] = random.choice(random.choice(ISSUED))
            case _:
                proof[name] = mutated_text(random, proof[name])
    received = NOW + random.choice([0, 0, 0, 0.4, -250, 250, 301, -301, 10**6])
    text = uploaded() if random.random() < 0.7 else mutated_text(random, uploaded())
    changes: dict[str, Any] = {}
    readable = True
    if random.random() < 0.2:
        text = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        if random.random() < 0.5:
            text, readable = text + "!", False
        changes["isBase64Encoded"] = True
    cased = {random.choice([name, name.upper(), name.title()]): value for name, value in proof.items()}
    pair = (proof.get("x-vod-timestamp"), proof.get("x-vod-signature"))
    arrived = int(received * 1000) / 1000
    holds = pair in ISSUED and abs(arrived - int(pair[0] or 0)) <= 300 and readable
    return request(text, cased, at=received, **changes), holds


def test_of_a_hundred_thousand_tampered_requests_none_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", URL)
    monkeypatch.setenv("SIGNATURE_TOLERANCE_SECONDS", "300")
    random = Random(20261122)
    seen: Counter[tuple[bool, bool]] = Counter()
    for _ in range(100_000):
        event, holds = mutated(random)
        try:
            signature.verify(Request(event), WEBHOOK_SECRETS["apsaravideo"])
        except RejectedError:
            let_in = False
        else:
            let_in = True
        seen[holds, let_in] += 1
    assert seen[False, True] == seen[True, False] == 0
    assert min(seen[True, True], seen[False, False]) > 10_000


def test_the_function_answers_every_tampered_request_and_sends_nothing_for_those_it_rejects(stack: Stack) -> None:
    random = Random(7)
    refused = 0
    for _ in range(3000):
        event, holds = mutated(random)
        before = None if holds else len(stack.calls)
        answer = stack.send(NAME, event)
        assert answer["status"] < 500
        assert (answer["status"] == 401) is not holds
        if before is not None:
            refused += 1
            assert [call for call in stack.calls[before:] if not call.startswith("secretsmanager")] == []
    assert refused > 1000


# --- What is understood ----------------------------------------------------------------------------------------------


def understood(text: str | bytes) -> Hint | Ignored:
    said = text.encode() if isinstance(text, str) else text
    return decide(Event.model_validate(payloads.read(said)))


def test_every_sample_is_either_a_hint_or_ignored() -> None:
    assert sorted([*HINTS, *IGNORED]) == SAMPLES


@pytest.mark.parametrize("sample", HINTS)
def test_an_upload_by_url_that_has_ended_is_a_hint_about_its_job(sample: str) -> None:
    ref, part, word, good = HINTS[sample]

    hint = understood(body(read(f"{NAME}/{sample}")))

    assert hint == Hint(ref=ref, step="upload_by_url", part=part, word=word, good=good)


@pytest.mark.parametrize("sample", IGNORED)
def test_every_other_event_is_ignored_with_its_mediums_id_where_it_has_one_that_can_be_an_id(sample: str) -> None:
    ref = IGNORED[sample]

    found = understood(body(read(f"{NAME}/{sample}")))

    assert isinstance(found, Ignored)
    assert found.ref == (None if ref and " " in ref else ref)


@pytest.mark.parametrize(("sample", "text"), [("success", printed.UPLOADED), ("failed", printed.FAILED)])
def test_the_printed_samples_are_byte_for_byte_the_pages(sample: str, text: str) -> None:
    assert body(read(f"{NAME}/{sample}")) == text.encode()


def test_the_printed_failure_is_no_json_and_is_read_all_the_same() -> None:
    with pytest.raises(jsontext.NotJsonError):
        jsontext.read(printed.FAILED.encode())

    found = payloads.read(printed.FAILED.encode())

    assert found["ErrorCode"] == "URLInvalidError"
    assert found["JobId"] == "4c815bjsued****"
    assert [name for name in found if name != name.strip()] == []


@pytest.mark.parametrize("word", ["success", "Success", "SUCCESS", "Succeed", "succeeded", " success "])
def test_success_is_known_in_any_case(word: str) -> None:
    found = understood(uploaded(Status=word))

    assert isinstance(found, Hint)
    assert found.good


@pytest.mark.parametrize("status", ["fail", "Failed", "", "who knows", None, 1, "x" * 65])
def test_no_other_word_is_good(status: Any) -> None:
    found = understood(uploaded(Status=status))

    assert isinstance(found, Hint)
    assert not found.good


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON at all",
        "[]",
        '"success"',
        "{}",
        "{",
        '{"EventType": 1}',
        '{"EventType": ""}',
        '{"EventType": "UploadByURLComplete"}',
        uploaded(""),
        uploaded("two,ids"),
        uploaded("with a space"),
        uploaded("a/b"),
        uploaded("x" * 257),
        uploaded(JobId=7),
        '{"JobId": "a", "JobId": "b", "EventType": "UploadByURLComplete"}',
        '{"JobId": "a", "JobId": "b", "EventType": "UploadByURLComplete",}',
        '{"JobId": "a", "JobId ": "b", "EventType": "UploadByURLComplete"}',
        '{"JobId": "a", "EventType": "UploadByURLComplete", "n": NaN}',
        '{"JobId": "\\ud800", "EventType": "UploadByURLComplete",}',
        "[" * 20_000,
        '{"a":' * 3000,
    ],
)
def test_what_is_no_event_or_has_two_meanings_is_unreadable_and_waits_for_a_fix(stack: Stack, text: str) -> None:
    answer = stack.send(NAME, request(text))

    assert answer == {"status": 422, "outcome": "unreadable"}
    assert stack.items() == []
    assert len(stack.messages("InboxDeadLetters")) == 1


def test_what_is_not_quite_json_is_read_only_if_it_is_small() -> None:
    small = uploaded(filler="x" * (payloads.LARGEST_ALMOST_JSON - 200))[:-1] + ",}"
    large = uploaded(filler="x" * payloads.LARGEST_ALMOST_JSON)[:-1] + ",}"

    assert payloads.read(small.encode())["JobId"] == "job-1"
    with pytest.raises(jsontext.NotJsonError):
        payloads.read(large.encode())


def test_large_json_is_read_like_any_other() -> None:
    assert payloads.read(uploaded(filler="x" * 200_000).encode())["JobId"] == "job-1"


def test_no_body_makes_the_reader_fail_in_another_way() -> None:
    random = Random(3)
    bodies = [body(read(f"{NAME}/{sample}")) for sample in SAMPLES]
    outcomes: Counter[str] = Counter()
    for _ in range(5000):
        text = bytearray(random.choice(bodies))
        for _ in range(random.randrange(4)):
            at = random.randrange(len(text))
            text[at : at + random.randrange(3)] = random.choice([b"", b'"', b",", b"{", b"\xff", b"\\u", b"//", b"1"])
        try:
            understood(bytes(text))
        except jsontext.NotJsonError:
            outcomes["not JSON"] += 1
        except ValueError:  # pydantic's: JSON, but no event
            outcomes["no event"] += 1
        else:
            outcomes["understood"] += 1
    assert min(outcomes["not JSON"], outcomes["understood"]) > 500


# --- What becomes of it ----------------------------------------------------------------------------------------------


@pytest.fixture
def sample_stack(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that accepts the samples, as the local one does."""
    put_secret(**WEBHOOK_SECRETS["apsaravideo"], **signing.SAMPLE_SECRETS["apsaravideo"])
    path = "/callbacks/apsaravideo/upload-by-url-complete"
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", f"{signing.SAMPLE_BASE_URL}{path}")
    return stack


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_sample_is_accepted(sample_stack: Stack, sample: str) -> None:
    assert sample_stack.send(NAME, read(f"{NAME}/{sample}")) == {"status": 200, "outcome": "accepted"}
    (message,) = sample_stack.messages("InboxQueue")
    assert json.loads(message)["callback"] == NAME


def test_a_stack_that_does_not_know_the_sample_key_refuses_the_samples(stack: Stack) -> None:
    for sample in SAMPLES:
        assert stack.send(NAME, read(f"{NAME}/{sample}"))["status"] == 401
    assert stack.items() == []


def test_another_body_under_a_signature_that_was_seen_proves_the_same_sender(stack: Stack) -> None:
    # the platform signs no bodies: whoever has seen one callback may say anything for five minutes
    for job_id in ("job-1", "job-2"):
        assert stack.send(NAME, request(uploaded(job_id)))["outcome"] == "accepted"

    proofs = [json.loads(message)["proof"] for message in stack.messages("InboxQueue")]
    assert proofs[0] == proofs[1], "so the inbox can count what one signature starts"


SCRIPT = """
import sys
import functions.apsaravideo.upload_by_url_complete.app
print([name for name in sys.modules if name.split(".")[0] in
       ("alibabacloud_vod20170321", "alibabacloud_tea_openapi", "darabonba", "mns", "json5", "aiohttp")])
"""


def test_the_callback_imports_neither_alibabas_sdks_nor_the_tolerant_parser() -> None:
    finished = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)

    assert finished.stdout.strip() == "[]"
