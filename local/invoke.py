"""Runs a function in Lambda's own container with a sample event, against the stack of `make local`.

Or writes down what `sam local invoke` needs to know for that, and says what to type: `make invoke-env`.
"""

import argparse
import difflib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from local import aws, build, deploy, running, template
from local.commands import LOCAL, LOGS, ROOT, StackError
from local.forward import forwarded

EVENTS = ROOT / "events"
IMAGE = "public.ecr.aws/lambda/python:3.13"
ENV_FILE = LOCAL / "env.json"
NAMED_ENV_FILE = ENV_FILE.relative_to(ROOT)
BUILT_TEMPLATE = build.BUILD / "template.yaml"
NAMED_TEMPLATE = BUILT_TEMPLATE.relative_to(ROOT)
ANY_EVENT = "videodb/upload/video_success"
CONNECT_SECONDS = 5
HOST_FROM_CONTAINER = "host.docker.internal"  # where Docker runs in a virtual machine: macOS, Windows
ON_THIS_MACHINE = re.compile(r"127\.0\.0\.1:(\d+)")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SIGNED_URL = "APSARAVIDEO_CALLBACK_URL"
NOT_FOR_THE_FUNCTION = {"CALLBACK_BASE_URL", SIGNED_URL}  # given to platforms, which are outside of the container


def main() -> None:
    parser = argparse.ArgumentParser(prog="make invoke", description=__doc__)
    parser.add_argument("--event", default="", help="a file below events/, without .json")
    parser.add_argument("--write-env", action="store_true", help="only write down what `sam local invoke` needs")
    options = parser.parse_args()
    try:
        if options.write_env:
            print(write_env(options.event or ANY_EVENT))
        else:
            sys.exit(invoke(options.event))
    except StackError as error:
        sys.exit(str(error))


def invoke(event: str) -> int:
    """Returns the exit code of `sam local invoke`."""
    file = event_file(event)
    function = function_of(event, template.functions())
    stack = _stack()
    gateway = _gateway()
    _have_it_built()
    with ExitStack() as exits:
        directory = Path(exits.enter_context(TemporaryDirectory(dir=LOCAL)))
        variables = _as_seen_from_container(_environment_of(function, stack.endpoint_url), gateway, exits)
        variables = _for_samples(variables, is_request=_is_request(file))
        env_file = directory / "env.json"
        env_file.write_text(json.dumps({function: variables}))
        return subprocess.run(
            [
                *build.SAM,
                "local",
                "invoke",
                build.NO_CONFIGURATION,
                function,
                f"--event={file}",
                f"--env-vars={env_file}",
                f"--template-file={BUILT_TEMPLATE}",
                *(["--skip-pull-image"] if _has_image(f"{IMAGE}-{build.architecture()}") else []),
            ],
            cwd=ROOT,
            env=aws.command_environment(stack.endpoint_url),
            check=False,
        ).returncode


def write_env(event: str, env_file: Path = ENV_FILE) -> str:
    """Writes the variables of every function, and returns what to type, to run one with this event."""
    event_file(event)
    function = function_of(event, template.functions())
    stack = _stack()
    host = _host_from_container(_gateway(), stack.endpoint_url)
    found = {
        name: _for_samples(
            _readdressed(_environment_of(name, stack.endpoint_url), lambda port: f"{host}:{port}"),
            is_request=any(map(_is_request, EVENTS.glob(f"{folder}/*.json"))),
        )
        for folder, name in template.functions().items()
    }
    env_file.write_text(json.dumps(found, indent=2) + "\n")
    _have_it_built()
    return to_type(function, event, host)


def to_type(function: str, event: str, host: str) -> str:
    keys = " ".join(f"{name}={key}" for name, key in zip(KEYS, aws.CREDENTIALS, strict=True))
    lines = [
        "source .venv/bin/activate",
        f"export {keys} AWS_REGION={aws.REGION}    # in a shell for this alone",
        invocation(function, event),
    ]
    said = [f"{NAMED_ENV_FILE} says how each function finds the local stack, at {host}, from its container. To type:"]
    said += ["", *(f"  {line}" for line in lines), "", "events/README.md has the last line of every other function."]
    if host != HOST_FROM_CONTAINER:
        said.append("The simulated platforms are out of reach there; `make invoke` leads workers to them.")
    return "\n".join(said)


