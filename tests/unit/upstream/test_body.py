"""Bodies received from real sockets, over TCP and TLS, however they arrive."""

from __future__ import annotations

import contextlib
import gc
import http.client
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.event
import pytest
import requests
import urllib3

from app.errors import TruncatedStream, UpstreamError
from app.runtime.sockets import wait_readable
from app.upstream.body import Body, PumpedBody, TakenOverBody
from app.upstream.http import Http, StreamingAnswer
from tests.unit.upstream.patched import patched
from tests.unit.upstream.servers import (
    STREAM_HEAD,
    Peer,
    Play,
    answer,
    answering,
    certificate,
    chunk,
    chunked,
    serving,
    tunnelling,
)
from tests.unit.upstream.test_http import Call

COUNTED_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
OPEN_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
DATA = bytes(range(256)) * 512  # 128 KiB: several TLS records, more than one receive
each_way = pytest.mark.parametrize(
    ("tls", "fast"),
    [(False, True), (True, True), (False, False), (True, False)],
    ids=["plain", "tls", "plain through the library", "tls through the library"],
)
both_wires = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@contextlib.contextmanager
def opened(play: Play, tls: bool, fast: bool = True) -> Iterator[StreamingAnswer]:
    with contextlib.ExitStack() as stack:
        context, trusted = stack.enter_context(certificate()) if tls else (None, None)
        server = stack.enter_context(serving(play, context))
        answer_ = Http(upstream_url=server.url, ca_bundle=trusted, fast=fast).open(Call())
        stack.callback(answer_.body.close)
        yield answer_


def receive_all(body: Body) -> bytes:
    """As the relay does: wait for the socket unless there is something already."""
    pieces = []
    while not body.ended:
        if not body.has_buffered:
            assert wait_readable(body.socket, 5), "nothing comes any more"
        pieces.append(body.receive())
    return b"".join(pieces)


def whole(head: bytes, body: bytes, size: int) -> list[bytes]:
    wire = head + body
    return [wire[at : at + size] for at in range(0, len(wire), size)]


WIRES: dict[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "chunked": lambda data: (STREAM_HEAD, chunked(data, 1000)),
    "one chunk": lambda data: (STREAM_HEAD, chunked(data, len(data))),
    "counted": lambda data: (COUNTED_HEAD % len(data), data),
    "open": lambda data: (OPEN_HEAD, data),
}


@each_way
@pytest.mark.parametrize("framing", WIRES)
@patched
def test_a_body_is_received_whole_wherever_it_is_cut(tls: bool, fast: bool, framing: str) -> None:
    for data, size in ((DATA, 10**6), (DATA, 40_001), (DATA[:3000], 97), (DATA[:40], 1)):
        head, wire = WIRES[framing](data)
        with opened(answering(*whole(head, wire, size)), tls, fast) as streaming:
            assert receive_all(streaming.body) == data
            assert streaming.status == 200


@each_way
@pytest.mark.parametrize("framing", ["chunked", "one chunk", "counted"])
@pytest.mark.parametrize("ending", ["close", "reset"])
@patched
def test_a_body_that_is_cut_is_a_truncated_stream(tls: bool, fast: bool, framing: str, ending: str) -> None:
    head, wire = WIRES[framing](DATA)
    # The library takes the last chunk's first line for the end, which it is: only its empty line is missing then.
    last = len(wire) - (1 if fast or framing == "counted" else len(b"0\r\n\r\n"))
    for cut in (0, 1, 5, 70_000, last):

        def play(peer: Peer, wire: bytes = wire[:cut]) -> None:
            peer.read_request()
            peer.send(head, wire)
            if ending == "reset":
                gevent.sleep(0.01)
                peer.reset()

        with opened(play, tls, fast) as streaming, pytest.raises(TruncatedStream):
            receive_all(streaming.body)


@pytest.mark.parametrize(
    ("framing", "tls"), [(framing, tls) for framing in WIRES for tls in (False, True) if (framing, tls) != ("open", True)]
)
@patched
def test_a_reset_right_behind_the_headers_is_never_an_end(tls: bool, framing: str) -> None:
    """Over TLS, Python shows a reset as an orderly end; only a length or a last chunk tells the two apart there."""

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(WIRES[framing](DATA)[0])
        gevent.sleep(0.02)
        peer.reset()

    with opened(play, tls) as streaming:
        gevent.sleep(0.05)
        with pytest.raises(TruncatedStream):
            receive_all(streaming.body)


@patched
def test_a_reset_that_came_before_the_body_was_looked_at_is_never_an_end() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(OPEN_HEAD)
        peer.reset()

    original = TakenOverBody.__init__

    def late(self: TakenOverBody, response: Any) -> None:
        gevent.sleep(0.05)
        original(self, response)

    with pytest.MonkeyPatch.context() as patch, serving(play) as server:
        patch.setattr(TakenOverBody, "__init__", late)
        body = Http(upstream_url=server.url).open(Call()).body
        assert body.has_buffered
        for _ in range(2):
            with pytest.raises(TruncatedStream):
                body.receive()
        body.close()


