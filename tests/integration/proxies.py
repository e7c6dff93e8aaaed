"""Small proxies on the loopback, in threads: http (forwarding and CONNECT) and socks5, with and without a password.

Each connection carries one request, as the gateway's do. What is carried, and to whom, can be asked afterwards.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from urllib.parse import urlsplit

USER, PASSWORD = "gate", "pass/w%rd"
QUOTED = "gate:pass%2Fw%25rd"


class _Server:
    """Serves every connection in a thread of its own."""

    def __init__(self, serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), contextlib.closing(sock):
            self._serve(self._tls.wrap_socket(sock, server_side=True) if self._tls else sock)

    def close(self) -> None:
        self._listener.close()


class Proxy:
    """scheme: http or socks5. password: whether it asks for USER and PASSWORD. carried: destinations, oldest first."""

    def __init__(self, scheme: str, *, password: bool = False) -> None:
        self.scheme = scheme
        self.carried: list[str] = []
        self.refused = 0
        self._password = password
        self._server = _Server(self._http if scheme == "http" else self._socks5)

    @property
    def url(self) -> str:
        """As a credential or setting names it."""
        return f"{self.scheme}://{QUOTED + '@' if self._password else ''}127.0.0.1:{self._server.port}"

    @property
    def bare_url(self) -> str:
        """Without user and password."""
        return f"{self.scheme}://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._server.close()

    def _http(self, sock: socket.socket) -> None:
        head = _receive_head(sock)
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        if self._password:
            expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if f"proxy-authorization: basic {expected}".lower() not in (each.lower() for each in fields):
                self.refused += 1
                sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            first = b""
        else:
            url = urlsplit(target)
            host, port = url.hostname or "", str(url.port or 80)
            kept = [each for each in fields if not each.lower().startswith("proxy-")]
            path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
            first = "\r\n".join([f"{method} {path} HTTP/1.1", *kept]).encode("latin-1")
        self.carried.append(f"{host}:{port}")
        with socket.create_connection((host, int(port)), timeout=30) as far:
            if method == "CONNECT":
                sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far.sendall(first)
            _relay(sock, far)

    def _socks5(self, sock: socket.socket) -> None:
        """RFC 1928 and 1929."""
        _, count = _receive(sock, 2)
        offered = _receive(sock, count)
        wanted = 2 if self._password else 0
        if wanted not in offered:
            self.refused += 1
            sock.sendall(b"\x05\xff")
            return
        sock.sendall(bytes([5, wanted]))
        if self._password and not self._is_let_in(sock):
            self.refused += 1
            return
        _, _, _, kind = _receive(sock, 4)
        host = socket.inet_ntoa(_receive(sock, 4)) if kind == 1 else _receive(sock, _receive(sock, 1)[0]).decode()
        (port,) = struct.unpack(">H", _receive(sock, 2))
        self.carried.append(f"{host}:{port}")
        with socket.create_connection((host, port), timeout=30) as far:
            sock.sendall(b"\x05\x00\x00\x01" + bytes(6))
            _relay(sock, far)

    def _is_let_in(self, sock: socket.socket) -> bool:
        _, length = _receive(sock, 2)
        user = _receive(sock, length).decode()
        password = _receive(sock, _receive(sock, 1)[0]).decode()
        right = (user, password) == (USER, PASSWORD)
        sock.sendall(b"\x01\x00" if right else b"\x01\x01")
        return right


@contextlib.contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[str]:
    """An https URL whose bytes go, in the clear, to a port of the loopback."""

    def serve(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as far:
            _relay(sock, far)

    server = _Server(serve, context)
    try:
        yield f"https://localhost:{server.port}"
    finally:
        server.close()


def _relay(near: socket.socket, far: socket.socket) -> None:
    """Bytes both ways, until both sides have ended."""
    back = threading.Thread(target=_copy, args=(far, near), daemon=True)
    back.start()
    _copy(near, far)
    back.join(30)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _receive_head(sock: socket.socket) -> bytes:
    """Up to and with the empty line; a body that follows stays in the socket."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _receive(sock, 1)
    return head


def _receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("the other side has left")
        data += piece
    return data
