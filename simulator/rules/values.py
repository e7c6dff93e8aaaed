"""Rules about single values: types, nulls, enumerations, size of the whole. Source: protocol 3.1, 3.2, 4.4 (7, 14)."""

from __future__ import annotations

from typing import Any

from simulator.chat import ASSISTANT, USER, ChatCall, mapping, sequence
from simulator.refusals import BODY_INVALID, IMPROPERLY_FORMED, Refusal

ORIGINS = frozenset(
    "AI_EDITOR CLI KIRO_CLI IDE CHATBOT CONSOLE KIRO_CONSOLE KIRO_WEB INLINE_CHAT MD MD_IDE MD_CE MOBILE GITLAB DOCUMENTATION "
    "MARKETING SAGE_MAKER SM_AI_STUDIO_IDE SERVICE_INTERNAL UNIFIED_SEARCH OPENSEARCH_DASHBOARD Q_DEV_BEXT UNKNOWN".split()
)
INTENTS = frozenset(
    "SUGGEST_ALTERNATE_IMPLEMENTATION APPLY_COMMON_BEST_PRACTICES IMPROVE_CODE SHOW_EXAMPLES CITE_SOURCES EXPLAIN_LINE_BY_LINE "
    "EXPLAIN_CODE_SELECTION GENERATE_CLOUDFORMATION_TEMPLATE GENERATE_UNIT_TESTS CODE_GENERATION".split()
)
ENUMERATIONS = {
    "chatTriggerType": frozenset(["MANUAL", "DIAGNOSTIC", "INLINE_CHAT"]),
    "agentTaskType": frozenset(["vibe", "spectask"]),
    "origin": ORIGINS,
    "userIntent": INTENTS,
    "status": frozenset(["success", "error"]),
}
STRINGS = frozenset(["modelId", "toolUseId", "name", "description", "conversationId", "agentContinuationId", "format", "bytes"])
ARRAYS = frozenset(["history", "images", "toolUses", "tools", "toolResults", "documents"])
OBJECTS = frozenset(
    ["conversationState", "currentMessage", USER, ASSISTANT, "userInputMessageContext", "toolSpecification", "source"]
)
# What a tool takes and gives is the caller's own; other rules look at it where they must.
OPAQUE = frozenset(["input", "inputSchema", "json"])


def field_values(call: ChatCall) -> Refusal | None:
    """No nulls, no unknown enumeration values, no value of the wrong type, nothing missing, no cache points in tools."""
    if not isinstance(call.body, dict) or "systemPrompt" in call.body:
        return BODY_INVALID
    if not _present(call.state, "conversationId", "chatTriggerType") or not _present(call.current, "modelId", "origin"):
        return IMPROPERLY_FORMED
    for turn in sequence(call.state.get("history")):
        if not isinstance(turn, dict) or (USER in turn) == (ASSISTANT in turn):
            return IMPROPERLY_FORMED
    if any("content" not in message for _, message in call.turns):
        return IMPROPERLY_FORMED
    fields = {name: value for name, value in call.body.items() if name != "additionalModelRequestFields"}
    return None if _sound(fields) else IMPROPERLY_FORMED


def body_size(call: ChatCall) -> Refusal | None:
    """A very large body gets the general answer, not the one about length."""
    return IMPROPERLY_FORMED if call.body_bytes > call.options.body_bytes else None


def _present(message: dict[str, Any], *names: str) -> bool:
    return all(message.get(name) for name in names)


def _sound(value: Any) -> bool:
    if isinstance(value, list):
        return all(_sound(part) for part in value)
    if not isinstance(value, dict):
        return value is not None
    return all(name in OPAQUE or (_fits(name, part, value) and _sound(part)) for name, part in value.items())


def _fits(name: str, part: Any, around: dict[str, Any]) -> bool:
    if name == "content":
        return _is_result_content(part) if "toolUseId" in around else isinstance(part, str)
    if name in ENUMERATIONS:
        return isinstance(part, str) and part in ENUMERATIONS[name]
    if name in STRINGS:
        return isinstance(part, str)
    if name in ARRAYS:
        return isinstance(part, list) and not any("cachePoint" in mapping(entry) for entry in part)
    return isinstance(part, dict) if name in OBJECTS else True


def _is_result_content(content: Any) -> bool:
    return isinstance(content, list) and all(
        isinstance(part, dict) and len(part) == 1 and (isinstance(part.get("text"), str) or "json" in part) for part in content
    )
