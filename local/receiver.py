"""A receiver of notifications: takes them on loopback, and verifies them with the official library."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.platforms.loopback import LoopbackServer

PATH = "/notifications"


@dataclass(frozen=True, slots=True)
class Notification:
    """An event that was verified."""

    event_id: str
    kind: str
    """job.succeeded, for example."""
    moment: str
    """When that was: UTC, ISO 8601."""
    data: Mapping[str, Any]

    @property
    def job_id(self) -> str | None:
        return self.data.get("job_id")


class Receiver:
    """A receiver between `with` and its end. Until it is given a key to trust, it rejects all.

    `falters_every`: of so many events it has one sent again, as if it had been too busy for it (0: none).
    """

    def __init__(self, *, falters_every: int = 0) -> None:
        self._falters_every = falters_every
        self._key: str | None = None
        self._events: dict[str, Notification] = {}
        self._attempts = Counter[str]()
        self.rejected = 0
        """How many requests were not signed with that key."""
        routes = [Route(PATH, self._take, methods=["POST"])]
        self._server = LoopbackServer(Starlette(routes=routes), name="receiver")

    @property
    def url(self) -> str:
        """What to give as notify_url; known when it runs."""
        return f"{self._server.url}{PATH}"

    @property
    def notifications(self) -> list[Notification]:
        """Each event once, in the order in which they came."""
        return list(self._events.values())

    @property
    def repeated(self) -> int:
        """How many events came more than once, with the same id."""
        return sum(attempts > 1 for attempts in self._attempts.values())

    def trust(self, key: str) -> None:
        """Believe what is signed with this key."""
        self._key = key

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        try:
            event = self._verified(body, dict(request.headers))
        except WebhookVerificationError:
            self.rejected += 1
            return Response(status_code=HTTPStatus.UNAUTHORIZED)
        event_id = request.headers["webhook-id"]
        self._attempts[event_id] += 1
        if self._attempts[event_id] == 1 and self._falters_every and len(self._attempts) % self._falters_every == 0:
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers={"retry-after": "1"})
        self._events.setdefault(event_id, Notification(event_id, event["type"], event["timestamp"], event["data"]))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _verified(self, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        if self._key is None:
            raise WebhookVerificationError("nobody is trusted yet")
        event: dict[str, Any] = Webhook(self._key).verify(body, headers)
        return event

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)
