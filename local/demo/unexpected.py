"""Callbacks that no job of the demo waits for: forged ones, and such about work begun elsewhere."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import chain

import urllib3
from video_jobs.callbacks import proofs

from local.demo.elsewhere import Elsewhere
from local.demo.jobs_api import RETRY, ApiError
from local.demo.scenario import Provider
from local.demo.scenarios import PLATFORMS
from local.demo.verdict import Finding, Verdict, differs
from local.demo.videodb import PLAN
from local.platforms.apivideo import events as apivideo
from local.platforms.apsaravideo import signatures
from local.platforms.twelvelabs import webhooks as twelvelabs
from local.platforms.videodb import payloads as videodb
from local.samples import SAMPLE_SECRETS, SIGNERS
from local.stack import LocalStack
from ops.webhooks import deployment

TIMEOUT_SECONDS = 60  # it may be the first that its function ever hears, on a slow machine
TOO_OLD_SECONDS = 3600
GUESS = "a guess"
FORGED_JOB = "demo-forged"
ELSEWHERE_JOB = "demo-begun-elsewhere"
ELSEWHERE_URL = "https://media.example.com/elsewhere.mp4"

UPLOADED = videodb.uploaded(videodb.Kind.VIDEO, "m-begun-elsewhere", "c-demo")
FORGED: Mapping[Provider, bytes] = {
    "twelvelabs": json.dumps({"id": "whe_f", "type": "index.task.ready", "data": {"id": "forged"}}).encode(),
    "apivideo": json.dumps(
        {"type": "video.encoding.quality.completed", "videoId": "viForged", "encoding": "hls", "quality": "720p"}
    ).encode(),
    "apsaravideo": json.dumps({"EventType": "UploadByURLComplete", "Status": "success", "JobId": "forged"}).encode(),
}

type Answer = tuple[int, str | None]
"""The HTTP status, and the outcome that the body names."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A callback as anybody can send one."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


# --- Forgeries -----------------------------------------------------------------------------------------------------


def forge(api_url: str) -> list[Finding]:
    """Forged callbacks to every platform's routes, and what became of them."""
    letters = {platform.provider: forgeries_for(api_url, platform.provider) for platform in PLATFORMS}
    # those to one function one after the other: together they would start it several times
    by_url: dict[str, list[Letter]] = {}
    for letter in chain.from_iterable(letters.values()):
        by_url.setdefault(letter.url, []).append(letter)
    threads = ThreadPoolExecutor(len(by_url))
    try:
        answers = list(threads.map(lambda group: [send(each) for each in group], by_url.values()))
    finally:
        threads.shutdown(wait=False)  # Ctrl-C does not wait for them: they end with the stack
    answered = dict(zip(by_url, answers, strict=True))
    return [
        forged(provider, [answer for url in dict.fromkeys(letter.url for letter in sent) for answer in answered[url]])
        for provider, sent in letters.items()
    ]


def one_to_each_function(api_url: str) -> list[Callable[[], Answer]]:
    """What sends a forged callback to each function that takes callbacks."""
    letters = {letter.url: letter for platform in PLATFORMS for letter in forgeries_for(api_url, platform.provider)}
    return [partial(send, letter) for letter in letters.values()]


def forged(provider: Provider, answers: Sequence[Answer]) -> Finding:
    """What a platform's forged callbacks were answered, judged."""
    differences = [list(differs("a forged callback was answered", (401, "rejected"), answer)) for answer in answers]
    return Finding(
        provider=provider,
        name="forged",
        proves=f"all of {len(answers)} forged callbacks rejected with 401",
        verdict=Verdict(wrong=list(chain.from_iterable(differences))),
    )


def forgeries_for(api_url: str, provider: Provider) -> list[Letter]:
    if provider == "videodb":
        return tokens_guessed(api_url)
    return forgeries(provider, f"{api_url}/callbacks/{deployment.PLATFORMS[provider].callback}")


