"""What depends on what, and that one name, provider/callback in snake case, leads to all that belongs to a callback.

Which package may know which one stands in pyproject.toml, as contracts of import-linter.
"""

import importlib
import re
import tomllib
from functools import cache
from types import SimpleNamespace

import grimp
import pytest
from importlinter import cli
from video_jobs.callbacks.registry import CALLBACKS
from video_jobs.platforms.requests import PROVIDERS

from tests.cloudformation import PARTS, RESOURCES, ROOT, callbacks, folders, of_type
from tests.stack import PLATFORMS

LINTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
FUNCTIONS = of_type("AWS::Serverless::Function")
LAYER = ROOT / "layers/shared/video_jobs"
OURS = {folder.name for folder in ROOT.iterdir() if folder.is_dir() and next(folder.rglob("*.py"), None)}
"""Folders with code, at the top."""


# --- Dependencies


@pytest.mark.parametrize("contract", [contract["name"] for contract in LINTED["contracts"]])
def test_dependencies_point_one_way(
    monkeypatch: pytest.MonkeyPatch, contract: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # import-linter would disable every logger that there is, for all tests after this one
    monkeypatch.setattr(cli, "logging_config", SimpleNamespace(dictConfig=lambda _config: None))
    names = [each["name"] for each in LINTED["contracts"]]
    status = cli.lint_imports(
        config_filename=str(ROOT / "pyproject.toml"),
        limit_to_contracts=(LINTED["contracts"][names.index(contract)]["id"],),
        no_cache=True,
        no_logo=True,
    )
    assert status == 0, capsys.readouterr().out


def test_what_is_looked_at_is_all_that_there_is() -> None:
    known = {name for name in OURS if not name.startswith(".") and name not in ("layers", "tools")}
    assert {*LINTED["root_packages"]} == {*known, "video_jobs"}
    (independent,) = (each for each in LINTED["contracts"] if each["id"] == "platforms")
    assert sorted(independent["modules"]) == sorted(f"video_jobs.platforms.{name}" for name in PLATFORMS)


def test_no_exception_outlives_its_reason() -> None:
    # import-linter itself fails if one is not needed; here they are counted, so that none joins them unseen
    exceptions = [line for contract in LINTED["contracts"] for line in contract.get("ignore_imports", [])]
    assert exceptions == [
        "video_jobs.notifications.announce -> video_jobs.api.views",
        "video_jobs.notifications.events -> video_jobs.api.views",
    ]


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("video_jobs", "functions", cache_dir=None, exclude_type_checking_imports=True)


@pytest.mark.parametrize("callback", [*callbacks(), "apsaravideo/mns"])
def test_a_callback_function_knows_nothing_of_jobs_items_workers_or_people(callback: str) -> None:
    function = f"functions.{callback.replace('/', '.')}.app"
    known = graph().find_upstream_modules(function)
    packages = {".".join(module.split(".")[:2]) for module in known if module.count(".") > 1}
    assert packages <= {f"video_jobs.{name}" for name in ("aws", "callbacks", "jobs", "platforms")}
    assert "video_jobs.callbacks.inbox" not in known
    assert not [module for module in known if module.endswith(".client")]


# --- Names


def camel(name: str) -> str:
    """upload_by_url -> UploadByUrl."""
    return "".join(word.title() for word in name.split("_"))


def test_the_registry_has_every_callback_function_and_no_other() -> None:
    assert sorted(CALLBACKS) == callbacks()


def test_the_registry_has_every_module_that_declares_a_callback() -> None:
    names = [path.relative_to(LAYER).with_suffix("").parts for path in LAYER.glob("platforms/*/*.py")]
    modules = [importlib.import_module(".".join(["video_jobs", *name])) for name in names]
    declared = [vars(module)["CALLBACK"] for module in modules if "CALLBACK" in vars(module)]
    assert sorted(callback.name for callback in declared) == sorted(CALLBACKS)
    assert all(CALLBACKS[callback.name] is callback for callback in declared)


def test_a_platform_has_one_name_everywhere() -> None:
    found = {folder.split("/")[0] for folder in folders() if folder.split("/")[0] not in ("api", "pipeline")}
    modules = {path.parent.name for path in LAYER.glob("platforms/*/__init__.py")}
    samples = {path.name for path in (ROOT / "events").iterdir() if path.is_dir()} - {"api", "pipeline"}
    assert found == modules == samples == set(PLATFORMS) == set(PROVIDERS)
    for provider, platform in PLATFORMS.items():
        assert FUNCTIONS[f"{platform}Worker"]["CodeUri"] == f"functions/{provider}/worker"
        for part in ("Queue", "DeadLetters", "WorkerRole", "CallbackRole", "DeadLettersAlarm", "StandsAlarm"):
            assert f"{platform}{part}" in RESOURCES


@pytest.mark.parametrize("name", callbacks())
def test_a_callbacks_name_leads_to_all_that_belongs_to_it(name: str) -> None:
    provider, _, kind = name.partition("/")
    callback = CALLBACKS[name]
    assert (callback.name, callback.provider) == (name, provider)

    # the function: its folder, its wiring, its logical id
    app = importlib.import_module(f"functions.{provider}.{kind}.app")
    assert app.CALLBACK is callback
    function = FUNCTIONS[f"{PLATFORMS[provider]}{camel(kind)}"]
    assert function["CodeUri"] == f"functions/{name}"
    assert function["Role"] == {"Fn::GetAtt": f"{PLATFORMS[provider]}CallbackRole.Arn"}

    # the route, in kebab case
    (event,) = function["Events"].values()
    route = event["Properties"]
    assert (event["Type"], route["Method"], route["Path"]) == (
        "HttpApi",
        "POST",
        f"/callbacks/{name.replace('_', '-')}",
    )

    # what proves its sender
    assert callback.secret in function["Environment"]["Variables"]

    # the samples
    assert list((ROOT / "events" / name).glob("*.json"))

    # the payload and what it means, declared in the platform's own module
    assert callback.payload.__module__.startswith(f"video_jobs.platforms.{provider}.")
    assert callback.decide.__module__.startswith(f"video_jobs.platforms.{provider}.")


@pytest.mark.parametrize("name", callbacks())
def test_a_callback_function_is_its_declaration_wired(name: str) -> None:
    lines = (ROOT / "functions" / name / "app.py").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith('"""')] == [
        "from video_jobs.callbacks import endpoint",
        f"from {module_of(name)} import CALLBACK",
        "handler = endpoint(CALLBACK)",
    ]


def module_of(name: str) -> str:
    """The module that declares a callback."""
    (found,) = (
        ".".join(["video_jobs", *path.relative_to(LAYER).with_suffix("").parts])
        for path in LAYER.glob("platforms/*/*.py")
        if re.search(rf'^CALLBACK\b.*= Callback\(\s*name="{name}"', path.read_text(), re.MULTILINE)
    )
    return found


@pytest.mark.parametrize("folder", [folder for folder in folders() if folder.split("/")[-1] in PARTS])
def test_what_else_a_platform_has_is_named_alike(folder: str) -> None:
    if folder == "api":
        expected = "JobsApi"
    else:
        provider, _, part = folder.partition("/")
        expected = f"{PLATFORMS[provider]}{part.title()}"
    assert FUNCTIONS[expected]["CodeUri"] == f"functions/{folder}"


@pytest.mark.parametrize("folder", [folder for folder in folders() if folder.startswith("pipeline/")])
def test_a_part_of_the_pipeline_is_named_alike(folder: str) -> None:
    assert FUNCTIONS[camel(folder.split("/")[1])]["CodeUri"] == f"functions/{folder}"
