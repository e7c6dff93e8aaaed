"""The body of a streaming answer, received without waiting inside the HTTP library.

In: a `requests` answer whose headers were read. Out: body bytes as they arrive, de-chunked; the socket to wait on.
`http.client` can only block in a read, and a blocked read can neither send a ping nor be cut short, so the connection is
taken over after the headers: what the library has read ahead is drained, then the socket is received from directly.
This is the only module that touches private attributes of urllib3 and http.client. Where those are not as expected, or with
`FAST_PATH=off`, a task reads through the library and hands the bytes on through a pair of sockets: dearer, and the same bytes.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from typing import Any, Protocol

from app.errors import TruncatedStream
from app.runtime.tasks import spawn
from app.upstream.chunked import BodyDecoder, ChunkedDecoder, CountedDecoder, OpenDecoder

log = logging.getLogger(__name__)

RECEIVE_BYTES = 65536


class Body(Protocol):
    """Body bytes of one answer.

    socket: wait for it to become readable before each `receive`, unless `has_buffered`.
    ended: the body is complete; `receive` must not be called any more.
    """

    socket: socket.socket

    @property
    def ended(self) -> bool: ...

    @property
    def has_buffered(self) -> bool:
        """Whether `receive` has something without waiting for the socket."""
        ...

    def receive(self) -> bytes:
        """Body bytes that are there now; b"" when there are none (yet, or at a chunk's border, or at the end).

        Raises TruncatedStream when the connection ended or broke before the body did.
        """
        ...

    def close(self) -> None:
        """Give the connection up at once; may be called twice."""
        ...


def open_body(response: Any, *, fast: bool = True) -> Body:
    """The body of a `requests.Response` opened with `stream=True`. fast: FAST_PATH."""
    if fast and not _is_over(response):
        try:
            return TakenOverBody(response)
        except AttributeError:
            log.warning("this HTTP library's connection cannot be taken over: reading through it costs more", exc_info=True)
    return PumpedBody(response)


def _is_over(response: Any) -> bool:
    """Whether the library has let go of the connection already, as after an answer that cannot have a body."""
    return getattr(getattr(response.raw, "_fp", None), "fp", "unknown") is None


class TakenOverBody:
    """A body received from the connection itself."""

    def __init__(self, response: Any) -> None:
        """response: `requests.Response` opened with `stream=True`."""
        reader = response.raw._fp.fp  # BufferedReader over SocketIO over the socket
        self.socket: socket.socket = reader.raw._sock
        self._decoder: BodyDecoder = _decoder_for(response.headers)
        self._tls = isinstance(self.socket, ssl.SSLSocket)
        # TLS to Kiro inside a proxy's own TLS is an object around the proxy's socket. What it holds back cannot be asked for,
        # so it is read until nothing comes.
        self._carrier: socket.socket = getattr(self.socket, "socket", self.socket)
        self._tunnelled = self._carrier is not self.socket
        self._drained = not self._tunnelled
        # Non-blocking from here on: peek() then returns what was read ahead and never waits.
        self.socket.settimeout(0.0)
        # Of gevent's socket the plain one inside: its own receive would only add a layer, as we wait elsewhere.
        self._receive = self.socket.recv if self._tls or self._tunnelled else getattr(self.socket, "_sock", self.socket).recv
        self._ahead = b""
        self._broken: OSError | None = None
        try:
            self._ahead = reader.peek()
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:  # the system tells a reset once; afterwards it looks like an orderly end
            self._broken = error
        self._hold = _take_connection(response)

    @property
    def ended(self) -> bool:
        return self._decoder.ended

    @property
    def has_buffered(self) -> bool:
        if self._ahead or self._broken is not None or not self._drained:
            return True
        return self._tls and self.socket.pending() > 0  # type: ignore[attr-defined]

    def receive(self) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return self._decoder.feed(data)
        if self._broken is not None:
            raise TruncatedStream from self._broken
        try:
            data = self._receive(RECEIVE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._drained = True
            return b""
        except OSError as error:
            raise TruncatedStream from error
        self._drained = not self._tunnelled
        if data:
            return self._decoder.feed(data)
        self._decoder.end_of_input()
        return b""

    def close(self) -> None:
        """The socket is shut down first: closing alone, while another greenlet waits on it, ends in a traceback."""
        with contextlib.suppress(OSError):
            self._carrier.shutdown(socket.SHUT_RDWR)
        self._hold.close()
        self.socket.close()


class PumpedBody:
    """A body read by the library in a task of its own."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.socket, self._far = socket.socketpair()
        self.socket.settimeout(0.0)
        self.ended = False
        self.has_buffered = False
        self._whole = False
        self._broken: Exception | None = None
        self._task = spawn(self._pump)

    def receive(self) -> bytes:
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return b""
        if not data and not self._whole:
            raise TruncatedStream from self._broken
        self.ended = not data
        return data

    def close(self) -> None:
        """The task may be inside a read of the connection, which ends before the connection is closed."""
        self._task.kill()
        self._task.when_done(self._response.close)
        self._far.close()
        self.socket.close()

    def _pump(self) -> None:
        raw = self._response.raw
        pieces = raw.stream(RECEIVE_BYTES, decode_content=False) if raw.chunked else iter(lambda: raw.read1(RECEIVE_BYTES), b"")
        try:
            for piece in pieces:
                self._far.sendall(piece)
            self._whole = True
        except Exception as error:  # noqa: BLE001 - whatever it is, the body did not come whole
            self._broken = error
        finally:
            self._far.close()


def _take_connection(response: Any) -> Any:
    """Take the connection out of what the library made of request and answer, which nobody needs while the body comes.

    Measured: 17 KB for each stream, half of it an empty read buffer. Out comes the library's hold on the socket, which must be
    closed before the socket is: a connection that ends with its answer has been closed already, but for this hold.
    """
    answer = response.raw
    reader, answer._fp.fp = answer._fp.fp, None
    answer._connection = None  # it would be closed together with the answer, and that is forgotten now
    return reader.detach()


def _decoder_for(headers: Any) -> BodyDecoder:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return ChunkedDecoder()
    length = headers.get("content-length", "")
    return CountedDecoder(int(length)) if length.isascii() and length.isdigit() else OpenDecoder()
