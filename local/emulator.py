"""Runs ministack until whoever started this is gone. Never imported: `local.aws` starts it as a process of its own.

Three things ministack cannot be told otherwise: to end with its starter, even a killed one; to run functions in a
Python without this environment's packages, so that what is missing from the layer is missing here too; and that IAM
knows no action sqs:SendMessageBatch.
"""

import os
import runpy
import shutil
import signal
import sys
import threading
from typing import Any

from ministack.core import iam_actions  # type: ignore[import-untyped]


def end_with_starter() -> None:
    sys.stdin.buffer.read()  # nothing is ever written: it returns when the starter closes its end, or dies
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)  # the functions' processes too


def extract_iam_action(*request: Any, **more: Any) -> str | None:
    """What a role must allow for a request. In AWS it is sqs:SendMessage for one message and for ten."""
    action: str | None = _extract_iam_action(*request, **more)
    return {"sqs:SendMessageBatch": "sqs:SendMessage"}.get(action or "", action)


_extract_iam_action = iam_actions.extract_iam_action
iam_actions.extract_iam_action = extract_iam_action
threading.Thread(target=end_with_starter, daemon=True).start()
sys.executable = os.environ["FUNCTIONS_PYTHON"]
runpy.run_module("ministack", run_name="__main__")
