"""Texts are UTF-8: no sender chooses the decoder that runs."""

import base64
import codecs
import json
from collections.abc import Iterator
from encodings.aliases import aliases
from typing import Any

import pytest
from video_jobs import forms
from video_jobs.store import jobs

from tests.api.calls import call
from tests.stack import API_KEY, Context, Stack, handler

INDEX, URL = "index-1", "https://example.com/lecture-1.mp4"
OTHERS = sorted(
    {*aliases.values(), "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"} - {"utf_8", "ascii"}
)
"""Every codec that Python has, for texts and for bytes."""


def part(name: str, value: bytes, kind: str | None = None, more: str = "") -> bytes:
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n{typed}\r\n'.encode() + value + b"\r\n"


def post(*parts: bytes, content_type: str = "multipart/form-data; boundary=B") -> dict[str, Any]:
    return post_body(b"".join(parts) + b"--B--\r\n", content_type)


def post_body(body: bytes, content_type: str) -> dict[str, Any]:
    event = {
        "requestContext": {"http": {"method": "POST"}, "stage": "$default"},
        "rawPath": "/twelvelabs/tasks",
        "headers": {"x-api-key": API_KEY, "content-type": content_type},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    answer: dict[str, Any] = handler("twelvelabs/api")(event, Context())
    return answer


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every codec that is looked for meanwhile by a name that was not known before."""
    names: list[str] = []

    def search(name: str) -> None:
        names.append(name)

    codecs.register(search)
    yield names
    codecs.unregister(search)


@pytest.mark.parametrize("charset", OTHERS)
def test_a_field_of_another_charset_is_refused_before_it_is_decoded(stack: Stack, charset: str) -> None:
    answer = post(part("index_id", b"x" * 800_000, f"text/plain; charset={charset}"), part("video_url", URL.encode()))

    said = json.loads(answer["body"])
    assert (answer["statusCode"], said["code"]) == (400, "parameter_invalid")
    assert "send UTF-8" in said["message"]
    assert stack.items() == []


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", "US-ASCII", " utf-8"])
def test_a_field_that_says_that_it_is_utf_8_is_read(stack: Stack, charset: str) -> None:
    metadata = part("user_metadata", '{"café": "ä"}'.encode(), f"application/json; charset={charset}")

    answer = post(part("index_id", INDEX.encode()), part("video_url", URL.encode()), metadata)

    assert answer["statusCode"] == 201, answer["body"]
    job = jobs.read(json.loads(answer["body"])["_id"])
    assert job is not None
    assert job.request.options["task"]["user_metadata"] == {"café": "ä"}


def test_no_name_that_a_sender_makes_up_is_looked_up(stack: Stack, looked_up: list[str]) -> None:
    for place in ("text/plain; charset=made-up-1", "video/mp4; charset=made-up-2"):
        post(part("index_id", b"1", place), part("video_file", b"1", place, "; filename=\"a\"; filename*=made-up-3''a"))
    post(part("index_id", b"1"), content_type="multipart/form-data; boundary=B; charset=made-up-4")
    post_body(b"{}", "application/json; charset=made-up-5")
    call("POST", "/jobs", raw=b"{}", headers={"content-type": "application/json; charset=made-up-6"})

    assert [name for name in looked_up if "made" in name] == []


def test_a_charset_that_is_refused_is_named_in_short() -> None:
    body = part("index_id", b"1", f"text/plain; charset={'x' * 3000}") + b"--B--\r\n"

    with pytest.raises(forms.NotAFormError) as raised:
        forms.read("multipart/form-data; boundary=B", body)

    assert len(str(raised.value)) < 120


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7"])
@pytest.mark.parametrize("says_so", [False, True])
def test_json_in_another_encoding_is_refused_whether_or_not_it_says_so(
    stack: Stack, encoding: str, says_so: bool
) -> None:
    kind = f"application/json; charset={encoding}" if says_so else "application/json"
    native = json.dumps({"provider": "videodb", "source": URL, "label": "für +A-"}, ensure_ascii=False).encode(encoding)
    task = json.dumps({"index_id": INDEX, "video_url": URL, "user_metadata": {"ä": 1}}, ensure_ascii=False).encode(
        encoding
    )

    answers = [
        call("POST", "/jobs", raw=native, headers={"content-type": kind}).status,
        post_body(task, kind)["statusCode"],
    ]

    if encoding == "utf-7":  # which is ASCII, and taken for that: nothing is decoded a second time
        assert [job["label"] for job in call("GET", "/jobs", query={"provider": "videodb"}).json["jobs"]] == [
            "f+APw-r +-A-"
        ]
    else:
        assert answers == [400, 400]
        assert stack.items() == []
