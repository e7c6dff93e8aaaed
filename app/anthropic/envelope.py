"""An error as clients of the Messages API read it, as a body and in the middle of a stream.

In: an error of the gateway's tree and the request's id. Out: envelope, headers, stream event.
Source: the reference of the Messages API, sections 3 and 4.
"""

from __future__ import annotations

from typing import Any

from app.anthropic import events
from app.anthropic.events import StreamEvent
from app.anthropic.text import without_surrogates
from app.errors import GatewayError


def error_body(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The envelope; its `request_id` equals the `request-id` header."""
    inner: dict[str, Any] = {"type": error.error_type, "message": without_surrogates(error.message)}
    if error.details is not None:
        inner["details"] = without_surrogates(error.details)
    return {"type": "error", "error": inner, "request_id": request_id}


def error_headers(error: GatewayError) -> dict[str, str]:
    """What tells a client when, and whether, to come back; the official SDKs obey `x-should-retry` above all else."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(0, error.retry_after_seconds))
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    return headers


def error_event(error: GatewayError, request_id: str) -> StreamEvent:
    """The same envelope as the last event of a stream."""
    return events.error_event(error_body(error, request_id))
