"""A process on a real socket: what goes over the wire, and what it notices."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from simulator import frames
from simulator.client import Simulator, SimulatorError
from tests.unit.simulator.bodies import body
from tests.unit.simulator.conftest import Caller

THREE: list[tuple[str, Any]] = [("assistantResponseEvent", {"content": word}) for word in ("one", " two", " three")]


@contextmanager
def raw_chat(caller: Caller, **more: str) -> Iterator[socket.socket]:
    """A chat request sent on a bare socket."""
    content = json.dumps(body()).encode()
    headers = caller.headers(Content_Length=str(len(content)), **more)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    url = urlsplit(caller.simulator.url)
    with socket.create_connection((url.hostname, url.port), timeout=5) as sock:
        sock.sendall(f"POST /generateAssistantResponse HTTP/1.1\r\n{head}\r\n".encode() + content)
        yield sock


def everything(sock: socket.socket) -> tuple[bytes, str]:
    """All bytes until the end of the connection, and how it ended."""
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        return data, "rst"
    except TimeoutError:
        return data, "open"
    return data, "fin"


def raw_answer(caller: Caller, **step: Any) -> tuple[bytes, str]:
    """The body as it came, chunked, and how the connection ended."""
    caller.simulator.script([step])
    with raw_chat(caller) as sock:
        sock.settimeout(0.3)
        data, end = everything(sock)
    return data.partition(b"\r\n\r\n")[2], end


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


ENCODED = [frames.event(kind, payload) for kind, payload in THREE]


@pytest.mark.parametrize(
    ("step", "expected", "end"),
    [
        ({}, b"".join(map(chunk, ENCODED)) + b"0\r\n\r\n", "open"),
        ({"cut_after_frames": 1, "how": "close"}, chunk(ENCODED[0]), "fin"),
        ({"cut_after_frames": 1, "how": "rst", "stall": 0.1}, chunk(ENCODED[0]), "rst"),
        ({"cut_after_bytes": 5, "how": "clean_end"}, chunk(ENCODED[0][:5]) + b"0\r\n\r\n", "open"),
        (
            {"cut_after_bytes": 5, "how": "close", "chunk_bytes": 2},
            b"".join(map(chunk, (b"\0\0", b"\0\x7d"[:2], ENCODED[0][4:5]))),
            "fin",
        ),
        (
            {"cut_after_frames": 1, "how": "inside_chunk"},
            chunk(ENCODED[0]) + b"%x\r\n" % len(ENCODED[1]) + ENCODED[1][: len(ENCODED[1]) // 2],
            "fin",
        ),
        ({"reset_before_headers": "close"}, b"", "fin"),
        ({"reset_before_headers": True}, b"", "rst"),
    ],
)
def test_bytes_go_out_exactly_as_scripted(step: dict[str, Any], expected: bytes, end: str, caller: Caller) -> None:
    if step.get("how") == "rst":
        step = {**step, "at_frame": 1}
    assert raw_answer(caller, events=THREE, **step) == (expected, end)


def test_silence_is_kept_as_long_as_scripted(caller: Caller) -> None:
    caller.simulator.script(
        [{"events": THREE, "delay_before": 0.1, "stall": {"seconds": 0.2, "at_frame": 2}, "delay_between": 0.05}]
    )
    start = time.monotonic()
    assert caller.chat(body()).text == "one two three"
    assert 0.39 < time.monotonic() - start < 2


@pytest.mark.parametrize(
    "step",
    [
        {"text": "word " * 200, "delay_between": 0.02},
        {"events": THREE, "stall": 60},
        {"events": THREE, "stall": 60, "at_frame": 0},
        {"delay_before": 60},
    ],
    ids=["flowing", "silent", "before_the_first_frame", "before_the_headers"],
)
@pytest.mark.parametrize("goodbye", ["fin", "rst"])
def test_a_caller_that_leaves_is_noticed_at_once(step: dict[str, Any], goodbye: str, caller: Caller) -> None:
    caller.simulator.script([step])
    with raw_chat(caller) as sock:
        caller.simulator.wait_for_call(lambda call: call["scripted"])
        if goodbye == "rst":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left_at = time.time()
    call = caller.simulator.wait_for_call(lambda call: call["ended"] != "", seconds=3)
    assert call["ended"] == "client_gone"
    assert left_at <= call["client_gone_at"] < left_at + 0.5
    assert caller.simulator.stats()["open_streams"] == 0


def test_one_connection_serves_several_calls(caller: Caller) -> None:
    with raw_chat(caller) as sock:
        sock.settimeout(0.2)
        assert everything(sock)[0].endswith(b"0\r\n\r\n")
        sock.sendall(b"GET /_simulator/health HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert everything(sock) == (
            b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"ok": true}',
            "fin",
        )


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_not_http_is_refused(data: bytes, simulator: Simulator) -> None:
    url = urlsplit(simulator.url)
    with socket.create_connection((url.hostname, url.port), timeout=5) as sock:
        sock.sendall(data)
        assert everything(sock)[0].startswith(b"HTTP/1.1 400 ")


def test_a_chunked_request_is_read(caller: Caller) -> None:
    content = json.dumps(body()).encode()
    answer = caller.call("POST", "/generateAssistantResponse", (part for part in (content[:10], content[10:])))  # type: ignore[arg-type]
    assert answer.status == 200


def test_many_streams_at_once_are_all_served(caller: Caller) -> None:
    caller.simulator.script([{"events": THREE, "stall": 0.3, "times": 0}])
    with ExitStack() as streams:
        sockets = [streams.enter_context(raw_chat(caller, Connection="close")) for _ in range(100)]
        caller.simulator.wait_for_call(lambda _: caller.simulator.stats()["most_open_streams"] == 100)
        for sock in sockets:
            data, end = everything(sock)
            assert data.endswith(b"0\r\n\r\n")
            assert end == "fin"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second(number: signal.Signals) -> None:
    with Simulator.start() as simulator:
        caller = Caller(simulator, simulator.add_account())
        simulator.script([{"stall": 60}])
        with raw_chat(caller):
            simulator.wait_for_call(lambda call: call["scripted"])
            assert simulator.process is not None
            start = time.monotonic()
            simulator.process.send_signal(number)
            assert simulator.process.wait(5) == 0
            assert time.monotonic() - start < 1


def test_it_ends_with_whoever_started_it() -> None:
    with Simulator.start() as simulator:
        assert simulator.process is not None
        assert simulator.process.stdin is not None
        simulator.process.stdin.close()
        assert simulator.process.wait(2) == 0


def test_a_misspelt_option_is_refused(simulator: Simulator) -> None:
    with pytest.raises(SimulatorError, match="unknown option speed"):
        simulator.options(speed=1)
    with pytest.raises(SimulatorError, match="unknown rules: everything"):
        simulator.options(rules_off=["everything"])
    with pytest.raises(SimulatorError, match="unknown step fields: txet"):
        simulator.script([{"txet": "a"}])
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "simulator", "--port", "0", "--options", '{"speed": 1}']
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=10, check=False)
    assert done.returncode == 2
    assert "unknown option speed" in done.stderr


def test_reset_goes_back_to_the_start(caller: Caller) -> None:
    caller.simulator.options(delay_before=5.0)
    caller.simulator.script([{"status": 500, "times": 0}])
    caller.simulator.reset()
    assert caller.chat(body()).status == 200
    assert len(caller.simulator.calls()) == 1
