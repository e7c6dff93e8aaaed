"""Streams as hypothesis strategies: any order of blocks, any cut of their content."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import strategies as st

from app.anthropic import events as e
from app.anthropic.events import StreamEvent

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["", "\0", "\x1b[0m", "\u2028\u2029", "😀", "\r\n\ndata: x", '"\\"', "\x7f\x85", "</thinking>"]
)
ARGUMENTS = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)
CITATION = {
    "type": "char_location",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
    "file_id": None,
}
_COUNTS = st.integers(0, 10**9)


@st.composite
def pieces(draw: st.DrawFn, whole: str) -> list[str]:
    """A text cut anywhere, also into empty pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@st.composite
def blocks(draw: st.DrawFn, index: int) -> list[StreamEvent]:
    """One block from start to stop."""
    kind = draw(st.sampled_from(["text", "thinking", "redacted", "tool", "no arguments", "search"]))
    if kind == "text":
        start = e.text_block()
        deltas = [e.text_delta(index, piece) for piece in draw(pieces(draw(TEXT)))]
        for _ in range(draw(st.integers(0, 2))):
            deltas.append(e.citations_delta(index, {**CITATION, "cited_text": draw(TEXT)}))
    elif kind == "thinking":
        start = e.thinking_block()
        deltas = [e.thinking_delta(index, piece) for piece in draw(pieces(draw(TEXT)))]
        deltas.append(e.signature_delta(index, draw(TEXT)))
    elif kind == "redacted":
        start, deltas = e.redacted_thinking_block(draw(TEXT)), []
    elif kind == "search":
        start = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "caller": {"type": "direct"}, "content": []}
        deltas = []
    else:
        start = e.tool_use_block(f"toolu_{index}", "get_weather")
        whole = "" if kind == "no arguments" else orjson.dumps(draw(ARGUMENTS)).decode()
        deltas = [e.input_json_delta(index, piece) for piece in ["", *draw(pieces(whole))]]
    return [e.content_block_start(index, start), *deltas, e.content_block_stop(index)]


@st.composite
def streams(draw: st.DrawFn) -> list[StreamEvent]:
    """A whole stream as the reply builder makes it, with pings anywhere."""
    stream = [e.message_start(message_id="msg_1", model=draw(TEXT), input_tokens=draw(_COUNTS))]
    for index in range(draw(st.integers(0, 4))):
        stream += draw(blocks(index))
    usage = e.final_usage(
        input_tokens=draw(_COUNTS),
        output_tokens=draw(_COUNTS),
        cache_read_input_tokens=draw(_COUNTS),
        cache_creation_input_tokens=draw(_COUNTS),
        thinking_tokens=draw(st.none() | _COUNTS),
        web_search_requests=draw(st.none() | st.integers(0, 9)),
    )
    stop_sequence = draw(st.none() | TEXT)
    stream.append(e.message_delta(draw(_reasons()), stop_sequence, usage, stop_details=draw(_details())))
    for at in sorted(draw(st.lists(st.integers(1, len(stream)), max_size=3)), reverse=True):
        stream.insert(at, e.ping())
    return [*stream, e.message_stop()]


def _reasons() -> st.SearchStrategy[str]:
    return st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn"])


def _details() -> st.SearchStrategy[dict[str, Any] | None]:
    return st.sampled_from([None, {"type": "refusal", "category": None, "explanation": "no"}])
