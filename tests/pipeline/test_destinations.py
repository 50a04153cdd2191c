"""Where notifications may go, and that they go nowhere else: however an address is written, or a name changes."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_jobs import destinations
from video_jobs.destinations import Address, Destination, ForbiddenError, NoConnectionError, destination, is_public
from video_jobs.notifications import signing

from tests.patches import change
from tests.pipeline.receivers import receiver

PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1")
NOT_PUBLIC = {
    "this machine": ("127.0.0.1", "127.255.255.254", "::1"),
    "any of its addresses": ("0.0.0.0", "0.1.2.3", "::"),
    "private": ("10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "fd12::1", "fc00::1"),
    "of the provider's network": ("100.64.0.1",),
    "metadata of machines": ("169.254.169.254", "169.254.170.2", "fd00:ec2::254"),
    "of the link": ("169.254.1.1", "fe80::1", "fe80::1%eth0", "fe80::1%1"),
    "of the site, as it was": ("fec0::1",),
    "of a zone": ("2606:4700:4700::1111%eth0",),
    "multicast": ("224.0.0.1", "233.252.0.1", "239.255.255.255", "ff02::1", "ff0e::1"),
    "broadcast": ("255.255.255.255",),
    "reserved": ("240.0.0.1", "5f00::1", "100::1", "4000::1"),
    "for protocols": ("192.0.0.1", "192.0.0.9", "192.0.0.170", "192.88.99.1", "2001:20::1", "2001:4:112::1"),
    "for documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    "for measurements": ("198.18.0.1", "198.19.255.254"),
    "IPv4, mapped": ("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8"),
    "IPv4, compatible": ("::127.0.0.1", "::10.0.0.1", "::8.8.8.8"),
    "IPv4, translated": ("::ffff:0:127.0.0.1",),
    "IPv4, NAT64": ("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1"),
    "IPv4, 6to4": ("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1"),
    "IPv4, Teredo": ("2001:0:4136:e378:8000:63bf:3fff:fdd2",),
}
OTHER_FORMS_OF_LOOPBACK = (
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7F.1",
    "0177.0.0.1",
    "017700000001",
    "0177.1",
    "127.0.0.1.",
    "127.1.",
)


@pytest.mark.parametrize("text", PUBLIC)
def test_what_everybody_can_reach_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in NOT_PUBLIC.items() for text in texts])
def test_what_not_everybody_can_reach_is_not_public(kind: str, text: str) -> None:
    assert not is_public(ip_address(text)), kind


@given(st.ip_addresses(v=4))
def test_no_ipv6_address_stands_for_an_ipv4_address(inner: Address) -> None:
    number = int(inner)
    forms = [
        number,
        0xFFFF << 32 | number,
        0xFFFF << 48 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80,
    ]

    assert [str(ip_address(form)) for form in forms if form >= 2**32 and is_public(ip_address(form))] == []


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_does_not_call_global_is_not_public(address: Address) -> None:
    assert address.is_global or not is_public(address)
    assert not (address.is_multicast and is_public(address))


# --- As far as the URL tells -----------------------------------------------------------------------------------------


def test_a_url_is_taken_apart_for_the_request() -> None:
    assert destination("https://example.com") == Destination(tls=True, host="example.com", port=443, target="/")
    assert destination("https://Hooks.Example.com:8443/a/b?c=d&e") == Destination(
        tls=True, host="hooks.example.com", port=8443, target="/a/b?c=d&e"
    )
    assert destination("https://[2606:4700:4700::1111]/x").host == "2606:4700:4700::1111"
    assert destination("https://xn--bcher-kva.example/").host == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://example.com/", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("https://example.com:444/", "example.com:444"),
        ("https://[2606:4700:4700::1111]/", "[2606:4700:4700::1111]"),
        ("https://[2606:4700:4700::1111]:8443/", "[2606:4700:4700::1111]:8443"),
    ],
)
def test_the_host_is_named_as_http_wants_it(url: str, authority: str) -> None:
    assert destination(url).authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "http://example.com/",
        "HTTP://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https:",
        "https://",
        "https:///path",
        "https://:443/",
        "https://?query",
        "https://example.com#fragment",
        "https://example.com/#",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://@example.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:-1/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/\t",
        "https://example.com/\r\nhost: other",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\\",
        "https://exämple.com/",
        "https://example.com/ä",
        "https://１２７.0.0.1/",  # noqa: RUF001 - digits that some resolvers take for ours
        "https://127。0。0。1/",
        "https://example..com/",
        "https://.example.com/",
        "https://exa%6dple.com/",
        "https://[::1",
        "https://[not-an-address]/",
        "https://[127.0.0.1]/",
        "https://" + "a" * 2048 + ".com/",
        "https://example.com/" + "a" * 2029,
    ],
)
def test_what_is_no_https_url_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenError, match="must"):
        destination(url)


def test_the_longest_url_is_taken() -> None:
    assert destination("https://example.com/" + "a" * 2028).target == "/" + "a" * 2028


@pytest.mark.parametrize("text", [text for texts in NOT_PUBLIC.values() for text in texts])
def test_an_address_that_is_not_public_is_refused_before_anybody_connects(text: str) -> None:
    with pytest.raises(ForbiddenError, match="must"):
        destination(f"https://[{text}]/" if ":" in text else f"https://{text}/")


@pytest.mark.parametrize("host", OTHER_FORMS_OF_LOOPBACK)
def test_another_way_to_write_an_address_is_no_way_around(host: str) -> None:
    with pytest.raises(ForbiddenError, match=r"not public: .* is 127\.0\.0\.1"):
        destination(f"https://{host}/")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "a.b.localhost."])
def test_this_machines_name_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenError, match="this machine"):
        destination(f"https://{host}/")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/a", "https://10.0.0.1/", "http://localhost:1/", "http://[::1]/"]
)
def test_a_stack_on_one_machine_takes_them(url: str) -> None:
    assert destination(url, private=True).port


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://user@127.0.0.1/", "http://", "http://127.0.0.1/#"])
def test_even_there_a_url_must_be_one(url: str) -> None:
    with pytest.raises(ForbiddenError, match="must"):
        destination(url, private=True)


def test_a_refusal_quotes_no_more_than_the_host() -> None:
    for url in ("https://user:hidden@example.com/", "http://example.com/hidden", "https://10.0.0.1/hidden?hidden"):
        with pytest.raises(ForbiddenError) as refused:
            destination(url)
        assert "hidden" not in str(refused.value)


# --- When connecting -------------------------------------------------------------------------------------------------


class Names:
    """A resolver that says one thing after another, and notes how often it was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = answers
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[Address]:
        self.asked += 1
        return [ip_address(text) for text in self._answers[min(self.asked, len(self._answers)) - 1]]


