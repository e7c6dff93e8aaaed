"""Chunks on a client's socket, sent around the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket

from app.runtime.direct import direct_writer

Pair = tuple[Any, Any]


@pytest.fixture
def client() -> Iterator[Pair]:
    """The server's end, as gunicorn has it, and the client's."""
    near, far = gevent_socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    yield near, far
    near.close()
    far.close()


def environ(client: Any, **values: Any) -> dict[str, Any]:
    return {"gunicorn.socket": client, "SERVER_PROTOCOL": "HTTP/1.1", **values}


def test_a_piece_is_one_chunk(client: Pair) -> None:
    writer = direct_writer(environ(client[0]))
    assert writer is not None
    writer.write(b"x" * 26)
    writer.write("ä".encode())
    assert client[1].recv(100) == b"1a\r\n" + b"x" * 26 + b"\r\n2\r\n\xc3\xa4\r\n"


def test_a_client_that_reads_slowly_gets_every_byte(client: Pair) -> None:
    writer = direct_writer(environ(client[0]))
    assert writer is not None
    piece = bytes(range(256)) * 4000
    task = gevent.spawn(writer.write, piece)
    expected = b"%x\r\n%b\r\n" % (len(piece), piece)
    received = b""
    while len(received) < len(expected):
        received += client[1].recv(1000)
    task.get()
    assert received == expected


def test_a_client_that_has_left_is_an_oserror(client: Pair) -> None:
    writer = direct_writer(environ(client[0]))
    assert writer is not None
    client[1].close()
    with pytest.raises(OSError, match=r"pipe|reset"):
        writer.write(b"x")


def test_where_the_server_is_another_one_it_writes_itself(client: Pair) -> None:
    plain = socket.socket()
    try:
        assert direct_writer(environ(plain)) is None
        assert direct_writer({}) is None
        assert direct_writer(environ(client[0], SERVER_PROTOCOL="HTTP/1.0")) is None, "without chunks the end is the end of all"
    finally:
        plain.close()
