from __future__ import annotations

from app.services import Services
from app.settings import SETTINGS
from tests.unit.cli.conftest import Run, one_line


def test_the_list_names_every_setting(run: Run) -> None:
    lines = run("settings", "list").output.splitlines()
    assert [line.split()[0] for line in lines] == ["SETTING", *[setting.name for setting in SETTINGS]]


def test_a_value_that_was_set_is_read_back(run: Run, services: Services) -> None:
    assert run("settings", "set", "ping_seconds", "7").output == "ping_seconds is 7.0\n"
    assert run("settings", "get", "ping_seconds").output == "7.0\n"
    assert services.settings.current().ping_seconds == 7.0


def test_a_secret_setting_is_never_shown(run: Run) -> None:
    run("settings", "set", "proxy_url", "http://me:secret@proxy:8080")
    shown = run("settings", "get", "proxy_url").output + run("settings", "list").output
    assert "set, not shown" in shown
    assert "secret" not in shown
    assert run("settings", "set", "proxy_url", "").output == "proxy_url is empty\n"


def test_a_value_that_is_not_allowed_says_what_is(run: Run) -> None:
    assert "from 0.5 to 15" in one_line(run("settings", "set", "ping_seconds", "99"))
    assert "ping_seconds" in one_line(run("settings", "get", "pings"))
