"""The whole document, and the effect of every choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from app.translate.request import SYSTEM_ACCEPTED, Translation
from app.translate.rules import CHOICES
from tests.contract.conversations import OLD, PIXELS, translate
from tests.unit.anthropic.bodies import assistant, body, call, image, result, system, text, tool, user

READ = tool("Read", description="d")
HIDDEN = tool("Hidden", description="d", defer_loading=True)
LOOP = (user("Hi"), assistant(call(name="Read")))
PNG = image(data=PIXELS["png"])


def current(done: Translation) -> Any:
    return done.kiro.conversation_state["currentMessage"]["userInputMessage"]


def tools(done: Translation) -> list[str]:
    context = current(done)["userInputMessageContext"]
    return [entry["toolSpecification"]["name"] for entry in context.get("tools", [])]


def first(done: Translation) -> str:
    return str(done.kiro.conversation_state["history"][0]["userInputMessage"]["content"])


def results(done: Translation) -> Any:
    return current(done)["userInputMessageContext"]["toolResults"]


def test_a_plain_question_is_the_smallest_document() -> None:
    done = translate(body(user("Hi"), model="claude-sonnet-4.5"))
    state = done.kiro.conversation_state
    assert {key: value for key, value in state.items() if not key.endswith("Id")} == {
        "agentTaskType": "vibe",
        "chatTriggerType": "MANUAL",
        "currentMessage": {
            "userInputMessage": {
                "content": "Hi",
                "modelId": "claude-sonnet-4.5",
                "origin": "AI_EDITOR",
                "userInputMessageContext": {},
            }
        },
    }
    assert done.kiro.model_fields is None
    assert done.rules == []


def test_the_system_text_is_the_first_exchange() -> None:
    history = translate(body(system=[text("Be"), text("brief.")])).kiro.conversation_state["history"]
    assert history[0]["userInputMessage"]["content"] == "Be\nbrief."
    assert history[1] == {"assistantResponseMessage": {"content": SYSTEM_ACCEPTED}}


def test_the_profile_is_no_part_of_it() -> None:
    assert b"profileArn" not in orjson.dumps(translate(body()).kiro.conversation_state)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"type": "auto"}, None),
        ({"type": "none"}, "Do not call any tool in this turn; answer in text."),
        ({"type": "any"}, "Call at least one of the tools in this turn."),
        ({"type": "tool", "name": "Read"}, "Call the tool Read in this turn."),
        ({"type": "auto", "disable_parallel_tool_use": True}, "Call at most one tool in this turn."),
    ],
)
def test_a_choice_of_tools_is_said_at_the_end(choice: Any, words: str | None) -> None:
    done = translate(body(tools=[READ], tool_choice=choice))
    said = "" if words is None else f"\n<system-reminder>\n{words}\n</system-reminder>"
    assert current(done)["content"] == f"Hi{said}"
    assert tools(done) == ([] if choice["type"] == "none" else ["Read"])


def test_without_a_choice_of_tools_those_the_history_calls_stay() -> None:
    assert tools(translate(body(*LOOP, user(result()), tools=[READ, tool("Other")], tool_choice={"type": "none"}))) == ["Read"]


def test_a_demanded_deferred_tool_is_sent() -> None:
    done = translate(body(tools=[READ, HIDDEN], tool_choice={"type": "tool", "name": "Hidden"}))
    assert tools(done) == ["Read", "Hidden"]


def test_a_removed_tool_is_left_out_unless_the_history_calls_it() -> None:
    removed = system({"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Read"}})
    assert tools(translate(body(user("Hi"), removed, tools=[READ]))) == []
    assert tools(translate(body(*LOOP, user(result()), removed, tools=[READ]))) == ["Read"]


# --- choices --------------------------------------------------------------------------------------------------------------

DOCUMENT = {"type": "document", "source": {"type": "content", "content": [text("a"), PNG]}}
FORMAT = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
ADDED = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "Hidden"}}

EFFECTS: dict[str, tuple[Any, Callable[[Translation], Any], Any]] = {
    "billing_line": (body(system=[text("x-anthropic-billing-header: 1"), text("Be brief.")]), first, "Be brief."),
    "empty_result": (body(*LOOP, user(result())), results,
                     [{"toolUseId": "toolu_1", "content": [{"text": "(empty result)"}], "status": "success"}]),
    "tool_image": (body(*LOOP, user(result(content=[PNG]))), lambda done: len(current(done)["images"]), 1),
    "assistant_document": (body(user("Hi"), assistant(DOCUMENT), user("Go")), lambda done: len(current(done)["images"]), 1),
    "document_text": (body(user(DOCUMENT)), lambda done: current(done)["content"], "<document>\na\n</document>"),
    "history_thinking": (
        body(user("Hi"), assistant({"type": "thinking", "thinking": "Hm", "signature": "s"}, text("Hello")), user("Go")),
        lambda done: done.kiro.conversation_state["history"][1], {"assistantResponseMessage": {"content": "Hello"}}),
    "model_without_images": (body(user(PNG), model="glm-5"), lambda done: "images" in current(done), False),
    "server_tool": (body(tools=[{"type": "web_search_20250305", "name": "web_search"}, READ]), tools, ["Read"]),
    "deferred_tool": (body(tools=[READ, HIDDEN]), tools, ["Read"]),
    "tool_change": (body(user("Hi"), system(ADDED), tools=[READ, HIDDEN]), tools, ["Read", "Hidden"]),
    "tool_examples": (body(tools=[{**READ, "input_examples": [{"a": 1}]}]),
                      lambda done: current(done)["userInputMessageContext"]["tools"][0]["toolSpecification"]["description"],
                      'd\n\nExamples of arguments:\n{"a":1}'),
    "tool_choice": (body(tools=[READ], tool_choice={"type": "any"}),
                    lambda done: "at least one of the tools" in current(done)["content"], True),
    "output_format": (body(output_config=FORMAT), lambda done: '{"type":"object"}' in current(done)["content"], True),
    "thinking_tags": (body(thinking={"type": "enabled", "budget_tokens": 2000}, system="Be brief."), first,
                      "<thinking_mode>enabled</thinking_mode><max_thinking_length>2000</max_thinking_length>\nBe brief."),
}  # fmt: skip


def test_every_choice_has_a_test_of_its_effect() -> None:
    assert EFFECTS.keys() == CHOICES.keys()


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_does_what_it_says_and_is_recorded(choice: str) -> None:
    raw, look, expected = EFFECTS[choice]
    done = translate(raw, version=OLD)
    assert look(done) == expected
    assert choice in done.rules
    assert choice not in translate(body()).rules
