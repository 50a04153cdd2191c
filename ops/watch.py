"""Shows how a batch comes along, until it has ended: `make watch BATCH=<id> [STACK=video-jobs]`.

The exit code: 0 if all of its jobs have succeeded, 1 if some have not, 2 if it cannot be asked. `make` takes 1 for 0.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from io import TextIOWrapper
from urllib.parse import quote, urlencode

import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text
from video_jobs.api.views import BatchView
from video_jobs.jobs.batches import BatchStatus

from local.commands import StackError
from ops import target

ALL_WELL, SOME_NOT, NOT_ASKED, INTERRUPTED = 0, 1, 2, 130
WAIT_SECONDS = 20
"""How long the API waits for a change before it answers."""
PACE_SECONDS = 1.0
"""The least from one question to the next: a busy batch changes all the time."""
LINE_SECONDS = 5.0
"""The same where each answer is a line that stays."""
LONGEST_PAUSE_SECONDS = 15.0
PATIENCE = 12
"""How many questions in a row may go wrong: some two minutes."""
ROOM_FOR_A_BAR = 64
"""Columns of a terminal."""
_PASSES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class CannotAskError(Exception):
    """The API will not show this batch, however often it is asked. The message says why, and what to do."""


class NoAnswerError(Exception):
    """This time there was no answer, or none that can be read. The message says what came instead."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make watch", description=__doc__)
    parser.add_argument("--batch", default="")
    parser.add_argument("--stack", default="")
    options = parser.parse_args()
    try:
        if not options.batch:
            raise CannotAskError("BATCH is the batch_id that POST /batches answered: make watch BATCH=...")
        return watch(find(options.stack), options.batch, screen())
    except (StackError, CannotAskError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return NOT_ASKED
    except KeyboardInterrupt:  # the batch goes on without us
        return INTERRUPTED


def watch(api: "BatchApi", batch_id: str, screen: "Screen") -> int:
    """Ask until the batch has ended, and show each answer; the exit code."""
    with screen.bar() as show:
        for view in api.views(batch_id, pace=screen.pace, complain=screen.say):
            show(view)
    screen.say(summary(view))
    return ALL_WELL if view.totals.succeeded == view.total else SOME_NOT


# --- Asking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BatchApi:
    """The jobs API of a stack, as far as it shows batches."""

    url: str
    key: str
    where: str

    def views(self, batch_id: str, *, pace: float, complain: Callable[[str], None]) -> Iterator[BatchView]:
        """The batch at first, and after each change, until it has ended. Raises CannotAskError."""
        since: int | None = None
        failures = 0
        with urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=WAIT_SECONDS + 10), retries=False) as http:
            while True:
                asked = time.monotonic()
                try:
                    view = self._ask(http, batch_id, since)
                except NoAnswerError as error:
                    failures += 1
                    if failures >= PATIENCE:
                        raise CannotAskError(f"{error}. Gave up after {failures} tries.") from None
                    pause = min(2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS)
                    complain(f"{error}; asks again in {pause:.0f} s")
                    time.sleep(pause)
                    continue
                failures = 0
                over = view.status == BatchStatus.ENDED
                if over or view.version != since:
                    yield view
                if over:
                    return
                since = view.version
                time.sleep(max(0.0, asked + pace - time.monotonic()))

    def _ask(self, http: urllib3.PoolManager, batch_id: str, since: int | None) -> BatchView:
        # what it is at first is answered at once
        query = "" if since is None else f"?{urlencode({'wait': WAIT_SECONDS, 'since': since})}"
        try:
            answer = http.request(
                "GET",
                f"{self.url}/batches/{quote(batch_id, safe='')}{query}",
                headers={"x-api-key": self.key, "accept": "application/json"},
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError(f"no answer from {self.where} ({type(error).__name__})") from None
        return self._read(answer, batch_id)

    def _read(self, answer: urllib3.BaseHTTPResponse, batch_id: str) -> BatchView:
        match answer.status:
            case HTTPStatus.OK:
                try:
                    return BatchView.model_validate_json(answer.data)
                except ValidationError:
                    raise NoAnswerError(f"{self.where} answered what is no batch") from None
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                raise CannotAskError(f"{self.where} does not accept the API key of its secret ApiKeys.")
            case HTTPStatus.NOT_FOUND:
                raise CannotAskError(f"{self.where} has no batch {plain(batch_id)}.")
            case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSES:
                raise NoAnswerError(f"{self.where} answered {status}")
            case status:
                raise CannotAskError(f"{self.where} answered {status}: {plain(_detail(answer.data))}")


def _detail(body: bytes) -> str:
    """What a problem says, or how the body begins that is none."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def find(stack_name: str) -> BatchApi:
    """The API of a stack: of the local one by what `make local` has written down, else by its outputs and secret."""
    stack = target.find(stack_name)
    if stack.local:
        return BatchApi(stack.local.api_url, stack.local.api_key, stack.where)
    outputs = stack.outputs()
    secret = stack.client("secretsmanager").get_secret_value(SecretId=outputs["ApiKeysSecret"])
    keys: dict[str, str] = json.loads(secret["SecretString"])
    if not keys:
        raise StackError(f"The secret ApiKeys of {stack.where} has no key.")
    return BatchApi(outputs["ApiUrl"], next(iter(keys.values())), stack.where)


# --- Showing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Screen:
    """`moves`: whether a line can be drawn over; else each answer has a line of its own."""

    console: Console
    moves: bool

    @property
    def pace(self) -> float:
        return PACE_SECONDS if self.moves else LINE_SECONDS

    def say(self, words: str) -> None:
        self.console.print(words, markup=False, emoji=False, soft_wrap=True)

    def bar(self) -> AbstractContextManager[Callable[[BatchView], None]]:
        """Gives what to call with each answer."""
        return _moving(self.console) if self.moves else _lines(self)


def screen() -> Screen:
    """For whatever the standard output is."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    # NO_COLOR (no-color.org) is taken as the wish for plain text
    moves = sys.stdout.isatty() and not console.is_dumb_terminal and not console.no_color
    return Screen(console, moves)


class _Words(ProgressColumn):
    """One field of the task, as it is; cut at the end where there is no room."""

    def __init__(self, field: str, *, style: str = "", ratio: int | None = None) -> None:
        super().__init__(Column(no_wrap=True, overflow="ellipsis", ratio=ratio))
        self._field = field
        self._style = style

    def render(self, task: Task) -> Text:
        return Text(task.fields.get(self._field, ""), self._style, no_wrap=True, overflow="ellipsis")


@contextmanager
def _moving(console: Console) -> Iterator[Callable[[BatchView], None]]:
    """One line, drawn over with each answer. It stays when all is over."""
    name, bar = _Words("name", ratio=1), BarColumn(bar_width=None, table_column=Column(ratio=2))
    done, failed = _Words("done"), _Words("failed", style="red")
    rate, left = _Words("rate", style="dim"), _Words("left", style="cyan")
    wide = console.width >= ROOM_FOR_A_BAR
    columns = (name, bar, done, failed, rate, left) if wide else (done, failed, left)
    with Progress(*columns, console=console, expand=wide) as progress:
        task = progress.add_task("", total=None)

        def show(view: BatchView) -> None:
            progress.update(
                task,
                total=view.total or None,
                completed=ended(view),
                name=plain(view.name or view.batch_id),
                done=f"{ended(view):,}/{view.total:,}",
                failed=f"{view.totals.failed:,} failed" if view.totals.failed else "",
                rate=_rate(view),
                left=_left(view),
            )

        yield show


@contextmanager
def _lines(screen: Screen) -> Iterator[Callable[[BatchView], None]]:
    def show(view: BatchView) -> None:
        parts = (f"{ended(view):,}/{view.total:,}", f"{view.totals.failed:,} failed", _rate(view), _left(view))
        screen.say("  ".join(part for part in parts if part))

    yield show


def ended(view: BatchView) -> int:
    """Of the batch's jobs."""
    return view.totals.succeeded + view.totals.failed + view.totals.canceled


def _rate(view: BatchView) -> str:
    return "" if view.rate is None else f"{view.rate:,.0f}/min" if view.rate >= 10 else f"{view.rate:.1f}/min"


def _left(view: BatchView) -> str:
    """How long it may take yet: by the batch's rate, as the clocks here and there may differ."""
    if view.status == BatchStatus.ENDED:
        return ""
    left = view.total - ended(view)
    if not left:
        return "" if view.closed else "open"
    return f"{_span(left / view.rate * 60)} left" if view.rate else ""


def _span(seconds: float) -> str:
    """At most nine characters."""
    if seconds >= 100 * 86400:
        return "long"
    if seconds >= 86400:
        return f"{seconds / 86400:.0f} d"
    return str(timedelta(seconds=round(seconds)))


def summary(view: BatchView) -> str:
    """How a batch has ended; if jobs of it have failed, why."""
    counts = view.totals
    took = ""
    if view.ended_at:
        took = f" in {_span((_moment(view.ended_at) - _moment(view.started_at or view.created_at)).total_seconds())}"
    lines = [
        f"{plain(view.name or view.batch_id)}: {view.total:,} jobs{took}: {counts.succeeded:,} succeeded, "
        f"{counts.failed:,} failed, {counts.canceled:,} canceled"
    ]
    widest = max((len(f"{number:,}") for number in view.causes.values()), default=0)
    lines += [f"  {number:>{widest},}  {plain(cause)}" for cause, number in view.causes.items()]
    if view.causes:
        body = json.dumps({"cause": next(iter(view.causes))})
        lines.append(f"Those of one cause are tried again by POST /batches/{plain(view.batch_id)}/retry with {body}")
    return "\n".join(lines)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def plain(text: str) -> str:
    """What others have written, without what would move the cursor, colour it or turn it round."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _interrupt(_signal: int, _frame: object) -> None:
    """The first Ctrl-C ends it; further ones do not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(main())
