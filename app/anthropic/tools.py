"""Tools of a request: the client's own, and those that Anthropic defines, by `type`.

In: parsed JSON. Out: typed tools; a tool without a `type` is a custom one. Names and schemas are judged in `checks.py`.
Source: the reference of the Messages API, section 7, and the official SDK's types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.anthropic.schema import CacheControl, CitationsConfig, JsonObject, Open, Strict

AllowedCaller = Literal["direct", "code_execution_20250825", "code_execution_20260120", "code_execution_20260521"]


class AnyTool(Strict):
    """defer_loading: not in the prompt until a `tool_reference` names it."""

    cache_control: CacheControl | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: list[AllowedCaller] | None = None


class CustomTool(AnyTool):
    """input_schema: as the client wrote it; null and {} are taken for a tool without arguments."""

    type: Literal["custom"]
    name: str
    input_schema: JsonObject | None
    description: str | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[JsonObject] | None = None


# --- defined by Anthropic, run by the client ------------------------------------------------------------------------------


class BashTool(AnyTool):
    type: Literal["bash_20241022", "bash_20250124"]
    name: Literal["bash"]
    input_examples: list[JsonObject] | None = None


class TextEditorTool(AnyTool):
    type: Literal["text_editor_20241022", "text_editor_20250124"]
    name: Literal["str_replace_editor"]
    input_examples: list[JsonObject] | None = None


class TextEditorBasedTool(AnyTool):
    type: Literal["text_editor_20250429", "text_editor_20250728"]
    name: Literal["str_replace_based_edit_tool"]
    max_characters: int | None = None
    input_examples: list[JsonObject] | None = None


class ComputerTool(AnyTool):
    type: Literal["computer_20241022", "computer_20250124", "computer_20251124"]
    name: Literal["computer"]
    display_width_px: int
    display_height_px: int
    display_number: int | None = None
    enable_zoom: bool | None = None
    input_examples: list[JsonObject] | None = None


class ToolsetTool(Open):
    """A family of tools under one entry; the calls then carry `toolset_name`."""

    type: Literal["browser_toolset_20260801", "computer_toolset_20260801"]
    configs: JsonObject | None = None
    cache_control: CacheControl | None = None
    defer_loading: bool | None = None


class MemoryTool(AnyTool):
    type: Literal["memory_20250818"]
    name: Literal["memory"]
    input_examples: list[JsonObject] | None = None


# --- run at Anthropic -----------------------------------------------------------------------------------------------------


class UserLocation(Strict):
    type: Literal["approximate"]
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class WebSearchTool(AnyTool):
    type: Literal["web_search_20250305", "web_search_20260209", "web_search_20260318"]
    name: Literal["web_search"]
    max_uses: Annotated[int, Field(gt=0)] | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    user_location: UserLocation | None = None
    response_inclusion: Literal["full", "excluded"] | None = None


class WebFetchTool(AnyTool):
    type: Literal["web_fetch_20250910", "web_fetch_20260209", "web_fetch_20260309", "web_fetch_20260318"]
    name: Literal["web_fetch"]
    max_uses: Annotated[int, Field(gt=0)] | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    citations: CitationsConfig | None = None
    max_content_tokens: Annotated[int, Field(gt=0)] | None = None
    url_sources: JsonObject | None = None
    use_cache: bool | None = None
    response_inclusion: Literal["full", "excluded"] | None = None


class CodeExecutionTool(AnyTool):
    type: Literal["code_execution_20250522", "code_execution_20250825", "code_execution_20260120", "code_execution_20260521"]
    name: Literal["code_execution"]


class ToolSearchBm25Tool(AnyTool):
    type: Literal["tool_search_tool_bm25", "tool_search_tool_bm25_20251119"]
    name: Literal["tool_search_tool_bm25"]


class ToolSearchRegexTool(AnyTool):
    type: Literal["tool_search_tool_regex", "tool_search_tool_regex_20251119"]
    name: Literal["tool_search_tool_regex"]


class McpToolset(Open):
    type: Literal["mcp_toolset"]
    mcp_server_name: str
    cache_control: CacheControl | None = None
    defer_loading: bool | None = None


class AdvisorTool(Open):
    type: Literal["advisor_20260301"]
    name: Literal["advisor"]
    model: str
    cache_control: CacheControl | None = None
    defer_loading: bool | None = None


ServerTool = (
    WebSearchTool | WebFetchTool | CodeExecutionTool | ToolSearchBm25Tool | ToolSearchRegexTool | McpToolset | AdvisorTool
)
"""Tools whose calls are not handed to the client."""


def _custom_when_unnamed(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") is None:
        return {**value, "type": "custom"}
    return value


Tool = Annotated[
    Annotated[
        AdvisorTool
        | BashTool
        | CodeExecutionTool
        | ComputerTool
        | CustomTool
        | McpToolset
        | MemoryTool
        | TextEditorBasedTool
        | TextEditorTool
        | ToolSearchBm25Tool
        | ToolSearchRegexTool
        | ToolsetTool
        | WebFetchTool
        | WebSearchTool,
        Field(discriminator="type"),
    ],
    BeforeValidator(_custom_when_unnamed),
]


def name_of(tool: Tool) -> str | None:
    """The name calls use; a toolset has none of its own."""
    return getattr(tool, "name", None)


# --- tool_choice ----------------------------------------------------------------------------------------------------------


class ToolChoiceAuto(Strict):
    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class ToolChoiceAny(Strict):
    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class ToolChoiceTool(Strict):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool | None = None


class ToolChoiceNone(Strict):
    type: Literal["none"]


ToolChoice = Annotated[ToolChoiceAny | ToolChoiceAuto | ToolChoiceNone | ToolChoiceTool, Field(discriminator="type")]
