"""Whatever is sent to our own API, it answers as its document says."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.calls import PROBLEM, SOURCE, Answer, call, create
from tests.cloudformation import ROOT
from tests.stack import Stack

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
OPERATIONS = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]

many = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 3, 1e-7, 1e300, 10**400])
texts = st.text(max_size=30) | st.sampled_from(
    ["", "\x00", "videodb", "video", "m-1", SOURCE, "upload", "é", "\U0001f3ac"]
)
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
STEPS = ("upload", "index_spoken_words", "index_scenes", "extract_scenes")
MEDIA_TYPES = ("video", "audio", "image")


@st.composite
def mostly(draw: st.DrawFn, usual: st.SearchStrategy[Any]) -> Any:
    """What fits; one time in ten something else."""
    return draw(anything if draw(st.integers(0, 9)) == 0 else usual)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these fields, each of which mostly fits."""
    return st.fixed_dictionaries({}, optional={name: mostly(value) for name, value in fields.items()})


documents = st.dictionaries(texts, anything, max_size=3)
extraction = {"extraction_type": st.sampled_from(["shot", "time", "transcript"]), "extraction_config": documents}
almost_options = some(
    upload=some(name=texts, description=texts, collection_id=st.just("c-1")),
    index_spoken_words=some(language_code=st.just("en_us"), force=st.booleans()),
    index_scenes=some(
        metadata=documents, model_config=documents, scenes=st.lists(anything, max_size=3), prompt=texts, **extraction
    ),
    extract_scenes=some(force=st.booleans(), **extraction),
)
media = (
    st.fixed_dictionaries({"source": mostly(st.just(SOURCE))})
    | st.fixed_dictionaries({"source": mostly(st.just(SOURCE)), "media_type": mostly(st.sampled_from(MEDIA_TYPES))})
    | st.fixed_dictionaries({"media_id": mostly(st.sampled_from(["m-1", "a-1", "img-1", "x-1"]))})
)
almost_requests = st.builds(
    lambda *parts: dict(pair for part in parts for pair in part.items()),
    st.fixed_dictionaries({"provider": mostly(st.just("videodb"))}),
    media,
    some(
        steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=4),
        options=almost_options,
        label=texts.filter(bool),
        retry=some(max_attempts=st.integers(1, 10), base_delay=st.floats(0, 300)),
    ),
)
bodies = (
    st.none()
    | almost_requests.map(json.dumps).map(str.encode)
    | anything.map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "idempotency-key": texts.filter(bool),
        "cookie": texts,
        "authorization": texts,
        "content-type": st.sampled_from(["application/json", "Application/JSON;x", "a/b+json", "text/plain", ""]),
    },
)
queries = st.dictionaries(
    st.sampled_from(["provider", "status", "label", "limit", "cursor"]) | texts,
    texts
    | numbers.map(str)
    | st.sampled_from(["pending", "2026-11-22T12:00:00.000Z#job-1", "2026-11-22T12:00:00.000Z#\x00", "0." + "0" * 32]),
    max_size=4,
)


def check(method: str, path: str, answer: Answer) -> None:
    """Never our fault, and either what the document says or a problem."""
    assert answer.status < 500
    responses = DOCUMENT["paths"].get(path, {}).get(method.lower(), {}).get("responses", {})
    if answer.status >= 400:
        assert answer.headers["content-type"] == PROBLEM
        assert answer.code
        return
    documented = responses[str(answer.status)]["content"]
    if documented:
        assert answer.headers["content-type"] in documented
        assert isinstance(answer.json, dict)
    else:
        assert answer.text == ""


@many
@given(body=almost_requests)
def test_almost_requests_make_a_job_that_can_be_shown_or_are_refused(stack: Stack, body: Any) -> None:
    stack.clear()

    answer = call("POST", "/jobs", body)

    check("POST", "/jobs", answer)
    if answer.status == 201:
        shown = call("GET", answer.headers["location"])
        assert (shown.status, shown.json) == (200, answer.json)
        check("GET", "/jobs", call("GET", "/jobs", query={"limit": 1}))


@many
@given(body=bodies, sent=headers)
def test_no_body_is_too_much(stack: Stack, body: bytes | None, sent: dict[str, str]) -> None:
    check("POST", "/jobs", call("POST", "/jobs", raw=body, headers=sent))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@settings(many, max_examples=50)
@given(data=st.data())
def test_every_route_answers_as_documented(stack: Stack, method: str, path: str, data: st.DataObject) -> None:
    stack.clear()
    known = {"job_id": create().json["job_id"], "video_id": "m-1"}
    if "{video_id}" in path:
        call("POST", "/jobs", {"provider": "videodb", "media_id": "m-1"}, headers={"idempotency-key": "m-1"})
    anything_else = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=200)

    def segment(parameter: re.Match[str]) -> str:
        return data.draw(st.just(known.get(parameter[1], "unknown")) | anything_else)

    at = re.sub(r"\{(\w+)\}", segment, path)

    answer = call(method, at, raw=data.draw(bodies), query=data.draw(queries), headers=data.draw(headers))

    check(method, path, answer)
