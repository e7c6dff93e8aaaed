"""What Kiro's errors mean: status, headers and body in, one error of our tree out.

This is the only place where the text of an error decides anything. `reason` is matched first, then the message, because
proxies wrap bodies. What the client reads carries Kiro's own words (never markup, never a token) and what to do next.
Source: protocol 4.1–4.3 and 5.4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

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
from app.kiro.payload import load

PROMPT_TOO_LONG = "PROMPT_TOO_LONG"
MODEL_FIELDS_REFUSED = "MODEL_FIELDS_REFUSED"
"""Our own reason, for an answer that gives none: this model does not take these `additionalModelRequestFields`."""
ACCOUNT_THROTTLE_SECONDS = 1800
CREDIT_WINDOW_SECONDS = 300
MAX_RETRY_AFTER_SECONDS = 7 * 24 * 3600
MAX_MESSAGE_CHARACTERS = 500


_MARKUP = re.compile(
    r"<[!/?]?(?:doctype|html|head|body|title|meta|script|style|h[1-6]|p|br|hr|div|span|center|table|pre)\b", re.I
)
_SECRET = re.compile(r"\b(?:aoa|aor|ksk_|eyJ)[\w+/=.:~-]{16,}|(?<=\bbearer )[\w+/=.:~-]{20,}", re.I | re.A)


@dataclass(frozen=True, slots=True)
class Answer:
    """An error answer, taken apart.

    status: None inside a stream. error_type: lower case, without its namespace. reason: upper case. Both "" when absent.
    """

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
    error_type = _bare(headers.get("x-amzn-errortype", "")) or _error_type(parsed)
    message = _message(parsed, body) or f"status {status}"
    return _judge(Answer(status, error_type, _reason(parsed), message, _retry_after(headers, parsed, now)))


def from_exception(name: str, payload: bytes) -> GatewayError:
    """The error behind an exception or error frame, or behind a 200 whose body is a JSON error.

    name: what the frame's header calls it, "" when there is none.
    """
    parsed = _parse(payload)
    message = _message(parsed, payload) or name or "no explanation"
    error_type = _bare(name) or _error_type(parsed)
    return _judge(Answer(None, error_type, _reason(parsed), message, _retry_after({}, parsed, 0.0)))


def exception_type(name: str, payload: bytes) -> str:
    """What an exception frame is about, in lower case: its header's word, else its payload's, else ""."""
    return _bare(name) or _error_type(_parse(payload))


def in_disguise(payload: bytes) -> GatewayError | None:
    """The error that came as an ordinary event and only says in its payload what it is. Source: protocol 4.3, last row."""
    name = _error_type(_parse(payload))
    return from_exception("", payload) if name.endswith(("exception", "error")) else None


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
        or answer.error_type == "contentlengthexceededexception"
    )


def _is_suspended(answer: Answer) -> bool:
    return answer.reason == "TEMPORARILY_SUSPENDED" or answer.says("suspended", "locked your account") or answer.status == 423


def _is_quota(answer: Answer) -> bool:
    return answer.reason in QUOTA_REASONS or answer.status == 402 or answer.error_type == "servicequotaexceededexception"


def _is_capacity(answer: Answer) -> bool:
    return (
        answer.reason in CAPACITY_REASONS
        or answer.says("unexpectedly high load")
        or answer.says("high traffic")
        or answer.says("high-traffic")
    )


def _is_about_profile(answer: Answer) -> bool:
    """400 and 403 alike; "Invalid token" is what a foreign or missing ARN gives, a stale token is a "bearer token"."""
    return (
        answer.says("profilearn is required")
        or answer.says("invalid profilearn")
        or (answer.status == 403 and answer.says("invalid token"))
    )


def _is_about_token(answer: Answer) -> bool:
    return (
        answer.says("bearer token", "invalid")
        or answer.says("invalid token")
        or answer.status == 401
        or answer.error_type in {"expiredtokenexception", "unrecognizedclientexception"}
    )


def _is_not_allowed(answer: Answer) -> bool:
    """No fresh token helps: the client's version, the region, the profile ARN or the plan is what is not accepted."""
    return (
        answer.says("not authorized to make this call")
        or answer.says("builder id is not supported")
        or answer.says("subscription does not support")
        or answer.reason == "FEATURE_NOT_SUPPORTED"
    )


def _refused(answer: Answer) -> UpstreamRefused:
    return UpstreamRefused(f"Kiro refuses this request: {answer.message}", **_origin(answer))


