"""The stack on this machine, for as long as it is asked for: no Docker, no account."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from local import aws, build, deploy, running
from local.commands import LOGS


class LocalStack:
    """A real `sam build` and `sam deploy` into ministack. Raises `StackError`; leaves nothing running, however it ends.

        with LocalStack(parameters={"VideoDbUrl": videodb.url}) as stack:
            httpx.get(f"{stack.api_url}/jobs", headers={"x-api-key": stack.api_key})

    `name` names the logs (.local/logs/<name>-*.log), so that stacks at the same time keep theirs apart.
    `stack_name` is CloudFormation's; with `beside` it goes into the AWS of another stack, for as long as that is there.
    `warm` starts every function before anybody asks for it.
    `enforce_roles` lets a function do what its role in the template allows, and nothing else.
    `parameters` are the template's, by its names; platforms whose address is not given are out of reach.
    `progress` is called with what is being done.
    """

    def __init__(
        self,
        *,
        name: str = "stack",
        stack_name: str = deploy.STACK_NAME,
        beside: Self | None = None,
        port: int | None = None,
        bind: str = aws.LOOPBACK,
        enforce_roles: bool = True,
        warm: bool = False,
        parameters: Mapping[str, str | int] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.stack_name = stack_name
        self.endpoint_url = ""
        self.api_url = ""
        self.api_key = ""
        self.notify_key = ""
        self.outputs: dict[str, str] = {}
        self._name = name
        self._beside = beside
        self._port = port
        self._bind = bind
        self._enforce_roles = enforce_roles
        self._warm = warm
        self._parameters = parameters or {}
        self._progress = progress or (lambda _what: None)
        self._exits = ExitStack()
        self._emulator: aws.Emulator

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            exits.enter_context(_terminated_like_interrupted())
            self._start(exits)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def client(self, service: str) -> Any:
        """A boto3 client of this stack's AWS."""
        return aws.client(service, self.endpoint_url)

    def _start(self, exits: ExitStack) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        running.remove_leftovers()
        self._emulator = self._beside._emulator if self._beside else self._start_emulator(exits)
        self.endpoint_url = self._emulator.url
        self.api_url = deploy.api_url(self.endpoint_url, self.stack_name)
        overrides = deploy.parameters(self.endpoint_url, self._parameters, self.stack_name)
        with build.one_at_a_time():
            if not build.is_built():
                self._progress("sam build")
                build.build(self._name)
            self._progress("sam deploy")
            deploy.deploy(self.endpoint_url, overrides, self._name, self.stack_name)
        self._progress("routes and secrets")
        deploy.create_routes(self.endpoint_url, self.stack_name)
        self.outputs = deploy.outputs(self.client("cloudformation"), self.stack_name)
        self.api_key, self.notify_key = deploy.fill_secrets(self.endpoint_url, self.outputs)
        if self._warm:
            self._progress("starting the functions")
            self._emulator.warm()

    def _start_emulator(self, exits: ExitStack) -> aws.Emulator:
        self._progress("starting ministack")
        port = self._port or aws.free_port()
        log = LOGS / f"{self._name}-ministack.log"
        return exits.enter_context(aws.emulator(port=port, bind=self._bind, log=log, enforce_roles=self._enforce_roles))


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does. Signals belong to the main thread: in another one this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
