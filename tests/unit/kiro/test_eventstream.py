"""The decoder's two promises: any cut of the bytes gives the same frames, any garbage is a frame or an EventStreamError."""

from __future__ import annotations

import time
import tracemalloc
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import CorruptFrame, EventStreamError, FrameTooLarge, MalformedFrame, TruncatedStream
from app.kiro.eventstream import Frame, FrameDecoder, parse_headers
from tests.unit.kiro import frames as f

GOOD = f.Sent(f.strings(message_type="event", event_type="assistantResponseEvent"), b'{"content":"Hi"}')
JSON = {":content-type": "application/json"}
VECTORS = {
    "text": (
        "0000007c0000005c3bddcf780d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070016617373697374616e74526573"
        "706f6e73654576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b22636f6e74656e74223a224869227d09f6"
        "6f51",
        {":message-type": "event", ":event-type": "assistantResponseEvent", **JSON},
        b'{"content":"Hi"}',
    ),
    "context usage": (
        "0000008600000057ae8b5e0c0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070011636f6e7465787455736167"
        "654576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b22636f6e74657874557361676550657263656e74"
        "616765223a31322e357dbaadb176",
        {":message-type": "event", ":event-type": "contextUsageEvent", **JSON},
        b'{"contextUsagePercentage":12.5}',
    ),
    "exception": (
        "000000920000006c8ae0866a0d3a6d6573736167652d74797065070009657863657074696f6e0f3a657863657074696f6e2d7479706507001e436f6e"
        "74656e744c656e6774684578636565646564457863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
        "7b226d657373616765223a22746f6f206c6f6e67227d1b6b635e",
        {":message-type": "exception", ":exception-type": "ContentLengthExceededException", **JSON},
        b'{"message":"too long"}',
    ),
    "empty": ("000000100000000005c248eb7d98c8ff", {}, b""),
}
ONE_OF_EACH = (
    f.Header("0", f.TRUE, True),
    f.Header("1", f.FALSE, False),
    f.Header("2", f.BYTE, -128),
    f.Header("3", f.SHORT, -(2**15)),
    f.Header("4", f.INTEGER, 2**31 - 1),
    f.Header("5", f.LONG, -(2**63)),
    f.Header("6", f.BYTES, b"\x00\xff"),
    f.Header("7", f.STRING, "naïve 😀"),
    f.Header("8", f.TIMESTAMP, 253_402_300_800_000),  # the first moment of the year 10000
    f.Header("9", f.UUID, uuid.UUID(int=2**127)),
)


def decode(decoder: FrameDecoder, chunks: Iterable[bytes]) -> tuple[list[Frame], EventStreamError | None]:
    """Everything that comes out before the first fault, and the fault."""
    out: list[Frame] = []
    try:
        for chunk in chunks:
            for frame in decoder.feed(chunk):
                out.append(frame)
    except EventStreamError as error:
        return out, error
    return out, None


def meant(frames: Iterable[Frame]) -> list[tuple[Any, bytes]]:
    return [(dict(frame.headers), frame.payload) for frame in frames]


def expected(sent: Iterable[f.Sent]) -> list[tuple[Any, bytes]]:
    return [(each.values(), each.payload) for each in sent]


def assert_stays_failed(decoder: FrameDecoder) -> None:
    for chunk in (b"", GOOD.encode()):
        with pytest.raises(EventStreamError):
            list(decoder.feed(chunk))
    with pytest.raises(EventStreamError):
        decoder.close()


# -- the property: intact, one byte wrong, cut --

CUTS = st.lists(st.integers(0, 1000), max_size=8) | st.just(range(1000))


