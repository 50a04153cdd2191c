"""What `make watch` shows of a batch, and how it ends."""

import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import ioctl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyte
import pytest
from rich.console import Console
from video_jobs.api.views import BatchTotals, BatchView
from video_jobs.jobs.batches import BatchStatus
from wcwidth import wcswidth

from local import deploy, running
from local.commands import StackError
from ops import watch
from ops.watch import BatchApi, CannotAskError, Screen
from tests.cloudformation import ROOT
from tests.patches import change
from tests.stack import API_KEY, Stack

BATCH_ID = "b-1"
PATIENCE_SECONDS = 60


def view(
    *,
    version: int = 1,
    status: BatchStatus = BatchStatus.RUNNING,
    name: str | None = "autumn",
    causes: Mapping[str, int] | None = None,
    rate: float | None = None,
    closed: bool = True,
    **totals: int,
) -> BatchView:
    causes = causes or {}
    counted = {"waiting": 0, "open": 0, "succeeded": 0, "failed": sum(causes.values()), "canceled": 0}
    counted |= totals
    total = sum(counted.values())
    return BatchView(
        batch_id=BATCH_ID,
        name=name,
        provider="videodb",
        status=status,
        closed=closed,
        canceled=False,
        total=total,
        totals=BatchTotals(**counted),
        causes=dict(causes),
        progress=0.0,
        rate=rate,
        version=version,
        created_at="2026-11-01T10:00:00.000Z",
        started_at="2026-11-01T10:00:10.000Z",
        ended_at="2026-11-01T10:02:40.000Z" if status == BatchStatus.ENDED else None,
    )


HALF = view(version=5, succeeded=2, open=2, rate=12.0)
ALL_WELL = view(version=9, status=BatchStatus.ENDED, succeeded=4, rate=12.0)
SOME_FAILED = view(
    version=9, status=BatchStatus.ENDED, succeeded=1200, causes={"download_failed": 1000, "timed_out": 7}, canceled=2
)

type Scripted = BatchView | tuple[int, bytes] | None
"""An answer; None closes the connection without one."""


@dataclass
class Api:
    """A server on loopback that answers what a test has written down, the last answer for ever."""

    script: Sequence[Scripted]
    asked: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    hold: threading.Event = field(default_factory=threading.Event)
    """Answers after the last one of the script come when it is set."""
    url: str = ""

    def api(self) -> BatchApi:
        return BatchApi(self.url, API_KEY, "the stack")

    def questions(self) -> list[dict[str, list[str]]]:
        return [parse_qs(urlsplit(path).query) for path in self.asked]


