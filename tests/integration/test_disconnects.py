"""A client that leaves frees its upstream connection at once, whatever the stream was doing."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway
from tests.integration.wire import Client, body

CHAT = "/generateAssistantResponse"
PROMISED_SECONDS = 2.0
LONG = {"text": "word " * 2000, "delay_between": 0.02}
# What upstream does, whether the client streams, and what the client has to see before it leaves (None: nothing).
SITUATIONS: dict[str, tuple[dict[str, Any], bool, bytes | None]] = {
    "data flowing": (LONG, True, b"text_delta"),
    "upstream silent": ({"text": "one two", "stall": {"seconds": 60, "at_frame": 1}}, True, b"text_delta"),
    "before the first byte": ({"text": "one two", "delay_before": 60}, True, None),
    "before the first byte, pings flowing": ({"text": "one two", "delay_before": 60}, True, b"event: ping"),
    "whole reply, data flowing": (LONG, False, None),
    "whole reply, upstream silent": ({"text": "one two", "delay_before": 60}, False, None),
}


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_upstream_is_closed_when_the_client_leaves(gateway: Gateway, simulator: Simulator, situation: str, reset: bool) -> None:
    step, stream, seen = SITUATIONS[situation]
    simulator.clear_calls()
    simulator.script([step])
    with Client(gateway.url) as client:
        client.post(body(stream=stream))
        simulator.wait_for_call(lambda call: True, path=CHAT)
        if seen is not None:
            client.wait_for(seen)
        left_at = client.leave(reset=reset)
    call = simulator.wait_for_call(lambda call: call["client_gone_at"] is not None, path=CHAT, seconds=PROMISED_SECONDS + 1)
    assert call["client_gone_at"] - left_at < PROMISED_SECONDS
    assert call["ended"] == "client_gone"


def test_a_hundred_clients_leave_at_once(gateway: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    simulator.script([{"text": "one two", "stall": {"seconds": 60, "at_frame": 1}, "times": 100}])
    clients = [Client(gateway.url) for _ in range(100)]
    for client in clients:
        client.post(body(stream=True))
    for client in clients:
        client.wait_for(b"text_delta")
    left_at = [client.leave() for client in clients][-1]
    simulator.wait_for_call(lambda call: simulator.stats()["open_streams"] == 0, path=CHAT, seconds=4)
    gone_at = [call["client_gone_at"] for call in simulator.calls(CHAT)]
    assert len(gone_at) == 100
    assert max(gone_at) - left_at < 3


def test_the_record_says_that_the_client_left(gateway: Gateway, simulator: Simulator) -> None:
    from tests.integration.gateway import flask_command

    simulator.script([LONG])
    with Client(gateway.url) as client:
        client.post(body(stream=True))
        client.wait_for(b"text_delta")
    told = ""
    for _ in range(20):
        told = flask_command(gateway.folder, "requests").stdout
        if "client_gone" in told:
            return
    raise AssertionError(told)
