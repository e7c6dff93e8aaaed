from __future__ import annotations

from typing import Any

import pytest

from app.errors import UpstreamRefused
from app.kiro.failures import MODEL_FIELDS_REFUSED
from app.kiro.request import KiroRequest, Reasoning
from app.translate.ladder import MOST, next_document

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "format": "city"}}, "required": ["city"]}


def document(*, schema: dict[str, Any] | None = None, fields: bool = True, reasoning: bool = True) -> KiroRequest:
    tools = [] if schema is None else [
        {"toolSpecification": {"name": "get_weather", "description": "Weather", "inputSchema": {"json": schema}}}
    ]  # fmt: skip
    message = {"content": "Hi", "userInputMessageContext": {"tools": tools} if tools else {}}
    return KiroRequest(
        {"currentMessage": {"userInputMessage": message}, "history": []},
        {"thinking": {"type": "adaptive"}} if fields else None,
        (Reasoning(1, 1, {"reasoningText": {"text": "Hm", "signature": "s"}}),) if reasoning else (),
    )


def refusal(reason: str | None = None, status: int | None = 400) -> UpstreamRefused:
    return UpstreamRefused("Improperly formed request.", upstream_status=status, reason=reason)


def climb(request: KiroRequest, error: UpstreamRefused) -> tuple[list[str], KiroRequest]:
    """All changes until none is left."""
    tried: list[str] = []
    while (step := next_document(request, error, tried)) is not None:
        name, request = step
        tried.append(name)
    return tried, request


def test_a_refused_signature_takes_the_thinking_out_once() -> None:
    tried, changed = climb(document(schema=SCHEMA), refusal("THINKING_SIGNATURE_INVALID"))
    assert tried == ["retry_without_reasoning"]
    assert changed.reasoning == ()
    assert changed.model_fields is not None


def test_refused_model_fields_are_left_out() -> None:
    tried, changed = climb(document(), refusal(MODEL_FIELDS_REFUSED))
    assert tried == ["retry_without_model_fields"]
    assert changed.model_fields is None


def test_a_refused_schema_gets_simpler_and_then_moves_to_the_description() -> None:
    tried, changed = climb(document(schema=SCHEMA), refusal("TOOL_SCHEMA_INVALID"))
    assert tried == ["retry_with_strict_schemas", "retry_with_stubbed_tools"]
    context = changed.conversation_state["currentMessage"]["userInputMessage"]["userInputMessageContext"]
    tool = context["tools"][0]["toolSpecification"]
    assert tool["inputSchema"] == {"json": {"type": "object", "properties": {}}}
    assert '"city"' in tool["description"]
    assert "format" not in tool["description"]


def test_a_general_refusal_is_answered_by_two_changes_at_most() -> None:
    tried, _ = climb(document(schema=SCHEMA), refusal())
    assert tried == ["retry_without_reasoning", "retry_without_model_fields"]
    assert len(tried) == MOST


def test_what_would_change_nothing_is_not_tried() -> None:
    assert climb(document(fields=False, reasoning=False), refusal())[0] == []
    plain = {"type": "object", "properties": {}}
    assert climb(document(schema=plain, fields=False, reasoning=False), refusal())[0] == []


@pytest.mark.parametrize("reason", ["INVALID_MODEL_ID", "TOOL_USE_RESULT_MISMATCH", "IMAGE_SIZE_EXCEEDED"])
def test_a_refusal_that_no_change_answers_stands(reason: str) -> None:
    assert next_document(document(schema=SCHEMA), refusal(reason), []) is None


def test_the_document_given_stays_as_it_is() -> None:
    request = document(schema=SCHEMA)
    before = repr(request)
    climb(request, refusal("TOOL_SCHEMA_INVALID"))
    assert repr(request) == before
