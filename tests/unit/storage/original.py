"""A `data.db` as the original leaves it: its three tables with the rows of somebody who has used it for a while."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

# Source: protocol 10.5 (the original's own CREATE TABLE statements).
TABLES = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (datetime('now')), updated_at TEXT NOT NULL DEFAULT (datetime('now')));
CREATE TABLE credentials (
    id INTEGER PRIMARY KEY AUTOINCREMENT, access_token TEXT, refresh_token TEXT, profile_arn TEXT, expires_at TEXT,
    auth_method TEXT, client_id TEXT, client_secret TEXT, priority INTEGER DEFAULT 0, region TEXT DEFAULT 'us-east-1',
    machine_id TEXT, email TEXT, subscription_title TEXT, current_usage REAL DEFAULT 0, usage_limit REAL DEFAULT 0,
    disabled INTEGER DEFAULT 0, failure_count INTEGER DEFAULT 0, proxy_url TEXT,
    created_at TEXT DEFAULT (datetime('now')), updated_at TEXT DEFAULT (datetime('now')));
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT DEFAULT (datetime('now')));
"""
BCRYPT = "$2b$12$KIXQ4Q8m3Qy7mJ0u1kYb8eWc8n2bq5o3p7yqz2b1Yp6j8q0k2n5Sa"
CREDENTIALS: list[dict[str, Any]] = [
    {
        "id": 2,
        "access_token": "aoaAAAAAG-social",
        "refresh_token": "aorAAAAAG-social-" + "s" * 200,
        "profile_arn": "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK",
        "expires_at": "2026-02-01T10:00:00.123456789+00:00",
        "auth_method": "social",
        "machine_id": "a" * 64,
        "email": "one@example.com",
        "subscription_title": "KIRO FREE",
        "current_usage": 12.4,
        "usage_limit": 50.0,
        "failure_count": 2,
    },
    {
        "id": 5,
        "refresh_token": "aorAAAAAG-idc-" + "i" * 200,
        "expires_at": "2026-02-01T10:00:00Z",
        "auth_method": "idc",
        "client_id": "client-of-five",
        "client_secret": "secret-of-five",
        "priority": 3,
        "region": "eu-central-1",
        "proxy_url": "socks5://user:word@proxy.example:1080",
    },
    {"id": 6, "refresh_token": "aorAAAAAG-off-" + "o" * 200, "auth_method": "social", "disabled": 1},
    {"id": 7, "refresh_token": None, "auth_method": "social", "email": "never signed in"},
]
SETTINGS = {
    "kiro_version": "0.8.0",
    "system_version": "darwin#24.6.0",
    "node_version": "v22.99.0",
    "min_usage_threshold": "7",
    "count_tokens_auth_type": "x-api-key",
    "count_tokens_api_url": "",
    "scheduling_mode": "auto",
}


def make_original(path: Path, *, wal: bool = False) -> None:
    """Write the database. wal: leave its newest rows in a write-ahead log, as a killed original does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
        _insert(connection)
        connection.commit()
    if wal:
        _leave_in_the_log(path)


def dump(path: Path) -> list[str]:
    """All of a database as SQL, for comparing."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def _insert(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO users (username, password_hash) VALUES ('admin', ?)", (BCRYPT,))
    for row in CREDENTIALS:
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO credentials ({names}) VALUES ({marks})", tuple(row.values()))
    connection.executemany("INSERT INTO settings (key, value) VALUES (?, ?)", SETTINGS.items())


def _leave_in_the_log(path: Path) -> None:
    """Write in WAL mode and put back the log that closing would have worked in."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("UPDATE credentials SET email = 'late@example.com' WHERE id = 2")
        connection.commit()
        before, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    path.write_bytes(before)
    Path(f"{path}-wal").write_bytes(log)
