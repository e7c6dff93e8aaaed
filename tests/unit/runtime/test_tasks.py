from __future__ import annotations

import gevent
import pytest

from app.runtime.tasks import spawn


def test_a_value_is_handed_over_and_an_error_raised_again() -> None:
    assert spawn(lambda: 7).result() == 7
    with pytest.raises(ZeroDivisionError):
        spawn(lambda: 1 // 0).result()


def test_what_a_discarded_task_opened_is_released() -> None:
    """Its value may have come at the very moment at which nobody waits for it any more."""
    released: list[str] = []
    done = spawn(lambda: "opened")
    done.join()
    done.discard(released.append)
    racing = spawn(lambda: "opened too")
    gevent.sleep(0)
    racing.discard(released.append)
    waiting = spawn(lambda: gevent.sleep(60) or "never")
    gevent.sleep(0)
    waiting.discard(released.append)
    gevent.sleep(0.01)
    assert released == ["opened", "opened too"]
    assert waiting.done