def invocation(function: str, event: str) -> str:
    """The line that runs a function, as it was built for this machine, with the SAM CLI alone."""
    return f"sam local invoke {function} -t {NAMED_TEMPLATE} -e events/{event}.json --env-vars {NAMED_ENV_FILE}"


def _have_it_built() -> None:
    """For this machine's processor, whichever the functions have in AWS."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with build.one_at_a_time():
        build.if_needed("invoke")


def _stack() -> running.RunningStack:
    stack = running.find()
    if stack is None:
        raise StackError("The local stack is not up. Start it in another terminal: make local")
    return stack


def _is_request(file: Path) -> bool:
    return "requestContext" in json.loads(file.read_text())


def _for_samples(variables: Mapping[str, str], *, is_request: bool) -> dict[str, str]:
    """A signed sample is signed for its own address, not for the stack's."""
    own = {SIGNED_URL: ""} if is_request and SIGNED_URL in variables else {}
    return {**variables, **own}


def event_file(event: str, events: Path = EVENTS) -> Path:
    file = events / f"{event}.json"
    if event and file.is_file():
        return file
    known = sorted(str(path.relative_to(events).with_suffix("")) for path in events.rglob("*.json"))
    near = difflib.get_close_matches(event, known, n=5, cutoff=0.5) or known
    raise StackError("\n".join(["EVENT is one of these:" if not event else f"No event {event}. There is:", *near]))


def function_of(event: str, functions: Mapping[str, str]) -> str:
    """The logical id of the function of the event's folder."""
    folder = event.rpartition("/")[0]
    if folder not in functions:
        raise StackError(f"template.yaml has no function in functions/{folder}.")
    return functions[folder]


def _environment_of(function: str, endpoint_url: str) -> dict[str, str]:
    name = deploy.physical_ids(aws.client("cloudformation", endpoint_url))[function]
    configuration = aws.client("lambda", endpoint_url).get_function_configuration(FunctionName=name)
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    return variables


def _gateway() -> str:
    """This machine's address in Docker's default network; Docker may name just the network, whose first one it is."""
    network = _docker(
        "network", "inspect", "bridge", "--format", "{{with index .IPAM.Config 0}}{{or .Gateway .Subnet}}{{end}}"
    )
    return str(next(iter(ip_network(network).hosts())))


def _host_from_container(gateway: str, endpoint_url: str) -> str:
    """Where a container finds what listens on this machine. Raises StackError if it does not find the local stack."""
    try:
        with socket.create_server((gateway, 0)):
            pass
    except OSError:  # the gateway is in Docker's virtual machine, which can reach this machine's loopback interface
        return HOST_FROM_CONTAINER
    port = urlsplit(endpoint_url).port
    try:
        socket.create_connection((gateway, port), timeout=CONNECT_SECONDS).close()
    except OSError:
        raise StackError(
            f"Containers do not reach the local stack: it does not listen at {gateway}:{port}."
            " Start it with: make local BIND=0.0.0.0 (or use `make invoke`, which leads them to it)"
        ) from None
    return gateway


def _readdressed(variables: Mapping[str, str], address: Callable[[str], str]) -> dict[str, str]:
    """With `address` of the port in the place of every address of this machine."""
    return {
        name: value if name in NOT_FOR_THE_FUNCTION else ON_THIS_MACHINE.sub(lambda found: address(found[1]), value)
        for name, value in variables.items()
    }


def _as_seen_from_container(variables: Mapping[str, str], gateway: str, exits: ExitStack) -> dict[str, str]:
    """With every address of this machine replaced by one that leads here from a container, until `exits` is closed."""
    ports = {port for value in variables.values() for port in ON_THIS_MACHINE.findall(value)}
    try:
        addresses = {port: f"{gateway}:{exits.enter_context(forwarded(int(port), gateway))}" for port in ports}
    except OSError:  # the gateway is in Docker's virtual machine, which can reach this machine's loopback interface
        addresses = {port: f"{HOST_FROM_CONTAINER}:{port}" for port in ports}
    return _readdressed(variables, addresses.__getitem__)


def _has_image(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0


def _docker(*arguments: str) -> str:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, check=True, text=True).stdout.strip()
    except FileNotFoundError:
        raise StackError("`sam local invoke` needs Docker: https://docs.docker.com/engine/install/") from None
    except subprocess.CalledProcessError as error:
        raise StackError(f"Docker does not answer. Is it running?\n{error.stderr.strip()}") from None


if __name__ == "__main__":
    main()
