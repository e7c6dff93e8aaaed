"""HTTP/1.1 message bodies taken apart: chunked, counted, or until the connection ends.

In: bytes as the network delivered them, cut anywhere. Out: body bytes. Pure.
A decoder is fed with `feed`, told of the connection's end with `end_of_input`, and `ended` once the body is complete.
Source: RFC 9112, 6 and 7.
"""

from __future__ import annotations

from typing import Protocol

from app.errors import TruncatedStream, UpstreamError

MAX_LINE_BYTES = 8192
HEX_DIGITS = b"0123456789abcdefABCDEF"


class BodyDecoder(Protocol):
    ended: bool

    def feed(self, data: bytes) -> bytes:
        """Body bytes found in `data`; raises UpstreamError for a broken framing."""
        ...

    def end_of_input(self) -> None:
        """The connection ended; raises TruncatedStream when the body is not complete."""
        ...


class ChunkedDecoder:
    """`Transfer-Encoding: chunked`; extensions and trailers are read over."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0  # bytes of the current chunk not yet seen
        self._line = b""  # start of a line whose end is still to come
        self._expects = "size"  # size · data · newline (after a chunk) · trailer

    def feed(self, data: bytes) -> bytes:
        if self._expects == "data" and len(data) <= self._left:  # inside a long chunk: nothing to take apart
            self._left -= len(data)
            if not self._left:
                self._expects = "newline"
            return data
        pieces: list[bytes] = []
        position, length = self._whole_chunks(data, pieces) if self._expects == "size" and not self._line else 0, len(data)
        while position < length and not self.ended:
            if self._expects == "data":
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._expects = "newline"
                continue
            end = data.find(b"\n", position)
            if end < 0:
                self._line += data[position:]
                if len(self._line) > MAX_LINE_BYTES:
                    raise UpstreamError("Kiro's answer has a broken transfer encoding")
                break
            self._take_line((self._line + data[position:end]).rstrip(b"\r"))
            self._line = b""
            position = end + 1
        return b"".join(pieces)

    def _whole_chunks(self, data: bytes, pieces: list[bytes]) -> int:
        """Take the chunks that are there from their size to their end, as most are; where the first other one begins."""
        position, length = 0, len(data)
        while (end := data.find(b"\r\n", position)) > 0:
            digits = data[position:end]
            if not digits or digits.strip(HEX_DIGITS):
                break  # an extension, or nonsense
            start = end + 2
            stop = start + int(digits, 16)
            if stop == start or data[stop : stop + 2] != b"\r\n":
                break  # the last one, or one that goes on
            pieces.append(data[start:stop])
            position = stop + 2
            if position == length:
                break
        return position

    def end_of_input(self) -> None:
        if not self.ended:
            raise TruncatedStream

    def _take_line(self, line: bytes) -> None:
        if self._expects == "newline":
            if line:
                raise UpstreamError("Kiro's answer has a broken transfer encoding")
            self._expects = "size"
        elif self._expects == "size":
            digits = line.split(b";", 1)[0].strip()
            # int() alone would take "+5", "0x5" and "5_0" for numbers.
            if not digits or digits.strip(HEX_DIGITS):
                raise UpstreamError("Kiro's answer has a broken transfer encoding")
            self._left = int(digits, 16)
            self._expects = "data" if self._left else "trailer"
        elif not line:
            self.ended = True


class CountedDecoder:
    """`Content-Length`."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0

    def feed(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        self.ended = self._left == 0
        return piece

    def end_of_input(self) -> None:
        if not self.ended:
            raise TruncatedStream


class OpenDecoder:
    """Neither length nor chunks: the body ends with the connection, and only its content can tell whether it is whole."""

    def __init__(self) -> None:
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        return data

    def end_of_input(self) -> None:
        self.ended = True
