"""The sample events as the tests take them: the files in events/, and what events/README.md says of them."""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from local.samples import SAMPLE_BASE_URL, SIGNERS
from tests.cloudformation import ROOT
from tests.stack import CALLBACK_KEY, signed_query

EVENTS = ROOT / "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a table in the README."""

    certainty: str = ""
    end: str = ""
    """What the sample does: succeeded or failed, where it ends its step; hint or ignored, where it ends nothing."""
    detail: str | None = None
    """The reference of a step that succeeded, if it has one; the error's code of one that failed; the platform's id
    that a hint is about."""
    part: str | None = None
    """Of what in the step, and which word."""
    word: str | None = None


def names() -> list[str]:
    """Every sample: "videodb/upload/video_success"."""
    return sorted(str(file.relative_to(EVENTS).with_suffix("")) for file in EVENTS.rglob("*.json"))


def text(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text()


def read(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(text(name))
    return event


def rows() -> dict[str, Row]:
    """The README's rows, by sample."""
    found: dict[str, Row] = {}
    for line in (EVENTS / "README.md").read_text().splitlines():
        first, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        if not (line.startswith("| ") and (name := re.fullmatch(r"`([\w/]+)`", first))):
            continue
        assert name[1] not in found, f"{name[1]} stands in the README twice"
        if len(cells) < 4:
            found[name[1]] = Row()
            continue
        end = re.fullmatch(r"(succeeded|failed|ignored|hint)(?:: `(\S+)`)?(?: `([^`]+)` `([^`]+)`)?", cells[3])
        assert end, f"{name[1]}: {cells[3]} is nothing that a callback does"
        found[name[1]] = Row(certainty=cells[2], end=end[1], detail=end[2], part=end[3], word=end[4])
    return found


EVERY_CALLBACK_SAMPLE = [name for name in names() if read(name).get("rawPath", "").startswith("/callbacks/")]
CALLBACK_SAMPLES = [name for name in EVERY_CALLBACK_SAMPLE if "token=" in read(name)["rawQueryString"]]
"""Of the platform that signs nothing: the token in their URL names the job."""
SIGNED_SAMPLES = [name for name in EVERY_CALLBACK_SAMPLE if name not in CALLBACK_SAMPLES]
"""Of the platforms that sign: their bodies name the platform's own ids."""
ROWS = rows()


def callback_of(sample: str) -> str:
    """The callback of a callback's sample: "videodb/upload"."""
    return sample.rpartition("/")[0]


ONE_OF_EACH_CALLBACK = list({callback_of(sample): sample for sample in reversed(CALLBACK_SAMPLES)}.values())
"""For what does not depend on the body."""
ONE_OF_EACH_SIGNED = list(
    {callback_of(name): name for name in reversed(SIGNED_SAMPLES) if ROWS.get(name, Row()).end == "hint"}.values()
)


ONE_OF_EACH = [*ONE_OF_EACH_CALLBACK, *ONE_OF_EACH_SIGNED]


def signed(sample: str, *, job: str = "job-1", attempt: int = 1, key: str = CALLBACK_KEY, **changes: Any) -> Any:
    """A callback's sample, as it comes for this attempt at this job."""
    return read(sample) | {"rawQueryString": signed_query(callback_of(sample), job, attempt, key=key)} | changes


def is_signed(sample: str) -> bool:
    """Whether its platform signs; else a token in its URL proves it."""
    return sample in SIGNED_SAMPLES


def proven(sample: str, *, said: bytes | str | None = None, job: str = "job-1", attempt: int = 1) -> dict[str, Any]:
    """A sample as it comes, with a proof that holds, or another body in its place."""
    event = read(sample)
    if said is not None:
        data = said.encode() if isinstance(said, str) else said
        event |= {"body": base64.b64encode(data).decode(), "isBase64Encoded": True}
    if not is_signed(sample):
        return event | {"rawQueryString": signed_query(callback_of(sample), job, attempt, key=CALLBACK_KEY)}
    url = f"{SAMPLE_BASE_URL}/callbacks/{callback_of(sample).replace('_', '-')}"
    moment = event["requestContext"]["timeEpoch"] // 1000
    return event | {"headers": event["headers"] | SIGNERS[sample.split("/")[0]](body(event), moment, url)}


def body(event: dict[str, Any]) -> bytes:
    """The body as it was sent."""
    return base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()


def words(value: Any) -> set[str]:
    """Every text in a JSON value that could be recognised elsewhere."""
    match value:
        case str():
            return {value} if len(value) > 4 else set()
        case dict():
            return set().union(*map(words, value.values()))
        case list():
            return set().union(*map(words, value))
    return set()
