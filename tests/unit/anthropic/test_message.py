from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic import events as e
from app.anthropic.message import fold
from tests.unit.anthropic.streams import streams

START = e.message_start(message_id="msg_1", model="claude", input_tokens=7)


def whole(*events: e.StreamEvent, stop_reason: str = "end_turn") -> dict[str, Any]:
    end = e.message_delta(stop_reason, None, e.final_usage(input_tokens=12, output_tokens=6, thinking_tokens=2))
    return fold([START, *events, end, e.message_stop()])


def block(index: int, start: dict[str, Any], *deltas: e.StreamEvent) -> list[e.StreamEvent]:
    return [e.content_block_start(index, start), *deltas, e.content_block_stop(index)]


def test_text_and_a_call_become_a_message() -> None:
    message = whole(
        *block(0, e.text_block(), e.text_delta(0, "Hel"), e.ping(), e.text_delta(0, "lo")),
        *block(1, e.tool_use_block("toolu_1", "f"), e.input_json_delta(1, '{"a":'), e.input_json_delta(1, "1}")),
        stop_reason="tool_use",
    )
    assert message == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Hello"}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 6,
            "service_tier": "standard",
            "output_tokens_details": {"thinking_tokens": 2},
        },
    }


def test_thinking_keeps_its_signature() -> None:
    message = whole(*block(0, e.thinking_block(), e.thinking_delta(0, "Hm"), e.signature_delta(0, "EqQB")))
    assert message["content"] == [{"type": "thinking", "thinking": "Hm", "signature": "EqQB"}]


def test_a_call_without_arguments_has_none() -> None:
    message = whole(*block(0, e.tool_use_block("toolu_1", "f"), e.input_json_delta(0, "")))
    assert message["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", ['{"a":', '{"a": "x', "[1]", "nonsense", '"x"', "5", "\ud800"])
def test_a_call_that_was_cut_is_left_out(arguments: str) -> None:
    message = whole(
        *block(0, e.text_block(), e.text_delta(0, "Wait")),
        *block(1, e.tool_use_block("toolu_1", "f"), e.input_json_delta(1, arguments)),
        stop_reason="max_tokens",
    )
    assert message["content"] == [{"type": "text", "text": "Wait"}]
    assert message["stop_reason"] == "max_tokens"


def test_an_escaped_half_of_a_pair_does_not_lose_the_call() -> None:
    message = whole(*block(0, e.tool_use_block("toolu_1", "f"), e.input_json_delta(0, '{"a":"x\\ud83d"}')))
    assert message["content"][0]["input"] == {"a": "x\ufffd"}


def test_a_pair_split_over_two_deltas_is_whole_again() -> None:
    message = whole(*block(0, e.text_block(), e.text_delta(0, "\ud83d"), e.text_delta(0, "\ude00\ud800")))
    assert message["content"][0]["text"] == "😀\ufffd"


def test_the_events_are_left_as_they_were() -> None:
    events = [START, *block(0, e.text_block(), e.text_delta(0, "x")), e.message_delta("end_turn", None, {}), e.message_stop()]
    assert fold(events) == fold(events)
    assert START["message"]["content"] == []


@given(streams(), st.data())
def test_a_stream_that_was_cut_is_no_message(stream: list[e.StreamEvent], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(ValueError, match="without message_stop"):
        fold(stream[:cut])


@given(streams(), st.data())
def test_a_stream_that_failed_is_no_message(stream: list[e.StreamEvent], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(ValueError, match="error"):
        fold([*stream[:cut], {"type": "error", "error": {"type": "api_error", "message": "x"}}])


def test_nothing_is_read_after_the_end() -> None:
    def events() -> Iterable[e.StreamEvent]:
        yield from [START, e.message_delta("end_turn", None, {}), e.message_stop()]
        raise AssertionError("read on")

    assert fold(events())["content"] == []


def test_a_long_text_in_small_pieces_is_no_work() -> None:
    deltas = [e.text_delta(0, "abcd")] * 200_000
    assert len(whole(*block(0, e.text_block(), *deltas))["content"][0]["text"]) == 800_000
