"""Formats and sizes from real headers."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.images import Image, inspect, inspect_base64

SOF = b"\xff\xc0" + struct.pack(">HBHH", 17, 8, 480, 640) + bytes(10)
JPEG = b"\xff\xd8" + b"\xff\xe0" + struct.pack(">H", 16) + bytes(14) + b"\xff\xff\xdb" + struct.pack(">H", 67) + bytes(65) + SOF
SAMPLES = [
    (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 3, 5), Image("png", 3, 5)),
    (b"GIF89a" + struct.pack("<HH", 7, 9), Image("gif", 7, 9)),
    (JPEG, Image("jpeg", 640, 480)),
    (
        b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(8) + (99).to_bytes(3, "little") + (49).to_bytes(3, "little"),
        Image("webp", 100, 50),
    ),
    (b"RIFF" + bytes(4) + b"WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 99 | 49 << 14), Image("webp", 100, 50)),
    (b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(10) + struct.pack("<HH", 100, 50), Image("webp", 100, 50)),
]


@pytest.mark.parametrize(
    ("data", "expected"), SAMPLES, ids=[f"{image.format}-{number}" for number, (_, image) in enumerate(SAMPLES)]
)
def test_a_header_tells_format_and_size(data: bytes, expected: Image) -> None:
    assert inspect(data) == expected
    assert inspect_base64(base64.b64encode(data).decode()) == expected


@pytest.mark.parametrize("text", ["", "aGVsbG8=", "not base64!", "data:image/png;base64,iVBORw0KGgo="])
def test_anything_else_is_no_image(text: str) -> None:
    assert inspect_base64(text) is None


@given(sample=st.sampled_from(SAMPLES), keep=st.integers(0, 60), tail=st.binary(max_size=40))
def test_a_damaged_header_never_raises(sample: tuple[bytes, Image], keep: int, tail: bytes) -> None:
    found = inspect(sample[0][:keep] + tail)
    assert found is None or found.width >= 0
