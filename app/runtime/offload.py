"""Work that needs the processor for long, in native threads beside the event loop.

In: a plain function that touches nothing of the event loop. Out: its value, or its exception. At most two run at a time in a
worker, so that many of them cannot take the memory and the processor from everything else. A thread cannot be stopped: one that
is given up keeps its place until it ends by itself, so what runs here has to bound its own time as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from app.runtime.clock import limit

T = TypeVar("T")

MAX_THREADS = 2

_places = BoundedSemaphore(MAX_THREADS)


def offload(function: Callable[[], T], *, seconds: float) -> T:
    """Run it in a thread while other greenlets go on; raises TimeLimit when waiting and running take longer than `seconds`."""
    with limit(seconds):
        _places.acquire()
        try:
            running = gevent.get_hub().threadpool.spawn(_run, function)
        except BaseException:
            _places.release()
            raise
        running.rawlink(lambda _: _places.release())
        value, error = running.get()
    if error is not None:
        raise error
    return value  # type: ignore[no-any-return]  # gevent has no types


def _run(function: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """An exception as a value: the threadpool would print it."""
    try:
        return function(), None
    except BaseException as error:  # noqa: BLE001 - the caller raises it again
        return None, error
