"""The whole application on a database of its own, and a runner that speaks as `flask --app wsgi` would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app.factory import create_app
from app.services import EXTENSION, Services
from config import Config

Run = Callable[..., Result]


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return create_app(Config.from_env({"DB_PATH": str(tmp_path / "data.db")}, dotenv=None))


@pytest.fixture
def services(app: Flask) -> Services:
    here: Services = app.extensions[EXTENSION]
    return here


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command; `input` is what its standard input holds."""

    def invoke(*arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's own name
        return app.test_cli_runner().invoke(args=list(arguments), input=input)

    return invoke


def one_line(result: Result) -> str:
    """The error of a command that failed: one line, no traceback."""
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    return line
