"""Tools as Kiro takes them: names both ways, and specifications.

In: the tools a client declares and the names its history uses. Out: a `ToolNames` that maps every name to a legal one and back
without collision, tool specifications, and the descriptions that are too long for a specification and belong into the system
text. Source: protocol 3.6, causes 3 and 5 of 4.4.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.translate.rules import Rules
from app.translate.schemas import clean_schema

MAX_NAME_BYTES = 63
KEPT_NAME_CHARACTERS = 54
MAX_DESCRIPTION_CHARACTERS = 10_000
MAX_DESCRIPTION_BYTES = 10_240
STUB_DESCRIPTION = "Tool used in conversation history"

_LEGAL = re.compile(rf"[a-zA-Z0-9_-]{{1,{MAX_NAME_BYTES}}}")
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as declared. schema: the client's `input_schema`, untouched."""

    name: str
    description: str
    schema: object


class ToolNames:
    """Names of one request, both ways.

    A legal name stays itself; every other one is its first characters and a hash, so that a name's mapping does not depend on
    which other tools happen to be there. Upstream compares names ignoring case, so of two that differ in case only the second
    is mapped too. declared: all that may ever be offered, so that a name stays what it was when a deferred tool is loaded.
    """

    def __init__(self, declared: Iterable[str] = (), rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._to_kiro: dict[str, str] = {}
        self._to_client: dict[str, str] = {}  # keys in lower case
        names = list(dict.fromkeys(declared))
        # Legal names first, in order: a mapped name must not take the place of one that can stay.
        for name in sorted(names, key=lambda name: _LEGAL.fullmatch(name) is None):
            self._add(name)

    def to_kiro(self, name: str) -> str:
        """The upstream name; a name that was not declared is mapped as if it had been the last one."""
        known = self._to_kiro.get(name)
        if known is not None:
            return known
        declared = self._to_client.get(name.lower())
        if declared is not None and self._to_kiro[declared] == declared:
            return declared  # the history writes a declared tool in another case
        return self._add(name)

    def to_client(self, name: str) -> str:
        """The client's name for what upstream called; unknown names pass."""
        return self._to_client.get(name.lower(), name)

    def __contains__(self, name: str) -> bool:
        """Whether an upstream name is taken, ignoring case."""
        return name.lower() in self._to_client

    def _add(self, name: str) -> str:
        mapped = name
        if not _LEGAL.fullmatch(name) or name.lower() in self._to_client:
            if not self._rules.fires("tool_name"):
                self._to_kiro[name] = name
                self._to_client.setdefault(name.lower(), name)
                return name
            mapped = shorten_name(name)
        # Assumed: 32 bits of hash never collide in earnest; the loop makes it certain.
        salt = 0
        while mapped.lower() in self._to_client:
            salt += 1
            mapped = shorten_name(name, salt)
        self._to_kiro[name] = mapped
        self._to_client[mapped.lower()] = name
        return mapped


def shorten_name(name: str, salt: int = 0) -> str:
    """First 54 characters, `_`, 8 hex digits of SHA-256 of the whole name."""
    digest = hashlib.sha256((name + "\0" * salt).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_FOREIGN.sub('_', name)[:KEPT_NAME_CHARACTERS]}_{digest[:8]}"


def specify(tools: Iterable[Tool], names: ToolNames, rules: Rules) -> tuple[list[dict[str, Any]], list[str]]:
    """Tool specifications, and the sections that long descriptions add to the system text."""
    specifications, sections, seen = [], [], set()
    for tool in tools:
        if tool.name in seen and rules.fires("duplicate_tool"):
            continue
        seen.add(tool.name)
        name = names.to_kiro(tool.name)
        description = tool.description
        if not description.strip() and rules.fires("tool_description"):
            description = f"Tool: {name}"
        if _is_long(description) and rules.fires("long_description"):
            sections.append(f"# Tool: {name}\n\n{description}")
            description = f'The description of this tool is in the system text, under the heading "Tool: {name}".'
        schema = clean_schema(tool.schema)
        if schema != tool.schema and not rules.fires("tool_schema"):
            schema = tool.schema  # type: ignore[assignment]
        specifications.append(specification(name, description, schema))
    return specifications, sections


def specification(name: str, description: str, schema: object) -> dict[str, Any]:
    """One entry of `tools`."""
    return {"toolSpecification": {"name": name, "description": description, "inputSchema": {"json": schema}}}


def stub(name: str) -> dict[str, Any]:
    """The specification of a tool that only the history knows."""
    return specification(name, STUB_DESCRIPTION, {"type": "object", "properties": {}})


def _is_long(description: str) -> bool:
    return len(description) > MAX_DESCRIPTION_CHARACTERS or len(description.encode("utf-8", "replace")) > MAX_DESCRIPTION_BYTES
