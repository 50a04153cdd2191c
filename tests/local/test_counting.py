"""The counting proxy changes nothing of what passes, and counts all of it."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.counting import Calls, CountingProxy, operation


class Echo(BaseHTTPRequestHandler):
    """Answers what it was sent: with the path as status, in chunks for /chunked; after /close it closes."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kind = self.path.removeprefix("/")
        self.send_response(int(kind) if kind.isdigit() else 200)
        if kind == "chunked":
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for part in filter(None, (body[:1000], body[1000:])):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        elif kind == "204":
            self.end_headers()
        else:
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        self.close_connection = kind == "close"

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    """Knows when a connection is closed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.closed = threading.Semaphore(0)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.release()


@contextmanager
def echoing() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy() -> Iterator[CountingProxy]:
    with echoing() as server, CountingProxy(server.server_port) as running:
        yield running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        yield pool


@pytest.mark.parametrize("path", ["/", "/chunked"])
@pytest.mark.parametrize("size", [0, 1, 999_999])
def test_what_passes_is_not_changed(proxy: CountingProxy, http: urllib3.PoolManager, path: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    for _ in range(3):
        answer = http.request("POST", proxy.url + path, body=body)
        assert (answer.status, answer.data) == (200, body)
    assert proxy.calls().made == {f"POST {path}": 3}


def test_many_at_once_are_all_counted(proxy: CountingProxy) -> None:
    with (
        urllib3.PoolManager(maxsize=8, block=True, retries=False, timeout=30) as pool,
        ThreadPoolExecutor(8) as callers,
    ):
        answers = callers.map(lambda n: pool.request("POST", proxy.url, body=str(n)).data, range(400))
        assert [int(answer) for answer in answers] == list(range(400))
    assert proxy.calls().made.total() == 400


def test_what_is_refused_is_counted_as_made_and_as_refused(proxy: CountingProxy, http: urllib3.PoolManager) -> None:
    for status in (200, 204, 400, 409, 500):
        assert http.request("POST", f"{proxy.url}/{status}").status == status
    assert proxy.calls().refused == {"POST /400": 1, "POST /409": 1, "POST /500": 1}
    assert proxy.calls().made.total() == 5


def test_a_connection_that_was_idle_for_too_long_is_made_anew(http: urllib3.PoolManager) -> None:
    with echoing() as server, CountingProxy(server.server_port) as proxy:
        for number in range(20):
            # the other side closes its connection without a word, as servers do after a while; ours stays
            assert http.request("POST", f"{proxy.url}/close", body=str(number)).data == str(number).encode()
            assert server.closed.acquire(timeout=30)
            assert proxy.calls() == proxy.calls()  # by then the proxy has noticed
        assert proxy.calls().made == {"POST /close": 20}


def test_nobody_behind_it_looks_to_the_caller_like_nobody_there(http: urllib3.PoolManager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with CountingProxy(port) as proxy:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            http.request("POST", proxy.url)
        assert proxy.calls().made == {}


@pytest.mark.parametrize(
    ("service", "call", "counted"),
    [
        ("dynamodb", lambda c: c.get_item(TableName="ttt", Key={"pk": {"S": "a"}}), "dynamodb.GetItem"),
        ("sqs", lambda c: c.send_message(QueueUrl="http://x/1/q", MessageBody="a"), "sqs.SendMessage"),
        ("secretsmanager", lambda c: c.get_secret_value(SecretId="a"), "secretsmanager.GetSecretValue"),
        ("events", lambda c: c.put_events(Entries=[{"Detail": "{}"}]), "events.PutEvents"),
        ("lambda", lambda c: c.invoke(FunctionName="a", Payload=b"{}"), "lambda.Invoke"),
    ],
)
def test_calls_of_the_sdk_are_counted_by_their_operations(
    proxy: CountingProxy, service: Any, call: Any, counted: str
) -> None:
    client = boto3.client(
        service,
        endpoint_url=proxy.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )
    try:
        call(client)
    except (ClientError, BotoCoreError, ValueError):
        pass  # the answer is no answer of AWS's
    finally:
        client.close()
    assert proxy.calls().made == {counted: 1}


def test_what_came_since_is_the_difference() -> None:
    earlier = Calls(Counter(a=2, b=1), Counter(a=1))
    later = Calls(Counter(a=5, b=1, c=1), Counter(a=1, c=1))
    assert later.since(earlier) == Calls(Counter(a=3, c=1), Counter(c=1))


def test_what_is_no_call_of_the_sdk_is_named_by_its_path() -> None:
    assert operation("GET /_ministack/health?x=1 HTTP/1.1", {}) == "GET /_ministack/health"
