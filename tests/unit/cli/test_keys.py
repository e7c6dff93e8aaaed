from __future__ import annotations

import pytest

from app.errors import NotAuthenticated
from app.services import Services
from tests.unit.cli.conftest import Run, one_line


def test_a_key_is_printed_alone_and_works(run: Run, services: Services) -> None:
    result = run("keys", "create", "laptop")
    assert services.keys.authenticate(result.stdout.strip()).name == "laptop"
    assert "not shown again" in result.stderr


def test_a_disabled_key_is_not_accepted(run: Run, services: Services) -> None:
    key = run("keys", "create", "laptop").stdout.strip()
    assert run("keys", "disable", "1").output == "key 1 is disabled\n"
    with pytest.raises(NotAuthenticated):
        services.keys.authenticate(key)


def test_an_unknown_key_points_to_the_list(run: Run) -> None:
    assert "keys list" in one_line(run("keys", "disable", "7"))


def test_an_empty_list_says_how_to_begin(run: Run) -> None:
    assert "keys create NAME" in run("keys", "list").output
