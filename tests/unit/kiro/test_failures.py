"""Every error answer Kiro is known to give, and what we make of it. Source: protocol 4.2, 4.3 and 5.4."""

from __future__ import annotations

import email.utils
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import (
    AccountSuspended,
    GatewayError,
    ProfileRequired,
    QuotaExhausted,
    Throttled,
    TokenRejected,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.kiro.failures import classify, from_exception, in_disguise

NOW = 1_900_000_000.0
SUSPENDED = (
    "Your User ID (123456789012) temporarily is suspended. We've locked your account as a security precaution. "
    "To restore access, please contact our support team."
)
SUSPICIOUS = (
    "Due to suspicious activity, we are imposing temporary limits on how frequently your account (d-1234567890) can send a "
    "request to Kiro while we investigate."
)
HIGH_LOAD = "Encountered unexpectedly high load when processing the request, please try again."
NO_MODEL = "Invalid model. Please select a different model to continue."
CONTEXT = "Context limit reached. The conversation exceeds this model's capacity. Start a new conversation."
TOKEN_STALE = "The bearer token included in the request is invalid."
NGINX = (
    b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body><center>nginx</center></body></html>"
)

REFUSED = (UpstreamRefused, 400, "invalid_request_error")
TOKEN = (TokenRejected, 502, "api_error")
SUSPENSION = (AccountSuspended, 502, "api_error")
QUOTA = (QuotaExhausted, 429, "rate_limit_error")
THROTTLED = (Throttled, 429, "rate_limit_error")
OVERLOADED = (UpstreamUnavailable, 529, "overloaded_error")
PROFILE = (ProfileRequired, 502, "api_error")
BROKEN = (UpstreamError, 502, "api_error")


@dataclass(frozen=True)
class Case:
    """One answer of Kiro: status and body as they come, class, status and error.type as they are understood."""

    status: int
    message: str | None
    reason: str | None
    outcome: tuple[type[GatewayError], int, str]

    @property
    def body(self) -> bytes:
        return json.dumps({"message": self.message, "reason": self.reason}).encode()


CASES = [
    Case(400, "Improperly formed request.", None, REFUSED),
    Case(400, "Invalid tool use format.", "REQUEST_BODY_INVALID", REFUSED),
    Case(400, "Invalid tool use format.", None, REFUSED),
    Case(400, "The request body is not valid JSON.", "REQUEST_BODY_INVALID_JSON", REFUSED),
    Case(400, "Input is too long.", "CONTENT_LENGTH_EXCEEDS_THRESHOLD", REFUSED),
    Case(400, "Input is too long for requested model.", None, REFUSED),
    Case(400, None, "PROMPT_TOO_LONG", REFUSED),
    Case(413, CONTEXT, None, REFUSED),
    Case(400, NO_MODEL, "INVALID_MODEL_ID", REFUSED),
    Case(400, "profileArn is required for this request.", None, PROFILE),
    Case(400, "Invalid profileArn", None, PROFILE),
    Case(403, "Invalid token", None, PROFILE),
    Case(401, "Invalid token", None, TOKEN),
    Case(400, "The provided credential is invalid.", None, BROKEN),
    Case(400, "bad signature", "THINKING_SIGNATURE_INVALID", REFUSED),
    Case(400, "additionalModelRequestFields is not supported for this model", None, REFUSED),
    Case(401, "Unauthorized", None, TOKEN),
    Case(401, None, None, TOKEN),
    Case(402, "You have reached the limit.", "MONTHLY_REQUEST_COUNT", QUOTA),
    Case(402, "You have reached the limit.", None, QUOTA),
    Case(402, "Start a new conversation.", "CONVERSATION_LIMIT_EXCEEDED", REFUSED),
    Case(429, "You have reached the limit.", "MONTHLY_REQUEST_COUNT", QUOTA),
    Case(429, "You have reached the limit.", "DAILY_REQUEST_COUNT", QUOTA),
    Case(402, "cap", "OVERAGE_REQUEST_LIMIT_EXCEEDED", QUOTA),
    Case(403, "cap", "OVERAGE_REQUEST_LIMIT_EXCEEDED", QUOTA),
    Case(403, TOKEN_STALE, None, TOKEN),
    Case(403, SUSPENDED, None, SUSPENSION),
    Case(403, SUSPENDED.upper(), None, SUSPENSION),
    Case(403, "locked", "TEMPORARILY_SUSPENDED", SUSPENSION),
    Case(423, "Locked", None, SUSPENSION),
    Case(403, "User is not authorized to make this call.", None, PROFILE),
    Case(403, "AWS Builder ID is not supported for this operation.", None, PROFILE),
    Case(403, "no", "FEATURE_NOT_SUPPORTED", PROFILE),
    Case(403, "Your subscription does not support this application", None, PROFILE),
    Case(403, "no", "UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS", TOKEN),
    Case(429, "Too many requests, please wait before trying again.", "USER_REQUEST_RATE_EXCEEDED", THROTTLED),
    Case(429, "Too many requests", "SERVICE_REQUEST_RATE_EXCEEDED", THROTTLED),
    Case(429, "5-minute credit limit exceeded", "CREDIT_CONSUMPTION_RATE_EXCEEDED", THROTTLED),
    Case(429, "5-minute credit limit exceeded", None, THROTTLED),
    Case(429, SUSPICIOUS, None, THROTTLED),
    Case(429, "I am experiencing high traffic, please try again shortly.", "INSUFFICIENT_MODEL_CAPACITY", OVERLOADED),
    Case(429, "I am experiencing high traffic, please try again shortly.", None, OVERLOADED),
    Case(429, "no", "INSUFFICIENT_THROUGHPUT", OVERLOADED),
    Case(500, HIGH_LOAD, None, OVERLOADED),
    Case(500, "no", "MODEL_TEMPORARILY_UNAVAILABLE", OVERLOADED),
    Case(503, "no", "TOOL_USE_RESULT_MISMATCH", REFUSED),
    Case(500, "no", "TOOL_SCHEMA_INVALID", REFUSED),
    Case(503, "Expected toolResult blocks at messages.2.content for the following Ids: tooluse_1", None, REFUSED),
    Case(408, "Request Timeout", None, BROKEN),
    Case(524, "A timeout occurred", None, OVERLOADED),
    Case(502, "524 Gateway Timeout", None, OVERLOADED),
    Case(500, "Internal", None, BROKEN),
    Case(502, None, None, BROKEN),
    Case(503, "Service Unavailable", None, BROKEN),
    Case(504, None, None, BROKEN),
    Case(404, "no such operation", None, BROKEN),
    Case(302, None, None, BROKEN),
]
OTHER_CLIENT_FAULTS = (
    "INVALID_CONVERSATION_ID INVALID_KMS_GRANT TOOL_CONFIG_MISSING TOOL_DUPLICATE TOOL_SCHEMA_INVALID TOOL_USE_RESULT_MISMATCH "
    "IMAGE_COUNT_EXCEEDED IMAGE_DIMENSION_EXCEEDED IMAGE_FORMAT_UNSUPPORTED IMAGE_MIME_MISMATCH IMAGE_SIZE_EXCEEDED "
    "DOCUMENT_COUNT_EXCEEDED DOCUMENT_DUPLICATE_NAME DOCUMENT_MAXIMUM_PAGES_EXCEEDED DOCUMENT_MODEL_NOT_SUPPORTED "
    "DOCUMENT_PASSWORD_PROTECTED DOCUMENT_SIZE_EXCEEDED INVALID_DOCUMENT_NAME DISALLOWED_FILE_TYPE"
).split()
CASES += [Case(400, "no", reason, REFUSED) for reason in OTHER_CLIENT_FAULTS]


def told(error: GatewayError) -> tuple[type[GatewayError], int, str]:
    return type(error), error.status, error.error_type


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status} {case.reason or case.message}"[:60])
def test_an_answer_is_understood(case: Case) -> None:
    error = classify(case.status, {}, case.body, now=NOW)
    assert told(error) == case.outcome
    assert isinstance(error, UpstreamError)
    assert error.upstream_status == case.status
    if case.message:
        assert case.message in error.message
    wrapped = json.dumps({"error": json.loads(case.body)}).encode()
    assert told(classify(case.status, {}, wrapped, now=NOW)) == case.outcome, "a proxy wrapped it"


