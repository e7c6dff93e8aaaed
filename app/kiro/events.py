"""The meaning of frames: one frame in, one Kiro event out. Knows nothing of sockets, and nothing of Anthropic.

Events that carry nothing for us are listed, so that a new one is seen as unknown instead of vanishing; unknown is never fatal.
Exception and error frames are raised as the error they stand for. Source: protocol 5.3 and 5.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from app.errors import MalformedEvent
from app.kiro import failures
from app.kiro.eventstream import Frame


@dataclass(frozen=True, slots=True)
class AssistantText:
    """A piece of the answer's text; may be empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUseFragment:
    """A piece of one call's argument JSON; every piece repeats id and name, the last one has `stop`."""

    tool_use_id: str
    name: str
    input: str
    stop: bool


@dataclass(frozen=True, slots=True)
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
    headers = frame.headers
    kind = headers.get(":message-type", "event")
    if kind == "event":
        event_type = str(headers.get(":event-type", ""))
        parser = _PARSERS.get(event_type)
        if parser is None:
            return Ignored(event_type) if event_type in IGNORED else Unknown(event_type)
        try:
            return parser(orjson.loads(frame.payload))
        except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
            raise MalformedEvent(f"Kiro's answer holds a {event_type} that cannot be read") from error
    if kind == "exception":
        exception_type = str(headers.get(":exception-type", "UnknownException"))
        if exception_type.removeprefix("com.amazon.").endswith("ContentLengthExceededException"):
            return ContentLengthExceeded()
        raise failures.from_exception(exception_type, frame.payload)
    if kind == "error":
        code = str(headers.get(":error-code", "UnknownError"))
        payload = frame.payload or orjson.dumps({"message": str(headers.get(":error-message", ""))})
        raise failures.from_exception(code, payload)
    return Unknown(str(kind))


def _text(value: Any) -> str:
    """A string, or nothing at all; anything else is a broken event."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise TypeError


def _count(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return max(int(value), 0)


def _assistant_text(payload: dict[str, Any]) -> AssistantText:
    return AssistantText(_text(payload.get("content")))


def _tool_use(payload: dict[str, Any]) -> ToolUseFragment:
    """`input` is a fragment of JSON text; some peers have seen the complete object instead."""
    input_ = payload.get("input")
    if isinstance(input_, dict):
        input_ = orjson.dumps(input_).decode()
    tool_use_id, name = payload["toolUseId"], payload.get("name")
    if not isinstance(tool_use_id, str) or not tool_use_id:
        raise TypeError
    return ToolUseFragment(tool_use_id, _text(name), _text(input_), payload.get("stop") is True)


def _reasoning(payload: dict[str, Any]) -> Reasoning:
    return Reasoning(_text(payload.get("text")), _text(payload.get("signature")), _text(payload.get("redactedContent")))


def _context_usage(payload: dict[str, Any]) -> ContextUsage:
    percent = payload["contextUsagePercentage"]
    if isinstance(percent, bool) or not isinstance(percent, int | float):
        raise TypeError
    return ContextUsage(float(percent))


def _metering(payload: dict[str, Any]) -> Metering:
    usage = payload.get("usage")
    if isinstance(usage, bool) or not isinstance(usage, int | float):
        raise TypeError
    return Metering(Decimal(repr(usage)), _text(payload.get("unit")))


def _metadata(payload: dict[str, Any]) -> Metadata:
    usage = payload.get("tokenUsage")
    tokens = None
    if usage is not None:
        tokens = TokenUsage(
            uncached_input=_count(usage.get("uncachedInputTokens")),
            output=_count(usage.get("outputTokens")),
            cache_read=_count(usage.get("cacheReadInputTokens")),
            cache_write=_count(usage.get("cacheWriteInputTokens")),
        )
    details = (payload.get("stopDetails") or {}).get("refusal")
    refusal = Refusal(details.get("category"), details.get("explanation")) if isinstance(details, dict) else None
    return Metadata(tokens, payload.get("stopReason"), refusal)


def _invalid_state(payload: dict[str, Any]) -> KiroEvent:
    raise failures.from_exception("invalidStateEvent", orjson.dumps(payload))


_PARSERS: dict[str, Callable[[dict[str, Any]], KiroEvent]] = {
    "assistantResponseEvent": _assistant_text,
    "toolUseEvent": _tool_use,
    "reasoningContentEvent": _reasoning,
    "contextUsageEvent": _context_usage,
    "meteringEvent": _metering,
    "metadataEvent": _metadata,
    "invalidStateEvent": _invalid_state,
}
