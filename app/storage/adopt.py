"""Takes over the `data.db` of the original (its three tables, no `alembic_version`).

`put_aside` copies the file to `data.db.before-kiro-py` and renames the original's tables, so that ours can be made; `take_over`
brings credentials, settings and users across and drops the renamed tables, in one transaction. A start that was killed in
between finds the renamed tables and goes on. Source: protocol 10.4 and 10.5.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, inspect, text

from app.credentials.credential import State, epoch_seconds, fingerprint
from app.kiro.endpoints import derive_machine_id
from app.storage.tables import AdminRow, CredentialRow, SettingRow

log = logging.getLogger(__name__)

ORIGINAL_TABLES = ("users", "credentials", "settings")
OLD_PREFIX = "original_"
# The original's versions of the client are refused upstream by now; our defaults are not.
DROPPED_SETTINGS = frozenset({"kiro_version"})
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


def put_aside(engine: Engine, path: Path) -> None:
    """Copy the original's database and rename its tables; does nothing with any other database."""
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        connection.rollback()
        if "alembic_version" in tables or not {"credentials", "settings"} <= tables:
            return
        columns = {column["name"] for column in inspect(connection).get_columns("credentials")}
        connection.rollback()
        if "auth_method" not in columns:
            return
        _copy(path)
        for name in ORIGINAL_TABLES:
            if name in tables:
                connection.execute(text(f"ALTER TABLE {name} RENAME TO {OLD_PREFIX}{name}"))
        connection.commit()
    log.warning("found a database of the original; its copy is %s.before-kiro-py", path)


def take_over(engine: Engine) -> None:
    """Bring the renamed tables' rows into ours and drop them; does nothing when there are none."""
    with engine.begin() as connection:
        tables = set(inspect(connection).get_table_names())
        if f"{OLD_PREFIX}credentials" not in tables:
            return
        credentials = _credentials(_rows(connection, "credentials"))
        if credentials:
            connection.execute(insert(CredentialRow), credentials)
        settings = {row["key"]: row["value"] for row in _rows(connection, "settings")}
        for key in sorted(TAKEN_SETTINGS & settings.keys()):
            if settings[key]:
                connection.execute(insert(SettingRow).values(key=key, value=settings[key], updated_at=time.time()))
        users = [_user(row) for row in _rows(connection, "users")] if f"{OLD_PREFIX}users" in tables else []
        if users:
            connection.execute(insert(AdminRow), users)
        for name in ORIGINAL_TABLES:
            connection.execute(text(f"DROP TABLE IF EXISTS {OLD_PREFIX}{name}"))
    log.warning("took over %d credentials and %d users of the original", len(credentials), len(users))


def _copy(path: Path) -> None:
    """A consistent copy, also while the original still runs; one that is there already is older and stays."""
    target = Path(f"{path}.before-kiro-py")
    if target.exists():
        return
    unfinished = Path(f"{target}.part")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
        source.backup(copy)
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
        "access_token": row.get("access_token") or None,
        "refresh_token": row["refresh_token"],
        "import_fingerprint": fingerprint(row["refresh_token"]),
        "expires_at": epoch_seconds(row.get("expires_at")),
        "client_id": row.get("client_id") or None,
        "client_secret": row.get("client_secret") or None,
        "profile_arn": row.get("profile_arn") or None,
        "auth_region": row.get("region") or None,
        "machine_id": derive_machine_id(row.get("machine_id"), row["refresh_token"]),
        "proxy_url": row.get("proxy_url") or None,
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


def _user(row: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    return {"username": row["username"], "password_hash": row["password_hash"], "created_at": now, "updated_at": now}
