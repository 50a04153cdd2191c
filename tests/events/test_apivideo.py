"""api.video's callback: who is believed, and what each of its six events means."""

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest
from video_jobs.aws import clients, secrets
from video_jobs.http import Request
from video_jobs.jobs.model import Hint, Ignored
from video_jobs.platforms.apivideo import signature
from video_jobs.platforms.apivideo.encoding import CALLBACK, decide
from video_jobs.platforms.callback import RejectedError, UnreadableError

from local import samples as signing
from tests.cloudformation import ROOT
from tests.events.samples import body, read
from tests.stack import WEBHOOK_SECRETS, Stack, handler, http_event

NAME = "apivideo/encoding_quality_completed"
WEBHOOKS = {name: value for name, value in WEBHOOK_SECRETS["apivideo"].items() if name.startswith("webhook_")}
WEBHOOK, SECRET = next(iter(WEBHOOKS.items()))
SAMPLES = sorted(file.stem for file in (ROOT / "events" / NAME).glob("*.json"))
HINTS = {
    "printed": ("vi0000000000000000000000", "hls 720p"),
    "guide": ("viXXXXXXXX", "hls 720p"),
    "hls_1080p": ("vi4blUQJFrYWbaG44NChkH11", "hls 1080p"),
    "hls_1080p_base64": ("vi4blUQJFrYWbaG44NChkH12", "hls 1080p"),
    "mp4_720p": ("vi4blUQJFrYWbaG44NChkH13", "mp4 720p"),
    "hls_240p_upper_case": ("vi4blUQJFrYWbaG44NChkH14", "hls 240p"),
    "mp4_2160p": ("vi4blUQJFrYWbaG44NChkH15", "mp4 2160p"),
    "hls_1440p": ("vi4blUQJFrYWbaG44NChkH16", "hls 1440p"),
    "invalid_date": ("vi4blUQJFrYWbaG44NChkH17", "hls 360p"),
}
IGNORED = {
    "live_stream_broadcast_started": None,
    "live_stream_broadcast_ended": None,
    "video_source_recorded": "vi4blUQJFrYWbaG44NChkH18",
    "video_caption_generated": "vi4blUQJFrYWbaG44NCh1234",
    "video_caption_generated_norwegian": "vi4blUQJFrYWbaG44NCh1235",
    "video_summary_generated": "vi4blUQJFrYWbaG44NCh1234",
    "unknown_event": "vi4blUQJFrYWbaG44NChkH19",
}

# printed on the page "Create and manage webhooks": the body and its signature, and the secret
PRINTED = (
    b'{"type":"video.encoding.quality.completed","emittedAt":"2021-01-29T15:46:25.217Z",'
    b'"videoId":"vi0000000000000000000000","liveStreamId":"li0000000000000000000000","encoding":"hls","quality":"720p"}'
)
PRINTED_SECRET = "sig_sec_0000000000000000000000"
PRINTED_SIGNATURE = "27a77d3a7fc626854886b5dbfae4e32c8b0170c1ea1b714c91ba77f1e7774e8c"
# printed on the page "Video status & details": a space ends some of its lines
GUIDE = (
    b'{ \n  "type": "video.encoding.quality.completed",\n  "emittedAt": "2021-01-29T16:46:25.217+01:00", \n'
    b'  "videoId": "viXXXXXXXX", \n  "encoding": "hls", \n  "quality": "720p"\n}'
)


def sign(said: bytes, secret: str = SECRET) -> str:
    """HMAC-SHA256 as RFC 2104 has it, written apart from the layer."""
    key = secret.encode()
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + said).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


def encoded(video_id: str = "vi-1", encoding: str | None = "hls", quality: str = "720p", **fields: Any) -> str:
    said = {
        "type": "video.encoding.quality.completed",
        "emittedAt": "2024-08-15T10:18:47+00:00",
        "videoId": video_id,
        "encoding": encoding,
        "quality": quality,
    }
    return json.dumps(said | fields, separators=(",", ":"))


def headers(text: str | bytes, webhook: str = WEBHOOK, secret: str | None = None) -> dict[str, str]:
    said = text if isinstance(text, bytes) else text.encode()
    return {
        "X-Api-Video-WebhookID": webhook,
        "X-Api-Video-Signature": sign(said, WEBHOOKS.get(webhook, "") if secret is None else secret),
    }


