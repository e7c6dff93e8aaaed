"""Calls over real sockets: what is sent where, and what every way of failing is called."""

from __future__ import annotations

import gzip
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import gevent
import pytest
from urllib3.util.ssl_ import create_urllib3_context

from app.errors import UpstreamUnavailable
from app.runtime.clock import TimeLimit, limit
from app.upstream import http as http_module
from app.upstream.http import Http, TransportFailed, goes_around
from tests.unit.upstream.patched import patched
from tests.unit.upstream.servers import Peer, answer, answering, black_hole, certificate, serving, tunnelling

REAL = "https://q.us-east-1.amazonaws.com"


@dataclass
class Call:
    method: str = "POST"
    url: str = f"{REAL}/generateAssistantResponse"
    headers: dict[str, str] = field(default_factory=lambda: {"User-Agent": "KiroIDE", "x-some": "1", "Connection": "close"})
    body: bytes | None = b'{"a":1}'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def opened(http: Http, call: Call, **options: Any) -> None:
    http.open(call, **options).body.close()


WAYS: list[Callable[..., Any]] = [opened, Http.send]
"""The two ways to call: streaming and whole."""
both_ways = pytest.mark.parametrize("way", WAYS, ids=["open", "send"])


def failure(way: Callable[..., Any], http: Http, call: Call | None = None, **options: Any) -> TransportFailed:
    with pytest.raises(TransportFailed) as raised:
        way(http, call or Call(), **options)
    error = raised.value
    assert isinstance(error, UpstreamUnavailable)
    assert error.__cause__ is not None
    assert "127.0.0.1" not in error.message
    return error


def sent_lines(peer: Peer) -> tuple[str, dict[str, str], bytes]:
    head, _, body = peer.request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


# -- what is sent --


@both_ways
@patched
def test_the_upstream_url_keeps_path_query_and_host(way: Callable[..., Any]) -> None:
    with serving(answering(answer(200, b"ok"))) as server:
        way(
            Http(upstream_url=f"{server.url}/base/"),
            Call(url=f"{REAL}/getUsageLimits?origin=AI_EDITOR&profileArn=arn%3Aaws%2FX"),
        )
        first, headers, body = sent_lines(server.peers[0])
    assert first == "POST /base/getUsageLimits?origin=AI_EDITOR&profileArn=arn%3Aaws%2FX HTTP/1.1"
    assert headers["Host"] == "q.us-east-1.amazonaws.com"
    assert body == b'{"a":1}'


@patched
def test_the_headers_are_sent_as_they_were_given() -> None:
    with serving(answering(answer(200, b"ok"))) as server:
        Http(upstream_url=server.url).send(Call())
        Http(upstream_url=server.url).send(Call(method="GET", body=None))
        _, posted, _ = sent_lines(server.peers[0])
        _, asked, body = sent_lines(server.peers[1])
    given = {"Host": "q.us-east-1.amazonaws.com", "User-Agent": "KiroIDE", "x-some": "1", "Connection": "close"}
    assert posted == {**given, "Content-Length": "7", "Accept-Encoding": "identity"}
    assert asked == {**given, "Accept-Encoding": "identity"}
    assert body == b""


@patched
def test_a_large_body_is_sent_whole() -> None:
    body = bytes(range(256)) * 16384
    with serving(answering(answer(200, b"ok"))) as server:
        Http(upstream_url=server.url).send(Call(body=body))
        assert sent_lines(server.peers[0])[2] == body


