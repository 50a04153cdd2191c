"""The sample events of callbacks: the key that they are signed with, and the command that signs them.

After you have added or changed one (copy a neighbour, put in the body): `python -m local.samples`.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from video_jobs import tokens

from local.commands import ROOT

EVENTS = ROOT / "events"

SAMPLE_CALLBACK_KEY = "video-jobs-sample-key-not-a-secret"
"""Published on purpose: samples are accepted by the local stack, which adds this key to its own, and nowhere else."""


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
    job_id = f"sample-{callback}-{case}"
    url = urlsplit(tokens.callback_url("", f"{provider}/{callback}", job_id, 1, key=SAMPLE_CALLBACK_KEY))
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


def text(sample: Mapping[str, Any]) -> str:
    """A sample as its file holds it."""
    return json.dumps(sample, indent=2, ensure_ascii=False) + "\n"


def _length(request: Mapping[str, Any]) -> int:
    body: str = request["body"]
    return len(base64.b64decode(body) if request["isBase64Encoded"] else body.encode())


if __name__ == "__main__":
    main()
