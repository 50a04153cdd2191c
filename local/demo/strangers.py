"""Callbacks that no job of the demo waits for: forged ones, and one about work that was begun elsewhere."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import urllib3
from video_jobs import tokens
from video_jobs.platforms.videodb.plan import STEPS

from local.demo.jobs_api import ApiError, JobsApi
from local.demo.verdict import Finding, differs
from local.platforms.videodb import payloads
from local.stack import LocalStack

TIMEOUT_SECONDS = 30  # it may be the first that its function ever hears
FORGED_JOB = "demo-forged"
ELSEWHERE_JOB = "demo-begun-elsewhere"
BODY = payloads.uploaded(payloads.Kind.VIDEO, "m-begun-elsewhere", "c-demo")

type Answer = tuple[int, str | None]
"""The HTTP status, and the outcome that the body names."""


def forge(stack: LocalStack, api: JobsApi) -> Finding:
    """One callback to each route, signed with a key that is not the stack's."""
    urls = [tokens.callback_url(stack.api_url, f"videodb/{step}", FORGED_JOB, 1, key="a guess") for step in STEPS]
    threads = ThreadPoolExecutor()
    try:
        answers = list(threads.map(partial(send, BODY), urls))  # together, because each wakes its function up
    finally:
        threads.shutdown(wait=False)  # Ctrl-C does not wait for them: they end with the stack
    differences = [
        sentence
        for answer in answers
        for sentence in differs("a forged callback was answered", (401, "refused"), answer)
    ]
    differences += differs("a job was made of them", False, api.has(FORGED_JOB))
    what = "four forged callbacks, one to each route: refused with 401, and nothing written"
    return Finding(what=what, differences=differences)


def call_from_elsewhere(stack: LocalStack, api: JobsApi) -> Finding:
    """A well-signed callback about work that nobody began here, twice."""
    url = tokens.callback_url(stack.api_url, "videodb/upload", ELSEWHERE_JOB, 1, key=_callback_key(stack))
    first, again = send(BODY, url), send(BODY, url)
    job = api.job(ELSEWHERE_JOB)
    differences = [
        *differs("the callback was answered", (200, "adopted"), first),
        *differs("the same once more was answered", (200, "repeated"), again),
        *differs("the job that was made of it", ("succeeded", True), (job.status.value, job.adopted)),
    ]
    what = "a callback about work begun elsewhere: adopted as a job; sent again: repeated"
    return Finding(what=what, differences=differences)


def send(body: bytes, url: str) -> Answer:
    """Raises ApiError, which does not quote the URL: it has a token in it."""
    headers = {"content-type": "application/json"}
    try:
        answer = urllib3.request("POST", url, body=body, headers=headers, timeout=TIMEOUT_SECONDS, retries=False)
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
