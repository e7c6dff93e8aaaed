"""A request of the Messages API as a request document of Kiro, in numbered steps.

In: a parsed `MessageRequest`, the model it resolved to and the ids of its conversation. Out: a `Translation`, or
RequestRejected naming the part that cannot be sent on. The same request always gives the same document: no clock, no chance,
so that upstream's prompt cache can hit. The profile ARN is not part of it; it belongs to the credential of an attempt.
Source: protocol 3 and 4.4.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from app.anthropic import tools as t
from app.anthropic.request import MessageRequest
from app.anthropic.token_count import count_request
from app.kiro.request import KiroRequest
from app.translate.blocks import Reader
from app.translate.conversation import CHANGING_LINE
from app.translate.effort import Thinking, translate_thinking
from app.translate.history import legalise
from app.translate.known_tools import as_tool
from app.translate.models import ResolvedModel
from app.translate.rules import Rules
from app.translate.tools import Tool, ToolNames, specify, stub
from app.translate.turns import ASSISTANT, USER, Turn, assistant_message, user_message

SYSTEM_ACCEPTED = "I will follow these instructions."


@dataclass(frozen=True, slots=True)
class Translation:
    """kiro: what is sent. tool_names: maps calls of the answer back. input_tokens: an estimate. rules: which fired."""

    kiro: KiroRequest
    tool_names: ToolNames
    thinking: Thinking
    input_tokens: int
    rules: list[str]


def translate_request(
    request: MessageRequest,
    *,
    model: ResolvedModel,
    conversation_id: str,
    continuation_id: str,
    rules_off: Collection[str] = (),
) -> Translation:
    """Translate; rules_off: rules to leave out, for tests that prove each one is needed."""
    rules = Rules(rules_off)
    # 1. what each message says
    reader = Reader(rules, images=model.images)
    turns = reader.turns(request.messages)
    # 2. one legal conversation
    turns = legalise(turns, rules)
    # 3. tools, and what calls in the history need
    tools = _tools(request, turns, reader.referenced, rules)
    called = [call.name for turn in turns for call in turn.calls]
    names = ToolNames((tool.name for tool in tools), rules)
    specifications, sections = specify(tools, names, rules)
    declared = {entry["toolSpecification"]["name"].lower() for entry in specifications}
    for name in dict.fromkeys(called):
        kiro_name = names.to_kiro(name)
        if kiro_name.lower() not in declared and rules.fires("tool_stub"):
            declared.add(kiro_name.lower())
            specifications.append(stub(kiro_name))
    # 4. what is asked for beside the conversation
    thinking = translate_thinking(request, model)
    current = turns[-1]
    if words := _choice_in_words(request, names):
        rules.fires("tool_choice")
        current.texts.append(f"<system-reminder>\n{words}\n</system-reminder>")
    # 5. the system text as a first exchange
    system = _system_text(request, sections, thinking, rules)
    history = [] if not system else [Turn(USER, [system]), Turn(ASSISTANT, [SYSTEM_ACCEPTED])]
    # 6. written down
    kiro_names = {name: names.to_kiro(name) for name in dict.fromkeys(called)}
    entries = [_entry(turn, model.used, kiro_names) for turn in [*history, *turns[:-1]]]
    message = user_message(current, model.used)
    context = message.setdefault("userInputMessageContext", {})
    if specifications:
        context["tools"] = specifications
    state: dict[str, Any] = {
        "agentContinuationId": continuation_id,
        "agentTaskType": "vibe",
        "chatTriggerType": "MANUAL",
        "conversationId": conversation_id,
        "currentMessage": {"userInputMessage": message},
    }
    if entries:
        state["history"] = entries
    fired = list(dict.fromkeys([*request.repaired, *rules.fired]))
    return Translation(KiroRequest(state, thinking.model_fields), names, thinking, count_request(request), fired)


def _entry(turn: Turn, model_id: str, names: dict[str, str]) -> dict[str, Any]:
    if turn.role == ASSISTANT:
        return {"assistantResponseMessage": assistant_message(turn, names)}
    return {"userInputMessage": user_message(turn, model_id)}


def _tools(request: MessageRequest, turns: list[Turn], referenced: set[str], rules: Rules) -> list[Tool]:
    """The tools the model may see: the client's own, a deferred one only once something has loaded it."""
    called = {call.name for turn in turns for call in turn.calls}
    loaded = referenced | called
    if request.tool_choice is not None and request.tool_choice.type == "none":
        # Nothing may be called; what the history calls still has to be declared.
        wanted: set[str] | None = called
    else:
        wanted = None
    tools = []
    for declared in request.tools:
        tool = as_tool(declared)
        if tool is None:
            if isinstance(declared, t.ServerTool | t.ToolsetTool):
                rules.fires("server_tool")
            continue
        if declared.defer_loading and tool.name not in loaded and rules.fires("deferred_tool"):
            continue
        if wanted is not None and tool.name not in wanted:
            continue
        tools.append(tool)
    return tools


def _choice_in_words(request: MessageRequest, names: ToolNames) -> str:
    """`tool_choice` and `disable_parallel_tool_use`: Kiro has no field for them, so the model is told."""
    choice = request.tool_choice
    if choice is None:
        return ""
    sentences = []
    if isinstance(choice, t.ToolChoiceNone):
        return "Do not call any tool in this turn; answer in text."
    if isinstance(choice, t.ToolChoiceAny):
        sentences.append("Call at least one of the tools in this turn.")
    elif isinstance(choice, t.ToolChoiceTool):
        sentences.append(f"Call the tool {names.to_kiro(choice.name)} in this turn.")
    if choice.disable_parallel_tool_use:
        sentences.append("Call at most one tool in this turn.")
    return " ".join(sentences)


def _system_text(request: MessageRequest, sections: list[str], thinking: Thinking, rules: Rules) -> str:
    """System blocks one per line, then what tool descriptions had to move here; the thinking prefix stands first."""
    texts = []
    for block in request.system:
        if block.text.startswith(CHANGING_LINE) and rules.fires("billing_line"):
            continue
        if not block.text.strip() and rules.fires("empty_text"):
            continue
        texts.append(block.text)
    text = "\n".join(texts)
    if sections:
        text = "\n\n".join([text, *sections] if text else sections)
    has_mode = "<thinking_mode>" in text or "<max_thinking_length>" in text
    if thinking.prefix and not has_mode and rules.fires("thinking_tags"):
        text = f"{thinking.prefix}\n{text}" if text else thinking.prefix
    return text
