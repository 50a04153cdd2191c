"""What the tests of callbacks share: AWS that does not answer, the log."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from video_jobs.aws import clients

from local.samples import SAMPLE_CALLBACK_KEY
from tests.events.samples import EVERY_CALLBACK_SAMPLE, callback_of
from tests.stack import CALLBACK_KEY, Stack, handler

type Away = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def keys(stack: Stack) -> Callable[..., None]:
    """Sets the keys of callback tokens, by name."""

    def put(**values: str) -> None:
        clients.secretsmanager().put_secret_value(SecretId="CALLBACK_KEYS_SECRET", SecretString=json.dumps(values))
        stack.calls.clear()

    return put


@pytest.fixture
def local_stack(stack: Stack, keys: Callable[..., None]) -> Stack:
    """A stack that accepts the key of the samples, as the local one does."""
    keys(current=CALLBACK_KEY, samples=SAMPLE_CALLBACK_KEY)
    return stack


@pytest.fixture
def away(stack: Stack) -> Away:
    """Makes AWS services, or some queues of SQS, fail for as long as a `with` lasts."""

    @contextmanager
    def gone(*services: str, queues: tuple[str, ...] = (), fault: Exception | None = None) -> Iterator[None]:
        original = BaseClient._make_api_call  # type: ignore[attr-defined]
        urls = [stack.queue_urls[queue] for queue in queues]

        def call(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if self.meta.service_model.service_name in services or parameters.get("QueueUrl") in urls:
                raise fault or EndpointConnectionError(endpoint_url="https://aws.example.com")
            return original(self, operation, parameters)

        with patch.object(BaseClient, "_make_api_call", call):
            yield

    return gone


class Stdout:
    """Whatever stdout is at the moment."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.fixture
def log(stack: Stack, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """All that the functions have written since this was last asked for."""
    for function in {*map(callback_of, EVERY_CALLBACK_SAMPLE)}:
        handler(function)
    for logger in logging.root.manager.loggerDict.values():
        if output := getattr(logger, "powertools_handler", None):
            output.stream = Stdout()  # it held the one of when it was made, which may be closed by now

    def written() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    return written
