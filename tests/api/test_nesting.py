"""What is taken in can be stored and shown: JSON is not nested more deeply than that."""

import json
from typing import Any

import pytest
from video_jobs import nesting
from video_jobs.jobs import transitions
from video_jobs.jobs.model import StepRunning, StepSucceeded
from video_jobs.store import jobs

from tests.api.calls import Answer, call, create
from tests.scripted import new_job
from tests.stack import Stack

pytestmark = pytest.mark.usefixtures("stack")


def nested(levels: int, *, lists: bool = False) -> Any:
    """A value of so many levels of objects, or lists."""
    found: Any = "the bottom"
    for _ in range(levels):
        found = [found] if lists else {"a": found}
    return found


OPEN_ENDED = {
    "videodb extraction": ("videodb", ("index_scenes", "extraction_config"), False),
    "videodb metadata": ("videodb", ("index_scenes", "metadata"), False),
    "videodb model": ("videodb", ("index_scenes", "model_config"), False),
    "videodb scenes": ("videodb", ("index_scenes", "scenes"), True),
    "videodb other extraction": ("videodb", ("extract_scenes", "extraction_config"), False),
    "apivideo clip": ("apivideo", ("upload", "clip"), False),
    "apivideo watermark": ("apivideo", ("upload", "watermark"), False),
}
"""Every option in which callers may say what they like: whose, where, and whether it is a list."""
BEFORE = 4
"""Levels of a body, its options, a step's and one of those."""


def asked(name: str, levels: int) -> dict[str, Any]:
    provider, (step, option), lists = OPEN_ENDED[name]
    return {"provider": provider, "options": {step: {option: nested(levels, lists=lists)}}}


@pytest.mark.parametrize("name", OPEN_ENDED)
def test_options_as_deep_as_we_take_are_stored_and_shown_word_for_word(name: str) -> None:
    wanted = asked(name, nesting.DEEPEST - BEFORE + 1)

    made = create(**wanted)

    assert made.status == 201, made.json
    shown = call("GET", f"/jobs/{made.json['job_id']}")
    _, (step, option), _ = OPEN_ENDED[name]
    assert shown.json["options"][step][option] == wanted["options"][step][option]
    assert nesting.OMITTED not in shown.text


@pytest.mark.parametrize("levels", [nesting.DEEPEST - BEFORE + 2, 100, 251, 253, 260, 900, 5000])
@pytest.mark.parametrize("name", OPEN_ENDED)
def test_deeper_options_are_refused_and_nothing_is_stored(stack: Stack, name: str, levels: int) -> None:
    for path, more in (("/jobs", {"source": "https://example.com/1.mp4"}), ("/batches", {"sources": [], "open": True})):
        wanted = asked(name, 1) | more
        provider_step, option = OPEN_ENDED[name][1]
        text = json.dumps(wanted | {"options": {provider_step: {option: "HERE"}}})
        lists = OPEN_ENDED[name][2]
        deep = ("[" if lists else '{"a":') * levels + "1" + ("]" if lists else "}") * levels

        answer = call("POST", path, text=text.replace('"HERE"', deep))

        assert_is_too_deep(answer)
        if levels < 5000:
            assert answer.fields[0].startswith(f"body.options.{provider_step}.{option}.")
    assert stack.items() == []
    assert stack.messages("VideoDbQueue") == stack.messages("BatchesQueue") == []


def assert_is_too_deep(answer: Answer) -> None:
    assert answer.status in (400, 422)
    assert "nested too deeply" in answer.text.lower()
    if answer.status == 422:
        assert answer.code == "invalid_request"
        assert f"{nesting.DEEPEST} levels" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    "body",
    [
        nested(nesting.DEEPEST + 1),
        nested(nesting.DEEPEST + 1, lists=True),
        {"provider": "videodb", "source": "https://example.com/1.mp4", "retry": nested(nesting.DEEPEST)},
        {"provider": "videodb", "source": nested(nesting.DEEPEST)},
        {"k" * 5000: nested(nesting.DEEPEST)},
    ],
)
def test_any_part_of_a_body_may_be_too_deep_and_is_named_in_short(body: Any) -> None:
    answer = call("POST", "/jobs", body)

    assert_is_too_deep(answer)
    assert len(answer.text) < 2000


@pytest.mark.parametrize("levels", [nesting.DEEPEST, 300, 5000, 100_000])
@pytest.mark.parametrize("as_form", [False, True], ids=["JSON", "a form"])
def test_a_task_with_deep_metadata_is_refused_in_twelvelabs_shape(stack: Stack, levels: int, as_form: bool) -> None:
    deep = '{"a":' * levels + "1" + "}" * levels
    body = f'{{"index_id": "index-1", "video_url": "https://example.com/1.mp4", "user_metadata": {deep}}}'
    headers = {"content-type": "application/json"}
    if as_form:
        fields = {"index_id": "index-1", "video_url": "https://example.com/1.mp4", "user_metadata": deep}
        parts = (
            f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()
        )
        body = "".join(parts) + "--B--\r\n"
        headers["content-type"] = "multipart/form-data; boundary=B"

    answer = call("POST", "/twelvelabs/tasks", text=body, headers=headers)

    assert (answer.status, answer.json["code"]) == (400, "parameter_invalid")
    assert stack.items() == []


@pytest.mark.parametrize("levels", [nesting.DEEPEST, 260, 900])
def test_what_a_platform_nests_deeply_does_not_hide_the_job(stack: Stack, levels: int) -> None:
    job = new_job(plan=["upload"])
    claimed = transitions.claimed(jobs.create(job), "upload", now=job.created_at, lease=90)
    assert claimed is not None
    end = StepSucceeded(result={"id": "m-1", "more": nested(levels)})
    ended = transitions.step_ended(claimed, "upload", 1, end, now=job.created_at)
    assert ended is not None
    assert jobs.save(job, ended)

    shown = call("GET", "/jobs/job-1")

    assert shown.status == 200
    assert shown.json["steps"][0]["result"]["id"] == "m-1"
    assert nesting.OMITTED in json.dumps(shown.json["steps"][0]["result"])
    assert call("GET", "/jobs").status == 200


@pytest.mark.parametrize("levels", [0, 1, nesting.DEEPEST - 1, nesting.DEEPEST, nesting.DEEPEST + 1, 20_000])
@pytest.mark.parametrize("lists", [False, True])
def test_what_is_too_deep_is_found_and_made_shallow(levels: int, lists: bool) -> None:
    value = nested(levels, lists=lists)
    place = nesting.too_deep(value)

    assert (place is None) == (levels <= nesting.DEEPEST)
    assert place is None or place == tuple([0 if lists else "a"] * nesting.DEEPEST)
    made = nesting.shallow(value)
    assert nesting.too_deep(made) is None
    assert (made == value) if place is None else (nesting.OMITTED in json.dumps(made))
    assert StepRunning().result is None
