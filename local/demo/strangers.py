"""Callbacks that no job of the demo waits for: forged ones, unneeded ones, and such about work begun elsewhere."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import urllib3
from video_jobs import tokens

from local.demo.elsewhere import Elsewhere
from local.demo.jobs_api import ApiError, JobsApi
from local.demo.scenario import Provider
from local.demo.scenarios import PLATFORMS
from local.demo.verdict import Finding, Row, differs
from local.demo.videodb import PLAN
from local.platforms.apivideo import events as apivideo
from local.platforms.apsaravideo import payloads as vod
from local.platforms.apsaravideo import signatures
from local.platforms.twelvelabs import webhooks as twelvelabs
from local.platforms.videodb import payloads as videodb
from local.samples import SAMPLE_SECRETS, SIGNERS
from local.stack import LocalStack
from local.webhooks import deployment

TIMEOUT_SECONDS = 30  # it may be the first that its function ever hears
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
UNNEEDED: Mapping[Provider, bytes] = {
    "twelvelabs": json.dumps({"id": "whe_u", "type": "analyze.task.ready", "data": {"id": "a1"}}).encode(),
    "apivideo": json.dumps({"type": "live-stream.broadcast.ended", "liveStreamId": "li1"}).encode(),
    "apsaravideo": vod.as_json(
        vod.stream_transcoded(time="2026-01-01T12:00:00Z", video_id="v1", job_id="j1", file_url="", size=1, extend=None)
    ),
}
"""Of documented types that no step waits for."""

type Answer = tuple[int, str | None]
"""The HTTP status, and the outcome that the body names."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A callback as anybody can send one."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def call(stack: LocalStack) -> list[Finding]:
    """Forged and unneeded callbacks to every platform's routes."""
    threads = ThreadPoolExecutor()
    try:
        # together, because each platform's first wakes its functions up
        found = list(threads.map(lambda work: work(), _calls(stack)))
    finally:
        threads.shutdown(wait=False)  # Ctrl-C does not wait for them: they end with the stack
    return [finding for findings in found for finding in findings]


def _calls(stack: LocalStack) -> list[Callable[[], list[Finding]]]:
    signing: tuple[Provider, ...] = tuple(platform.provider for platform in PLATFORMS if platform.signs)
    return [
        *(partial(_forged, "videodb", [letter]) for letter in tokens_guessed(stack.api_url)),
        *(partial(_signed, provider, callback_url(stack.api_url, provider)) for provider in signing),
    ]


def _signed(provider: Provider, url: str) -> list[Finding]:
    """One after the other: together they would start the platform's function several times."""
    return [*_forged(provider, forgeries(provider, url)), _send_unneeded(provider, url)]


def _forged(provider: Provider, letters: Sequence[Letter]) -> list[Finding]:
    differences = [
        sentence
        for letter in letters
        for sentence in differs("a forged callback was answered", (401, "refused"), send(letter))
    ]
    return [Finding(provider=provider, row=Row.FORGED, count=len(letters), differences=differences)]


def _send_unneeded(provider: Provider, url: str) -> Finding:
    answer = send(unneeded(provider, url))
    differences = list(differs("an event that nobody waits for was answered", (200, "ignored"), answer))
    return Finding(provider=provider, row=Row.UNNEEDED, differences=differences)


def unneeded(provider: Provider, url: str) -> Letter:
    """Well signed."""
    body = UNNEEDED[provider]
    return Letter(url=url, body=body, headers=SIGNERS[provider](body, int(time.time()), url))


# --- Forgeries -----------------------------------------------------------------------------------------------------


def callback_url(api_url: str, provider: Provider) -> str:
    return f"{api_url}/callbacks/{deployment.PLATFORMS[provider].callback}"


def tokens_guessed(api_url: str) -> list[Letter]:
    """To each of VideoDB's routes, signed with a key that is not the stack's."""
    urls = [tokens.callback_url(api_url, f"videodb/{step}", FORGED_JOB, 1, key=GUESS) for step in PLAN]
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


def begin_elsewhere(elsewhere: Elsewhere) -> Mapping[Provider, str]:
    """Work with the platforms' own APIs; each platform's id of it, which its callbacks will name."""
    signing: list[Provider] = [platform.provider for platform in PLATFORMS if platform.signs]
    return {provider: elsewhere.begin(provider, ELSEWHERE_URL) for provider in signing}


def call_from_elsewhere(stack: LocalStack, api: JobsApi) -> Finding:
    """A well-signed callback of VideoDB about work that nobody began here, twice."""
    url = tokens.callback_url(stack.api_url, "videodb/upload", ELSEWHERE_JOB, 1, key=_callback_key(stack))
    letter = Letter(url=url, body=UPLOADED)
    first, again = send(letter), send(letter)
    job = api.job(ELSEWHERE_JOB)
    differences = [
        *differs("the callback was answered", (200, "adopted"), first),
        *differs("the same once more was answered", (200, "repeated"), again),
        *differs("the job that was made of it", ("succeeded", True), (job.status.value, job.adopted)),
    ]
    return Finding(provider="videodb", row=Row.ADOPTED, differences=differences)


def send(letter: Letter) -> Answer:
    """Raises ApiError, which does not quote the URL: it may have a token in it."""
    headers = {"content-type": "application/json", **letter.headers}
    try:
        answer = urllib3.request(
            "POST", letter.url, body=letter.body, headers=headers, timeout=TIMEOUT_SECONDS, retries=False
        )
    except urllib3.exceptions.HTTPError as error:
        raise ApiError(f"a callback was not answered: {type(error).__name__}") from None
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
