"""Only hashes are kept; a key is valid until it expires or is disabled, in every worker; any byte may be presented."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access import api_keys
from app.access.api_keys import MAX_AGE_SECONDS, ApiKey, KeyRing
from app.errors import NotAuthenticated, StorageUnavailable
from app.storage import engine as engine_module
from app.storage import transaction
from app.storage.tables import ApiKeyRow
from config import Config

OWN = "sk-of-the-environment"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refuses(ring: KeyRing, presented: str | bytes) -> bool:
    try:
        ring.authenticate(presented)
    except NotAuthenticated:
        return True
    return False


def expire(id_: int, at: float) -> None:
    with transaction() as session:
        row = session.get(ApiKeyRow, id_)
        assert row is not None
        row.expires_at = at


def test_the_key_of_the_environment_needs_no_database() -> None:
    ring = KeyRing(OWN)
    assert ring.authenticate(OWN) == ApiKey(None, "environment")
    assert ring.any()


def test_a_made_key_is_recognised_by_its_name(either_database: Config) -> None:
    ring = KeyRing(OWN)
    first, second = ring.create("laptop"), ring.create("server")
    assert ring.authenticate(second) == ApiKey(2, "server")
    assert ring.authenticate(first) == ApiKey(1, "laptop")
    assert ring.authenticate(OWN).name == "environment"


def test_the_database_never_holds_the_key(database: Path) -> None:
    ring = KeyRing(None)
    key = ring.create("laptop")
    ring.authenticate(key)
    files = b"".join(path.read_bytes() for path in database.parent.glob("data.db*"))
    assert b"laptop" in files
    assert key.encode() not in files
    assert key[8:-4].encode() not in files
    assert ring.all()[0].last4 == key[-4:]


@pytest.mark.parametrize("wrong", ["", "x", OWN[:-1], OWN + "x", OWN.upper(), f" {OWN}", b"\xff\x00", "ключ", "\ud800", "🔑"])
def test_anything_else_is_refused(database: Path, wrong: str | bytes) -> None:
    assert refuses(KeyRing(OWN), wrong)


@given(st.text() | st.binary())
def test_whatever_is_presented_is_refused_and_never_an_error(presented: str | bytes) -> None:
    ring = KeyRing(OWN, clock=lambda: 0.0)
    ring._read_at = 0.0  # nothing is stored, and nothing need be read
    assert refuses(ring, presented)


@pytest.mark.parametrize("key", ["clé-secrète", "ключ", "鍵🔑"])
def test_a_key_with_other_letters_is_known_however_the_client_writes_it(key: str) -> None:
    ring = KeyRing(key)
    as_utf8 = key.encode().decode("latin-1")  # what WSGI makes of UTF-8 bytes
    assert ring.authenticate(as_utf8).name == "environment"
    assert ring.authenticate(key.encode()).name == "environment"


def test_a_key_with_latin_1_letters_is_known_from_clients_that_write_latin_1() -> None:
    assert KeyRing("clé").authenticate("clé").name == "environment"


def test_a_key_is_looked_up_by_its_digest(database: Path) -> None:
    ring = KeyRing(None)
    key = ring.create("one")
    assert ring.authenticate(key).name == "one"
    assert all(isinstance(digest, bytes) and len(digest) == 32 for digest in ring._current())
    for presented in (key[:-1], hashlib.sha256(key.encode()).hexdigest(), "x" * 10_000):
        refuses(ring, presented)


def test_a_key_expires(either_database: Config) -> None:
    ring = KeyRing(None)
    key = ring.create("guest")
    expire(1, time.time() + 60)
    assert ring.authenticate(key).name == "guest"
    assert ring.any()
    expire(1, time.time() - 1)
    ring = KeyRing(None)
    assert refuses(ring, key)
    assert not ring.any()


def test_an_expiry_that_passes_between_two_readings_counts(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    ring = KeyRing(None, clock)
    key = ring.create("guest")
    expire(1, time.time() + 60)
    assert ring.authenticate(key).name == "guest"
    monkeypatch.setattr(api_keys.time, "time", lambda real=time.time: real() + 61)
    assert refuses(ring, key)


def test_a_disabled_key_is_refused_elsewhere_within_two_seconds(either_database: Config) -> None:
    clock = Clock()
    here, elsewhere = KeyRing(None), KeyRing(None, clock)
    key = here.create("laptop")
    assert elsewhere.authenticate(key).id == 1
    assert here.disable(1)
    assert refuses(here, key), "at once where it was done"
    clock.now += MAX_AGE_SECONDS
    assert refuses(elsewhere, key)
    assert MAX_AGE_SECONDS <= 2.0
    assert not here.disable(99)


def test_a_new_key_is_known_elsewhere_within_two_seconds(either_database: Config) -> None:
    clock = Clock()
    here, elsewhere = KeyRing(None), KeyRing(None, clock)
    assert refuses(elsewhere, "nothing yet")
    key = here.create("laptop")
    clock.now += MAX_AGE_SECONDS
    assert elsewhere.authenticate(key).name == "laptop"


def test_the_first_key_is_made_once(either_database: Config) -> None:
    one, two = KeyRing(None), KeyRing(None)
    key = one.create_first("first")
    assert key is not None
    assert two.create_first("first") is None
    assert two.authenticate(key).name == "first"
    one.disable(1)
    assert two.create_first("again") is not None, "a disabled key lets nobody in"


def test_known_keys_stay_valid_while_the_database_does_not_answer(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    ring = KeyRing(None, clock)
    key = ring.create("laptop")
    ring.authenticate(key)
    engine_module.engine().dispose()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE api_keys RENAME TO gone")
    clock.now += MAX_AGE_SECONDS
    assert ring.authenticate(key).name == "laptop"
    assert "those known stay valid" in caplog.text
    with pytest.raises(StorageUnavailable):
        KeyRing(None).authenticate(key)
