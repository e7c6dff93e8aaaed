"""Logins as people have them on disk start a working gateway: at first, after a refresh, after a restart, and replaced."""

from __future__ import annotations

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
