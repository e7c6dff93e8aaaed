"""For all tests: a database of one's own, and a skip is a failure where everything was installed.

`KIRO_TESTS_NO_SKIP=1` is set by `.ci/run`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import storage
from app.storage.engine import engine
from config import Config


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("KIRO_TESTS_NO_SKIP") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("skipped tests count as failures here (KIRO_TESTS_NO_SKIP)", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """An empty database of today's tables, opened through the gateway's own engine."""
    path = tmp_path / "data.db"
    storage.init(Flask("test"), Config(db_path=path))
    yield path
    engine().dispose()
