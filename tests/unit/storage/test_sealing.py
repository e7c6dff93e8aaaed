"""What is plain is sealed at start without a trace in the file; a rotation reads with every key and writes with the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from app.credentials.store import CredentialStore
from app.settings import SettingsStore
from app.storage import reading, sealing, transaction
from app.storage.engine import engine
from app.storage.secrets import Vault, place, use, vault
from app.storage.tables import CredentialRow, LoginFlowRow, SettingRow
from config import Config
from tests.conftest import open_database
from tests.unit.credentials.logins import idc
from tests.unit.storage.original import CREDENTIALS, make_original

OLD, NEW, LOST = b"o" * 32, b"n" * 32, b"l" * 32
PROXY = "socks5://user:a-proxy-password@proxy.test:1080"
SECRETS = {
    "access_token": "aoa-plain-access-token",
    "refresh_token": "aor-plain-" + "x" * 120,
    "client_secret": "a-plain-client-secret",
    "proxy_url": PROXY,
}


def write_plainly(**extra: str) -> None:
    """A credential, a sign-in and a setting as a hand, or an earlier state, may have written them."""
    with transaction() as session:
        session.add(CredentialRow(kind="idc", version=1, learned={}, created_at=0.0, updated_at=0.0))
        session.add(LoginFlowRow(id="f", method="idc", status="waiting", created_at=0.0, expires_at=0.0))
        session.merge(SettingRow(key="proxy_url", value=PROXY, updated_at=0.0))
        session.merge(SettingRow(key="node_version", value="v22", updated_at=0.0))
        session.flush()
        names = ", ".join(f"{name} = :{name}" for name in SECRETS)
        session.execute(text(f"UPDATE credentials SET {names}"), SECRETS)
        session.execute(text("UPDATE login_flows SET secret = 'a-plain-device-code'"))


def stored(column: str, table: str = "credentials") -> str:
    with reading() as session:
        return str(session.scalar(text(f"SELECT {column} FROM {table}")))


def setting(key: str) -> str:
    with reading() as session:
        return session.scalars(select(SettingRow.value).where(SettingRow.key == key)).one()


def everything_opens() -> bool:
    (credential,) = CredentialStore().all(fresh=True)
    flow = vault().open(stored("secret", "login_flows"), place("login_flows", "f", "secret"))
    return (
        all(getattr(credential, name) == secret for name, secret in SECRETS.items())
        and flow == "a-plain-device-code"
        and SettingsStore().current().proxy_url == PROXY
    )


def bytes_of(path: Path) -> bytes:
    return b"".join(Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal") if Path(f"{path}{suffix}").exists())


def test_what_is_plain_is_sealed_at_the_next_start_and_told_once(
    either_database: Config, caplog: pytest.LogCaptureFixture
) -> None:
    write_plainly()
    for _ in range(2):
        engine().dispose()
        open_database(either_database)
    assert everything_opens()
    assert caplog.text.count("sealed 6 secrets that stood in the database in clear") == 1
    assert not any(secret in caplog.text for secret in SECRETS.values())
    assert setting("node_version") == "v22", "what is no secret stays as it is"


def test_an_empty_text_is_no_secret(either_database: Config, caplog: pytest.LogCaptureFixture) -> None:
    write_plainly()
    with transaction() as session:
        session.execute(text("UPDATE credentials SET proxy_url = ''"))
        session.execute(text("UPDATE settings SET value = '' WHERE key = 'proxy_url'"))
    sealing.finish(engine())
    (credential,) = CredentialStore().all(fresh=True)
    assert (credential.proxy_url, credential.refresh_token) == (None, SECRETS["refresh_token"])
    assert SettingsStore().current().proxy_url is None
    assert "cannot be read" not in caplog.text


def test_what_is_sealed_and_what_nobody_can_read_stays_as_it_is(either_database: Config) -> None:
    write_plainly()
    sealing.finish(engine())
    before = [stored(name) for name in SECRETS]
    use(Vault([NEW]))
    assert sealing.is_finished(engine())
    sealing.finish(engine())
    assert [stored(name) for name in SECRETS] == before


def test_nothing_plain_is_left_in_the_file_or_its_log(database: Path) -> None:
    write_plainly()
    with transaction() as session:  # what was overwritten before is left in free pages too
        session.execute(text("CREATE TABLE gone AS SELECT 'aor-of-a-dropped-table' AS token"))
    with transaction() as session:
        session.execute(text("DROP TABLE gone"))
    secrets = [*SECRETS.values(), "a-plain-device-code", "aor-of-a-dropped-table"]
    assert all(secret.encode() in bytes_of(database) for secret in secrets)
    sealing.finish(engine())
    assert [secret for secret in secrets if secret.encode() in bytes_of(database)] == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["before the file is rewritten", "before that is marked"])
def test_a_start_that_was_killed_while_it_cleared_the_file_is_finished_by_the_next(
    database: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    write_plainly()
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "scrub" if moment == "before the file is rewritten" else "_mark", killed)
        with pytest.raises(Killed):
            sealing.finish(engine())
    assert not sealing.is_finished(engine())
    engine().dispose()
    open_database(Config(db_path=database))
    assert sealing.is_finished(engine())
    assert SECRETS["refresh_token"].encode() not in bytes_of(database)
    assert everything_opens()


def test_a_file_that_others_read_from_is_cleared_at_a_later_start(
    database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sealing, "SCRUB_SECONDS", 0.1)
    write_plainly()
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM credentials").fetchall()
        sealing.finish(engine())
        assert "cleared at the next start" in caplog.text
        assert everything_opens()
        assert not sealing.is_finished(engine())
    sealing.finish(engine())
    assert sealing.is_finished(engine())
    assert SECRETS["refresh_token"].encode() not in bytes_of(database)


@pytest.mark.parametrize("wal", [False, True])
def test_a_database_of_the_original_is_taken_over_without_a_trace_of_its_tokens(tmp_path: Path, wal: bool) -> None:
    path = tmp_path / "data.db"
    make_original(path, wal=wal)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO settings (key, value) VALUES ('proxy_url', ?)", (PROXY,))
        connection.commit()
    open_database(Config(db_path=path))
    secrets = [row[name] for row in CREDENTIALS for name in SECRETS if row.get(name)]
    assert [secret for secret in [*secrets, PROXY] if secret.encode() in bytes_of(path)] == []
    assert SettingsStore().current().proxy_url == PROXY
    engine().dispose()
    assert [secret for secret in [*secrets, PROXY] if secret.encode() in bytes_of(path)] == []


def test_a_rotation_seals_everything_with_the_first_key(either_database: Config) -> None:
    write_plainly()
    use(Vault([OLD]))
    sealing.finish(engine())
    use(Vault([NEW, OLD]))
    assert sealing.rotate(engine()) == sealing.Rotation(resealed=6)
    assert sealing.rotate(engine()) == sealing.Rotation(current=6)
    use(Vault([NEW]))
    assert everything_opens(), "the old key can go"


def test_a_rotation_that_is_killed_leaves_everything_readable(either_database: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plainly()
    use(Vault([OLD]))
    sealing.finish(engine())
    use(Vault([NEW, OLD]))
    real, calls = sealing._rotate_one, iter(range(100))

    def killed_at_the_third(*arguments: Any) -> None:
        real(*arguments)
        if next(calls) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "_rotate_one", killed_at_the_third)
        with pytest.raises(Killed):
            sealing.rotate(engine())
    assert everything_opens()
    assert sealing.rotate(engine()) == sealing.Rotation(resealed=4, current=2), "the third was rolled back"


def test_what_no_key_opens_is_named_and_left(either_database: Config, caplog: pytest.LogCaptureFixture) -> None:
    write_plainly()
    use(Vault([OLD]))
    sealing.finish(engine())
    lost = Vault([LOST]).seal("x", place("credentials", 1, "client_secret"))
    with transaction() as session:
        session.execute(text("UPDATE credentials SET client_secret = :lost"), {"lost": lost})
    use(Vault([NEW, OLD]))
    done = sealing.rotate(engine())
    assert (done.resealed, done.unreadable) == (5, ["credentials/1/client_secret"])
    assert stored("client_secret") == lost
    assert "credentials/1/client_secret cannot be read: it was sealed with the key" in caplog.text


def test_a_token_stored_during_a_rotation_stays(either_database: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = CredentialStore().add(idc(access_token="aoa-before"))
    use(Vault([NEW]))
    real = sealing._rotate_one

    def worker_first(session: Any, column: Any, key: Any, done: Any) -> None:
        if column.name == "access_token":
            session.execute(
                text("UPDATE credentials SET access_token = :sealed"),
                {"sealed": vault().seal("aoa-newer", place("credentials", id_, "access_token"))},
            )
        real(session, column, key, done)

    monkeypatch.setattr(sealing, "_rotate_one", worker_first)
    sealing.rotate(engine())
    opened = vault().open(stored("access_token"), place("credentials", id_, "access_token"))
    assert opened == "aoa-newer"


def test_the_old_seal_is_not_left_in_the_file(database: Path) -> None:
    write_plainly()
    use(Vault([OLD]))
    sealing.finish(engine())
    old = stored("refresh_token")
    use(Vault([NEW, OLD]))
    sealing.rotate(engine())
    assert old.encode() not in bytes_of(database)


@pytest.mark.parametrize("spoil", [str.upper, lambda value: value[:-8] + "AAAAAAA="])
def test_a_secret_that_does_not_open_says_what_to_do(either_database: Config, spoil: Callable[[str], str]) -> None:
    store = CredentialStore()
    store.add(idc())
    with transaction() as session:
        row = session.scalars(select(CredentialRow)).one()
        row.refresh_token = "v1" + spoil(str(row.refresh_token))[2:]
    (credential,) = store.all(fresh=True)
    assert credential.state == "rejected"
    assert "put its key back, or sign in again" in str(credential.state_reason)
