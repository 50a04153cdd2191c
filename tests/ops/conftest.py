"""What all tests of the local commands share."""

from pathlib import Path

import pytest

from local import running


@pytest.fixture(autouse=True)
def no_stack_of_yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever `make local` keeps up on this machine, or has left behind, is none of the tests' business."""
    monkeypatch.setattr(running, "FILE", tmp_path / "stack.json")
    monkeypatch.setattr(running, "LOCK", tmp_path / "stack.lock")
