"""Calls and their results: every `tool_use` has exactly one `tool_result`, in the user turn right after it.

In: a request. Out: the real API's message for the first call or result that breaks this, None when none does. Neighbouring
messages of one role are one turn, as the real API reads them, and system messages between them belong to neither. Where in its
turn a result stands is left open: clients put text before it. Source: the reference of the Messages API, sections 4.1 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.anthropic.blocks import ToolResultBlock, ToolUseBlock

if TYPE_CHECKING:
    from app.anthropic.request import CountRequest


@dataclass(slots=True)
class _Turn:
    """calls: id and index of its message; results: id and path."""

    role: str
    calls: list[tuple[str, int]] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)


def call_ids_are_unique(request: CountRequest) -> str | None:
    ids = [id_ for turn in _turns(request) for id_, _ in turn.calls]
    return None if len(ids) == len(set(ids)) else "messages: `tool_use` ids must be unique"


def calls_are_answered(request: CountRequest) -> str | None:
    turns = _turns(request)
    for at, turn in enumerate(turns):
        if not turn.calls:
            continue
        answered = {id_ for id_, _ in turns[at + 1].results} if at + 1 < len(turns) else set()
        missing = [(id_, index) for id_, index in turn.calls if id_ not in answered]
        if missing:
            index = missing[0][1]
            ids = ", ".join(id_ for id_, at_index in missing if at_index == index)
            return (
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each "
                "`tool_use` block must have a corresponding `tool_result` block in the next message."
            )
    return None


def results_have_calls(request: CountRequest) -> str | None:
    called: set[str] = set()
    for turn in _turns(request):
        for id_, path in turn.results:
            if id_ not in called:
                return (
                    f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}. Each `tool_result` block must "
                    "have a corresponding `tool_use` block in the previous message."
                )
        called = {id_ for id_, _ in turn.calls}
    return None


def results_are_single(request: CountRequest) -> str | None:
    for turn in _turns(request):
        seen: set[str] = set()
        for id_, path in turn.results:
            if id_ in seen:
                return f"{path}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id_}"
            seen.add(id_)
    return None


def _turns(request: CountRequest) -> list[_Turn]:
    turns: list[_Turn] = []
    for index, message in enumerate(request.messages):
        if message.role == "system":
            continue
        if not turns or turns[-1].role != message.role:
            turns.append(_Turn(message.role))
        for at, block in enumerate(message.content):
            if isinstance(block, ToolUseBlock):
                turns[-1].calls.append((block.id, index))
            elif isinstance(block, ToolResultBlock):
                turns[-1].results.append((block.tool_use_id, f"messages.{index}.content.{at}"))
    return turns
