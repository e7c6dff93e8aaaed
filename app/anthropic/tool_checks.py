"""Tools that cannot be meant: names, schemas, choices.

In: a request. Out: the real API's message for the first problem, None when there is none. A schema is only refused when no
repair of the translation makes sense of it: none at all, `{}`, another `type` at the top, unions and references are mended.
Source: the reference of the Messages API, sections 4.1 and 7; rows 19 to 32 of the failure corpus.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from app.anthropic.tools import CustomTool, WebFetchTool, WebSearchTool, name_of
from app.anthropic.wording import quoted

if TYPE_CHECKING:
    from app.anthropic.request import CountRequest

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
# Seen in schemas of real tools, which use these words as names of arguments; they must survive (row 28).
_NAMED_LIKE_KEYWORDS = frozenset({"$ref", "$defs", "$id", "$schema"})
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_INSTEAD_OF_TYPE = ("$ref", "allOf", "anyOf", "oneOf")
INVALID_SCHEMA = (
    "JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12). "
    "Learn more about tool use at https://docs.claude.com/en/docs/tool-use."
)


def names_are_well_formed(request: CountRequest) -> str | None:
    for index, tool in enumerate(request.tools):
        if isinstance(tool, CustomTool) and not _NAME.fullmatch(tool.name):
            return f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
    return None


def names_are_unique(request: CountRequest) -> str | None:
    names = [name for tool in request.tools if (name := name_of(tool)) is not None]
    return None if len(names) == len(set(names)) else "tools: Tool names must be unique."


def schemas_are_valid(request: CountRequest) -> str | None:
    for index, tool in enumerate(request.tools):
        if isinstance(tool, CustomTool) and tool.input_schema:
            problem = _schema_problem(tool.input_schema)
            if problem:
                return f"tools.{index}.custom.input_schema{problem}"
    return None


def domains_are_one_list(request: CountRequest) -> str | None:
    for index, tool in enumerate(request.tools):
        if isinstance(tool, WebFetchTool | WebSearchTool) and tool.allowed_domains and tool.blocked_domains:
            return f"tools.{index}.{tool.type}: Only one of `allowed_domains` and `blocked_domains` may be specified"
    return None


def forced_tool_is_known(request: CountRequest) -> str | None:
    choice = request.tool_choice
    if choice is not None and choice.type == "tool" and choice.name not in map(name_of, request.tools):
        return f"Tool '{quoted(choice.name)}' not found in provided tools"
    return None


def thinking_allows_choice(request: CountRequest) -> str | None:
    thinks = request.thinking is not None and request.thinking.type == "enabled"
    if thinks and request.tool_choice is not None and request.tool_choice.type in ("any", "tool"):
        return "Thinking may not be enabled when tool_choice forces tool use."
    return None


def _schema_problem(schema: dict[str, Any]) -> str | None:
    """What follows `input_schema` in the message, None for a schema that can be used or mended."""
    if schema.get("type") is None and not any(key in schema for key in _INSTEAD_OF_TYPE):
        return ".type: Field required"
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name in properties:
            if not _PROPERTY.fullmatch(name) and name not in _NAMED_LIKE_KEYWORDS:
                return f".properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$', found '{quoted(name)}'"
    return None if _is_schema(schema) else f": {INVALID_SCHEMA}"


def _is_schema(schema: dict[str, Any]) -> bool:
    """Whether the keywords that carry the shape are of the right kind, at every depth."""
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, bool) or node is None:
            continue
        if not isinstance(node, dict) or not _is_type(node.get("type")):
            return False
        for key in ("properties", "$defs", "definitions", "patternProperties"):
            children = node.get(key)
            if isinstance(children, dict):
                waiting.extend(children.values())
            elif children is not None:
                return False
        for key in ("allOf", "anyOf", "oneOf"):
            children = node.get(key)
            if isinstance(children, list):
                waiting.extend(children)
            elif children is not None:
                return False
        items = node.get("items")
        waiting.extend(items if isinstance(items, list) else [items])
        required = node.get("required")
        # A boolean is draft 3, which many tools still write.
        if not isinstance(required, bool | None | list) or (isinstance(required, list) and not _are_strings(required)):
            return False
    return True


def _is_type(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) and item in _TYPES for item in value)
    return value is None or (isinstance(value, str) and value in _TYPES)


def _are_strings(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
