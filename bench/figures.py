"""The figures: what is asked of each target, what one look costs, and how much is allowed.

In: a `Lab` with everything that runs, and a target. Out: one number. A figure that is about a fresh process starts one.
Limits are multiples of the floor in the same run, absolute, or multiples of another figure of the same target.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import ssl
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import bodies, targets
from bench.load import Outcome, held, run
from bench.measure import cpu_seconds, percentile, pss_bytes
from bench.order import Order
from bench.targets import Target, Upstream

SETTLE_SECONDS = 1.0
LEFT_SECONDS = 10.0
CALM_SECONDS = 60.0
PACED_MS = 15
LAG_MS = 500  # each of many streams says something twice a second
KINDS = ("text", "tool", "thinking")
OURS = ("plain", "tls")
ALL = ("floor", "plain", "tls", "other")


@dataclass(slots=True)
class Lab:
    """What a run has at hand. complaints: requests that did not end as ordered, in words."""

    folder: Path
    plain: Upstream
    tls: Upstream | None
    quick: bool
    complaints: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def upstream(self, target: Target) -> Upstream:
        """Where a target gets its answers from."""
        return self.tls if target.kind == "tls" and self.tls is not None else self.plain

    @contextlib.contextmanager
    def fresh(self, target: Target, **options: int) -> Iterator[Target]:
        """The same target once more, just started; one that is not ours stays as it is."""
        folder = self.folder / f"fresh-{next(self._numbers)}"
        if target.kind == "other":
            yield target
        elif target.kind == "floor":
            with targets.floor(folder, self.plain) as started:
                assert started is not None
                yield started
        else:
            with targets.gateway(folder, self.upstream(target), **options) as started:
                yield started

    def ask(self, target: Target, order: Order, *, times: int, at_once: int = 1, ramp_seconds: float = 0.0) -> Outcome:
        """Small requests; what goes wrong is a complaint."""
        request = bodies.http_request(bodies.small(order), key=target.key)
        outcome = run(target.address, request, times=times, at_once=at_once, events=order.events, ramp_seconds=ramp_seconds)
        self.complain(target, order, outcome)
        return outcome

    def complain(self, target: Target, order: Order, outcome: Outcome) -> None:
        """Take note of errors."""
        if outcome.errors:
            self.complaints.append(f"{target.name}: {outcome.errors} of {outcome.requests} requests failed ({order})")


@dataclass(frozen=True, slots=True)
class Limit:
    """most: the largest value that is met. of: what it is a multiple of: `floor`, another figure's name, or "" for the unit."""

    most: float
    of: str = "floor"

    def __str__(self) -> str:
        return f"≤ {self.most:g}" + (f" × {self.of}" if self.of else "")


@dataclass(frozen=True, slots=True)
class Figure:
    """One question. take: one look. kinds: of targets that are asked. slow: one look is enough where others take several."""

    name: str
    unit: str
    take: Callable[[Lab, Target], float]
    limits: Mapping[str, Limit] = field(default_factory=dict)
    kinds: tuple[str, ...] = ALL
    slow: bool = False
    in_quick: bool = True


def batch(kind: str) -> Callable[[Lab, Target], float]:
    """µs of CPU per event when all are there at once."""

    def take(lab: Lab, target: Target) -> float:
        order = Order("batch", kind, 2_000 if lab.quick else 5_000)
        return _cpu_per_event(lab, target, order, times=8 if lab.quick else 20, at_once=4)

    return take


def paced(kind: str) -> Callable[[Lab, Target], float]:
    """µs of CPU per event when each comes alone."""

    def take(lab: Lab, target: Target) -> float:
        order = Order("paced", kind, 100 if lab.quick else 250, PACED_MS)
        return _cpu_per_event(lab, target, order, times=20, at_once=20)

    return take


def request(lab: Lab, target: Target) -> float:
    """ms of CPU for a whole small request with 5 events."""
    times = 100 if lab.quick else 400
    lab.ask(target, Order(), times=10)
    before = cpu_seconds(target.pid)
    lab.ask(target, Order(), times=times, at_once=4)
    return (cpu_seconds(target.pid) - before) / times * 1e3


