"""What people paste into their shell works: each line that `make local` prints, and each of the docs for the API.

Bash runs the lines, curl asks the functions themselves, and between two requests a platform has had its time.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from video_jobs.jobs.model import JobStatus
from video_jobs.notifications.announce import announce

from local import running, serve
from tests import batch as scene
from tests.api import bridge
from tests.cloudformation import ROOT
from tests.stack import API_KEY, Stack, handler

SECONDS = 120
"""For what takes a second or two, on a machine that is busy."""
ROUTES = ("/jobs", "/batches", "/videodb/")
README = (ROOT / "README.md").read_text()
DOCS = {file.name: file.read_text() for file in sorted((ROOT / "docs").glob("*.md"))}
MAKEFILE = (ROOT / "Makefile").read_text()
AUTHORIZATION = '-H "x-api-key: $KEY"'
SHELL_LINE = re.compile(r"(curl|make|export|\w+=\$\(|\w+\(\) \{)", re.MULTILINE)


def shell_blocks(markdown: str) -> list[str]:
    """Indented blocks that are for a shell, and not code, events or YAML."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", markdown, re.MULTILINE)
    found = [text for text in map(dedent, blocks) if SHELL_LINE.match(re.sub(r"\A(#.*\n|\n)+", "", text))]
    return [text.partition("\n\n{")[0] for text in found]  # without the answer


@dataclass
class Shell:
    """A bash whose curl asks our functions; `aws` and `make` are stand-ins that note what they are called with."""

    url: str
    folder: Path
    answers: list[tuple[str, int, str]] = field(default_factory=list)
    """Method and path, status, and the answer."""

    def run(self, script: str, **environment: str) -> str:
        """What it prints; a line that fails ends it."""
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env={
                "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
                "CURL_HOME": str(self.folder),  # curl reads .curlrc there
                "CALLED": str(self.folder / "called"),
                "TEST_API": self.url,
                "TEST_KEY": API_KEY,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert finished.returncode == 0, f"{finished.stderr}\n{self.answers[-1:]}"
        return finished.stdout

    @property
    def called(self) -> list[str]:
        """What make was called with."""
        file = self.folder / "called"
        return file.read_text().splitlines() if file.exists() else []


AWS = """#!/bin/sh
case "$*" in
  "cloudformation describe-stacks --stack-name video-jobs --output text --query Stacks[0].Outputs[?OutputKey=='ApiUrl'].OutputValue")
    echo "$TEST_API" ;;
  "cloudformation describe-stacks --stack-name video-jobs --output text --query Stacks[0].Outputs[?OutputKey=='ApiKeysSecret'].OutputValue")
    echo ApiKeys-1 ;;
  "secretsmanager get-secret-value --secret-id ApiKeys-1 --query SecretString --output text")
    echo "{\\"default\\": \\"$TEST_KEY\\", \\"other\\": \\"x\\"}" ;;
  *) echo "aws does not know: $*" >&2; exit 2 ;;
esac
"""  # noqa: E501 - as it is typed
MAKE = """#!/bin/sh
echo "$*" >>"$CALLED"
"""


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> Iterator[Shell]:
    for name, text in {"aws": AWS, "make": MAKE}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".curlrc").write_text(f'fail\nnoproxy = "*"\nmax-time = {SECONDS}\n')
    shell = Shell("", tmp_path)

    def answering(function: Callable[[dict[str, Any], Any], Any]) -> bridge.Handler:
        def answer(event: dict[str, Any], context: Any) -> dict[str, Any]:
            _time_passes(stack, event["requestContext"]["http"]["method"], event["rawPath"])
            answered: dict[str, Any] = function(event, context)
            asked = f"{event['requestContext']['http']['method']} {event['rawPath']}"
            shell.answers.append((asked, int(answered["statusCode"]), answered["body"]))
            return answered

        return answer

    with bridge.serve(dict.fromkeys(ROUTES, answering(handler("api")))) as shell.url:
        yield shell


def _time_passes(stack: Stack, method: str, path: str) -> None:
    """By the time that somebody looks at events, or has something tried again, it has failed."""
    parts = path.strip("/").split("/")
    if parts[0] == "jobs" and parts[-1] == "events":
        _fail(stack, parts[1])
    if parts[0] == "batches" and (method, parts[-1]) == ("POST", "retry"):
        stack.work("BatchesQueue", handler("pipeline/batches"))
        batch, _ = scene.read(parts[1])
        for found in scene.ids(batch, batch.total):
            _fail(stack, found)


