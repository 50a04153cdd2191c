"""What is deployed on this machine: built by SAM, once, and again only when what it is made of has changed.

`python -m local.build`, which `make setup` runs, leaves the next start nothing to download.
"""

import fcntl
import hashlib
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from local import aws, template
from local.commands import LOCAL, LOGS, ROOT, TOOLS, StackError, run

BUILD = LOCAL / "build"
BUILT = BUILD / "built"
"""The build's `fingerprint`. `sam build` empties the folder first, so half a build has none."""
SOURCES = ("template.yaml", "functions", "layers", "tools/sam.txt")
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
SAM = (str(TOOLS / "sam/bin/python"), "-m", "samcli")
NO_CONFIGURATION = "--config-env=none"  # samconfig.toml is for AWS


def architecture() -> str:
    if sys.platform != "linux":
        raise StackError("The functions' layers hold programs for Linux: run this in Linux (a container, a VM, WSL).")
    machine = platform.machine().lower()
    if machine not in ARCHITECTURES:
        raise StackError(f"This machine is a {machine}. Lambda, and so this project, runs on x86_64 and arm64.")
    return ARCHITECTURES[machine]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Build and deploy use one folder, whoever starts them."""
    with (LOCAL / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint() -> str:
    """Of everything that a build is made of: the template, functions and layers, and what builds them."""
    found = hashlib.sha256(f"{architecture()} {sys.version}".encode())
    for path in sorted(path for name in SOURCES for path in _files(ROOT / name)):
        found.update(f"\0{path.relative_to(ROOT)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir() and path.name != "__pycache__" and path.suffix != ".egg-info":
        for inside in path.iterdir():
            yield from _files(inside)


def is_built() -> bool:
    """Whether all that a build is made of is as it was when the last one was made."""
    return BUILT.is_file() and BUILT.read_text() == fingerprint()


def build(log_name: str) -> None:
    made_of = fingerprint()
    source = LOCAL / "template.yaml"
    source.write_text(template.for_processor(architecture()))
    run(
        [
            *SAM,
            "build",
            NO_CONFIGURATION,
            "--cached",
            f"--build-dir={BUILD}",
            f"--cache-dir={_cache()}",
            f"--template-file={source}",
            f"--base-dir={ROOT}",
        ],
        env=aws.command_environment(aws.NOWHERE),
        log=LOGS / f"{log_name}-sam-build.log",
    )
    BUILT.write_text(made_of)


def _cache() -> Path:
    """SAM knows a layer again by its own folder alone; so what else it is made of has a cache of its own."""
    key = hashlib.sha256(f"{architecture()} {sys.version}".encode())
    for path in (ROOT / "layers" / architecture() / "Makefile", ROOT / "tools" / "sam.txt"):
        key.update(path.read_bytes())
    found = LOCAL / "cache" / key.hexdigest()[:16]
    for other in found.parent.glob("*"):
        if other != found:
            rmtree(other, ignore_errors=True)
    return found


def if_needed(log_name: str) -> None:
    if not is_built():
        build(log_name)


if __name__ == "__main__":
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        with one_at_a_time():
            if_needed("setup")
    except StackError as error:
        sys.exit(str(error))
