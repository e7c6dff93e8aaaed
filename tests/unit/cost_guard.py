"""What the hot path costs, in multiples of the same work written by hand for one single case.

In: nothing. Out: a ratio for each part: decode (bytes to Kiro events), translate (Kiro events to bytes of the client), relay
(what an exchange does for each batch, its surroundings canned), request (JSON of the client to JSON of Kiro). Seconds differ
from machine to machine and from minute to minute; the ratio to a reference that makes the same kinds of calls, and runs in
between, hardly does.

`make bench-baseline` renews `cost_baseline.json` for the Python that runs it. Where it knows nothing of a Python, the closest
one counts.
"""

from __future__ import annotations

import gc
import json
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import orjson

from app.anthropic.events import text_delta
from app.anthropic.request import parse_message_request
from app.anthropic.sse import encode
from app.attempts import Attempts
from app.blueprints.messages import EventStream
from app.kiro.events import AssistantText, KiroEvent, Reasoning, ToolUseFragment, parse_event
from app.kiro.eventstream import FrameDecoder
from app.kiro.request import serialise
from app.ledger import Ledger, RequestRecord
from app.relay import Call, Exchange
from app.runtime.sockets import StreamWatch
from app.settings import snapshot
from app.translate.models import BUILT_IN, resolve
from app.translate.request import translate_request
from app.translate.response import ReplyBuilder
from app.translate.signatures import Sealer
from bench import frames
from bench.bodies import large
from bench.order import Order
from tests.unit.translate.replies import NATIVE, builder

BASELINE = Path(__file__).parent / "cost_baseline.json"
# Of the baseline. Measured: clean runs stay within 1.05, also beside three busy processes; a quarter more work is 1.25.
ALLOWED = 1.13
STALE = 0.85  # below it the baseline would let a part become dearer again unseen
ROUNDS = 80
EVENTS = 60  # of one round: a fraction of a millisecond

Work = Callable[[], object]


# -- the reference: one kind of event, no checks, no state --


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str


_PRELUDE = struct.Struct(">III")


def by_hand() -> bytes:
    """Frames to the client's bytes, as short as it can be written."""
    out, position, buffer = [], 0, bytearray(_CHUNK)
    while position < len(buffer):
        total, headers, crc = _PRELUDE.unpack_from(buffer, position)
        with memoryview(buffer) as view:
            assert crc32(view[position : position + 8]) == crc
            crc32(view[position : position + total - 4])
            payload = bytes(view[position + 12 + headers : position + total - 4])
        piece = _Piece(orjson.loads(payload)["content"])
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece.text}}
        out.append(b"event: content_block_delta\ndata: " + orjson.dumps(delta) + b"\n\n")
        position += total
    return b"".join(out)


# -- the parts --

