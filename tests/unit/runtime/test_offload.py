"""Work in native threads, while the event loop goes on."""

from __future__ import annotations

import threading
import time

import gevent
import pytest
from gevent import monkey

from app.runtime.clock import TimeLimit
from app.runtime.offload import MAX_THREADS, offload
from app.runtime.tasks import spawn

Event = monkey.get_original("threading", "Event")
"""Of native threads, whatever is patched."""


def test_the_value_of_the_function_is_returned() -> None:
    assert offload(lambda: 7, seconds=5) == 7


def test_it_runs_in_another_thread_and_the_loop_goes_on() -> None:
    may_end = Event()
    task = spawn(offload, lambda: (may_end.wait(5), threading.get_native_id()), seconds=5)
    gevent.sleep(0.01)  # would wait for good, did the function run here
    assert not task.done
    may_end.set()
    in_time, thread = task.result()
    assert in_time
    assert thread != threading.get_native_id()


def test_an_exception_is_the_caller_s_and_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        offload(fail, seconds=5)
    assert capfd.readouterr().err == ""


def test_no_more_than_two_run_at_a_time() -> None:
    may_end, running, most = Event(), [], []

    def work() -> None:
        running.append(1)
        most.append(len(running))
        may_end.wait(5)
        running.pop()

    tasks = [spawn(offload, work, seconds=5) for _ in range(MAX_THREADS + 3)]
    gevent.sleep(0.05)
    assert len(running) == MAX_THREADS
    may_end.set()
    for task in tasks:
        task.result()
    assert max(most) == MAX_THREADS


def test_what_takes_too_long_is_given_up_and_its_place_comes_back() -> None:
    may_end = Event()
    for _ in range(MAX_THREADS):
        with pytest.raises(TimeLimit):
            offload(lambda: may_end.wait(5), seconds=0.02)
    began_at = time.monotonic()
    with pytest.raises(TimeLimit):
        offload(lambda: 1, seconds=0.02)  # every place is still taken
    assert time.monotonic() - began_at < 1
    may_end.set()
    assert offload(lambda: 1, seconds=5) == 1


def test_a_caller_that_is_killed_gives_its_place_back() -> None:
    may_end = Event()
    tasks = [spawn(offload, lambda: may_end.wait(5), seconds=5) for _ in range(MAX_THREADS + 1)]
    gevent.sleep(0.01)
    for task in tasks:
        task.kill()
    may_end.set()
    values = [spawn(offload, lambda: 1, seconds=5) for _ in range(MAX_THREADS + 1)]
    assert [value.result() for value in values] == [1] * len(values)
