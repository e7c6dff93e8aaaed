"""gunicorn's gevent worker, with a stop that neither tears a stream nor waits for idle connections.

Told to stop, gunicorn's own worker waits until every connection is gone, also those that are only kept open for a next request
(up to `keepalive` seconds), and a quick stop (Ctrl-C) kills streams in the middle of an event. Here idle connections are let go
at once, and a quick stop lets streams end themselves with an error event first. Source: gunicorn 27 `workers/ggevent.py`.
"""

from __future__ import annotations

import contextlib
import socket
from types import FrameType
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from app.runtime import worker as life


class GatewayWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """The worker class of `gunicorn.conf.py`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: set[socket.socket] = set()

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """One connection, from its first request to its last."""
        self._idle.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._idle.discard(client)

    def handle_request(self, listener_name: Any, req: Any, sock: socket.socket, addr: Any) -> None:
        """One request; after it the connection is idle again, or over when the worker is stopping."""
        self._idle.discard(sock)
        super().handle_request(listener_name, req, sock, addr)
        self._idle.add(sock)
        if not self.alive:
            _end(sock)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: streams may go on until the drain is over."""
        super().handle_exit(sig, frame)
        gevent.spawn(self._let_go)

    def handle_quit(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGINT, SIGQUIT: streams end now, but they end properly."""
        self.alive = False
        life.end_now()
        gevent.spawn(self._let_go)

    def _let_go(self) -> None:
        for client in list(self._idle):
            _end(client)


def _end(client: socket.socket) -> None:
    """The next read finds the end; what was written still arrives, as it would not after a full shutdown."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RD)
