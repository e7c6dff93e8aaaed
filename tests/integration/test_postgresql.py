"""A gateway on PostgreSQL: several start at once, a restart of the server passes, and one machine reads what another stored."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from simulator.client import Simulator
from tests.integration.gateway import ROOT, clean_environment, flask_command, running_gateway
from tests.integration.wire import Client, ask, body
from tests.postgresql import Server

START = "from config import Config; from app.factory import create_app; create_app(Config.from_env())"


def login(simulator: Simulator, folder: Path) -> str:
    path = folder / "credentials.json"
    path.write_text(json.dumps({"refreshToken": simulator.add_account(kind="social")["refresh_token"]}))
    return str(path)


def wait_for_status(url: str, status: int, seconds: float) -> None:
    """Until every worker answers so: eight times in a row."""
    deadline = time.monotonic() + seconds
    in_a_row = 0
    while in_a_row < 8:
        answer = ask(url)
        in_a_row = in_a_row + 1 if answer.status == status else 0
        assert time.monotonic() < deadline, answer.body
        time.sleep(0.1)


def test_four_starts_at_once_migrate_once(postgresql: dict[str, str]) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", START],
            cwd=ROOT,
            env=clean_environment(API_KEY="sk-x", **postgresql),
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], said
    assert "".join(said).count("migrated database to") == 1


def test_a_restart_of_the_server_passes(
    simulator: Simulator, tmp_path: Path, postgresql: dict[str, str], postgresql_server: Server
) -> None:
    settings = {"KIRO_CREDENTIALS_FILE": login(simulator, tmp_path), **postgresql}
    with running_gateway(tmp_path, upstream_url=simulator.url, workers=2, **settings) as gateway:
        assert ask(gateway.url).status == 200
        simulator.script([{"text": "one two", "stall": {"seconds": 4.0, "at_frame": 1}}])
        with Client(gateway.url) as streaming:
            streaming.post(body(stream=True))
            streaming.wait_for(b"one")
            postgresql_server.stop()
            try:
                wait_for_status(gateway.url, 503, seconds=15)
                began_at = time.monotonic()
                assert ask(gateway.url).status == 503
                assert time.monotonic() - began_at < 6.0, "never the 30 s of a pool"
            finally:
                postgresql_server.start()
            answer = streaming.answer()
        assert answer.types[-1] == "message_stop", "a stream under way needs no database"
        wait_for_status(gateway.url, 200, seconds=15)
        assert gateway.process.poll() is None
    assert "Traceback" not in gateway.log


def test_what_one_machine_stores_another_uses(simulator: Simulator, tmp_path: Path, postgresql: dict[str, str]) -> None:
    assert flask_command(tmp_path, "credentials", "import", login(simulator, tmp_path), **postgresql).returncode == 0
    assert flask_command(tmp_path, "settings", "set", "ping_seconds", "7", **postgresql).returncode == 0
    with running_gateway(tmp_path, upstream_url=simulator.url, **postgresql) as gateway:
        assert ask(gateway.url).status == 200
    assert flask_command(tmp_path, "settings", "get", "ping_seconds", **postgresql).stdout == "7.0\n"
    assert not (tmp_path / "data.db").exists()
    elsewhere = flask_command(tmp_path, "credentials", "list", **{**postgresql, "KIRO_SECRET_KEYS": "x" * 32})
    assert "signed in again" in elsewhere.stdout, "with another key the tokens are nobody's"
