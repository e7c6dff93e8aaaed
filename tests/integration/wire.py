"""A client on a bare socket: sees every byte of an answer, also how it ended, and can leave whenever it likes."""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.integration.gateway import API_KEY

MODEL = "claude-sonnet-4.5"


def body(text: str = "Hi", **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **fields}


@dataclass
class Answer:
    """A whole answer. ended_properly: the last chunk came, or as many bytes as were announced."""

    status: int
    headers: dict[str, str]
    body: bytes
    ended_properly: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The SSE events; each frame has to be one event line and one data line."""
        events = []
        for frame in self.body.decode().split("\n\n"):
            if frame:
                name, data = frame.split("\n")
                event = json.loads(data.removeprefix("data: "))
                assert name == f"event: {event['type']}"
                events.append(event)
        return events

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def text(self) -> str:
        deltas = [event["delta"] for event in self.events if event["type"] == "content_block_delta"]
        return "".join(delta.get("text", "") for delta in deltas)


class Client:
    """One connection and one request on it."""

    def __init__(self, url: str, *, seconds: float = 30.0) -> None:
        target = urlsplit(url)
        assert target.hostname
        assert target.port
        self._socket = socket.create_connection((target.hostname, target.port), timeout=seconds)
        self._received = b""

    def post(self, content: Any, path: str = "/v1/messages", *, key: str = "x-api-key", **headers: str) -> None:
        """Send a request and do not wait. key: the header that carries the API key."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        lines = {
            "host": "gateway.test",
            "content-type": "application/json",
            key: f"Bearer {API_KEY}" if key == "authorization" else API_KEY,
            "content-length": str(len(data)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data)

    def wait_for(self, part: bytes) -> float:
        """Until `part` has come; the instant it did."""
        while part not in self._received:
            piece = self._socket.recv(65536)
            assert piece, f"the connection ended before {part!r} came: {self._received!r}"
            self._received += piece
        return time.time()

    def answer(self) -> Answer:
        """The whole answer, as far as it comes."""
        self.wait_for(b"\r\n\r\n")
        head, _, rest = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(rest) < length and (piece := self._receive()):
                rest += piece
            return Answer(int(first.split()[1]), headers, rest[:length], len(rest) >= length)
        while b"0\r\n\r\n" not in rest[-5:] and (piece := self._receive()):
            rest += piece
        return Answer(int(first.split()[1]), headers, *_dechunk(rest))

    @property
    def received(self) -> bytes:
        """Everything that came, as it came."""
        return self._received

    def leave(self, *, reset: bool = False) -> float:
        """Close at once, by FIN or RST; the instant of it."""
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
        return time.time()

    def _receive(self) -> bytes:
        try:
            piece = self._socket.recv(65536)
        except ConnectionResetError:
            return b""
        self._received += piece
        return piece

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def ask(url: str, content: Any | None = None, *, key: str = "x-api-key", **headers: str) -> Answer:
    """One request and its whole answer."""
    with Client(url) as client:
        client.post(body() if content is None else content, key=key, **headers)
        return client.answer()


def _dechunk(data: bytes) -> tuple[bytes, bool]:
    pieces = []
    while data:
        size, found, data = data.partition(b"\r\n")
        if not found:
            return b"".join(pieces), False
        length = int(size, 16)
        if length == 0:
            return b"".join(pieces), True
        pieces.append(data[:length])
        if len(data) < length + 2:
            return b"".join(pieces), False
        data = data[length + 2 :]
    return b"".join(pieces), False
