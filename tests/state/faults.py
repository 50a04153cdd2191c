"""What may happen to a call to AWS on its way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

type Call = Callable[[], Any]


@contextmanager
def on_the_way(operation: str, happens: Callable[[Call, dict[str, Any]], Any]) -> Iterator[None]:
    """Within it, `happens` gets each call of this operation, to be made, and its parameters."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: BaseClient, name: str, parameters: dict[str, Any]) -> Any:
        if name != operation:
            return original(self, name, parameters)
        return happens(lambda: original(self, name, parameters), parameters)

    with patch.object(BaseClient, "_make_api_call", call):
        yield


def sent_twice(operation: str, *, between: Callable[[], object] = lambda: None) -> Any:
    """Each first answer is lost, and the SDK sends the call again, as it does."""
    busy = False

    def twice(call: Call, _parameters: dict[str, Any]) -> Any:
        nonlocal busy
        if busy:  # what happens in between is sent once
            return call()
        busy = True
        try:
            call()
            between()
            return call()
        finally:
            busy = False

    return on_the_way(operation, twice)
