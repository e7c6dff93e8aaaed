"""The login of kiro-cli or the Amazon Q CLI, out of their SQLite database.

In: the path of `data.sqlite3`. Out: one `Found`. The programs may be running: database, write-ahead log and its index are
copied before anything is opened, since even a reader would write into the index. What is copied is removed at once.
A database keeps one login; under an older key an outdated one may be left, so the first key that holds a whole login counts.
Source: protocol 9.2.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from app.credentials.credential import InvalidLogin
from app.credentials.importers.entry import Found, plain, read_entry
from app.credentials.importers.shapes import CLI_SHARED

FIRST_BYTES = b"SQLite format 3\0"
# Each key with what it says about the login; "odic" is how they spell it.
TOKENS = {
    "kirocli:external-idp:token": {"authmethod": "external_idp", "provider": "ExternalIdp"},
    "kirocli:social:token": {"authmethod": "social"},
    "kirocli:odic:token": {"authmethod": "idc"},
    "codewhisperer:odic:token": {"authmethod": "idc"},
}
REGISTRATION = "odic:device-registration"
PROFILE = "api.codewhisperer.profile"
NO_LOGIN = "it holds no login: sign in with kiro-cli first, or import another file"
COPIES = 3

Rows = Mapping[str, Any]


def read_database(path: Path) -> list[Found]:
    """The login in a database. Raises OSError, and InvalidLogin for a database that is not kiro-cli's."""
    with tempfile.TemporaryDirectory(prefix="kiro-import-") as folder:
        copy = _copied(path, Path(folder))
        try:
            with closing(sqlite3.connect(copy)) as database:
                secrets, state = _rows(database, "auth_kv"), _state(database)
        except sqlite3.DatabaseError as error:
            raise InvalidLogin(f"{path.name} is no database of kiro-cli or Amazon Q: {error}") from None
    logins = [_login(key, secrets, state) for key in TOKENS if isinstance(secrets.get(key), dict)]
    whole = (each for each in logins if read_entry(0, each).login is not None)
    return [next(whole, logins[0])] if logins else [Found({}, NO_LOGIN)]


def _copied(path: Path, folder: Path) -> Path:
    """The three files as they stood at one moment: copied again when a writer was faster."""
    files = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    for _ in range(COPIES):
        before = _stamps(files)
        for file in files:
            target = folder / file.name
            target.unlink(missing_ok=True)
            if file in before:
                shutil.copyfile(file, target)
        if _stamps(files) == before:
            break
    return folder / path.name


def _stamps(files: list[Path]) -> dict[Path, tuple[int, int]]:
    found = {file: file.stat() for file in files if file.exists()}
    return {file: (status.st_size, status.st_mtime_ns) for file, status in found.items()}


def _rows(database: sqlite3.Connection, table: str) -> Rows:
    return {str(key): _json(value) for key, value in database.execute(f"SELECT key, value FROM {table}")}  # noqa: S608 - ours


def _state(database: sqlite3.Connection) -> Rows:
    """Choices of the program, without which a login is whole all the same."""
    try:
        return _rows(database, "state")
    except sqlite3.OperationalError:
        return {}


def _json(value: Any) -> Any:
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, TypeError):
        return None


def _login(key: str, secrets: Rows, state: Rows) -> Found:
    values = {**TOKENS[key], **{name: value for name, value in plain(secrets[key]).items() if value not in (None, "")}}
    if values["authmethod"] == "idc":
        values = {**_registration(key, secrets), **values}
    profile = state.get(PROFILE)
    if not values.get("profilearn") and isinstance(profile, dict):
        values["profilearn"] = profile.get("arn")
    return Found(values, notes=(CLI_SHARED,))


def _registration(key: str, secrets: Rows) -> dict[str, Any]:
    """The client of a token: under the same name, since a refresh token goes with one client only."""
    registration = secrets.get(f"{key.split(':')[0]}:{REGISTRATION}")
    if not isinstance(registration, dict):
        return {}
    wanted = ("clientid", "clientsecret", "clientsecretexpiresat", "region")
    return {name: value for name, value in plain(registration).items() if name in wanted}
