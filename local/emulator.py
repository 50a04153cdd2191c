"""Runs ministack until whoever started this is gone. Never imported: `local.aws` starts it as a process of its own.

What ministack has no setting for:
- to end with its starter, even a killed one;
- to run functions in a Python without this environment's packages, so that what is missing from the layer is missing
  here too;
- that IAM knows no action sqs:SendMessageBatch;
- that a number which came through a template's parameter is a number;
- not to wait 50 ms after each answer of a function for a line of its log, where it has logged nothing;
- to unpack a layer once, and not for every process of a function, which was most of a cold start;
- to have requests wait for a process that is busy, where a function has enough of them. AWS starts one more for each
  concurrent request; one machine does not have room for that;
- to start a function before its first request.
"""

import hashlib
import os
import runpy
import signal
import sys
import threading
import time
import zipfile
from collections import defaultdict, deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ministack.core import iam_actions, lambda_runtime  # type: ignore[import-not-found]

FOLDER = Path(os.environ["TMPDIR"])
PROCESSES = int(os.environ["FUNCTION_PROCESSES"])
"""How many a function may have."""
WAIT_SECONDS = 60.0
"""How long a request waits for one of them; longer than an HTTP API waits for its function."""
WARM = b"warm\n"


# --- Ends with its starter ---------------------------------------------------------------------------------------


def obey_starter() -> None:
    for order in sys.stdin.buffer:  # until the starter closes its end, or dies
        if order == WARM:
            threading.Thread(target=warm, daemon=True).start()
    os.killpg(0, signal.SIGKILL)  # the functions' processes too; the next start removes what is left here


# --- Permissions -------------------------------------------------------------------------------------------------


def extract_iam_action(*request: Any, **more: Any) -> str | None:
    """What a role must allow for a request. In AWS it is sqs:SendMessage for one message and for ten."""
    action: str | None = _extract_iam_action(*request, **more)
    return {"sqs:SendMessageBatch": "sqs:SendMessage"}.get(action or "", action)


_extract_iam_action = iam_actions.extract_iam_action
iam_actions.extract_iam_action = extract_iam_action


# --- A function's process ----------------------------------------------------------------------------------------

LOG_SECONDS = 0.005
"""How long a first line of its log may take after its answer; what comes later is shown with the next answer."""
_unpacking = threading.Lock()


class Worker(lambda_runtime.Worker):  # type: ignore[misc]
    """It takes its layers from a copy that all processes share."""

    def __init__(self, func_name: str, config: Mapping[str, Any], code_zip: bytes) -> None:
        super().__init__(func_name, with_shared_layers(config), code_zip)

    def _drain_stderr_bounded(self) -> str:
        log: str = super()._drain_stderr_bounded(first_line_wait=LOG_SECONDS)
        return log


def with_shared_layers(config: Mapping[str, Any]) -> dict[str, Any]:
    """The function's configuration, naming folders to ministack's bootstrap instead of archives to unpack."""
    folders = [
        str(unpacked(data)) for layer in config.get("Layers", []) if (data := lambda_svc._resolve_layer_zip(layer))
    ]
    variables = config.get("Environment", {}).get("Variables", {})
    shared = {"_LAMBDA_LAYERS_DIRS": os.pathsep.join(folders)}
    return {**config, "Layers": [], "Environment": {"Variables": variables | shared}}


def unpacked(archive: bytes) -> Path:
    folder = FOLDER / "layers" / hashlib.sha256(archive).hexdigest()[:16]
    with _unpacking:
        if not folder.exists():
            packed = folder.with_suffix(".zip")
            packed.parent.mkdir(exist_ok=True)
            packed.write_bytes(archive)
            with zipfile.ZipFile(packed) as layer:
                layer.extractall(folder.with_suffix(".new"))
            packed.unlink()
            folder.with_suffix(".new").rename(folder)
    return folder


lambda_runtime.Worker = Worker


# --- So many processes, and no more ------------------------------------------------------------------------------

_changed = threading.Condition()
_lines: defaultdict[tuple[str, str], deque[object]] = defaultdict(deque)
"""Who waits for a process, by function and version: whoever came first is first."""


def acquire_worker(
    name: str, config: Mapping[str, Any], code_zip: bytes, qualifier: str = "$LATEST", **more: Any
) -> tuple[Any, str]:
    """A free process of the function; a new one while it has not enough of them; else the first that becomes free."""
    until, me = time.monotonic() + WAIT_SECONDS, object()
    with _changed:
        line = _lines[config["FunctionArn"], qualifier]
        line.append(me)
        try:
            while True:
                worker, how = None, "func_cap"
                if line[0] is me:
                    more |= {"qualifier": qualifier, "max_concurrency": PROCESSES}
                    worker, how = _acquire_worker(name, config, code_zip, **more)
                if worker is not None or not _changed.wait(max(until - time.monotonic(), 0)):
                    return worker, how
        finally:
            line.remove(me)
            _changed.notify_all()  # the next one is first now


def release_worker(worker: Any) -> None:
    _release_worker(worker)
    with _changed:
        _changed.notify_all()


def invalidate_worker(*function: Any, **more: Any) -> None:
    _invalidate_worker(*function, **more)
    with _changed:
        _changed.notify_all()


_acquire_worker = lambda_runtime.acquire_worker
_release_worker = lambda_runtime.release_worker
_invalidate_worker = lambda_runtime.invalidate_worker
lambda_runtime.acquire_worker = acquire_worker
lambda_runtime.release_worker = release_worker
lambda_runtime.invalidate_worker = invalidate_worker

# it takes its names from what is changed above
from ministack.services import lambda_svc  # type: ignore[import-not-found]  # noqa: E402

# --- Functions that are there before they are asked for ----------------------------------------------------------


def warm() -> None:
    """Give each function that has none a process, and leave a file that says so."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(
            threads.map(start, [function for function in lambda_svc._functions._data.values() if "config" in function])
        )
    (FOLDER / "warm").touch()


def start(function: Mapping[str, Any]) -> None:
    lambda_svc._run_with_function_config_scope(function["config"], _start, function)


def _start(function: Mapping[str, Any]) -> None:
    config, worker = function["config"], None
    try:
        worker, _ = acquire_worker(config["FunctionName"], config, function["code_zip"], qualifier=config["Version"])
        if worker is not None:
            lambda_runtime.ensure_spawned(worker)
    except Exception as error:
        print(f"{config['FunctionName']} does not start: {error!r}", flush=True)
    finally:
        release_worker(worker)


# --- Numbers -----------------------------------------------------------------------------------------------------


def sqs_esm_concurrency(source: Mapping[str, Any], *more: Any) -> int:
    """How many batches of a queue may be under way. A template's parameter arrives as text."""
    scaling = {name: int(number) for name, number in (source.get("ScalingConfig") or {}).items()}
    allowed: int = _sqs_esm_concurrency({**source, "ScalingConfig": scaling}, *more)
    return allowed


_sqs_esm_concurrency = lambda_svc._sqs_esm_concurrency
lambda_svc._sqs_esm_concurrency = sqs_esm_concurrency

threading.Thread(target=obey_starter, daemon=True).start()
sys.executable = os.environ["FUNCTIONS_PYTHON"]
runpy.run_module("ministack", run_name="__main__")
