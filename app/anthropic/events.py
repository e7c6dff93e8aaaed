"""Stream events, as plain dicts in the shape and key order of the real API.

In: the values an event carries. Out: the event. Order and nesting of events are the caller's business; so are ids.
A stream is `message_start`, per block `content_block_start` · deltas · `content_block_stop`, then `message_delta` and
`message_stop`; `ping` may stand anywhere after the start. Source: the reference of the Messages API, sections 9 and 10.
"""

from __future__ import annotations

from typing import Any

StreamEvent = dict[str, Any]


def message_start(
    *,
    message_id: str,
    model: str,
    input_tokens: int,
    output_tokens: int = 1,
    cache_creation_input_tokens: int = 0,
    cache_read_input_tokens: int = 0,
) -> StreamEvent:
    """Opens the stream with an empty message. The counts are what is known before the model speaks."""
    return {
        "type": "message_start",
        "message": {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": {
                "input_tokens": input_tokens,
                "cache_creation_input_tokens": cache_creation_input_tokens,
                "cache_read_input_tokens": cache_read_input_tokens,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": cache_creation_input_tokens,
                    "ephemeral_1h_input_tokens": 0,
                },
                "output_tokens": output_tokens,
                "service_tier": "standard",
            },
        },
    }


# --- blocks as they open --------------------------------------------------------------------------------------------------


def text_block() -> dict[str, Any]:
    """A text block before its first delta."""
    return {"type": "text", "text": ""}


def thinking_block() -> dict[str, Any]:
    """A thinking block before its first delta; some clients refuse one without `signature`."""
    return {"type": "thinking", "thinking": "", "signature": ""}


def redacted_thinking_block(data: str) -> dict[str, Any]:
    """A redacted block is whole from the start."""
    return {"type": "redacted_thinking", "data": data}


def tool_use_block(tool_use_id: str, name: str) -> dict[str, Any]:
    """A call before its arguments; clients ignore arguments that are given here."""
    return {"type": "tool_use", "id": tool_use_id, "name": name, "input": {}}


def content_block_start(index: int, block: dict[str, Any]) -> StreamEvent:
    """Opens a block. index: counts from 0 without gaps."""
    return {"type": "content_block_start", "index": index, "content_block": block}


# --- growth ---------------------------------------------------------------------------------------------------------------


def text_delta(index: int, text: str) -> StreamEvent:
    """More text."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def citations_delta(index: int, citation: dict[str, Any]) -> StreamEvent:
    """One more citation of a text block."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "citations_delta", "citation": citation}}


def thinking_delta(index: int, thinking: str) -> StreamEvent:
    """More thinking."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "thinking_delta", "thinking": thinking}}


def signature_delta(index: int, signature: str) -> StreamEvent:
    """The whole signature, exactly once, just before its block stops."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "signature_delta", "signature": signature}}


def input_json_delta(index: int, partial_json: str) -> StreamEvent:
    """More of a call's arguments; all pieces joined are one JSON object, or nothing for a call without arguments."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": partial_json}}


def content_block_stop(index: int) -> StreamEvent:
    """Closes a block."""
    return {"type": "content_block_stop", "index": index}


# --- end ------------------------------------------------------------------------------------------------------------------


def final_usage(
    *,
    input_tokens: int,
    output_tokens: int,
    cache_creation_input_tokens: int = 0,
    cache_read_input_tokens: int = 0,
    thinking_tokens: int | None = None,
    web_search_requests: int | None = None,
) -> dict[str, Any]:
    """Cumulative counts for `message_delta`. input_tokens: without the cached ones."""
    usage: dict[str, Any] = {
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": cache_creation_input_tokens,
        "cache_read_input_tokens": cache_read_input_tokens,
        "output_tokens": output_tokens,
    }
    if thinking_tokens is not None:
        usage["output_tokens_details"] = {"thinking_tokens": thinking_tokens}
    if web_search_requests is not None:
        usage["server_tool_use"] = {"web_search_requests": web_search_requests, "web_fetch_requests": 0}
    return usage


def message_delta(
    stop_reason: str,
    stop_sequence: str | None,
    usage: dict[str, Any],
    *,
    stop_details: dict[str, Any] | None = None,
) -> StreamEvent:
    """Why the answer ended and what it cost. usage: from `final_usage`."""
    return {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": stop_sequence, "stop_details": stop_details},
        "usage": usage,
    }


def message_stop() -> StreamEvent:
    """The answer is complete. Nothing follows."""
    return {"type": "message_stop"}


def ping() -> StreamEvent:
    """Fills silence."""
    return {"type": "ping"}


def error_event(envelope: dict[str, Any]) -> StreamEvent:
    """Ends a stream that failed; nothing follows, in particular no `message_stop`. envelope: `envelope.error_body`."""
    return envelope
