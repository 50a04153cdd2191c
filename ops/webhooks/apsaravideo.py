"""The message callback of ApsaraVideo VOD: one for each region and application, called over HTTP or through a queue.

https://help.aliyun.com/document_detail/67214.htm has the rules for the URL and the key.
The SDK's documents say `Simple Message Queue (formerly MNS)` for a value of CallbackType; it is `MNS`.
"""

import os
import secrets
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.commands import StackError
from ops.webhooks.deployment import Deployment

UPLOAD_BY_URL_COMPLETE = "UploadByURLComplete"
ALL = "ALL"
MAX_URL_BYTES = 256
KEY_LENGTH = 32
CONNECT_MILLISECONDS = 5_000
READ_MILLISECONDS = 30_000
PROXIES = ("HTTP_PROXY", "http_proxy")


@dataclass(frozen=True, kw_only=True)
class MessageCallback:
    """What VOD has, without its key. What it never was given is empty. No events: nothing is sent."""

    type: str
    url: str
    events: tuple[str, ...]
    is_signed: bool
    mns_endpoint: str
    mns_queue: str

    @property
    def to(self) -> str:
        """Where it sends to; empty if it was never set."""
        if self.type == "MNS":
            return f"the queue {self.mns_queue} at {self.mns_endpoint.rstrip('/')}" if self.mns_queue else ""
        return self.url


@dataclass(frozen=True, kw_only=True)
class Change:
    """`key_made`: the deployment's secret had no auth_key, and has one now."""

    before: MessageCallback
    after: MessageCallback
    key_made: bool = False


def read_events(text: str) -> tuple[str, ...] | None:
    """From names between commas or blanks; None if there are none. VOD refuses those that it does not know."""
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if ALL in (name.upper() for name in names):
        return (ALL,)
    return names or None


def message_callback(deployment: Deployment) -> MessageCallback:
    return Vod.of(deployment).get()


def set_callback(deployment: Deployment, events: Sequence[str] | None = None, *, force: bool = False) -> Change:
    """Has VOD call the deployment over HTTP, signed. Without `events`: those that are on, and the end of URL uploads.

    A new key is stored before VOD has it, so that nothing signed with it is rejected. Raises StackError if VOD calls
    somebody else, unless `force`.
    """
    url = deployment.callback_url
    if len(url.encode()) > MAX_URL_BYTES:
        raise StackError(f"VOD takes callback URLs of at most {MAX_URL_BYTES} bytes, and this is longer: {url}")
    vod = Vod.of(deployment)
    before = vod.get()
    _check_free(before, url, force=force)
    stored = deployment.secret.read().get("auth_key")
    key = stored or new_key()
    if not stored:
        deployment.secret.add({"auth_key": key})
    vod.set(
        callback_type="HTTP",
        callback_url=url,
        auth_switch="on",
        auth_key=key,
        event_type_list=_event_list(before, events),
    )
    return Change(before=before, after=vod.get(), key_made=not stored)


