"""One measurement in a process of its own, as Lambda starts one: the standard library, the layer, one function.

`local.bench.starts` runs it, isolated: nothing of the virtual environment may be imported instead of what was built.
"""

import hashlib
import hmac
import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter, process_time
from typing import Any

HANDLED = 500
WARM_UP = 50


def main() -> None:
    what, layer, *rest = sys.argv[1:]
    sys.path.insert(0, layer)
    said = sys.stdout
    with open(os.devnull, "w") as nowhere:
        sys.stdout = nowhere  # functions log what they do
        measured = MEASUREMENTS[what](*rest)
        sys.stdout = said
    print(json.dumps(measured))


def function(folder: str) -> float:
    """Seconds of the processor to import a function; a callback's makes its clients.

    A start waits for nothing but the processor, and so the figure is the same on a busy machine.
    """
    sys.path.insert(0, folder)
    started = process_time()
    import_module("app")
    return process_time() - started


def bare_boto3() -> float:
    """The same for boto3 and the two clients of a callback: what any function that uses AWS pays."""
    started = process_time()
    boto3 = import_module("boto3")
    boto3.client("sqs")
    boto3.client("secretsmanager")
    return process_time() - started


def handling(folder: str, sample: str, secret: str) -> dict[str, float]:
    """Seconds to handle a sample event where AWS answers at once, and to read its body and make one HMAC."""
    sys.path.insert(0, folder)
    handler = import_module("app").handler
    answers = {"GetSecretValue": {"SecretString": secret}, "SendMessage": {"MessageId": "1"}}
    import_module("botocore.client").BaseClient._make_api_call = lambda _self, operation, _parameters: answers[
        operation
    ]
    with open(sample) as file:
        event: dict[str, Any] = json.load(file)

    answer = handler(event, None)
    if (answer["statusCode"], json.loads(answer["body"])) != (200, {"outcome": "accepted"}):
        raise SystemExit(f"{sample}: {answer}")

    def read_and_sign() -> None:
        json.loads(event["body"])
        hmac.new(secret.encode(), event["rawPath"].encode(), hashlib.sha256).hexdigest()

    return {"handler": _each(lambda: handler(event, None)), "yardstick": _each(read_and_sign)}


def _each(call: Callable[[], Any]) -> float:
    """The median of many calls, in seconds."""
    times = []
    for _ in range(WARM_UP + HANDLED):
        started = perf_counter()
        call()
        times.append(perf_counter() - started)
    return median(times[WARM_UP:])


MEASUREMENTS: dict[str, Callable[..., Any]] = {
    measurement.__name__: measurement for measurement in (function, bare_boto3, handling)
}

if __name__ == "__main__":
    main()
