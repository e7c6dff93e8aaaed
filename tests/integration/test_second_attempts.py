"""A request that Kiro refuses although it looked right is sent once or twice more in another form, and the record says so."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command
from tests.integration.wire import ask, body

CHAT = "/generateAssistantResponse"
NATIVE = "claude-sonnet-5"
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string", "format": "x"}}}}


def refusal(reason: str | None) -> dict[str, Any]:
    return {"status": 400, "body": {"message": "Improperly formed request.", "reason": reason}}


def told(gateway: Gateway, request_id: str, part: str) -> str:
    """The record of a request, once it holds `part`; it is written after the answer."""
    for _ in range(10):
        shown = flask_command(gateway.folder, "requests", request_id).stdout
        if part in shown:
            return shown
    raise AssertionError(shown)


def test_a_refused_schema_is_simplified(gateway: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    simulator.script([refusal("TOOL_SCHEMA_INVALID")])
    answer = ask(gateway.url, body(tools=[TOOL]))
    assert answer.status == 200
    schemas = [
        call["body"]["conversationState"]["currentMessage"]["userInputMessage"]["userInputMessageContext"]["tools"][0][
            "toolSpecification"
        ]["inputSchema"]["json"]["properties"]["city"]
        for call in simulator.calls(CHAT)
    ]
    assert schemas == [{"type": "string", "format": "x"}, {"type": "string"}]
    assert "retry_with_strict_schemas" in told(gateway, answer.headers["request-id"], "retry_with_strict_schemas")


def test_two_changes_are_the_limit(gateway: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    simulator.script([{**refusal(None), "times": 0}])
    answer = ask(gateway.url, body(tools=[TOOL]))
    assert answer.status == 400
    assert "Improperly formed request." in answer.json["error"]["message"]
    assert len(simulator.calls(CHAT)) == 3


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "The gateway's own checks found nothing wrong with it; `flask --app wsgi requests ID` shows what was tried."),
        (1_001, "Likely cause: 1001 tools are declared; only hundreds are known to work."),
    ],
)
def test_a_refusal_that_says_nothing_is_explained(gateway: Gateway, simulator: Simulator, count: int, told: str) -> None:
    simulator.script([{**refusal(None), "times": 0}])
    answer = ask(gateway.url, body(tools=[{**TOOL, "name": f"tool_{at}"} for at in range(count)]))
    assert answer.status == 400
    assert answer.json["error"] == {
        "type": "invalid_request_error",
        "message": f"Kiro refuses this request: Improperly formed request. {told}",
    }


def converse(gateway: Gateway, messages: list[Any], model: str = NATIVE) -> anthropic.types.Message:
    return gateway.sdk().messages.create(model=model, max_tokens=4000, thinking={"type": "adaptive"}, messages=messages)


def reasonings(call: dict[str, Any]) -> list[Any]:
    """Thinking in the history of a call."""
    turns = (turn.get("assistantResponseMessage", {}) for turn in call["body"]["conversationState"].get("history", []))
    return [turn["reasoningContent"] for turn in turns if "reasoningContent" in turn]


@pytest.fixture
def thinking_talk(gateway: Gateway, simulator: Simulator) -> list[Any]:
    """Two turns with signed thinking in the first."""
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    first = converse(gateway, messages)
    assert [block.type for block in first.content] == ["thinking", "text"]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And now?"}]
    second = converse(gateway, messages)
    simulator.clear_calls()
    return [*messages, {"role": "assistant", "content": second.content}, {"role": "user", "content": "And then?"}]


def test_signed_thinking_is_sent_again_and_accepted(gateway: Gateway, simulator: Simulator, thinking_talk: list[Any]) -> None:
    assert converse(gateway, thinking_talk).stop_reason == "end_turn"
    (call,) = simulator.calls(CHAT)
    assert call["refused_by"] is None
    assert [set(reasoning) for reasoning in reasonings(call)] == [{"reasoningText"}] * 2


def test_thinking_is_dropped_when_the_model_changed(gateway: Gateway, simulator: Simulator, thinking_talk: list[Any]) -> None:
    assert converse(gateway, thinking_talk, model="claude-opus-4.8").stop_reason == "end_turn"
    (call,) = simulator.calls(CHAT)
    assert reasonings(call) == []


def test_thinking_that_kiro_does_not_know_any_more_is_left_out(
    gateway: Gateway, simulator: Simulator, thinking_talk: list[Any]
) -> None:
    simulator.script([{"status": 400, "body": {"message": "Invalid signature", "reason": "THINKING_SIGNATURE_INVALID"}}])
    assert converse(gateway, thinking_talk).stop_reason == "end_turn"
    first, second = simulator.calls(CHAT)
    assert len(reasonings(first)) == 2
    assert reasonings(second) == []


def test_foreign_thinking_is_no_error(gateway: Gateway, simulator: Simulator, thinking_talk: list[Any]) -> None:
    foreign = {"type": "thinking", "thinking": "Hm", "signature": "EqQBCgZmb3JlaWdu"}
    messages = [
        thinking_talk[0],
        {"role": "assistant", "content": [foreign, {"type": "text", "text": "Hi"}]},
        thinking_talk[-1],
    ]
    assert converse(gateway, messages).stop_reason == "end_turn"
    (call,) = simulator.calls(CHAT)
    assert reasonings(call) == []


def talk(text: str, *more: Any) -> list[Any]:
    return [{"events": [["assistantResponseEvent", {"content": text}], *more]}]


CALL = ["toolUseEvent", {"toolUseId": "tooluse_1", "name": "get_weather", "input": "{}", "stop": True}]


@pytest.mark.parametrize("stream", [True, False])
def test_a_demanded_call_is_asked_for_once_more(gateway: Gateway, simulator: Simulator, stream: bool) -> None:
    simulator.clear_calls()
    simulator.script([*talk("I would rather not."), *talk("Well then.", CALL)])
    answer = ask(gateway.url, body(tools=[TOOL], tool_choice={"type": "any"}, stream=stream))
    assert answer.status == 200
    first, second = (
        call["body"]["conversationState"]["currentMessage"]["userInputMessage"]["content"] for call in simulator.calls(CHAT)
    )
    assert second.startswith(first)
    assert second.count("Call at least one of the tools") == 2
    if stream:
        assert answer.types.count("message_start") == 1
        assert answer.text == "Well then."
    else:
        assert [block["type"] for block in answer.json["content"]] == ["text", "tool_use"]


def test_a_demanded_call_that_never_comes_ends_in_the_text(gateway: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    simulator.script([*talk("No."), *talk("Still no.")])
    answer = ask(gateway.url, body(tools=[TOOL], tool_choice={"type": "tool", "name": "get_weather"}))
    assert answer.json["content"] == [{"type": "text", "text": "Still no."}]
    assert answer.json["stop_reason"] == "end_turn"
    assert len(simulator.calls(CHAT)) == 2


def test_row_80_silence_after_a_result_is_asked_about_once_and_then_an_error(gateway: Gateway, simulator: Simulator) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
    asked = body(tools=[TOOL]) | {
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ]
    }
    only_thinking = {
        "events": [["reasoningContentEvent", {"text": "Hm"}], ["contextUsageEvent", {"contextUsagePercentage": 1}]]
    }
    simulator.clear_calls()
    simulator.script([only_thinking, *talk("Sunny.")])
    assert ask(gateway.url, asked).json["content"] == [{"type": "text", "text": "Sunny."}]
    simulator.script([only_thinking, only_thinking])
    answer = ask(gateway.url, asked)
    assert answer.status == 502
    assert "had nothing to say" in answer.json["error"]["message"]
    assert len(simulator.calls(CHAT)) == 4


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_written_as_text_becomes_one_and_the_record_says_so(
    gateway: Gateway, simulator: Simulator, stream: bool
) -> None:
    text = '<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n</invoke>'
    simulator.script([{"events": [["assistantResponseEvent", {"content": c}] for c in text]}])
    answer = ask(gateway.url, body(tools=[TOOL], stream=stream))
    if stream:
        starts = [event["content_block"]["type"] for event in answer.events if event["type"] == "content_block_start"]
        assert starts == ["tool_use"]
    else:
        assert answer.json["content"][0]["input"] == {"city": "Rome"}
        assert answer.json["stop_reason"] == "tool_use"
    told(gateway, answer.headers["request-id"], "recovered_call")
