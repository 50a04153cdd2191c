"""Commands that the local stack runs: to their end, into a log of their own."""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCAL = ROOT / ".local"
LOGS = LOCAL / "logs"
TOOLS = ROOT / ".tools"
"""Programs with environments of their own, which `make setup` installs."""
TAIL = 15


class StackError(Exception):
    """The local stack cannot be had. The message is for the person who asked for it: what failed, and what to do."""


def run(command: Sequence[str], *, env: Mapping[str, str], log: Path) -> None:
    """Returns when the command has succeeded. However this ends, nothing that the command started goes on."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise failure(f"{shlex.join(command)}\nended with exit code {code}", log)


def failure(what: str, log: Path) -> StackError:
    """An error that shows how the log ends, and where all of it is."""
    lines = log.read_text(errors="replace").splitlines()[-TAIL:]
    return StackError("\n".join([what, *(f"  | {line}" for line in lines), f"All of it: {os.path.relpath(log)}"]))
