"""Takes over the `data.db` of the original (its three tables, no `alembic_version`).

`put_aside` copies the file to `data.db.before-kiro-py` and renames the original's tables, so that ours can be made; `take_over`
brings credentials, settings and users across and drops the renamed tables, in one transaction. A start that was killed in
between finds the renamed tables and goes on. Source: protocol 10.4 and 10.5.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Engine, insert, inspect, text

from app.credentials.credential import State, epoch_seconds, fingerprint
from app.kiro.endpoints import derive_machine_id
from app.storage.secrets import place, vault
from app.storage.tables import SECRET_SETTINGS, AdminRow, CredentialRow, SettingRow

log = logging.getLogger(__name__)

ORIGINAL_TABLES = ("users", "credentials", "settings")
OLD_PREFIX = "original_"
LOCK_WAIT_SECONDS = 30.0
# Not its kiro_version: the original's are refused upstream by now, our default is not.
TAKEN_SETTINGS = frozenset(
    {
        "system_version",
        "node_version",
        "min_usage_threshold",
        "count_tokens_api_url",
        "count_tokens_api_key",
        "count_tokens_auth_type",
        "scheduling_mode",
        "proxy_url",
    }
)


def is_original(path: Path) -> bool:
    """Whether the file is a database of the original that nothing of ours has touched."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    with closing(_connect(path)) as connection:
        tables = _table_names(connection)
        if "alembic_version" in tables or not {"credentials", "settings"} <= tables:
            return False
        return "auth_method" in {row[1] for row in connection.execute("PRAGMA table_info(credentials)")}


def is_unfinished(engine: Engine) -> bool:
    """Whether a start was killed after the original's tables were renamed and before their rows were taken over."""
    with engine.connect().execution_options(kiro_write=False) as connection:
        return inspect(connection).has_table(f"{OLD_PREFIX}credentials")


def put_aside(path: Path) -> None:
    """Copy the original's database, then rename its tables in one transaction.

    Comes before our engine opens the file, which would change it (WAL): the copy is the file as the original left it.
    """
    # Closing any descriptor of a file gives up all POSIX locks this process has on it: the one to copy from is closed last.
    with path.open("rb") as file, closing(_connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        _copy(path, file)
        for name in sorted(_table_names(connection) & set(ORIGINAL_TABLES)):
            connection.execute(f"ALTER TABLE {name} RENAME TO {OLD_PREFIX}{name}")
        connection.execute("COMMIT")
    log.warning(
        "found a database of the original; its copy is %s.before-kiro-py, for you alone to read: the tokens in it are in clear,"
        " so delete it once you do not want to go back",
        path,
    )


def take_over(engine: Engine) -> None:
    """Bring the renamed tables' rows into ours and drop them; does nothing when there are none."""
    with engine.begin() as connection:
        tables = set(inspect(connection).get_table_names())
        if f"{OLD_PREFIX}credentials" not in tables:
            return
        found = _rows(connection, "credentials")
        credentials = _credentials(found)
        if credentials:
            connection.execute(insert(CredentialRow), credentials)
        settings = {row["key"]: row["value"] for row in _rows(connection, "settings")}
        for key in sorted(TAKEN_SETTINGS & settings.keys()):
            if settings[key]:
                secret = key in SECRET_SETTINGS
                value = vault().seal(settings[key], place("settings", key, "value")) if secret else settings[key]
                connection.execute(insert(SettingRow).values(key=key, value=value, updated_at=time.time()))
        users = [_user(row) for row in _rows(connection, "users")] if f"{OLD_PREFIX}users" in tables else []
        if users:
            connection.execute(insert(AdminRow), users)
        for name in ORIGINAL_TABLES:
            connection.execute(text(f"DROP TABLE IF EXISTS {OLD_PREFIX}{name}"))
    log.warning("took over %d credentials and %d users of the original", len(credentials), len(users))
    if len(found) > len(credentials):
        log.warning("left %d behind that are stored twice or have no refresh token", len(found) - len(credentials))


def _connect(path: Path) -> sqlite3.Connection:
    """A connection of our own: nothing of the worker runs yet, so it may wait for the lock in C."""
    return sqlite3.connect(path, timeout=LOCK_WAIT_SECONDS, isolation_level=None)


def _table_names(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _copy(path: Path, file: BinaryIO) -> None:
    """A copy made while the caller keeps writers out; one that is there already is older and stays.

    Byte for byte, unless part of the data is still in a write-ahead log: SQLite then puts both together.
    """
    target = Path(f"{path}.before-kiro-py")
    if target.exists():
        target.chmod(0o600)
        return
    unfinished = Path(f"{target}.part")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o600)
    write_ahead_log = Path(f"{path}-wal")
    if write_ahead_log.exists() and write_ahead_log.stat().st_size:
        os.close(descriptor)
        with closing(_connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
    else:
        with os.fdopen(descriptor, "wb") as copied:
            shutil.copyfileobj(file, copied)
    unfinished.rename(target)


def _rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    statement = text(f"SELECT * FROM {OLD_PREFIX}{name}")  # noqa: S608 - the names are ours
    return [dict(row) for row in connection.execute(statement).mappings()]


def _credentials(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that can be refreshed; a login the original stored twice is brought along once, as its first row."""
    logins: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.get("refresh_token"):
            logins.setdefault(row["refresh_token"], row)
    return [_credential(row) for row in logins.values()]


def _credential(row: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    method = str(row.get("auth_method") or "").lower()
    has_client = bool(row.get("client_id") and row.get("client_secret"))
    disabled = bool(row.get("disabled"))
    return {
        "id": row["id"],
        "kind": "idc" if method in {"idc", "builder-id", "iam"} or (not method and has_client) else "social",
        "email": row.get("email") or None,
        "access_token": _sealed(row, "access_token"),
        "refresh_token": _sealed(row, "refresh_token"),
        "import_fingerprint": fingerprint(row["refresh_token"]),
        "secret_fingerprint": fingerprint(row["refresh_token"]),
        "expires_at": epoch_seconds(row.get("expires_at")),
        "client_id": row.get("client_id") or None,
        "client_secret": _sealed(row, "client_secret"),
        "profile_arn": row.get("profile_arn") or None,
        "auth_region": row.get("region") or None,
        "machine_id": derive_machine_id(row.get("machine_id"), row["refresh_token"]),
        "proxy_url": _sealed(row, "proxy_url"),
        "learned": {},
        "priority": row.get("priority") or 0,
        "subscription_title": row.get("subscription_title") or None,
        "current_usage": row.get("current_usage"),
        "usage_limit": row.get("usage_limit"),
        "state": (State.DISABLED if disabled else State.READY).value,
        "state_reason": "disabled in the original" if disabled else None,
        "failure_count": 0,
        "success_count": 0,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }


def _sealed(row: dict[str, Any], name: str) -> str | None:
    """Sealed for the row it will stand in: the original's ids stay."""
    return vault().seal(str(row[name]), place("credentials", row["id"], name)) if row.get(name) else None


def _user(row: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    return {"username": row["username"], "password_hash": row["password_hash"], "created_at": now, "updated_at": now}
