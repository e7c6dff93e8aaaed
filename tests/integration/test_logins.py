"""Logins as people have them on disk start a working gateway: at first, after a refresh, after a restart, and replaced."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import flask_command, running_gateway
from tests.integration.wire import ask

Account = dict[str, Any]


def instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def ide_social(folder: Path, account: Account) -> Path:
    """The Kiro IDE's token file (protocol 9.1)."""
    path = folder / "kiro-auth-token.json"
    path.write_text(
        json.dumps(
            {
                "accessToken": account["access_token"],
                "refreshToken": account["refresh_token"],
                "profileArn": account["profile_arn"],
                "expiresAt": instant(account["expires_at"]),
                "authMethod": "social",
                "provider": "Google",
            }
        )
    )
    return path


def ide_builder_id(folder: Path, account: Account) -> Path:
    """The same for a Builder ID, whose client registration stands in a file of its own beside it."""
    hash_ = "e909a0580879b06ece1202964fbe9dda95ea4ce3"
    registration = {
        "clientId": account["client_id"],
        "clientSecret": account["client_secret"],
        "expiresAt": "2027-05-01T00:00:00Z",
    }
    (folder / f"{hash_}.json").write_text(json.dumps(registration))
    path = folder / "kiro-auth-token.json"
    path.write_text(
        json.dumps(
            {
                "accessToken": account["access_token"],
                "refreshToken": account["refresh_token"],
                "expiresAt": instant(account["expires_at"]),
                "clientIdHash": hash_,
                "authMethod": "IdC",
                "provider": "BuilderId",
                "region": "us-east-1",
            }
        )
    )
    return path


def kiro_rs(folder: Path, account: Account) -> Path:
    """kiro.rs, one entry as an object, without `expiresAt`."""
    path = folder / "credentials.json"
    path.write_text(json.dumps({"refreshToken": account["refresh_token"], "authMethod": "social"}))
    return path


def kiro_rs_idc(folder: Path, account: Account) -> Path:
    """kiro.rs, an array, expired."""
    entry = {
        "refreshToken": account["refresh_token"],
        "expiresAt": "2025-12-31T02:32:45.144Z",
        "authMethod": "idc",
        "clientId": account["client_id"],
        "clientSecret": account["client_secret"],
    }
    path = folder / "credentials.json"
    path.write_text(json.dumps([entry]))
    return path


FILES: dict[str, tuple[str, Callable[[Path, Account], Path]]] = {
    "the Kiro IDE's token file, social": ("social", ide_social),
    "the Kiro IDE's token file, Builder ID": ("builder_id", ide_builder_id),
    "kiro.rs, one object": ("social", kiro_rs),
    "kiro.rs, an array, IdC": ("builder_id", kiro_rs_idc),
}


def stored(folder: Path) -> list[str]:
    """One line per stored credential."""
    return flask_command(folder, "credentials", "list").stdout.strip().splitlines()[1:]


@pytest.mark.parametrize("form", FILES)
def test_a_file_stays_one_working_credential(simulator: Simulator, tmp_path: Path, form: str) -> None:
    kind, write = FILES[form]
    path = write(tmp_path, simulator.add_account(kind=kind))
    written = path.read_bytes()
    options: dict[str, Any] = {"upstream_url": simulator.url, "KIRO_CREDENTIALS_FILE": str(path)}
    simulator.clear_calls()
    with running_gateway(tmp_path, workers=2, **options) as gateway:
        assert ask(gateway.url).status == 200, "started"
        with closing(sqlite3.connect(tmp_path / "data.db")) as database, database:
            database.execute("UPDATE credentials SET expires_at = 1")
    with running_gateway(tmp_path, **options) as gateway:
        assert ask(gateway.url).status == 200, "restarted and refreshed"
    assert len(stored(tmp_path)) == 1
    with running_gateway(tmp_path, **options) as gateway:
        assert ask(gateway.url).status == 200, "restarted again"
    assert len(stored(tmp_path)) == 1
    assert path.read_bytes() == written, "the file is never written"

    path = write(tmp_path, simulator.add_account(kind=kind))
    simulator.clear_calls()
    with running_gateway(tmp_path, **options) as gateway:
        assert ask(gateway.url).status == 200, "the file's login was replaced"
    assert len(stored(tmp_path)) == 1
    new = [call["account"] for call in simulator.calls("/generateAssistantResponse")]
    assert new == [simulator.accounts()[-1]["id"]]


