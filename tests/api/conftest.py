"""One stack for each file of tests: making one takes longer than most tests, emptying it next to nothing."""

import json
from collections.abc import Iterator

import pytest
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from video_jobs.aws import clients, secrets

from tests import stack as stacks
from tests.stack import API_KEY, ENVIRONMENT, WEBHOOK_SECRETS, Stack

SECRETS = {"API_KEYS_SECRET": {"default": API_KEY}, "TWELVELABS_SECRET": WEBHOOK_SECRETS["twelvelabs"]}
"""Those that tests change."""


@pytest.fixture(scope="module")
def deployed_once() -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patched:

        def environment(variables: dict[str, str]) -> None:
            for name, value in variables.items():
                patched.setenv(name, value)

        with stacks.deployed(environment) as stack:
            yield stack


@pytest.fixture
def stack(deployed_once: Stack) -> Stack:
    """A stack as new: no items, no messages, one API key, and nothing that a function has read before."""
    deployed_once.clear()
    for queue in get_backend("sqs")[DEFAULT_ACCOUNT_ID][ENVIRONMENT["AWS_DEFAULT_REGION"]].queues.values():
        queue._messages.clear()
        queue.deleted_messages.clear()
        queue.pending_messages.clear()
    for name, values in SECRETS.items():
        clients.secretsmanager().put_secret_value(SecretId=name, SecretString=json.dumps(values))
    secrets.forget()
    deployed_once.calls.clear()
    return deployed_once
