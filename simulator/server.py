"""Accepts connections, sends the services' answers byte by byte, and records how each call ended."""

from __future__ import annotations

import json
import time
from typing import Any

from gevent.server import StreamServer

from simulator.connection import BadRequest, Connection, PeerGone, Request
from simulator.control import PREFIX, Control
from simulator.options import Options
from simulator.performance import End, Pause, Send
from simulator.recording import Call
from simulator.replies import Answer, Dropped, Streamed, Whole
from simulator.services import Services
from simulator.state import State

BACKLOG = 4096


class Server:
    """The stand-in on one port."""

    def __init__(self, host: str, port: int, options: Options) -> None:
        self._state = State(options, options)
        self._services = Services(self._state)
        self._control = Control(self._state)
        self._listener = StreamServer((host, port), self._handle, backlog=BACKLOG)

    def start(self) -> tuple[str, int]:
        """Listen; the address that was bound."""
        self._listener.start()
        return str(self._listener.server_host), int(self._listener.server_port)

    def stop(self) -> None:
        """End at once, whatever is still being answered."""
        self._listener.stop(timeout=0)

    def _handle(self, sock: Any, _address: Any) -> None:
        connection = Connection(sock)
        try:
            while (request := connection.read_request()) is not None:
                if request.path.startswith(PREFIX):
                    status, body = self._control.answer(request)
                    connection.send_answer(status, {"Content-Type": "application/json"}, body)
                elif not self._serve(connection, request):
                    return
                if not request.keeps_alive:
                    return
        except BadRequest:
            connection.send_answer(400, {"Connection": "close"}, b"")
        except PeerGone:
            pass
        finally:
            connection.close()

    def _serve(self, connection: Connection, request: Request) -> bool:
        """Answer one call of a service; whether the connection can serve another."""
        recording = self._state.recording
        call = recording.begin(
            at=time.time(),
            method=request.method,
            path=request.path,
            query=request.query,
            host=request.host,
            headers=request.headers,
            body=_readable(request.body) if self._state.options.record_bodies else None,
        )
        connection.watch()
        before = connection.bytes_sent
        how = "error"
        try:
            how = _send(connection, self._services.answer(request, call), call, self._state)
        except PeerGone:
            how = "client_gone"
        finally:
            connection.unwatch()
            call.sent_bytes = connection.bytes_sent - before
            gone_at = (connection.gone_at or time.time()) if how == "client_gone" else None
            recording.end(call, how, now=time.time(), gone_at=gone_at)
        return how == "complete"


def _send(connection: Connection, answer: Answer, call: Call, state: State) -> str:
    """Send an answer; how it ended, as `Call.ended` says it."""
    if answer.delay_seconds > 0:
        connection.pause(answer.delay_seconds)
    if isinstance(answer, Dropped):
        return _end(connection, answer.how)
    if isinstance(answer, Whole):
        call.status, call.answered_at = answer.status, time.time()
        connection.send_answer(answer.status, answer.headers, answer.body)
        return "complete"
    state.recording.open_stream()
    try:
        return _stream(connection, answer, call)
    finally:
        state.recording.close_stream()


def _stream(connection: Connection, answer: Streamed, call: Call) -> str:
    call.status, call.answered_at = 200, time.time()
    connection.send_head(200, {**answer.headers, "Transfer-Encoding": "chunked"})
    for action in answer.actions:
        if isinstance(action, Pause):
            connection.pause(action.seconds)
        elif isinstance(action, Send):
            connection.send_chunk(action.data, missing_bytes=action.missing_bytes)
        elif isinstance(action, End) and action.how != "last_chunk":
            return _end(connection, action.how)
    connection.send_last_chunk()
    return "complete"


def _end(connection: Connection, how: str) -> str:
    if how == "rst":
        connection.reset()
    else:
        connection.close()
    return how


def _readable(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
