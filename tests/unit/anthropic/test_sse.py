from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic import events as e
from app.anthropic.sse import encode
from tests.unit.anthropic.streams import streams

ANY_TEXT = st.text()  # with control characters, U+2028, emoji and lone surrogates


def decoded(data: bytes) -> tuple[str, Any]:
    """Name and JSON of exactly one SSE frame."""
    lines = data.split(b"\n")
    assert len(lines) == 4, "two lines and an empty one"
    assert lines[2:] == [b"", b""]
    assert lines[0].startswith(b"event: ")
    assert lines[1].startswith(b"data: ")
    return lines[0][7:].decode(), orjson.loads(lines[1][6:])


def test_the_bytes_are_those_of_the_real_api() -> None:
    assert encode(e.text_delta(0, "Hel")) == (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}\n\n'
    )
    assert encode(e.ping()) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert encode(e.message_stop()) == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@given(streams())
def test_an_event_is_one_frame_named_after_its_type(stream: list[e.StreamEvent]) -> None:
    for event in stream:
        assert decoded(encode(event)) == (event["type"], event)


@pytest.mark.parametrize("make", [e.text_delta, e.thinking_delta, e.input_json_delta, e.signature_delta])
@given(text=ANY_TEXT)
def test_any_text_can_be_written(make: Any, text: str) -> None:
    _, event = decoded(encode(make(3, text)))
    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert event == make(3, expected)


@given(st.dictionaries(ANY_TEXT, ANY_TEXT | st.lists(ANY_TEXT)))
def test_any_block_can_be_written(content: dict[str, Any]) -> None:
    name, _ = decoded(encode(e.content_block_start(0, {**content, "type": "web_search_tool_result"})))
    assert name == "content_block_start"


def test_half_a_pair_is_replaced_and_a_whole_pair_is_joined() -> None:
    assert decoded(encode(e.text_delta(0, "a\ud83d")))[1]["delta"]["text"] == "a\ufffd"
    assert decoded(encode(e.text_delta(0, "\ud83d\ude00")))[1]["delta"]["text"] == "😀"
