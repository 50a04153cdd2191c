"""Whatever happens to who started it, nothing goes on running, and a failure says where to look."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local import aws
from local.commands import StackError, run
from tests.cloudformation import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from local import aws
with aws.emulator(port=int(sys.argv[1]), bind="127.0.0.1", log=Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(60)
"""


def folders_of(port: int) -> list[Path]:
    return list((ROOT / ".local" / "run").glob(f"{port}-*"))


def eventually(fact: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.05)
    return fact()


def test_a_failed_command_shows_how_it_ended_and_where_all_of_it_is(tmp_path: Path) -> None:
    log = tmp_path / "command.log"

    with pytest.raises(StackError) as failed:
        run(["sh", "-c", "seq 100; exit 3"], env=os.environ, log=log)

    message = str(failed.value)
    assert "seq 100" in message
    assert "exit code 3" in message
    assert "| 100" in message
    assert "| 50\n" not in message
    assert "command.log" in message
    assert log.read_text().startswith("1\n2\n")


def test_an_interrupted_command_leaves_nothing_running(tmp_path: Path) -> None:
    child = tmp_path / "child"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(["sh", "-c", f"sleep 60 & echo $! >{child}; wait"], env=os.environ, log=tmp_path / "log")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    assert eventually(lambda: not _is_running(int(child.read_text())))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_ministack_ends_with_its_starter(tmp_path: Path, how: signal.Signals) -> None:
    port = aws.free_port()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(port), str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"

        holder.send_signal(how)
        holder.wait()

    assert eventually(lambda: not aws.is_taken(port))
    with aws.emulator(port=aws.free_port(), bind=aws.LOOPBACK, log=tmp_path / "next-log"):
        assert not folders_of(port)


def test_ministack_listens_on_the_loopback_interface_alone_and_cleans_up(tmp_path: Path) -> None:
    port = aws.free_port()

    with aws.emulator(port=port, bind=aws.LOOPBACK, log=tmp_path / "log") as emulator:
        assert emulator.url == f"http://127.0.0.1:{port}"
        assert _status(port) == http.HTTPStatus.OK
        assert folders_of(port)

    assert not aws.is_taken(port)
    assert not folders_of(port)


def test_what_a_killed_run_left_behind_is_removed_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "LOCAL", tmp_path)
    monkeypatch.setattr(aws, "RUNS", tmp_path / "run")
    log = tmp_path / "log"
    left = tmp_path / "run" / "4566-killed"
    nothing_of_ours = tmp_path / "run" / ".DS_Store"
    (left / "layers").mkdir(parents=True)
    nothing_of_ours.touch()

    with aws.emulator(port=aws.free_port(), bind=aws.LOOPBACK, log=log):
        (ours,) = (found for found in (tmp_path / "run").iterdir() if found != nothing_of_ours)
        assert ours != left
        with aws.emulator(port=aws.free_port(), bind=aws.LOOPBACK, log=log):
            assert ours.exists(), "it is used"

    assert list((tmp_path / "run").iterdir()) == [nothing_of_ours]


def test_a_taken_port_is_said_so_at_once(tmp_path: Path) -> None:
    with aws.emulator(port=(port := aws.free_port()), bind=aws.LOOPBACK, log=tmp_path / "log"):
        with (
            pytest.raises(StackError, match=f"Port {port} is taken"),
            aws.emulator(port=port, bind=aws.LOOPBACK, log=tmp_path / "other-log"),
        ):
            pass
        assert _status(port) == http.HTTPStatus.OK


def _status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/_ministack/health")
    status = connection.getresponse().status
    connection.close()
    return status


def _is_running(pid: int) -> bool:
    """A process that has ended, but that nobody waited for, is not."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")
