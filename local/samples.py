"""The sample events: the keys that they are signed with, or carry, and the command that signs callbacks.

After you have added or changed one (copy a neighbour, put in the body): `python -m local.samples`.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from video_jobs.callbacks import proofs

from local.commands import ROOT

EVENTS = ROOT / "events"

SAMPLE_CALLBACK_KEY = "video-jobs-sample-key-not-a-secret"
"""Published on purpose: samples are accepted by the local stack, which adds this key to its own, and nowhere else."""

SAMPLE_API_KEY = "video-jobs-sample-api-key-not-a-secret"
"""The same for the samples of the API's functions."""

SAMPLE_SECRETS: Mapping[str, Mapping[str, str]] = {
    "twelvelabs": {"webhook_samples": "whs_sample_not_a_secret"},
    # the one that api.video prints, with the signature that it makes
    "apivideo": {"webhook_XXXXXXXXXXXXXXX": "sig_sec_0000000000000000000000"},
    "apsaravideo": {"auth_key_samples": "Sample1KeyNotASecret"},
}
"""What the signatures of the other platforms' samples are made with, as each platform's secret holds it."""

SAMPLE_BASE_URL = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
"""Where the samples' API is."""


def main() -> None:
    for file in callback_samples(EVENTS):
        before = file.read_text()
        after = text(signed(json.loads(before), file))
        if after != before:
            file.write_text(after)
            print(f"signed {file.relative_to(ROOT)}")


def callback_samples(events: Path) -> Iterator[Path]:
    """Every `<provider>/<callback>/<case>.json` that is a request to a callback's route."""
    for file in sorted(events.glob("*/*/*.json")):
        if json.loads(file.read_text()).get("rawPath", "").startswith("/callbacks/"):
            yield file


def signed(request: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The request with all that follows from where its file stands, and from its body.

    The job is a new one, so that the sample is adopted when it first comes.
    """
    provider, callback, case = *file.parts[-3:-1], file.stem
    if provider in SIGNERS:
        return _signed_by_platform(request, provider, callback)
    job_id = f"sample-{callback}-{case}"
    url = urlsplit(proofs.callback_url("", f"{provider}/{callback}", job_id, 1, key=SAMPLE_CALLBACK_KEY))
    route = f"POST {url.path}"
    context = request["requestContext"]
    return {
        **request,
        "routeKey": route,
        "rawPath": url.path,
        "rawQueryString": url.query,
        "queryStringParameters": dict(parse_qsl(url.query)),
        "headers": {**request["headers"], "content-length": str(_length(request))},
        "requestContext": {**context, "routeKey": route, "http": {**context["http"], "path": url.path}},
    }


def _signed_by_platform(request: Mapping[str, Any], provider: str, callback: str) -> dict[str, Any]:
    """A request that its headers prove: the moment is that of its arrival."""
    context = request["requestContext"]
    path = f"/callbacks/{provider}/{callback.replace('_', '-')}"
    route = f"POST {path}"
    headers = SIGNERS[provider](_body(request), context["timeEpoch"] // 1000, f"{SAMPLE_BASE_URL}{path}")
    return {
        **request,
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {**request["headers"], "content-length": str(_length(request)), **headers},
        "requestContext": {**context, "routeKey": route, "http": {**context["http"], "path": path}},
    }


def _sign_twelvelabs(body: bytes, moment: int, _url: str) -> dict[str, str]:
    [secret] = SAMPLE_SECRETS["twelvelabs"].values()
    made = hmac.digest(secret.encode(), f"{moment}.".encode() + body, "sha256").hex()
    return {"tl-signature": f"t={moment},v1={made}"}


def _sign_apivideo(body: bytes, _moment: int, _url: str) -> dict[str, str]:
    [(webhook, secret)] = SAMPLE_SECRETS["apivideo"].items()
    made = hmac.digest(secret.encode(), body, "sha256").hex()
    return {"x-api-video-webhookid": webhook, "x-api-video-signature": made}


def _sign_apsaravideo(_body: bytes, moment: int, url: str) -> dict[str, str]:
    [key] = SAMPLE_SECRETS["apsaravideo"].values()
    made = hashlib.md5(f"{url}|{moment}|{key}".encode(), usedforsecurity=False).hexdigest()
    return {"x-vod-timestamp": str(moment), "x-vod-signature": made}


SIGNERS: Mapping[str, Callable[[bytes, int, str], dict[str, str]]] = {
    "twelvelabs": _sign_twelvelabs,
    "apivideo": _sign_apivideo,
    "apsaravideo": _sign_apsaravideo,
}
"""The headers that prove a request, from its body, the moment (seconds since 1970) and the URL that was configured."""


def text(sample: Mapping[str, Any]) -> str:
    """A sample as its file holds it."""
    return json.dumps(sample, indent=2, ensure_ascii=False) + "\n"


def _body(request: Mapping[str, Any]) -> bytes:
    body: str = request["body"]
    return base64.b64decode(body) if request["isBase64Encoded"] else body.encode()


def _length(request: Mapping[str, Any]) -> int:
    return len(_body(request))


if __name__ == "__main__":
    main()
