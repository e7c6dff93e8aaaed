"""The stand-in's own event-stream encoder: it shares nothing with the gateway's decoder, so that the two can be judged.

In: an event's type and payload. Out: the bytes of one frame.

    total length · header length · CRC of these 8 bytes      3 × uint32, big-endian: the prelude
    headers                                                  name length, name, type 7, value length, value
    payload                                                  JSON
    CRC of everything before                                 uint32

Source: Amazon event stream encoding; protocol 5.1 with its vectors.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def header(name: str, value: str) -> bytes:
    """One string header (type 7)."""
    name_bytes, value_bytes = name.encode(), value.encode()
    return bytes([len(name_bytes)]) + name_bytes + b"\x07" + struct.pack(">H", len(value_bytes)) + value_bytes


def prelude(total_bytes: int, headers_bytes: int) -> bytes:
    """The first 12 bytes of a frame; lengths that do not fit what follows are the caller's intention."""
    lengths = struct.pack(">II", total_bytes, headers_bytes)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


def frame(headers: bytes, payload: bytes) -> bytes:
    """A whole frame with both checksums."""
    body = prelude(len(headers) + len(payload) + 16, len(headers)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(event_type: str, payload: Any) -> bytes:
    """An event frame; payload: anything JSON, or bytes as they are."""
    headers = header(":message-type", "event") + header(":event-type", event_type) + _JSON
    return frame(headers, _json(payload))


def exception(exception_type: str, payload: Any) -> bytes:
    """An exception frame."""
    headers = header(":message-type", "exception") + header(":exception-type", exception_type) + _JSON
    return frame(headers, _json(payload))


def error(code: str, message: str) -> bytes:
    """An error frame: everything is in its headers."""
    return frame(header(":message-type", "error") + header(":error-code", code) + header(":error-message", message), b"")


def _json(payload: Any) -> bytes:
    return (
        payload
        if isinstance(payload, bytes)
        else json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    )


_JSON = header(":content-type", "application/json")
