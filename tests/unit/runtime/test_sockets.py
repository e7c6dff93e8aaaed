"""One wait for many things, on real socket pairs."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as gevent_socket

from app.runtime import clock, sockets, worker
from app.runtime.sockets import Signal, StreamWatch, wait_readable
from app.runtime.tasks import spawn

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def upstream() -> Iterator[Pair]:
    here, there = gevent_socket.socketpair()
    yield here, there
    here.close()
    there.close()


@pytest.fixture
def client() -> Iterator[Pair]:
    """A TCP pair: the server's end and the client's."""
    listener = gevent_socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    far = gevent_socket.create_connection(listener.getsockname())
    near, _ = listener.accept()
    yield near, far
    for end in (near, far, listener):
        end.close()


@pytest.fixture
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "TICK_SECONDS", 0.01)


def test_bytes_of_the_source_end_the_wait(upstream: Pair) -> None:
    watch = StreamWatch(None)
    gevent.spawn_later(0.01, upstream[1].sendall, b"x")
    assert watch.readable(upstream[0]) is Signal.READY
    assert upstream[0].recv(10) == b"x"
    watch.close()


def test_the_client_leaving_ends_a_silent_wait(upstream: Pair, client: Pair) -> None:
    watch = StreamWatch(client[0])
    gevent.spawn_later(0.01, client[1].close)
    assert watch.readable(upstream[0]) is Signal.GONE
    assert watch.readable(upstream[0]) is Signal.GONE, "it stays gone"
    watch.close()


def test_a_reset_by_the_client_is_leaving_too(upstream: Pair, client: Pair) -> None:
    watch = StreamWatch(client[0])
    client[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gevent.spawn_later(0.01, client[1].close)
    assert watch.readable(upstream[0]) is Signal.GONE
    watch.close()


def test_a_pipelined_request_is_not_leaving_and_is_left_unread(upstream: Pair, client: Pair) -> None:
    watch = StreamWatch(client[0])
    client[1].sendall(b"GET / HTTP/1.1\r\n")
    gevent.spawn_later(0.02, upstream[1].sendall, b"x")
    assert watch.readable(upstream[0]) is Signal.READY
    watch.close()
    assert client[0].recv(100) == b"GET / HTTP/1.1\r\n"


def test_a_due_time_ends_the_wait_at_the_next_tick(upstream: Pair, quick_ticks: None) -> None:
    watch = StreamWatch(None)
    watch.due_at = sockets.monotonic()
    assert watch.readable(upstream[0]) is Signal.DUE
    watch.due_at = None
    with gevent.Timeout(0.1, False):
        watch.readable(upstream[0])
        pytest.fail("nothing was due")
    watch.close()


def test_a_task_that_ends_ends_the_wait_and_a_slow_one_lets_the_client_leave(client: Pair) -> None:
    watch = StreamWatch(client[0])
    assert watch.finished(spawn(lambda: 1)) is Signal.READY
    slow = spawn(gevent.sleep, 30)
    gevent.spawn_later(0.01, client[1].close)
    assert watch.finished(slow) is Signal.GONE
    slow.kill()
    assert slow.join(1)
    watch.close()


def test_the_end_of_the_drain_ends_the_wait(upstream: Pair, quick_ticks: None) -> None:
    class Stopping:
        alive = False

    worker.attach(Stopping(), drain_seconds=0.0)
    try:
        watch = StreamWatch(None)
        assert watch.readable(upstream[0]) is Signal.ENDING
        watch.close()
    finally:
        worker.detach()


def test_a_client_that_stops_reading_is_cut_off(client: Pair, quick_ticks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "WRITE_LIMIT_SECONDS", 0.05)
    watch = StreamWatch(client[0])
    clock.ticker.now = sockets.monotonic()
    watch.handing_over()
    with pytest.raises(OSError), gevent.Timeout(5):
        client[0].sendall(bytes(64 * 1024 * 1024))  # nobody reads: the buffers fill, then the write waits
    watch.close()


def test_closing_twice_and_without_a_client_is_fine() -> None:
    watch = StreamWatch(None)
    watch.close()
    watch.close()


def test_waiting_for_one_socket_alone_has_a_limit(upstream: Pair) -> None:
    assert not wait_readable(upstream[0], 0.01)
    upstream[1].sendall(b"x")
    assert wait_readable(upstream[0], 1)


def test_a_limit_ends_a_block_that_waits() -> None:
    with pytest.raises(clock.TimeLimit), clock.limit(0.01):
        gevent.sleep(5)


def test_a_task_keeps_its_error_for_who_asks() -> None:
    def fail() -> None:
        raise ValueError("inside")

    task = spawn(fail)
    assert task.join(1)
    with pytest.raises(ValueError, match="inside"):
        task.result()
