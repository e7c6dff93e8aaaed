"""The client counts what came, however it was cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from bench import frames
from bench.bodies import http_request, large, small
from bench.load import EVENT, Address, Dechunker, run
from bench.order import STAMP, Order, read_order

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'


@contextmanager
def answering(*pieces: bytes) -> Iterator[Address]:
    """A server whose every answer is these pieces, and then the end of the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                for piece in pieces:
                    client.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@given(cuts=st.lists(st.integers(1, 40)), sizes=st.lists(st.integers(1, 30), min_size=1))
def test_any_cut_gives_the_same_body(cuts: list[int], sizes: list[int]) -> None:
    wire = b"".join(frames.chunk(b"ab\r\n"[:1] * size) for size in sizes) + b"0\r\n\r\n"
    body, at, decoder = b"", 0, Dechunker()
    for cut in [*cuts, len(wire)]:
        body += decoder.feed(wire[at : at + cut])
        at += cut
    assert body == b"a" * sum(sizes)
    assert decoder.ended


def test_events_are_counted_over_the_borders_of_chunks() -> None:
    pieces = [frames.chunk(DELTA[:10]), frames.chunk(DELTA[10:] + DELTA), b"0\r\n\r\n"]
    with answering(HEAD[:20], HEAD[20:], *pieces) as address:
        outcome = run(address, b"x", times=6, at_once=3, events=2)
    assert (outcome.requests, outcome.events, outcome.errors) == (6, 12, 0)
    assert len(outcome.first_seconds) == 6


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD, frames.chunk(DELTA)),  # ends without its last chunk
        (HEAD, frames.chunk(DELTA), b"0\r\n\r\n"),  # one event instead of two
        (HEAD, frames.chunk(DELTA * 2 + b"event: error\n"), b"0\r\n\r\n"),
        (b"HTTP/1.1 529 Overloaded\r\n\r\n",),
        (),
    ],
)
def test_an_answer_that_is_not_as_ordered_is_an_error(pieces: tuple[bytes, ...]) -> None:
    with answering(*pieces) as address:
        assert run(address, b"x", times=2, events=2).errors == 2


def test_a_stamp_tells_how_late_an_event_is() -> None:
    with answering(HEAD, frames.chunk(b'{"text":"%s1000000000"}' % STAMP.encode()), b"0\r\n\r\n") as address:
        outcome = run(address, b"x", times=1, events=0)
    ((sent_at, late),) = outcome.lags
    assert sent_at == 1.0
    assert late > 0


@pytest.mark.parametrize("kind", ["text", "tool", "thinking"])
def test_canned_answers_are_what_another_decoder_reads(kind: str) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(frames.answer(kind, 3)))
    types = [event.headers[":event-type"] for event in buffer]
    assert types[0] == {"text": "assistantResponseEvent", "tool": "toolUseEvent", "thinking": "reasoningContentEvent"}[kind]
    assert types[-2:] == ["contextUsageEvent", "meteringEvent"]
    assert len(EVENT.findall(b"".join(frames.answer(kind, 3)))) == len(types) - 2


@pytest.mark.parametrize("make", [small, large])
def test_an_order_passes_through_a_request(make: Callable[[Order], bytes]) -> None:
    order = Order("paced", "tool", 7, 15, "tag_1")
    assert read_order(http_request(make(order), key="k")) == order
    assert read_order(b"nothing of the kind") == Order()


def test_a_large_request_is_as_large_as_it_says() -> None:
    assert 0.9e6 < len(large(Order())) < 1.2e6
    assert 3.6e6 < len(large(Order(), megabytes=4)) < 4.6e6
