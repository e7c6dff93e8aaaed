"""Tokens over time: rotation, re-use, expiry."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.accounts import Account, Accounts, RefreshRefused, TokenSet


def refresh(accounts: Accounts, token: str | None, *, now: float = 0.0, **more: Any) -> TokenSet:
    values: dict[str, Any] = {
        "kinds": ("social",),
        "client": None,
        "place": "us-east-1",
        "token_seconds": 3600.0,
        "rotate": True,
    }
    return accounts.refresh(token or "", now=now, **{**values, **more})


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def account(accounts: Accounts) -> Account:
    return accounts.add({}, now=0.0, token_seconds=3600.0)


def access_token(account: Account) -> str:
    return next(reversed(account.access_tokens))


def test_tokens_look_like_real_ones(account: Account) -> None:
    assert account.refresh_token is not None
    assert account.refresh_token.startswith("aor")
    assert len(account.refresh_token) >= 100
    assert access_token(account).startswith("aoa")


def test_an_access_token_serves_until_it_expires(accounts: Accounts, account: Account) -> None:
    assert accounts.by_access_token(access_token(account), now=3599.9) is account
    assert accounts.by_access_token(access_token(account), now=3600.0) is None
    assert accounts.by_access_token("unknown", now=0.0) is None


def test_a_refresh_rotates_and_the_old_access_token_lives_on(accounts: Accounts, account: Account) -> None:
    old_access, old_refresh = access_token(account), account.refresh_token
    tokens = refresh(accounts, old_refresh, now=100.0)
    assert tokens.refresh_token == account.refresh_token != old_refresh
    assert accounts.by_access_token(old_access, now=200.0) is account
    assert accounts.by_access_token(tokens.access_token, now=3699.0) is account
    assert refresh(accounts, tokens.refresh_token).refresh_token != tokens.refresh_token


def test_reuse_of_a_spent_token_kills_the_family(accounts: Accounts, account: Account) -> None:
    spent = account.refresh_token
    tokens = refresh(accounts, spent)
    with pytest.raises(RefreshRefused, match="invalid_grant"):
        refresh(accounts, spent)
    with pytest.raises(RefreshRefused, match="invalid_grant"):
        refresh(accounts, tokens.refresh_token)
    assert accounts.by_access_token(tokens.access_token, now=0.0) is None


def test_other_families_survive(accounts: Accounts, account: Account) -> None:
    other = accounts.add({}, now=0.0, token_seconds=3600.0)
    spent = account.refresh_token
    refresh(accounts, spent)
    with pytest.raises(RefreshRefused):
        refresh(accounts, spent)
    assert accounts.by_access_token(access_token(other), now=0.0) is other
    assert refresh(accounts, other.refresh_token).account is other


def test_without_rotation_the_token_serves_again(accounts: Accounts, account: Account) -> None:
    token = account.refresh_token
    assert refresh(accounts, token, rotate=False).refresh_token == token
    assert refresh(accounts, token, rotate=False).refresh_token == token


def test_a_refused_refresh_spends_nothing(accounts: Accounts) -> None:
    account = accounts.add({"kind": "builder_id"}, now=0.0, token_seconds=3600.0)
    client = (str(account.client_id), str(account.client_secret))
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"kinds": ("social",)}, "invalid_grant"),
        ({"place": "eu-west-1"}, "invalid_grant"),
        ({"client": ("cid", "csec")}, "invalid_client"),
    ]
    for wrong, code in refusals:
        with pytest.raises(RefreshRefused, match=code):
            refresh(accounts, account.refresh_token, **{"kinds": ("builder_id",), "client": client, **wrong})
    assert refresh(accounts, account.refresh_token, kinds=("builder_id",), client=client).account is account


@pytest.mark.parametrize("wrong", [{"kind": "guest"}, {"plan": "gold"}, {"colour": "red"}])
def test_an_account_that_cannot_be_is_refused(wrong: dict[str, Any], accounts: Accounts) -> None:
    with pytest.raises(ValueError):
        accounts.add(wrong, now=0.0, token_seconds=1.0)


def test_the_same_id_replaces(accounts: Accounts) -> None:
    first = accounts.add({"id": "a", "access_token": "old"}, now=0.0, token_seconds=10.0)
    second = accounts.add({"id": "a", "access_token": "new", "expires_in": -1}, now=0.0, token_seconds=10.0)
    assert list(accounts) == [second] != [first]
    assert accounts.by_access_token("old", now=0.0) is None
    assert accounts.by_access_token("new", now=0.0) is None, "it was made expired"
