"""URLs of clients: what is fetched over real TLS, and every way around the private network's walls that must stay shut."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import gevent
import pytest

from app.upstream.fetch import NO_ANSWER, NOT_PUBLIC, Fetched, NotFetched, fetch, is_public
from tests.unit.upstream.patched import patched
from tests.unit.upstream.servers import Peer, Play, Server, answer, answering, certificate, serving

URL = "https://localhost/a/picture?size=1"


@contextmanager
def host(play: Play) -> Iterator[tuple[Server, dict[str, Any]]]:
    """A server on the loopback, and the arguments with which it is a public host called localhost."""
    with certificate() as (tls, ca_bundle), serving(play, tls) as server:
        yield (
            server,
            {
                "max_bytes": 1000,
                "seconds": 5.0,
                "ca_bundle": ca_bundle,
                "look_up": lambda _: [("127.0.0.1", server.port)],
                "is_allowed": lambda _: True,
            },
        )


def refused(url: str, **options: Any) -> str:
    with pytest.raises(NotFetched) as raised:
        fetch(url, **{"max_bytes": 1000, "seconds": 5.0, **options})
    return str(raised.value)


# -- what comes --


@patched
def test_a_body_comes_with_its_content_type() -> None:
    with host(answering(answer(200, b"pixels", Content_Type="image/png"))) as (server, options):
        assert fetch(URL, **options) == Fetched(b"pixels", "image/png")
        head = server.peers[0].request.decode()
    assert head.startswith("GET /a/picture?size=1 HTTP/1.1\r\n")
    assert "\r\nHost: localhost\r\n" in head
    assert "127.0.0.1" not in head


@patched
def test_the_name_is_looked_up_once_and_the_connection_goes_where_it_was_checked() -> None:
    with host(answering(answer(200, b"pixels"))) as (server, options):
        answers = [[("127.0.0.1", server.port)], [("127.0.0.2", 1)]]
        checked: list[str] = []
        options["look_up"] = lambda _: answers.pop(0)
        options["is_allowed"] = lambda ip: checked.append(ip) is None
        names: list[Any] = []
        look_up = socket.getaddrinfo
        with mock.patch.object(socket, "getaddrinfo", lambda name, *more, **o: names.append(name) or look_up(name, *more, **o)):
            assert fetch(URL, **options).body == b"pixels"
    assert len(answers) == 1
    assert checked == ["127.0.0.1"]
    assert set(names) <= {"127.0.0.1"}  # numbers only: no name is looked up behind our back


@patched
def test_the_next_address_is_tried_when_one_takes_no_connection() -> None:
    with host(answering(answer(200, b"pixels"))) as (server, options), socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        options["look_up"] = lambda _: [("127.0.0.1", closed.getsockname()[1]), ("127.0.0.1", server.port)]
        assert fetch(URL, **options).body == b"pixels"


@patched
def test_no_proxy_of_the_environment_is_asked() -> None:
    with host(answering(answer(200, b"pixels"))) as (_, options), serving(answering(b"")) as proxy:
        with mock.patch.dict("os.environ", {"HTTPS_PROXY": proxy.url, "ALL_PROXY": proxy.url}):
            assert fetch(URL, **options).body == b"pixels"
        assert proxy.peers == []


# -- what is not asked for --


@pytest.mark.parametrize(
    "url",
    [
        "https://2852039166/latest/meta-data",
        "https://0xA9FEA9FE/",
        "https://127.1/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://0/",
        "https://localhost/",
        "https://localhost./",
    ],
)
def test_addresses_of_this_machine_and_its_network_are_refused_in_every_spelling(url: str) -> None:
    with mock.patch("app.upstream.fetch._get_from", side_effect=AssertionError("connected")):
        assert refused(url) == NOT_PUBLIC


@pytest.mark.parametrize("addresses", [["10.0.0.7"], ["8.8.8.8", "10.0.0.7"], ["10.0.0.7", "8.8.8.8"], []])
def test_a_name_is_refused_unless_all_its_addresses_are_public(addresses: list[str]) -> None:
    with mock.patch("app.upstream.fetch._get_from", side_effect=AssertionError("connected")):
        assert refused("https://inside.example/", look_up=lambda _: [(ip, 443) for ip in addresses]) == NOT_PUBLIC


def test_a_name_that_does_not_exist_is_told_like_one_that_leads_inside() -> None:
    def unknown(_: str) -> list[tuple[str, int]]:
        raise socket.gaierror("Name or service not known")

    assert refused("https://nowhere.example/", look_up=unknown) == NOT_PUBLIC


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "only https"),
        ("file:///etc/passwd", "only https"),
        ("example.com/a.png", "only https"),
        ("https://example.com:8443/", "on port 443"),
        ("https://example.com:0/", "on port 443"),
        ("https://user:secret@example.com/", "without user and password"),
        ("https://@example.com/", "without user and password"),
        ("https://good.example\\@evil.example/", "without user and password"),
        ("https://example.com:https/", "not a URL"),
        ("https:///a.png", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://[2606:4700::1%25eth0]/", "not a URL"),
        ("https://example.com/a b", "not a URL"),
        ("https://exam\nple.com/", "not a URL"),
        ("https://example.com/a\r\nX-Injected: 1", "not a URL"),
        (f"https://{'a' * 64}.example/", "not a URL"),
        (f"https://example.com/{'a' * 8192}", "8192 characters"),
    ],
)
def test_urls_of_any_other_shape_are_refused_before_a_look_up(url: str, said: str) -> None:
    assert said in refused(url, look_up=lambda _: pytest.fail("looked up"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("2002:808:808::1", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.1.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::7f00:1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("2002:a9fe:a9fe::1", False),
        ("2002:7f00:1::", False),
        ("2001:0:808:808:0:0:5601:5601", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_public_is_what_anybody_could_reach(address: str, public: bool) -> None:
    assert is_public(address) is public


# -- what does not come well --


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@patched
def test_a_redirect_is_refused_and_not_followed(status: int) -> None:
    with host(answering(answer(status, b"", Location="https://localhost/other"))) as (server, options):
        assert refused(URL, **options) == "it redirects; name the final address instead"
        assert len(server.peers) == 1


@patched
def test_another_status_is_told() -> None:
    with host(answering(answer(404, b"gone"))) as (_, options):
        assert refused(URL, **options) == "the host answers with HTTP status 404"


@patched
def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    def endless(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(bytes(4096))

    with host(endless) as (_, options):
        assert refused(URL, **options) == "it is larger than the 1000 bytes that may come here"
        assert "larger" in refused(URL, **{**options, "max_bytes": 300_000})


@patched
def test_a_body_is_counted_unpacked() -> None:
    packed = gzip.compress(bytes(100_000))
    assert len(packed) < 1000
    with host(answering(answer(200, packed, Content_Encoding="gzip"))) as (_, options):
        assert "larger" in refused(URL, **options)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["head", "body"])
@patched
def test_an_answer_that_drips_is_given_up_in_time(first: bytes) -> None:
    def dripping(peer: Peer) -> None:
        peer.read_request()
        peer.send(first)
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200:
            peer.sock.sendall(bytes([byte]))
            gevent.sleep(0.02)

    with host(dripping) as (_, options):
        began_at = time.monotonic()
        assert refused(URL, **{**options, "seconds": 0.3}) == "it did not come in time"
        assert time.monotonic() - began_at < 1


@patched
def test_a_look_up_that_hangs_is_given_up_in_time() -> None:
    assert refused(URL, seconds=0.05, look_up=lambda _: gevent.sleep(5)) == "it did not come in time"


@patched
def test_a_certificate_nobody_vouches_for_is_refused() -> None:
    with host(answering(answer(200, b"pixels"))) as (server, options):
        assert refused(URL, **{**options, "ca_bundle": None}) == NO_ANSWER
        assert [peer.request for peer in server.peers] in ([], [b""])


@pytest.mark.parametrize("url", ["https://example.com/", "https://127.0.0.1/"])
@patched
def test_a_certificate_of_another_name_is_refused(url: str) -> None:
    with host(answering(answer(200, b"pixels"))) as (server, options):
        assert refused(url, **options) == NO_ANSWER
        assert [peer.request for peer in server.peers] in ([], [b""])


@pytest.mark.parametrize(
    "sent",
    [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"],
    ids=["silent", "foreign", "cut"],
)
@patched
def test_an_answer_that_breaks_is_refused(sent: bytes) -> None:
    with host(answering(sent)) as (_, options):
        assert refused(URL, **options) == NO_ANSWER
