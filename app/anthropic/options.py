"""The smaller objects of a request: thinking, output, context management and the like.

In: parsed JSON. Out: typed options. Many of them ask for something Kiro has no word for; they are known here so that clients
that send them are served. Source: the reference of the Messages API, sections 5, 8 and 12, and the official SDK's types.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.anthropic.schema import JsonObject, Open, Strict

Effort = Literal["low", "medium", "high", "xhigh", "max"]
Display = Literal["summarized", "omitted", "updates"]

# --- thinking -------------------------------------------------------------------------------------------------------------


class BlockBinding(Strict):
    prefix_mismatch_behavior: Literal["error", "drop_block"] | None = None


class ThinkingEnabled(Strict):
    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: Display | None = None
    block_binding: BlockBinding | None = None


class ThinkingAdaptive(Strict):
    type: Literal["adaptive"]
    display: Display | None = None
    block_binding: BlockBinding | None = None


class ThinkingDisabled(Strict):
    type: Literal["disabled"]


class ThinkingBetweenTools(Strict):
    type: Literal["between_tools"]


Thinking = Annotated[ThinkingAdaptive | ThinkingBetweenTools | ThinkingDisabled | ThinkingEnabled, Field(discriminator="type")]

# --- output ---------------------------------------------------------------------------------------------------------------


class JsonOutputFormat(Strict):
    """schema_: the JSON schema the text has to follow (`schema` on the wire)."""

    type: Literal["json_schema"]
    schema_: JsonObject = Field(alias="schema")


class TaskBudget(Strict):
    type: Literal["tokens"]
    total: int
    remaining: int | None = None


class OutputConfig(Strict):
    effort: Effort | None = None
    format: JsonOutputFormat | None = None
    task_budget: TaskBudget | None = None


class MessageOutputConfig(Strict):
    """Of one message: it holds from there on."""

    effort: Effort | None = None


# --- context management ---------------------------------------------------------------------------------------------------


class InputTokens(Strict):
    type: Literal["input_tokens"]
    value: int


class ToolUses(Strict):
    type: Literal["tool_uses"]
    value: int


class ThinkingTurns(Strict):
    type: Literal["thinking_turns"]
    value: int


class AllThinkingTurns(Strict):
    type: Literal["all"]


class ClearToolUses(Strict):
    type: Literal["clear_tool_uses_20250919"]
    trigger: Annotated[InputTokens | ToolUses, Field(discriminator="type")] | None = None
    keep: ToolUses | None = None
    clear_at_least: InputTokens | None = None
    exclude_tools: list[str] | None = None
    clear_tool_inputs: bool | list[str] | None = None


class ClearThinking(Strict):
    type: Literal["clear_thinking_20251015"]
    keep: Literal["all"] | Annotated[AllThinkingTurns | ThinkingTurns, Field(discriminator="type")] | None = None


class Compact(Strict):
    type: Literal["compact_20260112"]
    trigger: InputTokens | None = None
    pause_after_compaction: bool | None = None
    instructions: str | None = None


class ContextManagement(Strict):
    edits: list[Annotated[ClearThinking | ClearToolUses | Compact, Field(discriminator="type")]] | None = None


# --- the rest -------------------------------------------------------------------------------------------------------------


class Metadata(Strict):
    user_id: Annotated[str, Field(max_length=256)] | None = None


class Skill(Strict):
    type: Literal["anthropic", "custom"]
    skill_id: str
    version: str | None = None


class Container(Strict):
    id: str | None = None
    skills: list[Skill] | None = None


class Diagnostics(Strict):
    previous_message_id: str | None = None


class McpServer(Open):
    type: Literal["url"]
    name: str
    url: str
    authorization_token: str | None = Field(default=None, repr=False)
