from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic.request import parse_count_request, parse_message_request
from app.anthropic.tools import CustomTool
from app.errors import ModelNotFound, RequestRejected
from tests.unit.anthropic.bodies import NEW, OLD, assistant, body, parse, refusal, refusal_of, system, text, tool, user

# What Claude Code 2.1 sends on each main request, shortened.
CLAUDE_CODE: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "max_tokens": 128000,
    "stream": True,
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"effort": "medium"},
    "metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"s"}'},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "system": [text("x-anthropic-billing-header: cc_version=2.1"), text("You are", cache_control={"type": "ephemeral"})],
    "tools": [
        {
            "name": "Bash",
            "description": "Runs",
            "input_schema": {"$schema": "x", "type": "object", "properties": {}, "additionalProperties": False},
        },
        {"name": "WebFetch", "description": "d", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
    "messages": [
        user(text("Hi", cache_control={"type": "ephemeral"})),
        {**system(text("Reminder", cache_control={"type": "ephemeral"})), "output_config": {"effort": "medium"}},
        assistant(
            {"type": "thinking", "thinking": "", "signature": "EqQB"},
            text("Yes", citations=None),
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "Bash",
                "input": {},
                "caller": {"type": "direct"},
                "toolset_name": None,
            },
        ),
        user(
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "<tool_use_error>x</tool_use_error>", "is_error": True}
        ),
    ],
}


@pytest.mark.parametrize("version", [OLD, NEW])
def test_claude_code_is_served(version: str) -> None:
    request = parse_message_request(CLAUDE_CODE, version=version)
    assert request.model == "claude-opus-5-5"
    assert request.max_tokens == 128000
    assert request.stream
    assert [message.role for message in request.messages] == ["user", "system", "assistant", "user"]
    assert request.system[1].text == "You are"
    assert request.thinking is not None
    assert request.thinking.type == "adaptive"
    assert request.thinking.display == "omitted"
    assert request.output_config is not None
    assert request.output_config.effort == "medium"
    assert request.metadata_user_id is not None
    assert request.tools[1].defer_loading
    assert request.repaired == []


