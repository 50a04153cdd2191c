"""An account's webhook endpoints: who is called back about a task's end, and how that is signed and sent.

Printed: the `TL-Signature` header and what it signs; the body of `index.task.ready` up to its models, and the fields
of the rest; that an event which is sent again keeps its id. Inferred: that every endpoint gets every event, and that
`index.task.failed` has the same envelope, without the metadata of a video that nobody could read. How often an event is
sent again, and when, is printed nowhere: here two times, five paces apart.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from random import Random

from local.platforms.courier import Callback, Courier, Line, plan_callback
from local.platforms.knobs import Knobs

SEOUL = timezone(timedelta(hours=9))
MODELS = ({"name": "marengo2.7", "options": ["visual", "audio"]},)  # as printed: the simulator's indexes have no others


@dataclass(eq=False, kw_only=True)
class Endpoint:
    url: str
    secret: str
    line: Line = field(default_factory=Line)


@dataclass(frozen=True, kw_only=True)
class Event:
    """The end of a task, as it will be sent. `duration` is None for a video that could not be indexed."""

    id: str
    at: datetime
    task_id: str
    duration: float | None

    @property
    def body(self) -> bytes:
        status = "failed" if self.duration is None else "ready"
        metadata = {} if self.duration is None else {"metadata": {"duration": self.duration}}
        data = {"id": self.task_id, **metadata, "status": status, "models": MODELS, "tags": []}
        created_at = self.at.astimezone(SEOUL).isoformat(timespec="microseconds")
        event = {"id": self.id, "created_at": created_at, "type": f"index.task.{status}", "data": data}
        return json.dumps(event).encode()


type Addressed = tuple[Endpoint, Callback]


class Webhooks:
    """The endpoints that were entered in the dashboard, and what is on its way to them."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._endpoints: list[Endpoint] = []

    def register(self, url: str, secret: str) -> None:
        self._endpoints.append(Endpoint(url=url, secret=secret))

    def plan(self, event: Event, *, knobs: Knobs, delay: float, random: Random) -> list[Addressed]:
        """Callbacks for the endpoints of this moment. Each must be sent: others may wait to be overtaken by it."""
        callbacks = []
        for endpoint in self._endpoints:
            headers = partial(signed_now, endpoint.secret)
            callback = plan_callback(endpoint.url, event.body, knobs=knobs, delay=delay, random=random, headers=headers)
            endpoint.line.to_come += 1
            callbacks.append((endpoint, callback))
        return callbacks

    async def send(self, callbacks: Iterable[Addressed]) -> None:
        await asyncio.gather(*(self._courier.deliver(callback, endpoint.line) for endpoint, callback in callbacks))


def signed_now(secret: str, body: bytes) -> Mapping[str, str]:
    return {"TL-Signature": signature(secret, body, int(time.time()))}


def signature(secret: str, body: bytes, timestamp: int) -> str:
    """The secret's characters are the key, as they are. The body is what is sent, be it cut in half."""
    signed = b"%d." % timestamp + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
