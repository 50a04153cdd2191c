"""A loopback HTTP server in front of functions: for clients, such as platforms' SDKs, that speak HTTP and no events."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.stack import Context

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

GATEWAYS_NOT_FOUND: dict[str, Any] = {
    "statusCode": 404,
    "headers": {"content-type": "application/json"},
    "body": '{"message":"Not Found"}',
}
TEXT = ("text/", "application/json", "application/javascript", "application/xml")
"""Content types whose bodies API Gateway hands over as they are; all others come as base64."""


@contextmanager
def serve(handlers: Mapping[str, Handler]) -> Iterator[str]:
    """The server's address, while it runs: each request goes to the handler of the longest prefix of its path.

    Requests become events as API Gateway makes them (payload format 2.0). One that has no handler gets API Gateway's
    own 404; one whose handler raises, its 500.
    """

    class Bridge(_Bridge):
        routes = handlers

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bridge)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,), name="bridge", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Bridge(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    routes: Mapping[str, Handler]

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the client has gone
            self.close_connection = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        event = http_event(self.command, self.path, body, self.headers.items())
        answer = self._answered(event)
        text = answer.get("body") or ""
        content = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        self.send_response(int(answer["statusCode"]))
        for name, value in (answer.get("headers") or {}).items():
            self.send_header(name, str(value))
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _answered(self, event: dict[str, Any]) -> Mapping[str, Any]:
        found = [prefix for prefix in self.routes if event["rawPath"].startswith(prefix)]
        if not found:
            return GATEWAYS_NOT_FOUND
        try:
            return self.routes[max(found, key=len)](event, Context())
        except Exception:  # as API Gateway does with a function that breaks off
            return GATEWAYS_NOT_FOUND | {"statusCode": 500, "body": '{"message":"Internal Server Error"}'}

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 (what the library calls)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the library's name)
        """Nothing: who waits for a request sees its answer."""


def http_event(method: str, target: str, body: bytes, headers: Any = ()) -> dict[str, Any]:
    """A request as API Gateway hands it over: header names in lower case, those of one name joined, text as text."""
    url = urlsplit(target)
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    plain = joined.get("content-type", "text/plain").lower().startswith(TEXT)
    path = unquote(url.path)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": url.query,
        "headers": joined,
        "requestContext": {
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": ""},
            "stage": "$default",
            "requestId": "request-1",
            "timeEpoch": 0,
        },
        "isBase64Encoded": bool(body) and not plain,
    }
    if body:
        event["body"] = body.decode() if plain else base64.b64encode(body).decode()
    return event