@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(f.sent_frames(), min_size=1, max_size=4), CUTS, st.sampled_from(["intact", "flipped", "cut"]), st.data())
def test_no_cut_and_no_damage_lets_a_wrong_byte_through(
    sent: list[f.Sent], cuts: Iterable[int], damage: str, data: st.DataObject
) -> None:
    encoded = [each.encode() for each in sent]
    wire = b"".join(encoded)
    ends = [sum(map(len, encoded[: count + 1])) for count in range(len(encoded))]
    at = data.draw(st.integers(0, len(wire) - 1)) if damage != "intact" else len(wire)
    if damage == "flipped":
        wire = wire[:at] + bytes([wire[at] ^ data.draw(st.integers(1, 255))]) + wire[at + 1 :]
    elif damage == "cut":
        wire = wire[:at]
    whole = sum(end <= at for end in ends)

    decoder = FrameDecoder()
    out, error = decode(decoder, f.pieces(wire, cuts))

    assert meant(out) == expected(sent[:whole])
    if damage == "flipped":
        assert isinstance(error, EventStreamError)
        assert_stays_failed(decoder)
    elif damage == "cut" and at not in (0, *ends):
        assert error is None
        with pytest.raises(TruncatedStream):
            decoder.close()
        assert_stays_failed(decoder)
    else:
        assert error is None
        decoder.close()


@settings(deadline=None)
@given(st.binary(max_size=200), CUTS)
def test_garbage_after_a_frame_is_an_event_stream_error(garbage: bytes, cuts: Iterable[int]) -> None:
    """By chance alone it cannot be a frame: two checksums would have to fit."""
    decoder = FrameDecoder()
    out, error = decode(decoder, f.pieces(GOOD.encode() + garbage, cuts))
    assert meant(out) == expected([GOOD])
    assert (error is None) == (len(garbage) < 12)
    if garbage:
        with pytest.raises(EventStreamError):
            decoder.close()
        assert_stays_failed(decoder)


@settings(deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=20))
def test_any_header_block_is_headers_or_a_malformed_frame(block: bytes, payload: bytes) -> None:
    out, error = decode(FrameDecoder(), [f.raw_frame(block, payload)])
    if error is None:
        assert [frame.payload for frame in out] == [payload]
    else:
        assert isinstance(error, MalformedFrame)
        assert out == []


# -- the layout --


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_vectors_are_read(name: str) -> None:
    wire, headers, payload = VECTORS[name]
    decoder = FrameDecoder()
    assert meant(decoder.feed(bytes.fromhex(wire))) == [(headers, payload)]
    decoder.close()


def test_all_ten_header_types_are_read() -> None:
    [frame] = FrameDecoder().feed(f.Sent(ONE_OF_EACH, b"x").encode())
    assert dict(frame.headers) == {header.name: header.value for header in ONE_OF_EACH}
    assert [type(value) for value in frame.headers.values()] == [bool, bool, int, int, int, int, bytes, str, int, uuid.UUID]


def test_the_longest_name_and_the_longest_value_are_read() -> None:
    headers = (f.Header("n" * 255, f.STRING, "é" * 32767), f.Header("b", f.BYTES, bytes(65535)))
    [frame] = FrameDecoder().feed(f.Sent(headers, b"").encode())
    assert frame.headers == {"n" * 255: "é" * 32767, "b": bytes(65535)}


@pytest.mark.parametrize(
    "block",
    [
        b"\x00\x00",
        b"\x05name",
        b"\x04name",
        b"\x04name\x0a",
        b"\x04name\xff",
        b"\x04name\x02",
        b"\x04name\x03\x00",
        b"\x04name\x05" + bytes(7),
        b"\x04name\x07\x00",
        b"\x04name\x07\x00\x05four",
        b"\x04name\x06\xff\xffx",
        b"\x04name\x07\x00\x02\xc3\x28",
        b"\x02\xc3\x28\x00",
        b"\x04name\x08" + bytes(7),
        b"\x04name\x09" + bytes(15),
        f.Header("twice", f.TRUE, True).encode() * 2,
    ],
)
def test_a_broken_header_block_is_a_malformed_frame(block: bytes) -> None:
    with pytest.raises(MalformedFrame):
        parse_headers(block)
    decoder = FrameDecoder()
    out, error = decode(decoder, [GOOD.encode() + f.raw_frame(block, b"{}") + GOOD.encode()])
    assert meant(out) == expected([GOOD])
    assert isinstance(error, MalformedFrame)
    assert_stays_failed(decoder)


