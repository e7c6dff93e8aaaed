"""A sealed text opens where it was sealed, with a key that is present, and unchanged; nowhere else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError

from app.errors import StorageUnavailable
from app.storage import secrets, transaction
from app.storage.secrets import SealedText, SecretUnreadable, Vault, is_sealed, place
from app.storage.tables import LoginFlowRow
from config import Config

OLD, NEW = b"o" * 32, b"n" * 32
VAULT = Vault([OLD])
HERE = place("credentials", 7, "refresh_token")
TOKEN = "aor-a-token-nobody-may-see"


@given(st.text(st.characters()), st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_text_opens_at_its_place(text: str, where: str) -> None:
    sealed = VAULT.seal(text, where)
    assert VAULT.open(sealed, where) == text
    assert is_sealed(sealed)


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_whatever_stands_there_opens_or_is_unreadable(stored: str) -> None:
    for text in (stored, f"v1:{stored}", f"v1:{VAULT.seal('x', HERE)[3:11]}:{stored}"):
        with pytest.raises(SecretUnreadable):
            VAULT.open(text, HERE)


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert VAULT.seal(TOKEN, HERE) != VAULT.seal(TOKEN, HERE)


def test_a_sealed_text_shows_nothing_of_it() -> None:
    sealed = VAULT.seal(TOKEN, HERE)
    assert TOKEN not in sealed
    assert TOKEN.encode() not in base64.b64decode(sealed.rpartition(":")[2])


@pytest.mark.parametrize(
    "elsewhere",
    [place("credentials", 8, "refresh_token"), place("credentials", 7, "access_token"), place("login_flows", 7, "secret"), ""],
)
def test_it_is_refused_in_another_row_column_or_table(elsewhere: str) -> None:
    with pytest.raises(SecretUnreadable, match="changed, or moved"):
        VAULT.open(VAULT.seal(TOKEN, HERE), elsewhere)


@given(st.integers(0, 53), st.integers(1, 255))
def test_one_flipped_bit_is_noticed(at: int, change: int) -> None:
    head, _, encoded = VAULT.seal(TOKEN, HERE).rpartition(":")
    data = bytearray(base64.b64decode(encoded))
    assert len(data) == 54, "12 of nonce, 26 of text, 16 of tag"
    data[at] ^= change
    with pytest.raises(SecretUnreadable, match="changed, or moved"):
        VAULT.open(f"{head}:{base64.b64encode(data).decode()}", HERE)


def test_without_its_key_it_is_unreadable_and_the_key_is_named_by_its_id() -> None:
    sealed = VAULT.seal(TOKEN, HERE)
    with pytest.raises(SecretUnreadable, match=f"the key {sealed.split(':')[1]}, which is not among") as caught:
        Vault([NEW]).open(sealed, HERE)
    assert TOKEN not in str(caught.value)


def test_of_several_keys_the_first_writes_and_all_read() -> None:
    before = VAULT.seal(TOKEN, HERE)
    both = Vault([NEW, OLD])
    assert both.open(before, HERE) == TOKEN
    assert not both.is_current(before)
    after = both.seal(TOKEN, HERE)
    assert both.is_current(after)
    assert Vault([NEW]).open(after, HERE) == TOKEN


@pytest.mark.parametrize("plain", ["http://user:word@proxy:1", TOKEN, "v1:", "v1:a:b", "", "v1:http://user:word"])
def test_a_plain_text_is_unreadable_and_no_part_of_it_is_told(plain: str) -> None:
    with pytest.raises(SecretUnreadable, match="without being sealed") as caught:
        VAULT.open(plain, HERE)
    assert "user" not in str(caught.value)
    assert not is_sealed(plain)


@pytest.mark.parametrize("plain", [TOKEN, "", "http://user:word@proxy:1"])
def test_a_column_of_secrets_refuses_a_plain_text(either_database: Config, plain: str) -> None:
    flow = LoginFlowRow(id="f", method="idc", status="waiting", secret=plain, created_at=0.0, expires_at=0.0)
    with pytest.raises(StatementError, match="sealed before it is stored"), transaction() as session:
        session.add(flow)


def test_a_column_of_secrets_takes_nothing_and_a_sealed_text() -> None:
    column = SealedText()
    sealed = VAULT.seal(TOKEN, HERE)
    assert [column.process_bind_param(value, None) for value in (None, sealed)] == [None, sealed]  # type: ignore[arg-type]


def test_before_the_database_is_open_there_is_no_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_vault", None)
    with pytest.raises(StorageUnavailable):
        secrets.vault()
