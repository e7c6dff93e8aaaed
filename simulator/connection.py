"""One HTTP/1.1 connection: whole requests in, bytes out exactly as ordered.

In: an accepted socket. Out: `Request` values, and answers whose chunks, cuts and resets are made by hand. While an answer is
under way a watcher notices a peer that closed, also in silence. Knows nothing of Kiro.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import gevent
from gevent.event import Event

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
LOOK_AGAIN_SECONDS = 0.05


class PeerGone(Exception):
    """The other side closed or reset the connection while we were answering."""


class BadRequest(Exception):
    """What arrived is not HTTP/1.1 as we understand it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read completely. headers: names in lower case, the last of a repeated name wins."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def host(self) -> str:
        return self.headers.get("host", "").rsplit(":", 1)[0].lower()

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


class Connection:
    """Reads requests and writes answers; every write and pause raises PeerGone once the peer has left."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._watcher: Any = None
        self._gone = Event()
        self.gone_at: float | None = None
        self.bytes_sent = 0
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_request(self) -> Request | None:
        """The next request, None when the peer closed between requests; raises BadRequest or PeerGone."""
        head = self._read_until(b"\r\n\r\n")
        if head is None:
            return None
        request_line, *lines = head.decode("latin-1").split("\r\n")
        try:
            method, target, version = request_line.split(" ")
            headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines if line)}
        except ValueError as error:
            raise BadRequest(request_line) from error
        if version != "HTTP/1.1":
            raise BadRequest(version)
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._read_chunks()
        else:
            body = self._read_exactly(_length(headers.get("content-length", "0")))
        url = urlsplit(target)
        return Request(method, unquote(url.path), dict(parse_qsl(url.query, keep_blank_values=True)), headers, body)

    def watch(self) -> None:
        """Begin to notice a peer that leaves; ends with `unwatch`."""
        self._watcher = gevent.spawn(self._look)

    def unwatch(self) -> None:
        """Stop watching, so that the next request can be read."""
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher = None

    def pause(self, seconds: float) -> None:
        """Wait; raises PeerGone at once when the peer leaves meanwhile."""
        if self._gone.wait(seconds):
            raise PeerGone

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        if self._gone.is_set():
            raise PeerGone
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise PeerGone from error
        self.bytes_sent += len(data)

    def send_head(self, status: int, headers: dict[str, str]) -> None:
        """Write the status line and HTTP headers."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def send_answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Write a whole answer of known length."""
        self.send_head(status, {**headers, "Content-Length": str(len(body))})
        if body:
            self.send(body)

    def send_chunk(self, data: bytes, *, missing_bytes: int = 0) -> None:
        """Write one chunk. missing_bytes: how much more its size line announces than comes; then nothing may follow it."""
        end = b"" if missing_bytes else b"\r\n"
        self.send(b"%x\r\n" % (len(data) + missing_bytes) + data + end)

    def send_last_chunk(self) -> None:
        """End a chunked body properly."""
        self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        """End the connection with RST."""
        self.unwatch()
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """End the connection with FIN."""
        self.unwatch()
        with contextlib.suppress(OSError):
            self._sock.close()

    def _look(self) -> None:
        try:
            # Data instead of an end is the next request, come early: it stays where it is, so look again later.
            while self._sock.recv(1, socket.MSG_PEEK):
                gevent.sleep(LOOK_AGAIN_SECONDS)
        except OSError:
            pass
        self.gone_at = time.time()
        self._gone.set()

    def _receive(self) -> bool:
        try:
            chunk = self._sock.recv(262_144)
        except OSError as error:
            raise PeerGone from error
        self._buffer += chunk
        return bool(chunk)

    def _read_until(self, mark: bytes) -> bytes | None:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadRequest("the request head does not end")
            if not self._receive():
                if self._buffer:
                    raise PeerGone
                return None
        data = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return data

    def _read_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._receive():
                raise PeerGone
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = self._read_until(b"\r\n")
            if line is None:
                raise PeerGone
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError as error:
                raise BadRequest("chunk size") from error
            if size == 0:
                while self._read_until(b"\r\n"):
                    pass
                return bytes(body)
            if len(body) + size > MAX_BODY_BYTES:
                raise BadRequest("body too large")
            body += self._read_exactly(size)
            self._read_exactly(2)


def _length(text: str) -> int:
    if not text.isdigit() or int(text) > MAX_BODY_BYTES:
        raise BadRequest("content-length")
    return int(text)
