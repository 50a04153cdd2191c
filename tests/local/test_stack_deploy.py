"""What is deployed onto this machine reaches nothing but this machine."""

import platform
import sys
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from local import aws, build, deploy, template
from local.commands import StackError
from tests.cloudformation import ROOT, TEMPLATE
from tests.patches import change

ENDPOINT = "http://127.0.0.1:4566"


def test_a_platform_whose_address_is_not_given_is_out_of_reach() -> None:
    parameters = deploy.parameters(ENDPOINT, {})

    real = {name for name, p in TEMPLATE["Parameters"].items() if str(p.get("Default")).startswith("https://")}
    assert real
    assert {name: parameters[name] for name in real} == dict.fromkeys(real, "http://127.0.0.1:9")


def test_given_parameters_win() -> None:
    given: dict[str, str | int] = {"VideoDbUrl": "http://127.0.0.1:1234", "CheckIntervalSeconds": 3}

    parameters = deploy.parameters(ENDPOINT, given)

    assert parameters["VideoDbUrl"] == "http://127.0.0.1:1234"
    assert parameters["CheckIntervalSeconds"] == "3"


def test_functions_and_platforms_are_told_the_local_addresses() -> None:
    parameters = deploy.parameters(ENDPOINT, {})

    assert parameters["AwsEndpointUrl"] == ENDPOINT
    assert parameters["CallbackBaseUrl"] == f"{ENDPOINT}/_aws/execute-api/videojobs"


def test_a_parameter_that_the_template_does_not_have_is_an_error() -> None:
    with pytest.raises(StackError, match="no parameter VideoDBUrl"):
        deploy.parameters(ENDPOINT, {"VideoDBUrl": "http://127.0.0.1:1234"})


@pytest.mark.parametrize(("machine", "expected"), [("aarch64", "arm64"), ("arm64", "arm64"), ("AMD64", "x86_64")])
def test_the_layer_is_built_for_this_machine(monkeypatch: pytest.MonkeyPatch, machine: str, expected: str) -> None:
    change(monkeypatch, build, platform, machine=lambda: machine)

    assert build.architecture() == expected


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small one in place of ours, and built."""
    folder = tmp_path / ".local" / "build"

    def sam_build(*_: object, **__: object) -> None:
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    makefiles = [f"layers/{name}/Makefile" for name in ("shared", "arm64", "x86_64")]
    for name in ("functions/videodb/upload/app.py", *makefiles, "template.yaml", "tools/sam.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "LOCAL", folder.parent)
    monkeypatch.setattr(build, "BUILT", folder / "built")
    monkeypatch.setattr(build, "run", sam_build)
    folder.parent.mkdir()
    assert not build.is_built()
    build.build("test")
    return tmp_path


def test_what_is_unchanged_is_not_built_again(project: Path) -> None:
    (project / "layers/shared/__pycache__").mkdir()
    (project / "layers/shared/__pycache__/app.pyc").touch()

    assert build.is_built()


@pytest.mark.parametrize(
    "changed",
    [
        "functions/videodb/upload/app.py",
        "layers/shared/Makefile",
        "layers/shared/new.py",
        "template.yaml",
        "tools/sam.txt",
    ],
)
def test_whatever_is_changed_is_built_again(project: Path, changed: str) -> None:
    (project / changed).write_text("changed")

    assert not build.is_built()


def test_what_sam_does_not_look_at_has_it_build_a_layer_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # its cache knows a layer by layers/shared alone
    caches: list[str] = []

    def sam_build(command: list[str], **_: Any) -> None:
        caches.extend(word for word in command if word.startswith("--cache-dir="))
        build.BUILT.parent.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(build, "run", sam_build)
    for changed in ("functions/videodb/upload/app.py", f"layers/{build.architecture()}/Makefile", "tools/sam.txt"):
        build.build("test")
        (project / changed).write_text("changed")
    build.build("test")

    first, same, *others = caches
    assert first == same
    assert len({first, *others}) == 3


def test_for_another_architecture_it_is_built_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"x86_64": "arm64", "arm64": "x86_64"}[build.architecture()]
    monkeypatch.setattr(build, "architecture", lambda: other)

    assert not build.is_built()


def test_half_a_build_is_no_build(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam_build = build.run  # type: ignore[attr-defined]

    def breaks_off(*command: Any, **more: Any) -> None:
        sam_build(*command, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "run", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        build.build("test")

    assert not build.is_built()


def test_every_secret_that_is_filled_is_an_output_of_the_template() -> None:
    assert deploy.PLATFORM_SECRETS.keys() <= TEMPLATE["Outputs"].keys()


def test_every_function_is_found_by_its_folder() -> None:
    folders = {str(app.parent.relative_to(ROOT / "functions")) for app in ROOT.glob("functions/**/app.py")}

    assert template.functions().keys() == folders


def test_nothing_of_the_users_own_aws_reaches_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("MAKEFLAGS", " -- PYTHON=/elsewhere")
    monkeypatch.setenv("PYTHON", "/elsewhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.amazonaws.com")

    environment = aws.command_environment(ENDPOINT)

    assert environment["PYTHON"] == sys.executable
    assert "MAKEFLAGS" not in environment
    assert {name: value for name, value in environment.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_a_client_ignores_the_users_profile_and_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://sqs.us-east-1.amazonaws.com")

    client = aws.client("sqs", ENDPOINT)

    assert client.meta.endpoint_url == ENDPOINT
    assert client._request_signer._credentials.access_key == "local"