@contextmanager
def serving(*script: Scripted) -> Iterator[Api]:
    api = Api(script)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.asked.append(self.path)
            api.keys.add(self.headers["x-api-key"])
            if len(api.asked) > len(script):
                api.hold.wait(PATIENCE_SECONDS)
            answer = script[min(len(api.asked), len(script)) - 1]
            if answer is None:
                self.close_connection = True
                return
            status, body = (200, answer.model_dump_json().encode()) if isinstance(answer, BatchView) else answer
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield api
        finally:
            api.hold.set()
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have slept."""
    slept: list[float] = []
    change(monkeypatch, watch, time, sleep=slept.append)
    return slept


@pytest.fixture
def screen() -> Screen:
    return Screen(Console(highlight=False, width=80), moves=False)


# --- How it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (ALL_WELL, watch.ALL_WELL),
        (SOME_FAILED, watch.SOME_NOT),
        (view(version=9, status=BatchStatus.ENDED, succeeded=3, canceled=1), watch.SOME_NOT),
        (view(version=9, status=BatchStatus.ENDED), watch.ALL_WELL),  # closed before anything came
    ],
    ids=["all succeeded", "some failed", "one canceled", "empty"],
)
def test_the_exit_code_says_whether_all_has_succeeded(screen: Screen, end: BatchView, code: int) -> None:
    with serving(HALF, end) as api:
        assert watch.watch(api.api(), BATCH_ID, screen) == code


def test_it_asks_at_first_at_once_and_then_waits_for_changes(screen: Screen) -> None:
    with serving(view(version=1, open=4), HALF, HALF, ALL_WELL) as api:
        watch.watch(api.api(), BATCH_ID, screen)
    wait = str(watch.WAIT_SECONDS)
    assert api.questions() == [
        {},
        {"wait": [wait], "since": ["1"]},
        {"wait": [wait], "since": ["5"]},
        {"wait": [wait], "since": ["5"]},
    ]
    assert {urlsplit(path).path for path in api.asked} == {f"/batches/{BATCH_ID}"}
    assert api.keys == {API_KEY}


def test_a_batch_that_changes_all_the_time_is_not_asked_for_all_the_time(screen: Screen, pauses: list[float]) -> None:
    changes = [view(version=number, open=4) for number in range(1, 6)]
    with serving(*changes, ALL_WELL) as api:
        watch.watch(api.api(), BATCH_ID, screen)
    assert len(pauses) == len(changes)
    assert all(0 < pause <= screen.pace for pause in pauses)


def test_an_id_is_one_part_of_the_path(screen: Screen) -> None:
    with serving(ALL_WELL) as api:
        watch.watch(api.api(), "../jobs?limit=1#", screen)
    assert api.asked == ["/batches/..%2Fjobs%3Flimit%3D1%23"]


# --- What goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ((500, b"{}"), "the stack answered 500"),
        ((503, b"<html>"), "the stack answered 503"),
        ((429, b"{}"), "the stack answered 429"),
        (None, "no answer from the stack (ProtocolError)"),
        ((200, b"<html>not the API</html>"), "the stack answered what is no batch"),
        ((200, b'{"batch_id": "b-1"}'), "the stack answered what is no batch"),
    ],
)
def test_what_may_pass_is_told_and_asked_again(
    screen: Screen, fault: Scripted, says: str, capsys: pytest.CaptureFixture[str], pauses: list[float]
) -> None:
    with serving(HALF, fault, fault, ALL_WELL) as api:
        assert watch.watch(api.api(), BATCH_ID, screen) == watch.ALL_WELL
    said = capsys.readouterr().out.splitlines()
    assert said[1:3] == [f"{says}; asks again in 1 s", f"{says}; asks again in 2 s"]
    assert pauses[1:3] == [1, 2]
    assert api.questions()[1:] == [api.questions()[1]] * 3  # it still waits for the same change


def test_a_stack_that_nobody_finds_is_given_up_in_the_end(screen: Screen, pauses: list[float]) -> None:
    with serving(ALL_WELL) as api:
        gone = api.api()
    with pytest.raises(CannotAskError, match=r"no answer from the stack.*Gave up after 12 tries"):
        watch.watch(gone, BATCH_ID, screen)
    assert len(pauses) == watch.PATIENCE - 1
    assert max(pauses) == watch.LONGEST_PAUSE_SECONDS


def test_only_failures_in_a_row_count(screen: Screen) -> None:
    failures: list[Scripted] = [(500, b"")] * (watch.PATIENCE - 1)
    with serving(*failures, HALF, *failures, ALL_WELL) as api:
        assert watch.watch(api.api(), BATCH_ID, screen) == watch.ALL_WELL


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, b'{"message": "Unauthorized"}'), "does not accept the API key"),
        ((403, b'{"message": "Forbidden"}'), "does not accept the API key"),
        ((404, b'{"code": "not_found"}'), "the stack has no batch b-1"),
        ((422, b'{"detail": "The batch_id is too long."}'), "answered 422: The batch_id is too long"),
        ((400, b"\x1b[2Jnothing that is JSON"), "answered 400: \N{REPLACEMENT CHARACTER}.2Jnothing"),
        ((302, b""), "answered 302"),
    ],
)
def test_what_does_not_pass_is_named_once(screen: Screen, answer: Scripted, says: str, pauses: list[float]) -> None:
    with serving(answer) as api, pytest.raises(CannotAskError, match=says):
        watch.watch(api.api(), BATCH_ID, screen)
    assert len(api.asked) == 1
    assert pauses == []


# --- Which stack -----------------------------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["watch", *arguments])
    return watch.main()


def test_a_stack_in_aws_is_found_by_its_outputs_and_its_secret(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"ApiUrl": "https://api.example.com", "ApiKeysSecret": "API_KEYS_SECRET"}
    monkeypatch.setattr(deploy, "outputs", lambda _cloudformation, name: outputs if name == "mine" else {})
    assert watch.find("mine") == BatchApi("https://api.example.com", API_KEY, "the AWS stack mine")


def test_without_a_name_it_is_the_one_of_make_local(monkeypatch: pytest.MonkeyPatch) -> None:
    local = running.RunningStack(
        api_url="http://127.0.0.1:1/api",
        api_key="k",
        notify_key="whsec_k",
        endpoint_url="http://127.0.0.1:1",
        stack_name="s",
        platforms={},
    )
    monkeypatch.setattr(running, "find", lambda: local)
    assert watch.find("") == BatchApi(local.api_url, "k", "the local stack (http://127.0.0.1:1)")


@pytest.mark.parametrize("batch", [[], ["--batch", ""]])
def test_without_a_batch_it_says_what_to_type_and_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], batch: list[str]
) -> None:
    assert run(monkeypatch, *batch) == watch.NOT_ASKED
    said = capsys.readouterr().err
    assert "make watch BATCH=" in said
    assert "Asks" not in said


def test_a_stack_that_is_not_there_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(_name: str) -> BatchApi:
        raise StackError("the AWS stack nowhere does not exist")

    monkeypatch.setattr(watch, "find", nothing)
    assert run(monkeypatch, "--batch", "b", "--stack", "nowhere") == watch.NOT_ASKED
    assert capsys.readouterr().err == "the AWS stack nowhere does not exist\n"


# --- What it shows ---------------------------------------------------------------------------------------------------


def test_where_nothing_moves_each_answer_is_a_line_and_the_end_says_why(
    screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(
        view(version=1, waiting=2209), view(version=2, succeeded=1104, open=1105, rate=60), SOME_FAILED
    ) as api:
        watch.watch(api.api(), BATCH_ID, screen)
    assert capsys.readouterr().out.splitlines() == [
        "0/2,209  0 failed",
        "1,104/2,209  0 failed  60/min  0:18:25 left",
        "2,209/2,209  1,007 failed",
        "autumn: 2,209 jobs in 0:02:30: 1,200 succeeded, 1,007 failed, 2 canceled",
        "  1,000  download_failed",
        "      7  timed_out",
        'Those of one cause are tried again by POST /batches/b-1/retry with {"cause": "download_failed"}',
    ]


def test_a_name_is_shown_and_not_obeyed(screen: Screen, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[31m[red]\r\n\u202e:smile:\x9b2J"
    with serving(ALL_WELL.model_copy(update={"name": evil})) as api:
        watch.watch(api.api(), BATCH_ID, screen)
    assert "\n?[31m[red]???:smile:?2J: 4 jobs" in capsys.readouterr().out.replace("\N{REPLACEMENT CHARACTER}", "?")


@pytest.mark.parametrize(
    ("rate", "left"),
    [(0.001, "long left"), (0.02, "69 d left"), (0.5, "3 d left"), (60.0, "0:33:20 left"), (1e9, "0:00:00 left")],
)
def test_the_time_that_is_left_is_short_to_read(rate: float, left: str) -> None:
    assert watch._left(view(open=2000, rate=rate)) == left


def test_an_open_batch_whose_jobs_have_all_ended_is_open() -> None:
    assert watch._left(view(succeeded=3, rate=60.0, closed=False)) == "open"
    assert watch._left(view(succeeded=3, rate=60.0)) == ""


PROGRAM = """
import signal
import sys
from ops import watch
url = sys.argv.pop()
watch.PACE_SECONDS = watch.LINE_SECONDS = 0
watch.find = lambda _name: watch.BatchApi(url, "k", "the stack")
signal.signal(signal.SIGINT, watch._interrupt)
sys.exit(watch.main())
"""


class Terminal:
    """`make watch` on a pseudo terminal, and what stands on its screen."""

    def __init__(self, url: str, environment: Mapping[str, str], *, columns: int, lines: int = 12) -> None:
        self.display = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.display)
        self.raw = b""
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR", "CI")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--batch", BATCH_ID, url],
            env=kept | {"TERM": "xterm-256color", "PYTHONUTF8": "1"} | dict(environment),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    @property
    def picture(self) -> list[str]:
        """The lines that are not empty."""
        return [line.rstrip() for line in self.display.display if line.strip()]

    def until(self, seen: Callable[[list[str]], bool]) -> list[str]:
        while not seen(self.picture):
            if not self._read():
                raise AssertionError(f"ended before that was seen:\n{'\n'.join(self.picture)}")
        return self.picture

    def end(self) -> int:
        while self._read():
            pass
        return self._process.wait(PATIENCE_SECONDS)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def _read(self) -> bool:
        try:
            some = os.read(self._ours, 4096)
        except OSError:  # the other end is closed
            return False
        self.raw += some
        self._stream.feed(some)
        return bool(some)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)


@contextmanager
def terminal(api: Api, *, columns: int = 90, **environment: str) -> Iterator[Terminal]:
    found = Terminal(api.url, environment, columns=columns)
    try:
        yield found
    finally:
        api.hold.set()
        found.close()


def test_on_a_terminal_one_line_is_drawn_over_and_over() -> None:
    changes = [view(version=n, succeeded=n, open=400 - n, rate=600) for n in range(1, 200)]
    with serving(*changes, SOME_FAILED) as api, terminal(api) as shown:
        assert shown.end() == watch.SOME_NOT
        bar, *words = shown.picture
    assert bar.startswith("autumn ")
    assert bar.endswith("2,209/2,209 1,007 failed")
    assert [line.strip() for line in words[:3]] == [
        "autumn: 2,209 jobs in 0:02:30: 1,200 succeeded, 1,007 failed, 2 canceled",
        "1,000  download_failed",
        "7  timed_out",
    ]
    assert b"\x1b[?25h" in shown.raw  # the cursor is back


def test_while_it_runs_the_line_says_how_many_how_fast_and_how_long() -> None:
    running_on = view(version=2, succeeded=1000, open=1000, causes={"download_failed": 200}, rate=100)
    with serving(running_on, running_on) as api, terminal(api) as shown:
        [bar] = shown.until(lambda picture: bool(picture) and picture[0].endswith("left"))
        assert bar.endswith("1,200/2,200 200 failed 100/min 0:10:00 left")


def test_where_there_is_little_room_the_numbers_stay_whole() -> None:
    running_on = view(version=2, succeeded=4000, open=6000, causes={"download_failed": 100}, rate=500)
    with serving(running_on, running_on) as api, terminal(api, columns=40) as shown:
        assert shown.until(bool) == ["4,100/10,100 100 failed 0:12:00 left"]


@pytest.mark.parametrize("columns", [40, 120])
@pytest.mark.parametrize(
    "name", ["autumn", "視頻" * 60, "e\u0301" * 100, "👩‍👩‍👧 family " * 12], ids=["short", "wide", "marks", "emoji"]
)
def test_the_line_is_one_line_whatever_the_name_and_the_width(name: str, columns: int) -> None:
    named = [view(version=n, name=name, succeeded=n, open=20 - n, rate=60) for n in range(1, 12)]
    with serving(*named) as api, terminal(api, columns=columns) as shown:
        shown.until(lambda picture: any("11/20" in line for line in picture))
        assert len(shown.picture) == 1
        assert wcswidth(shown.picture[0]) <= columns


def test_what_goes_wrong_stands_above_the_line() -> None:
    with serving(HALF, None, HALF.model_copy(update={"version": 6}), ALL_WELL) as api, terminal(api) as shown:
        assert shown.end() == watch.ALL_WELL
        complaint, bar, end = shown.picture
    assert complaint == "no answer from the stack (ProtocolError); asks again in 1 s"
    assert bar.endswith("4/4  12/min")
    assert end == "autumn: 4 jobs in 0:02:30: 4 succeeded, 0 failed, 0 canceled"


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 0), (2, 2), (3, 2)])
def test_make_says_error_only_where_the_batch_could_not_be_watched(tmp_path: Path, status: int, expected: int) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n')
    python.chmod(0o755)

    made = subprocess.run(
        ["make", "-o", ".venv/.ready", "watch", "BATCH=b-1", "STACK=another", f"RUN={python}"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},  # as `make test` sets
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == expected
    assert made.stdout == "-m ops.watch --batch b-1 --stack another\n"
    assert ("Error" in made.stderr) == bool(expected)


def test_ctrl_c_leaves_quietly() -> None:
    with serving(HALF, HALF) as api, terminal(api) as shown:
        shown.until(lambda picture: any("2/4" in line for line in picture))
        shown.interrupt()
        assert shown.end() == watch.INTERRUPTED
        [bar] = shown.picture
    assert "2/4" in bar
    assert shown.raw.endswith(b"\x1b[?25h")
    assert "Traceback" not in shown.raw.decode()


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_cannot_draw_gets_plain_lines(environment: dict[str, str]) -> None:
    with serving(HALF, SOME_FAILED) as api, terminal(api, columns=70, **environment) as shown:
        assert shown.end() == watch.SOME_NOT
        assert shown.picture[:2] == ["2/4  0 failed  12/min  0:00:10 left", "2,209/2,209  1,007 failed"]
    assert b"\x1b" not in shown.raw
