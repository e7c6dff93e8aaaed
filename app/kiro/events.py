"""The meaning of frames: one frame in, one Kiro event out. Knows nothing of sockets, and nothing of Anthropic.

Events that carry nothing for us are listed, so that a new one is seen as unknown instead of vanishing; unknown is never fatal.
Exception and error frames are raised as the error they stand for. Source: protocol 5.3 and 5.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from app.errors import MalformedEvent
from app.kiro import failures
from app.kiro.eventstream import Frame, HeaderValue
from app.kiro.payload import load, load_exactly


@dataclass(slots=True)
class AssistantText:
    """A piece of the answer's text; may be empty."""

    text: str


@dataclass(slots=True)
class ToolUseFragment:
    """A piece of one call's argument JSON; every piece repeats id and name, the last one has `stop`."""

    tool_use_id: str
    name: str
    input: str
    stop: bool


@dataclass(slots=True)
class Reasoning:
    """A piece of thinking: text, or its signature (may come in pieces), or a redacted block. Each may be empty."""

    text: str
    signature: str
    redacted: str


@dataclass(frozen=True, slots=True)
class ContextUsage:
    """How full the model's window is after this answer, in percent (may exceed 100)."""

    percent: float


@dataclass(frozen=True, slots=True)
class Metering:
    """What the call cost, exactly as Kiro wrote it."""

    credits: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Token counts; the four are disjoint."""

    uncached_input: int
    output: int
    cache_read: int
    cache_write: int


@dataclass(frozen=True, slots=True)
class Refusal:
    category: str | None
    explanation: str | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """The newest, rare form of usage and stop reason. stop_reason: END_TURN, MAX_TOKENS, TOOL_USE, …"""

    usage: TokenUsage | None
    stop_reason: str | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class ContentLengthExceeded:
    """The exception frame that says the answer does not fit the window any more."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A known event without anything for us."""

    event_type: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event nobody has described yet."""

    event_type: str


KiroEvent = (
    AssistantText | ToolUseFragment | Reasoning | ContextUsage | Metering | Metadata | ContentLengthExceeded | Ignored | Unknown
)

IGNORED = frozenset(
    "messageMetadataEvent codeReferenceEvent followupPromptEvent citationEvent documentCitationEvent intentsEvent "
    "interactionComponentsEvent codeEvent toolResultEvent dryRunSucceedEvent supplementaryWebLinksEvent initial-response "
    "metricsEvent messageStopEvent".split()
)


def parse_event(frame: Frame) -> KiroEvent:
    """What a frame means.

    Raises MalformedEvent when the payload is not what its type promises, and for an exception or error frame the
    GatewayError it stands for.
    """
    headers, payload = frame.headers, frame.payload
    kind = headers.get(":message-type", "event")
    if kind != "event":
        return _failure(headers, payload) if kind in ("exception", "error") else Unknown(str(kind))
    # A quote inside a text is escaped, so this is only ever the name of a field.
    if b'_type"' in payload and (error := failures.in_disguise(payload)) is not None:
        raise error
    event_type = headers.get(":event-type", "")
    parser = _PARSERS.get(event_type)
    if parser is None:
        return Ignored(str(event_type)) if event_type in IGNORED else Unknown(str(event_type))
    try:
        return parser(payload)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise MalformedEvent(f"Kiro's answer holds a {event_type!s} that cannot be read") from error


def _failure(headers: Mapping[str, HeaderValue], payload: bytes) -> KiroEvent:
    """An exception or error frame. The one exception that ends an answer instead of breaking it is an event."""
    name = str(headers.get(":exception-type") or headers.get(":error-code") or "")
    if not payload:
        payload = orjson.dumps({"message": str(headers.get(":error-message", ""))})
    if failures.exception_type(name, payload) == "contentlengthexceededexception":
        return ContentLengthExceeded()
    raise failures.from_exception(name, payload)


# -- the events; each parser takes the payload as it came --


def _assistant_text(payload: bytes) -> AssistantText:
    fields = load(payload)
    if type(fields) is not dict:
        raise TypeError
    return AssistantText(_text(fields.get("content")))


def _tool_use(payload: bytes) -> ToolUseFragment:
    """`input` is a fragment of JSON text; some peers have seen the complete object instead, an empty one says nothing."""
    fields = _object(payload)
    input_ = fields.get("input")
    if isinstance(input_, dict):
        input_ = orjson.dumps(input_).decode() if input_ else ""
    tool_use_id = fields["toolUseId"]
    if not isinstance(tool_use_id, str) or not tool_use_id:
        raise TypeError
    return ToolUseFragment(tool_use_id, _text(fields.get("name")), _text(input_), fields.get("stop") is True)


def _reasoning(payload: bytes) -> Reasoning:
    fields = _object(payload)
    return Reasoning(_text(fields.get("text")), _text(fields.get("signature")), _text(fields.get("redactedContent")))


def _context_usage(payload: bytes) -> ContextUsage:
    return ContextUsage(float(_number(_object(payload)["contextUsagePercentage"])))


def _metering(payload: bytes) -> Metering:
    fields = load_exactly(payload)
    if not isinstance(fields, dict):
        raise TypeError
    credits_ = fields.get("usage")
    # The bounds leave room for any bill; an exponent of a million would be written out digit by digit later.
    if not isinstance(credits_, Decimal) or (credits_ and not -30 <= credits_.adjusted() <= 15):
        raise TypeError
    return Metering(credits_ if credits_ > 0 else Decimal(0), _text(fields.get("unit")))


def _metadata(payload: bytes) -> Metadata:
    fields = _object(payload)
    usage = _optional_object(fields.get("tokenUsage"))
    tokens = None
    if usage is not None:
        tokens = TokenUsage(
            uncached_input=_count(usage.get("uncachedInputTokens")),
            output=_count(usage.get("outputTokens")),
            cache_read=_count(usage.get("cacheReadInputTokens")),
            cache_write=_count(usage.get("cacheWriteInputTokens")),
        )
    details = _optional_object(fields.get("stopDetails")) or {}
    return Metadata(tokens, _optional_text(fields.get("stopReason")), _refusal(_optional_object(details.get("refusal"))))


def _refusal(fields: dict[str, Any] | None) -> Refusal | None:
    if fields is None:
        return None
    return Refusal(_optional_text(fields.get("category")), _optional_text(fields.get("explanation")))


def _invalid_state(payload: bytes) -> KiroEvent:
    raise failures.from_exception("invalidStateEvent", payload)


_PARSERS: dict[HeaderValue, Callable[[bytes], KiroEvent]] = {
    "assistantResponseEvent": _assistant_text,
    "toolUseEvent": _tool_use,
    "reasoningContentEvent": _reasoning,
    "contextUsageEvent": _context_usage,
    "meteringEvent": _metering,
    "metadataEvent": _metadata,
    "invalidStateEvent": _invalid_state,
}


# -- values; anything of another type is a broken event --


def _object(payload: bytes) -> dict[str, Any]:
    fields = load(payload)
    if not isinstance(fields, dict):
        raise TypeError
    return fields


def _optional_object(value: Any) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise TypeError


def _text(value: Any) -> str:
    """A string; nothing at all is an empty one."""
    return value if type(value) is str else _optional_text(value) or ""


def _optional_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError


def _number(value: Any) -> int | float:
    """A finite number, at least 0: `1e999` is legal JSON and reads as infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return max(value, 0)


def _count(value: Any) -> int:
    return 0 if value is None else int(_number(value))
