"""Several at work at once, their calls to the database in every order: with one thread each, of which one runs."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

type Act = Callable[[], object]
type Call = Callable[[str, dict[str, Any]], bool]
"""Of a call to the database, by its operation and parameters."""


def in_every_order[S](
    prepare: Callable[[], S],
    acts: Callable[[S], Sequence[Act]],
    *,
    meets_nobody: Call = lambda _operation, _parameters: False,
) -> Iterator[S]:
    """What was prepared, after its acts; once for each order in which their calls to the database can come.

    `meets_nobody`: calls about items that no other act reads or writes, so that nothing hangs on when they come.
    """
    left: list[list[int]] = [[]]
    while left:
        choices = left.pop()
        scene = prepare()
        chosen = _play(acts(scene), choices, meets_nobody)
        yield scene
        for position in range(len(choices), len(chosen)):
            before = [choice for choice, _ in chosen[:position]]
            left += [[*before, other] for other in range(1, chosen[position][1])]


def _play(acts: Sequence[Act], choices: Sequence[int], meets_nobody: Call) -> list[tuple[int, int]]:
    """Let them go on in this order, and then the first who can; who it was each time, and of how many."""
    actors = [_Actor(act) for act in acts]
    chosen: list[tuple[int, int]] = []
    with _stopping(meets_nobody):
        for actor in actors:
            actor.start()
            actor.go_on()
        while waiting := [actor for actor in actors if not actor.ended]:
            choice = choices[len(chosen)] if len(chosen) < len(choices) else 0
            chosen.append((choice, len(waiting)))
            waiting[choice].go_on()
    return chosen


class _Actor(threading.Thread):
    """Somebody at work, who stops before each call to the database until it is their turn."""

    def __init__(self, act: Act) -> None:
        super().__init__(daemon=True)
        self.ended = False
        self._act = act
        self._turn = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._error: BaseException | None = None

    def run(self) -> None:
        self._turn.acquire()
        try:
            self._act()
        except BaseException as error:  # the border of a thread: raised to whoever waits for it
            self._error = error
        self.ended = True
        self._stopped.release()

    def stop(self) -> None:
        self._stopped.release()
        self._turn.acquire()

    def go_on(self) -> None:
        """To the next call, or to the end."""
        self._turn.release()
        self._stopped.acquire()
        if self._error:
            raise self._error


@contextmanager
def _stopping(meets_nobody: Call) -> Iterator[None]:
    """Within it, actors stop before each call to DynamoDB, but for those that meet nobody."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def stopped(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        actor = threading.current_thread()
        is_one = self.meta.service_model.service_name == "dynamodb" and not meets_nobody(operation, parameters)
        if isinstance(actor, _Actor) and is_one:
            actor.stop()
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", stopped):
        yield