def tokens_guessed(api_url: str) -> list[Letter]:
    """To each of VideoDB's routes, signed with a key that is not the stack's."""
    urls = [proofs.callback_url(api_url, f"videodb/{step}", FORGED_JOB, 1, key=GUESS) for step in PLAN]
    return [Letter(url=url, body=UPLOADED) for url in urls]


def forgeries(provider: Provider, url: str) -> list[Letter]:
    """Unsigned, signed with a guess, and then each thing wrong that the platform's signature covers."""
    body, now = FORGED[provider], int(time.time())
    sign = SIGNERS[provider]
    good = sign(body, now, url)
    tampered = Letter(url=url, body=body.replace(b"orged", b"aked"), headers=good)
    stale = Letter(url=url, body=body, headers=sign(body, now - TOO_OLD_SECONDS, url))
    misdirected = Letter(url=url, body=body, headers=sign(body, now, f"{url}/elsewhere"))
    covered = {
        "twelvelabs": [tampered, stale],
        "apivideo": [tampered],  # no time is in it
        "apsaravideo": [stale, misdirected],  # the body is not in it
    }[provider]
    unsigned = Letter(url=url, body=body)
    return [unsigned, Letter(url=url, body=body, headers=guessed(provider, body, now, url)), *covered]


def guessed(provider: Provider, body: bytes, now: int, url: str) -> Mapping[str, str]:
    """What the platform would send, had it another secret."""
    match provider:
        case "videodb":
            raise ValueError("VideoDB signs nothing")
        case "twelvelabs":
            return {"tl-signature": twelvelabs.signature(GUESS, body, now)}
        case "apivideo":
            [webhook] = SAMPLE_SECRETS["apivideo"]
            return {"x-api-video-webhookid": webhook, "x-api-video-signature": apivideo.signature(GUESS, body)}
        case "apsaravideo":
            return {"x-vod-timestamp": str(now), "x-vod-signature": signatures.callback(url, now, GUESS)}


# --- Work begun elsewhere ------------------------------------------------------------------------------------------


def begin_elsewhere(stack: LocalStack, elsewhere: Elsewhere) -> list[Finding]:
    """Work with the platforms' own APIs; and a callback of VideoDB's about such work, twice. What must come of it."""
    url = proofs.callback_url(stack.api_url, "videodb/upload", ELSEWHERE_JOB, 1, key=_callback_key(stack))
    for _ in range(2):
        status, outcome = send(Letter(url=url, body=UPLOADED))
        if status != HTTPStatus.OK:
            raise ApiError(f"a well signed callback was answered {status} ({outcome}), not 200")
    return [
        Finding(
            provider=platform.provider,
            name="begun elsewhere",
            proves="adopted: its callback made a job, and no other",
            verdict=Verdict(missing=["no callback has made a job of it"]),
            begun=elsewhere.begin(platform.provider, ELSEWHERE_URL) if platform.signs else ELSEWHERE_JOB,
        )
        for platform in PLATFORMS
    ]


def send(letter: Letter) -> Answer:
    """What it is answered in the end. Raises ApiError, which does not quote the URL: it may have a token in it."""
    headers = {"content-type": "application/json", **letter.headers}
    try:
        answer = urllib3.request(
            "POST", letter.url, body=letter.body, headers=headers, timeout=TIMEOUT_SECONDS, retries=RETRY
        )
    except urllib3.exceptions.HTTPError as error:
        reason = getattr(error, "reason", None) or error
        raise ApiError(f"a callback was not answered: {type(reason).__name__}") from None
    return answer.status, _outcome(answer.data)


def _outcome(body: bytes) -> str | None:
    try:
        said = json.loads(body)
    except ValueError:
        return None
    outcome = said.get("outcome") if isinstance(said, dict) else None
    return outcome if isinstance(outcome, str) else None


def _callback_key(stack: LocalStack) -> str:
    secrets_manager = stack.client("secretsmanager")
    secret = secrets_manager.get_secret_value(SecretId=stack.outputs["CallbackKeysSecret"])["SecretString"]
    key: str = json.loads(secret)["current"]
    return key
