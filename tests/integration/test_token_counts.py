"""What a running gateway says a request costs: counted here, or by the service the operator names."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command, running_gateway
from tests.integration.wire import ask, body

KEY = "sk-of-the-counting-service"
HELLO: dict[str, Any] = {"system": "You are a scientist", "messages": [{"role": "user", "content": "Hello, Claude"}]}


class Counting(BaseHTTPRequestHandler):
    """Says 4711, as long as the key is right; others it sends elsewhere."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012 - of the one service

    def do_POST(self) -> None:
        self.seen.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        right = self.headers["authorization"] == f"Bearer {KEY}"
        said = b'{"input_tokens": 4711}'
        self.send_response(200 if right else 307)
        if not right:
            self.send_header("location", self.path)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Counting.seen.clear()
    yield f"http://127.0.0.1:{server.server_port}/v1/messages/count_tokens"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def gateway(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("counting")
    account = simulator.add_account(kind="social")
    path = folder / "credentials.json"
    path.write_text(json.dumps([{"refreshToken": account["refresh_token"], "authMethod": "social"}]))
    with running_gateway(folder, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        yield gateway


def count(gateway: Gateway, model: str, **fields: Any) -> int:
    return gateway.sdk().messages.count_tokens(model=model, **{**HELLO, **fields}).input_tokens


def test_the_documented_example_costs_what_the_documents_say(gateway: Gateway) -> None:
    assert count(gateway, "claude-sonnet-4-5") == 14
    assert count(gateway, "claude-opus-4-8") == 19


def test_a_message_begins_with_the_same_count(gateway: Gateway) -> None:
    stream = ask(gateway.url, body(model="claude-sonnet-4-5", stream=True, **HELLO))
    assert stream.events[0]["message"]["usage"]["input_tokens"] == 14


def test_a_megabyte_is_counted_while_others_are_answered(gateway: Gateway) -> None:
    words = " ".join(f"word{at:x}" for at in range(110_000))
    megabyte = [{"role": "user", "content": words}]
    counting = threading.Thread(target=count, args=(gateway, "claude-opus-4-8"), kwargs={"messages": megabyte})
    counting.start()
    while counting.is_alive():
        assert count(gateway, "claude-sonnet-4-5") == 14
    counting.join()
    assert count(gateway, "claude-opus-4-8", messages=megabyte) > 110_000


def test_the_service_that_is_named_is_asked_first(gateway: Gateway, service: str) -> None:
    def say(**settings: str) -> None:
        for name, value in settings.items():
            assert flask_command(gateway.folder, "settings", "set", f"count_tokens_{name}", value).returncode == 0

    say(api_url=service, auth_type="bearer", api_key="wrong")
    try:
        eventually(gateway, lambda: Counting.seen)
        assert count(gateway, "claude-sonnet-4-5") == 14
        assert len(Counting.seen) == 1, "a redirect is not followed, and a failing service is left alone"
        assert gateway.log.count("the service that counts tokens failed") == 1
        assert KEY not in gateway.log
    finally:
        say(api_url="")


def test_the_service_s_count_is_the_answer(simulator: Simulator, service: str, tmp_path: Path) -> None:
    with running_gateway(tmp_path, upstream_url=simulator.url) as gateway:
        for name, value in (("api_key", KEY), ("auth_type", "bearer"), ("api_url", service)):
            assert flask_command(tmp_path, "settings", "set", f"count_tokens_{name}", value).returncode == 0
        eventually(gateway, lambda: Counting.seen)
        assert count(gateway, "claude-sonnet-4-5") == 4711
        assert Counting.seen[-1] == {"model": "claude-sonnet-4-5", **HELLO}
        listed = flask_command(tmp_path, "settings", "list").stdout
        assert KEY not in listed + gateway.log


def eventually(gateway: Gateway, seen: Callable[[], object]) -> None:
    """Until the changed settings are in force."""
    deadline = time.monotonic() + 8
    while not seen():
        assert time.monotonic() < deadline
        count(gateway, "claude-sonnet-4-5")
        time.sleep(0.1)