def _fail(stack: Stack, found: str) -> None:
    """By a callback, which can be replayed."""
    if scene.job(found).status == JobStatus.PENDING:
        scene.begin(found)
        said = stack.callback("videodb/upload", '{"success": false, "message": "Download failed."}', job=found)
        assert said["outcome"] == "accepted"
        stack.work("InboxQueue", handler("pipeline/inbox"))
        announce(scene.job(found))


def at_once(script: str) -> str:
    """Nobody is at work on what there is to wait for."""
    return script.replace("wait=20", "wait=0")


def requests_in(script: str) -> int:
    return len(re.findall(r"\bcurl ", script))


def assert_all_answered(shell: Shell, script: str) -> None:
    """Each curl has asked once, and was not refused."""
    assert [answer for answer in shell.answers if answer[1] >= 400] == []
    assert len(shell.answers) == requests_in(script) > 0


def assert_make_knows(called: list[str]) -> None:
    """Targets of the Makefile, with a value for variables that they use."""
    for line in called:
        name, *variables = line.split()
        recipe = re.search(rf"^{name}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
        assert recipe, line
        for variable in variables:
            what, _, value = variable.partition("=")
            assert f"$({what})" in recipe[1], line
            assert value, line


# --- The docs --------------------------------------------------------------------------------------------------------

BLOCKS = [
    block
    for text in (DOCS["api.md"], DOCS["batches.md"], DOCS["notifications.md"], README)
    for block in shell_blocks(text)
    if "$API" in block or "API=" in block
]


def test_every_line_of_the_docs_for_the_api_can_be_pasted(shell: Shell) -> None:
    script = at_once("\n".join(BLOCKS))

    shell.run(script)

    assert_all_answered(shell, script)
    assert {status for _, status, _ in shell.answers} == {200, 201, 202}
    assert shell.called
    assert_make_knows(shell.called)


def test_every_curl_of_the_docs_is_among_them() -> None:
    assert requests_in("\n".join(BLOCKS)) == len(re.findall(r"\bcurl (?=-)", "\n".join([README, *DOCS.values()]))) > 20


def test_nothing_to_paste_has_a_gap_to_fill() -> None:
    lines = [line.partition("   #")[0] for block in BLOCKS for line in block.splitlines()]

    assert [line for line in lines if re.search(r"<\w+>|…", line)] == []


@pytest.mark.parametrize("key", ["KEY='x-api-key: k'", "KEY="])
def test_a_key_in_another_form_would_be_noticed(shell: Shell, key: str) -> None:
    with pytest.raises(AssertionError, match="401"):
        shell.run(f"{key}; curl -sS {shell.url}/jobs {AUTHORIZATION}")


def test_there_is_one_form_for_the_key_everywhere() -> None:
    for script in (*BLOCKS, printed("http://127.0.0.1:1")):
        assert script.count(AUTHORIZATION) == requests_in(script)
        assert not re.search(r"\bKEY=['\"]", script)


def test_make_in_the_docs_names_targets_and_variables_that_there_are() -> None:
    text = "\n".join([README, *DOCS.values(), (ROOT / "CONTRIBUTING.md").read_text()])
    lines = re.findall(r"^    (?:\w+=\S+ )?make ([a-z][^#\n]*)", text, re.MULTILINE)

    assert len(lines) > 10
    assert_make_knows([re.sub(r"<[^>]+>", "x", line).replace("[", "").replace("]", "") for line in lines])


# --- make local ------------------------------------------------------------------------------------------------------


def printed(url: str) -> str:
    """What `make local` says is to be pasted."""
    stack = running.RunningStack(
        api_url=url,
        api_key=API_KEY,
        notify_key="whsec_a2V5",
        endpoint_url="http://127.0.0.1:1",
        stack_name="video-jobs",
        platforms={"videodb": "http://127.0.0.1:2"},
    )
    return dedent(serve._how_to_use(stack).partition(serve.TO_PASTE)[2])


def test_every_line_that_make_local_prints_can_be_pasted(shell: Shell) -> None:
    script = at_once(printed(shell.url))

    shell.run(script)

    assert_all_answered(shell, script)
    (batch,) = (re.findall(r'"batch_id":"([^"]+)"', text)[0] for _, status, text in shell.answers if "totals" in text)
    assert shell.called == [f"watch BATCH={batch}"]
    assert_make_knows(shell.called)


def test_the_docs_lines_go_on_where_those_of_make_local_end(shell: Shell) -> None:
    """As it says: what comes from AWS is not pasted then."""
    script = at_once(printed(shell.url) + "\n".join(BLOCKS[1:]))

    shell.run(script)

    assert_all_answered(shell, script)
