"""What a request asks of the answer and Kiro has no field for, in words.

In: `tool_choice` and the format of the answer. Out: sentences for a reminder at the end of the current turn, so that whatever
stands before it stays byte for byte what it was. The model is asked, not forced. Source: Messages API, sections 5 and 7.
"""

from __future__ import annotations

import orjson

from app.anthropic import tools as t
from app.anthropic.request import MessageRequest
from app.translate.rules import Rules
from app.translate.tools import ToolNames


def wishes_in_words(request: MessageRequest, names: ToolNames, rules: Rules) -> str:
    """All wishes, "" when there are none."""
    choice, form = _choice(request, names), _format(request)
    if choice:
        rules.chose("tool_choice")
    if form:
        rules.chose("output_format")
    return "\n".join(wish for wish in (choice, form) if wish)


def demanded_call(request: MessageRequest, names: ToolNames) -> str:
    """The demand for a call in words, "" when none is demanded."""
    demands = isinstance(request.tool_choice, t.ToolChoiceAny | t.ToolChoiceTool)
    return _choice(request, names) if demands else ""


def _choice(request: MessageRequest, names: ToolNames) -> str:
    choice = request.tool_choice
    if choice is None:
        return ""
    if isinstance(choice, t.ToolChoiceNone):
        return "Do not call any tool in this turn; answer in text."
    sentences = []
    if isinstance(choice, t.ToolChoiceAny):
        sentences.append("Call at least one of the tools in this turn.")
    elif isinstance(choice, t.ToolChoiceTool):
        sentences.append(f"Call the tool {names.to_kiro(choice.name)} in this turn.")
    if choice.disable_parallel_tool_use:
        sentences.append("Call at most one tool in this turn.")
    return " ".join(sentences)


def _format(request: MessageRequest) -> str:
    config = request.output_config
    wanted = (config.format if config is not None else None) or request.output_format
    if wanted is None:
        return ""
    schema = orjson.dumps(wanted.schema_).decode()
    return f"Write the answer as one JSON text that follows this JSON Schema, with nothing around it:\n{schema}"
