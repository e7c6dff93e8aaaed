"""One registry: typed, checked, and the same in every worker within two seconds."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.errors import StorageUnavailable
from app.settings import BY_NAME, MAX_AGE_SECONDS, SETTINGS, SettingError, SettingsStore, snapshot
from app.storage import engine as engine_module
from app.storage import reading
from app.storage.secrets import Vault, use
from app.storage.tables import SettingRow
from config import Config

APP = Path(__file__).resolve().parents[2] / "app"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_defaults_are_those_the_service_accepts_today() -> None:
    defaults = snapshot({})
    assert (defaults.kiro_version, defaults.kiro_rest_version) == ("0.12.155", "0.12.155")
    assert (defaults.system_version, defaults.node_version) == ("darwin#24.6.0", "v22.12.0")
    assert (defaults.first_ping_seconds, defaults.idle_seconds, defaults.first_event_seconds) == (5, 300, 120)
    assert defaults.ping_seconds <= 15
    assert (defaults.max_attempts_per_credential, defaults.max_attempts) == (3, 9)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_is_a_value_its_own_check_accepts(setting: Any) -> None:
    assert setting.parse("" if setting.default is None else str(setting.default)) == setting.default
    assert setting.help


def test_a_value_is_stored_and_typed(either_database: Config) -> None:
    settings = SettingsStore()
    settings.set("ping_seconds", " 7 ")
    settings.set("max_attempts", "4")
    current = settings.current()
    assert (current.ping_seconds, current.max_attempts) == (7.0, 4)
    assert settings.get("ping_seconds") == 7.0


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("ping_seconds", "16", "a number from 0.5 to 15"),
        ("ping_seconds", "nan", "a number from 0.5 to 15"),
        ("total_seconds", "inf", "a number from 1 to 86400"),
        ("idle_seconds", "", "a number from 1 to 3600"),
        ("max_attempts", "2.5", "a whole number from 1 to 30"),
        ("max_attempts", "٣", "a whole number from 1 to 30"),
        ("kiro_version", "", "printable ASCII"),
        ("kiro_version", "1\r\nX-Evil: 1", "printable ASCII"),
        ("node_version", "v22é", "printable ASCII"),
        ("proxy_url", "proxy:3128", "a URL that starts with http://"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(database: Path, name: str, text: str, says: str) -> None:
    settings = SettingsStore()
    with pytest.raises(SettingError, match=f"^{name} must be {says}") as caught:
        settings.set(name, text)
    assert caught.value.status == 400
    assert settings.get(name) == BY_NAME[name].default


def test_an_unknown_name_lists_the_known_ones(either_database: Config) -> None:
    with pytest.raises(SettingError, match=r"'pings'.*ping_seconds"):
        SettingsStore().set("pings", "1")


def test_a_stored_text_nobody_can_use_counts_as_the_default() -> None:
    assert snapshot({"ping_seconds": "often", "of_another_version": "1"}) == snapshot({})


def test_a_change_is_in_force_elsewhere_within_two_seconds(either_database: Config) -> None:
    clock = Clock()
    here, elsewhere = SettingsStore(), SettingsStore(clock)
    assert elsewhere.current().ping_seconds == 10
    here.set("ping_seconds", "3")
    assert here.current().ping_seconds == 3, "at once where it was made"
    assert elsewhere.current().ping_seconds == 10, "the database is not asked for every request"
    clock.now += MAX_AGE_SECONDS
    assert elsewhere.current().ping_seconds == 3
    assert MAX_AGE_SECONDS <= 2.0


def test_the_last_snapshot_stays_while_the_database_does_not_answer(
    database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    settings = SettingsStore(clock)
    settings.set("ping_seconds", "3")
    settings.current()
    engine_module.engine().dispose()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE settings RENAME TO gone")
    clock.now += MAX_AGE_SECONDS
    assert settings.current().ping_seconds == 3
    assert "known stay in force" in caplog.text
    with pytest.raises(StorageUnavailable):
        SettingsStore().current()


def test_nothing_is_offered_that_nobody_reads() -> None:
    source = "".join(path.read_text() for path in APP.rglob("*.py") if path.name != "settings.py")
    unread = [
        setting.name for setting in SETTINGS if not re.search(rf"(settings|current|current\(\))\.{setting.name}\b", source)
    ]
    assert unread == []


PROXY = "http://user:a-proxy-password@proxy.test:3128"


def stored_value(name: str) -> str:
    with reading() as session:
        return session.scalars(select(SettingRow.value).where(SettingRow.key == name)).one()


def test_a_secret_setting_is_stored_sealed_and_never_shown(either_database: Config) -> None:
    settings = SettingsStore()
    settings.set("proxy_url", PROXY)
    assert settings.current().proxy_url == PROXY == SettingsStore().get("proxy_url")
    assert "a-proxy-password" not in stored_value("proxy_url")
    assert "a-proxy-password" not in repr(settings.current())
    settings.set("proxy_url", "")
    assert settings.current().proxy_url is None


def test_a_secret_setting_that_does_not_open_counts_as_the_default_and_is_told_once(
    either_database: Config, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    settings = SettingsStore(clock)
    settings.set("proxy_url", PROXY)
    settings.set("ping_seconds", "3")
    use(Vault([b"another key"]))
    for _ in range(3):
        clock.now += MAX_AGE_SECONDS
        assert (settings.current().proxy_url, settings.current().ping_seconds) == (None, 3)
    assert caplog.text.count("the setting proxy_url cannot be read, its default is in force") == 1
    assert "a-proxy-password" not in caplog.text


def test_two_that_store_the_first_value_at_once_both_succeed(either_database: Config) -> None:
    problems: list[BaseException] = []
    barrier = threading.Barrier(4)

    def store(value: str) -> None:
        try:
            barrier.wait(5)
            SettingsStore().set("ping_seconds", value)
        except BaseException as error:  # noqa: BLE001 - shown below
            problems.append(error)

    threads = [threading.Thread(target=store, args=(str(number),)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert SettingsStore().current().ping_seconds in {1, 2, 3, 4}
