"""What is checked is the same for `make check`, for a commit and on GitHub, with the same versions."""

import os
import re
import tomllib

import pytest
import yaml

from tests.cloudformation import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
WATCHED = ["*", ".github/**/*", "functions/**/*.py", "tools/*"]
LISTS = ["tools/*.txt", "layers/*/requirements.txt"]


def parts_of_check() -> list[str]:
    found = re.search(r"(?m)^check: (.*?) ##", MAKEFILE)
    assert found
    return found[1].split()


def hooks() -> list[dict[str, str]]:
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"  # others would bring versions of their own
    found: list[dict[str, str]] = local["hooks"]
    return found


def test_a_commit_is_checked_by_what_make_check_runs() -> None:
    assert sorted(hook["entry"] for hook in hooks()) == sorted(f"make --silent {part}" for part in parts_of_check())


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_a_hook_runs_when_its_files_change(hook: dict[str, str]) -> None:
    files = [path for pattern in WATCHED for path in ROOT.glob(pattern) if path.is_file()]

    assert any(re.search(hook["files"], path.relative_to(ROOT).as_posix()) for path in files)


def test_github_runs_what_anybody_can_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())

    assert [step["run"] for step in workflow["jobs"]["run"]["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_everything_that_is_installed_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [*project["build-system"]["requires"]]
    for extra in project["project"]["optional-dependencies"].values():
        named += extra
    for pattern in LISTS:
        for path in sorted(ROOT.glob(pattern)):
            lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
            named += [line for line in lines if line]

    assert len(named) > len(LISTS)
    assert [name for name in named if not re.fullmatch(r"[\w.-]+(\[[\w,.-]+\])?==[\w.]+", name)] == []


def test_a_tool_is_in_the_environment_that_its_list_makes() -> None:
    made = {path.stem for path in ROOT.glob("tools/*.txt")}

    assert set(re.findall(r"\$\(TOOLS\)/([a-z]+)/", MAKEFILE)) == made
