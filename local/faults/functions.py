"""The functions of the stack, each in a process of its own: its handler, its environment, and what it has cached."""

import importlib.util
import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, tzinfo
from functools import cache
from io import StringIO
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol
from unittest.mock import patch

from video_jobs import settings
from video_jobs.aws import clients, secrets
from video_jobs.notifications import signing
from video_jobs.platforms import rest

from local.commands import ROOT
from local.faults.deployment import AWS_OWN, Function
from local.faults.timing import Clock

type Handler = Callable[[dict[str, Any], Any], Any]

_CACHES = ("_texts", "_refreshed_at", "_read")
"""What `video_jobs.aws.secrets` keeps for as long as a process lives."""


class Running(Protocol):
    """The run that is at work."""

    clock: Clock
    aws: Any

    def next_id(self) -> str: ...
    def platform_call(self, method: str, url: str, **request: Any) -> Any: ...
    def vod(self, access_key_id: str, access_key_secret: str) -> Any: ...
    def post(self, to: Any, body: bytes, headers: Any, **more: Any) -> Any: ...


class _Current:
    world: Any = None
    environment: Mapping[str, str] = {}


class _Environment:
    """`os.environ`, as the function at work has it."""

    def __getitem__(self, name: str) -> str:
        return _Current.environment[name]


def world() -> Any:
    """The run that is at work."""
    return _Current.world


class Processes:
    """What each function's process has cached; one that was stopped has nothing."""

    def __init__(self) -> None:
        self._cached: dict[tuple[str, int], tuple[Any, ...]] = {}

    @contextmanager
    def running(self, function: Function, depth: int) -> Iterator[Handler]:
        """Its handler. `depth`: how many others wait meanwhile; no two share a process."""
        key = (function.folder, depth)
        around = {name: getattr(secrets, name) for name in _CACHES}
        for name, found in zip(_CACHES, self._cached.pop(key, ({}, {}, {})), strict=True):
            setattr(secrets, name, found)
        try:
            with in_environment(function):
                yield handler(function.folder, depth)
            self._cached[key] = tuple(getattr(secrets, name) for name in _CACHES)
        finally:
            for name, found in around.items():
                setattr(secrets, name, found)


@contextmanager
def in_environment(function: Function) -> Iterator[None]:
    """Within it the layer sees the environment of this function."""
    before = _Current.environment
    _Current.environment = function.environment
    try:
        yield
    finally:
        _Current.environment = before


@cache
def handler(folder: str, depth: int) -> Handler:
    """functions/<folder>/app.py, loaded anew for each depth: some of what it has is one invocation's."""
    name = f"at_depth_{depth}.{folder.replace('/', '.')}"
    spec = importlib.util.spec_from_file_location(name, ROOT / "functions" / folder / "app.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # no fault that a run is about
        raise SystemExit(f"functions/{folder} cannot be loaded: {error}") from error
    if _installed:
        _change(module)
    found: Handler = module.handler
    return found


# --- The border: what the layer sees of the machine ------------------------------------------------------------------

_installed: list[tuple[Any, str, Any]] = []
"""What was replaced, to be put back."""


def from_iso(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class _Moment(datetime):
    """`datetime`, on the run's clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_Moment":
        return cls.fromtimestamp(world().clock.seconds, tz or UTC)


_TIME = SimpleNamespace(
    **{
        **vars(time),
        "time": lambda: world().clock.seconds,
        "time_ns": lambda: world().clock.now * 1_000_000,
        "monotonic": lambda: world().clock.seconds,
        "sleep": lambda seconds: world().clock.wait(seconds),  # noqa: PLW0108 (of the world at that moment)
    }
)
_UUID = SimpleNamespace(**{**vars(uuid), "uuid4": lambda: uuid.UUID(world().next_id().rjust(32, "0"))})


@contextmanager
def installed() -> Iterator[None]:
    """Within it the layer sees the run at work: its clock, its AWS, its platforms."""
    from video_jobs.platforms.apsaravideo import client as vod  # noqa: PLC0415

    for name in ("dynamodb", "sqs", "secretsmanager", "events"):
        _replace(clients, name, lambda name=name: world().aws.client(name))
    _replace(settings, "os", SimpleNamespace(environ=_Environment()))
    _replace(rest, "_pool", SimpleNamespace(request=lambda *args, **more: world().platform_call(*args, **more)))
    _replace(vod, "_sdk", lambda *key: world().vod(*key))
    _replace(signing, "post", lambda *args, **more: world().post(*args, **more))
    for module in list(sys.modules.values()):
        if module.__name__.startswith(("video_jobs", "at_depth_")):
            _change(module)
    try:
        yield
    finally:
        while _installed:
            module, name, before = _installed.pop()
            setattr(module, name, before)


@contextmanager
def at_work(run: Any) -> Iterator[None]:
    """Within it, this run is the one that the layer sees."""
    before, state = _Current.world, random.getstate()
    _Current.world = run
    random.seed(run.seed)
    try:
        with redirect_stdout(StringIO()), patch.dict(os.environ, AWS_OWN):  # there go the metrics
            yield
    finally:
        _Current.world = before
        random.setstate(state)


def _change(module: ModuleType) -> None:
    for name, theirs, ours in (("time", time, _TIME), ("datetime", datetime, _Moment), ("uuid", uuid, _UUID)):
        if vars(module).get(name) is theirs:
            _replace(module, name, ours)


def _replace(module: Any, name: str, ours: Any) -> None:
    _installed.append((module, name, getattr(module, name)))
    setattr(module, name, ours)
