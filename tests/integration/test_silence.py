"""Silence of upstream is filled with pings and has an end; the HTTP status waits for the first event or the first ping."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command, running_gateway
from tests.integration.wire import Client, ask, body

CHAT = "/generateAssistantResponse"


@pytest.fixture(scope="module")
def impatient(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that gives up on a silent upstream after a few seconds. Its login is its own: refresh tokens rotate."""
    folder = tmp_path_factory.mktemp("impatient")
    path = folder / "credentials.json"
    path.write_text(json.dumps({"refreshToken": simulator.add_account(kind="social")["refresh_token"]}))
    for name, value in {
        "first_ping_seconds": "1",
        "ping_seconds": "1",
        "idle_seconds": "3",
        "first_event_seconds": "3",
    }.items():
        assert flask_command(folder, "settings", "set", name, value).returncode == 0
    with running_gateway(folder, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        yield gateway


def test_silence_before_the_first_word_is_filled(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"text": "one two", "delay_before": 5.5}])
    answer = ask(gateway.url, body(stream=True))
    assert answer.types[0] == "message_start"
    assert answer.types.count("message_start") == 1
    assert answer.types.count("ping") >= 2
    assert answer.types[-1] == "message_stop"
    assert answer.text == "one two"


def test_silence_in_the_middle_is_filled(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"text": "one two", "stall": {"seconds": 5.5, "at_frame": 1}}])
    answer = ask(gateway.url, body(stream=True))
    assert answer.types.count("ping") >= 2
    assert answer.types[-1] == "message_stop"
    assert answer.text == "one two"


def test_an_early_failure_keeps_its_status(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"status": 400, "body": {"message": "Improperly formed request.", "reason": None}, "delay_before": 0.5}])
    assert ask(gateway.url, body(stream=True)).status == 400


def test_trouble_during_pings_still_fails_over_unseen(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"delay_before": 4.5, "reset_before_headers": True}, {"text": "one two"}])
    answer = ask(gateway.url, body(stream=True))
    assert answer.types.count("message_start") == 1
    assert "ping" in answer.types
    assert answer.types[-1] == "message_stop"
    assert answer.text == "one two"
    assert len(simulator.calls(CHAT)) >= 2


def test_endless_silence_in_the_middle_ends_in_an_error(impatient: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    simulator.script([{"text": "one two", "stall": {"seconds": 60, "at_frame": 1}}])
    began_at = time.monotonic()
    answer = ask(impatient.url, body(stream=True))
    assert 2 < time.monotonic() - began_at < 6
    assert answer.ended_properly
    assert answer.types[-1] == "error"
    assert answer.events[-1]["error"]["type"] == "overloaded_error"
    simulator.wait_for_call(lambda call: call["client_gone_at"] is not None, path=CHAT)


def test_endless_silence_before_the_first_word_is_tried_again(impatient: Gateway, simulator: Simulator) -> None:
    simulator.script([{"text": "never", "delay_before": 60}, {"text": "one two"}])
    answer = ask(impatient.url, body(stream=True))
    assert answer.text == "one two"
    assert answer.types[-1] == "message_stop"


def test_no_ping_comes_while_words_flow(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"text": "a b c d e f g h i j k l", "delay_between": 0.25}])
    with Client(gateway.url) as client:
        client.post(body(stream=True))
        assert "ping" not in client.answer().types
