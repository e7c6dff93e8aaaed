"""Work that runs beside its caller and is not tied to the caller's life.

In: a plain function. Out: a `Task` that can be waited for, asked for its result, or killed.
Knows nothing of what the function does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

import gevent

P = ParamSpec("P")
T = TypeVar("T")


class Task(Generic[T]):
    """One greenlet. An exception in it is kept for `result()` and never printed by itself."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._value: T | None = None
        self._error: BaseException | None = None
        self._greenlet: gevent.Greenlet = gevent.spawn(self._run, function)

    def _run(self, function: Callable[[], T]) -> None:
        try:
            self._value = function()
        except gevent.GreenletExit as stop:
            self._error = stop
            raise
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it from result()
            self._error = error

    @property
    def done(self) -> bool:
        """Whether the function has returned, raised or was killed."""
        return bool(self._greenlet.dead)

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait at most that long; True when the task is done."""
        self._greenlet.join(timeout_seconds)
        return self.done

    def result(self) -> T:
        """Wait for the end; the function's value, or its exception raised again."""
        self._greenlet.join()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # a function that returned None is a Task[None]

    def kill(self) -> None:
        """End it at its next wait, running its `finally` blocks; does nothing when it is done. Does not wait."""
        self._greenlet.kill(block=False)

    def discard(self, release: Callable[[T], object]) -> None:
        """Kill it; a value that came all the same, or at this very moment, is handed to `release` from the event loop."""

        def end() -> None:
            if self._error is None and self._value is not None:
                release(self._value)

        self.kill()
        self.when_done(end)

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` from the event loop once the task is done, also when it is already."""
        self._greenlet.rawlink(lambda _greenlet: callback())


def spawn(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Task[T]:
    """Start `function(*args, **kwargs)` beside the caller."""
    return Task(lambda: function(*args, **kwargs))
