"""Tools that Anthropic defines and the client runs: what the model has to be told of them here.

At Anthropic the model knows these tools by training and the request carries no schema; Kiro needs one.
In: a parsed tool. Out: a `Tool` with description and schema, or None for what a client cannot run.
Source: the public documentation of the bash, text editor, computer and memory tools; Messages API, section 7.
"""

from __future__ import annotations

from typing import Any

import orjson

from app.anthropic import tools as t
from app.translate.tools import Tool

_TEXT = {"type": "string"}
_PATH = {"type": "string", "description": "Absolute path of a file or folder"}
_POINT = {"type": "array", "items": {"type": "integer"}, "description": "[x, y] in pixels from the upper left corner"}


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return schema if required else {"type": "object", "properties": properties}


def _one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


BASH = (
    "Run a command in a persistent bash session, or restart the session.",
    _object(
        [],
        command={"type": "string", "description": "The command to run; required unless restarting"},
        restart={"type": "boolean", "description": "True restarts the session"},
    ),
)

_EDITOR_PROPERTIES: dict[str, dict[str, Any]] = {
    "path": _PATH,
    "file_text": {"type": "string", "description": "For create: the content of the new file"},
    "old_str": {"type": "string", "description": "For str_replace: the text to replace; it must occur exactly once"},
    "new_str": {"type": "string", "description": "For str_replace: the new text; for insert: the text to insert"},
    "insert_line": {"type": "integer", "description": "For insert: the line after which to insert; 0 is the beginning"},
    "view_range": {
        "type": "array",
        "items": {"type": "integer"},
        "description": "For view: first and last line, -1 for the end",
    },
}
EDITOR_WITH_UNDO = (
    "View, create and edit text files; undo_edit takes back the last edit of a file.",
    _object(["command", "path"], command=_one_of("view", "create", "str_replace", "insert", "undo_edit"), **_EDITOR_PROPERTIES),
)
EDITOR = (
    "View, create and edit text files.",
    _object(
        ["command", "path"],
        command=_one_of("view", "create", "str_replace", "insert"),
        **_EDITOR_PROPERTIES,
        insert_text={"type": "string", "description": "For insert: the text to insert"},
    ),
)
MEMORY = (
    "Keep notes across conversations as files below /memories: view, create, edit, delete and rename them.",
    _object(
        ["command"],
        command=_one_of("view", "create", "str_replace", "insert", "delete", "rename"),
        **_EDITOR_PROPERTIES,
        insert_text=_TEXT,
        old_path=_PATH,
        new_path=_PATH,
    ),
)
_ACTIONS = (
    "key", "type", "mouse_move", "left_click", "left_click_drag", "right_click", "middle_click", "double_click", "triple_click",
    "left_mouse_down", "left_mouse_up", "scroll", "hold_key", "wait", "screenshot", "cursor_position", "zoom",
)  # fmt: skip


def _computer(tool: t.ComputerTool) -> tuple[str, dict[str, Any]]:
    return (
        f"Control a computer by mouse and keyboard and look at its screen of {tool.display_width_px} × "
        f"{tool.display_height_px} pixels.",
        _object(
            ["action"],
            action=_one_of(*(action for action in _ACTIONS if action != "zoom" or tool.enable_zoom)),
            coordinate=_POINT,
            start_coordinate=_POINT,
            text={"type": "string", "description": "Text to type, or keys such as ctrl+s"},
            duration={"type": "number", "description": "Seconds, for hold_key and wait"},
            scroll_direction=_one_of("up", "down", "left", "right"),
            scroll_amount={"type": "integer"},
            region={"type": "array", "items": {"type": "integer"}, "description": "For zoom: [x0, y0, x1, y1]"},
        ),
    )


def as_tool(tool: t.Tool) -> Tool | None:
    """What the model is told of a tool; None for tools that run at Anthropic or have no one name."""
    match tool:
        case t.CustomTool():
            return Tool(tool.name, _with_examples(tool.description or "", tool.input_examples), tool.input_schema)
        case t.BashTool():
            description, schema = BASH
        case t.TextEditorTool():
            description, schema = EDITOR_WITH_UNDO
        case t.TextEditorBasedTool():
            description, schema = EDITOR
        case t.MemoryTool():
            description, schema = MEMORY
        case t.ComputerTool():
            description, schema = _computer(tool)
        case _:
            return None
    return Tool(tool.name, description, schema)


def _with_examples(description: str, examples: list[dict[str, Any]] | None) -> str:
    """A description that ends in examples of arguments, one JSON text a line."""
    if not examples:
        return description
    lines = "\n".join(orjson.dumps(example).decode() for example in examples)
    return f"{description}\n\nExamples of arguments:\n{lines}".lstrip()
