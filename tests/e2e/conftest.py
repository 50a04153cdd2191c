"""One deployment for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.platforms.simulated import SimulatedPlatforms
from local.stack import LocalStack
from tests.e2e.deployment import Deployment


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them run in one process, which deploys once."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("local stack"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """A release of pytest has made xdist pass over groups without a word: then there are two deployments at once."""
    ours = [item.nodeid for item in session.items if Path(__file__).parent in item.path.parents]
    if hasattr(session.config, "workerinput") and not all(nodeid.endswith("@local stack") for nodeid in ours):
        raise pytest.UsageError("xdist does not keep the tests of the deployed stack together")


@pytest.fixture(scope="package")
def deployment() -> Iterator[Deployment]:
    """It ends before this process goes on to the tests of other folders, none of which expects its threads."""
    with (
        SimulatedPlatforms(pace=0.1) as platforms,
        LocalStack(
            name="test",
            warm=True,
            parameters={
                **platforms.parameters,
                "CheckIntervalSeconds": 1,
                **{f"{name}Concurrency": 2 for name in ("VideoDb", "TwelveLabs", "ApiVideo", "ApsaraVideo")},
            },
        ) as stack,
    ):
        platforms.connect(stack)
        yield Deployment(stack, platforms)