def large_request(lab: Lab, target: Target) -> float:
    """ms of CPU per MB for a long session's request."""
    order, times = Order(), 5 if lab.quick else 20
    body = bodies.large(order)
    whole = bodies.http_request(body, key=target.key)
    run(target.address, whole, times=1)
    before = cpu_seconds(target.pid)
    lab.complain(target, order, run(target.address, whole, times=times, events=order.events))
    return (cpu_seconds(target.pid) - before) / times * 1e3 / (len(body) / 1e6)


def held_stream(lab: Lab, target: Target) -> float:
    """KB of memory for each stream that is open and silent, in a fresh process."""
    count = 100 if lab.quick else 400
    with lab.fresh(target) as started:
        lab.ask(started, Order(), times=20, at_once=4)
        asked = bodies.http_request(bodies.small(Order("held", events=1, tag="held")), key=started.key)
        with held(started.address, [asked]):
            pass
        time.sleep(SETTLE_SECONDS)
        before = pss_bytes(started.pid)
        with held(started.address, [asked] * count):
            time.sleep(SETTLE_SECONDS)
            return (pss_bytes(started.pid) - before) / count / 1024


def first_token(lab: Lab, target: Target) -> float:
    """ms that the target adds to the time until the first event, as the median of many requests."""
    direct = Target("upstream", "floor", ("127.0.0.1", lab.plain.port), lab.plain.pid)
    order, ours, theirs = Order("paced", "text", 1, 5), list[float](), list[float]()
    for _ in range(20 if lab.quick else 60):
        ours += lab.ask(target, order, times=1).first_seconds
        theirs += lab.ask(direct, order, times=1).first_seconds
    return (statistics.median(ours) - statistics.median(theirs)) * 1e3


def lag(streams: int) -> Callable[[Lab, Target], float]:
    """ms from sending an event to having it, 99th percentile, with many streams at once."""

    def take(lab: Lab, target: Target) -> float:
        return _lag(lab, target, streams=streams, pause_ms=LAG_MS, seconds=4.0 if lab.quick else 10.0)

    return take


def lag_beside_large(lab: Lab, target: Target) -> float:
    """ms of lag, 99th percentile, of 100 paced streams while a request of 4 MB comes each second."""
    over = threading.Event()
    whole = bodies.http_request(bodies.large(Order(), megabytes=4), key=target.key)

    def large_ones() -> None:
        while not over.wait(1.0):
            lab.complain(target, Order(tag="large"), run(target.address, whole, times=1, events=5))

    beside = threading.Thread(target=large_ones)
    beside.start()
    try:
        return _lag(lab, target, streams=100, pause_ms=PACED_MS, seconds=4.0 if lab.quick else 10.0)
    finally:
        over.set()
        beside.join()


def disconnect(lab: Lab, target: Target) -> float:
    """ms from the client's leaving, in silence, to the end of the upstream's connection."""
    taken = []
    for number in range(3 if lab.quick else 10):
        tag = f"leave_{target.kind}_{number}_{time.monotonic_ns()}"
        request_ = bodies.http_request(bodies.small(Order("held", events=1, tag=tag)), key=target.key)
        with held(target.address, [request_]):
            time.sleep(0.2)
            left_at = time.monotonic()
        taken.append(_end_of(lab.upstream(target), tag, left_at) - left_at)
    return statistics.median(taken) * 1e3


def idle_memory(lab: Lab, target: Target) -> float:
    """MB of memory with two workers that have answered and rest."""
    with lab.fresh(target, workers=2) as started:
        lab.ask(started, Order(), times=40, at_once=8)
        time.sleep(SETTLE_SECONDS)
        return pss_bytes(started.pid) / 1e6


def start_up(lab: Lab, target: Target) -> float:
    """Seconds from the start of the process, with a new database, to the end of the first answer."""
    began_at = time.monotonic()
    with lab.fresh(target) as started:
        lab.ask(started, Order(), times=1)
        return time.monotonic() - began_at


def crowded(lab: Lab, target: Target) -> float:
    """ms of CPU for a small request where 1,000 logins and 1,000 keys are stored."""
    with lab.fresh(target, credentials=1_000, keys=1_000) as started:
        _wait_until_calm(started)
        return request(lab, started)


