"""Faults on the way to Kiro and around a refresh, each with what has to happen: rows 17 to 24 and 36 to 42 of the fault matrix.

Rows that are about one thing only have their test beside it: 20, 21 and 23 in `test_failing_upstream`, 34 and 37 in
`test_refresh`, 18's upper limit in `unit/test_attempts`, 46 in `unit/credentials/test_pool`.
What would take minutes is told to the database instead: instants of a row are moved into the past.
Source: reliability 4.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command, free_port, running_gateway, start_gateway
from tests.integration.wire import Client, ask, body
from tests.unit.upstream.servers import black_hole

CHAT, REFRESH = "/generateAssistantResponse", "/refreshToken"
SNAPSHOT_SECONDS = 2.0  # so long a worker may go by what it read


class Logins:
    """Accounts of the stand-in as a credentials file, in order of priority; `ids` are theirs there.

    expired: how many of the first have no access token. fields: further fields of the first.
    """

    def __init__(self, simulator: Simulator, folder: Path, count: int, *, expired: int = 0, **fields: str) -> None:
        accounts = [simulator.add_account(kind="social") for _ in range(count)]
        entries = [
            {"refreshToken": account["refresh_token"], "email": account["email"], "priority": number}
            | ({} if number < expired else {"accessToken": account["access_token"], "expiresAt": account["expires_at"]})
            for number, account in enumerate(accounts)
        ]
        entries[0] |= fields
        self.ids = [account["id"] for account in accounts]
        self.path = folder / "credentials.json"
        self.path.write_text(json.dumps(entries))
        simulator.clear_calls()

    def gateway(self, simulator: Simulator, **options: Any) -> Any:
        """A gateway of one's own that has read the file."""
        return running_gateway(
            self.path.parent, **{"upstream_url": simulator.url, "KIRO_CREDENTIALS_FILE": str(self.path), **options}
        )


def change(folder: Path, assignments: str, *values: object) -> None:
    """Write to the rows of all credentials, as another process or as time would; `revision` tells the workers of it."""
    with closing(sqlite3.connect(folder / "data.db", timeout=10)) as connection, connection:
        connection.execute(f"UPDATE credentials SET revision = revision + 1, {assignments}", values)


def read(folder: Path, column: str, id_: int = 1) -> Any:
    with closing(sqlite3.connect(folder / "data.db", timeout=10)) as connection:
        return connection.execute(f"SELECT {column} FROM credentials WHERE id = ?", (id_,)).fetchone()[0]


def listed(folder: Path, id_: int = 1) -> str:
    """A credential's line in `credentials list`."""
    return flask_command(folder, "credentials", "list").stdout.splitlines()[id_]