@pytest.mark.parametrize("case", [case for case in CASES if case.reason], ids=lambda case: f"{case.reason}")
def test_kiros_own_reason_is_kept(case: Case) -> None:
    error = classify(case.status, {}, case.body)
    assert isinstance(error, UpstreamError)
    too_long = case.reason in {"CONTENT_LENGTH_EXCEEDS_THRESHOLD", "PROMPT_TOO_LONG"}
    assert error.reason == ("PROMPT_TOO_LONG" if too_long else case.reason)


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (413, CONTEXT, "PROMPT_TOO_LONG"),
        (400, "Input is too long for requested model.", "PROMPT_TOO_LONG"),
        (400, "additionalModelRequestFields is not supported for this model", "MODEL_FIELDS_REFUSED"),
        (400, "Invalid additionalModelRequestFields: property 'x' is not defined in the schema", "MODEL_FIELDS_REFUSED"),
        (429, SUSPICIOUS, "ACCOUNT_THROTTLED"),
        (500, HIGH_LOAD, "INSUFFICIENT_MODEL_CAPACITY"),
        (400, "Improperly formed request.", None),
    ],
)
def test_an_answer_without_a_reason_gets_one_where_it_decides_something(status: int, message: str, reason: str | None) -> None:
    error = classify(status, {}, json.dumps({"message": message, "reason": None}).encode())
    assert isinstance(error, UpstreamError)
    assert error.reason == reason


