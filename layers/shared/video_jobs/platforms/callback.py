"""How a platform's module declares one of its callbacks: once, for its function and for the inbox."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from video_jobs import jsontext
from video_jobs.http import Request
from video_jobs.jobs.model import Meaning

type Verify = Callable[[Request, Mapping[str, str]], str]
"""Whether a request is signed with one of these values: the signature that holds. Raises RejectedError, or
SecretUnavailableError if there is nothing among the values to verify with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback[P: BaseModel]:
    """A callback: its name, what proves its sender, how its body is read, and what it means."""

    name: str
    """"provider/callback" in snake case: the key of its folder, its route, its samples and its logical id."""
    payload: type[P]
    """The model of its bodies."""
    decide: Callable[[P], Meaning]
    """What a body means. Only what a token has proven, which names the job, may mean a step's end."""
    read: Callable[[bytes], Any] = jsontext.read
    """JSON from a body's bytes. Raises NotJsonError."""
    secret: str = "CALLBACK_KEYS_SECRET"  # noqa: S105 (a variable's name)
    """The environment variable with the name of the secret that a proof needs."""
    verify: Verify | None = None
    """None: the URL that we gave out has a token."""

    @property
    def provider(self) -> str:
        return self.name.split("/", maxsplit=1)[0]

    @property
    def step(self) -> str:
        """The step that the URL of a token is about."""
        return self.name.split("/")[1]
