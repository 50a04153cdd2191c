"""The stack's table, queues and secrets in memory, and its functions as plain calls: no network, no clock."""

import copy
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from threading import Condition
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlencode

import botocore.session
from video_jobs import settings
from video_jobs.aws import clients, secrets

from tests.cloudformation import RESOURCES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CALLBACK_KEY = "a-callback-key"
API_KEY = "an-api-key"
PLATFORMS = {"videodb": "VideoDb", "twelvelabs": "TwelveLabs", "apivideo": "ApiVideo", "apsaravideo": "ApsaraVideo"}
WORKER_QUEUES = {provider: f"{name}Queue" for provider, name in PLATFORMS.items()}
QUEUE_SETTINGS = {
    **{f"{provider.upper()}_QUEUE_URL": queue for provider, queue in WORKER_QUEUES.items()},
    **{f"{provider.upper()}_DEAD_LETTERS_URL": f"{name}DeadLetters" for provider, name in PLATFORMS.items()},
    "INBOX_QUEUE_URL": "InboxQueue",
    "INBOX_DEAD_LETTERS_URL": "InboxDeadLetters",
    "BATCHES_QUEUE_URL": "BatchesQueue",
    "BATCHES_DEAD_LETTERS_URL": "BatchesDeadLetters",
    "BUS_NOTIFICATIONS_QUEUE_URL": "BusNotifications",
    "URL_NOTIFICATIONS_QUEUE_URL": "UrlNotifications",
}
"""Which environment variable has the URL of which queue."""
QUEUES = tuple(QUEUE_SETTINGS.values())
WEBHOOK_SECRETS = {
    "twelvelabs": {"api_key": "tlk_test", "webhook": "whs_test", "webhook_previous": "whs_before"},
    "apivideo": {"api_key": "av-test", "webhook_test": "sig_sec_test", "webhook_other": "sig_sec_other"},
    "apsaravideo": {
        "access_key_id": "LTAI-test",
        "access_key_secret": "secret-test",
        "auth_key": "Key1Test",
        "auth_key_previous": "Key0Test",
    },
}
"""The secrets of the platforms that sign."""
SECRETS = {
    "CALLBACK_KEYS_SECRET": {"current": CALLBACK_KEY},
    "API_KEYS_SECRET": {"default": API_KEY},
    "VIDEODB_API_KEY_SECRET": {"api_key": "sk-test"},
    **{f"{provider.upper()}_SECRET": values for provider, values in WEBHOOK_SECRETS.items()},
}
"""By name, which is also that of the environment variable with the name."""
MOTO_TABLE = "jobs"
_tables = count()  # in DynamoDB Local no two tests have the same table

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": "",
    "POWERTOOLS_SERVICE_NAME": "video-jobs",
    "POWERTOOLS_METRICS_NAMESPACE": "VideoJobs",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "RETENTION_DAYS": "90",
    "CALLBACK_BASE_URL": "https://jobs.example.com",
    # nobody listens there
    **{f"{platform}_URL": "http://127.0.0.1:9" for platform in ("VIDEODB", "TWELVELABS", "APIVIDEO", "APSARAVIDEO")},
    "APSARAVIDEO_MNS_QUEUE": "",
    "APSARAVIDEO_CALLBACK_URL": "https://jobs.example.com/callbacks/apsaravideo/upload-by-url-complete",
    "SIGNATURE_TOLERANCE_SECONDS": "300",
    "CHECK_INTERVAL_SECONDS": "0",  # a check is due at once: no test waits
    "STEP_DEADLINE_SECONDS": "3600",
    "NOTIFY_ALLOW_PRIVATE": "false",
    "ADOPTION_WAITS": "5,30,120",
}


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "function"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class Stack:
    """What a test asks of the stack."""

    queue_urls: dict[str, str]
    calls: list[str] = field(default_factory=list)
    """Every call to AWS, as "service.Operation"."""

    def callback(
        self,
        name: str,
        body: str | bytes,
        *,
        job: str = "job-1",
        attempt: int = 1,
        **changes: Any,
    ) -> dict[str, Any]:
        """Send a callback through its function, signed; the parsed answer with its status."""
        return self.send(name, http_event(name, body, job=job, attempt=attempt, **changes))

    def send(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = handler(name)(event, Context())
        return {"status": answer["statusCode"], **json.loads(answer["body"])}

    def messages(self, queue: str) -> list[str]:
        """Take all messages from a queue."""
        found: list[str] = []
        while (
            batch := clients.sqs()
            .receive_message(QueueUrl=self.queue_urls[queue], MaxNumberOfMessages=10)
            .get("Messages")
        ):
            for message in batch:
                found.append(message["Body"])
                clients.sqs().delete_message(QueueUrl=self.queue_urls[queue], ReceiptHandle=message["ReceiptHandle"])
        return found

    def work(self, queue: str, worker: Callable[[dict[str, Any], Any], Any], *, rounds: int = 100) -> int:
        """Hand messages to a worker one by one, as an event source does, until there are none; how many it took."""
        for taken in range(rounds):
            batch = clients.sqs().receive_message(
                QueueUrl=self.queue_urls[queue],
                AttributeNames=["All"],
                MaxNumberOfMessages=1,
            )
            if not batch.get("Messages"):
                return taken
            (message,) = batch["Messages"]
            answer = worker(sqs_event(message), Context())
            if not answer["batchItemFailures"]:
                clients.sqs().delete_message(QueueUrl=self.queue_urls[queue], ReceiptHandle=message["ReceiptHandle"])
        return rounds

    def items(self, prefix: str = "") -> list[dict[str, Any]]:
        """Everything in the table whose key begins so, also what the code itself would refuse to read."""
        from video_jobs.store.table import _deserialize

        found = clients.dynamodb().scan(TableName=settings.setting("TABLE_NAME"))["Items"]
        plain = ({name: _deserialize(value) for name, value in item.items()} for item in found)
        return [item for item in plain if item["pk"].startswith(prefix)]

    def snapshot(self) -> Any:
        """All items, for `restore`. Like it, only for moto, and many times faster than calls."""
        return copy.deepcopy(_moto_table().items)

    def restore(self, snapshot: Any) -> None:
        """Have the table as it was."""
        _moto_table().items = copy.deepcopy(snapshot)

    def clear(self) -> None:
        """Forget every item."""
        _moto_table().items.clear()

    def purge(self, queue: str) -> None:
        """Lose every message of a queue, also those that are on their way or that somebody has in hand."""
        clients.sqs().delete_queue(QueueUrl=self.queue_urls[queue])  # it may be purged only once a minute
        assert clients.sqs().create_queue(QueueName=queue)["QueueUrl"] == self.queue_urls[queue]

    def received(self, queue: str, body: str) -> dict[str, Any]:
        """A message, sent and taken: what an event source hands over."""
        url = self.queue_urls[queue]
        clients.sqs().send_message(QueueUrl=url, MessageBody=body)
        (message,) = clients.sqs().receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
        assert message["Body"] == body, "another message came first"
        return sqs_event(message)


def _moto_table() -> Any:
    from moto.backends import get_backend
    from moto.core.models import DEFAULT_ACCOUNT_ID

    region = ENVIRONMENT["AWS_DEFAULT_REGION"]
    return get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][region].tables[settings.setting("TABLE_NAME")]