def test_the_body_is_left_as_it_was() -> None:
    before = orjson.dumps(CLAUDE_CODE)
    parse_message_request(CLAUDE_CODE, version=OLD)
    parse_message_request(CLAUDE_CODE, version=OLD, repair=True)
    assert orjson.dumps(CLAUDE_CODE) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "Be brief"},
        {"system": ""},
        {"system": None},
        {"stream": False},
        {"stream": None},
        {"stop_sequences": ["\n\nHuman:"]},
        {"stop_sequences": None},
        {"temperature": 0},
        {"temperature": 1.0, "top_p": 0.5, "top_k": 0},
        {"tools": []},
        {"tools": None},
        {"tools": [tool()], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": [tool()], "tool_choice": {"type": "any"}},
        {"tools": [tool()], "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}},
        {"tools": [tool()], "tool_choice": {"type": "none"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "between_tools"}},
        {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_config": {"effort": None, "format": None, "task_budget": {"type": "tokens", "total": 10}}},
        {"output_format": {"type": "json_schema", "schema": {}}},
        {"metadata": {"user_id": None}},
        {"metadata": {}},
        {"service_tier": "standard_only", "speed": "fast", "inference_geo": None},
        {"cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"container": "container_1"},
        {"container": {"id": None, "skills": [{"type": "anthropic", "skill_id": "pdf", "version": "latest"}]}},
        {"diagnostics": {"previous_message_id": None}},
        {"mcp_servers": [{"type": "url", "name": "n", "url": "https://e.com", "tool_configuration": {"enabled": True}}]},
        {"betas": ["context-1m-2025-08-07"]},
        {"fallbacks": "default", "fallback_credit_token": "t", "billing_policy": {"type": "billing_policy"}},
        {"thread": None},
        {
            "context_management": {
                "edits": [
                    {
                        "type": "clear_tool_uses_20250919",
                        "trigger": {"type": "input_tokens", "value": 1},
                        "keep": {"type": "tool_uses", "value": 3},
                        "clear_at_least": {"type": "input_tokens", "value": 1},
                        "exclude_tools": ["x"],
                        "clear_tool_inputs": True,
                    },
                    {"type": "clear_tool_uses_20250919", "clear_tool_inputs": ["x"]},
                    {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 2}},
                    {"type": "clear_thinking_20251015", "keep": {"type": "all"}},
                    {"type": "compact_20260112", "pause_after_compaction": True, "instructions": None},
                ]
            }
        },
    ],
    ids=lambda fields: ",".join(fields),
)
def test_a_field_of_the_real_api_is_known(fields: dict[str, Any]) -> None:
    assert parse(**fields).model == "claude-sonnet-4-5"


def test_what_is_left_out_has_its_default() -> None:
    request = parse()
    assert (request.stream, request.system, request.tools, request.stop_sequences) == (False, [], [], [])
    assert [request.tool_choice, request.thinking, request.output_config, request.metadata_user_id] == [None] * 4


def test_max_tokens_zero_asks_for_no_output() -> None:
    assert parse(max_tokens=0).max_tokens == 0


@pytest.mark.parametrize("missing", ["model", "max_tokens", "messages"])
def test_a_missing_field_is_named(missing: str) -> None:
    raw = body()
    del raw[missing]
    assert refusal_of(raw) == f"{missing}: Field required"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 5.0}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"messages": {}}, "messages: Input should be a valid list"),
        ({"messages": [1]}, "messages.0: Input should be a valid dictionary or object to extract fields from"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
        ({"messages": [{"role": 1, "content": "x"}]}, "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
        ({"messages": [{**user("x"), "name": "Bob"}]}, "messages.0.name: Extra inputs are not permitted"),
        ({"model": 5}, "model: Input should be a valid string"),
        ({"model": ""}, "model: String should have at least 1 character"),
        ({"stream": "true"}, "stream: Input should be a valid boolean"),
        ({"stream": 1}, "stream: Input should be a valid boolean"),
        ({"foo": 1}, "foo: Extra inputs are not permitted"),
        ({"system": 5}, "system: Input should be a valid list"),
        ({"system": [{"type": "image"}]}, "system.0.type: Input should be 'text'"),
        ({"temperature": "1"}, "temperature: Input should be a valid number"),
        ({"top_k": -1}, "top_k: Input should be greater than or equal to 0"),
        ({"thinking": {}}, "thinking.type: Field required"),
        ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1023}},
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {"output_config": {"effort": "none"}},
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ),
        ({"metadata": {"user_id": "x" * 257}}, "metadata.user_id: String should have at most 256 characters"),
        ({"metadata": {"session": "x"}}, "metadata.session: Extra inputs are not permitted"),
        ({"container": 5}, "container: Input should be a valid string"),
        ({"tools": {}}, "tools: Input should be a valid list"),
        ({"tools": [{}]}, "tools.0.custom.name: Field required"),
        ({"tools": [{"name": "x"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{"name": "x", "input_schema": []}]}, "tools.0.custom.input_schema: Input should be a valid dictionary"),
        ({"tools": [tool(parameters={})]}, "tools.0.custom.parameters: Extra inputs are not permitted"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "search"}]},
            "tools.0.web_search_20250305.name: Input should be 'web_search'",
        ),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.tool.name: Field required"),
        (
            {"tool_choice": {"type": "required"}},
            "tool_choice: Input tag 'required' found using 'type' does not match any of the expected tags: "
            "'any', 'auto', 'none', 'tool'",
        ),
        (
            {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": 5}]}},
            "context_management.edits.0.clear_thinking_20251015.keep: Input should be 'all'",
        ),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(fields: dict[str, Any], told: str) -> None:
    assert refusal_of(body(**fields) | fields) == told


@pytest.mark.parametrize("raw", [None, 5, "x", [], [body()]])
def test_a_body_that_is_no_object_is_refused(raw: object) -> None:
    assert refusal_of(raw) == "Input should be a valid dictionary or object to extract fields from"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "text", "role", "content", "messages", "model", "tools"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_request_or_a_rejection(value: Any) -> None:
    for field in ("messages", "system", "tools", "thinking", "tool_choice"):
        with contextlib.suppress(RequestRejected):
            assert parse(**{**body(), field: value}).model == "claude-sonnet-4-5"


def test_many_problems_cost_no_more_than_the_first() -> None:
    assert refusal_of(body(*[1] * 200_000)).startswith("messages.0: ")


def test_a_tool_without_type_is_a_custom_one() -> None:
    for type_ in ({}, {"type": None}, {"type": "custom"}):
        parsed = parse(tools=[tool(eager_input_streaming=None, input_examples=[{}], strict=True, **type_)]).tools[0]
        assert isinstance(parsed, CustomTool)
        assert parsed.type == "custom"


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250124", "name": "str_replace_editor"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 10000},
        {"type": "computer_20251124", "name": "computer", "display_width_px": 1, "display_height_px": 1, "enable_zoom": True},
        {"type": "computer_toolset_20260801", "configs": {"zoom": {}}},
        {"type": "browser_toolset_20260801"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8, "user_location": {"type": "approximate"}},
        {"type": "web_fetch_20260318", "name": "web_fetch", "use_cache": False, "citations": {"enabled": True}},
        {"type": "code_execution_20260521", "name": "code_execution"},
        {"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25", "defer_loading": False},
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
        {"type": "mcp_toolset", "mcp_server_name": "s", "default_config": {"enabled": True}},
        {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5-5", "max_uses": 1},
    ],
    ids=lambda definition: definition["type"],
)
def test_a_tool_of_anthropic_is_known(definition: dict[str, Any]) -> None:
    assert parse(tools=[definition]).tools[0].type == definition["type"]


