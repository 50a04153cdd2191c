"""Measures what was built: how long a callback function takes to start and to handle an event, and how large it is.

Prints numbers and no judgement. What is compared was measured in turns, in the same run, on the same machine.
"""

import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import copytree, ignore_patterns
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from local import build, template
from local.commands import LOCAL, LOGS, StackError
from local.samples import EVENTS, SAMPLE_CALLBACK_KEY, SAMPLE_SECRETS, callback_samples

CALLBACK = "videodb/upload"
"""The function whose import is measured: all callbacks import the same."""
IMPORTS = 15
PROCESSES = 5
GOOD = ("ready", "printed")  # how samples of a good end are called, besides "success"


def main() -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        with build.one_at_a_time():  # so that nobody builds, or measures, meanwhile
            print("sam build ...", file=sys.stderr)
            build.if_needed("bench")
            print("\n\n".join([imports(), handlings(), sizes(), machine()]))
    except StackError as error:
        sys.exit(str(error))


@dataclass(frozen=True)
class Series:
    """One thing, measured several times, in seconds."""

    name: str
    times: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.times)


# --- What is measured ------------------------------------------------------------------------------------------------


def imports() -> str:
    """Importing a callback function: against bare boto3, and without bytecode."""
    layer, function = _layer(), _folder(CALLBACK)
    with TemporaryDirectory(dir=LOCAL) as directory:
        plain = Path(directory) / "python"
        copytree(layer, plain, ignore=ignore_patterns("__pycache__"))
        built, boto3, compiled_each_time = _in_turns(
            {
                f"{CALLBACK}, three clients": ["function", layer, function],
                "import boto3, two clients": ["bare_boto3", layer],
                "the same without bytecode in the layer": ["function", plain, function],
            }
        )
    note = f"{IMPORTS} fresh processes each, taking turns; the interpreter's own start is not counted"
    first = timings(f"Import ({note})", [boto3, built], unit="ms", scale=1e3)
    second = timings(
        "Import, and what bytecode in the layer is worth (same run)", [built, compiled_each_time], "ms", 1e3
    )
    return f"{first}\n\n{second}"


def handlings() -> str:
    """Handling one event of each callback, where AWS answers at once."""
    found: dict[str, list[dict[str, float]]] = {callback: [] for callback in _samples()}
    for _ in range(PROCESSES):
        for callback, sample in _samples().items():
            found[callback].append(_measure("handling", _layer(), _folder(callback), sample, secret()))
    rows = []
    for callback, processes in found.items():
        handler = Series(callback, [each["handler"] for each in processes])
        yardstick = Series("", [each["yardstick"] for each in processes])
        rows.append([*_timing(handler, 1e6), *_timing(yardstick, 1e6)[1:], _ratio(handler, yardstick)])
    title = f"Handling one event, warm, without AWS's own time (medians of {PROCESSES} fresh processes)"
    headings = ["", "µs", "min - max", "json.loads + HMAC, µs", "min - max", "ratio"]
    return table(title, headings, rows)


def sizes() -> str:
    """What is uploaded."""
    functions = {str(folder): build.BUILD / name for folder, name in sorted(template.functions().items())}
    rows = [
        [name, f"{disk(folder):,}", f"{zipped(folder):,}"]
        for name, folder in {"the layer": _layer().parent, **functions}.items()
    ]
    return table("Size as built, bytes", ["", "on disk", "zipped"], rows)


def machine() -> str:
    return (
        f"Measured on {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores "
        f"({platform.machine()}, {platform.system()}), Python {platform.python_version()}."
    )


# --- How it is measured ----------------------------------------------------------------------------------------------


def _in_turns(commands: Mapping[str, Sequence[Any]]) -> list[Series]:
    """Each one again and again, in turns, so that what else the machine does meets all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(IMPORTS + 1):
        for name, command in commands.items():
            seconds = _measure(*command)
            if turn:  # the first one warms the file cache
                times[name].append(seconds)
    return [Series(name, found) for name, found in times.items()]


def _measure(*arguments: Any) -> Any:
    """Run a measurement of local/bench_process.py with Python alone: no virtual environment, no user's settings."""
    script = Path(__file__).with_name("bench_process.py")
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(script), *map(str, arguments)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


def environment() -> dict[str, str]:
    """What a callback function reads, and nothing of the user's own."""
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/bench"
    providers = {name.split("/", maxsplit=1)[0] for name in template.functions()}
    return {
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",  # as in Lambda: clients are made during the start
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "Bench",
        "TABLE_NAME": "bench",
        "RETENTION_DAYS": "90",
        "CALLBACK_KEYS_SECRET": "bench",
        "DELIVERIES_QUEUE_URL": queue,
        "DELIVERIES_DEAD_LETTERS_URL": queue,
        "STEP_DEADLINE_SECONDS": "86400",
        "SIGNATURE_TOLERANCE_SECONDS": "300",
        "APSARAVIDEO_CALLBACK_URL": "",  # then it is the sample's own
        **{f"{provider.upper()}_STEPS_QUEUE_URL": queue for provider in providers},
        **{f"{provider.upper()}_SECRET": "bench" for provider in providers},
    }


def secret() -> str:
    """What every secret holds here: the keys that the samples are signed with."""
    signing = {name: value for values in SAMPLE_SECRETS.values() for name, value in values.items()}
    return json.dumps({"current": SAMPLE_CALLBACK_KEY, **signing})


def _layer() -> Path:
    return build.BUILD / "SharedLayer" / "python"


def _folder(function: str) -> Path:
    return build.BUILD / template.functions()[function]


def _samples() -> dict[str, Path]:
    """For each callback the sample event of a good end."""
    found: dict[str, Path] = {}
    for sample in callback_samples(EVENTS):
        callback = "/".join(sample.parts[-3:-1])
        if sample.stem.startswith(GOOD) or "success" in sample.stem:
            found.setdefault(callback, sample)
    return found


def disk(folder: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def zipped(folder: Path) -> int:
    """Bytes of a zip of all files."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            packed.write(file, file.relative_to(folder))
    return len(archive.getvalue())


# --- How it is shown -------------------------------------------------------------------------------------------------


def timings(title: str, series: Sequence[Series], unit: str, scale: float) -> str:
    """A table of medians; the ratio is to the first one."""
    rows = [[*_timing(each, scale), _ratio(each, series[0])] for each in series]
    return table(title, ["", unit, "min - max", "ratio"], rows)


def _timing(series: Series, scale: float) -> list[str]:
    low, middle, high = (f"{seconds * scale:.1f}" for seconds in (min(series.times), series.median, max(series.times)))
    return [series.name, middle, f"{low} - {high}"]


def _ratio(series: Series, to: Series) -> str:
    return f"{series.median / to.median:.2f}"


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain text: the first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (headings, *rows)
    ]
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])


if __name__ == "__main__":
    main()
