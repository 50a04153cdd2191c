"""What the tests of callbacks share: AWS that does not answer, Lambda that invokes, the log."""

import io
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
from video_jobs import settings

from local.samples import SAMPLE_CALLBACK_KEY
from tests.events.samples import CALLBACK_SAMPLES, callback_of
from tests.stack import CALLBACK_KEY, Context, Stack, handler

type Away = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def keys(stack: Stack) -> Callable[..., None]:
    """Sets the keys of callback tokens, by name."""

    def put(**values: str) -> None:
        settings.secretsmanager().put_secret_value(SecretId="CALLBACK_KEYS_SECRET", SecretString=json.dumps(values))
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


class Functions:
    """Lambda, as the redeliver function uses it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        """What functions were invoked with."""
        self.fixed: dict[str, Callable[[dict[str, Any], Any], Any]] = {}
        """Functions that have been deployed anew, by callback."""

    def invoke(self, **request: str) -> dict[str, Any]:
        callbacks = {function: name for name, function in json.loads(settings.setting("CALLBACK_FUNCTIONS")).items()}
        name = callbacks[request["FunctionName"]]
        event = json.loads(request["Payload"])
        self.events.append(event)
        try:
            answer = (self.fixed.get(name) or handler(name))(event, Context())
        except Exception as error:
            failure = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(failure).encode())}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def functions(stack: Stack) -> Iterator[Functions]:
    """The functions of the stack, for the redeliver function to invoke."""
    functions = Functions()
    with patch.object(settings, "lambda_", return_value=functions):
        yield functions


class Stdout:
    """Whatever stdout is at the moment."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.fixture
def log(stack: Stack, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """All that the functions have written since this was last asked for."""
    for function in {*map(callback_of, CALLBACK_SAMPLES), "pipeline/redeliver"}:
        handler(function)
    for logger in logging.root.manager.loggerDict.values():
        if output := getattr(logger, "powertools_handler", None):
            output.stream = Stdout()  # it held the one of when it was made, which may be closed by now

    def written() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    return written
