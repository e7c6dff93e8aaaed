from __future__ import annotations

from typing import Any

import pytest

from app.anthropic.checks import CHECKS, MESSAGE_CHECKS
from app.errors import RequestRejected
from tests.unit.anthropic.bodies import (
    NEW,
    OLD,
    assistant,
    call,
    count,
    image,
    parse,
    refusal,
    result,
    system,
    text,
    tool,
    user,
)

MARK = {"type": "ephemeral"}
LONG_MARK = {"type": "ephemeral", "ttl": "1h"}
UNANSWERED = (
    "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: {}. "
    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
)
UNEXPECTED = (
    "messages.{}: unexpected `tool_use_id` found in `tool_result` blocks: {}. "
    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
)
CITED = text(citations=[{"type": "char_location", "cited_text": "x"}])
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}}
SCHEMA_INVALID = "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12"


def fired(*messages: Any, **fields: Any) -> list[str]:
    """Names of the checks that fail and may be repaired; fails when it is refused nevertheless."""
    return parse(*messages, repair=True, **fields).repaired


def test_names_are_unique() -> None:
    names = [check.name for check in CHECKS + MESSAGE_CHECKS]
    assert len(names) == len(set(names))


# --- what is always refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}, "x"])
def test_a_thread_is_declined_with_the_code_sdks_know(repair: bool, thread: Any) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(user(result("toolu_of_the_turn_before")), thread=thread, repair=repair)
    assert caught.value.message == "thread: Threads are not available for this request."
    assert caught.value.details == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize("repair", [False, True])
def test_no_messages_are_refused(repair: bool) -> None:
    assert refusal(messages=[], repair=repair) == "messages: at least one message is required"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"temperature": 1.1}, "temperature: range: 0..1"),
        ({"temperature": -1}, "temperature: range: 0..1"),
        ({"top_p": 2}, "top_p: range: 0..1"),
        ({"stop_sequences": ["x", " \n"]}, "stop_sequences: each stop sequence must contain non-whitespace"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "temperature": 0.5},
            "`temperature` may only be set to 1 when thinking is enabled.",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "tool_choice": {"type": "any"}, "tools": [tool()]},
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found in provided tools"),
        ({"tool_choice": {"type": "tool", "name": "x"}, "tools": [tool()]}, "Tool 'x' not found in provided tools"),
        (
            {
                "tools": [
                    {"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a"], "blocked_domains": ["b"]}
                ]
            },
            "tools.0.web_search_20250305: Only one of",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(fields: dict[str, Any], told: str) -> None:
    assert refusal(**fields).startswith(told)
    assert refusal(**fields, repair=True).startswith(told)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (user(call()), "messages.0: `tool_use` blocks can only be in `assistant` messages"),
        (
            user({"type": "thinking", "thinking": "", "signature": ""}),
            "messages.0: `thinking` blocks can only be in `assistant`",
        ),
        (
            user({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
            "messages.0: `server_tool_use` blocks",
        ),
        (system(image()), "messages.0: `image` blocks can not be in `system` messages"),
        (assistant(result()), "messages.0: `tool_result` blocks can only be in `user` messages"),
        (assistant(image()), "messages.0: `image` blocks can only be in `user` messages"),
    ],
)
def test_a_block_in_the_wrong_message_is_refused(message: Any, told: str) -> None:
    assert refusal(message).startswith(told)


# --- versions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "value"), [("temperature", 1), ("top_p", 1), ("top_k", 0), ("temperature", None)])
def test_sampling_is_gone_in_the_newest_version(field: str, value: Any) -> None:
    parse(**{field: value}, version=OLD)
    assert refusal(**{field: value}, version=NEW) == f"{field}: Extra inputs are not permitted"


def test_a_document_of_the_assistant_is_gone_in_the_newest_version() -> None:
    parse(user("Hi"), assistant(PDF), user("?"), version=OLD)
    assert refusal(user("Hi"), assistant(PDF), user("?"), version=NEW) == (
        "messages.1: `document` blocks can only be in `user` messages"
    )
    fetched = {"type": "web_fetch_tool_result", "tool_use_id": "s", "content": {"type": "web_fetch_result", "content": PDF}}
    parse(user("Hi"), assistant(fetched), user("?"), version=NEW)
    parse(user(PDF), version=NEW)


def test_citations_of_the_user_are_gone_in_the_newest_version() -> None:
    search = {"type": "search_result", "source": "s", "title": "t", "content": [text(), CITED]}
    nested = [user("Hi"), assistant(call()), user(result(content=[search]))]
    for messages, path in (
        ([user(text(), CITED)], "messages.0.content.1.text"),
        ([user(search)], "messages.0.content.0.search_result.content.1"),
        (nested, "messages.2.content.0.tool_result.content.0.search_result.content.1"),
    ):
        parse(*messages, version=OLD)
        assert refusal(*messages, version=NEW) == f"{path}.citations: Extra inputs are not permitted"
    parse(user("Hi"), assistant(CITED), user(text(citations=[])), user({**PDF, "citations": {"enabled": True}}), version=NEW)


