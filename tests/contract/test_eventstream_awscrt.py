"""Our decoder against AWS's own encoder in C: real frames, caught on a loopback socket.

The Common Runtime has no bare encoder, but the client of its event-stream RPC protocol writes one frame per message.
"""

from __future__ import annotations

import socket
import threading
import uuid

import pytest
from awscrt.eventstream import Header
from awscrt.eventstream.rpc import ClientConnection, ClientConnectionHandler, MessageFlag, MessageType

from app.kiro.eventstream import Frame, FrameDecoder
from tests.unit.kiro import frames as f

ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
HEADERS = {
    "yes": (Header.from_bool("yes", True), True),
    "no": (Header.from_bool("no", False), False),
    "byte": (Header.from_byte("byte", -128), -128),
    "short": (Header.from_int16("short", -(2**15)), -(2**15)),
    "integer": (Header.from_int32("integer", 2**31 - 1), 2**31 - 1),
    "long": (Header.from_int64("long", -(2**63)), -(2**63)),
    "bytes": (Header.from_byte_buf("bytes", b"\x00\xff"), b"\x00\xff"),
    "string": (Header.from_string("string", "naïve 😀"), "naïve 😀"),
    "uuid": (Header.from_uuid("uuid", ID), ID),
}
PAYLOADS = [b"", b'{"content":"Hi"}', "naïve 😀".encode() * 1000, bytes(range(256)) * 200]
MESSAGES = [(headers, payload) for payload in PAYLOADS for headers in ([header for header, _ in HEADERS.values()], [])]
"""Each payload with every type of header, and without any."""


class Handler(ClientConnectionHandler):  # type: ignore[misc]
    """Keeps the connection; what the peer says does not matter here."""

    def __init__(self) -> None:
        self.acknowledged = threading.Event()

    def on_connection_setup(self, connection: ClientConnection, error: Exception | None, **_: object) -> None:
        self.connection = connection

    def on_connection_shutdown(self, reason: Exception | None, **_: object) -> None:
        pass

    def on_protocol_message(self, headers: object, payload: bytes, message_type: object, flags: int, **_: object) -> None:
        self.acknowledged.set()


@pytest.fixture(scope="module")
def wire() -> bytes:
    """What the client writes: the opening message of the protocol, then MESSAGES."""
    handler, received = Handler(), bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        connected = ClientConnection.connect(handler=handler, host_name="127.0.0.1", port=listener.getsockname()[1])
        near, _ = listener.accept()
    with near:
        near.settimeout(10)
        connected.result(10)
        handler.connection.send_protocol_message(message_type=MessageType.CONNECT).result(10)
        near.sendall(f.Sent(protocol_headers(MessageType.CONNECT_ACK, MessageFlag.CONNECTION_ACCEPTED), b"").encode())
        assert handler.acknowledged.wait(10)
        for headers, payload in MESSAGES:  # all of them fit into the socket's buffers
            handler.connection.send_protocol_message(headers=headers, payload=payload, message_type=MessageType.PING).result(10)
        handler.connection.close()
        handler.connection.shutdown_future.result(10)
        while chunk := near.recv(65536):
            received += chunk
    return bytes(received)


def protocol_headers(kind: MessageType, flags: int = MessageFlag.NONE) -> tuple[f.Header, ...]:
    """What the RPC protocol adds to each message."""
    values = {":message-type": int(kind), ":message-flags": int(flags), ":stream-id": 0}
    return tuple(f.Header(name, f.INTEGER, value) for name, value in values.items())


def check(frames: list[Frame]) -> None:
    values = {name: value for name, (_, value) in HEADERS.items()}
    added = {header.name: header.value for header in protocol_headers(MessageType.PING)}
    assert len(frames) == 1 + len(MESSAGES)
    for frame, (headers, payload) in zip(frames[1:], MESSAGES, strict=True):
        expected = {**added, **(values if headers else {})}
        assert dict(frame.headers) == expected
        assert {name: type(value) for name, value in frame.headers.items()} == {k: type(v) for k, v in expected.items()}
        assert frame.payload == payload


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_frames_of_aws_own_encoder_are_read_however_they_are_cut(wire: bytes, size: int) -> None:
    decoder = FrameDecoder()
    check([frame for piece in f.pieces(wire, range(0, len(wire), size)) for frame in decoder.feed(piece)])
    decoder.close()
