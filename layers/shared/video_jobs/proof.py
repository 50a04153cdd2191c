"""What proves a callback's sender, and what a proof says."""

from dataclasses import dataclass


class RejectedError(Exception):
    """The sender has not proven who it is. Nothing is written, and nobody tries again.

    Missing and wrong look the same to the sender.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proven: a token's URL names the job and the attempt, a signature only the sender."""

    job_id: str | None = None
    attempt: int | None = None
    signature: str | None = None
    """A digest of the signature: who sends the same one again, with whatever body, is known by it."""
