"""TwelveLabs' callback: who is believed, and what each of its events means."""

import base64
import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest
from video_jobs.aws import clients, secrets
from video_jobs.http import Request
from video_jobs.jobs.model import Hint, Ignored
from video_jobs.platforms.callback import RejectedError, UnreadableError
from video_jobs.platforms.twelvelabs import signature
from video_jobs.platforms.twelvelabs.task import CALLBACK, decide

from local import samples as signing
from tests.cloudformation import ROOT
from tests.events.samples import body, read
from tests.stack import ENVIRONMENT, WEBHOOK_SECRETS, Stack, handler, http_event

NAME = "twelvelabs/index_task"
VALUES = WEBHOOK_SECRETS["twelvelabs"]
KEYS = {name: value for name, value in VALUES.items() if name.startswith("webhook")}
KEY, PREVIOUS = KEYS["webhook"], KEYS["webhook_previous"]
NOW = 1_795_341_600
TOLERANCE = int(ENVIRONMENT["SIGNATURE_TOLERANCE_SECONDS"])
SAMPLES = sorted(file.stem for file in (ROOT / "events" / NAME).glob("*.json"))
HINTS = {
    "ready": ("x" * 23, "ready"),
    "ready_base64": ("66aa10c2f3b7d95e08c1a4d6", "ready"),
    "ready_engines": ("65e67d5a8a1f4b2c9d0e7f31", "ready"),
    "ready_engine": ("62e78c5a9f0b3d2e1c4a6b78", "ready"),
    "ready_short": ("69a482a37f90675e73cec9a6", "ready"),
    "failed": ("69a482a37f90675e73cec9a7", "failed"),
    "failed_short": ("69a482a37f90675e73cec9a6", "failed"),
}
IGNORED = {
    "analyze_ready": None,
    "analyze_failed": "69a482a37f90675e73cec9b1",
    "analyze_canceled": None,
    "unknown_event": None,
}


def sign(moment: int | str, said: bytes, key: str = KEY) -> str:
    """HMAC-SHA256 as RFC 2104 has it, over the moment and the body, written apart from the layer."""
    block = key.encode()
    block = (hashlib.sha256(block).digest() if len(block) > 64 else block).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + f"{moment}.".encode() + said).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()


def header(text: str | bytes, moment: int | str = NOW, *keys: str) -> str:
    said = text if isinstance(text, bytes) else text.encode()
    return ",".join([f"t={moment}", *(f"v1={sign(moment, said, key)}" for key in keys or (KEY,))])


def ended(task_id: str = "task-1", status: str = "ready", event_id: str = "whe_1", **data: Any) -> str:
    said = {"id": task_id, "metadata": {"duration": 30}, "status": status, **data}
    return json.dumps(
        {
            "id": event_id,
            "created_at": "2026-11-22T10:00:00.000Z",
            "type": f"index.task.{status}",
            "data": said,
        }
    )


def request(text: str, proof: str | None = None, *, at: float = NOW, **changes: Any) -> dict[str, Any]:
    """A request that arrives at a moment, signed at that moment unless `proof` says otherwise."""
    event = http_event(
        NAME, text, query="", headers={"TL-Signature": header(text) if proof is None else proof}, **changes
    )
    event["requestContext"]["timeEpoch"] = round(at * 1000)
    return event


def put_secret(**values: str) -> None:
    clients.secretsmanager().put_secret_value(SecretId="TWELVELABS_SECRET", SecretString=json.dumps(values))


# --- The signature ---------------------------------------------------------------------------------------------------

VECTOR_KEY = "whsec_test_123"
VECTOR_BODY = b'{"name":"test"}'  # what is signed, with its moment, is the docs' own example of it
VECTOR = "t=1659342128,v1=d513f0777c9ec72305c35d906f319149417be21375fcfc8708da44d47019862b"


def check(proof: str | None, said: bytes = VECTOR_BODY, *, now: float = 1659342128, key: str = VECTOR_KEY) -> str:
    return signature.check(proof, said, keys=[key], now=now, tolerance=TOLERANCE)


def test_the_test_vector_holds() -> None:
    check(VECTOR)

    assert f"t=1659342128,v1={sign(1659342128, VECTOR_BODY, VECTOR_KEY)}" == VECTOR


