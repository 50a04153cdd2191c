"""Receivers of notifications, on loopback: they answer what a test says, also what no honest server would."""

import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from time import sleep

type Behaviour = bytes | Callable[[socket.socket], None]
"""What is answered, or what is done with the connection instead."""

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answer(status: int, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Reason", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "content-length: 0", "", ""]).encode()


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers`: one after another, the last one for ever."""

    answers: tuple[Behaviour, ...]
    url: str
    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    ended: Event = field(default_factory=Event)


@contextmanager
def receiver(*answers: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        named = f"[{host}]" if ":" in host else host
        made = Receiver(answers or (OK,), f"{'https' if tls else 'http'}://{named}:{port}/hook", port)
        thread = Thread(target=_serve, args=(listener, made, tls), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.ended.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave it waiting
            thread.join()


def _serve(listener: socket.socket, made: Receiver, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        made.connections += 1
        with suppress(OSError), connection:
            connection.settimeout(10)
            channel = tls.wrap_socket(connection, server_side=True) if tls else connection
            with channel:
                _answer(channel, made)


def _answer(channel: socket.socket, made: Receiver) -> None:
    behaviour = made.answers[min(len(made.requests), len(made.answers) - 1)]
    request = _read(channel)
    if request is None:
        return
    made.requests.append(request)
    if isinstance(behaviour, bytes):
        channel.sendall(behaviour)
    else:
        behaviour(channel)


def _read(channel: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := channel.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += channel.recv(65536)
    return Request(line, headers, body)


def reset(channel: socket.socket) -> None:
    """Break off, without an answer, as a crashed machine does."""
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(_channel: socket.socket) -> None:
    """Close, without an answer."""


def dripping(first: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """Never silent for long, and never done: for ten seconds, and then an answer that must have come too late."""

    def drip(channel: socket.socket) -> None:
        channel.sendall(first)
        for _ in range(200):
            channel.sendall(drop)
            sleep(0.05)
        channel.sendall(b"\r\n\r\n")

    return drip