FIGURES = (
    Figure("batch text", "µs/event", batch("text"), {"plain": Limit(18)}),
    Figure("batch tool", "µs/event", batch("tool"), dict.fromkeys(OURS, Limit(1.3, "batch text"))),
    Figure("batch thinking", "µs/event", batch("thinking"), dict.fromkeys(OURS, Limit(1.3, "batch text"))),
    Figure("paced text", "µs/event", paced("text"), {"plain": Limit(3.6), "tls": Limit(4.3)}),
    Figure("paced tool", "µs/event", paced("tool"), dict.fromkeys(OURS, Limit(1.3, "paced text"))),
    Figure("paced thinking", "µs/event", paced("thinking"), dict.fromkeys(OURS, Limit(1.3, "paced text"))),
    Figure("request", "ms", request, {"plain": Limit(34), "tls": Limit(43)}),
    Figure("large request", "ms/MB", large_request, {"plain": Limit(29)}),
    Figure("first token", "ms added", first_token),
    Figure("held stream", "KB", held_stream, {"plain": Limit(48, ""), "tls": Limit(80, "")}, slow=True),
    Figure("lag of 500", "ms p99", lag(500), dict.fromkeys(OURS, Limit(100, "")), slow=True, in_quick=False),
    Figure("lag of 1000", "ms p99", lag(1000), dict.fromkeys(OURS, Limit(100, "")), slow=True, in_quick=False),
    Figure("lag of 2000", "ms p99", lag(2000), dict.fromkeys(OURS, Limit(100, "")), slow=True, in_quick=False),
    Figure("lag beside 4 MB", "ms p99", lag_beside_large, dict.fromkeys(OURS, Limit(150, "")), slow=True, in_quick=False),
    Figure("disconnect", "ms", disconnect, dict.fromkeys(OURS, Limit(100, ""))),
    Figure("idle, 2 workers", "MB", idle_memory, {"plain": Limit(150, "")}, kinds=("plain",), slow=True),
    Figure("start-up", "s", start_up, {"plain": Limit(3, "")}, kinds=("plain",), slow=True),
    Figure("request, crowded", "ms", crowded, {"plain": Limit(1.1, "request")}, kinds=("plain",), slow=True, in_quick=False),
)


def _cpu_per_event(lab: Lab, target: Target, order: Order, *, times: int, at_once: int) -> float:
    before = cpu_seconds(target.pid)
    outcome = lab.ask(target, order, times=times, at_once=at_once)
    return (cpu_seconds(target.pid) - before) / max(outcome.events, 1) * 1e6


def _lag(lab: Lab, target: Target, *, streams: int, pause_ms: int, seconds: float) -> float:
    """Streams begin one after the other; lags count from when all of them run."""
    ramp_seconds = streams / 250
    settled_at = time.monotonic() + ramp_seconds + SETTLE_SECONDS
    events = int((ramp_seconds + SETTLE_SECONDS + seconds) * 1000 / pause_ms)
    order = Order("stamped", "text", events, pause_ms)
    outcome = lab.ask(target, order, times=streams, at_once=streams, ramp_seconds=ramp_seconds)
    until = settled_at + seconds
    return percentile([late for sent_at, late in outcome.lags if settled_at <= sent_at <= until], 99) * 1e3


def _wait_until_calm(target: Target) -> None:
    """What a start leaves to be done behind it, as looking at each login, is not what a request costs."""
    deadline = time.monotonic() + CALM_SECONDS
    while time.monotonic() < deadline:
        before = cpu_seconds(target.pid)
        time.sleep(SETTLE_SECONDS)
        if cpu_seconds(target.pid) - before < 0.02 * SETTLE_SECONDS:
            return


def _end_of(source: Upstream, tag: str, left_at: float) -> float:
    """When the upstream saw the end of a stream; the end of patience when it did not."""
    deadline = left_at + LEFT_SECONDS
    while time.monotonic() < deadline:
        ends = _ends(source)
        if tag in ends:
            return ends[tag]
        time.sleep(0.02)
    return deadline


def _ends(source: Upstream) -> dict[str, float]:
    context = ssl.create_default_context(cafile=str(source.trusted)) if source.trusted else None
    with urllib.request.urlopen(f"{source.url}/bench/ends", timeout=5, context=context) as answer:
        ends: dict[str, float] = json.loads(answer.read())
    return ends
