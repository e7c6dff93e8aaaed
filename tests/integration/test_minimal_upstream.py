"""KIRO_UPSTREAM_URL: a stand-in that knows nothing but the chat call is enough for a message."""

from __future__ import annotations

import json
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway import Gateway, running_gateway
from tests.integration.wire import ask, body


def frame(event_type: str, payload: dict[str, Any]) -> bytes:
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in ((":message-type", "event"), (":event-type", event_type), (":content-type", "application/json"))
    )
    data = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + data
    return message + struct.pack(">I", zlib.crc32(message))


class OnlyChat(BaseHTTPRequestHandler):
    """Answers one path; 404 to everything else. Keeps what it saw in `seen`."""

    seen: list[tuple[str, str, dict[str, str], bytes]] = []  # noqa: RUF012 - one server at a time, emptied by its fixture

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        self.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, content))
        if self.path != "/base/generateAssistantResponse":
            self.send_error(404)
            return
        answer = frame("assistantResponseEvent", {"content": "Hello"})
        self.send_response(200)
        self.send_header("content-type", "application/vnd.amazon.eventstream")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815 - the name is the standard library's

    def log_message(self, *_: Any) -> None:
        """Silence."""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """In front of a stand-in below a path, with a token that is still good."""
    OnlyChat.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), OnlyChat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = tmp_path / "credentials.json"
    path.write_text(
        json.dumps({"refreshToken": "aor" + "r" * 120, "accessToken": "aoa-still-good", "expiresAt": time.time() + 3000})
    )
    with running_gateway(
        tmp_path, upstream_url=f"http://127.0.0.1:{server.server_port}/base", KIRO_CREDENTIALS_FILE=str(path)
    ) as running:
        yield running
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("stream", [True, False])
def test_a_message_needs_nothing_but_the_chat_call(gateway: Gateway, stream: bool) -> None:
    answer = ask(gateway.url, body(stream=stream))
    assert answer.status == 200
    assert (answer.text if stream else answer.json["content"][0]["text"]) == "Hello"
    sent = [call for call in OnlyChat.seen if call[1].endswith("/generateAssistantResponse")]
    assert len(sent) == 1
    _, path, headers, content = sent[0]
    assert path == "/base/generateAssistantResponse"
    assert headers["host"] == "q.us-east-1.amazonaws.com"
    assert headers["authorization"] == "Bearer aoa-still-good"
    assert "KiroIDE-0.12.155-" in headers["user-agent"]
    assert json.loads(content)["profileArn"].startswith("arn:aws:codewhisperer:us-east-1:")