def test_an_over_long_prompt_says_so_first() -> None:
    assert classify(413, {}, b"").message.startswith("prompt is too long")


@pytest.mark.parametrize(
    ("headers", "body", "outcome"),
    [
        ({"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"}, {}, THROTTLED),
        ({"x-amzn-errortype": "com.amazon.aws#ThrottlingException"}, {}, THROTTLED),
        ({"x-amzn-errortype": "ServiceQuotaExceededException"}, {}, QUOTA),
        ({"x-amzn-errortype": "ExpiredTokenException"}, {}, TOKEN),
        ({}, {"__type": "com.amazon.aws#ThrottlingException"}, THROTTLED),
        ({}, {"_type": "throttlingException"}, THROTTLED),
        ({}, {"__type": "aws#ContentLengthExceededException"}, REFUSED),
        ({"x-amzn-errortype": "ServiceUnavailableException"}, {}, OVERLOADED),
        ({"x-amzn-errortype": ""}, {"__type": 7}, BROKEN),
    ],
)
def test_the_type_is_read_from_header_or_body(headers: dict[str, str], body: Any, outcome: tuple[Any, int, str]) -> None:
    assert told(classify(500, headers, json.dumps(body).encode())) == outcome


# -- when to come back --


def in_seconds(seconds: float) -> str:
    return email.utils.formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("header", "milliseconds", "seconds"),
    [
        (None, None, None),
        ("8", None, 8),
        (" 120 ", None, 120),
        ("0", None, 0),
        ("99999999999999999999", None, 7 * 24 * 3600),
        (in_seconds(90), None, 90),
        (in_seconds(-90), None, 0),
        (in_seconds(10**9), None, 7 * 24 * 3600),
        ("soon", None, None),
        ("-5", None, None),
        ("1.5", None, None),
        ("", None, None),
        ("²", None, None),
        ("Mon, 99 Foo 2030 25:61:61 GMT", None, None),
        ("Mon, 01 Jan 0001 00:00:00 -0000", None, 0),
        (None, 8000, 8),
        (None, 8001, 9),
        (None, 1, 1),
        (None, 0.5, 1),
        ("30", 8000, 8),
        ("30", 0, 30),
        ("30", -1, 30),
        ("30", "8000", 30),
        ("30", True, 30),
        (None, 1e30, 7 * 24 * 3600),
    ],
)
def test_the_time_to_wait_is_whole_seconds_or_absent(header: str | None, milliseconds: Any, seconds: int | None) -> None:
    headers = {} if header is None else {"retry-after": header}
    body = {"message": "slow"} | ({} if milliseconds is None else {"retryAfterMilliseconds": milliseconds})
    assert classify(429, headers, json.dumps(body).encode(), now=NOW).retry_after_seconds == seconds


def test_an_infinite_wait_is_no_wait() -> None:
    assert classify(429, {}, b'{"retryAfterMilliseconds":1e999}', now=NOW).retry_after_seconds is None


def test_a_date_without_a_clock_is_left_out() -> None:
    assert classify(429, {"retry-after": in_seconds(90)}, b"").retry_after_seconds is None


