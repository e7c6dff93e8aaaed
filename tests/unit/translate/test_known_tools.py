from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from app.anthropic import tools as t
from app.translate.known_tools import as_tool
from app.translate.schemas import clean_schema
from app.translate.tools import Tool

ANY: TypeAdapter[Any] = TypeAdapter(t.Tool)
SCREEN = {"display_width_px": 800, "display_height_px": 600}


def known(type_: str, name: str, **fields: Any) -> Tool:
    tool = as_tool(ANY.validate_python({"type": type_, "name": name, **fields}))
    assert tool is not None
    return tool


@pytest.mark.parametrize(
    ("type_", "name", "arguments"),
    [
        ("bash_20241022", "bash", {"command", "restart"}),
        ("bash_20250124", "bash", {"command", "restart"}),
        ("text_editor_20250124", "str_replace_editor", {"command", "path", "old_str", "new_str", "view_range"}),
        ("text_editor_20250728", "str_replace_based_edit_tool", {"command", "path", "insert_text", "insert_line"}),
        ("memory_20250818", "memory", {"command", "old_path", "new_path", "file_text"}),
    ],
)
def test_a_tool_the_client_runs_is_described(type_: str, name: str, arguments: set[str]) -> None:
    tool = known(type_, name)
    assert tool.name == name
    assert tool.description
    assert isinstance(tool.schema, dict)
    assert arguments <= tool.schema["properties"].keys()
    assert clean_schema(tool.schema) == tool.schema, "nothing of it has to be simplified"


def test_only_the_old_editor_can_undo() -> None:
    for type_, name, undoes in (
        ("text_editor_20250124", "str_replace_editor", True),
        ("text_editor_20250728", "str_replace_based_edit_tool", False),
    ):
        schema: Any = known(type_, name).schema
        assert ("undo_edit" in schema["properties"]["command"]["enum"]) == undoes


def test_a_computer_says_how_large_its_screen_is() -> None:
    tool = known("computer_20251124", "computer", **SCREEN, enable_zoom=True)
    assert "800 × 600" in tool.description
    schema: Any = tool.schema
    assert "zoom" in schema["properties"]["action"]["enum"]
    without: Any = known("computer_20250124", "computer", **SCREEN).schema
    assert "zoom" not in without["properties"]["action"]["enum"]


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "mcp_toolset", "mcp_server_name": "files"},
        {"type": "browser_toolset_20260801"},
    ],
)
def test_what_runs_elsewhere_is_no_tool_here(declared: Any) -> None:
    assert as_tool(ANY.validate_python(declared)) is None


def test_examples_of_arguments_end_the_description() -> None:
    declared = {"name": "Bash", "input_schema": {"type": "object"}, "input_examples": [{"command": "ls"}]}
    for description, begins in (("Runs", "Runs\n\nExamples"), (None, "Examples")):
        tool = as_tool(ANY.validate_python({**declared, "description": description}))
        assert tool is not None
        assert tool.description == f'{begins} of arguments:\n{{"command":"ls"}}'
