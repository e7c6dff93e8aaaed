"""The life of this worker process: is it draining, and until when may streams go on.

gunicorn tells a worker to stop by clearing `worker.alive` and kills what is left after `graceful_timeout`. Streams that are
still open then would be torn without an event, so they are told to end themselves a little earlier.
Source: gunicorn 27 `workers/ggevent.py`; measured: worker's own kill and the arbiter's SIGKILL fall at the same moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class GunicornWorker(Protocol):
    alive: bool


_worker: GunicornWorker | None = None
_drain_seconds = 0.0
_draining_since: float | None = None
_ends_now = False
_at_start: list[Callable[[], object]] = []
_at_exit: list[Callable[[], object]] = []


def attach(worker: GunicornWorker, *, drain_seconds: float) -> None:
    """Remember gunicorn's worker object (called by gunicorn.conf.py in each worker).

    drain_seconds: how long open streams may go on after the worker was told to stop.
    """
    global _worker, _drain_seconds, _draining_since, _ends_now
    _worker, _drain_seconds, _draining_since, _ends_now = worker, drain_seconds, None, False


def end_now() -> None:
    """A quick stop: the drain is over at once."""
    global _ends_now
    _ends_now = True


def detach() -> None:
    """Forget the worker: nothing drains any more."""
    global _worker
    _worker = None


def at_start(function: Callable[[], object]) -> None:
    """Run `function` once this is a worker that serves; commands and the try before the start never do."""
    _at_start.append(function)


def begin() -> None:
    """Run what `at_start` collected, each once (called by gunicorn.conf.py)."""
    while _at_start:
        _at_start.pop(0)()


def at_exit(function: Callable[[], object]) -> None:
    """Run `function` when the worker exits (joins refreshes, writes the last records)."""
    _at_exit.append(function)


def leave() -> None:
    """Run what `at_exit` collected, each once, the last one first (called by gunicorn.conf.py)."""
    while _at_exit:
        _at_exit.pop()()


def must_end(now: float | None = None) -> bool:
    """Whether the drain is over: open streams end now with an honest error event."""
    global _draining_since
    if _worker is None or _worker.alive:
        return False
    if _ends_now:
        return True
    now = time.monotonic() if now is None else now
    if _draining_since is None:
        _draining_since = now
    return now - _draining_since >= _drain_seconds
