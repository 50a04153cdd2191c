"""What the functions read of botocore's data when they start: the services, operations and endpoints that they use.

botocore ships the models of some 400 services, 27 MB. Which service is where stands in a file of 1 MB that every start
parses, and a client parses its service's whole model. Cut to what is called, a start takes a tenth less time.

The Makefile runs it when the layer is built: `python slim.py <folder of botocore's data>`.
"""

import gzip
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OPERATIONS = {
    "dynamodb": {
        "BatchGetItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "TransactWriteItems",
        "UpdateItem",
    },
    "events": {"PutEvents"},
    "secretsmanager": {"GetSecretValue"},
    "sqs": {
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "SendMessage",
        "SendMessageBatch",
    },
}
"""What the functions call; a test compares it with the code. Clients know nothing else."""
ENDPOINTS = "endpoints.json"


def main() -> None:
    slim(Path(sys.argv[1]))


def slim(data: Path) -> None:
    """Cut botocore's data, in place."""
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in OPERATIONS:
            shutil.rmtree(folder)
    for service, operations in OPERATIONS.items():
        *older, newest = sorted((data / service).iterdir())
        for folder in older:
            shutil.rmtree(folder)
        _slim_service(newest, operations)
    file = data / ENDPOINTS
    file.write_text(_text(endpoints(json.loads(file.read_text()))))


def _slim_service(folder: Path, operations: set[str]) -> None:
    """Its model and its rules for endpoints remain: paginators, waiters and examples are for who asks for them."""
    for file in sorted(folder.iterdir()):
        kind = file.name.split("-")[0]
        if kind not in ("service", "endpoint"):
            file.unlink()
        elif file.suffix == ".gz":  # botocore reads it as it is, too, and need not unpack it at every start
            found = json.loads(gzip.decompress(file.read_bytes()))
            file.with_suffix("").write_text(_text(model(found, operations) if kind == "service" else found))
            file.unlink()


def endpoints(found: dict[str, Any]) -> dict[str, Any]:
    """Where services are: all partitions and regions, and of the services those in use."""
    partitions = [
        {**partition, "services": {name: at for name, at in partition["services"].items() if name in OPERATIONS}}
        for partition in found["partitions"]
    ]
    return {**found, "partitions": partitions}


def model(found: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """A service's model: these operations, the shapes that they need, and no documentation."""
    operations = {name: found["operations"][name] for name in sorted(names)}
    needed: set[str] = set()
    waiting = set(_shapes(operations))
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= set(_shapes(found["shapes"][name])) - needed
    return _undocumented(
        {**found, "operations": operations, "shapes": {name: found["shapes"][name] for name in needed}}
    )


def _shapes(part: Any) -> Iterator[str]:
    """The names of the shapes that a part of a model refers to."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _shapes(value)
    elif isinstance(part, list):
        for value in part:
            yield from _shapes(value)


def _undocumented(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: _undocumented(value)
            for name, value in part.items()
            if not (name == "documentation" and isinstance(value, str))
        }
    return [_undocumented(value) for value in part] if isinstance(part, list) else part


def _text(found: dict[str, Any]) -> str:
    return json.dumps(found, separators=(",", ":"), sort_keys=True)


if __name__ == "__main__":
    main()