def request(text: str, proof: Mapping[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    return http_event(NAME, text, query="", headers=headers(text) if proof is None else dict(proof), **changes)


def put_secret(**values: str) -> None:
    clients.secretsmanager().put_secret_value(SecretId="APIVIDEO_SECRET", SecretString=json.dumps(values))


# --- The signature ---------------------------------------------------------------------------------------------------


def test_the_published_signature_holds() -> None:
    secrets_of = {"webhook_1": PRINTED_SECRET}

    assert signature.check("webhook_1", PRINTED_SIGNATURE, PRINTED, secrets_of=secrets_of) == PRINTED_SIGNATURE


def test_the_key_is_the_whole_secret() -> None:
    with pytest.raises(RejectedError):
        signature.check("webhook_1", PRINTED_SIGNATURE, PRINTED, secrets_of={"webhook_1": PRINTED_SECRET[8:]})


def test_it_is_over_every_byte_of_the_body() -> None:
    for changed in (PRINTED + b"\n", PRINTED.replace(b",", b", "), PRINTED[:-1], b"", json.dumps(PRINTED.decode())):
        said = changed if isinstance(changed, bytes) else changed.encode()
        with pytest.raises(RejectedError):
            signature.check("webhook_1", PRINTED_SIGNATURE, said, secrets_of={"webhook_1": PRINTED_SECRET})


def test_it_is_what_the_rule_says_for_any_body_and_secret() -> None:
    random = Random(5)
    for length in range(200):
        said, secret = random.randbytes(length), f"sig_sec_{random.randbytes(random.randrange(60)).hex()}ä"
        assert signature.made(said, secret) == sign(said, secret)


def test_the_sample_with_the_published_signature_has_it_in_its_file() -> None:
    event = read(f"{NAME}/printed")

    assert body(event) == PRINTED
    assert event["headers"]["x-api-video-signature"] == PRINTED_SIGNATURE
    assert list(signing.SAMPLE_SECRETS["apivideo"].values()) == [PRINTED_SECRET]


def test_the_guides_sample_is_byte_for_byte_the_page() -> None:
    assert body(read(f"{NAME}/guide")) == GUIDE


# --- Who is let in ---------------------------------------------------------------------------------------------------


def test_a_signed_callback_is_taken(stack: Stack) -> None:
    assert stack.send(NAME, request(encoded())) == {"status": 200, "outcome": "accepted"}


@pytest.mark.parametrize("webhook", WEBHOOKS)
def test_each_webhook_is_believed_with_its_own_secret(stack: Stack, webhook: str) -> None:
    assert stack.send(NAME, request(encoded(), headers(encoded(), webhook)))["status"] == 200


def test_a_webhook_that_was_made_a_moment_ago_is_believed(stack: Stack) -> None:
    stack.send(NAME, request(encoded()))
    put_secret(api_key="key", webhook_new="sig_sec_new")

    proof = headers(encoded("vi-2"), "webhook_new", "sig_sec_new")

    assert stack.send(NAME, request(encoded("vi-2"), proof))["status"] == 200


def test_a_webhook_that_was_deleted_is_not_believed_any_more(stack: Stack) -> None:
    other = next(name for name in WEBHOOKS if name != WEBHOOK)
    put_secret(api_key="key", **{other: WEBHOOKS[other]})

    assert stack.send(NAME, request(encoded()))["status"] == 401
    assert stack.items() == []


def test_the_names_of_the_headers_are_read_in_any_case(stack: Stack) -> None:
    for number, change in enumerate((str.lower, str.upper, str.title)):
        text = encoded(f"vi-{number}")
        proof = {change(name): value for name, value in headers(text).items()}
        assert stack.send(NAME, request(text, proof))["status"] == 200


def test_what_is_signed_is_the_body_before_api_gateway_encodes_it(stack: Stack) -> None:
    text = encoded()
    event = request(base64.b64encode(text.encode()).decode(), headers(text), isBase64Encoded=True)

    assert stack.send(NAME, event)["status"] == 200


TEXT = encoded()
GOOD = headers(TEXT)
MADE = GOOD["X-Api-Video-Signature"]
FORGED: Mapping[str, Mapping[str, str]] = {
    "nothing": {},
    "no webhook": {"X-Api-Video-Signature": MADE},
    "no signature": {"X-Api-Video-WebhookID": WEBHOOK},
    "empty": {"X-Api-Video-WebhookID": "", "X-Api-Video-Signature": ""},
    "another secret": headers(TEXT, WEBHOOK, "sig_sec_guessed"),
    "no secret": headers(TEXT, WEBHOOK, ""),
    "half of the secret": headers(TEXT, WEBHOOK, SECRET.removeprefix("sig_sec_")),
    "another webhook's secret": headers(TEXT, WEBHOOK, WEBHOOKS["webhook_other"]),
    "another webhook": GOOD | {"X-Api-Video-WebhookID": "webhook_other"},
    "an unknown webhook": headers(TEXT, "webhook_unknown", SECRET),
    "an unknown webhook without a secret": headers(TEXT, "webhook_unknown", ""),
    "the API key as a webhook": headers(TEXT, "api_key", WEBHOOK_SECRETS["apivideo"]["api_key"]),
    "another body": headers(encoded("vi-2")),
    "an empty body": headers(""),
    "doubled signature": GOOD | {"X-Api-Video-Signature": f"{MADE},{MADE}"},
    "doubled webhook": GOOD | {"X-Api-Video-WebhookID": f"{WEBHOOK},{WEBHOOK}"},
    "truncated": GOOD | {"X-Api-Video-Signature": MADE[:-1]},
    "longer": GOOD | {"X-Api-Video-Signature": MADE + "0"},
    "upper case": GOOD | {"X-Api-Video-Signature": MADE.upper()},
    "in base64": GOOD | {"X-Api-Video-Signature": base64.b64encode(bytes.fromhex(MADE)).decode()},
    "with a name": GOOD | {"X-Api-Video-Signature": f"sha256={MADE}"},
    "with a space": GOOD | {"X-Api-Video-Signature": f" {MADE}"},
    "with a line break": GOOD | {"X-Api-Video-Signature": f"{MADE}\n"},
    "not ASCII": GOOD | {"X-Api-Video-Signature": "ä" * 64},
    "a plain hash": GOOD | {"X-Api-Video-Signature": hashlib.sha256(SECRET.encode() + TEXT.encode()).hexdigest()},
    "sha1": GOOD | {"X-Api-Video-Signature": hmac.digest(SECRET.encode(), TEXT.encode(), "sha1").hex()},
}


@pytest.mark.parametrize("proof", FORGED.values(), ids=FORGED)
def test_whoever_has_not_signed_is_rejected_and_nothing_is_sent(stack: Stack, proof: Mapping[str, str]) -> None:
    answer = stack.send(NAME, request(TEXT, proof))

    assert answer == {"status": 401, "outcome": "rejected"}
    assert [call for call in stack.calls if not call.startswith("secretsmanager")] == []
    assert stack.items() == []


CHANGED = {
    "tampered": encoded("vi-2"),
    "truncated": TEXT[:-1],
    "longer": TEXT + " ",
    "written anew": json.dumps(json.loads(TEXT)),
    "sorted": json.dumps(json.loads(TEXT), sort_keys=True, separators=(",", ":")),
    "empty": "",
    "with a byte order mark": "\ufeff" + TEXT,
}


@pytest.mark.parametrize("text", CHANGED.values(), ids=CHANGED)
def test_a_body_that_is_not_the_signed_one_is_rejected(stack: Stack, text: str) -> None:
    assert stack.send(NAME, request(text, GOOD)) == {"status": 401, "outcome": "rejected"}
    assert stack.items() == []


def test_a_body_that_cannot_be_decoded_is_rejected(stack: Stack) -> None:
    answer = stack.send(NAME, request("not base64!", isBase64Encoded=True))

    assert (answer["status"], stack.items()) == (401, [])


@pytest.mark.parametrize("values", [{}, {"api_key": "av-test"}])
def test_without_a_secret_nobody_can_be_judged_and_the_log_says_which_is_missing(
    stack: Stack, values: dict[str, str], log: Callable[[], str]
) -> None:
    handler(NAME)
    put_secret(**values)
    secrets.forget()

    for proof in (GOOD, {}):
        assert stack.send(NAME, request(TEXT, proof)) == {"status": 503, "outcome": "unavailable"}

    assert stack.items() == []
    written = log()
    assert "the secret of api.video has no webhook_" in written or "APIVIDEO_SECRET has no values" in written
    assert SECRET not in written
    assert "av-test" not in written


def test_what_is_missing_is_named() -> None:
    with pytest.raises(secrets.SecretUnavailableError, match=r"the secret of api\.video has no webhook_"):
        signature.verify(Request(request(TEXT)), {"api_key": "av-test"})


# --- Nobody gets in by luck ------------------------------------------------------------------------------------------

TEXTS = [encoded(f"vi-{number}", quality=f"{number}p") for number in range(20)]
ISSUED = {(webhook, sign(text.encode(), secret), text) for text in TEXTS for webhook, secret in WEBHOOKS.items()}
"""What api.video has sent out: webhook, signature and body."""
ISSUED_LIST = sorted(ISSUED)
ODD = ["", " ", "0", "api_key", "webhook_", "9" * 64, "f" * 64, "\x00", "ä", "\ud800", ",", "None", "\u0660" * 64]


def mutated_text(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return random.choice(
        [
            text[:at] + random.choice("0123456789abcdef") + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + random.choice(" \t0a,\n") + text[at:],
            f"{text},{text}",
            text.upper(),
            text[:at],
            random.choice(ODD),
            base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(),
        ]
    )


def mutated(random: Random) -> tuple[dict[str, Any], bool]:
    """A request that was signed and then tampered with, and whether what is proven has stayed as it was."""
    webhook, made, text = random.choice(ISSUED_LIST)
    proof = {"x-api-video-webhookid": webhook, "x-api-video-signature": made}
    for _ in range(random.randrange(3)):
        text = tampered(random, proof, text)
    sent, encoded_so, content = transported(random, text)
    holds = (proof.get("x-api-video-webhookid"), proof.get("x-api-video-signature"), content) in ISSUED
    cased = {random.choice([name, name.upper(), name.title()]): value for name, value in proof.items()}
    event = request(sent, cased, isBase64Encoded=encoded_so)
    event["requestContext"]["timeEpoch"] = random.choice([0, 1_795_341_600_000, -1, 10**15])
    return event, holds


def tampered(random: Random, proof: dict[str, str], text: str) -> str:
    """Something of the headers or of the body becomes something else; the body."""
    name = random.choice(sorted(proof))
    match random.randrange(8):
        case 0:
            proof.pop(name)
            proof["x-other"] = "1"
        case 1:
            proof["x-api-video-webhookid"] = random.choice([*WEBHOOKS, "api_key", "webhook_unknown"])
        case 2:
            proof["x-api-video-signature"] = random.choice(ISSUED_LIST)[1]
        case 3 | 4:
            return random.choice([mutated_text(random, text), random.choice(TEXTS)])
        case _:
            proof[name] = mutated_text(random, proof[name])
    return text


def transported(random: Random, text: str) -> tuple[str, bool, str | None]:
    """A body as API Gateway hands it over, whether it says that it is base64, and what it is (None: nobody knows)."""
    chance = random.random()
    if chance > 0.25:
        return text, False, text
    in_base64 = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
    if chance > 0.05:
        return in_base64, True, text
    return in_base64 + "!", True, None


def test_of_a_hundred_thousand_tampered_requests_none_is_let_in() -> None:
    random = Random(20261122)
    seen: Counter[tuple[bool, bool]] = Counter()
    for _ in range(100_000):
        event, holds = mutated(random)
        try:
            signature.verify(Request(event), WEBHOOK_SECRETS["apivideo"])
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
    for number in range(5000):
        event, holds = mutated(random)
        if holds and number % 10:
            continue  # what is let in takes long, and there is much of it
        before = len(stack.calls)
        answer = stack.send(NAME, event)
        assert answer["status"] < 500
        assert (answer["status"] == 401) is not holds
        if not holds:
            refused += 1
            assert [call for call in stack.calls[before:] if not call.startswith("secretsmanager")] == []
    assert refused > 2000


def mutated_json(random: Random, text: str) -> str:
    """A body that is about as wrong as a body can be."""
    fields = json.loads(text)
    for _ in range(random.randrange(1, 4)):
        name = random.choice([*fields, "more"])
        fields[name] = random.choice(
            [None, 1, 1e308, True, [], {}, [fields.get(name)], "", "x" * 300, "ä/..", "\ud800"]
        )
        if random.random() < 0.3:
            fields.pop(name)
    written = json.dumps(fields)
    return written if random.random() < 0.7 else mutated_text(random, written)


def test_whatever_the_platform_signs_is_answered_and_what_is_not_understood_waits_for_a_fix(stack: Stack) -> None:
    random = Random(11)
    statuses: Counter[int] = Counter()
    for _ in range(300):
        text = mutated_json(random, random.choice(TEXTS))
        sent = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        proof = headers(text.encode("utf-8", "surrogatepass"))
        statuses[stack.send(NAME, request(sent, proof, isBase64Encoded=True))["status"]] += 1

    assert statuses.keys() == {200, 422}
    assert len(stack.messages("InboxDeadLetters")) == statuses[422]


# --- What is understood ----------------------------------------------------------------------------------------------


def understood(text: str | bytes) -> Hint | Ignored:
    return decide(CALLBACK.payload_of(text.encode() if isinstance(text, str) else text))


def test_every_sample_is_either_a_hint_or_ignored() -> None:
    assert sorted([*HINTS, *IGNORED]) == SAMPLES


@pytest.mark.parametrize("sample", HINTS)
def test_a_rendition_that_is_encoded_is_a_hint_about_its_video(sample: str) -> None:
    ref, part = HINTS[sample]

    hint = understood(body(read(f"{NAME}/{sample}")))

    assert hint == Hint(ref=ref, step="encoding", part=part, word="encoded", good=True)


@pytest.mark.parametrize("sample", IGNORED)
def test_every_other_event_is_ignored_with_its_video_where_it_has_one(sample: str) -> None:
    text = body(read(f"{NAME}/{sample}"))

    assert understood(text) == Ignored(event_type=json.loads(text)["type"], ref=IGNORED[sample])


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_sample_is_accepted(stack: Stack, sample: str) -> None:
    put_secret(**signing.SAMPLE_SECRETS["apivideo"])

    assert stack.send(NAME, read(f"{NAME}/{sample}")) == {"status": 200, "outcome": "accepted"}
    (message,) = stack.messages("InboxQueue")
    assert json.loads(message)["callback"] == NAME


@pytest.mark.parametrize(
    "moment", ["2021-01-29T16:46:25.217+01:00", "2021-01-29T15:46:25.217Z", "2024-08-15T10:18:47+00:00", "", None, 7]
)
def test_the_time_may_have_any_shape(moment: Any) -> None:
    assert isinstance(understood(encoded(emittedAt=moment)), Hint)


@pytest.mark.parametrize(
    ("encoding", "quality", "part"),
    [
        ("HLS", "720p", "hls 720p"),
        ("Mp4", "1080P", "mp4 1080p"),
        ("dash", "4k", "dash 4k"),
        ("hls", "2160p", "hls 2160p"),
    ],
)
def test_encoding_and_quality_are_open_words_in_any_case(encoding: str, quality: str, part: str) -> None:
    found = understood(encoded(encoding=encoding, quality=quality))

    assert isinstance(found, Hint)
    assert found.part == part


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON at all",
        "[]",
        '"video.encoding.quality.completed"',
        "{}",
        "{",
        '{"type": 1}',
        '{"type": ""}',
        '{"type": "video.encoding.quality.completed"}',
        encoded(""),
        encoded(".."),
        encoded("a/b"),
        encoded("x" * 257),
        encoded(encoding=""),
        encoded(quality="x" * 33),
        encoded(videoId=7),
        encoded(encoding=None),
        '{"type": "a", "type": "b"}',
    ],
)
def test_what_does_not_say_which_rendition_it_is_about_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableError):
        understood(text)
