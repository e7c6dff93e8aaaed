"""The framing of the upstream body: bytes in, frames out. Knows nothing of Kiro.

A frame, all integers big-endian, CRC-32 as in zlib:

    0       4      8       12       12+H          T-4     T
    | T     | H    | crc   | headers | payload    | crc   |
    | total | hdrs | 0..7  |         | T-16-H     | 0..T-5|

A header is name length (1 byte), name, type (1 byte), value. Frames are length-prefixed, so after a wrong byte there is no
safe place to go on from: the decoder stays failed. Source: Amazon event stream encoding; protocol 5.1.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from app.errors import CorruptFrame, EventStreamError, FrameTooLarge, MalformedFrame, TruncatedStream

HeaderValue = bool | int | bytes | str | uuid.UUID  # a timestamp is an int: milliseconds since 1970

MAX_FRAME_BYTES = 16 * 1024 * 1024
PRELUDE_BYTES = 12
OVERHEAD_BYTES = 16  # prelude and the message CRC
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_SHORT = struct.Struct(">H")
# 8 is the timestamp. It stays a number, as in every other decoder: a datetime cannot hold all that may be sent.
_INTEGERS = {kind: struct.Struct(f">{letter}") for kind, letter in {2: "b", 3: "h", 4: "i", 5: "q", 8: "q"}.items()}
_CACHED_HEADERS = 64
_CACHED_HEADER_BYTES = 1024  # Kiro's are about 90; the cache must not hold what a strange upstream sends


@dataclass(frozen=True, slots=True)
class Frame:
    """One unit of the upstream body; headers by name, payload as it came."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


class FrameDecoder:
    """Cuts a body into frames, however it was cut by the network.

    Any exception other than EventStreamError is a bug.
    """

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._buffer = bytearray()
        self._wanted = PRELUDE_BYTES  # bytes needed before there is anything to do
        self._error: EventStreamError | None = None
        # Kiro repeats the same few header blocks thousands of times; parsing one costs more than all the rest of a frame.
        self._headers: dict[bytes, Mapping[str, HeaderValue]] = {}

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Frames completed by `chunk`. Those before a fault are yielded, then the fault is raised, now and ever after.

        Raises CorruptFrame (a checksum is wrong), FrameTooLarge, MalformedFrame.
        """
        if self._error is not None:
            raise self._error
        buffer = self._buffer
        buffer += chunk
        if len(buffer) < self._wanted:
            return
        position = self._wanted = 0
        try:
            while True:
                end = self._end_of_frame(position)
                if end > len(buffer):
                    self._wanted = end - position
                    break
                frame = self._frame(position, end)
                position = end
                yield frame
        except EventStreamError as error:
            self._error = error
            buffer.clear()
            raise
        finally:
            del buffer[:position]

    def close(self) -> None:
        """The body has ended; raises TruncatedStream when a frame was not complete, or the fault met before."""
        if self._error is not None:
            raise self._error
        if self._buffer:
            self._error = TruncatedStream()
            raise self._error

    def _end_of_frame(self, start: int) -> int:
        """Where the frame at `start` ends, or at least how much is needed to know it."""
        buffer = self._buffer
        if len(buffer) - start < PRELUDE_BYTES:
            return start + PRELUDE_BYTES
        total, headers, crc = _PRELUDE.unpack_from(buffer, start)
        if crc32(memoryview(buffer)[start : start + 8]) != crc:
            raise CorruptFrame
        if total > self._max:
            raise FrameTooLarge
        if total < OVERHEAD_BYTES or headers > total - OVERHEAD_BYTES:
            raise MalformedFrame
        return start + int(total)

    def _frame(self, start: int, end: int) -> Frame:
        buffer = self._buffer
        with memoryview(buffer) as view:
            if crc32(view[start : end - 4]) != _CRC.unpack_from(buffer, end - 4)[0]:
                raise CorruptFrame
            payload_start = start + PRELUDE_BYTES + _CRC.unpack_from(buffer, start + 4)[0]
            block = bytes(view[start + PRELUDE_BYTES : payload_start])
            payload = bytes(view[payload_start : end - 4])
        headers = self._headers.get(block)
        if headers is None:
            headers = parse_headers(block)
            if len(self._headers) < _CACHED_HEADERS and len(block) <= _CACHED_HEADER_BYTES:
                self._headers[block] = headers
        return Frame(headers, payload)


def parse_headers(data: bytes) -> dict[str, HeaderValue]:
    """Decode a header block.

    data: exactly the header bytes of one frame, without prelude.
    Raises MalformedFrame for an unknown type, a bad length, invalid UTF-8 or a repeated name.
    """
    headers: dict[str, HeaderValue] = {}
    position = 0
    try:
        while position < len(data):
            name_end = position + 1 + data[position]
            name = data[position + 1 : name_end].decode()
            if name_end == position + 1 or name_end >= len(data) or name in headers:
                raise MalformedFrame
            headers[name], position = _value(data, name_end)
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedFrame from error
    return headers


def _value(data: bytes, position: int) -> tuple[HeaderValue, int]:
    """The value whose type byte stands at `position`, and where it ends."""
    kind = data[position]
    position += 1
    if kind in (0, 1):
        return kind == 0, position
    if kind in _INTEGERS:
        layout = _INTEGERS[kind]
        return layout.unpack_from(data, position)[0], position + layout.size
    if kind in (6, 7):
        start = position + 2
        end = start + _SHORT.unpack_from(data, position)[0]
        if end > len(data):
            raise MalformedFrame
        value = data[start:end]
        return (value if kind == 6 else value.decode()), end
    if kind == 9 and position + 16 <= len(data):
        return uuid.UUID(bytes=data[position : position + 16]), position + 16
    raise MalformedFrame