def handler(name: str) -> Callable[[dict[str, Any], Any], Any]:
    """The handler in functions/<name>/app.py."""
    import importlib

    found: Callable[[dict[str, Any], Any], Any] = importlib.import_module(
        f"functions.{name.replace('/', '.')}.app"
    ).handler
    return found


def signed_query(name: str, job: str, attempt: int, *, key: str) -> str:
    """The query of a callback URL, worked out apart from the layer, so that the two cannot be wrong together."""
    token = hmac.digest(key.encode(), "\n".join([name, job, str(attempt)]).encode(), "sha256").hex()
    return urlencode({"job": job, "attempt": attempt, "token": token})


def http_event(
    name: str,
    body: str | bytes,
    *,
    job: str = "job-1",
    attempt: int = 1,
    query: str | None = None,
    headers: dict[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """An HTTP API request to a callback's route, signed unless `query` says otherwise."""
    if query is None:
        query = signed_query(name, job, attempt, key=CALLBACK_KEY)
    path = f"/callbacks/{name.replace('_', '-')}"
    text = body.decode() if isinstance(body, bytes) else body
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json"} | (headers or {}),
        "requestContext": {
            "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"},
            "stage": "$default",
            "timeEpoch": 0,
        },
        "body": text,
        "isBase64Encoded": False,
    } | changes


