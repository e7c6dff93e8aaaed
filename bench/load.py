"""The client's side: many requests on bare sockets, counted and not parsed.

In: a request as bytes, how often, and how many at a time. Out: an `Outcome`: events, errors, times. Each request has a
connection of its own, for every target alike. One thread waits for all sockets; its CPU time is nobody's figure.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.order import STAMP

Address = tuple[str, int]
# One of them stands in each event with content: of a gateway's answer, and of the bytes that the floor relays.
EVENT = re.compile(rb"event: content_block_delta|assistantResponseEvent|toolUseEvent|reasoningContentEvent")
FAILED = b"event: error"
_STAMP = re.compile(STAMP.encode() + rb'(\d+)"')
_LONGEST = 64  # more than any of these is long
_RECEIVE_BYTES = 1 << 18
_STALLED_SECONDS = 60.0


@dataclass(slots=True)
class Outcome:
    """What came of some requests.

    first_seconds: per request, until its first event. lags: per stamped event, when it was sent and how many seconds later it
    was here.
    """

    requests: int = 0
    events: int = 0
    errors: int = 0
    first_seconds: list[float] = field(default_factory=list)
    lags: list[tuple[float, float]] = field(default_factory=list)


class Dechunker:
    """The body in a chunked answer. ended: its last chunk has come."""

    def __init__(self) -> None:
        self.ended = False
        self._pending = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Body bytes in `data`."""
        data = self._pending + data
        pieces, at = [], 0
        while not self.ended:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            start = at + 2 if data.startswith(b"\r\n", at) else at
            end = data.find(b"\r\n", start)
            if end < 0:
                break
            self._left = int(data[start:end], 16)
            self.ended = self._left == 0
            at = end + 2
        self._pending = data[at:]
        return b"".join(pieces)


class Call:
    """One request and its answer as it comes. done: nothing more is expected."""

    def __init__(self, address: Address, request: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.began_at = time.monotonic()
        self.socket.settimeout(None)
        self.socket.sendall(request)
        self.events = 0
        self.done = self.failed = False
        self._status: bytes | None = None
        self._body = Dechunker()
        self._tail = b""

    def receive(self, outcome: Outcome) -> None:
        """Take what is there."""
        data = self.socket.recv(_RECEIVE_BYTES)
        now = time.monotonic()
        if not data:
            self.done, self.failed = True, not self._body.ended
            return
        if self._status is None:
            data = self._tail + data
            head, found, rest = data.partition(b"\r\n\r\n")
            self._tail = b"" if found else data
            if not found:
                return
            self._status, data = head[9:12], rest
            if self._status != b"200":
                self.done = self.failed = True
                return
        self._count(self._body.feed(data), now, outcome)
        self.done = self._body.ended

    def _count(self, body: bytes, now: float, outcome: Outcome) -> None:
        body, counted = self._tail + body, 0
        for found in EVENT.finditer(body):
            counted = found.end()
            if not self.events:
                outcome.first_seconds.append(now - self.began_at)
            self.events += 1
        for found in _STAMP.finditer(body):
            counted = max(counted, found.end())
            sent_at = int(found[1]) / 1e9
            outcome.lags.append((sent_at, now - sent_at))
        self.failed = self.failed or FAILED in body
        self._tail = body[max(counted, len(body) - _LONGEST) :]


def run(
    address: Address, request: bytes, *, times: int, at_once: int = 1, events: int = 1, ramp_seconds: float = 0.0
) -> Outcome:
    """Send a request `times` times and read every answer; one with fewer than `events` events is an error.

    ramp_seconds: how long it takes until all `at_once` run for the first time.
    """
    outcome, began_at = Outcome(), time.monotonic()
    open_calls: dict[int, Call] = {}
    poll = select.epoll()
    with contextlib.closing(poll):
        while outcome.requests < times or open_calls:
            due = at_once if not ramp_seconds else min(at_once, int(at_once * (time.monotonic() - began_at) / ramp_seconds) + 1)
            while outcome.requests < times and len(open_calls) < due:
                call = Call(address, request)
                outcome.requests += 1
                open_calls[call.socket.fileno()] = call
                poll.register(call.socket, select.EPOLLIN)
            waited = poll.poll(0.005 if due < at_once else _STALLED_SECONDS)
            if not waited and due == at_once:
                outcome.errors += len(open_calls)
                break
            for descriptor, _ in waited:
                _receive(open_calls, descriptor, outcome, events)
    for call in open_calls.values():
        call.socket.close()
    return outcome


def _receive(open_calls: dict[int, Call], descriptor: int, outcome: Outcome, events: int) -> None:
    call = open_calls[descriptor]
    try:
        call.receive(outcome)
    except OSError:
        call.done = call.failed = True
    if call.done:
        outcome.events += call.events
        outcome.errors += call.failed or call.events < events
        del open_calls[descriptor]
        call.socket.close()


@contextlib.contextmanager
def held(address: Address, requests: list[bytes]) -> Iterator[list[Call]]:
    """Streams that have said something and go on, open as long as the block lasts; raises RuntimeError when one fails."""
    calls, outcome = [], Outcome()
    try:
        for request in requests:
            call = Call(address, request)
            calls.append(call)
            call.socket.settimeout(_STALLED_SECONDS)
            while not call.events:
                call.receive(outcome)
                if call.done or call.failed:
                    raise RuntimeError("a stream that is to be held did not begin")
        yield calls
    finally:
        for call in calls:
            call.socket.close()
