"""The original's database is copied, understood and taken over once, also by a start that comes after a killed one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text

from app import storage
from app.settings import SettingsStore
from app.storage import adopt, migrate, reading
from app.storage.engine import engine
from app.storage.secrets import vault
from app.storage.tables import AdminRow, CredentialRow, SettingRow
from config import Config
from tests.unit.storage.original import BCRYPT, CREDENTIALS, SETTINGS, dump, make_original


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data.db"
    make_original(path)
    yield path
    engine().dispose()


class Killed(BaseException):
    """What a SIGKILL looks like from inside: nobody catches it."""


def start(path: Path) -> None:
    storage.init(Flask("test"), Config(db_path=path))


def copy_of(path: Path) -> Path:
    return Path(f"{path}.before-kiro-py")


def credentials() -> list[CredentialRow]:
    with reading() as session:
        return list(session.scalars(select(CredentialRow).order_by(CredentialRow.id)))


def opened(row: CredentialRow, name: str) -> str:
    return vault().open(getattr(row, name), f"credentials/{row.id}/{name}")


def test_the_copy_is_the_original_byte_for_byte(path: Path) -> None:
    before = path.read_bytes()
    start(path)
    assert copy_of(path).read_bytes() == before
    assert copy_of(path).stat().st_mode & 0o777 == 0o600


def test_what_is_still_in_the_log_of_the_original_is_in_the_copy_and_taken_over(path: Path) -> None:
    path.unlink()
    make_original(path, wal=True)
    start(path)
    assert any("late@example.com" in line for line in dump(copy_of(path)))
    assert credentials()[0].email == "late@example.com"


def test_every_credential_with_a_refresh_token_is_taken_over(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start(path)
    social, idc, off = credentials()
    assert (social.id, social.kind, opened(social, "refresh_token")) == (2, "social", CREDENTIALS[0]["refresh_token"])
    assert (social.email, social.subscription_title, social.current_usage) == ("one@example.com", "KIRO FREE", 12.4)
    assert social.expires_at == pytest.approx(1769940000.123456)
    assert (social.machine_id, social.auth_region, social.state) == ("a" * 64, "us-east-1", "ready")
    assert (idc.id, idc.kind, idc.priority, idc.auth_region) == (5, "idc", 3, "eu-central-1")
    assert (idc.client_id, opened(idc, "client_secret")) == ("client-of-five", "secret-of-five")
    assert opened(idc, "proxy_url") == "socks5://user:word@proxy.example:1080"
    assert (off.id, off.state) == (6, "disabled")
    assert "left 1 behind" in caplog.text
    assert "aorAAAAAG" not in caplog.text


def test_settings_are_taken_over_but_the_version_of_the_client(path: Path) -> None:
    start(path)
    with reading() as session:
        stored = {row.key: row.value for row in session.scalars(select(SettingRow))}
    assert stored == {key: value for key, value in SETTINGS.items() if value and key != "kiro_version"}
    current = SettingsStore().current()
    assert (current.node_version, current.kiro_version) == ("v22.99.0", "0.12.155")


def test_users_keep_their_passwords(path: Path) -> None:
    start(path)
    with reading() as session:
        (user,) = session.scalars(select(AdminRow))
    assert (user.username, user.password_hash) == ("admin", BCRYPT)


def test_a_second_start_takes_nothing_over_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start(path)
    first_copy = copy_of(path).stat()
    caplog.clear()
    start(path)
    assert len(credentials()) == 3
    assert copy_of(path).stat().st_mtime_ns == first_copy.st_mtime_ns
    assert caplog.text == ""


@pytest.mark.parametrize("step", ["_copy", "put_aside", "_upgrade", "take_over", "_credentials"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_start_that_was_killed_is_finished_by_the_next_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    before = dump(path)
    module = migrate if step == "_upgrade" else adopt
    real = getattr(module, step)

    def killed(*arguments: object) -> None:
        if moment == "after":
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, step, killed)
        with pytest.raises(Killed):
            start(path)
    engine().dispose()
    start(path)
    assert len(credentials()) == 3
    assert dump(copy_of(path)) == before
    with reading() as session:
        left = session.scalars(text("SELECT name FROM sqlite_master WHERE name LIKE 'original%'").columns()).all()
    assert left == []


def test_a_database_of_others_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE settings (a); CREATE TABLE notes (b);")
    assert not adopt.is_original(path)
    assert not copy_of(path).exists()


def test_the_original_may_lack_users(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE users")
    start(path)
    assert len(credentials()) == 3


@pytest.mark.parametrize("unreadable", [None, "", "soon"])
def test_an_expiry_nobody_can_read_counts_as_expired(unreadable: str | None) -> None:
    assert adopt.epoch_seconds(unreadable) is None
