"""Runs ministack until whoever started this is gone. Never imported: `local.aws` starts it as a process of its own.

Two things ministack cannot be told otherwise: to end with its starter, even a killed one, and to run functions in a
Python without this environment's packages, so that what is missing from the layer is missing here too.
"""

import os
import runpy
import shutil
import signal
import sys
import threading


def end_with_starter() -> None:
    sys.stdin.buffer.read()  # nothing is ever written: it returns when the starter closes its end, or dies
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)  # the functions' processes too


threading.Thread(target=end_with_starter, daemon=True).start()
sys.executable = os.environ["FUNCTIONS_PYTHON"]
runpy.run_module("ministack", run_name="__main__")
