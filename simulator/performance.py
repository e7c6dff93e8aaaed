"""From Kiro events and a script step to what happens on the wire, in order.

In: events (type and payload) and the step with its faults. Out: a list of actions for `Connection`. Pure: no socket, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simulator import frames
from simulator.script import Step

Event = tuple[str, Any]
GARBAGE = b"\x00garbage, not a frame\xff" * 3


@dataclass(frozen=True, slots=True)
class Send:
    """One chunk. missing_bytes: how much more its size line announces."""

    data: bytes
    missing_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """The body's end. how: last_chunk, close or rst."""

    how: str


Action = Send | Pause | End


def perform(events: Sequence[Event], step: Step) -> list[Action]:
    """All actions of one chat answer; the last one is its only End."""
    encoded = [frames.event(kind, payload) for kind, payload in events]
    _insert(encoded, step)
    _corrupt(encoded, events, step)
    body: list[Action] = []
    silence, silent_frame = step.fault("stall", "seconds")
    for number, data in enumerate(encoded):
        if silence and number == silent_frame:
            body.append(Pause(float(silence)))
        body.append(Send(data))
    if silence and silent_frame is not None and silent_frame >= len(encoded):
        body.append(Pause(float(silence)))
    body, end = _cut(body, step)
    if step.chunk_bytes > 0:
        body = list(_recut(body, step.chunk_bytes))
    if step.delay_between > 0:
        body = list(_spread(body, step.delay_between))
    return [*body, end]


def _insert(encoded: list[bytes], step: Step) -> None:
    """Put the extra frames in; an exception or error frame is the last one."""
    if step.unknown_event:
        name, at_frame = step.fault("unknown_event", "type")
        name = name if isinstance(name, str) else "somethingNewEvent"
        encoded.insert(_place(at_frame, encoded), frames.event(name, {"content": "not text", "news": [1, {"two": None}]}))
    if step.exception is not None:
        kind, at_frame = step.fault("exception", "type", None)
        kind = kind if isinstance(kind, str) else "InternalServerException"
        payload = {name: value for name, value in step.exception.items() if name not in ("type", "at_frame")}
        encoded[_place(at_frame, encoded) :] = [frames.exception(kind, payload)]
    if step.error_frame is not None:
        code, at_frame = step.fault("error_frame", "code", None)
        message = str(step.error_frame.get("message", "Something went wrong"))
        encoded[_place(at_frame, encoded) :] = [frames.error(code if isinstance(code, str) else "InternalError", message)]


def _place(at_frame: int | None, encoded: list[bytes]) -> int:
    return len(encoded) if at_frame is None else min(at_frame, len(encoded))


def _corrupt(encoded: list[bytes], events: Sequence[Event], step: Step) -> None:
    kind, at_frame = step.fault("corrupt", "kind")
    if kind is None or not encoded:
        return
    number = min(at_frame or 0, len(encoded) - 1)
    event_type = events[min(number, len(events) - 1)][0] if events else "assistantResponseEvent"
    damage: dict[str, Callable[[bytes], bytes]] = {
        "message_crc": lambda data: data[:-1] + bytes([data[-1] ^ 0x01]),
        "prelude_crc": lambda data: data[:8] + bytes([data[8] ^ 0x01]) + data[9:],
        "garbage": lambda data: GARBAGE + data,
        "huge_length": lambda data: frames.prelude(0x7FFF_FFFF, 0x10) + data[12:],
        "bad_json": lambda _: frames.event(event_type, b'{"content":'),
        "wrong_types": lambda _: frames.event(
            event_type, {"content": ["not", "text"], "input": 5, "toolUseId": None, "name": {}}
        ),
    }
    encoded[number] = damage[kind](encoded[number])


def _cut(body: list[Action], step: Step) -> tuple[list[Action], End]:
    if step.cut_after_bytes is not None:
        kept, rest = _split_at_bytes(body, step.cut_after_bytes)
    elif step.cut_after_frames is not None:
        kept, rest = _split_at_frames(body, step.cut_after_frames)
    else:
        return body, End("last_chunk")
    following = next((action.data for action in rest if isinstance(action, Send)), b"")
    half = following[: max(1, len(following) // 2)]
    if step.how == "inside_frame":
        return [*kept, *([Send(half)] if half else [])], End("last_chunk")
    if step.how == "inside_chunk":
        return [*kept, Send(half or b"\x00", missing_bytes=max(1, len(following) - len(half)))], End("close")
    return kept, End("last_chunk" if step.how == "clean_end" else step.how)


def _split_at_frames(body: list[Action], count: int) -> tuple[list[Action], list[Action]]:
    seen = 0
    for position, action in enumerate(body):
        if isinstance(action, Send):
            if seen == count:
                return body[:position], body[position:]
            seen += 1
    return body, []


def _split_at_bytes(body: list[Action], count: int) -> tuple[list[Action], list[Action]]:
    left = count
    for position, action in enumerate(body):
        if isinstance(action, Send):
            if len(action.data) >= left:
                head = [Send(action.data[:left])] if left else []
                tail = [Send(action.data[left:])] if action.data[left:] else []
                return [*body[:position], *head], [*tail, *body[position + 1 :]]
            left -= len(action.data)
    return body, []


def _recut(body: list[Action], size: int) -> Iterator[Action]:
    """Pieces of `size` bytes, over frame borders but not over a silence."""
    waiting = b""
    for action in body:
        if isinstance(action, Send) and not action.missing_bytes:
            waiting += action.data
            continue
        yield from _pieces(waiting, size)
        waiting = b""
        yield action
    yield from _pieces(waiting, size)


def _pieces(data: bytes, size: int) -> Iterator[Send]:
    for start in range(0, len(data), size):
        yield Send(data[start : start + size])


def _spread(body: list[Action], seconds: float) -> Iterator[Action]:
    sent = False
    for action in body:
        if isinstance(action, Send):
            if sent:
                yield Pause(seconds)
            sent = True
        yield action
