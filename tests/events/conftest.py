"""What the tests of callbacks share: AWS that does not answer, the Inbox's consumer, the log."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from video_jobs.aws import clients, secrets

from local.samples import SAMPLE_BASE_URL, SAMPLE_CALLBACK_KEY, SAMPLE_SECRETS
from tests.events.samples import EVERY_CALLBACK_SAMPLE, callback_of
from tests.stack import CALLBACK_KEY, Context, Stack, handler, sqs_event

type Away = Callable[..., AbstractContextManager[None]]


def put_secret(name: str, values: Any) -> None:
    clients.secretsmanager().put_secret_value(SecretId=name, SecretString=json.dumps(values))


@pytest.fixture
def keys(stack: Stack) -> Callable[..., None]:
    """Sets the keys of callback tokens, by name."""

    def put(**values: str) -> None:
        put_secret("CALLBACK_KEYS_SECRET", values)
        stack.calls.clear()

    return put


@pytest.fixture
def local_stack(stack: Stack, keys: Callable[..., None]) -> Stack:
    """A stack that accepts the key of the samples, as the local one does."""
    keys(current=CALLBACK_KEY, samples=SAMPLE_CALLBACK_KEY)
    return stack


@pytest.fixture
def signers(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secrets and the address that the samples of platforms that sign are signed with."""
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", f"{SAMPLE_BASE_URL}/callbacks/apsaravideo/upload-by-url-complete")
    for provider, values in SAMPLE_SECRETS.items():
        put_secret(f"{provider.upper()}_SECRET", {"api_key": "key", **values})
    secrets.forget()
    stack.calls.clear()


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


@dataclass
class Inbox:
    """The Inbox's queue and its consumer."""

    stack: Stack

    def messages(self) -> list[str]:
        return self.stack.messages("InboxQueue")

    def dead_letters(self) -> list[str]:
        return self.stack.messages("InboxDeadLetters")

    def take(self, body: str, *, received: int = 1) -> int | None:
        """Have the consumer take a message, for the `received`th time; the wait until it comes again, if it does."""
        hidden: list[int] = []
        original = BaseClient._make_api_call  # type: ignore[attr-defined]

        def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if operation == "ChangeMessageVisibility":
                hidden.append(parameters["VisibilityTimeout"])
                return {}
            return original(client, operation, parameters)

        attributes = {"ApproximateReceiveCount": str(received)}
        message = {"MessageId": "1", "ReceiptHandle": "1", "Body": body, "Attributes": attributes}
        with patch.object(BaseClient, "_make_api_call", call):
            failed = handler("pipeline/inbox")(sqs_event(message), Context())["batchItemFailures"]
        assert len(hidden) == len(failed)
        return hidden[0] if failed else None

    def work(self, *, received: int = 1) -> list[int]:
        """Take all messages that there are; the waits of those that come again."""
        waits = [self.take(body, received=received) for body in self.messages()]
        return [wait for wait in waits if wait is not None]


@pytest.fixture
def inbox(stack: Stack) -> Inbox:
    return Inbox(stack)


class Stdout:
    """Whatever stdout is at the moment."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.fixture
def log(stack: Stack, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """All that the functions have written since this was last asked for."""
    for function in {*map(callback_of, EVERY_CALLBACK_SAMPLE), "pipeline/inbox"}:
        handler(function)
    for logger in logging.root.manager.loggerDict.values():
        if output := getattr(logger, "powertools_handler", None):
            output.stream = Stdout()  # it held the one of when it was made, which may be closed by now

    def written() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    return written
