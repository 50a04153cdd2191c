"""How long functions take to start and to handle an event, and how large what was built is.

What is compared was measured in turns, in the same run, on the same machine.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import copytree, ignore_patterns
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import boto3

from local import build, template
from local.bench.shown import table
from local.commands import LOCAL
from local.samples import EVENTS, SAMPLE_CALLBACK_KEY, SAMPLE_SECRETS, callback_samples

CALLBACK = "videodb/upload"
"""The function whose start is compared: all callbacks import the same but for their platform's payload."""
STARTED = (
    CALLBACK,
    "twelvelabs/index_task",
    "apivideo/encoding_quality_completed",
    "apsaravideo/upload_by_url_complete",
    "pipeline/inbox",
    "videodb/worker",
    "api",
)
BARE = "import boto3, two clients"
BARE_CUT = "the same with the layer's botocore"
STARTS = 9
PROCESSES = 5
GOOD = ("ready", "printed")  # how samples of a good end are called, besides "success"
_BOTO3 = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")


@dataclass(frozen=True)
class Series:
    """One thing, measured several times, in seconds."""

    name: str
    times: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.times)


# --- What is measured ------------------------------------------------------------------------------------------------


def starts() -> list[Series]:
    """Starting functions, beside bare boto3 as pip installs it, which comes first."""
    layer = _layer()
    functions = {function: ["function", layer, _folder(function)] for function in STARTED}
    with _bare_boto3() as bare:
        return _in_turns({BARE: ["bare_boto3", bare], BARE_CUT: ["bare_boto3", layer], **functions})


def start_ratio(found: Sequence[Series]) -> float:
    """A callback's start beside bare boto3's."""
    by_name = {series.name: series for series in found}
    return by_name[CALLBACK].median / by_name[BARE].median


def started(found: Sequence[Series]) -> str:
    note = (
        f"processor time, medians of {STARTS} fresh processes each, taking turns, without the interpreter's own start"
    )
    return timings(f"Start: import, and the clients that it makes ({note})", found, unit="ms", scale=1e3)


def handlings() -> dict[str, tuple[Series, Series]]:
    """Handling one event of each callback, where AWS answers at once; beside reading its body and one HMAC."""
    found: dict[str, list[dict[str, float]]] = {callback: [] for callback in samples()}
    for _ in range(PROCESSES):
        for callback, sample in samples().items():
            found[callback].append(_measure("handling", _layer(), _folder(callback), sample, secret()))
    return {
        callback: (
            Series(callback, [each["handler"] for each in processes]),
            Series("", [each["yardstick"] for each in processes]),
        )
        for callback, processes in found.items()
    }


def own_time_us(found: Mapping[str, tuple[Series, Series]]) -> float:
    """Microseconds of a callback without AWS's own time."""
    return found[CALLBACK][0].median * 1e6


def handled(found: Mapping[str, tuple[Series, Series]]) -> str:
    rows = [
        [*_timing(handler, 1e6), *_timing(yardstick, 1e6)[1:], _ratio(handler, yardstick)]
        for handler, yardstick in found.values()
    ]
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


# --- How it is measured ----------------------------------------------------------------------------------------------


@contextmanager
def _bare_boto3() -> Iterator[Path]:
    """boto3 as pip installs it, with bytecode like the layer's."""
    installed = Path(boto3.__file__).parent.parent
    with TemporaryDirectory(dir=LOCAL) as directory:
        found = Path(directory)
        for name in _BOTO3:
            if (installed / name).is_dir():
                copytree(installed / name, found / name, ignore=ignore_patterns("__pycache__"))
            else:
                (found / name).write_bytes((installed / name).read_bytes())
        compiled = ["compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", str(found)]
        subprocess.run([sys.executable, "-m", *compiled], check=True)
        yield found


def _in_turns(commands: Mapping[str, Sequence[Any]]) -> list[Series]:
    """Each one again and again, in turns, so that what else the machine does meets all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(STARTS + 1):
        for name, command in commands.items():
            seconds = _measure(*command)
            if turn:  # the first one warms the file cache
                times[name].append(seconds)
    return [Series(name, found) for name, found in times.items()]


def _measure(*arguments: Any) -> Any:
    """Run a measurement of local/bench/process.py with Python alone: no virtual environment, no user's settings."""
    script = Path(__file__).with_name("process.py")
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(script), *map(str, arguments)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


def environment() -> dict[str, str]:
    """What functions read while they start and a callback is handled, and nothing of the user's own."""
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
        "API_KEYS_SECRET": "bench",
        "INBOX_QUEUE_URL": queue,
        "INBOX_DEAD_LETTERS_URL": queue,
        "STEP_DEADLINE_SECONDS": "86400",
        "CHECK_INTERVAL_SECONDS": "30",
        "SIGNATURE_TOLERANCE_SECONDS": "300",
        "APSARAVIDEO_CALLBACK_URL": "",  # then it is the sample's own
        **{f"{provider.upper()}_QUEUE_URL": queue for provider in providers},
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


def samples() -> dict[str, Path]:
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
