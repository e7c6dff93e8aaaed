"""Waiting for several things at once: upstream bytes, a task's end, the client leaving, the next tick.

One `StreamWatch` belongs to one request and its greenlet. The client's socket is watched from the beginning to the end at no
cost per event: it becomes readable when the client leaves (or sends a pipelined request, which ends the watching), and one
byte is peeked at to tell the two apart. Measured: a client that leaves is noticed in 0.02 s, also while upstream is silent.
"""

from __future__ import annotations

import _socket
import contextlib
import enum
import socket
import time
from typing import Any

import gevent
from gevent import hub as gevent_hub
from gevent import socket as gevent_socket

from app.runtime import worker
from app.runtime.clock import ticker
from app.runtime.tasks import Task

WRITE_LIMIT_SECONDS = 120.0


class Signal(enum.Enum):
    """What ended a wait."""

    READY = "ready"  # the socket is readable, the task is done
    DUE = "due"  # `due_at` is reached
    GONE = "gone"  # the client has left
    ENDING = "ending"  # the worker is about to be stopped


class StreamWatch:
    """Waits on behalf of one request.

    client: the client's socket (gunicorn's `environ["gunicorn.socket"]`), None when the server does not hand it out.
    due_at: monotonic instant at which a wait returns DUE (checked once per tick), None for never.
    """

    def __init__(self, client: socket.socket | None) -> None:
        self.due_at: float | None = None
        self.gone = False
        self._loop = gevent.get_hub().loop
        self._waiting: Any = None
        self._writing_since: float | None = None
        self._source: socket.socket | None = None
        self._source_io: Any = None
        self._client = client
        self._peek: _socket.socket | None = None
        self._client_io: Any = None
        if client is not None and client.fileno() >= 0:
            # A plain object on the same descriptor: peeking must not go through gevent's (or TLS's) own receive.
            self._peek = _socket.socket(fileno=client.fileno())
            self._client_io = self._loop.io(client.fileno(), 1)
            self._client_io.start(self._client_readable)
        ticker.add(self._tick)

    # -- waits --

    def readable(self, source: socket.socket) -> Signal:
        """Wait until `source` has bytes (or its end) to receive."""
        if self.gone:
            return Signal.GONE
        if self._source is not source:
            self._drop_source()
            self._source, self._source_io = source, self._loop.io(source.fileno(), 1)
        if not self._source_io.active:
            self._source_io.start(self._source_readable)
        return self._wait()

    def finished(self, task: Task[Any]) -> Signal:
        """Wait until `task` is done."""
        if self.gone:
            return Signal.GONE
        if task.done:
            return Signal.READY
        task.when_done(lambda: self._wake(Signal.READY) if task.done else None)
        while True:
            signal = self._wait()
            if signal is not Signal.READY or task.done:
                return signal

    # -- the client's side --

    def handing_over(self) -> None:
        """The caller gives bytes to the server, which writes them to the client before it asks for more."""
        self._writing_since = ticker.now

    def handed_over(self) -> None:
        """The server came back for more."""
        self._writing_since = None

    def close(self) -> None:
        """Stop watching; may be called twice."""
        ticker.remove(self._tick)
        if self._client_io is not None:
            self._client_io.stop()
            self._client_io.close()
            self._client_io = None
        if self._peek is not None:
            self._peek.detach()
            self._peek = None
        self._drop_source()
        self._client = None

    def forget_source(self) -> None:
        """The socket given to `readable` is about to be closed: its descriptor may be given to another one."""
        self._drop_source()

    # -- inside the event loop --

    def _wait(self) -> Signal:
        self._waiting = gevent.getcurrent()
        try:
            signal = gevent_hub.get_hub().switch()
        finally:
            self._waiting = None
        assert isinstance(signal, Signal)
        return signal

    def _wake(self, signal: Signal) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.switch(signal)

    def _source_readable(self) -> None:
        """The watcher stays armed from one wait to the next: to arm it again for each is a system call for each event."""
        if self._waiting is None:
            self._source_io.stop()  # the bytes are waited for later; until then it would fire all the time
        else:
            self._wake(Signal.READY)

    def _client_readable(self) -> None:
        assert self._peek is not None
        try:
            left = self._peek.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return
        except OSError:
            left = True
        self._client_io.stop()
        if left:
            self.gone = True
            self._wake(Signal.GONE)

    def _tick(self, now: float) -> None:
        if self._writing_since is not None:
            if now - self._writing_since > WRITE_LIMIT_SECONDS and self._client is not None:
                # The write in progress fails and the server closes the response.
                with contextlib.suppress(OSError):
                    self._client.shutdown(socket.SHUT_RDWR)
            return
        if self._waiting is None:
            return
        if worker.must_end(now):
            self._loop.run_callback(self._wake, Signal.ENDING)
        elif self.due_at is not None and now >= self.due_at:
            self._loop.run_callback(self._wake, Signal.DUE)

    def _drop_source(self) -> None:
        if self._source is not None:
            self._source_io.stop()
            self._source_io.close()
            self._source = self._source_io = None


def monotonic() -> float:
    """The clock of `due_at`."""
    return time.monotonic()


def wait_readable(source: socket.socket, timeout_seconds: float | None) -> bool:
    """Wait for one socket alone; False when the time is over first."""
    try:
        gevent_socket.wait_read(source.fileno(), timeout=timeout_seconds, timeout_exc=TimeoutError())
    except TimeoutError:
        return False
    return True