# --- counting -------------------------------------------------------------------------------------------------------------


def test_a_count_takes_what_a_message_takes() -> None:
    fields = {key: value for key, value in CLAUDE_CODE.items() if key not in ("max_tokens", "stream", "metadata")}
    assert parse_count_request(fields, version=OLD).model == "claude-opus-5-5"


@pytest.mark.parametrize("field", ["max_tokens", "stream", "stop_sequences", "metadata", "temperature", "thread"])
def test_a_count_refuses_what_only_a_message_needs(field: str) -> None:
    with pytest.raises(RequestRejected, match=f"^{field}: Extra inputs are not permitted$"):
        parse_count_request({"model": "claude-sonnet-4-5", "messages": [user("Hi")], field: body().get(field)}, version=OLD)


# --- order of refusals ----------------------------------------------------------------------------------------------------


def _no_model(name: str) -> object:
    raise ModelNotFound(name)


@pytest.mark.parametrize("parse_request", [parse_message_request, parse_count_request])
def test_an_unknown_model_is_told_after_shape_and_before_sense(parse_request: Any) -> None:
    raw: dict[str, Any] = {"model": "gpt-2", "messages": [assistant("Hi")]}
    if parse_request is parse_message_request:
        raw["max_tokens"] = 10
    with pytest.raises(RequestRejected, match="foo: Extra"):
        parse_request({**raw, "foo": 1}, version=OLD, find_model=_no_model)
    with pytest.raises(ModelNotFound):
        parse_request(raw, version=OLD, find_model=_no_model)
    with pytest.raises(RequestRejected, match='must use the "user" role'):
        parse_request(raw, version=OLD, find_model=str)


def test_a_refusal_asks_for_no_retry() -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(foo=1)
    assert (caught.value.status, caught.value.should_retry) == (400, False)
    assert refusal(foo=1) == caught.value.message


def _nested(levels: int, value: Any) -> Any:
    for _ in range(levels):
        value = {"a": value}
    return value


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    for raw in (_nested(200, 1), body(tools=[tool(input_schema=_nested(200, {}))]), {"model": [_nested(200, [])]}):
        with pytest.raises(RequestRejected, match="nested too deeply: at most 128 levels"):
            parse_message_request(raw, version=OLD)
