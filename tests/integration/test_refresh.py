"""Rotating refresh tokens: sent once, never lost, over all requests and workers."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import flask_command, running_gateway, start_gateway
from tests.integration.wire import Client, ask, body

CALLERS = 200
REFRESH = "/refreshToken"


def login(simulator: Simulator, folder: Path, **account: Any) -> Path:
    """A credentials file without an access token: the first use has to refresh."""
    path = folder / "credentials.json"
    path.write_text(json.dumps({"refreshToken": simulator.add_account(kind="social", **account)["refresh_token"]}))
    simulator.clear_calls()
    return path


def call_at_once(urls: Sequence[str], callers: int = CALLERS) -> Counter[int]:
    """So many requests at the same moment, spread over the gateways; how often each status came."""
    statuses: Counter[int] = Counter()
    ready = threading.Barrier(callers)

    def call(url: str) -> None:
        with Client(url, seconds=60) as client:
            ready.wait(30)
            client.post(body())
            status = client.answer().status
        statuses[status] += 1

    threads = [threading.Thread(target=call, args=(urls[number % len(urls)],)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return statuses


def test_matrix_34_two_hundred_callers_and_two_workers_refresh_once(simulator: Simulator, tmp_path: Path) -> None:
    path = login(simulator, tmp_path)
    simulator.options(refresh_delay=0.5)
    with running_gateway(tmp_path, upstream_url=simulator.url, workers=2, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        statuses = call_at_once([gateway.url])
    assert statuses == {200: CALLERS}
    assert len(simulator.calls(REFRESH)) == 1


def test_matrix_34_two_hundred_callers_and_two_machines_refresh_once(
    simulator: Simulator, tmp_path: Path, postgresql: dict[str, str]
) -> None:
    path = login(simulator, tmp_path)
    simulator.options(refresh_delay=0.5)
    machine: dict[str, Any] = {"upstream_url": simulator.url, "workers": 2, "KIRO_CREDENTIALS_FILE": str(path), **postgresql}
    with running_gateway(tmp_path, **machine) as one, running_gateway(tmp_path, **machine) as other:
        statuses = call_at_once([one.url, other.url])
    assert statuses == {200: CALLERS}
    assert len(simulator.calls(REFRESH)) == 1


def test_a_database_that_is_locked_as_the_token_comes_is_waited_for(simulator: Simulator, tmp_path: Path) -> None:
    path = login(simulator, tmp_path)
    simulator.options(refresh_delay=0.5)
    statuses: Counter[int] = Counter()
    with running_gateway(tmp_path, upstream_url=simulator.url, workers=2, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        callers = threading.Thread(target=lambda: statuses.update(call_at_once([gateway.url], 20)))
        callers.start()
        simulator.wait_for_call(lambda call: True, path=REFRESH)
        with closing(sqlite3.connect(tmp_path / "data.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            simulator.wait_for_call(lambda call: call["ended"] == "complete", path=REFRESH)
            slowest = max(_seconds_to_answer(f"{gateway.url}/healthz") for _ in range(8))
            other.execute("ROLLBACK")
        callers.join(30)
    assert statuses == {200: 20}
    assert len(simulator.calls(REFRESH)) == 1
    assert slowest < 1.0, "nobody waits in C: others are answered meanwhile"


def _seconds_to_answer(url: str) -> float:
    """Asked every half second: eight of them are the four seconds of the lock."""
    time.sleep(0.5)
    began_at = time.monotonic()
    urllib.request.urlopen(url, timeout=10).close()
    return time.monotonic() - began_at


def test_matrix_37_clients_that_leave_do_not_lose_the_token(simulator: Simulator, tmp_path: Path) -> None:
    path = login(simulator, tmp_path)
    simulator.options(refresh_delay=1.0)
    with running_gateway(tmp_path, upstream_url=simulator.url, workers=2, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        clients = [Client(gateway.url) for _ in range(20)]
        for client in clients:
            client.post(body(stream=True))
        simulator.wait_for_call(lambda call: True, path=REFRESH)
        for client in clients:
            client.leave()
        simulator.wait_for_call(lambda call: call["ended"] == "complete", path=REFRESH)
        assert ask(gateway.url).status == 200
    assert len(simulator.calls(REFRESH)) == 1, "the token that came when nobody waited was kept"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_waits_for_the_token(simulator: Simulator, tmp_path: Path, how: signal.Signals) -> None:
    path = login(simulator, tmp_path)
    simulator.options(refresh_delay=4.0)
    gateway = start_gateway(tmp_path, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(path), DRAIN_SECONDS="1")
    client = Client(gateway.url)
    client.post(body(stream=True))
    simulator.wait_for_call(lambda call: True, path=REFRESH)
    client.leave()
    gateway.process.send_signal(how)
    assert gateway.process.wait(20) == 0
    assert "token refresh" in gateway.log, "it says why it waits"
    simulator.options(refresh_delay=0.0)
    with running_gateway(tmp_path, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(path)) as again:
        assert ask(again.url).status == 200
    assert len(simulator.calls(REFRESH)) == 1


def test_a_dead_refresh_token_asks_for_a_sign_in(simulator: Simulator, tmp_path: Path) -> None:
    account = simulator.add_account(kind="social")
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps({"refreshToken": account["refresh_token"][:-4] + "dead"}))
    simulator.clear_calls()
    with running_gateway(tmp_path, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        answers = [ask(gateway.url) for _ in range(3)]
        assert answers[0].status in (502, 503)
        assert [answer.status for answer in answers[1:]] == [503, 503]
        assert "sign" in answers[-1].json["error"]["message"]
        assert len(simulator.calls(REFRESH)) == 1, "no hammering"
    assert "signed in again" in flask_command(tmp_path, "credentials", "list").stdout
