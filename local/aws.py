"""AWS on this machine: ministack as a process, and how to talk to it without a chance of reaching the real one."""

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from local.commands import LOCAL, TOOLS, StackError, failure

REGION = "us-east-1"
LOOPBACK = "127.0.0.1"
NOWHERE = "http://127.0.0.1:9"
"""Nothing listens there: whoever is sent to it is out of reach."""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - compared with, not bound to
CREDENTIALS = ("local", "local")
AUTH = {"AUTH": "true", "AWS_ACCESS_KEY_ID": CREDENTIALS[0], "AWS_SECRET_ACCESS_KEY": CREDENTIALS[1]}
OF_MAKE_AND_PYTHON = (
    "MAKEFLAGS",
    "MFLAGS",
    "MAKEOVERRIDES",
    "MAKELEVEL",
    "GNUMAKEFLAGS",
    "PYTHON",
    "PYTHONHOME",
    "PYTHONPATH",
)
"""What a `make` that started this hands on, and would decide how layers are built: `make demo PYTHON=...`."""
START_SECONDS = 120
WARM_SECONDS = 300
FUNCTION_PROCESSES = 4
"""How many requests a function takes at once on this machine. The others wait."""
RUNS = LOCAL / "run"
LOCK = "lock"


@dataclass(frozen=True)
class Emulator:
    url: str
    warm: Callable[[], None]
    """Start a process of every function, so that a first request does not wait for one. Returns when they are there."""


@contextmanager
def emulator(*, port: int, bind: str, log: Path, enforce_roles: bool = False) -> Iterator[Emulator]:
    """Runs ministack. On the way out it ends, with everything it started; what killed runs left behind goes first.

    `enforce_roles`: a function may do what its role allows, and nothing else.
    """
    if is_taken(port):
        raise StackError(f"Port {port} is taken. End what listens there, or choose another one (make local PORT=4567).")
    with _run_folder(port) as (directory, lock), log.open("wb") as output:
        process = subprocess.Popen(
            # -P: this folder's modules are not importable there
            [str(TOOLS / "ministack/bin/python"), "-P", str(Path(__file__).with_name("emulator.py"))],
            cwd=directory,
            env=_emulator_environment(port, bind, directory) | (AUTH if enforce_roles else {}),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )
        try:
            host = LOOPBACK if bind == EVERYWHERE else bind
            _wait_until(lambda: _is_ready(host, port), START_SECONDS, "ministack does not answer", process, log)
            yield Emulator(url=f"http://{host}:{port}", warm=lambda: _warm(process, directory, log))
        finally:
            _end(process)


@contextmanager
def _run_folder(port: int) -> Iterator[tuple[Path, int]]:
    """A new folder, and the file descriptor of its lock. While anybody has that open, no other run removes it."""
    RUNS.mkdir(parents=True, exist_ok=True)
    with (LOCAL / "run.lock").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        _remove_leftovers()
        directory = Path(tempfile.mkdtemp(prefix=f"{port}-", dir=RUNS))
        lock = (directory / LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield directory, lock.fileno()
        finally:
            rmtree(directory, ignore_errors=True)


def _remove_leftovers() -> None:
    """What runs left behind that were killed together with what would have tidied up after them."""
    for directory in RUNS.iterdir():
        # it is used; or just being removed by its own run; or nothing of ours
        with contextlib.suppress(OSError), (directory / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rmtree(directory, ignore_errors=True)


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def client(service: str, endpoint_url: str) -> Any:
    """A boto3 client of the emulator, whatever profile, credentials or proxy the user's environment names."""
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    session.set_credentials(*CREDENTIALS)
    connect: Any = boto3.Session(botocore_session=session, region_name=REGION).client
    return connect(service, endpoint_url=endpoint_url, config=Config(proxies={}))


def command_environment(endpoint_url: str) -> dict[str, str]:
    """The user's environment for a command like `sam`, but with the emulator as the only AWS there is."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in OF_MAKE_AND_PYTHON and not key.startswith(("AWS_", "SAM_CLI_"))
    }
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": CREDENTIALS[0],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS[1],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": f"{LOOPBACK},localhost,{kept.get('NO_PROXY', '')}",
        "no_proxy": f"{LOOPBACK},localhost,{kept.get('no_proxy', '')}",
        "PYTHON": sys.executable,  # which the layers' Makefiles build with
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
    }


def _emulator_environment(port: int, bind: str, directory: Path) -> dict[str, str]:
    """All of it: functions inherit what ministack has, so nothing of the user's own is passed on but certificates."""
    certificates = {key: os.environ[key] for key in ("SSL_CERT_FILE", "SSL_CERT_DIR") if key in os.environ}
    return certificates | {
        "PATH": os.defpath,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "AWS_EC2_METADATA_DISABLED": "true",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": bind,
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        "DOCKER_HOST": f"unix://{directory}/none",  # it would remove other ministacks' containers
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "FUNCTIONS_PYTHON": str(_functions_python(directory)),
        "FUNCTION_PROCESSES": str(FUNCTION_PROCESSES),
    }


def _functions_python(directory: Path) -> Path:
    """A Python like Lambda's: the standard library, and what the layer brings."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = directory / version
    python.write_text(f'#!/bin/sh\nexec "{sys.base_prefix}/bin/{version}" -I -S "$@"\n')
    python.chmod(0o755)
    return python


def _warm(process: subprocess.Popen[bytes], directory: Path, log: Path) -> None:
    done = directory / "warm"
    done.unlink(missing_ok=True)
    assert process.stdin  # noqa: S101 - for mypy
    process.stdin.write(b"warm\n")
    process.stdin.flush()
    _wait_until(done.exists, WARM_SECONDS, "the functions do not start", process, log)


def _wait_until(
    fact: Callable[[], bool], seconds: float, otherwise: str, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        if process.poll() is not None:
            raise failure(f"ministack ended with exit code {process.returncode}", log)
        if time.monotonic() > deadline:
            raise failure(f"{otherwise}, within {seconds} seconds", log)
        time.sleep(0.05)


def _is_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """At once: left to itself, it would delete its thousands of files while it still runs, which takes many seconds."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the functions' processes too
    process.communicate()
