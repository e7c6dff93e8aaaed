"""Whoever copies the database, its log files or the gateway's log has no token, no password and no code."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import API_KEY, ROOT, clean_environment, flask_command, running_gateway
from tests.integration.wire import ask

PROXY_PASSWORD = "a-proxy-password"
PROXY = f"http://user:{PROXY_PASSWORD}@127.0.0.1:9"
# A sign-in that is under way while the files are copied: begun as `flask login` begins one. Prints what it keeps secret.
BEGIN = """
import wsgi
from sqlalchemy import select
from app.credentials.login import Wishes
from app.services import EXTENSION
from app.storage import reading
from app.storage.secrets import place, vault
from app.storage.tables import LoginFlowRow
flow = wsgi.app.extensions[EXTENSION].logins.start(Wishes(method="builder_id"))
with reading() as session:
    print(vault().open(session.scalar(select(LoginFlowRow.secret)), place("login_flows", flow.id, "secret")))
"""


def tokens_of(account: dict[str, Any]) -> list[str]:
    return [account[name] for name in ("access_token", "refresh_token", "client_secret") if account.get(name)]


def files_of(folder: Path) -> dict[str, bytes]:
    """The database as a thief finds it while the gateway runs, and all that was logged."""
    paths = [path for path in folder.iterdir() if path.name.startswith("data.db") and not path.name.endswith(".key")]
    return {path.name: path.read_bytes() for path in [*paths, *folder.glob("*.log")]}


def found_in(folder: Path, secrets: set[str]) -> list[tuple[str, str]]:
    return [(name, secret) for name, content in files_of(folder).items() for secret in secrets if secret.encode() in content]


def logins(simulator: Simulator, folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    accounts = [simulator.add_account(kind=kind) for kind in ("social", "idc", "social")]
    entries = [
        {
            "refreshToken": account["refresh_token"],
            "accessToken": account["access_token"],
            "expiresAt": "2020-01-01T00:00:00Z",
            "authMethod": account["kind"],
            "clientId": account.get("client_id"),
            "clientSecret": account.get("client_secret"),
        }
        for account in accounts
    ]
    path = folder / "logins" / "credentials.json"
    path.parent.mkdir()
    path.write_text(json.dumps([{name: value for name, value in entry.items() if value} for entry in entries]))
    return path, accounts


def begin_sign_in(folder: Path, upstream_url: str) -> set[str]:
    """Leave a sign-in in the database; its secrets."""
    environment = clean_environment(API_KEY="x", DB_PATH=str(folder / "data.db"), KIRO_UPSTREAM_URL=upstream_url)
    done = subprocess.run([sys.executable, "-c", BEGIN], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {value for value in json.loads(done.stdout).values() if isinstance(value, str)}


@pytest.mark.timeout(180)
def test_no_secret_is_in_the_database_its_logs_or_the_log(simulator: Simulator, tmp_path: Path) -> None:
    file, before = logins(simulator, tmp_path)
    with running_gateway(
        tmp_path, upstream_url=simulator.url, workers=2, KIRO_CREDENTIALS_FILE=str(file), LOG_LEVEL="debug"
    ) as gateway:
        assert ask(gateway.url).status == 200
        for used in ("1", "2"):  # every login's turn
            assert flask_command(tmp_path, "credentials", "disable", used).returncode == 0
            assert ask(gateway.url).status == 200
        codes = begin_sign_in(tmp_path, simulator.url)
        assert len(codes) >= 2, "a device code and a client secret"
        assert flask_command(tmp_path, "settings", "set", "proxy_url", PROXY).returncode == 0
        ask(gateway.url)
        after = [simulator.account(account["id"]) for account in before]
        secrets = {token for account in [*before, *after] for token in tokens_of(account)}
        secrets |= {PROXY_PASSWORD, API_KEY} | codes
        assert len(secrets) >= 9, "three logins, before and after their refresh"
        assert {"data.db", "data.db-wal"} <= files_of(tmp_path).keys()
        assert found_in(tmp_path, secrets) == []
    assert found_in(tmp_path, secrets) == []
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        (sealed,) = connection.execute("SELECT secret FROM login_flows").fetchone()
        assert sealed.startswith("v1:"), "the sign-in was there to be looked through"
        assert connection.execute("SELECT count(*) FROM credentials WHERE version > 1").fetchone() == (3,)


def test_a_stolen_database_without_its_key_answers_nobody(simulator: Simulator, tmp_path: Path) -> None:
    file, _ = logins(simulator, tmp_path)
    assert flask_command(tmp_path, "credentials", "import", str(file)).returncode == 0
    thief = tmp_path / "thief"
    thief.mkdir()
    (thief / "data.db").write_bytes((tmp_path / "data.db").read_bytes())
    simulator.clear_calls()
    with running_gateway(thief, upstream_url=simulator.url) as gateway:
        answer = ask(gateway.url)
    assert answer.status == 503
    assert simulator.calls() == [], "nothing was sent upstream"
    listed = flask_command(thief, "credentials", "list").stdout
    assert listed.count("signed in again") == 3
