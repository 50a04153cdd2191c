"""Other commands find the stack of `make local`, and only while it is up."""

from pathlib import Path

import pytest

from local import running
from local.commands import StackError

STACK = running.RunningStack(
    api_url="http://127.0.0.1:1/api",
    api_key="key",
    notify_key="whsec_key",
    endpoint_url="http://127.0.0.1:1",
    stack_name="video-jobs",
    platforms={"videodb": "http://127.0.0.1:2"},
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running, "FILE", tmp_path / "stack.json")
    monkeypatch.setattr(running, "LOCK", tmp_path / "stack.lock")
    return tmp_path


def test_a_stack_is_found_while_it_is_up_and_not_after() -> None:
    with running.the_only_one(), running.written_down(STACK):
        assert running.find() == STACK

    assert running.find() is None


def test_a_file_left_behind_by_a_killed_one_is_no_stack(folder: Path) -> None:
    (folder / "stack.json").write_text(STACK.model_dump_json())

    assert running.find() is None
    with running.the_only_one():
        assert running.find() is None


def test_the_next_start_of_any_stack_removes_what_a_killed_one_wrote_down(folder: Path) -> None:
    (folder / "stack.json").write_text(STACK.model_dump_json())

    running.remove_leftovers()

    assert not (folder / "stack.json").exists()


def test_a_start_leaves_what_a_running_one_wrote_down() -> None:
    with running.the_only_one(), running.written_down(STACK):
        running.remove_leftovers()
        assert running.find() == STACK


def test_there_is_one_at_a_time() -> None:
    with (
        running.the_only_one(),
        pytest.raises(StackError, match="runs already, as process"),
        running.the_only_one(),
    ):
        pass


def test_one_can_follow_another() -> None:
    for _ in range(2):
        with running.the_only_one(), running.written_down(STACK):
            assert running.find() == STACK
