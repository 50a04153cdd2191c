"""JSON: what callbacks must not contain, what answers may, and what we print."""

import ast
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_jobs import jsontext, nesting

from tests.cloudformation import ROOT

DIGITS = "9" * 5000  # Python itself reads 4,300
DEEP = 50

# text, what the strict reader makes of it (None: it refuses), what the tolerant one does
TEXTS: dict[str, tuple[str, Any]] = {
    "NaN": ('{"length": NaN}', {"length": None}),
    "Infinity": ("[Infinity, -Infinity]", [None, None]),
    "a number that only infinity holds": ('{"duration": 1e999}', {"duration": None}),
    "one below zero": ("[-1e999]", [None]),
    "a whole number that only infinity holds": (f"[{'9' * 400}]", [None]),
    "more digits than Python reads": (f'{{"size": {DIGITS}, "id": "m-1"}}', {"size": None, "id": "m-1"}),
    "half a surrogate pair": ('{"name": "a \\ud83d"}', {"name": "a \ufffd"}),
    "the other half": ('["\\ude00"]', ["\ufffd"]),
    "half a surrogate pair in a key": ('{"\\ud83d": 1}', {"\ufffd": 1}),
    "a key twice": ('{"status": "processing", "status": "done"}', {"status": "done"}),
    "a key twice further in": ('{"data": {"id": "m-1", "id": "m-2"}}', {"data": {"id": "m-2"}}),
    "a line break in a text": ('{"message": "two\nlines"}', {"message": "two\nlines"}),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_what_a_callback_must_not_contain_a_check_may_have_to_live_with(text: str, expected: Any) -> None:
    with pytest.raises(jsontext.NotJsonError):
        jsontext.read(text.encode())
    assert jsontext.read_answer(text.encode()) == expected


def test_an_answer_may_have_bytes_that_are_no_text() -> None:
    with pytest.raises(jsontext.NotJsonError):
        jsontext.read(b'{"name": "Gr\xfc\xdfe"}')
    assert jsontext.read_answer(b'\xef\xbb\xbf{"name": "Gr\xfc\xdfe"}') == {"name": "Gr\ufffd\ufffde"}


def test_what_is_nested_too_deeply_costs_an_answer_only_that() -> None:
    deep = f'{{"status": "ready", "x": {"[" * DEEP}1{"]" * DEEP}}}'

    found = jsontext.read_answer(deep.encode())

    assert found["status"] == "ready"
    assert nesting.too_deep(found) is None
    assert nesting.OMITTED in jsontext.write(found)


@pytest.mark.parametrize("text", ["", "<html>", '{"a": 1', "{'a': 1}", "[1,]", "[" * 200_000])
def test_what_is_no_json_is_none_for_either_reader(text: str) -> None:
    for read in (jsontext.read, jsontext.read_answer):
        with pytest.raises(jsontext.NotJsonError):
            read(text.encode())


NUMBERS = ["0", "-0", "1.5", "1e308", "-1e308", "1e-999", "123456789012345678901234567890", "9" * 308]


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_that_others_can_read_stay_as_they_are(text: str) -> None:
    found = jsontext.read(text.encode())

    assert math.isfinite(float(found))
    assert found == jsontext.read_answer(text.encode()) == json.loads(text)


# What no reader lets in, should it come in by another way.
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": math.nan, "b": [math.inf, 1]}, {"a": None, "b": [None, 1]}),
        ({"a": 10**5000}, {"a": None}),
        ({"a": "\ud83d", "b": "\U0001f600"}, {"a": "\ufffd", "b": "\U0001f600"}),
        ({"\ud83d": ("\ude00",)}, {"\ufffd": ["\ufffd"]}),
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_what_we_print_is_json_for_the_strictest_reader(value: Any, expected: Any, ascii_only: bool) -> None:
    text = jsontext.write(value, ascii_only=ascii_only)

    assert jsontext.read(text.encode()) == expected
    assert text.isascii() or not ascii_only


def test_what_is_json_is_printed_as_python_prints_it() -> None:
    value = {"b": "Grüße \U0001f600 \\ud83d", "a": [1, 1.5, None, True]}

    assert jsontext.write(value) == json.dumps(value)
    assert jsontext.write(value, ascii_only=False, separators=(",", ":"), sort_keys=True) == json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
    max_leaves=20,
)


@given(ANY)
def test_whatever_is_mended_can_be_printed_and_read_by_either_reader(value: Any) -> None:
    mended = jsontext.mended(value)

    assert jsontext.read(json.dumps(mended).encode()) == mended
    assert jsontext.read_answer(json.dumps(value).encode()) == mended
    assert jsontext.read(jsontext.write(value).encode()) == mended


WRITES_JSON_ITSELF = {
    "layers/shared/video_jobs/jsontext.py",  # for all others
    "layers/shared/video_jobs/platforms/apsaravideo/payloads.py",  # for the strict reader, which refuses what is none
    "layers/shared/video_jobs/aws/queues.py",  # for ourselves
}
STORES_WHAT_WAS_READ = "layers/shared/video_jobs/store/"


def test_what_others_read_is_written_in_one_place() -> None:
    writers = {
        str(file.relative_to(ROOT))
        for folder in ("layers/shared/video_jobs", "functions")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("dumps", "dump") and ast.unparse(node.value) == "json"
    }

    others = {name for name in writers - WRITES_JSON_ITSELF if not name.startswith(STORES_WHAT_WAS_READ)}
    assert not others, "write it with jsontext.write, which prints no NaN"
