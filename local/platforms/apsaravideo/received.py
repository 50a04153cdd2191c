"""What the simulated platform was asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.requests import Request

SECRET_HEADERS = frozenset({"authorization", "security-token", "x-acs-security-token", "x-acs-bearer-token"})
SECRET_PARAMETERS = frozenset({"Signature", "SecurityToken", "AuthKey"})


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """A request, without its secrets. The fields of a form are in `query` too, and `body` is empty then."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at: datetime

    @property
    def action(self) -> str | None:
        """VOD's operation; None for MNS."""
        return self.headers.get("x-acs-action") or self.query.get("Action")


async def parameters(request: Request) -> dict[str, str]:
    """Those of the query and those of a form."""
    return {**request.query_params, **(form(await request.body()) if is_form(request) else {})}


async def received(request: Request) -> ReceivedRequest:
    asked = await parameters(request)
    return ReceivedRequest(
        method=request.method,
        path=request.url.path,
        query={name: value for name, value in asked.items() if name not in SECRET_PARAMETERS},
        headers={name: value for name, value in request.headers.items() if name not in SECRET_HEADERS},
        body=b"" if is_form(request) else await request.body(),
        at=datetime.now(UTC),
    )


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
