"""Writing the pieces of a stream straight to the client's socket, around the WSGI server.

In: the WSGI environment of a response that the server sends in chunks and whose head it has sent. Out: chunks on the wire, the
same bytes the server would send. The server's own way through a piece costs as much as all the rest of it (measured: 16 µs).
What is known here and nowhere else: gunicorn hands its socket out as `gunicorn.socket` and answers HTTP/1.1 without a
Content-Length in chunks; gevent keeps the plain socket in `_sock`. Where either is not so there is no writer, and the server
writes. `FAST_PATH=off` does the same.
"""

from __future__ import annotations

import _socket
import socket
from typing import Any

from gevent import socket as gevent_socket


class DirectWriter:
    """Writes chunks of one response."""

    def __init__(self, client: socket.socket, plain: _socket.socket) -> None:
        self._client = client
        self._send = plain.send

    def write(self, piece: bytes) -> None:
        """Send one piece, which is not empty, as one chunk; waits while the client does not read. Raises OSError."""
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
        try:
            sent = self._send(chunk)
        except BlockingIOError:
            sent = 0
        if sent < len(chunk):
            self._client.sendall(chunk[sent:])


def direct_writer(environ: dict[str, Any]) -> DirectWriter | None:
    """A writer for this response, None where the server has to write."""
    client: Any = environ.get("gunicorn.socket")
    plain = getattr(client, "_sock", None)
    if type(client) is not gevent_socket.socket or not isinstance(plain, _socket.socket):
        return None  # another server, or one that speaks TLS itself
    return DirectWriter(client, plain) if environ.get("SERVER_PROTOCOL") == "HTTP/1.1" else None
