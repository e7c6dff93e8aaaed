"""A request of the Messages API as a request document of Kiro, in numbered steps.

In: a parsed `MessageRequest`, the model it resolved to and the ids of its conversation. Out: a `Translation`, or
RequestRejected naming the part that cannot be sent on. The same request always gives the same document: no clock, no chance,
so that upstream's prompt cache can hit. The profile ARN is not part of it; it belongs to the credential of an attempt.
Source: protocol 3 and 4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.anthropic import tools as t
from app.anthropic.request import MessageRequest
from app.kiro.request import KiroRequest, Reasoning
from app.translate.blocks import Reader, reminder
from app.translate.conversation import CHANGING_LINE
from app.translate.effort import Thinking, translate_thinking
from app.translate.history import legalise
from app.translate.known_tools import as_tool
from app.translate.models import ResolvedModel
from app.translate.rules import Rules
from app.translate.signatures import Seal, Sealer
from app.translate.tools import Tool, ToolNames, specify, stub
from app.translate.turns import ASSISTANT, USER, Turn, assistant_message, user_message
from app.translate.wishes import demanded_call, wishes_in_words

SYSTEM_ACCEPTED = "I will follow these instructions."


@dataclass(frozen=True, slots=True)
class Translation:
    """kiro: what is sent. tool_names: maps calls of the answer back. rules: which fired.

    tools: schema of each declared tool by upstream's name. demand: the demand for a call in words, "" for none.
    after_results: whether tools have just answered.
    """

    kiro: KiroRequest
    tool_names: ToolNames
    thinking: Thinking
    rules: list[str]
    tools: dict[str, Any]
    demand: str
    after_results: bool


def translate_request(
    request: MessageRequest,
    *,
    model: ResolvedModel,
    conversation_id: str,
    continuation_id: str,
    sealer: Sealer | None = None,
    rules_off: Collection[str] = (),
) -> Translation:
    """Translate.

    sealer: opens our signatures of thinking in the history; without one none is sent on.
    rules_off: rules to leave out, for tests that prove each one is needed.
    """
    rules = Rules(rules_off)
    # 1. what each message says
    declared = [(tool, declared) for declared in request.tools if (tool := as_tool(declared)) is not None]
    names = ToolNames((tool.name for tool, _ in declared), rules)
    reader = Reader(rules, names, images=model.images, unseal=_unseal(sealer, model))
    turns = reader.turns(request.messages)
    # 2. one legal conversation
    turns = legalise(turns, rules)
    # 3. tools, and what calls in the history need
    called = {call.name: names.to_kiro(call.name) for turn in turns for call in turn.calls}
    offered = _offered(request, [*declared, *((tool, None) for tool in reader.defined)], reader.offered, called, rules)
    specifications, sections = specify(offered, names, rules)
    specifications += _stubs(called.values(), specifications, rules)
    # 4. what is asked for beside the conversation
    thinking = translate_thinking(request, model)
    current = turns[-1]
    if wishes := wishes_in_words(request, names, rules):
        current.texts.append(reminder(wishes))
    # 5. the system text as a first exchange
    system = _system_text(request, sections, thinking, rules)
    history = [] if not system else [Turn(USER, [system]), Turn(ASSISTANT, [SYSTEM_ACCEPTED])]
    # 6. written down
    past = [*history, *turns[:-1]]
    entries = [_entry(turn, model.used, called) for turn in past]
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
    reasoning = _reasoning(past, rules)
    fired = list(dict.fromkeys([*request.repaired, *rules.fired]))
    return Translation(
        kiro=KiroRequest(state, thinking.model_fields, reasoning),
        tool_names=names,
        thinking=thinking,
        rules=fired,
        tools={names.to_kiro(tool.name): tool.schema for tool in offered},
        demand=demanded_call(request, names),
        after_results=bool(current.results),
    )


def _unseal(sealer: Sealer | None, model: ResolvedModel) -> Callable[[str, str], Seal | None]:
    return lambda signature, thinking: None if sealer is None else sealer.open(signature, thinking, model.used)


def _reasoning(turns: list[Turn], rules: Rules) -> tuple[Reasoning, ...]:
    """Thinking that may be sent again; a turn of Kiro's has room for one."""
    found = []
    for at, turn in enumerate(turns):
        if turn.role == ASSISTANT and len(turn.thoughts) == 1:
            (thought,) = turn.thoughts
            found.append(Reasoning(at, thought.credential_id, thought.content))
        elif turn.thoughts:
            rules.chose("history_thinking")
    return tuple(found)


def _entry(turn: Turn, model_id: str, names: dict[str, str]) -> dict[str, Any]:
    if turn.role == ASSISTANT:
        return {"assistantResponseMessage": assistant_message(turn, names)}
    return {"userInputMessage": user_message(turn, model_id)}


def _offered(
    request: MessageRequest,
    tools: Iterable[tuple[Tool, t.Tool | None]],
    changes: Mapping[str, bool],
    called: Collection[str],
    rules: Rules,
) -> list[Tool]:
    """The tools the model may see; those the history calls are always among them, as Kiro wants them declared.

    tools: each with what the client declared. changes: which of them the conversation offered or withdrew last.
    """
    choice = request.tool_choice
    chosen = choice.name if isinstance(choice, t.ToolChoiceTool) else None
    if any(not isinstance(declared, t.CustomTool) and as_tool(declared) is None for declared in request.tools):
        rules.chose("server_tool")
    # With a search that would run at Anthropic nobody could find a deferred tool: all of them are offered.
    searched = any(isinstance(declared, t.ToolSearchBm25Tool | t.ToolSearchRegexTool) for declared in request.tools)
    offered = []
    for tool, declared in tools:
        wanted = changes.get(tool.name)
        if wanted is None:
            wanted = searched or tool.name == chosen or declared is None or not declared.defer_loading
            if not wanted and tool.name not in called:
                rules.chose("deferred_tool")
        if isinstance(choice, t.ToolChoiceNone):
            wanted = False
        if not wanted and tool.name not in called:
            continue
        if isinstance(declared, t.CustomTool) and declared.input_examples:
            rules.chose("tool_examples")
        offered.append(tool)
    return offered


def _stubs(called: Iterable[str], specifications: Iterable[dict[str, Any]], rules: Rules) -> list[dict[str, Any]]:
    """Specifications of what the history calls and nobody declares. Names are upstream's, which compares them without case."""
    declared = {entry["toolSpecification"]["name"].lower() for entry in specifications}
    stubs = []
    for name in called:
        if name.lower() not in declared and rules.fires("tool_stub"):
            declared.add(name.lower())
            stubs.append(stub(name))
    return stubs


def _system_text(request: MessageRequest, sections: list[str], thinking: Thinking, rules: Rules) -> str:
    """System blocks one per line, then what tool descriptions had to move here; the thinking prefix stands first."""
    texts = []
    for block in request.system:
        if block.text.startswith(CHANGING_LINE):
            rules.chose("billing_line")
            continue
        if not block.text.strip() and rules.fires("empty_text"):
            continue
        texts.append(block.text)
    text = "\n".join(texts)
    if sections:
        text = "\n\n".join([text, *sections] if text else sections)
    has_mode = "<thinking_mode>" in text or "<max_thinking_length>" in text
    if thinking.prefix and not has_mode:
        rules.chose("thinking_tags")
        text = f"{thinking.prefix}\n{text}" if text else thinking.prefix
    return text
