from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credentials.credential import Credential, InvalidLogin, Login, Tokens, check
from app.credentials.refresh import refresh
from app.errors import RefreshFailed, RefreshTokenRejected, RefreshUnclear
from app.kiro.endpoints import HttpCall
from app.upstream.http import HttpAnswer
from tests.unit.credentials.logins import (
    HOUR,
    IDENTITY,
    NOON,
    Clock,
    TokenService,
    answered,
    broken,
    credential,
    refresh_token,
    refused,
)

TENANT = "https://login.microsoftonline.com/0f1e2d3c-1111-4222-8333-444455556666"
EXTERNAL = {
    "kind": "external_idp",
    "client_id": "cid",
    "token_endpoint": f"{TENANT}/oauth2/v2.0/token",
    "issuer_url": f"{TENANT}/v2.0",
    "scopes": "api://cid/completions offline_access",
}
# The places a token would be taken to by a file that names them.
EVIL_ENDPOINTS = [
    "http://login.microsoftonline.com/t/oauth2/v2.0/token",
    "https://evil.example/t/oauth2/v2.0/token",
    "https://login.microsoftonline.com.evil.example/token",
    "https://evilmicrosoftonline.com/token",
    "https://login.microsoftonline.com@evil.example/token",
    "https://evil.example/.microsoftonline.com",
    "https://evil.example\\.microsoftonline.com/token",
    "https://evil.example?.microsoftonline.com",
    "https://[login.microsoftonline.com/token",
    "https://login.microsoftonline.com/token\n",
    "https://login.microsoftonline.com:8443/token",
    "https://10.0.0.1/token",
    "https://[::1]/token",
    "//login.microsoftonline.com/token",
    "",
]
IDC = {"kind": "idc", "client_id": "cid", "client_secret": "csec", "auth_region": "eu-west-1"}


def traded(answer: HttpAnswer | Exception, **values: Any) -> tuple[Tokens, HttpCall]:
    service = TokenService()
    service.answers = [answer]
    tokens = refresh(credential(machine_id="ab" * 32, **values), service, IDENTITY, now=Clock())
    return tokens, service.calls[0]


def test_a_social_login_asks_the_desktop_service_of_its_region() -> None:
    tokens, call = traded(
        answered({"accessToken": "aoa-1", "refreshToken": "aor-1", "profileArn": "arn:1", "expiresIn": 1800}),
        auth_region="eu-central-1",
    )
    assert tokens == Tokens("aoa-1", "aor-1", NOON + 1800, "arn:1")
    assert call.url == "https://prod.eu-central-1.auth.desktop.kiro.dev/refreshToken"
    assert json.loads(call.body or b"") == {"refreshToken": refresh_token()}
    assert call.headers["User-Agent"] == f"KiroIDE-0.12.155-{'ab' * 32}"


def test_an_idc_login_asks_oidc_with_its_registration() -> None:
    tokens, call = traded(answered({"accessToken": "aoa-1", "expiresIn": 3600, "tokenType": "Bearer"}), **IDC)
    assert tokens == Tokens("aoa-1", None, NOON + HOUR, None)
    assert call.url == "https://oidc.eu-west-1.amazonaws.com/token"
    assert json.loads(call.body or b"") == {
        "clientId": "cid",
        "clientSecret": "csec",
        "refreshToken": refresh_token(),
        "grantType": "refresh_token",
    }


def test_a_login_without_region_asks_us_east_1() -> None:
    _, call = traded(answered({"accessToken": "aoa"}), auth_region=None)
    assert "prod.us-east-1." in call.url


def test_it_goes_through_the_credential_s_own_proxy() -> None:
    service = TokenService()
    refresh(credential(proxy_url="socks5://proxy:1080"), service, IDENTITY, now=Clock())
    assert service.proxies == ["socks5://proxy:1080"]


@pytest.mark.parametrize("expires_in", [None, 0, -5, "3600", True, []])
def test_a_lifetime_that_is_no_number_counts_as_an_hour(expires_in: object) -> None:
    tokens, _ = traded(answered({"accessToken": "aoa", "expiresIn": expires_in}))
    assert tokens.expires_at == NOON + HOUR


def test_the_lifetime_counts_from_the_question_not_from_a_slow_answer() -> None:
    clock = Clock()
    service = TokenService(before=lambda: setattr(clock, "now", NOON + 50))
    assert refresh(credential(), service, IDENTITY, now=clock).expires_at == NOON + HOUR


@pytest.mark.parametrize(
    "answer",
    [
        refused(),
        answered({"message": "Invalid refresh token provided"}, 400),
        answered({"message": "Bad credentials"}, 401),
        answered({"error": "invalid_client"}, 401),
        answered({"error": "invalid_client"}, 400),
        answered({"error": "expired_token"}, 400),
        answered({"__type": "com.amazonaws.ssooidc#UnauthorizedClientException"}, 400),
        answered({"__type": "ExpiredTokenException", "message": "expired"}, 403),
    ],
)
def test_what_only_a_new_sign_in_mends_is_final(answer: HttpAnswer) -> None:
    with pytest.raises(RefreshTokenRejected, match="sign in again"):
        traded(answer)


