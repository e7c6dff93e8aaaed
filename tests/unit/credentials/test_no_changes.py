"""A database that takes no changes (a full disk, a file or a server that only reads) costs no answer and no token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from app.credentials import pool as pool_module
from app.credentials.credential import Credential
from app.credentials.pool import Pool
from app.credentials.store import CredentialStore
from app.errors import StorageUnavailable, Throttled
from app.storage.engine import engine
from tests.unit.credentials.logins import HOUR, IDENTITY, NOON, Clock, TokenService, refresh_token, social

FRESH = {"access_token": "aoa-old", "expires_at": NOON + HOUR}
EXPIRING = {"access_token": "aoa-old", "expires_at": NOON + 300}


class Disk:
    """Whether the database takes changes. take_again_after: of so many refused attempts."""

    def __init__(self) -> None:
        self.full = False
        self.refused = 0
        self.take_again_after: int | None = None

    def on_checkout(self, connection: Any, *_: object) -> None:
        sqlite = engine().dialect.name == "sqlite"
        words = {True: "PRAGMA query_only = 1", False: "PRAGMA query_only = 0"}
        if not sqlite:
            words = {True: "SET default_transaction_read_only = on", False: "SET default_transaction_read_only = off"}
        cursor = connection.cursor()
        cursor.execute(words[self.full])
        cursor.close()
        if not sqlite:
            connection.commit()

    def on_error(self, _context: object) -> None:
        self.refused += 1
        if self.take_again_after is not None and self.refused >= self.take_again_after:
            self.full = False


@pytest.fixture
def disk(store: CredentialStore) -> Iterator[Disk]:
    disk = Disk()
    event.listen(engine(), "checkout", disk.on_checkout)
    event.listen(engine(), "handle_error", disk.on_error)
    yield disk
    event.remove(engine(), "checkout", disk.on_checkout)
    event.remove(engine(), "handle_error", disk.on_error)


@pytest.fixture
def service() -> TokenService:
    return TokenService()


@pytest.fixture
def pool(store: CredentialStore, service: TokenService, clock: Clock) -> Pool:
    return Pool(store, http=service, identity=lambda: IDENTITY, clock=clock)


def stored(store: CredentialStore) -> Credential:
    (credential,) = store.all(fresh=True)
    return credential


@pytest.mark.parametrize("tokens", [FRESH, EXPIRING], ids=["fresh", "expiring"])
def test_stored_tokens_go_on_being_lent(pool: Pool, store: CredentialStore, disk: Disk, tokens: dict[str, Any]) -> None:
    store.add(social(**tokens))
    disk.full = True
    for _ in range(3):
        lease = pool.lend()
        assert lease.credential.access_token == "aoa-old"
        pool.succeed(lease)
    pool.join_refreshes(5)


def test_a_failure_that_cannot_be_stored_is_told_in_the_log(
    pool: Pool, store: CredentialStore, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    store.add(social(**FRESH))
    lease = pool.lend()
    disk.full = True
    pool.fail(lease, Throttled())
    assert "could not be stored" in caplog.text
    assert pool.lend().credential.access_token == "aoa-old"


def test_a_token_is_not_traded_in_when_the_new_one_could_not_be_kept(
    pool: Pool, store: CredentialStore, service: TokenService, disk: Disk
) -> None:
    store.add(social())
    disk.full = True
    with pytest.raises(StorageUnavailable):
        pool.lend()
    assert service.calls == [], "the claim comes first"
    disk.full = False
    assert pool.lend().credential.access_token == "aoa-1"


def test_a_token_that_was_traded_in_is_offered_until_it_is_taken(
    pool: Pool,
    store: CredentialStore,
    service: TokenService,
    disk: Disk,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "SAVE_AGAIN_SECONDS", 0.01)
    store.add(social())
    service.before = lambda: setattr(disk, "full", True)
    disk.take_again_after = 3
    assert pool.lend().credential.access_token == "aoa-1"
    assert stored(store).refresh_token == refresh_token("rotated-1")
    assert caplog.text.count("could not be stored yet; trying on") == 3
    assert refresh_token("rotated-1") not in caplog.text


def test_a_token_that_is_never_taken_is_told_as_lost(
    pool: Pool,
    store: CredentialStore,
    service: TokenService,
    disk: Disk,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "SAVE_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(pool_module, "SAVE_SECONDS", 0.1)
    store.add(social())
    service.before = lambda: setattr(disk, "full", True)
    with pytest.raises(StorageUnavailable):
        pool.lend()
    assert "the new tokens of credential 1 are lost: the database did not take them" in caplog.text
    disk.full = False
    claim = store.get(1)
    assert claim is not None
    assert claim.attempt_at is not None, "whoever refreshes next knows that the token may be used up"
