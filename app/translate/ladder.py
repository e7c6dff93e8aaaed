"""What to change about a document that Kiro refused although it looked right.

In: the document, the refusal, what was changed before. Out: the next document to try and the name of the change, or None when
there is nothing left that could help. At most MOST changes per request, each at most once, and only one that changes something.
What a reason names decides; the general refusal goes through all of them. Source: protocol 3.4, 3.6, 4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import orjson

from app.errors import UpstreamRefused
from app.kiro.failures import MODEL_FIELDS_REFUSED
from app.kiro.request import KiroRequest
from app.translate.blocks import reminder
from app.translate.schemas import clean_schema

MOST = 2
MOST_DESCRIPTION_CHARACTERS = 9_000


def next_document(request: KiroRequest, refusal: UpstreamRefused, tried: Collection[str]) -> tuple[str, KiroRequest] | None:
    """The change's name and the document to send instead."""
    if len(tried) >= MOST:
        return None
    for name in _CHANGES_FOR.get(refusal.reason or "", ()) if refusal.upstream_status in (None, 400, 500, 503) else ():
        changed = None if name in tried else CHANGES[name](request)
        if changed is not None:
            return name, changed
    return None


def repeat(request: KiroRequest, words: str) -> KiroRequest:
    """The document with a demand said once more at the very end."""
    state = request.conversation_state
    message = state["currentMessage"]["userInputMessage"]
    message = {**message, "content": f"{message['content']}\n\n{reminder(words)}" if words else message["content"]}
    return replace(request, conversation_state={**state, "currentMessage": {"userInputMessage": message}})


def _without_reasoning(request: KiroRequest) -> KiroRequest | None:
    return replace(request, reasoning=()) if request.reasoning else None


def _without_model_fields(request: KiroRequest) -> KiroRequest | None:
    return replace(request, model_fields=None) if request.model_fields else None


def _with_strict_schemas(request: KiroRequest) -> KiroRequest | None:
    """Only the keywords that no host ever refused."""
    return _with_tools(
        request, lambda tool: {**tool, "inputSchema": {"json": clean_schema(tool["inputSchema"]["json"], strict=True)}}
    )


def _with_stubbed_tools(request: KiroRequest) -> KiroRequest | None:
    """No schema at all; the model reads it in the description instead."""
    return _with_tools(request, _stubbed)


def _stubbed(tool: dict[str, Any]) -> dict[str, Any]:
    schema = tool["inputSchema"]["json"]
    if not schema.get("properties"):
        return tool
    told = f"{tool['description']}\n\nArguments, as a JSON Schema: {orjson.dumps(schema).decode()}"
    description = told if len(told) <= MOST_DESCRIPTION_CHARACTERS else tool["description"]
    return {**tool, "description": description, "inputSchema": {"json": {"type": "object", "properties": {}}}}


def _with_tools(request: KiroRequest, change: Callable[[dict[str, Any]], dict[str, Any]]) -> KiroRequest | None:
    state = request.conversation_state
    message = state["currentMessage"]["userInputMessage"]
    context = message.get("userInputMessageContext", {})
    tools = context.get("tools", [])
    changed = [{"toolSpecification": change(tool["toolSpecification"])} for tool in tools]
    if changed == tools:
        return None
    message = {**message, "userInputMessageContext": {**context, "tools": changed}}
    return replace(request, conversation_state={**state, "currentMessage": {"userInputMessage": message}})


CHANGES: dict[str, Callable[[KiroRequest], KiroRequest | None]] = {
    "retry_without_reasoning": _without_reasoning,
    "retry_without_model_fields": _without_model_fields,
    "retry_with_strict_schemas": _with_strict_schemas,
    "retry_with_stubbed_tools": _with_stubbed_tools,
}
_ALL = tuple(CHANGES)
_CHANGES_FOR: dict[str, tuple[str, ...]] = {
    "THINKING_SIGNATURE_INVALID": ("retry_without_reasoning",),
    MODEL_FIELDS_REFUSED: ("retry_without_model_fields",),
    "TOOL_SCHEMA_INVALID": ("retry_with_strict_schemas", "retry_with_stubbed_tools"),
    "REQUEST_BODY_INVALID": _ALL,
    "": _ALL,
}
