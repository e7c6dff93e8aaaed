"""The newest official Python SDK, unmodified, against gunicorn with two workers and the stand-in."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import anthropic
import psutil
import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway

MODEL = "claude-sonnet-4.5"
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME: dict[str, Any] = {**WEATHER, "name": "get_time", "description": "The time in a city"}


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + b"\x7f\x00\x00" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_whole_text(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script(
        [{"events": [["assistantResponseEvent", {"content": "Hello "}], ["assistantResponseEvent", {"content": "you"}]]}]
    )
    message = gateway.sdk().messages.create(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": "Hi"}])
    assert text_of(message) == "Hello you"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert message._request_id is not None
    assert message._request_id.startswith("req_")


def test_streamed_text(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"text": "one two three four five", "delay_between": 0.02}])
    with gateway.sdk().messages.stream(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": "Hi"}]) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == text_of(message) == "one two three four five"
    assert message.stop_reason == "end_turn"


def test_a_tool_loop_with_two_parallel_calls(gateway: Gateway, simulator: Simulator) -> None:
    calls = [
        ["assistantResponseEvent", {"content": "Let me look."}],
        ["toolUseEvent", {"toolUseId": "tooluse_a", "name": "get_weather", "input": ""}],
        ["toolUseEvent", {"toolUseId": "tooluse_a", "name": "get_weather", "input": '{"city":'}],
        ["toolUseEvent", {"toolUseId": "tooluse_a", "name": "get_weather", "input": '"Rome"}'}],
        ["toolUseEvent", {"toolUseId": "tooluse_a", "name": "get_weather", "stop": True}],
        ["toolUseEvent", {"toolUseId": "tooluse_b", "name": "get_time", "input": '{"city":"Oslo"}'}],
        ["toolUseEvent", {"toolUseId": "tooluse_b", "name": "get_time", "stop": True}],
    ]
    for streamed in (True, False):
        simulator.script([{"events": calls}])
        sdk = gateway.sdk()
        messages: list[Any] = [{"role": "user", "content": "Weather in Rome, time in Oslo?"}]
        arguments: dict[str, Any] = {"model": MODEL, "max_tokens": 500, "tools": [WEATHER, TIME]}
        if streamed:
            with sdk.messages.stream(messages=messages, **arguments) as stream:
                first = stream.get_final_message()
        else:
            first = sdk.messages.create(messages=messages, **arguments)
        assert first.stop_reason == "tool_use"
        uses = [block for block in first.content if block.type == "tool_use"]
        assert [(use.name, use.input) for use in uses] == [("get_weather", {"city": "Rome"}), ("get_time", {"city": "Oslo"})]
        results = [{"type": "tool_result", "tool_use_id": use.id, "content": f"{use.name} is fine"} for use in uses]
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        second = sdk.messages.create(messages=messages, **arguments)  # the stand-in's own answer quotes the results
        assert second.stop_reason == "end_turn"
        assert "get_weather is fine" in text_of(second)


def test_streamed_thinking(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script(
        [
            {
                "events": [
                    ["assistantResponseEvent", {"content": piece}]
                    for piece in ("<thin", "king>\nHm, ", "so.\n</thinking>\n\nYes", "!")
                ]
            }
        ]
    )
    with gateway.sdk().messages.stream(
        model=MODEL,
        max_tokens=4000,
        thinking={"type": "enabled", "budget_tokens": 2000},
        messages=[{"role": "user", "content": "Well?"}],
    ) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].type == "thinking"
    assert message.content[0].thinking.strip() == "Hm, so."
    assert text_of(message) == "Yes!"


def test_thinking_nobody_asked_for_is_not_shown(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script(
        [{"events": [["reasoningContentEvent", {"text": "secret"}], ["assistantResponseEvent", {"content": "Yes"}]]}]
    )
    message = gateway.sdk().messages.create(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": "Well?"}])
    assert [block.type for block in message.content] == ["text"]


def test_an_image(gateway: Gateway, simulator: Simulator) -> None:
    data = base64.b64encode(png(8, 8)).decode()
    message = gateway.sdk().messages.create(
        model=MODEL,
        max_tokens=100,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
                    {"type": "text", "text": "What is it?"},
                ],
            }
        ],
    )
    assert message.stop_reason == "end_turn"
    sent = simulator.calls("/generateAssistantResponse")[-1]["body"]
    images = sent["conversationState"]["currentMessage"]["userInputMessage"]["images"]
    assert images == [{"format": "png", "source": {"bytes": data}}]


def test_errors_become_the_sdk_s_own_exceptions(gateway: Gateway) -> None:
    hello: Any = [{"role": "user", "content": "Hi"}]
    with pytest.raises(anthropic.AuthenticationError):
        gateway.sdk(api_key="sk-wrong").messages.create(model=MODEL, max_tokens=10, messages=hello)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        gateway.sdk().messages.create(model=MODEL, max_tokens="many", messages=hello)  # type: ignore[call-overload]
    with pytest.raises(anthropic.NotFoundError):
        gateway.sdk().post("/v1/nothing-here", cast_to=object, body={})
    with pytest.raises(anthropic.NotFoundError, match="model: gpt-2"):
        gateway.sdk().messages.create(model="gpt-2", max_tokens=10, messages=hello)


def test_counting_and_models(gateway: Gateway) -> None:
    sdk = gateway.sdk()
    assert sdk.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "Hello, Claude"}]).input_tokens > 0
    ids = [model.id for model in sdk.models.list(limit=3)]
    assert MODEL in ids
    assert len(ids) == len(set(ids)) > 3, "the pager went through several pages"
    assert sdk.models.retrieve(MODEL).id == MODEL


def test_both_workers_answer(gateway: Gateway) -> None:
    before = {pid: sum(psutil.Process(pid).cpu_times()[:2]) for pid in gateway.worker_pids()}
    for _ in range(60):
        gateway.sdk().messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    worked = [pid for pid, seconds in before.items() if sum(psutil.Process(pid).cpu_times()[:2]) > seconds]
    assert len(before) == len(worked) == 2
