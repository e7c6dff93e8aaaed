"""Frames for the tests: an encoder of their own, written from the layout alone, and hypothesis strategies for it.

It shares nothing with the gateway's decoder and nothing with the stand-in's encoder, so that all three can be held against
each other.
"""

from __future__ import annotations

import itertools
import json
import struct
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

TRUE, FALSE, BYTE, SHORT, INTEGER, LONG, BYTES, STRING, TIMESTAMP, UUID = range(10)
_NUMBERS = {BYTE: "b", SHORT: "h", INTEGER: "i", LONG: "q", TIMESTAMP: "q"}


@dataclass(frozen=True)
class Header:
    """kind: the type number of the layout."""

    name: str
    kind: int
    value: Any

    def encode(self) -> bytes:
        name = self.name.encode()
        return bytes([len(name)]) + name + bytes([self.kind]) + self._value()

    def _value(self) -> bytes:
        if self.kind in (TRUE, FALSE):
            return b""
        if self.kind in _NUMBERS:
            return struct.pack(">" + _NUMBERS[self.kind], self.value)
        if self.kind == UUID:
            return bytes(self.value.bytes)
        raw = self.value.encode() if self.kind == STRING else self.value
        return struct.pack(">H", len(raw)) + bytes(raw)


@dataclass(frozen=True)
class Sent:
    """One frame as it was meant."""

    headers: tuple[Header, ...]
    payload: bytes

    def encode(self) -> bytes:
        return raw_frame(b"".join(header.encode() for header in self.headers), self.payload)

    def values(self) -> dict[str, Any]:
        return {header.name: header.value for header in self.headers}


def raw_frame(headers: bytes, payload: bytes) -> bytes:
    """A frame with right checksums around any header block."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def prelude(total: int, headers: int) -> bytes:
    """The first 12 bytes of a frame, with a right checksum."""
    lengths = struct.pack(">II", total, headers)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


def strings(**values: str) -> tuple[Header, ...]:
    """Headers of Kiro's own kind: `message_type="event"` is `:message-type`."""
    return tuple(Header(":" + name.replace("_", "-"), STRING, value) for name, value in values.items())


def event(event_type: str, payload: Any) -> bytes:
    """An event frame; a payload that is not bytes is written as JSON."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    kinds = strings(message_type="event", event_type=event_type, content_type="application/json")
    return Sent(kinds, raw).encode()


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data` cut at any places; numbers beyond its end wrap around."""
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(borders)]


_NAMES = st.text(min_size=1, max_size=12).filter(lambda name: len(name.encode()) <= 255)


def _header(kind: int) -> st.SearchStrategy[tuple[int, Any]]:
    bits = {BYTE: 7, SHORT: 15, INTEGER: 31, LONG: 63, TIMESTAMP: 63}.get(kind)
    if bits is not None:
        value: st.SearchStrategy[Any] = st.integers(-(2**bits), 2**bits - 1)
    else:
        value = {
            TRUE: st.just(True),
            FALSE: st.just(False),
            BYTES: st.binary(max_size=20),
            STRING: st.text(max_size=20),
            UUID: st.binary(min_size=16, max_size=16).map(lambda raw: uuid.UUID(bytes=raw)),
        }[kind]
    return st.tuples(st.just(kind), value)


_VALUES = st.one_of([_header(kind) for kind in range(10)])


def sent_frames() -> st.SearchStrategy[Sent]:
    """Any frame: headers of every type, any payload."""
    headers = st.dictionaries(_NAMES, _VALUES, max_size=4).map(
        lambda chosen: tuple(Header(name, kind, value) for name, (kind, value) in chosen.items())
    )
    return st.builds(Sent, headers, st.binary(max_size=60))
