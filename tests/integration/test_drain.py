"""A stop ends streams honestly: short ones whole, long ones with an error event, never by a torn connection."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, start_gateway
from tests.integration.wire import Client, body


def started(simulator: Simulator, folder: Path, **environment: str) -> Gateway:
    path = folder / "credentials.json"
    path.write_text(json.dumps({"refreshToken": simulator.add_account(kind="social")["refresh_token"]}))
    return start_gateway(folder, upstream_url=simulator.url, workers=2, KIRO_CREDENTIALS_FILE=str(path), **environment)


def streams(gateway: Gateway, count: int) -> list[Client]:
    """So many streams that have said their first word."""
    clients = [Client(gateway.url) for _ in range(count)]
    for client in clients:
        client.post(body(stream=True))
    for client in clients:
        client.wait_for(b"text_delta")
    return clients


def test_streams_shorter_than_the_drain_end_whole(simulator: Simulator, tmp_path: Path) -> None:
    gateway = started(simulator, tmp_path)
    simulator.script([{"text": "one two three four", "stall": {"seconds": 2.5, "at_frame": 2}, "times": 20}])
    clients = streams(gateway, 20)
    gateway.process.send_signal(signal.SIGTERM)
    answers = [client.answer() for client in clients]
    assert [answer.types[-1] for answer in answers] == ["message_stop"] * 20
    assert {answer.text for answer in answers} == {"one two three four"}
    assert gateway.stop() == 0


def test_longer_streams_end_in_an_error_event(simulator: Simulator, tmp_path: Path) -> None:
    gateway = started(simulator, tmp_path)
    flowing = {"text": "word " * 2000, "delay_between": 0.05, "times": 10}
    silent = {"text": "one two", "stall": {"seconds": 60, "at_frame": 1}, "times": 10}
    simulator.script([flowing, silent])
    clients = streams(gateway, 20)
    stopped_at = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)
    answers = [client.answer() for client in clients]
    assert all(answer.ended_properly for answer in answers)
    assert [answer.types[-1] for answer in answers] == ["error"] * 20
    assert {answer.events[-1]["error"]["type"] for answer in answers} == {"overloaded_error"}
    assert gateway.stop() == 0
    assert time.monotonic() - stopped_at < 10


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_ends_streams_and_lets_idle_connections_go(
    simulator: Simulator, tmp_path: Path, how: signal.Signals
) -> None:
    gateway = started(simulator, tmp_path, DRAIN_SECONDS="1")
    simulator.script([{"text": "word " * 2000, "delay_between": 0.05, "times": 4}])
    clients = streams(gateway, 4)
    with Client(gateway.url) as idle:
        idle.post(body())
        assert idle.answer().status == 200
        stopped_at = time.monotonic()
        gateway.process.send_signal(how)
        answers = [client.answer() for client in clients]
        assert [answer.types[-1] for answer in answers] == ["error"] * 4
        assert gateway.process.wait(10) == 0
    assert time.monotonic() - stopped_at < 5