@pytest.mark.parametrize("block", [b"", b"\x01\xff", b"\x04name\x02\x7f", b"\x01a\x00\x01b\x01"])
def test_a_cached_header_block_gives_the_same_headers_again(block: bytes) -> None:
    decoder = FrameDecoder()
    first, error = decode(decoder, [f.raw_frame(block, b"1")])
    if error is None:
        [again] = decoder.feed(f.raw_frame(block, b"2"))
        assert again == Frame(first[0].headers, b"2")
    else:
        assert_stays_failed(decoder)


def test_more_header_blocks_than_the_cache_holds_are_still_read() -> None:
    sent = [
        f.Sent((f.Header("n", f.INTEGER, number), f.Header("b", f.BYTES, bytes(number * 20))), b"") for number in range(200)
    ]
    decoder = FrameDecoder()
    assert meant(decoder.feed(b"".join(each.encode() for each in sent * 2))) == expected(sent * 2)


# -- lengths --


@pytest.mark.parametrize("total", [2**31, 2**32 - 1, 16 * 1024 * 1024 + 1])
def test_a_frame_over_the_limit_is_refused_without_allocating_it(total: int) -> None:
    decoder = FrameDecoder()
    tracemalloc.start()
    try:
        out, error = decode(decoder, [f.prelude(total, 0)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert out == []
    assert isinstance(error, FrameTooLarge)
    assert peak < 64 * 1024
    assert_stays_failed(decoder)


def test_a_frame_at_the_limit_is_waited_for() -> None:
    decoder = FrameDecoder()
    assert list(decoder.feed(f.prelude(16 * 1024 * 1024, 0))) == []
    with pytest.raises(TruncatedStream):
        decoder.close()


@pytest.mark.parametrize(("total", "headers"), [(0, 0), (15, 0), (16, 1), (100, 85), (100, 2**32 - 1)])
def test_lengths_that_contradict_each_other_are_a_malformed_frame(total: int, headers: int) -> None:
    decoder = FrameDecoder()
    out, error = decode(decoder, [GOOD.encode() + f.prelude(total, headers)])
    assert meant(out) == expected([GOOD])
    assert isinstance(error, MalformedFrame)
    assert not isinstance(error, FrameTooLarge)
    assert_stays_failed(decoder)


def test_a_wrong_length_is_found_before_the_frame_is_there() -> None:
    wire = bytearray(GOOD.encode())
    wire[3] ^= 1
    out, error = decode(FrameDecoder(), [bytes(wire[:12])])
    assert (out, type(error)) == ([], CorruptFrame)


# -- how it is used --


def test_an_end_on_a_frame_boundary_is_an_end() -> None:
    decoder = FrameDecoder()
    decoder.close()
    assert len(list(decoder.feed(GOOD.encode() * 2))) == 2
    decoder.close()


def test_a_reader_that_stops_half_way_finds_the_rest_later() -> None:
    decoder = FrameDecoder()
    first = next(decoder.feed(GOOD.encode() * 3))
    assert meant([first]) == expected([GOOD])
    assert meant(decoder.feed(b"")) == expected([GOOD] * 2)
    decoder.close()


def test_a_large_frame_in_small_pieces_costs_no_more_than_its_bytes() -> None:
    payload = bytes(8 * 1024 * 1024)
    wire = f.Sent(GOOD.headers, payload).encode()
    chunks = [wire[at : at + 1024] for at in range(0, len(wire), 1024)]
    best = 60.0
    for _ in range(3):
        decoder = FrameDecoder()
        began = time.process_time()
        out, error = decode(decoder, chunks)
        best = min(best, time.process_time() - began)
        assert error is None
        assert [len(frame.payload) for frame in out] == [len(payload)]
    assert best < 0.1


def test_many_small_frames_at_once_are_read_in_time() -> None:
    wire = GOOD.encode() * 20_000
    began = time.process_time()
    assert sum(1 for _ in FrameDecoder().feed(wire)) == 20_000
    assert time.process_time() - began < 0.5
