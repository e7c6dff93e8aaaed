"""A key is replaced in three steps, and nothing becomes unreadable in any of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app.factory import create_app
from app.services import EXTENSION, Services
from app.storage.engine import engine
from config import Config
from tests.unit.credentials.logins import refresh_token, social

OLD, NEW = "old-" * 8, "new-" * 8
PROXY = "http://user:a-proxy-password@proxy.test:3128"
Start = Callable[..., Services]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def started(*keys: str) -> Services:
        return services_of(app_with(tmp_path, *keys))

    return started


def app_with(folder: Path, *keys: str) -> Flask:
    return create_app(Config.from_env({"DB_PATH": str(folder / "data.db"), "KIRO_SECRET_KEYS": ",".join(keys)}, dotenv=None))


def services_of(app: Flask) -> Services:
    here: Services = app.extensions[EXTENSION]
    return here


def rotate(folder: Path, *keys: str) -> Result:
    return app_with(folder, *keys).test_cli_runner().invoke(args=["rotate-secrets"])


def fill(services: Services) -> None:
    services.store.add(social(access_token="aoa-one"))
    services.settings.set("proxy_url", PROXY)


def is_readable(services: Services) -> bool:
    (credential,) = services.store.all(fresh=True)
    tokens = (credential.access_token, credential.refresh_token)
    return tokens == ("aoa-one", refresh_token()) and services.settings.current().proxy_url == PROXY


def test_a_key_is_replaced_in_three_steps(start: Start, tmp_path: Path) -> None:
    fill(start(OLD))
    assert is_readable(start(NEW, OLD))
    done = rotate(tmp_path, NEW, OLD)
    assert (done.exit_code, done.output) == (0, "3 secrets are sealed with the first key now\n")
    assert is_readable(start(NEW))


def test_a_second_rotation_finds_nothing_to_do(start: Start, tmp_path: Path) -> None:
    fill(start(OLD))
    rotate(tmp_path, NEW, OLD)
    assert rotate(tmp_path, NEW, OLD).output == "0 secrets are sealed with the first key now, 3 had been before\n"


def test_the_key_file_is_left_for_named_keys_in_the_same_way(start: Start, tmp_path: Path) -> None:
    fill(start())
    file = tmp_path / "data.db.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert is_readable(start(NEW))
    assert rotate(tmp_path, NEW).output.startswith("3 secrets")
    file.unlink()
    assert is_readable(start(NEW))
    assert not file.exists(), "none is made while a key is named"


def test_a_key_taken_out_too_early_is_named_and_nothing_is_lost(start: Start, tmp_path: Path) -> None:
    fill(start(OLD))
    done = rotate(tmp_path, NEW)
    assert done.exit_code == 0
    assert "credentials/1/refresh_token opens with none of the present keys" in done.stderr
    (credential,) = start(NEW).store.all(fresh=True)
    assert credential.state == "rejected"
    assert is_readable(start(NEW, OLD))


def test_an_unreachable_database_is_one_line(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.storage import engine as engine_module

    app = app_with(tmp_path, OLD)
    engine().dispose()
    monkeypatch.setattr(engine_module, "_engine", None)
    done = app.test_cli_runner().invoke(args=["rotate-secrets"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: The gateway's database does not answer")


def test_its_help_names_the_three_steps(start: Start, tmp_path: Path) -> None:
    text = app_with(tmp_path, OLD).test_cli_runner().invoke(args=["rotate-secrets", "--help"]).output
    assert all(f"{step}. " in text for step in (1, 2, 3))
    assert "data.db.key" in text
