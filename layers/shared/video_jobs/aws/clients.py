"""The AWS clients, made on first use. A test clears a cache (`clients.forget()`) instead of reloading a module.

They come from botocore: boto3's own part is not needed, and takes a callback function's start longer.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

# A platform waits a second or five for its answer, so a callback function must find out within that time that AWS
# does not answer. Workers have the time, but nothing to gain from longer waits.
_QUICK = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})


@cache
def _session() -> Any:
    return botocore.session.get_session()


def _client(service: str) -> Any:
    return _session().create_client(service, config=_QUICK)


@cache
def dynamodb() -> "DynamoDBClient":
    found: DynamoDBClient = _client("dynamodb")
    return found


@cache
def sqs() -> "SQSClient":
    found: SQSClient = _client("sqs")
    return found


@cache
def secretsmanager() -> "SecretsManagerClient":
    found: SecretsManagerClient = _client("secretsmanager")
    return found


@cache
def events() -> "EventBridgeClient":
    found: EventBridgeClient = _client("events")
    return found


def forget() -> None:
    """Drop the clients, so that the next use makes them anew."""
    for made in (_session, dynamodb, sqs, secretsmanager, events):
        made.cache_clear()


def make_ready() -> None:
    """Make the clients of a callback during Lambda's start, which has more processor time than a request.

    Lambda alone sets the variable that this asks for: no test and no import elsewhere makes a client.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE"):
        sqs()
        secretsmanager()
