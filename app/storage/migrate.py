"""Brings the tables up to date, once, however many workers and machines start together.

The check is cheap: `alembic_version` equals the newest revision, nothing of the original waits to be taken over, no secret is
plain. Only when that is not so, a lock is taken (a file beside the SQLite database, an advisory lock on PostgreSQL), the check
repeated, the original's database adopted, Alembic run, and what is plain sealed. A start that was killed anywhere in between is
finished by the next one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from click import Group
from flask import Flask
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from app.errors import StorageUnavailable
from app.storage import adopt, sealing
from app.storage.tables import db
from config import ROOT, Config

log = logging.getLogger(__name__)

FOLDER = ROOT / "migrations"
LOCK_WAIT_SECONDS = 60.0
ADVISORY_LOCK = 0x6B69726F  # "kiro"


def prepare(app: Flask, engine: Engine, config: Config) -> None:
    """Make the database usable. Raises StorageUnavailable when it does not answer."""
    newest = newest_revision()
    try:
        if not _is_original(config) and _is_ready(engine, newest):
            return
        with _lock(engine, config):
            if _is_original(config):
                adopt.put_aside(config.db_path)
            if not _is_migrated(engine, newest):
                _upgrade(app)
                adopt.take_over(engine)
                log.warning("migrated database to %s", newest)
            sealing.finish(engine)
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise StorageUnavailable(f"The database cannot be used: {error.__cause__ or error}") from error


def _is_original(config: Config) -> bool:
    """Whether the database is one of the original, still untouched."""
    return config.database_url is None and adopt.is_original(config.db_path)


def _is_ready(engine: Engine, newest: str) -> bool:
    return _is_migrated(engine, newest) and sealing.is_finished(engine)


def _is_migrated(engine: Engine, newest: str) -> bool:
    return current_revision(engine) == newest and not adopt.is_unfinished(engine)


def newest_revision() -> str:
    """The revision no other one revises, read from the files so that Alembic is only loaded when there is work for it."""
    revisions: set[str] = set()
    revised: set[str] = set()
    for path in sorted((FOLDER / "versions").glob("*.py")):
        source = path.read_text()
        revisions.update(re.findall(r'^revision(?:: str)? = "(\w+)"', source, re.MULTILINE))
        revised.update(re.findall(r'^down_revision(?:: [^=]+)? = "(\w+)"', source, re.MULTILINE))
    (newest,) = revisions - revised
    return newest


def current_revision(engine: Engine) -> str | None:
    """The database's revision; None when it has none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def load_alembic(app: Flask) -> Group:
    """Join Flask-Migrate and the application, which a start that finds its database ready does not need; its commands.

    Measured: Alembic, Mako and Pygments are 11 MB in each worker, and 0.15 s.
    """
    from flask_migrate import Migrate
    from flask_migrate.cli import db as commands

    if "migrate" not in app.extensions:
        Migrate(app, db, directory=str(FOLDER))
    return cast(Group, commands)


def _upgrade(app: Flask) -> None:
    load_alembic(app)
    from flask_migrate import upgrade

    with app.app_context():
        upgrade(directory=str(FOLDER))


@contextmanager
def _lock(engine: Engine, config: Config) -> Iterator[None]:
    lock = _file_lock(config.db_path) if config.database_url is None else _advisory_lock(engine)
    with lock:
        yield


@contextmanager
def _advisory_lock(engine: Engine) -> Iterator[None]:
    """Held by a transaction, not by the session: behind a pooler such as pgbouncer a session has no connection of its own."""
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS:g}s'"))
        try:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        except OperationalError as error:
            raise StorageUnavailable("Another process has been migrating for a minute") from error
        yield


@contextmanager
def _file_lock(database: Path) -> Iterator[None]:
    path = Path(f"{database.absolute()}.migrate.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StorageUnavailable(f"Another process has been migrating for a minute (lock {path})") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