def _out_of_order(answer: Answer) -> UpstreamError:
    return UpstreamError(
        f"Kiro is out of order: {answer.message}", retry_after_seconds=answer.retry_after_seconds, **_origin(answer)
    )


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
    # A 402 like a used up quota, but a new conversation helps and no credential needs a rest. Assumed from the name.
    (lambda a: a.reason == "CONVERSATION_LIMIT_EXCEEDED", _refused),
    (
        _is_quota,
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
        _is_capacity,
        lambda a: UpstreamUnavailable(
            f"The model is overloaded at Kiro: {a.message}",
            upstream_status=a.status,
            reason=a.reason or "INSUFFICIENT_MODEL_CAPACITY",
            retry_after_seconds=a.retry_after_seconds,
        ),
    ),
    # "5-minute credit limit exceeded": seconds do not bring it back, and its window is in its name.
    (
        lambda a: a.says("5-minute") or a.reason == "CREDIT_CONSUMPTION_RATE_EXCEEDED",
        lambda a: Throttled(
            f"Kiro asks to slow down: {a.message}",
            upstream_status=a.status,
            reason=a.reason or "CREDIT_CONSUMPTION_RATE_EXCEEDED",
            retry_after_seconds=a.retry_after_seconds or CREDIT_WINDOW_SECONDS,
        ),
    ),
    (
        lambda a: a.status == 429 or a.reason in RATE_REASONS or a.error_type == "throttlingexception",
        lambda a: Throttled(f"Kiro asks to slow down: {a.message}", retry_after_seconds=a.retry_after_seconds, **_origin(a)),
    ),
    # Reported as 503, and still the request's own fault: repeating it started storms.
    (lambda a: a.reason in CLIENT_FAULT_REASONS or a.says("expected toolresult blocks"), _refused),
    (
        lambda a: a.says("additionalmodelrequestfields"),
        lambda a: UpstreamRefused(
            f"Kiro refuses this request: {a.message}", upstream_status=a.status, reason=MODEL_FIELDS_REFUSED
        ),
    ),
    (
        _is_about_profile,
        lambda a: ProfileRequired(f"Kiro wants another profile ARN for this credential: {a.message}", **_origin(a)),
    ),
    (
        _is_about_token,
        lambda a: TokenRejected(f"Kiro does not accept this credential's access token: {a.message}", **_origin(a)),
    ),
    (
        lambda a: a.says("the provided credential is invalid"),
        lambda a: UpstreamError(f"Kiro and this credential do not fit together (check its region): {a.message}", **_origin(a)),
    ),
    (
        _is_not_allowed,
        lambda a: ProfileRequired(
            f"Kiro does not let this credential make the call (check kiro_version, region, profile ARN and plan): {a.message}",
            **_origin(a),
        ),
    ),
    (
        lambda a: a.status == 403 or a.error_type == "accessdeniedexception",
        lambda a: TokenRejected(f"Kiro does not let this credential make the call: {a.message}", **_origin(a)),
    ),
    (
        lambda a: a.status == 524 or a.says("gateway timeout") or a.error_type == "serviceunavailableexception",
        lambda a: UpstreamUnavailable(
            f"Kiro is overloaded or out of reach: {a.message}", retry_after_seconds=a.retry_after_seconds, **_origin(a)
        ),
    ),
    (lambda a: a.status == 408 or (a.status or 0) >= 500 or a.error_type == "internalserverexception", _out_of_order),
    # Only these two blame the request; a 404 or 405 blames the address, and that is ours.
    (lambda a: a.status in {400, 422} or a.error_type in {"validationexception", "bedrockvalidationerror"}, _refused),
)


def _judge(answer: Answer) -> UpstreamError:
    for holds, make in _RULES:
        if holds(answer):
            return make(answer)
    return UpstreamError(f"Kiro answered with an error: {answer.message}", **_origin(answer))


def _origin(answer: Answer) -> dict[str, Any]:
    return {"upstream_status": answer.status, "reason": answer.reason or None}


# -- taking an answer apart --


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = load(body)
    except ValueError:
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


def _bare(name: str) -> str:
    """`com.amazon.aws#ThrottlingException:http://…` and `throttlingException` are the same exception."""
    return name.rpartition("#")[2].split(":")[0].strip().lower()


def _error_type(parsed: dict[str, Any]) -> str:
    for name in ("__type", "_type"):
        if isinstance(parsed.get(name), str):
            return _bare(parsed[name])
    return ""


def _message(parsed: dict[str, Any], body: bytes) -> str:
    """Kiro's own words on one line, "" when there are none that are meant to be read."""
    for place in (parsed, _inner(parsed)):
        for name in ("message", "Message", "error_description"):
            if isinstance(place.get(name), str) and (text := _readable(place[name])):
                return text
    return _plain(body)


def _plain(body: bytes) -> str:
    """A body that is words and nothing else: JSON without a message says nothing to a person."""
    try:
        load(body)
    except ValueError:
        return "" if b"<" in body else _readable(body[: 4 * MAX_MESSAGE_CHARACTERS].decode("utf-8", "replace"))
    return ""


def _readable(text: str) -> str:
    """Without line breaks and tokens; "" for markup and for what is not text."""
    line = " ".join(text.split())
    if _MARKUP.search(line) or not line.isprintable():
        return ""
    return _SECRET.sub("[token]", line)[:MAX_MESSAGE_CHARACTERS]


def _retry_after(headers: Mapping[str, str], parsed: dict[str, Any], now: float) -> int | None:
    """Whole seconds to wait; garbage counts as absent."""
    milliseconds = parsed.get("retryAfterMilliseconds")
    if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool) and 0 < milliseconds < math.inf:
        return min(math.ceil(milliseconds / 1000), MAX_RETRY_AFTER_SECONDS)
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), MAX_RETRY_AFTER_SECONDS)
    if text and now:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError, OSError):
            return None
        return min(max(math.ceil(seconds), 0), MAX_RETRY_AFTER_SECONDS)
    return None
