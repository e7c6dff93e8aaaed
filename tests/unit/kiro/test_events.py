"""One frame in, one Kiro event out."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import (
    AccountSuspended,
    GatewayError,
    MalformedEvent,
    QuotaExhausted,
    Throttled,
    TokenRejected,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.kiro import events as e
from app.kiro.events import parse_event
from app.kiro.eventstream import Frame, FrameDecoder, HeaderValue
from tests.unit.kiro import frames as f
from tests.unit.kiro.test_payload import JSON

KNOWN = (
    "assistantResponseEvent",
    "toolUseEvent",
    "reasoningContentEvent",
    "contextUsageEvent",
    "meteringEvent",
    "metadataEvent",
    "invalidStateEvent",
)
TOOL = {"toolUseId": "tooluse_1", "name": "Bash"}


def parse(event_type: str, payload: Any) -> e.KiroEvent:
    """Through the decoder, as a real event comes."""
    [frame] = FrameDecoder().feed(f.event(event_type, payload))
    return parse_event(frame)


def failure(payload: Any = b"", **headers: str) -> GatewayError:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    [frame] = FrameDecoder().feed(f.Sent(f.strings(**headers), raw).encode())
    with pytest.raises(GatewayError) as raised:
        parse_event(frame)
    return raised.value


# -- every type --


@pytest.mark.parametrize(
    ("event_type", "payload", "event"),
    [
        ("assistantResponseEvent", {"content": "Hel"}, e.AssistantText("Hel")),
        ("assistantResponseEvent", {"content": ""}, e.AssistantText("")),
        ("assistantResponseEvent", {}, e.AssistantText("")),
        ("assistantResponseEvent", {"content": None}, e.AssistantText("")),
        (
            "assistantResponseEvent",
            {
                "content": "x",
                "modelId": "m",
                "messageStatus": "COMPLETED",
                "followupPrompt": {"content": "no"},
                "references": [],
            },
            e.AssistantText("x"),
        ),
        ("assistantResponseEvent", rb'{"content":"half \ud83d"}', e.AssistantText("half \ufffd")),
        ("assistantResponseEvent", rb'{"content":"\ud83d\ude00"}', e.AssistantText("😀")),
        ("toolUseEvent", {**TOOL, "input": '{"comm', "stop": False}, e.ToolUseFragment("tooluse_1", "Bash", '{"comm', False)),
        ("toolUseEvent", {**TOOL, "stop": True}, e.ToolUseFragment("tooluse_1", "Bash", "", True)),
        ("toolUseEvent", {**TOOL, "input": "", "stop": True}, e.ToolUseFragment("tooluse_1", "Bash", "", True)),
        ("toolUseEvent", {**TOOL, "input": {"a": 1}}, e.ToolUseFragment("tooluse_1", "Bash", '{"a":1}', False)),
        ("toolUseEvent", {**TOOL, "input": {}}, e.ToolUseFragment("tooluse_1", "Bash", "", False)),
        ("toolUseEvent", {"toolUseId": "t"}, e.ToolUseFragment("t", "", "", False)),
        ("toolUseEvent", rb'{"toolUseId":"t","input":"\"\ud83d"}', e.ToolUseFragment("t", "", '"\ufffd', False)),
        ("reasoningContentEvent", {"text": "Let me"}, e.Reasoning("Let me", "", "")),
        ("reasoningContentEvent", {"signature": "SIG=="}, e.Reasoning("", "SIG==", "")),
        ("reasoningContentEvent", {"redactedContent": "QUJD"}, e.Reasoning("", "", "QUJD")),
        ("contextUsageEvent", {"contextUsagePercentage": 3.27}, e.ContextUsage(3.27)),
        ("contextUsageEvent", {"contextUsagePercentage": 0}, e.ContextUsage(0.0)),
        ("contextUsageEvent", {"contextUsagePercentage": 104.5}, e.ContextUsage(104.5)),
        ("contextUsageEvent", {"contextUsagePercentage": -1}, e.ContextUsage(0.0)),
        ("meteringEvent", {"usage": 0.0412, "unit": "credit", "unitPlural": "s"}, e.Metering(Decimal("0.0412"), "credit")),
        ("meteringEvent", b'{"usage":0.10000000000000000555}', e.Metering(Decimal("0.10000000000000000555"), "")),
        ("meteringEvent", b'{"usage":1e-7}', e.Metering(Decimal("1E-7"), "")),
        ("meteringEvent", b'{"usage":3}', e.Metering(Decimal(3), "")),
        ("meteringEvent", b'{"usage":-3}', e.Metering(Decimal(0), "")),
        ("meteringEvent", b'{"usage":0e999999}', e.Metering(Decimal(0), "")),
        ("metadataEvent", {}, e.Metadata(None, None, None)),
        ("metadataEvent", {"tokenUsage": {}, "stopReason": "X"}, e.Metadata(e.TokenUsage(0, 0, 0, 0), "X", None)),
        (
            "metadataEvent",
            {
                "tokenUsage": {
                    "uncachedInputTokens": 4210,
                    "outputTokens": 88,
                    "totalTokens": 4298,
                    "cacheReadInputTokens": 7,
                    "cacheWriteInputTokens": 9.0,
                    "contextUsagePercentage": 2.1,
                },
                "stopReason": "END_TURN",
                "stopDetails": {"refusal": {"category": "c", "explanation": "because", "recommendedModel": "m"}},
            },
            e.Metadata(e.TokenUsage(4210, 88, 7, 9), "END_TURN", e.Refusal("c", "because")),
        ),
        ("metadataEvent", {"stopDetails": {"refusal": {}}}, e.Metadata(None, None, e.Refusal(None, None))),
        ("metadataEvent", {"stopDetails": None}, e.Metadata(None, None, None)),
    ],
)
def test_an_event_is_understood(event_type: str, payload: Any, event: e.KiroEvent) -> None:
    parsed = parse(event_type, payload)
    assert parsed == event
    if isinstance(parsed, e.Metering) and isinstance(event, e.Metering):
        assert len(str(parsed.credits)) < 40


@pytest.mark.parametrize("event_type", sorted(e.IGNORED))
@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff\xfe", b'{"content":"not text"}'])
def test_an_event_without_anything_for_us_is_ignored_whatever_it_holds(event_type: str, payload: bytes) -> None:
    assert parse(event_type, payload) == e.Ignored(event_type)


def test_the_follow_up_prompt_is_not_printed_as_text() -> None:
    assert parse("followupPromptEvent", {"followupPrompt": {"content": "And now?"}}) == e.Ignored("followupPromptEvent")


@pytest.mark.parametrize("event_type", ["somethingNewEvent", "session_start", "assistantresponseevent"])
def test_a_new_event_is_unknown_and_never_fatal(event_type: str) -> None:
    assert parse(event_type, b"not JSON at all") == e.Unknown(event_type)


@pytest.mark.parametrize(
    ("headers", "event"),
    [
        ({}, e.Unknown("")),
        ({":event-type": "contextUsageEvent"}, e.ContextUsage(1.5)),
        ({":message-type": "event"}, e.Unknown("")),
        ({":message-type": "event", ":event-type": 7}, e.Unknown("7")),
        ({":message-type": "trailer", ":event-type": "contextUsageEvent"}, e.Unknown("trailer")),
        ({":message-type": True}, e.Unknown("True")),
    ],
)
def test_headers_that_are_missing_or_strange_are_not_fatal(headers: dict[str, HeaderValue], event: e.KiroEvent) -> None:
    assert parse_event(Frame(headers, b'{"contextUsagePercentage":1.5}')) == event


# -- broken ones --


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [
        *((name, raw) for name in KNOWN[:-1] for raw in (b"", b"{", b"null", b"[]", b'"x"', b"7", b"\xff", b"[" * 3000)),
        ("assistantResponseEvent", {"content": {"text": "x"}}),
        ("assistantResponseEvent", {"content": 7}),
        ("toolUseEvent", {"name": "Bash", "input": "{}"}),
        ("toolUseEvent", {"toolUseId": ""}),
        ("toolUseEvent", {"toolUseId": 7}),
        ("toolUseEvent", {**TOOL, "name": []}),
        ("toolUseEvent", {**TOOL, "input": ["a"]}),
        ("toolUseEvent", {**TOOL, "input": json.loads('{"a":' * 300 + "1" + "}" * 300)}),
        ("reasoningContentEvent", {"text": ["x"]}),
        ("reasoningContentEvent", {"signature": 1}),
        ("contextUsageEvent", {}),
        ("contextUsageEvent", {"contextUsagePercentage": True}),
        ("contextUsageEvent", {"contextUsagePercentage": "12"}),
        ("contextUsageEvent", b'{"contextUsagePercentage":1e999}'),
        ("contextUsageEvent", b'{"contextUsagePercentage":NaN}'),
        ("meteringEvent", {}),
        ("meteringEvent", {"usage": "0.1"}),
        ("meteringEvent", {"usage": True}),
        ("meteringEvent", b'{"usage":1e999}'),
        ("meteringEvent", b'{"usage":1e-999}'),
        ("meteringEvent", b'{"usage":1e99999999999999999999}'),
        ("meteringEvent", b'{"usage":NaN}'),
        ("meteringEvent", {"usage": 1, "unit": 2}),
        ("metadataEvent", {"tokenUsage": []}),
        ("metadataEvent", {"tokenUsage": {"outputTokens": "7"}}),
        ("metadataEvent", b'{"tokenUsage":{"outputTokens":1e999}}'),
        ("metadataEvent", {"stopReason": 7}),
        ("metadataEvent", {"stopDetails": "x"}),
        ("metadataEvent", {"stopDetails": {"refusal": "x"}}),
        ("metadataEvent", {"stopDetails": {"refusal": {"category": 7}}}),
    ],
)
def test_a_payload_that_breaks_its_promise_is_a_malformed_event(event_type: str, payload: Any) -> None:
    with pytest.raises(MalformedEvent, match=event_type):
        parse(event_type, payload)


VALUES = JSON | st.floats() | st.sampled_from([2**64, 10**400, -1, 1e308, "", "x", True])
FIELDS = st.sampled_from(
    "content toolUseId name input stop text signature redactedContent contextUsagePercentage usage unit tokenUsage "
    "outputTokens stopReason stopDetails refusal category message reason retryAfterMilliseconds __type _type".split()
)
PAYLOADS = (
    st.dictionaries(FIELDS, VALUES | st.dictionaries(FIELDS, VALUES, max_size=3), max_size=4).map(
        lambda it: json.dumps(it).encode()
    )
    | JSON.map(lambda it: json.dumps(it).encode())
    | st.binary(max_size=30)
)
KINDS: st.SearchStrategy[HeaderValue] = st.sampled_from(["event", "exception", "error", "other", "", True, 7, b"event"])
NAMES: st.SearchStrategy[HeaderValue] = st.sampled_from([*KNOWN, "initial-response", "newEvent", "ThrottlingException", "", 7])


@settings(max_examples=1000, deadline=None)
@given(KINDS, NAMES, PAYLOADS)
def test_any_frame_is_an_event_or_a_gateway_error(kind: HeaderValue, name: HeaderValue, payload: bytes) -> None:
    headers = {":message-type": kind, ":event-type": name, ":exception-type": name, ":error-code": name}
    outcome: e.KiroEvent | GatewayError
    try:
        outcome = parse_event(Frame(headers, payload))
    except GatewayError as error:
        outcome = error
    if isinstance(outcome, GatewayError):
        assert 400 <= outcome.status < 600
        assert outcome.message.encode()
    else:
        assert isinstance(outcome, e.KiroEvent)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KNOWN), PAYLOADS)
def test_what_comes_out_can_be_written_again(name: str, payload: bytes) -> None:
    try:
        event = parse_event(Frame({":event-type": name}, payload))
    except GatewayError:
        return
    repr(event).encode()


# -- exception and error frames --


@pytest.mark.parametrize(
    ("name", "payload", "kind", "retry_after"),
    [
        ("ThrottlingException", {"reason": "USER_REQUEST_RATE_EXCEEDED", "retryAfterMilliseconds": 8000}, Throttled, 8),
        ("throttlingException", {"message": "Too many requests"}, Throttled, None),
        ("com.amazon.aws.codewhisperer#ThrottlingException", {}, Throttled, None),
        ("ThrottlingException", {"reason": "MONTHLY_REQUEST_COUNT"}, QuotaExhausted, None),
        ("ThrottlingException", {"reason": "DAILY_REQUEST_COUNT"}, QuotaExhausted, None),
        ("ThrottlingException", {"reason": "INSUFFICIENT_MODEL_CAPACITY"}, UpstreamUnavailable, None),
        ("ServiceQuotaExceededException", {"message": "limit"}, QuotaExhausted, None),
        ("ServiceQuotaExceededException", {"reason": "CONVERSATION_LIMIT_EXCEEDED"}, UpstreamRefused, None),
        ("AccessDeniedException", {"reason": "TEMPORARILY_SUSPENDED"}, AccountSuspended, None),
        ("accessDeniedException", {"message": "no"}, TokenRejected, None),
        ("ExpiredTokenException", {}, TokenRejected, None),
        ("ValidationException", {"message": "Improperly formed request.", "reason": None}, UpstreamRefused, None),
        ("validationException", {"message": "x"}, UpstreamRefused, None),
        ("InternalServerException", {"reason": "MODEL_TEMPORARILY_UNAVAILABLE"}, UpstreamUnavailable, None),
        ("internalServerException", {"message": "broken"}, UpstreamError, None),
        ("serviceUnavailableException", {"message": "broken"}, UpstreamUnavailable, None),
        ("InternalServerException", {"reason": "TOOL_USE_RESULT_MISMATCH"}, UpstreamRefused, None),
        ("SomethingNewException", {"message": "what?"}, UpstreamError, None),
    ],
)
def test_an_exception_frame_is_the_error_it_stands_for(
    name: str, payload: Any, kind: type[GatewayError], retry_after: int | None
) -> None:
    error = failure(payload, message_type="exception", exception_type=name)
    assert type(error) is kind
    assert error.retry_after_seconds == retry_after
    assert type(failure(payload, message_type="error", error_code=name)) is kind


def test_an_exception_frame_may_name_its_type_in_the_payload_only() -> None:
    error = failure({"__type": "com.amazon.aws#ThrottlingException", "message": "slow"}, message_type="exception")
    assert type(error) is Throttled


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ({":message-type": "exception", ":exception-type": "ContentLengthExceededException"}, b'{"message":"too long"}'),
        ({":message-type": "exception", ":exception-type": "contentLengthExceededException"}, b""),
        ({":message-type": "exception", ":exception-type": "com.amazon.aws#ContentLengthExceededException"}, b"x"),
        ({":message-type": "exception"}, b'{"_type":"aws#ContentLengthExceededException"}'),
        ({":message-type": "error", ":error-code": "ContentLengthExceededException"}, b""),
    ],
)
def test_an_answer_that_outgrows_the_window_ends_with_an_event(headers: dict[str, HeaderValue], payload: bytes) -> None:
    assert parse_event(Frame(headers, payload)) == e.ContentLengthExceeded()


def test_an_error_frame_carries_its_words_in_headers_or_payload() -> None:
    assert "Something" in failure(message_type="error", error_code="InternalError", error_message="Something").message
    assert "inside" in failure({"message": "inside"}, message_type="error", error_code="InternalError").message
    assert "InternalError" in failure(message_type="error", error_code="InternalError").message
    assert failure(message_type="exception").message == "Kiro answered with an error: no explanation"


def test_an_invalid_state_is_an_error() -> None:
    error = failure({"reason": "INVALID_TASK_ASSIST_PLAN", "message": "no plan"}, event_type="invalidStateEvent")
    assert type(error) is UpstreamError
    assert error.reason == "INVALID_TASK_ASSIST_PLAN"
    assert "no plan" in error.message


@pytest.mark.parametrize("event_type", ["assistantResponseEvent", "initial-response", "newEvent", ""])
@pytest.mark.parametrize("field", ["__type", "_type"])
def test_an_error_that_comes_as_an_ordinary_event_is_an_error(event_type: str, field: str) -> None:
    payload = {field: "com.amazon.aws#ThrottlingException", "message": "slow down"}
    assert type(failure(payload, message_type="event", event_type=event_type)) is Throttled


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"__type": "com.amazon.aws#AssistantResponseEvent", "content": "Hi"}, "Hi"),
        ({"content": '{"__type":"ThrottlingException"}'}, '{"__type":"ThrottlingException"}'),
    ],
)
def test_a_text_about_an_error_is_a_text(payload: dict[str, str], text: str) -> None:
    assert parse("assistantResponseEvent", payload) == e.AssistantText(text)


def test_text_events_are_parsed_in_time() -> None:
    frame = Frame(
        {":message-type": "event", ":event-type": "assistantResponseEvent"}, b'{"content":"a few words of the answer"}'
    )
    best = 60.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(10_000):
            parse_event(frame)
        best = min(best, time.process_time() - began)
    assert best < 10_000 * 3e-6
