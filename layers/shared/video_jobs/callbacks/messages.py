"""A callback on its way through the Inbox: who sent it is proven, and what it says is as it came."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from video_jobs.aws import queues
from video_jobs.platforms.callback import Proof

QUEUE = "inbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A proven callback. Replay, redrive and a first delivery are the same message."""

    callback: str
    """"provider/callback" in snake case."""
    body: bytes
    headers: Mapping[str, str]
    received_at: int
    """Milliseconds since 1970."""
    proof: Proof

    def written(self) -> str:
        """As a message. Raises TooLargeToSendError."""
        try:
            said = {"body": self.body.decode()}
        except UnicodeDecodeError:
            said = {"body_base64": base64.b64encode(self.body).decode()}
        proof = {name: value for name, value in asdict(self.proof).items() if value is not None}
        about = {"callback": self.callback, "headers": dict(self.headers), "received_at": self.received_at}
        return queues.written({**about, "proof": proof, **said}, QUEUE)

    @classmethod
    def read(cls, text: str) -> Self:
        """From a message. Raises NewerVersionError, or ValueError if it is none."""
        found: dict[str, Any] = queues.read(text, QUEUE)
        try:
            body = found["body"].encode() if "body" in found else base64.b64decode(found["body_base64"])
            return cls(
                callback=found["callback"],
                body=body,
                headers=found["headers"],
                received_at=found["received_at"],
                proof=Proof(**found["proof"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a callback: {type(error).__name__} {error}") from None
