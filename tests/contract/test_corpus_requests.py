"""Shapes of requests that broke gateways of this kind, one test a row of the failure corpus.

What the real API refuses is refused with its path by default; with repairs asked for it is mended, and the record says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from flask import Flask

from app import blueprints
from app.anthropic.request import parse_message_request
from app.errors import RequestRejected
from app.kiro.request import serialise
from app.translate.conversation import conversation_ids
from app.translate.history import EMPTY_RESULT, FILLER_RESULTS
from app.translate.limits import check_limits
from app.translate.models import BUILT_IN, resolve
from app.translate.request import Translation, translate_request
from app.translate.signatures import REDACTED, Sealer
from simulator.chat import ChatCall
from simulator.validation import validate
from tests.contract.conversations import ACCOUNT, OLD, PIXELS, Json, refused_by, translate, written
from tests.unit.anthropic.bodies import assistant, body, call, image, refusal, result, system, text, tool, user

LONG_A = "mcp__some_very_long_server_name__some_extremely_long_tool_name_that_overflows"
LONG_B = "mcp__some_very_long_server_name__some_extremely_long_tool_name_that_runs_over"
BASH = tool("Bash", description="Runs a command")
LOOP = (user("Hi"), assistant(call(name="Bash")), user(result(content="a.txt")))
PNG = image(data=PIXELS["png"])
LEGAL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,63}")


@dataclass(frozen=True)
class Sent:
    """What the stand-in accepted. turns: role and message, the current one last."""

    translation: Translation
    body: bytes
    turns: list[tuple[str, Json]]

    @property
    def rules(self) -> list[str]:
        return self.translation.rules

    @property
    def current(self) -> Json:
        return self.turns[-1][1]

    @property
    def content(self) -> str:
        """Text of the current message."""
        return str(self.current["content"])

    @property
    def system(self) -> str:
        """The system text, in the first exchange."""
        return str(self.turns[0][1]["content"])

    @property
    def roles(self) -> str:
        return "".join(role[0] for role, _ in self.turns)

    @property
    def results(self) -> list[Json]:
        """Tool results of the current message."""
        return list(self.current["userInputMessageContext"].get("toolResults", []))

    @property
    def tools(self) -> dict[str, Json]:
        declared = self.current["userInputMessageContext"].get("tools", [])
        return {entry["toolSpecification"]["name"]: entry["toolSpecification"] for entry in declared}

    @property
    def calls(self) -> list[Json]:
        return [use for _, message in self.turns for use in message.get("toolUses", [])]

    def schema(self, name: str = "Bash") -> Any:
        return self.tools[name]["inputSchema"]["json"]


def sent(*messages: Any, repair: bool = False, **fields: Any) -> Sent:
    """Parse, translate, and let the stand-in judge."""
    translation = translate(body(*messages, **fields), repair=repair)
    written_ = written(translation)
    assert refused_by(written_) is None, translation.rules
    state = orjson.loads(written_)["conversationState"]
    entries = [*state.get("history", []), state["currentMessage"]]
    turns = [
        ("user", entry["userInputMessage"]) if "userInputMessage" in entry else ("assistant", entry["assistantResponseMessage"])
        for entry in entries
    ]
    return Sent(translation, written_, turns)


def schema_of(schema: Any, **definitions: Any) -> Any:
    """What becomes of a tool's schema."""
    if definitions:
        schema = {**schema, "$defs": definitions}
    return sent(tools=[{**BASH, "input_schema": schema}]).schema()


