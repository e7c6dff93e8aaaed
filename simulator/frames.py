"""The stand-in's own event-stream encoder: it shares nothing with the gateway's decoder, so that the two can be judged.

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


def frame(headers: bytes, payload: bytes) -> bytes:
    """A whole frame with both checksums."""
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(event_type: str, payload: Any) -> bytes:
    """An event frame; payload: anything JSON, or bytes as they are."""
    headers = header(":message-type", "event") + header(":event-type", event_type) + header(":content-type", "application/json")
    return frame(headers, _json(payload))


def exception(exception_type: str, payload: Any) -> bytes:
    """An exception frame."""
    headers = (
        header(":message-type", "exception")
        + header(":exception-type", exception_type)
        + header(":content-type", "application/json")
    )
    return frame(headers, _json(payload))


def error(code: str, message: str) -> bytes:
    """An error frame: everything is in its headers."""
    return frame(header(":message-type", "error") + header(":error-code", code) + header(":error-message", message), b"")


def _json(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
