"""AWS's services as the layer's clients show them: each call is a point at which something may go wrong."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from botocore.exceptions import ClientError, ReadTimeoutError

from local.faults.deployment import queue_url
from local.faults.dynamodb import Exceptions, Table, canceled, invalid
from local.faults.points import Crashed, Fault, Kind, NotHonouredError
from local.faults.queues import Queue
from local.faults.timing import Clock

LARGEST_MESSAGE = 1024 * 1024
LONGEST_DELAY = 900
LONGEST_HIDDEN = 12 * 3600
TIMEOUT_SECONDS = 4.0
"""The layer's clients try twice, for two seconds each."""


class Making(Protocol):
    """Who is told of each call, before it is made: the number of the call, and what goes wrong with it."""

    def __call__(self, kind: Kind, name: str, *, writes: bool = False, conditional: bool = False) -> Fault | None: ...


class Aws:
    """All services of one account."""

    def __init__(
        self,
        *,
        table: Table,
        queues: Mapping[str, Queue],
        clock: Clock,
        making: Making,
        told: Callable[[str], None],
    ) -> None:
        self.table = table
        self.queues = queues
        self.clock = clock
        self.making = making
        self.told = told
        """Gets the details of what is put on the bus."""
        self.secrets: dict[str, str] = {}
        self._clients = {
            "dynamodb": DynamoDb(self),
            "sqs": Sqs(self),
            "secretsmanager": SecretsManager(self),
            "events": Events(self),
        }

    def client(self, service: str) -> Any:
        return self._clients[service]

    def call(
        self,
        name: str,
        effect: Callable[[], dict[str, Any]],
        *,
        writes: bool = False,
        overtake: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """Make a call, as well as it goes."""
        fault = self.making(Kind.AWS, name, writes=writes, conditional=overtake is not None)
        match fault:
            case None:
                return effect()
            case Fault.CRASH_BEFORE:
                raise Crashed
            case Fault.SENT_TWICE:
                _tried(effect)
                return effect()
            case Fault.OVERTAKEN if overtake is not None:
                overtake()
                return effect()
            case Fault.CRASH_AFTER | Fault.ANSWER_LOST:
                _tried(effect)
        raise self._error(name, fault)

    def _error(self, name: str, fault: Fault) -> BaseException:
        """What the caller of a call sees that has gone wrong."""
        service, _, operation = name.split()[0].partition(".")
        match fault:
            case Fault.CRASH_AFTER:
                return Crashed()
            case Fault.ANSWER_LOST:
                self.clock.wait(TIMEOUT_SECONDS)
                return ReadTimeoutError(endpoint_url=f"https://{service}.amazonaws.com/")
            case Fault.CONFLICT if operation == "TransactWriteItems":
                reason = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
                return canceled([reason, *({"Code": "None"} for _ in range(name.count("+")))])
            case Fault.CONFLICT:
                return _error("TransactionConflictException", 400, operation)
            case Fault.UNAVAILABLE:
                return _error("ServiceUnavailable", 503, operation)
            case _:
                return _error("ThrottlingException", 400, operation)


def _tried(effect: Callable[[], dict[str, Any]]) -> None:
    """What was refused was made all the same: only its answer does not arrive."""
    with suppress(ClientError):
        effect()


def _error(code: str, status: int, operation: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class Service:
    """The calls that the layer makes, and no others."""

    exceptions = Exceptions

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def __getattr__(self, name: str) -> Any:
        raise NotHonouredError(f"{type(self).__name__}.{name}")


class DynamoDb(Service):
    def get_item(self, **request: Any) -> dict[str, Any]:
        return self._read("GetItem", request, self._aws.table.get, _what(request["Key"]))

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        return self._read("BatchGetItem", request, self._aws.table.batch_get, "")

    def query(self, **request: Any) -> dict[str, Any]:
        return self._read("Query", request, self._aws.table.query, request.get("IndexName", "table"))

    def put_item(self, **request: Any) -> dict[str, Any]:
        item = request["Item"]
        name = f"dynamodb.PutItem {_what(item)}"
        on_version = request.get("ConditionExpression") == "v = :version"
        overtake = (lambda: self._overtake(item)) if on_version else None
        return self._aws.call(name, lambda: self._aws.table.put(request), writes=True, overtake=overtake)

    def update_item(self, **request: Any) -> dict[str, Any]:
        name = f"dynamodb.UpdateItem {_what(request['Key'])}"
        return self._aws.call(name, lambda: self._aws.table.update(request), writes=True)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        name = f"dynamodb.DeleteItem {_what(request['Key'])}"
        return self._aws.call(name, lambda: self._aws.table.delete(request), writes=True)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        parts = [next(iter(action.values())) for action in request["TransactItems"]]
        name = f"dynamodb.TransactWriteItems {'+'.join(_what(part.get('Item') or part['Key']) for part in parts)}"
        return self._aws.call(name, lambda: self._aws.table.transact(request), writes=True)

    def _read(
        self, operation: str, request: Mapping[str, Any], read: Callable[[Mapping[str, Any]], dict[str, Any]], what: str
    ) -> dict[str, Any]:
        return self._aws.call(f"dynamodb.{operation} {what}".strip(), lambda: read(request))

    def _overtake(self, item: Mapping[str, Any]) -> None:
        """Somebody else saves the item as it is."""
        stored = self._aws.table.items.get((item["pk"]["S"], item["sk"]["S"]))
        if stored is not None and "v" in stored:
            stored["v"] = {"N": str(int(stored["v"]["N"]) + 1)}
            stored["nonce"] = {"S": "somebodyelse"}


def _what(key: Mapping[str, Any]) -> str:
    """What an item is, without its id."""
    sk = str(key["sk"]["S"])
    if key["pk"]["S"].startswith("MEDIUM#") and sk.startswith("JOB#"):
        return "LINK"
    return sk if sk.startswith("RESULT#") else sk.split("#")[0]


class Sqs(Service):
    def send_message(self, **request: Any) -> dict[str, Any]:
        queue = self._queue(request, "QueueUrl", "MessageBody", "DelaySeconds", "MessageGroupId", "MessageAttributes")
        return self._aws.call(f"sqs.SendMessage {queue.name}", lambda: self._sent(queue, request), writes=True)

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        queue = self._queue(request, "QueueUrl", "Entries")
        ids = [entry["Id"] for entry in request["Entries"]]
        if len(set(ids)) != len(ids) or not 1 <= len(ids) <= 10:
            raise _error("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400, "SendMessageBatch")

        def effect() -> dict[str, Any]:
            return {"Successful": [{"Id": one["Id"], **self._sent(queue, one)} for one in request["Entries"]]}

        return self._aws.call(f"sqs.SendMessageBatch {queue.name}", effect, writes=True)

    def change_message_visibility(self, **request: Any) -> dict[str, Any]:
        queue = self._queue(request, "QueueUrl", "ReceiptHandle", "VisibilityTimeout")
        seconds = request["VisibilityTimeout"]
        if not 0 <= seconds <= LONGEST_HIDDEN:
            raise _error("InvalidParameterValue", 400, "ChangeMessageVisibility")

        def effect() -> dict[str, Any]:
            if not queue.hide(request["ReceiptHandle"], now=self._aws.clock.now, seconds=seconds):
                raise _error("ReceiptHandleIsInvalid", 404, "ChangeMessageVisibility")
            return {}

        return self._aws.call(f"sqs.ChangeMessageVisibility {queue.name}", effect, writes=True)

    def get_queue_attributes(self, **request: Any) -> dict[str, Any]:
        queue = self._queue(request, "QueueUrl", "AttributeNames")
        (name,) = request["AttributeNames"]
        if name != "ApproximateNumberOfMessages":
            raise NotHonouredError(name)
        waiting = sum(message.visible_at <= self._aws.clock.now for message in queue.messages)
        return self._aws.call(f"sqs.GetQueueAttributes {queue.name}", lambda: {"Attributes": {name: str(waiting)}})

    def _queue(self, request: Mapping[str, Any], *known: str) -> Queue:
        if unknown := request.keys() - set(known):
            raise NotHonouredError(f"nothing here honours {', '.join(sorted(unknown))}")
        name = str(request["QueueUrl"]).rsplit("/", maxsplit=1)[-1]
        if request["QueueUrl"] != queue_url(name) or name not in self._aws.queues:
            raise _error("AWS.SimpleQueueService.NonExistentQueue", 400, "SendMessage")
        return self._aws.queues[name]

    def _sent(self, queue: Queue, request: Mapping[str, Any]) -> dict[str, Any]:
        delay = request.get("DelaySeconds", 0)
        if not 0 <= delay <= LONGEST_DELAY or len(request["MessageBody"].encode()) > LARGEST_MESSAGE:
            raise _error("InvalidParameterValue", 400, "SendMessage")
        body, group = request["MessageBody"], request.get("MessageGroupId")
        return {"MessageId": queue.send(body, now=self._aws.clock.now, delay=delay, group=group)}


class SecretsManager(Service):
    def get_secret_value(self, **request: Any) -> dict[str, Any]:
        name = request["SecretId"]

        def effect() -> dict[str, Any]:
            if name not in self._aws.secrets:
                raise _error("ResourceNotFoundException", 400, "GetSecretValue")
            return {"SecretString": self._aws.secrets[name]}

        return self._aws.call(f"secretsmanager.GetSecretValue {name}", effect)


class Events(Service):
    def put_events(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            for entry in request["Entries"]:
                self._aws.told(entry["Detail"])
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in request["Entries"]]}

        if len(request["Entries"]) > 10:
            raise invalid("10 entries at most", "PutEvents")
        return self._aws.call("events.PutEvents", effect, writes=True)
