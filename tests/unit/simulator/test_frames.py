"""The stand-in's encoder against published vectors and two decoders that are not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from simulator import frames

VECTORS = {
    "text": (
        frames.event("assistantResponseEvent", {"content": "Hi"}),
        "0000007c0000005c3bddcf780d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070016617373697374616e74526573"
        "706f6e73654576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b22636f6e74656e74223a224869227d09f6"
        "6f51",
    ),
    "context usage": (
        frames.event("contextUsageEvent", {"contextUsagePercentage": 12.5}),
        "0000008600000057ae8b5e0c0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070011636f6e7465787455736167"
        "654576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b22636f6e74657874557361676550657263656e74"
        "616765223a31322e357dbaadb176",
    ),
    "exception": (
        frames.exception("ContentLengthExceededException", {"message": "too long"}),
        "000000920000006c8ae0866a0d3a6d6573736167652d74797065070009657863657074696f6e0f3a657863657074696f6e2d7479706507001e436f6e"
        "74656e744c656e6774684578636565646564457863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
        "7b226d657373616765223a22746f6f206c6f6e67227d1b6b635e",
    ),
    "empty": (frames.frame(b"", b""), "000000100000000005c248eb7d98c8ff"),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_vectors(name: str) -> None:
    encoded, expected = VECTORS[name]
    assert encoded.hex() == expected


def decoded(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(event.headers, event.payload) for event in buffer]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=40), JSON), min_size=1, max_size=5))
def test_botocore_reads_any_event(events: list[tuple[str, Any]]) -> None:
    body = b"".join(frames.event(kind, payload) for kind, payload in events)
    read = [(headers[":event-type"], json.loads(payload)) for headers, payload in decoded(body)]
    assert read == events


def test_an_error_frame_is_all_headers() -> None:
    [(headers, payload)] = decoded(frames.error("InternalError", "Something"))
    assert headers == {":message-type": "error", ":error-code": "InternalError", ":error-message": "Something"}
    assert payload == b""
