"""Rules about the order and content of turns, and about tool uses meeting their results. Source: protocol 4.4 (1–4, 11, 12)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from simulator.chat import ASSISTANT, USER, ChatCall, context, images, sequence, text, tool_results, tool_uses
from simulator.refusals import IMPROPERLY_FORMED, INVALID_TOOL_USE, TOOL_CONFIG_MISSING, Refusal


def empty_content(call: ChatCall) -> Refusal | None:
    """Every turn says something: a user turn text or results, an assistant turn text (one space will do)."""
    for kind, message in call.turns:
        if message.get("content") != "":
            continue
        if kind == USER and not tool_results(message):
            return IMPROPERLY_FORMED
        if kind == ASSISTANT and "reasoningContent" not in message:  # that one is `empty_turn`
            return IMPROPERLY_FORMED
    return None


def empty_turn(call: ChatCall) -> Refusal | None:
    """No turn is what a retry left behind: thinking stored without text, or a user turn of white space."""
    for kind, message in call.turns:
        if kind == ASSISTANT and message.get("content") == "" and "reasoningContent" in message:
            return IMPROPERLY_FORMED
        said = message.get("content")
        blank = isinstance(said, str) and said != "" and not said.strip()
        if kind == USER and blank and not tool_results(message) and not images(message):
            return IMPROPERLY_FORMED
    return None


def tool_pairing(call: ChatCall) -> Refusal | None:
    """Each tool use is answered in the very next user turn, each result has its use there, and no id comes twice."""
    refusal = INVALID_TOOL_USE if call.service == "runtime" else IMPROPERLY_FORMED
    asked: list[Any] = []
    used: set[Any] = set()
    for kind, message in call.turns:
        if kind == ASSISTANT:
            if asked:
                return refusal
            asked = list(_ids(tool_uses(message)))
            if len(set(asked)) != len(asked) or used.intersection(asked):
                return refusal
            used.update(asked)
        else:
            if sorted(_ids(tool_results(message))) != sorted(asked):
                return refusal
            asked = []
    return refusal if asked else None


def tools_declared(call: ChatCall) -> Refusal | None:
    """Where tools were used, the current message declares them; names compare without case."""
    uses = [use for kind, message in call.turns if kind == ASSISTANT for use in tool_uses(message)]
    results = [result for kind, message in call.turns if kind == USER for result in tool_results(message)]
    if (uses or results) and not sequence(context(call.current).get("tools")):
        return TOOL_CONFIG_MISSING
    declared = {text(tool.get("name")).lower() for tool in call.tools}
    if any(text(use.get("name")).lower() not in declared for use in uses):
        return IMPROPERLY_FORMED
    return None


def alternation(call: ChatCall) -> Refusal | None:
    """The history begins with a user turn, and no two user turns follow each other, the current one included."""
    if call.current.get("origin") == "KIRO_CLI" and not call.options.enforce_turns_of_cli:
        return None
    kinds = [kind for kind, _ in call.turns]
    if kinds[0] != USER or (USER, USER) in pairwise(kinds):
        return IMPROPERLY_FORMED
    return None


def consecutive_assistant(call: ChatCall) -> Refusal | None:
    """No two assistant turns follow each other."""
    return IMPROPERLY_FORMED if (ASSISTANT, ASSISTANT) in pairwise(kind for kind, _ in call.turns) else None


def _ids(entries: list[dict[str, Any]]) -> Iterator[str]:
    return (text(entry.get("toolUseId")) for entry in entries)
