"""An account's webhooks at api.video, and which of them are a deployment's.

https://docs.api.video/reference/create-and-manage-webhooks: an account has ten at most, and one cannot be changed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import urllib3
from pydantic import BaseModel, Field, ValidationError

from local.commands import StackError
from ops.webhooks.deployment import Deployment

EVENTS = (
    "live-stream.broadcast.started",
    "live-stream.broadcast.ended",
    "video.source.recorded",
    "video.encoding.quality.completed",
    "video.caption.generated",
    "video.summary.generated",
)
DEFAULT_EVENTS = ("video.encoding.quality.completed",)
SECRET_PREFIX = "webhook_"  # noqa: S105 - of the ids, which are the names in the secret

_pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=30), retries=False)


class Webhook(BaseModel, frozen=True):
    """As api.video has it. The secret is in no `repr`, and may be left out of a list."""

    id: str = Field(alias="webhookId")
    url: str
    events: tuple[str, ...]
    secret: str = Field("", alias="signatureSecret", repr=False)


class _Pagination(BaseModel):
    pages_total: int = Field(alias="pagesTotal")


class _Page(BaseModel):
    data: list[Webhook]
    pagination: _Pagination


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A webhook of the account. `ours`: it sends to this deployment; `stored`: this deployment has its secret."""

    webhook: Webhook
    ours: bool
    stored: bool