def sqs_event(*messages: Any) -> dict[str, Any]:
    """Messages as an event source hands them over."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {"ApproximateReceiveCount": "1"}),
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
                "awsRegion": "us-east-1",
            }
            for message in messages
        ]
    }


def create_table(dynamodb: "DynamoDBClient", name: str) -> None:
    """The table as the template describes it."""
    properties = RESOURCES["Jobs"]["Properties"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    dynamodb.create_table(TableName=name, **{key: properties[key] for key in wanted})


@contextmanager
def deployed(
    environment: Callable[[dict[str, str]], None], *, dynamodb: "DynamoDBClient | None" = None
) -> Iterator[Stack]:
    """A stack in moto, its table elsewhere if `dynamodb` is; `environment` sets variables of the environment."""
    environment(ENVIRONMENT)
    clients.forget()
    secrets.forget()
    with _moto(), _engine(dynamodb), patch.object(clients, "_client", _client):
        _put_up()
        table = MOTO_TABLE
        if dynamodb is not None:
            table = f"jobs-{next(_tables)}"
            create_table(dynamodb, table)
        environment({"TABLE_NAME": table, **{name: name for name in SECRETS}})
        environment({variable: _queue_url(queue) for variable, queue in QUEUE_SETTINGS.items()})
        stack = Stack(queue_urls={queue: _queue_url(queue) for queue in QUEUES})
        with _counted(stack.calls):
            yield stack
        if dynamodb is not None:
            dynamodb.delete_table(TableName=table)
    clients.forget()
    secrets.forget()


@contextmanager
def _moto() -> Iterator[None]:
    """What `moto.mock_aws` does about botocore. The rest of it, about other clients, takes longer than most tests."""
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data
    from moto.core.models import botocore_stubber

    BackendDict.reset()
    botocore_stubber.enabled = True
    try:
        yield
    finally:
        botocore_stubber.enabled = False
        BackendDict.reset()
        reset_model_data()


def _queue_url(name: str) -> str:
    return f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}"


def _put_up() -> None:
    """Have table, queues and secrets in moto: made by calls once, and copied for each test, which is much faster."""
    for (backend, name), made in _made().items():
        setattr(_backends()[backend], name, _copied(made))


def _backends() -> dict[str, Any]:
    from moto.backends import get_backend
    from moto.core.models import DEFAULT_ACCOUNT_ID

    region = ENVIRONMENT["AWS_DEFAULT_REGION"]
    return {name: get_backend(name)[DEFAULT_ACCOUNT_ID][region] for name in ("dynamodb", "sqs", "secretsmanager")}


@cache
def _made() -> dict[tuple[str, str], Any]:
    """What moto has made of it, by backend and attribute."""
    create_table(_client("dynamodb"), MOTO_TABLE)
    for name in QUEUES:
        assert _client("sqs").create_queue(QueueName=name)["QueueUrl"] == _queue_url(name)
    for name, values in SECRETS.items():
        _client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(values))
    here = _backends()
    parts = (("dynamodb", "tables"), ("sqs", "queues"), ("secretsmanager", "secrets"))
    return {(backend, name): _copied(vars(here[backend])[name]) for backend, name in parts}


def _copied(value: Any) -> Any:
    """A deep copy; each queue has a lock of its own."""
    locks = [part._messages_lock for part in value.values() if hasattr(part, "_messages_lock")]
    return copy.deepcopy(value, {id(lock): Condition() for lock in locks})


@cache
def _client(service: str) -> Any:
    """A client that all tests share: making one takes longer than most tests."""
    return botocore.session.get_session().create_client(service)


@contextmanager
def _engine(dynamodb: "DynamoDBClient | None") -> Iterator[None]:
    """Have the layer use this client."""
    with nullcontext() if dynamodb is None else patch.object(clients, "dynamodb", cache(lambda: dynamodb)):
        yield


@contextmanager
def _counted(calls: list[str]) -> Iterator[None]:
    """Note every call to AWS."""
    from botocore.client import BaseClient

    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        calls.append(f"{self.meta.service_model.service_name}.{operation}")
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", noted):
        yield
