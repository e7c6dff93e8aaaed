"""PostgreSQL's own troubles have a name, end in time, and leave nothing broken behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from app import storage
from app.credentials.store import CredentialStore
from app.errors import StorageUnavailable
from app.storage import db_now, migrate, reading, transaction
from app.storage import engine as engine_module
from app.storage.engine import engine
from app.storage.tables import SettingRow
from config import Config
from tests.conftest import on_postgresql, open_database
from tests.postgresql import Server
from tests.unit.credentials.logins import social

_numbers = itertools.count(1)


@pytest.fixture
def name(postgresql_server: Server, empty_postgresql: str) -> Iterator[str]:
    """A database of today's tables that nobody has opened."""
    name = f"own_{next(_numbers)}"
    postgresql_server.create(name, template=empty_postgresql)
    yield name
    if engine_module._engine is not None:
        engine().dispose()
    postgresql_server.drop(name)


@pytest.fixture
def config(name: str, postgresql_server: Server) -> Config:
    return on_postgresql(postgresql_server.url(name))


def is_reachable() -> bool:
    with reading() as session:
        return bool(session.scalar(text("SELECT true")))


def test_a_restart_is_unavailable_meanwhile_and_then_over(config: Config, postgresql_server: Server) -> None:
    open_database(config)
    assert is_reachable()
    postgresql_server.stop()
    try:
        with pytest.raises(StorageUnavailable) as caught:
            is_reachable()
        assert caught.value.status == 503
        with pytest.raises(StorageUnavailable), transaction() as session:
            session.execute(text("SELECT 1"))
    finally:
        postgresql_server.start()
    assert is_reachable(), "connections that died meanwhile are replaced"


def test_a_connection_that_ends_in_a_transaction_is_unavailable(config: Config) -> None:
    open_database(config)
    with pytest.raises(StorageUnavailable), transaction() as session:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert is_reachable()


def test_a_pool_that_is_empty_is_told_in_time(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_module.POOL_SECONDS == 5
    monkeypatch.setattr(engine_module, "POOL_SECONDS", 1)
    monkeypatch.setattr(engine_module, "POOL_CONNECTIONS", 1)
    monkeypatch.setattr(engine_module, "POOL_OVERFLOW", 1)
    open_database(config)
    with reading() as first, reading() as second:
        for session in (first, second):
            session.execute(text("SELECT 1"))
        began_at = time.monotonic()
        with pytest.raises(StorageUnavailable):
            is_reachable()
        assert 0.9 < time.monotonic() - began_at < 3
    assert is_reachable()


def test_a_database_that_only_reads_is_unavailable_for_writers(config: Config, name: str, postgresql_server: Server) -> None:
    """What is left after a failover to a standby."""
    postgresql_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    open_database(config)
    assert is_reachable()
    with pytest.raises(StorageUnavailable):
        CredentialStore().add(social())


def test_a_statement_is_not_prepared(config: Config) -> None:
    """Behind a pooler that gives each transaction another connection it would be missing there."""
    open_database(config)
    with reading() as session:
        for _ in range(10):
            session.execute(text("SELECT 1"))
        assert session.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_what_the_url_says_wins(postgresql_server: Server) -> None:
    url = f"{postgresql_server.url()}&connect_timeout=2"
    assert "connect_timeout" not in engine_module._connect_arguments(url.replace("postgres://", "postgresql+psycopg://"))


def test_the_clock_goes_on_inside_a_transaction(config: Config) -> None:
    open_database(config)
    with reading() as session:
        before = db_now(session)
        session.execute(text("SELECT pg_sleep(0.05)"))
        assert 0.04 < db_now(session) - before < 5
        assert before == pytest.approx(time.time(), abs=1.0)


def test_no_update_is_lost_between_rows_that_are_locked(config: Config) -> None:
    open_database(config)
    with transaction() as session:
        session.add(SettingRow(key="counter", value="0", updated_at=0.0))

    def add() -> None:
        for _ in range(25):
            with transaction() as session:
                row = session.get(SettingRow, "counter", with_for_update=True)
                assert row is not None
                row.value = str(int(row.value) + 1)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading() as session:
        assert session.get_one(SettingRow, "counter").value == "200"


def test_a_migration_that_never_ends_is_named(postgresql_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LOCK_WAIT_SECONDS", 0.1)
    name = "being_migrated"
    config = on_postgresql(postgresql_server.create(name))
    try:
        storage_engine_of(config)
        with migrate._advisory_lock(engine()), pytest.raises(StorageUnavailable, match="migrating"):
            storage.init(Flask("test"), config)
        open_database(config)
        assert migrate.current_revision(engine()) == migrate.newest_revision()
    finally:
        engine().dispose()
        postgresql_server.drop(name)


def storage_engine_of(config: Config) -> None:
    """The engine alone, without bringing the tables up to date."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "prepare", lambda *_: None)
        open_database(config)
