"""Our decoder against botocore's: its published vectors, and frames at random with its decoder as the judge."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import CorruptFrame, EventStreamError, FrameTooLarge, MalformedFrame
from app.kiro.eventstream import Frame, FrameDecoder
from tests.unit.kiro import frames as f

VECTORS = json.loads((Path(__file__).parent / "vectors" / "botocore_eventstream.json").read_text())
OUR_ERRORS = {
    "ChecksumMismatch": CorruptFrame,
    "DuplicateHeader": MalformedFrame,
    "InvalidHeadersLength": MalformedFrame,
    "InvalidPayloadLength": FrameTooLarge,
}


def named(vectors: Iterable[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def wire_of(vector: dict[str, Any]) -> bytes:
    run = vector.get("then", {"hex": "", "times": 0})
    times: int = run["times"]
    return bytes.fromhex(vector["hex"]) + bytes.fromhex(run["hex"]) * times + bytes.fromhex(vector.get("last", ""))


def as_botocore_says(value: Any) -> Any:
    """botocore leaves a uuid as its 16 bytes."""
    return value.bytes if hasattr(value, "bytes") else value


def ours(frames: Iterable[Frame]) -> list[tuple[Any, bytes]]:
    return [({name: as_botocore_says(value) for name, value in frame.headers.items()}, frame.payload) for frame in frames]


def theirs(chunks: Iterable[bytes]) -> list[tuple[Any, bytes]]:
    buffer, out = EventStreamBuffer(), []
    for chunk in chunks:
        buffer.add_data(chunk)
        out += [(message.headers, message.payload) for message in buffer]
    return out


def test_every_published_vector_is_here() -> None:
    assert (len(VECTORS["positive"]), len(VECTORS["negative"])) == (9, 7)


@pytest.mark.parametrize("vector", named(VECTORS["positive"]))
def test_a_published_frame_is_read_as_published(vector: dict[str, Any]) -> None:
    headers = {
        name: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for name, value in vector["headers"].items()
    }
    decoder = FrameDecoder()
    wire = wire_of(vector)
    assert ours(decoder.feed(wire)) == [(headers, vector["payload"].encode())] == theirs([wire])
    decoder.close()


def test_all_published_frames_are_read_from_one_body() -> None:
    wire = b"".join(map(wire_of, VECTORS["positive"]))
    assert ours(FrameDecoder().feed(wire)) == theirs([wire])


@pytest.mark.parametrize("vector", named(VECTORS["negative"]))
def test_a_published_fault_is_an_error_of_ours(vector: dict[str, Any]) -> None:
    decoder = FrameDecoder()
    with pytest.raises(OUR_ERRORS[vector["error"]]) as raised:
        list(decoder.feed(wire_of(vector)))
    assert type(raised.value) is OUR_ERRORS[vector["error"]]
    with pytest.raises(EventStreamError):
        decoder.close()


@settings(deadline=None, max_examples=300)
@given(st.lists(f.sent_frames(), max_size=4), st.lists(st.integers(0, 1000), max_size=8))
def test_botocore_reads_the_same_from_any_frames(sent: list[f.Sent], cuts: list[int]) -> None:
    chunks = f.pieces(b"".join(each.encode() for each in sent), cuts)
    decoder = FrameDecoder()
    assert [frame for chunk in chunks for frame in ours(decoder.feed(chunk))] == theirs(chunks)


@settings(deadline=None, max_examples=300)
@given(st.lists(f.sent_frames(), min_size=1, max_size=3), st.integers(0, 1000), st.integers(1, 255))
def test_what_botocore_refuses_we_refuse(sent: list[f.Sent], at: int, difference: int) -> None:
    wire = bytearray(b"".join(each.encode() for each in sent))
    wire[at % len(wire)] ^= difference
    with pytest.raises(ParserError):
        theirs([bytes(wire)])
    with pytest.raises(EventStreamError):
        list(FrameDecoder().feed(bytes(wire)))


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=10))
def test_a_header_block_that_both_read_they_read_alike(block: bytes, payload: bytes) -> None:
    """Ours refuses more: botocore takes a value that is cut short for a shorter one."""
    wire = f.raw_frame(block, payload)
    try:
        [(headers, _)] = ours(FrameDecoder().feed(wire))
    except MalformedFrame:
        return
    assert theirs([wire]) == [(headers, payload)]
