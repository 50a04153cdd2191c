"""An account's webhooks: who gets which event, and how that is sent.

Printed: the shapes of ids and secrets, that an account has ten at most, and that an event which is not answered with
1xx or 2xx is sent three times. Inferred: that the webhooks of the moment are called, and not those of the video's
creation.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random

from local.platforms.apivideo.events import Clock, Event, EventType, body_of, signature
from local.platforms.apivideo.ids import new_id
from local.platforms.courier import Courier, Line, Resend, plan_callback
from local.platforms.knobs import Knobs

LIMIT = 10
RESENDS = 2


@dataclass(frozen=True, kw_only=True)
class Webhook:
    id: str
    created_at: datetime
    events: Sequence[str]
    url: str
    secret: str


@dataclass(eq=False)
class Lines:
    """The callbacks of one video, a line for each webhook: those to the same webhook can overtake each other.

    `to_come` are the events that the video will still send.
    """

    to_come: list[EventType]
    _lines: dict[str, Line] = field(default_factory=dict)

    def of(self, webhook: Webhook) -> Line:
        wanted = sum(event in webhook.events for event in self.to_come)
        return self._lines.setdefault(webhook.id, Line(to_come=wanted))


def resend(wait: float) -> Resend:
    """Printed: three times, every three seconds, unless the status is 1xx or 2xx. One page says "3 attempts", another
    "retries 3 times"; whoever relies on three is right either way."""
    return Resend(times=RESENDS, wait=wait, accepts=lambda status: status < 300)


class Webhooks:
    """The webhooks that there are, and what is on its way to them."""

    def __init__(self, courier: Courier, *, seed: int) -> None:
        self.registered: dict[str, Webhook] = {}
        self._courier = courier
        self._seed = seed
        self._clock = Clock()
        self._created: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        return len(self.registered) >= LIMIT

    def create(self, url: str, events: Sequence[str], secret: str | None = None) -> Webhook:
        random = Random(f"{self._seed} webhook {url} {self._created[url]}")
        self._created[url] += 1
        webhook = Webhook(
            id=new_id("webhook_", random),
            created_at=datetime.now(UTC),
            events=tuple(events),
            url=url,
            secret=secret or new_id("sig_sec_", random),
        )
        self.registered[webhook.id] = webhook
        return webhook

    def send(self, event: Event, *, lines: Lines, knobs: Knobs, delay: float, chance: str) -> list[asyncio.Task[None]]:
        """Each webhook that wants the event is sent it. The same `chance` gives the same drops and cuts."""
        body = body_of(event, self._clock.emitted_at())
        tasks = []
        for webhook in list(self.registered.values()):
            if event.type not in webhook.events:
                continue
            random = Random(f"{self._seed} {chance} {webhook.id}")
            headers = partial(signed, webhook)
            callback = plan_callback(webhook.url, body, knobs=knobs, delay=delay, random=random, headers=headers)
            tasks.append(asyncio.create_task(self._courier.deliver(callback, lines.of(webhook))))
        lines.to_come.remove(event.type)
        return tasks


def signed(webhook: Webhook, body: bytes) -> Mapping[str, str]:
    """The body is what is sent, be it cut in half."""
    return {"X-Api-Video-WebhookID": webhook.id, "X-Api-Video-Signature": signature(webhook.secret, body)}