@patched
def test_the_environment_and_cookies_change_nothing() -> None:
    with serving(answering(answer(200, b"ok", Set_Cookie="a=b; Path=/"))) as server:
        proxy = f"http://127.0.0.1:{free_port()}"
        with mock.patch.dict(os.environ, {"HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy}):
            http = Http(upstream_url=server.url)
            for _ in range(2):
                assert http.send(Call()).status == 200
        assert "Cookie" not in sent_lines(server.peers[1])[1]


@patched
def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with serving(answering(answer(302, b"", Location="http://127.0.0.1:9/"))) as server:
        assert Http(upstream_url=server.url).send(Call()).status == 302
        assert len(server.peers) == 1


@patched
def test_a_whole_answer_is_read_and_unpacked() -> None:
    body = gzip.compress(b'{"accessToken":"x"}')
    with serving(answering(answer(200, body, Content_Encoding="gzip", X_Amzn_RequestId="r"))) as server:
        whole = Http(upstream_url=server.url).send(Call())
    assert (whole.status, whole.body) == (200, b'{"accessToken":"x"}')
    assert whole.headers["x-amzn-requestid"] == "r"


# -- proxies --


@both_ways
@patched
def test_a_proxy_is_used_unless_the_call_goes_around_it(way: Callable[..., Any]) -> None:
    with serving(answering(answer(200, b"proxy"))) as proxy, serving(answering(answer(200, b"direct"))) as server:
        http = Http(upstream_url=server.url, default_proxy=lambda _host: proxy.url)
        way(http, Call())
        assert (len(proxy.peers), len(server.peers)) == (1, 0)
        first, headers, body = sent_lines(proxy.peers[0])
        assert first == f"POST {server.url}/generateAssistantResponse HTTP/1.1"
        assert headers["Host"] == "q.us-east-1.amazonaws.com"
        assert body == b'{"a":1}'
        way(http, Call(), proxy_url="direct")
        assert (len(proxy.peers), len(server.peers)) == (1, 1)
        way(Http(upstream_url=server.url), Call(), proxy_url=proxy.url)
        assert (len(proxy.peers), len(server.peers)) == (2, 1)


@pytest.mark.parametrize("proxy_tls", [False, True])
@patched
def test_tls_goes_through_a_proxy_as_a_tunnel(proxy_tls: bool) -> None:
    with (
        certificate() as (tls, trusted),
        serving(answering(answer(200, b"ok")), tls) as server,
        serving(tunnelling(server.port), tls if proxy_tls else None) as proxy,
    ):
        http = Http(upstream_url=server.url, ca_bundle=trusted)
        assert http.send(Call(), proxy_url=proxy.url).body == b"ok"
        assert sent_lines(server.peers[0])[2] == b'{"a":1}'
        assert b'{"a":1}' not in proxy.peers[0].request


@both_ways
@pytest.mark.parametrize("proxy", ["refused", "refuses", "socks5://127.0.0.1:9", "http://"])
@patched
def test_a_proxy_that_does_not_help_has_not_sent_anything(way: Callable[..., Any], proxy: str) -> None:
    with serving(answering(answer(407, b""))) as refusing, certificate() as (_, trusted):
        urls = {"refused": f"http://127.0.0.1:{free_port()}", "refuses": refusing.url}
        http = Http(ca_bundle=trusted, default_proxy=lambda _host: urls.get(proxy, proxy))
        assert not failure(way, http).sent


# -- failing --


@both_ways
@patched
def test_a_refused_connection_has_not_sent_anything(way: Callable[..., Any]) -> None:
    http = Http(upstream_url=f"http://127.0.0.1:{free_port()}")
    error = failure(way, http)
    assert not error.sent
    assert "cannot be reached" in error.message
    assert not failure(way, http, Call(method="GET", body=None)).sent


@both_ways
@patched
def test_a_name_that_does_not_resolve_has_not_sent_anything(way: Callable[..., Any]) -> None:
    with mock.patch("socket.getaddrinfo", side_effect=socket.gaierror(-2, "Name or service not known")):
        assert not failure(way, Http()).sent


@both_ways
@patched
def test_a_black_hole_is_given_up_after_the_connect_limit(way: Callable[..., Any]) -> None:
    assert http_module.CONNECT_SECONDS == 5.0
    with black_hole() as port, mock.patch.object(http_module, "CONNECT_SECONDS", 0.1):
        began = time.monotonic()
        error = failure(way, Http(upstream_url=f"http://127.0.0.1:{port}"))
        assert 0.09 < time.monotonic() - began < 1
    assert not error.sent


@both_ways
@patched
def test_many_addresses_that_lead_nowhere_are_given_up_together(way: Callable[..., Any]) -> None:
    assert http_module.REACH_SECONDS <= 10.0
    with black_hole() as port, mock.patch.object(http_module, "REACH_SECONDS", 0.2):
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 8
        with mock.patch("socket.getaddrinfo", return_value=addresses):
            began = time.monotonic()
            error = failure(way, Http())
            assert 0.19 < time.monotonic() - began < 1
    assert not error.sent


@both_ways
@patched
def test_a_tls_handshake_that_never_ends_is_given_up(way: Callable[..., Any]) -> None:
    with serving(Peer.wait_for_the_end) as server, mock.patch.object(http_module, "CONNECT_SECONDS", 0.1):
        error = failure(way, Http(upstream_url=server.url.replace("http:", "https:")))
    assert not error.sent


@both_ways
@pytest.mark.parametrize("trouble", ["unknown certificate", "other name", "no TLS", "no CA bundle"])
@patched
def test_tls_that_cannot_be_trusted_has_not_sent_anything(way: Callable[..., Any], trouble: str) -> None:
    def play(peer: Peer) -> None:
        peer.send(b"SSH-2.0-x\r\n")

    with certificate() as (tls, trusted), serving(play, None if trouble == "no TLS" else tls) as server:
        url = server.url.replace("http:", "https:")
        if trouble == "other name":
            url = url.replace("localhost", "127.0.0.1")
        bundle = {"unknown certificate": None, "no CA bundle": "/nowhere.pem"}.get(trouble, trusted)
        assert not failure(way, Http(upstream_url=url, ca_bundle=bundle)).sent
        assert all(b'{"a":1}' not in peer.request for peer in server.peers)


@both_ways
@pytest.mark.parametrize("ending", ["reset", "close", "half a head", "not HTTP"])
@patched
def test_a_connection_that_breaks_before_the_headers_may_have_been_heard(way: Callable[..., Any], ending: str) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        if ending == "reset":
            peer.reset()
        elif ending != "close":
            peer.send(b"HTTP/1.1 20" if ending == "half a head" else b"SSH-2.0-x\r\n")

    with serving(play) as server:
        error = failure(way, Http(upstream_url=server.url))
        assert len(server.peers) == 1, "nothing is repeated here"
    assert error.sent


@patched
def test_an_answer_that_is_cut_or_late_may_have_been_heard() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    with serving(answering(cut)) as server:
        assert failure(Http.send, Http(upstream_url=server.url)).sent
    with serving(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal")) as server:
        assert failure(Http.send, Http(upstream_url=server.url)).sent
    with serving(Peer.wait_for_the_end) as server:
        assert failure(Http.send, Http(upstream_url=server.url), timeout_seconds=0.05).sent
        server.join()


@patched
def test_reaching_the_other_side_is_not_counted_once_the_request_has_left() -> None:
    def slow(peer: Peer) -> None:
        peer.read_request()
        gevent.sleep(0.15)
        peer.send(answer(200, b"late"))

    with serving(slow) as server, mock.patch.object(http_module, "REACH_SECONDS", 0.05):
        assert Http(upstream_url=server.url).send(Call()).body == b"late"


@patched
def test_a_limit_of_the_caller_ends_a_wait_for_headers_and_the_connection() -> None:
    with serving(Peer.wait_for_the_end) as server:
        with pytest.raises(TimeLimit), limit(0.05):
            Http(upstream_url=server.url).open(Call())
        server.join()


@pytest.mark.parametrize(
    ("host", "around"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("q.us-east-1.amazonaws.com", True),
        ("kiro.dev", True),
        ("runtime.us-east-1.kiro.dev", True),
        ("notkiro.dev", False),
        ("example.test", False),
    ],
)
def test_no_proxy_names_hosts_and_domains(host: str, around: bool) -> None:
    assert goes_around(host, ["q.us-east-1.amazonaws.com", ".kiro.dev"]) is around
    assert goes_around(host, ["*"])


@patched
def test_the_authorities_are_read_once_for_all_connections() -> None:
    with certificate() as (tls, trusted), serving(answering(answer(200, b"ok")), tls) as server:
        http = Http(ca_bundle=trusted, upstream_url=server.url.replace("http:", "https:"))
        with mock.patch.object(http_module, "create_urllib3_context", wraps=create_urllib3_context) as made:
            for _ in range(3):
                http.send(Call())
                opened(http, Call())
    assert made.call_count == 1