def test_a_count_is_judged_by_its_version_too() -> None:
    with pytest.raises(RequestRejected, match="document"):
        count(user("Hi"), assistant(PDF), user("?"), version=NEW)


# --- what may be repaired -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "check", "told"),
    [
        ([assistant("Hi"), user("Hi")], "user_speaks_first", 'messages: first message must use the "user" role'),
        ([system("S"), assistant("Hi"), user("Hi")], "user_speaks_first", "messages: first message must use"),
        (
            [user(""), assistant("Hi"), user("Hi")],
            "messages_are_not_empty",
            "messages.0: all messages must have non-empty content except for the optional final assistant message",
        ),
        ([user("Hi"), assistant(), user("Hi")], "messages_are_not_empty", "messages.1: all messages must have non-empty"),
        ([user("Hi"), assistant("Yes"), user()], "messages_are_not_empty", "messages.2: all messages must have non-empty"),
        ([user(text(), text(""))], "text_is_not_empty", "messages: text content blocks must be non-empty"),
        ([user("Hi"), assistant(text("")), user("Hi")], "text_is_not_empty", "messages: text content blocks must be non-empty"),
        ([user(" ")], "text_is_not_blank", "messages: text content blocks must contain non-whitespace text"),
        ([user(image(), text("\n\t"))], "text_is_not_blank", "messages: text content blocks must contain non-whitespace text"),
        (
            [user("Hi"), assistant("The answer is ")],
            "prefill_has_no_trailing_blank",
            "messages: final assistant content cannot end with trailing whitespace",
        ),
        ([user("Hi"), assistant(call("a"))], "calls_are_answered", UNANSWERED.format("a")),
        ([user("Hi"), assistant(call("a"), call("b")), user("No")], "calls_are_answered", UNANSWERED.format("a, b")),
        ([user("Hi"), assistant(call("a"), call("b")), user(result("a"))], "calls_are_answered", UNANSWERED.format("b")),
        ([user(result("x"))], "results_have_calls", UNEXPECTED.format("0.content.0", "x")),
        (
            [user("Hi"), assistant(call("a")), user(result("a")), assistant("Ok"), user(text(), result("a"))],
            "results_have_calls",
            UNEXPECTED.format("4.content.1", "a"),
        ),
        (
            [user("Hi"), assistant(call("a")), user(result("a"), result("a"))],
            "results_are_single",
            "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: a",
        ),
        (
            [user("Hi"), assistant(call("a"), call("a")), user(result("a"))],
            "call_ids_are_unique",
            "messages: `tool_use` ids must be unique",
        ),
    ],
)
def test_a_conversation_that_may_be_repaired(messages: list[Any], check: str, told: str) -> None:
    assert refusal(*messages).startswith(told)
    assert check in fired(*messages)


@pytest.mark.parametrize(
    ("fields", "check", "told"),
    [
        ({"system": [text("")]}, "system_text_is_not_empty", "system: text content blocks must be non-empty"),
        ({"tools": [tool(), tool()]}, "tool_names_are_unique", "tools: Tool names must be unique."),
        *(
            (
                {"tools": [tool(name)]},
                "tool_names_are_well_formed",
                "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
            )
            for name in ("a.b", "a/b", "a b", "天気", "", "x" * 129, "a\n")
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
            "thinking_leaves_room",
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at ",
        ),
    ],
)
def test_a_field_that_may_be_repaired(fields: dict[str, Any], check: str, told: str) -> None:
    assert refusal(**fields).startswith(told)
    assert fired(**fields) == [check]


def test_a_foreign_role_may_be_repaired() -> None:
    told = 'messages: Unexpected role "{}". Allowed roles are "user" or "assistant".'
    for role in ("developer", "tool", "function"):
        message = {"role": role, "content": "x"}
        assert refusal(user("Hi"), message).startswith(told.format(role))
    request = parse(user("Hi"), {"role": "developer", "content": "x"}, {"role": "tool", "content": "y"}, repair=True)
    assert [message.role for message in request.messages] == ["user", "system", "user"]
    assert request.repaired == ["roles_are_known"]


def test_system_blocks_that_are_no_text_may_be_left_out() -> None:
    assert refusal(system=[image(), text()]) == "system.0.type: Input should be 'text'"
    request = parse(system=[image(), text()], repair=True)
    assert [block.text for block in request.system] == ["Hi"]
    assert request.repaired == ["system_is_text"]


def test_nothing_is_repaired_where_nothing_is_wrong() -> None:
    assert fired(user("Hi"), assistant(call()), user(result(), text())) == []


