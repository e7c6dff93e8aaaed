from __future__ import annotations

from typing import Any

import pytest

from app.anthropic.blocks import ContentBlock
from app.translate.blocks import _BLOCKS, IMAGE_NOTE, UPLOAD_NOTE, Reader
from app.translate.rules import Rules
from app.translate.tools import ToolNames
from app.translate.turns import ASSISTANT, USER, Call
from tests.contract.conversations import PIXELS
from tests.unit.anthropic.bodies import assistant, call, image, parse, result, system, text, user

LONG = "mcp__some_very_long_server_name__some_extremely_long_tool_name_that_overflows"
SHORT = "mcp__some_very_long_server_name__some_extremely_long_t_fc4a3fbe"
REFERENCE = {"type": "tool_reference", "tool_name": LONG}


def read(*messages: Any, images: bool = True, **fields: Any) -> tuple[Reader, list[Any]]:
    reader = Reader(Rules(), ToolNames([LONG]), images=images)
    return reader, reader.turns(parse(*messages, **fields).messages)


def said(*messages: Any, **fields: Any) -> list[str]:
    return [turn.text for turn in read(*messages, **fields)[1]]


def test_every_block_a_request_may_hold_has_a_handler() -> None:
    union = ContentBlock.__origin__  # type: ignore[attr-defined]
    tags = {kind.model_fields["type"].annotation.__args__[0] for kind in union.__args__}
    assert _BLOCKS.keys() >= tags


def test_text_blocks_are_lines() -> None:
    assert said(user(text("one"), text("two"))) == ["one\ntwo"]


def test_a_system_message_is_a_reminder_of_the_user_s_side() -> None:
    _, turns = read(user("Hi"), system(text("Be"), text("brief.")))
    assert [turn.role for turn in turns] == [USER, USER]
    assert turns[1].text == "<system-reminder>\nBe\nbrief.\n</system-reminder>"


def test_a_system_message_that_only_changes_tools_says_nothing() -> None:
    change = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "Read"}}
    reader, turns = read(user("Hi"), system(change))
    assert [turn.text for turn in turns] == ["Hi"]
    assert reader.offered == {"Read": True}


def test_the_last_change_of_a_tool_counts() -> None:
    added = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "Read"}}
    removed = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Read"}}
    reader, _ = read(user("Hi"), system(added, removed))
    assert reader.offered == {"Read": False}


def test_a_tool_defined_in_a_message_is_one() -> None:
    definition = {"name": "Read", "description": "d", "input_schema": {"type": "object"}}
    added = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": definition}}
    reader, _ = read(user("Hi"), system(added))
    assert [(tool_.name, tool_.description, tool_.schema) for tool_ in reader.defined] == [("Read", "d", {"type": "object"})]


def test_a_found_tool_is_named_as_the_model_knows_it() -> None:
    reader, turns = read(user("Hi"), assistant(call()), user(result(content=[REFERENCE])))
    assert turns[2].results[0].text == f"The tool {SHORT} can be used now."
    assert reader.offered == {LONG: True}
    search = {"type": "tool_search_tool_result", "tool_use_id": "s", "content": {"tool_references": [REFERENCE]}}
    reader, turns = read(user("Hi"), assistant(search))
    assert turns[1].text == f"The tool {SHORT} can be used now."
    assert reader.offered == {LONG: True}


def test_arguments_lose_only_what_is_refused() -> None:
    _, turns = read(user("Hi"), assistant(call(input={"a": 1, "": 2, "b": None})), user(result()))
    assert turns[1].calls == [Call("toolu_1", "get_weather", {"a": 1})]
    assert turns[1].role == ASSISTANT


def test_images_of_a_result_are_its_turn_s() -> None:
    _, turns = read(user("Hi"), assistant(call()), user(result(content=[text("See"), image(data=PIXELS["png"])])))
    assert [(turn.text, len(turn.images)) for turn in turns] == [("Hi", 0), ("", 0), ("", 1)]
    assert turns[2].results[0].texts == ["See"]


def test_a_model_without_images_is_told_of_each() -> None:
    picture = image(data=PIXELS["png"])
    _, turns = read(user(picture), assistant(call()), user(result(content=[picture])), images=False)
    assert turns[0].text == turns[2].results[0].text == IMAGE_NOTE


def test_a_document_keeps_its_images_in_place_of_a_text() -> None:
    source = {"type": "content", "content": [text("a"), image(data=PIXELS["png"]), text("b")]}
    _, turns = read(user({"type": "document", "source": source}))
    assert turns[0].text == "<document>\na\nb\n</document>"
    assert len(turns[0].images) == 1


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "container_upload", "file_id": "file_1"}, UPLOAD_NOTE),
        ({"type": "search_result", "source": "s", "title": "t", "content": [text("x")]},
         '<search_result source="s" title="t">\nx\n</search_result>'),
    ],
)  # fmt: skip
def test_what_kiro_has_no_word_for_becomes_text(block: Any, expected: str) -> None:
    assert said(user(block)) == [expected]


def test_what_an_assistant_s_server_tools_said_is_framed() -> None:
    mcp = (
        {"type": "mcp_tool_use", "id": "m", "name": "echo", "server_name": "s", "input": {"a": 1}},
        {"type": "mcp_tool_result", "tool_use_id": "m", "content": [text("ok")]},
    )
    assert said(user("Hi"), assistant(*mcp))[1] == '<echo_call>{"a":1}</echo_call>\n<mcp_result>\nok\n</mcp_result>'


def test_thinking_is_left_out() -> None:
    thoughts = ({"type": "thinking", "thinking": "Hm", "signature": "s"}, {"type": "redacted_thinking", "data": "x"})
    reader, turns = read(user("Hi"), assistant(*thoughts, text("Hello")))
    assert turns[1].text == "Hello"
    assert reader.rules.fired == ["history_thinking"]


def test_a_compaction_is_its_summary() -> None:
    assert said(user("Hi"), assistant({"type": "compaction", "content": "Summary."}), user("Go"))[1] == "Summary."
