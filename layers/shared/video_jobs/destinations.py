"""Where callers may have us send: over https, to addresses that the whole internet can reach.

A name is judged by the addresses that it has when the connection is made, and the connection is made to one of those:
a name that has other addresses a moment later leads nowhere else.
"""

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

LONGEST_URL = 2048
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_PORTS = {"https": 443, "http": 80}
_GLOBAL_UNICAST = ip_network("2000::/3")
"""All of IPv6 that is given out (RFC 4291): what maps or translates to IPv4 (::/96, ::ffff:0:0/96, 64:ff9b::/96), local
addresses and multicast are elsewhere."""
_NOT_FOR_HOSTS = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocols: its anycast addresses lead to the nearest gateway
            "192.88.99.0/24",  # relays of 6to4
            "2001::/23",  # protocols: Teredo, which holds an IPv4 address, and others
            "2002::/16",  # 6to4, which holds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)

type Address = IPv4Address | IPv6Address
type Resolve = Callable[[str, int], Sequence[Address]]
"""The addresses of a host, best first. Raises OSError."""


class ForbiddenError(Exception):
    """Nobody may have us send there, now or later. The message quotes nothing of the URL but its host."""


class NoConnectionError(Exception):
    """No address of the host has taken the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A URL that passed, in the parts that a request needs."""

    tls: bool
    host: str
    """A name or an address, without brackets."""
    port: int
    target: str
    """Path and query, as the request's first line has them."""

    @property
    def authority(self) -> str:
        """The host as the header of that name has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


def is_public(address: Address) -> bool:
    """Whether the whole internet can reach it, and not only we, or our network."""
    if any(address in network for network in _NOT_FOR_HOSTS):
        return False
    if isinstance(address, IPv6Address) and (address.scope_id or address not in _GLOBAL_UNICAST):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def destination(url: str, *, private: bool = False) -> Destination:
    """The parts of a URL that may be sent to, as far as it tells: a name is not looked up.

    `private` allows http and every address, for a stack on one machine. Raises ForbiddenError.
    """
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise ForbiddenError("must be a URL of printable ASCII characters")
    if len(url) > LONGEST_URL:
        raise ForbiddenError(f"must have at most {LONGEST_URL} characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ForbiddenError("must be a URL") from None
    if parts.scheme not in (("https", "http") if private else ("https",)):
        raise ForbiddenError("must be an https URL")
    if "@" in parts.netloc:
        raise ForbiddenError("must have no user name and no password")
    if "#" in url:
        raise ForbiddenError("must have no fragment")
    if port == 0:
        raise ForbiddenError("must have a port that exists")
    _require_host(host, private=private)
    return Destination(
        tls=parts.scheme == "https",
        host=host,
        port=port or _PORTS[parts.scheme],
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def _require_host(host: str, *, private: bool) -> None:
    address = _literal(host)
    if address is None and not _NAME.fullmatch(host):
        raise ForbiddenError("must have a host")
    if private:
        return
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        raise ForbiddenError(f"must not lead to this machine: {host}")
    if address is not None:
        _require_public(host, [address])


def _literal(host: str) -> Address | None:
    """The address that a host is, however it is written: 127.0.0.1, 127.1, 0x7f000001 and 2130706433 are the same."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return None


def _require_public(host: str, addresses: Iterable[Address]) -> None:
    """One that is not public is enough: no honest host has such addresses beside public ones."""
    if found := [str(address) for address in addresses if not is_public(address)]:
        raise ForbiddenError(f"must not lead to an address that is not public: {host} is {', '.join(found)}")


def resolve(host: str, port: int) -> list[Address]:
    """The host's addresses, as the system's resolver has them. It has its own time limit: some seconds."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(where[0]) for *_, where in found))


def connect(
    to: Destination, *, private: bool = False, timeout: Callable[[], float], resolve: Resolve = resolve
) -> socket.socket:
    """A connection to one of the host's addresses, all of which are public unless `private`.

    `timeout` says how many seconds the next thing may take. Raises ForbiddenError, and NoConnectionError.
    """
    try:
        addresses = resolve(to.host, to.port)
    except (OSError, UnicodeError) as error:  # the latter for a label that no name may have
        raise NoConnectionError(f"{to.host} has no address: {type(error).__name__}") from None
    if not private:
        _require_public(to.host, addresses)
    reasons = []
    for address in addresses:
        try:
            return socket.create_connection((str(address), to.port), timeout=timeout())
        except OSError as error:
            reasons.append(f"{address}: {type(error).__name__}")
    raise NoConnectionError(f"{to.host} takes no connection: {'; '.join(reasons) or 'it has no address'}")
