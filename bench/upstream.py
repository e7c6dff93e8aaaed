"""The bench's upstream: canned frames, written by a process that never is the bottleneck.

In: whatever a gateway sends; what is answered stands in a marker in the request (`bench.order`). Nothing is validated.
Out: an event stream in chunked encoding, each event a chunk of its own as from the real service.
It also trades refresh tokens, tells the usage of a login, and says at `GET /bench/ends` when which stream was left.

Started by `bench.targets` as `python -m bench.upstream PORT [CERTIFICATE]`; CERTIFICATE is a PEM file with its key.
Measured: 0.08 µs of CPU per event in a batch, about 35 µs per event that is sent alone (most of it is the kernel's).
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import contextlib
import json
import random
import re
import signal
import socket
import ssl
import sys
import time
from functools import cache
from typing import Any

import gevent
from gevent.server import StreamServer

from bench import frames
from bench.order import STAMP, Order, read_order

TRICKLE_SECONDS = 30.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_ends: dict[str, float] = {}


@cache
def _batch(kind: str, events: int) -> bytes:
    return HEAD + b"".join(map(frames.chunk, frames.answer(kind, events))) + LAST_CHUNK


@cache
def _pieces(kind: str, events: int) -> tuple[bytes, ...]:
    return tuple(map(frames.chunk, frames.answer(kind, events)))


def serve(client: Any, _address: Any) -> None:
    """Requests of one connection until its end."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a head would hold the first event back for 40 ms
    pending = b""
    with contextlib.suppress(OSError), client:
        while True:
            while (end := pending.find(b"\r\n\r\n")) < 0:
                if not (piece := client.recv(65536)):
                    return
                pending += piece
            head, body = pending[:end], bytearray(pending[end + 4 :])
            length = re.search(rb"content-length:\s*(\d+)", head, re.IGNORECASE)
            wanted = int(length[1]) if length else 0
            while len(body) < wanted:
                if not (piece := client.recv(1 << 20)):
                    return
                body += piece
            pending = bytes(body[wanted:])
            _answer(client, head, body)


def _answer(client: Any, head: bytes, body: bytearray) -> None:
    path = head.split(b" ", 2)[1]
    if path == b"/bench/ends":
        _whole(client, _ends)
    elif path.startswith((b"/refreshToken", b"/token")):
        _whole(client, {"accessToken": "aoa" + "A" * 200, "refreshToken": "aor" + "R" * 200, "expiresIn": 3600})
    elif path.startswith(b"/getUsageLimits"):
        _whole(client, {"usageBreakdownList": [{"resourceType": "CREDIT", "currentUsage": 0, "usageLimit": 1_000_000}]})
    elif head.startswith(b"GET "):
        _whole(client, {})
    else:
        _stream(client, read_order(body))


def _whole(client: Any, content: Any) -> None:
    body = json.dumps(content).encode()
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def _stream(client: Any, order: Order) -> None:
    try:
        if order.mode == "batch":
            client.sendall(_batch(order.kind, order.events))
        elif order.mode == "held":
            _hold(client, order)
        else:
            _pace(client, order)
    except OSError:
        _ends.setdefault(order.tag, time.monotonic())
        raise


def _hold(client: Any, order: Order) -> None:
    """One event, then a trickle of events without meaning, until the reader leaves."""
    client.sendall(HEAD + frames.chunk(frames.text()))
    trickle = frames.chunk(frames.event("messageMetadataEvent", {"conversationId": order.tag}))
    while True:
        with gevent.Timeout(TRICKLE_SECONDS, False):
            client.recv(1)
            raise ConnectionResetError  # a byte is as good as an end: nobody sends one
        client.sendall(trickle)


def _pace(client: Any, order: Order) -> None:
    """Each event alone; pauses vary by a third around the mean, so that streams do not fall into step."""
    client.sendall(HEAD)
    mean = order.milliseconds / 1000
    for piece in _pieces(order.kind, order.events):
        gevent.sleep(mean * random.uniform(2 / 3, 4 / 3))  # noqa: S311 - spreads streams
        client.sendall(frames.chunk(frames.text(f"{STAMP}{time.monotonic_ns()}")) if order.mode == "stamped" else piece)
    client.sendall(LAST_CHUNK)


def main(port: str, certificate: str | None = None) -> None:
    """Serve until SIGTERM."""
    options: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        options = {"ssl_context": context}
    server = StreamServer(("127.0.0.1", int(port)), serve, backlog=4096, **options)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
