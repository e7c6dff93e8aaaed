from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.anthropic.image_size import image_size


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _jpeg(*before: bytes, marker: int = 0xC0) -> bytes:
    frame = _segment(marker, struct.pack(">BHHB", 8, 200, 300, 3) + bytes(9))
    return b"\xff\xd8" + b"".join(before) + frame + b"\xff\xda"


def _webp(kind: bytes, content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(content) + 12) + b"WEBP" + kind + struct.pack("<I", len(content)) + content


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 300, 200), id="png"),
        pytest.param(b"GIF87a" + struct.pack("<HH", 300, 200), id="gif 87"),
        pytest.param(b"GIF89a" + struct.pack("<HH", 300, 200), id="gif 89"),
        pytest.param(_jpeg(), id="jpeg"),
        pytest.param(
            _jpeg(_segment(0xE0, b"JFIF\0"), _segment(0xC4, bytes(30)), marker=0xC2), id="progressive jpeg after a table"
        ),
        pytest.param(_jpeg(_segment(0xE1, b"Exif\0\0" + _jpeg())), id="jpeg with a thumbnail"),
        pytest.param(_jpeg(b"\xff", _segment(0xE0, b""), b"\xff\xff"), id="jpeg with fill bytes"),
        pytest.param(_webp(b"VP8X", bytes(4) + b"\x2b\x01\x00\xc7\x00\x00"), id="extended webp"),
        pytest.param(_webp(b"VP8L", b"\x2f" + struct.pack("<I", 299 | 199 << 14)), id="lossless webp"),
        pytest.param(_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 300, 200)), id="lossy webp"),
    ],
)
def test_the_size_stands_in_the_header(data: bytes) -> None:
    assert image_size(data) == (300, 200)


@pytest.mark.parametrize(
    "data",
    [b"", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(4), _jpeg()[:10], _webp(b"VP8X", bytes(6)), b"\xff\xd8nonsense"],
)
def test_other_bytes_have_no_size(data: bytes) -> None:
    assert image_size(data) is None


@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8", b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WEBPVP8L"]),
    st.binary(),
)
@example(b"\xff\xd8", b"\xff\xe0\xff\xff")
@example(b"\xff\xd8", b"\xff" * 20)
def test_any_bytes_have_a_size_or_none(head: bytes, rest: bytes) -> None:
    size = image_size(head + rest)
    assert size is None or min(size) > 0
