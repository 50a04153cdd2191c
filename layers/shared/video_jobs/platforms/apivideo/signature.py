"""How api.video proves a callback: an HMAC-SHA256 over the body as it was sent, with the secret of one webhook.

`X-Api-Video-Signature` is its hexadecimal digits, `X-Api-Video-WebhookID` says whose secret it is (api.video page
"Create and manage webhooks"). The key is the whole secret, "sig_sec_" included. There is no time in it: whoever has
seen a callback can send it again, as it was, and then it is a repetition.
"""

import hmac
import re
from collections.abc import Mapping

from video_jobs.aws import secrets
from video_jobs.http import MalformedBodyError, Request
from video_jobs.platforms.callback import RejectedError

WEBHOOK = "webhook_"
"""How the ids of webhooks begin, which are the names of their secrets in the platform's secret."""

_SIGNATURE = re.compile(r"[0-9a-f]{64}")


def check(webhook_id: str | None, signature: str | None, body: bytes, *, secrets_of: Mapping[str, str]) -> str:
    """The signature, if the webhook has signed this body. `secrets_of`: all webhooks' secrets, by id.

    Raises RejectedError.
    """
    if webhook_id is None or signature is None:
        raise RejectedError("the signature's headers are missing")
    if not _SIGNATURE.fullmatch(signature):
        raise RejectedError("the signature is malformed")
    # one that nobody has is compared as well, so that the time does not give away which webhooks there are
    secret = secrets_of.get(webhook_id, "")
    holds = hmac.compare_digest(signature, made(body, secret))
    if not (holds and secret):
        raise RejectedError("the signature does not hold")
    return signature


def made(body: bytes, secret: str) -> str:
    """The signature that api.video makes."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def verify(request: Request, values: Mapping[str, str]) -> str:
    """The signature of a request that holds, with the values of the platform's secret.

    Raises RejectedError, or SecretUnavailableError if no webhook's secret is among the values.
    """
    # the API key, which is among the values, signs nothing
    secrets_of = secrets.chosen(values, WEBHOOK, of="api.video")
    try:
        body = request.body
    except MalformedBodyError as error:
        raise RejectedError(str(error)) from None
    return check(
        request.headers.get("x-api-video-webhookid"),
        request.headers.get("x-api-video-signature"),
        body,
        secrets_of=secrets_of,
    )
