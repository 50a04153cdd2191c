"""Fixtures that all tests share."""

from collections.abc import Iterator

import pytest

from tests import stack as stacks


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[stacks.Stack]:
    """An empty stack: table, queues and secrets in memory."""

    def environment(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    with stacks.deployed(environment) as stack:
        yield stack