@each_way
@pytest.mark.parametrize("head", [b"HTTP/1.1 204 No Content\r\n\r\n", COUNTED_HEAD % 0])
@patched
def test_an_answer_without_a_body_has_ended(tls: bool, fast: bool, head: bytes) -> None:
    with opened(answering(head), tls, fast) as streaming:
        assert receive_all(streaming.body) == b""


@each_way
@patched
def test_nothing_there_yet_is_nothing_and_not_an_end(tls: bool, fast: bool) -> None:
    go = gevent.event.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(STREAM_HEAD)
        go.wait()
        peer.send(chunk(b"late"), b"0\r\n\r\n")

    with opened(play, tls, fast) as streaming:
        body = streaming.body
        for _ in range(3):
            assert body.receive() == b""
        assert not body.ended
        go.set()
        assert receive_all(body) == b"late"


@both_wires
@patched
def test_what_came_with_the_headers_is_there_without_waiting(tls: bool) -> None:
    with opened(answering(STREAM_HEAD + chunk(b"first")), tls) as streaming:
        assert streaming.body.has_buffered
        assert streaming.body.receive() == b"first"


@both_wires
@patched
def test_a_broken_transfer_encoding_is_an_upstream_error(tls: bool) -> None:
    with opened(answering(STREAM_HEAD, b"zz\r\n"), tls) as streaming, pytest.raises(UpstreamError):
        receive_all(streaming.body)


@each_way
@patched
def test_closing_ends_the_connection_at_once_and_may_be_done_twice(tls: bool, fast: bool) -> None:
    gone: list[float] = []

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(STREAM_HEAD, chunk(b"first"))
        peer.wait_for_the_end()
        gone.append(time.monotonic())

    with opened(play, tls, fast) as streaming:
        began = time.monotonic()
        streaming.body.close()
        while not gone and time.monotonic() - began < 2:
            gevent.sleep(0.001)
        streaming.body.close()
    assert gone
    assert gone[0] - began < 0.5


@both_wires
@patched
def test_what_the_library_made_of_the_call_is_forgotten_while_the_answer_streams(tls: bool) -> None:
    made = (requests.Response, requests.PreparedRequest, urllib3.BaseHTTPResponse, http.client.HTTPResponse, io.BufferedReader)
    before = {id(each) for each in gc.get_objects() if isinstance(each, made)}
    go = gevent.event.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(STREAM_HEAD, chunk(b"first"))
        go.wait()
        peer.send(chunk(b"second"), b"0\r\n\r\n")

    with opened(play, tls) as streaming:
        gc.collect()
        assert [each for each in gc.get_objects() if isinstance(each, made) and id(each) not in before] == []
        go.set()
        assert receive_all(streaming.body) == b"firstsecond"


@both_wires
@patched
def test_a_connection_that_ends_with_its_answer_is_taken_over_too(tls: bool) -> None:
    with opened(answering(OPEN_HEAD, b"first"), tls) as streaming:
        gc.collect()
        assert isinstance(streaming.body, TakenOverBody)
        assert receive_all(streaming.body) == b"first"
        streaming.body.close()
        assert streaming.body.socket.fileno() == -1


@patched
def test_an_answer_with_a_length_and_more_behind_it_ends_at_its_length() -> None:
    with opened(answering(answer(200, b"body") + b"HTTP/1.1 200 smuggled\r\n\r\n"), False) as streaming:
        assert receive_all(streaming.body) == b"body"


@pytest.mark.parametrize("proxy_tls", [False, True])
@patched
def test_a_body_comes_whole_through_a_proxy(proxy_tls: bool) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(*whole(STREAM_HEAD, chunked(DATA, 30_000), 40_001))
        peer.wait_for_the_end()  # nothing more comes that could wake anybody up

    with (
        certificate() as (tls, trusted),
        serving(play, tls) as server,
        serving(tunnelling(server.port), tls if proxy_tls else None) as proxy,
    ):
        body = Http(upstream_url=server.url, ca_bundle=trusted).open(Call(), proxy_url=proxy.url).body
        assert receive_all(body) == DATA
        body.close()
        body.close()
        server.join()


@patched
def test_a_library_that_hides_its_connection_is_read_through() -> None:
    with serving(answering(STREAM_HEAD + chunk(b"first"), chunked(b"second", 6))) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TakenOverBody, "__init__", lambda _self, response: response.raw.no_such_attribute)
            body = Http(upstream_url=server.url).open(Call()).body
        assert isinstance(body, PumpedBody)
        assert receive_all(body) == b"firstsecond"
        body.close()