def keys_of(value: Any) -> set[str]:
    """Keys of a JSON value at every depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


# --- turns, calls and results ---------------------------------------------------------------------------------------------


def test_row_01_two_assistant_turns_become_one_with_every_call() -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    answers = user(result("toolu_1"), result("toolu_2"))
    done = sent(user("Hi"), assistant(thought, text(" ")), assistant(call("toolu_1"), call("toolu_2")), answers)
    assert done.roles == "uau"
    assert [use["toolUseId"] for use in done.calls] == ["toolu_1", "toolu_2"]
    assert "merge_turns" in done.rules


def test_row_02_an_assistant_turn_of_calls_only_has_a_neutral_text() -> None:
    assert sent(*LOOP, tools=[BASH]).turns[1][1]["content"] == " "


def test_row_03_a_user_turn_of_results_only_has_a_neutral_text() -> None:
    done = sent(*LOOP, tools=[BASH])
    assert done.content == FILLER_RESULTS
    assert "continue" not in done.body.decode().lower()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "messages.0: all messages must have non-empty content except for the optional final assistant message"),
        ([text("")], "messages: text content blocks must be non-empty"),
        ("  \n", "messages: text content blocks must contain non-whitespace text"),
        ([text("Hi"), text(" ")], "messages: text content blocks must contain non-whitespace text"),
    ],
)
def test_row_04_text_that_says_nothing_is_refused_or_left_out(content: Any, message: str) -> None:
    messages = [{"role": "user", "content": content}]
    assert refusal(*messages) == message
    done = sent(*messages, repair=True)
    assert done.content.strip()
    assert {"messages_are_not_empty", "text_is_not_empty", "text_is_not_blank"} & set(done.rules)


def test_row_05_a_result_without_its_call_is_refused_or_becomes_text() -> None:
    messages = (user(text("They listed files."), result("toolu_9", content="a.txt")),)
    assert refusal(*messages).startswith(
        "messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9"
    )
    done = sent(*messages, repair=True)
    assert done.content == "They listed files.\n<tool_result>\na.txt\n</tool_result>"
    assert not done.results
    assert {"results_have_calls", "orphan_result"} <= set(done.rules)


def test_row_06_a_call_that_was_never_answered_is_refused_or_gets_a_result() -> None:
    messages = (user("Hi"), assistant(call("toolu_1", "Bash")), user("Never mind"))
    assert refusal(*messages).startswith("messages.1: `tool_use` ids were found without `tool_result` blocks immediately after")
    done = sent(*messages, repair=True)
    assert [(entry["toolUseId"], entry["status"]) for entry in done.results] == [("toolu_1", "error")]
    assert done.content == "Never mind"
    assert {"calls_are_answered", "unanswered_call"} <= set(done.rules)


def test_row_07_a_result_sent_twice_is_refused_or_kept_once() -> None:
    messages = (*LOOP[:2], user(result(content="a.txt"), result(content="a.txt")))
    assert refusal(*messages).startswith("messages.2.content.1: each tool_use must have a single result.")
    done = sent(*messages, repair=True)
    assert [entry["content"] for entry in done.results] == [[{"text": "a.txt"}]]
    assert {"results_are_single", "duplicate_result"} <= set(done.rules)


def test_row_07_a_second_result_that_says_something_else_is_not_lost() -> None:
    done = sent(*LOOP[:2], user(result(content="a.txt"), result(content="b.txt")), repair=True)
    assert [entry["content"] for entry in done.results] == [[{"text": "a.txt"}]]
    assert "b.txt" in done.content


def test_row_08_results_of_parallel_calls_in_two_messages_meet_their_calls() -> None:
    calls = assistant(call("toolu_1", "Bash"), call("toolu_2", "Bash"))
    done = sent(user("Hi"), calls, user(result("toolu_1")), user(result("toolu_2")), tools=[BASH])
    assert [entry["toolUseId"] for entry in done.results] == ["toolu_1", "toolu_2"]


def test_row_09_where_a_result_stands_in_its_turn_does_not_matter() -> None:
    before = sent(*LOOP[:2], user(text("Look:"), result(content="a.txt")), tools=[BASH])
    after = sent(*LOOP[:2], user(result(content="a.txt"), text("Look:")), tools=[BASH])
    assert before.results == after.results != []
    assert before.content == after.content == "Look:"


# --- tools ----------------------------------------------------------------------------------------------------------------


def test_row_10_tools_of_the_history_are_declared_when_the_request_declares_none() -> None:
    done = sent(*LOOP)
    assert done.schema() == {"type": "object", "properties": {}}
    assert "tool_stub" in done.rules


def test_row_11_only_what_is_missing_is_declared_ignoring_case() -> None:
    history = (user("Hi"), assistant(call("toolu_1", "bash"), call("toolu_2", "Gone")), user(result(), result("toolu_2")))
    done = sent(*history, tools=[BASH])
    assert list(done.tools) == ["Bash", "Gone"]


def test_row_12_an_empty_list_of_tools_is_none() -> None:
    assert list(sent(*LOOP, tools=[]).tools) == ["Bash"]


def test_row_13_a_long_name_is_shortened_and_restored() -> None:
    done = sent(tools=[tool(LONG_A, description="d")])
    (name,) = done.tools
    assert name == "mcp__some_very_long_server_name__some_extremely_long_t_fc4a3fbe"
    assert done.translation.tool_names.to_client(name) == LONG_A


def test_row_14_long_names_that_begin_alike_stay_apart() -> None:
    done = sent(tools=[tool(LONG_A, description="d"), tool(LONG_B, description="d")])
    assert [done.translation.tool_names.to_client(name) for name in done.tools] == [LONG_A, LONG_B]


def test_row_15_a_long_name_that_only_the_history_has_is_shortened_alike() -> None:
    done = sent(user("Hi"), assistant(call(name=LONG_A)), user(result()))
    assert [use["name"] for use in done.calls] == list(done.tools) == list(sent(tools=[tool(LONG_A, description="d")]).tools)


@pytest.mark.parametrize("name", ["a.b", "a/b", "a b", "読む"])
def test_row_16_a_name_of_other_characters_is_refused_or_mapped_both_ways(name: str) -> None:
    assert refusal(tools=[tool(name)]).startswith("tools.0.custom.name: String should match pattern")
    done = sent(tools=[tool(name, description="d"), tool("a_b", description="d")], repair=True)
    mapped = list(done.tools)
    assert all(LEGAL_NAME.fullmatch(entry) for entry in mapped)
    assert [done.translation.tool_names.to_client(entry) for entry in mapped] == [name, "a_b"]
    assert {"tool_names_are_well_formed", "tool_name"} <= set(done.rules)


def test_row_17_names_that_differ_in_case_only_stay_apart() -> None:
    done = sent(tools=[tool("Read", description="one"), tool("read", description="two")])
    assert len({name.lower() for name in done.tools}) == 2
    assert [done.translation.tool_names.to_client(name) for name in done.tools] == ["Read", "read"]


def test_row_18_a_tool_declared_twice_is_refused_or_the_first_counts() -> None:
    twice = [tool("Bash", description="first"), tool("Bash", description="second")]
    assert refusal(tools=twice) == "tools: Tool names must be unique."
    done = sent(tools=twice, repair=True)
    assert [entry["description"] for entry in done.tools.values()] == ["first"]
    assert {"tool_names_are_unique", "duplicate_tool"} <= set(done.rules)


@pytest.mark.parametrize("fields", [{}, {"description": ""}, {"description": None}, {"description": " \n"}])
def test_row_19_an_empty_description_is_filled(fields: Json) -> None:
    assert sent(tools=[tool("Bash", **fields)]).tools["Bash"]["description"] == "Tool: Bash"


def test_row_20_a_long_description_moves_to_the_system_text_whole() -> None:
    words = "word " * 2_050
    done = sent(tools=[tool("Bash", description=words)], system="Be brief.")
    assert done.system == f"Be brief.\n\n# Tool: Bash\n\n{words}"
    assert "Tool: Bash" in done.tools["Bash"]["description"]
    assert sent(tools=[tool("Bash", description="x" * 9_777)]).tools["Bash"]["description"] == "x" * 9_777


def test_row_21_a_long_description_of_wide_characters_loses_none() -> None:
    words = "長い" * 1_800  # fewer characters than the limit, more bytes
    assert words in sent(tools=[tool("Bash", description=words)]).system


@pytest.mark.parametrize("schema", [{}, None])
def test_row_22_no_schema_is_an_object_without_properties(schema: Any) -> None:
    assert sent(tools=[{**BASH, "input_schema": schema}]).schema() == {"type": "object", "properties": {}}


@pytest.mark.parametrize("required", [None, []])
def test_row_23_an_empty_required_is_left_out(required: Any) -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}, "required": required}
    assert "required" not in keys_of(schema_of({**inner, "properties": {"o": inner}}))


@pytest.mark.parametrize("value", [True, False, {"type": "string"}])
def test_row_24_additional_properties_are_left_out_at_every_depth(value: Any) -> None:
    inner = {"type": "object", "properties": {}, "additionalProperties": value}
    deep = {"type": "object", "properties": {"a": {"type": "array", "items": inner}}, "additionalProperties": value}
    assert "additionalProperties" not in keys_of(schema_of(deep))


@pytest.mark.parametrize("union", ["anyOf", "oneOf", "allOf"])
def test_row_25_a_union_at_the_top_keeps_its_properties(union: str) -> None:
    one = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    two = {"type": "object", "properties": {"b": {"type": "string"}}}
    schema = schema_of({union: [one, two]})
    assert set(schema["properties"]) == {"a", "b"}
    assert schema.get("required") == (["a"] if union == "allOf" else None)
    assert schema["type"] == "object"
    assert union not in schema


@pytest.mark.parametrize("type_", ["array", "string"])
def test_row_26_another_type_at_the_top_is_wrapped(type_: str) -> None:
    schema = schema_of({"type": type_, "description": "d"})
    assert schema == {
        "type": "object",
        "properties": {"value": {"type": type_, "description": "d"}},
        "required": ["value"],
    }


def test_row_27_references_are_inlined_and_cycles_cut() -> None:
    node = {"type": "object", "properties": {"v": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}}}
    schema = schema_of({"type": "object", "properties": {"n": {"$ref": "#/$defs/Node"}}}, Node=node)
    assert not keys_of(schema) & {"$ref", "$defs"}
    assert schema["properties"]["n"]["properties"]["v"] == {"type": "string"}
    assert schema["properties"]["n"]["properties"]["next"] == {"type": "object"}


@pytest.mark.parametrize("name", ["$ref", "if", "then", "required", "properties", "type", "additionalProperties"])
def test_row_28_a_property_named_like_a_keyword_survives(name: str) -> None:
    schema = schema_of({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]})
    assert schema == {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def test_row_29_keywords_that_may_be_refused_are_simplified() -> None:
    properties = {
        "constant": {"const": "x"},
        "link": {"type": "string", "format": "uri", "pattern": "^(?!x)"},
        "choice": {"enum": ["a", None]},
        "maybe": {"type": ["string", "null"]},
        "none": {"const": None},
    }
    assert schema_of({"type": "object", "properties": properties})["properties"] == {
        "constant": {"enum": ["x"]},
        "link": {"type": "string", "format": "uri"},
        "choice": {"enum": ["a"]},
        "maybe": {"type": "string"},
        "none": {},
    }


@pytest.mark.parametrize("count", [137, 167])
def test_row_30_every_one_of_many_tools_is_sent(count: int) -> None:
    assert len(sent(tools=[tool(f"tool_{at}", description="d") for at in range(count)]).tools) == count


def test_row_31_a_hundred_kilobytes_of_tools_are_sent() -> None:
    done = sent(tools=[tool(f"tool_{at}", description="d" * 4_000) for at in range(25)])
    assert len(done.tools) == 25
    assert len(done.body) > 100_000


@pytest.mark.parametrize("name", ["naïve", "with space", "x" * 65, ""])
def test_row_32_a_property_name_the_real_api_refuses_is_named(name: str) -> None:
    message = refusal(tools=[{**BASH, "input_schema": {"type": "object", "properties": {name: {}}}}])
    assert message.startswith("tools.0.custom.input_schema.properties: Property keys should match pattern")
    assert message.endswith(f"found '{name}'")


def test_row_33_no_cache_point_is_ever_sent() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    done = sent(user(text("Hi", **mark)), system=[text("s", **mark)], tools=[{**BASH, **mark}])
    assert b"cache" not in done.body


# --- roles and system text ------------------------------------------------------------------------------------------------


def test_row_34_system_messages_keep_their_place() -> None:
    messages = (
        system("one"),
        user("Hi"),
        system(text("two"), text("three")),
        system("four"),
        assistant("Hello"),
        user("Bye"),
        system("five"),
    )
    done = sent(*messages)
    assert done.roles == "uau"
    said = re.findall("one|Hi|two|three|four|Hello|Bye|five", "\n".join(message["content"] for _, message in done.turns))
    assert said == ["one", "Hi", "two", "three", "four", "Hello", "Bye", "five"]


@pytest.mark.parametrize("role", ["developer", "tool"])
def test_row_35_another_role_is_refused_or_made_a_known_one(role: str) -> None:
    messages = (user("Hi"), {"role": role, "content": "Be brief."})
    assert refusal(*messages).startswith(("messages.1.role:", f'messages: Unexpected role "{role}"'))
    done = sent(*messages, repair=True)
    assert "Be brief." in done.content
    assert "roles_are_known" in done.rules


def test_row_36_a_history_that_starts_with_the_assistant_is_refused_or_begun() -> None:
    messages = (assistant("Hello"), user("Hi"))
    assert refusal(*messages) == 'messages: first message must use the "user" role'
    done = sent(*messages, repair=True)
    assert done.roles == "uau"
    assert {"user_speaks_first", "user_first"} <= set(done.rules)


def test_row_37_a_prefill_is_sent_once_with_a_neutral_turn_after_it() -> None:
    done = sent(user("Hi"), assistant("PREFILL"))
    assert done.roles == "uau"
    assert done.body.count(b"PREFILL") == 1
    assert "continue" not in done.content.lower()


@pytest.mark.parametrize(
    "given",
    ["Be brief.", [text("Be brief.", cache_control={"type": "ephemeral"})], [text("Be"), text("brief.")]],
)
def test_row_38_system_text_of_every_form_is_accepted(given: Any) -> None:
    assert sent(system=given).system.split() == ["Be", "brief."]


@pytest.mark.parametrize("other", [text(""), image(data=PIXELS["png"])])
def test_row_38_a_system_block_without_text_is_refused_or_left_out(other: Json) -> None:
    assert refusal(system=[text("Be brief."), other]).startswith("system")
    assert sent(system=[text("Be brief."), other], repair=True).system == "Be brief."


def test_row_39_the_system_text_never_has_a_field_of_its_own() -> None:
    assert b"systemPrompt" not in sent(system="Be brief.").body


# --- thinking -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"signature": ""}, {"signature": "Zm9yZWlnbg=="}])
def test_row_40_thinking_that_cannot_be_checked_is_not_sent(fields: Json) -> None:
    thought = {"type": "thinking", "thinking": "SECRET", **fields}
    done = sent(user("Hi"), assistant(thought, text("Hello")), user("Bye"))
    assert b"SECRET" not in done.body
    assert b"easoning" not in done.body
    assert "history_thinking" in done.rules


SEALER = Sealer(b"k" * 32)
THINKER, LOGIN = "claude-sonnet-5", 7


def sealed(model: str = THINKER, said: str = "Hm") -> Json:
    """Thinking that Kiro signed with SIGNED for the login, as its client has it."""
    return {"type": "thinking", "thinking": said, "signature": SEALER.seal("Hm", model, "SIGNED", LOGIN)}


def replayed(thought: Json, *, login: int = LOGIN) -> list[Json]:
    """What is sent again of a thought in the history, the stand-in knowing only the signature SIGNED."""
    request = parse_message_request(
        body(user("Hi"), assistant(thought, text("Hello")), user("Bye"), model=THINKER), version=OLD
    )
    model = resolve(request.model, BUILT_IN)
    translation = translate_request(request, model=model, conversation_id="c", continuation_id="d", sealer=SEALER)
    sent_body = serialise(translation.kiro, ACCOUNT.profile_arn, login)
    parsed = orjson.loads(sent_body)
    signed = frozenset({"SIGNED"})
    chat = ChatCall(parsed, len(sent_body), service="q", region=ACCOUNT.region, account=ACCOUNT, signatures=signed)
    assert validate(chat) is None
    replies = [entry.get("assistantResponseMessage", {}) for entry in parsed["conversationState"]["history"]]
    found = [reply["reasoningContent"] for reply in replies if "reasoningContent" in reply]
    assert ("history_thinking" in translation.rules) == (translation.kiro.reasoning == ())
    return found


def test_row_41_thinking_that_another_model_signed_is_dropped() -> None:
    assert replayed(sealed())
    assert replayed(sealed("claude-opus-5")) == []


@pytest.mark.parametrize(
    "thought",
    [
        sealed(said="Hm!"),
        {**sealed(), "signature": sealed()["signature"][:-4] + "AAAA"},
        {**sealed(), "signature": Sealer(b"x" * 32).seal("Hm", THINKER, "SIGNED", LOGIN)},
    ],
    ids=["its text", "its signature", "another gateway's"],
)
def test_row_42_thinking_that_was_tampered_with_is_dropped(thought: Json) -> None:
    assert replayed(thought) == []


def test_row_42_thinking_goes_only_to_the_login_that_got_it() -> None:
    assert replayed(sealed(), login=LOGIN + 1) == []


def test_row_43_signed_thinking_is_only_ever_sent_as_the_nested_union() -> None:
    assert replayed(sealed()) == [{"reasoningText": {"text": "Hm", "signature": "SIGNED"}}]


def test_row_44_redacted_thinking_is_sent_again_as_redacted_content() -> None:
    data = SEALER.seal(REDACTED, THINKER, "Eq8=", LOGIN)
    assert replayed({"type": "redacted_thinking", "data": data}) == [{"redactedContent": "Eq8="}]
    assert replayed({"type": "redacted_thinking", "data": "Eq8="}) == [], "nobody here sealed it"


@pytest.mark.parametrize("thought", [{"type": "thinking"}, {"type": "thinking", "thinking": "", "signature": ""}])
def test_row_45_thinking_without_a_text_is_tolerated(thought: Json) -> None:
    assert sent(user("Hi"), assistant(thought, text("Hello")), user("Bye")).turns[1][1]["content"] == "Hello"


def fields_of(model: str, **fields: Any) -> Any:
    return sent(model=model, **fields).translation.kiro.model_fields


@pytest.mark.parametrize("model", ["claude-opus-4.5", "claude-sonnet-4.5", "claude-haiku-4.5"])
def test_row_46_a_model_without_effort_gets_none(model: str) -> None:
    done = sent(model=model, output_config={"effort": "high"})
    assert b"additionalModelRequestFields" not in done.body


@pytest.mark.parametrize(
    ("model", "effort", "sent_effort"),
    [("claude-opus-4.6", "xhigh", "high"), ("claude-opus-4.7", "xhigh", "xhigh"), ("claude-opus-5:none", None, "low"),
     ("claude-opus-5", "max", "max")],
)  # fmt: skip
def test_row_47_an_effort_is_clamped_to_what_the_model_has(model: str, effort: str | None, sent_effort: str) -> None:
    assert fields_of(model, output_config={"effort": effort}) == {"output_config": {"effort": sent_effort}}


def test_row_47_an_effort_nobody_knows_is_refused_with_its_path() -> None:
    assert refusal(output_config={"effort": "extreme"}).startswith("output_config.effort: Input should be 'low'")


def test_row_48_an_effort_for_auto_is_left_out() -> None:
    assert fields_of("auto", output_config={"effort": "high"}) is None


@pytest.mark.parametrize(("effort", "sent_effort"), [("high", "high"), ("max", "xhigh")])
def test_row_49_gpt_has_its_own_place_for_effort(effort: str, sent_effort: str) -> None:
    assert fields_of("gpt-5.6-sol", output_config={"effort": effort}) == {"reasoning": {"effort": sent_effort}}


def test_row_50_effort_is_never_at_the_top() -> None:
    done = sent(model="claude-opus-5", output_config={"effort": "high"})
    assert orjson.loads(done.body).keys() == {"conversationState", "additionalModelRequestFields", "profileArn"}


@pytest.mark.parametrize("model", ["claude-opus-5", "claude-sonnet-4.5", "auto", "gpt-5.6-sol", "glm-5"])
@pytest.mark.parametrize("thinking", [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 60_000}])
def test_row_51_thinking_of_every_kind_is_accepted_by_every_model(model: str, thinking: Json) -> None:
    done = sent(model=model, thinking=thinking, max_tokens=64_000)
    asked = "<thinking_mode>" in done.turns[0][1]["content"] or done.translation.kiro.model_fields is not None
    # GPT thinks by effort alone, and this request names none.
    names_none = model == "gpt-5.6-sol" and thinking["type"] == "adaptive"
    assert asked == (thinking["type"] != "disabled" and not names_none)


def test_row_51_a_budget_over_the_maximum_is_refused_or_accepted() -> None:
    fields: Json = {"thinking": {"type": "enabled", "budget_tokens": 9_000}, "max_tokens": 4_096}
    assert refusal(**fields).startswith("`max_tokens` must be greater than `thinking.budget_tokens`.")
    assert "<max_thinking_length>9000<" in sent(**fields, repair=True).system
    assert refusal(thinking={"type": "enabled"}) == "thinking.enabled.budget_tokens: Field required"


# --- images and documents -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actual", PIXELS)
def test_row_52_an_image_is_sent_as_what_it_is(actual: str) -> None:
    done = sent(user(text(), image(data=PIXELS[actual])))
    assert [entry["format"] for entry in done.current["images"]] == [actual]


def test_row_58_an_image_in_a_result_is_lifted_into_its_turn() -> None:
    done = sent(*LOOP[:2], user(result(content=[PNG])), tools=[BASH])
    assert done.current["images"] == [{"format": "png", "source": {"bytes": PIXELS["png"]}}]
    assert done.results[0]["content"] == [{"text": "(the image is attached)"}]
    assert "tool_image" in done.rules


ELSEWHERE = ({"type": "url", "url": "https://example.test/a.png"}, {"type": "file", "file_id": "file_1"})


@pytest.mark.parametrize("source", ELSEWHERE, ids=lambda source: source["type"])
def test_row_59_an_image_from_elsewhere_is_refused_with_its_path(source: Json) -> None:
    with pytest.raises(RequestRejected, match=r"^messages\.0\.content\.1\.image\.source: images by") as caught:
        sent(user(text(), {"type": "image", "source": source}))
    assert source["type"] in caught.value.message


def test_row_60_a_model_that_reads_no_images_gets_a_note() -> None:
    done = sent(user(text("Look"), PNG), model="glm-5")
    assert "images" not in done.current
    assert done.content == "Look\n(an image was left out: this model does not read images)"


def test_row_61_a_pdf_in_a_result_is_refused_with_its_path() -> None:
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}}
    with pytest.raises(RequestRejected, match=r"^messages\.2\.content\.0\.document\.source: this gateway cannot read PDF"):
        sent(*LOOP[:2], user(result(content=[pdf])), tools=[BASH])


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "Once upon a time"},
        {"type": "content", "content": "Once upon a time"},
        {"type": "content", "content": [text("Once upon a time")]},
    ],
)
def test_row_62_a_text_document_becomes_text(source: Json) -> None:
    document = {"type": "document", "source": source, "title": "T", "context": "old"}
    framed = '<document title="T">\nold\nOnce upon a time\n</document>'
    assert sent(user(document)).content == framed
    assert sent(*LOOP[:2], user(result(content=[document]))).results[0]["content"] == [{"text": framed}]


def test_row_62_a_document_from_elsewhere_is_refused_with_its_path() -> None:
    with pytest.raises(RequestRejected, match=r"^messages\.0\.content\.0\.document\.source: documents by url"):
        sent(user({"type": "document", "source": {"type": "url", "url": "https://example.test/a.pdf"}}))


# --- what ran at Anthropic, tool search -----------------------------------------------------------------------------------


def test_row_63_a_search_in_the_history_becomes_text() -> None:
    found = {"type": "web_search_result", "url": "https://example.test", "title": "A", "encrypted_content": "SEALED"}
    searched = (
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rust"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]},
    )
    done = sent(user("Hi"), assistant(*searched, text("It is out.")), user("Bye"))
    content = done.turns[1][1]["content"]
    assert "rust" in content
    assert "A: https://example.test" in content
    assert content.endswith("It is out.")
    assert b"SEALED" not in done.body


def test_row_64_a_deferred_tool_is_sent_once_it_is_found() -> None:
    tools = [tool("ToolSearch", description="d"), tool(LONG_A, description="d", defer_loading=True)]
    ask = (user("Hi"), assistant(call(name="ToolSearch")))
    assert list(sent(tools=tools).tools) == ["ToolSearch"]
    done = sent(*ask, user(result(content=[{"type": "tool_reference", "tool_name": LONG_A}]), text("Go on")), tools=tools)
    short = done.translation.tool_names.to_kiro(LONG_A)
    assert list(done.tools) == ["ToolSearch", short]
    assert done.results[0]["content"] == [{"text": f"The tool {short} can be used now."}]


def test_row_64_behind_a_search_at_anthropic_every_tool_is_sent() -> None:
    search = {"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25"}
    assert list(sent(tools=[search, tool("Read", description="d", defer_loading=True)]).tools) == ["Read"]


def test_row_65_a_client_s_own_tool_named_web_search_is_an_ordinary_tool() -> None:
    own = tool("web_search", description="mine", input_schema={"type": "object", "properties": {"q": {"type": "string"}}})
    assert sent(tools=[own, BASH]).schema("web_search")["properties"] == {"q": {"type": "string"}}
    assert sent(tools=[{**own, "type": "custom"}]).schema("web_search")["properties"] == {"q": {"type": "string"}}


@pytest.mark.parametrize("type_", ["web_search_20250305", "web_search_20260209", "web_search_20260318"])
def test_row_65_a_search_by_type_is_never_an_ordinary_tool(type_: str) -> None:
    done = sent(tools=[{"type": type_, "name": "web_search"}, BASH])
    assert list(done.tools) == ["Bash"]
    assert b"web_search" not in done.body


# --- sessions, models, sizes ----------------------------------------------------------------------------------------------

SESSION = "7b1c0c7e-4a55-4d0b-9a52-0d6d1c6f2a11"


def ids(*messages: Any, **fields: Any) -> tuple[str, str]:
    return conversation_ids(parse_message_request(body(*messages, **fields), version=OLD), session=None, key_id="1")


def test_row_67_both_forms_of_a_user_id_name_the_session() -> None:
    old = ids(metadata={"user_id": f"user_abc_account__session_{SESSION}"})
    new = ids(user("Something else"), metadata={"user_id": f'{{"device_id":"d","session_id":"{SESSION}"}}'})
    assert old[0] == new[0] != ids()[0]


def test_row_68_without_metadata_conversations_stay_apart_and_together() -> None:
    first = ids(user("Hi"))
    assert first[0] == ids(user(text("Hi", cache_control={"type": "ephemeral"})), assistant("Hello"), user("Bye"))[0]
    pictures = [ids(user(image(data=data)))[0] for data in PIXELS.values()]
    assert len({first[0], ids(user("Ho"))[0], ids(user("Hi"), system="s")[0], *pictures}) == 3 + len(PIXELS)


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("claude-opus-5[1m]", "claude-opus-5"),
        ("claude-opus-4-5-20251101", "claude-opus-4.5"),
        ("claude-sonnet-4-5-latest", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5-thinking", "claude-sonnet-4.5"),
        ("opus", "claude-opus-5"),
        ("anthropic/claude-haiku-4.5", "claude-haiku-4.5"),
        ("claude-opus-4-7:max", "claude-opus-4.7"),
        ("glm-5", "glm-5"),
        ("opus-4-5", "claude-opus-4.5"),
        ("opus-5", "claude-opus-5"),
    ],
)
def test_row_69_every_spelling_of_a_model_is_sent_as_its_id(name: str, used: str) -> None:
    assert sent(model=name).current["modelId"] == used == resolve(name, BUILT_IN).used


def test_row_70_a_limit_that_is_missing_is_refused() -> None:
    with pytest.raises(RequestRejected, match=r"^max_tokens: Field required$"):
        translate({"model": "claude-opus-5", "messages": [user("Hi")]})
    assert refusal(max_tokens=None) == "max_tokens: Input should be a valid integer"


@pytest.mark.parametrize("model", BUILT_IN, ids=lambda model: model.id)
def test_row_70_a_limit_over_the_model_s_is_refused_in_its_words(model: Any) -> None:
    def judge(max_tokens: int) -> None:
        asked = parse_message_request(body(model=model.id, max_tokens=max_tokens), version=OLD)
        check_limits(asked, resolve(asked.model, BUILT_IN))

    most = model.max_output_tokens
    judge(1)
    judge(most)
    with pytest.raises(RequestRejected) as caught:
        judge(most + 1)
    assert caught.value.message == (
        f"max_tokens: {most + 1} > {most}, which is the maximum allowed number of output tokens for {model.id}"
    )


def test_row_71_three_megabytes_are_sent() -> None:
    assert len(sent(user("x " * 1_500_000), model="claude-opus-5").body) > 3_000_000


def test_row_72_a_request_to_compact_is_refused_or_mended() -> None:
    """Tools left out, a result whose call was summarized away, a call the summary interrupted."""
    compact = (
        user(result("toolu_0", content="old")),
        assistant(call("toolu_1", "Bash")),
        user("Summarize the conversation."),
    )
    assert refusal(*compact)
    done = sent(*compact, repair=True)
    assert list(done.tools) == ["Bash"]
    assert "old" in done.turns[0][1]["content"]
    assert done.content == "Summarize the conversation."


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true", "/v1/v1/messages", "/v1/v1/messages?beta=true"])
def test_row_73_every_spelling_of_the_path_leads_to_the_same_door(path: str) -> None:
    app = Flask("app")
    blueprints.register(app)
    with app.test_request_context(path, method="POST") as context:
        assert context.request.endpoint == "messages.create_message"
    with app.test_request_context("/v1/messages/v1", method="POST") as context:
        assert context.request.endpoint is None


@pytest.mark.parametrize("value", ["😀", "\0", "x" * 100_000, "\u2028", '"\\'])
def test_row_74_arguments_of_any_text_stay_what_they_are(value: str) -> None:
    done = sent(user("Hi"), assistant(call(name="Bash", input={"command": value, "list": [value]})), user(result()))
    assert done.calls[0]["input"] == {"command": value, "list": [value]}


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"is_error": True, "content": "no"}, "error", "no"),
        ({}, "success", EMPTY_RESULT),
        ({"content": None, "is_error": True}, "error", EMPTY_RESULT),
        ({"content": []}, "success", EMPTY_RESULT),
        ({"content": [text("a"), PNG, text("b")]}, "success", "a\nb"),
    ],
)
def test_row_75_a_result_says_something_and_how_it_went(fields: Json, status: str, said: str) -> None:
    (entry,) = sent(*LOOP[:2], user(result(**fields)), tools=[BASH]).results
    assert entry == {"toolUseId": "toolu_1", "content": [{"text": said}], "status": status}