def test_every_check_with_a_repair_is_in_these_tests() -> None:
    repaired = {check.name for check in CHECKS + MESSAGE_CHECKS if check.rows}
    tested = {
        mark.args[1][at][1]
        for test in (test_a_conversation_that_may_be_repaired, test_a_field_that_may_be_repaired)
        for mark in test.pytestmark
        for at in range(len(mark.args[1]))
    }
    assert repaired == tested


# --- what is legal though it looks odd ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([user("Hi"), user("Hi"), assistant("a"), assistant("b"), user("c")], id="neighbours of one role"),
        pytest.param(
            [
                user("Hi"),
                assistant({"type": "thinking", "thinking": "x", "signature": "s"}, text(" ")),
                assistant(call()),
                user(result()),
            ],
            id="a blank beside thinking, then a call of its own",
        ),
        pytest.param(
            [user("Hi"), assistant(call("a"), call("b")), user(result("b")), user(result("a"))], id="results in two turns"
        ),
        pytest.param([user("Hi"), assistant(call()), user(text(), result(), text())], id="text before a result"),
        pytest.param([user("Hi"), assistant(call()), system("S"), user(result())], id="a reminder between call and result"),
        pytest.param([system("a"), system("b"), user("Hi"), system("c")], id="system messages first, last, two in a row"),
        pytest.param([assistant({"type": "compaction", "content": "So far"}), user("Hi")], id="a compaction first"),
        pytest.param([user("Hi"), assistant("The answer is (")], id="prefill"),
        pytest.param([user("Hi"), assistant()], id="an empty prefill"),
        pytest.param([user("Hi"), assistant("")], id="an empty prefill as a string"),
        pytest.param(
            [user("Hi"), assistant(call("a.b:1", "my.tool")), user(result("a.b:1"))], id="names and ids of other makers"
        ),
        pytest.param([user("Hi"), assistant(call()), user(result(content=[text("")]))], id="an empty text in a result"),
    ],
)
def test_an_odd_conversation_is_legal(messages: list[Any]) -> None:
    assert parse(*messages).repaired == []


# --- schemas --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "object"},
        {"type": "object", "properties": None, "required": None},
        {"type": "object", "properties": {"a": {"type": "string", "required": None}}, "required": []},
        {"type": "object", "additionalProperties": {"type": "string"}, "$schema": "x", "$defs": {"a": {"type": "integer"}}},
        {"anyOf": [{"type": "object", "properties": {}}, {"type": "null"}]},
        {"oneOf": [{"type": "object"}]},
        {"allOf": [{"type": "object"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "string"},
        {"type": ["object", "null"], "properties": {"$ref": {"type": "string"}, "if": {}, "then": True}},
        {"type": "object", "properties": {"a": {"enum": ["x", None], "const": 1, "format": "uri", "pattern": "(?=x)"}}},
        {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
    ],
)
def test_a_schema_that_can_be_mended_is_taken(schema: Any) -> None:
    assert parse(tools=[tool(input_schema=schema)]).tools[0].input_schema == schema  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"properties": {}}, "tools.0.custom.input_schema.type: Field required"),
        ({"type": None, "properties": {}}, "tools.0.custom.input_schema.type: Field required"),
        ({"type": "dict"}, SCHEMA_INVALID),
        ({"type": "object", "properties": []}, SCHEMA_INVALID),
        ({"type": "object", "properties": {"a": "string"}}, SCHEMA_INVALID),
        ({"type": "object", "properties": {"a": {"type": "any"}}}, SCHEMA_INVALID),
        ({"type": "object", "properties": {"a": {"items": {"type": 5}}}}, SCHEMA_INVALID),
        ({"type": "object", "required": "a"}, SCHEMA_INVALID),
        ({"type": "object", "required": [1]}, SCHEMA_INVALID),
        ({"anyOf": {}}, SCHEMA_INVALID),
        (
            {"type": "object", "properties": {"my key": {}}},
            "tools.0.custom.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'",
        ),
    ],
)
def test_a_schema_nobody_can_mend_is_refused(schema: Any, told: str) -> None:
    assert refusal(tools=[tool(input_schema=schema)]).startswith(told)


# --- cache marks ----------------------------------------------------------------------------------------------------------


def test_four_cache_marks_are_enough() -> None:
    marked: dict[str, Any] = {"tools": [tool(cache_control=MARK)], "system": [text(cache_control=MARK)]}
    messages = [
        user(text(cache_control=MARK)),
        assistant(call()),
        user(result(content=[text(cache_control=MARK)]), text(cache_control=None)),
    ]
    parse(*messages, **marked)
    messages[2]["content"][0]["cache_control"] = MARK
    assert refusal(*messages, **marked) == "A maximum of 4 blocks with cache_control may be provided. Found 5."


def test_a_long_lived_mark_stands_before_the_others() -> None:
    parse(user(text(cache_control=MARK)), system=[text(cache_control=LONG_MARK)])
    told = refusal(user(text(cache_control=LONG_MARK)), tools=[tool(cache_control=MARK)])
    assert told.startswith(
        "messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'"
    )
