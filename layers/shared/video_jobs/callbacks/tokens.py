"""The token in a callback URL: it proves that we gave the URL out, for one callback of one attempt at one job.

VideoDB signs nothing and its bodies name neither job nor operation (docs.videodb.io/callback-details-66), so the URL
must carry both, and the proof.
"""

import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import urlencode


def sign(callback: str, job_id: str, attempt: int, *, key: str) -> str:
    """HMAC-SHA256 over what the URL stands for, as 64 lower-case hexadecimal digits.

    `callback` is "provider/callback" in snake case. The parts are joined by a line break, which none can contain.
    """
    message = f"{callback}\n{job_id}\n{attempt}".encode()
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def holds(token: str, callback: str, job_id: str, attempt: int, *, keys: Iterable[str]) -> bool:
    """Whether one of the keys made this token. Every key is tried, in constant time each."""
    given = token.encode("utf-8", "replace")
    matches = [hmac.compare_digest(given, sign(callback, job_id, attempt, key=key).encode()) for key in keys]
    return any(matches)


def callback_url(base_url: str, callback: str, job_id: str, attempt: int, *, key: str) -> str:
    """The URL to give to a platform: our route for this callback, and who may use it."""
    path = callback.replace("_", "-")
    query = urlencode({"job": job_id, "attempt": attempt, "token": sign(callback, job_id, attempt, key=key)})
    return f"{base_url}/callbacks/{path}?{query}"