@pytest.mark.parametrize("key", ["test_123", "whsec_test_12", "whsec_test_123 ", ""])
def test_the_key_is_the_whole_secret(key: str) -> None:
    with pytest.raises(RejectedError):
        check(VECTOR, key=key)


@pytest.mark.parametrize(
    "said", [b'{"name": "test"}', b'{"name":"test"}\n', b'{"name":"test"', b"", b"1659342128." + VECTOR_BODY]
)
def test_it_is_over_every_byte_of_the_body(said: bytes) -> None:
    with pytest.raises(RejectedError):
        check(VECTOR, said)


def test_it_is_what_the_rule_says_for_any_body_moment_and_secret() -> None:
    random = Random(5)
    for length in range(200):
        said, moment = random.randbytes(length), str(random.randrange(10**10))
        key = f"whs_{random.randbytes(random.randrange(60)).hex()}ä"
        assert signature.made(said, moment, key) == sign(moment, said, key)


@pytest.mark.parametrize("seconds", [-TOLERANCE, -1, -0.4, 0, 0.4, 1, TOLERANCE])
def test_a_clock_that_is_a_little_wrong_is_believed_either_way(seconds: float) -> None:
    check(VECTOR, now=1659342128 + seconds)


@pytest.mark.parametrize("seconds", [-1e9, -TOLERANCE - 1, -TOLERANCE - 0.1, TOLERANCE + 0.1, TOLERANCE + 1, 1e9])
def test_a_moment_of_another_time_is_not_believed_however_well_it_is_signed(seconds: float) -> None:
    with pytest.raises(RejectedError, match="not of this time"):
        check(VECTOR, now=1659342128 + seconds)


GOOD = VECTOR.partition("v1=")[2]
WRONG = "0" * 64


@pytest.mark.parametrize(
    "proof",
    [
        f"v1={GOOD},t=1659342128",
        f"t=1659342128, v1={GOOD}",
        f" t = 1659342128 , v1 = {GOOD} ",
        f"t=1659342128,v1={WRONG},v1={GOOD}",
        f"t=1659342128,v1={GOOD},v1={WRONG}",
        f"t=1659342128,v1={GOOD},v1=not-even-hexadecimal",
        f"t=1659342128,v0={WRONG},v1={GOOD},v2=something",
    ],
)
def test_order_spaces_and_other_signatures_do_not_matter(proof: str) -> None:
    assert check(proof) == GOOD


# --- Who is let in ---------------------------------------------------------------------------------------------------


def test_a_signed_callback_is_taken(stack: Stack) -> None:
    assert stack.send(NAME, request(ended())) == {"status": 200, "outcome": "accepted"}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_each_of_the_secrets_is_accepted(stack: Stack, key: str) -> None:
    assert stack.send(NAME, request(ended(), header(ended(), NOW, key)))["status"] == 200


def test_while_a_secret_is_changed_one_of_several_signatures_is_enough(stack: Stack) -> None:
    for number, keys in enumerate([("whs_new", KEY), (PREVIOUS, "whs_new"), (KEY, PREVIOUS)]):
        text = ended(f"task-{number}", event_id=f"whe_{number}")
        assert stack.send(NAME, request(text, header(text, NOW, *keys)))["status"] == 200


def test_a_secret_that_was_revealed_a_moment_ago_is_believed(stack: Stack) -> None:
    stack.send(NAME, request(ended()))
    put_secret(api_key="key", webhook="whs_new", webhook_previous=KEY)

    text = ended("task-2", event_id="whe_2")

    assert stack.send(NAME, request(text, header(text, NOW, "whs_new")))["status"] == 200


def test_a_secret_that_was_taken_away_is_not_believed_any_more(stack: Stack) -> None:
    put_secret(api_key="key", webhook="whs_new")
    secrets.forget()

    assert stack.send(NAME, request(ended()))["status"] == 401
    assert stack.items() == []


