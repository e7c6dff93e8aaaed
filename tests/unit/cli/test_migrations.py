from __future__ import annotations

import pytest
from flask import Flask

from app.storage import migrate
from app.storage.engine import engine
from tests.unit.cli.conftest import Run


def test_the_upgrade_before_a_release_finds_nothing_left_to_do(run: Run) -> None:
    result = run("db", "upgrade")
    assert (result.exit_code, result.output) == (0, "")


def test_a_start_on_a_ready_database_brings_the_commands_all_the_same(app: Flask, run: Run) -> None:
    app.extensions.pop("migrate")  # as if nothing had been migrated at this start
    assert run("db", "stamp", "base").exit_code == 0
    assert migrate.current_revision(engine()) is None


def test_options_of_the_whole_group_reach_it(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert run("db", "--directory", "nowhere", "heads").exit_code == 1
    assert "nowhere" in caplog.text


def test_the_help_lists_the_commands(run: Run) -> None:
    result = run("db", "--help")
    assert "Upgrade to a later version" in result.output
    assert "--directory" in result.output


def test_an_unknown_command_is_named(run: Run) -> None:
    result = run("db", "nonsense")
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr
