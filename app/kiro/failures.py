"""What Kiro's errors mean: status, headers and body in, one error of our tree out.

This is the only place where the text of an error decides anything. `reason` is matched first, then the message, because
proxies wrap bodies. What the client reads carries Kiro's own words (never markup, never a token) and what to do next.
Source: protocol 4.1–4.3 and 5.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

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

PROMPT_TOO_LONG = "PROMPT_TOO_LONG"
ACCOUNT_THROTTLE_SECONDS = 1800
MAX_RETRY_AFTER_SECONDS = 7 * 24 * 3600
MAX_MESSAGE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """An error answer, taken apart. status: None inside a stream. reason: upper case, "" when absent."""

    status: int | None
    error_type: str
    reason: str
    message: str
    retry_after_seconds: int | None

    def says(self, *parts: str) -> bool:
        text = self.message.lower()
        return all(part in text for part in parts)


def classify(status: int, headers: Mapping[str, str], body: bytes, *, now: float = 0.0) -> GatewayError:
    """The error behind an HTTP answer.

    headers: names in lower case. now: epoch seconds, for a Retry-After that is a date.
    """
    parsed = _parse(body)
    error_type = _error_type(parsed) or headers.get("x-amzn-errortype", "").split(":")[0]
    retry_after = _retry_after(headers, parsed, now)
    return _judge(Answer(status, error_type, _reason(parsed), _message(parsed, body, status), retry_after))


def from_exception(exception_type: str, payload: bytes) -> GatewayError:
    """The error behind an exception or error frame, or behind a 200 whose body is a JSON error."""
    parsed = _parse(payload)
    error_type = exception_type or _error_type(parsed)
    message = _message(parsed, payload, None)
    return _judge(Answer(None, error_type.rpartition("#")[2], _reason(parsed), message, _retry_after({}, parsed, 0.0)))


# -- the rules --

QUOTA_REASONS = {"MONTHLY_REQUEST_COUNT", "DAILY_REQUEST_COUNT", "OVERAGE_REQUEST_LIMIT_EXCEEDED"}
CAPACITY_REASONS = {"INSUFFICIENT_MODEL_CAPACITY", "INSUFFICIENT_THROUGHPUT", "MODEL_TEMPORARILY_UNAVAILABLE"}
RATE_REASONS = {"USER_REQUEST_RATE_EXCEEDED", "SERVICE_REQUEST_RATE_EXCEEDED", "CREDIT_CONSUMPTION_RATE_EXCEEDED"}
CLIENT_FAULT_REASONS = {"TOOL_USE_RESULT_MISMATCH", "TOOL_SCHEMA_INVALID", "TOOL_CONFIG_MISSING", "TOOL_DUPLICATE"}
LENGTH_REASONS = {"CONTENT_LENGTH_EXCEEDS_THRESHOLD", PROMPT_TOO_LONG}


def _is_length(answer: Answer) -> bool:
    return (
        answer.reason in LENGTH_REASONS
        or answer.status == 413
        or answer.says("input is too long")
        or answer.says("prompt is too long")
        or answer.says("context limit reached")
        or answer.error_type == "ContentLengthExceededException"
    )


def _is_suspended(answer: Answer) -> bool:
    return answer.reason == "TEMPORARILY_SUSPENDED" or answer.says("suspended", "locked your account") or answer.status == 423


def _refused(answer: Answer) -> UpstreamRefused:
    return UpstreamRefused(f"Kiro refuses this request: {answer.message}", **_origin(answer))


# Tried from the top; the first that holds decides.
_RULES: tuple[tuple[Callable[[Answer], bool], Callable[[Answer], UpstreamError]], ...] = (
    (
        _is_length,
        lambda a: UpstreamRefused(f"prompt is too long: {a.message}", upstream_status=a.status, reason=PROMPT_TOO_LONG),
    ),
    (
        _is_suspended,
        lambda a: AccountSuspended(f"Kiro has suspended this account; see its page at Kiro: {a.message}", **_origin(a)),
    ),
    (
        lambda a: a.reason in QUOTA_REASONS or a.status == 402,
        lambda a: QuotaExhausted(f"The quota of this Kiro account is used up: {a.message}", **_origin(a)),
    ),
    (
        lambda a: a.says("suspicious activity", "temporary limits"),
        lambda a: Throttled(
            f"Kiro limits this account for a while: {a.message}",
            upstream_status=a.status,
            reason="ACCOUNT_THROTTLED",
            retry_after_seconds=a.retry_after_seconds or ACCOUNT_THROTTLE_SECONDS,
        ),
    ),
    (
        lambda a: a.reason in CAPACITY_REASONS or a.says("unexpectedly high load") or a.says("high traffic"),
        lambda a: UpstreamUnavailable(
            f"The model is overloaded at Kiro: {a.message}",
            upstream_status=a.status,
            reason=a.reason or "INSUFFICIENT_MODEL_CAPACITY",
            retry_after_seconds=a.retry_after_seconds,
        ),
    ),
    (
        lambda a: a.status == 429 or a.reason in RATE_REASONS or a.error_type == "ThrottlingException",
        lambda a: Throttled(f"Kiro asks to slow down: {a.message}", retry_after_seconds=a.retry_after_seconds, **_origin(a)),
    ),
    # Reported as 503, and still the request's own fault: repeating it started storms.
    (lambda a: a.reason in CLIENT_FAULT_REASONS or a.says("expected toolresult blocks"), _refused),
    (
        lambda a: a.says("profilearn is required") or a.says("invalid profilearn"),
        lambda a: ProfileRequired(f"Kiro wants another profile ARN for this credential: {a.message}", **_origin(a)),
    ),
    (
        lambda a: (
            a.says("bearer token", "invalid")
            or a.says("invalid token")
            or a.status == 401
            or a.error_type in {"ExpiredTokenException", "UnrecognizedClientException"}
        ),
        lambda a: TokenRejected(f"Kiro does not accept this credential's access token: {a.message}", **_origin(a)),
    ),
    (
        lambda a: a.says("the provided credential is invalid"),
        lambda a: UpstreamError(f"Kiro and this credential do not fit together (check its region): {a.message}", **_origin(a)),
    ),
    (
        lambda a: a.says("not authorized to make this call"),
        lambda a: ProfileRequired(
            f"Kiro does not let this credential make the call (check kiro_version, region and profile ARN): {a.message}",
            **_origin(a),
        ),
    ),
    (
        lambda a: a.status == 403 or a.error_type == "AccessDeniedException",
        lambda a: TokenRejected(f"Kiro does not let this credential make the call: {a.message}", **_origin(a)),
    ),
    (lambda a: a.status in {408, 524} or (a.status or 0) >= 500, lambda a: _unavailable(a)),
    (lambda a: a.status is not None and 400 <= a.status < 500, _refused),
    (lambda a: a.error_type in {"ValidationException", "BedrockValidationError"}, _refused),
    (
        lambda a: a.error_type.lower() in {"internalserverexception", "serviceunavailableexception"},
        lambda a: _unavailable(a),
    ),
)


def _judge(answer: Answer) -> UpstreamError:
    for holds, make in _RULES:
        if holds(answer):
            return make(answer)
    return UpstreamError(f"Kiro answered with an error: {answer.message}", **_origin(answer))


def _unavailable(answer: Answer) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"Kiro is overloaded or out of order: {answer.message}", **_origin(answer))


def _origin(answer: Answer) -> dict[str, Any]:
    return {"upstream_status": answer.status, "reason": answer.reason or None}


# -- taking an answer apart --


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _inner(parsed: dict[str, Any]) -> dict[str, Any]:
    inner = parsed.get("error")
    return inner if isinstance(inner, dict) else {}


def _reason(parsed: dict[str, Any]) -> str:
    for place in (parsed, _inner(parsed)):
        reason = place.get("reason")
        if isinstance(reason, str) and reason:
            return reason.upper()
    return ""


def _error_type(parsed: dict[str, Any]) -> str:
    for name in ("__type", "_type"):
        if isinstance(parsed.get(name), str):
            return str(parsed[name]).rpartition("#")[2]
    return ""


def _message(parsed: dict[str, Any], body: bytes, status: int | None) -> str:
    """Kiro's own words on one line; markup and anything else that is not meant to be read is replaced by the status."""
    for place in (parsed, _inner(parsed)):
        for name in ("message", "Message", "error_description"):
            if isinstance(place.get(name), str) and place[name].strip():
                return " ".join(place[name].split())[:MAX_MESSAGE_CHARACTERS]
    text = body.decode("utf-8", "replace").strip()
    if text and not parsed and "<" not in text and text.isprintable():
        return text[:MAX_MESSAGE_CHARACTERS]
    return f"status {status}" if status is not None else "no explanation"


def _retry_after(headers: Mapping[str, str], parsed: dict[str, Any], now: float) -> int | None:
    """Whole seconds to wait; garbage counts as absent."""
    milliseconds = parsed.get("retryAfterMilliseconds")
    if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool) and milliseconds > 0:
        return min(-int(-milliseconds // 1000), MAX_RETRY_AFTER_SECONDS)
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), MAX_RETRY_AFTER_SECONDS)
    if text and now:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError):
            return None
        return min(max(int(seconds), 0), MAX_RETRY_AFTER_SECONDS)
    return None