def test_the_tolerance_is_a_setting(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    old = request(ended(), at=NOW + TOLERANCE + 60)
    before = stack.send(NAME, old)["status"]

    monkeypatch.setenv("SIGNATURE_TOLERANCE_SECONDS", str(TOLERANCE + 60))

    assert (before, stack.send(NAME, old)["status"]) == (401, 200)


def test_the_headers_name_is_read_in_any_case(stack: Stack) -> None:
    for number, name in enumerate(["tl-signature", "TL-SIGNATURE", "Tl-Signature"]):
        text = ended(f"task-{number}", event_id=f"whe_{number}")
        event = request(text)
        event["headers"] = {name: event["headers"]["TL-Signature"]}
        assert stack.send(NAME, event)["status"] == 200


def test_what_is_signed_is_the_body_before_api_gateway_encodes_it(stack: Stack) -> None:
    text = ended()
    event = request(base64.b64encode(text.encode()).decode(), header(text), isBase64Encoded=True)

    assert stack.send(NAME, event)["status"] == 200


TEXT = ended()
MADE = sign(NOW, TEXT.encode())
FORGED: Mapping[str, str] = {
    "empty": "",
    "no moment": f"v1={MADE}",
    "no signature": f"t={NOW}",
    "a signature alone": MADE,
    "another scheme": f"t={NOW},v0={MADE}",
    "another secret": header(TEXT, NOW, "whs_guessed"),
    "an empty secret": header(TEXT, NOW, ""),
    "the API key": header(TEXT, NOW, VALUES["api_key"]),
    "the secret without its prefix": header(TEXT, NOW, KEY.removeprefix("whs_")),
    "another body": header(ended("task-2")),
    "no body": header(""),
    "the body alone": f"t={NOW},v1={hmac.digest(KEY.encode(), TEXT.encode(), 'sha256').hex()}",
    "a plain hash": f"t={NOW},v1={hashlib.sha256(f'{KEY}{NOW}.{TEXT}'.encode()).hexdigest()}",
    "sha1": f"t={NOW},v1={hmac.digest(KEY.encode(), f'{NOW}.{TEXT}'.encode(), 'sha1').hex()}",
    "stale": header(TEXT, NOW - TOLERANCE - 1),
    "of the future": header(TEXT, NOW + TOLERANCE + 1),
    "made fresh": f"t={NOW},v1={sign(NOW - TOLERANCE - 1, TEXT.encode())}",
    "the same moment otherwise": f"t=0{NOW},v1={MADE}",
    "a moment with a fraction": header(TEXT, f"{NOW}.0"),
    "a moment with a sign": header(TEXT, f"+{NOW}"),
    "a moment in milliseconds": header(TEXT, NOW * 1000),
    "a moment in other digits": header(TEXT, "".join(chr(0x660 + int(digit)) for digit in str(NOW))),
    "a moment without end": header(TEXT, "9" * 5000),
    "no number": header(TEXT, "now"),
    "doubled": f"{header(TEXT)},{header(TEXT)}",
    "two moments": f"t={NOW - 5000},t={NOW},v1={MADE}",
    "truncated": f"t={NOW},v1={MADE[:-1]}",
    "longer": f"t={NOW},v1={MADE}0",
    "upper case": f"t={NOW},v1={MADE.upper()}",
    "upper case names": f"T={NOW},V1={MADE}",
    "in base64": f"t={NOW},v1={base64.b64encode(bytes.fromhex(MADE)).decode()}",
    "other separators": f"t={NOW};v1={MADE}",
    "not ASCII": f"t={NOW},v1={'ä' * 64}",
    "what another platform sends": f"sha256={MADE}",
    "nothing but commas": "," * 5000,
}


@pytest.mark.parametrize("proof", FORGED.values(), ids=FORGED)
def test_whoever_has_not_signed_is_rejected_and_nothing_is_sent(stack: Stack, proof: str) -> None:
    answer = stack.send(NAME, request(TEXT, proof))

    assert answer == {"status": 401, "outcome": "rejected"}
    assert [call for call in stack.calls if not call.startswith("secretsmanager")] == []
    assert stack.items() == []


def test_without_the_header_nobody_is_let_in(stack: Stack) -> None:
    event = request(TEXT)
    del event["headers"]["TL-Signature"]

    assert stack.send(NAME, event) == {"status": 401, "outcome": "rejected"}
    assert stack.items() == []


CHANGED = {
    "tampered": TEXT.replace("task-1", "task-2"),
    "truncated": TEXT[:-1],
    "longer": TEXT + " ",
    "written anew": json.dumps(json.loads(TEXT), separators=(",", ":")),
    "sorted": json.dumps(json.loads(TEXT), sort_keys=True),
    "empty": "",
    "with a byte order mark": "\ufeff" + TEXT,
    "encoded and not called so": base64.b64encode(TEXT.encode()).decode(),
}


@pytest.mark.parametrize("text", CHANGED.values(), ids=CHANGED)
def test_a_body_that_is_not_the_signed_one_is_rejected(stack: Stack, text: str) -> None:
    assert stack.send(NAME, request(text, header(TEXT))) == {"status": 401, "outcome": "rejected"}
    assert stack.items() == []


def test_a_body_that_cannot_be_decoded_is_rejected(stack: Stack) -> None:
    answer = stack.send(NAME, request("not base64!", isBase64Encoded=True))

    assert (answer["status"], stack.items()) == (401, [])


def test_without_a_webhook_secret_nobody_can_be_judged_and_the_log_says_so(
    stack: Stack, log: Callable[[], str]
) -> None:
    handler(NAME)
    put_secret(api_key="tlk_test")
    secrets.forget()
    log()

    for proof in (header(TEXT), f"t={NOW},v1={WRONG}", ""):
        assert stack.send(NAME, request(TEXT, proof)) == {"status": 503, "outcome": "unavailable"}

    assert stack.items() == []
    written = log()
    assert "the secret of TwelveLabs has no webhook" in written
    assert "tlk_test" not in written


def test_without_any_secret_the_log_names_it(stack: Stack, log: Callable[[], str]) -> None:
    clients.secretsmanager().delete_secret(SecretId="TWELVELABS_SECRET", ForceDeleteWithoutRecovery=True)
    secrets.forget()
    log()

    assert stack.send(NAME, request(TEXT))["status"] == 503

    assert "the secret TWELVELABS_SECRET cannot be read" in log()
    assert stack.items() == []


# --- Nobody gets in by luck ------------------------------------------------------------------------------------------

TEXTS = [ended(f"task-{number}", ("ready", "failed")[number % 2], f"whe_{number}") for number in range(20)]
ISSUED = [(NOW + moment, text) for moment in (-9000, -400, -299, -60, 0, 60, 299, 400) for text in TEXTS]
"""What TwelveLabs has signed, and when."""
SIGNED = {
    (str(moment), text.encode()): [sign(moment, text.encode(), key) for key in KEYS.values()] for moment, text in ISSUED
}
ODD = ["", " ", "0", "t=", "v1=", "f" * 64, "\x00", "ä", "\ud800", ",", "=", "None", "\u0660" * 10, "1" * 400, "-1"]


def mutated_text(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return random.choice(
        [
            text[:at] + random.choice("0123456789abcdef") + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + random.choice(" \t0a,=\n") + text[at:],
            f"{text},{text}",
            text.upper(),
            text[:at],
            random.choice(ODD),
            base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(),
        ]
    )


def mutated_header(random: Random, proof: str) -> str:
    items = proof.split(",")
    match random.randrange(7):
        case 0:
            random.shuffle(items)
        case 1:
            items.append(f"v1={random.choice(SIGNED[random.choice(list(SIGNED))])}")
        case 2:
            items[0] = f"t={random.choice(ISSUED)[0]}"
        case 3:
            items.append(f"t={NOW}")
        case 4:
            items.remove(random.choice(items))
        case _:
            return mutated_text(random, proof)
    return ",".join(items)


KEEPS = list(SIGNED)


def forget(stack: Stack) -> None:
    """Leave nothing behind: the more there is, the longer moto takes."""
    stack.clear()
    stack.purge("InboxQueue")


def mutated(random: Random) -> tuple[dict[str, Any], bytes | None, bool]:
    """A request that was signed and then tampered with, the body that it has (None: none that can be read), and whether
    nothing was done to it."""
    moment, said = random.choice(KEEPS)
    text = said.decode()
    proof = f"t={moment},v1={random.choice(SIGNED[moment, said])}"
    untouched = True
    for _ in range(random.randrange(3)):
        untouched = False
        if random.random() < 0.6:
            proof = mutated_header(random, proof)
        else:
            text = random.choice([mutated_text(random, text), random.choice(TEXTS)])
    sent: bytes | None = text.encode("utf-8", "surrogatepass")
    changes: dict[str, Any] = {}
    if random.random() < 0.2:
        text = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        if random.random() < 0.3:
            text, sent = text + "!", None
        changes["isBase64Encoded"] = True
    event = request(text, proof, at=NOW + random.choice([0, 0, 0, 0.5, -0.5]), **changes)
    if random.random() < 0.02:
        event["headers"]["X-Other"] = event["headers"].pop("TL-Signature")
        untouched = False
    if random.random() < 0.1:
        event["requestContext"]["timeEpoch"] = random.choice([0, -1, 10**15, (NOW + 301) * 1000, (NOW - 9000) * 1000])
        untouched = False
    return event, sent, untouched


def proven(event: dict[str, Any], sent: bytes | None) -> bool:
    """Whether what a request says was signed by TwelveLabs, and not long ago: worked out apart from the layer."""
    proof = next((value for name, value in event["headers"].items() if name.lower() == "tl-signature"), "")
    items = [re.sub(r"\s*([=])\s*", r"\1", item.strip(), count=1) for item in proof.split(",")]
    moments = [item[2:] for item in items if item.startswith("t=")]
    if sent is None or len(moments) != 1 or (moments[0], sent) not in SIGNED:
        return False
    fresh = abs(event["requestContext"]["timeEpoch"] - int(moments[0]) * 1000) <= TOLERANCE * 1000
    return fresh and any(f"v1={made}" in items for made in SIGNED[moments[0], sent])


def test_of_a_hundred_thousand_tampered_requests_none_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNATURE_TOLERANCE_SECONDS", str(TOLERANCE))
    random = Random(20261122)
    seen: Counter[tuple[bool, bool]] = Counter()
    kept = 0
    for _ in range(100_000):
        event, sent, untouched = mutated(random)
        try:
            signature.verify(Request(event), VALUES)
        except RejectedError:
            let_in = False
        else:
            let_in = True
            kept += untouched
        seen[proven(event, sent), let_in] += 1
    assert seen[False, True] == seen[True, False] == 0
    assert min(seen[True, True], seen[False, False], kept) > 10_000
    assert seen[True, True] > kept  # what a change leaves proven is let in, too


def test_the_function_answers_every_tampered_request_and_sends_nothing_for_those_it_rejects(stack: Stack) -> None:
    random = Random(7)
    refused = 0
    for number in range(3000):
        if number % 50 == 0:
            forget(stack)
        event, sent, _ = mutated(random)
        before = len(stack.calls)
        answer = stack.send(NAME, event)
        assert answer["status"] < 500
        assert (answer["status"] == 401) is not proven(event, sent)
        if answer["status"] == 401:
            refused += 1
            assert [call for call in stack.calls[before:] if not call.startswith("secretsmanager")] == []
    assert 1000 < refused < 2900


def mutated_json(random: Random, text: str) -> str:
    """A body that is about as wrong as a body can be."""
    fields = json.loads(text)
    for _ in range(random.randrange(1, 4)):
        where = fields["data"] if isinstance(fields.get("data"), dict) and random.random() < 0.6 else fields
        name = random.choice([*where, "more"])
        where[name] = random.choice(
            [None, 1, 1e308, True, [], {}, [where.get(name)], "", "x" * 300, "ä/..", "\ud800", "a\nb"]
        )
        if random.random() < 0.3:
            where.pop(name)
    written = json.dumps(fields)
    return written if random.random() < 0.7 else mutated_text(random, written)


def test_whatever_the_platform_signs_is_answered_and_what_is_not_understood_waits_for_a_fix(stack: Stack) -> None:
    random = Random(11)
    statuses: Counter[int] = Counter()
    waiting = 0
    for number in range(1500):
        if number % 50 == 0:
            forget(stack)
            waiting += len(stack.messages("InboxDeadLetters"))
        said = mutated_json(random, random.choice(TEXTS)).encode("utf-8", "surrogatepass")
        event = request(base64.b64encode(said).decode(), header(said), isBase64Encoded=True)
        statuses[stack.send(NAME, event)["status"]] += 1

    assert statuses.keys() == {200, 422}
    assert waiting + len(stack.messages("InboxDeadLetters")) == statuses[422]


# --- What is understood ----------------------------------------------------------------------------------------------


def understood(text: str | bytes) -> Hint | Ignored:
    return decide(CALLBACK.payload_of(text.encode() if isinstance(text, str) else text))


def test_every_sample_is_either_a_hint_or_ignored() -> None:
    assert sorted([*HINTS, *IGNORED]) == SAMPLES


@pytest.mark.parametrize("sample", HINTS)
def test_the_end_of_a_task_is_a_hint_about_it(sample: str) -> None:
    ref, word = HINTS[sample]
    text = body(read(f"{NAME}/{sample}"))

    hint = understood(text)

    assert hint == Hint(
        ref=ref, step="task", part="status", word=word, good=word == "ready", identity=json.loads(text)["id"]
    )


@pytest.mark.parametrize("sample", IGNORED)
def test_every_other_event_is_ignored_with_its_medium_where_it_has_one(sample: str) -> None:
    text = body(read(f"{NAME}/{sample}"))
    said = json.loads(text)

    assert understood(text) == Ignored(event_type=said["type"], ref=IGNORED[sample], identity=said["id"])


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_sample_is_accepted(stack: Stack, sample: str) -> None:
    put_secret(**signing.SAMPLE_SECRETS["twelvelabs"])

    assert stack.send(NAME, read(f"{NAME}/{sample}")) == {"status": 200, "outcome": "accepted"}
    (message,) = stack.messages("InboxQueue")
    assert json.loads(message)["callback"] == NAME


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_samples_signature_is_that_of_the_rule(sample: str) -> None:
    event = read(f"{NAME}/{sample}")
    [key] = signing.SAMPLE_SECRETS["twelvelabs"].values()
    moment = event["requestContext"]["timeEpoch"] // 1000

    assert event["headers"]["tl-signature"] == header(body(event), moment, key)


VOCABULARIES: list[dict[str, Any]] = [
    {"models": [{"name": "marengo2.7", "options": ["visual", "audio"]}]},
    {"engines": [{"name": "marengo2.6", "options": ["visual", "conversation", "text_in_video", "logo"]}]},
    {"engine": "marengo2.5", "index_options": ["visual", "conversation"]},
    {},
    {"models": None, "engines": 7, "engine": [], "index_options": "x", "tags": {}, "metadata": []},
]


@pytest.mark.parametrize("words", VOCABULARIES)
def test_nothing_hangs_on_how_the_models_are_called(words: dict[str, Any]) -> None:
    assert understood(ended(**words)) == understood(ended())


@pytest.mark.parametrize("moment", ["2022-08-01T17:22:18.372553+09:00", "2026-03-01T18:22:00Z", "", None, 7])
def test_the_time_may_have_any_shape(moment: Any) -> None:
    assert understood(json.dumps(json.loads(ended()) | {"created_at": moment})) == understood(ended())


@pytest.mark.parametrize(("status", "word"), [("failed", "failed"), ("ready", "ready")])
@pytest.mark.parametrize("said", [None, "", 7, "x" * 65])
def test_without_a_status_the_type_says_it(status: str, word: str, said: Any) -> None:
    text = json.loads(ended(status=status))
    text["data"]["status"] = said

    hint = understood(json.dumps(text))

    assert isinstance(hint, Hint)
    assert (hint.word, hint.good) == (word, status == "ready")


@pytest.mark.parametrize(
    "event_type", ["index.task.indexing", "index.task.Ready", "index.task", "index.task.ready ", "batch.completed"]
)
def test_types_that_are_not_documented_are_ignored_whatever_they_carry(event_type: str) -> None:
    payloads: list[Any] = [{"id": "task-1"}, {}, None, [], "task-1"]
    for data in payloads:
        text = json.dumps({"id": "whe_1", "type": event_type, "data": data})
        assert understood(text) == Ignored(event_type=event_type, identity="whe_1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON at all",
        "[]",
        '"index.task.ready"',
        "{}",
        "{",
        '{"type": 1}',
        '{"type": ""}',
        '{"type": "index.task.ready"}',
        '{"type": "index.task.failed", "data": []}',
        '{"type": "index.task.ready", "type": "index.task.failed", "data": {"id": "task-1"}}',
        ended(""),
        ended(".."),
        ended("a/b"),
        ended("a b"),
        ended("ä"),
        ended("x" * 257),
        json.dumps(json.loads(ended()) | {"data": {"id": 7, "status": "ready"}}),
    ],
)
def test_what_names_no_task_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableError):
        understood(text)
