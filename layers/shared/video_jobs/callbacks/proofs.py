"""Who sent a callback: the token in a URL that we gave out, or the platform's signature.

A token proves that we gave the URL out, for one callback of one attempt at one job. VideoDB signs nothing and its
bodies name neither job nor operation (docs.videodb.io/callback-details-66), so the URL must carry both, and the proof.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from video_jobs.aws import secrets
from video_jobs.http import Request
from video_jobs.platforms.callback import Callback, Proof, RejectedError, Verify

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
        return _by_signature(callback.verify, request, values)
    return _by_token(callback.name, request, values)


def _by_signature(verify: Verify, request: Request, values: Mapping[str, str]) -> Proof:
    """The proof of a platform that signs."""
    signature = verify(request, values)
    return Proof(signature=hashlib.sha256(signature.encode()).hexdigest()[:32])


def _by_token(name: str, request: Request, keys: Mapping[str, str]) -> Proof:
    """The proof of a platform that signs nothing: the token in the URL that we gave it; each part came once."""
    job_id, attempt, given = (request.parameter(part) for part in ("job", "attempt", "token"))
    if not (job_id and attempt and given and _JOB_ID.fullmatch(job_id) and _ATTEMPT.fullmatch(attempt)):
        raise RejectedError("the URL is not one that we gave out")
    if not holds(given, name, job_id, int(attempt), keys=keys.values()):
        raise RejectedError("the token does not hold")
    return Proof(job_id=job_id, attempt=int(attempt))


# --- Tokens -----------------------------------------------------------------------------------------------------------


def token(callback: str, job_id: str, attempt: int, *, key: str) -> str:
    """HMAC-SHA256 over what the URL stands for, as 64 lower-case hexadecimal digits.

    `callback` is "provider/callback" in snake case. The parts are joined by a line break, which none can contain.
    """
    message = f"{callback}\n{job_id}\n{attempt}".encode()
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def holds(given: str, callback: str, job_id: str, attempt: int, *, keys: Iterable[str]) -> bool:
    """Whether one of the keys made this token. Every key is tried, in constant time each."""
    said = given.encode("utf-8", "replace")
    matches = [hmac.compare_digest(said, token(callback, job_id, attempt, key=key).encode()) for key in keys]
    return any(matches)


def callback_url(base_url: str, callback: str, job_id: str, attempt: int, *, key: str) -> str:
    """The URL to give to a platform: our route for this callback, and who may use it."""
    path = callback.replace("_", "-")
    query = urlencode({"job": job_id, "attempt": attempt, "token": token(callback, job_id, attempt, key=key)})
    return f"{base_url}/callbacks/{path}?{query}"
