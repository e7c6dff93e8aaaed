"""Bare sockets that play Kiro: every byte and every pause is the test's own."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\nTransfer-Encoding: chunked\r\n\r\n"
Play = Callable[["Peer"], None]


class Peer:
    """The other end of one connection, in the server's hands. request: head and body as they came."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.request = b""

    def read_request(self) -> bytes:
        """One request with its whole body."""
        self._receive_until(lambda: b"\r\n\r\n" in self.request)
        length = re.search(rb"(?i)content-length: (\d+)", self.request)
        whole = self.request.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
        self._receive_until(lambda: len(self.request) >= whole)
        return self.request

    def send(self, *pieces: bytes) -> None:
        """Each piece alone, with time to arrive alone."""
        for piece in pieces:
            self.sock.sendall(piece)
            gevent.sleep(0.002)

    def send_chunks(self, *pieces: bytes) -> None:
        self.send(*(chunk(piece) for piece in pieces))

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_the_end(self) -> None:
        """Until the other side has closed."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass

    def _receive_until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the request is not whole")
            self.request += data


class Server:
    """Plays `play` on every connection. peers: all connections so far, oldest first."""

    def __init__(self, play: Play, tls: ssl.SSLContext | None = None) -> None:
        self.peers: list[Peer] = []
        self._play = play
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._greenlets = [gevent.spawn(self._accept)]

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def join(self) -> None:
        """Until every connection has been played to its end."""
        gevent.joinall(self._greenlets[1:], timeout=10, raise_error=True)
        assert all(greenlet.dead for greenlet in self._greenlets[1:])

    def close(self) -> None:
        gevent.killall(self._greenlets)
        self._listener.close()
        for peer in self.peers:
            peer.sock.close()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._greenlets.append(gevent.spawn(self._serve, sock))

    def _serve(self, sock: Any) -> None:
        with contextlib.suppress(OSError):  # a client that leaves, also in the middle of a handshake
            peer = Peer(self._tls.wrap_socket(sock, server_side=True) if self._tls else sock)
            self.peers.append(peer)
            self._play(peer)
            peer.sock.close()


@contextlib.contextmanager
def serving(play: Play, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(play, tls)
    try:
        yield server
    finally:
        server.close()


def answering(*pieces: bytes) -> Play:
    """Read a request, send these pieces, close."""

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(*pieces)

    return play


def answer(status: int, body: bytes, **headers: str) -> bytes:
    """A whole answer with a length."""
    lines = [f"HTTP/1.1 {status} Some", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def chunked(data: bytes, size: int) -> bytes:
    """`data` in chunks of `size`, with the last, empty one."""
    return b"".join(chunk(data[at : at + size]) for at in range(0, len(data), size)) + b"0\r\n\r\n"


def tunnelling(port: int) -> Play:
    """A proxy: CONNECT, then bytes both ways."""

    def play(peer: Peer) -> None:
        assert peer.read_request().startswith(b"CONNECT localhost:")
        with socket.create_connection(("127.0.0.1", port)) as far:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = gevent.spawn(_copy, far, peer.sock)
            _copy(peer.sock, far)
            back.join()

    return play


def _copy(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def certificate() -> Iterator[tuple[ssl.SSLContext, str]]:
    """A server's TLS context for localhost, and the path of the certificate to trust."""
    with tempfile.TemporaryDirectory() as folder:
        key, cert = Path(folder) / "key.pem", Path(folder) / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
            check=True,
            capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        yield context, str(cert)


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port where connecting never ends: its queue of connections is full and nobody takes one."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    try:
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
            waiting.append(filler)
        gevent.sleep(0.05)
        yield int(listener.getsockname()[1])
    finally:
        for sock in (*waiting, listener):
            sock.close()
