"""How a platform's module declares one of its callbacks: what proves its sender, how its body is read, what it means.

Once, for its function and for the inbox.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from video_jobs import jsontext
from video_jobs.http import Request
from video_jobs.jobs.model import LARGEST_BODY, Meaning
from video_jobs.jsontext import NotJsonError


class RejectedError(Exception):
    """The sender has not proven who it is. Nothing is written, and nobody tries again.

    Missing and wrong look the same to the sender.
    """


class UnreadableError(Exception):
    """Proven, but not a body that we understand: it waits among the dead letters for a fix. The body is not quoted."""


class TooLargeError(UnreadableError):
    """Proven, but more than we take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proven: a token's URL names the job and the attempt, a signature only the sender."""

    job_id: str | None = None
    attempt: int | None = None
    signature: str | None = None
    """A digest of the signature: who sends the same one again, with whatever body, is known by it."""


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

    def payload_of(self, body: bytes) -> P:
        """A body as its model, strictly and whatever its content type says: two readers must not understand it
        differently. Raises UnreadableError, or TooLargeError above 256 KB.
        """
        if len(body) > LARGEST_BODY:
            raise TooLargeError(f"{len(body)} bytes; {LARGEST_BODY} is the most")
        try:
            return self.payload.model_validate(self.read(body))
        except NotJsonError as error:
            raise UnreadableError(str(error)) from None
        except ValidationError as error:
            raise UnreadableError(f"unexpected: {', '.join(map(_place, error.errors()[:5]))}") from None


def _place(error: Any) -> str:
    return ".".join(map(str, error["loc"])) + f" ({error['type']})"