def set_queue(
    deployment: Deployment, queue: str, endpoint: str, events: Sequence[str] | None = None, *, force: bool = False
) -> Change:
    """Has VOD write into an MNS queue, which must be the stack's (ApsaraVideoMnsQueue). Events and `force`: as above.

    VOD drops messages silently if it cannot write there, so the endpoint must be the public one, and VOD authorised.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise StackError("ENDPOINT is the queue's public address: https://ACCOUNT.mns.REGION.aliyuncs.com")
    if "-internal." in endpoint:
        raise StackError(f"{endpoint} is an internal endpoint: VOD needs the public one, without -internal.")
    endpoint = endpoint.rstrip("/")
    vod = Vod.of(deployment)
    before = vod.get()
    _check_free(before, f"the queue {queue} at {endpoint}", force=force, ours=deployment.callback_url)
    vod.set(
        callback_type="MNS",
        mns_endpoint=endpoint,
        mns_queue_name=queue,
        event_type_list=_event_list(before, events),
    )
    return Change(before=before, after=vod.get())


def new_key() -> str:
    """VOD wants at most 32 characters, among them an upper-case and a lower-case letter and a digit."""
    alphabet = string.ascii_letters + string.digits
    while True:
        key = "".join(secrets.choice(alphabet) for _ in range(KEY_LENGTH))
        if any(map(str.isupper, key)) and any(map(str.islower, key)) and any(map(str.isdigit, key)):
            return key


class Vod:
    """Calls of VOD's API with Alibaba's SDK, which takes a second to import: only who needs it waits."""

    def __init__(self, url: str, *, access_key_id: str, access_key_secret: str) -> None:
        from alibabacloud_tea_openapi.models import Config  # type: ignore[import-untyped] # noqa: PLC0415
        from alibabacloud_vod20170321.client import Client  # type: ignore[import-untyped] # noqa: PLC0415

        parts = urlsplit(url)
        self._url = url
        self._host = parts.hostname or ""
        self._client: Any = Client(
            Config(
                access_key_id=access_key_id,
                access_key_secret=access_key_secret,
                endpoint=parts.netloc,
                protocol=parts.scheme,
                connect_timeout=CONNECT_MILLISECONDS,
                read_timeout=READ_MILLISECONDS,
            )
        )

    @classmethod
    def of(cls, deployment: Deployment) -> "Vod":
        names = ("access_key_id", "access_key_secret")
        stored = deployment.secret.read_needed(*names, of="of Alibaba Cloud")
        return cls(deployment.platform_url, **{name: stored[name].strip() for name in names})

    def get(self) -> MessageCallback:
        from alibabacloud_vod20170321 import models  # type: ignore[import-untyped] # noqa: PLC0415

        with self._explained():
            body = self._client.get_message_callback(models.GetMessageCallbackRequest()).body
        if not getattr(body, "request_id", None):  # not taken for a callback that was never set
            raise StackError(f"ApsaraVideo VOD ({self._url}) answered something else.")
        return _read(body.message_callback)

    def set(self, **settings: str) -> None:
        from alibabacloud_vod20170321 import models  # noqa: PLC0415

        with self._explained():
            self._client.set_message_callback(models.SetMessageCallbackRequest(**settings))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors in words for people."""
        from alibabacloud_tea_openapi.exceptions import (  # type: ignore[import-untyped] # noqa: PLC0415
            AlibabaCloudException,
        )
        from darabonba.exceptions import RetryError, UnretryableException  # type: ignore[import-untyped] # noqa: PLC0415

        try:
            with _no_proxy_to(self._host):
                yield
        except AlibabaCloudException as error:
            raise StackError(f"ApsaraVideo VOD ({self._url}) refuses ({error.code}): {error.message}") from None
        except UnretryableException as error:
            # what came is not quoted: a key may be in it
            said = "does not answer." if isinstance(error.inner_exception, RetryError) else "answered something else."
            raise StackError(f"ApsaraVideo VOD ({self._url}) {said}") from None


def _read(found: Any) -> MessageCallback:
    """From the SDK's object, or None: inferred for what was never set."""
    return MessageCallback(
        type=getattr(found, "callback_type", None) or "",
        url=getattr(found, "callback_url", None) or "",
        events=tuple((getattr(found, "event_type_list", None) or "").replace(",", " ").split()),
        is_signed=getattr(found, "auth_switch", None) == "on",
        mns_endpoint=getattr(found, "mns_endpoint", None) or "",
        mns_queue=getattr(found, "mns_queue_name", None) or "",
    )


@contextmanager
def _no_proxy_to(host: str) -> Iterator[None]:
    """The SDK sends even what is for this machine to the environment's proxy: it does not know NO_PROXY."""
    hidden = {name: os.environ.pop(name) for name in PROXIES if host == "127.0.0.1" and name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _check_free(before: MessageCallback, to: str, *, force: bool, ours: str = "") -> None:
    if before.to not in ("", to, ours) and not force:
        raise StackError(
            f"VOD has one callback for each region and application, and it goes elsewhere now:\n  {before.to}\n"
            f"FORCE=1 has it go to this deployment instead:\n  {to}"
        )


def _event_list(before: MessageCallback, events: Sequence[str] | None) -> str:
    if events is not None:
        return ",".join(events)
    if ALL in before.events:
        return ALL
    return ",".join(dict.fromkeys([*before.events, UPLOAD_BY_URL_COMPLETE]))
