"""The stack that `make local` keeps up: where other commands find it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from local.commands import LOCAL, StackError

FILE = LOCAL / "stack.json"
LOCK = LOCAL / "stack.lock"


class RunningStack(BaseModel, frozen=True):
    """`platforms`: addresses of the simulated platforms, by provider."""

    api_url: str
    api_key: str
    notify_key: str
    endpoint_url: str
    stack_name: str
    platforms: dict[str, str]


@contextmanager
def the_only_one() -> Iterator[None]:
    """Held by `make local` from its start to its end; the system lets go of it however that process ends."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"`make local` runs already, as process {LOCK.read_text()}. End it there first.") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        FILE.unlink(missing_ok=True)  # of one that was killed
        yield


@contextmanager
def written_down(stack: RunningStack) -> Iterator[None]:
    """Readable as a whole or not at all, and gone when the stack is."""
    unfinished = FILE.with_suffix(".new")
    unfinished.write_text(stack.model_dump_json(indent=2) + "\n")
    unfinished.replace(FILE)
    try:
        yield
    finally:
        FILE.unlink(missing_ok=True)


def find() -> RunningStack | None:
    """None also when a killed `make local` left its file behind."""
    if not FILE.exists() or not _is_held(LOCK):
        return None
    return RunningStack.model_validate_json(FILE.read_text())


def remove_leftovers() -> None:
    """What a killed `make local` has written down."""
    if not _is_held(LOCK):
        FILE.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