@dataclass(frozen=True, kw_only=True)
class Overview:
    """`left_over`: ids whose secrets are stored, but which this account does not have."""

    webhooks: Sequence[Listed]
    left_over: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The webhooks that send to the deployment: made now, or there before. `stored`: whose secrets were missing."""

    webhooks: Sequence[Webhook]
    made: bool
    stored: Sequence[str]


def read_events(text: str) -> tuple[str, ...]:
    """From names between commas or blanks, or `all`; nothing is the default."""
    names = text.replace(",", " ").split()
    if not names:
        return DEFAULT_EVENTS
    if names == ["all"]:
        return EVENTS
    if unknown := [name for name in names if name not in EVENTS]:
        known = "\n  ".join(EVENTS)
        raise StackError(f"api.video has no event {', '.join(unknown)}. EVENTS is `all`, or some of these:\n  {known}")
    return tuple(dict.fromkeys(names))


def overview(deployment: Deployment) -> Overview:
    account, stored = _account(deployment)
    webhooks = account.webhooks()
    ids = {webhook.id for webhook in webhooks}
    return Overview(
        webhooks=[
            Listed(webhook=webhook, ours=webhook.url == deployment.callback_url, stored=_is_stored(webhook, stored))
            for webhook in webhooks
        ],
        left_over=[name for name in stored if name.startswith(SECRET_PREFIX) and name not in ids],
    )


def create(deployment: Deployment, events: Sequence[str] = DEFAULT_EVENTS) -> Connection:
    """Makes the webhook unless there is one, and stores its secret unless it is stored.

    One whose answer was lost, or whose secret could not be stored, is found when this is called again. Raises
    StackError, with the secrets stored, if what was there does not get all these events.
    """
    account, stored = _account(deployment)
    webhooks = _ours(deployment, account)
    made = not webhooks
    if made:
        webhooks = [account.create(deployment.callback_url, events)]
    missing = {}
    for webhook in webhooks:
        secret = webhook.secret or account.webhook(webhook.id).secret
        if not secret:
            raise StackError(f"api.video does not say the secret of {webhook.id}.")
        if stored.get(webhook.id) != secret:
            missing[webhook.id] = secret
    if missing:
        deployment.secret.add(missing)
    if missed := set(events) - {event for webhook in webhooks for event in webhook.events}:
        raise StackError(
            f"{', '.join(webhook.id for webhook in webhooks)} sends here already, but does not get"
            f" {', '.join(sorted(missed))}. api.video cannot change a webhook: delete it first, then create it anew."
        )
    return Connection(webhooks=webhooks, made=made, stored=tuple(missing))


def delete(deployment: Deployment) -> list[Webhook]:
    """Those that send to this deployment; their secrets go after them, so that nothing is rejected before."""
    account, stored = _account(deployment)
    webhooks = _ours(deployment, account)
    for webhook in webhooks:
        account.delete(webhook.id)
    ids = {webhook.id for webhook in webhooks}
    if ids & stored.keys():
        deployment.secret.remove(ids)
    return webhooks


@dataclass(frozen=True)
class Account:
    """Calls to api.video. Nothing is repeated here: whoever typed the command sees what happened, and may."""

    url: str
    api_key: str = field(repr=False)

    def webhooks(self) -> list[Webhook]:
        """Of all pages."""
        found: list[Webhook] = []
        number = total = 1
        while number <= total:
            page = self._call(_Page, "GET", f"/webhooks?currentPage={number}")
            found += page.data
            number, total = number + 1, page.pagination.pages_total
        return found

    def webhook(self, webhook_id: str) -> Webhook:
        return self._call(Webhook, "GET", f"/webhooks/{webhook_id}")

    def create(self, url: str, events: Sequence[str]) -> Webhook:
        return self._call(Webhook, "POST", "/webhooks", {"url": url, "events": list(events)})

    def delete(self, webhook_id: str) -> None:
        """One that is gone already counts as deleted."""
        self._send("DELETE", f"/webhooks/{webhook_id}", accepted=(404,))

    def _call[T: BaseModel](self, model: type[T], method: str, path: str, body: Any = None) -> T:
        data = self._send(method, path, body)
        try:
            return model.model_validate_json(data)
        except ValidationError:  # not quoted: a secret may be in what came
            raise StackError(f"api.video ({self.url}) answered something else to {method} {path}.") from None

    def _send(self, method: str, path: str, body: Any = None, *, accepted: Sequence[int] = ()) -> bytes:
        headers = {"content-type": "application/json", **urllib3.make_headers(basic_auth=f"{self.api_key}:")}
        content = None if body is None else json.dumps(body)
        try:
            answer = _pool.request(method, self.url + path, body=content, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise StackError(f"api.video ({self.url}) does not answer: {type(error).__name__}") from None
        if not 200 <= answer.status < 300 and answer.status not in accepted:
            raise StackError(_refusal(self.url, answer.status, answer.data))
        return answer.data


class _Problem(BaseModel):
    title: str = ""
    name: str | None = None


class _Refusal(_Problem):
    """RFC 9457, nearly: `problems` has every parameter that is wrong, the first one again."""

    problems: list[_Problem] = []


def _refusal(url: str, status: int, data: bytes) -> str:
    """In api.video's words, where it has some."""
    try:
        refusal = _Refusal.model_validate_json(data)
    except ValidationError:
        refusal = _Refusal()
    problems = refusal.problems or [refusal]
    words = "; ".join(f"{one.name}: {one.title}" if one.name else one.title for one in problems if one.title)
    said = f"api.video ({url}) answered {status}{f': {words}' if words else '.'}"
    if status in (401, 403):
        return f"{said}\nIs the api_key in the stack's secret one of this address? The sandbox has keys of its own."
    return said


def _account(deployment: Deployment) -> tuple[Account, dict[str, str]]:
    """And all that is in the deployment's secret."""
    stored = deployment.secret.read_needed("api_key", of="of api.video")
    return Account(deployment.platform_url, stored["api_key"].strip()), stored


def _ours(deployment: Deployment, account: Account) -> list[Webhook]:
    return [webhook for webhook in account.webhooks() if webhook.url == deployment.callback_url]


def _is_stored(webhook: Webhook, stored: dict[str, str]) -> bool:
    """A secret that differs from api.video's is as good as none."""
    return webhook.id in stored and webhook.secret in ("", stored[webhook.id])
