"""The body of one attempt."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.kiro.request import KiroRequest, Reasoning, serialise

STATE: dict[str, Any] = {"conversationId": "c", "currentMessage": {"userInputMessage": {"content": "naïve 😀"}}}


@pytest.mark.parametrize("absent", [None, ""])
@pytest.mark.parametrize("fields", [None, {}])
def test_what_is_absent_is_left_out(absent: str | None, fields: dict[str, Any] | None) -> None:
    body = serialise(KiroRequest(STATE, fields), absent)
    assert orjson.loads(body) == {"conversationState": STATE}
    assert b"null" not in body


def test_the_arn_of_the_attempt_and_the_models_own_fields_go_along() -> None:
    fields = {"output_config": {"effort": "high"}}
    request = KiroRequest(STATE, fields)
    expected = {"conversationState": STATE, "additionalModelRequestFields": fields}
    assert orjson.loads(serialise(request, "arn:1")) == {**expected, "profileArn": "arn:1"}
    assert orjson.loads(serialise(request, "arn:2")) == {**expected, "profileArn": "arn:2"}
    assert orjson.loads(serialise(request, None)) == expected


def test_text_is_sent_as_utf_8() -> None:
    assert "naïve 😀".encode() in serialise(KiroRequest(STATE), None)


def test_thinking_goes_only_to_the_credential_that_got_it() -> None:
    turns = [{"userInputMessage": {"content": "Hi"}}, {"assistantResponseMessage": {"content": "Hello"}}]
    thinking = {"reasoningText": {"text": "Hm", "signature": "s"}}
    request = KiroRequest({**STATE, "history": turns}, None, (Reasoning(1, 7, thinking),))
    own, other = (orjson.loads(serialise(request, None, id_))["conversationState"]["history"] for id_ in (7, 8))
    assert own == [turns[0], {"assistantResponseMessage": {"content": "Hello", "reasoningContent": thinking}}]
    assert other == turns
