"""The request document and its JSON. The profile ARN belongs to the credential of one attempt, never to the document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class KiroRequest:
    """conversation_state: protocol 3.1; model_fields: `additionalModelRequestFields` (3.4), None for most models."""

    conversation_state: dict[str, Any]
    model_fields: dict[str, Any] | None = None


def serialise(request: KiroRequest, profile_arn: str | None) -> bytes:
    """The body of one attempt; absent parts are left out, as null is refused upstream."""
    body: dict[str, Any] = {"conversationState": request.conversation_state}
    if request.model_fields:
        body["additionalModelRequestFields"] = request.model_fields
    if profile_arn:
        body["profileArn"] = profile_arn
    return orjson.dumps(body)
