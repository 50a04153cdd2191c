"""The environment and the AWS clients, read and made on first use.

Nothing here runs on import. A test clears a cache (`settings.forget()`) instead of reloading a module.
"""

import os
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

# A platform waits a second or five for its answer, so a callback function must find out within that time that AWS
# does not answer, and keep the delivery elsewhere. Workers have the time, but nothing to gain from longer waits.
_QUICK = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
# An invocation answers when the invoked function does: 10 s, and its cold start.
_PATIENT = Config(connect_timeout=1, read_timeout=25, retries={"mode": "standard", "total_max_attempts": 1})


class MissingSettingError(Exception):
    """A variable of the environment is not set; the stack was deployed without it."""


def setting(name: str) -> str:
    """The value of an environment variable that the template must set."""
    try:
        return os.environ[name]
    except KeyError:
        raise MissingSettingError(f"the environment variable {name} is not set: see the function's template") from None


def number(name: str) -> int:
    """The value of an environment variable that holds a whole number."""
    return int(setting(name))


def may_notify_private() -> bool:
    """Whether notices may go to private addresses, and unencrypted: only in a stack on one machine."""
    return setting("NOTIFY_ALLOW_PRIVATE") == "true"


def steps_queue_url(provider: str) -> str:
    """The queue of a platform's steps; each platform has its own."""
    return setting(f"{provider.upper()}_STEPS_QUEUE_URL")


@cache
def dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=_QUICK)


@cache
def sqs() -> "SQSClient":
    return boto3.client("sqs", config=_QUICK)


@cache
def secretsmanager() -> "SecretsManagerClient":
    return boto3.client("secretsmanager", config=_QUICK)


@cache
def lambda_() -> "LambdaClient":
    return boto3.client("lambda", config=_PATIENT)


@cache
def events() -> "EventBridgeClient":
    return boto3.client("events", config=_QUICK)


def forget() -> None:
    """Drop the clients, so that the next use makes them anew."""
    for made in (dynamodb, sqs, secretsmanager, lambda_, events):
        made.cache_clear()


def make_ready() -> None:
    """Make the clients of a callback during Lambda's start, which has more processor time than a request.

    Lambda alone sets the variable that this asks for: no test and no import elsewhere makes a client.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE"):
        dynamodb()
        sqs()
        secretsmanager()
