"""The bytes of Kiro's answers, made once: the bench's upstream only writes them.

In: a kind of answer and how many events it has. Out: frames of the event-stream encoding. Shares nothing with the gateway's
decoder. Source: Amazon event stream encoding; protocol 5.1 and 5.3.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

# 40 characters, about what one event of a model holds.
PIECE = "the quick brown fox jumps over the dogs,"
TOOL = "write_file"
TOOL_USE_ID = "tooluse_AbCdEfGhIjKlMnOpQrStUv"


def event(event_type: str, payload: Any) -> bytes:
    """One event frame with both checksums."""
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":event-type", event_type),
            (":content-type", "application/json"),
            (":message-type", "event"),
        )
    )
    body = json.dumps(payload, separators=(",", ":")).encode()
    lengths = struct.pack(">II", len(headers) + len(body) + 16, len(headers))
    frame = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + body
    return frame + struct.pack(">I", zlib.crc32(frame))


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def text(content: str = PIECE) -> bytes:
    """A piece of text."""
    return event("assistantResponseEvent", {"content": content, "modelId": "claude-sonnet-4.5"})


def thinking(content: str = PIECE) -> bytes:
    """A piece of thinking."""
    return event("reasoningContentEvent", {"text": content})


def tool(content: str = PIECE, *, stop: bool = False) -> bytes:
    """A fragment of one call's arguments."""
    fields: dict[str, Any] = {"toolUseId": TOOL_USE_ID, "name": TOOL, "input": content}
    return event("toolUseEvent", {**fields, "stop": True} if stop else fields)


def _header(name: str, value: str) -> bytes:
    """One string header (type 7)."""
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()


PIECES: dict[str, Callable[[], bytes]] = {"text": text, "tool": tool, "thinking": thinking}


def ending(kind: str) -> list[bytes]:
    """What follows the pieces: an answer behind thinking, the end of the call, and what it cost."""
    last = {"tool": [tool('"}', stop=True)], "thinking": [text("Done.")]}.get(kind, [])
    usage = event("contextUsageEvent", {"contextUsagePercentage": 1.25})
    return [*last, usage, event("meteringEvent", {"unit": "credit", "unitPlural": "credits", "usage": 0.0123})]


def answer(kind: str, events: int) -> list[bytes]:
    """A whole answer of `events` pieces of one kind, each piece a frame, and its ending."""
    piece = PIECES[kind]()
    pieces = [piece] * events
    if kind == "tool":
        pieces[0] = tool('{"path":"notes.txt","content":"')
    return pieces + ending(kind)
