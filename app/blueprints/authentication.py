"""Who is calling, and the body they sent: in this order, so that a stranger's body is never read.

In: the HTTP request. Out: an `ApiKey`, then parsed JSON. The order is the real API's: credentials → path → size → version →
JSON.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import g, request

from app.access.api_keys import ApiKey
from app.errors import GatewayError, NotAuthenticated, RequestRejected, RequestTooLarge
from app.runtime.clock import TimeLimit, limit
from app.services import services

MAX_BODY_BYTES = 32 * 1024 * 1024
BODY_SECONDS = 60.0
VERSIONS = frozenset({"2023-01-01", "2023-06-01", "2026-10-21"})
DEFAULT_VERSION = "2023-06-01"


def authenticate() -> ApiKey:
    """The client's key: `x-api-key` wins over `Authorization: Bearer`. Raises NotAuthenticated."""
    presented = request.headers.get("x-api-key")
    if presented is not None:
        return services().keys.authenticate(presented.strip())
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("x-api-key header is required")
    try:
        return services().keys.authenticate(token.strip())
    except NotAuthenticated:
        raise NotAuthenticated("Invalid bearer token") from None


def api_version() -> str:
    """The `anthropic-version` header; a missing one means 2023-06-01, as clients of the original send none."""
    version = request.headers.get("anthropic-version", DEFAULT_VERSION)
    if version not in VERSIONS:
        raise RequestRejected(f'anthropic-version: "{version}" is not a valid version')
    return version


def read_json() -> Any:
    """The parsed body. Raises RequestTooLarge over 32 MiB (also when chunked), RequestRejected when it is not JSON."""
    body = _read_body()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRejected(f"The request body is not valid JSON: {error}") from None


def _read_body() -> bytes:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"", "identity"}:
        raise RequestRejected(
            f"content-encoding: {encoding} is not supported; send the body without compression",
            details={"error_code": "request_body_encoding_unsupported"},
        )
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        raise RequestTooLarge
    # The raw input: werkzeug's own limited stream would silently end a chunked body at its limit.
    source = request.environ["wsgi.input"]
    wanted = MAX_BODY_BYTES + 1 if request.content_length is None else request.content_length
    if request.content_length is None and "chunked" not in request.headers.get("transfer-encoding", "").lower():
        return b""
    pieces: list[bytes] = []
    try:
        with limit(BODY_SECONDS):
            while wanted > 0 and (piece := source.read(min(wanted, 1 << 20))):
                pieces.append(piece)
                wanted -= len(piece)
    except TimeLimit:
        raise RequestRejected("The request body did not arrive within 60 seconds") from None
    except GatewayError:
        raise
    except Exception as error:
        # gunicorn raises its own parse errors from inside read(): a malformed chunk, a body cut short.
        raise RequestRejected("The request body could not be read: its transfer encoding is broken") from error
    if request.content_length is None and wanted <= 0:
        raise RequestTooLarge
    if request.content_length is not None and wanted > 0:
        raise RequestRejected("The request body ended before its announced length")
    return b"".join(pieces)


def request_id() -> str:
    """The id of this HTTP request; also its `request-id` header and the key of its record."""
    return str(g.request_id)
