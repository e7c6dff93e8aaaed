"""Rules about declared tools and the inputs they were used with. Source: protocol 3.6 and 4.4 (5, 6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from simulator.chat import ASSISTANT, ChatCall, mapping, sequence, text, tool_uses
from simulator.refusals import IMPROPERLY_FORMED, INVALID_TOOL_USE, SCHEMA_INVALID, Refusal

NAME = re.compile(r"[a-zA-Z0-9_-]+")
DESCRIPTION_BYTES = 10_240
ROOT_COMBINATORS = ("anyOf", "oneOf", "allOf")
# Refused in one report or another, on one host or another; accepted elsewhere. Only with the option `strict_schema`.
DISPUTED_KEYWORDS = frozenset(
    ["$schema", "additionalProperties", "default", "format", "exclusiveMinimum", "exclusiveMaximum", "propertyNames", "$ref"]
)


def tool_specification(call: ChatCall) -> Refusal | None:
    """Names are short, plain and different; descriptions are there and not too long; schemas are objects."""
    names = [text(tool.get("name")) for tool in call.tools]
    if len({name.lower() for name in names}) != len(names):
        return IMPROPERLY_FORMED
    for tool, name in zip(call.tools, names, strict=True):
        if not NAME.fullmatch(name) or len(name) > call.options.tool_name_bytes:
            return IMPROPERLY_FORMED
        description = text(tool.get("description"))
        if not description.strip() or len(description.encode(errors="replace")) > DESCRIPTION_BYTES:
            return IMPROPERLY_FORMED
        if (refusal := _schema(mapping(tool.get("inputSchema")).get("json"))) is not None:
            return refusal
        if call.options.strict_schema and any(word in DISPUTED_KEYWORDS for word, _ in _keywords(tool["inputSchema"]["json"])):
            return IMPROPERLY_FORMED
    return None


def tool_input(call: ChatCall) -> Refusal | None:
    """The input of a tool use is an object, and no key in it is empty."""
    for kind, message in call.turns:
        for use in tool_uses(message) if kind == ASSISTANT else ():
            if not isinstance(use.get("input"), dict) or _has_empty_key(use["input"]):
                return INVALID_TOOL_USE if call.service == "runtime" else IMPROPERLY_FORMED
    return None


def _schema(schema: Any) -> Refusal | None:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return IMPROPERLY_FORMED
    for name, value in _keywords(schema):
        if name == "properties" and not isinstance(value, dict):
            return IMPROPERLY_FORMED
        if name == "required" and not (isinstance(value, list) and all(isinstance(entry, str) for entry in value)):
            return IMPROPERLY_FORMED
    return SCHEMA_INVALID if any(name in schema for name in ROOT_COMBINATORS) else None


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every keyword of a schema and its parts, with its value; names of properties are not keywords."""
    for name, value in mapping(schema).items():
        yield name, value
        if name in ("properties", "$defs", "definitions"):
            for part in mapping(value).values():
                yield from _keywords(part)
        elif name not in ("enum", "const", "default", "examples"):
            for part in sequence(value) or [value]:
                yield from _keywords(part)


def _has_empty_key(value: Any) -> bool:
    if isinstance(value, dict):
        return "" in value or any(_has_empty_key(part) for part in value.values())
    return isinstance(value, list) and any(_has_empty_key(part) for part in value)
