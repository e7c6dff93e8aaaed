"""One tick per second and worker, and time limits around blocking calls.

A timer per read would cost more than the read itself, so everything that waits long (streams, writers) registers with the
one ticker of its process instead. `Ticker.now` is monotonic and as coarse as the tick: good for pings and idle limits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class TimeLimit(Exception):
    """A block took longer than its limit."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimit inside the block once it has waited that long."""
    with gevent.Timeout(seconds, TimeLimit(f"took longer than {seconds:g} s")):
        yield


class Ticker:
    """Calls every registered function once per tick; sleeps for good while nobody is registered."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._listeners: set[Callable[[float], None]] = set()
        self._greenlet: gevent.Greenlet | None = None

    def add(self, listener: Callable[[float], None]) -> None:
        """Call `listener(now)` each tick until `remove`; it must neither wait nor raise."""
        self._listeners.add(listener)
        if self._greenlet is None or self._greenlet.dead:
            self.now = time.monotonic()
            self._greenlet = gevent.spawn(self._run)

    def remove(self, listener: Callable[[float], None]) -> None:
        """Stop calling it; unknown listeners are fine."""
        self._listeners.discard(listener)

    def _run(self) -> None:
        while self._listeners:
            gevent.sleep(TICK_SECONDS)
            self.now = time.monotonic()
            for listener in tuple(self._listeners):
                try:
                    listener(self.now)
                except Exception:
                    log.exception("a tick listener failed")


ticker = Ticker()