@pytest.mark.parametrize(
    "answer",
    [
        answered({"message": "slow down"}, 429),
        answered({}, 500),
        answered({"error": "invalid_grant"}, 503),
        answered({"message": "Forbidden"}, 403),
        answered({"error": "invalid_request"}, 400),
        answered({"error": {"code": "invalid_grant"}}, 400),
        HttpAnswer(502, {}, b"<html>bad gateway</html>"),
        broken(sent=False),
    ],
)
def test_what_passes_is_tried_again_later(answer: HttpAnswer | Exception) -> None:
    with pytest.raises(RefreshFailed) as caught:
        traded(answer)
    assert type(caught.value) is RefreshFailed


@pytest.mark.parametrize(
    "answer",
    [
        broken(sent=True),
        answered({}),
        answered({"accessToken": ""}),
        answered({"accessToken": 5}),
        answered([]),
        HttpAnswer(200, {}, b"not json"),
    ],
)
def test_what_may_have_consumed_the_token_is_unclear(answer: HttpAnswer | Exception) -> None:
    with pytest.raises(RefreshUnclear):
        traded(answer)


@pytest.mark.parametrize(("header", "seconds"), [("30", 30), ("soon", None), ("-1", None), ("", None)])
def test_a_wait_asked_for_is_passed_on(header: str, seconds: int | None) -> None:
    with pytest.raises(RefreshFailed) as caught:
        traded(answered({}, 429, **{"retry-after": header}))
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_secret_that_is_echoed_stays_out_of_the_message(status: int) -> None:
    secrets = {"refresh_token": refresh_token(), "access_token": "aoa-secret", "client_secret": "csec-secret"}
    with pytest.raises(RefreshFailed) as caught:
        traded(answered({"message": f"bad: {' '.join(secrets.values())}"}, status), **{**IDC, **secrets})
    assert not [secret for secret in secrets.values() if secret in caught.value.message]


def test_an_external_provider_is_sent_a_form() -> None:
    tokens, call = traded(answered({"access_token": "eyJ-1", "refresh_token": "0.AX-1", "expires_in": 4500}), **EXTERNAL)
    assert tokens == Tokens("eyJ-1", "0.AX-1", NOON + 4500, None)
    assert call.url == EXTERNAL["token_endpoint"]
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs((call.body or b"").decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["cid"],
        "refresh_token": [refresh_token()],
        "scope": ["api://cid/completions offline_access"],
    }


@pytest.mark.parametrize(
    ("scopes", "asked"),
    [(None, None), ("openid", ["openid offline_access"]), ("a,b, offline_access", ["a b offline_access"])],
)
def test_an_external_provider_is_always_asked_for_the_next_refresh_token(scopes: str | None, asked: list[str] | None) -> None:
    _, call = traded(answered({"access_token": "eyJ"}), **{**EXTERNAL, "scopes": scopes})
    assert parse_qs((call.body or b"").decode()).get("scope") == asked


def test_an_external_provider_need_not_rotate() -> None:
    tokens, _ = traded(answered({"access_token": "eyJ-1", "expires_in": 3600}), **EXTERNAL)
    assert tokens.refresh_token is None, "the stored one stays"


@pytest.mark.parametrize("code", ["invalid_grant", "unauthorized_client", "interaction_required"])
def test_an_external_provider_s_refusal_is_final(code: str) -> None:
    with pytest.raises(RefreshTokenRejected, match="AADSTS70000"):
        traded(answered({"error": code, "error_description": "AADSTS70000: expired\r\nTrace ID: 1"}, 400), **EXTERNAL)


@pytest.mark.parametrize("endpoint", EVIL_ENDPOINTS)
def test_a_token_is_not_taken_to_a_stranger(endpoint: str) -> None:
    service = TokenService()
    login = {**EXTERNAL, "token_endpoint": endpoint, "issuer_url": None}
    with pytest.raises(RefreshTokenRejected, match="not sent anywhere"):
        refresh(credential(**login), service, IDENTITY)
    assert service.calls == [], "nothing was sent"
    with pytest.raises(InvalidLogin):
        check(Login(refresh_token=refresh_token(), **login))


def test_a_token_is_not_taken_to_another_provider_than_the_issuer() -> None:
    service = TokenService()
    with pytest.raises(RefreshTokenRejected, match="the same host"):
        refresh(credential(**{**EXTERNAL, "issuer_url": "https://acme.okta.com"}), service, IDENTITY)
    assert service.calls == []


def test_an_api_key_has_nothing_to_trade() -> None:
    service = TokenService()
    with pytest.raises(RefreshFailed, match="api_key"):
        refresh(Credential(id=1, kind="api_key", access_token="ksk_demo"), service, IDENTITY)
    assert service.calls == []


@given(st.integers(100, 599), st.binary(max_size=40) | st.sampled_from([b"[]", b"null", b'{"error":{}}', b'{"message":3}']))
def test_any_answer_is_tokens_or_one_of_the_three_errors(status: int, body: bytes) -> None:
    with pytest.raises(RefreshFailed):
        traded(HttpAnswer(status, {}, body))