def until(holds: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def asked(simulator: Simulator) -> list[str]:
    """Whose token each chat call carried."""
    return [call["account"] for call in simulator.calls(CHAT)]


# -- the way to Kiro --


def test_matrix_17_a_refused_connection_is_told_within_ten_seconds(simulator: Simulator, tmp_path: Path) -> None:
    with Logins(simulator, tmp_path, 2).gateway(simulator, upstream_url=f"http://127.0.0.1:{free_port()}") as gateway:
        began = time.monotonic()
        answer = ask(gateway.url)
        assert time.monotonic() - began < 10
        assert (answer.status, answer.json["error"]["type"]) in ((502, "api_error"), (529, "overloaded_error"))
        assert "ready" in listed(tmp_path, 1), "the way is the same for all of them"
        assert "ready" in listed(tmp_path, 2)


def test_matrix_17_a_proxy_that_refuses_is_one_credentials_own_trouble(simulator: Simulator, tmp_path: Path) -> None:
    logins = Logins(simulator, tmp_path, 2, proxyUrl=f"http://127.0.0.1:{free_port()}")
    with logins.gateway(simulator) as gateway:
        assert [ask(gateway.url).status for _ in range(2)] == [200, 200]
        assert asked(simulator) == logins.ids[1:] * 2
        assert "cools down" in listed(tmp_path)


def test_matrix_18_a_black_hole_is_left_after_one_connect(simulator: Simulator, tmp_path: Path) -> None:
    with black_hole() as port:
        logins = Logins(simulator, tmp_path, 2, proxyUrl=f"http://127.0.0.1:{port}")
        with logins.gateway(simulator) as gateway:
            began = time.monotonic()
            answer = ask(gateway.url)
            assert 4.5 < time.monotonic() - began < 9
    assert answer.status == 200
    assert asked(simulator) == logins.ids[1:]


def test_matrix_19_a_reset_before_the_headers_is_tried_nine_times(simulator: Simulator, tmp_path: Path) -> None:
    logins = Logins(simulator, tmp_path, 4)
    simulator.script([{"reset_before_headers": True, "times": 0}])
    with logins.gateway(simulator) as gateway:
        answer = ask(gateway.url)
    assert (answer.status, answer.json["error"]["type"]) == (529, "overloaded_error")
    assert Counter(asked(simulator)) == dict.fromkeys(logins.ids[:3], 3)


# -- what Kiro answers --


def test_matrix_20_a_token_that_is_refused_again_leaves_it_to_the_next(simulator: Simulator, tmp_path: Path) -> None:
    logins = Logins(simulator, tmp_path, 2)
    invalid = {"message": "The bearer token included in the request is invalid.", "reason": None}
    simulator.script([{"status": 403, "body": invalid, "account": logins.ids[0], "times": 0}])
    with logins.gateway(simulator) as gateway:
        assert ask(gateway.url).status == 200
    assert asked(simulator) == [logins.ids[0], *logins.ids]
    assert [call["account"] for call in simulator.calls(REFRESH)] == logins.ids[:1]


def test_matrix_22_a_retry_after_is_kept_by_the_other_worker_too(simulator: Simulator, tmp_path: Path) -> None:
    logins = Logins(simulator, tmp_path, 2)
    busy = {"message": "Too many requests", "reason": "USER_REQUEST_RATE_EXCEEDED"}
    simulator.script([{"status": 429, "body": busy, "headers": {"Retry-After": "60"}, "account": logins.ids[0], "times": 0}])
    with logins.gateway(simulator, workers=2) as gateway:
        until(lambda: len(gateway.worker_pids()) == 2, "two workers")
        one, other = gateway.worker_pids()
        os.kill(other, signal.SIGSTOP)
        throttled_at = time.monotonic()
        try:
            assert ask(gateway.url).status == 200
        finally:
            os.kill(other, signal.SIGCONT)
        assert asked(simulator) == logins.ids
        assert 30 < read(tmp_path, "state_until") - time.time() <= 60
        time.sleep(max(throttled_at + SNAPSHOT_SECONDS - time.monotonic(), 0))
        os.kill(one, signal.SIGSTOP)
        try:
            assert [ask(gateway.url).status for _ in range(3)] == [200] * 3
        finally:
            os.kill(one, signal.SIGCONT)
    assert asked(simulator) == [*logins.ids, *logins.ids[1:] * 3]


# -- nobody is left --

DEAD = [
    ("cooling_down", 30.0, 429, "rate_limit_error", "cooling down"),
    ("exhausted", 86_400.0, 429, "rate_limit_error", "used up"),
    ("rejected", None, 503, "api_error", "must be signed in again"),
    ("suspended", None, 503, "api_error", "is suspended by Kiro"),
    ("disabled", None, 503, "api_error", "is disabled"),
    (None, None, 503, "api_error", "No Kiro credential is stored"),
]


@pytest.fixture(scope="module")
def worn_out(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two credentials whose state a test decides; their accounts have nothing left, so that no look at them wakes them."""
    folder = tmp_path_factory.mktemp("worn-out")
    logins = Logins(simulator, folder, 2)
    for account in map(simulator.account, logins.ids):
        kept = {name: account[name] for name in ("id", "kind", "email", "refresh_token", "access_token", "quota")}
        simulator.add_account(**kept, used=account["quota"])
    with logins.gateway(simulator) as gateway:
        yield gateway


@pytest.mark.parametrize(("state", "seconds", "status", "type_", "says"), DEAD, ids=[str(case[0]) for case in DEAD])
def test_matrix_24_when_all_are_dead_it_is_said_at_once_and_nobody_is_asked(
    worn_out: Gateway, simulator: Simulator, state: str | None, seconds: float | None, status: int, type_: str, says: str
) -> None:
    if state is None:
        with closing(sqlite3.connect(worn_out.folder / "data.db", timeout=10)) as connection, connection:
            connection.execute("DELETE FROM credentials")
    else:
        change(worn_out.folder, "state = ?, state_until = ?", state, seconds and time.time() + seconds)
    until(lambda: says in ask(worn_out.url).json["error"]["message"], says)
    simulator.clear_calls()
    began = time.monotonic()
    answers = [ask(worn_out.url, body(stream=bool(number % 2))) for number in range(10)]
    assert time.monotonic() - began < 5
    assert {answer.status for answer in answers} == {status}
    assert {answer.json["error"]["type"] for answer in answers} == {type_}
    waits = {answer.headers.get("retry-after") is not None for answer in answers}
    assert waits == {state == "cooling_down"}
    assert simulator.calls(CHAT) == simulator.calls(REFRESH) == []


# -- refreshing --


@pytest.mark.parametrize("fault", [{"status": 500}, {"reset_after_rotate": True}], ids=["500", "unclear"])
def test_matrix_36_a_refresh_that_fails_rests_and_another_answers(
    simulator: Simulator, tmp_path: Path, fault: dict[str, Any]
) -> None:
    logins = Logins(simulator, tmp_path, 2, expired=1)
    simulator.script([{"path": "refresh", "account": logins.ids[0], **fault}])
    with logins.gateway(simulator) as gateway:
        assert [ask(gateway.url).status for _ in range(5)] == [200] * 5
        assert asked(simulator) == logins.ids[1:] * 5
        assert len(simulator.calls(REFRESH)) == 1, "it is left alone for a while"
        assert "WARNING" in gateway.log
        change(tmp_path, "state_until = 1 WHERE id = 1")
        until(lambda: ask(gateway.url).status == 200 and len(simulator.calls(REFRESH)) == 2, "it is tried again")
        assert asked(simulator)[-1] == logins.ids["status" not in fault]
        assert ("must be signed in again" in listed(tmp_path)) is ("status" not in fault)


def test_matrix_38_a_stop_in_the_middle_of_twenty_refreshes_loses_none(simulator: Simulator, tmp_path: Path) -> None:
    logins = Logins(simulator, tmp_path, 20, expired=20)
    simulator.options(refresh_delay=3.0)
    assert flask_command(tmp_path, "settings", "set", "scheduling_mode", "auto").returncode == 0
    gateway = start_gateway(
        tmp_path, upstream_url=simulator.url, workers=1, KIRO_CREDENTIALS_FILE=str(logins.path), DRAIN_SECONDS="1"
    )
    clients = [Client(gateway.url) for _ in range(20)]
    for number, client in enumerate(clients):
        client.post(body(f"Hello, number {number}"))
    until(lambda: len(simulator.calls(REFRESH)) == 20, "one refresh each")
    assert not any(call["ended"] for call in simulator.calls(REFRESH))
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(20) == 0
    for client in clients:
        client.leave()
    simulator.options(refresh_delay=0.0)
    with logins.gateway(simulator) as again:
        assert [ask(again.url, body(f"Again, number {number}")).status for number in range(20)] == [200] * 20
    assert sorted(asked(simulator)[-20:]) == sorted(logins.ids)
    assert Counter(call["account"] for call in simulator.calls(REFRESH)) == dict.fromkeys(logins.ids, 1)


def test_matrix_39_a_rotation_that_a_kill_lost_is_named_and_another_serves(simulator: Simulator, tmp_path: Path) -> None:
    logins = Logins(simulator, tmp_path, 2, expired=1)
    simulator.options(refresh_delay=30.0)
    with logins.gateway(simulator) as gateway, Client(gateway.url) as client:
        client.post(body())
        simulator.wait_for_call(lambda _call: True, path=REFRESH)
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        simulator.options(refresh_delay=0.0)
        change(tmp_path, "attempt_at = attempt_at - 25, lease_until = lease_until - 25 WHERE id = 1")
        assert ask(gateway.url).status == 200
        line = listed(tmp_path)
        assert "had a refresh that ended unclear and is tried again in" in line
        assert "the refresh token may have been consumed" in line
        assert [ask(gateway.url).status for _ in range(3)] == [200] * 3
        assert len(simulator.calls(REFRESH)) == 1, "not before the claim has run out"
        change(tmp_path, "lease_until = 1, state_until = 1 WHERE id = 1")
        until(lambda: ask(gateway.url).status == 200 and len(simulator.calls(REFRESH)) == 2, "it is tried again")
        until(lambda: read(tmp_path, "state") == "rejected", "and was consumed")
    line = listed(tmp_path)
    assert "must be signed in again" in line
    assert "an earlier refresh was cut off before its tokens were stored" in line
    assert set(asked(simulator)) == set(logins.ids[1:])


def test_matrix_40_a_refresh_that_was_killed_before_it_was_sent_is_taken_over(simulator: Simulator, tmp_path: Path) -> None:
    with black_hole() as port:
        logins = Logins(simulator, tmp_path, 1, expired=1, proxyUrl=f"http://127.0.0.1:{port}")
        with logins.gateway(simulator) as gateway, Client(gateway.url) as client:
            client.post(body())
            until(lambda: read(tmp_path, "attempt_at") is not None, "the refresh has begun")
            os.kill(gateway.worker_pids()[0], signal.SIGKILL)
            change(tmp_path, "proxy_url = NULL, lease_until = 1")
            assert ask(gateway.url).status == 200
            assert "ready" in listed(tmp_path)
    assert len(simulator.calls(REFRESH)) == 1


def test_matrix_41_a_holder_that_was_frozen_for_longer_than_its_claim_keeps_the_newer_row(
    simulator: Simulator, tmp_path: Path
) -> None:
    logins = Logins(simulator, tmp_path, 1, expired=1)
    simulator.options(rotate=False, refresh_delay=0.5)
    with logins.gateway(simulator, workers=2) as gateway, Client(gateway.url) as early:
        early.post(body())
        simulator.wait_for_call(lambda _call: True, path=REFRESH)
        holder = int(read(tmp_path, "lease_owner").split(":")[1])
        os.kill(holder, signal.SIGSTOP)
        try:
            change(tmp_path, "lease_until = 1")
            assert ask(gateway.url).status == 200
            newer = read(tmp_path, "version || access_token")
            assert len(simulator.calls(REFRESH)) == 2
        finally:
            os.kill(holder, signal.SIGCONT)
        assert early.answer().status == 200
        until(lambda: "newer tokens while it was refreshed; those stay" in gateway.log, "it says so")
        assert read(tmp_path, "version || access_token") == newer


def test_matrix_42_a_database_locked_at_the_answer_loses_nothing_and_blocks_nobody(
    simulator: Simulator, tmp_path: Path
) -> None:
    logins = Logins(simulator, tmp_path, 1, expired=1)
    simulator.options(refresh_delay=0.5)
    slowest = 0.0
    with logins.gateway(simulator) as gateway:
        clients = [Client(gateway.url) for _ in range(20)]
        for client in clients:
            client.post(body())
        simulator.wait_for_call(lambda _call: True, path=REFRESH)
        with closing(sqlite3.connect(tmp_path / "data.db", timeout=5, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            locked_at = time.monotonic()
            while time.monotonic() < locked_at + 4:
                began = time.monotonic()
                with urllib.request.urlopen(f"{gateway.url}/healthz", timeout=5) as answer:
                    assert answer.status == 200
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.1)
            assert simulator.calls(REFRESH)[0]["ended"] == "complete"
            assert simulator.calls(CHAT) == [], "tokens are stored before they are used"
            connection.execute("ROLLBACK")
        assert [client.answer().status for client in clients] == [200] * 20
    assert slowest < 1, "the worker goes on meanwhile"
    assert len(simulator.calls(REFRESH)) == 1
