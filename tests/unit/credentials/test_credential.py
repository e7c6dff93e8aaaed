from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credentials.credential import (
    Credential,
    Freshness,
    InvalidLogin,
    Login,
    Tokens,
    check,
    epoch_seconds,
    fingerprint,
    remarks,
)
from tests.unit.credentials.logins import HOUR, NOON, api_key, credential, idc, refresh_token, social


def test_logins_that_expire_together_are_not_refreshed_in_the_same_second() -> None:
    def first_early(id_: int) -> int:
        tokens = (credential(id_, expires_at=NOON + left) for left in range(720, 599, -1))
        return next(number for number, each in enumerate(tokens) if each.freshness(NOON) is not Freshness.FRESH)

    assert len({first_early(id_) for id_ in range(1, 41)}) > 20


@pytest.mark.parametrize(
    ("seconds_left", "window"),
    [
        (HOUR, Freshness.FRESH),
        (720.0, Freshness.FRESH),
        (600.0, Freshness.EXPIRING),
        (60.5, Freshness.EXPIRING),
        (60.0, Freshness.EXPIRED),
        (-HOUR, Freshness.EXPIRED),
    ],
)
def test_a_token_is_in_the_window_of_the_time_it_has_left(seconds_left: float, window: Freshness) -> None:
    assert credential(expires_at=NOON + seconds_left).freshness(NOON) is window


@pytest.mark.parametrize("missing", [{"access_token": None}, {"access_token": ""}, {"expires_at": None}])
def test_a_token_that_is_missing_or_undated_is_refreshed_first(missing: dict[str, object]) -> None:
    assert credential(**missing).freshness(NOON) is Freshness.EXPIRED


def test_an_api_key_never_expires() -> None:
    key = Credential(id=1, kind="api_key", access_token="ksk_demo", expires_at=NOON - HOUR)
    assert key.freshness(NOON) is Freshness.FRESH


@pytest.mark.parametrize("login", [social(), idc(), api_key(), social(proxy_url="direct"), social(proxy_url="socks5://p:1080")])
def test_a_whole_login_passes(login: Login) -> None:
    check(login)


@pytest.mark.parametrize(
    ("login", "says"),
    [
        (social(refresh_token=None), "refresh token is missing"),
        (social(refresh_token="aorAAAA...ZZZZ"), "shortened"),
        (social(refresh_token="aorAAAA…ZZZZ"), "shortened"),
        (social(refresh_token="aor two words"), "spaces"),
        (social(access_token="aoa\nEvil: header"), "unusual"),
        (idc(client_secret=None), "clientIdHash"),
        (idc(client_id=None), "clientIdHash"),
        (api_key(access_token=None), "API key is missing"),
        (api_key(access_token="ksk_abc..."), "shortened"),
        (social(kind="saml"), "social, idc, external_idp, api_key"),
        (social(proxy_url="ftp://x"), "proxy"),
        (social(auth_region="us-east-1.evil.example/"), "AWS region"),
        (social(api_region="frankfurt"), "AWS region"),
    ],
)
def test_a_login_that_cannot_work_is_refused_with_what_to_do(login: Login, says: str) -> None:
    with pytest.raises(InvalidLogin, match=says) as caught:
        check(login)
    assert caught.value.status == 400


def test_a_short_refresh_token_is_remarked_on_but_stored() -> None:
    (remark,) = remarks(social(refresh_token="aor-short"))
    assert "9 characters" in remark
    assert remarks(social()) == []
    assert remarks(api_key()) == []


@given(st.text(min_size=16, alphabet=st.characters(codec="ascii", categories=["L", "N"])))
def test_what_is_printed_of_a_login_shows_no_secret(secret: str) -> None:
    login = idc(access_token=secret, refresh_token=secret, client_secret=secret)
    stored = Credential(id=7, kind="idc", access_token=secret, refresh_token=secret, client_secret=secret)
    for shown in (repr(login), str(login), login.name, repr(stored), str(stored), repr(Tokens(secret, secret, NOON))):
        assert secret not in shown


def test_a_login_is_called_by_its_label_then_its_e_mail_then_its_provider() -> None:
    assert social(label="work", email="a@example.test").name == "work"
    assert social(email="a@example.test").name == "a@example.test"
    assert social(provider="Google").name == "Google …xxxx"


def test_an_api_key_is_known_by_its_key_and_a_login_by_its_refresh_token() -> None:
    assert api_key("b").fingerprint == fingerprint(api_key("b").access_token or "")
    assert social("b", access_token="aoa").fingerprint == fingerprint(refresh_token("b"))


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-01T10:00:00Z",
        "2026-02-01T10:00:00.000Z",
        "2026-02-01T10:00:00.000000000Z",
        "2026-02-01T12:00:00+02:00",
        "2026-02-01 10:00:00",
        1769940000,
        1769940000.0,
        1769940000000,
    ],
)
def test_an_instant_is_read_in_every_form_it_is_written_in(value: object) -> None:
    assert epoch_seconds(value) == 1769940000.0


@given(st.one_of(st.none(), st.booleans(), st.text(), st.lists(st.integers()), st.floats(allow_nan=False), st.integers()))
def test_anything_else_is_no_instant_and_no_error(value: object) -> None:
    assert epoch_seconds(value) is None or isinstance(epoch_seconds(value), float)
