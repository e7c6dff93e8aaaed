"""The tables of the models are the tables of the migrations."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask

from app import storage
from app.errors import StorageUnavailable
from app.storage import migrate
from app.storage.engine import engine
from app.storage.tables import db
from config import Config


def test_models_and_migrations_agree(database: Path) -> None:
    with engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, db.metadata) == []


def test_the_database_is_at_the_newest_revision(database: Path) -> None:
    from alembic.script import ScriptDirectory

    newest = migrate.newest_revision()
    assert migrate.current_revision(engine()) == newest == ScriptDirectory(str(migrate.FOLDER)).get_current_head()


def test_a_lock_that_is_never_free_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(migrate, "LOCK_WAIT_SECONDS", 0.1)
    path = tmp_path / "data.db"
    with Path(f"{path}.migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StorageUnavailable, match="migrating"):
            storage.init(Flask("test"), Config(db_path=path))
    storage.init(Flask("test"), Config(db_path=path))
    assert migrate.current_revision(engine()) == migrate.newest_revision()