@pytest.mark.parametrize(("status", "message"), [(503, "Service Unavailable"), (500, HIGH_LOAD), (524, "A timeout occurred")])
def test_a_wait_is_kept_for_every_passing_trouble(status: int, message: str) -> None:
    assert classify(status, {"retry-after": "7"}, json.dumps({"message": message}).encode()).retry_after_seconds == 7


def test_a_suspicious_account_rests_for_half_an_hour_unless_told_otherwise() -> None:
    body = {"message": SUSPICIOUS}
    assert classify(429, {}, json.dumps(body).encode()).retry_after_seconds == 1800
    assert classify(429, {}, json.dumps({**body, "retryAfterMilliseconds": 60_000}).encode()).retry_after_seconds == 60


# -- what the client reads --


@pytest.mark.parametrize(
    "body",
    [
        NGINX,
        b"<!DOCTYPE html><html></html>",
        b"<?xml version='1.0'?><Error><Code>Internal</Code></Error>",
        b"\n <p>Sorry</p>",
        json.dumps({"message": NGINX.decode()}).encode(),
        json.dumps({"message": "see <!doctype html>"}).encode(),
        b"\x1f\x8b\x08binary\x00",
        b"",
        b"{}",
        b"null",
        "\u202e".encode(),
    ],
)
@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_markup_and_what_is_not_text_is_replaced_by_the_status(status: int, body: bytes) -> None:
    error = classify(status, {}, body)
    assert "<" not in error.message
    assert "nginx" not in error.message
    assert error.message.isprintable()
    assert error.message.endswith(f"status {status}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"upstream connect\r\nerror", "upstream connect error"),
        ({"message": "  two\n lines "}, "two lines"),
        ({"Message": "capital"}, "capital"),
        ({"error": {"message": "inner"}}, "inner"),
        ({"error_description": "described"}, "described"),
        ({"message": 7, "Message": "text"}, "text"),
        ({"message": "expected <id> in a < b"}, "expected <id> in a < b"),
        (rb'{"message":"half \ud83d"}', "half \ufffd"),
        (["a", "list"], "status 400"),
    ],
)
def test_kiros_own_words_reach_the_client_on_one_line(body: Any, words: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert classify(400, {}, raw).message == f"Kiro refuses this request: {words}"


def test_a_long_message_is_cut() -> None:
    assert len(classify(400, {}, json.dumps({"message": "x" * 10_000}).encode()).message) < 600
    assert len(classify(400, {}, b"x " * 10_000).message) < 600


SECRETS = [
    "aoaAAAAAGexample-access_token/1+2=",
    "aorAAAAAGexample-refresh_token",
    "ksk_exampleexampleexample",
    "eyJhbGciOiJub25lIn0.eyJ4Ijox.s",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("wording", ["token {} is bad", "Bearer {}", "'{}'", "{}"])
def test_a_token_in_the_answer_is_not_passed_on(secret: str, wording: str) -> None:
    said = wording.format(secret)
    for body in (said.encode(), json.dumps({"message": said}).encode()):
        error = classify(403, {}, body)
        assert secret not in error.message
        assert "[token]" in error.message


HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-amzn-errortype", "content-type"]), st.text(max_size=30), max_size=3
)
FIELDS = st.sampled_from("message Message reason __type _type error error_description retryAfterMilliseconds".split())
VALUES = st.none() | st.text(max_size=20) | st.floats() | st.integers() | st.lists(st.text(max_size=5), max_size=2)
BODIES = st.binary(max_size=60) | st.dictionaries(FIELDS, VALUES | st.dictionaries(FIELDS, VALUES, max_size=3)).map(
    lambda fields: json.dumps(fields).encode()
)


@given(st.integers(100, 999), HEADERS, BODIES, st.floats(0, 1e11))
def test_any_answer_at_all_is_an_upstream_error(status: int, headers: dict[str, str], body: bytes, now: float) -> None:
    for error in (classify(status, headers, body, now=now), from_exception("", body), in_disguise(body)):
        if error is not None:
            assert isinstance(error, UpstreamError)
            assert error.message.isprintable()
            assert error.retry_after_seconds is None or 0 <= error.retry_after_seconds <= 7 * 24 * 3600
