"""The request document and its JSON.

What belongs to the credential of one attempt is no part of the document: its profile ARN, and thinking of earlier turns, whose
signatures only hold for the credential that got them. Both are put in when an attempt is written down. Source: protocol 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

ASSISTANT = "assistantResponseMessage"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Thinking of an earlier turn. at: index in the history; content: `reasoningContent` (protocol 3.4)."""

    at: int
    credential_id: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KiroRequest:
    """conversation_state: protocol 3.1; model_fields: `additionalModelRequestFields` (3.4), None for most models."""

    conversation_state: dict[str, Any]
    model_fields: dict[str, Any] | None = None
    reasoning: tuple[Reasoning, ...] = ()


def serialise(request: KiroRequest, profile_arn: str | None, credential_id: int | None = None) -> bytes:
    """The body of one attempt; absent parts are left out, as null is refused upstream."""
    state = request.conversation_state
    own = [reasoning for reasoning in request.reasoning if reasoning.credential_id == credential_id]
    if own:
        history = list(state["history"])
        for reasoning in own:
            history[reasoning.at] = {ASSISTANT: {**history[reasoning.at][ASSISTANT], "reasoningContent": reasoning.content}}
        state = {**state, "history": history}
    body: dict[str, Any] = {"conversationState": state}
    if request.model_fields:
        body["additionalModelRequestFields"] = request.model_fields
    if profile_arn:
        body["profileArn"] = profile_arn
    return orjson.dumps(body)
