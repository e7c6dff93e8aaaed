"""Bodies taken apart, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import TruncatedStream, UpstreamError
from app.upstream.chunked import ChunkedDecoder, CountedDecoder, OpenDecoder


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(borders)]


def chunked(chunks: list[bytes], *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks if chunk)
    return body + b"0\r\n" + trailer + b"\r\n"


@given(
    st.lists(st.binary(max_size=40), max_size=6),
    st.lists(st.integers(0, 500), max_size=12),
    st.sampled_from([b"", b";name=value"]),
    st.sampled_from([b"", b"x-checksum: 1\r\n"]),
)
def test_any_cut_gives_the_same_body(chunks: list[bytes], cuts: list[int], extension: bytes, trailer: bytes) -> None:
    decoder = ChunkedDecoder()
    wire = chunked(chunks, extension=extension, trailer=trailer)
    body = b"".join(decoder.feed(piece) for piece in pieces_of(wire, cuts))
    assert body == b"".join(chunks)
    assert decoder.ended
    decoder.end_of_input()


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), st.data())
def test_an_end_before_the_last_chunk_is_a_truncated_stream(chunks: list[bytes], data: st.DataObject) -> None:
    wire = chunked(chunks)
    decoder = ChunkedDecoder()
    decoder.feed(wire[: data.draw(st.integers(0, len(wire) - 1))])
    with pytest.raises(TruncatedStream):
        decoder.end_of_input()


@pytest.mark.parametrize(
    "wire", [b"zz\r\n", b"-5\r\n", b"+5\r\nhello", b"5_0\r\n", b"3\r\nabcX\r\n", b"0x3\r\nabc\r\n", b"f" * 9000]
)
def test_a_broken_transfer_encoding_is_refused(wire: bytes) -> None:
    with pytest.raises(UpstreamError):
        ChunkedDecoder().feed(wire)


def test_a_counted_body_ends_at_its_length() -> None:
    decoder = CountedDecoder(5)
    assert decoder.feed(b"abc") == b"abc"
    with pytest.raises(TruncatedStream):
        decoder.end_of_input()
    assert decoder.feed(b"defgh") == b"de"
    assert decoder.ended
    assert CountedDecoder(0).ended


def test_a_body_without_length_ends_with_the_connection() -> None:
    decoder = OpenDecoder()
    assert decoder.feed(b"abc") == b"abc"
    assert not decoder.ended
    decoder.end_of_input()
    assert decoder.ended
