"""What it says when nobody scripted it, as far as people and agents rely on it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from simulator import answers
from simulator.accounts import SOCIAL_PROFILE_ARN, Account
from simulator.chat import ChatCall
from simulator.validation import validate
from tests.unit.simulator.bodies import assistant, body, image, png, result, tool, use, user

CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
WEATHER, TIME = tool("get_weather", schema=CITY), tool("get_time", schema={"type": "object", "properties": {}})
ADAPTIVE = {"thinking": {"type": "adaptive", "display": "summarized"}}


def chat(request: Any, **more: Any) -> ChatCall:
    account = Account(
        "a", "social", "us-east-1", "us-east-1", SOCIAL_PROFILE_ARN, "pro", "", 1.0, 0.0, False, None, None, None, {}
    )
    call = ChatCall(request, 100, "q", "us-east-1", account, **more)
    assert validate(call) is None
    return call


def answer(request: Any) -> list[answers.Event]:
    numbers = itertools.count(1)
    return answers.compose(chat(request), new_tool_id=lambda: f"tooluse_{next(numbers)}")


def said(events: list[answers.Event]) -> str:
    return "".join(payload["content"] for kind, payload in events if kind == "assistantResponseEvent")


def called(events: list[answers.Event]) -> list[tuple[str, str, Any]]:
    """Tool calls put together from their fragments, in order."""
    found: dict[str, tuple[str, str, bool]] = {}
    for kind, payload in events:
        if kind == "toolUseEvent":
            name, written, ended = found.get(payload["toolUseId"], (payload["name"], "", False))
            assert not ended, "nothing follows the stop"
            found[payload["toolUseId"]] = (name, written + payload.get("input", ""), payload.get("stop", False))
    assert all(ended for _, _, ended in found.values())
    return [(key, name, json.loads(written or "{}")) for key, (name, written, _) in found.items()]


def test_it_quotes_the_prompt_in_several_events_and_ends_with_the_usage() -> None:
    events = answer(body("Hello, Kiro!"))
    assert "“Hello, Kiro!”" in said(events)
    assert len(events) > 8
    assert [kind for kind, _ in events[-2:]] == ["meteringEvent", "contextUsageEvent"]
    assert 0 < events[-1][1]["contextUsagePercentage"] < 5


def test_a_longer_body_fills_more_of_the_context() -> None:
    short, long = (answer(body("word " * count))[-1][1]["contextUsagePercentage"] for count in (10, 50_000))
    assert long > short + 20


def test_it_counts_the_turns() -> None:
    assert "This is turn 3" in said(answer(body(history=[user(), assistant(), user(), assistant()])))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Please call get_weather", [("get_weather", {"city": "example city"})]),
        ("use the tool `get_weather` now", [("get_weather", {"city": "example city"})]),
        ('call get_weather with {"city": "Rome", "days": 2}.', [("get_weather", {"city": "Rome", "days": 2})]),
        ('call get_weather({"city": "Rome"}) and get_time', [("get_weather", {"city": "Rome"}), ("get_time", {})]),
        ("Use get_time, then call get_weather", [("get_time", {}), ("get_weather", {"city": "example city"})]),
        ("How is the weather?", []),
        ("Do not mention get_weather", []),
        ("call get_weather_tomorrow", []),
    ],
)
def test_it_calls_the_tools_the_text_asks_for(prompt: str, expected: list[tuple[str, Any]]) -> None:
    events = answer(body(prompt, tools=[WEATHER, TIME]))
    assert [(name, arguments) for _, name, arguments in called(events)] == expected
    assert len({key for key, _, _ in called(events)}) == len(expected)


def test_without_tools_none_is_called() -> None:
    assert called(answer(body("call get_weather"))) == []


def test_it_quotes_tool_results_and_calls_nothing_more() -> None:
    history = [user("call Bash"), assistant(" ", uses=[use()])]
    failed = result(content=[{"text": "no such file"}], status="error")
    events = answer(body("call Bash", history=history, results=[failed], tools=[tool()]))
    assert "An error: “no such file”" in said(events)
    assert called(events) == []


def test_it_says_how_many_images_it_saw() -> None:
    assert "I see 3 images (3 png)" in said(answer(body("See", images=[image(png(1, 1))] * 3)))


def test_arguments_follow_the_schema() -> None:
    properties = {
        "mode": {"enum": ["fast", "slow"]},
        "list": {"type": "array", "items": {"type": "integer", "minimum": 5}},
        "inner": {"type": "object", "properties": {"flag": {"type": "boolean"}}, "required": ["flag"]},
        "left_out": {"type": "string"},
    }
    schema = {"type": "object", "properties": properties, "required": ["mode", "list", "inner"]}
    [(_, _, arguments)] = called(answer(body("call make", tools=[tool("make", schema=schema)])))
    assert arguments == {"mode": "fast", "list": [5], "inner": {"flag": True}}


@pytest.mark.parametrize("mode", ["enabled", "adaptive"])
def test_it_thinks_in_tags_when_the_system_text_says_so(mode: str) -> None:
    system = [user(f"<thinking_mode>{mode}</thinking_mode>\nBe nice."), assistant("I will.")]
    events = answer(body(history=system))
    text = said(events)
    assert text.startswith("<thinking>\n")
    assert "\n</thinking>\n\nHello" in text
    assert sum("thinking>" in payload.get("content", "") for _, payload in events) >= 2, "split over events"


def test_it_thinks_natively_where_the_model_can() -> None:
    events = answer(body(model="claude-sonnet-5.5", additionalModelRequestFields=ADAPTIVE))
    thoughts = [payload for kind, payload in events if kind == "reasoningContentEvent"]
    assert "friendly" in "".join(payload.get("text", "") for payload in thoughts)
    assert events[0][0] == "reasoningContentEvent"
    assert "<thinking>" not in said(events)
    signature = "".join(payload.get("signature", "") for payload in thoughts)
    nested = {"reasoningText": {"text": "…", "signature": signature}}
    replay = body(model="claude-sonnet-5.5", history=[user(), assistant(" ", reasoningContent=nested)])
    chat(replay, signatures=frozenset([signature]))


def test_it_does_not_think_unasked() -> None:
    events = answer(body(model="claude-sonnet-5.5"))
    assert "reasoningContentEvent" not in {kind for kind, _ in events}
    assert "<thinking>" not in said(events)