_CHUNK = frames.text() * EVENTS
_MIXED = (frames.text() + frames.thinking() + frames.tool()) * (EVENTS // 3)
_BODY = orjson.loads(large(Order(), megabytes=0.25))
_SEALER = Sealer(b"k" * 32)


def decode() -> list[KiroEvent]:
    """Bytes to Kiro events."""
    return [parse_event(frame) for frame in FrameDecoder().feed(_MIXED)]


def _reply() -> list[KiroEvent]:
    third = EVENTS // 3
    return [
        *[Reasoning(frames.PIECE, "", "")] * third,
        *[AssistantText(frames.PIECE)] * third,
        ToolUseFragment("tooluse_1", "Bash", '{"command": "', False),
        *[ToolUseFragment("tooluse_1", "Bash", frames.PIECE, False)] * (third - 2),
        ToolUseFragment("tooluse_1", "Bash", '"}', True),
    ]


_REPLY = _reply()


def translate() -> bytes:
    """Kiro events to the client's bytes."""
    building, out = builder(NATIVE), []
    for event in _REPLY:
        out += building.receive(event)
    return b"".join(map(encode, out + building.finish()))


def request() -> bytes:
    """A client's request to Kiro's, checks and all."""
    parsed = parse_message_request(_BODY, version="2023-06-01")
    model = resolve(parsed.model, BUILT_IN)
    translated = translate_request(parsed, model=model, conversation_id="c", continuation_id="d", sealer=_SEALER)
    return serialise(translated.kiro, None)


_DELTAS = [text_delta(0, frames.PIECE)]


class _CannedBuilder:
    """A reply whose every event is the same delta."""

    has_content = True

    def start(self) -> list[dict[str, Any]]:
        return _DELTAS

    def receive(self, _event: KiroEvent) -> list[dict[str, Any]]:
        return _DELTAS

    def finish(self) -> list[dict[str, Any]]:
        return _DELTAS

    def owes(self) -> None:
        return None


class _CannedAnswer:
    """One event for each receive, without a socket."""

    has_buffered = True

    def __init__(self) -> None:
        self.first_events: list[KiroEvent] = []
        self._left = EVENTS

    @property
    def ended(self) -> bool:
        return self._left == 0

    def receive(self) -> Iterator[KiroEvent]:
        self._left -= 1
        return iter((_REPLY[0],))

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class _CannedAttempts:
    def open(self) -> _CannedAnswer:
        return _CannedAnswer()

    def settle(self) -> None:
        pass

    def succeeded(self) -> None:
        pass


_SETTINGS = snapshot({})
_WATCH = StreamWatch(None)


def relay() -> bytes:
    """What an exchange and its door do for each batch; the parts they use are canned."""
    exchange = Exchange(
        cast(Attempts, _CannedAttempts()),
        cast(Callable[[], ReplyBuilder], _CannedBuilder),
        _WATCH,
        _SETTINGS,
        Call("req_1", "1", None, None, RequestRecord("req_1", 0.0, "/v1/messages")),
        Ledger(),
        stream=True,
        demand="",
        wants_nothing=False,
    )
    exchange.begin()
    return b"".join(EventStream(exchange, "req_1"))


PARTS: dict[str, Work] = {"decode": decode, "translate": translate, "relay": relay, "request": request}


# -- measuring --


def ratio(part: Work, *, rounds: int = ROUNDS) -> float:
    """What `part` costs in multiples of the reference: the median over rounds in which both run, one right after the other."""
    ratios = []
    part(), by_hand()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            before = cpu_ns(by_hand)
            cost = cpu_ns(part)
            ratios.append(cost * 2 / (before + cpu_ns(by_hand)))
    finally:
        if collecting:
            gc.enable()
    return statistics.median(ratios)


def cpu_ns(work: Work) -> int:
    """CPU time of one call."""
    began_at = time.thread_time_ns()
    work()
    return time.thread_time_ns() - began_at


def measure(part: Work) -> float:
    """As `ratio`, several times and the least: what is added from outside only ever adds."""
    return min(ratio(part, rounds=ROUNDS // 4) for _ in range(4))


def compared(name: str) -> float:
    """A part's cost in multiples of its baseline; what is too much is looked at twice more."""
    allowed = baseline()[name]
    for _ in range(3):
        cost = measure(PARTS[name]) / allowed
        if cost < ALLOWED:
            break
    return cost


def baseline() -> dict[str, float]:
    """What the parts may cost on this Python, else on the closest one that is known."""
    known: dict[str, dict[str, float]] = json.loads(BASELINE.read_text())
    minor = sys.version_info.minor
    return known[min(known, key=lambda version: abs(int(version.removeprefix("3.")) - minor))]


def renew() -> None:
    """Measure every part and keep the middle of many looks; the figures of other Pythons are moved by the same factor."""
    known: dict[str, dict[str, float]] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    ours = f"3.{sys.version_info.minor}"
    new = {name: statistics.median(measure(part) for _ in range(9)) for name, part in PARTS.items()}
    old = known.pop(ours, new)
    moved = {
        version: {name: round(value * new[name] / old.get(name, new[name]), 3) for name, value in parts.items()}
        for version, parts in known.items()
    }
    moved[ours] = {name: round(value, 3) for name, value in new.items()}
    BASELINE.write_text(json.dumps(dict(sorted(moved.items())), indent=2) + "\n")
    print(BASELINE.read_text())


if __name__ == "__main__":
    renew()
