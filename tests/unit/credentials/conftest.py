"""A database of its own for each test, through the gateway's own engine; its tables are made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import storage
from app.credentials.store import CredentialStore
from app.storage.engine import engine
from config import Config
from tests.unit.credentials.logins import Clock


def open_database(path: Path) -> None:
    storage.init(Flask("test"), Config(db_path=path))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "data.db"
    open_database(path)
    engine().dispose()  # the last connection writes the log back into the file
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(empty_database: Path, tmp_path: Path, clock: Clock) -> Iterator[CredentialStore]:
    path = tmp_path / "data.db"
    shutil.copy(empty_database, path)
    open_database(path)
    yield CredentialStore(clock)
    engine().dispose()