def test_a_database_of_the_original_is_taken_over(simulator: Simulator, tmp_path: Path) -> None:
    account = simulator.add_account(kind="social")
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            """
            CREATE TABLE users (
              id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL,
              created_at TEXT DEFAULT CURRENT_TIMESTAMP, updated_at TEXT DEFAULT CURRENT_TIMESTAMP);
            CREATE TABLE credentials (
              id INTEGER PRIMARY KEY AUTOINCREMENT, access_token TEXT, refresh_token TEXT, profile_arn TEXT, expires_at TEXT,
              auth_method TEXT, client_id TEXT, client_secret TEXT, priority INTEGER DEFAULT 0,
              region TEXT DEFAULT 'us-east-1', machine_id TEXT, email TEXT, subscription_title TEXT,
              current_usage REAL DEFAULT 0, usage_limit REAL DEFAULT 0, disabled INTEGER DEFAULT 0,
              failure_count INTEGER DEFAULT 0, proxy_url TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP,
              updated_at TEXT DEFAULT CURRENT_TIMESTAMP);
            CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT DEFAULT CURRENT_TIMESTAMP);
            INSERT INTO settings (key, value) VALUES ('kiro_version', '0.8.0'), ('min_usage_threshold', '7');
            """
        )
        database.execute(
            "INSERT INTO credentials (refresh_token, auth_method, expires_at, email) VALUES (?, 'social', ?, ?)",
            (account["refresh_token"], "2026-02-01T10:00:00+00:00", "me@example.test"),
        )
        database.execute("INSERT INTO users (username, password_hash) VALUES ('admin', '$2b$12$abcdefghijklmnopqrstuv')")
        original = list(database.iterdump())
    for _ in range(2):
        with running_gateway(tmp_path, upstream_url=simulator.url, workers=2) as gateway:
            assert ask(gateway.url).status == 200
        assert len(stored(tmp_path)) == 1
    with closing(sqlite3.connect(tmp_path / "data.db.before-kiro-py")) as copy:
        assert list(copy.iterdump()) == original
    assert len(simulator.calls("/refreshToken")) >= 1


def kiro_cli_database(folder: Path, account: Account) -> sqlite3.Connection:
    """The database of a kiro-cli that is running (protocol 9.2): the login stands in the write-ahead log only."""
    database = sqlite3.connect(folder / "data.sqlite3", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)")
    client = {name: account[name] for name in ("client_id", "client_secret")}
    token = {
        "access_token": account["access_token"],
        "refresh_token": account["refresh_token"],
        "expires_at": datetime.fromtimestamp(account["expires_at"], UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
        "region": "us-east-1",
        "start_url": "https://view.awsapps.com/start",
        "oauth_flow": "DeviceCode",
    }
    rows = {"kirocli:odic:device-registration": {**client, "region": "us-east-1"}, "kirocli:odic:token": token}
    database.executemany("INSERT INTO auth_kv VALUES (?, ?)", [(key, json.dumps(value)) for key, value in rows.items()])
    return database


def imported(folder: Path, path: Path) -> str:
    """What `credentials import` printed for one login that is new."""
    done = flask_command(folder, "credentials", "import", str(path))
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.strip().splitlines()[1:]
    return line


def answers_with(simulator: Simulator, folder: Path, account: Account) -> bool:
    """Whether a gateway on what is stored in `folder` answers a chat, with this account, first with what was imported and then
    with what a refresh brought."""
    simulator.clear_calls()
    with running_gateway(folder, upstream_url=simulator.url) as gateway:
        assert ask(gateway.url).status == 200
        with closing(sqlite3.connect(folder / "data.db")) as database, database:
            database.execute("UPDATE credentials SET expires_at = 1")
    with running_gateway(folder, upstream_url=simulator.url) as gateway:
        assert ask(gateway.url).status == 200
    return [call["account"] for call in simulator.calls("/generateAssistantResponse")] == [account["id"]] * 2


def test_the_database_of_a_running_kiro_cli_is_imported_and_left_as_it_is(simulator: Simulator, tmp_path: Path) -> None:
    account, folder = simulator.add_account(kind="builder_id"), tmp_path / "kiro-cli"
    folder.mkdir()

    def hashes() -> dict[str, str]:
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}

    with closing(kiro_cli_database(folder, account)):
        before = hashes()
        assert set(before) == {"data.sqlite3", "data.sqlite3-wal", "data.sqlite3-shm"}
        line = imported(tmp_path, folder / "data.sqlite3")
        assert " BuilderId " in line
        assert "sign each other out" in line
        assert hashes() == before
    assert answers_with(simulator, tmp_path, account)


def test_an_export_of_kiro_account_manager_is_imported(simulator: Simulator, tmp_path: Path) -> None:
    account = simulator.add_account(kind="builder_id")
    credentials = {
        "accessToken": account["access_token"],
        "refreshToken": account["refresh_token"],
        "clientId": account["client_id"],
        "clientSecret": account["client_secret"],
        "region": "us-east-1",
        "authMethod": "IdC",
        "expiresAt": int(account["expires_at"] * 1000),
    }
    entry = {"email": "me@example.test", "idp": "BuilderId", "status": "active", "credentials": credentials}
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"version": "1.5.0", "accounts": [entry], "groups": [], "tags": []}))
    assert "me@example.test" in imported(tmp_path, path)
    assert answers_with(simulator, tmp_path, account)


def test_a_raw_refresh_token_is_imported(simulator: Simulator, tmp_path: Path) -> None:
    account = simulator.add_account(kind="social")
    path = tmp_path / "token.txt"
    path.write_text(f"{account['refresh_token']}\n")
    assert account["refresh_token"] not in imported(tmp_path, path)
    assert answers_with(simulator, tmp_path, account)