@pytest.fixture
def dialed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where connections were tried; none is made."""
    tried: list[tuple[str, int]] = []

    def create_connection(address: tuple[str, int], timeout: float) -> socket.socket:
        assert timeout == 1
        tried.append(address)
        raise ConnectionRefusedError

    change(monkeypatch, destinations, socket, create_connection=create_connection)
    return tried


def connect(names: Names, *, private: bool = False) -> socket.socket:
    to = destination("https://hooks.example.com/")
    return destinations.connect(to, private=private, timeout=lambda: 1, resolve=names)


@pytest.mark.parametrize("text", [text for texts in NOT_PUBLIC.values() for text in texts])
def test_a_name_that_leads_to_an_address_that_is_not_public_is_forbidden(
    dialed: list[tuple[str, int]], text: str
) -> None:
    with pytest.raises(ForbiddenError, match=r"hooks\.example\.com"):
        connect(Names([text]))

    assert dialed == []


@pytest.mark.parametrize("found", [("8.8.8.8", "127.0.0.1"), ("127.0.0.1", "8.8.8.8"), ("8.8.8.8", "::ffff:8.8.8.8")])
def test_one_address_that_is_not_public_is_enough(dialed: list[tuple[str, int]], found: Sequence[str]) -> None:
    with pytest.raises(ForbiddenError):
        connect(Names(found))

    assert dialed == []


def test_every_public_address_is_tried_in_its_order(dialed: list[tuple[str, int]]) -> None:
    with pytest.raises(NoConnectionError, match=r"8\.8\.8\.8: ConnectionRefusedError; 1\.1\.1\.1: ConnectionRefused"):
        connect(Names(["8.8.8.8", "1.1.1.1"]))

    assert dialed == [("8.8.8.8", 443), ("1.1.1.1", 443)]


def test_a_name_that_changes_after_it_was_judged_leads_nowhere_else(dialed: list[tuple[str, int]]) -> None:
    names = Names(["8.8.8.8"], ["127.0.0.1"])

    with pytest.raises(NoConnectionError):
        connect(names)

    assert names.asked == 1  # what was judged is what was called
    assert dialed == [("8.8.8.8", 443)]
    with pytest.raises(ForbiddenError):
        connect(names)
    assert dialed == [("8.8.8.8", 443)]


def test_a_name_without_an_address_may_have_one_later() -> None:
    with pytest.raises(NoConnectionError, match="no address"):
        connect(Names([]))

    def nowhere(_host: str, _port: int) -> list[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    to = destination("https://hooks.example.com/")
    with pytest.raises(NoConnectionError, match=r"hooks\.example\.com has no address: gaierror"):
        destinations.connect(to, timeout=lambda: 1, resolve=nowhere)


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "xn--999999b.example", "a" * 300])
def test_a_name_that_no_resolver_takes_is_a_name_without_an_address(host: str) -> None:
    to = Destination(tls=True, host=host, port=443, target="/")

    with pytest.raises(NoConnectionError):
        destinations.connect(to, timeout=lambda: 1)


def test_the_systems_resolver_tells_each_address_once() -> None:
    assert destinations.resolve("127.0.0.1", 80) == [ip_address("127.0.0.1")]
    assert destinations.resolve("::1", 80) == [ip_address("::1")]
    assert destinations.resolve("2130706433", 80) == [ip_address("127.0.0.1")]  # so it is judged in whichever form
    assert len(set(found := destinations.resolve("localhost", 80))) == len(found) > 0


def test_a_connection_is_made_where_it_is_allowed() -> None:
    with receiver() as there:
        to = destination(there.url, private=True)
        assert signing.post(to, b"{}", {}, private=True).status == 200
        with pytest.raises(ForbiddenError, match="not public"):
            signing.post(to, b"{}", {})

    assert there.connections == 1


@pytest.mark.parametrize(
    "variable", ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
)
def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with receiver() as there, receiver() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        signing.post(destination(there.url, private=True), b"{}", {}, private=True)

    assert (there.connections, proxy.connections) == (1, 0)
