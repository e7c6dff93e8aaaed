"""`POST /v1/messages`: a message, streamed or whole."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import orjson
from flask import Blueprint, Response, request

from app.anthropic.envelope import error_event
from app.anthropic.request import MessageRequest, parse_message_request
from app.anthropic.sse import encode
from app.blueprints.authentication import api_version, authenticate, read_json, request_id
from app.errors import GatewayError
from app.ledger import RequestRecord
from app.relay import Call, ClientGone, Exchange
from app.runtime.direct import DirectWriter, direct_writer
from app.services import services
from app.translate.models import resolve

bp = Blueprint("messages", __name__)


@bp.post("/v1/messages")
@bp.post("/v1/v1/messages")
@bp.post("/cc/v1/messages")
def create_message() -> Response:
    """Create a message."""
    key = authenticate()
    record = RequestRecord(id=request_id(), at=time.time(), api_key_id=key.id, key_name=key.name, path=request.path)
    call = Call(record.id, f"{key.id}", _session_header(), _client_socket(), record)
    try:
        message_request = _parse(record)
    except GatewayError as error:
        services().relay.refuse(call, error)
        raise
    exchange = services().relay.open(message_request, call)
    if message_request.stream:
        return sse_response(exchange, record.id)
    try:
        message = exchange.message()
    finally:
        exchange.close()
    return Response(orjson.dumps(message), content_type="application/json", headers=_told_by(record))


def _told_by(record: RequestRecord) -> dict[str, str]:
    """What the answer cost and where its counts come from.

    Of a whole answer only: a stream's headers are gone before that is known, and the record has it. An SSE comment at its end
    would be known, and some clients fail on one.
    """
    told = {} if record.credits is None else {"x-kiro-credits": f"{record.credits:f}"}
    return told if record.token_source is None else {**told, "x-kiro-token-source": record.token_source}


def sse_response(exchange: Exchange, id_: str) -> Response:
    """A stream; the server closes the exchange, also when the stream never started."""
    writer = direct_writer(request.environ) if services().config.fast_path else None
    return Response(
        EventStream(exchange, id_, writer),
        content_type="text/event-stream; charset=utf-8",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        direct_passthrough=True,  # the server then calls close() of the stream itself
    )


class EventStream:
    """Bytes of an SSE body, one piece per batch; a failure becomes the last event.

    With a writer only the first and the last piece go through the server, which sends the head with the first.
    """

    def __init__(self, exchange: Exchange, id_: str, writer: DirectWriter | None = None) -> None:
        self._exchange = exchange
        self._id = id_
        self._writer = writer
        self._began = False
        self._failed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._failed:
            raise StopIteration
        writer = self._writer if self._began else None
        self._began = True
        try:
            for batch in self._exchange:
                piece = b"".join(map(encode, batch))
                if writer is None:
                    return piece
                writer.write(piece)
        except GatewayError as error:
            self._failed = True
            return encode(error_event(error, self._id))
        except ClientGone:
            pass
        raise StopIteration

    def close(self) -> None:
        self._exchange.close()


def _parse(record: RequestRecord) -> MessageRequest:
    here, version = services(), api_version()
    message_request = parse_message_request(
        read_json(),
        version=version,
        repair=here.settings.current().repair_requests,
        find_model=lambda name: resolve(name, here.catalogue()),
    )
    record.model_asked, record.stream = message_request.model, message_request.stream
    return message_request


def _session_header() -> str | None:
    return request.headers.get("x-claude-code-session-id") or request.headers.get("x-session-id")


def _client_socket() -> socket.socket | None:
    client = request.environ.get("gunicorn.socket")
    return client if isinstance(client, socket.socket) else None
