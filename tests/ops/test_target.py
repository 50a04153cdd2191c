"""Every command that takes a STACK says which stack it asks, and how the other one is meant."""

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import pytest

from local import running
from local.commands import StackError
from ops import target
from tests.cloudformation import ROOT

HERE = "http://127.0.0.1:4566"
UP = running.RunningStack(
    api_url=f"{HERE}/api",
    api_key="key",
    notify_key="whsec_key",
    endpoint_url=HERE,
    stack_name="video-jobs",
    platforms={"twelvelabs": "http://127.0.0.1:2"},
)
RECIPES = re.findall(r"^\t(.+(?:\\\n.+)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
COMMANDS = [re.findall(r"-m (ops\.\w+)", recipe)[0] for recipe in RECIPES if "$(STACK)" in recipe]
ARGUMENTS = {
    "ops.watch": ["--batch", "b-1"],
    "ops.redrive": ["--queue", "Inbox"],
    "ops.callback_url": ["--callback", "videodb/upload", "--job", "a"],
    "ops.webhooks": ["--platform", "apivideo"],
}


@pytest.fixture
def up() -> Iterator[None]:
    with ExitStack() as exits:
        exits.enter_context(running.the_only_one())
        exits.enter_context(running.written_down(UP))
        yield


@pytest.fixture
def killed() -> None:
    running.FILE.write_text(UP.model_dump_json())


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What people read; what may be piped on has nothing of it."""
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


@pytest.mark.usefixtures("up")
def test_the_local_stack_is_meant_while_it_is_up_and_the_other_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = target.find("")

    assert found.local == UP
    assert said(capsys) == f"Asks the local stack ({HERE}). STACK=video-jobs means the one in AWS.\n"
    assert found.make_option == ""


@pytest.mark.usefixtures("up")
def test_a_name_means_aws_although_the_local_stack_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    found = target.find("video-jobs")

    assert found.local is None
    assert said(capsys) == (
        f"Asks the AWS stack video-jobs. Without STACK the local one is meant, which is up ({HERE}).\n"
    )
    assert found.make_option == " STACK=video-jobs"


def test_aws_is_meant_where_no_local_stack_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert target.find("").local is None
    assert "Asks the AWS stack video-jobs, as no local one is up." in said(capsys)

    assert target.find("another").local is None
    assert said(capsys) == "Asks the AWS stack another.\n"


@pytest.mark.usefixtures("killed")
def test_after_a_killed_stack_nobody_asks_aws_by_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StackError, match=r"not up any more.*was killed.*make local.*STACK=video-jobs"):
        target.find("")

    assert target.find("video-jobs").local is None
    assert said(capsys) == "Asks the AWS stack video-jobs.\n"


def test_the_makefiles_commands_with_a_stack_are_known() -> None:
    assert sorted(COMMANDS) == sorted(ARGUMENTS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("up")
def test_every_command_says_which_stack_it_asks(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And that it asks AWS, before it says that it may not."""
    monkeypatch.setattr(boto3, "client", lambda *_arguments, **_options: _refuse())

    ended, output = run(command, ["--stack", "video-jobs", *ARGUMENTS[command]], monkeypatch, capsys)

    assert "Asks the AWS stack video-jobs. Without STACK the local one is meant" in output
    assert "no way to AWS" in output + ended


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("killed")
def test_every_command_says_that_a_killed_stack_is_not_up_any_more(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, output = run(command, ARGUMENTS[command], monkeypatch, capsys)

    assert "The local stack is not up any more" in output + ended


def run(
    command: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[str, str]:
    """What it ends with, and what it prints for people."""
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    name = f"{command}.__main__" if (ROOT / command.replace(".", "/")).is_dir() else command
    with pytest.raises(SystemExit) as ended:
        sys.exit(importlib.import_module(name).main())
    return str(ended.value.code), capsys.readouterr().err


def _refuse() -> None:
    raise StackError("no way to AWS")
