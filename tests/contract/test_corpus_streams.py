"""Shapes of answers that broke gateways of this kind, one test a row of the failure corpus: tools, thinking, usage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.anthropic.message import fold
from app.kiro import events as k
from app.translate.effort import Thinking
from tests.unit.translate.replies import HIDDEN, NATIVE, TAGGED, builder, reply, said, thought, used


def answer(*events: k.KiroEvent, thinking: Thinking = HIDDEN, **changes: Any) -> dict[str, Any]:
    return fold(reply(events, thinking, **changes))


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


def test_row_76_a_call_whose_arguments_were_cut_is_no_call() -> None:
    message = answer(said("Writing."), used("t", '{"path":"a.txt","text":"Once upon'))
    assert kinds(message) == ["text"]
    assert message["stop_reason"] == "max_tokens"


def test_row_76_a_call_without_its_stop_is_one_when_its_arguments_are_whole() -> None:
    message = answer(used("t", '{"path":"a.txt"}'))
    assert message["content"][0]["input"] == {"path": "a.txt"}
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize("at", range(1, 25))
def test_row_77_arguments_cut_anywhere_are_joined_by_id(at: int) -> None:
    arguments = '{"text":"é 😀 \\n \\ud83d\\ude00"}'
    message = answer(used("t", arguments[:at]), used("t", arguments[at:]), used("t", stop=True))
    assert message["content"][0]["input"] == {"text": "é 😀 \n 😀"}


def test_row_78_interleaved_calls_are_blocks_of_their_own_in_order() -> None:
    begun = (used("one", '{"a"'), used("two", '{"b"'), used("one", ":1}"), used("two", ":2}"))
    message = answer(*begun, used("one", stop=True), used("two", stop=True))
    assert [block["input"] for block in message["content"]] == [{"a": 1}, {"b": 2}]


def test_row_79_no_arguments_are_an_empty_object_only_at_a_stop() -> None:
    stopped = answer(used("t"), used("t", stop=True))
    assert stopped["content"][0]["input"] == {}
    assert stopped["stop_reason"] == "tool_use"
    cut = answer(used("t"))
    assert cut["content"] == []
    assert cut["stop_reason"] == "max_tokens"


def test_row_81_every_section_of_thinking_is_a_block() -> None:
    message = answer(said("<thin"), said("king>one</thin"), said("king>\n\nA\n<thinking>two</thinking>\n\nB"), thinking=TAGGED)
    assert kinds(message) == ["thinking", "text", "thinking", "text"]
    assert [block.get("text", block.get("thinking")) for block in message["content"]] == ["one", "A\n", "two", "B"]


def test_row_81_a_tag_in_backticks_and_an_unclosed_section_swallow_nothing() -> None:
    assert answer(said("Use `<thinking>` tags"), thinking=TAGGED)["content"] == [
        {"type": "text", "text": "Use `<thinking>` tags"}
    ]
    unclosed = answer(said("<thinking>never closed"), thinking=TAGGED)
    assert unclosed["content"][0]["thinking"] == "never closed"
    assert unclosed["stop_reason"] == "max_tokens"


@pytest.mark.parametrize("thinking", [NATIVE, HIDDEN])
def test_row_82_a_tag_stays_text_where_thinking_has_events_of_its_own(thinking: Thinking) -> None:
    code = "\n<thinking>\nsample\n</thinking>\n"
    assert answer(said(code), thinking=thinking)["content"] == [{"type": "text", "text": code}]


def test_row_84_a_signature_or_a_sealed_thought_alone_makes_no_empty_thinking() -> None:
    assert kinds(answer(thought(signature="s"), said("Yes"), thinking=NATIVE)) == ["text"]
    message = answer(thought(redacted="RW0="), said("Yes"), thinking=NATIVE)
    assert [block["type"] for block in message["content"]] == ["redacted_thinking", "text"]
    assert "RW0=" in message["content"][0]["data"]


def test_row_85_figures_come_from_the_best_source() -> None:
    exact = k.Metadata(k.TokenUsage(50, 60, 0, 0), None, None)
    empty = k.Metadata(k.TokenUsage(0, 0, 0, 0), None, None)
    context = k.ContextUsage(1.0)
    inputs = [answer(said("Yes"), *more)["usage"]["input_tokens"] for more in ((exact, context), (empty, context), (empty,))]
    assert inputs == [50, 2_000 - 1, 10]


@pytest.mark.parametrize("percent", [100.0, 130.5])
def test_row_85_a_full_window_is_told(percent: float) -> None:
    message = answer(said("Yes"), k.ContextUsage(percent))
    assert message["stop_reason"] == "model_context_window_exceeded"
    assert message["usage"]["input_tokens"] >= 199_999


def test_row_85_an_answer_of_calls_only_cost_something() -> None:
    assert answer(used("t", stop=True))["usage"]["output_tokens"] > 0


def test_row_86_cached_tokens_are_not_counted_twice() -> None:
    usage = answer(said("Yes"), k.Metadata(k.TokenUsage(5, 6, 700, 80), None, None))["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (5, 700, 80)


def test_row_87_credits_stay_exact() -> None:
    building = builder()
    building.receive(k.Metering(Decimal("0.1"), "credit"))
    building.receive(k.Metering(Decimal("0.20000000000000001"), "credit"))
    assert building.usage.credits == Decimal("0.30000000000000001")


INVOKE = '<invoke name="Bash">\n<parameter name="command">ls</parameter>\n</invoke>'
BASH = {"Bash": {"type": "object", "properties": {"command": {"type": "string"}}}}


def test_row_83_a_call_written_as_text_becomes_one() -> None:
    for pieces in ((INVOKE,), tuple(INVOKE)):
        message = answer(said("I will look.\n"), *map(said, pieces), tools=BASH)
        assert kinds(message) == ["text", "tool_use"]
        assert message["content"][1]["input"] == {"command": "ls"}
        assert message["stop_reason"] == "tool_use"


def test_row_83_beside_a_real_call_it_stays_text() -> None:
    message = answer(said(INVOKE), used("t", '{"command":"ls"}', stop=True), tools=BASH)
    assert [block.get("text") for block in message["content"]] == [INVOKE, None]


@pytest.mark.parametrize("text", [f"```xml\n{INVOKE}\n```", INVOKE.replace("Bash", "Unknown"), INVOKE[:-3]])
def test_row_83_in_a_fence_undeclared_or_broken_it_stays_text(text: str) -> None:
    message = answer(said(text), tools=BASH)
    assert message["content"] == [{"type": "text", "text": text}]
    assert message["stop_reason"] == "end_turn"
