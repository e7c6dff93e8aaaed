"""The engine and its transactions, usable without an application context.

A transaction is short: it is never held across a `yield` or an upstream call. On SQLite, waiting for the write lock inside C
would stop every greenlet of the worker (measured: 3 s of lock, 3 s of silence), so the busy timeout is 0, writers begin with
BEGIN IMMEDIATE, and the waiting is done here with short sleeps.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.errors import StorageUnavailable
from app.storage import secrets
from app.storage.disk import network_disk
from app.storage.root_secret import root_secrets
from app.storage.tables import db
from config import Config

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 15.0
# A request waits no longer for a connection of PostgreSQL, new or from the pool.
POOL_SECONDS = 5
POOL_CONNECTIONS, POOL_OVERFLOW = 8, 16
# How long PostgreSQL may leave sent data unacknowledged: a network that is gone is not waited for.
SILENT_MILLISECONDS = 10_000
_READ_ONLY = "25006"
_engine: Engine | None = None


def init(app: Flask, config: Config) -> None:
    """Bind the engine to the application, create the database file (0600) and bring its tables up to date."""
    from app.storage import migrate

    global _engine
    app.config["SQLALCHEMY_DATABASE_URI"] = config.sqlalchemy_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _options(config)
    if config.database_url is None:
        _create_file(config.db_path)
    db.init_app(app)
    with app.app_context():
        _engine = db.engine
    if _engine.dialect.name == "sqlite":
        event.listen(_engine, "connect", _prepare_sqlite)
        event.listen(_engine, "begin", _begin_sqlite)
    os.register_at_fork(after_in_child=dispose)
    atexit.unregister(close)
    atexit.register(close)
    secrets.use(secrets.Vault(root_secrets(config)))
    migrate.prepare(app, _engine, config)


def engine() -> Engine:
    """The engine; init() comes first."""
    if _engine is None:
        raise StorageUnavailable
    return _engine


def dispose() -> None:
    """Forget connections inherited over a fork: two processes must not share one."""
    if _engine is not None:
        _engine.dispose(close=False)


def close() -> None:
    """Close the connections that are idle: the last one writes SQLite's log back into its file."""
    if _engine is not None:
        _engine.dispose()


@contextmanager
def transaction() -> Iterator[Session]:
    """A writing transaction, committed at the end of the block and rolled back by an exception.

    Raises StorageUnavailable when the database does not answer, takes no changes, or stays locked for 15 s.
    """
    with _session(write=True) as session, session.begin():
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """A transaction that only reads; never waits for a writer. Raises StorageUnavailable."""
    with _session(write=False) as session:
        yield session  # closing it ends the transaction and leaves what was read usable; a rollback would expire it


def db_now(session: Session) -> float:
    """The database's own clock in epoch seconds: the one clock all workers and machines share."""
    if engine().dialect.name == "sqlite":
        return float(session.execute(text("SELECT (julianday('now') - 2440587.5) * 86400.0")).scalar_one())
    return float(session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


@contextmanager
def _session(*, write: bool) -> Iterator[Session]:
    bound = engine().execution_options(kiro_write=write)
    try:
        with Session(bound, expire_on_commit=False) as session:
            yield session
    except (OperationalError, PoolTimeout) as error:
        log.error("the database does not answer: %s", error.__cause__ or error)
        raise StorageUnavailable from error
    except DBAPIError as error:
        if not _is_unusable(error):
            raise
        log.error("the database cannot be used: %s", error.__cause__ or error)
        raise StorageUnavailable from error


def _is_unusable(error: DBAPIError) -> bool:
    """Whether it is the database's trouble, not ours: a lost connection, a damaged file, a PostgreSQL that only reads."""
    damaged = type(error) is DatabaseError and engine().dialect.name == "sqlite"
    return error.connection_invalidated or damaged or getattr(error.orig, "sqlstate", None) == _READ_ONLY


def _options(config: Config) -> dict[str, Any]:
    if config.database_url is None:
        connect = {"timeout": 0, "check_same_thread": False}
        return {"connect_args": connect, "pool_size": 8, "max_overflow": 56, "pool_timeout": LOCK_WAIT_SECONDS}
    return {
        "connect_args": _connect_arguments(config.database_url),
        "pool_pre_ping": True,
        "pool_size": POOL_CONNECTIONS,
        "max_overflow": POOL_OVERFLOW,
        "pool_timeout": POOL_SECONDS,
        "pool_recycle": 1800,
    }


def _connect_arguments(database_url: str) -> dict[str, Any]:
    """What the URL does not say itself. Statements are not prepared: a pooler such as pgbouncer would lose them."""
    ours = {"connect_timeout": POOL_SECONDS, "tcp_user_timeout": SILENT_MILLISECONDS, "prepare_threshold": None}
    return {name: value for name, value in ours.items() if name not in make_url(database_url).query}


def _create_file(path: Path) -> None:
    """Only its owner reads it; SQLite gives the -wal file the same mode."""
    disk = network_disk(path)
    if disk is not None:
        raise StorageUnavailable(
            f"The database file {path} lies on a network disk ({disk}), where SQLite's locks cannot be trusted:"
            " name a file on a local disk (DB_PATH), or use PostgreSQL (DATABASE_URL), which several machines can share"
        )
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
            path.chmod(0o600)
    except OSError as error:
        raise StorageUnavailable(f"The database file {path} cannot be opened: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions by itself, and deferred ones
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    cursor = connection.cursor()
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON"):
        wait_for_lock(lambda statement=statement: cursor.execute(statement), deadline)
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    if connection.get_execution_options().get("kiro_write", True):
        wait_for_lock(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"), deadline)
        return
    connection.exec_driver_sql("BEGIN")
    # A reader is locked out too while another process opens the file first or closes it last (the WAL is recovered or removed;
    # measured: every fifth read beside commands that come and go). Reading once takes the snapshot here, where we can wait.
    wait_for_lock(lambda: connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").close(), deadline)


def wait_for_lock(execute: Any, deadline: float) -> None:
    """Try again after 1–10 ms while the database is locked; other greenlets run meanwhile."""
    while True:
        try:
            execute()
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
        time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - spreads writers
