"""What is built and released: a wheel with all of the package, one version, and a changelog that says what is in it."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from video_jobs import __version__

from tests.cloudformation import ROOT

PACKAGE = ROOT / "layers/shared/video_jobs"
HEADING = r"## (?:Unreleased|(\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2}))"
KINDS = {"Added", "Changed", "Fixed", "Breaking"}
IMPORT_ALL = """
import importlib, json, sys
wheel, libraries, names = json.load(sys.stdin)
sys.path[:0] = [wheel]
sys.path.append(libraries)  # no .pth file is read here, so the editable install is not found
for name in names:
    found = importlib.import_module(name).__file__
    assert found.startswith(wheel), found
"""


def modules() -> list[str]:
    """Of the source tree: `video_jobs.store.reads`."""
    found = (path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in found)


def test_a_wheel_has_every_module_and_each_can_be_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run(
        [*command, f"--wheel-dir={tmp_path}", str(_copy(tmp_path / "source"))],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"video_jobs-{__version__}-")

    libraries = str(Path(sys.prefix) / "lib" / f"python3.{sys.version_info.minor}" / "site-packages")
    given = json.dumps([str(wheel), libraries, modules()])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT_ALL],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(wheel) as packed:
        assert any(name.endswith("licenses/LICENSE") for name in packed.namelist())


def _copy(to: Path) -> Path:
    """What a wheel is made of: building in the tree would leave its own files there."""
    wanted = ["pyproject.toml", "LICENSE", "layers/shared/requirements.txt", *_sources()]
    for name in wanted:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes((ROOT / name).read_bytes())
    return to


def _sources() -> list[str]:
    return [os.fspath(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.py")]


def releases() -> list[str]:
    """Every heading of the changelog with what stands below it."""
    return re.split(r"(?m)^(?=## )", (ROOT / "CHANGELOG.md").read_text())[1:]


def test_the_version_is_the_newest_release_of_the_changelog() -> None:
    numbers = [found[1] for text in releases() if (found := re.match(HEADING, text)) and found[1]]

    assert numbers[0] == __version__
    assert json.loads((ROOT / "docs/openapi.json").read_text())["info"]["version"] == __version__


def test_every_release_has_a_date_and_says_what_it_adds_changes_fixes_and_breaks() -> None:
    assert releases()
    for text in releases():
        assert re.match(HEADING, text), text.splitlines()[0]
        kinds = re.findall(r"(?m)^### (.*)$", text)
        assert kinds
        assert set(kinds) <= KINDS


def test_no_other_file_has_a_version_of_its_own() -> None:
    assert "version" not in re.findall(r"(?m)^(\w+) = ", (ROOT / "pyproject.toml").read_text().split("[project.opt")[0])
