"""What an image is, from its first bytes: format and size in pixels.

In: base64 text or bytes. Out: `Image`, or None for what no format recognises. Decodes no pixels.
Source: the published layouts of PNG, JPEG, GIF and WebP.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from dataclasses import dataclass

# Start-of-frame markers of JPEG; the ones missing from C0..CF are tables and arithmetic-coding conditions.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class Image:
    """A recognised image. format: png, jpeg, gif or webp; width and height are 0 when the header is cut short."""

    format: str
    width: int
    height: int


def inspect_base64(data: str) -> Image | None:
    """Recognise an image given as base64 text."""
    try:
        return inspect(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return None


def inspect(data: bytes) -> Image | None:
    """Recognise an image by its signature."""
    for name, signature, measure in _FORMATS:
        if signature(data):
            try:
                return Image(name, *measure(data))
            except (struct.error, IndexError):
                return Image(name, 0, 0)
    return None


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int]:
    position = 2
    while True:
        if data[position] != 0xFF:
            raise IndexError(position)
        marker = data[position + 1]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        # Fill bytes and markers without a body advance by themselves, all others by their length.
        if marker == 0xFF:
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


_FORMATS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], tuple[int, int]]], ...] = (
    ("png", lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    ("jpeg", lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    ("gif", lambda data: data.startswith((b"GIF87a", b"GIF89a")), _gif),
    ("webp", lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp),
)
