"""Who sent a callback: the token in a URL that we gave out, or the platform's signature."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from video_jobs.aws import secrets
from video_jobs.callbacks import tokens
from video_jobs.http import Request
from video_jobs.platforms.callback import Callback, Verify
from video_jobs.proof import Proof, RejectedError

_JOB_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)
_ATTEMPT = re.compile(r"[0-9]{1,9}")


def prove(callback: Callback[Any], request: Request) -> Proof:
    """What the request proves. Raises RejectedError, or SecretUnavailableError: without keys nobody can be judged.

    What does not hold is tried once more with the keys as they are now: they may have been rotated.
    """
    values = secrets.values(callback.secret)
    try:
        return _proven(callback, request, values)
    except (RejectedError, secrets.SecretUnavailableError):
        newer = secrets.newer_values(callback.secret)
        if newer is None:
            raise
        return _proven(callback, request, newer)


def _proven(callback: Callback[Any], request: Request, values: Mapping[str, str]) -> Proof:
    if callback.verify is not None:
        return signed(callback.verify, request, values)
    return token(callback.name, request, values)


def signed(verify: Verify, request: Request, values: Mapping[str, str]) -> Proof:
    """The proof of a platform that signs."""
    signature = verify(request, values)
    return Proof(signature=hashlib.sha256(signature.encode()).hexdigest()[:32])


def token(name: str, request: Request, keys: Mapping[str, str]) -> Proof:
    """The proof of a platform that signs nothing: the token in the URL that we gave it; each part came once."""
    job_id, attempt, given = (request.parameter(part) for part in ("job", "attempt", "token"))
    if not (job_id and attempt and given and _JOB_ID.fullmatch(job_id) and _ATTEMPT.fullmatch(attempt)):
        raise RejectedError("the URL is not one that we gave out")
    if not tokens.holds(given, name, job_id, int(attempt), keys=keys.values()):
        raise RejectedError("the token does not hold")
    return Proof(job_id=job_id, attempt=int(attempt))
