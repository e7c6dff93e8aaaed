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
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_SHORT = struct.Struct(">H")
# 8 is the timestamp. It stays a number, as in every other decoder: a datetime cannot hold all that may be sent.
_INTEGERS = {kind: struct.Struct(f">{letter}") for kind, letter in {2: "b", 3: "h", 4: "i", 5: "q", 8: "q"}.items()}
_CACHED_HEADERS = 64
_CACHED_HEADER_BYTES = 1024  # Kiro's are about 90; the cache must not hold what a strange upstream sends


@dataclass(slots=True)
class Frame:
    """One unit of the upstream body; headers by name, payload as it came.

    Not frozen, like the events that come once a word: that would take three times as long to make.
    """

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
        if self._buffer:
            self._buffer += chunk
            if len(self._buffer) < self._wanted:
                return
            chunk = bytes(self._buffer)
        position = 0
        try:
            # Most chunks hold whole frames, which are cut out of them without a copy in between.
            for end, frame in self._frames(chunk):
                position = end
                yield frame
        except EventStreamError as error:
            self._error = error
            self._buffer.clear()
            raise
        finally:
            if self._error is None:
                self._keep(chunk, position)

    def _frames(self, data: bytes) -> Iterator[tuple[int, Frame]]:
        """Each whole frame, and where the next one begins. One flat loop: this is the hottest path of the gateway."""
        view, length, known = memoryview(data), len(data), self._headers
        prelude, checksum, limit = _PRELUDE.unpack_from, _CRC.unpack_from, self._max
        start = 0
        while length - start >= PRELUDE_BYTES:
            total, header_bytes, crc = prelude(data, start)
            if crc32(view[start : start + 8]) != crc:
                raise CorruptFrame
            if total > limit:
                raise FrameTooLarge
            headers_start = start + PRELUDE_BYTES
            payload_start = headers_start + header_bytes
            payload_end = start + total - 4
            if payload_start > payload_end:
                raise MalformedFrame
            if payload_end + 4 > length:
                return
            if crc32(view[start:payload_end]) != checksum(data, payload_end)[0]:
                raise CorruptFrame
            block = data[headers_start:payload_start]
            start = payload_end + 4
            yield start, Frame(known.get(block) or self._parse(block), data[payload_start:payload_end])

    def _parse(self, block: bytes) -> Mapping[str, HeaderValue]:
        headers = parse_headers(block)
        if len(self._headers) < _CACHED_HEADERS and len(block) <= _CACHED_HEADER_BYTES:
            self._headers[block] = headers
        return headers

    def _keep(self, data: bytes, position: int) -> None:
        """What is left is the start of a frame, or the frames behind one whose reader stopped."""
        rest = data[position:]
        self._buffer = bytearray(rest)
        self._wanted = PRELUDE_BYTES
        if len(rest) >= PRELUDE_BYTES:
            self._wanted = min(max(_PRELUDE.unpack_from(rest)[0], PRELUDE_BYTES), self._max)

    def close(self) -> None:
        """The body has ended; raises TruncatedStream when a frame was not complete, or the fault met before."""
        if self._error is not None:
            raise self._error
        if self._buffer:
            self._error = TruncatedStream()
            raise self._error


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
