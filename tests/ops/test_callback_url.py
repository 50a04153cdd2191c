"""`make callback-url`: a URL that the callback functions accept, or a message that says what was wrong."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from video_jobs.callbacks import proofs

from local import deploy, running
from local.commands import StackError
from ops import callback_url
from tests.stack import CALLBACK_KEY, Stack


@pytest.fixture(autouse=True)
def a_stack_in_aws(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "find", lambda: None)
    outputs = {"ApiUrl": "https://api.example.com", "CallbackKeysSecret": "CALLBACK_KEYS_SECRET"}
    monkeypatch.setattr(deploy, "outputs", lambda _cloudformation, _name: outputs)


def test_the_url_lets_its_owner_in_for_that_callback_of_that_job(stack: Stack) -> None:
    parts = urlsplit(callback_url.url("videodb/index_scenes", "my-job", ""))
    assert (parts.netloc, parts.path) == ("api.example.com", "/callbacks/videodb/index-scenes")
    query = parse_qs(parts.query)
    assert query["job"] == ["my-job"]
    assert proofs.holds(query["token"][0], "videodb/index_scenes", "my-job", 1, keys=[CALLBACK_KEY])
    body = json.dumps({"success": True, "data": {"scene_index_id": "f4db35c5ce45a709"}})
    assert stack.callback("videodb/index_scenes", body, query=parts.query)["outcome"] == "accepted"


@pytest.mark.parametrize(
    ("callback", "job", "says"),
    [("videodb/nothing", "my-job", "videodb/upload"), ("videodb/upload", "", "JOB"), ("videodb/upload", "a b", "JOB")],
)
def test_a_mistake_is_told(callback: str, job: str, says: str) -> None:
    with pytest.raises(StackError, match=says):
        callback_url.url(callback, job, "")
